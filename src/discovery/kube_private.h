/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What kube_labels.c, kube_roles.c and kube_endpoints.c share. */
#ifndef DISCOVERY_KUBE_PRIVATE_H
#define DISCOVERY_KUBE_PRIVATE_H

#include "discovery/kube_labels.h"

/* Starts a target's labels with those of its group. */
struct label_set *kube_begin_target(struct kube_labels *labels);

/* Hands the target over. */
int kube_end_target(struct kube_labels *labels, struct slice address);

/* The labels of a node, when they are wanted. False if they are, and it is not known. */
bool kube_attach_node(struct kube_labels *labels, struct label_set *set, struct slice name);
void kube_attach_namespace(struct kube_labels *labels, struct slice name);

/* "__meta_kubernetes_" role middle key, in the arena; the key's characters made fit for a name. */
struct slice kube_meta_name(struct arena *arena, const char *role, const char *middle,
                            struct slice key);

/* ASCII letters only; in the arena. */
struct slice kube_lower(struct arena *arena, struct slice text);

/* PREFIX "x_" key = its value, and the same with `present` = "true". */
void kube_labels_put_key(struct label_set *set, struct arena *arena, const char *prefix,
                         const char *present, const struct kube_entry *entry);

/* What each object of a namespace starts with. */
void kube_put_namespace(struct kube_labels *labels, struct slice record);

/* Those of kube_labels_put_pod, and who controls what controls the pod, where that is wanted. */
void kube_put_pod(struct kube_labels *labels, struct label_set *set, struct slice pod);

/* Labels of a container of a pod: name, image, init. */
void kube_put_container(struct label_set *set, const struct kube_entry *container);

/* Labels of a port of a container. */
void kube_put_container_port(struct label_set *set, struct slice name, struct slice number,
                             struct slice protocol);

/* A service of both families has slices of both, which lead to the same pods. */
bool kube_is_of_secondary_family(struct slice slice, struct slice service);

/* The one walker of each role. */
int kube_walk_pod(struct kube_labels *labels, struct slice pod);
int kube_walk_node(struct kube_labels *labels, struct slice node);
int kube_walk_service(struct kube_labels *labels, struct slice service);
int kube_walk_ingress(struct kube_labels *labels, struct slice ingress);
int kube_walk_endpoints(struct kube_labels *labels, struct slice endpoints);
int kube_walk_slice(struct kube_labels *labels, struct slice slice);

#endif
