/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "discovery/identities.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/hash.h"

#define FEWEST 64u

static bool insert(uint64_t *items, size_t mask, uint64_t seed, uint64_t id)
{
    size_t i = (size_t)hash64(&id, sizeof(id), seed) & mask;
    while (items[i] != 0) {
        if (items[i] == id)
            return false;
        i = (i + 1) & mask;
    }
    items[i] = id;
    return true;
}

/* The set is half full at most. */
static void grow(struct identities *set)
{
    size_t room = set->items == NULL ? FEWEST : 2 * (set->mask + 1);
    uint64_t *items = calloc(room, sizeof(*items));
    check(items != NULL);
    if (set->seed == 0)
        set->seed = hash_seed_make();
    for (size_t i = 0; set->items != NULL && i <= set->mask; i++) {
        if (set->items[i] != 0)
            insert(items, room - 1, set->seed, set->items[i]);
    }
    free(set->items);
    set->items = items;
    set->mask = room - 1;
}

bool identities_add(struct identities *set, uint64_t id)
{
    if (set->items == NULL || 2 * set->count > set->mask)
        grow(set);
    if (!insert(set->items, set->mask, set->seed, id))
        return false;
    set->count++;
    return true;
}

void identities_fini(struct identities *set)
{
    free(set->items);
    *set = (struct identities){0};
}
