/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One target of an annotated object: its labels, and whether it was there before. */
#include <stdlib.h>

#include "base/hash.h"
#include "base/strbuf.h"
#include "discovery/annotation_private.h"
#include "discovery/annotation_request.h"
#include "discovery/kube_private.h"

/* ---- URLs that were given ---- */

static void grow_hash_set(struct annotation_urls *set)
{
    struct annotation_urls larger = {.seed = set->seed,
                                     .slot_count = set->slot_count == 0 ? 64 : 2 * set->slot_count};
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
static bool add_hash(struct annotation_urls *set, uint64_t hash)
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

/* ---- Labels ---- */

static void put(struct annotation_walker *walker, const char *name, struct slice value)
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

static void put_pod_labels(struct annotation_walker *walker, struct slice pod)
{
    const struct config_strings *keys = &walker->world->config->pod_labels;
    for (size_t i = 0; i < keys->len; i++) {
        struct slice key = slice_of(keys->items[i]);
        struct slice value = kube_record_get_key(pod, KUBE_LABEL, key);
        if (value.len > 0)
            label_set_put(&walker->labels, plain_name(&walker->arena, key), value);
    }
}

static void put_job(struct annotation_walker *walker, struct slice pod)
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

static struct slice node_of(const struct annotation_place *place)
{
    struct slice node = kube_record_get(place->endpoint, KUBE_NODE_NAME);
    return node.len > 0 ? node : kube_record_get(place->pod, KUBE_NODE_NAME);
}

/* Known or not, the pod behind an endpoint has a name. */
static struct slice pod_of(const struct annotation_place *place)
{
    struct slice rest = place->endpoint;
    struct kube_entry target;
    if (kube_record_find(&rest, KUBE_TARGET, &target) &&
        slice_is(kube_record_get(target.inner, KUBE_KIND), "Pod"))
        return kube_record_get(target.inner, KUBE_NAME);
    return kube_record_get(place->pod, KUBE_NAME);
}

/* Several paths of one port would else have the same labels, and so the same series. */
static void put_path(struct annotation_walker *walker, const struct annotation_port *wanted)
{
    struct strbuf text = STRBUF_GROWING;
    if (wanted == NULL || wanted->path.len == 0)
        return;
    strbuf_addf(&text, "%.*s%s%.*s", SLICE_ARG(wanted->path), wanted->query.len > 0 ? "?" : "",
                SLICE_ARG(wanted->query));
    put(walker, "metrics_path", arena_slice(&walker->arena, slice_make(text.text, text.len)));
    strbuf_fini(&text);
}

/* What it is. The allowed labels of the pod go first: they do not hide limpet's own. */
static void put_names(struct annotation_walker *walker, const struct annotation_place *place)
{
    put_pod_labels(walker, place->pod);
    put_job(walker, place->pod);
    put(walker, "namespace", kube_record_get(walker->object, KUBE_NAMESPACE));
    put(walker, "pod", pod_of(place));
    put(walker, "container", place->container);
    put(walker, "node", node_of(place));
    if (walker->kind == KUBE_SERVICES)
        put(walker, "service", kube_record_get(walker->object, KUBE_NAME));
    put_path(walker, place->wanted);
}

/* As role endpointslice has them; sharding looks at the node. */
static void put_endpoint(struct label_set *labels, const struct annotation_place *place)
{
    label_set_put(labels, KUBE_META("endpointslice_endpoint_node_name"), node_of(place));
    label_set_put(labels, KUBE_META("endpointslice_endpoint_conditions_ready"),
                  kube_record_get(place->endpoint, KUBE_READY));
    label_set_put(labels, KUBE_META("endpointslice_port_name"), place->port_name);
}

/* As role pod has them. */
static void put_pod(struct annotation_walker *walker, const struct annotation_place *place)
{
    struct label_set *labels = &walker->labels;
    kube_labels_put_pod(labels, &walker->arena, place->pod);
    label_set_put(labels, KUBE_META("pod_container_name"), place->container);
    label_set_put(labels, KUBE_META("pod_container_port_name"), place->port_name);
    label_set_put(labels, KUBE_META("pod_container_port_number"), place->number);
}

/* For relabel_configs. */
static void put_meta(struct annotation_walker *walker, const struct annotation_place *place)
{
    struct label_set *labels = &walker->labels;
    label_set_put(labels, KUBE_META("namespace"), kube_record_get(walker->object, KUBE_NAMESPACE));
    if (place->pod.len > 0)
        put_pod(walker, place);
    if (place->endpoint.len > 0)
        put_endpoint(labels, place);
    if (walker->kind == KUBE_SERVICES)
        kube_labels_put_meta(labels, &walker->arena, "service", walker->object, true);
}

/* ---- One target ---- */

static uint64_t url_hash(const struct annotation_walker *walker, struct slice address)
{
    static const char prefix[] = "__param_";
    const struct label_set *labels = &walker->labels;
    uint64_t hash = hash64(address.ptr, address.len, walker->urls.seed);
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

int annotation_give(struct annotation_walker *walker, const struct annotation_place *place)
{
    struct slice address = source_address(&walker->arena, place->ip, place->number);
    label_set_clear(&walker->labels);
    annotation_put_request(&walker->labels, &walker->arena, &walker->annotations, place->wanted);
    if (!add_hash(&walker->urls, url_hash(walker, address)) || walker->visit == NULL)
        return 0;
    put_names(walker, place);
    put_meta(walker, place);
    return walker->visit->target(walker->visit, address, &walker->labels);
}
