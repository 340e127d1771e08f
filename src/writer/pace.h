/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How many shards a remote wants, from what was measured, as Prometheus decides it
 * (storage/remote/queue_manager.go): rates are weighted averages of steps of ten seconds. Pure
 * arithmetic.
 */
#ifndef WRITER_PACE_H
#define WRITER_PACE_H

#include <stdbool.h>
#include <stdint.h>

/* Sums since the start; the differences between two steps make the rates. */
struct pace_sums {
    uint64_t in;         /* items that came: into the rings, taken out of them or not */
    uint64_t dropped;    /* of these, that were not to be sent */
    uint64_t out;        /* sent, with whatever outcome, out of the rings or the spool */
    uint64_t sending_ns; /* of all requests together */
};

struct pace {
    /* All private. */
    bool has_rates;
    struct pace_sums last;
    double in; /* a second, as the others */
    double dropped;
    double out;
    double sending; /* seconds in a second */
};

struct pace_limits {
    uint32_t now; /* shards that there are */
    uint32_t min;
    uint32_t max;
};

/*
 * A step of `seconds` is over; the newest item that was sent is `delay_s` older than the newest one
 * that came. Returns the shards that there should be; *ret_desired is what the rates ask for.
 */
uint32_t pace_step(struct pace *pace, const struct pace_sums *sums, double seconds, double delay_s,
                   struct pace_limits limits, double *ret_desired);

#endif
