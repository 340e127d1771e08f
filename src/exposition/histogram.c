/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "exposition/histogram.h"

#include "base/grow.h"

static void side_clear(struct histogram_side *side)
{
    side->span_count = 0;
    side->count_count = 0;
}

void histogram_clear(struct histogram *histogram)
{
    side_clear(&histogram->positive);
    side_clear(&histogram->negative);
    histogram->is_float = false;
    histogram->is_gauge = false;
    histogram->schema = 0;
    histogram->zero_threshold = 0;
    histogram->sum_bits = 0;
    histogram->count.integer = 0;
    histogram->zero_count.integer = 0;
    histogram->bound_count = 0;
}

void histogram_fini(struct histogram *histogram)
{
    free(histogram->positive.spans);
    free(histogram->positive.counts);
    free(histogram->negative.spans);
    free(histogram->negative.counts);
    free(histogram->spare.spans);
    free(histogram->spare.counts);
    free(histogram->bounds);
    *histogram = (struct histogram){0};
}

bool histogram_add_span(struct histogram_side *side, int32_t offset, uint32_t length)
{
    if (side->span_count >= HISTOGRAM_BUCKETS_MAX)
        return false;
    side->spans =
        grow_for_one(side->spans, side->span_count, &side->span_room, sizeof(*side->spans));
    side->spans[side->span_count++] = (struct histogram_span){offset, length};
    return true;
}

bool histogram_add_count(struct histogram_side *side, union histogram_count count)
{
    if (side->count_count >= HISTOGRAM_BUCKETS_MAX)
        return false;
    side->counts =
        grow_for_one(side->counts, side->count_count, &side->count_room, sizeof(*side->counts));
    side->counts[side->count_count++] = count;
    return true;
}

bool histogram_add_bound(struct histogram *histogram, double bound)
{
    if (histogram->bound_count >= HISTOGRAM_BUCKETS_MAX)
        return false;
    histogram->bounds = grow_for_one(histogram->bounds, histogram->bound_count,
                                     &histogram->bound_room, sizeof(*histogram->bounds));
    histogram->bounds[histogram->bound_count++] = bound;
    return true;
}

static bool side_fits(const struct histogram_side *side)
{
    uint64_t buckets = 0;
    for (uint32_t i = 0; i < side->span_count; i++)
        buckets += side->spans[i].length;
    return buckets == side->count_count;
}

bool histogram_spans_fit(const struct histogram *histogram)
{
    return side_fits(&histogram->positive) && side_fits(&histogram->negative);
}

uint32_t histogram_bucket_count(const struct histogram *histogram)
{
    return histogram->positive.count_count + histogram->negative.count_count;
}

/* ---- rebuilding a side from (index, count) pairs in rising order ---- */

static bool is_empty(union histogram_count count, bool is_float)
{
    /* A NaN is not empty. */
    return is_float ? count.real == 0 : count.integer == 0;
}

static union histogram_count sum_of(union histogram_count a, union histogram_count b, bool is_float)
{
    union histogram_count sum;
    if (is_float)
        sum.real = a.real + b.real;
    else
        sum.integer = (int64_t)((uint64_t)a.integer + (uint64_t)b.integer);
    return sum;
}

struct rebuild {
    struct histogram_side *side;
    int64_t next; /* the index behind the last bucket */
    bool is_float;
};

/* Adds the bucket at index, which is not below the last one; the same index: to that one. */
static void rebuild_add(struct rebuild *rebuild, int64_t index, union histogram_count count,
                        uint32_t inline_empty)
{
    struct histogram_side *side = rebuild->side;
    int64_t gap = index - rebuild->next;
    if (side->count_count > 0 && gap == -1) {
        union histogram_count *last = &side->counts[side->count_count - 1];
        *last = sum_of(*last, count, rebuild->is_float);
        return;
    }
    check(gap >= 0 || side->count_count == 0);
    if (side->count_count > 0 && gap <= (int64_t)inline_empty) {
        union histogram_count zero = {.integer = 0}; /* all bits zero: 0.0, too */
        for (int64_t i = 0; i < gap; i++)
            check(histogram_add_count(side, zero));
        side->spans[side->span_count - 1].length += (uint32_t)gap + 1;
    } else {
        check(histogram_add_span(side, (int32_t)gap, 1));
    }
    check(histogram_add_count(side, count));
    rebuild->next = index + 1;
}

/* Where bucket `index` lies once `steps` halvings of the resolution are done. */
static int64_t merged_index(int64_t index, int32_t steps)
{
    int64_t width = INT64_C(1) << steps;
    int64_t at = index - 1;
    int64_t quotient = at / width - (at % width < 0);
    return quotient + 1;
}

/* Whether no span begins before the one before it ends. */
static bool spans_rise(const struct histogram_side *side)
{
    for (uint32_t i = 1; i < side->span_count; i++) {
        if (side->spans[i].offset < 0)
            return false;
    }
    return true;
}

/*
 * Replaces the side by its non-empty buckets, merged by `steps`. One with spans that overlap stays
 * as it is: histogram_invalid says so. What is added never outgrows the limit, since only up to two
 * zeros are added for each bucket that is kept, and there were fewer.
 */
static void side_rebuild(struct histogram *histogram, struct histogram_side *side, int32_t steps,
                         uint32_t inline_empty)
{
    if (!spans_rise(side))
        return;
    bool is_float = histogram->is_float;
    struct rebuild rebuild = {.side = &histogram->spare, .is_float = is_float};
    side_clear(rebuild.side);
    int64_t index = 0;
    uint32_t at = 0;
    for (uint32_t i = 0; i < side->span_count; i++) {
        index += side->spans[i].offset;
        for (uint32_t k = 0; k < side->spans[i].length; k++, at++, index++) {
            if (!is_empty(side->counts[at], is_float))
                rebuild_add(&rebuild, merged_index(index, steps), side->counts[at], inline_empty);
        }
    }
    struct histogram_side rebuilt = histogram->spare;
    histogram->spare = *side;
    *side = rebuilt;
}

void histogram_compact(struct histogram *histogram, uint32_t inline_empty)
{
    check(histogram_spans_fit(histogram));
    side_rebuild(histogram, &histogram->positive, 0, inline_empty);
    side_rebuild(histogram, &histogram->negative, 0, inline_empty);
}

void histogram_reduce(struct histogram *histogram, int32_t max_schema)
{
    check(histogram_spans_fit(histogram));
    if (histogram->schema == HISTOGRAM_SCHEMA_CUSTOM || histogram->schema <= max_schema)
        return;
    int32_t steps = histogram->schema - max_schema;
    side_rebuild(histogram, &histogram->positive, steps, 0);
    side_rebuild(histogram, &histogram->negative, steps, 0);
    histogram->schema = max_schema;
}

bool histogram_limit_buckets(struct histogram *histogram, uint32_t limit)
{
    while (histogram_bucket_count(histogram) > limit) {
        if (histogram->schema == HISTOGRAM_SCHEMA_CUSTOM ||
            histogram->schema <= HISTOGRAM_SCHEMA_MIN)
            return false;
        histogram_reduce(histogram, histogram->schema - 1);
    }
    return true;
}

int32_t histogram_schema_for_factor(double factor)
{
    /* 2^(2^-schema), from schema -4 on */
    static const double growth[] = {65536,
                                    256,
                                    16,
                                    4,
                                    2,
                                    1.4142135623730951,
                                    1.189207115002721,
                                    1.0905077326652577,
                                    1.0442737824274138,
                                    1.0218971486541166,
                                    1.0108892860517005,
                                    1.0054299011128027,
                                    1.0027112750502025};
    int32_t schema = HISTOGRAM_SCHEMA_MAX;
    while (schema > HISTOGRAM_SCHEMA_MIN && growth[schema - HISTOGRAM_SCHEMA_MIN] < factor)
        schema--;
    return schema;
}
