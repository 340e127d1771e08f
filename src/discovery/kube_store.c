/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "discovery/kube_store.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/grow.h"
#include "base/hash.h"
#include "discovery/kube_record.h"

static uint64_t hash_of(const struct kube_store *store, struct slice ns, struct slice name)
{
    return hash64(name.ptr, name.len, hash64(ns.ptr, ns.len, store->seed));
}

static bool is_named(const struct kube_object *object, struct slice ns, struct slice name)
{
    struct slice record = kube_object_record(object);
    return slice_equal(kube_record_get(record, KUBE_NAME), name) &&
           slice_equal(kube_record_get(record, KUBE_NAMESPACE), ns);
}

static struct kube_object *object_of(struct hash_entry *entry)
{
    return entry == NULL ? NULL : HASH_ENTRY_OF(entry, struct kube_object, entry);
}

static struct kube_object *find(const struct kube_store *store, uint64_t hash, struct slice ns,
                                struct slice name)
{
    struct hash_entry *entry = hash_table_find(&store->objects, hash);
    while (entry != NULL && !is_named(object_of(entry), ns, name))
        entry = hash_entry_more(entry);
    return object_of(entry);
}

static void add(struct kube_store *store, uint64_t hash, struct slice record)
{
    struct kube_object *object = malloc(sizeof(*object) + record.len);
    check(object != NULL && record.len <= UINT32_MAX);
    *object = (struct kube_object){.epoch = store->epoch, .len = (uint32_t)record.len};
    memcpy(object->record, record.ptr, record.len);
    hash_table_add(&store->objects, &object->entry, hash);
    store->bytes += sizeof(*object) + object->len;
}

/* One that is not in the table any more. */
static void free_object(struct kube_store *store, struct kube_object *object)
{
    store->bytes -= sizeof(*object) + object->len;
    free(object);
}

static void drop(struct kube_store *store, struct kube_object *object)
{
    hash_table_remove(&store->objects, &object->entry);
    free_object(store, object);
}

enum kube_change kube_store_put(struct kube_store *store, struct slice record)
{
    struct slice ns = kube_record_get(record, KUBE_NAMESPACE);
    struct slice name = kube_record_get(record, KUBE_NAME);
    if (store->seed == 0)
        store->seed = hash_seed_make();
    uint64_t hash = hash_of(store, ns, name);
    struct kube_object *known = find(store, hash, ns, name);
    if (known != NULL && slice_equal(kube_object_record(known), record)) {
        known->epoch = store->epoch;
        return KUBE_UNCHANGED;
    }
    add(store, hash, record);
    if (known != NULL)
        drop(store, known);
    return known != NULL ? KUBE_UPDATED : KUBE_ADDED;
}

enum kube_change kube_store_remove(struct kube_store *store, struct slice record)
{
    struct slice ns = kube_record_get(record, KUBE_NAMESPACE);
    struct slice name = kube_record_get(record, KUBE_NAME);
    struct kube_object *known = find(store, hash_of(store, ns, name), ns, name);
    if (known == NULL)
        return KUBE_UNCHANGED;
    drop(store, known);
    return KUBE_DELETED;
}

void kube_store_begin(struct kube_store *store)
{
    store->epoch++;
}

static bool forget_old(struct hash_entry *entry, void *context)
{
    struct kube_store *store = context;
    struct kube_object *object = object_of(entry);
    if (object->epoch == store->epoch)
        return false;
    free_object(store, object);
    return true;
}

size_t kube_store_sweep(struct kube_store *store)
{
    size_t before = store->objects.count;
    hash_table_sweep(&store->objects, forget_old, store);
    return before - store->objects.count;
}

struct slice kube_store_find(const struct kube_store *store, struct slice ns, struct slice name)
{
    const struct kube_object *object = find(store, hash_of(store, ns, name), ns, name);
    return object == NULL ? SLICE_LITERAL("") : kube_object_record(object);
}

const struct kube_object *kube_store_next(const struct kube_store *store,
                                          const struct kube_object *object)
{
    return object_of(hash_table_next(&store->objects, object == NULL ? NULL : &object->entry));
}

void kube_store_fini(struct kube_store *store)
{
    store->epoch++;
    (void)kube_store_sweep(store);
    hash_table_fini(&store->objects);
    *store = (struct kube_store){0};
}

/* ---- Records ---- */

void kube_records_add(struct kube_records *records, const struct kube_store *store,
                      bool (*is_wanted)(struct slice record))
{
    const struct kube_object *object = NULL;
    while ((object = kube_store_next(store, object)) != NULL) {
        struct slice record = kube_object_record(object);
        if (is_wanted != NULL && !is_wanted(record))
            continue;
        records->items = (struct slice *)grow_for_one(records->items, records->len, &records->room,
                                                      sizeof(*records->items));
        records->items[records->len++] = record;
    }
}

void kube_records_sort(struct kube_records *records)
{
    if (records->len > 0)
        qsort(records->items, records->len, sizeof(*records->items), kube_record_compare);
}

void kube_records_fini(struct kube_records *records)
{
    free(records->items);
    *records = (struct kube_records){0};
}
