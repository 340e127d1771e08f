/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "discovery/kube_sd.h"

#include <stddef.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/strbuf.h"
#include "discovery/kube_labels.h"
#include "discovery/kube_watches.h"

struct kube_sd {
    struct source source;
    struct kube_view view;
    struct kube_watches watches;
    const struct config_kubernetes_sd *config;
    enum kube_kind kind; /* of the objects that become targets */
    bool was_known;      /* when it was looked at last */
};

#define OWNER(pointer, member)                                                                     \
    ((struct kube_sd *)(void *)((char *)(uintptr_t)(pointer)-offsetof(struct kube_sd, member)))

/* ---- Which watches ---- */

static enum kube_kind kind_of(enum config_kube_role role)
{
    static const enum kube_kind kinds[] = {
        [CONFIG_KUBE_POD] = KUBE_PODS,
        [CONFIG_KUBE_SERVICE] = KUBE_SERVICES,
        [CONFIG_KUBE_ENDPOINTS] = KUBE_ENDPOINTS,
        [CONFIG_KUBE_ENDPOINTSLICE] = KUBE_ENDPOINTSLICES,
        [CONFIG_KUBE_NODE] = KUBE_NODES,
        [CONFIG_KUBE_INGRESS] = KUBE_INGRESSES,
    };
    return kinds[role];
}

/* The kinds that are watched, as bits. */
static unsigned kinds_of(const struct config_kubernetes_sd *config)
{
    unsigned kinds = 1u << kind_of(config->role);
    if (config->role == CONFIG_KUBE_ENDPOINTS || config->role == CONFIG_KUBE_ENDPOINTSLICE)
        kinds |= 1u << KUBE_SERVICES | 1u << KUBE_PODS;
    if (config->attach_metadata.node && config->role != CONFIG_KUBE_SERVICE &&
        config->role != CONFIG_KUBE_INGRESS)
        kinds |= 1u << KUBE_NODES;
    if (config->attach_metadata.namespace && config->role != CONFIG_KUBE_NODE)
        kinds |= 1u << KUBE_NAMESPACES;
    if (kinds & 1u << KUBE_PODS && config->attach_metadata.deployment)
        kinds |= 1u << KUBE_REPLICASETS;
    if (kinds & 1u << KUBE_PODS && config->attach_metadata.cronjob)
        kinds |= 1u << KUBE_JOBS;
    return kinds;
}

/* "a,field=value", unless the selector says something about the field already. */
static void restrict_field(struct strbuf *selector, const char *field, const char *value)
{
    if (selector->len > 0 && strstr(selector->text, field) != NULL)
        return;
    strbuf_addf(selector, "%s%s=%s", selector->len > 0 ? "," : "", field, value);
}

static void add_field_selector(const struct kube_sd *sd, enum kube_kind kind, const char *given,
                               struct strbuf *selector)
{
    const char *node = sd->source.host->node;
    strbuf_adds(selector, given);
    if (node == NULL)
        return;
    if (kind == KUBE_PODS)
        restrict_field(selector, "spec.nodeName", node);
    else if (kind == KUBE_NODES)
        restrict_field(selector, "metadata.name", node);
}

static int add_kind(struct kube_watches *watches, enum kube_kind kind, struct errctx *reterr)
{
    const struct kube_sd *sd = OWNER(watches, watches);
    const struct config_kube_selectors *selectors = &sd->config->selectors;
    const char *label = "", *given = "";
    for (size_t i = 0; i < selectors->len; i++) {
        if (kind_of(selectors->items[i].role) == kind) {
            label = selectors->items[i].label;
            given = selectors->items[i].field;
        }
    }
    struct strbuf field = STRBUF_GROWING;
    add_field_selector(sd, kind, given, &field);
    int err = kube_watches_add(watches, kind, label, field.text, reterr);
    strbuf_fini(&field);
    return err;
}

static int add_watches(struct kube_watches *watches, struct errctx *reterr)
{
    unsigned kinds = kinds_of(OWNER(watches, watches)->config);
    int err = 0;
    for (int kind = 0; err == 0 && kind < KUBE_KINDS; kind++) {
        if (kinds & 1u << kind)
            err = add_kind(watches, (enum kube_kind)kind, reterr);
    }
    return err;
}

/* ---- As a source ---- */

static struct slice find(const struct kube_view *view, enum kube_kind kind, struct slice ns,
                         struct slice name)
{
    const struct kube_watches *watches = &OWNER(view, view)->watches;
    for (size_t i = 0; i < watches->len; i++) {
        if (watches->parts[i]->kind != kind)
            continue;
        struct slice record = kube_store_find(kube_watch_store(watches->parts[i]->watch), ns, name);
        if (record.len > 0)
            return record;
    }
    return SLICE_LITERAL("");
}

static int walk_store(struct kube_labels *labels, enum kube_kind kind,
                      const struct kube_store *store)
{
    const struct kube_object *object = NULL;
    int err = 0;
    while (err == 0 && (object = kube_store_next(store, object)) != NULL)
        err = kube_labels_walk(labels, kind, kube_object_record(object));
    return err;
}

static bool is_known(const struct source *source)
{
    const struct kube_sd *sd = OWNER(source, source);
    return kube_watches_have_settled(&sd->watches, KUBE_ALL_KINDS, sd->kind);
}

/* What is known by this is told with it. */
static void changed(struct kube_watches *watches, enum kube_kind kind)
{
    struct kube_sd *sd = OWNER(watches, watches);
    (void)kind;
    sd->was_known = is_known(&sd->source);
    source_changed(&sd->source);
}

static const struct kube_watches_owner owner = {add_watches, changed};

static int walk(const struct source *source, struct source_visit *visit)
{
    const struct kube_sd *sd = OWNER(source, source);
    struct kube_labels labels = {.view = &sd->view, .visit = visit};
    int err = 0;
    kube_watches_show_unknown(&sd->watches, KUBE_ALL_KINDS, visit);
    for (size_t i = 0; err == 0 && i < sd->watches.len; i++) {
        const struct kube_part *part = sd->watches.parts[i];
        /* Half of the labels would be worse than none: targets would be others. */
        if (part->kind == sd->kind && kube_watches_are_whole(&sd->watches, part, KUBE_ALL_KINDS))
            err = walk_store(&labels, sd->kind, kube_watch_store(part->watch));
    }
    kube_labels_fini(&labels);
    return err;
}

static void poll_source(struct source *source, int64_t now_mono_ns, bool files_changed)
{
    struct kube_sd *sd = OWNER(source, source);
    (void)files_changed;
    kube_watches_poll(&sd->watches, now_mono_ns);
    /* Time alone may make it so: then what a predecessor knew goes. */
    if (is_known(source) && !sd->was_known)
        source_changed(source);
    sd->was_known = is_known(source);
}

static void free_source(struct source *source)
{
    struct kube_sd *sd = OWNER(source, source);
    kube_watches_fini(&sd->watches);
    free(sd);
}

static const struct source_class class = {
    .name = "kubernetes_sd_configs",
    .poll = poll_source,
    .walk = walk,
    .is_known = is_known,
    .free = free_source,
};

struct source *kube_sd_new(struct source_host *host, const struct config_kubernetes_sd *config)
{
    struct kube_sd *sd = calloc(1, sizeof(*sd));
    check(sd != NULL);
    sd->source = (struct source){&class, host};
    sd->config = config;
    sd->kind = kind_of(config->role);
    sd->view = (struct kube_view){.find = find,
                                  .attach_node = config->attach_metadata.node,
                                  .attach_namespace = config->attach_metadata.namespace,
                                  .attach_deployment = config->attach_metadata.deployment,
                                  .attach_job = config->attach_metadata.job,
                                  .attach_cronjob = config->attach_metadata.cronjob};
    kube_watches_open(&sd->watches, host, &owner, config, clock_mono_ns());
    return &sd->source;
}
