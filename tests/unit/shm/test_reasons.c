/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "shm/reasons.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "tests/unit/shm/segments.h"

static int fd;
static struct reasons reasons;

static int set_up(void **state)
{
    (void)state;
    fd = segments_ring(SHM_PIECE);
    return reasons_attach(&reasons, fd);
}

static int clean_up(void **state)
{
    (void)state;
    reasons_detach(&reasons);
    return close(fd);
}

static void set(uint64_t target_id, int64_t since_ms, const char *text)
{
    reasons_set(&reasons, target_id, since_ms, slice_of(text));
}

static void expect(uint64_t target_id, int64_t since_ms, const char *text)
{
    struct shm_reason reason;
    assert_true(reasons_read(fd, target_id, &reason));
    assert_int_equal(reason.since_ms, since_ms);
    assert_string_equal(reason.text, text);
}

static void expect_none(uint64_t target_id)
{
    struct shm_reason reason;
    assert_false(reasons_read(fd, target_id, &reason));
}

static void a_reason_is_read_until_it_is_taken_back(void **state)
{
    (void)state;
    expect_none(5);
    set(5, 1000, "refused");
    set(6, 2000, "hangs");
    expect(5, 1000, "refused");
    expect(6, 2000, "hangs");
    reasons_clear(&reasons, 5);
    reasons_clear(&reasons, 7);
    expect_none(5);
    expect(6, 2000, "hangs");
}

static void the_same_reason_again_keeps_its_time_and_another_does_not(void **state)
{
    (void)state;
    set(5, 1000, "refused");
    set(5, 2000, "refused");
    expect(5, 1000, "refused");
    set(5, 3000, "refused for long");
    expect(5, 3000, "refused for long");
    set(5, 4000, "no");
    expect(5, 4000, "no");
}

static void long_texts_are_cut(void **state)
{
    char text[1000];
    (void)state;
    memset(text, 'x', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    set(5, 1, text);
    text[sizeof(((struct shm_reason *)0)->text) - 1] = '\0';
    expect(5, 1, text);
    set(5, 2, text);
    expect(5, 1, text);
}

/* Ids that share a page: more than it has room for. */
static void more_than_have_a_place_are_left_out(void **state)
{
    const uint64_t step = SHM_REASONS_COUNT / 16;
    struct shm_reason reason;
    int found = 0;
    (void)state;
    for (uint64_t i = 1; i <= 20; i++)
        set(i * step, 1, "down");
    for (uint64_t i = 1; i <= 20; i++)
        found += reasons_read(fd, i * step, &reason);
    assert_int_equal(found, 16);
    reasons_clear(&reasons, step);
    set(20 * step, 7, "down");
    expect(20 * step, 7, "down");
}

static void a_successor_starts_with_an_empty_table(void **state)
{
    (void)state;
    set(5, 1000, "refused");
    reasons_detach(&reasons);
    assert_int_equal(reasons_attach(&reasons, fd), 0);
    expect_none(5);
}

static void memory_is_taken_for_what_is_there(void **state)
{
    (void)state;
    uint64_t before = segments_memory(fd);
    expect_none(5);
    assert_int_equal(segments_memory(fd), before);
    set(5, 1, "down");
    assert_int_equal(segments_memory(fd), before + SHM_PAGE);
}

static void a_text_without_end_is_ended(void **state)
{
    struct shm_reason reason;
    (void)state;
    set(5, 1, "down");
    for (uint32_t i = 0; i < SHM_REASONS_COUNT; i++) {
        if (atomic_load(&reasons.table[i].target_id) == 5)
            memset(reasons.table[i].text, 'x', sizeof(reasons.table[i].text));
    }
    assert_true(reasons_read(fd, 5, &reason));
    assert_int_equal(strlen(reason.text), sizeof(reason.text) - 1);
}

#define TABLE_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, clean_up)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TABLE_TEST(a_reason_is_read_until_it_is_taken_back),
        TABLE_TEST(the_same_reason_again_keeps_its_time_and_another_does_not),
        TABLE_TEST(long_texts_are_cut),
        TABLE_TEST(more_than_have_a_place_are_left_out),
        TABLE_TEST(a_successor_starts_with_an_empty_table),
        TABLE_TEST(memory_is_taken_for_what_is_there),
        TABLE_TEST(a_text_without_end_is_ended),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
