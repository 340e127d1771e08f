/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "writer/verdict.h"

#include "base/clock.h"
#include "base/log.h"
#include "shm/remote_counters.h"
#include "writer/compress.h"

uint32_t verdict_sum(const struct verdict_items *sent)
{
    uint32_t sum = 0;
    for (int kind = 0; kind < DELIVERY_KINDS; kind++)
        sum += sent->of[kind];
    return sum;
}

void verdict_attempt(struct remote *remote, const struct verdict_items *sent, bool is_retry)
{
    static const enum remote_counter attempted[DELIVERY_KINDS] = {REMOTE_SAMPLES, REMOTE_HISTOGRAMS,
                                                                  REMOTE_EXEMPLARS};
    static const enum remote_counter retried[DELIVERY_KINDS] = {
        REMOTE_SAMPLES_RETRIED, REMOTE_HISTOGRAMS_RETRIED, REMOTE_EXEMPLARS_RETRIED};
    for (int kind = 0; kind < DELIVERY_KINDS; kind++) {
        remote_count(remote->place, attempted[kind], sent->of[kind]);
        if (is_retry)
            remote_count(remote->place, retried[kind], sent->of[kind]);
    }
}

/* What the receiver says it has written: nothing without a word about it, which is usual in 1.0. */
static uint64_t written_of(const struct attempt *attempt, uint32_t message,
                           const struct verdict_items *sent, int kind)
{
    uint64_t written = message == 2 ? attempt->written[kind] : 0;
    return written < sent->of[kind] ? written : sent->of[kind];
}

/* Adds that to the outcome; the rest has failed, and is returned. */
static uint64_t add_written(const struct attempt *attempt, uint32_t message,
                            const struct verdict_items *sent, struct delivery_outcome *outcome)
{
    uint64_t missing = 0;
    for (int kind = 0; kind < DELIVERY_KINDS; kind++) {
        uint64_t written = written_of(attempt, message, sent, kind);
        outcome->of[kind].delivered += written;
        outcome->of[kind].failed += sent->of[kind] - written;
        missing += sent->of[kind] - written;
    }
    return missing;
}

void verdict_delivered(const struct attempt *attempt, uint32_t message,
                       const struct verdict_items *sent, struct delivery_outcome *outcome)
{
    struct remote *remote = attempt->remote;
    if (message != 2) {
        for (int kind = 0; kind < DELIVERY_KINDS; kind++)
            outcome->of[kind].delivered += sent->of[kind];
        return;
    }
    uint64_t missing = add_written(attempt, message, sent, outcome);
    uint64_t unsaid;
    if (missing > 0 && remote_may_log(remote, REMOTE_LOG_LOSS, clock_mono_ns(), &unsaid))
        log_error(MSG("the receiver says that it has not written all of a request; the rest is "
                      "dropped"),
                  STR("remote_name", remote->config->name), STR("url", remote->config->url),
                  INT("sent", verdict_sum(sent)), INT("missing", missing),
                  INT("more_of_these_unsaid", unsaid));
}

void verdict_refused(const struct attempt *attempt, uint32_t message,
                     const struct verdict_items *sent, bool is_repeat,
                     struct delivery_outcome *outcome)
{
    struct remote *remote = attempt->remote;
    struct slice text = attempt_text(attempt);
    if (is_repeat && answer_says_repeated(text)) {
        for (int kind = 0; kind < DELIVERY_KINDS; kind++) {
            uint64_t written = written_of(attempt, message, sent, kind);
            outcome->of[kind].delivered += written;
            outcome->of[kind].already_delivered += sent->of[kind] - written;
        }
        return;
    }
    (void)add_written(attempt, message, sent, outcome);
    uint64_t unsaid;
    if (remote_may_log(remote, REMOTE_LOG_LOSS, clock_mono_ns(), &unsaid))
        log_error(MSG("the receiver refused samples; they are dropped"),
                  STR("remote_name", remote->config->name), STR("url", remote->config->url),
                  INT("status", attempt->status), INT("samples", verdict_sum(sent)),
                  SLICE("answer", text), INT("more_of_these_unsaid", unsaid));
}

bool verdict_wants_parts(const struct attempt *attempt, uint32_t message)
{
    uint64_t written = 0;
    for (int kind = 0; kind < DELIVERY_KINDS; kind++)
        written += attempt->written[kind];
    return attempt->status == 400 && (message != 2 || written == 0);
}

void verdict_retry(const struct attempt *attempt, uint32_t attempts, int64_t wait_ms)
{
    struct remote *remote = attempt->remote;
    uint64_t unsaid;
    remote->waited_at_ns = clock_mono_ns();
    remote->wait_ms = wait_ms;
    if (remote_may_log(remote, REMOTE_LOG_REPEAT, remote->waited_at_ns, &unsaid))
        log_warn(MSG("sending failed; it will be repeated"),
                 STR("remote_name", remote->config->name), STR("url", remote->config->url),
                 INT("status", attempt->status), SLICE("answer", attempt_text(attempt)),
                 INT("attempt", attempts), INT("wait_ms", wait_ms),
                 INT("more_of_these_unsaid", unsaid));
}

bool verdict_is_not_understood(const struct attempt *attempt, uint32_t message, enum answer answer)
{
    const struct remote *remote = attempt->remote;
    if (message != 2 || attempt->says_written || !remote_may_fall_back(remote))
        return false;
    return answer == ANSWER_DELIVERED || attempt->status == 415 ||
           (attempt->status == 400 && !remote->speaks_v2);
}

/*
 * The statuses by which receivers refuse what they cannot decode; 400, the usual one
 * (Prometheus 2.42 and VictoriaMetrics 1.79: "snappy: corrupt input"), may as well be about what is
 * in it. 415 is not.
 */
bool verdict_wants_snappy(const struct attempt *attempt, enum answer answer)
{
    bool is_about_form = attempt->status == 400 || attempt->status == 415 || attempt->status == 422;
    if (answer != ANSWER_REFUSED || !is_about_form || !compress_is_zstd(attempt->body))
        return false;
    if (attempt->status == 415)
        remote_refuse_zstd(attempt->remote);
    return true;
}

void verdict_sent(struct remote *remote, size_t bytes, int64_t newest_ms)
{
    remote->sent_at_ns = clock_mono_ns();
    remote_count(remote->place, REMOTE_BYTES, bytes);
    if (newest_ms > 0 && (uint64_t)newest_ms > remote_get(remote->place, REMOTE_HIGHEST_SENT_MS))
        remote_set(remote->place, REMOTE_HIGHEST_SENT_MS, (uint64_t)newest_ms);
}
