/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Elements of series of 2.0 (writer/elements.h), for those who know all of a series' lengths: all
 * copies come from less than 65536 bytes back, and what is written is literals of known lengths.
 */
#ifndef WRITER_ENCODE_V2_TIP_H
#define WRITER_ENCODE_V2_TIP_H

#include "writer/elements.h"
#include "writer/wire.h"

/* Bytes before a sample's value (tag, length, tag), of the value, of the tag of its time. */
enum { TIP_SAMPLE_HEAD = 3, TIP_VALUE_LEN = 8, TIP_TIME_TAG = 1 };

/* Where the next element goes, and the copy that may still grow. */
struct tip {
    uint8_t *at;
    uint32_t distance;
    uint32_t copied; /* 0: there is none */
};

/* Bytes of a series before the refs, and from there on. */
struct tip_lengths {
    uint32_t head;
    uint32_t rest;
};

static inline uint32_t tip_size(uint32_t number)
{
    return number < 0x80 ? 1 : number < 0x4000 ? 2 : (uint32_t)wire_varint_size(number);
}

static inline struct tip_lengths tip_lengths(uint32_t refs, uint32_t ms_size, uint32_t metadata)
{
    uint32_t rest = refs + TIP_SAMPLE_HEAD + TIP_VALUE_LEN + TIP_TIME_TAG + ms_size + metadata;
    uint32_t labels_head = 1 + tip_size(refs);
    return (struct tip_lengths){1 + tip_size(labels_head + rest) + labels_head, rest};
}

static inline uint8_t *tip_put_copy(uint8_t *at, uint32_t distance, uint32_t len)
{
    for (; len > 64; len -= 64)
        at = elements_wide_copy(at, distance, 64);
    return len - 4 < 8 ? elements_near_copy(at, distance, len)
                       : elements_wide_copy(at, distance, len);
}

static inline void tip_close(struct tip *tip)
{
    if (tip->copied > 0)
        tip->at = tip_put_copy(tip->at, tip->distance, tip->copied);
    tip->copied = 0;
}

/* Copies of the same distance become one. */
static inline void tip_copy(struct tip *tip, uint32_t distance, uint32_t len)
{
    if (tip->distance != distance) {
        tip_close(tip);
        tip->distance = distance;
    }
    tip->copied += len;
}

/* No more than 60 bytes behind which ELEMENTS_SLACK more can be read, or any. */
static inline void tip_short_literal(struct tip *tip, const uint8_t *bytes, uint32_t len)
{
    tip_close(tip);
    *tip->at = (uint8_t)((len - 1) << 2);
    if (len <= 8)
        memcpy(tip->at + 1, bytes, 8);
    else
        memcpy(tip->at + 1, bytes, len);
    tip->at += 1 + len;
}

static inline void tip_literal(struct tip *tip, const uint8_t *bytes, uint32_t len)
{
    tip_close(tip);
    memcpy(tip->at + 1, bytes, len);
    if (len > 60)
        tip->at += 1 + len + elements_long_literal(tip->at + 1, len);
    else
        *tip->at = (uint8_t)((len - 1) << 2), tip->at += 1 + len;
}

/* Bytes of a value that are the same as those of another one, at its start and at its end; by what
   the two differ in, which is something. */
static inline uint32_t tip_same_start(uint64_t difference)
{
    return (uint32_t)__builtin_ctzll(difference) / 8;
}

static inline uint32_t tip_same_end(uint64_t difference)
{
    return (uint32_t)__builtin_clzll(difference) / 8;
}

/* The bytes in between, as a literal. */
static inline uint8_t *tip_put_value(uint8_t *at, uint64_t bits, uint64_t difference)
{
    uint32_t start = tip_same_start(difference);
    uint32_t len = TIP_VALUE_LEN - start - tip_same_end(difference);
    uint64_t bytes = htole64(bits >> (8 * start));
    *at = (uint8_t)((len - 1) << 2);
    memcpy(at + 1, &bytes, sizeof bytes);
    return at + 1 + len;
}

/* The value, of which what is the same as in that of so many bytes back is copied. */
static inline void tip_value(struct tip *tip, uint32_t distance, uint64_t bits, uint64_t old)
{
    uint64_t difference = bits ^ old;
    if (difference == 0) {
        tip_copy(tip, distance, TIP_VALUE_LEN);
        return;
    }
    tip_copy(tip, distance, tip_same_start(difference));
    tip_close(tip);
    tip->at = tip_put_value(tip->at, bits, difference);
    tip->copied = tip_same_end(difference);
}

#endif
