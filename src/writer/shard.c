/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "writer/shard.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/crashpoint.h"
#include "base/hash.h"
#include "base/log.h"
#include "shm/remote_counters.h"
#include "writer/answer.h"
#include "writer/writer.h"

#define SHARD_OF(pointer, member)                                                                  \
    ((struct shard *)(void *)((char *)(pointer) - offsetof(struct shard, member)))

static void on_head(struct fetch_connection *conn, const struct http_head *head);
static void on_body(struct fetch_connection *conn, const uint8_t *bytes, size_t len);
static void on_done(struct fetch_connection *conn, int error, const char *text);
static void on_timer(struct loop_timer *timer);

static const struct fetch_handler fetch_handler = {on_head, on_body, on_done, NULL};

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
        shard->batch.lanes, (const struct shm_position(*)[SHM_MAX_SCRAPERS])shard->remote->place->lanes};
}

static void count(const struct shard *shard, enum remote_counter counter, uint64_t more)
{
    remote_count(shard->remote->place, counter, more);
}

static void set_timer(struct shard *shard, int64_t wait_ms)
{
    struct loop *loop = shard->writer->loop;
    loop_timer_set(loop, &shard->timer, clock_mono_ns() + wait_ms * NS_PER_MS);
}

/* ---- Collecting ---- */

/* An empty batch at the least position of the shard's lanes. */
static void reset_batch(struct shard *shard)
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
    shard->attempt = left->attempts;
    /* Without a body's hash the predecessor did not come to send it. */
    shard->is_uncertain = left->body_hash != 0;
    shard->state = SHARD_WAITING;
    set_timer(shard, 0);
}

void shard_init(struct shard *shard, struct writer *writer, struct remote *remote, uint32_t index,
                uint64_t lanes)
{
    *shard = (struct shard){.timer.expired = on_timer,
                            .writer = writer,
                            .remote = remote,
                            .index = index,
                            .lanes = lanes};
    fetch_init(&shard->fetch, writer->loop, &fetch_handler);
    const struct config_queue *queue = queue_of(shard);
    backoff_init(&shard->backoff, queue->min_backoff, queue->max_backoff);
    shard->head = malloc(remote->head_room);
    check(shard->head != NULL);
    const struct shm_batch *left = delivery_batch(remote->place, index);
    if (left != NULL)
        take_up_batch(shard, left);
    else
        reset_batch(shard);
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

static void collect(struct shard *shard)
{
    struct writer *writer = shard->writer;
    uint32_t before = shard->batch.samples;
    uint32_t max = (uint32_t)queue_of(shard)->max_samples_per_send;
    if (scan_collect(writer->sources, writer->source_count, filter_of(shard), max, &shard->batch))
        shard->is_full = true;
    uint32_t samples = shard->batch.samples;
    slot_add(writer->slot, COUNTER_WRITER_SAMPLES_IN, samples - before);
    if (samples == 0)
        skip_foreign_blocks(shard);
    else if (before == 0)
        set_timer(shard, queue_of(shard)->batch_send_deadline);
}

static void begin_batch(struct shard *shard);

void shard_poke(struct shard *shard)
{
    if (shard->lanes == 0 || shard->writer->closing)
        return;
    /* A batch that leaves nothing to send (all too old, say) is over at once. */
    while (shard->state == SHARD_COLLECTING && shard->remote->barrier == 0) {
        if (!shard->is_full)
            collect(shard);
        bool is_ready = shard->is_full || shard->is_due || shard->writer->flushing;
        if (shard->batch.samples == 0 || !is_ready)
            return;
        begin_batch(shard);
    }
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

/* `before`: what is counted already; of nothing but age can it become more. */
static void count_left_out(struct shard *shard, struct build_result before)
{
    uint32_t damaged = shard->built.damaged - before.damaged;
    count(shard, REMOTE_DROPPED_TOO_OLD, shard->built.too_old - before.too_old);
    count(shard, REMOTE_DROPPED_DAMAGED, damaged);
    count(shard, REMOTE_DROPPED_TOO_LARGE, shard->built.too_large - before.too_large);
    slot_add(shard->writer->slot, COUNTER_WRITER_CORRUPT, damaged);
}

static void note_newest(struct shard *shard)
{
    uint64_t newest_ms = shard->built.newest_ms > 0 ? (uint64_t)shard->built.newest_ms : 0;
    if (newest_ms > remote_get(shard->remote->place, REMOTE_HIGHEST_MS))
        remote_set(shard->remote->place, REMOTE_HIGHEST_MS, newest_ms);
    if (newest_ms > slot_get(shard->writer->slot, COUNTER_WRITER_HIGHEST_IN_MS))
        slot_set(shard->writer->slot, COUNTER_WRITER_HIGHEST_IN_MS, newest_ms);
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
    struct build_limits limits = {oldest_allowed_ms(shard), is_new};
    build_request(&writer->builder, &scan, limits, &shard->built);
    if (is_new) {
        memcpy(batch->end, scan.at, writer->source_count * sizeof *batch->end);
        batch->samples = shard->built.passed;
    }
    keep_body(shard);
    note_newest(shard);
}

static void finish_batch(struct shard *shard);

static void note_hash(struct shard *shard)
{
    uint64_t hash = hash64(shard->body, shard->built.body.len, 0);
    const struct shm_batch *open = delivery_batch(shard->remote->place, shard->index);
    check(open != NULL);
    bool has_changed = open->body_hash != 0 && open->body_hash != hash;
    /* Within one life only the age limit changes a body. */
    if (has_changed && shard->built.too_old == 0) {
        count(shard, REMOTE_REPEATS_CHANGED, 1);
        log_warn(MSG("a repeated batch is not the same as before: the configuration has changed"),
                 STR("remote_name", shard->remote->config->name),
                 INT("samples", shard->built.sent));
    }
    delivery_attempt(shard->remote->place, shard->index, hash);
}

static void send_body(struct shard *shard)
{
    struct remote *remote = shard->remote;
    check(shard->built.sent > 0);
    if (!shard->is_resolving)
        note_hash(shard);
    CRASHPOINT("writer.committed");
    struct slice body = shard->built.body;
    size_t head_len = remote_write_head(remote, shard->attempt, body.len, shard->head);
    shard->attempt++;
    shard->status = 0;
    shard->retry_after_ms = 0;
    shard->text_len = 0;
    shard->state = SHARD_SENDING;
    shard->sent_at_ns = clock_mono_ns();
    const struct fetch_request request = {
        .addresses = remote->endpoint.addresses,
        .n_addresses = (uint32_t)remote->endpoint.address_count,
        .head = slice_make(shard->head, head_len),
        .body = body,
        .deadline_ns = shard->sent_at_ns + remote->config->remote_timeout * NS_PER_MS};
    fetch_start(&shard->fetch, &request);
    count(shard, REMOTE_REQUESTS, 1);
    count(shard, REMOTE_SAMPLES, shard->built.sent);
}

static void begin_batch(struct shard *shard)
{
    loop_timer_clear(shard->writer->loop, &shard->timer);
    shard->is_due = false;
    shard->is_full = false;
    build(shard, true);
    count_left_out(shard, (struct build_result){0});
    delivery_open(shard->remote->place, shard->index, &shard->batch);
    CRASHPOINT("writer.opened");
    if (shard->built.sent > 0)
        send_body(shard);
    else
        finish_batch(shard);
}

static void finish_sent(struct shard *shard);

/* The next attempt of what is under way, or the first one of what a predecessor left. */
static void repeat(struct shard *shard)
{
    bool is_left = shard->built.body.ptr == NULL;
    if (is_left || shard->built.oldest_ms < oldest_allowed_ms(shard)) {
        struct build_result before = shard->built;
        build(shard, false);
        count_left_out(shard, before);
    }
    if (shard->built.sent == 0) {
        finish_sent(shard);
        return;
    }
    if (shard->attempt > 0)
        count(shard, REMOTE_SAMPLES_RETRIED, shard->built.sent);
    send_body(shard);
}

static void on_timer(struct loop_timer *timer)
{
    struct shard *shard = SHARD_OF(timer, timer);
    if (shard->state == SHARD_WAITING)
        repeat(shard);
    else
        shard->is_due = true; /* see shard_poke, which follows each turn */
}

/* ---- Answers ---- */

static void on_head(struct fetch_connection *conn, const struct http_head *head)
{
    struct shard *shard = SHARD_OF(conn, fetch);
    shard->status = head->status;
    shard->retry_after_ms =
        answer_retry_after(head->retry_after, clock_ms_of_ns(clock_wall_ns()));
}

static void on_body(struct fetch_connection *conn, const uint8_t *bytes, size_t len)
{
    struct shard *shard = SHARD_OF(conn, fetch);
    size_t room = sizeof shard->text - shard->text_len;
    size_t kept = len < room ? len : room;
    memcpy(shard->text + shard->text_len, bytes, kept);
    shard->text_len += kept;
}

static void count_duration(struct shard *shard)
{
    static const int64_t bounds_ms[] = {5,    10,   25,   50,    100,   250,   500,   1000,
                                        2500, 5000, 10000, 25000, 60000, 120000, 300000};
    int64_t ns = clock_mono_ns() - shard->sent_at_ns;
    for (size_t i = 0; i < sizeof bounds_ms / sizeof *bounds_ms; i++) {
        if (ns <= bounds_ms[i] * NS_PER_MS)
            count(shard, (enum remote_counter)(REMOTE_DURATION_5MS + (int)i), 1);
    }
    count(shard, REMOTE_DURATION_ALL, 1);
    count(shard, REMOTE_DURATION_SUM_NS, (uint64_t)ns);
    count(shard, REMOTE_DURATION_COUNT, 1);
}

/* The batch is over: everything in it has been delivered, refused or left out. */
static void finish_batch(struct shard *shard)
{
    CRASHPOINT("writer.answered");
    struct writer *writer = shard->writer;
    delivery_done(&writer->delivery, shard->remote->place, shard->index);
    CRASHPOINT("writer.acked");
    shard->built = (struct build_result){0};
    shard->is_resolving = false;
    shard->is_uncertain = false;
    shard->attempt = 0;
    shard->state = SHARD_COLLECTING;
    backoff_reset(&shard->backoff);
    if (shard->remote->barrier > 0)
        shard->remote->barrier--; /* nobody has a batch then but those left by a predecessor */
    reset_batch(shard);
    writer_acknowledge(writer);
}

/* Sends the first scrape of what is left of the batch; it is over when there is none. */
static void send_part(struct shard *shard)
{
    struct writer *writer = shard->writer;
    while (scan_first_scrape(writer->sources, writer->source_count, filter_of(shard), &shard->batch,
                             &shard->part)) {
        build(shard, false);
        if (shard->built.sent > 0) {
            send_body(shard);
            return;
        }
        memcpy(shard->batch.start, shard->part.end, sizeof shard->batch.start);
    }
    finish_batch(shard);
}

/* What was sent needs no further attempt, whatever became of it. */
static void finish_sent(struct shard *shard)
{
    count(shard, REMOTE_BYTES, shard->built.body.len);
    if (shard->built.newest_ms > (int64_t)remote_get(shard->remote->place, REMOTE_HIGHEST_SENT_MS))
        remote_set(shard->remote->place, REMOTE_HIGHEST_SENT_MS, (uint64_t)shard->built.newest_ms);
    if (!shard->is_resolving) {
        finish_batch(shard);
        return;
    }
    memcpy(shard->batch.start, shard->part.end, sizeof shard->batch.start);
    send_part(shard);
}

static struct slice text_of(const struct shard *shard)
{
    struct slice text = slice_make(shard->text, shard->text_len);
    while (text.len > 0 && (text.ptr[text.len - 1] == '\n' || text.ptr[text.len - 1] == '\r'))
        text.len--;
    return text;
}

/* Refused for good. When resolving, what the receiver has already is no loss. */
static void count_refused(struct shard *shard)
{
    if (shard->is_resolving && answer_says_repeated(text_of(shard))) {
        count(shard, REMOTE_ALREADY_DELIVERED, shard->built.sent);
        return;
    }
    count(shard, REMOTE_SAMPLES_FAILED, shard->built.sent);
    uint64_t unsaid;
    if (remote_may_log(shard->remote, clock_mono_ns(), &unsaid))
        log_error(MSG("the receiver refused samples; they are dropped"),
                  STR("remote_name", shard->remote->config->name),
                  STR("url", shard->remote->config->url), INT("status", shard->status),
                  INT("samples", shard->built.sent), SLICE("answer", text_of(shard)),
                  INT("more_of_these_unsaid", unsaid));
}

static void resolve(struct shard *shard)
{
    struct writer *writer = shard->writer;
    bool found = scan_first_scrape(writer->sources, writer->source_count, filter_of(shard),
                                   &shard->batch, &shard->part);
    shard->is_resolving = true;
    if (found && shard->part.samples == shard->batch.samples) {
        /* One scrape only: it has just been sent by itself. */
        count_refused(shard);
        finish_sent(shard);
        return;
    }
    count(shard, REMOTE_REPEATS_SPLIT, 1);
    send_part(shard);
}

static void refused(struct shard *shard)
{
    count(shard, REMOTE_REQUESTS_REFUSED, 1);
    if (shard->status == 400 && shard->is_uncertain && !shard->is_resolving) {
        resolve(shard);
        return;
    }
    count_refused(shard);
    finish_sent(shard);
}

static void wait_and_repeat(struct shard *shard, const char *why)
{
    int64_t wait_ms = backoff_next(&shard->backoff, shard->retry_after_ms);
    shard->state = SHARD_WAITING;
    set_timer(shard, wait_ms);
    uint64_t unsaid;
    if (remote_may_log(shard->remote, clock_mono_ns(), &unsaid))
        log_warn(MSG("sending failed; it will be repeated"),
                 STR("remote_name", shard->remote->config->name),
                 STR("url", shard->remote->config->url), STR("error", why),
                 INT("status", shard->status), SLICE("answer", text_of(shard)),
                 INT("attempt", shard->attempt), INT("wait_ms", wait_ms),
                 INT("more_of_these_unsaid", unsaid));
}

static void on_done(struct fetch_connection *conn, int error, const char *text)
{
    struct shard *shard = SHARD_OF(conn, fetch);
    check(shard->state == SHARD_SENDING);
    count_duration(shard);
    if (error != 0) {
        count(shard, REMOTE_REQUESTS_UNANSWERED, 1);
        shard->is_uncertain |= fetch_request_maybe_delivered(conn);
        shard->retry_after_ms = 0;
        wait_and_repeat(shard, text);
        return;
    }
    switch (answer_classify(shard->status, queue_of(shard)->retry_on_http_429)) {
    case ANSWER_DELIVERED:
        count(shard, REMOTE_DELIVERED, shard->built.sent);
        finish_sent(shard);
        break;
    case ANSWER_REFUSED:
        refused(shard);
        break;
    case ANSWER_RETRY:
        count(shard, REMOTE_REQUESTS_ANSWERED_RETRY, 1);
        shard->is_uncertain |= shard->status != 429;
        wait_and_repeat(shard, "recoverable error");
        break;
    }
}

/* ---- The rest ---- */

uint64_t shard_hunger(const struct shard *shard)
{
    if (shard->state != SHARD_COLLECTING || shard->remote->barrier > 0 || shard->lanes == 0)
        return 0;
    if (shard->batch.samples == 0)
        return 1;
    uint64_t missing = (uint64_t)queue_of(shard)->max_samples_per_send - shard->batch.samples;
    return missing * sizeof(uint64_t);
}

bool shard_is_sending(const struct shard *shard)
{
    return shard->state == SHARD_SENDING;
}

uint32_t shard_pending(const struct shard *shard)
{
    return shard->batch.samples;
}

void shard_abort(struct shard *shard)
{
    loop_timer_clear(shard->writer->loop, &shard->timer);
    fetch_abort(&shard->fetch);
    fetch_close_idle(&shard->fetch);
}

bool shard_is_quiet(const struct shard *shard)
{
    return fetch_is_quiet(&shard->fetch);
}

void shard_fini(struct shard *shard)
{
    bool released = fetch_fini(&shard->fetch);
    check(released);
    free(shard->head);
    free(shard->body);
}
