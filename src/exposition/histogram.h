/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Native histograms: buckets at exponential bounds (schemas -4 to 8) or at bounds of their own
 * (schema -53), as Prometheus keeps them. Integer histograms carry counts as int64, float ones as
 * doubles; doubles are moved as bit patterns where nothing is computed with them.
 *
 * A histogram owns its arrays, which grow as needed and are kept for the next one: zero the struct
 * once, histogram_clear before each use, histogram_fini at the end.
 */
#ifndef EXPOSITION_HISTOGRAM_H
#define EXPOSITION_HISTOGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"

#define HISTOGRAM_SCHEMA_MIN    (-4)
#define HISTOGRAM_SCHEMA_MAX    8
#define HISTOGRAM_SCHEMA_CUSTOM (-53)

/* More buckets than this are no histogram but an attack. */
#define HISTOGRAM_BUCKETS_MAX 65536u

/* `length` buckets in a row, `offset` of them behind the end of the last span (or from bucket 0).
 */
struct histogram_span {
    int32_t offset;
    uint32_t length;
};

/* A count in a bucket, absolute. */
union histogram_count {
    int64_t integer;
    double real;
};

/* The buckets of one sign. */
struct histogram_side {
    struct histogram_span *spans;
    uint32_t span_count;
    size_t span_room;
    union histogram_count *counts;
    uint32_t count_count;
    size_t count_room;
};

struct histogram {
    bool is_float; /* counts, count and zero_count are doubles */
    bool is_gauge; /* may go down: reset hint "gauge" */
    int32_t schema;
    double zero_threshold;
    uint64_t sum_bits;
    union {
        uint64_t integer;
        double real;
    } count, zero_count;
    struct histogram_side positive;
    struct histogram_side negative;
    struct histogram_side spare; /* private: the arrays that compacting writes to */
    double *bounds;              /* of schema -53: upper bounds but +Inf */
    uint32_t bound_count;
    size_t bound_room;
};

void histogram_clear(struct histogram *histogram);
void histogram_fini(struct histogram *histogram);

/* These return false beyond HISTOGRAM_BUCKETS_MAX. */
bool histogram_add_span(struct histogram_side *side, int32_t offset, uint32_t length) MUST_USE;
bool histogram_add_count(struct histogram_side *side, union histogram_count count) MUST_USE;
bool histogram_add_bound(struct histogram *histogram, double bound) MUST_USE;

/* Whether the spans of both sides speak of exactly the buckets that are there. */
bool histogram_spans_fit(const struct histogram *histogram);

/*
 * Removes empty buckets and joins spans; up to `inline_empty` empty buckets between two others
 * stay as zeros. The spans must fit.
 */
void histogram_compact(struct histogram *histogram, uint32_t inline_empty);

/* Buckets on both sides. */
uint32_t histogram_bucket_count(const struct histogram *histogram);

/*
 * Merges buckets until the schema is at most max_schema. Nothing happens to custom buckets.
 * Afterwards the histogram is compact.
 */
void histogram_reduce(struct histogram *histogram, int32_t max_schema);

/* Halves the resolution until at most `limit` buckets are left. False: that cannot be done. */
bool histogram_limit_buckets(struct histogram *histogram, uint32_t limit) MUST_USE;

/* The greatest schema whose buckets grow by at least `factor` (> 1) each. */
int32_t histogram_schema_for_factor(double factor);

/*
 * NULL if a receiver will take it (Prometheus' histogram.Validate), else what is wrong with it: a
 * constant sentence.
 */
const char *histogram_invalid(const struct histogram *histogram);

/* A classic bucket: what was observed at most at `bound`. */
struct histogram_classic {
    double bound;
    double count; /* cumulative */
    size_t order; /* private */
};

/*
 * A classic histogram as one of custom buckets (schema -53, Prometheus' convertnhcb). Sorts the
 * buckets; bounds may repeat, the first counts. has_count: the histogram has a count of its own.
 * NULL, or the constant sentence that says why it is none.
 */
const char *histogram_from_classic(struct histogram *histogram, struct histogram_classic *buckets,
                                   size_t bucket_count, bool has_count, double count,
                                   uint64_t sum_bits) MUST_USE;

#endif
