/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "writer/fast_private.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/clock.h"
#include "writer/wire.h"

/* What a series takes at least besides shared labels: its name, a sample, heads. */
#define SERIES_LEAST 32u

#define NO_MS INT64_MIN

void fast_init(struct fast *fast)
{
    *fast = (struct fast){0};
    templates_init(&fast->templates);
    fast->shared.wire = malloc(FAST_WIRE_MAX + ELEMENTS_SLACK);
    fast->own = malloc(UINT16_MAX + ELEMENTS_SLACK);
    check(fast->shared.wire != NULL && fast->own != NULL);
}

static void lines_fini(struct fast_lines *lines)
{
    free(lines->refs);
    free(lines->starts);
    *lines = (struct fast_lines){0};
}

static void lines_room(struct fast_lines *lines, uint32_t count)
{
    if (lines->room >= count)
        return;
    lines_fini(lines);
    lines->refs = malloc(count * sizeof *lines->refs);
    lines->starts = malloc(count * sizeof *lines->starts);
    check(lines->refs != NULL && lines->starts != NULL);
    lines->room = count;
}

void fast_fini(struct fast *fast)
{
    lines_fini(&fast->spare);
    for (int i = 0; i < FAST_PLACES; i++) {
        lines_fini(&fast->places[i].lines);
        free(fast->places[i].shared.wire);
    }
    tape_writer_fini(&fast->tape_writer);
    templates_fini(&fast->templates);
    free(fast->shared.wire);
    free(fast->own);
    *fast = (struct fast){0};
}

void fast_start(struct fast *fast)
{
    for (int i = 0; i < FAST_PLACES; i++)
        fast->places[i].key = 0;
    fast->stamp = 0;
    fast->now_ns = clock_mono_ns();
    fast->previous = (struct fast_previous){.ms_size = 1};
}

/* ---- Targets ---- */

static bool add_shared(struct fast *fast, const struct label *label)
{
    struct fast_shared *shared = &fast->shared;
    if (label->value.len == 0)
        return true;
    uint32_t at = shared->at[shared->count];
    size_t inner = wire_text_size(label->name.len) + wire_text_size(label->value.len);
    if (shared->count == TEMPLATE_SHARED_MAX ||
        1 + wire_varint_size(inner) + inner > FAST_WIRE_MAX - at)
        return false;
    const uint8_t *end =
        wire_put_label(shared->wire + at, WIRE_V1_SERIES_LABEL, label->name, label->value);
    fast->names[shared->count++] = label->name;
    shared->at[shared->count] = (uint32_t)(end - shared->wire);
    return true;
}

static uint64_t key_of_names(const struct fast *fast)
{
    uint64_t key = 0;
    for (uint32_t i = 0; i < fast->shared.count; i++)
        key = key * 31 +
              hash64_keyed(fast->names[i].ptr, fast->names[i].len, &fast->templates.hash_key);
    return key;
}

bool fast_set_target(struct fast *fast, const struct label *target, size_t target_count,
                     const struct label *external, size_t external_count)
{
    size_t t = 0;
    size_t e = 0;
    fast->shared.count = 0;
    fast->shared.at[0] = 0;
    fast->previous.same_target = false;
    while (t < target_count || e < external_count) {
        int order = t == target_count     ? 1
                    : e == external_count ? -1
                                          : slice_compare(target[t].name, external[e].name);
        bool takes_target = order < 0 || (order == 0 && target[t].value.len > 0);
        if (!add_shared(fast, takes_target ? &target[t] : &external[e]))
            return false;
        t += order <= 0;
        e += order >= 0;
    }
    fast->names_key = key_of_names(fast);
    return true;
}

/* ---- Blocks ---- */

static uint64_t key_of_block(const struct fast *fast, uint32_t ring, const struct shm_block *head)
{
    if ((head->flags & SHM_BLOCK_HAS_LAYOUT) == 0)
        return 0;
    const uint64_t parts[] = {ring, head->layout_ref, head->layout_generation, fast->names_key};
    uint64_t key = hash64_keyed(parts, sizeof parts, &fast->templates.hash_key);
    return key == 0 ? 1 : key;
}

static bool is_better_place(const struct fast_place *place, const struct fast_place *than)
{
    if (place->key == 0 || than->key == 0)
        return than->key != 0;
    return place->stamp < than->stamp;
}

/*
 * The layout's place; that of a similar layout, which then becomes this one's; or the place that
 * was not used for the longest time.
 */
static struct fast_place *find_place(struct fast *fast, uint64_t key, uint64_t group,
                                     const uint32_t *lines, uint32_t line_count)
{
    struct fast_place *worst = &fast->places[0];
    struct fast_place *similar = NULL;
    size_t series_least = fast->shared.at[fast->shared.count] + SERIES_LEAST;
    if (key == 0 || line_count > FAST_OLD_DISTANCE_MAX / series_least)
        return NULL; /* copies would reach too far back */
    for (int i = 0; i < FAST_PLACES; i++) {
        struct fast_place *place = &fast->places[i];
        if (place->key == key)
            return place;
        bool fits = place->key != 0 && place->group == group && place->begins_with == lines[0];
        if (fits && (similar == NULL || place->stamp > similar->stamp))
            similar = place;
        if (is_better_place(place, worst))
            worst = place;
    }
    if (similar != NULL)
        return similar;
    worst->first = worst->last = 0;
    worst->shared.count = 0;
    return worst;
}

/* The labels of the target beside those of the target before with this layout, which has as many.
 */
static void compare_labels(struct fast *fast, const struct fast_shared *old)
{
    const struct fast_shared *now = &fast->shared;
    struct fast_label *labels = fast->labels;
    for (uint32_t i = 0; i < now->count; i++) {
        size_t len = now->at[i + 1] - now->at[i];
        labels[i].displaced = now->at[i] - old->at[i];
        labels[i].is_same = old->at[i + 1] - old->at[i] == len &&
                            memcmp(old->wire + old->at[i], now->wire + now->at[i], len) == 0;
    }
    labels[now->count].displaced = now->at[now->count] - old->at[now->count];
}

/* The template of the series before may be gone soon; its parts are needed for a series more. */
static void keep_parts(struct fast *fast)
{
    struct fast_previous *previous = &fast->previous;
    if (!previous->valid || previous->template == NULL)
        return;
    memcpy(fast->parts, template_parts(previous->template, previous->line),
           template_line(previous->template, previous->line)->part_count * sizeof *fast->parts);
    previous->template = NULL;
}

static void compare_old(struct fast *fast)
{
    const struct fast_place *old = &fast->old;
    const struct block_view *block = fast->block;
    uint32_t count = fast->shared.count;
    compare_labels(fast, &old->shared);
    fast->leads_in = block->timestamps == NULL && old->ms == block->head.timestamp_ms &&
                     old->shared.at[count] == fast->shared.at[count];
}

/* The place's lines so far become the old ones. */
static void open_place(struct fast *fast, uint64_t key, uint32_t ring, uint32_t line_count)
{
    uint64_t group = fast->names_key ^ ring;
    struct fast_place *place = find_place(fast, key, group, fast->lines, line_count);
    fast->place = place;
    fast->old = (struct fast_place){0};
    fast->begun_at = fast->done = fast->shift = 0;
    fast->leads_in = fast->is_alike = false;
    fast->classes[0] = fast->classes[1] = 0;
    if (place == NULL)
        return;
    fast->old = *place;
    fast->is_alike = place->key == key && !place->has_gaps;
    if (place->shared.count == fast->shared.count && place->last > place->first)
        compare_old(fast);
    else
        fast->old.first = fast->old.last = 0;
    lines_room(&fast->spare, line_count);
    place->lines = fast->spare;
    fast->spare = fast->old.lines;
    place->key = key;
    place->group = group;
    place->begins_with = fast->lines[0];
    place->first = place->last = 0;
    place->has_gaps = false;
}

/* A layout with more lines is looked at in pieces, or each request would cost all of it. */
#define WHOLE_LINES_MAX 16384u

void fast_begin(struct fast *fast, const struct series_reader *series, uint32_t ring,
                const struct block_view *block, const uint32_t *lines, uint32_t line_count)
{
    bool has_layout = (block->head.flags & SHM_BLOCK_HAS_LAYOUT) != 0;
    uint32_t first = has_layout ? block->head.first_line : 0;
    uint64_t key = key_of_block(fast, ring, &block->head);
    bool is_part = has_layout && line_count > WHOLE_LINES_MAX;
    if (is_part) {
        lines += first;
        line_count = block->head.count;
        key = key == 0 ? 0 : hash64(&first, sizeof first, key);
        first = 0;
    }
    const struct template_request request = {.key = key,
                                             .group = fast->names_key ^ ring,
                                             .series = series,
                                             .lines = lines,
                                             .count = line_count,
                                             .is_part = is_part,
                                             .shared = fast->names,
                                             .shared_count = fast->shared.count};
    keep_parts(fast);
    fast->template = templates_get(&fast->templates, &request, fast->now_ns);
    fast->series = series;
    fast->lines = lines;
    fast->block = block;
    fast->first_line = first;
    open_place(fast, is_part ? 0 : key, ring, line_count);
}

static void keep_shared(struct fast_shared *to, const struct fast_shared *from)
{
    if (to->wire == NULL) {
        to->wire = malloc(FAST_WIRE_MAX + ELEMENTS_SLACK);
        check(to->wire != NULL);
    }
    to->count = from->count;
    memcpy(to->at, from->at, (from->count + 1) * sizeof *to->at);
    memcpy(to->wire, from->wire, from->at[from->count]);
}

void fast_end(struct fast *fast)
{
    struct fast_place *place = fast->place;
    if (place == NULL)
        return;
    memcpy(place->lines.refs + fast->begun_at, fast->lines + fast->begun_at,
           (fast->done - fast->begun_at) * sizeof *place->lines.refs);
    place->first = fast->begun_at;
    place->last = fast->done;
    place->ms = fast->block->timestamps == NULL ? fast->block->head.timestamp_ms : NO_MS;
    place->stamp = ++fast->stamp;
    keep_shared(&place->shared, &fast->shared);
}
