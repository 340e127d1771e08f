/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Failed scrapes on their way to a file. */
#include "shm/failures.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "tests/unit/shm/segments.h"

struct stage {
    int fd;
    struct failures failures;
    uint64_t next;
    uint64_t lost;
    struct shm_failure found;
};

static int set_up(void **state)
{
    static struct stage stage;
    stage = (struct stage){.fd = segments_ring(1 << 20)};
    *state = &stage;
    return failures_attach(&stage.failures, stage.fd);
}

static int tear_down(void **state)
{
    struct stage *stage = *state;
    failures_detach(&stage->failures);
    close(stage->fd);
    return 0;
}

static void add(struct stage *stage, uint64_t number)
{
    char text[32];
    snprintf(text, sizeof(text), "failure %d", (int)number);
    failures_add(&stage->failures, number + 1, (int64_t)number * 1000, slice_of(text));
}

static int read_next(struct stage *stage)
{
    return failures_read(stage->fd, &stage->next, &stage->found, &stage->lost);
}

static void expect(struct stage *stage, uint64_t number)
{
    char text[32];
    snprintf(text, sizeof(text), "failure %d", (int)number);
    assert_int_equal(read_next(stage), 1);
    assert_int_equal(stage->found.target_id, number + 1);
    assert_int_equal(stage->found.at_ms, number * 1000);
    assert_string_equal(stage->found.text, text);
}

static void what_is_added_is_read_once_and_in_order(void **state)
{
    struct stage *stage = *state;
    assert_int_equal(read_next(stage), 0);
    for (uint64_t i = 0; i < 3 * SHM_FAILURES_COUNT; i++) {
        add(stage, i);
        if (i % 7 == 0)
            add(stage, ++i);
        while (stage->next <= i)
            expect(stage, stage->next);
        assert_int_equal(read_next(stage), 0);
    }
    assert_int_equal(stage->lost, 0);
}

static void a_reader_that_comes_late_misses_the_oldest(void **state)
{
    struct stage *stage = *state;
    enum { MORE = 100 };
    for (uint64_t i = 0; i < SHM_FAILURES_COUNT + MORE; i++)
        add(stage, i);
    for (uint64_t i = MORE + 1; i < SHM_FAILURES_COUNT + MORE; i++)
        expect(stage, i);
    assert_int_equal(read_next(stage), 0);
    assert_int_equal(stage->lost, MORE + 1);
}

static void successors_go_on(void **state)
{
    struct stage *stage = *state;
    add(stage, 0);
    failures_detach(&stage->failures);
    assert_int_equal(failures_attach(&stage->failures, stage->fd), 0);
    add(stage, 1);
    expect(stage, 0);
    expect(stage, 1);
    /* A position that is of another segment. */
    stage->next = 1000;
    assert_int_equal(read_next(stage), 0);
    add(stage, 2);
    expect(stage, 2);
}

static void long_texts_are_cut_and_idle_costs_nothing(void **state)
{
    struct stage *stage = *state;
    static char text[1000];
    uint64_t before = segments_memory(stage->fd);
    assert_int_equal(read_next(stage), 0);
    assert_int_equal(segments_memory(stage->fd), before);
    memset(text, 'x', sizeof(text));
    failures_add(&stage->failures, 1, 1, slice_make(text, sizeof(text)));
    assert_int_equal(read_next(stage), 1);
    assert_int_equal(strlen(stage->found.text), sizeof(stage->found.text) - 1);
    assert_true(segments_memory(stage->fd) <= before + 3 * SHM_PAGE);
}

static void numbers_that_cannot_be_end(void **state)
{
    struct stage *stage = *state;
    add(stage, 0);
    stage->failures.shared->written = UINT64_MAX;
    while (read_next(stage) == 1) {
    }
    assert_true(stage->next == UINT64_MAX);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(what_is_added_is_read_once_and_in_order),
        TEST(a_reader_that_comes_late_misses_the_oldest),
        TEST(successors_go_on),
        TEST(long_texts_are_cut_and_idle_costs_nothing),
        TEST(numbers_that_cannot_be_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
