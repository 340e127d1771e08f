/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "writer/fast.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/clock.h"
#include "writer/wire.h"

/* A larger layout's copies would reach too far back. */
#define PLACE_LINES_MAX 4096u

/* A copy from nearer takes 3 bytes, otherwise 5. */
#define NEAR 65536u

#define NO_START UINT32_MAX
#define NO_MS    INT64_MIN

/* "sample" tag, length, "double" tag. */
#define SAMPLE_HEAD 3u
#define VALUE_LEN   8u

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
    fast->tail_len = 0;
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
    if (key == 0 || line_count > PLACE_LINES_MAX)
        return NULL;
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

/* Which labels are the same, byte for byte, as those of the target before with this layout. */
static void compare_labels(struct fast *fast, const struct fast_place *old)
{
    const struct fast_shared *now = &fast->shared;
    for (uint32_t i = 0; i < now->count; i++) {
        size_t len = now->at[i + 1] - now->at[i];
        fast->same_label[i] =
            old->shared.count == now->count && old->shared.at[i + 1] - old->shared.at[i] == len &&
            memcmp(old->shared.wire + old->shared.at[i], now->wire + now->at[i], len) == 0;
    }
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

/* The place's lines so far become the old ones. */
static void open_place(struct fast *fast, uint64_t key, uint32_t ring, uint32_t line_count)
{
    uint64_t group = fast->names_key ^ ring;
    struct fast_place *place = find_place(fast, key, group, fast->lines, line_count);
    fast->place = place;
    fast->old = (struct fast_place){0};
    fast->begun_at = fast->done = fast->shift = 0;
    if (place == NULL)
        return;
    fast->old = *place;
    compare_labels(fast, &fast->old);
    lines_room(&fast->spare, line_count);
    place->lines = fast->spare;
    fast->spare = fast->old.lines;
    place->key = key;
    place->group = group;
    place->begins_with = fast->lines[0];
    place->first = place->last = 0;
}

void fast_begin(struct fast *fast, const struct series_reader *series, uint32_t ring,
                const struct block_view *block, const uint32_t *lines, uint32_t line_count)
{
    uint64_t key = key_of_block(fast, ring, &block->head);
    const struct template_request request = {.key = key,
                                             .group = fast->names_key ^ ring,
                                             .series = series,
                                             .lines = lines,
                                             .count = line_count,
                                             .shared = fast->names,
                                             .shared_count = fast->shared.count};
    bool has_layout = (block->head.flags & SHM_BLOCK_HAS_LAYOUT) != 0;
    keep_parts(fast);
    fast->template = templates_get(&fast->templates, &request, fast->now_ns);
    fast->series = series;
    fast->lines = lines;
    fast->block = block;
    fast->first_line = has_layout ? block->head.first_line : 0;
    open_place(fast, key, ring, line_count);
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

/* ---- Series ---- */

static bool is_at(const struct fast_place *old, uint32_t line, uint32_t ref)
{
    return line >= old->first && line < old->last && old->lines.refs[line] == ref &&
           old->lines.starts[line] != NO_START;
}

/* Where the line's labels start in the target before; 0: it has no such line. */
static size_t find_old(const struct fast *fast, uint32_t line)
{
    const struct fast_place *old = &fast->old;
    uint32_t at = line + fast->shift;
    return is_at(old, at, fast->lines[line]) ? old->lines.starts[at] : 0;
}

/* The same; lines that were added or are missing shift the others. */
static size_t search_old(struct fast *fast, uint32_t line)
{
    uint32_t ref = fast->lines[line];
    uint32_t at = line + fast->shift;
    if (is_at(&fast->old, at + 1, ref))
        fast->shift++;
    else if (is_at(&fast->old, at - 1, ref))
        fast->shift--;
    return find_old(fast, line);
}

static inline void write_tail(struct fast *fast, struct elements *elements)
{
    const struct fast_previous *previous = &fast->previous;
    if (fast->tail_len == 0)
        return;
    if (fast->tail_distance > 0) {
        elements_copy(elements, fast->tail_distance, fast->tail_len);
    } else {
        uint8_t bytes[1 + WIRE_VARINT_MAX];
        bytes[0] = WIRE_V1_SAMPLE_MS;
        const uint8_t *end = wire_put_varint(bytes + 1, (uint64_t)previous->ms);
        elements_put(elements, bytes, (size_t)(end - bytes));
    }
    fast->tail_len = 0;
}

void fast_pause(struct fast *fast, struct elements *elements)
{
    write_tail(fast, elements);
    fast->previous.valid = false;
}

/* Whether the end of the series before and a head stand before the old line's labels, too. */
static bool is_led_in(const struct fast *fast, uint32_t line, int64_t ms)
{
    const struct fast_place *old = &fast->old;
    uint32_t at = line + fast->shift;
    return fast->tail_len > 0 && !fast->tail_has_value && fast->previous.ms == ms &&
           old->ms == ms && at > old->first && old->lines.starts[at - 1] != NO_START &&
           fast->shared.at[fast->shared.count] == old->shared.at[old->shared.count];
}

/* The end of the series before, and the head of this one. old_at: of its labels, or 0. */
static void write_head(struct fast *fast, struct elements *elements, uint32_t line, size_t len,
                       size_t old_at, int64_t ms)
{
    size_t len_size = wire_varint_size(len);
    if (old_at > 0 && is_led_in(fast, line, ms)) {
        size_t head_at = elements->raw + fast->tail_len;
        elements_copy(elements, head_at - (old_at - 1 - len_size), fast->tail_len + 1 + len_size);
        fast->tail_len = 0;
        return;
    }
    size_t distance = fast->tail_len > 0 ? fast->tail_distance : 0;
    write_tail(fast, elements);
    if (distance > 0) {
        bool is_same = fast->previous.total == 1 + len_size + len;
        elements_copy(elements, distance, is_same ? 1 + len_size : 1);
        if (is_same)
            return;
    } else {
        *elements_literal(elements, 1) = WIRE_V1_REQUEST_SERIES;
    }
    (void)wire_put_varint(elements_literal(elements, len_size), len);
}

/* Own bytes of the line before this one, in the series before, and new ones. */
static void write_ops(const struct fast *fast, struct elements *elements,
                      const struct template_op *ops, uint32_t count, const uint8_t *literals)
{
    size_t before = fast->previous.labels_at;
    for (uint32_t i = 0; i < count; i++) {
        if (ops[i].literal > 0)
            elements_put_short(elements, literals, ops[i].literal);
        literals += ops[i].literal;
        if (ops[i].copy > 0)
            elements_copy(elements,
                          elements->raw - before - ops[i].from - fast->shared.at[ops[i].shared],
                          ops[i].copy);
    }
}

/* Shared labels [from, to), as they stand in the series before, whatever its parts are. */
static void copy_shared(const struct fast *fast, struct elements *elements, uint32_t from,
                        uint32_t to)
{
    const struct fast_previous *previous = &fast->previous;
    const struct template_part *part = fast->parts;
    if (previous->template != NULL)
        part = template_parts(previous->template, previous->line);
    while (part->shared_end <= from)
        part++;
    while (from < to) {
        uint32_t end = part->shared_end < to ? part->shared_end : to;
        size_t at = previous->labels_at + part->own_end + fast->shared.at[from];
        elements_copy(elements, elements->raw - at, fast->shared.at[end] - fast->shared.at[from]);
        from = end;
        part++;
    }
}

/* The first series of a target: labels that the target before has as well are taken from there. */
static void put_shared(const struct fast *fast, struct elements *elements, uint32_t from,
                       uint32_t to, size_t old_at)
{
    const struct fast_shared *shared = &fast->shared;
    for (uint32_t i = from; i < to; i++) {
        size_t len = shared->at[i + 1] - shared->at[i];
        if (old_at > 0 && fast->same_label[i])
            elements_copy(elements, elements->raw - old_at - fast->old.shared.at[i], len);
        else
            elements_put(elements, shared->wire + shared->at[i], len);
    }
}

/* All own bytes of a line, from its record. False: damaged since. */
static bool read_own(struct fast *fast, uint32_t line)
{
    struct series_record record;
    struct series_label label;
    if (!series_reader_record(fast->series, fast->lines[line], SHM_RECORD_LINE, 0, &record))
        return false;
    struct series_labels walk = series_reader_labels(&record);
    uint8_t *at = fast->own;
    size_t left = template_line(fast->template, line)->own_len;
    while (series_labels_next(&walk, &label) == 1) {
        size_t inner = wire_text_size(label.name.len) + wire_text_size(label.value.len);
        size_t len = 1 + wire_varint_size(inner) + inner;
        if (len > left)
            return false;
        at = wire_put_label(at, WIRE_V1_SERIES_LABEL, label.name, label.value);
        left -= len;
    }
    return left == 0;
}

/* Where own bytes can be taken from. */
struct own_source {
    bool is_next;  /* the series before is that of the line before */
    size_t old_at; /* where the line's labels start in the target before; 0: nowhere */
};

static void write_labels(struct fast *fast, struct elements *elements, uint32_t i,
                         struct own_source source)
{
    const struct template *template = fast->template;
    const struct template_segment *segment = template_segment(template, i);
    const struct template_line *line = template_line(template, i);
    const struct template_part *parts = segment->parts + line->parts;
    const struct template_op *ops = segment->ops + line->ops;
    const uint8_t *literals = segment->literals + line->literals;
    const uint32_t *shared_at = fast->shared.at;
    bool copies_shared = fast->previous.valid && fast->previous.same_target;
    bool has_shape = source.is_next && line->same_shape;
    const struct template_part *before = has_shape ? template_parts(template, i - 1) : NULL;
    uint32_t own = 0;
    uint32_t shared = 0;
    for (uint32_t p = 0; p < line->part_count; p++) {
        const struct template_part *part = &parts[p];
        size_t len = part->own_end - own;
        size_t old_distance =
            source.old_at > 0 ? elements->raw - source.old_at - own - fast->old.shared.at[shared]
                              : NEAR;
        bool is_cheap = source.is_next && part->is_cheap != 0;
        if (len > 0 && old_distance < NEAR && !is_cheap)
            elements_copy(elements, old_distance, len);
        else if (len > 0 && source.is_next)
            write_ops(fast, elements, ops, part->ops, literals);
        else if (len > 0)
            elements_put_short(elements, fast->own + own, len);
        literals += part->literals;
        ops += part->ops;
        size_t shared_len = shared_at[part->shared_end] - shared_at[shared];
        if (shared_len > 0 && has_shape)
            elements_copy(elements,
                          elements->raw - fast->previous.labels_at - before[p].own_end -
                              shared_at[shared],
                          shared_len);
        else if (shared_len > 0 && copies_shared)
            copy_shared(fast, elements, shared, part->shared_end);
        else if (shared_len > 0)
            put_shared(fast, elements, shared, part->shared_end,
                       source.old_at > 0 ? source.old_at + part->own_end : 0);
        own = part->own_end;
        shared = part->shared_end;
    }
}

/* Bytes of the value that are the same as those of the value before: at its start, at its end. */
static uint32_t equal_at_start(uint64_t difference)
{
    return difference == 0 ? VALUE_LEN : (uint32_t)__builtin_ctzll(difference) / 8;
}

static uint32_t equal_at_end(uint64_t difference)
{
    return difference == 0 ? 0 : (uint32_t)__builtin_clzll(difference) / 8;
}

/* The sample up to where the tail begins; sets up the tail. */
static void write_sample(struct fast *fast, struct elements *elements, uint64_t bits, int64_t ms,
                         size_t ms_size, size_t total, bool keeps_tail)
{
    const struct fast_previous *previous = &fast->previous;
    bool has_before = previous->valid && previous->ms_size == ms_size;
    bool same_ms = has_before && previous->ms == ms;
    uint64_t difference = bits ^ previous->bits;
    uint32_t start = has_before ? equal_at_start(difference) : 0;
    uint32_t end = same_ms && !keeps_tail ? equal_at_end(difference) : 0;
    size_t distance = elements->raw - previous->sample_at;
    bool goes_on = elements->copied > 0 && elements->distance == distance;
    if (has_before && (goes_on || start >= 2)) {
        elements_copy(elements, distance, SAMPLE_HEAD + start);
    } else {
        uint8_t *head = elements_literal(elements, SAMPLE_HEAD);
        head[0] = WIRE_V1_SERIES_SAMPLE;
        head[1] = (uint8_t)(1 + VALUE_LEN + 1 + ms_size);
        head[2] = WIRE_V1_SAMPLE_VALUE;
        start = 0;
    }
    if (start + end > VALUE_LEN)
        end = VALUE_LEN - start;
    if (start + end < VALUE_LEN)
        (void)wire_put_fixed64(elements_literal(elements, VALUE_LEN - start - end),
                               bits >> (8 * start));
    fast->tail_len = end + 1 + ms_size;
    fast->tail_has_value = end > 0;
    fast->tail_distance = same_ms ? total : 0;
}

/* False: it cannot be written this way. */
static bool write_series(struct fast *fast, struct elements *elements, uint32_t i, uint64_t bits,
                         int64_t ms)
{
    const struct template_line *line = template_line(fast->template, i);
    struct fast_previous *previous = &fast->previous;
    struct own_source source = {.is_next = previous->valid && previous->same_target && i > 0 &&
                                           previous->template == fast->template &&
                                           previous->line == i - 1,
                                .old_at = search_old(fast, i)};
    /* What lies far back is of no use. */
    if (source.old_at > 0 && elements->raw - source.old_at > NEAR / 2)
        source.old_at = 0;
    if (!source.is_next && source.old_at == 0 && !read_own(fast, i))
        return false;
    size_t ms_size = previous->ms == ms ? previous->ms_size : wire_varint_size((uint64_t)ms);
    size_t labels_len = line->own_len + fast->shared.at[fast->shared.count];
    size_t len = labels_len + SAMPLE_HEAD + VALUE_LEN + 1 + ms_size;
    write_head(fast, elements, i, len, source.old_at, ms);
    size_t labels_at = elements->raw;
    write_labels(fast, elements, i, source);
    size_t sample_at = elements->raw;
    size_t total = 1 + wire_varint_size(len) + len;
    bool keeps_tail =
        fast->old.ms == ms && i + 1 < fast->template->count && find_old(fast, i + 1) > 0;
    write_sample(fast, elements, bits, ms, ms_size, total, keeps_tail);
    *previous = (struct fast_previous){.valid = true,
                                       .same_target = true,
                                       .template = fast->template,
                                       .line = i,
                                       .labels_at = labels_at,
                                       .sample_at = sample_at,
                                       .total = total,
                                       .bits = bits,
                                       .ms = ms,
                                       .ms_size = ms_size};
    if (fast->place != NULL)
        fast->place->lines.starts[i] = (uint32_t)labels_at;
    return true;
}

/* A line was damaged between two looks: what lies where is not certain any more. */
static void forget_place(struct fast *fast)
{
    if (fast->place != NULL)
        fast->place->key = 0;
    fast->place = NULL;
}

uint32_t fast_add(struct fast *fast, struct elements *elements, uint32_t from, uint32_t to,
                  size_t raw_max, size_t raw_room)
{
    const struct block_view *block = fast->block;
    const struct template *template = fast->template;
    struct elements out = *elements; /* nobody else has its address, so it lives in registers */
    size_t shared_len = fast->shared.at[fast->shared.count];
    if (fast->done == fast->begun_at)
        fast->begun_at = fast->done = fast->first_line + from;
    uint32_t at = from;
    for (; at < to; at++) {
        uint32_t i = fast->first_line + at;
        const struct template_line *line = template_line(template, i);
        /* What is still to be written of the series before, and all of this one. */
        size_t most = 2 * (WIRE_VARINT_MAX + 1) + line->own_len + shared_len + SAMPLE_HEAD +
                      VALUE_LEN + 2 * (WIRE_VARINT_MAX + 1);
        if (line->part_count == 0 || out.raw >= raw_max || out.raw + most > raw_room)
            break;
        int64_t ms = block->timestamps != NULL ? block->timestamps[at] : block->head.timestamp_ms;
        uint64_t bits = block->bits != NULL ? block->bits[at] : SHM_STALE_BITS;
        if (!write_series(fast, &out, i, bits, ms)) {
            forget_place(fast);
            break;
        }
    }
    for (uint32_t i = fast->done; fast->place != NULL && i < fast->first_line + from; i++)
        fast->place->lines.starts[i] = NO_START; /* others were written in between */
    fast->done = fast->first_line + at;
    *elements = out;
    return at;
}
