/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "discovery/allocator.h"

#include <ctype.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/grow.h"
#include "base/hash.h"
#include "base/log.h"
#include "config/freeze.h"
#include "config/supplied_jobs.h"
#include "discovery/http_sd.h"
#include "discovery/json_answer.h"
#include "discovery/sd_client.h"
#include "loop/loop.h"
#include "shm/slot.h"

#define RETRY_NS (1 * NS_PER_S) /* after the first failure; it doubles up to the interval */

/* prometheus-operator lets instances find out their share by this, which the collector puts in. */
static const char shard_mark[] = "$(SHARD)";

/* Where a job's targets come from: stays while there is a job of the name, whatever it says. */
struct share {
    struct config_http_sd config;
    struct source *source;
    char *url;
};

struct entry {
    struct config_job job; /* in `arena` */
    struct arena arena;
    struct strbuf bytes;
    struct share *share;
};

struct allocator {
    struct source_host *host;
    const struct config *config;
    const struct config_target_allocator *options;
    void (*changed)(void *context);
    void *context;
    struct sd_client *client;
    struct loop_timer timer; /* the next request */
    struct json_answer answer;
    int64_t asked_at_ns;
    int64_t retry_ns;
    struct entry **entries;
    struct supplied *list; /* the same, for others */
    size_t count;
    uint64_t content_hash; /* of the answer that was taken last */
    uint64_t complaint;    /* hash of what the log says about it; 0 = nothing */
    bool taken;            /* content_hash is one */
    bool was_empty;        /* the last answer had no jobs, and was not believed yet */
    bool synced;
};

#define OWNER(pointer, member)                                                                     \
    ((struct allocator *)(void *)((char *)(pointer)-offsetof(struct allocator, member)))

/* ---- a job ---- */

/* As Go's url.QueryEscape: letters, digits and "-_.~" stay, a space becomes a plus sign. */
static void add_escaped(struct strbuf *out, const char *text)
{
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        if (c < 0x80 && (isalnum(c) || strchr("-_.~", c) != NULL))
            strbuf_addc(out, (char)c);
        else if (c == ' ')
            strbuf_addc(out, '+');
        else
            strbuf_addf(out, "%%%02X", c);
    }
}

static char *make_url(const struct allocator *allocator, const char *name)
{
    struct strbuf url = STRBUF_GROWING;
    strbuf_addf(&url, "%s/jobs/", allocator->options->endpoint);
    add_escaped(&url, name);
    strbuf_addf(&url, "/targets?collector_id=%s", allocator->options->collector_id);
    return url.text;
}

static void share_free(struct share *share)
{
    if (share == NULL)
        return;
    if (share->source != NULL)
        share->source->class->free(share->source);
    free(share->url);
    free(share);
}

/*
 * http_sd_config has the keys of tls_config, so what only `tls` has is lost when the configuration
 * is handed on. It goes with the authorities that it is about.
 */
static struct config_http_client client_for_targets(const struct config_target_allocator *options)
{
    struct config_http_client client = options->sd.http;
    const struct config_tls *jobs = &options->http.tls_config;
    struct config_tls *tls = &client.tls_config;
    if (strcmp(tls->ca, jobs->ca) == 0 && strcmp(tls->ca_file, jobs->ca_file) == 0)
        tls->include_system_ca_certs_pool = jobs->include_system_ca_certs_pool;
    return client;
}

static struct share *share_new(const struct allocator *allocator, const char *name,
                               struct errctx *reterr)
{
    struct share *share = calloc(1, sizeof(*share));
    check(share != NULL);
    share->url = make_url(allocator, name);
    share->config =
        (struct config_http_sd){.url = share->url,
                                .refresh_interval = allocator->options->sd.refresh_interval,
                                .http = client_for_targets(allocator->options)};
    if (http_sd_new(allocator->host, &share->config, &share->source, reterr) == 0)
        return share;
    share_free(share);
    return NULL;
}

static void entry_free(struct entry *entry)
{
    share_free(entry->share);
    arena_fini(&entry->arena);
    strbuf_fini(&entry->bytes);
    free(entry);
}

/* NULL: the job cannot be read, or has no targets that could be asked for. */
static struct entry *entry_new(struct slice bytes, struct errctx *reterr)
{
    struct entry *entry = calloc(1, sizeof(*entry));
    check(entry != NULL);
    strbuf_add(&entry->bytes, bytes.ptr, bytes.len);
    if (config_job_thaw(bytes, &entry->arena, &entry->job, reterr) == 0)
        return entry;
    entry_free(entry);
    return NULL;
}

/* ---- a set of jobs on its way to be the one in force ---- */

struct change {
    struct allocator *allocator;
    struct entry **entries;
    size_t count;
    size_t room;
    size_t refused;
    bool differs;
};

static void append(struct change *change, struct entry *entry)
{
    change->entries = (struct entry **)grow_for_one(change->entries, change->count, &change->room,
                                                    sizeof(*change->entries));
    change->entries[change->count++] = entry;
}

/* The place of the job of this name that is in force, or NULL. */
static struct entry **find(const struct allocator *allocator, const char *name)
{
    for (size_t i = 0; i < allocator->count; i++) {
        struct entry *entry = allocator->entries[i];
        if (entry != NULL && strcmp(entry->job.job_name, name) == 0)
            return &allocator->entries[i];
    }
    return NULL;
}

static void keep(struct change *change, struct entry **place)
{
    append(change, *place);
    *place = NULL;
}

static bool is_same(const struct entry *entry, struct slice bytes)
{
    return entry->bytes.len == bytes.len && memcmp(entry->bytes.text, bytes.ptr, bytes.len) == 0;
}

/* A job that is new or says something else than before. */
static void take_new(struct change *change, const char *name, struct slice bytes,
                     struct entry **place)
{
    struct errctx why;
    struct entry *entry = entry_new(bytes, &why);
    if (entry != NULL && place != NULL) {
        entry->share = (*place)->share;
        (*place)->share = NULL;
    } else if (entry != NULL) {
        entry->share = share_new(change->allocator, name, &why);
    }
    if (entry != NULL && entry->share != NULL) {
        append(change, entry);
        change->differs = true;
        return;
    }
    if (entry != NULL)
        entry_free(entry);
    change->refused++;
    log_error(MSG("a job of the Target Allocator cannot be used"), STR("scrape_job", name),
              STR("err", why.text));
}

static void refuse(struct change *change, const struct supplied_job *job, struct entry **place)
{
    change->refused++;
    log_error(MSG("a job of the Target Allocator is not valid"), STR("scrape_job", job->name),
              STR("err", job->error),
              STR("instead", place != NULL ? "it stays as it was" : "it is left out"));
    if (place != NULL)
        keep(change, place);
}

static void take_job(struct change *change, const struct supplied_job *job)
{
    struct entry **place = find(change->allocator, job->name);
    struct strbuf bytes = STRBUF_GROWING;
    if (job->unknown[0] != '\0')
        log_warn(MSG("a job of the Target Allocator has a key that limpet does not know"),
                 STR("scrape_job", job->name), STR("key", job->unknown));
    if (job->job == NULL) {
        refuse(change, job, place);
        return;
    }
    config_job_freeze(job->job, &bytes);
    struct slice frozen = slice_make(bytes.text, bytes.len);
    if (place != NULL && is_same(*place, frozen))
        keep(change, place);
    else
        take_new(change, job->name, frozen, place);
    strbuf_fini(&bytes);
}

static void make_list(struct allocator *allocator)
{
    allocator->list = calloc(allocator->count + 1, sizeof(*allocator->list));
    check(allocator->list != NULL);
    for (size_t i = 0; i < allocator->count; i++) {
        const struct entry *entry = allocator->entries[i];
        allocator->list[i] = (struct supplied){
            &entry->job, slice_make(entry->bytes.text, entry->bytes.len), entry->share->source};
    }
    slot_set(allocator->host->slot, COUNTER_TA_JOBS, allocator->count);
}

/* What of the former jobs is left is not needed any more once everybody has been told. */
static void put_in_force(struct change *change, bool tell)
{
    struct allocator *allocator = change->allocator;
    struct entry **former = allocator->entries;
    struct supplied *former_list = allocator->list;
    size_t former_count = allocator->count;
    for (size_t i = 0; i < former_count; i++)
        change->differs |= former[i] != NULL;
    allocator->entries = change->entries;
    allocator->count = change->count;
    make_list(allocator);
    if (change->differs && tell)
        allocator->changed(allocator->context);
    for (size_t i = 0; i < former_count; i++) {
        if (former[i] != NULL)
            entry_free(former[i]);
    }
    free(former);
    free(former_list);
}

/* ---- answers ---- */

/* The number of this instance, or 0; anything else could not stand in the text. */
static const char *shard(void)
{
    const char *value = getenv("SHARD");
    bool good = value != NULL && value[0] != '\0' && value[strspn(value, "0123456789")] == '\0';
    return good ? value : "0";
}

static void put_shard_in(struct slice text, struct strbuf *out)
{
    const char *end = text.ptr + text.len;
    for (const char *at = text.ptr; at < end;) {
        const char *mark = memmem(at, (size_t)(end - at), shard_mark, sizeof(shard_mark) - 1);
        strbuf_add(out, at, (size_t)((mark != NULL ? mark : end) - at));
        if (mark == NULL)
            return;
        strbuf_adds(out, shard());
        at = mark + sizeof(shard_mark) - 1;
    }
}

static void apply(struct allocator *allocator, const struct supplied_jobs *jobs)
{
    struct change change = {.allocator = allocator};
    for (size_t i = 0; i < jobs->len; i++)
        take_job(&change, &jobs->items[i]);
    put_in_force(&change, true);
    struct shm_slot *slot = allocator->host->slot;
    slot_set(slot, COUNTER_TA_JOBS_REFUSED, change.refused);
    slot_add(slot, COUNTER_TA_FAILURES, change.refused > 0);
    if (change.differs)
        log_info(MSG("jobs of the Target Allocator"), INT("jobs", change.count),
                 INT("refused", change.refused));
}

/* Neither is a job valid, nor does one stay as it was. */
static bool leaves_nothing(const struct allocator *allocator, const struct supplied_jobs *jobs)
{
    for (size_t i = 0; i < jobs->len; i++) {
        if (jobs->items[i].job != NULL || find(allocator, jobs->items[i].name) != NULL)
            return false;
    }
    return true;
}

/* 0, or why this is no answer. */
static int take_text(struct allocator *allocator, struct slice text, struct errctx *reterr)
{
    struct supplied_jobs jobs;
    uint64_t hash = hash64(text.ptr, text.len, 0);
    if (allocator->taken && hash == allocator->content_hash) {
        allocator->was_empty = false;
        return 0;
    }
    int err = supplied_jobs_read(text, allocator->config, &jobs, reterr);
    if (err == 0 && allocator->count > 0 && !allocator->was_empty &&
        leaves_nothing(allocator, &jobs)) {
        log_warn(MSG("the Target Allocator has no jobs any more; if it says so again, they go"));
        allocator->was_empty = true;
    } else if (err == 0) {
        apply(allocator, &jobs);
        allocator->content_hash = hash;
        allocator->taken = true;
        allocator->was_empty = false;
    }
    supplied_jobs_free(&jobs);
    return err;
}

/* Each failure counts; the log has it once, until it is another one. */
static void fail(struct allocator *allocator, const char *why)
{
    uint64_t complaint = hash64(why, strlen(why), 1);
    slot_add(allocator->host->slot, COUNTER_TA_FAILURES, 1);
    if (complaint != allocator->complaint)
        log_error(MSG("no jobs from the Target Allocator; those it had given stay"),
                  STR("url", sd_client_url(allocator->client)), STR("err", why));
    allocator->complaint = complaint;
    allocator->was_empty = false;
}

static void succeed(struct allocator *allocator)
{
    struct shm_slot *slot = allocator->host->slot;
    allocator->synced = true;
    allocator->complaint = 0;
    slot_set(slot, COUNTER_TA_SYNCED, 1);
    slot_set(slot, COUNTER_TA_LAST_SUCCESS_MS, (uint64_t)clock_ms_of_ns(clock_wall_ns()));
}

static bool take_answer(struct allocator *allocator)
{
    struct errctx why;
    struct strbuf text = STRBUF_GROWING;
    put_shard_in(json_answer_text(&allocator->answer), &text);
    int err = text.len == 0 ? err_set(&why, ERR_PROTOCOL, "the answer is empty")
                            : take_text(allocator, slice_make(text.text, text.len), &why);
    strbuf_fini(&text);
    if (err == 0)
        succeed(allocator);
    else
        fail(allocator, why.text);
    return err == 0;
}

/* ---- requests ---- */

static void ask(struct loop_timer *timer)
{
    struct allocator *allocator = OWNER(timer, timer);
    const struct sd_request request = {.target = "/scrape_configs",
                                       .accept = "application/json",
                                       .timeout_ns = allocator->options->timeout * NS_PER_MS};
    json_answer_begin(&allocator->answer);
    allocator->asked_at_ns = loop_now(allocator->host->loop);
    sd_client_get(allocator->client, &request);
}

/* Up to a tenth earlier, so that instances that started together do not stay together. */
static void ask_after_interval(struct allocator *allocator)
{
    struct loop *loop = allocator->host->loop;
    int64_t interval_ns = allocator->options->interval * NS_PER_MS;
    uint64_t spread =
        hash64(&allocator->asked_at_ns, sizeof(allocator->asked_at_ns), (uint64_t)clock_wall_ns());
    int64_t next =
        allocator->asked_at_ns + interval_ns - (int64_t)(spread % 1000) * interval_ns / 10000;
    allocator->retry_ns = RETRY_NS;
    loop_timer_set(loop, &allocator->timer, next > loop_now(loop) ? next : loop_now(loop));
}

/* Nobody is there yet: that costs nothing to find out, and may end at any moment. */
static void ask_again(struct allocator *allocator, int err)
{
    struct loop *loop = allocator->host->loop;
    int64_t interval_ns = allocator->options->interval * NS_PER_MS;
    if (err == -ECONNREFUSED)
        allocator->retry_ns = RETRY_NS;
    int64_t wait_ns = allocator->retry_ns < interval_ns ? allocator->retry_ns : interval_ns;
    allocator->retry_ns = 2 * wait_ns;
    loop_timer_set(loop, &allocator->timer, loop_now(loop) + wait_ns);
}

static void on_head(void *context, const struct http_head *head)
{
    struct allocator *allocator = context;
    json_answer_head(&allocator->answer, head);
}

static void on_body(void *context, const uint8_t *bytes, size_t len)
{
    struct allocator *allocator = context;
    json_answer_body(&allocator->answer, bytes, len);
}

static void on_done(void *context, int err, const char *text)
{
    struct allocator *allocator = context;
    const char *failure = json_answer_failure(&allocator->answer, err, text);
    bool good = false;
    if (failure != NULL)
        fail(allocator, failure);
    else
        good = take_answer(allocator);
    json_answer_fini(&allocator->answer);
    if (good)
        ask_after_interval(allocator);
    else
        ask_again(allocator, err);
}

static const struct sd_client_events events = {on_head, on_body, on_done};

/* ---- the whole ---- */

int allocator_new(struct source_host *host, const struct config *config,
                  void (*changed)(void *context), void *context, struct allocator **ret_allocator,
                  struct errctx *reterr)
{
    struct allocator *allocator = calloc(1, sizeof(*allocator));
    check(allocator != NULL);
    *allocator = (struct allocator){.host = host,
                                    .config = config,
                                    .options = &config->limpet.target_allocator,
                                    .changed = changed,
                                    .context = context,
                                    .timer.expired = ask,
                                    .answer = JSON_ANSWER_NONE,
                                    .retry_ns = RETRY_NS};
    int err = sd_client_new(host, allocator->options->endpoint, &allocator->options->http, &events,
                            allocator, &allocator->client, reterr);
    if (err != 0) {
        free(allocator);
        return err_prefix(reterr, err, "target_allocator");
    }
    make_list(allocator);
    slot_set(host->slot, COUNTER_TA_SYNCED, 0);
    loop_timer_set(host->loop, &allocator->timer, loop_now(host->loop));
    *ret_allocator = allocator;
    return 0;
}

/* A configuration that is newer than the set may have a job of the same name. */
static bool is_configured(const struct allocator *allocator, const char *name)
{
    const struct config_jobs *jobs = &allocator->config->scrape_configs;
    size_t i = 0;
    while (i < jobs->len && strcmp(jobs->items[i].job_name, name) != 0)
        i++;
    return i < jobs->len;
}

static void recall(struct change *change, struct slice bytes)
{
    struct errctx why;
    struct entry *entry = entry_new(bytes, &why);
    if (entry == NULL)
        return; /* of another build: the allocator has to say it again */
    const char *name = entry->job.job_name;
    if (!is_configured(change->allocator, name))
        entry->share = share_new(change->allocator, name, &why);
    if (entry->share != NULL)
        append(change, entry);
    else
        entry_free(entry);
}

void allocator_recall(struct allocator *allocator, const struct supplies *former)
{
    struct change change = {.allocator = allocator};
    for (size_t i = 0; i < former->len; i++) {
        if (former->items[i].job.len > 0)
            recall(&change, former->items[i].job);
    }
    put_in_force(&change, false);
}

struct supplied_list allocator_list(const struct allocator *allocator)
{
    return (struct supplied_list){allocator->list, allocator->count};
}

bool allocator_is_synced(const struct allocator *allocator)
{
    return allocator->synced;
}

void allocator_free(struct allocator *allocator)
{
    struct change nothing = {.allocator = allocator};
    put_in_force(&nothing, false);
    loop_timer_clear(allocator->host->loop, &allocator->timer);
    sd_client_free(allocator->client);
    json_answer_fini(&allocator->answer);
    free(allocator->list);
    free(allocator);
}
