/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "scrapers/scrape.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/crashpoint.h"
#include "base/log.h"
#include "exposition/content_type.h"
#include "scrapers/scrape_private.h"
#include "scrapers/way.h"

/* So many finished scrapes keep their memory for the next ones: those of a tick. */
#define SPARE_MAX 64u

static void on_look(struct loop_timer *timer);

/* ---- the pool ---- */

struct scrape *scrape_take(struct scraper *scraper)
{
    struct scrape *scrape = scraper->spare_scrapes;
    if (scrape != NULL) {
        scraper->spare_scrapes = scrape->next;
        scraper->spare_count--;
        return scrape;
    }
    scrape = calloc(1, sizeof(*scrape));
    check(scrape != NULL);
    scrape->look.expired = on_look;
    return scrape;
}

static void free_scrape(struct scrape *scrape)
{
    body_fini(&scrape->body);
    free(scrape);
}

void scrapes_fini(struct scraper *scraper)
{
    while (scraper->spare_scrapes != NULL) {
        struct scrape *scrape = scraper->spare_scrapes;
        scraper->spare_scrapes = scrape->next;
        free_scrape(scrape);
    }
}

/* The scrape is over. */
static void put_back(struct scrape *scrape)
{
    struct target *target = scrape->target;
    struct scraper *scraper = target->scraper;
    scrape_ending_free(scrape);
    if (scrape->uses_body)
        body_end(&scrape->body, &scraper->plans);
    if (scrape->is_gzip)
        http_gzip_fini(&scrape->gzip);
    free(scrape->location);
    scrape->location = NULL;
    target->took_ns = clock_mono_ns() - scrape->started_ns;
    scraper->awaited -= scrape->is_awaited;
    loop_timer_clear(scraper->loop, &scrape->look);
    scrape_put_off_end(scrape);
    way_end(target);
    ramp_leave(&scraper->ramp, &scrape->ramp);
    if (scrape->weight != 0)
        throttle_leave(&scraper->throttle, scrape->weight, -1);
    scraper->ring.promised -= scrape->promised;
    scraper->running--;
    target->scrape = NULL;
    if (scraper->spare_count == SPARE_MAX) {
        free_scrape(scrape);
        return;
    }
    scrape->next = scraper->spare_scrapes;
    scraper->spare_scrapes = scrape;
    scraper->spare_count++;
}

void scrape_abandon(struct scrape *scrape)
{
    scrape_count(scrape->target->scraper, COUNTER_SCRAPE_ABANDONED, 1);
    fetch_abort(&scrape->target->conn);
    put_back(scrape);
}

/* ---- failures ---- */

/* The first one counts. */
void scrape_fail(struct scrape *scrape, enum counter reason, const char *text)
{
    if (scrape->failure != SCRAPE_GOOD)
        return;
    scrape->failure = (int)reason;
    snprintf(scrape->error, sizeof(scrape->error), "%s", text);
}

/* Which limit the labels of a series exceeded, if that is why they were refused. */
static enum counter reason_of_labels(enum line_excess excess)
{
    static const enum counter reasons[] = {
        [LINE_EXCESS_NONE] = COUNTER_SCRAPE_LABELS,
        [LINE_EXCESS_LABELS] = COUNTER_SCRAPE_LABEL_LIMIT,
        [LINE_EXCESS_NAME] = COUNTER_SCRAPE_NAME_LENGTH_LIMIT,
        [LINE_EXCESS_VALUE] = COUNTER_SCRAPE_VALUE_LENGTH_LIMIT,
    };
    return reasons[excess];
}

static enum counter reason_of(int error)
{
    if (error == ERR_TIMEOUT)
        return COUNTER_SCRAPE_TIMEOUT;
    return error == ERR_PROTOCOL ? COUNTER_SCRAPE_PROTOCOL : COUNTER_SCRAPE_CONNECT;
}

/* How the body ended, if it did not end well. */
static void fail_as_body(struct scrape *scrape)
{
    const struct body *body = &scrape->body;
    if (body->state == BODY_MALFORMED)
        scrape_fail(scrape, COUNTER_SCRAPE_PARSE, body->error.text);
    else if (body->state == BODY_REFUSED)
        scrape_fail(scrape, reason_of_labels(body->excess), body->error.text);
    else if (body->left_out > 0 && body->harvest.count < body->harvest.limit)
        scrape_fail(scrape, COUNTER_SCRAPE_SAMPLE_LIMIT, "sample limit exceeded");
    else if (body->state == BODY_COMPLETE && body->exceeds_buckets)
        scrape_fail(scrape, COUNTER_SCRAPE_BUCKET_LIMIT, "histogram bucket limit exceeded");
    else if (body->state == BODY_COMPLETE && body->left_out > 0)
        scrape_fail(scrape, COUNTER_SCRAPE_TOO_BIG,
                    "more samples than half of the ring has room for");
}

/* Nothing is logged for each scrape but what somebody who looks for it asks for. */
static void tell_failure(const struct scrape *scrape)
{
    if (log_level_now() > LOG_LEVEL_DEBUG)
        return;
    const struct target *target = scrape->target;
    char url[256];
    snprintf(url, sizeof(url), "%016llx", (unsigned long long)target->id);
    log_debug(MSG("scrape failed"), STR("target", url), SLICE("request", way_shown(target)),
              STR("err", scrape->error));
}

/* On the page of targets. */
static void show_reason(const struct scrape *scrape)
{
    struct target *target = scrape->target;
    struct reasons *reasons = &target->scraper->reasons;
    bool failed = scrape->failure != SCRAPE_GOOD;
    if (failed)
        reasons_set(reasons, target->id, scrape->timestamp_ms, slice_of(scrape->error));
    else if (target->has_reason)
        reasons_clear(reasons, target->id);
    target->has_reason = failed;
}

/* Whether the scrape failed before there was anything to parse. */
static bool failed_on_the_way(const struct scrape *scrape)
{
    switch (scrape->failure) {
    case COUNTER_SCRAPE_CONNECT:
    case COUNTER_SCRAPE_TIMEOUT:
    case COUNTER_SCRAPE_STATUS:
    case COUNTER_SCRAPE_PROTOCOL:
    case COUNTER_SCRAPE_BODY_LIMIT:
        return true;
    default:
        return false;
    }
}

/* For the file of `scrape_failure_log_file`, which another process writes. */
static void log_failure(const struct scrape *scrape)
{
    const struct target *target = scrape->target;
    const struct scraper_job *job = target->job;
    if (job != NULL && job->config->scrape_failure_log_file[0] != '\0' && failed_on_the_way(scrape))
        failures_add(&target->scraper->failures, target->id,
                     clock_ms_of_ns(target->scraper->schedule.wall_now()), slice_of(scrape->error));
}

/* ---- the end ---- */

/* Time stands or has gone back: nothing of the scrape is newer than what was sent. */
static bool is_out_of_order(const struct scrape *scrape)
{
    const struct target *target = scrape->target;
    int64_t last_ms;
    return series_target_last(&target->scraper->store, target->ref, &last_ms) &&
           scrape->timestamp_ms <= last_ms;
}

void scrape_count_transfer(struct target *target)
{
    const struct fetch_counters *now = &target->conn.counters;
    scrape_count(target->scraper, COUNTER_BYTES_RECEIVED, now->bytes_in - target->counted.bytes_in);
    scrape_count(target->scraper, COUNTER_CONNECTIONS, now->opened - target->counted.opened);
    target->counted = *now;
}

static void run_pending(struct target *target)
{
    int64_t due_ns = target->pending_due_ns;
    target->pending_due_ns = 0;
    if (due_ns == 0 || target->life != TARGET_ACTIVE || target->scraper->stopping)
        return;
    int64_t now_ns = target->scraper->schedule.wall_now();
    scrape_due(&target->tick, due_ns, tick_timestamp(due_ns, now_ns, target->tick.interval_ns));
}

void scrape_begin_held(struct throttle_member *member)
{
    run_pending(TARGET_OF(member, turn));
}

/* A good body, of which not all could be put into the series table. */
static bool has_no_memory(const struct scrape *scrape)
{
    return scrape->failure == SCRAPE_GOOD && scrape->uses_body &&
           scrape->body.state == BODY_NO_MEMORY;
}

static void tell_cost(struct target *target, int64_t worked_ns)
{
    /* What the kernel, the loop and the connection take is much the same for all. */
    const int64_t besides_ns = 20000;
    uint64_t cost_ns = (uint64_t)(worked_ns + besides_ns);
    /* The first one has to learn everything, here as after a move: it says nothing of the next. */
    if (!target->was_measured) {
        target->was_measured = true;
        return;
    }
    uint64_t before_ns = target->cost_ns;
    /* Others on the same CPU only ever add to what is measured: it is believed slowly. */
    if (before_ns == 0 || cost_ns < before_ns)
        target->cost_ns = before_ns == 0 ? cost_ns : (3 * before_ns + cost_ns) / 4;
    else
        target->cost_ns = (15 * before_ns + cost_ns) / 16;
    costs_set(&target->scraper->costs, &target->cost_place, target->id, target->cost_ns);
}

static bool is_worth_committing(const struct scrape *scrape)
{
    const struct scraper *scraper = scrape->target->scraper;
    const struct body *body = &scrape->body;
    if (is_out_of_order(scrape)) {
        uint32_t samples = scrape->uses_body ? body->accepted - body->dropped : 0;
        scrape_count(scraper, COUNTER_SAMPLES_OUT_OF_ORDER, REPORT_COUNT + samples);
        return false;
    }
    if (has_no_memory(scrape))
        scrape_count(scraper, COUNTER_SCRAPE_NOT_STORED, 1);
    return !has_no_memory(scrape);
}

void scrape_finish(struct scrape *scrape)
{
    struct target *target = scrape->target;
    struct scraper *scraper = target->scraper;
    int64_t began_ns = scrape_is_measured(scraper) ? clock_mono_ns() : 0;
    atomic_store_explicit(&scraper->slot->working_on, target->id, memory_order_relaxed);
    if (scrape->uses_body) {
        body_finish(&scrape->body);
        fail_as_body(scrape);
    }
    bool is_committed = is_worth_committing(scrape);
    bool in_parts = is_committed && scrape_ends_in_parts(scrape);
    if (in_parts)
        scrape_put_off_ending(scrape);
    else if (is_committed)
        scrape_commit(scrape);
    if (scrape_is_measured(scraper))
        scrape->worked_ns += clock_mono_ns() - began_ns;
    if (!in_parts)
        scrape_is_over(scrape);
}

void scrape_is_over(struct scrape *scrape)
{
    struct target *target = scrape->target;
    struct scraper *scraper = target->scraper;
    show_reason(scrape);
    if (scrape->failure != SCRAPE_GOOD) {
        scrape_count(scraper, (enum counter)scrape->failure, 1);
        tell_failure(scrape);
        log_failure(scrape);
    } else if (!has_no_memory(scrape)) {
        scrape_count(scraper, COUNTER_SCRAPES_GOOD, 1);
    }
    if (scrape_is_measured(scraper))
        tell_cost(target, scrape->worked_ns);
    put_back(scrape);
    atomic_store_explicit(&scraper->slot->working_on, 0, memory_order_relaxed);
    if (target->life == TARGET_RELEASED)
        takeover_scrape_ended(target);
    run_pending(target);
}

/* ---- the answer ---- */

static void on_bytes(struct fetch_connection *conn)
{
    const struct target *target = TARGET_OF(conn, conn);
    struct scraper *scraper = target->scraper;
    struct scrape *scrape = target->scrape;
    atomic_store_explicit(&scraper->slot->working_on, target->id, memory_order_relaxed);
    ramp_leave(&scraper->ramp, &scrape->ramp);
    if (scrape->weight == 0)
        return;
    throttle_leave(&scraper->throttle, scrape->weight,
                   loop_now(scraper->loop) - scrape->started_ns);
    scrape->weight = 0;
}

static void on_head(struct fetch_connection *conn, const struct http_head *head)
{
    const struct target *target = TARGET_OF(conn, conn);
    struct scrape *scrape = target->scrape;
    char text[sizeof(scrape->error)];
    if (way_leads_on(target, head)) {
        scrape->redirect = head->status;
        scrape->location = strndup(head->location.ptr, head->location.len);
        check(scrape->location != NULL);
        return;
    }
    scrape->is_gzip = slice_is(head->content_encoding, "gzip");
    if (scrape->is_gzip && http_gzip_start(&scrape->gzip, 0) != 0)
        scrape_fail(scrape, COUNTER_SCRAPE_PROTOCOL, err_text(-ENOMEM));
    if (head->status != 200) {
        snprintf(text, sizeof(text), "server returned HTTP status %.*s",
                 (int)(head->status_text.len & 0xfff), head->status_text.ptr);
        scrape_fail(scrape, COUNTER_SCRAPE_STATUS, text);
    }
    size_t len = head->content_type.len;
    if (len >= sizeof(scrape->content_type))
        len = sizeof(scrape->content_type) - 1;
    if (len > 0)
        memcpy(scrape->content_type, head->content_type.ptr, len);
    scrape->content_type[len] = '\0';
}

/* What undoing the compression says of the body as a whole. */
static void finish_gzip(struct scrape *scrape)
{
    if (!scrape->gzip_over && http_gzip_end(&scrape->gzip) != 0)
        scrape->gzip_over = true;
    if (!scrape->gzip_over)
        return;
    if (scrape->failure == COUNTER_SCRAPE_CONTENT_TYPE)
        scrape->failure = SCRAPE_GOOD; /* what broke the body off comes first */
    scrape_fail(scrape, COUNTER_SCRAPE_PROTOCOL, http_gzip_error(&scrape->gzip));
}

/* The other place is asked, or the scrape is over, or its addresses are looked for once more. */
static void go_on(struct scrape *scrape)
{
    struct target *target = scrape->target;
    struct loop *loop = target->scraper->loop;
    struct fetch_request request;
    struct errctx why;
    int r = way_go_on(target, scrape_deadline(scrape), &request, &why);
    if (r == 0 && loop_now(loop) < scrape_deadline(scrape)) {
        loop_timer_set(loop, &scrape->look, loop_now(loop) + LOOKUP_POLL_NS);
        return;
    }
    if (r > 0) {
        fetch_start(&target->conn, &request);
        return;
    }
    if (r == 0)
        scrape_fail(scrape, COUNTER_SCRAPE_TIMEOUT, err_text(ERR_TIMEOUT));
    else
        scrape_fail(scrape, COUNTER_SCRAPE_CONNECT, why.text);
    scrape_finish(scrape);
}

static void on_look(struct loop_timer *timer)
{
    go_on((struct scrape *)(void *)((char *)timer - offsetof(struct scrape, look)));
}

static void follow(struct scrape *scrape)
{
    struct errctx why;
    int err = way_redirect(scrape->target, scrape->redirect, slice_of(scrape->location), &why);
    free(scrape->location);
    scrape->location = NULL;
    if (err == 0) {
        go_on(scrape);
        return;
    }
    scrape_fail(scrape, COUNTER_SCRAPE_CONNECT, why.text);
    scrape_finish(scrape);
}

static void on_done(struct fetch_connection *conn, int error, const char *text)
{
    struct target *target = TARGET_OF(conn, conn);
    struct scrape *scrape = target->scrape;
    scrape_count_transfer(target);
    if (scrape->location != NULL && error == 0) {
        follow(scrape);
        return;
    }
    if (error == 0 && scrape->is_gzip && scrape->failure != COUNTER_SCRAPE_STATUS)
        finish_gzip(scrape);
    if (error != 0 && scrape->failure == COUNTER_SCRAPE_CONTENT_TYPE)
        scrape->failure = SCRAPE_GOOD; /* what broke the body off comes first */
    if (error != 0)
        scrape_fail(scrape, reason_of(error), text);
    scrape_finish(scrape);
}

static void on_released(struct fetch_connection *conn)
{
    target_free(TARGET_OF(conn, conn));
}

const struct fetch_handler scrape_handler = {
    .on_bytes = on_bytes,
    .on_head = on_head,
    .on_body = scrape_on_body,
    .on_done = on_done,
    .on_released = on_released,
};
