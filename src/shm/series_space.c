/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Space of the series segment: a bump pointer, free lists by size class, and the queue of records
 * that wait for the ring to pass. Sizes are rounded up to their class when a record is made, so a
 * freed one fits the next of its class and nothing is ever split or merged.
 */
#include "shm/series_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/crashpoint.h"
#include "shm/series_index.h"

#define EXACT_UNITS 64u /* sizes up to here have a class each; above, eight for each doubling */
#define PREPARE_MAX (512u << 10) /* bytes a call of series_prepare_layout */
#define RECLAIM_MAX 16384u       /* records, and lines of records, in one call */
#define MAX_UNITS   (1u << 25)   /* half a GiB: the classes reach so far */

static uint32_t class_of(uint32_t units, uint32_t *ret_rounded)
{
    if (units <= EXACT_UNITS) {
        *ret_rounded = units;
        return units;
    }
    uint32_t shift = 31u - (uint32_t)__builtin_clz(units) - 3u;
    uint32_t step = ((units - 1) >> shift) + 1;
    *ret_rounded = step << shift;
    uint32_t class = EXACT_UNITS + shift * 8u + (step - 8u);
    check(class < SERIES_SIZE_CLASSES);
    return class;
}

bool series_size_valid(uint32_t units)
{
    uint32_t rounded;
    if (units < 2 || units > MAX_UNITS)
        return false;
    class_of(units, &rounded);
    return rounded == units;
}

uint32_t series_next_ref(const struct series_store *store, uint32_t ref)
{
    return ref + record_at(store, ref)->units;
}

static int take_memory(struct series_store *store, uint64_t to)
{
    while (store->taken < to) {
        uint64_t from = SHM_SERIES_ARENA + store->taken;
        int err = segment_reserve(store->segment.fd, from, from + SHM_PIECE);
        if (err != 0)
            return err;
        store->taken += SHM_PIECE;
    }
    return 0;
}

static int extend(struct series_store *store, uint32_t units, uint32_t *ret_ref)
{
    uint64_t size = (uint64_t)units * SHM_SERIES_UNIT;
    if (size > store->arena_size - store->used)
        return -ENOSPC;
    int err = take_memory(store, store->used + size);
    if (err != 0)
        return err;
    *ret_ref = (uint32_t)(store->used / SHM_SERIES_UNIT) + 1;
    struct shm_record *record = record_at(store, *ret_ref);
    /*
     * Where damage or a cut has swept records away, others follow: the generation starts at another
     * number each time, so that nothing that speaks of the former ones takes these for them.
     */
    *record = (struct shm_record){.units = units,
                                  .kind = SHM_RECORD_FREE,
                                  .generation = (uint32_t)(store->ring->written / RING_ALIGN)};
    store->used += size;
    /* release; pairs with the loads of readers and of recovery: the record has a size now */
    atomic_store_explicit(&store->head->used, store->used, memory_order_release);
    CRASHPOINT("series.extended");
    return 0;
}

bool series_prepare_layout(struct series_store *store, uint32_t count)
{
    uint64_t bytes = sizeof(struct shm_record) + (uint64_t)count * sizeof(uint32_t);
    uint64_t wanted = (bytes + SHM_SERIES_UNIT - 1) / SHM_SERIES_UNIT;
    uint32_t units;
    if (wanted > MAX_UNITS || store->free_lists[class_of((uint32_t)wanted, &units)] != 0)
        return true;
    uint64_t end = store->used + (uint64_t)units * SHM_SERIES_UNIT;
    uint64_t to = end < store->taken + PREPARE_MAX ? end : store->taken + PREPARE_MAX;
    return end > store->arena_size || take_memory(store, to) != 0 || to == end;
}

int series_allocate(struct series_store *store, size_t bytes, uint32_t count, uint32_t *ret_ref)
{
    uint64_t wanted = (sizeof(struct shm_record) + bytes + SHM_SERIES_UNIT - 1) / SHM_SERIES_UNIT;
    if (wanted > MAX_UNITS)
        return -ENOSPC;
    uint32_t units;
    uint32_t class = class_of((uint32_t)wanted, &units);
    uint32_t ref = store->free_lists[class];
    if (ref != 0) {
        memcpy(&store->free_lists[class], record_body(record_at(store, ref)), sizeof(uint32_t));
    } else {
        int err = extend(store, units, &ref);
        if (err != 0)
            return err;
    }
    struct shm_record *record = record_at(store, ref);
    check(record->kind == SHM_RECORD_FREE && record->units == units);
    record->generation = record->generation == UINT32_MAX ? 1 : record->generation + 1;
    record->flags = 0;
    record->count = count;
    record->references = 0;
    *ret_ref = ref;
    return 0;
}

void series_complete(struct series_store *store, uint32_t ref, uint16_t kind)
{
    struct shm_record *record = record_at(store, ref);
    check(record->kind == SHM_RECORD_FREE);
    CRASHPOINT("series.record_written");
    series_in_order();
    record->kind = kind;
    series_in_order();
}

void series_free(struct series_store *store, uint32_t ref)
{
    struct shm_record *record = record_at(store, ref);
    uint32_t rounded;
    uint32_t class = class_of(record->units, &rounded);
    check(record->references == 0);
    record->kind = SHM_RECORD_FREE;
    series_in_order();
    record->flags = 0;
    memcpy(record_body(record), &store->free_lists[class], sizeof(uint32_t));
    store->free_lists[class] = ref;
}

static void queue_grow(struct series_store *store)
{
    size_t room = store->pending_room == 0 ? 64 : store->pending_room * 2;
    struct series_pending *queue = malloc(room * sizeof(*queue));
    check(queue != NULL);
    for (size_t i = 0; i < store->pending_count; i++)
        queue[i] = store->pending[(store->pending_first + i) % store->pending_room];
    free(store->pending);
    store->pending = queue;
    store->pending_room = room;
    store->pending_first = 0;
}

void series_retire(struct series_store *store, uint32_t ref)
{
    struct shm_record *record = record_at(store, ref);
    check(record->references == 0);
    if ((record->flags & RECORD_PENDING) != 0) {
        record->flags |= RECORD_AGAIN;
        return;
    }
    record->flags |= RECORD_PENDING;
    if (store->pending_count == store->pending_room)
        queue_grow(store);
    size_t last = (store->pending_first + store->pending_count) % store->pending_room;
    store->pending[last] = (struct series_pending){0, ref};
    store->pending_count++;
}

/* The record is needed by nobody and nothing in the ring speaks of it. */
static void let_go(struct series_store *store, uint32_t ref)
{
    struct shm_record *record = record_at(store, ref);
    struct series_index *index = series_index_of(store, record->kind);
    if (index != NULL && record->kind != SHM_RECORD_TARGET)
        series_index_remove(index, record->hash, ref);
    if (record->kind == SHM_RECORD_LAYOUT || record->kind == SHM_RECORD_STAMPED)
        store->releasing = ref; /* nobody finds it any more; its lines go one by one */
    else
        series_free(store, ref);
}

/* Lines of the record that is let go. */
static void release_lines(struct series_store *store, uint32_t *budget)
{
    struct shm_record *record = record_at(store, store->releasing);
    const uint32_t *lines = series_lines_of(record);
    for (; store->released<record->count && * budget> 0; --*budget)
        series_release(store, lines[store->released++]);
    if (store->released < record->count)
        return;
    uint32_t ref = store->releasing;
    store->releasing = store->released = 0;
    series_free(store, ref);
}

/* The first of the queue has had its time. */
static void take_first(struct series_store *store)
{
    uint32_t ref = store->pending[store->pending_first].ref;
    struct shm_record *record = record_at(store, ref);
    store->pending_first = (store->pending_first + 1) % store->pending_room;
    store->pending_count--;
    store->pending_dated--;
    bool again = (record->flags & RECORD_AGAIN) != 0;
    record->flags &= (uint16_t) ~(RECORD_PENDING | RECORD_AGAIN);
    if (record->references > 0)
        return;
    if (again)
        series_retire(store, ref);
    else
        let_go(store, ref);
}

void series_reclaim(struct series_store *store)
{
    /*
     * What was retired since the last time may be spoken of by any block written until now,
     * published or not, and by none after: the retiring came after the writing.
     */
    while (store->pending_dated < store->pending_count) {
        size_t at = (store->pending_first + store->pending_dated) % store->pending_room;
        store->pending[at].pos = ring_written(store->ring);
        store->pending_dated++;
    }
    uint64_t acked = ring_acked(store->ring);
    uint32_t budget = RECLAIM_MAX;
    while (budget > 0) {
        if (store->releasing != 0) {
            release_lines(store, &budget);
        } else if (store->pending_dated > 0 && store->pending[store->pending_first].pos <= acked) {
            take_first(store);
            budget--;
        } else {
            break;
        }
    }
}
