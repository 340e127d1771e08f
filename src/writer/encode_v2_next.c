/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "writer/encode_v2_private.h"
#include "writer/encode_v2_tip.h"

#include "base/check.h"
#include "shm/block.h"

/* Writes the ops of a line, for which there is room. */
struct step_writer {
    struct replicas_step_op *ops;
    struct replicas_step_op *op; /* at hand, if there is one */
    uint32_t count;
    bool copies; /* it has something that is copied */
    uint8_t *bytes;
};

/* ---- Ops ---- */

static inline void new_op(struct step_writer *writer)
{
    writer->op = &writer->ops[writer->count++];
    *writer->op = (struct replicas_step_op){0};
    writer->copies = false;
}

static inline bool goes_on(const struct step_writer *writer, int32_t shift)
{
    return writer->copies && writer->op->shift == shift;
}

/* The op that copies with this shift. */
static inline struct replicas_step_op *copying_op(struct step_writer *writer, int32_t shift)
{
    if (goes_on(writer, shift))
        return writer->op;
    if (writer->count == 0 || writer->copies)
        new_op(writer);
    writer->op->shift = (int16_t)shift;
    writer->copies = true;
    return writer->op;
}

static inline void copy_own(struct step_writer *writer, int32_t shift, uint32_t len)
{
    struct replicas_step_op *op = copying_op(writer, shift);
    op->copy = (uint16_t)(op->copy + len);
}

/* Shared labels [from, to), at least one. */
static inline void copy_shared(struct step_writer *writer, int32_t shift, uint32_t from,
                               uint32_t to)
{
    struct replicas_step_op *op = copying_op(writer, shift);
    if (op->to == op->from)
        op->from = (uint8_t)from;
    op->to = (uint8_t)to;
}

static inline void put_literal(struct step_writer *writer, uint32_t ref)
{
    enum { LITERAL_MAX = 60 };
    if (writer->count == 0 || writer->copies ||
        writer->op->literal > LITERAL_MAX - ENCODE_V2_REF_MAX)
        new_op(writer);
    uint8_t *end = wire_put_varint(writer->bytes, ref);
    writer->op->literal = (uint8_t)(writer->op->literal + (end - writer->bytes));
    writer->bytes = end;
}

/* ---- Lines ---- */

/* Own bytes before this shared label. */
static uint32_t own_before(const struct encode_v2_line *line, uint32_t shared)
{
    uint32_t k = 0;
    while (k < line->count && line->labels[k].shared <= shared)
        k++;
    return line->label_at[k];
}

/* The label of that name, from label *at on, which moves behind it; false: there is none. */
static bool find_label(const struct encode_v2_line *line, uint32_t name, uint32_t *at)
{
    for (uint32_t k = *at; k < line->count; k++) {
        if (line->labels[k].name == name) {
            *at = k + 1;
            return true;
        }
    }
    return false;
}

/* The label is number k - 1 of the line before, if it has its name. */
static inline __attribute__((always_inline)) void
write_own(struct step_writer *writer, const uint32_t *refs, const struct encode_v2_line *now,
          const struct encode_v2_line *before, uint32_t i, bool is_there, uint32_t k)
{
    const struct layout_v2_label *label = &now->labels[i];
    uint32_t name = refs[label->name];
    uint32_t value = refs[label->value];
    int32_t shift = is_there ? (int32_t)now->label_at[i] - before->label_at[k - 1] : 0;
    if (is_there && before->labels[k - 1].value == label->value) {
        copy_own(writer, shift, tip_size(name) + tip_size(value));
        return;
    }
    if (is_there && goes_on(writer, shift))
        copy_own(writer, shift, tip_size(name));
    else
        put_literal(writer, name);
    put_literal(writer, value);
}

static void write_any(struct step_writer *writer, const uint32_t *refs,
                      const struct encode_v2_line *now, const struct encode_v2_line *before,
                      uint32_t shared_count)
{
    uint32_t shared = 0;
    uint32_t at = 0;
    for (uint32_t i = 0; i <= now->count; i++) {
        uint32_t end = encode_v2_shared_before(now, i, shared_count);
        uint32_t own = now->label_at[i];
        for (; shared < end; shared++)
            copy_shared(writer, (int32_t)own - (int32_t)own_before(before, shared), shared,
                        shared + 1);
        if (i == now->count)
            break;
        bool is_there = find_label(before, now->labels[i].name, &at);
        write_own(writer, refs, now, before, i, is_there, at);
    }
}

/* The same if the line before has labels of the same names. */
static void write_alike(struct step_writer *writer, const uint32_t *refs,
                        const struct encode_v2_line *now, const struct encode_v2_line *before,
                        uint32_t shared_count)
{
    uint32_t shared = 0;
    for (uint32_t i = 0; i < now->count; i++) {
        uint32_t end = now->labels[i].shared;
        if (end > shared)
            copy_shared(writer, (int32_t)now->label_at[i] - before->label_at[i], shared, end);
        shared = end;
        write_own(writer, refs, now, before, i, true, i + 1);
    }
    if (shared_count > shared)
        copy_shared(writer, (int32_t)now->own - (int32_t)before->own, shared, shared_count);
}

static bool are_alike(const struct encode_v2_line *a, const struct encode_v2_line *b)
{
    bool alike = a->count == b->count;
    for (uint32_t i = 0; alike && i < a->count; i++)
        alike = a->labels[i].name == b->labels[i].name;
    return alike;
}

/* How many bytes of the metadata are those of the line before. */
static uint32_t same_metadata(const struct encode_v2_line *now, const struct encode_v2_line *before)
{
    uint32_t least =
        now->metadata_len < before->metadata_len ? now->metadata_len : before->metadata_len;
    uint32_t same = 0;
    while (same < least) {
        uint64_t a;
        uint64_t b;
        memcpy(&a, now->metadata + same, sizeof a);
        memcpy(&b, before->metadata + same, sizeof b);
        if (a != b)
            same += tip_same_start(le64toh(a) ^ le64toh(b));
        if (a != b)
            break;
        same += (uint32_t)sizeof a;
    }
    return same < least ? same : least;
}

/* Labels of the same names, of which each takes as many bytes. */
static bool are_in_step(const struct encode_v2_line *a, const struct encode_v2_line *b)
{
    if (a->count != b->count || a->metadata_len != b->metadata_len)
        return false;
    for (uint32_t i = 0; i < a->count; i++) {
        if (a->labels[i].name != b->labels[i].name || a->label_at[i + 1] != b->label_at[i + 1])
            return false;
    }
    return true;
}

/* The same as write_alike for these, as nothing is shifted. */
static void write_in_step(struct step_writer *writer, const uint32_t *refs,
                          const struct encode_v2_line *now, const struct encode_v2_line *before,
                          uint32_t shared_count)
{
    struct replicas_step_op *op = writer->ops;
    uint8_t *bytes = writer->bytes;
    uint32_t shared = 0;
    *op = (struct replicas_step_op){0};
    for (uint32_t i = 0; i <= now->count; i++) {
        uint32_t end = encode_v2_shared_before(now, i, shared_count);
        if (end > shared) {
            op->from = op->to == op->from ? (uint8_t)shared : op->from;
            op->to = (uint8_t)end;
            shared = end;
        }
        if (i == now->count)
            break;
        const struct layout_v2_label *label = &now->labels[i];
        uint32_t size = (uint32_t)now->label_at[i + 1] - now->label_at[i];
        if (label->value == before->labels[i].value) {
            op->copy = (uint16_t)(op->copy + size);
            continue;
        }
        uint8_t *literal_end = wire_put_varint(bytes, refs[label->value]);
        uint32_t literal = (uint32_t)(literal_end - bytes);
        op->copy = (uint16_t)(op->copy + size - literal);
        *++op = (struct replicas_step_op){.literal = (uint8_t)literal};
        bytes = literal_end;
    }
    writer->count = (uint32_t)(op - writer->ops) + 1;
    writer->bytes = bytes;
}

static void make_step(struct replicas_place *place, const uint32_t *refs, uint32_t shared_count,
                      uint32_t i, const struct encode_v2_line *now,
                      const struct encode_v2_line *before)
{
    struct replicas_step *step = &place->steps[i];
    uint8_t *bytes = place->step_bytes + place->step_len;
    struct step_writer writer = {.ops = place->step_ops + place->step_op_count, .bytes = bytes};
    bool is_regular = are_in_step(now, before);
    if (is_regular)
        write_in_step(&writer, refs, now, before, shared_count);
    else if (are_alike(now, before))
        write_alike(&writer, refs, now, before, shared_count);
    else
        write_any(&writer, refs, now, before, shared_count);
    uint32_t same = same_metadata(now, before);
    bool is_same_length = now->own == before->own && now->metadata_len == before->metadata_len;
    memcpy(writer.bytes, now->metadata + same, ENCODE_V2_METADATA_MAX); /* or fewer */
    *step = (struct replicas_step){.ops = place->step_op_count,
                                   .bytes = place->step_len,
                                   .op_count = (uint16_t)writer.count,
                                   .own = (uint16_t)now->own,
                                   .shift = (int16_t)((int32_t)now->own - (int32_t)before->own),
                                   .metadata = now->metadata_len,
                                   .metadata_same = (uint8_t)same,
                                   .is_same_length = is_same_length,
                                   .is_regular = is_regular,
                                   .is_known = true};
    place->step_op_count += writer.count;
    place->step_len += (uint32_t)(writer.bytes - bytes) + now->metadata_len - same;
}

/* For the steps to lines [from, to). */
static void make_room(const struct layout_v2 *layout, struct replicas_place *place,
                      uint32_t shared_count, uint32_t from, uint32_t to)
{
    const struct layout_v2_line *first = &layout->lines[from];
    const struct layout_v2_line *last = &layout->lines[to - 1];
    uint32_t lines = to - from;
    uint32_t labels = last->labels + last->label_count - first->labels;
    replicas_step_room(place, 2 * labels + lines * (shared_count + 1),
                       2 * ENCODE_V2_REF_MAX * labels + lines * ENCODE_V2_METADATA_MAX);
}

/* Makes the steps to lines (from, to) that are not known; all of them are in the request then. */
static void make_steps(struct encoder_v2 *encoder, const struct layout_v2 *layout,
                       struct replicas_place *place, uint32_t from, uint32_t to)
{
    struct encode_v2_line lines[2];
    uint32_t looked_at = UINT32_MAX; /* the line in lines[i & 1] */
    if (place->stepped_from <= from && to <= place->stepped_to)
        return; /* that one to `from` is not needed, and may not be known */
    make_room(layout, place, (uint32_t)encoder->shared_count, from + 1, to);
    for (uint32_t i = from + 1; i < to; i++) {
        struct encode_v2_line *before = &lines[(i - 1) & 1];
        if (place->steps[i].is_known)
            continue;
        if (looked_at != i - 1)
            encoder_v2_look_at_line(encoder, layout, i - 1, before);
        encoder_v2_look_at_line(encoder, layout, i, &lines[i & 1]);
        make_step(place, layout->refs, (uint32_t)encoder->shared_count, i, &lines[i & 1], before);
        looked_at = i;
    }
    bool meets = from < place->stepped_to && to > place->stepped_from; /* by a line: see above */
    place->stepped_from = meets && place->stepped_from < from ? place->stepped_from : from;
    place->stepped_to = meets && place->stepped_to > to ? place->stepped_to : to;
}

/* ---- Writing ---- */

static void put_head(struct tip *tip, uint32_t refs, struct tip_lengths lengths)
{
    uint8_t head[2 * (1 + WIRE_VARINT_MAX)] = {WIRE_V2_REQUEST_SERIES};
    uint8_t *end = wire_put_varint(head + 1, 1 + tip_size(refs) + lengths.rest);
    *end++ = WIRE_V2_SERIES_LABELS;
    end = wire_put_varint(end, refs);
    tip_short_literal(tip, head, (uint32_t)(end - head));
}

/* The labels' refs; `back`: how far back those of the line before start. */
static inline void put_refs(struct tip *tip, const struct replicas_step_op *op, uint32_t count,
                            const uint8_t **bytes, const uint16_t *shared_at, uint32_t back)
{
    for (; count > 0; count--, op++) {
        uint32_t len = op->copy + (uint32_t)(shared_at[op->to] - shared_at[op->from]);
        if (op->literal > 0)
            tip_short_literal(tip, *bytes, op->literal);
        *bytes += op->literal;
        if (len > 0)
            tip_copy(tip, (uint32_t)((int32_t)back + op->shift), len);
    }
}

/* What lines have in common when they are written. */
struct steps {
    const struct replicas_place *place;
    const uint16_t *shared_at;
    uint32_t shared_len;
    uint32_t ms_size;
};

static inline uint8_t *put_short(uint8_t *at, const uint8_t *bytes, uint32_t len)
{
    *at = (uint8_t)((len - 1) << 2);
    memcpy(at + 1, bytes, 8);
    if (len > 8)
        memcpy(at + 9, bytes + 8, len - 8);
    return at + 1 + len;
}

/*
 * Lines from `first` on whose own refs are as many bytes as those of the line before, each of them:
 * all of it that is the same is as far back as that line is long. Returns where they end, at `to`
 * at the latest.
 */
static uint32_t put_regular(struct tip *tip, const struct steps *steps, const uint64_t *bits,
                            uint32_t first, uint32_t to, struct tip_lengths lengths)
{
    const struct replicas_step *step = &steps->place->steps[first];
    const struct replicas_step_op *ops = steps->place->step_ops;
    const uint8_t *step_bytes = steps->place->step_bytes;
    const uint16_t *shared_at = steps->shared_at;
    const uint32_t distance = lengths.head + lengths.rest;
    const uint32_t time_len = TIP_TIME_TAG + steps->ms_size;
    uint64_t old = bits != NULL ? bits[first - 1] : SHM_STALE_BITS;
    uint32_t i = first;
    tip_copy(tip, distance, 0);
    uint8_t *at = tip->at;
    uint32_t copied = tip->copied;
    for (; i < to && step->is_regular; i++, step++) {
        const struct replicas_step_op *op = &ops[step->ops];
        const struct replicas_step_op *end = op + step->op_count;
        const uint8_t *bytes = step_bytes + step->bytes;
        copied += lengths.head;
        for (; op < end; op++) {
            if (op->literal > 0) {
                if (copied > 0)
                    at = tip_put_copy(at, distance, copied);
                at = put_short(at, bytes, op->literal);
                bytes += op->literal;
                copied = 0;
            }
            copied += op->copy + (uint32_t)(shared_at[op->to] - shared_at[op->from]);
        }
        uint64_t value = bits != NULL ? bits[i] : SHM_STALE_BITS;
        uint64_t difference = value ^ old;
        copied += TIP_SAMPLE_HEAD;
        old = value;
        if (difference == 0) {
            copied += TIP_VALUE_LEN;
        } else {
            at = tip_put_copy(at, distance, copied + tip_same_start(difference));
            at = tip_put_value(at, value, difference);
            copied = tip_same_end(difference);
        }
        copied += time_len + step->metadata_same;
        if (step->metadata_same < step->metadata) {
            at = tip_put_copy(at, distance, copied);
            at = put_short(at, bytes, (uint32_t)(step->metadata - step->metadata_same));
            copied = 0;
        }
    }
    tip->at = at;
    tip->copied = copied;
    return i;
}

/* Any line; returns its lengths, those of the line before being `before`. */
static struct tip_lengths put_any(struct tip *tip, const struct steps *steps,
                                  const struct replicas_step *step, struct tip_lengths before,
                                  uint64_t bits, uint64_t old)
{
    const uint8_t *bytes = steps->place->step_bytes + step->bytes;
    struct tip_lengths lengths = before;
    if (step->is_same_length) {
        tip_copy(tip, lengths.head + lengths.rest, lengths.head);
    } else {
        uint32_t refs = step->own + steps->shared_len;
        lengths = tip_lengths(refs, steps->ms_size, step->metadata);
        put_head(tip, refs, lengths);
    }
    uint32_t back = before.rest + lengths.head;
    put_refs(tip, &steps->place->step_ops[step->ops], step->op_count, &bytes, steps->shared_at,
             back);
    uint32_t distance = (uint32_t)((int32_t)back + step->shift);
    tip_copy(tip, distance, TIP_SAMPLE_HEAD);
    tip_value(tip, distance, bits, old);
    tip_copy(tip, distance, TIP_TIME_TAG + steps->ms_size + step->metadata_same);
    if (step->metadata_same < step->metadata)
        tip_short_literal(tip, bytes, (uint32_t)(step->metadata - step->metadata_same));
    return lengths;
}

/* Lines (from, to) behind that one, which has these lengths; returns how many bytes they are. */
static size_t put_steps(struct elements *elements, const struct steps *steps,
                        const struct encode_v2_block *block, uint32_t from, uint32_t to,
                        struct tip_lengths lengths)
{
    struct tip tip = {.at = elements->at};
    const uint64_t *bits = block->bits;
    size_t written = 0;
    for (uint32_t i = from + 1; i < to;) {
        const struct replicas_step *step = &steps->place->steps[i];
        uint32_t end = i + 1;
        check(step->is_known);
        if (step->is_regular)
            end = put_regular(&tip, steps, bits, i, to, lengths);
        else
            lengths = put_any(&tip, steps, step, lengths, bits != NULL ? bits[i] : SHM_STALE_BITS,
                              bits != NULL ? bits[i - 1] : SHM_STALE_BITS);
        written += (size_t)(lengths.head + lengths.rest) * (end - i);
        i = end;
    }
    tip_close(&tip);
    elements->at = tip.at;
    return written;
}

/* A line that has none before it. */
static struct tip_lengths put_first(struct encoder_v2 *encoder, const struct layout_v2 *layout,
                                    const struct encode_v2_block *block, uint32_t i)
{
    struct elements *elements = encoder_v2_elements(encoder);
    uint32_t rest = encoder_v2_put_line(encoder, layout, block, i, true);
    uint32_t len = (uint32_t)encoder->series_len;
    elements_put(elements, encoder->message, len);
    elements_settle(elements);
    encoder->series_len = 0;
    return (struct tip_lengths){len - rest, rest};
}

uint32_t encoder_v2_next(struct encoder_v2 *encoder, const struct layout_v2 *layout,
                         const struct encode_v2_block *block, struct replicas_place *place,
                         uint32_t from, uint32_t to, size_t plain_max)
{
    size_t plain;
    uint32_t count = encoder_v2_fitting(encoder, layout, from, to - from, plain_max, &plain);
    /* The elements of a line are less than it counts for. */
    if (count < 2 || plain > encoder->replay_room)
        return from;
    encoder->replay_room -= plain;
    encoder->plain_bytes += plain;
    struct tip_lengths first = put_first(encoder, layout, block, from);
    make_steps(encoder, layout, place, from, from + count);
    const struct replicas_labels *labels = &encoder->labels;
    const struct steps steps = {.place = place,
                                .shared_at = labels->at,
                                .shared_len = labels->at[labels->count],
                                .ms_size = (uint32_t)wire_varint_size((uint64_t)block->ms)};
    struct elements *elements = &encoder->elements;
    elements->raw += put_steps(elements, &steps, block, from, from + count, first);
    return from + count;
}
