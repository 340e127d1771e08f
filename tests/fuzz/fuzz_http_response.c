/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whatever the bytes and wherever they are cut, the parser says the same, and so it does if it
 * remembers earlier heads: of earlier inputs and of this one. The first byte of the input says how
 * to cut the rest.
 */
#include <stdint.h>

#include "base/check.h"
#include "base/slice.h"
#include "http/memo.h"
#include "tests/unit/http/transcript.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Pieces of 1 to `longest` bytes, their lengths drawn from a small generator. */
static void feed_in_pieces(struct transcript *transcript, const char *bytes, size_t len,
                           uint32_t longest)
{
    uint32_t random = longest * 2654435761u + 1;
    size_t at = 0;
    while (at < len) {
        random = random * 1664525u + 1013904223u;
        size_t piece = (random >> 16) % longest + 1;
        if (piece > len - at)
            piece = len - at;
        transcript_feed(transcript, bytes + at, piece);
        at += piece;
    }
}

static void check_equal(const struct transcript *a, const struct transcript *b)
{
    check(a->used == b->used);
    check(slice_equal(slice_make(a->text.text, a->text.len), slice_make(b->text.text, b->text.len)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct http_memo memo;
    if (size == 0)
        return 0;
    bool to_head_request = data[0] >= 0x80;
    uint32_t longest = data[0] % 0x80u + 1;
    const char *bytes = (const char *)data + 1;
    struct transcript whole = {0}, cut = {0};
    http_response_start(&whole.response, to_head_request);
    http_response_start(&cut.response, to_head_request);
    transcript_feed(&whole, bytes, size - 1);
    feed_in_pieces(&cut, bytes, size - 1, longest);
    transcript_eof(&whole);
    transcript_eof(&cut);
    check_equal(&whole, &cut);
    transcript_fini(&cut);
    for (int again = 0; again < 2; again++) {
        struct transcript recalled = {0};
        http_response_start(&recalled.response, to_head_request);
        http_response_remember(&recalled.response, &memo);
        transcript_feed(&recalled, bytes, size - 1);
        transcript_eof(&recalled);
        check_equal(&whole, &recalled);
        transcript_fini(&recalled);
    }
    transcript_fini(&whole);
    return 0;
}
