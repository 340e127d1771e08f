/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "scrapers/column.h"

#include <string.h>

static struct slice bytes_of(const struct column *column, uint32_t i)
{
    if (column->kind == SHM_BLOCK_HISTOGRAMS)
        return harvest_histogram(column->harvest, column->bits[i]);
    const struct exemplars *exemplars = &column->harvest->exemplars;
    const struct exemplar *exemplar = &exemplars->items[column->bits[i]];
    return slice_make(exemplars->bytes + exemplar->start, exemplar->len);
}

/* How many entries from `first` on go into the next block, and the bytes of their items. */
static uint32_t block_count(const struct column *column, uint32_t first, uint32_t *ret_bytes)
{
    uint32_t left = column->count - first;
    uint32_t most = left < SHM_BLOCK_SAMPLES ? left : SHM_BLOCK_SAMPLES;
    uint32_t bytes = 0;
    uint32_t count = 0;
    *ret_bytes = 0;
    if (column->harvest == NULL)
        return most;
    while (count < most && bytes < COLUMN_BLOCK_BYTES)
        bytes += (uint32_t)bytes_of(column, first + count++).len;
    *ret_bytes = bytes;
    return count;
}

static void put_items(const struct column *column, uint32_t first, uint32_t count,
                      const struct block_columns *to)
{
    uint32_t end = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct slice bytes = bytes_of(column, first + i);
        memcpy(to->bytes + end, bytes.ptr, bytes.len);
        end += (uint32_t)bytes.len;
        to->ends[i] = end;
    }
}

/* The values; an exemplar's stands in the harvest. */
static void put_bits(const struct column *column, uint32_t first, uint32_t count, uint64_t *to)
{
    if (column->kind != SHM_BLOCK_EXEMPLARS) {
        memcpy(to, column->bits + first, count * sizeof(*to));
        return;
    }
    for (uint32_t i = 0; i < count; i++)
        to[i] = column->harvest->exemplars.items[column->bits[first + i]].bits;
}

static int put_block(struct ring_producer *ring, struct shm_block *head,
                     const struct column *column, uint32_t first, uint32_t count, uint32_t bytes)
{
    struct block_columns to;
    head->count = count;
    head->first_line = column->layout != 0 ? column->first_line + first : 0;
    int err = block_reserve_bytes(ring, head, bytes, &to);
    if (err != 0)
        return err;
    if (to.refs != NULL)
        memcpy(to.refs, column->lines + first, count * sizeof(*to.refs));
    if (to.bits != NULL)
        put_bits(column, first, count, to.bits);
    if (to.timestamps != NULL)
        memcpy(to.timestamps, column->times + first, count * sizeof(*to.timestamps));
    if (to.starts != NULL)
        memcpy(to.starts, column->starts + first, count * sizeof(*to.starts));
    if (to.ends != NULL)
        put_items(column, first, count, &to);
    return 0;
}

int column_put(struct ring_producer *ring, const struct series_store *store,
               const struct shm_block *common, const struct column *column)
{
    if (column->count == 0)
        return 0;
    struct shm_block head = *common;
    head.kind = column->kind;
    head.flags = (uint16_t)(head.flags | column->flags);
    if (column->layout != 0) {
        head.flags |= SHM_BLOCK_HAS_LAYOUT;
        head.layout_ref = column->layout;
        head.layout_generation = series_generation(store, column->layout);
    }
    if (column->times != NULL)
        head.flags |= SHM_BLOCK_HAS_TIMESTAMPS;
    if (column->starts != NULL)
        head.flags |= SHM_BLOCK_HAS_STARTS;
    for (uint32_t first = 0; first < column->count;) {
        uint32_t bytes;
        uint32_t count = block_count(column, first, &bytes);
        int err = put_block(ring, &head, column, first, count, bytes);
        if (err != 0)
            return err;
        first += count;
    }
    return 0;
}

uint64_t column_bytes(uint16_t kind, uint16_t flags, uint32_t count)
{
    uint32_t whole = count / SHM_BLOCK_SAMPLES;
    uint32_t rest = count % SHM_BLOCK_SAMPLES;
    uint64_t bytes = rest == 0 ? 0 : block_length(kind, flags, rest);
    return whole == 0 ? bytes : bytes + whole * block_length(kind, flags, SHM_BLOCK_SAMPLES);
}
