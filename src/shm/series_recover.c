/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Recovery of the series store, the same for a first start, a restart and a roll. What lies in the
 * segment was written by a process that may have died anywhere, so nothing in it is believed that
 * is not checked: a record is kept when a TARGET's valid state or a block that is not acknowledged
 * leads to it, and all else is free space.
 */
#include "shm/series_private.h"

#include <string.h>

#include "shm/block.h"
#include "shm/series_index.h"

static size_t body_room(const struct shm_record *record)
{
    return (size_t)record->units * SHM_SERIES_UNIT - sizeof(*record);
}

/* Whether labels of this number lie within `room` bytes. */
static bool labels_fit(const uint8_t *at, size_t room, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        struct shm_label head;
        if (room < sizeof(head))
            return false;
        memcpy(&head, at, sizeof(head));
        size_t value_len = head.value_len == SHM_LABEL_HIDES ? 0 : head.value_len;
        size_t need = sizeof(head) + (size_t)head.name_len + value_len;
        if (need > room)
            return false;
        at += need;
        room -= need;
    }
    return true;
}

static bool content_fits(struct shm_record *record)
{
    size_t room = body_room(record);
    const uint8_t *body = record_body(record);
    switch (record->kind) {
    case SHM_RECORD_LINE:
        return labels_fit(body, room, record->count);
    case SHM_RECORD_LAYOUT:
        return record->count >= 1 && room / sizeof(uint32_t) >= record->count;
    case SHM_RECORD_STAMPED:
        return record->count >= 1 &&
               room / (sizeof(uint32_t) + sizeof(int64_t)) >= record->count;
    case SHM_RECORD_TARGET:
        return room >= sizeof(struct shm_target_body) &&
               labels_fit(body + sizeof(struct shm_target_body),
                          room - sizeof(struct shm_target_body), record->count);
    default:
        return false;
    }
}

/* Walks all records; one that cannot be is where the walk, and the segment's content, ends. */
static void check_records(struct series_store *store)
{
    uint64_t at = 0;
    while (at < store->used) {
        struct shm_record *record = record_at(store, (uint32_t)(at / SHM_SERIES_UNIT) + 1);
        uint64_t size = (uint64_t)record->units * SHM_SERIES_UNIT;
        if (!series_size_valid(record->units) || size > store->used - at) {
            store->damaged++;
            break;
        }
        record->references = 0;
        record->flags &= RECORD_DROPPED;
        if (record->kind != SHM_RECORD_FREE && !content_fits(record)) {
            /* Death while the space was being filled: nothing leads here. */
            record->kind = SHM_RECORD_FREE;
        }
        at += size;
    }
    store->used = at;
    atomic_store_explicit(&store->head->used, at, memory_order_release);
}

/*
 * The record a ref found in the segment or the ring leads to. Space is never split or merged, so a
 * ref that was once given out always points at the start of a record; whether it still is the one
 * that was meant is told by kind and generation.
 */
static struct shm_record *lookup(const struct series_store *store, uint32_t ref, uint16_t kind,
                                 uint32_t generation)
{
    if (ref == 0 || (uint64_t)(ref - 1) * SHM_SERIES_UNIT + 2 * SHM_SERIES_UNIT > store->used)
        return NULL;
    struct shm_record *record = record_at(store, ref);
    bool fits = record->kind == kind && (generation == 0 || record->generation == generation) &&
                record->units >= 2 &&
                (uint64_t)record->units * SHM_SERIES_UNIT <=
                    store->used - (uint64_t)(ref - 1) * SHM_SERIES_UNIT;
    return fits ? record : NULL;
}

/* A state whose publish never came is void; so is what it cannot refer to any more. */
static void recover_state(struct series_store *store, struct shm_target_body *body)
{
    struct shm_target_state *valid = series_valid_state(store, body);
    for (int i = 0; i < 2; i++) {
        if (&body->state[i] != valid)
            atomic_store_explicit(&body->state[i].pos, 0, memory_order_relaxed);
    }
    if (valid == NULL)
        return;
    struct shm_record *layout =
        lookup(store, valid->layout_ref, SHM_RECORD_LAYOUT, valid->layout_generation);
    struct shm_record *stamped =
        lookup(store, valid->stamped_ref, SHM_RECORD_STAMPED, valid->stamped_generation);
    if (layout == NULL)
        valid->layout_ref = 0;
    else
        layout->references++;
    if (stamped == NULL)
        valid->stamped_ref = 0;
    else
        stamped->references++;
}

static void mark(struct shm_record *record)
{
    if (record != NULL)
        record->flags |= RECORD_IN_RING;
}

static void mark_block(struct series_store *store, const struct block_view *view)
{
    mark(lookup(store, view->head.target_ref, SHM_RECORD_TARGET, view->head.target_generation));
    if ((view->head.flags & SHM_BLOCK_HAS_LAYOUT) != 0)
        mark(lookup(store, view->head.layout_ref, SHM_RECORD_LAYOUT, view->head.layout_generation));
    for (uint32_t i = 0; view->refs != NULL && i < view->head.count; i++)
        mark(lookup(store, view->refs[i], SHM_RECORD_LINE, 0));
}

static void mark_ring(struct series_store *store, const struct ring_consumer *ring)
{
    uint64_t end = store->ring->published;
    struct block_view view;
    for (uint64_t pos = ring_consumer_acked(ring); pos < end; pos = view.next_pos) {
        if (block_read(ring, pos, end, &view) != 0) {
            store->damaged++;
            break;
        }
        if (view.head.kind != SHM_BLOCK_SKIP)
            mark_block(store, &view);
    }
}

/* Calls visit for each record in use of one of the kinds. */
static void each_record(struct series_store *store, uint32_t kinds,
                        void (*visit)(struct series_store *, uint32_t ref, struct shm_record *))
{
    uint32_t end = (uint32_t)(store->used / SHM_SERIES_UNIT) + 1;
    for (uint32_t ref = 1; ref < end; ref = series_next_ref(store, ref)) {
        struct shm_record *record = record_at(store, ref);
        if ((kinds & (1u << record->kind)) != 0)
            visit(store, ref, record);
    }
}

static void visit_target(struct series_store *store, uint32_t ref, struct shm_record *record)
{
    (void)ref;
    if ((record->flags & RECORD_DROPPED) == 0)
        recover_state(store, record_body(record));
}

static bool is_kept(const struct shm_record *record)
{
    return record->references > 0 || (record->flags & RECORD_IN_RING) != 0;
}

/* A layout that stays holds its lines; one whose lines do not exist is damaged and goes. */
static void visit_layout(struct series_store *store, uint32_t ref, struct shm_record *record)
{
    (void)ref;
    if (!is_kept(record))
        return;
    const uint32_t *lines = series_lines_of(record);
    for (uint32_t i = 0; i < record->count; i++) {
        struct shm_record *line = lookup(store, lines[i], SHM_RECORD_LINE, 0);
        if (line == NULL) {
            store->damaged++;
            record->count = i;
            break;
        }
        line->references++;
    }
}

static void keep_or_free(struct series_store *store, uint32_t ref, struct shm_record *record)
{
    struct series_index *index = series_index_of(store, record->kind);
    bool is_target = record->kind == SHM_RECORD_TARGET;
    bool dropped = (record->flags & RECORD_DROPPED) != 0;
    bool stays = is_kept(record) || (is_target && !dropped);
    if (record->kind == SHM_RECORD_FREE || !stays) {
        record->references = 0;
        series_free(store, ref);
        return;
    }
    record->flags &= RECORD_DROPPED;
    if (index != NULL && !dropped)
        series_index_add(index, record->hash, ref);
    if (record->references == 0 && (!is_target || dropped))
        series_retire(store, ref);
}

void series_recover(struct series_store *store, const struct ring_consumer *ring)
{
    const uint32_t sequences = 1u << SHM_RECORD_LAYOUT | 1u << SHM_RECORD_STAMPED;
    store->used = atomic_load_explicit(&store->head->used, memory_order_acquire);
    if (store->used > store->arena_size || store->used % SHM_SERIES_UNIT != 0) {
        store->damaged++;
        store->used = 0;
    }
    check_records(store);
    each_record(store, 1u << SHM_RECORD_TARGET, visit_target);
    mark_ring(store, ring);
    each_record(store, sequences, visit_layout);
    each_record(store, UINT32_MAX, keep_or_free);
    store->taken = (store->used + SHM_PIECE - 1) / SHM_PIECE * SHM_PIECE;
}
