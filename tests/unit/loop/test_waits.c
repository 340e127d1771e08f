/* SPDX-License-Identifier: GPL-2.0-or-later */
/* When a loop waits and for how long: timers, gathering, and how many system calls that takes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/loop/ops.h"

struct test_timer {
    struct loop_timer timer;
    struct loop *loop;
    int *order;
    int place;
    int64_t again_ns;
};

static void note_timer(struct loop_timer *timer)
{
    struct test_timer *test = (struct test_timer *)timer;
    assert_false(loop_timer_running(timer));
    test->place = ++*test->order;
    if (test->again_ns != 0)
        loop_timer_set(test->loop, timer, test->again_ns);
}

static void ends_the_wait_when_a_timer_is_due(void **state)
{
    struct loop *loop = loop_of(state);
    int order = 0;
    struct test_timer test = {.timer.expired = note_timer, .loop = loop, .order = &order};
    int64_t start_ns = clock_mono_ns();
    loop_timer_set(loop, &test.timer, start_ns + 20 * NS_PER_MS);
    RUN_UNTIL(loop, test.place == 1);
    assert_true(loop_now(loop) >= start_ns + 20 * NS_PER_MS);
    assert_true(loop_stats(loop)->turns < 10);
}

static void a_timer_that_is_always_due_does_not_hold_the_loop(void **state)
{
    struct loop *loop = loop_of(state);
    int order = 0;
    struct test_timer test = {
        .timer.expired = note_timer, .loop = loop, .order = &order, .again_ns = 1};
    loop_timer_set(loop, &test.timer, 1);
    assert_int_equal(loop_run_once(loop, -1), 0);
    assert_int_equal(order, 1);
    assert_int_equal(loop_run_once(loop, -1), 0);
    assert_int_equal(order, 2);
    loop_timer_clear(loop, &test.timer);
}

static void does_not_wait_when_told_so(void **state)
{
    struct loop *loop = loop_of(state);
    int pair[2];
    make_pair(pair);
    struct test_op in = test_op(loop);
    loop_receive(loop, &in.op, pair[1]);
    for (int i = 0; i < 100; i++)
        assert_int_equal(loop_run_once(loop, 0), 0);
    assert_int_equal(in.calls, 0);
    loop_cancel(loop, &in.op);
    RUN_UNTIL(loop, in.calls == 1);
    close_pair(loop, pair);
}

static void sixteen_exchanges_share_their_system_calls(void **state)
{
    struct loop *loop = loop_of(state);
    if (strcmp(loop_backend_name(loop), "io_uring") != 0)
        skip();
    int pairs[16][2];
    struct test_op in[16], out[16];
    struct iovec iov = piece("x");
    uint64_t before = loop_stats(loop)->system_calls;
    for (int i = 0; i < 16; i++) {
        make_pair(pairs[i]);
        in[i] = test_op(loop);
        out[i] = test_op(loop);
        loop_send(loop, &out[i].op, pairs[i][0], &iov, 1);
        loop_receive(loop, &in[i].op, pairs[i][0]);
    }
    assert_int_equal(loop_run_once(loop, -1), 0);
    for (int i = 0; i < 16; i++) {
        assert_int_equal(out[i].calls, 1);
        assert_int_equal(write(pairs[i][1], "y", 1), 1);
    }
    for (int i = 0; i < 16; i++)
        RUN_UNTIL(loop, in[i].calls == 1);
    /* One to submit and for the sends, one that finds the answers, and one to receive each. */
    assert_in_range(loop_stats(loop)->system_calls - before, 2, 1 + 1 + 16 + 1);
    for (int i = 0; i < 16; i++)
        close_pair(loop, pairs[i]);
}

static int set_up_gathering(void **state)
{
    struct loop_options options = test_options(LOOP_BACKEND_IO_URING);
    struct errctx ctx = {""};
    options.gather = 8;
    *state = NULL;
    if (loop_new(&options, (struct loop **)state, &ctx) != 0)
        fprintf(stderr, "no loop: %s\n", ctx.text);
    return 0;
}

/* Four ends of pairs, and what is received there. */
struct receives {
    int pairs[4][2];
    struct test_op in[4];
};

static void receive_from_four(struct loop *loop, struct receives *four)
{
    for (int i = 0; i < 4; i++) {
        make_pair(four->pairs[i]);
        four->in[i] = test_op(loop);
        loop_receive(loop, &four->in[i].op, four->pairs[i][0]);
    }
}

static void close_four(struct loop *loop, struct receives *four)
{
    for (int i = 0; i < 4; i++)
        close_pair(loop, four->pairs[i]);
}

static void a_wait_gathers_but_not_for_long(void **state)
{
    struct loop *loop = loop_of(state);
    struct receives four;
    receive_from_four(loop, &four);
    assert_int_equal(loop_run_once(loop, 0), 0);
    /* Three of four are there: one wait would end at once, gathering looks for the fourth. */
    for (int i = 0; i < 3; i++)
        assert_int_equal(write(four.pairs[i][1], "x", 1), 1);
    int64_t start_ns = clock_mono_ns();
    assert_int_equal(loop_run_once(loop, -1), 0);
    assert_true(clock_mono_ns() - start_ns >= LOOP_GATHER_NS);
    assert_int_equal(four.in[0].calls + four.in[1].calls + four.in[2].calls, 3);
    assert_int_equal(four.in[3].calls, 0);
    loop_cancel(loop, &four.in[3].op);
    RUN_UNTIL(loop, four.in[3].calls == 1);
    close_four(loop, &four);
}

static void a_wait_that_gathered_nothing_is_followed_by_a_patient_one(void **state)
{
    struct loop *loop = loop_of(state);
    struct receives four;
    receive_from_four(loop, &four);
    assert_int_equal(loop_run_once(loop, -1), 0); /* in vain */
    int64_t start_ns = clock_mono_ns();
    assert_int_equal(loop_run_once(loop, 50 * NS_PER_MS), 0);
    assert_true(clock_mono_ns() - start_ns >= 50 * NS_PER_MS);
    for (int i = 0; i < 4; i++)
        loop_cancel(loop, &four.in[i].op);
    for (int i = 0; i < 4; i++)
        RUN_UNTIL(loop, four.in[i].calls == 1);
    close_four(loop, &four);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_BOTH(ends_the_wait_when_a_timer_is_due),
        ON_BOTH(a_timer_that_is_always_due_does_not_hold_the_loop),
        ON_BOTH(does_not_wait_when_told_so),
        ON_BOTH(sixteen_exchanges_share_their_system_calls),
        cmocka_unit_test_setup_teardown(a_wait_gathers_but_not_for_long, set_up_gathering,
                                        tear_down_loop),
        cmocka_unit_test_setup_teardown(a_wait_that_gathered_nothing_is_followed_by_a_patient_one,
                                        set_up_gathering, tear_down_loop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
