/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "scrapers/target.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "scrapers/request.h"
#include "scrapers/scrape.h"
#include "scrapers/scraper.h"
#include "scrapers/way.h"
#include "shm/series_reader.h"

static uint64_t hash_slice(struct slice text, uint64_t seed)
{
    return hash64(text.ptr, text.len, seed ^ text.len);
}

uint64_t target_describe(const struct target_view *view)
{
    const uint32_t flags = view->flags & ~SHM_TARGET_MOVED; /* says nothing about the target */
    const int64_t numbers[] = {view->owner,      flags,          view->interval_ms,
                               view->timeout_ms, view->phase_ns, (int64_t)view->sample_limit};
    uint64_t hash = hash64(numbers, sizeof(numbers), view->address_count);
    hash = hash64(view->addresses, view->address_count * sizeof(view->addresses[0]), hash);
    hash = hash_slice(view->job, hash);
    hash = hash_slice(view->host, hash);
    hash = hash_slice(view->path, hash);
    hash = hash_slice(view->socket, hash);
    return hash_slice(view->error, hash);
}

static uint64_t hash_label(uint64_t before, struct slice name, struct slice value,
                           const struct hash_key *secret)
{
    uint64_t hash = hash64_keyed_next(before, name.ptr, name.len, secret);
    return hash64_keyed_next(hash, value.ptr, value.len, secret);
}

uint64_t target_labels_key(const struct hash_key *secret, const struct label *labels,
                           uint32_t count)
{
    uint64_t hash = 0;
    for (uint32_t i = 0; i < count; i++)
        hash = hash_label(hash, labels[i].name, labels[i].value, secret);
    return hash;
}

static void copy_addresses(struct target *target, const struct target_view *view)
{
    target->address_count = view->address_count;
    for (uint32_t i = 0; i < view->address_count; i++) {
        struct net_address *address = &target->addresses[i];
        bool is_v4 = view->addresses[i].sin6_family == AF_INET;
        address->len = is_v4 ? sizeof(address->v4) : sizeof(address->v6);
        memcpy(&address->v6, &view->addresses[i], address->len);
    }
}

static void take_view(struct target *target, const struct target_view *view)
{
    struct scraper_job *job = jobs_retain(jobs_find(&target->scraper->jobs, view->job));
    target->job = job;
    target->supplied = job != NULL && job->supplied;
    target->description = target_describe(view);
    target->flags = view->flags;
    target->timeout_ns = view->timeout_ms * NS_PER_MS;
    target->sample_limit = view->sample_limit;
    target->fallback = job != NULL ? request_fallback(job->config->fallback_scrape_protocol) : NULL;
    copy_addresses(target, view);
    way_make(target, view);
}

static struct target *allocate(struct scraper *scraper, uint64_t id)
{
    struct target *target = calloc(1, sizeof(*target));
    check(target != NULL);
    target->scraper = scraper;
    target->id = id;
    fetch_init(&target->conn, scraper->loop, &scrape_handler);
    return target;
}

void target_note_series(struct target *target)
{
    const struct series_store *store = &target->scraper->store;
    struct series_state state = series_target_state(store, target->ref);
    target->scraper->active_series -= target->series;
    target->series = state.layout == 0 ? 0 : series_count(store, state.layout);
    if (state.stamped != 0 && (state.flags & SHM_STATE_STRAYS) != 0)
        target->series += series_count(store, state.stamped);
    target->scraper->active_series += target->series;
}

void target_record(struct target *target, const struct label *labels, uint32_t count)
{
    struct series_store *store = &target->scraper->store;
    if (series_target(store, target->id, labels, count, &target->ref) == 0)
        target_note_series(target);
    else
        target->ref = 0;
}

static bool is_usable(const struct target_view *view)
{
    return view->id != 0 && view->interval_ms > 0 && view->interval_ms < INT64_MAX / NS_PER_MS &&
           view->timeout_ms > 0 && view->timeout_ms <= view->interval_ms && view->phase_ns >= 0 &&
           view->phase_ns < view->interval_ms * NS_PER_MS &&
           view->address_count <= SHM_TARGET_ADDRESSES;
}

/* Sorted, unique, none empty: what the series store insists on. */
static bool are_labels(const struct label *labels, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (labels[i].name.len == 0 || labels[i].value.len == 0)
            return false;
        if (i > 0 && slice_compare(labels[i - 1].name, labels[i].name) >= 0)
            return false;
    }
    return true;
}

static struct line_context *context_of(struct scraper *scraper, const struct target_view *view,
                                       const struct label *labels)
{
    const struct scraper_job *job = jobs_find(&scraper->jobs, view->job);
    struct line_rules rules = {
        .job = view->job,
        .honor_labels = (view->flags & SHM_TARGET_HONOR_LABELS) != 0,
    };
    if (job != NULL) {
        rules.job_number = job->number;
        const struct config_limits *limits = &job->config->limits;
        rules.relabel = job->relabel;
        rules.scheme = config_label_scheme(job->config->metric_name_validation_scheme);
        rules.limits = (struct line_limits){(uint64_t)limits->label_limit,
                                            (uint64_t)limits->label_name_length_limit,
                                            (uint64_t)limits->label_value_length_limit};
    }
    return line_context_get(&scraper->contexts, &rules, labels, view->label_count);
}

struct target *target_new(struct scraper *scraper, const struct target_view *view,
                          const struct label *labels)
{
    if (!is_usable(view) || !are_labels(labels, view->label_count))
        return NULL;
    struct target *target = allocate(scraper, view->id);
    target->life = TARGET_ACTIVE;
    target->labels_key = target_labels_key(&scraper->targets.secret, labels, view->label_count);
    target->tick.interval_ns = view->interval_ms * NS_PER_MS;
    target->tick.phase_ns = view->phase_ns;
    target->context = context_of(scraper, view, labels);
    take_view(target, view);
    target_record(target, labels, view->label_count);
    return target;
}

struct target *target_new_departing(struct scraper *scraper, uint32_t ref)
{
    struct target *target = allocate(scraper, series_target_id(&scraper->store, ref));
    struct series_record record;
    struct series_label label;
    series_target_view(&scraper->store, ref, &record);
    struct series_labels labels = series_reader_labels(&record);
    enum config_shard_by by = scraper->config->limpet.sharding.by;
    target->life = TARGET_DEPARTING;
    target->is_shared = by == CONFIG_SHARD_HASH || by == CONFIG_SHARD_NAMESPACE;
    target->ref = ref;
    target->tick.interval_ns = scraper->config->global.scrape_interval * NS_PER_MS;
    while (series_labels_next(&labels, &label) == 1) {
        target->labels_key =
            hash_label(target->labels_key, label.name, label.value, &scraper->targets.secret);
        const struct scraper_job *job =
            slice_is(label.name, "job") ? jobs_find(&scraper->jobs, label.value) : NULL;
        if (job == NULL)
            continue;
        target->tick.interval_ns = job->config->scrape_interval * NS_PER_MS;
        target->supplied = job->supplied;
    }
    target_note_series(target);
    return target;
}

void target_past_forget(struct scraper *scraper, struct target_past *past)
{
    plan_release(&scraper->plans, past->plan);
    series_release_optional(&scraper->store, past->strays);
    series_release_optional(&scraper->store, past->metadata);
    *past = (struct target_past){0};
}

static void free_now(struct target *target)
{
    if (target->context != NULL)
        line_context_release(&target->scraper->contexts, target->context);
    way_free(target);
    exemplar_memory_fini(&target->exemplars);
    free(target->head);
    free(target->error);
    free(target);
}

void target_free(struct target *target)
{
    struct scraper *scraper = target->scraper;
    check(target->scrape == NULL);
    if (target->life == TARGET_RELEASING) {
        free_now(target);
        return;
    }
    target->life = TARGET_RELEASING;
    loop_timer_clear(scraper->loop, &target->departure);
    throttle_forget(&scraper->throttle, &target->turn);
    jobs_release(target->job);
    target->job = NULL;
    scraper->active_series -= target->series;
    target->series = 0;
    target_past_forget(scraper, &target->past);
    costs_clear(&scraper->costs, &target->cost_place);
    if (target->has_reason)
        reasons_clear(&scraper->reasons, target->id);
    if (fetch_fini(&target->conn))
        free_now(target);
}
