/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "writer/shard.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/crashpoint.h"
#include "base/hash.h"
#include "base/log.h"
#include "shm/remote_counters.h"
#include "writer/verdict.h"
#include "writer/writer.h"

#define SHARD_OF(pointer, member)                                                                  \
    ((struct shard *)(void *)((char *)(pointer)-offsetof(struct shard, member)))

static void on_answer(struct attempt *attempt, enum answer answer);
static void on_timer(struct loop_timer *timer);

/* A batch holds back at most this part of a ring, however few samples are in it. */
enum { RING_SHARE = 4, SAMPLES_MAX = 1 << 20, STRETCH_MAX = 64 };

uint64_t shard_lanes(uint32_t index, uint32_t shard_count)
{
    check(shard_count > 0);
    uint64_t lanes = 0;
    for (uint32_t lane = index; lane < SHM_LANES; lane += shard_count)
        lanes |= UINT64_C(1) << lane;
    return lanes;
}

static const struct config_queue *queue_of(const struct shard *shard)
{
    return &shard->remote->config->queue_config;
}

static struct scan_filter filter_of(const struct shard *shard)
{
    return (struct scan_filter){
        shard->batch.lanes,
        (const struct shm_position(*)[SHM_MAX_SCRAPERS])shard->remote->place->lanes};
}

static uint32_t samples_wanted(const struct shard *shard)
{
    int64_t wanted = queue_of(shard)->max_samples_per_send;
    return wanted < 1 ? 1 : wanted > SAMPLES_MAX ? SAMPLES_MAX : (uint32_t)wanted;
}

/* More are collected where rules let few of them through, so that requests are still full. */
static uint32_t samples_to_collect(const struct shard *shard)
{
    uint64_t samples = (uint64_t)samples_wanted(shard) * shard->stretch;
    return samples > SAMPLES_MAX ? SAMPLES_MAX : (uint32_t)samples;
}

/* What the rules let through of the batch that was built is what they will of the next. */
static void note_share(struct shard *shard)
{
    const struct build_result *built = &shard->built;
    uint32_t seen = built->sent + build_unwanted(built);
    if (seen == 0)
        return;
    uint32_t stretch = built->sent > 0 ? seen / built->sent : STRETCH_MAX;
    shard->stretch = stretch < STRETCH_MAX ? stretch : STRETCH_MAX;
}

static void count(const struct shard *shard, enum remote_counter counter, uint64_t more)
{
    remote_count(shard->remote->place, counter, more);
}

static void set_timer(struct shard *shard, int64_t wait_ms)
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
    shard->attempts = left->attempts;
    /* Without a body's hash the predecessor did not come to send it. */
    shard->is_uncertain = left->body_hash != 0;
    shard->state = SHARD_WAITING;
    shard->begun_ns = clock_mono_ns();
    shard->is_stored = backlog_has_stored(&shard->remote->backlog, left, &shard->stored);
    set_timer(shard, 0);
}

void shard_init(struct shard *shard, struct writer *writer, struct remote *remote, uint32_t index,
                uint64_t lanes)
{
    *shard = (struct shard){.timer.expired = on_timer,
                            .writer = writer,
                            .remote = remote,
                            .index = index,
                            .lanes = lanes,
                            .stretch = 1};
    attempt_init(&shard->attempt, writer->loop, remote, on_answer);
    carrier_init(&shard->carrier, writer->loop, remote, &remote->backlog, index, lanes);
    const struct config_queue *queue = queue_of(shard);
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
    shard->is_full = scan_collect(writer->sources, writer->source_count, filter_of(shard),
                                  samples_to_collect(shard), &shard->batch);
    if (shard->batch.samples == 0) {
        shard->is_full = false;
        skip_foreign_blocks(shard);
        return;
    }
    shard->is_full |= holds_too_much(shard);
    if (before == 0)
        set_timer(shard, queue_of(shard)->batch_send_deadline);
}

/* So much of some ring, in its 1/parts, lies behind the batch's first sample. */
static bool is_behind(const struct shard *shard, uint32_t parts, uint32_t of)
{
    const struct shm_batch *batch = &shard->batch;
    for (uint32_t ring = 0; ring < batch->rings; ring++) {
        const struct ring_consumer *consumer = &shard->writer->sources[ring].ring;
        if (ring_consumer_produced(consumer) - batch->start[ring].pos > consumer->size / of * parts)
            return true;
    }
    return false;
}

static bool holds_half(const struct shard *shard)
{
    return is_behind(shard, 1, 2);
}

static void begin_batch(struct shard *shard);
static void relieve(struct shard *shard);

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
        if (shard->batch.samples == 0 || !(is_ready || holds_half(shard)))
            return;
        /* Without a spool it has to wait until nothing of an attempt that was given up is left. */
        if (!shard->remote->backlog.is_there && !attempt_is_quiet(&shard->attempt))
            return;
        begin_batch(shard);
    }
}

void shard_poke(struct shard *shard)
{
    if (shard->writer->closing)
        return;
    if (shard->state != SHARD_COLLECTING)
        relieve(shard);
    if (shard->lanes == 0)
        return;
    take_batches(shard);
    if (!shard->writer->flushing && shard->remote->shards.next == 0)
        carrier_poke(&shard->carrier);
}

/* ---- Sending ---- */

static struct shm_batch *what_is_sent(struct shard *shard)
{
    return shard->is_resolving ? &shard->part : &shard->batch;
}

static int64_t oldest_allowed_ms(const struct shard *shard)
{
    int64_t limit_ms = queue_of(shard)->sample_age_limit;
    return limit_ms > 0 ? clock_ms_of_ns(clock_wall_ns()) - limit_ms : INT64_MIN;
}

/* The encoder's buffer is needed by other shards; the body is needed until it is delivered. */
static void keep_body(struct shard *shard)
{
    enum { GRAIN = 16384 };
    struct slice body = shard->built.body;
    if (body.len > shard->body_room) {
        shard->body_room = (body.len + GRAIN - 1) / GRAIN * GRAIN;
        free(shard->body);
        shard->body = malloc(shard->body_room);
        check(shard->body != NULL);
    }
    memcpy(shard->body, body.ptr, body.len);
    shard->built.body.ptr = shard->body;
}

static void raise_to(struct shard *shard, enum remote_counter counter, int64_t ms)
{
    if (ms > 0 && (uint64_t)ms > remote_get(shard->remote->place, counter))
        remote_set(shard->remote->place, counter, (uint64_t)ms);
}

static void note_newest(struct shard *shard)
{
    struct shm_slot *slot = shard->writer->slot;
    int64_t newest_ms = shard->built.newest_ms;
    raise_to(shard, REMOTE_HIGHEST_MS, newest_ms);
    if (newest_ms > 0 && (uint64_t)newest_ms > slot_get(slot, COUNTER_WRITER_HIGHEST_IN_MS))
        slot_set(slot, COUNTER_WRITER_HIGHEST_IN_MS, (uint64_t)newest_ms);
}

/*
 * Encodes what is to be sent. A new batch may turn out larger than a request can be: it ends
 * earlier then. A repeat must not change; only samples that have become too old drop out of it.
 */
static void build(struct shard *shard, bool is_new)
{
    struct writer *writer = shard->writer;
    struct shm_batch *batch = what_is_sent(shard);
    struct scan scan;
    scan_start(&scan, writer->sources, writer->source_count, filter_of(shard), batch->start,
               batch->end);
    const struct config_remote *config = shard->remote->config;
    struct build_limits limits = {.message = shard->batch.message,
                                  .relabel = shard->remote->relabel,
                                  .oldest_ms = oldest_allowed_ms(shard),
                                  .fast = config->limpet.compression == CONFIG_COMPRESSION_FAST,
                                  .histograms = config->send_native_histograms,
                                  .exemplars = config->send_exemplars,
                                  .may_end_early = is_new,
                                  .samples_max = samples_wanted(shard)};
    build_request(&writer->builder, &scan, limits, &shard->built);
    if (is_new) {
        memcpy(batch->end, scan.at, writer->source_count * sizeof *batch->end);
        batch->samples = shard->built.passed;
        note_share(shard);
    }
    keep_body(shard);
    note_newest(shard);
}

static void note_attempt(struct shard *shard)
{
    uint64_t hash = hash64(shard->body, shard->built.body.len, 0);
    const struct shm_batch *open = delivery_batch(shard->remote->place, shard->index);
    check(open != NULL);
    bool has_changed = open->body_hash != 0 && open->body_hash != hash;
    /* Within one life only the age limit changes a body. */
    if (has_changed && build_too_old(&shard->built) == 0) {
        count(shard, REMOTE_REPEATS_CHANGED, 1);
        log_warn(MSG("a repeated batch is not the same as before: the configuration has changed"),
                 STR("remote_name", shard->remote->config->name),
                 INT("samples", shard->built.sent));
    }
    delivery_attempt(shard->remote->place, shard->index, hash);
}

static struct verdict_items sent_in(const struct shard *shard)
{
    struct verdict_items sent;
    for (int kind = 0; kind < DELIVERY_KINDS; kind++)
        sent.of[kind] = shard->built.of[kind].sent;
    return sent;
}

static void send_body(struct shard *shard)
{
    check(shard->built.sent > 0);
    if (!shard->is_resolving)
        note_attempt(shard);
    struct verdict_items sent = sent_in(shard);
    shard->state = SHARD_SENDING;
    verdict_attempt(shard->remote, &sent, shard->attempts > 0);
    attempt_start(&shard->attempt, shard->batch.message, shard->attempts++, shard->built.body);
}

static void finish_sent(struct shard *shard);

/* What of a new batch was looked at. Kinds that the remote is not sent count as samples. */
static void note_intake(const struct shard *shard)
{
    const struct build_tally *histograms = &shard->built.of[DELIVERY_HISTOGRAMS];
    const struct build_tally *exemplars = &shard->built.of[DELIVERY_EXEMPLARS];
    struct shm_slot *slot = shard->writer->slot;
    shard->remote->taken += shard->built.passed;
    slot_add(slot, COUNTER_WRITER_HISTOGRAMS_IN, histograms->sent);
    slot_add(slot, COUNTER_WRITER_EXEMPLARS_IN, exemplars->sent);
    slot_add(slot, COUNTER_WRITER_SAMPLES_IN,
             shard->built.passed - histograms->sent - exemplars->sent);
}

static void store(struct shard *shard);

/* Live batches of a lane queue behind what is in the spool. */
static bool must_be_stored(const struct shard *shard)
{
    const struct backlog *backlog = &shard->remote->backlog;
    if (!backlog->is_there || shard->is_resolving)
        return false;
    return (backlog_lanes(backlog) & shard->batch.lanes) != 0 || shard->writer->spilling ||
           !attempt_is_quiet(&shard->attempt);
}

static void go_on(struct shard *shard)
{
    if (shard->built.sent == 0)
        finish_sent(shard);
    else if (must_be_stored(shard))
        store(shard);
    else
        send_body(shard);
}

static void begin_batch(struct shard *shard)
{
    loop_timer_clear(shard->writer->loop, &shard->timer);
    shard->is_due = false;
    shard->is_full = false;
    shard->batch.message = shard->remote->message;
    build(shard, true);
    note_intake(shard);
    CRASHPOINT("writer.batch_built");
    delivery_open(shard->remote->place, shard->index, &shard->batch);
    shard->begun_ns = clock_mono_ns();
    go_on(shard);
}

static void finish_stored(struct shard *shard);

/* The next attempt of what is under way, or the first one of what a predecessor left. */
static void repeat(struct shard *shard)
{
    bool is_left = shard->built.body.ptr == NULL;
    if (is_left || shard->built.oldest_ms < oldest_allowed_ms(shard))
        build(shard, false);
    if (shard->is_stored)
        finish_stored(shard);
    else
        go_on(shard);
}

static void on_timer(struct loop_timer *timer)
{
    struct shard *shard = SHARD_OF(timer, timer);
    if (shard->state == SHARD_COLLECTING)
        shard->is_due = true; /* see shard_poke, which follows each turn */
    else if (!shard->writer->closing)
        repeat(shard);
}

/* ---- Answers ---- */

static uint64_t damaged_in(const struct delivery_outcome *outcome)
{
    uint64_t sum = 0;
    for (int kind = 0; kind < DELIVERY_KINDS; kind++)
        sum += outcome->of[kind].damaged;
    return sum;
}

/* The batch is over: everything in it has been delivered, refused or left out. */
static void finish_batch(struct shard *shard)
{
    CRASHPOINT("writer.outcome_known");
    struct writer *writer = shard->writer;
    delivery_done(&writer->delivery, shard->remote->place, shard->index, &shard->outcome);
    CRASHPOINT("writer.batch_done");
    slot_add(writer->slot, COUNTER_WRITER_CORRUPT, damaged_in(&shard->outcome));
    shard->outcome = (struct delivery_outcome){0};
    shard->built = (struct build_result){0};
    shard->is_resolving = false;
    shard->is_uncertain = false;
    shard->is_stored = false;
    shard->attempts = 0;
    shard->state = SHARD_COLLECTING;
    backoff_reset(&shard->backoff);
    shard_reset(shard);
    shards_lower_barrier(shard->remote);
    writer_acknowledge(writer);
}

/* Sends the first scrape of what is left of the batch; it is over when there is none. */
static void send_part(struct shard *shard)
{
    struct writer *writer = shard->writer;
    if (!scan_first_scrape(writer->sources, writer->source_count, filter_of(shard), &shard->batch,
                           &shard->part)) {
        finish_batch(shard);
        return;
    }
    shard->attempts = 0; /* a request of its own */
    build(shard, false);
    CRASHPOINT("writer.part_built");
    if (shard->built.sent > 0)
        send_body(shard);
    else
        finish_sent(shard);
}

static void add_left_out(struct delivery_outcome *outcome, const struct build_result *built)
{
    for (int kind = 0; kind < DELIVERY_KINDS; kind++) {
        struct delivery_tally *tally = &outcome->of[kind];
        tally->too_old += built->of[kind].too_old;
        tally->unwanted += built->of[kind].unwanted;
        tally->damaged += built->of[kind].damaged;
        tally->too_large += built->of[kind].too_large;
    }
    outcome->custom_buckets += built->custom_buckets;
}

/* What was sent needs no further attempt, whatever became of it. */
static void finish_sent(struct shard *shard)
{
    const struct build_result *built = &shard->built;
    add_left_out(&shard->outcome, built);
    if (built->sent > 0)
        verdict_sent(shard->remote, built->body.len, built->newest_ms);
    if (!shard->is_resolving) {
        finish_batch(shard);
        return;
    }
    memcpy(shard->batch.start, shard->part.end, sizeof shard->batch.start);
    send_part(shard);
}

/* The same items once more, as if for the first time. */
static void send_as_v1(struct shard *shard)
{
    remote_fall_back(shard->remote);
    /* Of a batch that is being resolved some parts have arrived: a successor must know that. */
    if (!shard->is_resolving) {
        delivery_change_message(shard->remote->place, shard->index, 1);
        shard->is_uncertain = false;
    }
    shard->batch.message = 1;
    shard->attempts = 0;
    build(shard, false);
    if (shard->built.sent > 0)
        send_body(shard);
    else
        finish_sent(shard);
}

static void drop_refused(struct shard *shard)
{
    struct verdict_items sent = sent_in(shard);
    verdict_refused(&shard->attempt, shard->batch.message, &sent, shard->is_resolving,
                    &shard->outcome);
}

static void take_delivered(struct shard *shard)
{
    struct verdict_items sent = sent_in(shard);
    verdict_delivered(&shard->attempt, shard->batch.message, &sent, &shard->outcome);
}

static void resolve(struct shard *shard)
{
    struct writer *writer = shard->writer;
    bool found = scan_first_scrape(writer->sources, writer->source_count, filter_of(shard),
                                   &shard->batch, &shard->part);
    shard->is_resolving = true;
    if (found && shard->part.samples == shard->batch.samples) {
        /* One scrape only: it has just been sent by itself. */
        drop_refused(shard);
        finish_sent(shard);
        return;
    }
    count(shard, REMOTE_REPEATS_SPLIT, 1);
    send_part(shard);
}

static void refused(struct shard *shard)
{
    if (shard->attempt.status == 400 && shard->is_uncertain && !shard->is_resolving) {
        resolve(shard);
        return;
    }
    drop_refused(shard);
    finish_sent(shard);
}

static void wait_and_repeat(struct shard *shard)
{
    const struct attempt *attempt = &shard->attempt;
    int64_t wait_ms = backoff_next(&shard->backoff, attempt->retry_after_ms);
    shard->state = SHARD_WAITING;
    set_timer(shard, wait_ms);
    verdict_retry(attempt, shard->attempts, wait_ms);
}

static void on_answer(struct attempt *attempt, enum answer answer)
{
    struct shard *shard = SHARD_OF(attempt, attempt);
    check(shard->state == SHARD_SENDING);
    CRASHPOINT("writer.answered");
    if (verdict_is_not_understood(attempt, shard->batch.message, answer)) {
        send_as_v1(shard);
        return;
    }
    shard->remote->speaks_v2 |= attempt->says_written;
    switch (answer) {
    case ANSWER_DELIVERED:
        take_delivered(shard);
        finish_sent(shard);
        break;
    case ANSWER_REFUSED:
        refused(shard);
        break;
    case ANSWER_RETRY:
    case ANSWER_NONE:
        shard->is_uncertain |= attempt->may_have_arrived;
        wait_and_repeat(shard);
        break;
    }
}

/* ---- What takes too long ---- */

/* The batch is in the spool, as shard->stored. */
static void finish_stored(struct shard *shard)
{
    shard->outcome.spooled += spool_items_of(&shard->stored);
    /* A predecessor had resolved the beginning of it. */
    for (int kind = 0; kind < DELIVERY_KINDS && shard->is_stored; kind++)
        shard->outcome.of[kind].already_delivered +=
            shard->built.of[kind].sent - shard->stored.items[kind];
    add_left_out(&shard->outcome, &shard->built);
    finish_batch(shard);
}

static void describe(const struct shard *shard, struct spool_record *ret_record)
{
    const struct build_result *built = &shard->built;
    *ret_record = (struct spool_record){.message = shard->batch.message,
                                        .flags = shard->is_uncertain ? SPOOL_UNCERTAIN : 0,
                                        .oldest_ms = built->oldest_ms,
                                        .newest_ms = built->newest_ms};
    for (int kind = 0; kind < DELIVERY_KINDS; kind++)
        ret_record->items[kind] = built->of[kind].sent;
}

/* The carrier goes on where the shard stops. */
static void hand_over(struct shard *shard)
{
    bool is_waiting = shard->state == SHARD_WAITING;
    int64_t now_ns = clock_mono_ns();
    int64_t at_ns = is_waiting && shard->retry_at_ns > now_ns ? shard->retry_at_ns : now_ns;
    attempt_abort(&shard->attempt);
    loop_timer_clear(shard->writer->loop, &shard->timer);
    carrier_take_over(&shard->carrier, shard->attempts, &shard->backoff, at_ns);
}

static void give_up(struct shard *shard);

/* Puts the body into the spool. If that does not go, the batch goes on as it was. */
static void store(struct shard *shard)
{
    enum { AGAIN_MS = 1000 };
    struct shm_remote *place = shard->remote->place;
    if (delivery_batch(place, shard->index)->body_hash == 0)
        delivery_attempt(place, shard->index, hash64(shard->body, shard->built.body.len, 0));
    bool is_sending = shard->state == SHARD_SENDING;
    struct spool_record *record = &shard->stored;
    shard->is_uncertain |= is_sending;
    describe(shard, record);
    if (backlog_store(&shard->remote->backlog, delivery_batch(place, shard->index), record,
                      shard->built.body)) {
        if (shard->attempts > 0)
            hand_over(shard);
        finish_stored(shard);
        return;
    }
    shard->store_again_ns = clock_mono_ns() + AGAIN_MS * NS_PER_MS;
    if (holds_half(shard)) {
        give_up(shard);
    } else if (shard->state == SHARD_COLLECTING) {
        shard->state = SHARD_WAITING;
        set_timer(shard, AGAIN_MS);
    }
}

static void say_given_up(struct shard *shard)
{
    uint64_t unsaid;
    if (remote_may_log(shard->remote, clock_mono_ns(), &unsaid))
        log_error(MSG("a remote is too far behind, and there is no spool; its oldest samples are "
                      "dropped"),
                  STR("remote_name", shard->remote->config->name),
                  INT("samples", shard->built.sent), INT("more_of_these_unsaid", unsaid));
}

static void give_up(struct shard *shard)
{
    attempt_abort(&shard->attempt);
    loop_timer_clear(shard->writer->loop, &shard->timer);
    say_given_up(shard);
    for (int kind = 0; kind < DELIVERY_KINDS; kind++)
        shard->outcome.of[kind].behind += shard->built.of[kind].sent;
    add_left_out(&shard->outcome, &shard->built);
    finish_batch(shard);
}

/* Makes the body of what is left. False: nothing is. */
static bool build_rest(struct shard *shard)
{
    if (shard->is_resolving || shard->built.body.ptr == NULL) {
        shard->is_resolving = false;
        build(shard, false);
    }
    if (shard->is_stored)
        finish_stored(shard);
    else if (shard->built.sent == 0)
        finish_sent(shard);
    return shard->state != SHARD_COLLECTING;
}

/* A batch that is under way must not hold up the rings, nor others, for ever. */
static void relieve(struct shard *shard)
{
    int64_t patience_ns = shard->writer->config->limpet.spool.after * NS_PER_MS;
    int64_t now_ns = clock_mono_ns();
    int64_t age_ns = now_ns - shard->begun_ns;
    bool is_sending = shard->state == SHARD_SENDING;
    /* A ring may be full because the writer was not there: a remote that answers is not at fault.
     */
    bool is_slow = !is_sending || age_ns >= patience_ns / 10;
    bool is_behind_half = is_slow && holds_half(shard);
    if (is_sending && shard->is_resolving)
        return; /* its body is in use, and short */
    if (shard->remote->backlog.is_there) {
        bool is_due = is_behind_half || shard->writer->spilling || age_ns >= patience_ns;
        if (is_due && now_ns >= shard->store_again_ns && build_rest(shard))
            store(shard);
    } else if (is_behind_half && (!is_sending || is_behind(shard, 3, 4)) && build_rest(shard)) {
        give_up(shard);
    }
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

bool shard_is_sending(const struct shard *shard)
{
    return shard->state == SHARD_SENDING || carrier_is_sending(&shard->carrier);
}

uint32_t shard_pending(const struct shard *shard)
{
    return shard->batch.samples;
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
    free(shard->body);
}
