/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Samples that are stored although their sender cannot know it: no request with them has had an
 * answer that says so and that was read. Kept by hash of series and timestamp.
 */
#ifndef SIM_SINK_UNHEARD_H
#define SIM_SINK_UNHEARD_H

#include <stdbool.h>
#include <stdint.h>

#include "sim/sink_series.h"

struct sink_unheard {
    uint64_t *keys; /* open addressing; 0: free */
    uint32_t cap;   /* a power of two */
    uint32_t count;
};

/* The samples of one request. */
struct sink_samples {
    struct sink_received {
        struct sink_entry *entry; /* its series */
        int64_t ts;
        uint64_t bits;
        bool unchanged;   /* the imitated Prometheus has it already */
        bool is_refused;  /* it is out of order, or a second value */
        bool is_left_out; /* as told by /faults */
        bool is_new;      /* it was stored, and not there before */
    } * items;
    uint32_t count, cap;
    uint32_t left_out;  /* of them, as told by /faults */
    bool is_one_scrape; /* all have the same timestamp */
    enum sink_flaw { SINK_IN_ORDER, SINK_OUT_OF_ORDER, SINK_DUPLICATE, SINK_LEFT_OUT } flaw;
};

/* The sender has read that these are there, but for those left out. */
void sink_unheard_drop(struct sink_unheard *unheard, const struct sink_samples *samples);

/* It has not: those that came with this request, or, if it may have answered for others too, all.
 */
void sink_unheard_add(struct sink_unheard *unheard, const struct sink_samples *samples, bool all);

void sink_unheard_fini(struct sink_unheard *unheard);

#endif
