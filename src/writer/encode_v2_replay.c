/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "writer/encode_v2_private.h"
#include "writer/encode_v2_tip.h"

#include "shm/block.h"

/* Elements of a series, of each of its ops, and besides. */
enum { SERIES_ELEMENTS_MAX = 64, OP_ELEMENTS_MAX = 24, PIECE_ELEMENTS_MAX = 1024 };

/* ---- What the lines of a place are made of ---- */

struct measure {
    struct encoder_v2 *encoder;
    const struct layout_v2 *layout;
    struct replicas_place *place;
    uint16_t own_before[2][LAYOUT_V2_SHARED_MAX]; /* own bytes before each shared label: of the line
                                                     at hand, and of the one before */
    uint32_t i;                                   /* of the line at hand */
    uint32_t done; /* where the last run ended, own and shared bytes */
};

/* Shared labels [from, to), at least one, stand together in the line, behind so many own bytes;
   those of them that may differ are a run. */
static void add_run(struct measure *measure, struct replicas_line *line, uint32_t own,
                    uint32_t from, uint32_t to)
{
    struct replicas_place *place = measure->place;
    const uint16_t *at = place->labels.at;
    uint16_t *own_before = measure->own_before[measure->i & 1];
    const uint16_t *old_before = measure->own_before[~measure->i & 1];
    for (uint32_t i = from; i < to; i++)
        own_before[i] = (uint16_t)own;
    uint64_t behind = to == 64 ? 0 : UINT64_MAX << to;
    uint64_t run = place->differ & UINT64_MAX << from & ~behind;
    if (run == 0)
        return;
    uint32_t first = (uint32_t)__builtin_ctzll(run);
    uint32_t end = 64 - (uint32_t)__builtin_clzll(run);
    uint32_t len = (uint32_t)(at[end] - at[first]);
    if (len == 0)
        return;
    struct replicas_op *op = replicas_op(place);
    *op = (struct replicas_op){.old = (uint16_t)(own + at[first] - measure->done),
                               .start = at[first],
                               .len = (uint16_t)len,
                               .shift = (int16_t)((int32_t)own - old_before[first]),
                               .is_literal =
                                   measure->i == 0 || old_before[first] != old_before[end - 1]};
    measure->done = own + at[end];
    line->ops++;
    line->literals = (uint16_t)(line->literals + (op->is_literal ? len : 0));
}

static void measure_line(struct measure *measure, struct replicas_line *line)
{
    const struct replicas_place *place = measure->place;
    struct encode_v2_line from;
    uint32_t shared = 0;
    encoder_v2_look_at_line(measure->encoder, measure->layout, place->first + measure->i, &from);
    measure->done = 0;
    *line = (struct replicas_line){0};
    for (uint32_t i = 0; i <= from.count; i++) {
        uint32_t end = encode_v2_shared_before(&from, i, place->labels.count);
        if (end > shared)
            add_run(measure, line, from.label_at[i], shared, end);
        shared = end;
    }
    uint32_t refs = from.own + place->labels.at[place->labels.count];
    line->own = (uint16_t)from.own;
    line->metadata = from.metadata_len;
    line->after = (uint16_t)(refs - measure->done + TIP_SAMPLE_HEAD);
    struct tip_lengths lengths =
        tip_lengths(refs, (uint32_t)wire_varint_size((uint64_t)place->ms), line->metadata);
    line->head = (uint16_t)lengths.head;
    line->rest = (uint16_t)lengths.rest;
}

static void add_sums(struct replicas_sums *sums, const struct replicas_line *line,
                     const struct layout_v2_line *from)
{
    uint32_t total = (uint32_t)line->head + line->rest;
    sums->bytes += total;
    sums->plain += from->plain_bytes;
    sums->elements +=
        SERIES_ELEMENTS_MAX + total / 8 + line->literals + line->ops * (size_t)OP_ELEMENTS_MAX;
}

/* Runs are where labels differ from those of the place. */
static void measure_lines(struct encoder_v2 *encoder, const struct layout_v2 *layout,
                          struct replicas_place *place, uint64_t differ)
{
    struct measure measure = {.encoder = encoder, .layout = layout, .place = place};
    uint32_t count = place->last - place->first;
    place->differ = differ;
    place->op_count = 0;
    place->sums = (struct replicas_sums){0};
    for (; measure.i < count; measure.i++) {
        struct replicas_line *line = &place->lines[measure.i];
        measure_line(&measure, line);
        add_sums(&place->sums, line, &layout->lines[place->first + measure.i]);
    }
    place->has_lines = true;
}

static uint64_t differing(const struct replicas_labels *a, const struct replicas_labels *b)
{
    uint64_t differ = 0;
    for (uint32_t i = 0; i < a->count; i++) {
        if (a->all[i].name != b->all[i].name || a->all[i].value != b->all[i].value)
            differ |= UINT64_C(1) << i;
    }
    return differ;
}

/* ---- Writing ---- */

/* A target's lines beside those of the place. */
struct replay {
    const struct replicas_place *place;
    const struct replicas_labels *labels;
    const struct encode_v2_block *block;
    uint32_t ms_size;
    bool is_other_time;
    uint32_t first; /* of the place's lines */
    uint32_t end;
};

/* Copies from the target before; is_far: `distance` is at least 2048. */
static inline __attribute__((always_inline)) uint8_t *put_old(uint8_t *at, uint32_t distance,
                                                              uint32_t len, bool is_far)
{
    if (!is_far)
        return len == 0 ? at : tip_put_copy(at, distance, len);
    for (; len > 64; len -= 64)
        at = elements_wide_copy(at, distance, 64);
    uint8_t *end = elements_wide_copy(at, distance, len);
    return len == 0 ? at : end;
}

static inline __attribute__((always_inline)) uint8_t *put_run(uint8_t *at,
                                                              const struct replicas_labels *labels,
                                                              const struct replicas_op *op,
                                                              uint32_t back)
{
    if (back != 0 && !op->is_literal)
        return tip_put_copy(at, (uint32_t)((int32_t)back + op->shift), op->len);
    struct tip tip = {.at = at};
    tip_literal(&tip, labels->bytes + op->start, op->len);
    return tip.at;
}

/* The time is that of the series before, whose time stands `back` bytes back; 0: there is none. */
static inline uint8_t *put_time(uint8_t *at, const struct replay *replay, uint32_t back)
{
    uint8_t time[WIRE_VARINT_MAX];
    if (back > 0)
        return tip_put_copy(at, back, replay->ms_size);
    (void)wire_put_varint(time, (uint64_t)replay->block->ms);
    struct tip tip = {.at = at};
    tip_literal(&tip, time, replay->ms_size);
    return tip.at;
}

/* `distance`: to the target before; `op`: of the first line. Returns the end of the elements. */
static inline __attribute__((always_inline)) uint8_t *put_lines(uint8_t *at,
                                                                const struct replay *replay,
                                                                const struct replicas_op *op,
                                                                uint32_t distance, bool is_far)
{
    const struct replicas_line *line = &replay->place->lines[replay->first];
    const struct replicas_labels *labels = replay->labels;
    const uint64_t *bits = replay->block->bits;
    const uint64_t *old_bits = &replay->place->bits[replay->first];
    const bool is_other_time = replay->is_other_time;
    const uint32_t time_len = TIP_TIME_TAG + replay->ms_size;
    const uint32_t count = replay->end - replay->first;
    uint32_t copied = 0; /* still to be written of a copy from the target before */
    uint32_t rest_before = 0;
    if (bits != NULL)
        bits += replay->place->first + replay->first;
    for (uint32_t i = 0; i < count; i++, line++) {
        uint32_t back = i == 0 ? 0 : rest_before + line->head;
        rest_before = line->rest;
        copied += line->head;
        for (uint32_t left = line->ops; left > 0; left--, op++) {
            at = put_old(at, distance, copied + op->old, is_far);
            at = put_run(at, labels, op, back);
            copied = 0;
        }
        copied += line->after;
        uint64_t value = bits != NULL ? bits[i] : SHM_STALE_BITS;
        uint64_t difference = value ^ old_bits[i];
        if (difference == 0) {
            copied += TIP_VALUE_LEN;
        } else {
            at = put_old(at, distance, copied + tip_same_start(difference), is_far);
            at = tip_put_value(at, value, difference);
            copied = tip_same_end(difference);
        }
        if (is_other_time) {
            at = put_old(at, distance, copied + TIP_TIME_TAG, is_far);
            at = put_time(at, replay, i == 0 ? 0 : back + line->own - line[-1].own);
            copied = line->metadata;
        } else {
            copied += time_len + line->metadata;
        }
    }
    return put_old(at, distance, copied, is_far);
}

/* How many of the place's lines [from, to) the request has room for, and what they are together. */
static uint32_t count_fitting(const struct encoder_v2 *encoder, const struct layout_v2 *layout,
                              const struct replay *replay, size_t plain_max,
                              struct replicas_sums *ret_sums)
{
    const struct replicas_place *place = replay->place;
    uint32_t count = replay->end - replay->first;
    if (count == place->last - place->first) {
        size_t plain = place->sums.plain + encoder->shared_size_max * count;
        size_t least = plain_max < encoder->room ? plain_max : encoder->room;
        *ret_sums = place->sums;
        ret_sums->plain = plain;
        if (encoder->plain_bytes + plain < least)
            return count;
    }
    *ret_sums = (struct replicas_sums){0};
    uint32_t fitting = encoder_v2_fitting(encoder, layout, place->first + replay->first, count,
                                          plain_max, &ret_sums->plain);
    size_t plain = ret_sums->plain;
    for (uint32_t i = replay->first; i < replay->first + fitting; i++)
        add_sums(ret_sums, &place->lines[i], &layout->lines[place->first + i]);
    ret_sums->plain = plain;
    return fitting;
}

/* False: the series are not in step with the place's, or too far from them. */
static bool open_place(struct encoder_v2 *encoder, const struct layout_v2 *layout,
                       struct replicas_place *place, const struct encode_v2_block *block)
{
    const struct replicas_labels *labels = &encoder->labels;
    size_t distance = encoder_v2_series_bytes(encoder) - place->start;
    if (distance > UINT16_MAX ||
        wire_varint_size((uint64_t)block->ms) != wire_varint_size((uint64_t)place->ms))
        return false;
    encoder_v2_take_labels(encoder, &encoder->labels);
    if (memcmp(labels->at, place->labels.at, (labels->count + 1) * sizeof *labels->at) != 0)
        return false;
    uint64_t differ = differing(labels, &place->labels);
    if (!place->has_lines)
        measure_lines(encoder, layout, place, differ);
    else if ((differ & ~place->differ) != 0)
        measure_lines(encoder, layout, place, differ | place->differ);
    return true;
}

uint32_t encoder_v2_replay(struct encoder_v2 *encoder, const struct layout_v2 *layout,
                           const struct encode_v2_block *block, struct replicas_place *place,
                           uint32_t from, uint32_t to, size_t plain_max)
{
    struct replicas_sums sums;
    if (!open_place(encoder, layout, place, block))
        return from;
    struct replay replay = {.place = place,
                            .labels = &encoder->labels,
                            .block = block,
                            .ms_size = (uint32_t)wire_varint_size((uint64_t)block->ms),
                            .is_other_time = block->ms != place->ms,
                            .first = from - place->first,
                            .end = to - place->first};
    replay.end = replay.first + count_fitting(encoder, layout, &replay, plain_max, &sums);
    sums.elements += PIECE_ELEMENTS_MAX;
    if (replay.end == replay.first || sums.elements > encoder->replay_room)
        return from;
    encoder->replay_room -= sums.elements;
    encoder->plain_bytes += sums.plain;
    size_t passed = 0;
    uint32_t ops = 0;
    for (uint32_t i = 0; i < replay.first; i++) {
        passed += (size_t)place->lines[i].head + place->lines[i].rest;
        ops += place->lines[i].ops;
    }
    struct elements *elements = encoder_v2_elements(encoder);
    elements_settle(elements);
    uint32_t distance = (uint32_t)(elements->raw - place->start - passed);
    const struct replicas_op *op = ops > 0 ? place->ops + ops : place->ops; /* or NULL: none */
    if (distance >= ELEMENTS_WIDE)
        elements->at = put_lines(elements->at, &replay, op, distance, true);
    else
        elements->at = put_lines(elements->at, &replay, op, distance, false);
    elements->raw += sums.bytes;
    place->is_beside = block->first == place->first && from == place->first &&
                       block->last == place->last && place->first + replay.end == place->last;
    return place->first + replay.end;
}
