/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "writer/shard_private.h"

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "writer/writer.h"

/* The batch is in the spool, as shard->stored. */
void shard_finish_stored(struct shard *shard)
{
    shard->outcome.spooled += spool_items_of(&shard->stored);
    /* A predecessor had resolved the beginning of it. */
    for (int kind = 0; kind < DELIVERY_KINDS && shard->is_stored; kind++) {
        uint32_t sent = shard->built.of[kind].sent;
        uint32_t stored = shard->stored.items[kind];
        shard->outcome.of[kind].already_delivered += sent > stored ? sent - stored : 0;
    }
    shard_add_left_out(&shard->outcome, &shard->built);
    shard_finish_batch(shard);
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

static void say_given_up(struct shard *shard)
{
    const char *why =
        shard->remote->backlog.is_there ? "its spool cannot be written" : "there is no spool";
    uint64_t unsaid;
    if (remote_may_log(shard->remote, REMOTE_LOG_LOSS, clock_mono_ns(), &unsaid))
        log_error(MSG("a remote is too far behind; its oldest samples are dropped"),
                  STR("why", why), STR("remote_name", shard->remote->config->name),
                  INT("samples", shard->built.sent), INT("more_of_these_unsaid", unsaid));
}

static void give_up(struct shard *shard)
{
    attempt_abort(&shard->attempt);
    loop_timer_clear(shard->writer->loop, &shard->timer);
    say_given_up(shard);
    for (int kind = 0; kind < DELIVERY_KINDS; kind++)
        shard->outcome.of[kind].behind += shard->built.of[kind].sent;
    shard_add_left_out(&shard->outcome, &shard->built);
    shard_finish_batch(shard);
}

/* Makes the body of what is left. False: nothing is. */
static bool build_rest(struct shard *shard)
{
    if (shard->is_resolving || shard->built.body.ptr == NULL) {
        shard->is_resolving = false;
        shard_build(shard, false);
    }
    if (shard->is_stored)
        shard_finish_stored(shard);
    else if (shard->built.sent == 0)
        shard_finish_sent(shard);
    return shard->state != SHARD_COLLECTING;
}

/* Puts the body into the spool. If that does not go, the batch goes on as it was. */
void shard_store(struct shard *shard)
{
    enum { AGAIN_MS = 1000 };
    struct shm_remote *place = shard->remote->place;
    if (delivery_batch(place, shard->index)->body_hash == 0)
        delivery_attempt(place, shard->index,
                         hash64(shard->built.body.ptr, shard->built.body.len, 0));
    bool is_sending = shard->state == SHARD_SENDING;
    struct spool_record *record = &shard->stored;
    shard->is_uncertain |= is_sending;
    describe(shard, record);
    if (backlog_store(&shard->remote->backlog, delivery_batch(place, shard->index), record,
                      shard->built.body)) {
        if (shard->attempts > 0)
            hand_over(shard);
        shard_finish_stored(shard);
        return;
    }
    int64_t now_ns = clock_mono_ns();
    shard->store_again_ns = now_ns + AGAIN_MS * NS_PER_MS;
    if (!shard_keeps_body(shard))
        shard->built.body.ptr = NULL; /* the builder's, which others use: it is made again */
    if (shard_holds_half(shard)) {
        give_up(shard);
    } else if (!is_sending) {
        /* A back-off goes on; a timer that has just expired must not be the last one. */
        bool has_timer = shard->state == SHARD_WAITING && shard->retry_at_ns > now_ns;
        shard->state = SHARD_WAITING;
        if (!has_timer)
            shard_set_timer(shard, AGAIN_MS);
    }
}

/*
 * A batch that is under way must not hold up the rings, nor others, for ever. Up to the loop's time
 * all answers are known that have come: what comes while this process is not run is not late.
 */
void shard_relieve(struct shard *shard)
{
    int64_t patience_ns = shard->writer->config->limpet.spool.after * NS_PER_MS;
    int64_t now_ns = loop_now(shard->writer->loop);
    int64_t age_ns = now_ns - shard->begun_ns;
    bool is_sending = shard->state == SHARD_SENDING;
    /* A ring may be full because the writer was not there: a remote that answers is not at fault.
     */
    bool is_slow = !is_sending || age_ns >= patience_ns / 10;
    bool is_behind_half = is_slow && shard_holds_half(shard);
    if (is_sending && shard->is_resolving)
        return; /* its body is in use, and short */
    if (shard->remote->backlog.is_there) {
        bool is_due = is_behind_half || shard->writer->spilling || age_ns >= patience_ns;
        if (is_due && now_ns >= shard->store_again_ns && build_rest(shard))
            shard_store(shard);
    } else if (is_behind_half && (!is_sending || shard_is_behind(shard, 3, 4)) &&
               build_rest(shard)) {
        give_up(shard);
    }
}
