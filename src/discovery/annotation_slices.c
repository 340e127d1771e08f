/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Services without selector: somebody else says by EndpointSlices where they lead, to pods, nodes,
 * or out of the cluster.
 */
#include "discovery/annotation_private.h"
#include "discovery/kube_private.h"

/* A slice, and the endpoint of it that is looked at. */
struct walk {
    struct annotation_walker *walker;
    struct slice slice;
    struct slice endpoint;
    struct slice pod;
};

static bool is_number_or_name(const struct kube_entry *port, struct slice text)
{
    return slice_equal(kube_record_get(port->inner, KUBE_NUMBER), text) ||
           slice_equal(kube_record_get(port->inner, KUBE_NAME), text);
}

/* The port of a slice has the name of the service's; its number is that of the endpoints. */
static struct slice name_in_service(struct slice service, struct slice text)
{
    struct kube_entry port;
    while (kube_record_find(&service, KUBE_PORT, &port)) {
        if (is_number_or_name(&port, text))
            return kube_record_get(port.inner, KUBE_NAME);
    }
    return text;
}

/* An annotated port: the service's, else the slice's, else any number. */
static bool settle_port(const struct walk *walk, struct slice text, struct annotation_place *place)
{
    struct slice wanted = name_in_service(walk->walker->object, text);
    struct slice rest = walk->slice;
    struct kube_entry port;
    uint16_t number;
    while (kube_record_find(&rest, KUBE_PORT, &port)) {
        if (!slice_equal(kube_record_get(port.inner, KUBE_NAME), wanted) &&
            !is_number_or_name(&port, text))
            continue;
        place->number = kube_record_get(port.inner, KUBE_NUMBER);
        place->port_name = kube_record_get(port.inner, KUBE_NAME);
        if (place->number.len > 0)
            return true;
    }
    place->number = text;
    return annotation_port_number(text, &number) && number > 0;
}

static int give_wanted(const struct walk *walk, struct annotation_place *place)
{
    const struct annotations *annotations = &walk->walker->annotations;
    int err = 0;
    for (size_t i = 0; err == 0 && i < annotations->port_count; i++) {
        place->wanted = &annotations->ports[i];
        place->port_name = SLICE_LITERAL("");
        if (settle_port(walk, annotations->ports[i].port, place))
            err = annotation_give(walk->walker, place);
        else
            annotation_complain(&walk->walker->listener, ANNOTATION_BAD_PORT,
                                "none of its EndpointSlices has a port of the name \"%.*s\"",
                                SLICE_ARG(annotations->ports[i].port));
    }
    return err;
}

static int give_all(const struct walk *walk, struct annotation_place *place)
{
    struct slice rest = walk->slice;
    struct kube_entry port;
    int err = 0;
    while (err == 0 && kube_record_find(&rest, KUBE_PORT, &port)) {
        struct slice protocol = kube_record_get(port.inner, KUBE_PROTOCOL);
        place->number = kube_record_get(port.inner, KUBE_NUMBER);
        place->port_name = kube_record_get(port.inner, KUBE_NAME);
        if (place->number.len > 0 && (protocol.len == 0 || slice_is(protocol, "TCP")))
            err = annotation_give(walk->walker, place);
    }
    return err;
}

static int walk_endpoint(struct walk *walk)
{
    struct slice ips = walk->endpoint;
    struct kube_entry ip;
    int err = 0;
    while (err == 0 && kube_record_find(&ips, KUBE_IP, &ip)) {
        struct annotation_place place = {
            .ip = ip.value, .pod = walk->pod, .endpoint = walk->endpoint};
        err = walk->walker->annotations.port_count > 0 ? give_wanted(walk, &place)
                                                       : give_all(walk, &place);
    }
    return err;
}

static struct slice find_pod(const struct walk *walk)
{
    struct slice rest = walk->endpoint;
    struct kube_entry target;
    if (!kube_record_find(&rest, KUBE_TARGET, &target) ||
        !slice_is(kube_record_get(target.inner, KUBE_KIND), "Pod"))
        return SLICE_LITERAL("");
    return annotation_find_pod(walk->walker, kube_record_get(target.inner, KUBE_NAME));
}

static int walk_slice(struct annotation_walker *walker, struct slice slice, bool *any)
{
    struct walk walk = {.walker = walker, .slice = slice};
    struct slice rest = slice;
    struct kube_entry endpoint;
    int err = 0;
    while (err == 0 && kube_record_find(&rest, KUBE_ENDPOINT, &endpoint)) {
        walk.endpoint = endpoint.inner;
        walk.pod = find_pod(&walk);
        if (!annotation_is_meant(walker, walk.pod))
            continue;
        *any = true;
        err = walk_endpoint(&walk);
    }
    return err;
}

static bool is_of(struct slice slice, struct slice service)
{
    return slice_equal(kube_record_get(slice, KUBE_NAMESPACE),
                       kube_record_get(service, KUBE_NAMESPACE)) &&
           slice_equal(
               kube_record_get_key(slice, KUBE_LABEL, SLICE_LITERAL("kubernetes.io/service-name")),
               kube_record_get(service, KUBE_NAME)) &&
           !kube_is_of_secondary_family(slice, service);
}

int annotation_walk_slices(struct annotation_walker *walker, struct slice service)
{
    bool any = false;
    int err = 0;
    for (size_t i = 0; err == 0 && i < walker->slices.len; i++) {
        if (is_of(walker->slices.items[i], service))
            err = walk_slice(walker, walker->slices.items[i], &any);
    }
    if (!any)
        annotation_complain(&walker->listener, ANNOTATION_NO_ENDPOINT,
                            "it has no selector, and none of its EndpointSlices an endpoint");
    return err;
}
