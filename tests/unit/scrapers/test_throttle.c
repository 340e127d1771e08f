/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The throttle between targets that come due and a machine that answers in the order of requests,
 * so many in a millisecond; both are simulated, and so is time. Nothing depends on how fast this
 * runs.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/clock.h"
#include "scrapers/throttle.h"

#define TARGETS  3000
#define REQUESTS (1u << 15) /* more than ever wait at the machine */

struct sim_target {
    struct throttle_member turn;
    int64_t started_ns; /* 0: it is not under way */
    uint32_t weight;
    uint32_t request; /* number of the last one */
    uint32_t answered;
    uint32_t skipped;
    bool hangs;
};

/* What waits at the machine. */
struct sim_request {
    uint32_t target;
    uint32_t number;
    int64_t sent_ns;
};

struct sim {
    struct loop *loop;
    struct throttle throttle;
    struct sim_target targets[TARGETS];
    uint32_t count;
    int64_t interval_ms;
    int64_t timeout_ns;
    int64_t think_ms; /* from a request to when its answer is begun */
    struct sim_request requests[REQUESTS];
    uint32_t first;
    uint32_t last;
    uint32_t timed_out;
    uint32_t answered;
    uint32_t held;
};

static struct sim *sim;
static int64_t now_ns;

static int64_t simulated_now(const struct loop *loop)
{
    (void)loop;
    return now_ns;
}

static void ask(struct sim_target *target)
{
    target->started_ns = now_ns;
    target->weight = throttle_enter(&sim->throttle, sim->timeout_ns);
    target->request++;
    if (target->hangs)
        return;
    sim->requests[sim->last++ % REQUESTS] =
        (struct sim_request){(uint32_t)(target - sim->targets), target->request, now_ns};
    assert_true(sim->last - sim->first < REQUESTS);
}

static void begin(struct throttle_member *member)
{
    ask((struct sim_target *)(void *)((char *)member - offsetof(struct sim_target, turn)));
}

static void come_due(struct sim_target *target)
{
    if (target->started_ns != 0 || throttle_holds(&target->turn)) {
        target->skipped++;
    } else if (throttle_admits(&sim->throttle)) {
        ask(target);
    } else {
        sim->held++;
        throttle_wait(&sim->throttle, &target->turn);
    }
}

static void end(struct sim_target *target, bool is_answered)
{
    throttle_leave(&sim->throttle, target->weight, is_answered ? now_ns - target->started_ns : -1);
    target->started_ns = 0;
}

/* Those that have been given up cost as much as the others. */
static void answer(uint32_t most)
{
    for (; most > 0 && sim->first != sim->last; most--) {
        struct sim_request *request = &sim->requests[sim->first % REQUESTS];
        struct sim_target *target = &sim->targets[request->target];
        if (request->sent_ns + sim->think_ms * NS_PER_MS > now_ns)
            break;
        sim->first++;
        if (target->started_ns == 0 || target->request != request->number)
            continue;
        target->answered++;
        sim->answered++;
        end(target, true);
    }
}

static void time_out(void)
{
    for (uint32_t i = 0; i < sim->count; i++) {
        struct sim_target *target = &sim->targets[i];
        if (target->started_ns == 0 || now_ns - target->started_ns < sim->timeout_ns)
            continue;
        sim->timed_out++;
        end(target, false);
    }
}

/* A millisecond in which so many are answered. */
static void pass_ms(uint32_t answers)
{
    now_ns += NS_PER_MS;
    answer(answers);
    time_out();
    for (uint32_t i = 0; i < sim->count; i++) {
        if (now_ns / NS_PER_MS % sim->interval_ms == (int64_t)i * sim->interval_ms / sim->count)
            come_due(&sim->targets[i]);
    }
    assert_int_equal(loop_run_once(sim->loop, 0), 0);
}

static void pass(int64_t ms, uint32_t answers_a_ms)
{
    sim->timed_out = sim->answered = sim->held = 0;
    for (; ms > 0; ms--)
        pass_ms(answers_a_ms);
}

static int set_up(void **state)
{
    (void)state;
    struct errctx why;
    sim = calloc(1, sizeof(*sim));
    now_ns = 1000 * NS_PER_S;
    sim->count = TARGETS;
    sim->interval_ms = 500;
    sim->timeout_ns = 500 * NS_PER_MS;
    int err = loop_new(&(struct loop_options){.backend = LOOP_BACKEND_EPOLL}, &sim->loop, &why);
    throttle_init(&sim->throttle, sim->loop, begin);
    sim->throttle.now = simulated_now;
    sim->throttle.since_ns = now_ns;
    return err;
}

static int tear_down(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < sim->count; i++)
        throttle_forget(&sim->throttle, &sim->targets[i].turn);
    throttle_fini(&sim->throttle);
    loop_free(sim->loop);
    free(sim);
    return 0;
}

static void nobody_is_held_back_where_all_are_answered(void **state)
{
    (void)state;
    pass(3000, 7); /* six are due in a millisecond */
    assert_int_equal(sim->held, 0);
    assert_true(sim->answered >= 5 * TARGETS);
    assert_int_equal(sim->timed_out, 0);
}

static uint32_t fewest_and_most(uint32_t *ret_most)
{
    uint32_t fewest = UINT32_MAX;
    *ret_most = 0;
    for (uint32_t i = 0; i < sim->count; i++) {
        uint32_t answered = sim->targets[i].answered;
        fewest = answered < fewest ? answered : fewest;
        *ret_most = answered > *ret_most ? answered : *ret_most;
        sim->targets[i].answered = 0;
    }
    return fewest;
}

static void
of_too_many_as_many_are_answered_as_can_be_none_times_out_and_each_gets_its_turn(void **state)
{
    (void)state;
    uint32_t most;
    pass(2000, 20);
    (void)fewest_and_most(&most);
    pass(15000, 2); /* a third of what is due */
    assert_int_equal(sim->timed_out, 0);
    assert_true(sim->answered >= 29000);
    uint32_t fewest = fewest_and_most(&most);
    assert_true(fewest >= 9 && most <= 11);
    for (uint32_t i = 0; i < sim->count; i++)
        assert_true(sim->targets[i].skipped >= 18);
}

static void it_is_over_as_soon_as_the_machine_keeps_up_again(void **state)
{
    (void)state;
    pass(2000, 20);
    pass(5000, 1);
    pass(1000, 20);
    assert_int_equal(sim->timed_out, 0);
    pass(2000, 20);
    assert_int_equal(sim->held, 0);
    assert_true(sim->answered >= 4 * TARGETS);
}

static void a_machine_that_hardly_does_anything_loses_some_and_comes_back(void **state)
{
    (void)state;
    pass(2000, 20);
    pass(5000, 0);
    pass(3000, 20);
    pass(2000, 20);
    assert_int_equal(sim->held + sim->timed_out, 0);
    assert_true(sim->answered >= 4 * TARGETS);
}

/* They are not waiting for the machine, so to hold others back would not help. */
static void targets_that_are_slow_by_themselves_are_not_held_back(void **state)
{
    (void)state;
    sim->interval_ms = 15000;
    sim->timeout_ns = 10 * NS_PER_S;
    sim->think_ms = 4000;
    pass(36000, 20);
    assert_int_equal(sim->held, 0);
    assert_true(sim->answered >= 2 * TARGETS);
    sim->think_ms = 9500; /* as those of which each asks something that does not answer itself */
    pass(36000, 20);
    assert_int_equal(sim->held, 0);
    assert_true(sim->answered >= 2 * TARGETS);
}

static void targets_that_hang_do_not_hold_back_those_that_answer(void **state)
{
    (void)state;
    pass(2000, 20);
    for (uint32_t i = 0; i < sim->count; i++)
        sim->targets[i].hangs = i % 10 != 0;
    pass(450, 20);
    assert_int_equal(sim->held, 0);
    assert_true(sim->throttle.under_way >= TARGETS / 2);
}

static void a_few_may_always_start(void **state)
{
    (void)state;
    uint32_t weight = 0;
    for (uint32_t i = 0; i < 1000; i++) {
        weight = throttle_enter(&sim->throttle, NS_PER_S / 2);
        throttle_leave(&sim->throttle, weight, NS_PER_S / 2);
    }
    for (uint32_t i = 0; i < THROTTLE_FREE; i++) {
        assert_true(throttle_admits(&sim->throttle));
        weight = throttle_enter(&sim->throttle, NS_PER_S / 2);
    }
    assert_false(throttle_admits(&sim->throttle));
    throttle_leave(&sim->throttle, weight, -1);
    assert_true(throttle_admits(&sim->throttle));
}

/* Nobody overtakes who waits. */
static void turns_are_given_in_the_order_of_waiting_but_to_who_is_forgotten(void **state)
{
    (void)state;
    a_few_may_always_start(state);
    uint32_t weight = throttle_enter(&sim->throttle, NS_PER_S / 2);
    for (uint32_t i = 0; i < 4; i++)
        throttle_wait(&sim->throttle, &sim->targets[i].turn);
    throttle_forget(&sim->throttle, &sim->targets[1].turn);
    throttle_forget(&sim->throttle, &sim->targets[1].turn);
    assert_int_equal(loop_run_once(sim->loop, 0), 0);
    assert_int_equal(sim->targets[0].request, 0);
    throttle_leave(&sim->throttle, weight, -1);
    assert_false(throttle_admits(&sim->throttle));
    assert_int_equal(loop_run_once(sim->loop, 0), 0);
    assert_int_equal(sim->targets[0].request, 1);
    assert_int_equal(sim->targets[2].request, 0);
    throttle_leave(&sim->throttle, sim->targets[0].weight, -1);
    assert_int_equal(loop_run_once(sim->loop, 0), 0);
    assert_int_equal(sim->targets[1].request, 0);
    assert_int_equal(sim->targets[2].request, 1);
    assert_true(throttle_holds(&sim->targets[3].turn));
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nobody_is_held_back_where_all_are_answered),
        TEST(of_too_many_as_many_are_answered_as_can_be_none_times_out_and_each_gets_its_turn),
        TEST(it_is_over_as_soon_as_the_machine_keeps_up_again),
        TEST(a_machine_that_hardly_does_anything_loses_some_and_comes_back),
        TEST(targets_that_are_slow_by_themselves_are_not_held_back),
        TEST(targets_that_hang_do_not_hold_back_those_that_answer),
        TEST(a_few_may_always_start),
        TEST(turns_are_given_in_the_order_of_waiting_but_to_who_is_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
