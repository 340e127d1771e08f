/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "writer/encode.h"

#include <stdlib.h>

#include <snappy-c.h>

#include "writer/pages.h"
#include "writer/wire.h"

enum {
    /* Tag and length of a series are guessed to take 3 bytes: right for 128 to 16383 bytes. */
    SERIES_HEAD_GUESS = 3,
    SERIES_HEAD_MAX = 1 + WIRE_VARINT_MAX,
    SAMPLE_MAX = 2 + 9 + 1 + WIRE_VARINT_MAX,
    LABEL_HEAD_MAX = 3 * (1 + WIRE_VARINT_MAX)
};

int encoder_init(struct encoder *encoder, size_t max_bytes)
{
    *encoder = (struct encoder){.raw_room = max_bytes,
                                .packed_room = 2 * snappy_max_compressed_length(max_bytes)};
    int err = pages_reserve(&encoder->raw, encoder->raw_room);
    if (err == 0)
        err = pages_reserve(&encoder->packed, encoder->packed_room);
    if (err != 0)
        encoder_fini(encoder);
    return err;
}

void encoder_fini(struct encoder *encoder)
{
    pages_release(encoder->raw, encoder->raw_room);
    pages_release(encoder->packed, encoder->packed_room);
    free(encoder->shared);
    free(encoder->wire);
    compressor_fini(&encoder->compressor);
    *encoder = (struct encoder){0};
}

size_t encoder_body_room(const struct encoder *encoder)
{
    return encoder->packed_room;
}

void encoder_start(struct encoder *encoder, uint8_t *out)
{
    encoder->out = out != NULL ? out : encoder->packed;
    encoder->raw_len = 0;
    encoder->samples = 0;
    elements_start(&encoder->elements, encoder->out);
    encoder->shared_count = 0;
    encoder->wire_len = 0;
}

static size_t label_size_max(const struct label *label)
{
    return label->name.len + label->value.len + LABEL_HEAD_MAX;
}

/* At most label_size_max() bytes. */
static uint8_t *put_label(uint8_t *at, const struct label *label)
{
    return wire_put_label(at, WIRE_V1_SERIES_LABEL, label->name, label->value);
}

/* Out of memory ends the process: the supervisor starts another, which goes on where this was. */
static void *grow(void *array, size_t size)
{
    void *grown = realloc(array, size);
    check(grown != NULL);
    return grown;
}

static struct encode_shared *add_shared(struct encoder *encoder, struct slice name)
{
    if (encoder->shared_count == encoder->shared_room) {
        encoder->shared_room = encoder->shared_room == 0 ? 32 : 2 * encoder->shared_room;
        encoder->shared = grow(encoder->shared, encoder->shared_room * sizeof *encoder->shared);
    }
    struct encode_shared *shared = &encoder->shared[encoder->shared_count++];
    *shared = (struct encode_shared){.name = name};
    return shared;
}

/* Appends the label's message to encoder->wire; an empty label has none. */
static void prepare_label(struct encoder *encoder, const struct label *label, uint32_t *ret_at,
                          uint32_t *ret_len)
{
    if (label->value.len == 0)
        return;
    size_t needed = encoder->wire_len + label_size_max(label);
    check(needed <= UINT32_MAX);
    if (needed > encoder->wire_room) {
        encoder->wire_room = 2 * needed;
        encoder->wire = grow(encoder->wire, encoder->wire_room);
    }
    uint8_t *start = encoder->wire + encoder->wire_len;
    size_t len = (size_t)(put_label(start, label) - start);
    *ret_at = (uint32_t)encoder->wire_len;
    *ret_len = (uint32_t)len;
    encoder->wire_len += len;
}

void encoder_set_target(struct encoder *encoder, const struct label *target, size_t target_count,
                        const struct label *external, size_t external_count)
{
    encoder->shared_count = 0;
    encoder->wire_len = 0;
    size_t t = 0;
    size_t e = 0;
    while (t < target_count || e < external_count) {
        int order = t == target_count     ? 1
                    : e == external_count ? -1
                                          : slice_compare(target[t].name, external[e].name);
        struct encode_shared *shared =
            add_shared(encoder, order <= 0 ? target[t].name : external[e].name);
        if (order >= 0) {
            prepare_label(encoder, &external[e], &shared->external_at, &shared->external_len);
            e++;
        }
        if (order <= 0) {
            prepare_label(encoder, &target[t], &shared->target_at, &shared->target_len);
            t++;
        }
    }
}

static uint8_t *put_external(const struct encoder *encoder, uint8_t *at,
                             const struct encode_shared *shared)
{
    return wire_put_bytes(at, encoder->wire + shared->external_at, shared->external_len);
}

static uint8_t *put_shared(const struct encoder *encoder, uint8_t *at,
                           const struct encode_shared *shared)
{
    if (shared->target_len == 0)
        return put_external(encoder, at, shared);
    return wire_put_bytes(at, encoder->wire + shared->target_at, shared->target_len);
}

/* The two sorted lists as one; where both have a name, the series' own label decides. */
static uint8_t *put_merged(const struct encoder *encoder, uint8_t *at, const struct label *labels,
                           size_t count)
{
    const struct encode_shared *shared = encoder->shared;
    const struct encode_shared *end = shared + encoder->shared_count;
    for (size_t i = 0; i < count; i++) {
        int order = 1;
        while (shared < end && (order = slice_compare(shared->name, labels[i].name)) < 0)
            at = put_shared(encoder, at, shared++);
        bool both = shared < end && order == 0;
        if (labels[i].value.len > 0)
            at = put_label(at, &labels[i]);
        else if (both)
            at = put_external(encoder, at, shared);
        if (both)
            shared++;
    }
    while (shared < end)
        at = put_shared(encoder, at, shared++);
    return at;
}

static uint8_t *put_sample(uint8_t *at, uint64_t bits, int64_t ms)
{
    *at++ = WIRE_V1_SERIES_SAMPLE;
    *at++ = (uint8_t)(1 + 8 + 1 + wire_varint_size((uint64_t)ms));
    *at++ = WIRE_V1_SAMPLE_VALUE;
    at = wire_put_fixed64(at, bits);
    *at++ = WIRE_V1_SAMPLE_MS;
    return wire_put_varint(at, (uint64_t)ms);
}

/* Puts tag and length before the series, which was written where they would end if 2 bytes hold the
   length; returns the size of all of it. */
static size_t close_series(uint8_t *start, size_t len)
{
    size_t head = 1 + wire_varint_size(len);
    if (head != SERIES_HEAD_GUESS)
        memmove(start + head, start + SERIES_HEAD_GUESS, len);
    *start = WIRE_V1_REQUEST_SERIES;
    (void)wire_put_varint(start + 1, len);
    return head + len;
}

/* For a series with these labels beside the shared ones, and so many bytes behind them. */
static bool has_room(const struct encoder *encoder, const struct label *labels, size_t count,
                     size_t rest)
{
    size_t size_max = SERIES_HEAD_MAX + encoder->wire_len + rest;
    for (size_t i = 0; i < count; i++)
        size_max += label_size_max(&labels[i]);
    return size_max <= encoder->raw_room - encoder_bytes(encoder);
}

int encoder_add(struct encoder *encoder, const struct label *labels, size_t count, uint64_t bits,
                int64_t ms)
{
    if (!has_room(encoder, labels, count, SAMPLE_MAX))
        return ERR_FULL;

    uint8_t *start = encoder->raw + encoder->raw_len;
    uint8_t *body = start + SERIES_HEAD_GUESS;
    uint8_t *end = put_sample(put_merged(encoder, body, labels, count), bits, ms);
    encoder->raw_len += close_series(start, (size_t)(end - body));
    encoder->samples++;
    check(encoder->raw_len <= encoder->raw_room);
    return 0;
}

int encoder_add_message(struct encoder *encoder, const struct label *labels, size_t count,
                        uint8_t tag, struct slice first, struct slice second)
{
    if (!has_room(encoder, labels, count, 1 + WIRE_VARINT_MAX + first.len + second.len))
        return ERR_FULL;

    uint8_t *start = encoder->raw + encoder->raw_len;
    uint8_t *body = start + SERIES_HEAD_GUESS;
    uint8_t *end = put_merged(encoder, body, labels, count);
    *end++ = tag;
    end = wire_put_varint(end, first.len + second.len);
    end = wire_put_bytes(end, first.ptr, first.len);
    end = wire_put_bytes(end, second.ptr, second.len);
    encoder->raw_len += close_series(start, (size_t)(end - body));
    encoder->samples++;
    return 0;
}

size_t encoder_samples(const struct encoder *encoder)
{
    return encoder->samples;
}

size_t encoder_bytes(const struct encoder *encoder)
{
    return encoder->elements.raw + encoder->raw_len;
}

size_t encoder_room(const struct encoder *encoder)
{
    return encoder->raw_room;
}

void encoder_count(struct encoder *encoder, size_t samples)
{
    encoder->samples += samples;
}

/* What a compressor makes refers to nothing before it, so it can stand anywhere in a block. */
static void compress(struct encoder *encoder)
{
    struct elements *elements = &encoder->elements;
    elements_settle(elements);
    size_t len = encoder->packed_room - (size_t)(elements->at - encoder->out);
    snappy_status status =
        snappy_compress((const char *)encoder->raw, encoder->raw_len, (char *)elements->at, &len);
    check(status == SNAPPY_OK);
    elements_append(elements, slice_make(elements->at, len), encoder->raw_len);
    encoder->raw_len = 0;
}

struct elements *encoder_elements(struct encoder *encoder)
{
    if (encoder->raw_len > 0)
        compress(encoder);
    return &encoder->elements;
}

struct slice encoder_finish(struct encoder *encoder)
{
    struct slice body = elements_finish(encoder_elements(encoder));
    check(body.len <= encoder->packed_room);
    return body;
}

struct slice encoder_finish_zstd(struct encoder *encoder)
{
    struct slice message = slice_make(encoder->raw, encoder->raw_len);
    check(encoder->elements.raw == 0 && compress_room(message.len) <= encoder->packed_room);
    return slice_make(encoder->out, compress_zstd(&encoder->compressor, message, encoder->out));
}
