/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "discovery/kube_store.h"

#include <stdlib.h>

#include "base/check.h"
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

/* Where the object hangs, or where a new one would. The store has buckets. */
static struct kube_object **link_of(const struct kube_store *store, uint64_t hash, struct slice ns,
                                    struct slice name)
{
    struct kube_object **link = &store->buckets[hash & (store->bucket_count - 1)];
    while (*link != NULL && !((*link)->hash == hash && is_named(*link, ns, name)))
        link = &(*link)->next;
    return link;
}

static void grow(struct kube_store *store)
{
    size_t count = store->bucket_count == 0 ? 16 : 2 * store->bucket_count;
    struct kube_object **buckets =
        (struct kube_object **)calloc(count, sizeof(struct kube_object *));
    check(buckets != NULL);
    if (store->seed == 0)
        store->seed = hash_seed_make();
    for (size_t i = 0; i < store->bucket_count; i++) {
        while (store->buckets[i] != NULL) {
            struct kube_object *object = store->buckets[i];
            store->buckets[i] = object->next;
            object->next = buckets[object->hash & (count - 1)];
            buckets[object->hash & (count - 1)] = object;
        }
    }
    free(store->buckets);
    store->buckets = buckets;
    store->bucket_count = count;
}

static void unlink_object(struct kube_store *store, struct kube_object **link)
{
    struct kube_object *object = *link;
    *link = object->next;
    store->count--;
    store->bytes -= sizeof(*object) + object->len;
    free(object);
}

static void link_object(struct kube_store *store, struct kube_object **link, uint64_t hash,
                        struct slice record)
{
    struct kube_object *object = malloc(sizeof(*object) + record.len);
    check(object != NULL && record.len <= UINT32_MAX);
    *object = (struct kube_object){
        .next = *link, .hash = hash, .epoch = store->epoch, .len = (uint32_t)record.len};
    memcpy(object->record, record.ptr, record.len);
    *link = object;
    store->count++;
    store->bytes += sizeof(*object) + object->len;
}

enum kube_change kube_store_put(struct kube_store *store, struct slice record)
{
    struct slice ns = kube_record_get(record, KUBE_NAMESPACE);
    struct slice name = kube_record_get(record, KUBE_NAME);
    if (store->count >= store->bucket_count)
        grow(store);
    uint64_t hash = hash_of(store, ns, name);
    struct kube_object **link = link_of(store, hash, ns, name);
    bool known = *link != NULL;
    if (known && slice_equal(kube_object_record(*link), record)) {
        (*link)->epoch = store->epoch;
        return KUBE_UNCHANGED;
    }
    if (known)
        unlink_object(store, link);
    link_object(store, link, hash, record);
    return known ? KUBE_UPDATED : KUBE_ADDED;
}

enum kube_change kube_store_remove(struct kube_store *store, struct slice record)
{
    struct slice ns = kube_record_get(record, KUBE_NAMESPACE);
    struct slice name = kube_record_get(record, KUBE_NAME);
    if (store->bucket_count == 0)
        return KUBE_UNCHANGED;
    struct kube_object **link = link_of(store, hash_of(store, ns, name), ns, name);
    if (*link == NULL)
        return KUBE_UNCHANGED;
    unlink_object(store, link);
    return KUBE_DELETED;
}

void kube_store_begin(struct kube_store *store)
{
    store->epoch++;
}

size_t kube_store_sweep(struct kube_store *store)
{
    size_t before = store->count;
    for (size_t i = 0; i < store->bucket_count; i++) {
        struct kube_object **link = &store->buckets[i];
        while (*link != NULL) {
            if ((*link)->epoch != store->epoch)
                unlink_object(store, link);
            else
                link = &(*link)->next;
        }
    }
    return before - store->count;
}

struct slice kube_store_find(const struct kube_store *store, struct slice ns, struct slice name)
{
    if (store->bucket_count == 0)
        return SLICE_LITERAL("");
    const struct kube_object *object = *link_of(store, hash_of(store, ns, name), ns, name);
    return object == NULL ? SLICE_LITERAL("") : kube_object_record(object);
}

const struct kube_object *kube_store_next(const struct kube_store *store,
                                          const struct kube_object *object)
{
    size_t bucket = 0;
    if (object != NULL) {
        if (object->next != NULL)
            return object->next;
        bucket = (size_t)(object->hash & (store->bucket_count - 1)) + 1;
    }
    while (bucket < store->bucket_count && store->buckets[bucket] == NULL)
        bucket++;
    return bucket < store->bucket_count ? store->buckets[bucket] : NULL;
}

void kube_store_fini(struct kube_store *store)
{
    store->epoch++;
    (void)kube_store_sweep(store);
    free(store->buckets);
    *store = (struct kube_store){0};
}
