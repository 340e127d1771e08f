/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config/supplied_jobs.h"

#include <string.h>

#include "config/allocator_rules.h"
#include "config/decode.h"
#include "config/json.h"
#include "config/rules.h"
#include "config/schema.h"

/* What errors begin with. No path: files that jobs name count from the working directory. */
#define NAME "scrape_configs"

struct reading {
    struct document source;
    struct arena *nodes;
    const struct config *config;
};

static bool ends_with(struct slice text, const char *end)
{
    size_t len = strlen(end);
    return text.len >= len && memcmp(text.ptr + text.len - len, end, len) == 0;
}

/* The allocator has found the targets: how is none of our business. Nor are files of this host. */
static bool is_left_out(struct slice key)
{
    return ends_with(key, "_sd_configs") || slice_is(key, "static_configs") ||
           slice_is(key, "scrape_failure_log_file");
}

static bool is_known(struct slice key)
{
    const struct schema_key *row = schema_find(&schema_job, key.ptr);
    return row != NULL && strlen(row->name) == key.len && !slice_is(key, "limpet");
}

/* The job without what is not looked at. */
static struct node *strip(const struct reading *reading, const struct node *job,
                          const char **ret_unknown)
{
    struct node *stripped = arena_alloc(reading->nodes, sizeof(*stripped));
    struct node_pair *pairs = arena_alloc(reading->nodes, job->len * sizeof(*pairs));
    size_t len = 0;
    *ret_unknown = "";
    for (size_t i = 0; i < job->len; i++) {
        struct slice key = job->pairs[i].key->text;
        if (is_left_out(key))
            continue;
        if (is_known(key))
            pairs[len++] = job->pairs[i];
        else
            *ret_unknown =
                arena_strdup(reading->source.arena, node_describe(job->pairs[i].key).text);
    }
    *stripped = *job;
    stripped->pairs = pairs;
    stripped->len = len;
    return stripped;
}

/* Prometheus refuses a time-out that is longer than the interval; the collector makes it fit. */
static void clamp_times(const struct config_global *global, struct config_job *job)
{
    if (job->scrape_interval == 0)
        job->scrape_interval = global->scrape_interval;
    if (job->scrape_timeout > job->scrape_interval)
        job->scrape_timeout = job->scrape_interval;
}

static int make_job(const struct reading *reading, const struct node_pair *pair,
                    const struct node *block, struct config_job *job)
{
    const struct config_target_allocator *allocator = &reading->config->limpet.target_allocator;
    const struct document *source = &reading->source;
    int err = decode_block(source, block, &schema_job, job);
    if (err != 0)
        return err;
    if (!slice_is(pair->key->text, job->job_name))
        return node_fail(source, node_get(block, "job_name"), "the job is served as %s",
                         node_describe(pair->key).text);
    clamp_times(&reading->config->global, job);
    if (job->fallback_scrape_protocol == CONFIG_PROTOCOL_NONE)
        job->fallback_scrape_protocol = CONFIG_PROTOCOL_TEXT_0_0_4;
    err = rules_apply_supplied(source, block, &reading->config->global, job);
    if (err != 0)
        return err;
    if (allocator->scrape.given)
        job->http = allocator->scrape.http;
    const char *denied =
        allocator->scrape.given ? NULL : allocator_rules_denied_file(allocator, &job->http);
    if (denied == NULL)
        return 0;
    return node_fail(source, pair->key,
                     "the job names the file \"%.200s\"; `deny_file_references` and "
                     "`allowed_directories` say which files jobs may name",
                     denied);
}

static bool is_ours(const struct config *config, const char *name)
{
    for (size_t i = 0; i < config->scrape_configs.len; i++) {
        if (strcmp(config->scrape_configs.items[i].job_name, name) == 0)
            return true;
    }
    return false;
}

static int check_name(const struct reading *reading, const struct node_pair *pair)
{
    const struct node *key = pair->key;
    if (key->text.len == 0 || memchr(key->text.ptr, '\0', key->text.len) != NULL)
        return node_fail(&reading->source, key, "a job must have a name");
    if (is_ours(reading->config, key->text.ptr))
        return node_fail(&reading->source, key,
                         "the configuration has a job of this name, which goes before");
    if (pair->value->kind != NODE_MAP)
        return node_fail(&reading->source, pair->value, "a job must be a mapping of keys, not %s",
                         node_describe(pair->value).text);
    return 0;
}

static void take_job(const struct reading *reading, const struct node_pair *pair,
                     struct supplied_job *ret_job)
{
    struct arena *arena = reading->source.arena;
    struct config_job *job = arena_alloc(arena, sizeof(*job));
    *ret_job = (struct supplied_job){
        arena_copy(arena, pair->key->text.ptr, strlen(pair->key->text.ptr)), NULL, "", ""};
    int err = check_name(reading, pair);
    if (err == 0)
        err = make_job(reading, pair, strip(reading, pair->value, &ret_job->unknown), job);
    if (err == 0)
        ret_job->job = job;
    else
        ret_job->error = arena_strdup(arena, reading->source.err->text);
}

static int read_all(struct reading *reading, struct slice text, struct supplied_jobs *jobs)
{
    const struct document nodes = {NAME, reading->nodes, reading->source.err};
    const struct node *root;
    int err = json_read_values(&nodes, text.ptr, text.len, &root);
    if (err != 0)
        return err;
    if (root->kind != NODE_MAP)
        return node_fail(&nodes, root, "the jobs must be a mapping, not %s",
                         node_describe(root).text);
    struct supplied_job *items = arena_alloc(&jobs->arena, root->len * sizeof(*items));
    for (size_t i = 0; i < root->len; i++)
        take_job(reading, &root->pairs[i], &items[i]);
    jobs->items = items;
    jobs->len = root->len;
    return 0;
}

int supplied_jobs_read(struct slice text, const struct config *config,
                       struct supplied_jobs *ret_jobs, struct errctx *reterr)
{
    struct errctx ignored;
    struct arena nodes = {0};
    *ret_jobs = (struct supplied_jobs){NULL, 0, {0}};
    struct reading reading = {
        {NAME, &ret_jobs->arena, reterr != NULL ? reterr : &ignored}, &nodes, config};
    int err = read_all(&reading, text, ret_jobs);
    arena_fini(&nodes);
    return err;
}

void supplied_jobs_free(struct supplied_jobs *jobs)
{
    arena_fini(&jobs->arena);
    *jobs = (struct supplied_jobs){NULL, 0, {0}};
}
