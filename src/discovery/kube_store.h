/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Objects of one kind by namespace and name. Each is one allocation; its record lies in it. */
#ifndef DISCOVERY_KUBE_STORE_H
#define DISCOVERY_KUBE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/hash_table.h"
#include "base/slice.h"

struct kube_object {
    struct hash_entry entry; /* by namespace and name */
    uint32_t epoch;          /* of the list that had it last */
    uint32_t len;
    char record[]; /* kube_record.h */
};

/* Zeroed: empty. */
struct kube_store {
    uint64_t seed; /* of hashes: anybody who may make objects chooses names */
    struct hash_table objects;
    size_t bytes; /* of all objects */
    uint32_t epoch;
};

enum kube_change { KUBE_UNCHANGED, KUBE_ADDED, KUBE_UPDATED, KUBE_DELETED };

/* Takes a copy of the record in place of the one with the same namespace and name. */
enum kube_change kube_store_put(struct kube_store *store, struct slice record);

/* Forgets the object with the record's namespace and name. */
enum kube_change kube_store_remove(struct kube_store *store, struct slice record);

/*
 * A list replaces everything: what was put between begin and sweep stays, the rest is forgotten.
 * Returns how many that were.
 */
void kube_store_begin(struct kube_store *store);
size_t kube_store_sweep(struct kube_store *store);

/* The record; empty if there is none. Valid until the store changes. */
struct slice kube_store_find(const struct kube_store *store, struct slice ns, struct slice name);

/* All objects, one after another: NULL first, NULL at the end. The store must not change. */
const struct kube_object *kube_store_next(const struct kube_store *store,
                                          const struct kube_object *object);

static inline struct slice kube_object_record(const struct kube_object *object)
{
    return slice_make(object->record, object->len);
}

void kube_store_fini(struct kube_store *store);

/* Records of stores, good until one of these changes. All zero: none. */
struct kube_records {
    struct slice *items;
    size_t len;
    size_t room;
};

/* Adds those of the store that `is_wanted` says it of; NULL: all. */
void kube_records_add(struct kube_records *records, const struct kube_store *store,
                      bool (*is_wanted)(struct slice record));

/* By namespace and name: the same order on all nodes and after each start. */
void kube_records_sort(struct kube_records *records);

void kube_records_fini(struct kube_records *records);

#endif
