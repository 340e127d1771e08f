/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the parts of the sink share: options, counters, the list of errors. One struct sink in the
 * process; one thread.
 */
#ifndef SIM_SINK_H
#define SIM_SINK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/check.h"
#include "base/slice.h"
#include "sim/sink_faults.h"
#include "sim/sink_read_v2.h"
#include "sim/sink_repeats.h"
#include "sim/sink_series.h"
#include "sim/sink_targets.h"
#include "sim/sink_unheard.h"

#define SINK_STATUS_MAX   600
#define SINK_ERRORS_SHOWN 20
#define SINK_DELAY_MS     16384 /* arrival delays: so many buckets of 1 ms, then of 1 s */
#define SINK_DELAY_S      3600

enum sink_error {
    SINK_ERROR_HEADER, /* a request header is missing or wrong */
    SINK_ERROR_BODY,   /* not snappy or zstd, or not the message it is said to be */
    SINK_ERROR_LABELS, /* unsorted, repeated, empty, no __name__ */
    SINK_ERROR_VALUE,  /* a farm series with another value than the farm served */
    SINK_ERROR_SERIES, /* a farm series that scrape did not have */
    SINK_ERROR_KINDS
};

struct sink_options {
    bool like_victoria;  /* keep every copy, refuse nothing */
    bool keep;           /* all samples, not only the last of each series */
    bool any_agent;      /* do not insist on limpet's User-Agent */
    int refuse_zstd;     /* the status that answers it; 0: zstd is taken */
    int refuse_v2;       /* the same of remote write 2.0 */
    int64_t interval_ms; /* between scrapes; 0: the most frequent distance */
};

struct sink_counts {
    uint64_t requests;
    uint64_t stored_requests;
    uint64_t v2_requests;               /* of 2.0, and taken as such */
    uint64_t answered[SINK_STATUS_MAX]; /* by status */
    uint64_t resets, lost_answers, hung, gone;
    uint64_t bytes, bytes_unpacked;
    uint64_t samples_received, samples_stored, samples_unchanged;
    uint64_t exemplars, histograms, metadata;
    uint64_t stale_stored, stale_followed;
    uint64_t order_violations; /* samples stored although older than one before them */
    uint64_t duplicates;       /* samples stored although series and timestamp were there */
    uint64_t refused_order, refused_duplicate;
    uint64_t refused_samples; /* in refused requests of more than one scrape */
    uint64_t left_out;        /* samples, as told by /faults */
    uint64_t ambiguous;       /* those that their sender cannot tell from what is there already */
    uint64_t errors[SINK_ERROR_KINDS];
    uint64_t delays_ms[SINK_DELAY_MS];
    uint64_t delays_s[SINK_DELAY_S];
};

struct sink {
    struct sink_options options;
    struct sink_counts counts;
    struct sink_series series;
    struct sink_targets targets;
    struct sink_repeats repeats;
    struct sink_unheard unheard;
    struct sink_faults faults;
    struct sink_v2 v2;
    char *errors[SINK_ERRORS_SHOWN]; /* the first ones, as JSON objects */
    uint32_t error_count;
};

/* Counts an error and keeps the first ones' text. */
void sink_add_error(struct sink *sink, enum sink_error kind, const char *format, ...)
    PRINTF_LIKE(3, 4);

const char *sink_error_name(enum sink_error kind);

#endif
