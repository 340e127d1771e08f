/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "writer/backlog.h"

#include <string.h>

#include "base/clock.h"
#include "base/crashpoint.h"
#include "base/hash.h"
#include "base/log.h"
#include "shm/remote_counters.h"
#include "writer/remote.h"

/* ---- Counting ---- */

static struct shm_remote *place_of(const struct backlog *backlog)
{
    return backlog->remote->place;
}

static uint64_t get(const struct backlog *backlog, enum remote_counter counter)
{
    return remote_get(place_of(backlog), counter);
}

/* What should wait, by the counters. */
static uint64_t balance(const struct backlog *backlog)
{
    return get(backlog, REMOTE_SPOOL_IN) + get(backlog, REMOTE_SPOOL_FOUND) -
           get(backlog, REMOTE_SPOOL_OUT) - get(backlog, REMOTE_SPOOL_LOST_FULL) -
           get(backlog, REMOTE_SPOOL_LOST_EXPIRED) - get(backlog, REMOTE_SPOOL_LOST_DAMAGED);
}

static void say_lost(struct backlog *backlog, const char *why, uint64_t items)
{
    log_error(MSG("samples are dropped from the spool of a remote; more of it is only counted"),
              STR("remote_name", backlog->remote->config->name), STR("reason", why),
              INT("samples", items));
    backlog->has_said_full = true;
}

static void count_losses(struct backlog *backlog)
{
    static const struct {
        enum remote_counter counter;
        const char *name;
    } reasons[SPOOL_LOSSES] = {
        [SPOOL_LOST_FULL] = {REMOTE_SPOOL_LOST_FULL, "full"},
        [SPOOL_LOST_EXPIRED] = {REMOTE_SPOOL_LOST_EXPIRED, "expired"},
        [SPOOL_LOST_DAMAGED] = {REMOTE_SPOOL_LOST_DAMAGED, "damaged"},
    };
    struct spool *spool = &backlog->spool;
    for (int i = 0; i < SPOOL_LOSSES; i++) {
        if (spool->lost[i] == 0)
            continue;
        remote_count(place_of(backlog), reasons[i].counter, spool->lost[i]);
        if (!backlog->has_said_full)
            say_lost(backlog, reasons[i].name, spool->lost[i]);
        spool->lost[i] = 0;
    }
    remote_count(place_of(backlog), REMOTE_SPOOL_DAMAGES,
                 spool->damages - backlog->counted_damages);
    backlog->counted_damages = spool->damages;
}

static void show(struct backlog *backlog)
{
    count_losses(backlog);
    remote_set(place_of(backlog), REMOTE_SPOOL_ITEMS, backlog->spool.items);
    remote_set(place_of(backlog), REMOTE_SPOOL_BYTES, backlog->spool.bytes);
}

void backlog_tend(struct backlog *backlog, int64_t now_mono_ns)
{
    if (!backlog->is_there)
        return;
    if (now_mono_ns >= backlog->expire_at_ns) {
        spool_expire(&backlog->spool, clock_ms_of_ns(clock_wall_ns()));
        backlog->expire_at_ns = now_mono_ns + NS_PER_S;
    }
    show(backlog);
    if (backlog->spool.items == 0)
        backlog->has_said_full = false;
}

/* ---- Outcomes ---- */

static void mark_of(const struct delivery_outcome *outcome, struct spool_mark *ret_mark)
{
    *ret_mark = (struct spool_mark){.state = SPOOL_OVER};
    for (uint32_t kind = 0; kind < SPOOL_KINDS; kind++) {
        const struct delivery_tally *tally = &outcome->of[kind];
        uint32_t *of = ret_mark->of[kind];
        of[SPOOL_DELIVERED] = (uint32_t)tally->delivered;
        of[SPOOL_ALREADY_DELIVERED] = (uint32_t)tally->already_delivered;
        of[SPOOL_FAILED] = (uint32_t)tally->failed;
        of[SPOOL_TOO_OLD] = (uint32_t)tally->too_old;
        of[SPOOL_DAMAGED] = (uint32_t)tally->damaged;
    }
}

static void outcome_of(const struct spool_mark *mark, struct delivery_outcome *ret_outcome)
{
    *ret_outcome = (struct delivery_outcome){0};
    for (uint32_t kind = 0; kind < SPOOL_KINDS; kind++) {
        struct delivery_tally *tally = &ret_outcome->of[kind];
        const uint32_t *of = mark->of[kind];
        tally->delivered = of[SPOOL_DELIVERED];
        tally->already_delivered = of[SPOOL_ALREADY_DELIVERED];
        tally->failed = of[SPOOL_FAILED];
        tally->too_old = of[SPOOL_TOO_OLD];
        tally->damaged = of[SPOOL_DAMAGED];
    }
}

void backlog_finish(struct backlog *backlog, struct spool_place place,
                    const struct spool_record *record, struct delivery_outcome *outcome)
{
    struct shm_remote *remote = place_of(backlog);
    struct shm_batch note = {.rings = 1};
    note.start[0].pos = place.segment;
    note.end[0].pos = place.offset;
    delivery_open(remote, SHM_SPOOL_SLOT, &note);
    CRASHPOINT("writer.record_outcome_known");
    struct spool_mark mark;
    mark_of(outcome, &mark);
    spool_write_mark(&backlog->spool, place, &mark);
    CRASHPOINT("writer.record_marked");
    outcome->unspooled = spool_items_of(record);
    delivery_done(backlog->delivery, remote, SHM_SPOOL_SLOT, outcome);
    CRASHPOINT("writer.record_counted");
    spool_forget(&backlog->spool, place, record);
    show(backlog);
}

/* ---- Storing ---- */

/* Positions of rings are numbers that come again in another life; bodies do not. */
static uint64_t key_of(const struct shm_batch *batch)
{
    uint32_t rings = batch->rings < SHM_MAX_SCRAPERS ? batch->rings : SHM_MAX_SCRAPERS;
    uint64_t key = hash64(&batch->lanes, sizeof batch->lanes, batch->body_hash);
    key = hash64(batch->start, rings * sizeof *batch->start, key);
    return hash64(batch->end, rings * sizeof *batch->end, key);
}

bool backlog_has_stored(struct backlog *backlog, const struct shm_batch *batch,
                        struct spool_record *ret_record)
{
    struct spool_mark mark;
    return backlog->is_there && batch->body_hash != 0 &&
           spool_ends_with(&backlog->spool, key_of(batch)) &&
           spool_read_mark(&backlog->spool, backlog->spool.tail, ret_record, &mark);
}

static void say_broken(struct backlog *backlog, int err)
{
    remote_count(place_of(backlog), REMOTE_SPOOL_ERRORS, 1);
    if (!backlog->has_said_broken)
        log_error(
            MSG("the spool cannot be written; what a remote does not take stays in the rings"),
            STR("remote_name", backlog->remote->config->name), STR("err", err_text(err)));
    backlog->has_said_broken = true;
}

bool backlog_store(struct backlog *backlog, const struct shm_batch *batch,
                   struct spool_record *record, struct slice body)
{
    record->key = key_of(batch);
    record->lanes = batch->lanes;
    record->written_ms = clock_ms_of_ns(clock_wall_ns());
    int err = spool_append(&backlog->spool, record, body);
    count_losses(backlog);
    if (err != 0) {
        say_broken(backlog, err);
        return false;
    }
    backlog->has_said_broken = false;
    CRASHPOINT("writer.record_stored");
    return true;
}

/* ---- Opening ---- */

/* A predecessor died while it wrote down what became of a record. */
static void finish_note(struct backlog *backlog)
{
    struct shm_remote *remote = place_of(backlog);
    const struct shm_batch *note = delivery_batch(remote, SHM_SPOOL_SLOT);
    if (note == NULL)
        return;
    struct spool_place place = {note->start[0].pos, note->end[0].pos};
    struct spool_record record;
    struct spool_mark mark;
    struct delivery_outcome outcome;
    if (!backlog->is_there || !spool_read_mark(&backlog->spool, place, &record, &mark) ||
        mark.state != SPOOL_OVER) {
        delivery_cancel(remote, SHM_SPOOL_SLOT);
        return;
    }
    outcome_of(&mark, &outcome);
    outcome.unspooled = spool_items_of(&record);
    delivery_done(backlog->delivery, remote, SHM_SPOOL_SLOT, &outcome);
}

/* Items of a last record whose batch does not know yet that it was stored: no counter has them. */
static uint64_t uncounted(struct backlog *backlog)
{
    struct spool_record record;
    for (uint32_t shard = 0; shard < SHM_MAX_SHARDS; shard++) {
        const struct shm_batch *batch = delivery_batch(place_of(backlog), shard);
        if (batch != NULL && backlog_has_stored(backlog, batch, &record))
            return spool_items_of(&record);
    }
    return 0;
}

/* What is there against what the counters say. */
static void reconcile(struct backlog *backlog)
{
    uint64_t expected = balance(backlog);
    uint64_t found = backlog->spool.items - uncounted(backlog);
    memset(backlog->spool.lost, 0, sizeof backlog->spool.lost);
    if (found > expected)
        remote_count(place_of(backlog), REMOTE_SPOOL_FOUND, found - expected);
    else if (found < expected)
        backlog->spool.lost[SPOOL_LOST_DAMAGED] = expected - found;
    if (found > 0)
        log_info(MSG("the spool of a remote holds samples that come first"),
                 STR("remote_name", backlog->remote->config->name), INT("samples", found),
                 INT("bytes", backlog->spool.bytes));
}

void backlog_open(struct backlog *backlog, struct delivery *delivery, struct remote *remote,
                  int storage_fd, const char *name, struct spool_limits limits)
{
    *backlog =
        (struct backlog){.is_there = storage_fd >= 0, .delivery = delivery, .remote = remote};
    if (backlog->is_there)
        spool_open(&backlog->spool, storage_fd, name, limits);
    finish_note(backlog);
    if (!backlog->is_there)
        return;
    spool_drop_finished(&backlog->spool);
    reconcile(backlog);
    show(backlog);
}

void backlog_close(struct backlog *backlog)
{
    if (backlog->is_there)
        spool_close(&backlog->spool);
}
