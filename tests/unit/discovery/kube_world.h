/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Objects as an API server tells them, and the targets they become as a text. */
#ifndef TESTS_KUBE_WORLD_H
#define TESTS_KUBE_WORLD_H

#include "base/strbuf.h"
#include "discovery/kube_labels.h"
#include "discovery/kube_store.h"

struct kube_world {
    struct kube_view view;
    struct source_visit visit;
    struct kube_store stores[KUBE_KINDS];
    struct strbuf text;
};

void kube_world_init(struct kube_world *world);
void kube_world_fini(struct kube_world *world);

/* A test whose *state is one. */
#define KUBE_WORLD(test) cmocka_unit_test_setup_teardown(test, kube_world_make, kube_world_destroy)
int kube_world_make(void **state);
int kube_world_destroy(void **state);

/* Objects in JSON, separated by commas. */
void kube_world_add(struct kube_world *world, enum kube_kind kind, const char *objects);

/*
 * The targets of all objects of a kind:
 *
 *     10.0.0.1:80
 *       ~namespace=default
 *
 * "~" stands for "__meta_kubernetes_". Labels without a value are left out. Valid until the next
 * call.
 */
const char *kube_world_targets(struct kube_world *world, enum kube_kind kind);
void kube_world_expect(struct kube_world *world, enum kube_kind kind, const char *wanted);

/* What a node "n1" with the label "zone" gives. */
#define KUBE_WORLD_NODE_META                                                                       \
    "  ~node_label_zone=a\n"                                                                       \
    "  ~node_labelpresent_zone=true\n"                                                             \
    "  ~node_name=n1\n"

#endif
