/* SPDX-License-Identifier: GPL-2.0-or-later */
/* strbuf, utf8, err and arena: the small things everything else is made of. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/base64.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/search.h"
#include "base/strbuf.h"
#include "base/unicode.h"
#include "base/utf8.h"

static void a_fixed_buffer_cuts_what_does_not_fit(void **state)
{
    (void)state;
    char room[8];
    struct strbuf buf = STRBUF_FIXED(room);
    strbuf_adds(&buf, "12345");
    assert_false(buf.cut);
    strbuf_addf(&buf, "%d", 67890);
    assert_true(buf.cut);
    assert_string_equal(room, "1234567");
    strbuf_addc(&buf, 'x');
    assert_string_equal(room, "1234567");
}

static void a_growing_buffer_takes_everything(void **state)
{
    (void)state;
    struct strbuf buf = STRBUF_GROWING;
    for (int i = 0; i < 10000; i++)
        strbuf_addf(&buf, "%d,", i);
    assert_int_equal(buf.len, 48890);
    assert_int_equal(strlen(buf.text), buf.len);
    assert_false(buf.cut);
    strbuf_fini(&buf);
}

static void json_strings_are_escaped(void **state)
{
    (void)state;
    struct strbuf buf = STRBUF_GROWING;
    static const char text[] = "a\"b\\c\n\t\x01\xc3\xa9\xff\0z";
    strbuf_add_json(&buf, text, sizeof(text) - 1);
    assert_string_equal(buf.text, "\"a\\\"b\\\\c\\n\\t\\u0001\xc3\xa9\\ufffd\\u0000z\"");
    strbuf_fini(&buf);
}

static void utf8_follows_rfc_3629(void **state)
{
    (void)state;
    static const char *const good[] = {"",
                                       "plain ascii text",
                                       "\xc2\x80",
                                       "\xe0\xa0\x80",
                                       "\xed\x9f\xbf",
                                       "\xf0\x90\x80\x80",
                                       "\xf4\x8f\xbf\xbf"};
    static const char *const bad[] = {
        "\x80",         "\xc0\x80",         "\xc1\xbf",         "\xe0\x9f\xbf",
        "\xed\xa0\x80", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80",
        "\xc3",         "12345678\xff",     "\xe2\x82"};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        assert_true(utf8_valid(good[i], strlen(good[i])));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(utf8_valid(bad[i], strlen(bad[i])));
}

static void errors_have_texts_and_contexts(void **state)
{
    (void)state;
    struct errctx ctx;
    assert_string_equal(err_text(0), "success");
    assert_string_equal(err_text(-ENOENT), strerror(ENOENT));
    assert_string_equal(err_text(ERR_TIMEOUT), "context deadline exceeded");
    assert_string_equal(err_text(-5000), "unknown error");
    assert_int_equal(err_set(&ctx, ERR_SYNTAX, "line %d", 3), ERR_SYNTAX);
    assert_int_equal(err_prefix(&ctx, ERR_SYNTAX, "file %s", "x"), ERR_SYNTAX);
    assert_string_equal(ctx.text, "file x: line 3");
    assert_int_equal(err_set(NULL, -EPERM, "nobody listens"), -EPERM);
}

static void arenas_hand_out_aligned_zeroed_memory(void **state)
{
    (void)state;
    struct arena arena = {0};
    for (size_t size = 1; size < 40000; size = size * 3 + 1) {
        unsigned char *piece = arena_alloc(&arena, size);
        assert_int_equal((uintptr_t)piece % 16, 0);
        for (size_t i = 0; i < size; i++)
            assert_int_equal(piece[i], 0);
        memset(piece, 0xff, size);
    }
    assert_string_equal(arena_strdup(&arena, "text"), "text");
    arena_fini(&arena);
    assert_int_equal(arena.total, 0);
}

static void an_arena_that_is_used_alike_again_allocates_nothing(void **state)
{
    (void)state;
    struct arena arena = {0};
    for (int round = 0; round < 4; round++) {
        const struct arena_chunk *first = NULL;
        for (int i = 0; i < 50; i++) {
            (void)arena_alloc(&arena, 100);
            first = i == 0 ? arena.chunks : first;
        }
        if (round >= 2)
            assert_ptr_equal(arena.chunks, first);
        arena_reset(&arena);
    }
    arena_fini(&arena);
}

static void an_arena_that_is_reset_starts_again(void **state)
{
    struct arena arena = {0};
    (void)state;
    arena_reset(&arena);
    char *first = arena_alloc(&arena, 100);
    memset(first, 0xff, 100);
    arena_reset(&arena);
    assert_int_equal(arena.total, 0);
    assert_ptr_equal(arena_alloc(&arena, 100), first);
    for (size_t i = 0; i < 100; i++)
        assert_int_equal(first[i], 0);
    for (size_t i = 0; i < 100; i++)
        assert_non_null(arena_alloc(&arena, 5000 * (i % 5)));
    arena_reset(&arena);
    assert_string_equal(arena_strdup(&arena, "text"), "text");
    arena_fini(&arena);
}

static void code_points_become_bytes_and_back(void **state)
{
    static const uint32_t codes[] = {0, 0x7f, 0x80, 0x7ff, 0x800, 0xffff, 0x10000, 0x10ffff};
    (void)state;
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        char text[4];
        size_t step;
        size_t len = utf8_encode(codes[i], text);
        assert_int_equal(len, 1 + i / 2);
        assert_int_equal(utf8_decode(text, len, &step), codes[i]);
        assert_int_equal(step, len);
    }
    size_t step;
    assert_int_equal(utf8_decode("\xe6\x97", 2, &step), 0xfffd);
    assert_int_equal(step, 1);
}

static void unicode_knows_letters_digits_and_cases(void **state)
{
    (void)state;
    assert_true(unicode_is_letter('z') && unicode_is_letter(0x65e5) && unicode_is_letter(0x2b739));
    assert_false(unicode_is_letter('_') || unicode_is_letter('[') || unicode_is_letter(0x10ffff));
    assert_true(unicode_is_digit('9') && unicode_is_digit(0x663) && !unicode_is_digit(0xb2));
    assert_int_equal(unicode_upper('z'), 'Z');
    assert_int_equal(unicode_lower('['), '[');
    assert_int_equal(unicode_upper(0xff), 0x178);
    assert_int_equal(unicode_lower(0x130), 'i');
    assert_int_equal(unicode_lower(0x100), 0x101);
    assert_int_equal(unicode_lower(0x101), 0x101);
    assert_int_equal(unicode_upper(0x101), 0x100);
    assert_int_equal(unicode_lower(0x1e921), 0x1e943);
    assert_int_equal(unicode_upper(0xdf), 0xdf);
}

static void base64_is_read_as_it_is_written(void **state)
{
    (void)state;
    static const char bytes[] = "\0any\xffthing: 0123456789+/";
    for (size_t len = 0; len < sizeof(bytes); len++) {
        struct strbuf text = STRBUF_GROWING, back = STRBUF_GROWING;
        base64_add(&text, slice_make(bytes, len));
        assert_true(base64_decode(slice_make(text.text, text.len), &back));
        assert_int_equal(back.len, len);
        if (len > 0)
            assert_memory_equal(back.text, bytes, len);
        strbuf_fini(&text);
        strbuf_fini(&back);
    }
    static const char *const wrong[] = {"a",        "ab",   "abc",  "a===", "ab=c",
                                        "ab==ab==", "ab-_", "====", "abcd="};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct strbuf back = STRBUF_GROWING;
        assert_false(base64_decode(slice_of(wrong[i]), &back));
        strbuf_fini(&back);
    }
    struct strbuf back = STRBUF_GROWING;
    assert_true(base64_decode(SLICE_LITERAL(" YW\nJj\r\n"), &back));
    assert_string_equal(back.text, "abc");
    strbuf_fini(&back);
}

static void milliseconds_round_down(void **state)
{
    (void)state;
    assert_int_equal(clock_ms_of_ns(1999999), 1);
    assert_int_equal(clock_ms_of_ns(0), 0);
    assert_int_equal(clock_ms_of_ns(-1), -1);
    assert_int_equal(clock_ms_of_ns(-1000000), -1);
}

static bool is_lesser(const void *item, uint64_t key)
{
    return *(const uint32_t *)item < key;
}

static size_t find(const uint32_t *items, size_t count, uint64_t key)
{
    return search_lower_bound(items, count, sizeof(*items), is_lesser, key);
}

static void a_search_finds_the_first_item_that_is_not_before_the_key(void **state)
{
    (void)state;
    static const uint32_t items[] = {2, 4, 4, 4, 7, 9, 9};
    static const size_t places[] = {0, 0, 0, 1, 1, 4, 4, 4, 5, 5, 7, 7};
    for (size_t key = 0; key < sizeof(places) / sizeof(places[0]); key++)
        assert_int_equal(find(items, 7, key), places[key]);
    /* of any number of items */
    for (size_t count = 0; count <= 7; count++)
        assert_int_equal(find(items, count, 8), count < 5 ? count : 5);
    assert_int_equal(find(NULL, 0, 1), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fixed_buffer_cuts_what_does_not_fit),
        cmocka_unit_test(a_growing_buffer_takes_everything),
        cmocka_unit_test(json_strings_are_escaped),
        cmocka_unit_test(utf8_follows_rfc_3629),
        cmocka_unit_test(errors_have_texts_and_contexts),
        cmocka_unit_test(arenas_hand_out_aligned_zeroed_memory),
        cmocka_unit_test(an_arena_that_is_used_alike_again_allocates_nothing),
        cmocka_unit_test(an_arena_that_is_reset_starts_again),
        cmocka_unit_test(code_points_become_bytes_and_back),
        cmocka_unit_test(unicode_knows_letters_digits_and_cases),
        cmocka_unit_test(base64_is_read_as_it_is_written),
        cmocka_unit_test(milliseconds_round_down),
        cmocka_unit_test(a_search_finds_the_first_item_that_is_not_before_the_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
