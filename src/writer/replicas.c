/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "writer/replicas.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "writer/elements.h"

void replicas_fini(struct replicas *replicas)
{
    for (uint32_t i = 0; i < REPLICAS_PLACES; i++) {
        free(replicas->places[i].bits);
        free(replicas->places[i].lines);
        free(replicas->places[i].ops);
        free(replicas->places[i].steps);
        free(replicas->places[i].step_ops);
        free(replicas->places[i].step_bytes);
    }
    *replicas = (struct replicas){0};
}

void replicas_start(struct replicas *replicas)
{
    for (uint32_t i = 0; i < REPLICAS_PLACES; i++)
        replicas->places[i].is_used = false;
    replicas->stamp = 0;
}

struct replicas_place *replicas_find(struct replicas *replicas, const struct layout_v2_key *key)
{
    for (uint32_t i = 0; i < REPLICAS_PLACES; i++) {
        struct replicas_place *place = &replicas->places[i];
        if (place->is_used && layout_v2_key_equal(&place->key, key)) {
            place->stamp = ++replicas->stamp;
            return place;
        }
    }
    return NULL;
}

static void *resize(void *array, size_t count, size_t size)
{
    void *resized = realloc(array, count * size);
    check(resized != NULL);
    return resized;
}

static struct replicas_place *oldest_place(struct replicas *replicas)
{
    struct replicas_place *oldest = &replicas->places[0];
    for (uint32_t i = 0; i < REPLICAS_PLACES; i++) {
        struct replicas_place *place = &replicas->places[i];
        if (!place->is_used)
            return place;
        if (place->stamp < oldest->stamp)
            oldest = place;
    }
    return oldest;
}

struct replicas_place *replicas_take(struct replicas *replicas, const struct layout_v2_key *key)
{
    struct replicas_place *place = oldest_place(replicas);
    place->is_used = true;
    place->has_lines = place->is_beside = false;
    place->stamp = ++replicas->stamp;
    place->key = *key;
    place->first = place->last = 0;
    place->stepped_from = place->stepped_to = 0;
    place->step_op_count = place->step_len = 0;
    if (key->count > place->step_room) {
        place->steps = resize(place->steps, key->count, sizeof *place->steps);
        place->step_room = key->count;
    }
    memset(place->steps, 0, key->count * sizeof *place->steps);
    return place;
}

void replicas_room(struct replicas_place *place, uint32_t count)
{
    if (count <= place->line_room)
        return;
    place->bits = resize(place->bits, count, sizeof *place->bits);
    place->lines = resize(place->lines, count, sizeof *place->lines);
    place->line_room = count;
}

struct replicas_op *replicas_op(struct replicas_place *place)
{
    if (place->op_count == place->op_room) {
        place->op_room = 2 * place->op_room + 64;
        place->ops = resize(place->ops, place->op_room, sizeof *place->ops);
    }
    return &place->ops[place->op_count++];
}

void replicas_step_room(struct replicas_place *place, uint32_t ops, uint32_t bytes)
{
    if (place->step_op_count + ops > place->step_op_room) {
        place->step_op_room = 2 * (place->step_op_count + ops);
        place->step_ops = resize(place->step_ops, place->step_op_room, sizeof *place->step_ops);
    }
    if (place->step_len + bytes + ELEMENTS_SLACK > place->step_bytes_room) {
        place->step_bytes_room = 2 * (place->step_len + bytes + ELEMENTS_SLACK);
        place->step_bytes = resize(place->step_bytes, place->step_bytes_room, 1);
    }
}
