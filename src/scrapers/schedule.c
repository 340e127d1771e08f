/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "scrapers/schedule.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/search.h"

/* The clock is slewed by a tenth at most, and looked at every BEAT_APART_NS (child/beat.h) at
   least; what moves it more in that time is a step. */
#define STEP_NS (250 * NS_PER_MS)

/* Members are started so many at a time before the clock is looked at again: a tick whose starts
 * take longer than its tolerance goes on as one of a later time. */
#define STARTS_AT_A_TIME 16u

/* The members of a slot. */
struct tick_group {
    struct tick_member *first;
    uint32_t slot;
};

/* How many members of an interval all sharers have. */
struct schedule_total {
    int64_t interval_ns;
    uint32_t members;
};

/* All members of one interval. */
struct rhythm {
    struct rhythm *next;
    struct schedule *schedule;
    int64_t interval_ns;
    int64_t done_until_ns; /* wall: ticks up to here have been called */
    int64_t due_ns;        /* wall: of the next one */
    struct loop_timer timer;
    struct tick_group *groups; /* sorted by slot, none empty */
    uint32_t group_count;
    uint32_t group_room;
    uint32_t members;
    uint32_t shift;
    bool has_shift;
    bool changed;
};

#define RHYTHM_OF(pointer)                                                                         \
    ((struct rhythm *)(void *)((char *)(pointer)-offsetof(struct rhythm, timer)))

/* A look at the wall clock between two looks at the monotonic one, however far apart these are. */
struct clock_look {
    int64_t wall_ns;
    int64_t ahead_min_ns; /* of the monotonic clock */
    int64_t ahead_max_ns;
};

static struct clock_look look_at_clocks(int64_t (*wall_now)(void))
{
    int64_t before_ns = clock_mono_ns();
    int64_t wall_ns = wall_now();
    int64_t after_ns = clock_mono_ns();
    return (struct clock_look){wall_ns, wall_ns - after_ns, wall_ns - before_ns};
}

/* How far the wall clock is ahead; looked at again if this process was not run in between. */
static int64_t wall_offset(void)
{
    struct clock_look look;
    do
        look = look_at_clocks(clock_wall_ns);
    while (look.ahead_max_ns - look.ahead_min_ns >= NS_PER_MS);
    return look.ahead_max_ns;
}

void schedule_init(struct schedule *schedule, struct loop *loop, int64_t tick_max_ns,
                   void (*due)(struct tick_member *member, int64_t due_ns, int64_t timestamp_ns))
{
    *schedule = (struct schedule){.loop = loop,
                                  .tick_max_ns = tick_max_ns,
                                  .due = due,
                                  .wall_now = clock_wall_ns,
                                  .wall_offset_ns = wall_offset()};
}

/* ---- groups ---- */

static bool is_before(const void *group, uint64_t slot)
{
    return ((const struct tick_group *)group)->slot < slot;
}

/* The place of the slot's group, or where it belongs. */
static uint32_t group_place(const struct rhythm *rhythm, uint32_t slot)
{
    return (uint32_t)search_lower_bound(rhythm->groups, rhythm->group_count,
                                        sizeof(*rhythm->groups), is_before, slot);
}

static void insert_group(struct rhythm *rhythm, uint32_t place, uint32_t slot)
{
    if (rhythm->group_count == rhythm->group_room) {
        rhythm->group_room = rhythm->group_room == 0 ? 16 : rhythm->group_room * 2;
        rhythm->groups = realloc(rhythm->groups, rhythm->group_room * sizeof(*rhythm->groups));
        check(rhythm->groups != NULL);
    }
    memmove(&rhythm->groups[place + 1], &rhythm->groups[place],
            (rhythm->group_count - place) * sizeof(*rhythm->groups));
    rhythm->groups[place] = (struct tick_group){NULL, slot};
    rhythm->group_count++;
}

static void link_member(struct rhythm *rhythm, struct tick_member *member)
{
    member->slot = tick_slot(member->phase_ns, member->interval_ns, rhythm->shift);
    uint32_t place = group_place(rhythm, member->slot);
    if (place == rhythm->group_count || rhythm->groups[place].slot != member->slot)
        insert_group(rhythm, place, member->slot);
    member->next = rhythm->groups[place].first;
    rhythm->groups[place].first = member;
}

static void unlink_member(struct rhythm *rhythm, struct tick_member *member)
{
    uint32_t place = group_place(rhythm, member->slot);
    struct tick_member **link = &rhythm->groups[place].first;
    while (*link != member)
        link = &(*link)->next;
    *link = member->next;
    if (rhythm->groups[place].first != NULL)
        return;
    rhythm->group_count--;
    memmove(&rhythm->groups[place], &rhythm->groups[place + 1],
            (rhythm->group_count - place) * sizeof(*rhythm->groups));
}

/* ---- time ---- */

static int64_t group_instant(const struct rhythm *rhythm, uint32_t place, int64_t cycle_ns)
{
    return cycle_ns + tick_offset(rhythm->groups[place].slot, rhythm->interval_ns, rhythm->shift);
}

/* The first instant of any group after `after_ns`, and which group's it is. There is a group. */
static int64_t next_instant(const struct rhythm *rhythm, int64_t after_ns, uint32_t *ret_place)
{
    int64_t cycle_ns = tick_last(after_ns, rhythm->interval_ns, 0);
    uint32_t slot = tick_slot(after_ns - cycle_ns, rhythm->interval_ns, rhythm->shift);
    uint32_t place = group_place(rhythm, slot);
    while (place < rhythm->group_count && group_instant(rhythm, place, cycle_ns) <= after_ns)
        place++;
    if (place == rhythm->group_count) {
        place = 0;
        cycle_ns += rhythm->interval_ns;
    }
    *ret_place = place;
    return group_instant(rhythm, place, cycle_ns);
}

/* Ticks of the member after `from_ns`, up to `to_ns` and after the last one it was called for. */
static uint64_t member_ticks(const struct tick_member *member, int64_t offset_ns, int64_t from_ns,
                             int64_t to_ns)
{
    int64_t interval_ns = member->interval_ns;
    if (from_ns < member->not_before_ns - 1)
        from_ns = member->not_before_ns - 1;
    if (from_ns >= to_ns)
        return 0;
    int64_t passed_ns =
        tick_last(to_ns, interval_ns, offset_ns) - tick_last(from_ns, interval_ns, offset_ns);
    return (uint64_t)(passed_ns / interval_ns);
}

static uint64_t count_ticks(const struct rhythm *rhythm, int64_t from_ns, int64_t to_ns)
{
    uint64_t ticks = 0;
    for (uint32_t i = 0; i < rhythm->group_count; i++) {
        const struct tick_member *member = rhythm->groups[i].first;
        for (; member != NULL; member = member->next)
            ticks += member_ticks(member, group_instant(rhythm, i, 0), from_ns, to_ns);
    }
    return ticks;
}

/* Nobody is called any more for what is longer ago than an interval: the same members are due
   again by now. */
static void leave_old(struct rhythm *rhythm, int64_t wall_ns)
{
    if (rhythm->done_until_ns < wall_ns - rhythm->interval_ns)
        rhythm->done_until_ns = wall_ns - rhythm->interval_ns;
}

/* That a step of the clock, which may not have been noticed yet, has jumped over them is no loss.
 */
static void count_lost(struct rhythm *rhythm, const struct clock_look *look)
{
    struct schedule *schedule = rhythm->schedule;
    int64_t oldest_ns = look->wall_ns - rhythm->interval_ns;
    bool has_stepped = look->ahead_min_ns - schedule->wall_offset_ns >= STEP_NS;
    if (rhythm->done_until_ns < oldest_ns && !has_stepped)
        schedule->lost += count_ticks(rhythm, rhythm->done_until_ns, oldest_ns);
}

/* If this process was not run between the looks at the clocks, the timer comes too early, and not
 * too late; and that does not look like a step. */
static void arm(struct rhythm *rhythm)
{
    struct schedule *schedule = rhythm->schedule;
    uint32_t place;
    if (rhythm->group_count == 0 || schedule->stopped) {
        loop_timer_clear(schedule->loop, &rhythm->timer);
        return;
    }
    const struct clock_look look = look_at_clocks(schedule->wall_now);
    count_lost(rhythm, &look);
    leave_old(rhythm, look.wall_ns);
    rhythm->due_ns = next_instant(rhythm, rhythm->done_until_ns, &place);
    loop_timer_set(schedule->loop, &rhythm->timer, rhythm->due_ns - look.ahead_max_ns);
}

static void call_group(struct rhythm *rhythm, struct tick_member *member, int64_t due_ns)
{
    struct schedule *schedule = rhythm->schedule;
    int64_t timestamp_ns = 0;
    for (uint32_t i = 0; member != NULL; member = member->next) {
        /* Not before its time, and not twice when slots are cut anew. */
        if (due_ns < member->not_before_ns)
            continue;
        if (i++ % STARTS_AT_A_TIME == 0)
            timestamp_ns = tick_timestamp(due_ns, schedule->wall_now(), rhythm->interval_ns);
        member->not_before_ns = due_ns + rhythm->interval_ns / 2;
        schedule->due(member, due_ns, timestamp_ns);
    }
}

/* One tick a call, so that its requests are on their way before the next one's are made. */
static void on_timer(struct loop_timer *timer)
{
    struct rhythm *rhythm = RHYTHM_OF(timer);
    uint32_t place;
    int64_t wall_ns = rhythm->schedule->wall_now();
    int64_t due_ns = next_instant(rhythm, rhythm->done_until_ns, &place);
    /* The clock may have been slowed down meanwhile; a little early is on time. */
    if (due_ns <= wall_ns + NS_PER_MS) {
        rhythm->done_until_ns = due_ns;
        call_group(rhythm, rhythm->groups[place].first, due_ns);
    }
    arm(rhythm);
}

/* ---- members ---- */

static struct rhythm *rhythm_of(struct schedule *schedule, int64_t interval_ns)
{
    struct rhythm *rhythm = schedule->rhythms;
    while (rhythm != NULL && rhythm->interval_ns != interval_ns)
        rhythm = rhythm->next;
    if (rhythm != NULL)
        return rhythm;
    rhythm = calloc(1, sizeof(*rhythm));
    check(rhythm != NULL);
    rhythm->schedule = schedule;
    rhythm->interval_ns = interval_ns;
    rhythm->timer.expired = on_timer;
    rhythm->next = schedule->rhythms;
    schedule->rhythms = rhythm;
    return rhythm;
}

void schedule_add(struct schedule *schedule, struct tick_member *member, int64_t last_ns)
{
    check(member->rhythm == NULL);
    check(member->phase_ns >= 0 && member->phase_ns < member->interval_ns);
    member->rhythm = rhythm_of(schedule, member->interval_ns);
    if (member->rhythm->members == 0)
        member->rhythm->done_until_ns = schedule->wall_now();
    member->last_ns = last_ns;
    member->is_new = true;
    member->rhythm->members++;
    member->rhythm->changed = true;
    link_member(member->rhythm, member);
}

void schedule_remove(struct schedule *schedule, struct tick_member *member)
{
    (void)schedule;
    struct rhythm *rhythm = member->rhythm;
    check(rhythm != NULL);
    unlink_member(rhythm, member);
    rhythm->members--;
    rhythm->changed = true;
    member->rhythm = NULL;
}

void schedule_forget_counts(struct schedule *schedule)
{
    schedule->total_count = 0;
    for (struct rhythm *rhythm = schedule->rhythms; rhythm != NULL; rhythm = rhythm->next)
        rhythm->changed = true;
}

static struct schedule_total *find_total(const struct schedule *schedule, int64_t interval_ns)
{
    for (uint32_t i = 0; i < schedule->total_count; i++) {
        if (schedule->totals[i].interval_ns == interval_ns)
            return &schedule->totals[i];
    }
    return NULL;
}

void schedule_count(struct schedule *schedule, int64_t interval_ns)
{
    struct schedule_total *total = find_total(schedule, interval_ns);
    if (schedule->sharers < 2)
        return;
    if (total == NULL) {
        schedule->totals =
            realloc(schedule->totals, (schedule->total_count + 1) * sizeof(*schedule->totals));
        check(schedule->totals != NULL);
        total = &schedule->totals[schedule->total_count++];
        *total = (struct schedule_total){.interval_ns = interval_ns};
    }
    total->members++;
}

/* For how many members slots are cut. */
static uint32_t usual_members(const struct rhythm *rhythm)
{
    const struct schedule *schedule = rhythm->schedule;
    const struct schedule_total *total = find_total(schedule, rhythm->interval_ns);
    return total == NULL ? rhythm->members
                         : (total->members + schedule->sharers - 1) / schedule->sharers;
}

/* Takes all members out of their groups, as one list. */
static struct tick_member *unlink_all(struct rhythm *rhythm)
{
    struct tick_member *all = NULL;
    for (uint32_t i = 0; i < rhythm->group_count; i++) {
        struct tick_member *member = rhythm->groups[i].first;
        while (member != NULL) {
            struct tick_member *next = member->next;
            member->next = all;
            all = member;
            member = next;
        }
    }
    rhythm->group_count = 0;
    return all;
}

static void cut_anew(struct rhythm *rhythm, uint32_t shift)
{
    struct tick_member *member = unlink_all(rhythm);
    rhythm->shift = shift;
    while (member != NULL) {
        struct tick_member *next = member->next;
        link_member(rhythm, member);
        member = next;
    }
}

/* How many members were last scraped at an instant of their slot, if slots are cut like this. */
static uint32_t count_fitting(const struct rhythm *rhythm, uint32_t shift, uint32_t *ret_scraped)
{
    uint32_t fitting = 0;
    *ret_scraped = 0;
    for (uint32_t i = 0; i < rhythm->group_count; i++) {
        for (const struct tick_member *member = rhythm->groups[i].first; member != NULL;
             member = member->next) {
            if (member->last_ns == 0)
                continue;
            uint32_t slot = tick_slot(member->phase_ns, rhythm->interval_ns, shift);
            int64_t offset_ns = tick_offset(slot, rhythm->interval_ns, shift);
            int64_t next_ms = member->last_ns + NS_PER_MS; /* last_ns is rounded down */
            int64_t instant = tick_last(next_ms, rhythm->interval_ns, offset_ns);
            fitting += instant > member->last_ns - NS_PER_MS;
            ++*ret_scraped;
        }
    }
    return fitting;
}

/*
 * The shift at the start: that of a predecessor, if the times of its scrapes show one that still is
 * good for the number of members. Otherwise phases would move by a restart.
 */
static uint32_t first_shift(const struct rhythm *rhythm)
{
    const struct schedule *schedule = rhythm->schedule;
    const uint32_t members = usual_members(rhythm);
    uint32_t usual = tick_shift(0, members, rhythm->interval_ns, schedule->tick_max_ns);
    uint32_t best = usual;
    uint32_t scraped;
    uint32_t most = count_fitting(rhythm, usual, &scraped);
    for (uint32_t shift = usual; shift <= TICK_SHIFT_MAX && most < scraped; shift++) {
        if (tick_shift(shift, members, rhythm->interval_ns, schedule->tick_max_ns) != shift)
            break;
        uint32_t fitting = count_fitting(rhythm, shift, &scraped);
        if (fitting > most) {
            most = fitting;
            best = shift;
        }
    }
    return best;
}

static void welcome(struct rhythm *rhythm, struct tick_member *member)
{
    int64_t now_ns = rhythm->schedule->wall_now();
    int64_t offset_ns = tick_offset(member->slot, rhythm->interval_ns, rhythm->shift);
    member->is_new = false;
    member->not_before_ns = tick_resume(now_ns, member->last_ns, rhythm->interval_ns, offset_ns);
    if (member->not_before_ns <= rhythm->done_until_ns)
        rhythm->done_until_ns = member->not_before_ns - 1;
}

static void settle(struct rhythm *rhythm)
{
    const struct schedule *schedule = rhythm->schedule;
    uint32_t shift = rhythm->has_shift ? tick_shift(rhythm->shift, usual_members(rhythm),
                                                    rhythm->interval_ns, schedule->tick_max_ns)
                                       : first_shift(rhythm);
    rhythm->has_shift = rhythm->members > 0;
    rhythm->changed = false;
    if (shift != rhythm->shift)
        cut_anew(rhythm, shift);
    for (uint32_t i = 0; i < rhythm->group_count; i++) {
        for (struct tick_member *member = rhythm->groups[i].first; member != NULL;
             member = member->next) {
            if (member->is_new)
                welcome(rhythm, member);
        }
    }
    arm(rhythm);
}

void schedule_settle(struct schedule *schedule)
{
    struct rhythm **link = &schedule->rhythms;
    while (*link != NULL) {
        struct rhythm *rhythm = *link;
        if (rhythm->members == 0) {
            loop_timer_clear(schedule->loop, &rhythm->timer);
            *link = rhythm->next;
            free(rhythm->groups);
            free(rhythm);
            continue;
        }
        if (rhythm->changed)
            settle(rhythm);
        link = &rhythm->next;
    }
}

void schedule_fini(struct schedule *schedule)
{
    schedule_settle(schedule);
    check(schedule->rhythms == NULL);
    free(schedule->totals);
}

/* ---- the clock ---- */

static void forget_limits(struct rhythm *rhythm)
{
    for (uint32_t i = 0; i < rhythm->group_count; i++) {
        for (struct tick_member *member = rhythm->groups[i].first; member != NULL;
             member = member->next)
            member->not_before_ns = 0;
    }
}

/*
 * How much more the wall clock has gone than the monotonic one, since the last call. What may be as
 * far ahead as it was before has not moved, however late this is run.
 */
static int64_t follow_clock(struct schedule *schedule, const struct clock_look *look)
{
    int64_t moved_ns = 0;
    if (look->ahead_min_ns > schedule->wall_offset_ns)
        moved_ns = look->ahead_min_ns - schedule->wall_offset_ns;
    else if (look->ahead_max_ns < schedule->wall_offset_ns)
        moved_ns = look->ahead_max_ns - schedule->wall_offset_ns;
    schedule->wall_offset_ns += moved_ns;
    return moved_ns;
}

bool schedule_watch_clock(struct schedule *schedule)
{
    const struct clock_look look = look_at_clocks(schedule->wall_now);
    int64_t moved_ns = follow_clock(schedule, &look);
    if (moved_ns > -STEP_NS && moved_ns < STEP_NS)
        return false;
    schedule->clock_steps++;
    for (struct rhythm *rhythm = schedule->rhythms; rhythm != NULL; rhythm = rhythm->next) {
        if (moved_ns < 0) {
            rhythm->done_until_ns = look.wall_ns;
            forget_limits(rhythm);
        }
        leave_old(rhythm, look.wall_ns);
        arm(rhythm);
    }
    return true;
}

void schedule_stop(struct schedule *schedule)
{
    schedule->stopped = true;
    for (struct rhythm *rhythm = schedule->rhythms; rhythm != NULL; rhythm = rhythm->next)
        arm(rhythm);
}

int64_t schedule_next(const struct schedule *schedule, const struct tick_member *member)
{
    uint32_t shift = member->rhythm->shift;
    uint32_t slot = tick_slot(member->phase_ns, member->interval_ns, shift);
    int64_t offset_ns = tick_offset(slot, member->interval_ns, shift);
    int64_t now_ns = schedule->wall_now();
    return tick_last(now_ns, member->interval_ns, offset_ns) + member->interval_ns;
}
