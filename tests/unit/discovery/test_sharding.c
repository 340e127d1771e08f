/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "discovery/sharding.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/dice.h"

static bool takes(const struct sharding *sharding, const char *name, const char *value, uint64_t id)
{
    struct label_set found = {0};
    if (name != NULL)
        label_set_put(&found, slice_of(name), slice_of(value));
    bool taken = sharding_takes(sharding, &found, id);
    label_set_fini(&found);
    return taken;
}

static struct sharding make(const struct config_sharding *config, const char *node, const char *pod)
{
    struct sharding sharding;
    const struct sharding_environment environment = {node, pod};
    struct errctx why;
    if (sharding_init(&sharding, config, &environment, &why) != 0)
        fail_msg("%s", why.text);
    return sharding;
}

static void assert_refused(const struct config_sharding *config, const char *node, const char *pod,
                           const char *part)
{
    struct sharding sharding;
    const struct sharding_environment environment = {node, pod};
    struct errctx why;
    assert_int_equal(sharding_init(&sharding, config, &environment, &why), ERR_CONFIG);
    assert_non_null(strstr(why.text, part));
}

static const struct config_sharding plain = {.node = "", .shard = ""};

static void a_node_name_in_the_environment_makes_the_node_the_shard(void **state)
{
    (void)state;
    struct sharding sharding = make(&plain, "worker-1", NULL);
    assert_true(takes(&sharding, "__meta_kubernetes_pod_node_name", "worker-1", 1));
    assert_false(takes(&sharding, "__meta_kubernetes_pod_node_name", "worker-2", 1));
    assert_true(takes(&sharding, "__meta_kubernetes_endpoint_node_name", "worker-1", 1));
    assert_false(
        takes(&sharding, "__meta_kubernetes_endpointslice_endpoint_node_name", "worker-11", 1));
    assert_false(takes(&sharding, "__meta_kubernetes_node_name", "worker", 1));
    assert_true(takes(&sharding, NULL, NULL, 1));
}

static void without_one_everything_is_taken(void **state)
{
    (void)state;
    struct sharding sharding = make(&plain, "", NULL);
    assert_true(takes(&sharding, "__meta_kubernetes_pod_node_name", "worker-2", 1));
    sharding = make(&plain, NULL, NULL);
    assert_true(takes(&sharding, "__meta_kubernetes_pod_node_name", "worker-2", 1));
}

static void where_an_endpoint_and_its_pod_differ_the_endpoint_counts(void **state)
{
    (void)state;
    struct sharding sharding = make(&plain, "a", NULL);
    struct label_set found = {0};
    label_set_put(&found, slice_of("__meta_kubernetes_pod_node_name"), slice_of("b"));
    label_set_put(&found, slice_of("__meta_kubernetes_endpoint_node_name"), slice_of("a"));
    assert_true(sharding_takes(&sharding, &found, 1));
    label_set_fini(&found);
}

static void namespaces_are_those_of_the_list(void **state)
{
    (void)state;
    static const char *const names[] = {"shop", "billing"};
    struct config_sharding config = plain;
    config.by = CONFIG_SHARD_NAMESPACE;
    config.namespaces = (struct config_strings){names, 2};
    config.unlocated = CONFIG_UNLOCATED_NONE;
    struct sharding sharding = make(&config, "ignored", NULL);
    assert_true(takes(&sharding, "__meta_kubernetes_namespace", "billing", 1));
    assert_false(takes(&sharding, "__meta_kubernetes_namespace", "shopping", 1));
    assert_false(takes(&sharding, NULL, NULL, 1));
}

/* Takers of 30000 identities among n instances; each is taken by exactly one. */
static void count_takers(uint32_t n, uint32_t *ret_owner, uint32_t *ret_counts)
{
    static const char *const pods[] = {"limpet-0", "limpet-1", "limpet-2", "limpet-3", "limpet-4"};
    struct config_sharding config = plain;
    config.by = CONFIG_SHARD_HASH;
    config.shards = n;
    for (uint32_t i = 0; i < n; i++) {
        struct sharding sharding = make(&config, NULL, pods[i]);
        for (uint32_t k = 0; k < 30000; k++) {
            if (!takes(&sharding, NULL, NULL, UINT64_C(0x9e3779b97f4a7c15) * (k + 1)))
                continue;
            assert_int_equal(ret_owner[k], UINT32_MAX);
            ret_owner[k] = i;
            ret_counts[i]++;
        }
    }
}

static void a_hash_gives_each_target_to_one_and_moves_few_when_one_comes(void **state)
{
    (void)state;
    static uint32_t before[30000];
    static uint32_t after[30000];
    uint32_t counts[5] = {0};
    uint32_t more[5] = {0};
    memset(before, 0xff, sizeof(before));
    memset(after, 0xff, sizeof(after));
    count_takers(4, before, counts);
    count_takers(5, after, more);
    for (int i = 0; i < 4; i++)
        assert_in_range(counts[i], 7000, 8000);
    uint32_t moved = 0;
    for (uint32_t k = 0; k < 30000; k++) {
        assert_int_not_equal(before[k], UINT32_MAX);
        moved += before[k] != after[k];
        if (before[k] != after[k])
            assert_int_equal(after[k], 4);
    }
    assert_in_range(moved, 5500, 6500);
}

static void what_cannot_be_guessed_is_asked_for(void **state)
{
    (void)state;
    struct config_sharding config = plain;
    config.by = CONFIG_SHARD_NODE;
    assert_refused(&config, "", NULL, "NODE_NAME");
    config.by = CONFIG_SHARD_NAMESPACE;
    assert_refused(&config, NULL, NULL, "namespaces");
    config.by = CONFIG_SHARD_HASH;
    assert_refused(&config, NULL, "limpet-0", "shards");
    config.shards = 2;
    assert_refused(&config, NULL, "limpet", "number");
    assert_refused(&config, NULL, "limpet-2", "greatest is 1");
    assert_refused(&config, NULL, "limpet-1x", "number");
    config.shard = "mine-1";
    assert_int_equal(make(&config, NULL, "limpet-7").ordinal, 1);
}

static void targets_without_a_node_may_be_shared_by_hash(void **state)
{
    (void)state;
    struct config_sharding config = plain;
    config.by = CONFIG_SHARD_NODE;
    config.node = "a";
    config.unlocated = CONFIG_UNLOCATED_HASH;
    config.shards = 2;
    struct sharding first = make(&config, NULL, "x-0");
    struct sharding second = make(&config, NULL, "x-1");
    for (uint64_t id = 1; id < 100; id++)
        assert_int_equal(takes(&first, NULL, NULL, id) + takes(&second, NULL, NULL, id), 1);
    assert_true(takes(&second, "__meta_kubernetes_pod_node_name", "a", 1));
}

/* ---- Whatever the settings, as long as all instances have the same ones ---- */

#define TARGETS       2000
#define INSTANCES_MAX 24
#define NODES         6

struct random_target {
    uint64_t id;
    int node;      /* -1: on none */
    int node_name; /* by which label */
    int ns;        /* -1: in none */
};

static const char *const node_names[NODES] = {"n0", "n1", "n2", "n3", "n4", "n5"};
static const char *const namespace_names[] = {"a", "b", "c", "d"};

static void make_targets(struct dice *dice, struct random_target targets[TARGETS])
{
    for (int i = 0; i < TARGETS; i++) {
        uint64_t id = dice_bits(dice);
        int node = (int)dice_roll(dice, NODES + 1) - 1;
        int node_name = (int)dice_roll(dice, 4);
        int ns = (int)dice_roll(dice, 5) - 1;
        targets[i] = (struct random_target){id, node, node_name, ns};
    }
}

static bool takes_target(const struct sharding *sharding, const struct random_target *target)
{
    static const char *const labels[] = {"__meta_kubernetes_endpointslice_endpoint_node_name",
                                         "__meta_kubernetes_endpoint_node_name",
                                         "__meta_kubernetes_pod_node_name",
                                         "__meta_kubernetes_node_name"};
    struct label_set found = {0};
    if (target->node >= 0)
        label_set_put(&found, slice_of(labels[target->node_name]),
                      slice_of(node_names[target->node]));
    if (target->ns >= 0)
        label_set_put(&found, SLICE_LITERAL("__meta_kubernetes_namespace"),
                      slice_of(namespace_names[target->ns]));
    bool taken = sharding_takes(sharding, &found, target->id);
    label_set_fini(&found);
    return taken;
}

/* Who takes each target: of as many instances, by ordinal; -1: nobody. Never two. */
static void share_out(const struct config_sharding *configs, int instances,
                      const struct random_target targets[TARGETS], int owners[TARGETS])
{
    for (int k = 0; k < TARGETS; k++)
        owners[k] = -1;
    for (int i = 0; i < instances; i++) {
        char pod[32];
        snprintf(pod, sizeof(pod), "limpet-%d", i);
        struct sharding sharding = make(&configs[i], NULL, pod);
        for (int k = 0; k < TARGETS; k++) {
            if (!takes_target(&sharding, &targets[k]))
                continue;
            assert_int_equal(owners[k], -1);
            owners[k] = i;
        }
    }
}

static void instances_that_agree_share_out_all_and_nothing_twice(void **state)
{
    (void)state;
    static struct random_target targets[TARGETS];
    static struct config_sharding configs[INSTANCES_MAX];
    static int owners[TARGETS];
    struct dice dice = dice_new("instances_that_agree_share_out_all_and_nothing_twice");
    for (int round = 0; round < 30; round++) {
        bool by_node = dice_roll(&dice, 2) == 0;
        int instances = by_node ? NODES : 4;
        bool hashed = dice_roll(&dice, 2) == 0;
        make_targets(&dice, targets);
        for (int i = 0; i < instances; i++) {
            configs[i] = plain;
            configs[i].by = by_node ? CONFIG_SHARD_NODE : CONFIG_SHARD_NAMESPACE;
            configs[i].node = by_node ? node_names[i] : "";
            configs[i].namespaces = (struct config_strings){&namespace_names[by_node ? 0 : i], 1};
            configs[i].unlocated = hashed ? CONFIG_UNLOCATED_HASH : CONFIG_UNLOCATED_NONE;
            configs[i].shards = instances;
        }
        share_out(configs, instances, targets, owners);
        for (int k = 0; k < TARGETS; k++) {
            int place = by_node ? targets[k].node : targets[k].ns;
            if (place >= 0)
                assert_int_equal(owners[k], place);
            else
                assert_true((owners[k] >= 0) == hashed);
        }
    }
}

static void another_number_of_instances_moves_as_few_as_possible(void **state)
{
    (void)state;
    static struct random_target targets[TARGETS];
    static struct config_sharding configs[INSTANCES_MAX + 1];
    static int before[TARGETS], after[TARGETS];
    struct dice dice = dice_new("another_number_of_instances_moves_as_few_as_possible");
    for (int round = 0; round < 20; round++) {
        int n = 1 + (int)dice_roll(&dice, INSTANCES_MAX);
        int moved = 0;
        make_targets(&dice, targets);
        for (int i = 0; i <= n; i++) {
            configs[i] = plain;
            configs[i].by = CONFIG_SHARD_HASH;
            configs[i].shards = n;
        }
        share_out(configs, n, targets, before);
        for (int i = 0; i <= n; i++)
            configs[i].shards = n + 1;
        share_out(configs, n + 1, targets, after);
        for (int k = 0; k < TARGETS; k++) {
            assert_true(before[k] >= 0 && after[k] >= 0);
            moved += before[k] != after[k];
            if (before[k] != after[k])
                assert_int_equal(after[k], n); /* only to the new one */
        }
        /* What the new one is to have is TARGETS / (n + 1), give or take what chance does. */
        int share = TARGETS / (n + 1);
        assert_in_range(moved, share / 3, 2 * share + 30);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_node_name_in_the_environment_makes_the_node_the_shard),
        cmocka_unit_test(without_one_everything_is_taken),
        cmocka_unit_test(where_an_endpoint_and_its_pod_differ_the_endpoint_counts),
        cmocka_unit_test(namespaces_are_those_of_the_list),
        cmocka_unit_test(a_hash_gives_each_target_to_one_and_moves_few_when_one_comes),
        cmocka_unit_test(what_cannot_be_guessed_is_asked_for),
        cmocka_unit_test(targets_without_a_node_may_be_shared_by_hash),
        cmocka_unit_test(instances_that_agree_share_out_all_and_nothing_twice),
        cmocka_unit_test(another_number_of_instances_moves_as_few_as_possible),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
