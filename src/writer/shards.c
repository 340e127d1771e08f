/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "writer/shards.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "shm/remote_counters.h"
#include "writer/shard.h"
#include "writer/writer.h"

#define STEP_NS (10 * NS_PER_S)

static uint32_t at_most_lanes(int64_t shards)
{
    return shards < 1 ? 1 : shards > SHM_MAX_SHARDS ? SHM_MAX_SHARDS : (uint32_t)shards;
}

/* ---- Start and end ---- */

/*
 * As many shards as wanted, and for a while those that have to finish a batch of a predecessor with
 * more. If any left batch has other lanes than its shard has now, nothing new starts before all of
 * them are done.
 */
static void start(struct writer *writer, struct remote *remote, uint32_t wanted)
{
    struct shards *shards = &remote->shards;
    uint32_t count = wanted;
    uint32_t left = 0;
    bool differs = false;
    for (uint32_t i = 0; i < SHM_MAX_SHARDS; i++) {
        const struct shm_batch *batch = delivery_batch(remote->place, i);
        if (batch == NULL)
            continue;
        left++;
        if (i >= count)
            count = i + 1;
        differs |= i >= wanted || batch->lanes != shard_lanes(i, wanted);
    }
    shards->barrier = differs ? left : 0;
    shards->count = count;
    shards->wanted = wanted;
    shards->next = 0;
    shards->items = calloc(count, sizeof *shards->items);
    check(shards->items != NULL);
    for (uint32_t i = 0; i < count; i++)
        shard_init(&shards->items[i], writer, remote, i, i < wanted ? shard_lanes(i, wanted) : 0);
    remote_set(remote->place, REMOTE_SHARDS, wanted);
}

/* Bytes in the rings that no batch has come to: of each shard its share by lanes. */
static double waiting_bytes(const struct writer *writer, const struct remote *remote,
                            double *ret_produced)
{
    const struct shards *shards = &remote->shards;
    double waiting = 0;
    *ret_produced = 0;
    for (uint32_t ring = 0; ring < writer->source_count; ring++) {
        uint64_t produced = ring_consumer_produced(&writer->sources[ring].ring);
        *ret_produced += (double)produced;
        for (uint32_t i = 0; i < shards->wanted; i++) {
            uint64_t end = shards->items[i].batch.end[ring].pos;
            waiting += end < produced ? (double)(produced - end) / shards->wanted : 0;
        }
    }
    return waiting;
}

void shards_start(struct writer *writer, struct remote *remote)
{
    struct shards *shards = &remote->shards;
    start(writer, remote, at_most_lanes(remote->config->queue_config.min_shards));
    shards->stepped_at_ns = clock_mono_ns();
    shards->step_at_ns = shards->stepped_at_ns + STEP_NS;
    shards->waiting = waiting_bytes(writer, remote, &shards->produced);
    shards->taken = remote->taken;
}

void shards_fini(struct remote *remote)
{
    struct shards *shards = &remote->shards;
    for (uint32_t i = 0; i < shards->count; i++)
        shard_fini(&shards->items[i]);
    free(shards->items);
    shards->items = NULL;
    shards->count = 0;
}

bool shards_abort(struct remote *remote)
{
    bool is_quiet = true;
    for (uint32_t i = 0; i < remote->shards.count; i++) {
        shard_abort(&remote->shards.items[i]);
        is_quiet &= shard_is_quiet(&remote->shards.items[i]);
    }
    return is_quiet;
}

/* When the last batch of a predecessor with other lanes is over, all lanes may go on. */
void shards_lower_barrier(struct remote *remote)
{
    struct shards *shards = &remote->shards;
    if (shards->barrier == 0 || --shards->barrier > 0)
        return;
    for (uint32_t i = 0; i < shards->count; i++)
        shard_reset(&shards->items[i]);
}

/* ---- Their number ---- */

void shards_change(struct remote *remote, uint32_t count)
{
    struct shards *shards = &remote->shards;
    count = at_most_lanes(count);
    shards->next = count == shards->wanted ? 0 : count;
}

/* Once nothing is under way, the new ones begin where the positions of the lanes are. */
static void change_if_idle(struct writer *writer, struct remote *remote)
{
    struct shards *shards = &remote->shards;
    bool is_idle = true;
    for (uint32_t i = 0; i < shards->count; i++)
        is_idle &= shard_rest(&shards->items[i]);
    if (!is_idle || !shards_abort(remote))
        return;
    uint32_t wanted = shards->next;
    log_info(MSG("the number of shards changes"), STR("remote_name", remote->config->name),
             INT("from", shards->wanted), INT("to", wanted));
    shards_fini(remote);
    start(writer, remote, wanted);
}

static uint64_t sum_of(const struct remote *remote, const enum remote_counter *counters,
                       size_t count)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += remote_get(remote->place, counters[i]);
    return sum;
}

#define SUM_OF(remote, ...)                                                                        \
    sum_of(remote, (const enum remote_counter[]){__VA_ARGS__},                                     \
           sizeof((const enum remote_counter[]){__VA_ARGS__}) / sizeof(enum remote_counter))

static struct pace_sums measure(const struct remote *remote)
{
    return (struct pace_sums){
        .in = remote->taken,
        .dropped = SUM_OF(remote, REMOTE_DROPPED_TOO_OLD, REMOTE_DROPPED_UNWANTED,
                          REMOTE_HISTOGRAMS_TOO_OLD, REMOTE_HISTOGRAMS_UNWANTED,
                          REMOTE_EXEMPLARS_TOO_OLD, REMOTE_EXEMPLARS_UNWANTED),
        .out = SUM_OF(remote, REMOTE_DELIVERED, REMOTE_ALREADY_DELIVERED, REMOTE_SAMPLES_FAILED,
                      REMOTE_HISTOGRAMS_DELIVERED, REMOTE_HISTOGRAMS_ALREADY_DELIVERED,
                      REMOTE_HISTOGRAMS_FAILED, REMOTE_EXEMPLARS_DELIVERED,
                      REMOTE_EXEMPLARS_ALREADY_DELIVERED, REMOTE_EXEMPLARS_FAILED),
        .sending_ns = remote_get(remote->place, REMOTE_DURATION_SUM_NS)};
}

/* Of what has been taken out of the rings. */
static double delay_of(const struct remote *remote)
{
    uint64_t in_ms = remote_get(remote->place, REMOTE_HIGHEST_MS);
    uint64_t sent_ms = remote_get(remote->place, REMOTE_HIGHEST_SENT_MS);
    return sent_ms > 0 && in_ms > sent_ms ? (double)(in_ms - sent_ms) / 1000 : 0;
}

/*
 * What waits in the rings has come, too, though nobody has counted its items: they are estimated by
 * its bytes. Adds them to sums->in, and the time in which they came to *delay_s.
 */
static void add_waiting(const struct writer *writer, struct remote *remote, double seconds,
                        struct pace_sums *sums, double *delay_s)
{
    struct shards *shards = &remote->shards;
    double produced;
    double waiting = waiting_bytes(writer, remote, &produced);
    double came = produced - shards->produced;
    double consumed = came + shards->waiting - waiting;
    if (consumed > 0 && remote->taken > shards->taken)
        shards->items_per_byte = (double)(remote->taken - shards->taken) / consumed;
    shards->produced = produced;
    shards->waiting = waiting;
    shards->taken = remote->taken;
    uint64_t in = sums->in + (uint64_t)(waiting * shards->items_per_byte);
    sums->in = in > shards->pace.last.in ? in : shards->pace.last.in; /* an estimate may shrink */
    *delay_s += came > 0 ? waiting / (came / seconds) : 0;
}

/* A remote that does not answer, or asks for pauses, is not helped by more requests. */
static bool may_change(const struct remote *remote, int64_t now_ns)
{
    return now_ns - remote->sent_at_ns < STEP_NS &&
           now_ns - remote->waited_at_ns >= 2 * remote->wait_ms * NS_PER_MS;
}

static void step(const struct writer *writer, struct remote *remote, int64_t now_ns)
{
    struct shards *shards = &remote->shards;
    const struct config_queue *queue = &remote->config->queue_config;
    const struct pace_limits limits = {shards->wanted, at_most_lanes(queue->min_shards),
                                       at_most_lanes(queue->max_shards)};
    struct pace_sums sums = measure(remote);
    double seconds = (double)(now_ns - shards->stepped_at_ns) / (double)NS_PER_S;
    double delay_s = delay_of(remote);
    double desired;
    add_waiting(writer, remote, seconds, &sums, &delay_s);
    uint32_t count = pace_step(&shards->pace, &sums, seconds, delay_s, limits, &desired);
    remote_set(remote->place, REMOTE_SHARDS_DESIRED, (uint64_t)(desired * 1000));
    shards->stepped_at_ns = now_ns;
    shards->step_at_ns = now_ns + STEP_NS;
    /* A change that still waits for the remote is given up then: nothing new begins before it. */
    shards_change(remote, may_change(remote, now_ns) ? count : shards->wanted);
}

/* ---- Each turn ---- */

void shards_poke(struct writer *writer, struct remote *remote, int64_t now_ns)
{
    struct shards *shards = &remote->shards;
    if (now_ns >= shards->step_at_ns && !writer->flushing && shards->barrier == 0)
        step(writer, remote, now_ns);
    for (uint32_t i = 0; i < shards->count; i++)
        shard_poke(&shards->items[i]);
    if (shards->next != 0 && !writer->closing)
        change_if_idle(writer, remote);
}

void shards_show_pending(const struct remote *remote)
{
    static const enum remote_counter counters[DELIVERY_KINDS] = {
        [DELIVERY_SAMPLES] = REMOTE_SAMPLES_PENDING,
        [DELIVERY_HISTOGRAMS] = REMOTE_HISTOGRAMS_PENDING,
        [DELIVERY_EXEMPLARS] = REMOTE_EXEMPLARS_PENDING,
    };
    uint64_t pending[DELIVERY_KINDS] = {0};
    for (uint32_t i = 0; i < remote->shards.count; i++) {
        uint64_t of[DELIVERY_KINDS];
        shard_pending(&remote->shards.items[i], of);
        for (int kind = 0; kind < DELIVERY_KINDS; kind++)
            pending[kind] += of[kind];
    }
    for (int kind = 0; kind < DELIVERY_KINDS; kind++)
        remote_set(remote->place, counters[kind], pending[kind]);
}

bool shards_are_busy(const struct remote *remote)
{
    for (uint32_t i = 0; i < remote->shards.count; i++) {
        if (shard_is_busy(&remote->shards.items[i]))
            return true;
    }
    return false;
}

bool shards_are_sending(const struct remote *remote)
{
    for (uint32_t i = 0; i < remote->shards.count; i++) {
        if (shard_is_sending(&remote->shards.items[i]))
            return true;
    }
    return false;
}
