/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "scrapers/ramp.h"

#include <stddef.h>

#include "base/check.h"

enum { OUTSIDE, WAITING, OPENING };

#define RAMP_OF(pointer) ((struct ramp *)(void *)((char *)(pointer)-offsetof(struct ramp, timer)))

static void add(struct ramp_list *list, struct ramp_entry *entry)
{
    entry->next = NULL;
    entry->before = list->youngest;
    *(list->youngest == NULL ? &list->oldest : &list->youngest->next) = entry;
    list->youngest = entry;
}

static void take_out(struct ramp_list *list, struct ramp_entry *entry)
{
    *(entry->before == NULL ? &list->oldest : &entry->before->next) = entry->next;
    *(entry->next == NULL ? &list->youngest : &entry->next->before) = entry->before;
}

static void open_entry(struct ramp *ramp, struct ramp_entry *entry)
{
    entry->state = OPENING;
    entry->begun_ns = loop_now(ramp->loop);
    add(&ramp->opening, entry);
    ramp->opening_count++;
}

static void stop_opening(struct ramp *ramp, struct ramp_entry *entry)
{
    take_out(&ramp->opening, entry);
    ramp->opening_count--;
    entry->state = OUTSIDE;
}

static void stop_waiting(struct ramp *ramp, struct ramp_entry *entry)
{
    take_out(&ramp->waiting, entry);
    loop_timer_clear(ramp->loop, &entry->timer);
    entry->state = OUTSIDE;
}

/* The loop looks in again: at once, or when the oldest one counts no longer. */
static void arm(struct ramp *ramp)
{
    if (ramp->waiting.youngest == NULL) {
        loop_timer_clear(ramp->loop, &ramp->timer);
        return;
    }
    int64_t at_ns = loop_now(ramp->loop);
    if (ramp->opening_count == RAMP_OPENING_MAX)
        at_ns = ramp->opening.oldest->begun_ns + RAMP_YOUNG_NS;
    loop_timer_set(ramp->loop, &ramp->timer, at_ns);
}

static void on_timer(struct loop_timer *timer)
{
    struct ramp *ramp = RAMP_OF(timer);
    int64_t old_ns = loop_now(ramp->loop) - RAMP_YOUNG_NS;
    while (ramp->opening.oldest != NULL && ramp->opening.oldest->begun_ns <= old_ns)
        stop_opening(ramp, ramp->opening.oldest);
    /* What begins may end at once, and leave. */
    for (uint32_t i = 0; i < RAMP_OPENING_MAX && ramp->opening_count < RAMP_OPENING_MAX; i++) {
        struct ramp_entry *entry = ramp->waiting.youngest;
        if (entry == NULL)
            break;
        stop_waiting(ramp, entry);
        open_entry(ramp, entry);
        ramp->begin(entry);
    }
    arm(ramp);
}

void ramp_init(struct ramp *ramp, struct loop *loop, void (*begin)(struct ramp_entry *entry))
{
    *ramp = (struct ramp){.loop = loop, .begin = begin, .timer.expired = on_timer};
}

void ramp_fini(struct ramp *ramp)
{
    check(ramp->waiting.oldest == NULL);
    loop_timer_clear(ramp->loop, &ramp->timer);
}

bool ramp_enter(struct ramp *ramp, struct ramp_entry *entry, int64_t deadline_ns)
{
    check(entry->state == OUTSIDE);
    if (ramp->waiting.youngest == NULL && ramp->opening_count < RAMP_OPENING_MAX) {
        open_entry(ramp, entry);
        return true;
    }
    entry->state = WAITING;
    add(&ramp->waiting, entry);
    loop_timer_set(ramp->loop, &entry->timer, deadline_ns);
    arm(ramp);
    return false;
}

void ramp_leave(struct ramp *ramp, struct ramp_entry *entry)
{
    if (entry->state == WAITING)
        stop_waiting(ramp, entry);
    else if (entry->state == OPENING)
        stop_opening(ramp, entry);
    else
        return;
    arm(ramp);
}
