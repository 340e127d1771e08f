/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "writer/fast_private.h"
#include "writer/wire.h"

/* A series to be written. */
struct series {
    const struct template_line *line;
    uint32_t index; /* of the line */
    uint32_t head;  /* bytes before its labels */
    uint32_t sample;
    size_t len; /* without the head */
    uint64_t bits;
    int64_t ms;
    uint32_t ms_size;
    size_t old_at; /* where the line's labels start in the target before; 0: nowhere */
};

/* ---- The target before ---- */

/* Lines that were added or are missing shift the others. */
static bool shift_old(struct fast *fast, uint32_t line)
{
    uint32_t ref = fast->lines[line];
    uint32_t at = line + fast->shift;
    if (fast_is_at(&fast->old, at + 1, ref))
        fast->shift++;
    else if (fast_is_at(&fast->old, at - 1, ref))
        fast->shift--;
    else
        return false;
    return true;
}

/* Where the line's labels start in the target before; 0: it has no such line, or far back. */
static inline size_t find_old(struct fast *fast, uint32_t line, size_t raw)
{
    const struct fast_place *old = &fast->old;
    if (old->last == 0 ||
        (!fast_is_at(old, line + fast->shift, fast->lines[line]) && !shift_old(fast, line)))
        return 0;
    size_t at = old->lines.starts[line + fast->shift];
    return raw - at < FAST_OLD_DISTANCE_MAX ? at : 0;
}

/* Whether the end of the series before and a head stand before the old line's labels, too. */
static inline bool is_led_in(const struct fast *fast, const struct fast_previous *previous,
                             const struct series *series)
{
    const struct fast_place *old = &fast->old;
    uint32_t at = series->index + fast->shift;
    return fast->leads_in && previous->ms == series->ms &&
           previous->tail_len == 1 + series->ms_size && at > old->first &&
           old->lines.starts[at - 1] != FAST_NO_START;
}

/* ---- Between two series ---- */

void fast_pause(struct fast *fast, struct elements *elements)
{
    struct fast_previous *previous = &fast->previous;
    fast_write_tail(previous, elements);
    previous->valid = false;
    previous->tail_len = previous->tail_distance = 0;
}

/* The end of the series before, and the head of this one. */
static inline void write_head(const struct fast_previous *previous, struct elements *elements,
                              const struct series *series)
{
    fast_write_tail(previous, elements);
    if (previous->tail_distance > 0 && previous->total == series->head + series->len) {
        elements_copy(elements, previous->tail_distance, series->head);
        return;
    }
    uint8_t *bytes = elements_literal(elements, series->head);
    bytes[0] = WIRE_V1_REQUEST_SERIES;
    (void)wire_put_varint(bytes + 1, series->len);
}

/* ---- Labels of any series ---- */

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
        if (old_at > 0 && fast->labels[i].is_same)
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

/* Of a series that is not behind that of the line before. False: it cannot be written this way. */
static bool write_any(struct fast *fast, struct elements *elements, const struct series *series)
{
    const struct template_part *parts = template_parts(fast->template, series->index);
    bool copies_shared = fast->previous.valid && fast->previous.same_target;
    size_t old_at = series->old_at;
    uint32_t own = 0;
    uint32_t shared = 0;
    const uint8_t *own_bytes = fast->own;
    if (old_at == 0 && series->index == 0)
        own_bytes = template_segment(fast->template, 0)->literals + series->line->literals;
    else if (old_at == 0 && !read_own(fast, series->index))
        return false;
    write_head(&fast->previous, elements, series);
    for (uint32_t p = 0; p < series->line->part_count; p++) {
        const struct template_part *part = &parts[p];
        size_t len = part->own_end - own;
        if (len > 0 && old_at > 0)
            elements_copy(elements, elements->raw - old_at - own - fast->old.shared.at[shared],
                          len);
        else if (len > 0)
            elements_put_short(elements, own_bytes + own, len);
        own = part->own_end;
        if (copies_shared && part->shared_end > shared)
            copy_shared(fast, elements, shared, part->shared_end);
        else
            put_shared(fast, elements, shared, part->shared_end, old_at > 0 ? old_at + own : 0);
        shared = part->shared_end;
    }
    return true;
}

/* ---- Labels behind those of the line before ---- */

/* distance: between this series and the one before, but for own bytes. */
static inline void copy_before(const struct fast *fast, struct elements *elements,
                               const struct series *series, uint32_t distance)
{
    const struct template_segment *segment = template_segment(fast->template, series->index);
    const uint8_t *literals = segment->literals + series->line->literals;
    const struct template_op *op = segment->ops + series->line->ops;
    const uint32_t *shared_at = fast->shared.at;
    for (uint32_t left = series->line->op_count; left > 0; left--, op++) {
        uint32_t len = op->copy + shared_at[op->shared_end] - shared_at[op->shared];
        if (op->literal > 0)
            elements_put_short(elements, literals, op->literal);
        literals += op->literal;
        if (len > 0)
            elements_copy(elements, op->back + distance, len);
    }
}

/* The same from the line in the target before, which lies old_distance further back; labels that
 * the two targets do not have in common from the line before. */
static inline void copy_old(const struct fast *fast, struct elements *elements,
                            const struct series *series, uint32_t distance, uint32_t old_distance)
{
    const struct template_part *part = template_parts(fast->template, series->index);
    const uint32_t *shared_at = fast->shared.at;
    const struct fast_label *labels = fast->labels;
    uint32_t own = 0;
    uint32_t shared = 0;
    for (uint32_t left = series->line->part_count; left > 0; left--, part++) {
        if (part->own_end > own)
            elements_copy(elements, old_distance + labels[shared].displaced, part->own_end - own);
        own = part->own_end;
        for (; shared < part->shared_end; shared++) {
            const struct fast_label *label = &labels[shared];
            uint32_t old = old_distance + label->displaced;
            /* Where either would do, what goes on is shorter. */
            bool is_old = label->is_same && elements->copied > 0 && elements->distance == old;
            elements_copy(elements, is_old ? old : distance + part->back,
                          shared_at[shared + 1] - shared_at[shared]);
        }
    }
}

static inline void write_next(const struct fast *fast, const struct fast_previous *previous,
                              struct elements *elements, const struct series *series)
{
    uint32_t shared_len = fast->shared.at[fast->shared.count];
    uint32_t distance = shared_len + series->sample + series->head;
    if (series->old_at == 0) {
        write_head(previous, elements, series);
        copy_before(fast, elements, series, distance);
        return;
    }
    uint32_t lead = previous->tail_len + series->head;
    uint32_t old_distance = (uint32_t)(elements->raw + lead - series->old_at);
    if (is_led_in(fast, previous, series))
        elements_copy(elements, old_distance, lead);
    else
        write_head(previous, elements, series);
    copy_old(fast, elements, series, distance, old_distance);
}

/* ---- Samples ---- */

/* Bytes of the value that are the same as those of the value before: at its start, at its end. */
static inline uint32_t equal_at_start(uint64_t difference)
{
    return difference == 0 ? FAST_VALUE_LEN : (uint32_t)__builtin_ctzll(difference) / 8;
}

static inline uint32_t equal_at_end(uint64_t difference)
{
    return difference == 0 ? 0 : (uint32_t)__builtin_clzll(difference) / 8;
}

/* The sample up to where the tail begins; the series becomes the one before the next. */
static inline void write_sample(const struct fast *fast, struct fast_previous *previous,
                                struct elements *elements, const struct series *series)
{
    bool has_before = previous->valid && previous->ms_size == series->ms_size;
    bool same_ms = has_before && previous->ms == series->ms;
    uint64_t difference = series->bits ^ previous->bits;
    uint32_t start = has_before ? equal_at_start(difference) : 0;
    uint32_t end = same_ms && !fast->leads_in ? equal_at_end(difference) : 0;
    size_t sample_at = elements->raw;
    size_t distance = sample_at - previous->sample_at;
    bool goes_on = elements->copied > 0 && elements->distance == distance;
    if (has_before && (goes_on || start >= 2)) {
        elements_copy(elements, distance, FAST_SAMPLE_HEAD + start);
    } else {
        uint8_t *head = elements_literal(elements, FAST_SAMPLE_HEAD);
        head[0] = WIRE_V1_SERIES_SAMPLE;
        head[1] = (uint8_t)(series->sample - 2);
        head[2] = WIRE_V1_SAMPLE_VALUE;
        start = 0;
    }
    if (start + end > FAST_VALUE_LEN)
        end = FAST_VALUE_LEN - start;
    if (start + end < FAST_VALUE_LEN)
        (void)wire_put_fixed64(elements_literal(elements, FAST_VALUE_LEN - start - end),
                               series->bits >> (8 * start));
    size_t total = series->head + series->len;
    *previous = (struct fast_previous){.valid = true,
                                       .same_target = true,
                                       .template = fast->template,
                                       .line = series->index,
                                       .tail_len = end + 1 + series->ms_size,
                                       .tail_distance = same_ms ? (uint32_t)total : 0,
                                       .ms_size = series->ms_size,
                                       .labels_at = sample_at + series->sample - series->len,
                                       .sample_at = sample_at,
                                       .total = total,
                                       .bits = series->bits,
                                       .ms = series->ms};
}

/* ---- Series ---- */

static inline bool is_next(const struct fast *fast, const struct fast_previous *previous,
                           const struct series *series)
{
    return previous->valid && previous->same_target && previous->template == fast->template &&
           previous->line + 1 == series->index && previous->ms_size == series->ms_size;
}

static inline struct series series_of(const struct fast *fast, const struct fast_previous *previous,
                                      uint32_t at)
{
    const struct block_view *block = fast->block;
    uint32_t index = fast->first_line + at;
    struct series series = {.line = template_line(fast->template, index),
                            .index = index,
                            .bits = block->bits != NULL ? block->bits[at] : SHM_STALE_BITS,
                            .ms = block->timestamps != NULL ? block->timestamps[at]
                                                            : block->head.timestamp_ms};
    series.ms_size = previous->ms == series.ms ? previous->ms_size
                                               : (uint32_t)wire_varint_size((uint64_t)series.ms);
    series.sample = FAST_SAMPLE_HEAD + FAST_VALUE_LEN + 1 + series.ms_size;
    series.len = series.line->own_len + fast->shared.at[fast->shared.count] + series.sample;
    series.head = 1 + (uint32_t)wire_varint_size(series.len);
    return series;
}

/* A line was damaged between two looks: what lies where is not certain any more. */
static void forget_place(struct fast *fast)
{
    if (fast->place != NULL)
        fast->place->key = 0;
    fast->place = NULL;
}

/* False: it cannot be written this way. */
static bool add_series(struct fast *fast, struct elements *elements, struct series *series)
{
    struct fast_previous *previous = &fast->previous;
    series->old_at = find_old(fast, series->index, elements->raw);
    if (is_next(fast, previous, series)) {
        write_next(fast, previous, elements, series);
    } else if (!write_any(fast, elements, series)) {
        forget_place(fast);
        return false;
    }
    write_sample(fast, previous, elements, series);
    if (fast->place != NULL)
        fast->place->lines.starts[series->index] = (uint32_t)previous->labels_at;
    return true;
}

uint32_t fast_add(struct fast *fast, struct elements *elements, uint32_t from, uint32_t to,
                  size_t raw_max, size_t raw_room)
{
    if (fast->done == fast->begun_at)
        fast->begun_at = fast->done = fast->first_line + from;
    uint32_t at = from;
    while (at < to) {
        uint32_t played = fast_play(fast, elements, at, to, raw_max, raw_room);
        at += played;
        if (played > 0)
            continue;
        struct series series = series_of(fast, &fast->previous, at);
        /* What is still to be written of the series before, and all of this one. */
        size_t most = fast->previous.tail_len + series.head + series.len;
        if (series.line->part_count == 0 || elements->raw + fast_unwritten(fast) >= raw_max ||
            elements->raw + most > raw_room || !add_series(fast, elements, &series))
            break;
        at++;
    }
    for (uint32_t i = fast->done; fast->place != NULL && i < fast->first_line + from; i++) {
        fast->place->lines.starts[i] = FAST_NO_START; /* others were written in between */
        fast->place->has_gaps = true;
    }
    fast->done = fast->first_line + at;
    return at;
}
