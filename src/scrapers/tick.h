/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * When targets are scraped: pure functions of the wall clock, in nanoseconds of Unix time.
 *
 * A target's phase is an instant within its interval that is the same on every start. So that many
 * scrapes share a wake-up, an interval is cut into 2^shift slots, and a target is scraped at the
 * start of the slot its phase lies in: that instant is a tick.
 */
#ifndef SCRAPERS_TICK_H
#define SCRAPERS_TICK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A tick has about so many members: fewer waste wake-ups, more delay each other. */
#define TICK_MEMBERS_MIN 16u
#define TICK_MEMBERS_MAX 128u

#define TICK_SHIFT_MAX 16u

/*
 * The shift for so many targets of one interval. It stays what it was while the members of a tick
 * are TICK_MEMBERS_MIN to TICK_MEMBERS_MAX on average, so that phases rarely move. A slot is never
 * longer than max_ns nor (unless that asks for it) shorter than a millisecond.
 */
uint32_t tick_shift(uint32_t shift, size_t targets, int64_t interval_ns, int64_t max_ns);

/* The slot in which a phase (0 <= phase_ns < interval_ns) lies. */
uint32_t tick_slot(int64_t phase_ns, int64_t interval_ns, uint32_t shift);

/* Where in the interval a slot begins. */
int64_t tick_offset(uint32_t slot, int64_t interval_ns, uint32_t shift);

/* The last instant <= now_ns that lies at this offset of the interval. */
int64_t tick_last(int64_t now_ns, int64_t interval_ns, int64_t offset_ns);

/*
 * The time of the samples of a tick that was due at due_ns and starts at now_ns: due_ns if it is
 * late by a hundredth of the interval or two milliseconds at most, otherwise the true time
 * (Prometheus' rule; here it holds for a tick that is early by as much, too).
 */
int64_t tick_timestamp(int64_t due_ns, int64_t now_ns, int64_t interval_ns);

/*
 * From when on a target's ticks count after a start at now_ns. `last_ns`: the time of its last
 * scrape that was committed, 0 for none; `offset_ns`: that of its slot. When exactly one tick was
 * missed since, as a restart does, it is made up for: the result is then that tick's instant.
 * Otherwise it is now_ns: the first scrape comes at its phase.
 */
int64_t tick_resume(int64_t now_ns, int64_t last_ns, int64_t interval_ns, int64_t offset_ns);

#endif
