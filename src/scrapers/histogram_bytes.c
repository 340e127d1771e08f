/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "scrapers/histogram_bytes.h"

#include <string.h>

/* Tags: field number << 3 | wire type (0 varint, 1 eight bytes, 2 length and bytes). */
enum {
    TAG_COUNT_INTEGER = 1 << 3 | 0,
    TAG_COUNT_REAL = 2 << 3 | 1,
    TAG_SUM = 3 << 3 | 1,
    TAG_SCHEMA = 4 << 3 | 0,
    TAG_ZERO_THRESHOLD = 5 << 3 | 1,
    TAG_ZERO_INTEGER = 6 << 3 | 0,
    TAG_ZERO_REAL = 7 << 3 | 1,
    TAG_RESET_HINT = 14 << 3 | 0,
    TAG_SPAN_OFFSET = 1 << 3 | 0,
    TAG_SPAN_LENGTH = 2 << 3 | 0
};

/* Of the two signs. */
struct side_tags {
    uint8_t spans;
    uint8_t deltas;
    uint8_t counts;
};
static const struct side_tags negative_tags = {8 << 3 | 2, 9 << 3 | 2, 10 << 3 | 2};
static const struct side_tags positive_tags = {11 << 3 | 2, 12 << 3 | 2, 13 << 3 | 2};

/* Field 16 has a tag of two bytes. */
#define TAG_CUSTOM_VALUES (16u << 3 | 2u)

enum { VARINT_MAX = 10, RESET_HINT_GAUGE = 3, FIXED_MAX = 128, SPAN_MAX = 2 + 2 * 11 };

size_t histogram_bytes_max(const struct histogram *histogram)
{
    size_t spans = (size_t)histogram->positive.span_count + histogram->negative.span_count;
    size_t counts = (size_t)histogram->positive.count_count + histogram->negative.count_count;
    return FIXED_MAX + spans * SPAN_MAX + counts * VARINT_MAX + histogram->bound_count * 8;
}

static uint8_t *put_varint(uint8_t *at, uint64_t value)
{
    while (value >= 0x80) {
        *at++ = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    *at++ = (uint8_t)value;
    return at;
}

static size_t varint_size(uint64_t value)
{
    uint8_t bytes[VARINT_MAX];
    return (size_t)(put_varint(bytes, value) - bytes);
}

static uint64_t zigzag(int64_t value)
{
    return (uint64_t)value << 1 ^ (uint64_t)(value < 0 ? -1 : 0);
}

static uint8_t *put_bits(uint8_t *at, uint64_t bits)
{
    memcpy(at, &bits, sizeof(bits));
    return at + sizeof(bits);
}

static uint8_t *put_real(uint8_t *at, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    return put_bits(at, bits);
}

static uint8_t *put_spans(uint8_t *at, uint8_t tag, const struct histogram_side *side)
{
    for (uint32_t i = 0; i < side->span_count; i++) {
        uint64_t offset = zigzag(side->spans[i].offset);
        uint64_t length = side->spans[i].length;
        *at++ = tag;
        at = put_varint(at, 2 + varint_size(offset) + varint_size(length));
        *at++ = TAG_SPAN_OFFSET;
        at = put_varint(at, offset);
        *at++ = TAG_SPAN_LENGTH;
        at = put_varint(at, length);
    }
    return at;
}

/* Each bucket as the difference to the one before; what does not fit wraps around, as it does where
   it is read. */
static uint64_t delta_at(const struct histogram_side *side, uint32_t i)
{
    uint64_t before = i == 0 ? 0 : (uint64_t)side->counts[i - 1].integer;
    return zigzag((int64_t)((uint64_t)side->counts[i].integer - before));
}

static uint8_t *put_deltas(uint8_t *at, uint8_t tag, const struct histogram_side *side)
{
    size_t len = 0;
    for (uint32_t i = 0; i < side->count_count; i++)
        len += varint_size(delta_at(side, i));
    if (len == 0)
        return at;
    *at++ = tag;
    at = put_varint(at, len);
    for (uint32_t i = 0; i < side->count_count; i++)
        at = put_varint(at, delta_at(side, i));
    return at;
}

static uint8_t *put_counts(uint8_t *at, uint8_t tag, const struct histogram_side *side)
{
    if (side->count_count == 0)
        return at;
    *at++ = tag;
    at = put_varint(at, (uint64_t)side->count_count * 8);
    for (uint32_t i = 0; i < side->count_count; i++)
        at = put_real(at, side->counts[i].real);
    return at;
}

static uint8_t *put_side(uint8_t *at, const struct side_tags *tags, bool is_float,
                         const struct histogram_side *side)
{
    at = put_spans(at, tags->spans, side);
    return is_float ? put_counts(at, tags->counts, side) : put_deltas(at, tags->deltas, side);
}

static uint8_t *put_numbers(uint8_t *at, const struct histogram *histogram)
{
    *at++ = histogram->is_float ? TAG_COUNT_REAL : TAG_COUNT_INTEGER;
    at = histogram->is_float ? put_real(at, histogram->count.real)
                             : put_varint(at, histogram->count.integer);
    *at++ = TAG_SUM;
    at = put_bits(at, histogram->sum_bits);
    *at++ = TAG_ZERO_THRESHOLD;
    at = put_real(at, histogram->zero_threshold);
    *at++ = histogram->is_float ? TAG_ZERO_REAL : TAG_ZERO_INTEGER;
    return histogram->is_float ? put_real(at, histogram->zero_count.real)
                               : put_varint(at, histogram->zero_count.integer);
}

uint8_t *histogram_bytes_put(const struct histogram *histogram, uint8_t *at)
{
    *at++ = TAG_SCHEMA; /* first: the writer looks there (shm/layout.h) */
    at = put_varint(at, zigzag(histogram->schema));
    at = put_numbers(at, histogram);
    at = put_side(at, &negative_tags, histogram->is_float, &histogram->negative);
    at = put_side(at, &positive_tags, histogram->is_float, &histogram->positive);
    if (histogram->is_gauge) {
        *at++ = TAG_RESET_HINT;
        *at++ = RESET_HINT_GAUGE;
    }
    if (histogram->bound_count == 0)
        return at;
    at = put_varint(at, TAG_CUSTOM_VALUES);
    at = put_varint(at, (uint64_t)histogram->bound_count * 8);
    for (uint32_t i = 0; i < histogram->bound_count; i++)
        at = put_real(at, histogram->bounds[i]);
    return at;
}
