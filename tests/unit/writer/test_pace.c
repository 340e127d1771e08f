/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "writer/pace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static const struct pace_limits limits = {.now = 4, .min = 1, .max = 50};

/* So many steps of ten seconds with the same rates. */
static uint32_t run(uint32_t steps, uint64_t in, uint64_t out, uint64_t sending_ms, double delay_s,
                    struct pace_limits with, double *ret_desired)
{
    struct pace pace = {0};
    struct pace_sums sums = {0};
    uint32_t shards = with.now;
    for (uint32_t i = 0; i < steps; i++) {
        sums.in += in * 10;
        sums.out += out * 10;
        sums.sending_ns += sending_ms * 10 * 1000000;
        with.now = shards;
        shards = pace_step(&pace, &sums, 10, delay_s, with, ret_desired);
    }
    return shards;
}

static void what_keeps_up_stays(void **state)
{
    (void)state;
    double desired;
    /* A second of sending in a second: one shard's worth. */
    assert_int_equal(run(5, 1000, 1000, 3500, 0, limits, &desired), 4);
    assert_int_equal((int)(desired * 10), 35);
}

static void nothing_sent_changes_nothing(void **state)
{
    (void)state;
    double desired;
    assert_int_equal(run(5, 1000, 0, 0, 500, limits, &desired), 4);
    assert_true(desired == 4);
}

static void a_delay_asks_for_more(void **state)
{
    (void)state;
    double desired;
    /* 3.5 for the intake, and 0.05 * 60 s times that to catch up. */
    assert_int_equal(run(1, 1000, 1000, 3500, 60, limits, &desired), 14);
    assert_int_equal((int)(desired * 10), 140);
    assert_int_equal(run(3, 1000, 1000, 3500, 100000, limits, &desired), 50);
}

static void less_is_wanted_only_without_delay(void **state)
{
    (void)state;
    double desired;
    assert_int_equal(run(1, 1000, 1000, 100, 11, limits, &desired), 4);
    assert_int_equal(run(1, 1000, 1000, 100, 0, limits, &desired), 1);
}

static void small_differences_change_nothing(void **state)
{
    (void)state;
    double desired;
    const struct pace_limits ten = {.now = 10, .min = 1, .max = 50};
    assert_int_equal(run(1, 1000, 1000, 12900, 0, ten, &desired), 10);
    assert_int_equal(run(1, 1000, 1000, 13100, 0, ten, &desired), 14);
    assert_int_equal(run(1, 1000, 1000, 6900, 0, ten, &desired), 10);
    assert_int_equal(run(1, 1000, 1000, 5900, 0, ten, &desired), 6);
}

static void rules_that_drop_count(void **state)
{
    (void)state;
    struct pace pace = {0};
    const struct pace_sums sums = {
        .in = 10000, .dropped = 7500, .out = 2500, .sending_ns = UINT64_C(40000000000)};
    double desired;
    assert_int_equal(pace_step(&pace, &sums, 10, 0, limits, &desired), 4);
    assert_int_equal((int)(desired + 0.5), 4);
}

static void the_limits_hold(void **state)
{
    (void)state;
    double desired;
    const struct pace_limits narrow = {.now = 3, .min = 3, .max = 5};
    assert_int_equal(run(1, 1000, 1000, 100, 0, narrow, &desired), 3);
    assert_int_equal(run(1, 1000, 1000, 90000, 0, narrow, &desired), 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_keeps_up_stays),
        cmocka_unit_test(nothing_sent_changes_nothing),
        cmocka_unit_test(a_delay_asks_for_more),
        cmocka_unit_test(less_is_wanted_only_without_delay),
        cmocka_unit_test(small_differences_change_nothing),
        cmocka_unit_test(rules_that_drop_count),
        cmocka_unit_test(the_limits_hold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
