/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "loop/timers.h"

#include <stdlib.h>

#include "base/check.h"

#define FIRST_CAP 64u

static void put(struct timers *timers, uint32_t index, struct loop_timer *timer)
{
    timers->heap[index] = timer;
    timer->place = index + 1;
}

static void sift_up(struct timers *timers, uint32_t index, struct loop_timer *timer)
{
    while (index > 0) {
        uint32_t parent = (index - 1) / 2;
        if (timers->heap[parent]->at_ns <= timer->at_ns)
            break;
        put(timers, index, timers->heap[parent]);
        index = parent;
    }
    put(timers, index, timer);
}

static void sift_down(struct timers *timers, uint32_t index, struct loop_timer *timer)
{
    for (;;) {
        uint32_t child = 2 * index + 1;
        if (child >= timers->count)
            break;
        if (child + 1 < timers->count &&
            timers->heap[child + 1]->at_ns < timers->heap[child]->at_ns)
            child++;
        if (timer->at_ns <= timers->heap[child]->at_ns)
            break;
        put(timers, index, timers->heap[child]);
        index = child;
    }
    put(timers, index, timer);
}

/* Finds the place of a timer that is to stand at or near `index`. */
static void settle(struct timers *timers, uint32_t index, struct loop_timer *timer)
{
    if (index > 0 && timers->heap[(index - 1) / 2]->at_ns > timer->at_ns)
        sift_up(timers, index, timer);
    else
        sift_down(timers, index, timer);
}

static void grow(struct timers *timers)
{
    uint32_t cap = timers->cap == 0 ? FIRST_CAP : timers->cap * 2;
    check(cap > timers->cap);
    struct loop_timer **heap = realloc(timers->heap, cap * sizeof(*heap));
    check(heap != NULL);
    timers->heap = heap;
    timers->cap = cap;
}

void timers_set(struct timers *timers, struct loop_timer *timer, int64_t at_ns)
{
    check(timer->expired != NULL);
    timer->at_ns = at_ns;
    if (loop_timer_running(timer)) {
        check(timers->heap[timer->place - 1] == timer);
        settle(timers, timer->place - 1, timer);
        return;
    }
    if (timers->count == timers->cap)
        grow(timers);
    timers->count++;
    sift_up(timers, timers->count - 1, timer);
}

void timers_clear(struct timers *timers, struct loop_timer *timer)
{
    if (!loop_timer_running(timer))
        return;
    uint32_t index = timer->place - 1;
    check(index < timers->count && timers->heap[index] == timer);
    timer->place = 0;
    timers->count--;
    if (index < timers->count)
        settle(timers, index, timers->heap[timers->count]);
}

int64_t timers_next_ns(const struct timers *timers)
{
    return timers->count == 0 ? INT64_MAX : timers->heap[0]->at_ns;
}

size_t timers_expire(struct timers *timers, int64_t now_ns)
{
    size_t limit = timers->count;
    size_t called = 0;
    while (called < limit && timers_next_ns(timers) <= now_ns) {
        struct loop_timer *timer = timers->heap[0];
        timers_clear(timers, timer);
        called++;
        timer->expired(timer);
    }
    return called;
}

void timers_fini(struct timers *timers)
{
    free(timers->heap);
    *timers = (struct timers){0};
}
