/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "writer/shard_private.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/crashpoint.h"
#include "base/hash.h"
#include "base/log.h"
#include "shm/remote_counters.h"
#include "writer/pages.h"
#include "writer/verdict.h"
#include "writer/writer.h"

#define SHARD_OF(pointer, member)                                                                  \
    ((struct shard *)(void *)((char *)(pointer)-offsetof(struct shard, member)))

enum { STRETCH_MAX = 64 };

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

/* ---- Sending ---- */

static struct shm_batch *what_is_sent(struct shard *shard)
{
    return shard->is_resolving ? &shard->part : &shard->batch;
}

static int64_t oldest_allowed_ms(const struct shard *shard)
{
    int64_t limit_ms = shard_queue(shard)->sample_age_limit;
    return limit_ms > 0 ? clock_ms_of_ns(clock_wall_ns()) - limit_ms : INT64_MIN;
}

/* -errno. */
static int reserve_body(struct shard *shard, size_t room)
{
    pages_release(shard->body, shard->body_room);
    shard->body = NULL;
    shard->body_room = 0;
    int err = pages_reserve(&shard->body, room);
    if (err == 0)
        shard->body_room = room;
    return err;
}

/*
 * Where a body is built: where it stays until it is delivered. As long as something of an attempt
 * that was given up is left in the loop, that place is in use; what is built then goes into the
 * spool, see must_be_stored, and is the builder's meanwhile.
 */
static uint8_t *place_for_body(struct shard *shard)
{
    if (!attempt_is_quiet(&shard->attempt))
        return NULL;
    if (shard->body == NULL && !shard->is_copied)
        shard->is_copied = reserve_body(shard, builder_body_room(&shard->writer->builder)) != 0;
    return shard->is_copied ? NULL : shard->body;
}

/*
 * Where address space counts as memory (vm.overcommit_memory=2, RLIMIT_AS), there may be none for
 * the largest request of each shard; what has been built in the builder's is copied then.
 */
static void keep_copy(struct shard *shard)
{
    enum { GRAIN = 65536 };
    struct slice *body = &shard->built.body;
    if (!shard->is_copied || !attempt_is_quiet(&shard->attempt) || body->len == 0)
        return;
    if (body->len > shard->body_room) {
        /* Out of memory ends the process: another one goes on where this was. */
        int err = reserve_body(shard, (body->len + GRAIN - 1) / GRAIN * GRAIN);
        check(err == 0);
    }
    memcpy(shard->body, body->ptr, body->len);
    body->ptr = (const char *)shard->body;
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

/* Parts of a batch are short, and of one that was refused. */
static enum config_compression compression_of(const struct shard *shard)
{
    enum config_compression compression = (enum config_compression)shard->batch.compression;
    bool is_zstd_part = shard->is_resolving && compression == CONFIG_COMPRESSION_ZSTD;
    return is_zstd_part ? CONFIG_COMPRESSION_FAST : compression;
}

/*
 * Encodes what is to be sent. A new batch may turn out larger than a request can be: it ends
 * earlier then. A repeat must not change; only samples that have become too old drop out of it.
 */
void shard_build(struct shard *shard, bool is_new)
{
    struct writer *writer = shard->writer;
    struct shm_batch *batch = what_is_sent(shard);
    struct scan scan;
    scan_start(&scan, writer->sources, writer->source_count, shard_filter(shard), batch->start,
               batch->end);
    const struct config_remote *config = shard->remote->config;
    struct build_limits limits = {.message = shard->batch.message,
                                  .relabel = shard->remote->relabel,
                                  .oldest_ms = oldest_allowed_ms(shard),
                                  .compression = compression_of(shard),
                                  .histograms = config->send_native_histograms,
                                  .exemplars = config->send_exemplars,
                                  .may_end_early = is_new,
                                  .samples_max = shard_samples_wanted(shard)};
    build_request(&writer->builder, &scan, limits, place_for_body(shard), &shard->built);
    keep_copy(shard);
    /* What a receiver refuses of it shall not take the rest along. */
    shard->is_uncertain |= shard->built.contested;
    if (is_new) {
        memcpy(batch->end, scan.at, writer->source_count * sizeof *batch->end);
        batch->samples = shard->built.passed;
        note_share(shard);
    }
    note_newest(shard);
}

static void note_attempt(struct shard *shard)
{
    uint64_t hash = hash64(shard->built.body.ptr, shard->built.body.len, 0);
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
    check(shard->built.sent > 0 && shard_keeps_body(shard));
    if (!shard->is_resolving)
        note_attempt(shard);
    struct verdict_items sent = sent_in(shard);
    shard->state = SHARD_SENDING;
    verdict_attempt(shard->remote, &sent, shard->attempts > 0);
    attempt_start(&shard->attempt, shard->batch.message, shard->attempts++, shard->built.body);
}

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
        shard_finish_sent(shard);
    else if (must_be_stored(shard))
        shard_store(shard);
    else
        send_body(shard);
}

void shard_begin_batch(struct shard *shard)
{
    loop_timer_clear(shard->writer->loop, &shard->timer);
    shard->is_due = false;
    shard->is_full = false;
    shard->batch.message = shard->remote->message;
    shard->batch.compression = remote_compression(shard->remote);
    shard_build(shard, true);
    note_intake(shard);
    CRASHPOINT("writer.batch_built");
    delivery_open(shard->remote->place, shard->index, &shard->batch);
    shard->begun_ns = clock_mono_ns();
    go_on(shard);
}

/* The next attempt of what is under way, or the first one of what a predecessor left. */
static void repeat(struct shard *shard)
{
    bool is_left = shard->built.body.ptr == NULL;
    if (is_left || shard->built.oldest_ms < oldest_allowed_ms(shard))
        shard_build(shard, false);
    if (shard->is_stored)
        shard_finish_stored(shard);
    else
        go_on(shard);
}

void shard_on_timer(struct loop_timer *timer)
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
void shard_finish_batch(struct shard *shard)
{
    CRASHPOINT("writer.outcome_known");
    struct writer *writer = shard->writer;
    delivery_done(&writer->delivery, shard->remote->place, shard->index, &shard->outcome);
    CRASHPOINT("writer.batch_done");
    slot_add(writer->slot, COUNTER_WRITER_CORRUPT, damaged_in(&shard->outcome));
    shard->outcome = (struct delivery_outcome){0};
    shard->built = (struct build_result){0};
    shard->is_resolving = false;
    shard->is_repacked = false;
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
    if (!scan_first_scrape(writer->sources, writer->source_count, shard_filter(shard),
                           &shard->batch, &shard->part)) {
        shard_finish_batch(shard);
        return;
    }
    shard->attempts = 0; /* a request of its own */
    shard_build(shard, false);
    CRASHPOINT("writer.part_built");
    if (shard->built.sent > 0)
        send_body(shard);
    else
        shard_finish_sent(shard);
}

void shard_add_left_out(struct delivery_outcome *outcome, const struct build_result *built)
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
void shard_finish_sent(struct shard *shard)
{
    const struct build_result *built = &shard->built;
    shard_add_left_out(&shard->outcome, built);
    if (built->sent > 0)
        verdict_sent(shard->remote, built->body.len, built->newest_ms);
    if (!shard->is_resolving) {
        shard_finish_batch(shard);
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
    shard_build(shard, false);
    if (shard->built.sent > 0)
        send_body(shard);
    else
        shard_finish_sent(shard);
}

static void send_as_snappy(struct shard *shard)
{
    shard->batch.compression = CONFIG_COMPRESSION_FAST;
    shard->is_repacked = true;
    shard->attempts = 0;
    shard_build(shard, false);
    struct slice body = shard->built.body;
    delivery_change_compression(shard->remote->place, shard->index, CONFIG_COMPRESSION_FAST,
                                hash64(body.ptr, body.len, 0));
    if (shard->built.sent > 0)
        send_body(shard);
    else
        shard_finish_sent(shard);
}

static void drop_refused(struct shard *shard)
{
    struct verdict_items sent = sent_in(shard);
    bool is_repeat = shard->is_resolving || (shard->is_uncertain && shard->attempt.status == 400);
    verdict_refused(&shard->attempt, shard->batch.message, &sent, is_repeat, &shard->outcome);
}

static void take_delivered(struct shard *shard)
{
    if (shard->is_repacked)
        remote_refuse_zstd(shard->remote);
    struct verdict_items sent = sent_in(shard);
    verdict_delivered(&shard->attempt, shard->batch.message, &sent, &shard->outcome);
}

static void resolve(struct shard *shard)
{
    struct writer *writer = shard->writer;
    bool found = scan_first_scrape(writer->sources, writer->source_count, shard_filter(shard),
                                   &shard->batch, &shard->part);
    shard->is_resolving = true;
    shard->is_repacked = false; /* the answer was about what is in it */
    if (found && shard->part.samples == shard->batch.samples) {
        /* One scrape only: it has just been sent by itself. */
        drop_refused(shard);
        shard_finish_sent(shard);
        return;
    }
    count(shard, REMOTE_REPEATS_SPLIT, 1);
    send_part(shard);
}

static void refused(struct shard *shard)
{
    if (shard->is_uncertain && !shard->is_resolving &&
        verdict_wants_parts(&shard->attempt, shard->batch.message)) {
        resolve(shard);
        return;
    }
    drop_refused(shard);
    shard_finish_sent(shard);
}

static void wait_and_repeat(struct shard *shard)
{
    const struct attempt *attempt = &shard->attempt;
    int64_t wait_ms = backoff_next(&shard->backoff, attempt->retry_after_ms);
    shard->state = SHARD_WAITING;
    shard_set_timer(shard, wait_ms);
    verdict_retry(attempt, shard->attempts, wait_ms);
}

void shard_on_answer(struct attempt *attempt, enum answer answer)
{
    struct shard *shard = SHARD_OF(attempt, attempt);
    check(shard->state == SHARD_SENDING);
    CRASHPOINT("writer.answered");
    if (verdict_is_not_understood(attempt, shard->batch.message, answer)) {
        send_as_v1(shard);
        return;
    }
    if (verdict_wants_snappy(attempt, answer)) {
        send_as_snappy(shard);
        return;
    }
    shard->remote->speaks_v2 |= attempt->says_written;
    switch (answer) {
    case ANSWER_DELIVERED:
        take_delivered(shard);
        shard_finish_sent(shard);
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
