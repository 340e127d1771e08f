/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "scrapers/outcome_list.h"

#include <stdlib.h>

#include "scrapers/work.h"

static void *grown(void *array, uint32_t room, size_t size)
{
    void *larger = realloc(array, room * size);
    check(larger != NULL);
    return larger;
}

void outcome_make_room(struct outcome_list *list, uint32_t wanted)
{
    if (wanted <= list->room)
        return;
    list->room = list->room == 0 ? 256 : list->room;
    while (list->room < wanted)
        list->room *= 2;
    list->lines = grown(list->lines, list->room, sizeof(*list->lines));
    list->bits = grown(list->bits, list->room, sizeof(*list->bits));
    list->times = grown(list->times, list->room, sizeof(*list->times));
    list->starts = grown(list->starts, list->room, sizeof(*list->starts));
}

void outcome_append(struct outcome_list *list, uint32_t line, uint64_t bits, int64_t time_ms)
{
    outcome_make_room(list, list->count + 1);
    list->starts[list->count] = 0;
    list->lines[list->count] = line;
    list->bits[list->count] = bits;
    list->times[list->count] = time_ms;
    list->count++;
}

/* The first of the columns that are there; false: none is. */
static bool free_column(struct outcome_list *list)
{
    if (list->lines != NULL) {
        free(list->lines);
        list->lines = NULL;
    } else if (list->bits != NULL) {
        free(list->bits);
        list->bits = NULL;
    } else if (list->times != NULL) {
        free(list->times);
        list->times = NULL;
    } else {
        free(list->starts);
        list->starts = NULL;
        return false;
    }
    return true;
}

bool outcome_list_release(struct outcome_list *list, uint32_t *budget)
{
    while (list->room > REFMAP_ROOM_KEPT) {
        if (*budget == 0)
            return false;
        work_charge_memory(budget, list->room * sizeof(uint64_t));
        if (!free_column(list))
            list->count = list->room = 0;
    }
    return true;
}

void outcome_list_fini(struct outcome_list *list)
{
    free(list->lines);
    free(list->bits);
    free(list->times);
    free(list->starts);
    *list = (struct outcome_list){0};
}
