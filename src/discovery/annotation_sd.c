/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "discovery/annotation_sd.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/grow.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/strbuf.h"
#include "discovery/annotation_targets.h"
#include "discovery/kube_watch.h"
#include "shm/slot.h"

/* One of the watches. */
struct part {
    struct kube_watch_user user;
    struct annotation_sd *owner;
    struct kube_watch *watch;
};

/* Those of a kind, and their stores, which are looked up again for each use. */
struct parts {
    struct part **items;
    const struct kube_store **stores;
    size_t len;
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
    struct parts pods;
    struct parts services;
    uint64_t problems[ANNOTATION_REASONS]; /* as they are counted now */
    struct said said;                      /* sorted */
    bool review_wanted;
    bool broken; /* there is no server to ask */
};

#define OWNER(pointer) ((struct annotation_sd *)(void *)(uintptr_t)(pointer))

/* ---- Watches ---- */

static void changed(struct kube_watch_user *user)
{
    struct part *part = (struct part *)(void *)((char *)user - offsetof(struct part, user));
    part->owner->review_wanted = true;
    source_changed(&part->owner->source);
}

static int add_watch(struct annotation_sd *sd, struct kube_access *access, struct parts *parts,
                     const char *ns, struct errctx *reterr)
{
    const char *node = sd->source.host->node;
    struct strbuf field = STRBUF_GROWING;
    strbuf_adds(&field, "");
    if (parts == &sd->pods && node != NULL)
        strbuf_addf(&field, "spec.nodeName=%s", node);
    const struct kube_wanted wanted = {.kind = parts == &sd->pods ? KUBE_PODS : KUBE_SERVICES,
                                       .ns = ns,
                                       .label = "",
                                       .field = field.text};
    struct part *part = calloc(1, sizeof(*part));
    parts->items = (struct part **)realloc(parts->items, (parts->len + 1) * sizeof(part));
    parts->stores = (const struct kube_store **)realloc(parts->stores,
                                                        (parts->len + 1) * sizeof(*parts->stores));
    check(part != NULL && parts->items != NULL && parts->stores != NULL);
    *part = (struct part){.user = {.changed = changed}, .owner = sd};
    int err = kube_watch_open(sd->source.host, access, &wanted, &part->user, &part->watch, reterr);
    if (err == 0)
        parts->items[parts->len++] = part;
    else
        free(part);
    strbuf_fini(&field);
    return err;
}

static int add_namespaced(struct annotation_sd *sd, struct kube_access *access, struct parts *parts,
                          struct errctx *reterr)
{
    const struct config_kube_namespaces *namespaces = &sd->config->namespaces;
    int err = 0;
    if (namespaces->own_namespace && access->own_namespace[0] == '\0')
        return err_set(reterr, ERR_CONFIG,
                       "own_namespace: the namespace file of the service account is missing");
    if (namespaces->own_namespace)
        err = add_watch(sd, access, parts, access->own_namespace, reterr);
    for (size_t i = 0; err == 0 && i < namespaces->names.len; i++)
        err = add_watch(sd, access, parts, namespaces->names.items[i], reterr);
    if (err == 0 && !namespaces->own_namespace && namespaces->names.len == 0)
        err = add_watch(sd, access, parts, "", reterr);
    return err;
}

static int add_watches(struct annotation_sd *sd, struct errctx *reterr)
{
    const struct config_kubernetes_sd server = {.api_server = sd->config->api_server,
                                                .kubeconfig_file = sd->config->kubeconfig_file,
                                                .http = sd->config->http};
    struct kube_access *access;
    int err = kube_access_new(&server, &access, reterr);
    if (err != 0)
        return err;
    err = add_namespaced(sd, access, &sd->pods, reterr);
    if (err == 0 && sd->config->services)
        err = add_namespaced(sd, access, &sd->services, reterr);
    kube_access_unref(access);
    return err;
}

static bool are_known(const struct parts *parts)
{
    for (size_t i = 0; i < parts->len; i++) {
        if (!kube_watch_is_known(parts->items[i]->watch))
            return false;
    }
    return true;
}

static void look_up(const struct parts *parts)
{
    for (size_t i = 0; i < parts->len; i++)
        parts->stores[i] = kube_watch_store(parts->items[i]->watch);
}

static void free_parts(struct parts *parts)
{
    for (size_t i = 0; i < parts->len; i++) {
        kube_watch_close(parts->items[i]->watch, &parts->items[i]->user);
        free(parts->items[i]);
    }
    free(parts->items);
    free((void *)parts->stores);
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
    strbuf_addf(&name, "%.*s/%.*s", SLICE_ARG(kube_record_get(record, KUBE_NAMESPACE)),
                SLICE_ARG(kube_record_get(record, KUBE_NAME)));
    log_warn(MSG("annotations: not everything that is asked for is scraped"),
             STR(kind == KUBE_PODS ? "pod" : "service", name.text), STR("err", text));
    strbuf_fini(&name);
}

/* That a service has no pods on this node is how it is; that a pod has ended or starts, too. */
static bool is_news(enum annotation_reason reason)
{
    return reason != ANNOTATION_NO_POD && reason != ANNOTATION_FINISHED &&
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
        [ANNOTATION_BAD_SCHEME] = COUNTER_ANNOTATION_BAD_SCHEME,
        [ANNOTATION_BAD_PORT] = COUNTER_ANNOTATION_BAD_PORT,
        [ANNOTATION_NO_PORT] = COUNTER_ANNOTATION_NO_PORT,
        [ANNOTATION_NO_CONTAINER] = COUNTER_ANNOTATION_NO_CONTAINER,
        [ANNOTATION_NO_ADDRESS] = COUNTER_ANNOTATION_NO_ADDRESS,
        [ANNOTATION_FINISHED] = COUNTER_ANNOTATION_FINISHED,
        [ANNOTATION_NO_SELECTOR] = COUNTER_ANNOTATION_NO_SELECTOR,
        [ANNOTATION_NO_POD] = COUNTER_ANNOTATION_NO_POD,
        [ANNOTATION_BAD_VALUE] = COUNTER_ANNOTATION_BAD_VALUE,
        [ANNOTATION_CLAMPED] = COUNTER_ANNOTATION_CLAMPED,
    };
    for (int reason = 0; reason < ANNOTATION_REASONS; reason++) {
        slot_add(sd->source.host->slot, counters[reason], problems[reason] - sd->problems[reason]);
        sd->problems[reason] = problems[reason];
    }
}

static struct annotation_world world_of(const struct annotation_sd *sd)
{
    look_up(&sd->pods);
    look_up(&sd->services);
    return (struct annotation_world){sd->config, sd->pods.stores, sd->pods.len, sd->services.stores,
                                     sd->services.len};
}

static bool is_known(const struct source *source)
{
    const struct annotation_sd *sd = OWNER(source);
    return !sd->broken && are_known(&sd->pods) && are_known(&sd->services);
}

static void poll_source(struct source *source, int64_t now_mono_ns, bool files_changed)
{
    struct annotation_sd *sd = OWNER(source);
    struct review review = {.review.problem = on_problem, .sd = sd};
    (void)now_mono_ns;
    (void)files_changed;
    if (!sd->review_wanted || !is_known(source))
        return;
    const struct annotation_world world = world_of(sd);
    (void)annotation_targets_walk(&world, NULL, &review.review);
    count_problems(sd, review.problems);
    if (review.said.len > 0)
        qsort(review.said.items, review.said.len, sizeof(uint64_t), compare_hashes);
    free(sd->said.items);
    sd->said = review.said;
    sd->review_wanted = false;
}

/* ---- As a source ---- */

static int walk(const struct source *source, struct source_visit *visit)
{
    const struct annotation_sd *sd = OWNER(source);
    if (!is_known(source))
        return 0;
    const struct annotation_world world = world_of(sd);
    return annotation_targets_walk(&world, visit, NULL);
}

static void free_source(struct source *source)
{
    static const uint64_t none[ANNOTATION_REASONS];
    struct annotation_sd *sd = OWNER(source);
    count_problems(sd, none);
    free_parts(&sd->pods);
    free_parts(&sd->services);
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
    struct errctx why;
    struct annotation_sd *sd = calloc(1, sizeof(*sd));
    check(sd != NULL);
    sd->source = (struct source){&class, host};
    sd->config = config;
    if (add_watches(sd, &why) != 0) {
        sd->broken = true;
        log_error(MSG("annotation_discovery: no targets from here until the configuration is "
                      "loaded again"),
                  STR("err", why.text));
    }
    return &sd->source;
}
