/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/clock.h"
#include "scrapers/ramp.h"

#define MORE 10u

static struct loop *loop;
static struct ramp ramp;
static struct ramp_entry entries[2 * RAMP_OPENING_MAX];
static struct ramp_entry *begun[2 * RAMP_OPENING_MAX];
static uint32_t begun_count;
static uint32_t expired_count;

static void begin(struct ramp_entry *entry)
{
    begun[begun_count++] = entry;
}

static void waited_too_long(struct loop_timer *timer)
{
    expired_count++;
    ramp_leave(&ramp, (struct ramp_entry *)timer);
}

static int set_up(void **state)
{
    (void)state;
    struct errctx why;
    int err = loop_new(&(struct loop_options){.backend = LOOP_BACKEND_EPOLL}, &loop, &why);
    ramp_init(&ramp, loop, begin);
    begun_count = expired_count = 0;
    for (uint32_t i = 0; i < 2 * RAMP_OPENING_MAX; i++)
        entries[i] = (struct ramp_entry){.timer.expired = waited_too_long};
    return err;
}

static int tear_down(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 2 * RAMP_OPENING_MAX; i++)
        ramp_leave(&ramp, &entries[i]);
    ramp_fini(&ramp);
    loop_free(loop);
    return 0;
}

static void turn(int64_t max_wait_ns)
{
    assert_int_equal(loop_run_once(loop, max_wait_ns), 0);
}

/* So many as may, and some more that wait. */
static void fill(int64_t deadline_ns)
{
    for (uint32_t i = 0; i < RAMP_OPENING_MAX; i++)
        assert_true(ramp_enter(&ramp, &entries[i], deadline_ns));
    for (uint32_t i = 0; i < MORE; i++)
        assert_false(ramp_enter(&ramp, &entries[RAMP_OPENING_MAX + i], deadline_ns));
}

/* However long this process is not run, they do not grow old. */
static void fill_with_young(int64_t deadline_ns)
{
    fill(deadline_ns);
    for (uint32_t i = 0; i < RAMP_OPENING_MAX; i++)
        entries[i].begun_ns = clock_mono_ns() + 3600 * NS_PER_S;
}

static void whoever_has_opened_lets_the_youngest_go_next(void **state)
{
    (void)state;
    fill_with_young(clock_mono_ns() + 3600 * NS_PER_S);
    turn(0);
    assert_int_equal(begun_count, 0);
    ramp_leave(&ramp, &entries[7]);
    ramp_leave(&ramp, &entries[8]);
    turn(0);
    assert_int_equal(begun_count, 2);
    assert_ptr_equal(begun[0], &entries[RAMP_OPENING_MAX + MORE - 1]);
    assert_ptr_equal(begun[1], &entries[RAMP_OPENING_MAX + MORE - 2]);
}

static void one_that_leaves_while_it_waits_is_not_begun(void **state)
{
    (void)state;
    fill_with_young(clock_mono_ns() + 3600 * NS_PER_S);
    ramp_leave(&ramp, &entries[RAMP_OPENING_MAX + MORE - 1]);
    ramp_leave(&ramp, &entries[0]);
    turn(0);
    assert_int_equal(begun_count, 1);
    assert_ptr_equal(begun[0], &entries[RAMP_OPENING_MAX + MORE - 2]);
}

static void those_that_get_no_answer_hold_up_the_others_for_a_moment_only(void **state)
{
    (void)state;
    fill(clock_mono_ns() + 3600 * NS_PER_S);
    while (begun_count < MORE)
        turn(NS_PER_S);
    assert_true(loop_now(loop) - entries[0].begun_ns >= RAMP_YOUNG_NS);
    assert_int_equal(begun_count, MORE);
}

static void who_has_waited_too_long_is_told(void **state)
{
    (void)state;
    fill_with_young(clock_mono_ns() + NS_PER_MS);
    while (expired_count < MORE)
        turn(NS_PER_S);
    assert_int_equal(begun_count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(whoever_has_opened_lets_the_youngest_go_next, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(one_that_leaves_while_it_waits_is_not_begun, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(
            those_that_get_no_answer_hold_up_the_others_for_a_moment_only, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_has_waited_too_long_is_told, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
