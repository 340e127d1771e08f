/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "discovery/http_sd.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "config/target_groups.h"
#include "discovery/json_answer.h"
#include "discovery/sd_client.h"
#include "loop/loop.h"
#include "shm/slot.h"

struct http_sd {
    struct source source;
    const struct config_http_sd *config;
    struct sd_client *client;
    struct loop_timer timer; /* the next request */
    int64_t asked_at_ns;
    struct config_target_groups groups; /* in `arena` */
    struct arena arena;
    uint64_t content_hash;
    uint64_t complaint; /* hash of what the log says about it; 0 = nothing */
    bool known;
    struct json_answer answer; /* that is coming */
};

#define OWNER(pointer) ((struct http_sd *)(void *)(uintptr_t)(pointer))

static void ask(struct loop_timer *timer)
{
    struct http_sd *sd =
        (struct http_sd *)(void *)((char *)timer - offsetof(struct http_sd, timer));
    char seconds[32];
    snprintf(seconds, sizeof(seconds), "%g", (double)sd->config->refresh_interval / 1000);
    const struct sd_request request = {.target = "",
                                       .accept = "application/json",
                                       .field_name = "X-Prometheus-Refresh-Interval-Seconds",
                                       .field_value = seconds,
                                       .timeout_ns = sd->config->refresh_interval * NS_PER_MS};
    json_answer_begin(&sd->answer);
    sd->asked_at_ns = loop_now(sd->source.host->loop);
    sd_client_get(sd->client, &request);
}

static void on_head(void *context, const struct http_head *head)
{
    struct http_sd *sd = context;
    json_answer_head(&sd->answer, head);
}

static void on_body(void *context, const uint8_t *bytes, size_t len)
{
    struct http_sd *sd = context;
    json_answer_body(&sd->answer, bytes, len);
}

/* Each failure counts; the log has it once, until it is another one. */
static void fail(struct http_sd *sd, const char *why)
{
    uint64_t complaint = hash64(why, strlen(why), 1);
    slot_add(sd->source.host->slot, COUNTER_HTTP_SD_FAILURES, 1);
    if (complaint != sd->complaint)
        log_error(MSG("http_sd: no targets from this server; those it had given stay"),
                  STR("url", sd_client_url(sd->client)), STR("err", why));
    sd->complaint = complaint;
}

static void take_groups(struct http_sd *sd)
{
    struct errctx why;
    struct arena arena = {0};
    struct config_target_groups groups;
    struct slice text = json_answer_text(&sd->answer);
    uint64_t hash = hash64(text.ptr, text.len, 0);
    if (sd->known && hash == sd->content_hash) {
        sd->complaint = 0;
        return;
    }
    if (target_groups_parse_json(sd_client_url(sd->client), text.ptr, text.len, &arena, &groups,
                                 &why) != 0) {
        arena_fini(&arena);
        fail(sd, why.text);
        return;
    }
    arena_fini(&sd->arena);
    sd->arena = arena;
    sd->groups = groups;
    sd->content_hash = hash;
    sd->known = true;
    sd->complaint = 0;
    source_changed(&sd->source);
}

static void on_done(void *context, int err, const char *text)
{
    struct http_sd *sd = context;
    struct loop *loop = sd->source.host->loop;
    const char *failure = json_answer_failure(&sd->answer, err, text);
    if (failure != NULL)
        fail(sd, failure);
    else
        take_groups(sd);
    json_answer_fini(&sd->answer);
    int64_t next = sd->asked_at_ns + sd->config->refresh_interval * NS_PER_MS;
    loop_timer_set(loop, &sd->timer, next > loop_now(loop) ? next : loop_now(loop));
}

static const struct sd_client_events events = {on_head, on_body, on_done};

static int walk(const struct source *source, struct source_visit *visit)
{
    const struct http_sd *sd = OWNER(source);
    struct label url = {SLICE_LITERAL("__meta_url"), slice_of(sd->config->url)};
    return source_walk_groups(&sd->groups, url, visit);
}

static bool is_known(const struct source *source)
{
    return OWNER(source)->known;
}

static void free_source(struct source *source)
{
    struct http_sd *sd = OWNER(source);
    loop_timer_clear(source->host->loop, &sd->timer);
    sd_client_free(sd->client);
    arena_fini(&sd->arena);
    json_answer_fini(&sd->answer);
    free(sd);
}

static const struct source_class class = {
    .name = "http_sd_configs",
    .walk = walk,
    .is_known = is_known,
    .free = free_source,
};

int http_sd_new(struct source_host *host, const struct config_http_sd *config,
                struct source **ret_source, struct errctx *reterr)
{
    struct http_sd *sd = calloc(1, sizeof(*sd));
    check(sd != NULL);
    sd->source = (struct source){&class, host};
    sd->config = config;
    sd->timer.expired = ask;
    int err = sd_client_new(host, config->url, &config->http, &events, sd, &sd->client, reterr);
    if (err != 0) {
        free(sd);
        return err;
    }
    loop_timer_set(host->loop, &sd->timer, loop_now(host->loop));
    *ret_source = &sd->source;
    return 0;
}
