/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "writer/carrier.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/crashpoint.h"
#include "shm/remote_counters.h"
#include "writer/compress.h"
#include "writer/remote.h"
#include "writer/shard.h"

#define CARRIER_OF(pointer, member)                                                                \
    ((struct carrier *)(void *)((char *)(pointer)-offsetof(struct carrier, member)))

static void on_answer(struct attempt *attempt, enum answer answer);
static void transmit(struct carrier *carrier);

static const struct config_queue *queue_of(const struct carrier *carrier)
{
    return &carrier->remote->config->queue_config;
}

static int64_t oldest_allowed_ms(const struct carrier *carrier)
{
    int64_t limit_ms = queue_of(carrier)->sample_age_limit;
    return limit_ms > 0 ? clock_ms_of_ns(clock_wall_ns()) - limit_ms : INT64_MIN;
}

/* ---- Which record ---- */

/* The first record of the carrier's lanes: its place stands there. False: there is none. */
static bool look(struct carrier *carrier, struct spool_record *ret_record,
                 struct spool_mark *ret_mark)
{
    struct spool *spool = &carrier->backlog->spool;
    while (spool_find(spool, &carrier->place, ret_record, ret_mark)) {
        if ((ret_record->lanes & carrier->lanes) != 0)
            return true;
        carrier->place = spool_after(carrier->place, ret_record);
    }
    return false;
}

static bool is_same_place(struct spool_place a, struct spool_place b)
{
    return a.segment == b.segment && a.offset == b.offset;
}

/* Whether this record, the first one of the carrier's lanes, is its own to deliver now. */
static bool is_its_turn(const struct carrier *carrier, const struct spool_record *record)
{
    uint64_t lowest = record->lanes & (~record->lanes + 1);
    if ((carrier->lanes & lowest) == 0)
        return false;
    if ((record->lanes & ~carrier->lanes) == 0)
        return true;
    for (uint32_t i = 0; i < carrier->remote->shards.count; i++) {
        struct carrier *other = &carrier->remote->shards.items[i].carrier;
        struct spool_record first;
        struct spool_mark mark;
        if (other == carrier || (other->lanes & record->lanes) == 0)
            continue;
        if (other->state != CARRIER_IDLE || !look(other, &first, &mark) ||
            !is_same_place(other->place, carrier->place))
            return false;
    }
    return true;
}

/* ---- Outcomes ---- */

static void forget_parts(struct carrier *carrier)
{
    message_free(&carrier->whole);
    carrier->part_at = 0;
}

static void finish(struct carrier *carrier)
{
    struct spool_place next = spool_after(carrier->place, &carrier->record);
    spool_release(&carrier->backlog->spool, carrier->index);
    backlog_finish(carrier->backlog, carrier->place, &carrier->record, &carrier->outcome);
    carrier->place = next;
    carrier->outcome = (struct delivery_outcome){0};
    carrier->state = CARRIER_IDLE;
    carrier->attempts = 0;
    carrier->is_repacked = false;
    backoff_reset(&carrier->backoff);
    forget_parts(carrier);
    if (carrier->backlog->spool.items == 0) {
        free(carrier->body);
        carrier->body = NULL;
        carrier->body_room = 0;
    }
}

/* Nothing of what is left of the record can be read. */
static void give_up_damaged(struct carrier *carrier)
{
    for (int kind = 0; kind < DELIVERY_KINDS; kind++) {
        struct delivery_tally *tally = &carrier->outcome.of[kind];
        uint64_t known = tally->delivered + tally->already_delivered + tally->failed +
                         tally->too_old + tally->damaged;
        if (carrier->record.items[kind] > known)
            tally->damaged += carrier->record.items[kind] - known;
    }
    finish(carrier);
}

/* ---- Bodies ---- */

static void keep_body(struct carrier *carrier, size_t len)
{
    enum { GRAIN = 16384 };
    if (len > carrier->body_room) {
        carrier->body_room = (len + GRAIN - 1) / GRAIN * GRAIN;
        free(carrier->body);
        carrier->body = malloc(carrier->body_room);
        check(carrier->body != NULL);
    }
    carrier->body_len = len;
}

static void take_part(struct carrier *carrier, struct message_part *part, uint32_t version)
{
    keep_body(carrier, part->body_len);
    memcpy(carrier->body, part->body, part->body_len);
    free(part->body);
    carrier->message = version;
    carrier->sent = part->sent;
    carrier->oldest_ms = part->oldest_ms;
    for (int kind = 0; kind < DELIVERY_KINDS; kind++)
        carrier->outcome.of[kind].too_old += part->too_old.of[kind];
    carrier->outcome.custom_buckets += part->custom_buckets;
}

/* The version that the record is sent in: never 2.0 to a receiver that does not know it. */
static uint32_t version_of(const struct carrier *carrier)
{
    return carrier->record.message == 2 && carrier->remote->message == 1 &&
                   remote_may_fall_back(carrier->remote)
               ? 1
               : carrier->record.message;
}

/* Makes the body out of the record's: in another version, as snappy, or without what is too old. */
static bool rewrite(struct carrier *carrier)
{
    struct message whole;
    struct message_part part;
    bool more;
    uint32_t version = version_of(carrier);
    const struct message_choice choice = {.oldest_ms = oldest_allowed_ms(carrier),
                                          .version =
                                              version < carrier->message ? 1 : carrier->message};
    if (message_unpack(slice_make(carrier->body, carrier->body_len), carrier->message, &whole) != 0)
        return false;
    int err = message_build(&whole, choice, &part, &more);
    message_free(&whole);
    if (err != 0)
        return false;
    take_part(carrier, &part, choice.version);
    return true;
}

/* It is a zstd frame, and the receiver, or the configuration by now, does not want one. */
static bool is_unwanted_zstd(const struct carrier *carrier)
{
    return compress_is_zstd(slice_make(carrier->body, carrier->body_len)) &&
           (carrier->is_repacked || remote_compression(carrier->remote) != CONFIG_COMPRESSION_ZSTD);
}

/* Brings the body up to date before each attempt. False: it cannot be read. */
static bool refresh(struct carrier *carrier)
{
    bool is_part = carrier->whole.version != 0;
    bool is_stale = carrier->oldest_ms < oldest_allowed_ms(carrier);
    if (!is_stale && (is_part || carrier->message <= version_of(carrier)) &&
        !is_unwanted_zstd(carrier))
        return true;
    return rewrite(carrier);
}

/* The next scrape of the record, when it is resolved. */
static void send_part(struct carrier *carrier)
{
    struct message_part part;
    bool more;
    const struct message_choice choice = {.from = carrier->part_at,
                                          .one_scrape = true,
                                          .oldest_ms = oldest_allowed_ms(carrier),
                                          .version = carrier->whole.version};
    do {
        struct message_choice next = choice;
        next.from = carrier->part_at;
        if (message_build(&carrier->whole, next, &part, &more) != 0) {
            give_up_damaged(carrier);
            return;
        }
        carrier->part_at = part.end;
        take_part(carrier, &part, choice.version);
    } while (more && verdict_sum(&carrier->sent) == 0);
    if (!more) {
        finish(carrier);
        return;
    }
    carrier->attempts = 0; /* a request of its own */
    transmit(carrier);
}

/* ---- Sending ---- */

static void finish_sent(struct carrier *carrier)
{
    if (carrier->whole.version != 0)
        send_part(carrier);
    else
        finish(carrier);
}

static void transmit(struct carrier *carrier)
{
    if (!refresh(carrier)) {
        give_up_damaged(carrier);
        return;
    }
    if (verdict_sum(&carrier->sent) == 0) {
        finish_sent(carrier);
        return;
    }
    carrier->state = CARRIER_SENDING;
    verdict_attempt(carrier->remote, &carrier->sent, carrier->attempts > 0);
    attempt_start(&carrier->attempt, carrier->message, carrier->attempts++,
                  slice_make(carrier->body, carrier->body_len));
    CRASHPOINT("writer.record_sent");
}

static void begin(struct carrier *carrier, const struct spool_record *record)
{
    carrier->record = *record;
    carrier->is_uncertain = (record->flags & SPOOL_UNCERTAIN) != 0 ||
                            spool_is_doubtful(&carrier->backlog->spool, carrier->place);
    carrier->message = record->message;
    carrier->oldest_ms = record->oldest_ms;
    for (int kind = 0; kind < DELIVERY_KINDS; kind++)
        carrier->sent.of[kind] = record->items[kind];
    spool_hold(&carrier->backlog->spool, carrier->index, carrier->place, record);
    keep_body(carrier, record->body_len);
    if (spool_read_body(&carrier->backlog->spool, carrier->place, record, carrier->body) != 0 ||
        (record->message != 1 && record->message != 2))
        give_up_damaged(carrier);
    else
        transmit(carrier);
}

void carrier_poke(struct carrier *carrier)
{
    struct spool_record record;
    struct spool_mark mark;
    /* One that turns out to be over at once makes way for the next one. */
    while (carrier->state == CARRIER_IDLE &&
           (carrier->lanes & backlog_lanes(carrier->backlog)) != 0 &&
           attempt_is_quiet(&carrier->attempt) && clock_mono_ns() >= carrier->not_before_ns) {
        if (!look(carrier, &record, &mark) || !is_its_turn(carrier, &record))
            return;
        begin(carrier, &record);
    }
}

void carrier_take_over(struct carrier *carrier, uint32_t attempts, const struct backoff *backoff,
                       int64_t not_before_ns)
{
    if (carrier->state != CARRIER_IDLE)
        return;
    carrier->attempts = attempts;
    carrier->backoff = *backoff;
    carrier->not_before_ns = not_before_ns;
    loop_timer_set(carrier->loop, &carrier->timer, not_before_ns);
}

static void on_timer(struct loop_timer *timer)
{
    struct carrier *carrier = CARRIER_OF(timer, timer);
    /* One that is idle is poked, as after every turn. */
    if (carrier->state == CARRIER_WAITING)
        transmit(carrier);
}

/* ---- Answers ---- */

static void resolve(struct carrier *carrier)
{
    struct slice body = slice_make(carrier->body, carrier->body_len);
    if (message_unpack(body, carrier->message, &carrier->whole) != 0) {
        give_up_damaged(carrier);
        return;
    }
    remote_count(carrier->remote->place, REMOTE_REPEATS_SPLIT, 1);
    carrier->is_repacked = false; /* the answer was about what is in it */
    send_part(carrier);
}

static void refused(struct carrier *carrier)
{
    bool is_part = carrier->whole.version != 0;
    if (carrier->is_uncertain && !is_part &&
        verdict_wants_parts(&carrier->attempt, carrier->message)) {
        resolve(carrier);
        return;
    }
    bool is_repeat = is_part || (carrier->is_uncertain && carrier->attempt.status == 400);
    verdict_refused(&carrier->attempt, carrier->message, &carrier->sent, is_repeat,
                    &carrier->outcome);
    finish_sent(carrier);
}

/* The receiver has nothing of it, and does not know 2.0. */
static void send_as_v1(struct carrier *carrier)
{
    struct message_part part;
    bool more;
    remote_fall_back(carrier->remote);
    carrier->attempts = 0;
    if (carrier->whole.version == 0) {
        carrier->is_uncertain = false;
        transmit(carrier);
        return;
    }
    const struct message_choice choice = {.oldest_ms = INT64_MIN, .version = 1};
    struct message whole;
    struct slice body = slice_make(carrier->body, carrier->body_len);
    if (message_unpack(body, carrier->message, &whole) != 0) {
        give_up_damaged(carrier);
        return;
    }
    int err = message_build(&whole, choice, &part, &more);
    message_free(&whole);
    if (err != 0) {
        give_up_damaged(carrier);
        return;
    }
    take_part(carrier, &part, 1);
    transmit(carrier);
}

static void send_as_snappy(struct carrier *carrier)
{
    carrier->is_repacked = true;
    carrier->attempts = 0;
    transmit(carrier);
}

static void wait_and_repeat(struct carrier *carrier)
{
    int64_t wait_ms = backoff_next(&carrier->backoff, carrier->attempt.retry_after_ms);
    carrier->state = CARRIER_WAITING;
    loop_timer_set(carrier->loop, &carrier->timer, clock_mono_ns() + wait_ms * NS_PER_MS);
    verdict_retry(&carrier->attempt, carrier->attempts, wait_ms);
}

static void on_answer(struct attempt *attempt, enum answer answer)
{
    struct carrier *carrier = CARRIER_OF(attempt, attempt);
    check(carrier->state == CARRIER_SENDING);
    CRASHPOINT("writer.record_answered");
    if (verdict_is_not_understood(attempt, carrier->message, answer)) {
        send_as_v1(carrier);
        return;
    }
    if (verdict_wants_snappy(attempt, answer)) {
        send_as_snappy(carrier);
        return;
    }
    carrier->remote->speaks_v2 |= attempt->says_written;
    switch (answer) {
    case ANSWER_DELIVERED:
        if (carrier->is_repacked)
            remote_refuse_zstd(carrier->remote);
        verdict_delivered(attempt, carrier->message, &carrier->sent, &carrier->outcome);
        verdict_sent(carrier->remote, carrier->body_len, carrier->record.newest_ms);
        finish_sent(carrier);
        break;
    case ANSWER_REFUSED:
        refused(carrier);
        break;
    case ANSWER_RETRY:
    case ANSWER_NONE:
        carrier->is_uncertain |= attempt->may_have_arrived;
        wait_and_repeat(carrier);
        break;
    }
}

/* ---- The rest ---- */

void carrier_init(struct carrier *carrier, struct loop *loop, struct remote *remote,
                  struct backlog *backlog, uint32_t index, uint64_t lanes)
{
    *carrier = (struct carrier){.timer.expired = on_timer,
                                .loop = loop,
                                .remote = remote,
                                .backlog = backlog,
                                .index = index,
                                .lanes = lanes};
    attempt_init(&carrier->attempt, loop, remote, on_answer);
    backoff_init(&carrier->backoff, queue_of(carrier)->min_backoff, queue_of(carrier)->max_backoff);
}

bool carrier_is_sending(const struct carrier *carrier)
{
    return carrier->state == CARRIER_SENDING;
}

bool carrier_rest(struct carrier *carrier)
{
    bool is_resolving = carrier->whole.version != 0;
    if (carrier->state == CARRIER_WAITING && !is_resolving &&
        spool_has(&carrier->backlog->spool, carrier->place)) {
        if (carrier->is_uncertain)
            spool_doubt(&carrier->backlog->spool, spool_after(carrier->place, &carrier->record));
        loop_timer_clear(carrier->loop, &carrier->timer);
        spool_release(&carrier->backlog->spool, carrier->index);
        carrier->outcome = (struct delivery_outcome){0};
        carrier->state = CARRIER_IDLE;
    }
    return carrier->state == CARRIER_IDLE;
}

void carrier_abort(struct carrier *carrier)
{
    loop_timer_clear(carrier->loop, &carrier->timer);
    attempt_abort(&carrier->attempt);
}

bool carrier_is_quiet(const struct carrier *carrier)
{
    return attempt_is_quiet(&carrier->attempt);
}

void carrier_fini(struct carrier *carrier)
{
    attempt_fini(&carrier->attempt);
    message_free(&carrier->whole);
    free(carrier->body);
}
