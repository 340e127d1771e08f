/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "writer/replicas.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "writer/elements.h"

/* So long a place that is not used keeps its memory: as long as layouts do (layout_v2.c). */
#define UNUSED_NS (300 * NS_PER_S)

static void free_place(struct replicas_place *place)
{
    free(place->bits);
    free(place->lines);
    free(place->ops);
    free(place->steps);
    free(place->step_ops);
    free(place->step_bytes);
    *place = (struct replicas_place){0};
}

void replicas_fini(struct replicas *replicas)
{
    for (uint32_t i = 0; i < REPLICAS_PLACES; i++)
        free_place(&replicas->places[i]);
    *replicas = (struct replicas){0};
}

void replicas_start(struct replicas *replicas, int64_t now_ns)
{
    for (uint32_t i = 0; i < REPLICAS_PLACES; i++) {
        struct replicas_place *place = &replicas->places[i];
        place->is_used = false;
        if (place->steps != NULL && now_ns - place->used_ns > UNUSED_NS)
            free_place(place);
    }
    replicas->stamp = 0;
    replicas->now_ns = now_ns;
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
    place->used_ns = replicas->now_ns;
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
