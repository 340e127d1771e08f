/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "http/gzip.h"
#include "tests/unit/http/gzip_member.h"

static struct slice slice_of_buf(const struct strbuf *buf)
{
    return slice_make(buf->text, buf->len);
}

struct outcome {
    int err;
    char error[64];
    struct strbuf body;
};

/* Takes all there is in `input`, in output pieces of at most room_size. */
static int take(struct http_gzip *gzip, struct slice input, size_t room_size, struct strbuf *body)
{
    uint8_t room[4096];
    struct slice piece;
    int r;
    while ((r = http_gzip_next(gzip, &input, room, room_size, &piece)) > 0) {
        assert_in_range(piece.len, 1, room_size);
        strbuf_add(body, piece.ptr, piece.len);
    }
    if (r == 0)
        assert_int_equal(input.len, 0);
    return r;
}

static void decode_with(struct http_gzip *gzip, struct slice input, uint64_t limit, size_t step,
                        size_t room_size, struct outcome *outcome)
{
    assert_int_equal(http_gzip_start(gzip, limit), 0);
    *outcome = (struct outcome){.err = 0, .error = ""};
    for (size_t at = 0; at < input.len && outcome->err == 0; at += step) {
        size_t len = step < input.len - at ? step : input.len - at;
        outcome->err = take(gzip, slice_make(input.ptr + at, len), room_size, &outcome->body);
    }
    if (outcome->err == 0)
        outcome->err = http_gzip_end(gzip);
    if (outcome->err != 0)
        snprintf(outcome->error, sizeof(outcome->error), "%s", http_gzip_error(gzip));
}

static void expect(struct slice input, int err, const char *error, struct slice body)
{
    static const size_t steps[] = {1, 2, 3, 7, 64, SIZE_MAX / 2};
    static const size_t rooms[] = {1, 5, 4096};
    struct http_gzip gzip = {.zlib = NULL};
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        for (size_t k = 0; k < sizeof(rooms) / sizeof(rooms[0]); k++) {
            struct outcome outcome;
            decode_with(&gzip, input, 0, steps[i], rooms[k], &outcome);
            assert_string_equal(outcome.error, error);
            assert_int_equal(outcome.err, err);
            assert_true(slice_equal(slice_of_buf(&outcome.body), body));
            strbuf_fini(&outcome.body);
        }
    }
    http_gzip_fini(&gzip);
}

static struct slice hello(void)
{
    return SLICE_LITERAL("hello hello hello, world\n");
}

static void undoes_one_member(void **state)
{
    (void)state;
    struct strbuf bytes = STRBUF_GROWING;
    gzip_member(&bytes, hello());
    expect(slice_of_buf(&bytes), 0, "", hello());
    strbuf_fini(&bytes);
}

static void undoes_members_one_after_another(void **state)
{
    (void)state;
    struct strbuf bytes = STRBUF_GROWING;
    gzip_member(&bytes, SLICE_LITERAL("one "));
    gzip_member(&bytes, SLICE_LITERAL(""));
    gzip_member(&bytes, SLICE_LITERAL("two"));
    expect(slice_of_buf(&bytes), 0, "", SLICE_LITERAL("one two"));
    strbuf_fini(&bytes);
}

static void undoes_a_member_of_nothing(void **state)
{
    (void)state;
    struct strbuf bytes = STRBUF_GROWING;
    gzip_member(&bytes, SLICE_LITERAL(""));
    expect(slice_of_buf(&bytes), 0, "", SLICE_LITERAL(""));
    strbuf_fini(&bytes);
}

static void skips_optional_header_fields(void **state)
{
    (void)state;
    static const struct {
        unsigned char flags;
        struct slice optional;
    } headers[] = {
        {1, {"", 0}},
        {2, {"", 0}},
        {4, {"\0\0", 2}},
        {4, {"\3\0abc", 5}},
        {8, {"name", 5}},
        {16, {"comment", 8}},
        {2 + 4 + 8 + 16, {"\2\0xyname\0comment", 17}},
        {0xe0, {"", 0}}, /* nobody knows these */
    };
    for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
        struct strbuf bytes = STRBUF_GROWING;
        gzip_member_with(&bytes, headers[i].flags, headers[i].optional, hello());
        expect(slice_of_buf(&bytes), 0, "", hello());
        strbuf_fini(&bytes);
    }
}

static void refuses_header_texts_beyond_512_bytes(void **state)
{
    (void)state;
    char text[600];
    memset(text, 'x', sizeof(text));
    for (size_t len = 511; len <= 513; len++) {
        struct strbuf bytes = STRBUF_GROWING;
        text[len] = '\0';
        gzip_member_with(&bytes, 8, slice_make(text, len + 1), hello());
        text[len] = 'x';
        if (len + 1 <= 512)
            expect(slice_of_buf(&bytes), 0, "", hello());
        else
            expect(slice_of_buf(&bytes), ERR_PROTOCOL, "gzip: invalid header", SLICE_LITERAL(""));
        strbuf_fini(&bytes);
    }
}

static void refuses_what_is_not_gzip(void **state)
{
    (void)state;
    struct slice none = SLICE_LITERAL("");
    expect(SLICE_LITERAL("metric_a 1\nmetric_b 2\n"), ERR_PROTOCOL, "gzip: invalid header", none);
    expect(SLICE_LITERAL("\x1f\x8b\x07\0\0\0\0\0\0\0"), ERR_PROTOCOL, "gzip: invalid header", none);
    expect(SLICE_LITERAL("m 1"), ERR_PROTOCOL, "unexpected EOF", none);
    expect(none, ERR_PROTOCOL, "EOF", none);
}

static void refuses_a_wrong_header_checksum(void **state)
{
    (void)state;
    struct strbuf bytes = STRBUF_GROWING;
    gzip_member_with(&bytes, 2, SLICE_LITERAL(""), hello());
    bytes.text[10] ^= 1;
    expect(slice_of_buf(&bytes), ERR_PROTOCOL, "gzip: invalid header", SLICE_LITERAL(""));
    strbuf_fini(&bytes);
}

static void refuses_a_body_cut_anywhere(void **state)
{
    (void)state;
    struct strbuf bytes = STRBUF_GROWING;
    gzip_member_with(&bytes, 2 + 4 + 8 + 16, SLICE_LITERAL("\2\0xyname\0comment\0"), hello());
    struct http_gzip gzip = {.zlib = NULL};
    for (size_t len = 0; len < bytes.len; len++) {
        struct outcome outcome;
        decode_with(&gzip, slice_make(bytes.text, len), 0, 5, 4096, &outcome);
        assert_int_equal(outcome.err, ERR_PROTOCOL);
        assert_string_equal(outcome.error, len == 0 ? "EOF" : "unexpected EOF");
        strbuf_fini(&outcome.body);
    }
    http_gzip_fini(&gzip);
    strbuf_fini(&bytes);
}

static void refuses_wrong_checksum_and_length(void **state)
{
    (void)state;
    for (size_t from_end = 1; from_end <= 8; from_end++) {
        struct strbuf bytes = STRBUF_GROWING;
        gzip_member(&bytes, hello());
        bytes.text[bytes.len - from_end] ^= 1;
        expect(slice_of_buf(&bytes), ERR_PROTOCOL, "gzip: invalid checksum", hello());
        strbuf_fini(&bytes);
    }
}

static void refuses_garbage_behind_a_member(void **state)
{
    (void)state;
    struct strbuf bytes = STRBUF_GROWING;
    gzip_member(&bytes, hello());
    strbuf_addc(&bytes, '\n');
    expect(slice_of_buf(&bytes), ERR_PROTOCOL, "unexpected EOF", hello());
    strbuf_adds(&bytes, "metric 1 and so on");
    expect(slice_of_buf(&bytes), ERR_PROTOCOL, "gzip: invalid header", hello());
    strbuf_fini(&bytes);
}

static void refuses_damaged_data(void **state)
{
    (void)state;
    /* A block type that does not exist. */
    expect(SLICE_LITERAL("\x1f\x8b\x08\0\0\0\0\0\0\3\x07\0\0\0"), ERR_PROTOCOL,
           "flate: corrupt input before offset 1", SLICE_LITERAL(""));
}

static void stops_a_bomb_at_the_limit(void **state)
{
    (void)state;
    size_t size = 10 << 20;
    char *zeroes = calloc(1, size);
    struct strbuf bytes = STRBUF_GROWING;
    gzip_member(&bytes, slice_make(zeroes, size));
    assert_true(bytes.len < 16384);
    struct http_gzip gzip = {.zlib = NULL};
    struct outcome outcome;
    decode_with(&gzip, slice_of_buf(&bytes), 1 << 20, bytes.len, 4096, &outcome);
    assert_int_equal(outcome.err, ERR_LIMIT);
    assert_string_equal(outcome.error, "body size limit exceeded");
    assert_in_range(http_gzip_bytes(&gzip), 1 << 20, (1 << 20) + 4096);
    strbuf_fini(&outcome.body);

    /* A body of exactly so many bytes fails, one byte less does not. */
    decode_with(&gzip, slice_of_buf(&bytes), size, bytes.len, 4096, &outcome);
    assert_int_equal(outcome.err, ERR_LIMIT);
    strbuf_fini(&outcome.body);
    decode_with(&gzip, slice_of_buf(&bytes), size + 1, bytes.len, 4096, &outcome);
    assert_int_equal(outcome.err, 0);
    assert_int_equal(outcome.body.len, size);
    assert_int_equal(http_gzip_bytes(&gzip), size);
    strbuf_fini(&outcome.body);
    http_gzip_fini(&gzip);
    strbuf_fini(&bytes);
    free(zeroes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(undoes_one_member),
        cmocka_unit_test(undoes_members_one_after_another),
        cmocka_unit_test(undoes_a_member_of_nothing),
        cmocka_unit_test(skips_optional_header_fields),
        cmocka_unit_test(refuses_header_texts_beyond_512_bytes),
        cmocka_unit_test(refuses_what_is_not_gzip),
        cmocka_unit_test(refuses_a_wrong_header_checksum),
        cmocka_unit_test(refuses_a_body_cut_anywhere),
        cmocka_unit_test(refuses_wrong_checksum_and_length),
        cmocka_unit_test(refuses_garbage_behind_a_member),
        cmocka_unit_test(refuses_damaged_data),
        cmocka_unit_test(stops_a_bomb_at_the_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
