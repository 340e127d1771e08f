/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The order of stores matters to the writer's successor only, who comes when the writer is dead:
 * the compiler must keep it (in_order), the processor does anyway.
 */
#include "shm/delivery.h"

#include <stdio.h>
#include <string.h>

#include "base/crashpoint.h"
#include "base/hash.h"
#include "shm/remote_counters.h"

static void in_order(void)
{
    atomic_signal_fence(memory_order_seq_cst);
}

static uint64_t key_of(const struct shm_remote *remote)
{
    /* acquire; pairs with claim: for the console, which looks while the writer works */
    return atomic_load_explicit(&remote->key, memory_order_acquire);
}

static void set_key(struct shm_remote *remote, uint64_t key)
{
    atomic_store_explicit(&remote->key, key, memory_order_release);
    in_order();
}

/* ---- positions ---- */

static bool is_before(struct shm_position a, struct shm_position b)
{
    return a.pos < b.pos || (a.pos == b.pos && a.sample < b.sample);
}

/*
 * Never back. What a death in between leaves is never beyond `to`: (new position, old sample) would
 * pass over samples.
 */
static void advance(struct shm_position *position, struct shm_position to)
{
    if (!is_before(*position, to))
        return;
    if (position->pos != to.pos) {
        position->sample = 0;
        in_order();
        position->pos = to.pos;
        in_order();
        CRASHPOINT("delivery.position_half_written");
    }
    position->sample = to.sample;
    in_order();
}

/* ---- batches ---- */

static uint64_t sequence_of(const struct shm_batch *batch)
{
    return atomic_load_explicit(&batch->sequence, memory_order_acquire);
}

/* Which of the two copies is in force. */
static int copy_in_force(const struct shm_batch copies[2])
{
    return sequence_of(&copies[1]) > sequence_of(&copies[0]) ? 1 : 0;
}

static uint32_t rings_of(const struct shm_batch *batch)
{
    return batch->rings < SHM_MAX_SCRAPERS ? batch->rings : SHM_MAX_SCRAPERS;
}

/* Puts `batch` in force, with this state: it is written to the copy that is not, sequence last. */
static void put_batch(struct shm_batch copies[2], const struct shm_batch *batch, uint32_t state)
{
    int now = copy_in_force(copies);
    struct shm_batch *next = &copies[1 - now];
    uint32_t rings = rings_of(batch);
    in_order();
    next->lanes = batch->lanes;
    next->body_hash = batch->body_hash;
    next->state = state;
    next->samples = batch->samples;
    next->attempts = batch->attempts;
    next->rings = rings;
    next->message = batch->message;
    next->compression = batch->compression;
    memcpy(next->totals, batch->totals, sizeof(next->totals));
    memcpy(next->start, batch->start, rings * sizeof(*batch->start));
    memcpy(next->end, batch->end, rings * sizeof(*batch->end));
    in_order();
    CRASHPOINT("delivery.batch_half_written");
    atomic_store_explicit(&next->sequence, sequence_of(&copies[now]) + 1, memory_order_release);
    in_order();
}

/* Moves the positions of the batch's lanes; the same again changes nothing. */
static void move_lanes(struct shm_remote *remote, const struct shm_batch *batch)
{
    for (uint32_t lane = 0; lane < SHM_LANES; lane++) {
        if ((batch->lanes >> lane & 1) == 0)
            continue;
        for (uint32_t ring = 0; ring < rings_of(batch); ring++)
            advance(&remote->lanes[lane][ring], batch->end[ring]);
    }
}

/* The counters of a kind, in the order of struct delivery_tally. */
enum { TALLIES = sizeof(struct delivery_tally) / sizeof(uint64_t) };

static const enum remote_counter tally_counters[DELIVERY_KINDS][TALLIES] = {
    {REMOTE_DELIVERED, REMOTE_ALREADY_DELIVERED, REMOTE_SAMPLES_FAILED, REMOTE_DROPPED_TOO_OLD,
     REMOTE_DROPPED_DAMAGED, REMOTE_DROPPED_TOO_LARGE, REMOTE_DROPPED_UNWANTED,
     REMOTE_DROPPED_BEHIND},
    {REMOTE_HISTOGRAMS_DELIVERED, REMOTE_HISTOGRAMS_ALREADY_DELIVERED, REMOTE_HISTOGRAMS_FAILED,
     REMOTE_HISTOGRAMS_TOO_OLD, REMOTE_HISTOGRAMS_DAMAGED, REMOTE_HISTOGRAMS_TOO_LARGE,
     REMOTE_HISTOGRAMS_UNWANTED, REMOTE_HISTOGRAMS_BEHIND},
    {REMOTE_EXEMPLARS_DELIVERED, REMOTE_EXEMPLARS_ALREADY_DELIVERED, REMOTE_EXEMPLARS_FAILED,
     REMOTE_EXEMPLARS_TOO_OLD, REMOTE_EXEMPLARS_DAMAGED, REMOTE_EXEMPLARS_TOO_LARGE,
     REMOTE_EXEMPLARS_UNWANTED, REMOTE_EXEMPLARS_BEHIND},
};

/* A batch's totals: the tallies of all kinds, then these. */
enum { TALLIES_OF_ALL = DELIVERY_KINDS * TALLIES };
static const enum remote_counter further_counters[] = {REMOTE_HISTOGRAMS_CUSTOM_BUCKETS,
                                                       REMOTE_SPOOL_IN, REMOTE_SPOOL_OUT};
enum { TOTALS = TALLIES_OF_ALL + sizeof(further_counters) / sizeof(*further_counters) };
_Static_assert(TOTALS <= sizeof((struct shm_batch){0}.totals) / sizeof(uint64_t), "too many");

static enum remote_counter counter_of(uint32_t total)
{
    return total < TALLIES_OF_ALL ? tally_counters[total / TALLIES][total % TALLIES]
                                  : further_counters[total - TALLIES_OF_ALL];
}

static void add_outcome(const struct shm_remote *remote, struct shm_batch *batch,
                        const struct delivery_outcome *outcome)
{
    uint64_t more[TOTALS];
    memcpy(more, outcome->of, sizeof(outcome->of));
    more[TALLIES_OF_ALL] = outcome->custom_buckets;
    more[TALLIES_OF_ALL + 1] = outcome->spooled;
    more[TALLIES_OF_ALL + 2] = outcome->unspooled;
    for (uint32_t i = 0; i < TOTALS; i++)
        batch->totals[i] = remote_get(remote, counter_of(i)) + more[i];
}

/* Absolute numbers: the same again changes nothing. */
static void set_totals(struct shm_remote *remote, const struct shm_batch *batch)
{
    for (uint32_t i = 0; i < TOTALS; i++)
        remote_set(remote, counter_of(i), batch->totals[i]);
}

/* What is left to do of a batch that is DONE. Nothing else comes between a DONE and this. */
static void finish(struct shm_remote *remote, uint32_t shard)
{
    struct shm_batch *copies = remote->shards[shard];
    const struct shm_batch done = copies[copy_in_force(copies)];
    move_lanes(remote, &done);
    CRASHPOINT("delivery.lanes_moved");
    set_totals(remote, &done);
    in_order();
    put_batch(copies, &done, SHM_BATCH_NONE);
}

static struct shm_batch *batch_of(const struct shm_remote *remote, uint32_t shard)
{
    check(shard <= SHM_SPOOL_SLOT);
    const struct shm_batch *copies = remote->shards[shard];
    return (struct shm_batch *)(uintptr_t)&copies[copy_in_force(copies)];
}

const struct shm_batch *delivery_batch(const struct shm_remote *remote, uint32_t shard)
{
    const struct shm_batch *batch = batch_of(remote, shard);
    bool is_there = batch->state == SHM_BATCH_OPEN || batch->state == SHM_BATCH_DONE;
    return is_there ? batch : NULL;
}

void delivery_open(struct shm_remote *remote, uint32_t shard, const struct shm_batch *batch)
{
    check(delivery_batch(remote, shard) == NULL);
    check(batch->rings <= SHM_MAX_SCRAPERS);
    put_batch(remote->shards[shard], batch, SHM_BATCH_OPEN);
    CRASHPOINT("delivery.batch_opened");
}

void delivery_attempt(struct shm_remote *remote, uint32_t shard, uint64_t body_hash)
{
    struct shm_batch batch = *batch_of(remote, shard);
    check(batch.state == SHM_BATCH_OPEN);
    batch.attempts++;
    batch.body_hash = body_hash;
    put_batch(remote->shards[shard], &batch, SHM_BATCH_OPEN);
    CRASHPOINT("delivery.attempt_noted");
}

void delivery_change_message(struct shm_remote *remote, uint32_t shard, uint32_t message)
{
    struct shm_batch batch = *batch_of(remote, shard);
    check(batch.state == SHM_BATCH_OPEN);
    batch.message = message;
    batch.attempts = 0;
    batch.body_hash = 0;
    put_batch(remote->shards[shard], &batch, SHM_BATCH_OPEN);
    CRASHPOINT("delivery.message_changed");
}

void delivery_change_compression(struct shm_remote *remote, uint32_t shard, uint32_t compression,
                                 uint64_t body_hash)
{
    struct shm_batch batch = *batch_of(remote, shard);
    check(batch.state == SHM_BATCH_OPEN);
    batch.compression = compression;
    batch.attempts = 0;
    batch.body_hash = body_hash;
    put_batch(remote->shards[shard], &batch, SHM_BATCH_OPEN);
    CRASHPOINT("delivery.compression_changed");
}

void delivery_done(struct delivery *delivery, struct shm_remote *remote, uint32_t shard,
                   const struct delivery_outcome *outcome)
{
    struct shm_batch batch = *batch_of(remote, shard);
    check(delivery->segment.writable && batch.state == SHM_BATCH_OPEN);
    add_outcome(remote, &batch, outcome);
    put_batch(remote->shards[shard], &batch, SHM_BATCH_DONE);
    CRASHPOINT("delivery.batch_done");
    finish(remote, shard);
}

void delivery_cancel(struct shm_remote *remote, uint32_t shard)
{
    const struct shm_batch batch = *batch_of(remote, shard);
    check(batch.state == SHM_BATCH_OPEN);
    put_batch(remote->shards[shard], &batch, SHM_BATCH_NONE);
}

/* ---- remotes ---- */

static uint64_t offset_of(const struct delivery *delivery, const void *place)
{
    return (uint64_t)((const uint8_t *)place - delivery->segment.base);
}

/* The keys are always looked at: they have memory from the start, the rest when it is used. */
static int reserve_keys(struct delivery *delivery)
{
    for (uint32_t i = 0; i < SHM_MAX_REMOTES; i++) {
        uint64_t from = offset_of(delivery, &delivery->data->remotes[i].key);
        int err = segment_reserve(delivery->segment.fd, from, from + sizeof(uint64_t));
        if (err != 0)
            return err;
    }
    return 0;
}

static void recover_batch(struct shm_remote *remote, uint32_t shard)
{
    struct shm_batch *copies = remote->shards[shard];
    const struct shm_batch *batch = &copies[copy_in_force(copies)];
    /* No writer lives so long: the next sequence must be greater. */
    if (sequence_of(batch) > UINT64_MAX / 2)
        memset(copies, 0, 2 * sizeof(*copies));
    else if (batch->state == SHM_BATCH_DONE)
        finish(remote, shard);
}

static void recover(struct delivery *delivery)
{
    for (uint32_t i = 0; i < SHM_MAX_REMOTES; i++) {
        struct shm_remote *remote = &delivery->data->remotes[i];
        for (uint32_t shard = 0; key_of(remote) != 0 && shard <= SHM_SPOOL_SLOT; shard++)
            recover_batch(remote, shard);
    }
}

int delivery_attach(struct delivery *delivery, int fd, uint32_t rings, bool writable,
                    struct errctx *reterr)
{
    check(rings <= SHM_MAX_SCRAPERS);
    *delivery = (struct delivery){.rings = rings};
    int err = segment_map(&delivery->segment, fd, SHM_KIND_DELIVERY, 0, writable, reterr);
    if (err != 0)
        return err;
    delivery->data = (struct shm_delivery *)(void *)(delivery->segment.base + SHM_DELIVERY_DATA);
    if (delivery->segment.size < SHM_DELIVERY_DATA + sizeof(struct shm_delivery))
        err = err_set(reterr, ERR_CORRUPT, "the delivery segment is too small: %llu bytes",
                      (unsigned long long)delivery->segment.size);
    else if (writable && (err = reserve_keys(delivery)) != 0)
        err_set(reterr, err, "no memory for the delivery segment: %s", err_text(err));
    if (err != 0)
        segment_unmap(&delivery->segment);
    else if (writable)
        recover(delivery);
    return err;
}

void delivery_detach(struct delivery *delivery)
{
    segment_unmap(&delivery->segment);
    *delivery = (struct delivery){0};
}

static uint64_t make_key(const char *text)
{
    uint64_t key = hash64(text, strlen(text), 0);
    return key != 0 ? key : 1;
}

static struct shm_remote *find_key(struct delivery *delivery, uint64_t key)
{
    for (uint32_t i = 0; i < SHM_MAX_REMOTES; i++) {
        if (key_of(&delivery->data->remotes[i]) == key)
            return &delivery->data->remotes[i];
    }
    return NULL;
}

struct shm_remote *delivery_find(struct delivery *delivery, const char *key)
{
    return find_key(delivery, make_key(key));
}

/* Only for show: the console, which may look meanwhile, takes any bytes. */
static void set_names(struct shm_remote *remote, const struct delivery_names *names)
{
    snprintf(remote->name, sizeof(remote->name), "%s", names->name);
    snprintf(remote->url, sizeof(remote->url), "%s", names->url);
}

/* A lane behind `start` would read what has been overwritten. */
static void raise_lanes(struct delivery *delivery, struct shm_remote *remote, const uint64_t *start)
{
    for (uint32_t lane = 0; lane < SHM_LANES; lane++) {
        for (uint32_t ring = 0; ring < delivery->rings; ring++)
            advance(&remote->lanes[lane][ring], (struct shm_position){.pos = start[ring]});
    }
}

/* The key comes last: without it the place is free, whatever else is there. */
static int claim(struct delivery *delivery, struct shm_remote *remote,
                 const struct delivery_names *names, const uint64_t *start)
{
    uint64_t from = offset_of(delivery, remote);
    int err = segment_reserve(delivery->segment.fd, from, from + sizeof(*remote));
    if (err != 0)
        return err;
    memset(remote->name, 0, sizeof(*remote) - offsetof(struct shm_remote, name));
    set_names(remote, names);
    raise_lanes(delivery, remote, start);
    CRASHPOINT("delivery.remote_half_made");
    set_key(remote, make_key(names->key));
    return 0;
}

int delivery_remote(struct delivery *delivery, const struct delivery_names *names,
                    const uint64_t *start, struct shm_remote **ret_remote)
{
    check(delivery->segment.writable);
    struct shm_remote *remote = delivery_find(delivery, names->key);
    int err = 0;
    if (remote != NULL) {
        set_names(remote, names);
        raise_lanes(delivery, remote, start);
    } else {
        remote = find_key(delivery, 0);
        err = remote == NULL ? ERR_FULL : claim(delivery, remote, names, start);
    }
    if (err == 0)
        *ret_remote = remote;
    return err;
}

static bool is_in(struct shm_remote *const *kept, uint32_t count, const struct shm_remote *remote)
{
    for (uint32_t i = 0; i < count; i++) {
        if (kept[i] == remote)
            return true;
    }
    return false;
}

void delivery_keep_only(struct delivery *delivery, struct shm_remote *const *kept, uint32_t count)
{
    check(delivery->segment.writable);
    for (uint32_t i = 0; i < SHM_MAX_REMOTES; i++) {
        struct shm_remote *remote = &delivery->data->remotes[i];
        if (key_of(remote) == 0 || is_in(kept, count, remote))
            continue;
        set_key(remote, 0);
        segment_release(delivery->segment.fd, offset_of(delivery, remote->lanes),
                        offset_of(delivery, remote + 1));
    }
}

static bool is_readable(struct shm_position position, uint64_t acked, uint64_t produced)
{
    return position.pos >= acked && position.pos <= produced;
}

static bool batch_is_readable(const struct shm_batch *batch, const uint64_t *acked,
                              const uint64_t *produced)
{
    for (uint32_t ring = 0; ring < rings_of(batch); ring++) {
        struct shm_position start = batch->start[ring];
        struct shm_position end = batch->end[ring];
        if (!is_readable(start, acked[ring], produced[ring]) ||
            !is_readable(end, acked[ring], produced[ring]) || is_before(end, start))
            return false;
    }
    return true;
}

static uint32_t drop_unreadable_batches(struct delivery *delivery, struct shm_remote *remote,
                                        const uint64_t *acked, const uint64_t *produced)
{
    uint32_t dropped = 0;
    for (uint32_t shard = 0; shard < SHM_MAX_SHARDS; shard++) {
        const struct shm_batch *batch = delivery_batch(remote, shard);
        if (batch == NULL ||
            (batch->rings <= delivery->rings && batch_is_readable(batch, acked, produced)))
            continue;
        put_batch(remote->shards[shard], batch, SHM_BATCH_NONE);
        dropped++;
    }
    return dropped;
}

uint32_t delivery_mend(struct delivery *delivery, struct shm_remote *remote, const uint64_t *acked,
                       const uint64_t *produced)
{
    check(delivery->segment.writable);
    uint32_t mended = drop_unreadable_batches(delivery, remote, acked, produced);
    for (uint32_t lane = 0; lane < SHM_LANES; lane++) {
        for (uint32_t ring = 0; ring < delivery->rings; ring++) {
            struct shm_position *position = &remote->lanes[lane][ring];
            if (is_readable(*position, acked[ring], produced[ring]))
                continue;
            *position = (struct shm_position){.pos = acked[ring]};
            mended++;
        }
    }
    return mended;
}

/* ---- lanes ---- */

uint32_t delivery_lane(uint64_t target_id)
{
    return (uint32_t)(hash64(&target_id, sizeof(target_id), 0) % SHM_LANES);
}

void delivery_skip(struct shm_remote *remote, uint32_t lane, uint32_t ring,
                   struct shm_position position)
{
    check(lane < SHM_LANES && ring < SHM_MAX_SCRAPERS);
    advance(&remote->lanes[lane][ring], position);
}

uint64_t delivery_least(const struct delivery *delivery, uint32_t ring, uint64_t none)
{
    check(ring < SHM_MAX_SCRAPERS);
    bool is_any = false;
    uint64_t least = UINT64_MAX;
    for (uint32_t i = 0; i < SHM_MAX_REMOTES; i++) {
        const struct shm_remote *remote = &delivery->data->remotes[i];
        if (key_of(remote) == 0)
            continue;
        is_any = true;
        for (uint32_t lane = 0; lane < SHM_LANES; lane++) {
            if (remote->lanes[lane][ring].pos < least)
                least = remote->lanes[lane][ring].pos;
        }
    }
    return is_any ? least : none;
}
