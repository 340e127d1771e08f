/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "discovery/annotation_sd.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/grow.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/strbuf.h"
#include "discovery/annotation_targets.h"
#include "discovery/kube_watches.h"
#include "shm/slot.h"

/*
 * Services without selector whose EndpointSlices are watched. Anybody may make such services, and
 * each costs the API server a watch.
 */
#define SLICES_MAX 64

/* How long the first targets wait for services, and then for slices: they may be forbidden. */
#define WAIT_NS (10 * NS_PER_S)

/* Stores, which are looked up again for each use. */
struct stores {
    const struct kube_store **items;
    size_t len;
    size_t room;
};

/* Hashes of what the log has said, so that it says it once while it holds. */
struct said {
    uint64_t *items;
    size_t len;
    size_t room;
};

struct annotation_sd {
    struct source source;
    const struct config_annotation_sd *config;
    struct kube_watches watches; /* of pods and services */
    struct kube_part *slices[SLICES_MAX];
    size_t slice_count;
    bool complete; /* all was known, or not for too long, once: there are targets from then on */
    bool lacks_services;            /* the log has said so */
    bool said_full;                 /* that there are more than SLICES_MAX */
    int64_t services_wait_began_ns; /* 0: not yet */
    int64_t slices_wait_began_ns;
    struct stores pods, services, endpoints; /* for a walk */
    uint64_t problems[ANNOTATION_REASONS];   /* as they are counted now */
    struct said said;                        /* sorted */
    bool review_wanted;
};

#define OWNER(pointer, member)                                                                     \
    ((struct annotation_sd *)(void *)((char *)(uintptr_t)(pointer)-offsetof(struct annotation_sd,  \
                                                                            member)))

/* ---- EndpointSlices of services without selector ---- */

static bool needs_slices(struct slice service)
{
    return annotation_wants_scrape(service) && kube_record_count(service, KUBE_SELECTOR) == 0 &&
           !slice_is(kube_record_get(service, KUBE_TYPE), "ExternalName");
}

static const char slice_label[] = "kubernetes.io/service-name=";

static bool is_for(const struct kube_part *part, struct slice ns, struct slice name)
{
    const struct kube_wanted *wanted = kube_watch_wanted(part->watch);
    return slice_is(ns, wanted->ns) && slice_is(name, wanted->label + sizeof(slice_label) - 1);
}

static bool is_watched(const struct annotation_sd *sd, struct slice ns, struct slice name)
{
    for (size_t i = 0; i < sd->slice_count; i++) {
        if (is_for(sd->slices[i], ns, name))
            return true;
    }
    return false;
}

static void say_that_slices_are_full(struct annotation_sd *sd, struct slice service)
{
    struct strbuf name = STRBUF_GROWING;
    if (sd->said_full)
        return;
    sd->said_full = true;
    kube_record_add_full_name(&name, service);
    log_warn(
        MSG("annotations: too many services without a selector; of some, no endpoint is known"),
        STR("first_left_out", name.text), INT("followed", SLICES_MAX));
    strbuf_fini(&name);
}

static void watch_slices(struct annotation_sd *sd, struct slice service)
{
    struct errctx why;
    struct arena arena = {0};
    struct strbuf label = STRBUF_GROWING;
    struct slice ns = kube_record_get(service, KUBE_NAMESPACE);
    struct slice name = kube_record_get(service, KUBE_NAME);
    if (is_watched(sd, ns, name))
        return;
    if (sd->slice_count == SLICES_MAX) {
        say_that_slices_are_full(sd, service);
        return;
    }
    strbuf_addf(&label, "%s%.*s", slice_label, SLICE_ARG(name));
    const struct kube_wanted wanted = {.kind = KUBE_ENDPOINTSLICES,
                                       .ns = arena_copy(&arena, ns.ptr, ns.len),
                                       .label = label.text,
                                       .field = ""};
    if (kube_watches_open_part(&sd->watches, &wanted, &sd->slices[sd->slice_count], &why) == 0)
        sd->slice_count++;
    strbuf_fini(&label);
    arena_fini(&arena);
}

static bool are_slices_known(const struct annotation_sd *sd)
{
    for (size_t i = 0; i < sd->slice_count; i++) {
        if (!kube_watch_is_known(sd->slices[i]->watch))
            return false;
    }
    return true;
}

/*
 * Watches what is not watched yet; never closes anything, for a watch may be on the stack. In an
 * order that is the same on all nodes and after each start: where not all can be followed, all are
 * to follow the same ones.
 */
static void look_for_slices(struct annotation_sd *sd)
{
    struct kube_records records = {0};
    for (size_t i = 0; i < sd->watches.len && sd->config->services; i++) {
        const struct kube_part *part = sd->watches.parts[i];
        if (part->kind == KUBE_SERVICES)
            kube_records_add(&records, kube_watch_store(part->watch), needs_slices);
    }
    kube_records_sort(&records);
    for (size_t i = 0; i < records.len; i++)
        watch_slices(sd, records.items[i]);
    kube_records_fini(&records);
}

static bool is_slice_needed(const struct annotation_sd *sd, const struct kube_part *slices)
{
    const struct kube_wanted *wanted = kube_watch_wanted(slices->watch);
    struct slice ns = slice_of(wanted->ns);
    struct slice name = slice_of(wanted->label + sizeof(slice_label) - 1);
    for (size_t i = 0; i < sd->watches.len; i++) {
        const struct kube_part *part = sd->watches.parts[i];
        if (part->kind != KUBE_SERVICES)
            continue;
        struct slice service = kube_store_find(kube_watch_store(part->watch), ns, name);
        if (service.len > 0 && needs_slices(service))
            return true;
    }
    return false;
}

static void close_slices(struct annotation_sd *sd, bool all)
{
    size_t kept = 0;
    for (size_t i = 0; i < sd->slice_count; i++) {
        if (!all && is_slice_needed(sd, sd->slices[i]))
            sd->slices[kept++] = sd->slices[i];
        else
            kube_watches_close_part(sd->slices[i]);
    }
    sd->slice_count = kept;
}

/* ---- Watches ---- */

static int add_watches(struct kube_watches *watches, struct errctx *reterr)
{
    const struct annotation_sd *sd = OWNER(watches, watches);
    const char *node = sd->source.host->node;
    struct strbuf field = STRBUF_GROWING;
    strbuf_adds(&field, "");
    if (node != NULL)
        strbuf_addf(&field, "spec.nodeName=%s", node);
    int err = kube_watches_add(watches, KUBE_PODS, "", field.text, reterr);
    if (err == 0 && sd->config->services)
        err = kube_watches_add(watches, KUBE_SERVICES, "", "", reterr);
    strbuf_fini(&field);
    return err;
}

#define PODS     (1u << KUBE_PODS)
#define SERVICES (1u << KUBE_SERVICES)

static bool are_pods_known(const struct annotation_sd *sd)
{
    return kube_watches_have_settled(&sd->watches, PODS, KUBE_PODS);
}

/* Of one namespace at least. */
static bool are_services_known(const struct annotation_sd *sd)
{
    return !sd->config->services ||
           kube_watches_have_settled(&sd->watches, PODS | SERVICES, KUBE_SERVICES);
}

static bool has_waited(int64_t *began_ns, int64_t now_mono_ns)
{
    if (*began_ns == 0)
        *began_ns = now_mono_ns;
    return now_mono_ns - *began_ns >= WAIT_NS;
}

static void say_whether_services_lack(struct annotation_sd *sd)
{
    bool lack = sd->complete && !are_services_known(sd);
    if (lack && !sd->lacks_services)
        log_warn(MSG("annotations: no list of services; only pods are looked at until there is "
                     "one"));
    else if (!lack && sd->lacks_services)
        log_info(MSG("annotations: services are known now, too"));
    sd->lacks_services = lack;
}

/* Whether there are targets at all: from the moment on at which enough is known once. */
static void settle(struct annotation_sd *sd, int64_t now_mono_ns)
{
    if (sd->complete || !are_pods_known(sd))
        return;
    if (are_services_known(sd))
        sd->complete = are_slices_known(sd) || has_waited(&sd->slices_wait_began_ns, now_mono_ns);
    else
        sd->complete = has_waited(&sd->services_wait_began_ns, now_mono_ns);
    if (sd->complete)
        source_changed(&sd->source);
}

static void changed(struct kube_watches *watches, enum kube_kind kind)
{
    struct annotation_sd *sd = OWNER(watches, watches);
    sd->review_wanted = true;
    if (kind == KUBE_SERVICES)
        look_for_slices(sd);
    settle(sd, clock_mono_ns());
    say_whether_services_lack(sd);
    source_changed(&sd->source);
}

static const struct kube_watches_owner owner = {add_watches, changed};

static void add_store(struct stores *stores, const struct kube_part *part)
{
    stores->items = (const struct kube_store **)grow_for_one((void *)stores->items, stores->len,
                                                             &stores->room, sizeof(*stores->items));
    stores->items[stores->len++] = kube_watch_store(part->watch);
}

static struct annotation_world world_of(struct annotation_sd *sd)
{
    sd->pods.len = sd->services.len = sd->endpoints.len = 0;
    for (size_t i = 0; i < sd->watches.len; i++) {
        const struct kube_part *part = sd->watches.parts[i];
        if (kube_watch_is_known(part->watch))
            add_store(part->kind == KUBE_PODS ? &sd->pods : &sd->services, part);
    }
    for (size_t i = 0; i < sd->slice_count; i++)
        add_store(&sd->endpoints, sd->slices[i]);
    return (struct annotation_world){sd->config,         sd->pods.items,   sd->pods.len,
                                     sd->services.items, sd->services.len, sd->endpoints.items,
                                     sd->endpoints.len};
}

/* ---- Problems ---- */

struct review {
    struct annotation_review review;
    struct annotation_sd *sd;
    uint64_t problems[ANNOTATION_REASONS];
    struct said said;
};

static int compare_hashes(const void *a, const void *b)
{
    const uint64_t *left = a, *right = b;
    return (*left > *right) - (*left < *right);
}

static bool was_said(const struct said *said, uint64_t hash)
{
    return said->len > 0 &&
           bsearch(&hash, said->items, said->len, sizeof(hash), compare_hashes) != NULL;
}

static void log_problem(enum kube_kind kind, struct slice record, const char *text)
{
    struct strbuf name = STRBUF_GROWING;
    kube_record_add_full_name(&name, record);
    log_warn(MSG("annotations: not everything that is asked for is scraped"),
             STR(kind == KUBE_PODS ? "pod" : "service", name.text), STR("err", text));
    strbuf_fini(&name);
}

/*
 * That a service has no pods on this node is how it is; that a pod has ended or starts, too. Of
 * what is too large or malformed the watch speaks.
 */
static bool is_news(enum annotation_reason reason)
{
    return reason != ANNOTATION_OTHER_MESH && reason != ANNOTATION_TOO_LARGE &&
           reason != ANNOTATION_MALFORMED && reason != ANNOTATION_NO_POD &&
           reason != ANNOTATION_NO_ENDPOINT && reason != ANNOTATION_FINISHED &&
           reason != ANNOTATION_NO_ADDRESS;
}

static void on_problem(struct annotation_review *base, enum kube_kind kind, struct slice record,
                       const struct annotation_problem *problem)
{
    struct review *review =
        (struct review *)(void *)((char *)base - offsetof(struct review, review));
    struct slice ns = kube_record_get(record, KUBE_NAMESPACE);
    struct slice name = kube_record_get(record, KUBE_NAME);
    struct said *said = &review->said;
    review->problems[problem->reason]++;
    if (!is_news(problem->reason))
        return;
    uint64_t hash = hash64(problem->text.text, strlen(problem->text.text), (uint64_t)kind);
    hash = hash64(name.ptr, name.len, hash64(ns.ptr, ns.len, hash));
    said->items = grow_for_one(said->items, said->len, &said->room, sizeof(*said->items));
    said->items[said->len++] = hash;
    if (!was_said(&review->sd->said, hash))
        log_problem(kind, record, problem->text.text);
}

static void count_problems(struct annotation_sd *sd, const uint64_t problems[ANNOTATION_REASONS])
{
    static const enum counter counters[ANNOTATION_REASONS] = {
        [ANNOTATION_BAD_SCRAPE] = COUNTER_ANNOTATION_BAD_SCRAPE,
        [ANNOTATION_OTHER_MESH] = COUNTER_ANNOTATION_OTHER_MESH,
        [ANNOTATION_BAD_SCHEME] = COUNTER_ANNOTATION_BAD_SCHEME,
        [ANNOTATION_BAD_PORT] = COUNTER_ANNOTATION_BAD_PORT,
        [ANNOTATION_NO_PORT] = COUNTER_ANNOTATION_NO_PORT,
        [ANNOTATION_NO_CONTAINER] = COUNTER_ANNOTATION_NO_CONTAINER,
        [ANNOTATION_NO_ADDRESS] = COUNTER_ANNOTATION_NO_ADDRESS,
        [ANNOTATION_FINISHED] = COUNTER_ANNOTATION_FINISHED,
        [ANNOTATION_NO_ENDPOINT] = COUNTER_ANNOTATION_NO_ENDPOINT,
        [ANNOTATION_NO_POD] = COUNTER_ANNOTATION_NO_POD,
        [ANNOTATION_BAD_VALUE] = COUNTER_ANNOTATION_BAD_VALUE,
        [ANNOTATION_CLAMPED] = COUNTER_ANNOTATION_CLAMPED,
        [ANNOTATION_TOO_LARGE] = COUNTER_ANNOTATION_TOO_LARGE,
        [ANNOTATION_MALFORMED] = COUNTER_ANNOTATION_MALFORMED,
    };
    for (int reason = 0; reason < ANNOTATION_REASONS; reason++) {
        slot_add(sd->source.host->slot, counters[reason], problems[reason] - sd->problems[reason]);
        sd->problems[reason] = problems[reason];
    }
}

static bool is_known(const struct source *source)
{
    const struct annotation_sd *sd = OWNER(source, source);
    return sd->complete && are_pods_known(sd);
}

static void review(struct annotation_sd *sd)
{
    struct review review = {.review.problem = on_problem, .sd = sd};
    const struct annotation_world world = world_of(sd);
    (void)annotation_targets_walk(&world, NULL, &review.review);
    count_problems(sd, review.problems);
    if (review.said.len > 0)
        qsort(review.said.items, review.said.len, sizeof(uint64_t), compare_hashes);
    free(sd->said.items);
    sd->said = review.said;
    sd->review_wanted = false;
}

static void poll_source(struct source *source, int64_t now_mono_ns, bool files_changed)
{
    struct annotation_sd *sd = OWNER(source, source);
    (void)files_changed;
    kube_watches_poll(&sd->watches, now_mono_ns);
    settle(sd, now_mono_ns);
    say_whether_services_lack(sd);
    if (!sd->review_wanted || !is_known(source))
        return;
    close_slices(sd, false);
    look_for_slices(sd); /* there may be room now */
    review(sd);
}

/* ---- As a source ---- */

/* Problems on their way to whoever walks. */
struct forward {
    struct annotation_review review;
    struct source_visit *visit;
};

static void forward_problem(struct annotation_review *base, enum kube_kind kind,
                            struct slice record, const struct annotation_problem *problem)
{
    struct forward *forward =
        (struct forward *)(void *)((char *)base - offsetof(struct forward, review));
    struct strbuf name = STRBUF_GROWING;
    strbuf_adds(&name, kind == KUBE_PODS ? "pod " : "service ");
    kube_record_add_full_name(&name, record);
    forward->visit->refused(forward->visit, slice_make(name.text, name.len),
                            slice_of(problem->text.text));
    strbuf_fini(&name);
}

static int walk(const struct source *source, struct source_visit *visit)
{
    struct forward forward = {.review.problem = forward_problem, .visit = visit};
    if (!is_known(source))
        return 0;
    const struct annotation_world world = world_of(OWNER(source, source));
    kube_watches_show_unknown(&OWNER(source, source)->watches, KUBE_ALL_KINDS, visit);
    return annotation_targets_walk(&world, visit, visit->refused != NULL ? &forward.review : NULL);
}

static void free_source(struct source *source)
{
    static const uint64_t none[ANNOTATION_REASONS];
    struct annotation_sd *sd = OWNER(source, source);
    count_problems(sd, none);
    close_slices(sd, true);
    kube_watches_fini(&sd->watches);
    free((void *)sd->pods.items);
    free((void *)sd->services.items);
    free((void *)sd->endpoints.items);
    free(sd->said.items);
    free(sd);
}

static const struct source_class class = {
    .name = "annotation_discovery",
    .poll = poll_source,
    .walk = walk,
    .is_known = is_known,
    .free = free_source,
};

struct source *annotation_sd_new(struct source_host *host,
                                 const struct config_annotation_sd *config)
{
    const struct config_kubernetes_sd server = {.api_server = config->api_server,
                                                .kubeconfig_file = config->kubeconfig_file,
                                                .http = config->http,
                                                .namespaces = config->namespaces};
    struct annotation_sd *sd = calloc(1, sizeof(*sd));
    check(sd != NULL);
    sd->source = (struct source){&class, host};
    sd->config = config;
    kube_watches_open(&sd->watches, host, &owner, &server, clock_mono_ns());
    return &sd->source;
}
