/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "discovery/kube_sd.h"

#include <stddef.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/strbuf.h"
#include "discovery/kube_labels.h"
#include "discovery/kube_watch.h"

struct kube_sd;

/* One of the watches of a source. */
struct part {
    struct kube_watch_user user;
    struct kube_sd *owner;
    struct kube_watch *watch;
    enum kube_kind kind;
};

struct kube_sd {
    struct source source;
    struct kube_view view;
    const struct config_kubernetes_sd *config;
    enum kube_kind kind; /* of the objects that become targets */
    struct part **parts;
    size_t part_count;
    bool broken; /* there is no server to ask */
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

static void changed(struct kube_watch_user *user)
{
    struct part *part = (struct part *)(void *)((char *)user - offsetof(struct part, user));
    source_changed(&part->owner->source);
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

static int add_watch(struct kube_sd *sd, struct kube_access *access, enum kube_kind kind,
                     const char *ns, struct errctx *reterr)
{
    const struct config_kube_selectors *selectors = &sd->config->selectors;
    struct kube_wanted wanted = {.kind = kind, .ns = ns, .label = "", .field = ""};
    for (size_t i = 0; i < selectors->len; i++) {
        if (kind_of(selectors->items[i].role) == kind) {
            wanted.label = selectors->items[i].label;
            wanted.field = selectors->items[i].field;
        }
    }
    struct strbuf field = STRBUF_GROWING;
    add_field_selector(sd, kind, wanted.field, &field);
    wanted.field = field.text;
    struct part *part = calloc(1, sizeof(*part));
    struct part **parts =
        (struct part **)realloc(sd->parts, (sd->part_count + 1) * sizeof(struct part *));
    check(part != NULL && parts != NULL);
    *part = (struct part){.user = {.changed = changed}, .owner = sd, .kind = kind};
    sd->parts = parts;
    int err = kube_watch_open(sd->source.host, access, &wanted, &part->user, &part->watch, reterr);
    if (err == 0)
        sd->parts[sd->part_count++] = part;
    else
        free(part);
    strbuf_fini(&field);
    return err;
}

/* Namespaces that are watched one by one: those that are named, and limpet's own. */
static int add_namespaced(struct kube_sd *sd, struct kube_access *access, enum kube_kind kind,
                          struct errctx *reterr)
{
    const struct config_kube_namespaces *namespaces = &sd->config->namespaces;
    int err = 0;
    if (namespaces->own_namespace && access->own_namespace[0] == '\0')
        return err_set(reterr, ERR_CONFIG,
                       "own_namespace: the namespace file of the service account is missing");
    if (namespaces->own_namespace)
        err = add_watch(sd, access, kind, access->own_namespace, reterr);
    for (size_t i = 0; err == 0 && i < namespaces->names.len; i++)
        err = add_watch(sd, access, kind, namespaces->names.items[i], reterr);
    if (err == 0 && !namespaces->own_namespace && namespaces->names.len == 0)
        err = add_watch(sd, access, kind, "", reterr);
    return err;
}

static int add_watches(struct kube_sd *sd, struct errctx *reterr)
{
    struct kube_access *access;
    int err = kube_access_new(sd->config, &access, reterr);
    if (err != 0)
        return err;
    for (int kind = 0; err == 0 && kind < KUBE_KINDS; kind++) {
        if (!(kinds_of(sd->config) & 1u << kind))
            continue;
        err = kube_kind_info((enum kube_kind)kind)->namespaced
                  ? add_namespaced(sd, access, (enum kube_kind)kind, reterr)
                  : add_watch(sd, access, (enum kube_kind)kind, "", reterr);
    }
    kube_access_unref(access);
    return err;
}

/* ---- As a source ---- */

static struct slice find(const struct kube_view *view, enum kube_kind kind, struct slice ns,
                         struct slice name)
{
    const struct kube_sd *sd = OWNER(view, view);
    for (size_t i = 0; i < sd->part_count; i++) {
        if (sd->parts[i]->kind != kind)
            continue;
        struct slice record = kube_store_find(kube_watch_store(sd->parts[i]->watch), ns, name);
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
    for (size_t i = 0; i < sd->part_count; i++) {
        if (!kube_watch_is_known(sd->parts[i]->watch))
            return false;
    }
    return !sd->broken;
}

static int walk(const struct source *source, struct source_visit *visit)
{
    const struct kube_sd *sd = OWNER(source, source);
    struct kube_labels labels = {.view = &sd->view, .visit = visit};
    int err = 0;
    if (!is_known(source))
        return 0; /* half of the labels would be worse than none: targets would be others */
    for (size_t i = 0; err == 0 && i < sd->part_count; i++) {
        if (sd->parts[i]->kind == sd->kind)
            err = walk_store(&labels, sd->kind, kube_watch_store(sd->parts[i]->watch));
    }
    kube_labels_fini(&labels);
    return err;
}

static void free_source(struct source *source)
{
    struct kube_sd *sd = OWNER(source, source);
    for (size_t i = 0; i < sd->part_count; i++) {
        kube_watch_close(sd->parts[i]->watch, &sd->parts[i]->user);
        free(sd->parts[i]);
    }
    free(sd->parts);
    free(sd);
}

static const struct source_class class = {
    .name = "kubernetes_sd_configs",
    .walk = walk,
    .is_known = is_known,
    .free = free_source,
};

struct source *kube_sd_new(struct source_host *host, const struct config_kubernetes_sd *config)
{
    struct errctx why;
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
    if (add_watches(sd, &why) != 0) {
        sd->broken = true;
        log_error(MSG("kubernetes: no targets from here until the configuration is loaded again"),
                  STR("err", why.text));
    }
    return &sd->source;
}
