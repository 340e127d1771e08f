/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "scrapers/refmap.h"

#include <stdlib.h>
#include <string.h>

#include "scrapers/work.h"

#define ROOM_MIN 64u

void refmap_reset(struct refmap *map, size_t count)
{
    size_t room = ROOM_MIN;
    while (room < 2 * count)
        room *= 2;
    map->mask = (uint32_t)room - 1;
    /* Large maps are new each time: the kernel clears a page when it is touched, not all at once.
     */
    if (map->room < room || map->room > REFMAP_ROOM_KEPT) {
        free(map->cells);
        map->cells = calloc(room, sizeof(*map->cells));
        check(map->cells != NULL);
        map->room = (uint32_t)room;
        return;
    }
    /* Only as much as is wanted is cleared and used, however large an earlier use was. */
    memset(map->cells, 0, room * sizeof(*map->cells));
}

/*
 * The cell of ref, or the empty one where it belongs. It needs no secret: refs are places in the
 * store, given out to all targets in turn and told to none of them, and a target that wanted many
 * of them alike would need some thousand lines for each.
 */
static struct refmap_cell *cell_of(const struct refmap *map, uint32_t ref)
{
    uint32_t at = (ref * UINT32_C(2654435769)) >> 7 & map->mask;
    while (map->cells[at].ref != ref && map->cells[at].ref != 0)
        at = (at + 1) & map->mask;
    return &map->cells[at];
}

uint32_t *refmap_at(struct refmap *map, uint32_t ref)
{
    struct refmap_cell *cell = cell_of(map, ref);
    check(ref != 0);
    cell->ref = ref;
    return &cell->value;
}

uint32_t *refmap_find(const struct refmap *map, uint32_t ref)
{
    struct refmap_cell *cell = cell_of(map, ref);
    return cell->ref != 0 ? &cell->value : NULL;
}

bool refmap_release(struct refmap *map, uint32_t *budget)
{
    if (map->room <= REFMAP_ROOM_KEPT)
        return true;
    if (*budget == 0)
        return false;
    work_charge_memory(budget, map->room * sizeof(*map->cells));
    refmap_fini(map);
    return true;
}

void refmap_fini(struct refmap *map)
{
    free(map->cells);
    *map = (struct refmap){0};
}
