/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The schedule on a real loop, with a wall clock that the test may set. Intervals are short so that
 * waiting is, too; what is asserted holds however late a busy machine lets things happen.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/clock.h"
#include "scrapers/schedule.h"

#define INTERVAL_NS   (200 * NS_PER_MS)
#define STANDSTILL_NS (300 * NS_PER_MS)
#define PATIENCE_NS   (60 * NS_PER_S)
#define CALLS_MAX     64
#define MEMBERS       100

struct scheduled {
    struct tick_member tick;
    int64_t due_ns[CALLS_MAX];
    int64_t timestamp_ns[CALLS_MAX];
    int calls;
};

static int64_t wall_step_ns; /* what the test has set the clock by */
static int total_calls;

static int64_t stepped_wall(void)
{
    return clock_wall_ns() + wall_step_ns;
}

static void on_due(struct tick_member *member, int64_t due_ns, int64_t timestamp_ns)
{
    struct scheduled *scheduled =
        (struct scheduled *)(void *)((char *)member - offsetof(struct scheduled, tick));
    if (scheduled->calls < CALLS_MAX) {
        scheduled->due_ns[scheduled->calls] = due_ns;
        scheduled->timestamp_ns[scheduled->calls] = timestamp_ns;
    }
    scheduled->calls++;
    total_calls++;
}

struct bench {
    struct loop *loop;
    struct schedule schedule;
    struct scheduled members[MEMBERS];
};

static struct bench *bench_new(int64_t tick_max_ns)
{
    struct errctx why = {""};
    struct bench *bench = calloc(1, sizeof(*bench));
    assert_int_equal(
        loop_new(&(struct loop_options){.backend = LOOP_BACKEND_EPOLL}, &bench->loop, &why), 0);
    wall_step_ns = 0;
    total_calls = 0;
    schedule_init(&bench->schedule, bench->loop, tick_max_ns, on_due);
    bench->schedule.wall_now = stepped_wall;
    return bench;
}

static void add(struct bench *bench, int i, int64_t phase_ns, int64_t last_ns)
{
    bench->members[i].tick.interval_ns = INTERVAL_NS;
    bench->members[i].tick.phase_ns = phase_ns;
    schedule_add(&bench->schedule, &bench->members[i].tick, last_ns);
}

static void bench_free(struct bench *bench)
{
    for (int i = 0; i < MEMBERS; i++) {
        if (bench->members[i].tick.rhythm != NULL)
            schedule_remove(&bench->schedule, &bench->members[i].tick);
    }
    schedule_fini(&bench->schedule);
    loop_free(bench->loop);
    free(bench);
}

static void turn(struct bench *bench, int64_t limit_ns)
{
    assert_true(clock_mono_ns() < limit_ns);
    assert_int_equal(loop_run_once(bench->loop, NS_PER_MS), 0);
}

/* By a clock that the test sets. */
#define RUN_UNTIL(bench, condition)                                                                \
    for (int64_t limit_ns_ = clock_mono_ns() + PATIENCE_NS; !(condition);)                         \
    turn((bench), limit_ns_)

#define TURN_UNTIL(bench, condition)                                                               \
    for (int64_t limit_ns_ = clock_mono_ns() + PATIENCE_NS; !(condition);                          \
         schedule_watch_clock(&(bench)->schedule))                                                 \
    turn((bench), limit_ns_)

/* What a member that moves from one to the other rests on. */
static void schedules_that_share_members_have_the_same_instants(void **state)
{
    (void)state;
    int64_t instants[2];
    for (int i = 0; i < 2; i++) {
        struct bench *bench = bench_new(INTERVAL_NS);
        int members = i == 0 ? MEMBERS : 4; /* for them alone one slot would do */
        bench->schedule.sharers = 2;
        for (int round = 0; round < 2; round++) {
            schedule_forget_counts(&bench->schedule);
            for (int k = 0; k < 600; k++)
                schedule_count(&bench->schedule, INTERVAL_NS);
        }
        for (int k = 0; k < members; k++)
            add(bench, k, INTERVAL_NS / 10 * 9, 0);
        schedule_settle(&bench->schedule);
        instants[i] = schedule_next(&bench->schedule, &bench->members[0].tick) % INTERVAL_NS;
        bench_free(bench);
    }
    assert_int_equal(instants[0], INTERVAL_NS / 4 * 3);
    assert_int_equal(instants[1], INTERVAL_NS / 4 * 3);
}

static int fewest_calls(const struct bench *bench, int members)
{
    int fewest = bench->members[0].calls;
    for (int i = 1; i < members; i++)
        fewest = bench->members[i].calls < fewest ? bench->members[i].calls : fewest;
    return fewest;
}

static void everyone_is_called_once_an_interval_at_its_phase(void **state)
{
    (void)state;
    struct bench *bench = bench_new(10 * NS_PER_MS);
    int64_t started_ns = clock_wall_ns();
    for (int i = 0; i < MEMBERS; i++)
        add(bench, i, (int64_t)i * INTERVAL_NS / MEMBERS, 0);
    schedule_settle(&bench->schedule);
    int64_t settled_ns = clock_wall_ns();
    TURN_UNTIL(bench, fewest_calls(bench, MEMBERS) >= 4);
    for (int i = 0; i < MEMBERS; i++) {
        struct scheduled *member = &bench->members[i];
        assert_true(member->due_ns[0] >= started_ns);
        assert_true(member->due_ns[0] <= settled_ns + INTERVAL_NS || bench->schedule.lost > 0);
        for (int k = 0; k < member->calls && k < CALLS_MAX; k++) {
            int64_t behind_ns =
                (member->tick.phase_ns - member->due_ns[k] % INTERVAL_NS + INTERVAL_NS) %
                INTERVAL_NS;
            assert_true(behind_ns <= 10 * NS_PER_MS); /* of the phase: it is that of the slot */
            int64_t late_ns = member->timestamp_ns[k] - member->due_ns[k];
            assert_true(late_ns == 0 || late_ns > 2 * NS_PER_MS);
            if (k > 0)
                assert_true(member->due_ns[k] - member->due_ns[k - 1] >= INTERVAL_NS);
            if (k > 0)
                assert_int_equal((member->due_ns[k] - member->due_ns[k - 1]) % INTERVAL_NS, 0);
        }
    }
    bench_free(bench);
}

static void members_of_a_slot_share_a_tick(void **state)
{
    (void)state;
    struct bench *bench = bench_new(INTERVAL_NS);
    for (int i = 0; i < 20; i++)
        add(bench, i, (int64_t)i * NS_PER_MS, 0);
    schedule_settle(&bench->schedule);
    TURN_UNTIL(bench, fewest_calls(bench, 20) >= 1);
    for (int i = 0; i < 20; i++) {
        /* The last one: a tick that passes while they are added is not that of all. */
        const struct scheduled *member = &bench->members[i];
        int64_t due_ns = member->due_ns[member->calls - 1];
        assert_int_equal(due_ns, bench->members[0].due_ns[bench->members[0].calls - 1]);
        assert_int_equal(due_ns % INTERVAL_NS, 0);
    }
    bench_free(bench);
}

static int64_t standing_wall_ns;

static int64_t standing_wall(void)
{
    return standing_wall_ns;
}

/* Started when the last tick is just over, and that it stays until the test goes on. */
static void a_missed_tick_is_made_up_for_and_a_made_one_is_not_repeated(void **state)
{
    (void)state;
    struct bench *bench = bench_new(INTERVAL_NS);
    struct scheduled *members = bench->members;
    /* The slot is the whole interval. */
    int64_t last_tick_ns = tick_last(clock_wall_ns(), INTERVAL_NS, 0);
    standing_wall_ns = last_tick_ns + 10 * NS_PER_MS;
    bench->schedule.wall_now = standing_wall;
    add(bench, 0, 0, last_tick_ns - INTERVAL_NS);     /* the last tick was missed */
    add(bench, 1, 0, last_tick_ns);                   /* it was made */
    add(bench, 2, 0, last_tick_ns - 5 * INTERVAL_NS); /* more than one was */
    add(bench, 3, 0, 0);                              /* a new one */
    schedule_settle(&bench->schedule);
    RUN_UNTIL(bench, members[0].calls == 1);
    assert_int_equal(members[0].due_ns[0], last_tick_ns);
    assert_int_equal(total_calls, 1);
    standing_wall_ns += INTERVAL_NS;
    RUN_UNTIL(bench, total_calls == 5);
    assert_int_equal(members[0].due_ns[1], last_tick_ns + INTERVAL_NS);
    for (int i = 1; i < 4; i++)
        assert_int_equal(members[i].due_ns[0], last_tick_ns + INTERVAL_NS);
    bench_free(bench);
}

/* The cut that the predecessor had is kept, though from nothing another would be chosen. */
static void a_restart_does_not_move_phases(void **state)
{
    (void)state;
    for (uint32_t shift = 0; shift <= 2; shift++) {
        struct bench *bench = bench_new(INTERVAL_NS);
        int64_t cycle_ns = tick_last(clock_wall_ns(), INTERVAL_NS, 0) - INTERVAL_NS;
        int64_t expected_ns[64];
        for (int i = 0; i < 64; i++) { /* fits shifts 0, 1 and 2 */
            int64_t phase_ns = (int64_t)i * INTERVAL_NS / 64;
            expected_ns[i] =
                tick_offset(tick_slot(phase_ns, INTERVAL_NS, shift), INTERVAL_NS, shift);
            add(bench, i, phase_ns, (cycle_ns + expected_ns[i]) / NS_PER_MS * NS_PER_MS);
        }
        schedule_settle(&bench->schedule);
        TURN_UNTIL(bench, total_calls >= 128);
        for (int i = 0; i < 64; i++)
            assert_int_equal(bench->members[i].due_ns[0] % INTERVAL_NS, expected_ns[i]);
        bench_free(bench);
    }
}

static void a_clock_set_forward_or_back_is_noticed_and_followed(void **state)
{
    (void)state;
    struct bench *bench = bench_new(INTERVAL_NS);
    static const int64_t steps[] = {3600 * NS_PER_S, -7200 * NS_PER_S};
    add(bench, 0, INTERVAL_NS / 2, 0);
    schedule_settle(&bench->schedule);
    for (int i = 0; i < 2; i++) {
        TURN_UNTIL(bench, bench->members[0].calls >= 1);
        uint64_t lost = bench->schedule.lost;
        wall_step_ns += steps[i];
        assert_true(schedule_watch_clock(&bench->schedule));
        assert_int_equal(bench->schedule.clock_steps, i + 1);
        assert_int_equal(bench->schedule.lost, lost);
        bench->members[0].calls = 0;
        TURN_UNTIL(bench, bench->members[0].calls >= 3);
        int64_t distance_ns = stepped_wall() - bench->members[0].due_ns[2];
        assert_true(distance_ns >= 0 && distance_ns < PATIENCE_NS);
        bench->members[0].calls = 0;
    }
    bench_free(bench);
}

/* Is not run for longer than a step, when it has looked at the clock. */
static int64_t standstill_wall(void)
{
    int64_t wall_ns = stepped_wall();
    int64_t until_ns = clock_mono_ns() + STANDSTILL_NS;
    while (clock_mono_ns() < until_ns)
        continue;
    return wall_ns;
}

static void a_standstill_is_not_taken_for_a_step_of_the_clock(void **state)
{
    (void)state;
    struct bench *bench = bench_new(INTERVAL_NS);
    bench->schedule.wall_now = standstill_wall;
    assert_false(schedule_watch_clock(&bench->schedule));
    bench->schedule.wall_now = stepped_wall;
    assert_false(schedule_watch_clock(&bench->schedule));
    bench->schedule.wall_now = standstill_wall;
    wall_step_ns = -3600 * NS_PER_S;
    assert_true(schedule_watch_clock(&bench->schedule));
    assert_int_equal(bench->schedule.clock_steps, 1);
    bench_free(bench);
}

struct later {
    struct loop_timer timer;
    int calls_before; /* -1: it has not expired */
};

static void note_calls(struct loop_timer *timer)
{
    ((struct later *)timer)->calls_before = total_calls;
}

/* Also if it is one between the looks at both clocks. */
static void a_standstill_puts_no_tick_off(void **state)
{
    (void)state;
    const int64_t interval_ns = 10 * NS_PER_S;
    struct bench *bench = bench_new(NS_PER_MS);
    struct tick_member *tick = &bench->members[0].tick;
    struct later later = {.timer.expired = note_calls, .calls_before = -1};
    tick->interval_ns = interval_ns;
    tick->phase_ns = (clock_wall_ns() + 2 * NS_PER_S) % interval_ns;
    schedule_add(&bench->schedule, tick, 0);
    bench->schedule.wall_now = standstill_wall;
    schedule_settle(&bench->schedule);
    bench->schedule.wall_now = stepped_wall;
    int64_t left_ns = schedule_next(&bench->schedule, tick) - clock_wall_ns();
    loop_timer_set(bench->loop, &later.timer, clock_mono_ns() + left_ns + STANDSTILL_NS / 2);
    RUN_UNTIL(bench, later.calls_before >= 0);
    assert_int_equal(later.calls_before, 1);
    bench_free(bench);
}

static void ticks_that_a_standstill_has_lost_are_counted(void **state)
{
    (void)state;
    struct bench *bench = bench_new(INTERVAL_NS);
    struct scheduled *members = bench->members;
    int64_t started_ns = clock_wall_ns();
    add(bench, 0, 0, 0);
    add(bench, 1, INTERVAL_NS / 2, 0);
    schedule_settle(&bench->schedule);
    TURN_UNTIL(bench, members[0].calls >= 1 && members[1].calls >= 1);
    int64_t until_ns = clock_mono_ns() + 5 * INTERVAL_NS;
    while (clock_mono_ns() < until_ns)
        continue;
    int calls = members[0].calls;
    TURN_UNTIL(bench, members[0].calls >= calls + 3 && members[1].calls >= calls + 2);
    int64_t lost = 0;
    for (int i = 0; i < 2; i++) {
        for (int k = 1; k < members[i].calls; k++)
            lost += (members[i].due_ns[k] - members[i].due_ns[k - 1]) / INTERVAL_NS - 1;
    }
    assert_true(lost >= 4);
    /* The machine's own standstills may have lost some before the first call and after the last. */
    int64_t passed_ns =
        tick_last(clock_wall_ns(), INTERVAL_NS, 0) - tick_last(started_ns, INTERVAL_NS, 0);
    int64_t most = 2 * passed_ns / INTERVAL_NS - total_calls;
    int64_t counted = (int64_t)bench->schedule.lost;
    assert_true(counted >= lost && counted <= most);
    bench_free(bench);
}

/* Another one's missed tick lets the schedule go back, behind what this one was called for. */
static void a_tick_that_was_called_is_not_lost_later(void **state)
{
    (void)state;
    struct bench *bench = bench_new(NS_PER_MS);
    struct scheduled *members = bench->members;
    int64_t tick_ns = tick_last(clock_wall_ns(), INTERVAL_NS, 0);
    int64_t missed_ns = tick_ns - INTERVAL_NS / 64;
    standing_wall_ns = tick_ns - NS_PER_MS;
    bench->schedule.wall_now = standing_wall;
    add(bench, 0, 0, 0);
    schedule_settle(&bench->schedule);
    standing_wall_ns = tick_ns;
    RUN_UNTIL(bench, members[0].calls == 1);
    standing_wall_ns = missed_ns + INTERVAL_NS - NS_PER_MS;
    add(bench, 1, INTERVAL_NS - INTERVAL_NS / 64, missed_ns - INTERVAL_NS);
    schedule_settle(&bench->schedule);
    standing_wall_ns = tick_ns + INTERVAL_NS + 10 * NS_PER_MS;
    RUN_UNTIL(bench, total_calls == 4);
    assert_int_equal(members[0].calls, 2);
    assert_int_equal(members[1].due_ns[0], missed_ns);
    assert_int_equal(bench->schedule.lost, 0);
    bench_free(bench);
}

static void a_stopped_schedule_calls_nobody(void **state)
{
    (void)state;
    struct bench *bench = bench_new(INTERVAL_NS);
    add(bench, 0, 0, 0);
    schedule_settle(&bench->schedule);
    schedule_stop(&bench->schedule);
    int64_t until_ns = clock_mono_ns() + 2 * INTERVAL_NS;
    TURN_UNTIL(bench, clock_mono_ns() >= until_ns);
    assert_int_equal(total_calls, 0);
    bench_free(bench);
}

static void members_come_and_go(void **state)
{
    (void)state;
    struct bench *bench = bench_new(INTERVAL_NS);
    for (int round = 0; round < 10; round++) {
        for (int i = 0; i < MEMBERS; i++) {
            if ((i + round) % 3 == 0 && bench->members[i].tick.rhythm == NULL)
                add(bench, i, (int64_t)i * NS_PER_MS, 0);
            else if (bench->members[i].tick.rhythm != NULL)
                schedule_remove(&bench->schedule, &bench->members[i].tick);
        }
        schedule_settle(&bench->schedule);
        assert_int_equal(loop_run_once(bench->loop, 20 * NS_PER_MS), 0);
    }
    bench_free(bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(schedules_that_share_members_have_the_same_instants),
        cmocka_unit_test(everyone_is_called_once_an_interval_at_its_phase),
        cmocka_unit_test(members_of_a_slot_share_a_tick),
        cmocka_unit_test(a_missed_tick_is_made_up_for_and_a_made_one_is_not_repeated),
        cmocka_unit_test(a_restart_does_not_move_phases),
        cmocka_unit_test(a_clock_set_forward_or_back_is_noticed_and_followed),
        cmocka_unit_test(a_standstill_is_not_taken_for_a_step_of_the_clock),
        cmocka_unit_test(a_standstill_puts_no_tick_off),
        cmocka_unit_test(ticks_that_a_standstill_has_lost_are_counted),
        cmocka_unit_test(a_tick_that_was_called_is_not_lost_later),
        cmocka_unit_test(a_stopped_schedule_calls_nobody),
        cmocka_unit_test(members_come_and_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
