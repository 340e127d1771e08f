/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Objects of Kubernetes to targets with their __meta_kubernetes_* labels, as Prometheus 3.14's
 * kubernetes_sd_configs make them (specification, 7.8 and 7.9). Pure: what else is known is asked
 * through a view.
 */
#ifndef DISCOVERY_KUBE_LABELS_H
#define DISCOVERY_KUBE_LABELS_H

#include "base/arena.h"
#include "discovery/kube_kind.h"
#include "discovery/source.h"

/* Other objects that are known. */
struct kube_view {
    /* The record of an object; empty if there is none. ns is empty for nodes and namespaces. */
    struct slice (*find)(const struct kube_view *view, enum kube_kind kind, struct slice ns,
                         struct slice name);
    bool attach_node;
    bool attach_namespace;
    bool attach_deployment; /* of pods; by ReplicaSets */
    bool attach_job;
    bool attach_cronjob; /* by Jobs */
};

/* What is used again for one object after another; zeroed at first. */
struct kube_labels {
    const struct kube_view *view;
    struct source_visit *visit;
    struct arena arena;      /* of label names and addresses */
    struct label_set group;  /* of the object */
    struct label_set target; /* of one target: its own and the group's */
};

/* Gives all targets of an object to labels->visit; what that returned last, or 0. */
int kube_labels_walk(struct kube_labels *labels, enum kube_kind kind, struct slice record);

void kube_labels_fini(struct kube_labels *labels);

/* ---- Parts, for those who make targets of their own ---- */

#define KUBE_META(name) SLICE_LITERAL("__meta_kubernetes_" name)

/* X_name, X_label_*, X_labelpresent_*, X_annotation_*, X_annotationpresent_*; X such as "pod". */
void kube_labels_put_meta(struct label_set *set, struct arena *arena, const char *role,
                          struct slice record, bool with_name);

/* Whether some rule of the host's, or limpet itself, needs the value of an annotation. */
bool kube_labels_need(const struct source_host *host, enum kube_kind kind, struct slice key);

/* The owner that controls the object, with KIND and NAME. False: there is none. */
bool kube_labels_controller(struct slice record, struct kube_entry *ret_owner);

/* All labels of a pod itself but __meta_kubernetes_namespace. */
void kube_labels_put_pod(struct label_set *set, struct arena *arena, struct slice pod);

/* Containers and then init containers. *rest and *inits start as the pod's record. */
bool kube_labels_next_container(struct slice *rest, struct slice *inits,
                                struct kube_entry *ret_container);

#endif
