/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "writer/metadata.h"

#include <stdlib.h>

#include <snappy-c.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "shm/remote_counters.h"
#include "writer/wire.h"

#define SENDER_OF(pointer, member)                                                                 \
    ((struct metadata_sender *)(void *)((char *)(pointer)-offsetof(struct metadata_sender, member)))

/* Out of memory ends the process: the supervisor starts another, which goes on where this was. */
static void *grow(void *array, size_t size)
{
    void *grown = realloc(array, size);
    check(grown != NULL);
    return grown;
}

/* ---- entries ---- */

static uint64_t hash_of(const struct metadata_pool *pool, const struct family *family)
{
    uint64_t hash = hash64(family->name.ptr, family->name.len, pool->seed + family->type);
    hash = hash64(family->help.ptr, family->help.len, hash);
    return hash64(family->unit.ptr, family->unit.len, hash);
}

static bool is_same(const struct family *a, const struct family *b)
{
    return a->type == b->type && slice_equal(a->name, b->name) && slice_equal(a->help, b->help) &&
           slice_equal(a->unit, b->unit);
}

static struct slice copy_text(char **at, struct slice text)
{
    struct slice copied = slice_make(*at, text.len);
    if (text.len > 0)
        memcpy(*at, text.ptr, text.len);
    *at += text.len;
    return copied;
}

/* One piece of memory, which starts with the name. */
static struct family copy_family(const struct family *family)
{
    char *text = grow(NULL, family->name.len + family->help.len + family->unit.len + 1);
    struct family copied = {.type = family->type};
    copied.name = copy_text(&text, family->name);
    copied.help = copy_text(&text, family->help);
    copied.unit = copy_text(&text, family->unit);
    return copied;
}

static void free_family(const struct family *family)
{
    free((char *)(uintptr_t)family->name.ptr);
}

static void put_in_index(struct metadata_pool *pool, uint32_t id)
{
    uint32_t at = (uint32_t)pool->entries[id].hash & pool->index_mask;
    while (pool->index[at] != 0)
        at = (at + 1) & pool->index_mask;
    pool->index[at] = id + 1;
}

/* Makes the index anew, at least twice as large as the entries. */
static void make_index(struct metadata_pool *pool, uint32_t entries)
{
    uint32_t size = 64;
    while (size < 2 * entries)
        size *= 2;
    if (pool->seed == 0)
        pool->seed = hash_seed_make();
    free(pool->index);
    pool->index = calloc(size, sizeof *pool->index);
    check(pool->index != NULL);
    pool->index_mask = size - 1;
    for (uint32_t i = 0; i < pool->entry_count; i++)
        put_in_index(pool, i);
}

/* The number of the entry that says this; a new one if there is none. */
static uint32_t entry_of(struct metadata_pool *pool, const struct family *family)
{
    if (pool->index == NULL || pool->entry_count * 2 >= pool->index_mask)
        make_index(pool, 2 * (pool->entry_count + 1));
    uint64_t hash = hash_of(pool, family);
    for (uint32_t at = (uint32_t)hash & pool->index_mask; pool->index[at] != 0;
         at = (at + 1) & pool->index_mask) {
        uint32_t id = pool->index[at] - 1;
        if (pool->entries[id].hash == hash && is_same(&pool->entries[id].family, family))
            return id;
    }
    if (pool->entry_count == pool->entry_room) {
        pool->entry_room = pool->entry_room == 0 ? 64 : 2 * pool->entry_room;
        pool->entries = grow(pool->entries, pool->entry_room * sizeof *pool->entries);
    }
    uint32_t id = pool->entry_count++;
    pool->entries[id] = (struct metadata_entry){.family = copy_family(family), .hash = hash};
    put_in_index(pool, id);
    return id;
}

/* ---- records ---- */

static uint32_t place_of(const struct metadata_pool *pool, uint32_t ring, uint32_t ref)
{
    const uint32_t key[2] = {ring, ref};
    uint32_t at = (uint32_t)hash64(key, sizeof key, 0) & pool->record_mask;
    for (; pool->record_index[at] != 0; at = (at + 1) & pool->record_mask) {
        const struct metadata_record *record = &pool->records[pool->record_index[at] - 1];
        if (record->ring == ring && record->ref == ref)
            break;
    }
    return at;
}

static void index_records(struct metadata_pool *pool, uint32_t records)
{
    uint32_t size = 64;
    while (size < 2 * records)
        size *= 2;
    free(pool->record_index);
    pool->record_index = calloc(size, sizeof *pool->record_index);
    check(pool->record_index != NULL);
    pool->record_mask = size - 1;
    for (uint32_t i = 0; i < pool->record_count; i++)
        pool->record_index[place_of(pool, pool->records[i].ring, pool->records[i].ref)] = i + 1;
}

/* The record of this place; a new one if there is none. */
static struct metadata_record *record_of(struct metadata_pool *pool, uint32_t ring, uint32_t ref)
{
    if (pool->record_index == NULL || pool->record_count * 2 >= pool->record_mask)
        index_records(pool, 2 * (pool->record_count + 1));
    uint32_t place = place_of(pool, ring, ref);
    if (pool->record_index[place] != 0)
        return &pool->records[pool->record_index[place] - 1];
    if (pool->record_count == pool->record_room) {
        pool->record_room = pool->record_room == 0 ? 64 : 2 * pool->record_room;
        pool->records = grow(pool->records, pool->record_room * sizeof *pool->records);
    }
    pool->records[pool->record_count] = (struct metadata_record){.ring = ring, .ref = ref};
    pool->record_index[place] = ++pool->record_count;
    return &pool->records[pool->record_count - 1];
}

static void read_families(struct metadata_pool *pool, struct metadata_record *record,
                          const struct series_record *stored)
{
    struct family family;
    uint32_t most = (uint32_t)(stored->body_len / sizeof(struct shm_family));
    uint32_t count = stored->count < most ? stored->count : most;
    record->count = 0;
    record->ids = grow(record->ids, (count + 1) * sizeof *record->ids);
    for (uint32_t i = 0; i < count; i++) {
        if (families_get(stored->body, stored->body_len, count, i, &family))
            record->ids[record->count++] = entry_of(pool, &family);
    }
}

static void look_at_block(struct metadata_pool *pool, const struct source *source, uint32_t ring,
                          const struct shm_block *head, int64_t now_ns)
{
    struct series_record stored;
    struct metadata_record *record = record_of(pool, ring, head->metadata_ref);
    record->seen_ns = now_ns;
    if (record->generation == head->metadata_generation)
        return;
    record->generation = head->metadata_generation;
    record->count = 0;
    if (series_reader_record(&source->series, head->metadata_ref, SHM_RECORD_METADATA,
                             head->metadata_generation, &stored))
        read_families(pool, record, &stored);
}

void metadata_pool_look(struct metadata_pool *pool, struct source *sources, uint32_t count)
{
    int64_t now_ns = clock_mono_ns();
    for (uint32_t ring = 0; ring < count; ring++) {
        uint64_t produced = ring_consumer_produced(&sources[ring].ring);
        uint64_t pos = pool->looked_at[ring];
        uint64_t acked = ring_consumer_acked(&sources[ring].ring);
        if (pos < acked || pos > produced)
            pos = acked;
        struct block_view block;
        for (; pos < produced; pos = block.next_pos) {
            if (block_read(&sources[ring].ring, pos, produced, &block) != 0)
                break; /* counted where it is to be delivered */
            if (block_has_samples(block.head.kind) && block.head.metadata_ref != 0)
                look_at_block(pool, &sources[ring], ring, &block.head, now_ns);
        }
        pool->looked_at[ring] = produced;
    }
}

/* ---- forgetting ---- */

static void drop_old_records(struct metadata_pool *pool, int64_t now_ns)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < pool->record_count; i++) {
        if (now_ns - pool->records[i].seen_ns <= pool->lifetime_ns)
            pool->records[kept++] = pool->records[i];
        else
            free(pool->records[i].ids);
    }
    pool->record_count = kept;
    index_records(pool, kept);
}

static void mark_entries(struct metadata_pool *pool)
{
    for (uint32_t i = 0; i < pool->entry_count; i++)
        pool->entries[i].is_alive = false;
    for (uint32_t i = 0; i < pool->record_count; i++) {
        for (uint32_t j = 0; j < pool->records[i].count; j++)
            pool->entries[pool->records[i].ids[j]].is_alive = true;
    }
}

/* Moves the living entries together; moved[] says where each has gone. */
static void drop_dead_entries(struct metadata_pool *pool, uint32_t *moved)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < pool->entry_count; i++) {
        moved[i] = kept;
        if (pool->entries[i].is_alive)
            pool->entries[kept++] = pool->entries[i];
        else
            free_family(&pool->entries[i].family);
    }
    pool->entry_count = kept;
}

void metadata_pool_tidy(struct metadata_pool *pool, int64_t now_mono_ns)
{
    if (pool->senders > 0)
        return;
    drop_old_records(pool, now_mono_ns);
    mark_entries(pool);
    uint32_t *moved = grow(NULL, (pool->entry_count + 1) * sizeof *moved);
    drop_dead_entries(pool, moved);
    for (uint32_t i = 0; i < pool->record_count; i++) {
        for (uint32_t j = 0; j < pool->records[i].count; j++)
            pool->records[i].ids[j] = moved[pool->records[i].ids[j]];
    }
    free(moved);
    make_index(pool, pool->entry_count);
}

void metadata_pool_fini(struct metadata_pool *pool)
{
    for (uint32_t i = 0; i < pool->record_count; i++)
        free(pool->records[i].ids);
    for (uint32_t i = 0; i < pool->entry_count; i++)
        free_family(&pool->entries[i].family);
    free(pool->records);
    free(pool->entries);
    free(pool->index);
    free(pool->record_index);
    *pool = (struct metadata_pool){0};
}

/* ---- requests ---- */

static size_t metadata_size(const struct family *family)
{
    return 1 + wire_varint_size(family->type) + wire_text_size(family->name.len) +
           wire_text_size(family->help.len) + wire_text_size(family->unit.len);
}

static uint8_t *put_metadata(uint8_t *at, const struct family *family)
{
    *at++ = WIRE_V1_REQUEST_METADATA;
    at = wire_put_varint(at, metadata_size(family));
    *at++ = WIRE_V1_METADATA_TYPE;
    at = wire_put_varint(at, family->type);
    at = wire_put_text(at, WIRE_V1_METADATA_FAMILY, family->name);
    at = wire_put_text(at, WIRE_V1_METADATA_HELP, family->help);
    return wire_put_text(at, WIRE_V1_METADATA_UNIT, family->unit);
}

static void compress(struct metadata_sender *sender, size_t raw_len)
{
    size_t room = snappy_max_compressed_length(raw_len);
    if (room > sender->body_room) {
        sender->body = grow(sender->body, room);
        sender->body_room = room;
    }
    sender->body_len = sender->body_room;
    snappy_status status =
        snappy_compress((const char *)sender->raw, raw_len, sender->body, &sender->body_len);
    check(status == SNAPPY_OK);
}

/* The next entries as a request; as many as may be in one. */
static void build(struct metadata_sender *sender)
{
    int64_t most = sender->remote->config->metadata_config.max_samples_per_send;
    uint32_t left = sender->pool->entry_count - sender->next;
    const struct metadata_entry *entries = &sender->pool->entries[sender->next];
    size_t room = 0;
    sender->count = most < left ? (uint32_t)most : left;
    for (uint32_t i = 0; i < sender->count; i++)
        room += metadata_size(&entries[i].family) + 1 + WIRE_VARINT_MAX;
    if (room > sender->raw_room) {
        sender->raw = grow(sender->raw, room);
        sender->raw_room = room;
    }
    uint8_t *end = sender->raw;
    for (uint32_t i = 0; i < sender->count; i++)
        end = put_metadata(end, &entries[i].family);
    compress(sender, (size_t)(end - sender->raw));
}

static void count(const struct metadata_sender *sender, enum remote_counter counter, uint64_t more)
{
    remote_count(sender->remote->place, counter, more);
}

static void set_timer(struct metadata_sender *sender, int64_t wait_ms)
{
    loop_timer_set(sender->loop, &sender->timer, clock_mono_ns() + wait_ms * NS_PER_MS);
}

/* ---- sending ---- */

static void send_body(struct metadata_sender *sender)
{
    count(sender, REMOTE_METADATA, sender->count);
    if (sender->attempts > 0)
        count(sender, REMOTE_METADATA_RETRIED, sender->count);
    attempt_start(&sender->attempt, 1, sender->attempts++,
                  slice_make(sender->body, sender->body_len));
}

static void rest(struct metadata_sender *sender)
{
    if (sender->count > 0)
        sender->pool->senders--;
    sender->count = 0;
    set_timer(sender, sender->remote->config->metadata_config.send_interval);
}

static void send_next(struct metadata_sender *sender)
{
    if (sender->next >= sender->pool->entry_count) {
        rest(sender);
        return;
    }
    build(sender);
    sender->attempts = 0;
    backoff_reset(&sender->backoff);
    send_body(sender);
}

/* Where metadata goes with the series, nothing is to be done here. */
static void begin(struct metadata_sender *sender)
{
    metadata_pool_tidy(sender->pool, clock_mono_ns());
    sender->next = 0;
    if (sender->remote->message != 1 || sender->pool->entry_count == 0) {
        rest(sender);
        return;
    }
    sender->pool->senders++;
    send_next(sender);
}

static void on_timer(struct loop_timer *timer)
{
    struct metadata_sender *sender = SENDER_OF(timer, timer);
    if (sender->count == 0)
        begin(sender);
    else
        send_body(sender);
}

static void drop(struct metadata_sender *sender)
{
    uint64_t unsaid;
    count(sender, REMOTE_METADATA_FAILED, sender->count);
    if (remote_may_log(sender->remote, REMOTE_LOG_LOSS, clock_mono_ns(), &unsaid))
        log_error(MSG("the receiver refused metadata; it is dropped until the next time"),
                  STR("remote_name", sender->remote->config->name),
                  INT("status", sender->attempt.status), INT("entries", sender->count),
                  SLICE("answer", attempt_text(&sender->attempt)),
                  INT("more_of_these_unsaid", unsaid));
}

static void on_answer(struct attempt *attempt, enum answer answer)
{
    struct metadata_sender *sender = SENDER_OF(attempt, attempt);
    if (answer == ANSWER_RETRY || answer == ANSWER_NONE) {
        set_timer(sender, backoff_next(&sender->backoff, attempt->retry_after_ms));
        return;
    }
    if (answer == ANSWER_REFUSED)
        drop(sender);
    else
        count(sender, REMOTE_METADATA_BYTES, sender->body_len);
    sender->next += sender->count;
    send_next(sender);
}

void metadata_sender_init(struct metadata_sender *sender, struct loop *loop, struct remote *remote,
                          struct metadata_pool *pool)
{
    const struct config_queue *queue = &remote->config->queue_config;
    *sender = (struct metadata_sender){
        .timer.expired = on_timer, .loop = loop, .remote = remote, .pool = pool};
    attempt_init(&sender->attempt, loop, remote, on_answer);
    backoff_init(&sender->backoff, queue->min_backoff, queue->max_backoff);
    if (remote->config->metadata_config.send)
        set_timer(sender, remote->config->metadata_config.send_interval);
}

void metadata_sender_abort(struct metadata_sender *sender)
{
    loop_timer_clear(sender->loop, &sender->timer);
    attempt_abort(&sender->attempt);
}

bool metadata_sender_is_quiet(const struct metadata_sender *sender)
{
    return attempt_is_quiet(&sender->attempt);
}

void metadata_sender_fini(struct metadata_sender *sender)
{
    attempt_fini(&sender->attempt);
    free(sender->raw);
    free(sender->body);
}
