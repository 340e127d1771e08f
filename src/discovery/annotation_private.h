/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What annotation_targets.c, annotation_slices.c and annotation_give.c share. */
#ifndef DISCOVERY_ANNOTATION_PRIVATE_H
#define DISCOVERY_ANNOTATION_PRIVATE_H

#include "discovery/annotation_targets.h"

/* Hashes of URLs, by a seed that nobody knows: none can be made to look like another one. */
struct annotation_urls {
    uint64_t seed;
    uint64_t *slots; /* 0: free */
    size_t slot_count;
    size_t used;
};

struct annotation_walker {
    const struct annotation_world *world;
    struct source_visit *visit;
    struct annotation_review *review;
    struct annotation_listener listener;
    struct kube_records pods; /* sorted, as the others */
    struct kube_records services;
    struct kube_records slices;
    struct annotation_urls urls;
    struct arena arena; /* of one object */
    struct label_set labels;
    /* The object that is looked at. */
    enum kube_kind kind;
    struct slice object;
    struct annotations annotations;
};

/* A port that may become a target. */
struct annotation_place {
    struct slice ip;
    struct slice number; /* empty: none */
    struct slice pod;    /* the record; empty: it is none, or not known here */
    struct slice container;
    struct slice port_name;
    struct slice endpoint;                /* of a slice; empty: it was not found by one */
    const struct annotation_port *wanted; /* with a path of its own; or NULL */
};

/* Gives the target to the visit, unless one with its URL was given before. */
int annotation_give(struct annotation_walker *walker, const struct annotation_place *place);

/* Gives the targets of a service without selector, from its EndpointSlices. */
int annotation_walk_slices(struct annotation_walker *walker, struct slice service);

/* The pod with this name in the namespace of the walker's object; empty: it is not known. */
struct slice annotation_find_pod(const struct annotation_walker *walker, struct slice name);

/* Whether the mesh that is wanted is the pod's; a pod that is not known is in none. */
bool annotation_is_meant(const struct annotation_walker *walker, struct slice pod);

#endif
