/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "discovery/annotation_targets.h"

#include <stdlib.h>

#include "base/hash.h"
#include "discovery/annotation_private.h"

/* ---- Records ---- */

/* Then nobody knows whether it has the annotation. */
static bool is_left_out(struct slice record)
{
    return kube_record_has(record, KUBE_TOO_LARGE) || kube_record_has(record, KUBE_MALFORMED);
}

static bool may_be_annotated(struct slice record)
{
    return annotation_mentions_scrape(record) || is_left_out(record);
}

static void collect(struct kube_records *records, const struct kube_store *const *stores,
                    size_t count, bool (*is_wanted)(struct slice record))
{
    for (size_t i = 0; i < count; i++)
        kube_records_add(records, stores[i], is_wanted);
    kube_records_sort(records);
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

bool annotation_is_meant(const struct annotation_walker *walker, struct slice pod)
{
    enum config_mesh mesh = walker->world->config->mesh;
    return mesh == CONFIG_MESH_ANY || is_in_mesh(pod) == (mesh == CONFIG_MESH_INSIDE);
}

/* The next container that may be scraped: not ended, and of the annotated name if there is one. */
static bool next_container(const struct annotation_walker *walker, struct slice pod,
                           struct slice *rest, struct slice *ret_name, struct slice *ret_inner)
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
static bool find_port(const struct annotation_walker *walker, struct slice text,
                      struct annotation_place *place)
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
static bool settle_number(const struct annotation_walker *walker, struct slice text,
                          struct annotation_place *place)
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

static bool settle_port(const struct annotation_walker *walker, struct slice text,
                        struct annotation_place *place)
{
    return find_port(walker, text, place) || settle_number(walker, text, place);
}

static int give_declared(struct annotation_walker *walker, struct slice pod, bool *ret_any)
{
    struct slice rest = pod, name, ports;
    struct kube_entry port;
    int err = 0;
    while (err == 0 && next_container(walker, pod, &rest, &name, &ports)) {
        while (err == 0 && kube_record_find(&ports, KUBE_PORT, &port)) {
            const struct annotation_place place = {
                .ip = kube_record_get(pod, KUBE_POD_IP),
                .number = kube_record_get(port.inner, KUBE_NUMBER),
                .pod = pod,
                .container = name,
                .port_name = kube_record_get(port.inner, KUBE_NAME)};
            if (!is_tcp(&port))
                continue;
            *ret_any = true;
            err = annotation_give(walker, &place);
        }
    }
    return err;
}

static int give_wanted(struct annotation_walker *walker, struct slice pod)
{
    const struct annotations *annotations = &walker->annotations;
    int err = 0;
    for (size_t i = 0; err == 0 && i < annotations->port_count; i++) {
        struct annotation_place place = {
            .ip = kube_record_get(pod, KUBE_POD_IP), .pod = pod, .wanted = &annotations->ports[i]};
        if (settle_port(walker, annotations->ports[i].port, &place))
            err = annotation_give(walker, &place);
        else
            annotation_complain(&walker->listener, ANNOTATION_BAD_PORT,
                                "no container of the pod has a port of the name \"%.*s\"",
                                SLICE_ARG(annotations->ports[i].port));
    }
    return err;
}

/* False: it can have no target, which was said. */
static bool check_pod(struct annotation_walker *walker, struct slice pod)
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

static int walk_pod(struct annotation_walker *walker, struct slice pod)
{
    bool any = false;
    if (!annotation_checks_scrape(pod, &walker->listener))
        return 0;
    if (!annotation_is_meant(walker, pod)) {
        annotation_complain(&walker->listener, ANNOTATION_OTHER_MESH,
                            "it is %s the mesh, and `mesh` wants what is not",
                            is_in_mesh(pod) ? "inside" : "outside of");
        return 0;
    }
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

static int give_port(struct annotation_walker *walker, struct slice pod, struct slice text,
                     const struct annotation_port *wanted)
{
    struct annotation_place place = {
        .ip = kube_record_get(pod, KUBE_POD_IP), .pod = pod, .wanted = wanted};
    if (settle_port(walker, text, &place))
        return annotation_give(walker, &place);
    annotation_complain(&walker->listener, ANNOTATION_BAD_PORT,
                        "no container of the pod %.*s has a port of the name \"%.*s\"",
                        SLICE_ARG(kube_record_get(pod, KUBE_NAME)), SLICE_ARG(text));
    return 0;
}

static int give_service_pod(struct annotation_walker *walker, struct slice pod)
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
static bool is_endpoint(const struct annotation_walker *walker, struct slice pod)
{
    return !is_finished(pod) && kube_record_get(pod, KUBE_POD_IP).len > 0 &&
           annotation_is_meant(walker, pod);
}

static int give_matching(struct annotation_walker *walker)
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

static int walk_service(struct annotation_walker *walker, struct slice service)
{
    if (!annotation_checks_scrape(service, &walker->listener))
        return 0;
    if (!annotations_read(service, walker->world->config, &walker->arena, &walker->listener,
                          &walker->annotations))
        return 0;
    if (kube_record_count(service, KUBE_SELECTOR) == 0)
        return annotation_walk_slices(walker, service);
    if (walker->annotations.port_count == 0 && kube_record_count(service, KUBE_PORT) == 0) {
        annotation_complain(&walker->listener, ANNOTATION_NO_PORT, "no port declared or annotated");
        return 0;
    }
    return give_matching(walker);
}

/* ---- All ---- */

struct slice annotation_find_pod(const struct annotation_walker *walker, struct slice name)
{
    struct slice ns = kube_record_get(walker->object, KUBE_NAMESPACE);
    for (size_t i = 0; i < walker->world->pod_stores; i++) {
        struct slice pod = kube_store_find(walker->world->pods[i], ns, name);
        if (pod.len > 0)
            return pod;
    }
    return SLICE_LITERAL("");
}

static void on_problem(struct annotation_listener *listener,
                       const struct annotation_problem *problem)
{
    struct annotation_walker *walker =
        (struct annotation_walker *)(void *)((char *)listener -
                                             offsetof(struct annotation_walker, listener));
    if (walker->review != NULL)
        walker->review->problem(walker->review, walker->kind, walker->object, problem);
}

static void complain_of_left_out(struct annotation_walker *walker)
{
    struct slice why = kube_record_get(walker->object, KUBE_MALFORMED);
    if (why.len == 0)
        annotation_complain(&walker->listener, ANNOTATION_TOO_LARGE, "it is too large to be read");
    else
        annotation_complain(&walker->listener, ANNOTATION_MALFORMED, "%.*s", SLICE_ARG(why));
}

static int walk_records(struct annotation_walker *walker, enum kube_kind kind,
                        const struct kube_records *records,
                        int (*walk)(struct annotation_walker *walker, struct slice record))
{
    int err = 0;
    walker->kind = kind;
    for (size_t i = 0; err == 0 && i < records->len; i++) {
        walker->object = records->items[i];
        arena_reset(&walker->arena);
        if (is_left_out(walker->object))
            complain_of_left_out(walker);
        else
            err = walk(walker, walker->object);
    }
    return err;
}

int annotation_targets_walk(const struct annotation_world *world, struct source_visit *visit,
                            struct annotation_review *review)
{
    struct annotation_walker walker = {.world = world,
                                       .visit = visit,
                                       .review = review,
                                       .listener.problem = on_problem,
                                       .urls.seed = hash_seed_make()};
    int err = 0;
    collect(&walker.pods, world->pods, world->pod_stores,
            world->config->services ? NULL : may_be_annotated);
    collect(&walker.services, world->services, world->service_stores, may_be_annotated);
    collect(&walker.slices, world->slices, world->slice_stores, NULL);
    if (world->config->services)
        err = walk_records(&walker, KUBE_SERVICES, &walker.services, walk_service);
    if (err == 0 && world->config->pods)
        err = walk_records(&walker, KUBE_PODS, &walker.pods, walk_pod);
    kube_records_fini(&walker.pods);
    kube_records_fini(&walker.services);
    kube_records_fini(&walker.slices);
    free(walker.urls.slots);
    arena_fini(&walker.arena);
    label_set_fini(&walker.labels);
    return err;
}
