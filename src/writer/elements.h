/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A snappy block, written element by element by somebody who knows what repeats: literals, and
 * copies of what lies so many bytes back (the format: google/snappy, format_description.txt).
 * Copies from the same distance that follow each other become one. Nothing is searched.
 */
#ifndef WRITER_ELEMENTS_H
#define WRITER_ELEMENTS_H

#include <endian.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/slice.h"

/* The length of the whole, which stands first and is known last. */
#define ELEMENTS_HEAD 5u

/* So many bytes behind the last one may be written to. */
#define ELEMENTS_SLACK 32u

struct elements {
    /* All private but raw. */
    uint8_t *start;
    uint8_t *at;
    uint8_t *literal;  /* an open literal's bytes; NULL: none is open */
    uint32_t distance; /* of a copy that may still grow */
    uint32_t copied;   /* its length; 0: there is none */
    size_t raw;        /* bytes that the elements stand for */
};

/* `bytes` must have room for what follows, and ELEMENTS_SLACK. */
void elements_start(struct elements *elements, uint8_t *bytes);

/* Makes room for the length of a literal of more than 60 bytes, in so many bytes. */
size_t elements_long_literal(uint8_t *bytes, size_t len);

/* A copy of any length from 65536 or more bytes back; returns its end. */
uint8_t *elements_far_copy(uint8_t *at, uint32_t distance, uint32_t len);

static inline void elements_close_literal(struct elements *elements)
{
    size_t len = (size_t)(elements->at - elements->literal);
    if (len > 60)
        elements->at += elements_long_literal(elements->literal, len);
    else
        elements->literal[-1] = (uint8_t)((len - 1) << 2);
    elements->literal = NULL;
}

/* A copy of 1 to 64 bytes from less than 65536 back, in three bytes. */
static inline uint8_t *elements_long_copy(uint8_t *at, uint32_t distance, uint32_t len)
{
    uint32_t bytes = htole32(distance << 8 | (len - 1) << 2 | 2);
    memcpy(at, &bytes, sizeof bytes);
    return at + 3;
}

/* The same; of two kinds the shorter one that fits. */
static inline uint8_t *elements_near_copy(uint8_t *at, uint32_t distance, uint32_t len)
{
    bool is_short = len - 4 < 8 && distance < 2048;
    uint32_t two = (distance & 0xff) << 8 | distance >> 8 << 5 | (len - 4) << 2 | 1;
    uint32_t three = distance << 8 | (len - 1) << 2 | 2;
    uint32_t bytes = htole32(is_short ? two : three);
    memcpy(at, &bytes, sizeof bytes); /* what is too much is overwritten */
    return at + (is_short ? 2 : 3);
}

/* The same in three bytes; from at least ELEMENTS_WIDE bytes back there is no other kind. */
#define ELEMENTS_WIDE 2048u
static inline uint8_t *elements_wide_copy(uint8_t *at, uint32_t distance, uint32_t len)
{
    uint32_t bytes = htole32(distance << 8 | (len - 1) << 2 | 2);
    memcpy(at, &bytes, sizeof bytes);
    return at + 3;
}

static inline void elements_close_copy(struct elements *elements)
{
    uint32_t distance = elements->distance;
    uint32_t len = elements->copied;
    uint8_t *at = elements->at;
    if (distance >= 65536) {
        elements->at = elements_far_copy(at, distance, len);
    } else {
        for (; len > 64; len -= 64)
            at = elements_near_copy(at, distance, 64);
        elements->at = elements_near_copy(at, distance, len);
    }
    elements->copied = 0;
}

/* Leaves nothing open: `at` is where the next element goes. */
static inline void elements_settle(struct elements *elements)
{
    if (elements->literal != NULL)
        elements_close_literal(elements);
    if (elements->copied > 0)
        elements_close_copy(elements);
}

/* Opens a literal if none is; the result is where `len` bytes of it go. */
static inline uint8_t *elements_literal(struct elements *elements, size_t len)
{
    if (elements->literal == NULL) {
        if (elements->copied > 0)
            elements_close_copy(elements);
        elements->literal = ++elements->at; /* behind its tag */
    }
    uint8_t *bytes = elements->at;
    elements->at += len;
    elements->raw += len;
    return bytes;
}

static inline void elements_put(struct elements *elements, const void *bytes, size_t len)
{
    memcpy(elements_literal(elements, len), bytes, len);
}

/* The same for bytes behind which ELEMENTS_SLACK more can be read. */
static inline void elements_put_short(struct elements *elements, const uint8_t *bytes, size_t len)
{
    uint8_t *to = elements_literal(elements, len);
    if (len <= ELEMENTS_SLACK)
        memcpy(to, bytes, ELEMENTS_SLACK);
    else
        memcpy(to, bytes, len);
}

/* The next `len` bytes are those `distance` bytes back; both at least 1, distance <= raw. */
static inline void elements_copy(struct elements *elements, size_t distance, size_t len)
{
    if (elements->literal != NULL)
        elements_close_literal(elements);
    else if (elements->copied > 0 && elements->distance != distance)
        elements_close_copy(elements);
    elements->distance = (uint32_t)distance;
    elements->copied += (uint32_t)len;
    elements->raw += len;
}

/* Appends the elements of a finished block, which stand for `raw` bytes of their own. */
void elements_append(struct elements *elements, struct slice block, size_t raw);

/* The finished block. */
struct slice elements_finish(struct elements *elements);

/* The same behind the elements of a finished block, for which there is room before `bytes`. */
struct slice elements_finish_behind(struct elements *elements, struct slice block, size_t raw);

#endif
