/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A process that was not run for a while, wherever it stood: what has come meanwhile is told before
 * the timers that have become due meanwhile, which would conclude that nothing has come.
 */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/loop/ops.h"

/* Shorter ones may go unnoticed. */
#define STANDSTILL_NS (50 * NS_PER_MS)

static void stand_until(int64_t at_ns)
{
    while (clock_mono_ns() < at_ns) {
    }
}

struct deadline {
    struct loop_timer timer;
    const struct test_op *awaited;
    bool is_over;
    bool was_in_vain; /* the other was not called before */
};

static void note_deadline(struct loop_timer *timer)
{
    struct deadline *deadline = (struct deadline *)timer;
    deadline->is_over = true;
    deadline->was_in_vain = deadline->awaited->calls == 0;
}

/* It stood between two turns, of which the second has something to send. */
static void what_has_come_between_turns_comes_first(void **state)
{
    struct loop *loop = loop_of(state);
    struct test_op in = test_op(loop), out = test_op(loop);
    struct deadline deadline = {.timer.expired = note_deadline, .awaited = &in};
    struct iovec ask = piece("ask");
    int waits[2], asks[2];
    make_pair(waits);
    make_pair(asks);
    loop_receive(loop, &in.op, waits[0]);
    assert_int_equal(loop_run_once(loop, 0), 0);
    assert_int_equal(write(waits[1], "x", 1), 1);
    stand_until(clock_mono_ns() + STANDSTILL_NS);
    loop_send(loop, &out.op, asks[0], &ask, 1);
    loop_timer_set(loop, &deadline.timer, loop_now(loop));
    RUN_UNTIL(loop, deadline.is_over);
    assert_false(deadline.was_in_vain);
    RUN_UNTIL(loop, out.calls == 1);
    close_pair(loop, waits);
    close_pair(loop, asks);
}

/* ---- in a wait, which a signal ends as one that continues a stopped process does ---- */

static struct {
    pthread_t sleeper;
    int task; /* its number */
    int answer_to;
    int64_t until_ns;
} standstill;

/* The thread stands in here, and not in its wait. */
static void stand_still(int number)
{
    (void)number;
    if (write(standstill.answer_to, "x", 1) != 1)
        _exit(1);
    stand_until(standstill.until_ns);
}

static bool is_asleep(int task)
{
    char path[64], name[64], state = 0;
    snprintf(path, sizeof(path), "/proc/self/task/%d/stat", task);
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return false;
    int got = fscanf(file, "%*d %63s %c", name, &state);
    fclose(file);
    return got == 2 && state == 'S';
}

static void *interrupt_wait(void *unused)
{
    (void)unused;
    while (!is_asleep(standstill.task))
        usleep(1000);
    pthread_kill(standstill.sleeper, SIGUSR1);
    return NULL;
}

static void stand_still_in_a_wait(struct loop *loop, bool is_submitted_before)
{
    struct test_op in = test_op(loop);
    struct deadline deadline = {.timer.expired = note_deadline, .awaited = &in};
    struct sigaction action = {.sa_handler = stand_still};
    pthread_t other;
    int pair[2];
    assert_int_equal(sigaction(SIGUSR1, &action, NULL), 0);
    make_pair(pair);
    loop_receive(loop, &in.op, pair[0]);
    if (is_submitted_before)
        assert_int_equal(loop_run_once(loop, 0), 0);
    int64_t at_ns = clock_mono_ns() + NS_PER_S;
    standstill.sleeper = pthread_self();
    standstill.task = gettid();
    standstill.answer_to = pair[1];
    standstill.until_ns = at_ns + STANDSTILL_NS;
    loop_timer_set(loop, &deadline.timer, at_ns);
    assert_int_equal(pthread_create(&other, NULL, interrupt_wait, NULL), 0);
    RUN_UNTIL(loop, deadline.is_over);
    assert_false(deadline.was_in_vain);
    assert_int_equal(pthread_join(other, NULL), 0);
    RUN_UNTIL(loop, in.calls == 1);
    close_pair(loop, pair);
}

static void what_has_come_in_a_wait_comes_first(void **state)
{
    stand_still_in_a_wait(loop_of(state), true);
}

static void what_has_come_in_the_wait_for_it_comes_first(void **state)
{
    stand_still_in_a_wait(loop_of(state), false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_BOTH(what_has_come_between_turns_comes_first),
        ON_BOTH(what_has_come_in_a_wait_comes_first),
        ON_BOTH(what_has_come_in_the_wait_for_it_comes_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
