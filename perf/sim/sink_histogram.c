/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sim/sink_histogram.h"

#include <endian.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "sim/sink_wire.h"

/* One side's buckets. */
struct side {
    uint64_t spanned; /* by its spans */
    uint64_t buckets;
    double last; /* count of the latest bucket */
    double sum;
    bool is_negative; /* a count was */
};

struct histogram {
    double count, zero_count, sum;
    struct side sides[2];
};

/* Field numbers of the message. */
enum {
    COUNT_INT = 1,
    COUNT_FLOAT,
    SUM,
    SCHEMA,
    ZERO_THRESHOLD,
    ZERO_INT,
    ZERO_FLOAT,
    NEGATIVE_SPANS,
    NEGATIVE_DELTAS,
    NEGATIVE_COUNTS,
    POSITIVE_SPANS,
    POSITIVE_DELTAS,
    POSITIVE_COUNTS,
    RESET_HINT,
    TIMESTAMP,
    CUSTOM_VALUES,
    START_TIMESTAMP
};

static double number_of(uint64_t bits)
{
    double number;
    memcpy(&number, &bits, sizeof(number));
    return number;
}

static int64_t unzigzag(uint64_t number)
{
    return (int64_t)(number >> 1) ^ -(int64_t)(number & 1);
}

static bool take_span(struct side *side, struct slice span)
{
    struct sink_field field;
    int got;
    while ((got = sink_wire_next(&span, &field)) > 0) {
        if (field.type != SINK_WIRE_VARINT || field.number > 2)
            return false;
        if (field.number == 2)
            side->spanned += field.bits;
    }
    return got == 0;
}

static void take_bucket(struct side *side, double count)
{
    side->buckets++;
    side->last = count;
    side->sum += count;
    side->is_negative |= !(count >= 0);
}

static bool take_deltas(struct side *side, struct slice packed)
{
    while (packed.len > 0) {
        uint64_t delta;
        if (!sink_wire_varint(&packed, &delta))
            return false;
        take_bucket(side, side->last + (double)unzigzag(delta));
    }
    return true;
}

static bool take_counts(struct side *side, struct slice packed)
{
    for (; packed.len >= sizeof(uint64_t); packed.len -= sizeof(uint64_t)) {
        uint64_t bits;
        memcpy(&bits, packed.ptr, sizeof(bits));
        packed.ptr += sizeof(bits);
        take_bucket(side, number_of(le64toh(bits)));
    }
    return packed.len == 0;
}

static enum sink_wire_type type_of(uint32_t number)
{
    switch (number) {
    case COUNT_FLOAT:
    case SUM:
    case ZERO_THRESHOLD:
    case ZERO_FLOAT:
        return SINK_WIRE_I64;
    case COUNT_INT:
    case SCHEMA:
    case ZERO_INT:
    case RESET_HINT:
    case TIMESTAMP:
    case START_TIMESTAMP:
        return SINK_WIRE_VARINT;
    default:
        return SINK_WIRE_LEN;
    }
}

static bool take_field(struct histogram *histogram, const struct sink_field *field)
{
    struct side *side = &histogram->sides[field->number >= POSITIVE_SPANS];
    switch (field->number) {
    case COUNT_INT:
        histogram->count = (double)field->bits;
        return true;
    case COUNT_FLOAT:
        histogram->count = number_of(field->bits);
        return true;
    case SUM:
        histogram->sum = number_of(field->bits);
        return true;
    case ZERO_INT:
        histogram->zero_count = (double)field->bits;
        return true;
    case ZERO_FLOAT:
        histogram->zero_count = number_of(field->bits);
        return true;
    case NEGATIVE_SPANS:
    case POSITIVE_SPANS:
        return take_span(side, field->bytes);
    case NEGATIVE_DELTAS:
    case POSITIVE_DELTAS:
        return take_deltas(side, field->bytes);
    case NEGATIVE_COUNTS:
    case POSITIVE_COUNTS:
        return take_counts(side, field->bytes);
    default:
        return field->number <= START_TIMESTAMP;
    }
}

/* Observations that are NaN are in no bucket; floats may be off by what rounding makes of them. */
static bool adds_up(const struct histogram *histogram)
{
    double buckets = histogram->zero_count + histogram->sides[0].sum + histogram->sides[1].sum;
    double slack = 1e-9 * histogram->count;
    if (isnan(histogram->sum))
        return buckets <= histogram->count + slack;
    return fabs(buckets - histogram->count) <= slack;
}

const char *sink_histogram_flaw(struct slice message)
{
    struct histogram histogram = {0};
    struct sink_field field;
    int got;
    while ((got = sink_wire_next(&message, &field)) > 0) {
        if (field.type != type_of(field.number) || !take_field(&histogram, &field))
            return "proto: malformed Histogram\n";
    }
    if (got < 0)
        return "proto: malformed Histogram\n";
    bool is_stale = isnan(histogram.sum) && histogram.count == 0;
    for (int i = 0; i < 2; i++) {
        if (histogram.sides[i].spanned != histogram.sides[i].buckets)
            return "a histogram whose spans have not as many buckets\n";
        if (histogram.sides[i].is_negative)
            return "a histogram with a count below zero\n";
    }
    return is_stale || adds_up(&histogram) ? NULL : "a histogram whose buckets do not add up\n";
}
