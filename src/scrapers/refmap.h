/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A hash table from refs of records to numbers, emptied and filled again for each use. */
#ifndef SCRAPERS_REFMAP_H
#define SCRAPERS_REFMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"

struct refmap_cell {
    uint32_t ref; /* 0 = empty */
    uint32_t value;
};

/* All zero is a map that was not reset yet. */
struct refmap {
    struct refmap_cell *cells; /* private */
    uint32_t mask;
    uint32_t room;
};

/* Empties the map and makes room for `count` refs. */
void refmap_reset(struct refmap *map, size_t count);

/* The value of ref, which is added with 0 if it is not there. Valid until the next reset. */
uint32_t *refmap_at(struct refmap *map, uint32_t ref);

/* The value of ref, or NULL. */
uint32_t *refmap_find(const struct refmap *map, uint32_t ref);

/* A map with room for more is new memory each time. */
#define REFMAP_ROOM_KEPT 65536u

/* Gives back the memory of such a map, and what is in it. False: not yet, the budget is used up. */
bool refmap_release(struct refmap *map, uint32_t *budget) MUST_USE;

void refmap_fini(struct refmap *map);

#endif
