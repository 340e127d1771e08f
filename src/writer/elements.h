/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A snappy block, written element by element by somebody who knows what repeats: literals, and
 * copies of what lies so many bytes back (the format: google/snappy, format_description.txt).
 * Copies from the same distance that follow each other become one. Nothing is searched.
 */
#ifndef WRITER_ELEMENTS_H
#define WRITER_ELEMENTS_H

#include <stdint.h>
#include <string.h>

#include "base/slice.h"

/* The length of the whole, which stands first and is known last. */
#define ELEMENTS_HEAD 5u

/* So many bytes an element may take besides the bytes it stands for; a copy takes 5 at most. */
#define ELEMENTS_SPARE 8u

struct elements {
    /* All private but raw. */
    uint8_t *start;
    uint8_t *at;
    uint8_t *literal;  /* an open literal's bytes; NULL: none is open */
    uint32_t distance; /* of a copy that may still grow */
    uint32_t copied;   /* its length; 0: there is none */
    size_t raw;        /* bytes that the elements stand for */
};

/* `bytes` must have room for what follows. */
void elements_start(struct elements *elements, uint8_t *bytes);

void elements_close_literal(struct elements *elements);
void elements_close_copy(struct elements *elements);

/* Leaves nothing open: `at` is where the next element goes. */
static inline void elements_settle(struct elements *elements)
{
    if (elements->literal != NULL)
        elements_close_literal(elements);
    if (elements->copied > 0)
        elements_close_copy(elements);
}

/* Opens a literal if none is; *ret is where `len` bytes of it go. */
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

/* The next `len` bytes are those `distance` bytes back; both at least 1, distance <= raw. */
static inline void elements_copy(struct elements *elements, size_t distance, size_t len)
{
    if (elements->literal != NULL)
        elements_close_literal(elements);
    if (elements->copied > 0 && elements->distance != distance)
        elements_close_copy(elements);
    elements->distance = (uint32_t)distance;
    elements->copied += (uint32_t)len;
    elements->raw += len;
}

/* Appends the elements of a finished block, which stand for `raw` bytes of their own. */
void elements_append(struct elements *elements, struct slice block, size_t raw);

/* The finished block. */
struct slice elements_finish(struct elements *elements);

#endif
