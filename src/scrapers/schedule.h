/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Ticks (scrapers/tick.h) on the loop: whoever has an interval and a phase is called when it is
 * due, together with all others of the same slot.
 *
 * Ticks follow the wall clock, so that a phase is the same on every start and a slewed clock is
 * kept up with. A step of the clock is noticed within a second: what it jumps over is late and
 * called at once; after a step back the ticks go on from the new time.
 */
#ifndef SCRAPERS_SCHEDULE_H
#define SCRAPERS_SCHEDULE_H

#include "loop/loop.h"
#include "scrapers/tick.h"

struct rhythm;

/* Embedded in what is scheduled. */
struct tick_member {
    int64_t interval_ns; /* set by the owner, as is phase_ns: 0 <= phase < interval */
    int64_t phase_ns;
    /* private */
    struct tick_member *next;
    struct rhythm *rhythm; /* NULL: not scheduled */
    int64_t last_ns;
    int64_t not_before_ns;
    uint32_t slot;
    bool is_new;
};

struct schedule {
    struct loop *loop;
    int64_t tick_max_ns;
    /*
     * A member's tick, which was due at due_ns; timestamp_ns is the time of its samples. The call
     * must not change the schedule.
     */
    void (*due)(struct tick_member *member, int64_t due_ns, int64_t timestamp_ns);
    int64_t (*wall_now)(void); /* clock_wall_ns, but for tests */
    uint64_t clock_steps;      /* that were noticed */
    uint64_t lost;             /* ticks of members that were not called: this process did not run */
    /*
     * Schedules of other processes share the members of an interval with this one: so many in all,
     * 0 or 1: none. See schedule_count.
     */
    uint32_t sharers;
    /* private */
    struct schedule_total *totals;
    uint32_t total_count;
    struct rhythm *rhythms;
    int64_t wall_offset_ns; /* wall minus monotonic, when it was looked at last */
    bool stopped;
};

void schedule_init(struct schedule *schedule, struct loop *loop, int64_t tick_max_ns,
                   void (*due)(struct tick_member *member, int64_t due_ns, int64_t timestamp_ns));

/* Members must have been removed. */
void schedule_fini(struct schedule *schedule);

/*
 * Adds or removes; takes effect with schedule_settle. last_ns: the time of the member's last scrape
 * by whomever, 0 if it never had one: see tick_resume.
 */
void schedule_add(struct schedule *schedule, struct tick_member *member, int64_t last_ns);
void schedule_remove(struct schedule *schedule, struct tick_member *member);

/*
 * With sharers: says of each member that any of them has which interval it has, after all former
 * ones were forgotten. Slots are then cut for the mean, alike by all, so that a member that moves
 * from one to another keeps its instant.
 */
void schedule_forget_counts(struct schedule *schedule);
void schedule_count(struct schedule *schedule, int64_t interval_ns);

/* After changes: fits slots to the number of members and sets the timers. */
void schedule_settle(struct schedule *schedule);

/* Call once a turn, at least once a second: looks for steps of the clock. True: there was one. */
bool schedule_watch_clock(struct schedule *schedule);

/* No more ticks. */
void schedule_stop(struct schedule *schedule);

/* The wall time of the next tick of this member after now. */
int64_t schedule_next(const struct schedule *schedule, const struct tick_member *member);

#endif
