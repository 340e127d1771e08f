/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kinds of objects that are watched: where the API server has them, and which of their fields
 * are wanted (Kubernetes API v1, discovery.k8s.io/v1, networking.k8s.io/v1).
 */
#ifndef DISCOVERY_KUBE_KIND_H
#define DISCOVERY_KUBE_KIND_H

#include "discovery/json_reader.h"
#include "discovery/kube_record.h"

enum kube_kind {
    KUBE_PODS,
    KUBE_NODES,
    KUBE_SERVICES,
    KUBE_ENDPOINTS,
    KUBE_ENDPOINTSLICES,
    KUBE_INGRESSES,
    KUBE_NAMESPACES,
    KUBE_REPLICASETS,
    KUBE_JOBS,
    KUBE_KINDS
};

struct kube_kind_info {
    const char *resource; /* "pods" */
    const char *base;     /* "/api/v1" */
    bool namespaced;
    const struct json_want *list;  /* the answer to a list: KUBE_LIST_* and KUBE_OBJECTs */
    const struct json_want *event; /* of a watch: KUBE_EVENT with KUBE_EVENT_TYPE, KUBE_OBJECT */
};

const struct kube_kind_info *kube_kind_info(enum kube_kind kind);

/* metav1.Status: KUBE_STATUS_*. */
extern const struct json_want kube_status_want;

#endif
