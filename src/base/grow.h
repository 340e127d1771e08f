/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Arrays that double as they fill and are kept for the next use. Out of memory aborts. */
#ifndef BASE_GROW_H
#define BASE_GROW_H

#include <stdlib.h>

#include "base/check.h"

/* Room for one more item of `size` bytes behind `count` of them; *room counts items. */
static inline void *grow_for_one(void *items, size_t count, size_t *room, size_t size)
{
    if (count < *room)
        return items;
    *room = *room == 0 ? 16 : 2 * *room;
    items = realloc(items, *room * size);
    check(items != NULL);
    return items;
}

#endif
