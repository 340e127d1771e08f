/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of encode_v2.h share: encode_v2.c adds items, encode_v2_replay.c replicas. */
#ifndef WRITER_ENCODE_V2_PRIVATE_H
#define WRITER_ENCODE_V2_PRIVATE_H

#include "base/hash.h"
#include "writer/encode_v2.h"

/* Tags and lengths around the refs and the item of a series; metadata; numbers of an item. */
enum { ENCODE_V2_SERIES_EXTRA_MAX = 128 };

enum {
    ENCODE_V2_REF_MAX = 5,             /* bytes of a ref */
    ENCODE_V2_SYMBOL_EXTRA_MAX = 1 + 5 /* tag and length */
};

/* Of a text, in the table of symbols. Targets choose the texts: without a seed that they do not
   know, all of them could have one place. */
static inline uint32_t encoder_v2_hash(struct slice text, uint64_t seed)
{
    return (uint32_t)hash64(text.ptr, text.len, seed);
}

/* Bytes that a symbol, and a label with its refs, take at most. */
static inline size_t encoder_v2_symbol_max(struct slice text)
{
    return text.len + ENCODE_V2_SYMBOL_EXTRA_MAX;
}

static inline size_t encoder_v2_label_max(struct slice name, struct slice value)
{
    return encoder_v2_symbol_max(name) + encoder_v2_symbol_max(value) +
           2 * (size_t)ENCODE_V2_REF_MAX;
}

/* The number of a text with this hash; 0: it is empty. One that is new becomes a symbol. */
uint32_t encoder_v2_symbol(struct encoder_v2 *encoder, struct slice text, uint32_t hash);

/* The number that a text of the layout has in the request. */
static inline uint32_t encoder_v2_layout_ref(struct encoder_v2 *encoder,
                                             const struct layout_v2 *layout, uint32_t number)
{
    uint32_t *ref = &layout->refs[number];
    if (*ref == 0 && number != 0)
        *ref =
            encoder_v2_symbol(encoder, layout_v2_text(layout, number), layout->texts[number].hash);
    return *ref;
}

/* A shared label, as symbols; one that no series had so far becomes symbols. */
struct replicas_label encoder_v2_shared(struct encoder_v2 *encoder,
                                        struct encode_shared_v2 *shared);

/* Bytes that may still be added, before compression. */
size_t encoder_v2_room_left(const struct encoder_v2 *encoder);

/* The metadata of a line, at most so many bytes; returns their end. */
enum { ENCODE_V2_METADATA_MAX = 2 + 3 * (1 + ENCODE_V2_REF_MAX) };
uint8_t *encoder_v2_put_metadata(struct encoder_v2 *encoder, uint8_t *at,
                                 const struct layout_v2 *layout, const struct layout_v2_line *line);

/* A line as it is in the request: how many bytes its own refs take, and its metadata. */
struct encode_v2_line {
    const struct layout_v2_label *labels;
    uint32_t count;
    uint32_t own;                                /* bytes of its own refs */
    uint16_t label_at[LAYOUT_V2_LABELS_MAX + 1]; /* of these, before each label; the last: all */
    uint8_t metadata_len;
    uint8_t metadata[2 * ENCODE_V2_METADATA_MAX]; /* more can be read */
};
void encoder_v2_look_at_line(struct encoder_v2 *encoder, const struct layout_v2 *layout, uint32_t i,
                             struct encode_v2_line *line);

/* So many of the shared labels stand before own label i; i == count: behind all own ones. */
static inline uint32_t encode_v2_shared_before(const struct encode_v2_line *line, uint32_t i,
                                               uint32_t shared_count)
{
    return i < line->count ? line->labels[i].shared : shared_count;
}

/* The shared labels of the target at hand, all of which its series have. */
void encoder_v2_take_labels(struct encoder_v2 *encoder, struct replicas_labels *labels);

/* How many of so many lines from `first` on the request has room for, and what they count for. */
uint32_t encoder_v2_fitting(const struct encoder_v2 *encoder, const struct layout_v2 *layout,
                            uint32_t first, uint32_t count, size_t plain_max, size_t *ret_plain);

/*
 * Appends the series of sample i to encoder->message; returns its bytes from the refs on. The first
 * one of its target puts its labels into encoder->labels.
 */
uint32_t encoder_v2_put_line(struct encoder_v2 *encoder, const struct layout_v2 *layout,
                             const struct encode_v2_block *block, uint32_t i, bool is_first);

/*
 * Add samples [from, to) of the block until the request is full, and return where they stopped;
 * at `from` if they cannot. `replay`: of lines that the place has, beside its series. `next`:
 * each beside the line before. plain_max: see encoder_v2_add_block.
 */
uint32_t encoder_v2_replay(struct encoder_v2 *encoder, const struct layout_v2 *layout,
                           const struct encode_v2_block *block, struct replicas_place *place,
                           uint32_t from, uint32_t to, size_t plain_max);
uint32_t encoder_v2_next(struct encoder_v2 *encoder, const struct layout_v2 *layout,
                         const struct encode_v2_block *block, struct replicas_place *place,
                         uint32_t from, uint32_t to, size_t plain_max);

/* The elements of all series so far, for somebody who writes more of them. */
struct elements *encoder_v2_elements(struct encoder_v2 *encoder);

#endif
