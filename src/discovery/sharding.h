/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which of the targets that several limpets discover is this one's (`limpet: sharding`). Every
 * instance decides alone, from the target and its own settings: by the node a target runs on, by
 * its namespace, or by a hash over the number of instances. Two that agree on the settings never
 * take the same target.
 */
#ifndef DISCOVERY_SHARDING_H
#define DISCOVERY_SHARDING_H

#include <stdbool.h>

#include "config/config.h"
#include "labels/label_set.h"

struct sharding {
    const struct config_sharding *config; /* borrowed */
    enum config_shard_by by;              /* never CONFIG_SHARD_AUTO */
    const char *node;                     /* with CONFIG_SHARD_NODE: the name of this one */
    uint32_t ordinal;                     /* with hashing: below config->shards */
};

/* What the environment says: NULL or "" where it says nothing. */
struct sharding_environment {
    const char *node_name; /* $NODE_NAME, as a DaemonSet sets it from spec.nodeName */
    const char *pod_name;  /* $POD_NAME, else the host name: a StatefulSet's ends with "-3" */
};

/*
 * *config and the environment's texts must outlive it. ERR_CONFIG with the reason: something that
 * cannot be guessed is missing.
 */
int sharding_init(struct sharding *sharding, const struct config_sharding *config,
                  const struct sharding_environment *environment, struct errctx *reterr) MUST_USE;

/* The node that a target runs on; empty where the source does not know. */
struct slice sharding_node_of(const struct label_set *found);

/* found: the labels as the source gave them, __meta_* included; id: the target's identity. */
bool sharding_takes(const struct sharding *sharding, const struct label_set *found, uint64_t id);

#endif
