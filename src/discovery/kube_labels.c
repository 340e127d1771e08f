/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "discovery/kube_labels.h"

#include <ctype.h>

#include "base/strbuf.h"
#include "discovery/annotation.h"
#include "discovery/kube_private.h"

#define PREFIX "__meta_kubernetes_"

int kube_labels_walk(struct kube_labels *labels, enum kube_kind kind, struct slice record)
{
    static int (*const walkers[KUBE_KINDS])(struct kube_labels *, struct slice) = {
        [KUBE_PODS] = kube_walk_pod,
        [KUBE_NODES] = kube_walk_node,
        [KUBE_SERVICES] = kube_walk_service,
        [KUBE_ENDPOINTS] = kube_walk_endpoints,
        [KUBE_ENDPOINTSLICES] = kube_walk_slice,
        [KUBE_INGRESSES] = kube_walk_ingress,
    };
    check(walkers[kind] != NULL);
    arena_reset(&labels->arena);
    label_set_clear(&labels->group);
    return walkers[kind](labels, record);
}

void kube_labels_fini(struct kube_labels *labels)
{
    arena_fini(&labels->arena);
    label_set_fini(&labels->group);
    label_set_fini(&labels->target);
}

struct label_set *kube_begin_target(struct kube_labels *labels)
{
    label_set_clear(&labels->target);
    for (size_t i = 0; i < labels->group.count; i++)
        label_set_put(&labels->target, labels->group.labels[i].name, labels->group.labels[i].value);
    return &labels->target;
}

int kube_end_target(struct kube_labels *labels, struct slice address)
{
    return labels->visit->target(labels->visit, address, &labels->target);
}

/* ---- Names ---- */

static bool may_stand_in_name(unsigned char c)
{
    return isascii(c) && (isalnum(c) || c == '_');
}

/* Each character that a label name may not have becomes one "_", however many bytes it takes. */
static void add_sanitized(char **out, struct slice key)
{
    for (size_t i = 0; i < key.len; i++) {
        unsigned char c = (unsigned char)key.ptr[i];
        if (c >= 0x80 && c < 0xc0)
            continue; /* the rest of a character in UTF-8 */
        *(*out)++ = may_stand_in_name(c) ? (char)c : '_';
    }
}

struct slice kube_meta_name(struct arena *arena, const char *role, const char *middle,
                            struct slice key)
{
    size_t role_len = strlen(role), middle_len = strlen(middle);
    char *name = arena_alloc(arena, sizeof(PREFIX) + role_len + middle_len + key.len);
    char *out = name;
    memcpy(out, PREFIX, sizeof(PREFIX) - 1);
    out += sizeof(PREFIX) - 1;
    memcpy(out, role, role_len);
    out += role_len;
    memcpy(out, middle, middle_len);
    out += middle_len;
    add_sanitized(&out, key);
    return slice_make(name, (size_t)(out - name));
}

void kube_labels_put_key(struct label_set *set, struct arena *arena, const char *prefix,
                         const char *present, const struct kube_entry *entry)
{
    label_set_put(set, kube_meta_name(arena, prefix, "", entry->key), entry->value);
    label_set_put(set, kube_meta_name(arena, present, "", entry->key), SLICE_LITERAL("true"));
}

static void put_all(struct label_set *set, struct arena *arena, enum kube_field field,
                    const char *role, const char *middle, const char *present, struct slice record)
{
    struct kube_entry entry;
    while (kube_record_find(&record, field, &entry)) {
        label_set_put(set, kube_meta_name(arena, role, middle, entry.key), entry.value);
        label_set_put(set, kube_meta_name(arena, role, present, entry.key), SLICE_LITERAL("true"));
    }
}

void kube_labels_put_meta(struct label_set *set, struct arena *arena, const char *role,
                          struct slice record, bool with_name)
{
    if (with_name)
        label_set_put(set, kube_meta_name(arena, role, "_name", SLICE_LITERAL("")),
                      kube_record_get(record, KUBE_NAME));
    put_all(set, arena, KUBE_LABEL, role, "_label_", "_labelpresent_", record);
    put_all(set, arena, KUBE_ANNOTATION, role, "_annotation_", "_annotationpresent_", record);
}

bool kube_labels_need(const struct source_host *host, enum kube_kind kind, struct slice key)
{
    static const char *const roles[KUBE_KINDS] = {[KUBE_PODS] = "pod",
                                                  [KUBE_NODES] = "node",
                                                  [KUBE_SERVICES] = "service",
                                                  [KUBE_ENDPOINTS] = "endpoints",
                                                  [KUBE_ENDPOINTSLICES] = "endpointslice",
                                                  [KUBE_INGRESSES] = "ingress",
                                                  [KUBE_NAMESPACES] = "namespace",
                                                  [KUBE_REPLICASETS] = "replicaset",
                                                  [KUBE_JOBS] = "job"};
    struct arena arena = {0};
    if (host->is_needed == NULL || annotation_is_ours(key))
        return true;
    bool needed = host->is_needed(host->is_needed_context,
                                  kube_meta_name(&arena, roles[kind], "_annotation_", key));
    arena_fini(&arena);
    return needed;
}

/* ---- Other objects' labels ---- */

void kube_put_namespace(struct kube_labels *labels, struct slice record)
{
    struct slice ns = kube_record_get(record, KUBE_NAMESPACE);
    label_set_put(&labels->group, KUBE_META("namespace"), ns);
    kube_attach_namespace(labels, ns);
}

bool kube_attach_node(struct kube_labels *labels, struct label_set *set, struct slice name)
{
    if (!labels->view->attach_node)
        return true;
    struct slice node = labels->view->find(labels->view, KUBE_NODES, SLICE_LITERAL(""), name);
    if (node.len == 0)
        return false;
    kube_labels_put_meta(set, &labels->arena, "node", node, true);
    return true;
}

void kube_attach_namespace(struct kube_labels *labels, struct slice name)
{
    if (!labels->view->attach_namespace)
        return;
    struct slice ns = labels->view->find(labels->view, KUBE_NAMESPACES, SLICE_LITERAL(""), name);
    if (ns.len > 0)
        kube_labels_put_meta(&labels->group, &labels->arena, "namespace", ns, false);
}

/* ---- Pods ---- */

struct slice kube_lower(struct arena *arena, struct slice text)
{
    char *copy = arena_copy(arena, text.ptr, text.len);
    for (size_t i = 0; i < text.len; i++)
        copy[i] = (char)tolower((unsigned char)copy[i]);
    return slice_make(copy, text.len);
}

static struct slice readiness_of(struct arena *arena, struct slice pod)
{
    struct kube_entry condition;
    while (kube_record_find(&pod, KUBE_CONDITION, &condition)) {
        if (slice_is(kube_record_get(condition.inner, KUBE_TYPE), "Ready"))
            return kube_lower(arena, kube_record_get(condition.inner, KUBE_STATUS));
    }
    return SLICE_LITERAL("unknown");
}

bool kube_labels_controller(struct slice record, struct kube_entry *ret_owner)
{
    while (kube_record_find(&record, KUBE_OWNER, ret_owner)) {
        if (slice_is(kube_record_get(ret_owner->inner, KUBE_CONTROLLER), "true"))
            return true;
    }
    return false;
}

static void put_controller(struct label_set *set, struct slice pod)
{
    struct kube_entry owner;
    if (!kube_labels_controller(pod, &owner))
        return;
    struct slice kind = kube_record_get(owner.inner, KUBE_KIND);
    struct slice name = kube_record_get(owner.inner, KUBE_NAME);
    if (kind.len > 0)
        label_set_put(set, KUBE_META("pod_controller_kind"), kind);
    if (name.len > 0)
        label_set_put(set, KUBE_META("pod_controller_name"), name);
}

/* The name of who controls what controls the pod, if that is of this kind; else empty. */
static struct slice grand_controller(const struct kube_view *view, enum kube_kind kind,
                                     const char *wanted, struct slice pod, struct slice name)
{
    struct kube_entry owner;
    struct slice between = view->find(view, kind, kube_record_get(pod, KUBE_NAMESPACE), name);
    if (!kube_labels_controller(between, &owner) ||
        !slice_is(kube_record_get(owner.inner, KUBE_KIND), wanted))
        return SLICE_LITERAL("");
    return kube_record_get(owner.inner, KUBE_NAME);
}

void kube_put_pod(struct kube_labels *labels, struct label_set *set, struct slice pod)
{
    const struct kube_view *view = labels->view;
    struct kube_entry owner;
    kube_labels_put_pod(set, &labels->arena, pod);
    if (!kube_labels_controller(pod, &owner))
        return;
    struct slice kind = kube_record_get(owner.inner, KUBE_KIND);
    struct slice name = kube_record_get(owner.inner, KUBE_NAME);
    if (view->attach_deployment && slice_is(kind, "ReplicaSet"))
        label_set_put(set, KUBE_META("pod_deployment_name"),
                      grand_controller(view, KUBE_REPLICASETS, "Deployment", pod, name));
    if (view->attach_job && slice_is(kind, "Job"))
        label_set_put(set, KUBE_META("pod_job_name"), name);
    if (view->attach_cronjob && slice_is(kind, "Job"))
        label_set_put(set, KUBE_META("pod_cronjob_name"),
                      grand_controller(view, KUBE_JOBS, "CronJob", pod, name));
}

void kube_labels_put_pod(struct label_set *set, struct arena *arena, struct slice pod)
{
    label_set_put(set, KUBE_META("pod_ip"), kube_record_get(pod, KUBE_POD_IP));
    label_set_put(set, KUBE_META("pod_ready"), readiness_of(arena, pod));
    label_set_put(set, KUBE_META("pod_phase"), kube_record_get(pod, KUBE_PHASE));
    label_set_put(set, KUBE_META("pod_node_name"), kube_record_get(pod, KUBE_NODE_NAME));
    label_set_put(set, KUBE_META("pod_host_ip"), kube_record_get(pod, KUBE_HOST_IP));
    label_set_put(set, KUBE_META("pod_uid"), kube_record_get(pod, KUBE_UID));
    kube_labels_put_meta(set, arena, "pod", pod, true);
    put_controller(set, pod);
}

bool kube_labels_next_container(struct slice *rest, struct slice *inits,
                                struct kube_entry *ret_container)
{
    return kube_record_find(rest, KUBE_CONTAINER, ret_container) ||
           kube_record_find(inits, KUBE_INIT_CONTAINER, ret_container);
}

void kube_put_container(struct label_set *set, const struct kube_entry *container)
{
    bool init = container->field == KUBE_INIT_CONTAINER;
    label_set_put(set, KUBE_META("pod_container_name"),
                  kube_record_get(container->inner, KUBE_NAME));
    label_set_put(set, KUBE_META("pod_container_image"),
                  kube_record_get(container->inner, KUBE_IMAGE));
    label_set_put(set, KUBE_META("pod_container_init"),
                  init ? SLICE_LITERAL("true") : SLICE_LITERAL("false"));
}

void kube_put_container_port(struct label_set *set, struct slice name, struct slice number,
                             struct slice protocol)
{
    label_set_put(set, KUBE_META("pod_container_port_name"), name);
    label_set_put(set, KUBE_META("pod_container_port_number"), number);
    label_set_put(set, KUBE_META("pod_container_port_protocol"), protocol);
}

static struct slice container_id(struct slice pod, const struct kube_entry *container)
{
    enum kube_field field = container->field == KUBE_INIT_CONTAINER ? KUBE_INIT_CONTAINER_STATUS
                                                                    : KUBE_CONTAINER_STATUS;
    struct slice name = kube_record_get(container->inner, KUBE_NAME);
    struct kube_entry status;
    while (kube_record_find(&pod, field, &status)) {
        if (slice_equal(kube_record_get(status.inner, KUBE_NAME), name))
            return kube_record_get(status.inner, KUBE_CONTAINER_ID);
    }
    return SLICE_LITERAL("");
}

static struct label_set *begin_container(struct kube_labels *labels, struct slice pod,
                                         const struct kube_entry *container)
{
    struct label_set *set = kube_begin_target(labels);
    kube_put_container(set, container);
    label_set_put(set, KUBE_META("pod_container_id"), container_id(pod, container));
    return set;
}

static int walk_container(struct kube_labels *labels, struct slice pod,
                          const struct kube_entry *container)
{
    struct slice ip = kube_record_get(pod, KUBE_POD_IP);
    struct slice rest = container->inner;
    struct kube_entry port;
    bool has_port = false;
    int err = 0;
    while (err == 0 && kube_record_find(&rest, KUBE_PORT, &port)) {
        struct slice number = kube_record_get(port.inner, KUBE_NUMBER);
        struct label_set *set = begin_container(labels, pod, container);
        kube_put_container_port(set, kube_record_get(port.inner, KUBE_NAME), number,
                                kube_record_get(port.inner, KUBE_PROTOCOL));
        err = kube_end_target(labels, source_address(&labels->arena, ip, number));
        has_port = true;
    }
    if (has_port)
        return err;
    (void)begin_container(labels, pod, container);
    return kube_end_target(labels, ip);
}

int kube_walk_pod(struct kube_labels *labels, struct slice pod)
{
    struct slice rest = pod, inits = pod;
    struct kube_entry container;
    int err = 0;
    if (kube_record_get(pod, KUBE_POD_IP).len == 0)
        return 0;
    kube_put_namespace(labels, pod);
    kube_put_pod(labels, &labels->group, pod);
    if (!kube_attach_node(labels, &labels->group, kube_record_get(pod, KUBE_NODE_NAME)))
        return 0;
    while (err == 0 && kube_labels_next_container(&rest, &inits, &container))
        err = walk_container(labels, pod, &container);
    return err;
}
