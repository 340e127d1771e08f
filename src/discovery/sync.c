/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "discovery/sync.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "discovery/dropped.h"
#include "discovery/identities.h"
#include "discovery/locality.h"
#include "discovery/sharding.h"
#include "discovery/target_build.h"
#include "discovery/target_url.h"

static bool is_needed(void *context, struct slice label)
{
    const struct sync *sync = context;
    for (size_t i = 0; i < sync->job_count; i++) {
        if (relabel_reads(sync->jobs[i].relabel, label))
            return true;
    }
    return false;
}

static int compile_rules(struct sync_job *job, struct errctx *reterr)
{
    const struct config_job *config = job->config;
    int err = relabel_compile(config->relabel_configs.items, config->relabel_configs.len,
                              config_label_scheme(config->metric_name_validation_scheme),
                              &job->relabel, reterr);
    return err == 0 ? 0 : err_prefix(reterr, err, "relabel_configs of job %s", config->job_name);
}

static int init_job(struct sync *sync, size_t i, struct errctx *reterr)
{
    struct sync_job *job = &sync->jobs[i];
    const struct config_job *config = &sync->config->scrape_configs.items[i];
    job->config = config;
    job->entry = i;
    int err = sources_add_job(&sync->sources, config, &job->sources, reterr);
    return err == 0 ? compile_rules(job, reterr) : err;
}

static void fini_job(struct sync_job *job)
{
    free(job->sources.items);
    relabel_free(job->relabel);
}

static void add_supplied(struct sync *sync, const struct supplied *supplied, size_t entry)
{
    struct sync_job *job = &sync->jobs[sync->job_count++];
    struct errctx why;
    *job = (struct sync_job){.config = supplied->job, .entry = entry, .supplied = true};
    job->sources.items = malloc(sizeof(*job->sources.items));
    check(job->sources.items != NULL);
    job->sources.items[0] = supplied->source;
    job->sources.len = job->sources.room = 1;
    if (compile_rules(job, &why) == 0)
        return;
    log_error(MSG("a job that came over the network cannot be used"), STR("err", why.text));
    fini_job(job);
    sync->job_count--;
}

void sync_take_jobs(struct sync *sync, struct supplied_list jobs)
{
    size_t configured = sync->config->scrape_configs.len;
    while (sync->job_count > configured)
        fini_job(&sync->jobs[--sync->job_count]);
    sync->jobs = realloc(sync->jobs, (configured + jobs.len + 1) * sizeof(*sync->jobs));
    check(sync->jobs != NULL);
    for (size_t i = 0; i < jobs.len; i++)
        add_supplied(sync, &jobs.items[i], configured + i);
}

int sync_init(struct sync *sync, const struct config *config, struct source_host *host,
              struct targets_writer *table, const struct targets_reader *former, uint32_t scrapers,
              const char *host_name, struct errctx *reterr)
{
    *sync = (struct sync){.config = config,
                          .host = host,
                          .table = table,
                          .former = former,
                          .job_count = config->scrape_configs.len,
                          .seed = target_seed(host_name, &config->global.external_labels)};
    owners_init(&sync->owners, scrapers);
    host->is_needed = is_needed;
    host->is_needed_context = sync;
    sources_init(&sync->sources, host);
    sync->jobs = calloc(sync->job_count + 1, sizeof(*sync->jobs));
    check(sync->jobs != NULL);
    int err = 0;
    for (size_t i = 0; err == 0 && i < sync->job_count; i++)
        err = init_job(sync, i, reterr);
    return err;
}

void sync_fini(struct sync *sync)
{
    for (size_t i = 0; i < sync->job_count; i++)
        fini_job(&sync->jobs[i]);
    free(sync->jobs);
    owners_fini(&sync->owners);
    sources_fini(&sync->sources);
}

static struct sync_job *find_job(const struct sync *sync, struct slice name)
{
    for (size_t i = 0; i < sync->job_count; i++) {
        if (slice_is(name, sync->jobs[i].config->job_name))
            return &sync->jobs[i];
    }
    return NULL;
}

static bool is_https(const struct target_view *target)
{
    return target->url.len > 6 && memcmp(target->url.ptr, "https:", 6) == 0;
}

static void recall(struct sync *sync, const struct target_view *target)
{
    struct slice host;
    uint16_t port;
    struct sync_job *job = find_job(sync, target->job);
    if (job != NULL && is_https(target))
        job->has_https = true;
    if (target_url_split_address(target->host, 80, &host, &port))
        resolver_recall(sync->host->resolver, host, target->addresses, (int)target->address_count);
}

void sync_recall(struct sync *sync)
{
    struct targets_cursor cursor;
    struct target_view target;
    if (targets_reader_open(sync->former, &cursor) != 0)
        return;
    while (targets_cursor_next(&cursor, &target) == 1) {
        recall(sync, &target);
        owners_recall(&sync->owners, cursor.generation, target.id, target.owner,
                      (target.flags & SHM_TARGET_MOVED) != 0);
    }
}

void sync_poll(struct sync *sync, int64_t now_mono_ns, bool files_changed)
{
    sources_poll(&sync->sources, now_mono_ns, files_changed);
}

/* ---- walking all targets of all jobs ---- */

/* What one round over all targets needs and finds. */
struct round {
    struct source_visit walk; /* of one source after another */
    struct sync *sync;
    int (*visit)(struct round *round, const struct config_job *job, struct built_target *target);
    struct arena arena; /* texts of the targets of this round */
    struct arena scratch;
    struct sync_job *job;          /* that is visited */
    struct target_builder builder; /* of it */
    const struct label_set
        *found; /* labels of the target that is visited, as the source has them */
    struct identities seen;
    size_t targets;
    size_t dropped;
    struct dropped *drops; /* NULL: they are not wanted */
    size_t job_index;      /* of the job that is visited */
    size_t elsewhere;      /* another instance's */
    uint64_t failures;
    size_t shown; /* entries of the table that are no targets */
    bool log_failures;
    bool keeps; /* targets of the table in force, where they would be lost */
};

/* A file full of nonsense does not fill the log. */
#define FAILURES_LOGGED 10u

/* Entries of a table that are no targets; the rest is counted only. */
#define SHOWN_MAX      2000u
#define SHOWN_TEXT_MAX 1024u

static void show(struct round *round, struct slice what, struct slice why)
{
    if (round->shown >= SHOWN_MAX || round->walk.refused == NULL)
        return;
    if (what.len > SHOWN_TEXT_MAX)
        what = SLICE_LITERAL("(a very long address)");
    struct slice job = slice_of(round->builder.job->job_name);
    if (targets_writer_add_none(round->sync->table, job, what, why) == 0)
        round->shown++;
}

static void show_refused(struct source_visit *walk, struct slice what, struct slice why)
{
    show((struct round *)(void *)walk, what, why); /* its first member */
}

static void refuse(struct round *round, const struct config_job *job, struct slice address,
                   const char *why)
{
    round->failures++;
    if (!round->log_failures || round->failures > FAILURES_LOGGED)
        return;
    log_warn(MSG("not a target"), STR("scrape_job", job->job_name), SLICE("address", address),
             STR("err", why));
    if (round->failures == FAILURES_LOGGED)
        log_warn(MSG("more entries that are no targets are counted only"));
}

static void note_dropped(struct round *round, struct slice address, const struct label_set *labels)
{
    struct label_set discovered = {0};
    round->dropped++;
    if (round->drops == NULL || !dropped_count(round->drops, round->job_index))
        return;
    target_discovered(&round->builder, address, labels, &discovered);
    dropped_keep(round->drops, round->job_index, &discovered);
    label_set_fini(&discovered);
    arena_reset(&round->scratch);
}

static int visit_target(struct round *round, struct built_target *target)
{
    round->job->has_https = round->job->has_https || target->https;
    return round->visit(round, round->builder.job, target);
}

static int visit_found(struct source_visit *walk, struct slice address,
                       const struct label_set *labels)
{
    struct round *round = (struct round *)(void *)walk; /* its first member */
    const struct config_job *job = round->builder.job;
    struct built_target target;
    struct errctx why;
    round->found = labels;
    int err = target_build(&round->builder, address, labels, &target, &why);
    if (err == TARGET_DROPPED) {
        note_dropped(round, address, labels);
        return 0;
    }
    if (err != 0) {
        refuse(round, job, address, why.text);
        show(round, address, slice_of(why.text));
        return 0;
    }
    /* Entries that end up with the same labels and URL are one target. */
    const struct sharding *sharding = round->job->supplied ? NULL : round->sync->host->sharding;
    if (sharding != NULL && !sharding_takes(sharding, labels, target.id))
        round->elsewhere++;
    else if (identities_add(&round->seen, target.id))
        err = visit_target(round, &target);
    label_set_fini(&target.labels);
    return err;
}

static int visit_job(struct round *round, struct sync_job *job)
{
    round->walk.target = visit_found;
    round->job = job;
    round->builder = (struct target_builder){job->config, job->relabel, round->sync->seed,
                                             &round->arena, &round->scratch};
    int err = 0;
    for (size_t i = 0; err == 0 && i < job->sources.len; i++) {
        const struct source *source = job->sources.items[i];
        err = source->class->walk(source, &round->walk);
    }
    return err;
}

/* ---- what a source had that knows nothing yet ---- */

/*
 * A source that fails keeps the targets it had; but that of a new discovery has never had any, and
 * would lose them. They stand in the table in force, where they look like any of their job.
 */
static bool is_ignorant(const struct sync_job *job)
{
    for (size_t i = 0; i < job->sources.len; i++) {
        const struct source *source = job->sources.items[i];
        if (source->class->is_known != NULL && !source->class->is_known(source))
            return true;
    }
    return false;
}

static bool is_kept(const struct sync *sync, struct slice job_name)
{
    const struct sync_job *job = find_job(sync, job_name);
    return job != NULL ? is_ignorant(job) : sync->expects_jobs;
}

static void put_addresses(struct target_view *view, const struct resolver_answer *answer,
                          uint16_t port)
{
    view->address_count = (uint32_t)answer->count;
    for (int i = 0; i < answer->count; i++) {
        /* The port lies at the same place in both families. */
        view->addresses[i] = answer->addresses[i];
        view->addresses[i].sin6_port = htons(port);
    }
}

static void look_up_again(const struct sync *sync, struct target_view *target)
{
    struct slice host;
    uint16_t port;
    if (target->socket.len > 0)
        return;
    if (!target_url_split_address(target->host, is_https(target) ? 443 : 80, &host, &port))
        return;
    struct resolver_answer answer = resolver_lookup(sync->host->resolver, host);
    if (answer.state != RESOLVER_KNOWN)
        return;
    put_addresses(target, &answer, port);
    target->error = SLICE_LITERAL("");
}

static void set_owner(struct sync *sync, struct target_view *target)
{
    bool moved;
    target->owner = owners_of(&sync->owners, target->id, target->interval_ms, &moved);
    target->flags &= ~SHM_TARGET_MOVED;
    if (moved)
        target->flags |= SHM_TARGET_MOVED;
}

static int keep_target(struct round *round, struct target_view *target)
{
    if (!identities_add(&round->seen, target->id))
        return 0;
    struct label *labels = calloc(target->label_count + 1, sizeof(*labels));
    check(labels != NULL);
    int err = target_labels_decode(target, labels);
    if (err == 0) {
        target->labels = labels;
        set_owner(round->sync, target);
        look_up_again(round->sync, target);
        round->targets++;
        err = targets_writer_add(round->sync->table, target);
    }
    free(labels);
    return err;
}

static int keep_targets(struct round *round)
{
    struct targets_cursor cursor;
    struct target_view target;
    int err = targets_reader_open(round->sync->former, &cursor);
    while (err == 0 && (err = targets_cursor_next(&cursor, &target)) == 1) {
        err = 0;
        if (is_kept(round->sync, target.job))
            err = keep_target(round, &target);
    }
    /* A table that is damaged, or not there, has nothing to keep. */
    return err == ERR_CORRUPT || err == ERR_NOT_READY ? 0 : err;
}

/* ---- the rounds ---- */

static int visit_all(struct round *round)
{
    int err = 0;
    for (size_t i = 0; err == 0 && i < round->sync->job_count; i++) {
        round->job_index = i;
        err = visit_job(round, &round->sync->jobs[i]);
    }
    if (err == 0 && round->keeps)
        err = keep_targets(round);
    identities_fini(&round->seen);
    arena_fini(&round->arena);
    arena_fini(&round->scratch);
    return err;
}

/* ---- what is done with each ---- */

/* At a Unix socket a target has no address, and its host is just a name. */
static struct resolver_answer look_up(const struct sync *sync, const struct built_target *target)
{
    if (target->socket.len > 0)
        return (struct resolver_answer){.state = RESOLVER_KNOWN};
    return resolver_lookup(sync->host->resolver, target->host);
}

static int ask_for_name(struct round *round, const struct config_job *job,
                        struct built_target *target)
{
    (void)job;
    (void)look_up(round->sync, target);
    return 0;
}

int sync_resolve(struct sync *sync)
{
    struct round round = {.sync = sync, .visit = ask_for_name};
    check(visit_all(&round) == 0);
    return resolver_pending(sync->host->resolver);
}

static uint32_t flags_of(const struct config_job *job, const struct target_switches *switches)
{
    uint32_t flags = 0;
    if (job->honor_labels)
        flags |= SHM_TARGET_HONOR_LABELS;
    if (job->honor_timestamps)
        flags |= SHM_TARGET_HONOR_TIMESTAMPS;
    if (job->track_timestamps_staleness)
        flags |= SHM_TARGET_TRACK_TIMESTAMPS;
    if (switches->native_histograms)
        flags |= SHM_TARGET_NATIVE_HISTOGRAMS;
    if (switches->classic_histograms)
        flags |= SHM_TARGET_CLASSIC_HISTOGRAMS;
    if (switches->convert_histograms)
        flags |= SHM_TARGET_CONVERT_HISTOGRAMS;
    return flags;
}

/* What was found of the target that is visited has its addresses now. */
static bool wants_gzip(const struct round *round, const struct config_job *job,
                       const struct target_view *view)
{
    const struct locality *locality = round->sync->host->locality;
    if (job->limpet.compression != CONFIG_GZIP_AUTO)
        return job->limpet.compression == CONFIG_GZIP_ON;
    return view->socket.len == 0 &&
           (locality == NULL ||
            !locality_has(locality, round->found, view->addresses, view->address_count));
}

/* Room for what does not belong to the texts, generously. */
#define TARGET_OVERHEAD 1024u

static bool is_too_long(const struct target_view *view)
{
    size_t len = TARGET_OVERHEAD + view->job.len + view->host.len + view->path.len + view->url.len +
                 view->socket.len;
    for (uint32_t i = 0; i < view->label_count; i++)
        len += sizeof(struct shm_label) + view->labels[i].name.len + view->labels[i].value.len;
    return len > TARGET_LENGTH_MAX;
}

/* ---- target_limit ---- */

static int count_target(struct round *round, const struct config_job *job,
                        struct built_target *target)
{
    (void)job;
    (void)target;
    round->job->targets++;
    return 0;
}

static bool is_over_limit(const struct sync_job *job)
{
    int64_t limit = job->config->limits.target_limit;
    return limit > 0 && job->targets > (uint64_t)limit;
}

/* How many targets the jobs have, where that matters. Jobs above their limit: counted. */
static void count_targets(struct sync *sync)
{
    struct round round = {.sync = sync, .visit = count_target};
    bool matters = false;
    for (size_t i = 0; i < sync->job_count; i++) {
        sync->jobs[i].targets = 0;
        matters |= sync->jobs[i].config->limits.target_limit > 0;
    }
    if (!matters)
        return;
    check(visit_all(&round) == 0);
    for (size_t i = 0; i < sync->job_count; i++)
        slot_add(sync->host->slot, COUNTER_TARGET_LIMIT_EXCEEDED, is_over_limit(&sync->jobs[i]));
}

/* Why none of the job's targets is scraped, in Prometheus' words; false: they are. */
static bool say_limit(const struct sync_job *job, char *text, size_t size)
{
    if (!is_over_limit(job))
        return false;
    snprintf(text, size, "target_limit exceeded (number of targets: %llu, limit: %lld)",
             (unsigned long long)job->targets, (long long)job->config->limits.target_limit);
    return true;
}

/* ---- the table ---- */

/* Then it is the proxy that looks for the target; if no_proxy says otherwise, the scraper fails. */
static bool may_use_proxy(const struct config_proxy *proxy)
{
    return proxy->proxy_from_environment || proxy->proxy_url[0] != '\0';
}

static int add_to_table(struct round *round, const struct config_job *job,
                        struct built_target *target)
{
    char error[512];
    struct resolver_answer answer = look_up(round->sync, target);
    if (answer.state == RESOLVER_PENDING)
        return 0;
    struct target_view view = {.id = target->id,
                               .flags = flags_of(job, &target->switches),
                               .interval_ms = target->interval_ms,
                               .timeout_ms = target->timeout_ms,
                               .phase_ns = target->phase_ns,
                               .sample_limit = target->sample_limit,
                               .job = slice_of(job->job_name),
                               .host = target->address,
                               .path = target->path,
                               .url = target->url,
                               .socket = target->socket,
                               .label_count = (uint32_t)target->labels.count,
                               .labels = target->labels.labels};
    if (is_too_long(&view)) {
        struct slice why = SLICE_LITERAL("its labels and URL are too long");
        refuse(round, job, target->address, why.ptr);
        show(round, target->address, why);
        return 0;
    }
    if (say_limit(round->job, error, sizeof(error))) {
        view.error = slice_of(error);
    } else if (answer.state == RESOLVER_KNOWN) {
        put_addresses(&view, &answer, target->port);
    } else if (!may_use_proxy(&job->http.proxy)) {
        int host_len = (int)(target->host.len < 256 ? target->host.len : 256);
        snprintf(error, sizeof(error), "lookup %.*s: %s", host_len, target->host.ptr, answer.error);
        view.error = slice_of(error);
    }
    if (wants_gzip(round, job, &view))
        view.flags |= SHM_TARGET_GZIP;
    round->targets++;
    set_owner(round->sync, &view);
    return targets_writer_add(round->sync->table, &view);
}

static void start_drops(const struct sync *sync, struct dropped *dropped)
{
    dropped_init(dropped, sync->job_count);
    for (size_t i = 0; i < sync->job_count; i++) {
        const struct config_job *job = sync->jobs[i].config;
        dropped->jobs[i].name = slice_of(job->job_name);
        dropped->jobs[i].limit = (uint64_t)job->limits.keep_dropped_targets;
    }
}

int sync_write(struct sync *sync)
{
    struct dropped dropped;
    struct round round = {.sync = sync,
                          .visit = add_to_table,
                          .drops = &dropped,
                          .log_failures = true,
                          .keeps = true};
    round.walk.refused = show_refused;
    start_drops(sync, &dropped);
    count_targets(sync);
    if (sync->host->locality != NULL)
        locality_look(sync->host->locality);
    owners_begin(&sync->owners, targets_writer_generation(sync->table) + 1, clock_mono_ns());
    targets_writer_begin(sync->table);
    int err = visit_all(&round);
    if (err == 0)
        dropped_write(&dropped, sync->table);
    dropped_fini(&dropped);
    if (err != 0)
        return err;
    targets_writer_commit(sync->table);
    struct shm_slot *slot = sync->host->slot;
    slot_add(slot, COUNTER_MOVES, sync->owners.moves);
    sync->owners.moves = 0;
    slot_set(slot, COUNTER_TARGETS, round.targets);
    slot_set(slot, COUNTER_TARGETS_GENERATION, targets_writer_generation(sync->table));
    slot_set(slot, COUNTER_TARGETS_DROPPED, round.dropped);
    slot_set(slot, COUNTER_TARGETS_ELSEWHERE, round.elsewhere);
    slot_add(slot, COUNTER_TARGET_SYNC_FAILURES, round.failures);
    slot_add(slot, COUNTER_SYNCS, 1);
    return 0;
}
