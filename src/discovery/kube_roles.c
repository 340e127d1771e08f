/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The roles node, service and ingress. */
#include "base/strbuf.h"
#include "discovery/kube_private.h"

/* ---- node ---- */

static struct slice address_of_type(struct slice node, const char *type)
{
    struct kube_entry address;
    while (kube_record_find(&node, KUBE_ADDRESS, &address)) {
        if (slice_is(kube_record_get(address.inner, KUBE_TYPE), type))
            return kube_record_get(address.inner, KUBE_IP);
    }
    return SLICE_LITERAL("");
}

static struct slice address_of_node(struct slice node)
{
    static const char *const types[] = {"InternalIP",  "InternalDNS",  "ExternalIP",
                                        "ExternalDNS", "LegacyHostIP", "Hostname"};
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        struct slice address = address_of_type(node, types[i]);
        if (address.len > 0)
            return address;
    }
    return SLICE_LITERAL("");
}

static void put_conditions(struct kube_labels *labels, struct slice node)
{
    struct kube_entry condition;
    while (kube_record_find(&node, KUBE_CONDITION, &condition)) {
        struct slice type = kube_record_get(condition.inner, KUBE_TYPE);
        struct slice status = kube_record_get(condition.inner, KUBE_STATUS);
        label_set_put(
            &labels->group,
            kube_meta_name(&labels->arena, "node", "_condition_", kube_lower(&labels->arena, type)),
            kube_lower(&labels->arena, status));
    }
}

static void put_addresses(struct kube_labels *labels, struct label_set *set, struct slice node)
{
    struct kube_entry address;
    while (kube_record_find(&node, KUBE_ADDRESS, &address))
        /* The first of each type counts. */
        label_set_put_new(set,
                          kube_meta_name(&labels->arena, "node", "_address_",
                                         kube_record_get(address.inner, KUBE_TYPE)),
                          kube_record_get(address.inner, KUBE_IP));
}

int kube_walk_node(struct kube_labels *labels, struct slice node)
{
    struct slice address = address_of_node(node);
    struct slice port = kube_record_get(node, KUBE_KUBELET_PORT);
    if (address.len == 0)
        return 0;
    label_set_put(&labels->group, KUBE_META("node_provider_id"),
                  kube_record_get(node, KUBE_PROVIDER_ID));
    kube_labels_put_meta(&labels->group, &labels->arena, "node", node, true);
    put_conditions(labels, node);
    struct label_set *set = kube_begin_target(labels);
    label_set_put(set, SLICE_LITERAL("instance"), kube_record_get(node, KUBE_NAME));
    put_addresses(labels, set, node);
    if (port.len == 0)
        port = SLICE_LITERAL("0"); /* as Prometheus, where it is a number */
    return kube_end_target(labels, source_address(&labels->arena, address, port));
}

/* ---- service ---- */

/* Of all ingresses, separated by commas; else what the specification says. */
static struct slice balancer_ip(struct arena *arena, struct slice service)
{
    struct strbuf ips = STRBUF_GROWING;
    struct slice rest = service;
    struct kube_entry ingress;
    while (kube_record_find(&rest, KUBE_INGRESS_IP, &ingress)) {
        strbuf_adds(&ips, ips.len > 0 ? "," : "");
        strbuf_add(&ips, ingress.value.ptr, ingress.value.len);
    }
    struct slice joined = arena_slice(arena, slice_make(ips.text, ips.len));
    strbuf_fini(&ips);
    return joined.len > 0 ? joined : kube_record_get(service, KUBE_LOAD_BALANCER_IP);
}

static void put_service_address(struct kube_labels *labels, struct label_set *set,
                                struct slice service)
{
    struct slice type = kube_record_get(service, KUBE_TYPE);
    label_set_put(set, KUBE_META("service_type"), type);
    if (slice_is(type, "LoadBalancer"))
        label_set_put(set, KUBE_META("service_loadbalancer_ip"),
                      balancer_ip(&labels->arena, service));
    if (slice_is(type, "ExternalName"))
        label_set_put(set, KUBE_META("service_external_name"),
                      kube_record_get(service, KUBE_EXTERNAL_NAME));
    else
        label_set_put(set, KUBE_META("service_cluster_ip"),
                      kube_record_get(service, KUBE_CLUSTER_IP));
}

static struct slice service_host(struct arena *arena, struct slice service)
{
    struct strbuf host = STRBUF_GROWING;
    strbuf_addf(&host, "%.*s.%.*s.svc", SLICE_ARG(kube_record_get(service, KUBE_NAME)),
                SLICE_ARG(kube_record_get(service, KUBE_NAMESPACE)));
    struct slice copy = arena_slice(arena, slice_make(host.text, host.len));
    strbuf_fini(&host);
    return copy;
}

int kube_walk_service(struct kube_labels *labels, struct slice service)
{
    struct slice host = service_host(&labels->arena, service);
    struct slice rest = service;
    struct kube_entry port;
    int err = 0;
    kube_put_namespace(labels, service);
    kube_labels_put_meta(&labels->group, &labels->arena, "service", service, true);
    while (err == 0 && kube_record_find(&rest, KUBE_PORT, &port)) {
        struct slice number = kube_record_get(port.inner, KUBE_NUMBER);
        struct label_set *set = kube_begin_target(labels);
        label_set_put(set, KUBE_META("service_port_name"), kube_record_get(port.inner, KUBE_NAME));
        label_set_put(set, KUBE_META("service_port_number"), number);
        label_set_put(set, KUBE_META("service_port_protocol"),
                      kube_record_get(port.inner, KUBE_PROTOCOL));
        put_service_address(labels, set, service);
        err = kube_end_target(labels, source_address(&labels->arena, host, number));
    }
    return err;
}

/* ---- ingress ---- */

static struct slice after_first_dot(struct slice name)
{
    const char *dot = name.len == 0 ? NULL : memchr(name.ptr, '.', name.len);
    size_t skipped = dot == NULL ? name.len : (size_t)(dot - name.ptr);
    return slice_make(name.ptr + skipped, name.len - skipped);
}

/* The same, or "*." in place of exactly one label. */
static bool host_matches(struct slice pattern, struct slice host)
{
    if (slice_equal(pattern, host))
        return true;
    if (pattern.len < 1 || pattern.ptr[0] != '*' || (pattern.len > 1 && pattern.ptr[1] != '.'))
        return false;
    return slice_equal(after_first_dot(pattern), after_first_dot(host));
}

static bool has_tls(struct slice ingress, struct slice host)
{
    struct kube_entry tls;
    while (kube_record_find(&ingress, KUBE_TLS_HOST, &tls)) {
        if (host_matches(tls.value, host))
            return true;
    }
    return false;
}

static int walk_path(struct kube_labels *labels, struct slice host, bool tls, struct slice path)
{
    struct label_set *set = kube_begin_target(labels);
    label_set_put(set, KUBE_META("ingress_scheme"),
                  tls ? SLICE_LITERAL("https") : SLICE_LITERAL("http"));
    label_set_put(set, KUBE_META("ingress_host"), host);
    label_set_put(set, KUBE_META("ingress_path"), path.len > 0 ? path : SLICE_LITERAL("/"));
    return kube_end_target(labels, host);
}

static int walk_rule(struct kube_labels *labels, struct slice ingress, struct slice rule)
{
    struct slice host = kube_record_get(rule, KUBE_HOST);
    bool tls = has_tls(ingress, host);
    struct kube_entry path;
    bool has_path = false;
    int err = 0;
    while (err == 0 && kube_record_find(&rule, KUBE_PATH, &path)) {
        err = walk_path(labels, host, tls, kube_record_get(path.inner, KUBE_PATH_TEXT));
        has_path = true;
    }
    return has_path ? err : walk_path(labels, host, tls, SLICE_LITERAL("/"));
}

int kube_walk_ingress(struct kube_labels *labels, struct slice ingress)
{
    struct slice rest = ingress;
    struct kube_entry rule;
    int err = 0;
    kube_put_namespace(labels, ingress);
    kube_labels_put_meta(&labels->group, &labels->arena, "ingress", ingress, true);
    if (kube_record_has(ingress, KUBE_CLASS_NAME))
        label_set_put(&labels->group, KUBE_META("ingress_class_name"),
                      kube_record_get(ingress, KUBE_CLASS_NAME));
    while (err == 0 && kube_record_find(&rest, KUBE_RULE, &rule))
        err = walk_rule(labels, ingress, rule.inner);
    return err;
}
