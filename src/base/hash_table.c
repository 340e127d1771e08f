/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/hash_table.h"

#include <stdlib.h>

#include "base/check.h"

enum { BUCKETS_MIN = 16, ENTRIES_A_BUCKET = 2 };

void hash_table_fini(struct hash_table *table)
{
    free(table->buckets);
    *table = (struct hash_table){0};
}

static void push(struct hash_table *table, struct hash_entry *entry)
{
    struct hash_entry **bucket = &table->buckets[entry->hash & table->mask];
    entry->next = *bucket;
    *bucket = entry;
}

/* Twice as many buckets as before, or the first ones. */
static void grow(struct hash_table *table)
{
    size_t count = table->buckets == NULL ? BUCKETS_MIN : 2 * (table->mask + 1);
    struct hash_table larger = {.mask = count - 1, .count = table->count};
    larger.buckets = (struct hash_entry **)calloc(count, sizeof(struct hash_entry *));
    check(larger.buckets != NULL);
    for (size_t i = 0; table->buckets != NULL && i <= table->mask; i++) {
        for (struct hash_entry *entry = table->buckets[i], *next; entry != NULL; entry = next) {
            next = entry->next;
            push(&larger, entry);
        }
    }
    free(table->buckets);
    *table = larger;
}

void hash_table_add(struct hash_table *table, struct hash_entry *entry, uint64_t hash)
{
    if (table->buckets == NULL || table->count >= ENTRIES_A_BUCKET * (table->mask + 1))
        grow(table);
    entry->hash = hash;
    push(table, entry);
    table->count++;
}

void hash_table_remove(struct hash_table *table, struct hash_entry *entry)
{
    struct hash_entry **link = &table->buckets[entry->hash & table->mask];
    while (*link != entry)
        link = &(*link)->next;
    *link = entry->next;
    table->count--;
}

struct hash_entry *hash_table_next(const struct hash_table *table, const struct hash_entry *entry)
{
    size_t bucket = 0;
    if (entry != NULL) {
        if (entry->next != NULL)
            return entry->next;
        bucket = (entry->hash & table->mask) + 1;
    }
    if (table->buckets == NULL)
        return NULL;
    while (bucket <= table->mask && table->buckets[bucket] == NULL)
        bucket++;
    return bucket <= table->mask ? table->buckets[bucket] : NULL;
}

void hash_table_sweep(struct hash_table *table,
                      bool (*goes)(struct hash_entry *entry, void *context), void *context)
{
    for (size_t i = 0; table->buckets != NULL && i <= table->mask; i++) {
        struct hash_entry **link = &table->buckets[i];
        while (*link != NULL) {
            struct hash_entry *entry = *link;
            struct hash_entry *next = entry->next;
            if (goes(entry, context)) {
                *link = next;
                table->count--;
            } else {
                link = &entry->next;
            }
        }
    }
}
