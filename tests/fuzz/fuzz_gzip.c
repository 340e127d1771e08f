/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A compressed body, alone or in an HTTP answer: whatever the bytes, wherever they are cut and
 * however small the room for what comes out, the outcome is the same. The first byte of the input
 * says how to cut the rest (high bit: the rest is an HTTP answer), the second how much room.
 */
#include <stdint.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/err.h"
#include "base/strbuf.h"
#include "http/gzip.h"
#include "http/response.h"

#define LIMIT    (1u << 20)
#define MAX_ROOM 256u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct outcome {
    struct http_response response;
    struct http_gzip gzip;
    size_t room;
    int err;
    bool over;
    struct strbuf body;
};

static void finish(struct outcome *outcome, int err)
{
    outcome->err = err;
    outcome->over = true;
}

static void take_body(struct outcome *outcome, struct slice body)
{
    uint8_t room[MAX_ROOM];
    struct slice piece;
    int r = 0;
    while (!outcome->over &&
           (r = http_gzip_next(&outcome->gzip, &body, room, outcome->room, &piece)) > 0) {
        check(piece.len > 0 && piece.len <= outcome->room);
        strbuf_add(&outcome->body, piece.ptr, piece.len);
    }
    if (r < 0)
        finish(outcome, r);
}

static void take_event(struct outcome *outcome, enum http_event_kind kind,
                       const struct http_event *event)
{
    if (kind == HTTP_BODY)
        take_body(outcome, event->body);
    if (kind == HTTP_ERROR)
        finish(outcome, ERR_CLOSED);
    if (kind == HTTP_END)
        finish(outcome, http_gzip_end(&outcome->gzip));
}

static void take_answer(struct outcome *outcome, struct slice input)
{
    struct http_event event;
    while (!outcome->over) {
        enum http_event_kind kind = http_response_next(&outcome->response, &input, &event);
        if (kind == HTTP_MORE)
            return;
        take_event(outcome, kind, &event);
    }
}

static void decode(struct slice input, bool is_answer, size_t step, size_t room,
                   struct outcome *outcome)
{
    *outcome = (struct outcome){.room = room};
    check(http_gzip_start(&outcome->gzip, LIMIT) == 0);
    http_response_start(&outcome->response, false);
    for (size_t at = 0; at < input.len && !outcome->over; at += step) {
        struct slice part =
            slice_make(input.ptr + at, step < input.len - at ? step : input.len - at);
        if (is_answer)
            take_answer(outcome, part);
        else
            take_body(outcome, part);
    }
    if (outcome->over)
        return;
    struct http_event event;
    if (is_answer)
        take_event(outcome, http_response_eof(&outcome->response, &event), &event);
    else
        finish(outcome, http_gzip_end(&outcome->gzip));
}

static void drop(struct outcome *outcome)
{
    http_gzip_fini(&outcome->gzip);
    http_response_fini(&outcome->response);
    strbuf_fini(&outcome->body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    bool is_answer = data[0] >= 0x80;
    struct slice input = slice_make(data + 2, size - 2);
    struct outcome whole, cut;
    decode(input, is_answer, size, MAX_ROOM, &whole);
    decode(input, is_answer, data[0] % 0x80u + 1, data[1] + 1u, &cut);
    check(whole.err == cut.err);
    if (whole.err != ERR_LIMIT)
        check(slice_equal(slice_make(whole.body.text, whole.body.len),
                          slice_make(cut.body.text, cut.body.len)));
    check(whole.body.len < LIMIT && cut.body.len < LIMIT);
    drop(&whole);
    drop(&cut);
    return 0;
}
