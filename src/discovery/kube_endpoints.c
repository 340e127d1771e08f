/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The roles endpoints and endpointslice. Both give a target for each address and port, with the
 * labels of the pod behind it if that is known; and then, for each pod that was met, one for each
 * port of its containers that is none of the service.
 */
#include <stdlib.h>

#include "base/grow.h"
#include "discovery/kube_private.h"

#define NO_PORT SIZE_MAX

/* A port of the service under which a pod was met. */
struct met_port {
    struct slice number;
    size_t next; /* of the same pod; NO_PORT at the end */
};

struct met_pod {
    struct slice record;
    size_t first; /* of `ports` */
};

/* One walk over an object. */
struct walk {
    struct kube_labels *labels;
    struct met_pod *pods;
    size_t pod_count, pod_room;
    struct met_port *ports;
    size_t port_count, port_room;
};

/* ---- the pods that are met ---- */

/* The pod that an address is of; empty if it is of none, or that is not known. */
static struct slice find_pod(const struct kube_labels *labels, struct slice target)
{
    if (!slice_is(kube_record_get(target, KUBE_KIND), "Pod"))
        return SLICE_LITERAL("");
    return labels->view->find(labels->view, KUBE_PODS, kube_record_get(target, KUBE_NAMESPACE),
                              kube_record_get(target, KUBE_NAME));
}

static struct met_pod *meet(struct walk *walk, struct slice pod)
{
    for (size_t i = 0; i < walk->pod_count; i++) {
        if (walk->pods[i].record.ptr == pod.ptr)
            return &walk->pods[i];
    }
    walk->pods = grow_for_one(walk->pods, walk->pod_count, &walk->pod_room, sizeof(*walk->pods));
    walk->pods[walk->pod_count] = (struct met_pod){pod, NO_PORT};
    return &walk->pods[walk->pod_count++];
}

static void meet_at_port(struct walk *walk, struct slice pod, struct slice number)
{
    struct met_pod *met = meet(walk, pod);
    walk->ports =
        grow_for_one(walk->ports, walk->port_count, &walk->port_room, sizeof(*walk->ports));
    walk->ports[walk->port_count] = (struct met_port){number, met->first};
    met->first = walk->port_count++;
}

static bool was_met_at(const struct walk *walk, const struct met_pod *met, struct slice number)
{
    for (size_t i = met->first; i != NO_PORT; i = walk->ports[i].next) {
        if (slice_equal(walk->ports[i].number, number))
            return true;
    }
    return false;
}

/* The labels of the container that has the port; of several the last one's. */
static void put_container_with(struct label_set *set, struct slice pod, struct slice number,
                               struct slice protocol)
{
    struct slice rest = pod, inits = pod;
    struct kube_entry container, port;
    while (kube_labels_next_container(&rest, &inits, &container)) {
        struct slice ports = container.inner;
        while (kube_record_find(&ports, KUBE_PORT, &port)) {
            if (!slice_equal(kube_record_get(port.inner, KUBE_NUMBER), number))
                continue;
            kube_put_container(set, &container);
            kube_put_container_port(set, kube_record_get(port.inner, KUBE_NAME), number, protocol);
            break;
        }
    }
}

static int walk_other_ports(struct walk *walk, const struct met_pod *met,
                            const struct kube_entry *container)
{
    struct slice ip = kube_record_get(met->record, KUBE_POD_IP);
    struct arena *arena = &walk->labels->arena;
    struct slice rest = container->inner;
    struct kube_entry port;
    int err = 0;
    while (err == 0 && kube_record_find(&rest, KUBE_PORT, &port)) {
        struct slice number = kube_record_get(port.inner, KUBE_NUMBER);
        if (was_met_at(walk, met, number))
            continue;
        struct label_set *set = kube_begin_target(walk->labels);
        kube_put_pod(walk->labels, set, met->record);
        kube_put_container(set, container);
        kube_put_container_port(set, kube_record_get(port.inner, KUBE_NAME), number,
                                kube_record_get(port.inner, KUBE_PROTOCOL));
        err = kube_end_target(walk->labels, source_address(arena, ip, number));
    }
    return err;
}

static int walk_met_pods(struct walk *walk)
{
    int err = 0;
    for (size_t i = 0; err == 0 && i < walk->pod_count; i++) {
        const struct met_pod *met = &walk->pods[i];
        struct slice rest = met->record, inits = met->record;
        struct kube_entry container;
        if (kube_record_get(met->record, KUBE_POD_IP).len == 0)
            continue;
        while (err == 0 && kube_labels_next_container(&rest, &inits, &container))
            err = walk_other_ports(walk, met, &container);
    }
    return err;
}

static int end_walk(struct walk *walk, int err)
{
    if (err == 0)
        err = walk_met_pods(walk);
    free(walk->pods);
    free(walk->ports);
    return err;
}

/* ---- what both have in common ---- */

static void put_target_ref(struct label_set *set, struct slice kind_name, struct slice name_name,
                           const struct kube_entry *target)
{
    label_set_put(set, kind_name, kube_record_get(target->inner, KUBE_KIND));
    label_set_put(set, name_name, kube_record_get(target->inner, KUBE_NAME));
}

/* The node of an address: that it says, or the address is itself one of a node. */
static void attach_node_of(struct kube_labels *labels, struct label_set *set, struct slice address,
                           const struct kube_entry *target, bool target_first)
{
    bool is_node = target != NULL && slice_is(kube_record_get(target->inner, KUBE_KIND), "Node");
    bool has_name = kube_record_has(address, KUBE_NODE_NAME);
    if (is_node && (target_first || !has_name))
        (void)kube_attach_node(labels, set, kube_record_get(target->inner, KUBE_NAME));
    else if (has_name)
        (void)kube_attach_node(labels, set, kube_record_get(address, KUBE_NODE_NAME));
}

/* The pod's labels, and those of the container that has the port. */
static void put_pod_behind(struct walk *walk, struct label_set *set,
                           const struct kube_entry *target, struct slice number,
                           struct slice protocol)
{
    if (target == NULL)
        return;
    struct slice pod = find_pod(walk->labels, target->inner);
    if (pod.len == 0)
        return;
    kube_put_pod(walk->labels, set, pod);
    if (number.len > 0)
        put_container_with(set, pod, number, protocol);
    meet_at_port(walk, pod, number);
}

static struct slice put_service(struct kube_labels *labels, struct slice record, struct slice name)
{
    struct slice service = labels->view->find(labels->view, KUBE_SERVICES,
                                              kube_record_get(record, KUBE_NAMESPACE), name);
    if (service.len > 0)
        kube_labels_put_meta(&labels->group, &labels->arena, "service", service, true);
    return service;
}

/* ---- endpoints ---- */

static int walk_address(struct walk *walk, const struct kube_entry *address,
                        const struct kube_entry *port)
{
    struct kube_labels *labels = walk->labels;
    struct slice number = kube_record_get(port->inner, KUBE_NUMBER);
    struct slice protocol = kube_record_get(port->inner, KUBE_PROTOCOL);
    struct label_set *set = kube_begin_target(labels);
    struct slice rest = address->inner;
    struct kube_entry target;
    bool has_target = kube_record_find(&rest, KUBE_TARGET, &target);
    label_set_put(set, KUBE_META("endpoint_port_name"), kube_record_get(port->inner, KUBE_NAME));
    label_set_put(set, KUBE_META("endpoint_port_protocol"), protocol);
    label_set_put(set, KUBE_META("endpoint_ready"),
                  address->field == KUBE_ADDRESS ? SLICE_LITERAL("true") : SLICE_LITERAL("false"));
    if (has_target)
        put_target_ref(set, KUBE_META("endpoint_address_target_kind"),
                       KUBE_META("endpoint_address_target_name"), &target);
    if (kube_record_has(address->inner, KUBE_NODE_NAME))
        label_set_put(set, KUBE_META("endpoint_node_name"),
                      kube_record_get(address->inner, KUBE_NODE_NAME));
    if (kube_record_get(address->inner, KUBE_HOSTNAME).len > 0)
        label_set_put(set, KUBE_META("endpoint_hostname"),
                      kube_record_get(address->inner, KUBE_HOSTNAME));
    attach_node_of(labels, set, address->inner, has_target ? &target : NULL, false);
    put_pod_behind(walk, set, has_target ? &target : NULL, number, protocol);
    struct slice ip = kube_record_get(address->inner, KUBE_IP);
    return kube_end_target(labels, source_address(&labels->arena, ip, number));
}

static int walk_addresses(struct walk *walk, struct slice subset, enum kube_field field,
                          const struct kube_entry *port)
{
    struct kube_entry address;
    int err = 0;
    while (err == 0 && kube_record_find(&subset, field, &address))
        err = walk_address(walk, &address, port);
    return err;
}

static int walk_subset(struct walk *walk, struct slice subset)
{
    struct slice rest = subset;
    struct kube_entry port;
    int err = 0;
    while (err == 0 && kube_record_find(&rest, KUBE_PORT, &port)) {
        err = walk_addresses(walk, subset, KUBE_ADDRESS, &port);
        if (err == 0)
            err = walk_addresses(walk, subset, KUBE_NOT_READY_ADDRESS, &port);
    }
    return err;
}

int kube_walk_endpoints(struct kube_labels *labels, struct slice endpoints)
{
    struct walk walk = {.labels = labels};
    struct slice rest = endpoints;
    struct kube_entry subset;
    int err = 0;
    kube_put_namespace(labels, endpoints);
    put_service(labels, endpoints, kube_record_get(endpoints, KUBE_NAME));
    kube_labels_put_meta(&labels->group, &labels->arena, "endpoints", endpoints, true);
    while (err == 0 && kube_record_find(&rest, KUBE_SUBSET, &subset))
        err = walk_subset(&walk, subset.inner);
    return end_walk(&walk, err);
}

/* ---- slices ---- */

#define SLICE_META(name) KUBE_META("endpointslice_" name)

/* Fields that make a label only where they are. */
static void put_present(struct label_set *set, struct slice record, enum kube_field field,
                        struct slice name)
{
    if (kube_record_has(record, field))
        label_set_put(set, name, kube_record_get(record, field));
}

static void put_topology(struct kube_labels *labels, struct label_set *set, struct slice endpoint)
{
    struct kube_entry topology;
    while (kube_record_find(&endpoint, KUBE_TOPOLOGY, &topology))
        kube_labels_put_key(set, &labels->arena, "endpointslice_endpoint_topology_",
                            "endpointslice_endpoint_topology_present_", &topology);
}

static void put_endpoint(struct kube_labels *labels, struct label_set *set, struct slice endpoint)
{
    put_present(set, endpoint, KUBE_READY, SLICE_META("endpoint_conditions_ready"));
    put_present(set, endpoint, KUBE_SERVING, SLICE_META("endpoint_conditions_serving"));
    put_present(set, endpoint, KUBE_TERMINATING, SLICE_META("endpoint_conditions_terminating"));
    put_present(set, endpoint, KUBE_HOSTNAME, SLICE_META("endpoint_hostname"));
    put_present(set, endpoint, KUBE_NODE_NAME, SLICE_META("endpoint_node_name"));
    put_present(set, endpoint, KUBE_ZONE, SLICE_META("endpoint_zone"));
    put_topology(labels, set, endpoint);
}

static int walk_slice_address(struct walk *walk, struct slice endpoint, struct slice ip,
                              struct slice port)
{
    struct kube_labels *labels = walk->labels;
    struct slice number = kube_record_get(port, KUBE_NUMBER);
    struct slice protocol = kube_record_get(port, KUBE_PROTOCOL);
    struct label_set *set = kube_begin_target(labels);
    struct slice rest = endpoint;
    struct kube_entry target;
    bool has_target = kube_record_find(&rest, KUBE_TARGET, &target);
    put_present(set, port, KUBE_NAME, SLICE_META("port_name"));
    put_present(set, port, KUBE_PROTOCOL, SLICE_META("port_protocol"));
    put_present(set, port, KUBE_NUMBER, SLICE_META("port"));
    put_present(set, port, KUBE_APP_PROTOCOL, SLICE_META("port_app_protocol"));
    put_endpoint(labels, set, endpoint);
    if (has_target)
        put_target_ref(set, SLICE_META("address_target_kind"), SLICE_META("address_target_name"),
                       &target);
    attach_node_of(labels, set, endpoint, has_target ? &target : NULL, true);
    put_pod_behind(walk, set, has_target ? &target : NULL, number, protocol);
    return kube_end_target(labels, source_address(&labels->arena, ip, number));
}

static int walk_endpoint(struct walk *walk, struct slice slice, struct slice endpoint)
{
    struct kube_entry port, ip;
    int err = 0;
    while (err == 0 && kube_record_find(&slice, KUBE_PORT, &port)) {
        struct slice ips = endpoint;
        while (err == 0 && kube_record_find(&ips, KUBE_IP, &ip))
            err = walk_slice_address(walk, endpoint, ip.value, port.inner);
    }
    return err;
}

bool kube_is_of_secondary_family(struct slice slice, struct slice service)
{
    return kube_record_count(service, KUBE_IP_FAMILY) > 1 &&
           !slice_equal(kube_record_get(service, KUBE_IP_FAMILY),
                        kube_record_get(slice, KUBE_ADDRESS_TYPE));
}

int kube_walk_slice(struct kube_labels *labels, struct slice slice)
{
    struct walk walk = {.labels = labels};
    struct slice rest = slice;
    struct kube_entry endpoint;
    int err = 0;
    kube_put_namespace(labels, slice);
    label_set_put(&labels->group, SLICE_META("address_type"),
                  kube_record_get(slice, KUBE_ADDRESS_TYPE));
    kube_labels_put_meta(&labels->group, &labels->arena, "endpointslice", slice, true);
    struct slice service = put_service(
        labels, slice,
        kube_record_get_key(slice, KUBE_LABEL, SLICE_LITERAL("kubernetes.io/service-name")));
    if (kube_is_of_secondary_family(slice, service))
        return 0;
    while (err == 0 && kube_record_find(&rest, KUBE_ENDPOINT, &endpoint))
        err = walk_endpoint(&walk, slice, endpoint.inner);
    return end_walk(&walk, err);
}
