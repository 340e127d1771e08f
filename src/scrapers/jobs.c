/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "scrapers/jobs.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/log.h"
#include "config/freeze.h"
#include "scrapers/request.h"

static int prepare(struct jobs *jobs, struct scraper_job *job, const struct config_job *config,
                   struct errctx *reterr)
{
    char accept[REQUEST_ACCEPT_SIZE];
    const struct config_relabels *rules = &config->metric_relabel_configs;
    job->config = config;
    job->number = ++jobs->numbers;
    client_init(&job->client, &config->http);
    job->accept = strdup(
        request_accept(&config->scrape_protocols, config->metric_name_escaping_scheme, accept));
    check(job->accept != NULL);
    int err = relabel_compile(rules->items, rules->len,
                              config_label_scheme(config->metric_name_validation_scheme),
                              &job->relabel, reterr);
    return err == 0 ? 0
                    : err_prefix(reterr, err, "metric_relabel_configs of job %s", config->job_name);
}

static void destroy(struct scraper_job *job)
{
    free(job->accept);
    client_fini(&job->client);
    relabel_free(job->relabel);
    arena_fini(&job->arena);
    free(job);
}

static struct scraper_job *allocate(void)
{
    struct scraper_job *job = calloc(1, sizeof(*job));
    check(job != NULL);
    return job;
}

int jobs_init(struct jobs *jobs, const struct config_jobs *config, struct errctx *reterr)
{
    int err = 0;
    *jobs = (struct jobs){.items = calloc(config->len + 1, sizeof(*jobs->items))};
    check(jobs->items != NULL);
    for (size_t i = 0; err == 0 && i < config->len; i++) {
        jobs->items[jobs->count++] = allocate();
        err = prepare(jobs, jobs->items[i], &config->items[i], reterr);
        jobs->items[i]->client.entry = (uint32_t)i;
    }
    jobs->configured = jobs->count;
    return err;
}

void jobs_fini(struct jobs *jobs)
{
    for (size_t i = 0; i < jobs->count; i++) {
        check(jobs->items[i]->users == 0);
        destroy(jobs->items[i]);
    }
    free(jobs->items);
    supplies_free(jobs->supplies);
}

struct scraper_job *jobs_find(const struct jobs *jobs, struct slice name)
{
    for (size_t i = 0; i < jobs->count; i++) {
        if (slice_is(name, jobs->items[i]->config->job_name))
            return jobs->items[i];
    }
    return NULL;
}

struct scraper_job *jobs_retain(struct scraper_job *job)
{
    if (job != NULL)
        job->users++;
    return job;
}

void jobs_release(struct scraper_job *job)
{
    if (job != NULL && --job->users == 0 && job->retired)
        destroy(job);
}

/* ---- Supplies ---- */

/* The same job as before: its targets notice nothing. Taken out of the old ones. */
static struct scraper_job *find_same(struct jobs *old, uint64_t hash)
{
    for (size_t i = old->configured; i < old->count; i++) {
        struct scraper_job *job = old->items[i];
        if (job == NULL || job->hash != hash)
            continue;
        old->items[i] = NULL;
        return job;
    }
    return NULL;
}

static struct scraper_job *make(struct jobs *jobs, struct slice bytes, uint64_t hash)
{
    struct errctx why;
    struct scraper_job *job = allocate();
    job->supplied = true;
    job->hash = hash;
    int err = config_job_thaw(bytes, &job->arena, &job->own, &why);
    if (err == 0)
        err = prepare(jobs, job, &job->own, &why);
    if (err == 0)
        return job;
    log_error(MSG("cannot take a job that came over the network"), STR("err", why.text));
    destroy(job);
    return NULL;
}

static void retire(struct scraper_job *job)
{
    job->retired = true;
    client_supply(&job->client, NULL);
    if (job->users == 0)
        destroy(job);
}

static void take_supplied(struct jobs *jobs, struct jobs *old, const struct supply *supply,
                          size_t entry)
{
    uint64_t hash = hash64(supply->job.ptr, supply->job.len, supply->job.len);
    struct scraper_job *job = find_same(old, hash);
    if (job == NULL) {
        job = make(jobs, supply->job, hash);
        jobs->changed = true;
    }
    if (job == NULL)
        return;
    client_supply(&job->client, supply);
    job->client.entry = (uint32_t)entry;
    jobs->items[jobs->count++] = job;
}

void jobs_supply(struct jobs *jobs, struct supplies *supplies)
{
    struct jobs old = *jobs;
    check(supplies->len >= jobs->configured);
    jobs->items = calloc(supplies->len + 1, sizeof(*jobs->items));
    check(jobs->items != NULL);
    memcpy(jobs->items, old.items, jobs->configured * sizeof(*jobs->items));
    jobs->count = jobs->configured;
    for (size_t i = 0; i < jobs->configured; i++)
        client_supply(&jobs->items[i]->client, &supplies->items[i]);
    for (size_t i = jobs->configured; i < supplies->len; i++)
        take_supplied(jobs, &old, &supplies->items[i], i);
    for (size_t i = old.configured; i < old.count; i++) {
        if (old.items[i] != NULL)
            retire(old.items[i]);
    }
    free(old.items);
    jobs->supplies = supplies;
    supplies_free(old.supplies);
}
