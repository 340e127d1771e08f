/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "writer/replicas.h"

#include <stdlib.h>

#include "base/check.h"

void replicas_fini(struct replicas *replicas)
{
    for (uint32_t i = 0; i < REPLICAS_PLACES; i++) {
        free(replicas->places[i].bits);
        free(replicas->places[i].lines);
        free(replicas->places[i].value_refs);
    }
    *replicas = (struct replicas){0};
}

void replicas_start(struct replicas *replicas)
{
    for (uint32_t i = 0; i < REPLICAS_PLACES; i++)
        replicas->places[i].is_used = false;
    replicas->stamp = 0;
}

static bool is_same(const struct replicas_layout *a, const struct replicas_layout *b)
{
    return a->series == b->series && a->layout == b->layout &&
           a->layout_generation == b->layout_generation && a->metadata == b->metadata &&
           a->metadata_generation == b->metadata_generation && a->first_line == b->first_line;
}

struct replicas_place *replicas_find(struct replicas *replicas,
                                     const struct replicas_layout *layout)
{
    for (uint32_t i = 0; i < REPLICAS_PLACES; i++) {
        struct replicas_place *place = &replicas->places[i];
        if (place->is_used && is_same(&place->layout, layout)) {
            place->stamp = ++replicas->stamp;
            return place;
        }
    }
    return NULL;
}

struct replicas_place *replicas_take(struct replicas *replicas,
                                     const struct replicas_layout *layout)
{
    struct replicas_place *place = replicas_find(replicas, layout);
    for (uint32_t i = 0; i < REPLICAS_PLACES && place == NULL; i++) {
        if (!replicas->places[i].is_used)
            place = &replicas->places[i];
    }
    if (place == NULL) {
        place = &replicas->places[0];
        for (uint32_t i = 1; i < REPLICAS_PLACES; i++) {
            if (replicas->places[i].stamp < place->stamp)
                place = &replicas->places[i];
        }
    }
    place->is_used = true;
    place->has_lines = false;
    place->stamp = ++replicas->stamp;
    place->layout = *layout;
    return place;
}

static void *resize(void *array, size_t count, size_t size)
{
    void *resized = realloc(array, count * size);
    check(resized != NULL);
    return resized;
}

void replicas_room(struct replicas_place *place, uint32_t count)
{
    if (count <= place->line_room)
        return;
    place->bits = resize(place->bits, count, sizeof *place->bits);
    place->lines = resize(place->lines, count, sizeof *place->lines);
    place->line_room = count;
}

void replicas_line_room(struct replicas_place *place)
{
    uint32_t refs = (place->last - place->first) * place->shared_count;
    if (refs <= place->ref_room)
        return;
    place->value_refs = resize(place->value_refs, refs, sizeof *place->value_refs);
    place->ref_room = refs;
}
