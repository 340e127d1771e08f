/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "writer/shard_private.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/crashpoint.h"
#include "writer/pages.h"
#include "writer/writer.h"

/* A batch holds back at most this part of a ring, however few samples are in it. */
enum { RING_SHARE = 4, SAMPLES_MAX = 1 << 20 };

uint64_t shard_lanes(uint32_t index, uint32_t shard_count)
{
    check(shard_count > 0);
    uint64_t lanes = 0;
    for (uint32_t lane = index; lane < SHM_LANES; lane += shard_count)
        lanes |= UINT64_C(1) << lane;
    return lanes;
}

struct scan_filter shard_filter(const struct shard *shard)
{
    return (struct scan_filter){
        .lanes = shard->batch.lanes,
        .delivered = (const struct shm_position(*)[SHM_MAX_SCRAPERS])shard->remote->place->lanes,
        .rings =
            atomic_load_explicit(&shard->writer->supervisor->kept_scrapers, memory_order_acquire)};
}

uint32_t shard_samples_wanted(const struct shard *shard)
{
    int64_t wanted = shard_queue(shard)->max_samples_per_send;
    return wanted < 1 ? 1 : wanted > SAMPLES_MAX ? SAMPLES_MAX : (uint32_t)wanted;
}

/* More are collected where rules let few of them through, so that requests are still full. */
static uint32_t samples_to_collect(const struct shard *shard)
{
    uint64_t samples = (uint64_t)shard_samples_wanted(shard) * shard->stretch;
    return samples > SAMPLES_MAX ? SAMPLES_MAX : (uint32_t)samples;
}

void shard_set_timer(struct shard *shard, int64_t wait_ms)
{
    shard->retry_at_ns = clock_mono_ns() + wait_ms * NS_PER_MS;
    loop_timer_set(shard->writer->loop, &shard->timer, shard->retry_at_ns);
}

/* ---- Collecting ---- */

/* An empty batch at the least position of the shard's lanes. */
void shard_reset(struct shard *shard)
{
    struct shm_batch *batch = &shard->batch;
    *batch = (struct shm_batch){.lanes = shard->lanes, .rings = shard->writer->source_count};
    for (uint32_t ring = 0; ring < batch->rings; ring++) {
        struct shm_position least = {.pos = UINT64_MAX};
        for (uint32_t lane = 0; lane < SHM_LANES; lane++) {
            if ((shard->lanes >> lane & 1) == 0)
                continue;
            struct shm_position at = shard->remote->place->lanes[lane][ring];
            if (at.pos < least.pos || (at.pos == least.pos && at.sample < least.sample))
                least = at;
        }
        batch->start[ring] = batch->end[ring] = least;
    }
}

static void take_up_batch(struct shard *shard, const struct shm_batch *left)
{
    shard->batch = *left;
    shard->batch.message = left->message == 2 ? 2 : 1;
    if (left->compression > CONFIG_COMPRESSION_ZSTD)
        shard->batch.compression = CONFIG_COMPRESSION_FAST;
    shard->attempts = left->attempts;
    /* Without a body's hash the predecessor did not come to send it. */
    shard->is_uncertain = left->body_hash != 0;
    shard->state = SHARD_WAITING;
    shard->begun_ns = clock_mono_ns();
    shard->is_stored = backlog_has_stored(&shard->remote->backlog, left, &shard->stored);
    shard_set_timer(shard, 0);
}

void shard_init(struct shard *shard, struct writer *writer, struct remote *remote, uint32_t index,
                uint64_t lanes)
{
    *shard = (struct shard){.timer.expired = shard_on_timer,
                            .writer = writer,
                            .remote = remote,
                            .index = index,
                            .lanes = lanes,
                            .stretch = 1};
    attempt_init(&shard->attempt, writer->loop, remote, shard_on_answer);
    carrier_init(&shard->carrier, writer->loop, remote, &remote->backlog, index, lanes);
    const struct config_queue *queue = shard_queue(shard);
    backoff_init(&shard->backoff, queue->min_backoff, queue->max_backoff);
    const struct shm_batch *left = delivery_batch(remote->place, index);
    if (left != NULL)
        take_up_batch(shard, left);
    else
        shard_reset(shard);
}

/* Nothing of the shard's lanes lies before the batch's end: their positions move there. */
static void skip_foreign_blocks(struct shard *shard)
{
    struct shm_batch *batch = &shard->batch;
    for (uint32_t ring = 0; ring < batch->rings; ring++) {
        if (batch->start[ring].pos == batch->end[ring].pos)
            continue;
        for (uint32_t lane = 0; lane < SHM_LANES; lane++) {
            if ((shard->lanes >> lane & 1) != 0)
                delivery_skip(shard->remote->place, lane, ring, batch->end[ring]);
        }
        batch->start[ring] = batch->end[ring];
        shard->writer->has_skipped = true;
    }
}

/* Other lanes' blocks count, too: what lies behind the first sample cannot be given back. */
static bool holds_too_much(const struct shard *shard)
{
    const struct shm_batch *batch = &shard->batch;
    for (uint32_t ring = 0; ring < batch->rings; ring++) {
        uint64_t held = batch->end[ring].pos - batch->start[ring].pos;
        if (held > shard->writer->sources[ring].ring.size / RING_SHARE)
            return true;
    }
    return false;
}

static void collect(struct shard *shard)
{
    struct writer *writer = shard->writer;
    uint32_t before = shard->batch.samples;
    shard->is_full = scan_collect(writer->sources, writer->source_count, shard_filter(shard),
                                  samples_to_collect(shard), &shard->batch);
    if (shard->batch.samples == 0) {
        shard->is_full = false;
        skip_foreign_blocks(shard);
        return;
    }
    shard->is_full |= holds_too_much(shard);
    if (before == 0)
        shard_set_timer(shard, shard_queue(shard)->batch_send_deadline);
}

/* So much of some ring, in its 1/parts, lies behind the batch's first sample. */
bool shard_is_behind(const struct shard *shard, uint32_t parts, uint32_t of)
{
    const struct shm_batch *batch = &shard->batch;
    for (uint32_t ring = 0; ring < batch->rings; ring++) {
        const struct ring_consumer *consumer = &shard->writer->sources[ring].ring;
        if (ring_consumer_produced(consumer) - batch->start[ring].pos > consumer->size / of * parts)
            return true;
    }
    return false;
}

bool shard_holds_half(const struct shard *shard)
{
    return shard_is_behind(shard, 1, 2);
}

/* Nothing new does while lanes are about to change hands. */
static bool may_begin(const struct shard *shard)
{
    return shard->remote->shards.barrier == 0 && shard->remote->shards.next == 0;
}

/* A batch that leaves nothing to send (all too old, say) or is stored is over at once. */
static void take_batches(struct shard *shard)
{
    while (shard->state == SHARD_COLLECTING && may_begin(shard)) {
        if (!shard->is_full)
            collect(shard);
        bool is_ready = shard->is_full || shard->is_due || shard->writer->flushing;
        if (shard->batch.samples == 0 || !(is_ready || shard_holds_half(shard)))
            return;
        /* Without a spool it has to wait until nothing of an attempt that was given up is left. */
        if (!shard->remote->backlog.is_there && !attempt_is_quiet(&shard->attempt))
            return;
        shard_begin_batch(shard);
    }
}

void shard_poke(struct shard *shard)
{
    if (shard->writer->closing)
        return;
    if (shard->state != SHARD_COLLECTING)
        shard_relieve(shard);
    if (shard->lanes == 0)
        return;
    take_batches(shard);
    bool is_at_the_end = shard->writer->flushing && writer_is_drained(shard->writer);
    if (!is_at_the_end && shard->remote->shards.next == 0)
        carrier_poke(&shard->carrier);
}

/* ---- The rest ---- */

uint64_t shard_hunger(const struct shard *shard)
{
    if (shard->state != SHARD_COLLECTING || !may_begin(shard) || shard->lanes == 0)
        return 0;
    if (shard->batch.samples == 0)
        return 1;
    uint64_t missing = samples_to_collect(shard) - shard->batch.samples;
    return missing > 0 ? missing * sizeof(uint64_t) : 1;
}

bool shard_rest(struct shard *shard)
{
    return carrier_rest(&shard->carrier) && shard->state == SHARD_COLLECTING;
}

bool shard_is_busy(const struct shard *shard)
{
    return shard->state != SHARD_COLLECTING || backlog_lanes(&shard->remote->backlog) != 0;
}

bool shard_is_sending(const struct shard *shard)
{
    return shard->state == SHARD_SENDING || carrier_is_sending(&shard->carrier);
}

void shard_pending(const struct shard *shard, uint64_t ret_of[static DELIVERY_KINDS])
{
    uint64_t others = 0;
    for (int kind = 0; kind < DELIVERY_KINDS; kind++) {
        bool is_known = kind != DELIVERY_SAMPLES && shard->state != SHARD_COLLECTING;
        ret_of[kind] = is_known ? shard->built.of[kind].sent : 0;
        others += ret_of[kind];
    }
    uint64_t all = shard->batch.samples;
    ret_of[DELIVERY_SAMPLES] = all > others ? all - others : 0;
}

void shard_abort(struct shard *shard)
{
    loop_timer_clear(shard->writer->loop, &shard->timer);
    attempt_abort(&shard->attempt);
    carrier_abort(&shard->carrier);
}

bool shard_is_quiet(const struct shard *shard)
{
    return attempt_is_quiet(&shard->attempt) && carrier_is_quiet(&shard->carrier);
}

void shard_fini(struct shard *shard)
{
    attempt_fini(&shard->attempt);
    carrier_fini(&shard->carrier);
    pages_release(shard->body, shard->body_room);
}
