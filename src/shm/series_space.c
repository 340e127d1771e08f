/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Space of the series segment: free lists by size class, holes, a bump pointer, and the queue of
 * records that wait for the ring to pass. Sizes are rounded up to their class when a record is
 * made, so a freed one fits the next of its class. When much is free, what lies together is joined
 * to holes, whose memory goes back, and from which records are carved. The hole that is carved from
 * has some memory in advance, at most a piece. It keeps that when it is joined with others, being
 * the next to be carved from, and until its turn comes again when a sweep puts new holes before it:
 * that is a piece a sweep, which comes when that much at least was freed.
 */
#include "shm/series_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/crashpoint.h"
#include "shm/series_index.h"

#define EXACT_UNITS 128u /* sizes up to here have a class each; above, eight for each doubling */
#define PREPARE_MAX (512u << 10) /* bytes a call of series_prepare_layout */
#define RECLAIM_MAX 4096u      /* records, and lines of records, in one call: about a millisecond */
#define MAX_UNITS   (1u << 26) /* half a GiB: the classes reach so far */
#define HOLE_MIN    (2u * SHM_PAGE) /* bytes: there is a whole page in it */
#define HOLES_TRIED 16
#define CARVE_MAX   (SHM_PIECE / SHM_SERIES_UNIT) /* what is larger comes at the end */

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
    if (units < SERIES_UNITS_MIN || units > MAX_UNITS)
        return false;
    class_of(units, &rounded);
    return rounded == units;
}

uint32_t series_next_ref(const struct series_store *store, uint32_t ref)
{
    return ref + record_at(store, ref)->units;
}

uint32_t series_end_ref(const struct series_store *store)
{
    return (uint32_t)(store->used / SHM_SERIES_UNIT) + 1;
}

static int take_memory(struct series_store *store, uint64_t to)
{
    while (store->taken < to) {
        uint64_t from = SHM_SERIES_ARENA + store->taken;
        int err = segment_reserve(store->segment.fd, from, from + SHM_PIECE);
        if (err != 0)
            return err;
        segment_touch(store->arena + store->taken, SHM_PIECE);
        store->taken += SHM_PIECE;
    }
    return 0;
}

/* ---- free space ---- */

/* Body of free space: its neighbours in the list. */
struct links {
    uint32_t next;
    uint32_t before;
};

static struct links *links_of(const struct series_store *store, uint32_t ref)
{
    return record_body(record_at(store, ref));
}

static uint64_t bytes_of(uint32_t units)
{
    return (uint64_t)units * SHM_SERIES_UNIT;
}

static uint32_t *list_of(struct series_store *store, const struct shm_record *record)
{
    uint32_t rounded;
    if ((record->flags & RECORD_HOLE) != 0)
        return &store->holes;
    return &store->free_lists[class_of(record->units, &rounded)];
}

static void count_free(struct series_store *store, const struct shm_record *record, bool comes)
{
    uint64_t *bytes = (record->flags & RECORD_HOLE) != 0 ? &store->hole_bytes : &store->free_bytes;
    *bytes = comes ? *bytes + bytes_of(record->units) : *bytes - bytes_of(record->units);
}

static void link_free(struct series_store *store, uint32_t ref)
{
    struct shm_record *record = record_at(store, ref);
    uint32_t *list = list_of(store, record);
    *links_of(store, ref) = (struct links){.next = *list};
    if (*list != 0)
        links_of(store, *list)->before = ref;
    *list = ref;
    count_free(store, record, true);
}

static void unlink_free(struct series_store *store, uint32_t ref)
{
    struct shm_record *record = record_at(store, ref);
    const struct links *links = links_of(store, ref);
    if (links->before != 0)
        links_of(store, links->before)->next = links->next;
    else
        *list_of(store, record) = links->next;
    if (links->next != 0)
        links_of(store, links->next)->before = links->before;
    count_free(store, record, false);
}

/*
 * Where damage, a cut or a hole has swept records away, others follow: the generation starts at
 * another number each time, so that nothing that speaks of the former ones takes these for them.
 */
static struct shm_record new_space(const struct series_store *store, uint32_t units)
{
    return (struct shm_record){.units = units,
                               .kind = SHM_RECORD_FREE,
                               .generation = (uint32_t)(store->ring->written / RING_ALIGN)};
}

static int extend(struct series_store *store, uint32_t units, uint32_t *ret_ref)
{
    uint64_t size = bytes_of(units);
    if (size > store->arena_size - store->used)
        return -ENOSPC;
    int err = take_memory(store, store->used + size);
    if (err != 0)
        return err;
    *ret_ref = (uint32_t)(store->used / SHM_SERIES_UNIT) + 1;
    *record_at(store, *ret_ref) = new_space(store, units);
    store->used += size;
    /* release; pairs with the loads of readers and of recovery: the record has a size now */
    atomic_store_explicit(&store->head->used, store->used, memory_order_release);
    CRASHPOINT("series.extended");
    return 0;
}

/* ---- holes ---- */

/* A hole that has room for so many units and, if not all of it goes, for what remains; or 0. */
static uint32_t find_hole(const struct series_store *store, uint32_t units)
{
    uint32_t ref = store->holes;
    for (int tries = 0; ref != 0 && tries < HOLES_TRIED; tries++) {
        uint32_t has = record_at(store, ref)->units;
        if (has == units || (has > units && has - units >= SERIES_UNITS_MIN))
            return ref;
        ref = links_of(store, ref)->next;
    }
    return 0;
}

/* Takes memory for the hole's bytes before `end`, counted from its start, some of it in advance. */
static int fill_hole(struct series_store *store, uint32_t ref, uint64_t end)
{
    uint64_t start = SHM_SERIES_ARENA + bytes_of(ref - 1);
    uint64_t last = start + bytes_of(record_at(store, ref)->units);
    if (store->filling != ref) {
        store->filling = ref;
        store->filled = start;
    }
    if (store->filled >= start + end)
        return 0;
    uint64_t to = start + end + SHM_PIECE < last ? start + end + SHM_PIECE : last;
    int err = segment_reserve(store->segment.fd, store->filled, to);
    if (err == 0)
        store->filled = to;
    return err;
}

/* The first part of a hole. What remains of it is a record before the part has become one. */
static int carve(struct series_store *store, uint32_t ref, uint32_t units)
{
    struct shm_record *record = record_at(store, ref);
    uint32_t left = record->units - units;
    uint64_t header = sizeof(struct shm_record) + sizeof(struct links);
    int err = fill_hole(store, ref, bytes_of(units) + (left == 0 ? 0 : header));
    if (err != 0)
        return err;
    unlink_free(store, ref);
    store->filling = 0;
    if (left == 0)
        return 0;
    uint32_t rest = ref + units;
    *record_at(store, rest) = new_space(store, left);
    record_at(store, rest)->flags = RECORD_HOLE;
    series_in_order();
    CRASHPOINT("series.hole_split");
    record->units = units;
    series_in_order();
    link_free(store, rest);
    store->filling = rest; /* up to the same place */
    return 0;
}

/* The bytes of [from, to) of the arena, but for what stands on a page with something else. */
static void punch(const struct series_store *store, uint64_t from, uint64_t to)
{
    segment_release(store->segment.fd, SHM_SERIES_ARENA + from, SHM_SERIES_ARENA + to);
}

/* Nothing that is needed lies behind `end` any more. */
static void cut(struct series_store *store, uint32_t end)
{
    store->used = bytes_of(end - 1);
    store->taken = (store->used + SHM_PIECE - 1) / SHM_PIECE * SHM_PIECE;
    /* release; as in extend() */
    atomic_store_explicit(&store->head->used, store->used, memory_order_release);
    CRASHPOINT("series.cut");
    punch(store, store->taken, store->arena_size);
}

/* Records from `first` up to `end` are free space: makes one hole of them. */
static void merge(struct series_store *store, uint32_t first, uint32_t end)
{
    struct shm_record *record = record_at(store, first);
    /* The page on which the part begins that was no hole before has memory still. */
    uint32_t was_hole = (record->flags & RECORD_HOLE) != 0 ? record->units : 0;
    uint64_t from = bytes_of(first - 1 + was_hole) / SHM_PAGE * SHM_PAGE;
    uint64_t least = bytes_of(first - 1) + sizeof(*record) + sizeof(struct links);
    if (was_hole == end - first)
        return;
    for (uint32_t ref = first; ref < end; ref = series_next_ref(store, ref)) {
        unlink_free(store, ref);
        if (ref == store->filling)
            store->filling = 0;
    }
    /* Before any record is gone; pairs with series_peer_each. */
    uint64_t merges = atomic_load_explicit(&store->head->merges, memory_order_relaxed);
    atomic_store_explicit(&store->head->merges, merges + 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
    if (end == series_end_ref(store)) {
        cut(store, first);
        return;
    }
    record->flags = RECORD_HOLE;
    series_in_order();
    record->units = end - first;
    series_in_order();
    CRASHPOINT("series.merged");
    link_free(store, first);
    punch(store, from > least ? from : least, bytes_of(end - 1));
}

void series_empty_holes(const struct series_store *store)
{
    for (uint32_t ref = store->holes; ref != 0; ref = links_of(store, ref)->next) {
        uint64_t start = bytes_of(ref - 1);
        punch(store, start + sizeof(struct shm_record) + sizeof(struct links),
              start + bytes_of(record_at(store, ref)->units));
    }
}

void series_sweep(struct series_store *store, uint32_t *budget)
{
    uint32_t end = series_end_ref(store);
    uint32_t ref = store->sweep == 0 ? 1 : store->sweep;
    while (ref<end && * budget> 0) {
        uint32_t next = ref;
        for (; next<end && * budget> 0 && record_at(store, next)->kind == SHM_RECORD_FREE;
             --*budget)
            next = series_next_ref(store, next);
        if (next == ref) {
            ref = series_next_ref(store, ref);
            --*budget;
            continue;
        }
        bool is_whole = next == end || record_at(store, next)->kind != SHM_RECORD_FREE;
        if (bytes_of(next - ref) >= HOLE_MIN || (is_whole && next == end))
            merge(store, ref, next);
        end = series_end_ref(store);
        ref = is_whole ? next : ref;
    }
    store->sweep = ref < end ? ref : 0;
    if (store->sweep == 0)
        store->sweep_at =
            store->free_bytes + (store->used / 8 > SHM_PIECE ? store->used / 8 : SHM_PIECE);
}

/* ---- records ---- */

bool series_prepare_layout(struct series_store *store, uint32_t count)
{
    uint64_t bytes = sizeof(struct shm_record) + (uint64_t)count * sizeof(uint32_t);
    uint64_t wanted = (bytes + SHM_SERIES_UNIT - 1) / SHM_SERIES_UNIT;
    uint32_t units;
    if (wanted > MAX_UNITS || store->free_lists[class_of((uint32_t)wanted, &units)] != 0)
        return true;
    uint64_t end = store->used + bytes_of(units);
    uint64_t to = end < store->taken + PREPARE_MAX ? end : store->taken + PREPARE_MAX;
    return end > store->arena_size || take_memory(store, to) != 0 || to == end;
}

int series_allocate(struct series_store *store, size_t bytes, uint32_t count, uint32_t *ret_ref)
{
    uint64_t wanted = (sizeof(struct shm_record) + bytes + SHM_SERIES_UNIT - 1) / SHM_SERIES_UNIT;
    if (wanted > MAX_UNITS)
        return -ENOSPC;
    uint32_t units;
    uint32_t class =
        class_of(wanted < SERIES_UNITS_MIN ? SERIES_UNITS_MIN : (uint32_t)wanted, &units);
    uint32_t ref = store->free_lists[class];
    uint32_t hole = ref != 0 || units > CARVE_MAX ? 0 : find_hole(store, units);
    int err = 0;
    if (ref != 0)
        unlink_free(store, ref);
    else if (hole != 0)
        err = carve(store, ref = hole, units);
    else
        err = extend(store, units, &ref);
    if (err != 0)
        return err;
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
    check(record->references == 0);
    record->kind = SHM_RECORD_FREE;
    series_in_order();
    record->flags &= RECORD_HOLE;
    if (!series_size_valid(record->units))
        record->flags = RECORD_HOLE;
    link_free(store, ref);
}

/* ---- what waits for the ring ---- */

/* Records in the order in which they were retired. */
struct series_queue {
    struct series_queue *next;
    uint32_t count;
    uint32_t dated; /* so many have a position; the later ones get one next time */
    uint32_t taken;
    struct {
        uint64_t pos;
        uint32_t ref;
    } records[500];
};

void series_retire(struct series_store *store, uint32_t ref)
{
    struct shm_record *record = record_at(store, ref);
    check(record->references == 0);
    if ((record->flags & RECORD_PENDING) != 0) {
        record->flags |= RECORD_AGAIN;
        return;
    }
    record->flags |= RECORD_PENDING;
    struct series_queue *last = store->pending_last;
    if (last == NULL || last->count == sizeof(last->records) / sizeof(last->records[0])) {
        struct series_queue *more = malloc(sizeof(*more));
        check(more != NULL);
        more->next = NULL;
        more->count = more->dated = more->taken = 0;
        if (last == NULL)
            store->pending = store->pending_undated = more;
        else
            last->next = more;
        store->pending_last = last = more;
    }
    last->records[last->count++].ref = ref;
}

/*
 * What was retired since the last time may be spoken of by any block written until now, published
 * or not, and by none after: the retiring came after the writing.
 */
static void date_pending(struct series_store *store)
{
    for (struct series_queue *part = store->pending_undated; part != NULL; part = part->next) {
        for (; part->dated < part->count; part->dated++)
            part->records[part->dated].pos = ring_written(store->ring);
        store->pending_undated = part;
    }
}

/* The first record, if the ring has passed it; or 0. */
static uint32_t take_passed(struct series_store *store, uint64_t acked)
{
    struct series_queue *part = store->pending;
    if (part == NULL || part->taken == part->dated || part->records[part->taken].pos > acked)
        return 0;
    uint32_t ref = part->records[part->taken++].ref;
    if (part->taken < part->count)
        return ref;
    store->pending = part->next;
    if (store->pending == NULL)
        store->pending_last = NULL;
    if (store->pending_undated == part)
        store->pending_undated = part->next;
    free(part);
    return ref;
}

void series_queue_fini(struct series_store *store)
{
    while (store->pending != NULL) {
        struct series_queue *part = store->pending;
        store->pending = part->next;
        free(part);
    }
}

/* The record is needed by nobody and nothing in the ring speaks of it. */
static void let_go(struct series_store *store, uint32_t ref)
{
    struct shm_record *record = record_at(store, ref);
    struct series_index *index = series_index_of(store, record->kind);
    if (index != NULL && record->kind != SHM_RECORD_TARGET)
        series_index_remove(store, index, ref);
    if (record->kind == SHM_RECORD_LAYOUT) {
        store->releasing = ref; /* nobody finds it any more; its lines go one by one */
        return;
    }
    uint32_t held = 0;
    if (record->kind == SHM_RECORD_LINE)
        held = series_name_of(record);
    else if (record->kind == SHM_RECORD_STAMPED)
        held = series_stamped_layout(store, ref);
    series_free(store, ref);
    series_release_optional(store, held);
}

/* Lines of the layout that is let go. */
static void release_lines(struct series_store *store, uint32_t *budget)
{
    struct shm_record *record = record_at(store, store->releasing);
    const uint32_t *lines = record_body(record);
    for (; store->released<record->count && * budget> 0; --*budget)
        series_release(store, lines[store->released++]);
    if (store->released < record->count)
        return;
    uint32_t ref = store->releasing;
    store->releasing = store->released = 0;
    series_free(store, ref);
}

/* The record has had its time. */
static void end_waiting(struct series_store *store, uint32_t ref)
{
    struct shm_record *record = record_at(store, ref);
    bool again = (record->flags & RECORD_AGAIN) != 0;
    record->flags &= (uint16_t) ~(RECORD_PENDING | RECORD_AGAIN);
    if (record->references > 0)
        return;
    if (again)
        series_retire(store, ref);
    else
        let_go(store, ref);
}

bool series_reclaim(struct series_store *store)
{
    uint64_t acked = ring_acked(store->ring);
    uint32_t budget = RECLAIM_MAX;
    uint32_t ref;
    date_pending(store);
    while (budget > 0) {
        if (store->releasing != 0) {
            release_lines(store, &budget);
        } else if ((ref = take_passed(store, acked)) != 0) {
            end_waiting(store, ref);
            budget--;
        } else {
            break;
        }
    }
    if (store->sweep != 0 || store->free_bytes >= store->sweep_at)
        series_sweep(store, &budget);
    return budget == 0;
}
