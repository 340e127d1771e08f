/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config/rules.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/strbuf.h"
#include "base/utf8.h"
#include "config/allocator_rules.h"
#include "config/codec.h"
#include "config/discovery_rules.h"
#include "config/duration.h"
#include "config/expand.h"
#include "config/http_rules.h"
#include "config/relabel_rules.h"
#include "config/schema.h"

#define DEFAULT_INTERVAL (60 * 1000)
#define DEFAULT_TIMEOUT  (10 * 1000)

/* One pass over a file. */
struct rules {
    const struct document *source;
    struct config *config;
    struct strbuf warnings; /* lines */
};

static void warn(struct rules *rules, const struct node *at, const char *format, ...)
    PRINTF_LIKE(3, 4);

static void warn(struct rules *rules, const struct node *at, const char *format, ...)
{
    struct node_message message;
    va_list args;
    va_start(args, format);
    node_format(&message, rules->source, at, format, args);
    va_end(args);
    strbuf_addf(&rules->warnings, "%s\n", message.text);
}

static int64_t min64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Fills in what is 0, which means "not given", and compares. */
static int settle_times(struct rules *rules, const struct node *block, int64_t default_interval,
                        int64_t default_timeout, int64_t *interval, int64_t *timeout)
{
    char text[CONFIG_DURATION_SIZE];
    if (*interval == 0)
        *interval = default_interval;
    if (*timeout > *interval)
        return node_fail(rules->source, node_get(block, "scrape_timeout"),
                         "`scrape_timeout` must not be greater than `scrape_interval`, which is %s",
                         config_duration_format(*interval, text));
    if (*timeout == 0)
        *timeout = min64(default_timeout, *interval);
    return 0;
}

/* ---- what `global` says for jobs ---- */

static void inherit_number(int64_t *own, int64_t inherited)
{
    if (*own == 0)
        *own = inherited;
}

static void inherit_limits(struct config_limits *own, const struct config_limits *global)
{
    if (own->body_size_limit == 0)
        own->body_size_limit = global->body_size_limit;
    inherit_number(&own->sample_limit, global->sample_limit);
    inherit_number(&own->target_limit, global->target_limit);
    inherit_number(&own->label_limit, global->label_limit);
    inherit_number(&own->label_name_length_limit, global->label_name_length_limit);
    inherit_number(&own->label_value_length_limit, global->label_value_length_limit);
    inherit_number(&own->keep_dropped_targets, global->keep_dropped_targets);
}

/* A scheme that nobody gave follows from how names are validated. */
static int settle_escaping(struct rules *rules, const struct node *block,
                           enum config_validation validation, enum config_escaping *escaping)
{
    bool is_legacy = validation == CONFIG_VALIDATION_LEGACY;
    if (*escaping == CONFIG_ESCAPING_NONE)
        *escaping = is_legacy ? CONFIG_ESCAPING_UNDERSCORES : CONFIG_ESCAPING_ALLOW_UTF_8;
    if (*escaping != CONFIG_ESCAPING_ALLOW_UTF_8 || !is_legacy)
        return 0;
    return node_fail(rules->source,
                     node_or(node_get(block, "metric_name_escaping_scheme"),
                             node_get(block, "metric_name_validation_scheme")),
                     "`metric_name_escaping_scheme` allow-utf-8 does not go with "
                     "`metric_name_validation_scheme` legacy; use underscores, dots or values");
}

static void inherit_switch(const struct node *block, const char *key, bool *own, bool inherited)
{
    if (node_is_null(node_get(block, key)))
        *own = inherited;
}

static int inherit(struct rules *rules, const struct node *block, struct config_job *job)
{
    const struct config_global *global = &rules->config->global;
    inherit_limits(&job->limits, &global->limits);
    inherit_switch(block, "extra_scrape_metrics", &job->extra_scrape_metrics,
                   global->extra_scrape_metrics);
    inherit_switch(block, "scrape_native_histograms", &job->scrape_native_histograms,
                   global->scrape_native_histograms);
    inherit_switch(block, "always_scrape_classic_histograms",
                   &job->always_scrape_classic_histograms,
                   global->always_scrape_classic_histograms);
    inherit_switch(block, "convert_classic_histograms_to_nhcb",
                   &job->convert_classic_histograms_to_nhcb,
                   global->convert_classic_histograms_to_nhcb);
    job->scrape_failure_log_file = document_resolve(rules->source, job->scrape_failure_log_file);
    if (job->scrape_failure_log_file[0] == '\0')
        job->scrape_failure_log_file = global->scrape_failure_log_file;
    bool validates_alike =
        job->metric_name_validation_scheme == CONFIG_VALIDATION_NONE ||
        job->metric_name_validation_scheme == global->metric_name_validation_scheme;
    if (job->metric_name_validation_scheme == CONFIG_VALIDATION_NONE)
        job->metric_name_validation_scheme = global->metric_name_validation_scheme;
    if (job->metric_name_escaping_scheme == CONFIG_ESCAPING_NONE && validates_alike)
        job->metric_name_escaping_scheme = global->metric_name_escaping_scheme;
    return settle_escaping(rules, block, job->metric_name_validation_scheme,
                           &job->metric_name_escaping_scheme);
}

/* ---- external_labels ---- */

struct lookup {
    struct rules *rules;
    const struct node *at;
};

static void look_up_variable(void *context, struct slice name, struct strbuf *out)
{
    const struct lookup *lookup = context;
    char *key = strndup(name.ptr, name.len);
    check(key != NULL);
    const char *value = getenv(key);
    if (value == NULL || value[0] == '\0')
        warn(lookup->rules, lookup->at, "the environment variable %.100s is empty or not set", key);
    else
        strbuf_adds(out, value);
    free(key);
}

/* A label with an empty value is no label: it is left out. */
static int expand_labels(struct rules *rules, const struct node *labels, struct config_map *map)
{
    struct arena *arena = rules->source->arena;
    struct config_pair *pairs = arena_alloc(arena, map->len * sizeof(*pairs));
    size_t len = 0;
    for (size_t i = 0; i < map->len; i++) {
        const struct config_pair *pair = &map->items[i];
        struct lookup lookup = {rules, node_get(labels, pair->name)};
        struct strbuf value = STRBUF_GROWING;
        expand_text(pair->value, look_up_variable, &lookup, &value);
        bool valid = utf8_valid(value.text, value.len);
        if (value.len > 0)
            pairs[len++] =
                (struct config_pair){pair->name, arena_copy(arena, value.text, value.len)};
        strbuf_fini(&value);
        if (!valid)
            return node_fail(rules->source, lookup.at,
                             "the value of the label \"%.200s\" must be UTF-8, also after "
                             "environment variables are put in",
                             pair->name);
    }
    *map = (struct config_map){pairs, len};
    return 0;
}

static int check_external_names(struct rules *rules, const struct node *labels,
                                const struct config_global *global)
{
    enum label_scheme scheme = config_label_scheme(global->metric_name_validation_scheme);
    for (size_t i = 0; i < global->external_labels.len; i++) {
        const char *name = global->external_labels.items[i].name;
        if (!label_name_valid(scheme, slice_of(name)))
            return node_fail(rules->source, node_get(labels, name),
                             "\"%.200s\" is not a valid label name", name);
    }
    return 0;
}

static int apply_global(struct rules *rules, const struct node *block)
{
    struct config_global *global = &rules->config->global;
    if (global->metric_name_validation_scheme == CONFIG_VALIDATION_NONE)
        global->metric_name_validation_scheme = CONFIG_VALIDATION_UTF8;
    global->scrape_failure_log_file =
        document_resolve(rules->source, global->scrape_failure_log_file);
    if (global->evaluation_interval == 0)
        global->evaluation_interval = DEFAULT_INTERVAL;
    int r = settle_times(rules, block, DEFAULT_INTERVAL, DEFAULT_TIMEOUT, &global->scrape_interval,
                         &global->scrape_timeout);
    if (r == 0)
        r = settle_escaping(rules, block, global->metric_name_validation_scheme,
                            &global->metric_name_escaping_scheme);
    if (r == 0)
        r = check_external_names(rules, node_get(block, "external_labels"), global);
    if (r < 0)
        return r;
    return expand_labels(rules, node_get(block, "external_labels"), &global->external_labels);
}

static void settle_protocols(const struct rules *rules, struct config_job *job)
{
    /* Native histograms have no text format: the first of these is asked for with them only. */
    static const enum config_protocol usual[] = {
        CONFIG_PROTOCOL_PROTO, CONFIG_PROTOCOL_OPENMETRICS_1_0_0, CONFIG_PROTOCOL_OPENMETRICS_0_0_1,
        CONFIG_PROTOCOL_TEXT_1_0_0, CONFIG_PROTOCOL_TEXT_0_0_4};
    const size_t count = sizeof(usual) / sizeof(usual[0]);
    if (job->scrape_protocols.len == 0)
        job->scrape_protocols = rules->config->global.scrape_protocols;
    if (job->scrape_protocols.len == 0)
        job->scrape_protocols = job->scrape_native_histograms
                                    ? (struct config_protocols){usual, count}
                                    : (struct config_protocols){usual + 1, count - 1};
}

/* Prometheus' own key means what it does there, if it is written. */
static void settle_compression(const struct node *block, struct config_job *job)
{
    enum config_gzip *compression = &job->limpet.compression;
    if (*compression != CONFIG_GZIP_UNSAID)
        return;
    if (node_get(block, "enable_compression") == NULL)
        *compression = CONFIG_GZIP_AUTO;
    else
        *compression = job->enable_compression ? CONFIG_GZIP_ON : CONFIG_GZIP_OFF;
}

/* As Prometheus does it, which sees no host name in it; a colon and a port are not required. What
   rules make of an address is seen when they have run. */
static int check_targets(struct rules *rules, const struct node *groups,
                         const struct config_job *job)
{
    if (job->relabel_configs.len > 0)
        return 0;
    for (size_t i = 0; i < job->static_configs.len; i++) {
        const struct config_strings *targets = &job->static_configs.items[i].targets;
        const struct node *list = node_get(node_at(groups, i), "targets");
        for (size_t j = 0; j < targets->len; j++) {
            if (strchr(targets->items[j], '/') != NULL)
                return node_fail(rules->source, node_at(list, j),
                                 "\"%.200s\" is not a valid hostname; a target is host:port, "
                                 "without scheme and path",
                                 targets->items[j]);
        }
    }
    return 0;
}

static void resolve_files(const struct rules *rules, const struct config_file_sds *file_sds)
{
    for (size_t i = 0; i < file_sds->len; i++) {
        struct config_strings *files = &file_sds->items[i].files;
        const char **items = arena_alloc(rules->source->arena, files->len * sizeof(*items));
        for (size_t j = 0; j < files->len; j++)
            items[j] = document_resolve(rules->source, files->items[j]);
        files->items = items;
    }
}

static int check_relabelling(struct rules *rules, const struct node *block, const char *key,
                             const struct config_relabels *relabels,
                             enum config_validation validation)
{
    return relabel_rules_check(rules->source, node_get(block, key), relabels,
                               config_label_scheme(validation));
}

static int check_job_relabelling(struct rules *rules, const struct node *block,
                                 const struct config_job *job)
{
    enum config_validation validation = job->metric_name_validation_scheme;
    int r = check_relabelling(rules, block, "relabel_configs", &job->relabel_configs, validation);
    if (r < 0)
        return r;
    return check_relabelling(rules, block, "metric_relabel_configs", &job->metric_relabel_configs,
                             validation);
}

/* All but where the targets come from. */
static int apply_scraping(struct rules *rules, const struct node *block, struct config_job *job)
{
    const struct config_global *global = &rules->config->global;
    int r = settle_times(rules, block, global->scrape_interval, global->scrape_timeout,
                         &job->scrape_interval, &job->scrape_timeout);
    if (r == 0)
        r = inherit(rules, block, job);
    if (r < 0)
        return r;
    settle_protocols(rules, job);
    settle_compression(block, job);
    r = http_rules_apply(rules->source, block, &job->http);
    return r < 0 ? r : check_job_relabelling(rules, block, job);
}

static int apply_job(struct rules *rules, const struct node *block, struct config_job *job)
{
    int r = check_targets(rules, node_get(block, "static_configs"), job);
    if (r == 0)
        r = apply_scraping(rules, block, job);
    if (r < 0)
        return r;
    resolve_files(rules, &job->file_sd_configs);
    r = discovery_rules_apply(rules->source, block, job);
    if (r < 0)
        return r;
    if (!discovery_rules_has_source(job))
        warn(rules, block,
             "the job \"%.200s\" has no targets: neither `static_configs` nor one of the "
             "`*_sd_configs`",
             job->job_name);
    return 0;
}

static int apply_queue(struct rules *rules, const struct node *block,
                       const struct config_queue *queue)
{
    char text[CONFIG_DURATION_SIZE];
    if (queue->min_shards > queue->max_shards)
        return node_fail(rules->source,
                         node_or(node_get(block, "min_shards"), node_get(block, "max_shards")),
                         "`min_shards` must not be greater than `max_shards`, which is %lld",
                         (long long)queue->max_shards);
    if (queue->max_backoff < queue->min_backoff)
        return node_fail(rules->source,
                         node_or(node_get(block, "max_backoff"), node_get(block, "min_backoff")),
                         "`max_backoff` must not be less than `min_backoff`, which is %s",
                         config_duration_format(queue->min_backoff, text));
    return 0;
}

/* Six hex digits that change with everything the entry says, so that equal names are equal. */
static const char *make_name(const struct rules *rules, const struct config_remote *remote)
{
    struct strbuf bytes = STRBUF_GROWING;
    char name[8];
    codec_encode(&schema_remote, remote, &bytes);
    unsigned hash = (unsigned)(hash64(bytes.text, bytes.len, 0) & 0xffffff);
    strbuf_fini(&bytes);
    snprintf(name, sizeof(name), "%06x", hash);
    return arena_strdup(rules->source->arena, name);
}

struct named {
    const char *name;
    size_t index;
};

static int compare_named(const void *a, const void *b)
{
    const struct named *left = a;
    const struct named *right = b;
    int order = strcmp(left->name, right->name);
    return order != 0 ? order : (left->index > right->index) - (left->index < right->index);
}

/* The first entry in the file whose name an earlier one has already; n if there is none. */
static size_t find_repeat(struct named *names, size_t n)
{
    size_t first = n;
    qsort(names, n, sizeof(*names), compare_named);
    for (size_t i = 1; i < n; i++) {
        if (strcmp(names[i - 1].name, names[i].name) == 0 && names[i].index < first)
            first = names[i].index;
    }
    return first;
}

/* The list in which the job of this number stands, and its place there. */
static const struct job_list *list_of(const struct job_lists *lists, size_t *index)
{
    const struct job_list *list = lists->items;
    for (; *index >= list->len; list++)
        *index -= list->len;
    return list;
}

static int check_job_names(struct rules *rules, const struct job_lists *lists)
{
    const struct config_jobs *jobs = &rules->config->scrape_configs;
    struct named *names = calloc(jobs->len + 1, sizeof(*names));
    check(names != NULL);
    for (size_t i = 0; i < jobs->len; i++)
        names[i] = (struct named){jobs->items[i].job_name, i};
    size_t repeat = find_repeat(names, jobs->len);
    free(names);
    if (repeat == jobs->len)
        return 0;
    const char *name = jobs->items[repeat].job_name;
    const struct job_list *list = list_of(lists, &repeat);
    return node_fail(&list->source, node_get(node_at(list->list, repeat), "job_name"),
                     "the job name \"%.200s\" is given twice; it must be unique", name);
}

static int check_remote_names(struct rules *rules, const struct node *list)
{
    const struct config_remotes *remotes = &rules->config->remote_write;
    struct named *names = calloc(remotes->len + 1, sizeof(*names));
    check(names != NULL);
    for (size_t i = 0; i < remotes->len; i++)
        names[i] = (struct named){remotes->items[i].name, i};
    size_t repeat = find_repeat(names, remotes->len);
    free(names);
    if (repeat == remotes->len)
        return 0;
    const struct node *at = node_at(list, repeat);
    if (node_is_null(node_get(at, "name")))
        return node_fail(rules->source, at,
                         "this entry of `remote_write` repeats an earlier one; change it, or tell "
                         "them apart by `name`");
    return node_fail(rules->source, node_get(at, "name"),
                     "the remote name \"%.200s\" is given twice; it must be unique",
                     remotes->items[repeat].name);
}

/* `first`: of its jobs among all. */
static int apply_list(struct rules *rules, const struct job_list *list, size_t first)
{
    const struct config_jobs *jobs = &rules->config->scrape_configs;
    const struct document *main = rules->source;
    int r = 0;
    rules->source = &list->source;
    for (size_t i = 0; r == 0 && i < list->len; i++)
        r = apply_job(rules, node_at(list->list, i), &jobs->items[first + i]);
    rules->source = main;
    return r;
}

static int apply_jobs(struct rules *rules, const struct job_lists *lists)
{
    size_t first = 0;
    for (size_t i = 0; i < lists->len; first += lists->items[i].len, i++) {
        int r = apply_list(rules, &lists->items[i], first);
        if (r < 0)
            return r;
    }
    return check_job_names(rules, lists);
}

/* VictoriaMetrics' protocol has the messages of 1.0 only. */
static int check_compression(struct rules *rules, const struct node *block,
                             const struct config_remote *remote)
{
    if (remote->limpet.compression != CONFIG_COMPRESSION_ZSTD ||
        remote->protobuf_message != CONFIG_MESSAGE_V2)
        return 0;
    return node_fail(rules->source, node_get(block, "protobuf_message"),
                     "`compression: zstd` of `limpet` is sent as remote write 1.0; leave "
                     "`protobuf_message` out, or take another compression");
}

static int apply_remotes(struct rules *rules, const struct node *list)
{
    struct config_remotes *remotes = &rules->config->remote_write;
    if (remotes->len > CONFIG_MAX_REMOTES)
        return node_fail(rules->source, node_at(list, CONFIG_MAX_REMOTES),
                         "`remote_write` may have at most %d entries", CONFIG_MAX_REMOTES);
    for (size_t i = 0; i < remotes->len; i++) {
        struct config_remote *remote = &remotes->items[i];
        const struct node *queue = node_get(node_at(list, i), "queue_config");
        int r = apply_queue(rules, queue, &remote->queue_config);
        if (r == 0)
            r = http_rules_apply(rules->source, node_at(list, i), &remote->http);
        if (r == 0)
            r = http_rules_take_user(rules->source, node_get(node_at(list, i), "url"), &remote->url,
                                     &remote->http);
        if (r == 0)
            r = check_relabelling(rules, node_at(list, i), "write_relabel_configs",
                                  &remote->write_relabel_configs,
                                  rules->config->global.metric_name_validation_scheme);
        if (r == 0)
            r = check_compression(rules, node_at(list, i), remote);
        if (r < 0)
            return r;
        if (remote->name[0] == '\0')
            remote->name = make_name(rules, remote);
    }
    return check_remote_names(rules, list);
}

/* A group that has the label `node` of this instance was written for it alone. */
static bool is_for_node(const struct config_target_group *group, const char *node)
{
    for (size_t i = 0; i < group->labels.len; i++) {
        if (strcmp(group->labels.items[i].name, "node") == 0)
            return strcmp(group->labels.items[i].value, node) == 0;
    }
    return false;
}

static bool has_unlocated(const struct config_job *job, const char *node)
{
    for (size_t i = 0; i < job->static_configs.len; i++) {
        if (!is_for_node(&job->static_configs.items[i], node))
            return true;
    }
    return job->file_sd_configs.len > 0 || job->http_sd_configs.len > 0 ||
           job->dns_sd_configs.len > 0;
}

/*
 * Every instance scrapes what stands in a file that all of them have, unless told otherwise. By
 * `auto`, that this is one of many is known by NODE_NAME.
 */
static void warn_of_unlocated(struct rules *rules, const struct node *limpet)
{
    const struct config_sharding *sharding = &rules->config->limpet.sharding;
    const char *name = getenv("NODE_NAME");
    bool in_daemon_set = name != NULL && name[0] != '\0';
    bool shared = sharding->by == CONFIG_SHARD_NODE || sharding->by == CONFIG_SHARD_NAMESPACE ||
                  (sharding->by == CONFIG_SHARD_AUTO && in_daemon_set);
    if (!shared || sharding->unlocated != CONFIG_UNLOCATED_ALL)
        return;
    const char *node = sharding->node[0] != '\0' || !in_daemon_set ? sharding->node : name;
    for (size_t i = 0; i < rules->config->scrape_configs.len; i++) {
        const struct config_job *job = &rules->config->scrape_configs.items[i];
        if (has_unlocated(job, node))
            warn(rules, node_get(limpet, "sharding"),
                 "targets of job \"%.200s\" have no node or namespace, so every instance scrapes "
                 "them; `limpet: sharding: unlocated: hash` or `none` changes that",
                 job->job_name);
    }
}

static int apply_all(struct rules *rules, const struct node *root, const struct job_lists *lists)
{
    int r = apply_global(rules, node_get(root, "global"));
    if (r == 0)
        r = apply_jobs(rules, lists);
    if (r == 0)
        r = apply_remotes(rules, node_get(root, "remote_write"));
    const struct node *limpet = node_get(root, "limpet");
    struct config_target_allocator *allocator = &rules->config->limpet.target_allocator;
    if (r == 0)
        r = allocator_rules_apply(rules->source, node_get(limpet, "target_allocator"), allocator);
    warn_of_unlocated(rules, limpet);
    bool scrapes = rules->config->scrape_configs.len > 0 || allocator->given;
    if (scrapes && rules->config->remote_write.len == 0)
        warn(rules, NULL, "there is no `remote_write`: what is scraped goes nowhere");
    return r;
}

static void keep_warnings(struct rules *rules)
{
    struct config_warnings *warnings = &rules->config->warnings;
    size_t len = 0;
    for (size_t i = 0; i < rules->warnings.len; i++)
        len += rules->warnings.text[i] == '\n';
    const char **items = arena_alloc(rules->source->arena, len * sizeof(*items));
    char *line = rules->warnings.text;
    for (size_t i = 0; i < len; i++) {
        char *end = strchr(line, '\n');
        items[i] = arena_copy(rules->source->arena, line, (size_t)(end - line));
        line = end + 1;
    }
    *warnings = (struct config_warnings){items, len};
}

int rules_apply_supplied(const struct document *source, const struct node *block,
                         const struct config_global *global, struct config_job *job)
{
    struct config config = {.global = *global};
    struct rules rules = {.source = source, .config = &config, .warnings = STRBUF_GROWING};
    int r = apply_scraping(&rules, block, job);
    strbuf_fini(&rules.warnings);
    return r;
}

int rules_apply(const struct document *source, const struct node *root,
                const struct job_lists *lists, struct config *config)
{
    struct rules rules = {.source = source, .config = config, .warnings = STRBUF_GROWING};
    int r = apply_all(&rules, root, lists);
    if (r == 0)
        keep_warnings(&rules);
    strbuf_fini(&rules.warnings);
    return r;
}
