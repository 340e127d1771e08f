/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "shm/series.h"

#include <stdlib.h>
#include <string.h>

#include "base/crashpoint.h"
#include "base/hash.h"
#include "shm/series_index.h"
#include "shm/series_private.h"
#include "shm/series_reader.h"

/* That of what lies there; where nothing does, a new one. */
static void take_seed(struct series_store *store)
{
    if (atomic_load_explicit(&store->head->used, memory_order_relaxed) == 0)
        store->head->seed = hash_seed_make();
    store->seed = store->head->seed;
}

int series_store_attach(struct series_store *store, int fd, uint32_t index,
                        struct ring_producer *ring, struct errctx *reterr)
{
    struct ring_consumer blocks;
    *store = (struct series_store){.ring = ring};
    int err = segment_map(&store->segment, fd, SHM_KIND_SERIES, index, true, reterr);
    if (err != 0)
        return err;
    err = ring_consumer_attach(&blocks, ring->fd, index, false, reterr);
    if (err != 0) {
        segment_unmap(&store->segment);
        return err;
    }
    store->head = (struct shm_series_head *)(void *)(store->segment.base + SHM_PAGE);
    store->arena = store->segment.base + SHM_SERIES_ARENA;
    store->arena_size = (store->segment.size - SHM_SERIES_ARENA) / SHM_PIECE * SHM_PIECE;
    take_seed(store);
    series_recover(store, &blocks);
    ring_consumer_detach(&blocks);
    return 0;
}

void series_store_detach(struct series_store *store)
{
    series_index_fini(&store->lines);
    series_index_fini(&store->layouts);
    series_index_fini(&store->targets);
    series_index_fini(&store->metadata);
    series_index_fini(&store->names);
    series_queue_fini(store);
    free(store->scratch);
    segment_unmap(&store->segment);
}

struct series_index *series_index_of(struct series_store *store, uint16_t kind)
{
    switch (kind) {
    case SHM_RECORD_LINE:
        return &store->lines;
    case SHM_RECORD_LAYOUT:
        return &store->layouts;
    case SHM_RECORD_TARGET:
        return &store->targets;
    case SHM_RECORD_METADATA:
        return &store->metadata;
    case SHM_RECORD_NAME:
        return &store->names;
    default:
        return NULL;
    }
}

int64_t *series_times_of(struct shm_record *record)
{
    struct shm_stamped_body *body = record_body(record);
    return (int64_t *)(void *)(body + 1);
}

/* ---- finding by content ---- */

struct content {
    const struct series_store *store;
    const void *bytes;
    size_t len;
    uint32_t count;
};

static bool same_content(const void *context, uint32_t ref)
{
    const struct content *wanted = context;
    struct shm_record *record = record_at(wanted->store, ref);
    size_t room = (size_t)record->units * SHM_SERIES_UNIT - sizeof(*record);
    return record->count == wanted->count && room >= wanted->len &&
           memcmp(record_body(record), wanted->bytes, wanted->len) == 0;
}

uint32_t series_content_hash(const struct series_store *store, const void *bytes, size_t len,
                             uint32_t count)
{
    return (uint32_t)hash64(bytes, len, store->seed + count);
}

static int intern(struct series_store *store, uint16_t kind, const void *bytes, size_t len,
                  uint32_t count, uint32_t *ret_ref, bool *ret_new)
{
    struct series_index *index = series_index_of(store, kind);
    uint32_t hash = series_content_hash(store, bytes, len, count);
    struct content wanted = {store, bytes, len, count};
    uint32_t ref = series_index_find(store, index, hash, same_content, &wanted);
    *ret_new = ref == 0;
    if (ref == 0) {
        int err = series_allocate(store, len, count, &ref);
        if (err != 0) {
            *ret_new = false;
            return err;
        }
        struct shm_record *record = record_at(store, ref);
        memcpy(record_body(record), bytes, len);
        record->hash = hash;
        series_complete(store, ref, kind);
        series_index_add(store, index, ref);
    }
    record_at(store, ref)->references++;
    *ret_ref = ref;
    return 0;
}

/* ---- lines, layouts, stamped ---- */

static uint8_t *scratch_of(struct series_store *store, size_t len)
{
    if (store->scratch_room < len) {
        size_t room = store->scratch_room == 0 ? 4096 : store->scratch_room;
        while (room < len)
            room *= 2;
        free(store->scratch);
        store->scratch = malloc(room);
        check(store->scratch != NULL);
        store->scratch_room = room;
    }
    return store->scratch;
}

static void check_order(const struct label *labels, uint32_t count)
{
    for (uint32_t i = 1; i < count; i++)
        check(slice_compare(labels[i - 1].name, labels[i].name) < 0);
}

static bool is_metric_name(const struct label *label)
{
    return label->value.len > 0 && slice_equal(label->name, slice_make("__name__", 8));
}

/* Bytes of a LINE in the scratch; `name`: of the label __name__, if it has one. */
static size_t put_line(struct series_store *store, const struct label *labels, uint32_t count,
                       uint32_t name)
{
    size_t most = label_bytes_length(labels, count) + LABEL_BYTES_NAME;
    uint8_t *start = scratch_of(store, most);
    uint8_t *at = start;
    for (uint32_t i = 0; i < count; i++)
        at = is_metric_name(&labels[i]) ? label_bytes_put_name(at, name)
                                        : label_bytes_put(at, &labels[i], 1);
    return (size_t)(at - start);
}

int series_line(struct series_store *store, const struct label *labels, uint32_t count,
                uint32_t *ret_ref)
{
    uint32_t name = 0;
    bool is_new = false;
    int err = 0;
    check_order(labels, count);
    for (uint32_t i = 0; err == 0 && i < count; i++) {
        struct slice value = labels[i].value;
        if (is_metric_name(&labels[i]))
            err = intern(store, SHM_RECORD_NAME, value.ptr, value.len, (uint32_t)value.len, &name,
                         &is_new);
    }
    if (err != 0)
        return err;
    size_t len = put_line(store, labels, count, name);
    err = intern(store, SHM_RECORD_LINE, store->scratch, len, count, ret_ref, &is_new);
    /* A new line has the reference. */
    if (name != 0 && !is_new)
        series_release(store, name);
    return err;
}

uint32_t series_name_of(struct shm_record *line)
{
    const uint8_t *at = record_body(line);
    const uint8_t *end = at + (size_t)line->units * SHM_SERIES_UNIT - sizeof(*line);
    struct label label;
    uint32_t ref;
    for (uint32_t i = 0; i < line->count; i++) {
        if (label_bytes_get_name(&at, end, &ref))
            return ref;
        if (!label_bytes_get(&at, end, &label))
            return 0;
    }
    return 0;
}

static void retain_lines(struct series_store *store, const uint32_t *lines, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        series_retain(store, lines[i]);
}

int series_layout_of_retained(struct series_store *store, const uint32_t *lines, uint32_t count,
                              uint32_t *ret_ref, bool *ret_is_new)
{
    check(count >= 1);
    *ret_is_new = false;
    return intern(store, SHM_RECORD_LAYOUT, lines, count * sizeof(*lines), count, ret_ref,
                  ret_is_new);
}

int series_layout(struct series_store *store, const uint32_t *lines, uint32_t count,
                  uint32_t *ret_ref)
{
    bool is_new;
    check(count >= 1);
    int err =
        intern(store, SHM_RECORD_LAYOUT, lines, count * sizeof(*lines), count, ret_ref, &is_new);
    if (err == 0 && is_new)
        retain_lines(store, lines, count);
    return err;
}

int series_stamped_of(struct series_store *store, uint32_t layout, const int64_t *timestamps_ms,
                      uint32_t *ret_ref)
{
    const uint32_t count = series_count(store, layout);
    const size_t size = count * sizeof(*timestamps_ms);
    int err = series_allocate(store, sizeof(struct shm_stamped_body) + size, count, ret_ref);
    if (err != 0)
        return err;
    struct shm_record *record = record_at(store, *ret_ref);
    struct shm_stamped_body *body = record_body(record);
    *body = (struct shm_stamped_body){layout, series_generation(store, layout)};
    memcpy(series_times_of(record), timestamps_ms, size);
    record->references = 1;
    series_complete(store, *ret_ref, SHM_RECORD_STAMPED);
    series_retain(store, layout);
    return 0;
}

int series_stamped(struct series_store *store, const uint32_t *lines, const int64_t *timestamps_ms,
                   uint32_t count, uint32_t *ret_ref)
{
    uint32_t layout;
    int err = series_layout(store, lines, count, &layout);
    if (err != 0)
        return err;
    err = series_stamped_of(store, layout, timestamps_ms, ret_ref);
    series_release(store, layout);
    return err;
}

int series_metadata(struct series_store *store, const struct family *families, uint32_t count,
                    uint32_t *ret_ref)
{
    check(count >= 1);
    size_t len = families_length(families, count);
    uint8_t *bytes = scratch_of(store, len);
    bool is_new;
    families_put(bytes, families, count);
    return intern(store, SHM_RECORD_METADATA, bytes, len, count, ret_ref, &is_new);
}

void series_retain(struct series_store *store, uint32_t ref)
{
    struct shm_record *record = record_at(store, ref);
    check(record->kind != SHM_RECORD_FREE && record->kind != SHM_RECORD_TARGET);
    record->references++;
}

void series_release(struct series_store *store, uint32_t ref)
{
    struct shm_record *record = record_at(store, ref);
    check(record->kind != SHM_RECORD_FREE && record->kind != SHM_RECORD_TARGET);
    check(record->references > 0);
    if (--record->references == 0)
        series_retire(store, ref);
}

/* ---- targets ---- */

uint32_t series_target_hash(const struct series_store *store, uint64_t target_id)
{
    return (uint32_t)hash64(&target_id, sizeof(target_id), store->seed);
}

static bool same_target(const void *context, uint32_t ref)
{
    const struct content *wanted = context;
    const struct shm_target_body *body = record_body(record_at(wanted->store, ref));
    return memcmp(&body->target_id, wanted->bytes, sizeof(body->target_id)) == 0;
}

uint32_t series_target_find(const struct series_store *store, uint64_t target_id)
{
    struct content wanted = {store, &target_id, sizeof(target_id), 0};
    return series_index_find(store, &store->targets, series_target_hash(store, target_id),
                             same_target, &wanted);
}

int series_target(struct series_store *store, uint64_t target_id, const struct label *labels,
                  uint32_t count, uint32_t *ret_ref)
{
    uint32_t hash = series_target_hash(store, target_id);
    *ret_ref = series_target_find(store, target_id);
    if (*ret_ref != 0)
        return 0;
    check_order(labels, count);
    size_t labels_len = label_bytes_length(labels, count);
    int err = series_allocate(store, sizeof(struct shm_target_body) + labels_len, count, ret_ref);
    if (err != 0)
        return err;
    struct shm_record *record = record_at(store, *ret_ref);
    struct shm_target_body *body = record_body(record);
    memset(body, 0, sizeof(*body));
    body->target_id = target_id;
    body->labels_len = (uint32_t)labels_len;
    label_bytes_put((uint8_t *)(body + 1), labels, count);
    record->hash = hash;
    series_complete(store, *ret_ref, SHM_RECORD_TARGET);
    series_index_add(store, &store->targets, *ret_ref);
    return 0;
}

static struct shm_target_body *target_body(const struct series_store *store, uint32_t ref)
{
    struct shm_record *record = record_at(store, ref);
    check(record->kind == SHM_RECORD_TARGET);
    return record_body(record);
}

void series_target_release(struct series_store *store, uint32_t ref, bool released)
{
    /* release; pairs with series_peer_target: the state and all it refers to stay as they are */
    atomic_store_explicit(&target_body(store, ref)->released, released, memory_order_release);
}

bool series_target_is_released(const struct series_store *store, uint32_t ref)
{
    /* relaxed: nobody else writes it */
    return atomic_load_explicit(&target_body(store, ref)->released, memory_order_relaxed) != 0;
}

/* relaxed: only the scraper itself looks, and after a restart it sees what memory holds */
static uint64_t state_pos(const struct shm_target_state *state)
{
    return atomic_load_explicit(&state->pos, memory_order_relaxed);
}

/* The copy whose position is the greatest of those published; NULL when there is none. */
struct shm_target_state *series_valid_state(const struct series_store *store,
                                            struct shm_target_body *body)
{
    struct shm_target_state *valid = NULL;
    for (int i = 0; i < 2; i++) {
        struct shm_target_state *state = &body->state[i];
        uint64_t pos = state_pos(state);
        if (pos != 0 && pos <= store->ring->published && (valid == NULL || pos > state_pos(valid)))
            valid = state;
    }
    return valid;
}

static void release_state(struct series_store *store, const struct shm_target_state *state)
{
    series_release_optional(store, state->layout_ref);
    series_release_optional(store, state->stamped_ref);
    series_release_optional(store, state->metadata_ref);
}

void series_target_drop(struct series_store *store, uint32_t ref)
{
    struct shm_record *record = record_at(store, ref);
    struct shm_target_body *body = target_body(store, ref);
    const struct shm_target_state *valid = series_valid_state(store, body);
    if (valid != NULL)
        release_state(store, valid);
    record->flags |= RECORD_DROPPED;
    series_index_remove(store, &store->targets, ref);
    series_retire(store, ref);
}

void series_targets_each(struct series_store *store,
                         void (*visit)(void *context, uint64_t target_id, uint32_t ref),
                         void *context)
{
    uint32_t end = series_end_ref(store);
    for (uint32_t ref = 1; ref < end; ref = series_next_ref(store, ref)) {
        const struct shm_record *record = record_at(store, ref);
        if (record->kind == SHM_RECORD_TARGET && (record->flags & RECORD_DROPPED) == 0)
            visit(context, target_body(store, ref)->target_id, ref);
    }
}

uint64_t series_target_id(const struct series_store *store, uint32_t ref)
{
    return target_body(store, ref)->target_id;
}

struct series_state series_target_state(const struct series_store *store, uint32_t ref)
{
    const struct shm_target_state *valid = series_valid_state(store, target_body(store, ref));
    if (valid == NULL)
        return (struct series_state){0};
    return (struct series_state){valid->timestamp_ms, valid->layout_ref, valid->stamped_ref,
                                 valid->scrape_seq,   valid->flags,      valid->metadata_ref};
}

bool series_target_last(const struct series_store *store, uint32_t ref, int64_t *ret_ms)
{
    const struct shm_target_state *valid = series_valid_state(store, target_body(store, ref));
    if (valid == NULL || valid->scrape_seq == 0)
        return false;
    *ret_ms = valid->timestamp_ms;
    return true;
}

void series_target_view(const struct series_store *store, uint32_t ref,
                        struct series_record *ret_record)
{
    const struct shm_target_body *body = target_body(store, ref);
    *ret_record = (struct series_record){.body = (const uint8_t *)(body + 1),
                                         .body_len = body->labels_len,
                                         .count = record_at(store, ref)->count,
                                         .kind = SHM_RECORD_TARGET};
}

static struct shm_target_state *other_copy(struct shm_target_body *body,
                                           const struct shm_target_state *state)
{
    return state == &body->state[0] ? &body->state[1] : &body->state[0];
}

void series_target_prepare(struct series_store *store, uint32_t ref,
                           const struct series_state *state)
{
    struct shm_target_body *body = target_body(store, ref);
    struct shm_target_state *copy = other_copy(body, series_valid_state(store, body));
    /* Must be published to count, so it has to lie behind what is published. */
    check(ring_written(store->ring) > store->ring->published);
    atomic_store_explicit(&copy->pos, 0, memory_order_relaxed);
    series_in_order();
    CRASHPOINT("series.state_half_written");
    copy->timestamp_ms = state->timestamp_ms;
    copy->layout_ref = state->layout;
    copy->layout_generation = state->layout == 0 ? 0 : series_generation(store, state->layout);
    copy->stamped_ref = state->stamped;
    copy->stamped_generation = state->stamped == 0 ? 0 : series_generation(store, state->stamped);
    copy->metadata_ref = state->metadata;
    copy->metadata_generation =
        state->metadata == 0 ? 0 : series_generation(store, state->metadata);
    copy->scrape_seq = state->scrape_seq;
    copy->flags = state->flags;
    /* release: a state with a position is complete, for whoever recovers */
    atomic_store_explicit(&copy->pos, ring_written(store->ring), memory_order_release);
    CRASHPOINT("series.state_prepared");
}

void series_target_commit(struct series_store *store, uint32_t ref)
{
    struct shm_target_body *body = target_body(store, ref);
    struct shm_target_state *valid = series_valid_state(store, body);
    check(valid != NULL);
    struct shm_target_state *old = other_copy(body, valid);
    if (state_pos(old) == 0)
        return;
    release_state(store, old);
    atomic_store_explicit(&old->pos, 0, memory_order_release);
}

void series_target_forget(struct series_store *store, uint32_t ref)
{
    struct shm_target_body *body = target_body(store, ref);
    struct shm_target_state *copy = other_copy(body, series_valid_state(store, body));
    atomic_store_explicit(&copy->pos, 0, memory_order_release);
}

/* ---- looking ---- */

uint32_t series_generation(const struct series_store *store, uint32_t ref)
{
    return record_at(store, ref)->generation;
}

uint32_t series_count(const struct series_store *store, uint32_t ref)
{
    return record_at(store, ref)->count;
}

const uint32_t *series_layout_lines(const struct series_store *store, uint32_t ref)
{
    struct shm_record *record = record_at(store, ref);
    check(record->kind == SHM_RECORD_LAYOUT);
    return record_body(record);
}

uint32_t series_stamped_layout(const struct series_store *store, uint32_t ref)
{
    struct shm_record *record = record_at(store, ref);
    check(record->kind == SHM_RECORD_STAMPED);
    const struct shm_stamped_body *body = record_body(record);
    return body->layout_ref;
}

const uint32_t *series_stamped_lines(const struct series_store *store, uint32_t ref)
{
    return series_layout_lines(store, series_stamped_layout(store, ref));
}

const int64_t *series_stamped_times(const struct series_store *store, uint32_t ref)
{
    struct shm_record *record = record_at(store, ref);
    check(record->kind == SHM_RECORD_STAMPED);
    return series_times_of(record);
}

struct family series_family(const struct series_store *store, uint32_t ref, uint32_t i)
{
    struct shm_record *record = record_at(store, ref);
    size_t room = (size_t)record->units * SHM_SERIES_UNIT - sizeof(*record);
    struct family family;
    check(record->kind == SHM_RECORD_METADATA);
    bool is_there = families_get(record_body(record), room, record->count, i, &family);
    check(is_there);
    return family;
}

bool series_is(const struct series_store *store, uint32_t ref, uint16_t kind, uint32_t generation)
{
    if (ref == 0 || (uint64_t)(ref - 1) * SHM_SERIES_UNIT >= store->used)
        return false;
    const struct shm_record *record = record_at(store, ref);
    return record->kind == kind && record->generation == generation;
}

struct series_usage series_usage(const struct series_store *store)
{
    return (struct series_usage){store->used - store->hole_bytes, store->lines.count,
                                 store->layouts.count, store->targets.count};
}
