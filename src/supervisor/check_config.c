/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "supervisor/check_config.h"

#include <stdlib.h>

#include "base/strbuf.h"
#include "config/config.h"
#include "config/duration.h"
#include "config/size.h"
#include "supervisor/builtin.h"
#include "supervisor/plain_jobs.h"

static const char *plural(size_t count)
{
    return count == 1 ? "" : "s";
}

static void print_limpet(const struct config *config, FILE *out)
{
    static const char *const pinning[] = {
        [CONFIG_PINNING_AUTO] = "auto", [CONFIG_PINNING_ON] = "on", [CONFIG_PINNING_OFF] = "off"};
    const struct config_limpet *limpet = &config->limpet;
    char size[CONFIG_SIZE_SIZE];
    char tick[CONFIG_DURATION_SIZE];
    fprintf(out, "%lld scraper%s, a ring of %s each, ticks of at most %s, pinning %s",
            (long long)limpet->scrapers, plural((size_t)limpet->scrapers),
            config_size_format(limpet->ring_size, size),
            config_duration_format(limpet->tick_max, tick), pinning[limpet->pinning]);
    for (size_t i = 0; i < limpet->cpus.len; i++)
        fprintf(out, "%s%lld", i == 0 ? ", CPUs " : ",", (long long)limpet->cpus.items[i]);
    fputc('\n', out);
}

static void print_allocator(const struct config_target_allocator *allocator, FILE *out)
{
    char jobs[CONFIG_DURATION_SIZE];
    char targets[CONFIG_DURATION_SIZE];
    if (allocator->given)
        fprintf(out, "jobs of the Target Allocator %s every %s, their targets for %s every %s\n",
                allocator->endpoint, config_duration_format(allocator->interval, jobs),
                allocator->collector_id,
                config_duration_format(allocator->sd.refresh_interval, targets));
}

static void print_rules(const struct config_relabels *rules, const char *what, FILE *out)
{
    if (rules->len > 0)
        fprintf(out, "    %zu relabelling rule%s for %s\n", rules->len, plural(rules->len), what);
}

static void print_job(const struct config_job *job, FILE *out)
{
    char interval[CONFIG_DURATION_SIZE];
    char timeout[CONFIG_DURATION_SIZE];
    size_t targets = 0;
    for (size_t i = 0; i < job->static_configs.len; i++)
        targets += job->static_configs.items[i].targets.len;
    fprintf(out, "job %s: http %s every %s, time-out %s, %zu static target%s\n", job->job_name,
            job->metrics_path, config_duration_format(job->scrape_interval, interval),
            config_duration_format(job->scrape_timeout, timeout), targets, plural(targets));
    for (size_t i = 0; i < job->file_sd_configs.len; i++) {
        const struct config_strings *files = &job->file_sd_configs.items[i].files;
        for (size_t j = 0; j < files->len; j++)
            fprintf(out, "    and those of the files %s\n", files->items[j]);
    }
    print_rules(&job->relabel_configs, "targets", out);
    print_rules(&job->metric_relabel_configs, "samples", out);
}

static void print_remote(const struct config_remote *remote, FILE *out)
{
    const struct config_queue *queue = &remote->queue_config;
    char deadline[CONFIG_DURATION_SIZE];
    char timeout[CONFIG_DURATION_SIZE];
    fprintf(out,
            "remote %s: %s, time-out %s, %lld to %lld shards, at most %lld samples or %s a "
            "request\n",
            remote->name, remote->url, config_duration_format(remote->remote_timeout, timeout),
            (long long)queue->min_shards, (long long)queue->max_shards,
            (long long)queue->max_samples_per_send,
            config_duration_format(queue->batch_send_deadline, deadline));
    print_rules(&remote->write_relabel_configs, "what is sent", out);
}

static int fail(const struct errctx *why, FILE *err)
{
    fprintf(err, "%s\n", why->text);
    return 1;
}

/* $NODE_NAME, or what the file says, where targets are shared out by node. */
static const char *own_node(const struct config_sharding *sharding)
{
    const char *node = sharding->node[0] != '\0' ? sharding->node : getenv("NODE_NAME");
    bool by_node = sharding->by == CONFIG_SHARD_NODE || sharding->by == CONFIG_SHARD_AUTO;
    return by_node && node != NULL && node[0] != '\0' ? node : NULL;
}

int check_config_expand(const char *path, FILE *out, FILE *err)
{
    struct config *config;
    struct errctx why;
    struct strbuf text = STRBUF_GROWING;
    if (config_load(path, &config, &why) < 0)
        return fail(&why, err);
    plain_jobs_write(config, own_node(&config->limpet.sharding), &text);
    fputs(text.text, out);
    strbuf_fini(&text);
    config_free(config);
    return 0;
}

int check_config_kubernetes(const char *url, FILE *out, FILE *err)
{
    struct config *config;
    struct errctx why;
    struct strbuf text = STRBUF_GROWING;
    int r = builtin_kubernetes_load(url, &config, &why);
    if (r == 0)
        r = builtin_kubernetes(url, &text, &why);
    if (r != 0)
        return fail(&why, err);
    fputs(text.text, out);
    strbuf_fini(&text);
    config_free(config);
    return 0;
}

int check_config_run(const char *path, FILE *out, FILE *err)
{
    struct config *config;
    struct errctx why;
    if (config_load(path, &config, &why) < 0)
        return fail(&why, err);
    fprintf(out, "%s is valid\n", path);
    print_limpet(config, out);
    print_allocator(&config->limpet.target_allocator, out);
    for (size_t i = 0; i < config->scrape_configs.len; i++)
        print_job(&config->scrape_configs.items[i], out);
    for (size_t i = 0; i < config->remote_write.len; i++)
        print_remote(&config->remote_write.items[i], out);
    for (size_t i = 0; i < config->warnings.len; i++)
        fprintf(err, "warning: %s\n", config->warnings.items[i]);
    config_free(config);
    return 0;
}
