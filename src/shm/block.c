/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "shm/block.h"

#include <string.h>

static size_t align_up(size_t bytes, size_t to)
{
    return (bytes + to - 1) / to * to;
}

/* Where each column starts, from the start of the block; 0 = the block has not that column. */
struct column_offsets {
    size_t refs;
    size_t bits;
    size_t timestamps;
    size_t starts;
    size_t ends;
    size_t bytes;
    size_t end; /* of all columns; the bytes of the items follow */
};

static bool has_bits(uint16_t kind)
{
    return kind == SHM_BLOCK_SAMPLES_KIND || kind == SHM_BLOCK_EXEMPLARS;
}

static bool has_bytes(uint16_t kind)
{
    return kind == SHM_BLOCK_HISTOGRAMS || kind == SHM_BLOCK_EXEMPLARS;
}

static bool has_items(uint16_t kind)
{
    return has_bits(kind) || has_bytes(kind) || kind == SHM_BLOCK_STALE ||
           kind == SHM_BLOCK_TAKEOVER;
}

/* The next column, of `bytes` bytes. */
static size_t add_column(struct column_offsets *at, size_t bytes)
{
    size_t start = at->end;
    at->end = align_up(start + bytes, 8);
    return start;
}

static struct column_offsets columns_of(uint16_t kind, uint16_t flags, uint32_t count)
{
    struct column_offsets at = {.end = sizeof(struct shm_block)};
    if (kind == SHM_BLOCK_SKIP)
        return at;
    if (kind == SHM_BLOCK_TAKEOVER) {
        at.bits = add_column(&at, count * sizeof(uint64_t));
        return at;
    }
    if ((flags & SHM_BLOCK_HAS_LAYOUT) == 0)
        at.refs = add_column(&at, count * sizeof(uint32_t));
    if (has_bits(kind))
        at.bits = add_column(&at, count * sizeof(uint64_t));
    if ((flags & SHM_BLOCK_HAS_TIMESTAMPS) != 0)
        at.timestamps = add_column(&at, count * sizeof(int64_t));
    if ((flags & SHM_BLOCK_HAS_STARTS) != 0)
        at.starts = add_column(&at, count * sizeof(int64_t));
    if (has_bytes(kind)) {
        at.ends = add_column(&at, count * sizeof(uint32_t));
        at.bytes = at.end;
    }
    return at;
}

size_t block_length_bytes(uint16_t kind, uint16_t flags, uint32_t count, uint32_t bytes)
{
    return align_up(columns_of(kind, flags, count).end + bytes, RING_ALIGN);
}

size_t block_length(uint16_t kind, uint16_t flags, uint32_t count)
{
    return block_length_bytes(kind, flags, count, 0);
}

static void *column_at(uint8_t *block, size_t offset)
{
    return offset != 0 ? block + offset : NULL;
}

int block_reserve_bytes(struct ring_producer *ring, const struct shm_block *head, uint32_t bytes,
                        struct block_columns *ret_columns)
{
    check(head->count >= 1 && head->count <= SHM_BLOCK_SAMPLES);
    check(has_items(head->kind) && bytes <= BLOCK_BYTES_MAX);
    check(bytes == 0 || has_bytes(head->kind));
    struct column_offsets at = columns_of(head->kind, head->flags, head->count);
    size_t length = align_up(at.end + bytes, RING_ALIGN);
    void *room;
    int err = ring_reserve(ring, length, &room);
    if (err != 0)
        return err;
    uint8_t *start = room;
    struct shm_block *block = room;
    *block = *head;
    block->magic = SHM_BLOCK_MAGIC;
    block->length = (uint32_t)length;
    /* The padding shows nothing of an earlier lap. */
    memset(start + at.end, 0, length - at.end);
    *ret_columns = (struct block_columns){
        column_at(start, at.refs),   column_at(start, at.bits), column_at(start, at.timestamps),
        column_at(start, at.starts), column_at(start, at.ends), column_at(start, at.bytes)};
    return 0;
}

int block_reserve(struct ring_producer *ring, const struct shm_block *head,
                  struct block_columns *ret_columns)
{
    return block_reserve_bytes(ring, head, 0, ret_columns);
}

/* How many bytes the items have; what is read there once is what counts from then on. */
static uint32_t items_length(const uint8_t *block, const struct shm_block *head, size_t ends)
{
    uint32_t length;
    memcpy(&length, block + ends + (head->count - 1) * sizeof(length), sizeof(length));
    return length;
}

/* Whether header and length fit each other; `block` has at least head->length bytes. */
static bool head_fits(const uint8_t *block, const struct shm_block *head, uint32_t *ret_bytes_len)
{
    *ret_bytes_len = 0;
    if (head->kind == SHM_BLOCK_SKIP)
        return head->length % RING_ALIGN == 0 && head->length >= sizeof(*head);
    if (!has_items(head->kind) || head->count == 0 || head->count > SHM_BLOCK_SAMPLES)
        return false;
    if (head->kind == SHM_BLOCK_TAKEOVER && (head->count != 1 || head->flags != 0))
        return false;
    struct column_offsets at = columns_of(head->kind, head->flags, head->count);
    if (at.end > head->length)
        return false;
    if (at.ends != 0)
        *ret_bytes_len = items_length(block, head, at.ends);
    return head->length == align_up(at.end + *ret_bytes_len, RING_ALIGN);
}

static const void *view_at(const uint8_t *block, size_t offset)
{
    return offset != 0 ? block + offset : NULL;
}

int block_read(const struct ring_consumer *ring, uint64_t pos, uint64_t end,
               struct block_view *ret_view)
{
    if (pos % RING_ALIGN != 0 || end - pos > ring->size || end - pos < sizeof(struct shm_block))
        return ERR_CORRUPT;
    const uint8_t *block = ring_consumer_at(ring, pos);
    struct block_view view = {.pos = pos};
    memcpy(&view.head, block, sizeof(view.head));
    if (view.head.magic != SHM_BLOCK_MAGIC || view.head.length > end - pos ||
        !head_fits(block, &view.head, &view.bytes_len))
        return ERR_CORRUPT;
    struct column_offsets at = columns_of(view.head.kind, view.head.flags, view.head.count);
    view.refs = view_at(block, at.refs);
    view.bits = view_at(block, at.bits);
    view.timestamps = view_at(block, at.timestamps);
    view.starts = view_at(block, at.starts);
    view.ends = view_at(block, at.ends);
    view.bytes = view_at(block, at.bytes);
    view.next_pos = pos + view.head.length;
    *ret_view = view;
    return 0;
}

bool block_bytes(const struct block_view *view, uint32_t i, struct slice *ret_bytes)
{
    if (view->ends == NULL || i >= view->head.count)
        return false;
    uint32_t start = 0;
    uint32_t end;
    if (i > 0)
        memcpy(&start, &view->ends[i - 1], sizeof(start));
    memcpy(&end, &view->ends[i], sizeof(end));
    if (start > end || end > view->bytes_len)
        return false;
    *ret_bytes = slice_make(view->bytes + start, end - start);
    return true;
}

bool block_has_samples(uint16_t kind)
{
    return kind != SHM_BLOCK_SKIP && kind != SHM_BLOCK_TAKEOVER;
}
