/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "discovery/sharding.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"

/* "web-3" is 3; -1 for a name that does not end so. */
static int64_t ordinal_of(const char *pod_name)
{
    const char *dash = pod_name != NULL ? strrchr(pod_name, '-') : NULL;
    if (dash == NULL || dash[1] < '0' || dash[1] > '9')
        return -1;
    char *end;
    unsigned long ordinal = strtoul(dash + 1, &end, 10);
    return *end == '\0' && ordinal <= UINT32_MAX ? (int64_t)ordinal : -1;
}

static bool is_hashing(const struct sharding *sharding)
{
    return sharding->by == CONFIG_SHARD_HASH ||
           (sharding->by != CONFIG_SHARD_NONE &&
            sharding->config->unlocated == CONFIG_UNLOCATED_HASH);
}

static int find_ordinal(struct sharding *sharding, const char *pod_name, struct errctx *reterr)
{
    const struct config_sharding *config = sharding->config;
    if (config->shards < 1)
        return err_set(reterr, ERR_CONFIG,
                       "limpet: sharding: hashing needs `shards`, the number of instances");
    int64_t ordinal = config->shard[0] != '\0' ? ordinal_of(config->shard) : ordinal_of(pod_name);
    if (ordinal < 0)
        return err_set(reterr, ERR_CONFIG,
                       "limpet: sharding: which of the %lld instances is this? Neither `shard` "
                       "(\"%.100s\") nor the pod's name (\"%.100s\") ends with - and a number",
                       (long long)config->shards, config->shard, pod_name != NULL ? pod_name : "");
    if (ordinal >= config->shards)
        return err_set(reterr, ERR_CONFIG,
                       "limpet: sharding: instance %lld of %lld: they are numbered from 0, so the "
                       "greatest is %lld",
                       (long long)ordinal, (long long)config->shards,
                       (long long)config->shards - 1);
    sharding->ordinal = (uint32_t)ordinal;
    return 0;
}

static int find_node(struct sharding *sharding, const char *node_name, struct errctx *reterr)
{
    sharding->node = sharding->config->node[0] != '\0' ? sharding->config->node : node_name;
    if (sharding->node == NULL || sharding->node[0] == '\0')
        return err_set(reterr, ERR_CONFIG,
                       "limpet: sharding: by node needs the name of this one: set `node`, or "
                       "NODE_NAME in the environment");
    return 0;
}

int sharding_init(struct sharding *sharding, const struct config_sharding *config,
                  const struct sharding_environment *environment, struct errctx *reterr)
{
    bool in_daemon_set = environment->node_name != NULL && environment->node_name[0] != '\0';
    *sharding = (struct sharding){.config = config, .by = config->by};
    if (sharding->by == CONFIG_SHARD_AUTO)
        sharding->by = in_daemon_set ? CONFIG_SHARD_NODE : CONFIG_SHARD_NONE;
    int err = 0;
    if (sharding->by == CONFIG_SHARD_NODE)
        err = find_node(sharding, environment->node_name, reterr);
    if (err == 0 && sharding->by == CONFIG_SHARD_NAMESPACE && config->namespaces.len == 0)
        err = err_set(reterr, ERR_CONFIG,
                      "limpet: sharding: by namespace needs `namespaces`, those of this instance");
    if (err == 0 && is_hashing(sharding))
        err = find_ordinal(sharding, environment->pod_name, reterr);
    return err;
}

/*
 * The same identity decides between the scrapers of one limpet, so it is hashed once more: else
 * the targets of an instance would not spread over its scrapers.
 */
static bool is_hashed_here(const struct sharding *sharding, uint64_t id)
{
    uint64_t key = hash64(&id, sizeof(id), 0);
    return hash_jump(key, (uint32_t)sharding->config->shards) == sharding->ordinal;
}

static bool takes_unlocated(const struct sharding *sharding, uint64_t id)
{
    switch (sharding->config->unlocated) {
    case CONFIG_UNLOCATED_ALL:
        return true;
    case CONFIG_UNLOCATED_HASH:
        return is_hashed_here(sharding, id);
    case CONFIG_UNLOCATED_NONE:
        break;
    }
    return false;
}

struct slice sharding_node_of(const struct label_set *found)
{
    static const struct slice names[] = {
        SLICE_LITERAL("__meta_kubernetes_endpointslice_endpoint_node_name"),
        SLICE_LITERAL("__meta_kubernetes_endpoint_node_name"),
        SLICE_LITERAL("__meta_kubernetes_pod_node_name"),
        SLICE_LITERAL("__meta_kubernetes_node_name"),
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct slice node = label_set_get(found, names[i]);
        if (node.len > 0)
            return node;
    }
    return SLICE_LITERAL("");
}

static bool is_listed(const struct config_strings *names, struct slice name)
{
    for (size_t i = 0; i < names->len; i++) {
        if (slice_is(name, names->items[i]))
            return true;
    }
    return false;
}

bool sharding_takes(const struct sharding *sharding, const struct label_set *found, uint64_t id)
{
    struct slice place;
    switch (sharding->by) {
    case CONFIG_SHARD_HASH:
        return is_hashed_here(sharding, id);
    case CONFIG_SHARD_NODE:
        place = sharding_node_of(found);
        return place.len > 0 ? slice_is(place, sharding->node) : takes_unlocated(sharding, id);
    case CONFIG_SHARD_NAMESPACE:
        place = label_set_get(found, SLICE_LITERAL("__meta_kubernetes_namespace"));
        return place.len > 0 ? is_listed(&sharding->config->namespaces, place)
                             : takes_unlocated(sharding, id);
    case CONFIG_SHARD_AUTO:
    case CONFIG_SHARD_NONE:
        break;
    }
    return true;
}
