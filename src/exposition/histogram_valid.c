/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which histograms Prometheus takes (model/histogram, Validate), and classic ones made native. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "exposition/histogram.h"

static const char *invalid_spans(const struct histogram_side *side)
{
    for (uint32_t i = 1; i < side->span_count; i++) {
        if (side->spans[i].offset < 0)
            return "histogram has a span whose offset is negative";
    }
    return NULL;
}

/* Adds the buckets to *sum; NULL, or what is wrong. */
static const char *invalid_counts(const struct histogram_side *side, bool is_float, uint64_t *sum)
{
    for (uint32_t i = 0; i < side->count_count; i++) {
        if (is_float ? side->counts[i].real < 0 : side->counts[i].integer < 0)
            return "histogram has a bucket whose observation count is negative";
        if (!is_float)
            *sum += (uint64_t)side->counts[i].integer;
    }
    return NULL;
}

static const char *invalid_exponential(const struct histogram *histogram)
{
    if (histogram->schema < HISTOGRAM_SCHEMA_MIN || histogram->schema > HISTOGRAM_SCHEMA_MAX)
        return "histogram has an invalid schema: must be between -4 and 8 or equal to -53";
    if (histogram->bound_count > 0)
        return "histogram with exponential buckets must not have custom bounds";
    return NULL;
}

static const char *invalid_bounds(const struct histogram *histogram)
{
    for (uint32_t i = 0; i < histogram->bound_count; i++) {
        double bound = histogram->bounds[i];
        if (isnan(bound))
            return "histogram custom bounds must not be NaN";
        if (i > 0 && bound <= histogram->bounds[i - 1])
            return "histogram custom bounds must be in strictly increasing order";
    }
    if (histogram->bound_count > 0 && histogram->bounds[histogram->bound_count - 1] == HUGE_VAL)
        return "last +Inf bound must not be explicitly defined for custom bounds";
    return NULL;
}

static bool has_zero_bucket(const struct histogram *histogram)
{
    return histogram->zero_threshold != 0 ||
           (histogram->is_float ? histogram->zero_count.real != 0
                                : histogram->zero_count.integer != 0);
}

static const char *invalid_custom(const struct histogram *histogram)
{
    int64_t end = 0; /* the index behind the last bucket */
    for (uint32_t i = 0; i < histogram->positive.span_count; i++) {
        const struct histogram_span *span = &histogram->positive.spans[i];
        if (span->offset < 0)
            return "histogram has a span whose offset is negative";
        end += (int64_t)span->offset + span->length;
    }
    if (end > (int64_t)histogram->bound_count + 1)
        return "histogram has more buckets than custom bounds";
    if (has_zero_bucket(histogram))
        return "custom buckets: must have zero count and threshold of 0";
    if (histogram->negative.span_count > 0 || histogram->negative.count_count > 0)
        return "custom buckets: must not have negative buckets";
    return invalid_bounds(histogram);
}

static const char *invalid_totals(const struct histogram *histogram, uint64_t sum_of_buckets)
{
    double sum;
    memcpy(&sum, &histogram->sum_bits, sizeof(sum));
    if (histogram->is_float) {
        if (histogram->zero_count.real < 0)
            return "histogram has a zero bucket whose observation count is negative";
        return histogram->count.real < 0 ? "histogram has a negative observation count" : NULL;
    }
    uint64_t total = sum_of_buckets + histogram->zero_count.integer;
    /* A sum of NaN says that NaN was observed, which is counted in no bucket. */
    if (isnan(sum) ? total > histogram->count.integer : total != histogram->count.integer)
        return "observations found in buckets do not match the histogram's count";
    return NULL;
}

const char *histogram_invalid(const struct histogram *histogram)
{
    const char *why = histogram->schema == HISTOGRAM_SCHEMA_CUSTOM ? invalid_custom(histogram)
                                                                   : invalid_exponential(histogram);
    uint64_t sum = 0;
    if (why == NULL && !histogram_spans_fit(histogram))
        why = "histogram's spans need another number of buckets than it has";
    if (why == NULL)
        why = invalid_spans(&histogram->negative);
    if (why == NULL)
        why = invalid_spans(&histogram->positive);
    if (why == NULL)
        why = invalid_counts(&histogram->negative, histogram->is_float, &sum);
    if (why == NULL)
        why = invalid_counts(&histogram->positive, histogram->is_float, &sum);
    return why != NULL ? why : invalid_totals(histogram, sum);
}

/* ---- classic histograms ---- */

static int compare_bounds(const void *a, const void *b)
{
    const struct histogram_classic *left = a;
    const struct histogram_classic *right = b;
    if (left->bound != right->bound)
        return left->bound > right->bound ? 1 : -1;
    return (left->order > right->order) - (left->order < right->order);
}

/* Rising bounds; of equal ones the first to come stays. */
static size_t sort_buckets(struct histogram_classic *buckets, size_t count)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++)
        buckets[i].order = i;
    qsort(buckets, count, sizeof(*buckets), compare_bounds);
    for (size_t i = 0; i < count; i++) {
        if (kept == 0 || buckets[kept - 1].bound != buckets[i].bound)
            buckets[kept++] = buckets[i];
    }
    return kept;
}

static bool is_rising(const struct histogram_classic *buckets, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        if (buckets[i].bound <= buckets[i - 1].bound)
            return false;
    }
    return true;
}

static const char *invalid_classic(const struct histogram_classic *buckets, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (isnan(buckets[i].bound))
            return "invalid upper bound: NaN";
        if (isnan(buckets[i].count) || buckets[i].count < 0)
            return "invalid bucket count: it is negative or NaN";
    }
    return NULL;
}

static bool is_integral(double value)
{
    return value < 0x1p63 && (double)(int64_t)value == value;
}

static bool all_integral(const struct histogram_classic *buckets, size_t count, double total)
{
    for (size_t i = 0; i < count; i++) {
        if (!is_integral(buckets[i].count))
            return false;
    }
    return is_integral(total);
}

/* The finite bounds, and what lies in each bucket, the last of which is the one up to +Inf. */
static const char *fill_custom(struct histogram *histogram, const struct histogram_classic *buckets,
                               size_t finite, double total)
{
    double before = 0;
    for (size_t i = 0; i <= finite; i++) {
        double cumulative = i < finite ? buckets[i].count : total;
        if (cumulative < before)
            return "bucket counts decrease along rising bounds";
        union histogram_count count;
        if (histogram->is_float)
            count.real = cumulative - before;
        else
            count.integer = (int64_t)cumulative - (int64_t)before;
        if (!histogram_add_count(&histogram->positive, count) ||
            (i < finite && !histogram_add_bound(histogram, buckets[i].bound)))
            return "too many buckets";
        before = cumulative;
    }
    check(histogram_add_span(&histogram->positive, 0, (uint32_t)finite + 1));
    return NULL;
}

const char *histogram_from_classic(struct histogram *histogram, struct histogram_classic *buckets,
                                   size_t bucket_count, bool has_count, double count,
                                   uint64_t sum_bits)
{
    const char *why = invalid_classic(buckets, bucket_count);
    if (why == NULL && has_count && (isnan(count) || count < 0))
        why = "invalid count: it is negative or NaN";
    if (why != NULL)
        return why;
    /* Almost always they come in order. */
    if (!is_rising(buckets, bucket_count))
        bucket_count = sort_buckets(buckets, bucket_count);
    bool has_inf = bucket_count > 0 && buckets[bucket_count - 1].bound == HUGE_VAL;
    double last = bucket_count > 0 ? buckets[bucket_count - 1].count : 0;
    double total = has_count ? count : last;
    if (has_inf && last != total)
        return "the count differs from that of the +Inf bucket";

    histogram_clear(histogram);
    histogram->schema = HISTOGRAM_SCHEMA_CUSTOM;
    histogram->sum_bits = sum_bits;
    histogram->is_float = !all_integral(buckets, bucket_count, total);
    if (histogram->is_float)
        histogram->count.real = total;
    else
        histogram->count.integer = (uint64_t)total;
    why = fill_custom(histogram, buckets, bucket_count - has_inf, total);
    if (why == NULL)
        histogram_compact(histogram, histogram->is_float ? 0 : 2);
    return why;
}
