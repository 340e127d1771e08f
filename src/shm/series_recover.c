/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Recovery of the series store, the same for a first start, a restart and a roll. What lies in the
 * segment was written by a process that may have died anywhere, so nothing in it is believed that
 * is not checked: a record is kept when a TARGET's valid state or a block that is not acknowledged
 * leads to it, and all else is free space.
 */
#include "shm/series_private.h"

#include <stdlib.h>
#include <string.h>

#include "shm/block.h"
#include "shm/series_index.h"

static size_t body_room(const struct shm_record *record)
{
    return (size_t)record->units * SHM_SERIES_UNIT - sizeof(*record);
}

/* Bytes of this number of labels, or SIZE_MAX when they do not lie within `room`. */
static size_t labels_length(const uint8_t *at, size_t room, uint32_t count)
{
    const uint8_t *next = at;
    struct label label;
    uint32_t name;
    for (uint32_t i = 0; i < count; i++) {
        if (!label_bytes_get_name(&next, at + room, &name) &&
            !label_bytes_get(&next, at + room, &label))
            return SIZE_MAX;
    }
    return (size_t)(next - at);
}

static bool line_fits(const struct series_store *store, struct shm_record *record, size_t room)
{
    const uint8_t *body = record_body(record);
    size_t len = labels_length(body, room, record->count);
    return len != SIZE_MAX && record->hash == series_content_hash(store, body, len, record->count);
}

static bool layout_fits(const struct series_store *store, struct shm_record *record, size_t room)
{
    size_t len = (size_t)record->count * sizeof(uint32_t);
    return len >= 1 && len <= room &&
           record->hash == series_content_hash(store, record_body(record), len, record->count);
}

static bool target_fits(const struct series_store *store, struct shm_record *record, size_t room)
{
    const struct shm_target_body *body = record_body(record);
    return room >= sizeof(*body) && record->hash == series_target_hash(store, body->target_id) &&
           labels_length((const uint8_t *)(body + 1), room - sizeof(*body), record->count) !=
               SIZE_MAX;
}

static bool metadata_fits(const struct series_store *store, struct shm_record *record, size_t room)
{
    const uint8_t *body = record_body(record);
    size_t len = families_stored_length(body, room, record->count);
    return record->count >= 1 && len != SIZE_MAX &&
           record->hash == series_content_hash(store, body, len, record->count);
}

static bool name_fits(const struct series_store *store, struct shm_record *record, size_t room)
{
    return record->count >= 1 && record->count <= room &&
           record->hash ==
               series_content_hash(store, record_body(record), record->count, record->count);
}

static bool stamped_fits(const struct shm_record *record, size_t room)
{
    const size_t head = sizeof(struct shm_stamped_body);
    return record->count >= 1 && room >= head && (room - head) / sizeof(int64_t) >= record->count;
}

static bool content_fits(const struct series_store *store, struct shm_record *record)
{
    size_t room = body_room(record);
    switch (record->kind) {
    case SHM_RECORD_LINE:
        return line_fits(store, record, room);
    case SHM_RECORD_LAYOUT:
        return layout_fits(store, record, room);
    case SHM_RECORD_STAMPED:
        return stamped_fits(record, room);
    case SHM_RECORD_TARGET:
        return target_fits(store, record, room);
    case SHM_RECORD_METADATA:
        return metadata_fits(store, record, room);
    case SHM_RECORD_NAME:
        return name_fits(store, record, room);
    default:
        return false;
    }
}

/* What is known while the store is recovered. */
struct recovery {
    struct series_store *store;
    uint8_t *starts; /* a bit for each unit: a record starts there */
};

/* Walks all records; one that cannot be is where the walk, and the segment's content, ends. */
static void check_records(struct recovery *recovery)
{
    struct series_store *store = recovery->store;
    uint32_t end = series_end_ref(store);
    uint32_t ref = 1;
    while (ref < end) {
        struct shm_record *record = record_at(store, ref);
        bool is_hole = record->kind == SHM_RECORD_FREE && (record->flags & RECORD_HOLE) != 0 &&
                       record->units >= SERIES_UNITS_MIN;
        if ((!is_hole && !series_size_valid(record->units)) || record->units > end - ref) {
            store->damaged++;
            break;
        }
        record->references = 0;
        record->flags &= is_hole ? RECORD_HOLE : RECORD_DROPPED;
        if (record->kind != SHM_RECORD_FREE && !content_fits(store, record)) {
            store->damaged++;
            record->kind = SHM_RECORD_FREE;
        }
        recovery->starts[(ref - 1) / 8] |= (uint8_t)(1u << ((ref - 1) % 8));
        ref += record->units;
    }
    store->used = (uint64_t)(ref - 1) * SHM_SERIES_UNIT;
}

/*
 * The record a ref found in the segment or the ring leads to; NULL when it leads nowhere. Whether
 * it is the one that was meant is told by kind and generation (0: any).
 */
static struct shm_record *lookup(const struct recovery *recovery, uint32_t ref, uint16_t kind,
                                 uint32_t generation)
{
    if (ref == 0 || ref >= series_end_ref(recovery->store))
        return NULL;
    if ((recovery->starts[(ref - 1) / 8] >> ((ref - 1) % 8) & 1) == 0)
        return NULL;
    struct shm_record *record = record_at(recovery->store, ref);
    bool fits = record->kind == kind && (generation == 0 || record->generation == generation);
    return fits ? record : NULL;
}

/* Calls visit for each record of one of the kinds. */
static void each_record(struct recovery *recovery, uint32_t kinds,
                        void (*visit)(struct recovery *, uint32_t ref, struct shm_record *))
{
    uint32_t end = series_end_ref(recovery->store);
    for (uint32_t ref = 1; ref < end; ref = series_next_ref(recovery->store, ref)) {
        struct shm_record *record = record_at(recovery->store, ref);
        if ((kinds >> record->kind & 1) != 0)
            visit(recovery, ref, record);
    }
}

/* The name of a line is there. */
static void check_name(struct recovery *recovery, uint32_t ref, struct shm_record *record)
{
    uint32_t name = series_name_of(record);
    (void)ref;
    if (name == 0 || lookup(recovery, name, SHM_RECORD_NAME, 0) != NULL)
        return;
    recovery->store->damaged++;
    record->kind = SHM_RECORD_FREE;
}

/* A layout of lines that are not there is damaged, whether it is needed or not. */
static void check_layout(struct recovery *recovery, uint32_t ref, struct shm_record *record)
{
    (void)ref;
    const uint32_t *lines = record_body(record);
    for (uint32_t i = 0; i < record->count; i++) {
        if (lookup(recovery, lines[i], SHM_RECORD_LINE, 0) == NULL) {
            recovery->store->damaged++;
            record->kind = SHM_RECORD_FREE;
            return;
        }
    }
}

/* The LAYOUT of a STAMPED record; NULL: there is none with as many lines. */
static struct shm_record *layout_of(const struct recovery *recovery, struct shm_record *stamped)
{
    const struct shm_stamped_body *body = record_body(stamped);
    struct shm_record *layout =
        lookup(recovery, body->layout_ref, SHM_RECORD_LAYOUT, body->layout_generation);
    return layout != NULL && layout->count == stamped->count ? layout : NULL;
}

static void check_stamped(struct recovery *recovery, uint32_t ref, struct shm_record *record)
{
    (void)ref;
    if (layout_of(recovery, record) != NULL)
        return;
    recovery->store->damaged++;
    record->kind = SHM_RECORD_FREE;
}

/* One more reference to what a state speaks of. 0: there is no such record. */
static uint32_t refer(struct recovery *recovery, uint32_t ref, uint16_t kind, uint32_t generation)
{
    struct shm_record *record = lookup(recovery, ref, kind, generation);
    if (record == NULL) {
        recovery->store->damaged += ref != 0;
        return 0;
    }
    record->references++;
    return ref;
}

/* A state whose publish never came is void; so is what it cannot refer to any more. */
static void recover_state(struct recovery *recovery, uint32_t ref, struct shm_record *record)
{
    (void)ref;
    if ((record->flags & RECORD_DROPPED) != 0)
        return;
    struct shm_target_body *body = record_body(record);
    struct shm_target_state *valid = series_valid_state(recovery->store, body);
    for (int i = 0; i < 2; i++) {
        if (&body->state[i] != valid)
            atomic_store_explicit(&body->state[i].pos, 0, memory_order_relaxed);
    }
    if (valid == NULL)
        return;
    valid->layout_ref =
        refer(recovery, valid->layout_ref, SHM_RECORD_LAYOUT, valid->layout_generation);
    valid->stamped_ref =
        refer(recovery, valid->stamped_ref, SHM_RECORD_STAMPED, valid->stamped_generation);
    valid->metadata_ref =
        refer(recovery, valid->metadata_ref, SHM_RECORD_METADATA, valid->metadata_generation);
}

static void mark(struct recovery *recovery, uint32_t ref, uint16_t kind, uint32_t generation)
{
    struct shm_record *record = lookup(recovery, ref, kind, generation);
    if (record != NULL)
        record->flags |= RECORD_IN_RING;
    else
        recovery->store->damaged++;
}

static void mark_block(struct recovery *recovery, const struct block_view *view)
{
    const struct shm_block *head = &view->head;
    mark(recovery, head->target_ref, SHM_RECORD_TARGET, head->target_generation);
    if ((head->flags & SHM_BLOCK_HAS_LAYOUT) != 0)
        mark(recovery, head->layout_ref, SHM_RECORD_LAYOUT, head->layout_generation);
    if (head->metadata_ref != 0)
        mark(recovery, head->metadata_ref, SHM_RECORD_METADATA, head->metadata_generation);
    for (uint32_t i = 0; view->refs != NULL && i < head->count; i++)
        mark(recovery, view->refs[i], SHM_RECORD_LINE, 0);
}

static void mark_ring(struct recovery *recovery, const struct ring_consumer *ring)
{
    uint64_t end = recovery->store->ring->published;
    struct block_view view;
    for (uint64_t pos = ring_consumer_acked(ring); pos < end; pos = view.next_pos) {
        if (block_read(ring, pos, end, &view) != 0) {
            recovery->store->damaged++;
            break;
        }
        if (view.head.kind != SHM_BLOCK_SKIP)
            mark_block(recovery, &view);
    }
}

static bool is_needed(const struct shm_record *record)
{
    bool is_target = record->kind == SHM_RECORD_TARGET && (record->flags & RECORD_DROPPED) == 0;
    return record->references > 0 || (record->flags & RECORD_IN_RING) != 0 || is_target;
}

/* Times that stay hold the layout of their lines. */
static void hold_layout(struct recovery *recovery, uint32_t ref, struct shm_record *record)
{
    (void)ref;
    if (is_needed(record))
        layout_of(recovery, record)->references++;
}

/* A layout that stays holds its lines. */
static void hold_lines(struct recovery *recovery, uint32_t ref, struct shm_record *record)
{
    (void)ref;
    const uint32_t *lines = record_body(record);
    for (uint32_t i = 0; is_needed(record) && i < record->count; i++)
        record_at(recovery->store, lines[i])->references++;
}

/* And a line its name. */
static void hold_name(struct recovery *recovery, uint32_t ref, struct shm_record *record)
{
    uint32_t name = is_needed(record) ? series_name_of(record) : 0;
    (void)ref;
    if (name != 0)
        record_at(recovery->store, name)->references++;
}

/* What lies behind the last record that is needed goes back to the system. */
static void cut(struct series_store *store)
{
    uint32_t end = series_end_ref(store);
    uint32_t needed = 1;
    for (uint32_t ref = 1; ref < end; ref = series_next_ref(store, ref)) {
        const struct shm_record *record = record_at(store, ref);
        if (record->kind != SHM_RECORD_FREE && is_needed(record))
            needed = ref + record->units;
    }
    store->used = (uint64_t)(needed - 1) * SHM_SERIES_UNIT;
    store->taken = (store->used + SHM_PIECE - 1) / SHM_PIECE * SHM_PIECE;
    atomic_store_explicit(&store->head->used, store->used, memory_order_release);
    segment_release(store->segment.fd, SHM_SERIES_ARENA + store->taken,
                    SHM_SERIES_ARENA + store->arena_size);
}

static void keep_or_free(struct recovery *recovery, uint32_t ref, struct shm_record *record)
{
    struct series_store *store = recovery->store;
    struct series_index *index = series_index_of(store, record->kind);
    bool dropped = (record->flags & RECORD_DROPPED) != 0;
    if (record->kind == SHM_RECORD_FREE || !is_needed(record)) {
        record->references = 0;
        series_free(store, ref);
        return;
    }
    record->flags &= RECORD_DROPPED;
    if (index != NULL && !dropped)
        series_index_add(store, index, ref);
    if (record->references == 0 && (record->kind != SHM_RECORD_TARGET || dropped))
        series_retire(store, ref);
}

void series_recover(struct series_store *store, const struct ring_consumer *ring)
{
    const uint32_t lines = 1u << SHM_RECORD_LINE;
    const uint32_t targets = 1u << SHM_RECORD_TARGET;
    const uint32_t layouts = 1u << SHM_RECORD_LAYOUT;
    const uint32_t stamped = 1u << SHM_RECORD_STAMPED;
    store->used = atomic_load_explicit(&store->head->used, memory_order_acquire);
    if (store->used > store->arena_size || store->used % SHM_SERIES_UNIT != 0) {
        store->damaged++;
        store->used = 0;
    }
    struct recovery recovery = {store, calloc(store->used / SHM_SERIES_UNIT / 8 + 1, 1)};
    check(recovery.starts != NULL);
    check_records(&recovery);
    each_record(&recovery, lines, check_name);
    each_record(&recovery, layouts, check_layout);
    each_record(&recovery, stamped, check_stamped);
    each_record(&recovery, targets, recover_state);
    mark_ring(&recovery, ring);
    each_record(&recovery, stamped, hold_layout);
    each_record(&recovery, layouts, hold_lines);
    each_record(&recovery, lines, hold_name);
    cut(store);
    each_record(&recovery, UINT32_MAX, keep_or_free);
    uint32_t budget = UINT32_MAX;
    series_sweep(store, &budget);
    series_empty_holes(store);
    free(recovery.starts);
}
