/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Timers of a loop: a binary heap of pointers to timers that their owners embed. Callers use
 * loop_timer_set and loop_timer_clear (loop/loop.h); the loop itself uses the rest.
 */
#ifndef LOOP_TIMERS_H
#define LOOP_TIMERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zeroed with `expired` set = not running. Its memory must stay while it is running. */
struct loop_timer {
    void (*expired)(struct loop_timer *timer); /* not running any more when called */
    int64_t at_ns;                             /* CLOCK_MONOTONIC */
    uint32_t place;                            /* index in the heap + 1; 0 = not running */
};

static inline bool loop_timer_running(const struct loop_timer *timer)
{
    return timer->place != 0;
}

struct timers {
    struct loop_timer **heap;
    uint32_t count;
    uint32_t cap;
};

/* Starts or moves a timer. Grows the heap by doubling; it never shrinks. */
void timers_set(struct timers *timers, struct loop_timer *timer, int64_t at_ns);

/* Stops a timer; nothing happens if it is not running. */
void timers_clear(struct timers *timers, struct loop_timer *timer);

/* The earliest time, INT64_MAX if there is none. */
int64_t timers_next_ns(const struct timers *timers);

/*
 * Calls back the timers due at now_ns, earliest first, at most as many as ran at the start: one
 * that sets itself to a time already due cannot hold the loop. Returns how many were called.
 */
size_t timers_expire(struct timers *timers, int64_t now_ns);

void timers_fini(struct timers *timers);

#endif
