/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "scrapers/outcome_list.h"

#include <stdlib.h>

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

void outcome_list_fini(struct outcome_list *list)
{
    free(list->lines);
    free(list->bits);
    free(list->times);
    free(list->starts);
    *list = (struct outcome_list){0};
}
