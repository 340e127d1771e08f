/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * When more scrapes are due than are answered. Where targets and scraper share a machine that is
 * overloaded, each request waits behind all that were sent before it. If all that are due are sent,
 * that wait grows until it is longer than their time-outs; what times out has cost what an answer
 * costs, and its connection, which costs twice as much again, so still less is answered, and it
 * does not end by itself.
 *
 * Therefore, once answers take long, only so many scrapes are under way as will be answered within
 * half of their time-outs at the rate of late (Little's law: under way = rate x wait). Others wait
 * in the order in which they came due, so that each target gets its turn: the throughput is what
 * the machine can do, and what does not fit is skipped. As soon as answers come faster nobody
 * waits.
 *
 * Only scrapes over kept connections are under way here, from the request to the first byte of the
 * answer; those that open one are held back by the ramp (ramp.h). A target that hangs counts until
 * its time-out, and by then it has lost its connection.
 *
 * Nobody begins to wait where answers take less than a quarter of their time-outs, or where fewer
 * than THROTTLE_FREE are under way; so a machine that keeps up does not notice. Nor do targets that
 * are slow by themselves, for whom holding back would only lower the rate: THROTTLE_RATE answers a
 * second are expected of any machine, which with time-outs of 10 seconds allows for 2500 under way.
 */
#ifndef SCRAPERS_THROTTLE_H
#define SCRAPERS_THROTTLE_H

#include "loop/loop.h"

#define THROTTLE_FREE 128u /* a tick's */
#define THROTTLE_RATE 500u

/* Embedded in what waits; zeroed, it does not. */
struct throttle_member {
    struct throttle_member *next; /* private; a ring, in which the throttle stands, too */
    struct throttle_member *before;
};

struct throttle {
    struct loop *loop; /* private, all of it but `begin` and `now` */
    void (*begin)(struct throttle_member *member);
    int64_t (*now)(const struct loop *loop); /* loop_now, but for tests */
    struct throttle_member waiting;          /* its next is the oldest */
    struct loop_timer timer;
    uint32_t under_way;
    uint32_t answers;  /* since `since_ns` */
    uint64_t pressing; /* thousandths: the sum of 1 s / time-out of all that are under way */
    uint64_t rate;     /* answers a second of late */
    int64_t since_ns;
    int64_t slowness; /* billionths of their time-outs that answers take of late */
    bool is_releasing;
};

/* begin: the turn of one that waited has come; it waits no more. From the loop. */
void throttle_init(struct throttle *throttle, struct loop *loop,
                   void (*begin)(struct throttle_member *member));

/* Nobody may wait. */
void throttle_fini(struct throttle *throttle);

/* Whether a scrape that has come due may start; what `begin` starts may. */
bool throttle_admits(struct throttle *throttle);

/* It waits until `begin`, or until it is forgotten, which is harmless if it does not wait. */
void throttle_wait(struct throttle *throttle, struct throttle_member *member);
void throttle_forget(struct throttle *throttle, struct throttle_member *member);

static inline bool throttle_holds(const struct throttle_member *member)
{
    return member->next != NULL;
}

/* It is under way. Returns its weight, not 0, which throttle_leave wants back. */
uint32_t throttle_enter(struct throttle *throttle, int64_t timeout_ns);

/* It is not any more. took_ns: the time until it was answered; -1: it was not. */
void throttle_leave(struct throttle *throttle, uint32_t weight, int64_t took_ns);

#endif
