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
    size_t end;
};

static struct column_offsets columns_of(uint16_t kind, uint16_t flags, uint32_t count)
{
    struct column_offsets at = {.end = sizeof(struct shm_block)};
    if (kind == SHM_BLOCK_SKIP)
        return at;
    if ((flags & SHM_BLOCK_HAS_LAYOUT) == 0) {
        at.refs = at.end;
        at.end = align_up(at.end + count * sizeof(uint32_t), 8);
    }
    if (kind != SHM_BLOCK_STALE) {
        at.bits = at.end;
        at.end += count * sizeof(uint64_t);
    }
    if ((flags & SHM_BLOCK_HAS_TIMESTAMPS) != 0) {
        at.timestamps = at.end;
        at.end += count * sizeof(int64_t);
    }
    return at;
}

size_t block_length(uint16_t kind, uint16_t flags, uint32_t count)
{
    return align_up(columns_of(kind, flags, count).end, RING_ALIGN);
}

int block_reserve(struct ring_producer *ring, const struct shm_block *head,
                  struct block_columns *ret_columns)
{
    check(head->count >= 1 && head->count <= SHM_BLOCK_SAMPLES);
    check(head->kind == SHM_BLOCK_SAMPLES_KIND || head->kind == SHM_BLOCK_STALE);
    struct column_offsets at = columns_of(head->kind, head->flags, head->count);
    size_t length = align_up(at.end, RING_ALIGN);
    void *room;
    int err = ring_reserve(ring, length, &room);
    if (err != 0)
        return err;
    uint8_t *bytes = room;
    struct shm_block *block = room;
    *block = *head;
    block->magic = SHM_BLOCK_MAGIC;
    block->length = (uint32_t)length;
    /* The padding shows nothing of an earlier lap. */
    memset(bytes + at.end, 0, length - at.end);
    ret_columns->refs = at.refs != 0 ? (uint32_t *)(void *)(bytes + at.refs) : NULL;
    ret_columns->bits = at.bits != 0 ? (uint64_t *)(void *)(bytes + at.bits) : NULL;
    ret_columns->timestamps =
        at.timestamps != 0 ? (int64_t *)(void *)(bytes + at.timestamps) : NULL;
    return 0;
}

static bool head_fits(const struct shm_block *head)
{
    if (head->magic != SHM_BLOCK_MAGIC)
        return false;
    if (head->kind != SHM_BLOCK_SAMPLES_KIND && head->kind != SHM_BLOCK_STALE)
        return head->kind == SHM_BLOCK_SKIP && head->length % RING_ALIGN == 0 &&
               head->length >= sizeof(*head);
    if (head->count == 0 || head->count > SHM_BLOCK_SAMPLES)
        return false;
    return head->length == block_length(head->kind, head->flags, head->count);
}

int block_read(const struct ring_consumer *ring, uint64_t pos, uint64_t end,
               struct block_view *ret_view)
{
    if (pos % RING_ALIGN != 0 || end - pos > ring->size || end - pos < sizeof(struct shm_block))
        return ERR_CORRUPT;
    const uint8_t *bytes = ring_consumer_at(ring, pos);
    struct block_view view = {.pos = pos};
    memcpy(&view.head, bytes, sizeof(view.head));
    if (!head_fits(&view.head) || view.head.length > end - pos)
        return ERR_CORRUPT;
    struct column_offsets at = columns_of(view.head.kind, view.head.flags, view.head.count);
    if (at.refs != 0)
        view.refs = (const uint32_t *)(const void *)(bytes + at.refs);
    if (at.bits != 0)
        view.bits = (const uint64_t *)(const void *)(bytes + at.bits);
    if (at.timestamps != 0)
        view.timestamps = (const int64_t *)(const void *)(bytes + at.timestamps);
    view.next_pos = pos + view.head.length;
    *ret_view = view;
    return 0;
}
