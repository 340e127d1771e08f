/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "supervisor/restart.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

/* Lives for `lived`, dies; returns how long its successor has to wait. */
static int64_t wait_after(struct restart *restart, int64_t *now, int64_t lived)
{
    restart_started(restart, *now);
    *now += lived;
    int64_t due = restart_died(restart, *now);
    int64_t wait = due - *now;
    *now = due;
    return wait;
}

static void the_first_three_deaths_in_a_row_restart_at_once(void **context)
{
    (void)context;
    struct restart restart = {0};
    int64_t now = 1000;
    for (int i = 0; i < 3; i++)
        assert_int_equal(wait_after(&restart, &now, NS_PER_MS), 0);
    assert_int_equal(wait_after(&restart, &now, NS_PER_MS), 100 * NS_PER_MS);
}

static void later_ones_wait_twice_as_long_each_up_to_thirty_seconds(void **context)
{
    (void)context;
    static const int64_t waits_ms[] = {0,    0,    0,    100,   200,   400,   800,
                                       1600, 3200, 6400, 12800, 25600, 30000, 30000};
    struct restart restart = {0};
    int64_t now = 0;
    for (size_t i = 0; i < sizeof(waits_ms) / sizeof(waits_ms[0]); i++)
        assert_int_equal(wait_after(&restart, &now, 0), waits_ms[i] * NS_PER_MS);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(wait_after(&restart, &now, 0), RESTART_MAX_NS);
}

static void a_minute_of_health_forgets_the_past(void **context)
{
    (void)context;
    struct restart restart = {0};
    int64_t now = 0;
    for (int i = 0; i < 8; i++)
        (void)wait_after(&restart, &now, 0);
    assert_int_equal(wait_after(&restart, &now, RESTART_HEALTHY_NS - 1), 3200 * NS_PER_MS);
    assert_int_equal(wait_after(&restart, &now, RESTART_HEALTHY_NS), 0);
    assert_int_equal(wait_after(&restart, &now, 0), 0);
    assert_int_equal(wait_after(&restart, &now, 0), 0);
    assert_int_equal(wait_after(&restart, &now, 0), 100 * NS_PER_MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_three_deaths_in_a_row_restart_at_once),
        cmocka_unit_test(later_ones_wait_twice_as_long_each_up_to_thirty_seconds),
        cmocka_unit_test(a_minute_of_health_forgets_the_past),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
