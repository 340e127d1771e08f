/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of fast.h share: fast.c knows targets, blocks and places, fast_series.c writes. */
#ifndef WRITER_FAST_PRIVATE_H
#define WRITER_FAST_PRIVATE_H

#include "writer/fast.h"
#include "writer/wire.h"

/* A line without a place in the message. */
#define FAST_NO_START UINT32_MAX

/* What lies further back is not looked at: every copy is from less than 65536 bytes back. */
#define FAST_OLD_DISTANCE_MAX (65535u - FAST_WIRE_MAX)

/* "sample" tag, length, "double" tag. */
#define FAST_SAMPLE_HEAD 3u
#define FAST_VALUE_LEN   8u

static inline bool fast_is_at(const struct fast_place *old, uint32_t line, uint32_t ref)
{
    return line >= old->first && line < old->last && old->lines.refs[line] == ref &&
           old->lines.starts[line] != FAST_NO_START;
}

/* Writes what is left of the series before. */
static inline void fast_write_tail(const struct fast_previous *previous, struct elements *elements)
{
    if (previous->tail_len == 0)
        return;
    if (previous->tail_distance > 0) {
        elements_copy(elements, previous->tail_distance, previous->tail_len);
        return;
    }
    uint8_t *bytes = elements_literal(elements, 1 + previous->ms_size);
    bytes[0] = WIRE_V1_SAMPLE_MS;
    (void)wire_put_varint(bytes + 1, (uint64_t)previous->ms);
}

/*
 * Writes samples [at, to) of the block as far as each follows the one before as usual, and at most
 * to the end of a segment; returns how many. Limits as in fast_add.
 */
uint32_t fast_play(struct fast *fast, struct elements *elements, uint32_t at, uint32_t to,
                   size_t raw_max, size_t raw_room);

#endif
