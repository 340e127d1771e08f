/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "writer/encode_v2_private.h"

#include "shm/block.h"
#include "writer/encode_v2_tip.h"

/* ---- Labels ---- */

void encoder_v2_take_labels(struct encoder_v2 *encoder, struct replicas_labels *labels)
{
    uint8_t *at = labels->bytes;
    labels->count = (uint32_t)encoder->shared_count;
    for (uint32_t i = 0; i < labels->count; i++) {
        struct replicas_label label = encoder_v2_shared(encoder, &encoder->shared[i]);
        labels->all[i] = label;
        labels->at[i] = (uint16_t)(at - labels->bytes);
        if (label.value != 0)
            at = wire_put_varint(wire_put_varint(at, label.name), label.value);
    }
    labels->at[labels->count] = (uint16_t)(at - labels->bytes);
}

static inline uint8_t *put_ref(uint8_t *at, uint32_t ref)
{
    if (ref < 0x80) {
        *at = (uint8_t)ref;
        return at + 1;
    }
    return wire_put_varint(at, ref);
}

static inline uint8_t *put_shared(uint8_t *at, const struct replicas_labels *labels, uint32_t from,
                                  uint32_t to)
{
    size_t len = (size_t)labels->at[to] - labels->at[from];
    return wire_put_bytes(at, labels->bytes + labels->at[from], len);
}

/* Symbols are numbered as they come, own and shared ones: those of a target's first series. */
static void number_labels(struct encoder_v2 *encoder, const struct layout_v2 *layout,
                          const struct layout_v2_line *line, struct replicas_labels *labels)
{
    uint32_t shared = 0;
    for (uint32_t i = 0; i < line->label_count; i++) {
        const struct layout_v2_label *label = &layout->labels[line->labels + i];
        for (; shared < label->shared; shared++)
            (void)encoder_v2_shared(encoder, &encoder->shared[shared]);
        (void)encoder_v2_layout_ref(encoder, layout, label->name);
        (void)encoder_v2_layout_ref(encoder, layout, label->value);
    }
    encoder_v2_take_labels(encoder, labels);
}

/* ---- Series ---- */

static uint8_t *put_refs(struct encoder_v2 *encoder, uint8_t *at, const struct layout_v2 *layout,
                         const struct layout_v2_line *line)
{
    const struct replicas_labels *labels = &encoder->labels;
    const struct layout_v2_label *label = &layout->labels[line->labels];
    uint32_t shared = 0;
    for (uint32_t left = line->label_count; left > 0; left--, label++) {
        if (label->shared > shared)
            at = put_shared(at, labels, shared, label->shared);
        shared = label->shared;
        at = put_ref(at, encoder_v2_layout_ref(encoder, layout, label->name));
        at = put_ref(at, encoder_v2_layout_ref(encoder, layout, label->value));
    }
    return put_shared(at, labels, shared, labels->count);
}

uint8_t *encoder_v2_put_metadata(struct encoder_v2 *encoder, uint8_t *at,
                                 const struct layout_v2 *layout, const struct layout_v2_line *line)
{
    uint8_t *start = at + 2; /* behind tag and length, of one byte */
    uint8_t *end = start;
    if (line->type != 0) {
        *end++ = WIRE_V2_METADATA_TYPE;
        end = wire_put_varint(end, line->type);
    }
    if (line->help != 0) {
        *end++ = WIRE_V2_METADATA_HELP;
        end = put_ref(end, encoder_v2_layout_ref(encoder, layout, line->help));
    }
    if (line->unit != 0) {
        *end++ = WIRE_V2_METADATA_UNIT;
        end = put_ref(end, encoder_v2_layout_ref(encoder, layout, line->unit));
    }
    at[0] = WIRE_V2_SERIES_METADATA;
    at[1] = (uint8_t)(end - start);
    return end;
}

void encoder_v2_look_at_line(struct encoder_v2 *encoder, const struct layout_v2 *layout, uint32_t i,
                             struct encode_v2_line *line)
{
    const struct layout_v2_line *from = &layout->lines[i];
    line->labels = &layout->labels[from->labels];
    line->count = from->label_count;
    line->own = 0;
    for (uint32_t k = 0; k < line->count; k++) {
        line->label_at[k] = (uint16_t)line->own;
        line->own += tip_size(encoder_v2_layout_ref(encoder, layout, line->labels[k].name));
        line->own += tip_size(encoder_v2_layout_ref(encoder, layout, line->labels[k].value));
    }
    line->label_at[line->count] = (uint16_t)line->own;
    const uint8_t *end = encoder_v2_put_metadata(encoder, line->metadata, layout, from);
    line->metadata_len = (uint8_t)(end - line->metadata);
}

static uint8_t *put_sample(uint8_t *at, uint64_t bits, int64_t ms)
{
    *at++ = WIRE_V2_SERIES_SAMPLE;
    *at++ = (uint8_t)(1 + 8 + 1 + wire_varint_size((uint64_t)ms));
    *at++ = WIRE_V2_SAMPLE_VALUE;
    at = wire_put_fixed64(at, bits);
    *at++ = WIRE_V2_SAMPLE_MS;
    return wire_put_varint(at, (uint64_t)ms);
}

/* A tag, and the length of the bytes [body, end), which are moved to be behind it, from where they
   are right if that length takes one byte; returns their end. */
static uint8_t *put_head(uint8_t *start, uint8_t tag, uint8_t *end)
{
    uint8_t *body = start + 2;
    size_t len = (size_t)(end - body);
    size_t more = wire_varint_size(len) - 1;
    if (more > 0)
        memmove(body + more, body, len);
    start[0] = tag;
    (void)wire_put_varint(start + 1, len);
    return end + more;
}

uint32_t encoder_v2_put_line(struct encoder_v2 *encoder, const struct layout_v2 *layout,
                             const struct encode_v2_block *block, uint32_t i, bool is_first)
{
    const struct layout_v2_line *line = &layout->lines[i];
    uint64_t bits = block->bits != NULL ? block->bits[i] : SHM_STALE_BITS;
    if (is_first)
        number_labels(encoder, layout, line, &encoder->labels);
    uint8_t *start = encoder->message + encoder->series_len;
    uint8_t *labels = start + 2;
    uint8_t *refs = labels + 2;
    uint8_t *end = put_refs(encoder, refs, layout, line);
    size_t rest = (size_t)(end - refs);
    uint8_t *sample = put_head(labels, WIRE_V2_SERIES_LABELS, end);
    end = encoder_v2_put_metadata(encoder, put_sample(sample, bits, block->ms), layout, line);
    rest += (size_t)(end - sample);
    end = put_head(start, WIRE_V2_REQUEST_SERIES, end);
    encoder->series_len = (size_t)(end - encoder->message);
    return (uint32_t)rest;
}

uint32_t encoder_v2_fitting(const struct encoder_v2 *encoder, const struct layout_v2 *layout,
                            uint32_t first, uint32_t count, size_t plain_max, size_t *ret_plain)
{
    size_t plain = encoder->plain_bytes;
    size_t least = plain_max < encoder->room ? plain_max : encoder->room;
    uint32_t i = 0;
    *ret_plain = layout->plain_bytes + count * encoder->shared_size_max;
    if (count == layout->key.count && plain + *ret_plain < least)
        return count;
    for (; i < count && plain < plain_max; i++) {
        size_t size = layout->lines[first + i].plain_bytes + encoder->shared_size_max;
        if (size > encoder->room - plain)
            break;
        plain += size;
    }
    *ret_plain = plain - encoder->plain_bytes;
    return i;
}

/* Samples [from, to) of the block one by one, for the compressor; returns where they stopped. */
static uint32_t write_lines(struct encoder_v2 *encoder, const struct layout_v2 *layout,
                            const struct encode_v2_block *block, uint32_t from, uint32_t to,
                            size_t plain_max)
{
    size_t plain;
    uint32_t count = encoder_v2_fitting(encoder, layout, from, to - from, plain_max, &plain);
    for (uint32_t i = 0; i < count; i++)
        (void)encoder_v2_put_line(encoder, layout, block, from + i, i == 0);
    encoder->plain_bytes += plain;
    check(encoder_v2_bytes(encoder) <= encoder->room);
    return from + count;
}

/* ---- Blocks ---- */

/* The layout at hand, and its place in the request; NULL: its samples are to be added as items. */
static const struct layout_v2 *open_layout(struct encoder_v2 *encoder,
                                           struct encode_v2_block *block,
                                           struct replicas_place **ret_place)
{
    if (block->key.count > LAYOUT_V2_LINES_MAX || encoder->shared_count > LAYOUT_V2_SHARED_MAX)
        return NULL;
    block->key.shared_names = encoder->shared_names;
    block->source.shared = encoder->shared;
    block->source.shared_count = (uint32_t)encoder->shared_count;
    const struct layout_v2 *layout = layouts_v2_get(&encoder->layouts, &block->key, &block->source);
    if (!layout->is_good)
        return NULL;
    struct replicas_place *place = replicas_find(&encoder->replicas, &block->key);
    if (place == NULL)
        place = replicas_take(&encoder->replicas, &block->key);
    place->is_beside = false;
    *ret_place = place;
    return layout;
}

uint32_t encoder_v2_add_block(struct encoder_v2 *encoder, struct encode_v2_block *block,
                              size_t plain_max)
{
    struct replicas_place *place;
    const struct layout_v2 *layout = open_layout(encoder, block, &place);
    uint32_t at = block->first;
    while (layout != NULL && at < block->last) {
        uint32_t from = at;
        uint32_t to = block->last;
        size_t plain;
        if (encoder_v2_fitting(encoder, layout, at, 1, plain_max, &plain) == 0)
            break;
        if (at < place->first && place->last > place->first && to > place->first)
            to = place->first;
        else if (at >= place->first && at < place->last)
            at = encoder_v2_replay(encoder, layout, block, place, at,
                                   to < place->last ? to : place->last, plain_max);
        if (at == from)
            at = encoder_v2_next(encoder, layout, block, place, at, to, plain_max);
        if (at == from)
            at = write_lines(encoder, layout, block, at, to, plain_max);
    }
    return at;
}

void encoder_v2_note(struct encoder_v2 *encoder, const struct encode_v2_block *block, size_t start)
{
    struct replicas_place *place = replicas_find(&encoder->replicas, &block->key);
    uint32_t count = block->last - block->first;
    if (place == NULL)
        return;
    place->has_lines &=
        place->is_beside && place->first == block->first && place->last == block->last;
    place->first = block->first;
    place->last = block->last;
    place->ms = block->ms;
    place->start = start;
    place->labels = encoder->labels;
    replicas_room(place, count);
    if (block->bits != NULL)
        memcpy(place->bits, block->bits + block->first, count * sizeof *place->bits);
    for (uint32_t i = 0; block->bits == NULL && i < count; i++)
        place->bits[i] = SHM_STALE_BITS;
}
