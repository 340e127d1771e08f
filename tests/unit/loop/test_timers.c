/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "loop/timers.h"
#include "tests/unit/dice.h"

#define N 500

static int64_t last_ns;
static int calls;

static void in_order(struct loop_timer *timer)
{
    assert_true(timer->at_ns >= last_ns);
    last_ns = timer->at_ns;
    calls++;
}

static void expires_in_order_whatever_was_set_moved_and_cleared(void **state)
{
    (void)state;
    struct dice dice = dice_new("timers");
    struct timers timers = {0};
    struct loop_timer all[N] = {0};
    int running = 0;
    for (int i = 0; i < 20 * N; i++) {
        struct loop_timer *timer = &all[dice_roll(&dice, N)];
        timer->expired = in_order;
        if (dice_roll(&dice, 3) == 0)
            timers_clear(&timers, timer);
        else
            timers_set(&timers, timer, dice_roll(&dice, 1000));
    }
    int64_t next_ns = INT64_MAX;
    for (int i = 0; i < N; i++) {
        running += loop_timer_running(&all[i]);
        if (loop_timer_running(&all[i]) && all[i].at_ns < next_ns)
            next_ns = all[i].at_ns;
    }
    assert_int_equal(timers_next_ns(&timers), next_ns);
    last_ns = 0;
    calls = 0;
    size_t first = timers_expire(&timers, 499);
    assert_true(last_ns <= 499);
    assert_true(timers_next_ns(&timers) > 499);
    assert_int_equal(first + timers_expire(&timers, 1000), running);
    assert_int_equal(calls, running);
    assert_int_equal(timers_next_ns(&timers), INT64_MAX);
    timers_fini(&timers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(expires_in_order_whatever_was_set_moved_and_cleared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
