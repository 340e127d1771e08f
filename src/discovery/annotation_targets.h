/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Annotated pods and services to targets with plain labels, from what is known of pods and
 * services; no Endpoints are asked for: a service's targets are the pods that its selector matches,
 * and only where it has none what its EndpointSlices say.
 * The ordinary pipeline does the rest, relabel_configs included.
 *
 * Which (docs/kubernetes.md says it to users): prometheus.io/port and ports name the ports, else
 * every declared TCP port counts; init containers, containers that have ended and pods in phase
 * Succeeded or Failed never; a port of a service is mapped by targetPort. One URL is one target: a
 * service goes before a pod, and then the lower name. Pure: no I/O.
 */
#ifndef DISCOVERY_ANNOTATION_TARGETS_H
#define DISCOVERY_ANNOTATION_TARGETS_H

#include "discovery/annotation.h"
#include "discovery/kube_kind.h"
#include "discovery/kube_store.h"
#include "discovery/source.h"

/* Stores may be NULL. */
struct annotation_world {
    const struct config_annotation_sd *config;
    const struct kube_store *const *pods;
    size_t pod_stores;
    const struct kube_store *const *services;
    size_t service_stores;
    const struct kube_store *const *slices; /* EndpointSlices of services without selector */
    size_t slice_stores;
};

/* Who hears of objects with problems; embedded in what he needs to know. */
struct annotation_review {
    void (*problem)(struct annotation_review *review, enum kube_kind kind, struct slice record,
                    const struct annotation_problem *problem);
};

/*
 * Gives each target to the visit and each problem to the review; either may be NULL. What
 * visit->target returned last.
 */
int annotation_targets_walk(const struct annotation_world *world, struct source_visit *visit,
                            struct annotation_review *review);

#endif
