/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "discovery/annotation_targets.h"

#include <stdlib.h>

#include "base/grow.h"
#include "base/hash.h"
#include "discovery/annotation_request.h"
#include "discovery/kube_private.h"

/* Records in the order of namespace and name. */
struct records {
    struct slice *items;
    size_t len;
    size_t room;
};

/* Hashes of URLs. */
struct hash_set {
    uint64_t *slots; /* 0: free */
    size_t slot_count;
    size_t used;
};

struct walker {
    const struct annotation_world *world;
    struct source_visit *visit;
    struct annotation_review *review;
    struct annotation_listener listener;
    struct records pods;
    struct records services;
    struct hash_set urls;
    struct arena arena; /* of one object */
    struct label_set labels;
    /* The object that is looked at. */
    enum kube_kind kind;
    struct slice object;
    struct annotations annotations;
};

/* A port of a pod that may become a target. */
struct place {
    struct slice pod;
    struct slice container;
    struct slice number;
    struct slice port_name;
    const struct annotation_port *wanted; /* with a path of its own; or NULL */
};

/* ---- Sets ---- */

static void grow_hash_set(struct hash_set *set)
{
    struct hash_set larger = {.slot_count = set->slot_count == 0 ? 64 : 2 * set->slot_count};
    larger.slots = calloc(larger.slot_count, sizeof(*larger.slots));
    check(larger.slots != NULL);
    for (size_t i = 0; i < set->slot_count; i++) {
        uint64_t hash = set->slots[i];
        size_t at = hash & (larger.slot_count - 1);
        while (hash != 0 && larger.slots[at] != 0)
            at = (at + 1) & (larger.slot_count - 1);
        if (hash != 0)
            larger.slots[at] = hash;
    }
    larger.used = set->used;
    free(set->slots);
    *set = larger;
}

/* False: it was there. */
static bool add_hash(struct hash_set *set, uint64_t hash)
{
    hash += hash == 0;
    if (2 * set->used >= set->slot_count)
        grow_hash_set(set);
    size_t at = hash & (set->slot_count - 1);
    while (set->slots[at] != 0 && set->slots[at] != hash)
        at = (at + 1) & (set->slot_count - 1);
    if (set->slots[at] == hash)
        return false;
    set->slots[at] = hash;
    set->used++;
    return true;
}

static int compare_records(const void *a, const void *b)
{
    const struct slice *left = a, *right = b;
    int order = slice_compare(kube_record_get(*left, KUBE_NAMESPACE),
                              kube_record_get(*right, KUBE_NAMESPACE));
    return order != 0 ? order
                      : slice_compare(kube_record_get(*left, KUBE_NAME),
                                      kube_record_get(*right, KUBE_NAME));
}

static void collect(struct records *records, const struct kube_store *const *stores, size_t count,
                    bool annotated_only)
{
    for (size_t i = 0; i < count; i++) {
        const struct kube_object *object = NULL;
        while ((object = kube_store_next(stores[i], object)) != NULL) {
            struct slice record = kube_object_record(object);
            if (annotated_only && !annotation_wants_scrape(record))
                continue;
            records->items = (struct slice *)grow_for_one(records->items, records->len,
                                                          &records->room, sizeof(struct slice));
            records->items[records->len++] = record;
        }
    }
    if (records->len > 0)
        qsort(records->items, records->len, sizeof(struct slice), compare_records);
}

/* ---- Labels ---- */

static void put(struct walker *walker, const char *name, struct slice value)
{
    if (value.len > 0)
        label_set_put(&walker->labels, slice_of(name), value);
}

/* "app.kubernetes.io/name" to "app_kubernetes_io_name". */
static struct slice plain_name(struct arena *arena, struct slice key)
{
    const size_t prefix = sizeof("__meta_kubernetes_") - 1;
    struct slice name = kube_meta_name(arena, "", "", key);
    return slice_make(name.ptr + prefix, name.len - prefix);
}

static void put_pod_labels(struct walker *walker, struct slice pod)
{
    const struct config_strings *keys = &walker->world->config->pod_labels;
    for (size_t i = 0; i < keys->len; i++) {
        struct slice key = slice_of(keys->items[i]);
        struct slice value = kube_record_get_key(pod, KUBE_LABEL, key);
        if (value.len > 0)
            label_set_put(&walker->labels, plain_name(&walker->arena, key), value);
    }
}

static void put_job(struct walker *walker, struct slice pod)
{
    struct slice name =
        kube_record_get_key(pod, KUBE_LABEL, SLICE_LITERAL("app.kubernetes.io/name"));
    if (walker->world->config->job_from_name && name.len > 0)
        put(walker, "job", name);
    else
        put(walker, "job",
            walker->kind == KUBE_SERVICES ? SLICE_LITERAL("kubernetes-services")
                                          : SLICE_LITERAL("kubernetes-pods"));
}

/* What it is. The allowed labels of the pod go first: they do not hide limpet's own. */
static void put_names(struct walker *walker, const struct place *place)
{
    put_pod_labels(walker, place->pod);
    put_job(walker, place->pod);
    put(walker, "namespace", kube_record_get(place->pod, KUBE_NAMESPACE));
    put(walker, "pod", kube_record_get(place->pod, KUBE_NAME));
    put(walker, "container", place->container);
    put(walker, "node", kube_record_get(place->pod, KUBE_NODE_NAME));
    if (walker->kind == KUBE_SERVICES)
        put(walker, "service", kube_record_get(walker->object, KUBE_NAME));
}

/* For relabel_configs: as role pod has them, and those of the service. */
static void put_meta(struct walker *walker, const struct place *place)
{
    struct label_set *labels = &walker->labels;
    label_set_put(labels, KUBE_META("namespace"), kube_record_get(place->pod, KUBE_NAMESPACE));
    kube_labels_put_pod(labels, &walker->arena, place->pod);
    label_set_put(labels, KUBE_META("pod_container_name"), place->container);
    label_set_put(labels, KUBE_META("pod_container_port_name"), place->port_name);
    label_set_put(labels, KUBE_META("pod_container_port_number"), place->number);
    if (walker->kind == KUBE_SERVICES)
        kube_labels_put_meta(labels, &walker->arena, "service", walker->object, true);
}

/* ---- One target ---- */

static uint64_t url_hash(const struct walker *walker, struct slice address)
{
    static const char prefix[] = "__param_";
    const struct label_set *labels = &walker->labels;
    uint64_t hash = hash64(address.ptr, address.len, 0);
    for (size_t i = 0; i < labels->count; i++) {
        struct slice name = labels->labels[i].name, value = labels->labels[i].value;
        bool param =
            name.len >= sizeof(prefix) - 1 && memcmp(name.ptr, prefix, sizeof(prefix) - 1) == 0;
        if (!param && !slice_is(name, "__scheme__") && !slice_is(name, "__metrics_path__"))
            continue;
        hash = hash64(name.ptr, name.len, hash);
        hash = hash64(value.ptr, value.len, hash);
    }
    return hash;
}

static int give(struct walker *walker, const struct place *place)
{
    struct slice ip = kube_record_get(place->pod, KUBE_POD_IP);
    struct slice address = source_address(&walker->arena, ip, place->number);
    label_set_clear(&walker->labels);
    annotation_put_request(&walker->labels, &walker->arena, &walker->annotations, place->wanted);
    if (!add_hash(&walker->urls, url_hash(walker, address)) || walker->visit == NULL)
        return 0;
    put_names(walker, place);
    put_meta(walker, place);
    return walker->visit->target(walker->visit, address, &walker->labels);
}

/* ---- Pods ---- */

static bool has_ended(struct slice pod, struct slice container)
{
    struct kube_entry status;
    while (kube_record_find(&pod, KUBE_CONTAINER_STATUS, &status)) {
        if (slice_equal(kube_record_get(status.inner, KUBE_NAME), container))
            return kube_record_has(status.inner, KUBE_EXIT_CODE);
    }
    return false;
}

static bool is_finished(struct slice pod)
{
    struct slice phase = kube_record_get(pod, KUBE_PHASE);
    return slice_is(phase, "Succeeded") || slice_is(phase, "Failed");
}

static bool is_tcp(const struct kube_entry *port)
{
    struct slice protocol = kube_record_get(port->inner, KUBE_PROTOCOL);
    return protocol.len == 0 || slice_is(protocol, "TCP");
}

static bool is_in_mesh(struct slice pod)
{
    return slice_is(
        kube_record_get_key(pod, KUBE_LABEL, SLICE_LITERAL("security.istio.io/tlsMode")), "istio");
}

static bool is_meant(const struct walker *walker, struct slice pod)
{
    enum config_mesh mesh = walker->world->config->mesh;
    return mesh == CONFIG_MESH_ANY || is_in_mesh(pod) == (mesh == CONFIG_MESH_INSIDE);
}

/* The next container that may be scraped: not ended, and of the annotated name if there is one. */
static bool next_container(const struct walker *walker, struct slice pod, struct slice *rest,
                           struct slice *ret_name, struct slice *ret_inner)
{
    struct slice wanted = walker->annotations.container;
    struct kube_entry container;
    while (kube_record_find(rest, KUBE_CONTAINER, &container)) {
        *ret_name = kube_record_get(container.inner, KUBE_NAME);
        *ret_inner = container.inner;
        if ((wanted.len == 0 || slice_equal(wanted, *ret_name)) && !has_ended(pod, *ret_name))
            return true;
    }
    return false;
}

/* The declared port with this name, or else number; the last place to look for what `text` is. */
static bool find_port(const struct walker *walker, struct slice text, struct place *place)
{
    struct slice rest = place->pod, name, ports;
    struct kube_entry port;
    while (next_container(walker, place->pod, &rest, &name, &ports)) {
        while (kube_record_find(&ports, KUBE_PORT, &port)) {
            struct slice number = kube_record_get(port.inner, KUBE_NUMBER);
            struct slice port_name = kube_record_get(port.inner, KUBE_NAME);
            if (!slice_equal(text, number) && !slice_equal(text, port_name))
                continue;
            place->container = name;
            place->number = number;
            place->port_name = port_name;
            return true;
        }
    }
    return false;
}

/* A number need not be declared: its container is the annotated one, or the pod's only one. */
static bool settle_number(const struct walker *walker, struct slice text, struct place *place)
{
    uint16_t number;
    struct slice rest = place->pod, name, ports;
    if (!annotation_port_number(text, &number) || number == 0)
        return false;
    place->number = text;
    if (next_container(walker, place->pod, &rest, &name, &ports)) {
        place->container = name;
        if (next_container(walker, place->pod, &rest, &name, &ports))
            place->container = SLICE_LITERAL("");
    }
    return true;
}

static bool settle_port(const struct walker *walker, struct slice text, struct place *place)
{
    return find_port(walker, text, place) || settle_number(walker, text, place);
}

static int give_declared(struct walker *walker, struct slice pod, bool *ret_any)
{
    struct slice rest = pod, name, ports;
    struct kube_entry port;
    int err = 0;
    while (err == 0 && next_container(walker, pod, &rest, &name, &ports)) {
        while (err == 0 && kube_record_find(&ports, KUBE_PORT, &port)) {
            const struct place place = {pod, name, kube_record_get(port.inner, KUBE_NUMBER),
                                        kube_record_get(port.inner, KUBE_NAME), NULL};
            if (!is_tcp(&port))
                continue;
            *ret_any = true;
            err = give(walker, &place);
        }
    }
    return err;
}

static int give_wanted(struct walker *walker, struct slice pod)
{
    const struct annotations *annotations = &walker->annotations;
    int err = 0;
    for (size_t i = 0; err == 0 && i < annotations->port_count; i++) {
        struct place place = {.pod = pod, .wanted = &annotations->ports[i]};
        if (settle_port(walker, annotations->ports[i].port, &place))
            err = give(walker, &place);
        else
            annotation_complain(&walker->listener, ANNOTATION_BAD_PORT,
                                "no container of the pod has a port of the name \"%.*s\"",
                                SLICE_ARG(annotations->ports[i].port));
    }
    return err;
}

/* False: it can have no target, which was said. */
static bool check_pod(struct walker *walker, struct slice pod)
{
    struct annotation_listener *listener = &walker->listener;
    struct slice rest = pod, name, ports;
    if (is_finished(pod)) {
        annotation_complain(listener, ANNOTATION_FINISHED, "its phase is %.*s",
                            SLICE_ARG(kube_record_get(pod, KUBE_PHASE)));
        return false;
    }
    if (kube_record_get(pod, KUBE_POD_IP).len == 0) {
        annotation_complain(listener, ANNOTATION_NO_ADDRESS, "it has no address yet");
        return false;
    }
    if (!next_container(walker, pod, &rest, &name, &ports)) {
        annotation_complain(listener, ANNOTATION_NO_CONTAINER,
                            "it has no container%s%.*s%s that has not ended",
                            walker->annotations.container.len > 0 ? " \"" : "",
                            SLICE_ARG(walker->annotations.container),
                            walker->annotations.container.len > 0 ? "\"" : "");
        return false;
    }
    return true;
}

static int walk_pod(struct walker *walker, struct slice pod)
{
    bool any = false;
    if (!annotation_wants_scrape(pod) || !is_meant(walker, pod))
        return 0;
    if (!annotations_read(pod, walker->world->config, &walker->arena, &walker->listener,
                          &walker->annotations) ||
        !check_pod(walker, pod))
        return 0;
    if (walker->annotations.port_count > 0)
        return give_wanted(walker, pod);
    int err = give_declared(walker, pod, &any);
    if (!any)
        annotation_complain(&walker->listener, ANNOTATION_NO_PORT, "no port declared or annotated");
    return err;
}

/* ---- Services ---- */

static bool selects(struct slice service, struct slice pod)
{
    struct kube_entry wanted;
    if (!slice_equal(kube_record_get(service, KUBE_NAMESPACE),
                     kube_record_get(pod, KUBE_NAMESPACE)))
        return false;
    while (kube_record_find(&service, KUBE_SELECTOR, &wanted)) {
        struct slice labels = pod;
        struct kube_entry label;
        bool has = false;
        while (!has && kube_record_find(&labels, KUBE_LABEL, &label))
            has = slice_equal(label.key, wanted.key) && slice_equal(label.value, wanted.value);
        if (!has)
            return false;
    }
    return true;
}

/* Where a port of a service leads: a number, or the name of a container's port. */
static struct slice target_port(const struct kube_entry *port)
{
    struct slice target = kube_record_get(port->inner, KUBE_TARGET_PORT);
    return target.len > 0 && !slice_is(target, "0") ? target
                                                    : kube_record_get(port->inner, KUBE_NUMBER);
}

/* What an annotated port means: the service's port of this name or number, or else a pod's. */
static struct slice map_port(struct slice service, struct slice text)
{
    struct kube_entry port;
    while (kube_record_find(&service, KUBE_PORT, &port)) {
        if (slice_equal(kube_record_get(port.inner, KUBE_NUMBER), text) ||
            slice_equal(kube_record_get(port.inner, KUBE_NAME), text))
            return target_port(&port);
    }
    return text;
}

static int give_port(struct walker *walker, struct slice pod, struct slice text,
                     const struct annotation_port *wanted)
{
    struct place place = {.pod = pod, .wanted = wanted};
    if (settle_port(walker, text, &place))
        return give(walker, &place);
    annotation_complain(&walker->listener, ANNOTATION_BAD_PORT,
                        "no container of the pod %.*s has a port of the name \"%.*s\"",
                        SLICE_ARG(kube_record_get(pod, KUBE_NAME)), SLICE_ARG(text));
    return 0;
}

static int give_service_pod(struct walker *walker, struct slice pod)
{
    const struct annotations *annotations = &walker->annotations;
    struct slice rest = walker->object;
    struct kube_entry port;
    int err = 0;
    for (size_t i = 0; err == 0 && i < annotations->port_count; i++)
        err = give_port(walker, pod, map_port(walker->object, annotations->ports[i].port),
                        &annotations->ports[i]);
    while (annotations->port_count == 0 && err == 0 && kube_record_find(&rest, KUBE_PORT, &port)) {
        if (is_tcp(&port))
            err = give_port(walker, pod, target_port(&port), NULL);
    }
    return err;
}

/* Pods that have ended or have no address are no endpoints; ready or not does not matter. */
static bool is_endpoint(const struct walker *walker, struct slice pod)
{
    return !is_finished(pod) && kube_record_get(pod, KUBE_POD_IP).len > 0 && is_meant(walker, pod);
}

static int give_matching(struct walker *walker)
{
    bool any = false;
    int err = 0;
    for (size_t i = 0; err == 0 && i < walker->pods.len; i++) {
        struct slice pod = walker->pods.items[i];
        if (!is_endpoint(walker, pod) || !selects(walker->object, pod))
            continue;
        any = true;
        err = give_service_pod(walker, pod);
    }
    if (!any)
        annotation_complain(&walker->listener, ANNOTATION_NO_POD,
                            "no pod that is known here matches its selector");
    return err;
}

static int walk_service(struct walker *walker, struct slice service)
{
    if (!annotations_read(service, walker->world->config, &walker->arena, &walker->listener,
                          &walker->annotations))
        return 0;
    if (kube_record_count(service, KUBE_SELECTOR) == 0) {
        annotation_complain(&walker->listener, ANNOTATION_NO_SELECTOR,
                            "it has no selector, by which its pods are found");
        return 0;
    }
    if (walker->annotations.port_count == 0 && kube_record_count(service, KUBE_PORT) == 0) {
        annotation_complain(&walker->listener, ANNOTATION_NO_PORT, "no port declared or annotated");
        return 0;
    }
    return give_matching(walker);
}

/* ---- All ---- */

static void on_problem(struct annotation_listener *listener,
                       const struct annotation_problem *problem)
{
    struct walker *walker =
        (struct walker *)(void *)((char *)listener - offsetof(struct walker, listener));
    if (walker->review != NULL)
        walker->review->problem(walker->review, walker->kind, walker->object, problem);
}

static int walk_records(struct walker *walker, enum kube_kind kind, const struct records *records,
                        int (*walk)(struct walker *walker, struct slice record))
{
    int err = 0;
    walker->kind = kind;
    for (size_t i = 0; err == 0 && i < records->len; i++) {
        walker->object = records->items[i];
        arena_reset(&walker->arena);
        err = walk(walker, walker->object);
    }
    return err;
}

int annotation_targets_walk(const struct annotation_world *world, struct source_visit *visit,
                            struct annotation_review *review)
{
    struct walker walker = {
        .world = world, .visit = visit, .review = review, .listener.problem = on_problem};
    int err = 0;
    collect(&walker.pods, world->pods, world->pod_stores, !world->config->services);
    collect(&walker.services, world->services, world->service_stores, true);
    if (world->config->services)
        err = walk_records(&walker, KUBE_SERVICES, &walker.services, walk_service);
    if (err == 0 && world->config->pods)
        err = walk_records(&walker, KUBE_PODS, &walker.pods, walk_pod);
    free(walker.pods.items);
    free(walker.services.items);
    free(walker.urls.slots);
    arena_fini(&walker.arena);
    label_set_fini(&walker.labels);
    return err;
}
