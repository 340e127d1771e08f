/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "scrapers/throttle.h"

#include <stddef.h>

#include "base/check.h"
#include "base/clock.h"

#define RATE_NS      (100 * NS_PER_MS) /* so often the rate is looked at, half of it is the former */
#define SLOWNESS_OF  64                /* answers, about, is the slowness the mean */
#define BILLION      INT64_C(1000000000)
#define SLOW         (BILLION / 4)
#define RELEASES_MAX 128u /* in a turn */

#define THROTTLE_OF(pointer)                                                                       \
    ((struct throttle *)(void *)((char *)(pointer)-offsetof(struct throttle, timer)))

static bool is_anybody_waiting(const struct throttle *throttle)
{
    return throttle->waiting.next != &throttle->waiting;
}

static void look_at_rate(struct throttle *throttle)
{
    int64_t passed_ns = throttle->now(throttle->loop) - throttle->since_ns;
    if (passed_ns < RATE_NS)
        return;
    uint64_t rate = (uint64_t)throttle->answers * (uint64_t)NS_PER_S / (uint64_t)passed_ns;
    throttle->rate = (throttle->rate + rate) / 2;
    throttle->since_ns += passed_ns;
    throttle->answers = 0;
}

/*
 * Each answer takes on average, as a part of its time-out, the sum of 1 / time-out of all that are
 * under way divided by the answers a second.
 */
static bool has_room(struct throttle *throttle)
{
    if (throttle->under_way < THROTTLE_FREE)
        return true;
    look_at_rate(throttle);
    uint64_t rate = throttle->rate > THROTTLE_RATE ? throttle->rate : THROTTLE_RATE;
    return throttle->pressing <= rate * 1000 / 2;
}

static void arm(struct throttle *throttle, int64_t at_ns)
{
    if (is_anybody_waiting(throttle) && has_room(throttle))
        loop_timer_set(throttle->loop, &throttle->timer, at_ns);
    else
        loop_timer_clear(throttle->loop, &throttle->timer);
}

static void on_timer(struct loop_timer *timer)
{
    struct throttle *throttle = THROTTLE_OF(timer);
    throttle->is_releasing = true;
    for (uint32_t i = 0; i < RELEASES_MAX; i++) {
        if (!is_anybody_waiting(throttle) || !has_room(throttle))
            break;
        struct throttle_member *member = throttle->waiting.next;
        throttle_forget(throttle, member);
        throttle->begin(member);
    }
    throttle->is_releasing = false;
    arm(throttle, loop_now(throttle->loop) + 1); /* the next turn */
}

void throttle_init(struct throttle *throttle, struct loop *loop,
                   void (*begin)(struct throttle_member *member))
{
    *throttle =
        (struct throttle){.loop = loop, .begin = begin, .now = loop_now, .timer.expired = on_timer};
    throttle->waiting = (struct throttle_member){&throttle->waiting, &throttle->waiting};
    throttle->since_ns = loop_now(loop);
}

void throttle_fini(struct throttle *throttle)
{
    check(!is_anybody_waiting(throttle));
    loop_timer_clear(throttle->loop, &throttle->timer);
}

bool throttle_admits(struct throttle *throttle)
{
    if (throttle->is_releasing)
        return true;
    if (is_anybody_waiting(throttle))
        return false;
    return throttle->slowness <= SLOW || has_room(throttle);
}

void throttle_wait(struct throttle *throttle, struct throttle_member *member)
{
    check(!throttle_holds(member));
    member->next = &throttle->waiting;
    member->before = throttle->waiting.before;
    member->before->next = member;
    throttle->waiting.before = member;
    arm(throttle, loop_now(throttle->loop) + 1);
}

void throttle_forget(struct throttle *throttle, struct throttle_member *member)
{
    (void)throttle;
    if (!throttle_holds(member))
        return;
    member->before->next = member->next;
    member->next->before = member->before;
    member->next = member->before = NULL;
}

uint32_t throttle_enter(struct throttle *throttle, int64_t timeout_ns)
{
    int64_t weight = 1000 * BILLION / timeout_ns;
    weight = weight < 1 ? 1 : weight > INT32_MAX ? INT32_MAX : weight;
    throttle->under_way++;
    throttle->pressing += (uint64_t)weight;
    return (uint32_t)weight;
}

void throttle_leave(struct throttle *throttle, uint32_t weight, int64_t took_ns)
{
    check(throttle->under_way > 0 && throttle->pressing >= weight);
    throttle->under_way--;
    throttle->pressing -= weight;
    if (took_ns >= 0) {
        /* Thousandths of a second's part times microseconds. */
        int64_t part = took_ns / 1000 > BILLION / weight ? BILLION : took_ns / 1000 * weight;
        throttle->slowness += (part - throttle->slowness) / SLOWNESS_OF;
        throttle->answers++;
        look_at_rate(throttle);
    }
    if (is_anybody_waiting(throttle))
        arm(throttle, loop_now(throttle->loop));
}
