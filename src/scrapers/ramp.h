/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How many scrapes may open connections at once. A scrape over a kept connection costs a tenth of
 * one that opens its own; so when very many targets are new, or all at once have lost theirs, more
 * come due than can be opened in time, and if all are tried each gets so little of the CPU that
 * none succeeds: it is given up at its time-out, and has cost what an answer would have. Therefore
 * only so many are on their way at once, and of those that wait the youngest goes next, since it
 * has most of its time left. What has been opened stays, so each interval has fewer to open.
 *
 * Who does not answer soon does not count any more: targets that are dead hold up nobody.
 */
#ifndef SCRAPERS_RAMP_H
#define SCRAPERS_RAMP_H

#include "loop/loop.h"

#define RAMP_OPENING_MAX 256u
#define RAMP_YOUNG_NS    INT64_C(100000000) /* that were begun so recently */

struct ramp_entry {
    struct loop_timer timer; /* of the owner: while it waits, when it has waited too long */
    struct ramp_entry *next; /* private; the next younger one */
    struct ramp_entry *before;
    int64_t begun_ns;
    uint8_t state;
};

struct ramp_list {
    struct ramp_entry *oldest;
    struct ramp_entry *youngest;
};

struct ramp {
    struct loop *loop; /* private, all of it but `begin` */
    void (*begin)(struct ramp_entry *entry);
    struct ramp_list opening;
    struct ramp_list waiting;
    uint32_t opening_count;
    struct loop_timer timer;
};

/* begin: an entry that waited may open now; from the loop. */
void ramp_init(struct ramp *ramp, struct loop *loop, void (*begin)(struct ramp_entry *entry));

/* Nothing may wait. */
void ramp_fini(struct ramp *ramp);

/* True: it may open now. False: it waits, at most until deadline_ns, when its timer expires. */
bool ramp_enter(struct ramp *ramp, struct ramp_entry *entry, int64_t deadline_ns);

/* It has its connection, or needs none any more. Harmless if it is not in. */
void ramp_leave(struct ramp *ramp, struct ramp_entry *entry);

#endif
