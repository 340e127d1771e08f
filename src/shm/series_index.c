/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "shm/series_index.h"

#include <stdlib.h>

uint32_t series_index_find(const struct series_index *index, uint32_t hash,
                           bool (*same)(const void *context, uint32_t ref), const void *context)
{
    if (index->entries == NULL)
        return 0;
    for (uint32_t i = hash & index->mask;; i = (i + 1) & index->mask) {
        const struct series_entry *entry = &index->entries[i];
        if (entry->ref == 0)
            return 0;
        if (entry->hash == hash && same(context, entry->ref))
            return entry->ref;
    }
}

static void place(struct series_index *index, uint32_t hash, uint32_t ref)
{
    uint32_t i = hash & index->mask;
    while (index->entries[i].ref != 0)
        i = (i + 1) & index->mask;
    index->entries[i] = (struct series_entry){hash, ref};
}

static void grow(struct series_index *index)
{
    struct series_index old = *index;
    uint32_t size = old.entries == NULL ? 64 : (old.mask + 1) * 2;
    index->entries = calloc(size, sizeof(*index->entries));
    check(index->entries != NULL);
    index->mask = size - 1;
    for (uint32_t i = 0; old.entries != NULL && i <= old.mask; i++) {
        if (old.entries[i].ref != 0)
            place(index, old.entries[i].hash, old.entries[i].ref);
    }
    free(old.entries);
}

void series_index_add(struct series_index *index, uint32_t hash, uint32_t ref)
{
    check(ref != 0);
    /* At most three quarters full. */
    if (index->entries == NULL || index->count >= (index->mask + 1) / 4 * 3)
        grow(index);
    place(index, hash, ref);
    index->count++;
}

void series_index_remove(struct series_index *index, uint32_t hash, uint32_t ref)
{
    uint32_t hole = hash & index->mask;
    while (index->entries[hole].ref != ref) {
        check(index->entries[hole].ref != 0);
        hole = (hole + 1) & index->mask;
    }
    /* Entries behind the hole that belong at or before it move up. */
    for (uint32_t i = (hole + 1) & index->mask; index->entries[i].ref != 0;
         i = (i + 1) & index->mask) {
        uint32_t home = index->entries[i].hash & index->mask;
        if (((i - home) & index->mask) >= ((i - hole) & index->mask)) {
            index->entries[hole] = index->entries[i];
            hole = i;
        }
    }
    index->entries[hole] = (struct series_entry){0, 0};
    index->count--;
}

void series_index_fini(struct series_index *index)
{
    free(index->entries);
    *index = (struct series_index){0};
}
