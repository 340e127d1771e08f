/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of fast.h share: fast.c knows targets, blocks and places, fast_series.c writes. */
#ifndef WRITER_FAST_PRIVATE_H
#define WRITER_FAST_PRIVATE_H

#include "writer/fast.h"

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

/*
 * Writes samples [at, to) of the block as far as each follows the one before as usual, and at most
 * to the end of a segment; returns how many. Limits as in fast_add.
 */
uint32_t fast_play(struct fast *fast, struct elements *elements, uint32_t at, uint32_t to,
                   size_t raw_max, size_t raw_room);

#endif
