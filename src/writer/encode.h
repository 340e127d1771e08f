/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Remote write 1.0 requests (prometheus.WriteRequest), written by hand: one TimeSeries for each
 * sample, labels in byte order of their names, no empty values, doubles as bit patterns; then
 * compressed as one snappy block or one zstd frame.
 *
 * One encoder serves all shards of the process, since a request is built in one go: its buffers are
 * reserved once and pages come as they are touched. The body is written where it shall stay, or
 * into a buffer of the encoder's; then what encoder_finish returns is borrowed until the next
 * encoder_start.
 *
 *     encoder_start -> { encoder_set_target -> encoder_add ... } ... -> encoder_finish
 */
#ifndef WRITER_ENCODE_H
#define WRITER_ENCODE_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"
#include "labels/label_set.h"
#include "writer/compress.h"
#include "writer/elements.h"

/* A label that the series of a target have in common; the texts are owned by the caller. */
struct encode_shared {
    struct slice name;
    uint32_t target_at;   /* where the finished label message lies in encoder.wire */
    uint32_t target_len;  /* 0: the target has no such label */
    uint32_t external_at; /* the same for the external label */
    uint32_t external_len;
};

struct encoder {
    /* private */
    uint8_t *raw; /* the message, but for what is in `elements` already */
    size_t raw_len;
    size_t raw_room;
    uint8_t *packed; /* the snappy block or zstd frame, if nobody else has a place for it */
    size_t packed_room;
    uint8_t *out;                 /* where it is written */
    struct elements elements;     /* in out */
    struct encode_shared *shared; /* sorted by name */
    size_t shared_count;
    size_t shared_room;
    uint8_t *wire; /* label messages of `shared` */
    size_t wire_len;
    size_t wire_room;
    size_t samples;
    struct compressor compressor;
};

/* Reserves buffers for messages of at most max_bytes before compression. -errno. */
int encoder_init(struct encoder *encoder, size_t max_bytes) MUST_USE;
void encoder_fini(struct encoder *encoder);

/* Bytes that a body has at most, and what may be touched behind them. */
size_t encoder_body_room(const struct encoder *encoder);

/* Begins an empty request, whose body is written to out[encoder_body_room()], or somewhere in the
   encoder if that is NULL. */
void encoder_start(struct encoder *encoder, uint8_t *out);

/*
 * The labels that the following series have besides their own: those of the target, and external
 * ones where neither the series nor the target has that name. Both lists sorted by name; the names
 * must stay where they are until the next call.
 */
void encoder_set_target(struct encoder *encoder, const struct label *target, size_t target_count,
                        const struct label *external, size_t external_count);

/*
 * One sample of the series with these labels (sorted by name; `bits` is the double's pattern,
 * `ms` Unix milliseconds). A label wins over the target's label of that name; an empty one removes
 * it (honor_labels with an empty exposed label). ERR_FULL: no room, and nothing was added.
 */
int encoder_add(struct encoder *encoder, const struct label *labels, size_t count, uint64_t bits,
                int64_t ms) MUST_USE;

/*
 * The same with an embedded message instead of a sample: a field of this tag, whose bytes are
 * those of `first` and then of `second`.
 */
int encoder_add_message(struct encoder *encoder, const struct label *labels, size_t count,
                        uint8_t tag, struct slice first, struct slice second) MUST_USE;

/* Items and bytes (before compression) in the request so far. */
size_t encoder_samples(const struct encoder *encoder);
size_t encoder_bytes(const struct encoder *encoder);

/*
 * For somebody who writes the next part of the message as elements of the snappy block, so that
 * encoder_bytes() is at most encoder_room(); and how many series that were.
 */
struct elements *encoder_elements(struct encoder *encoder);
void encoder_count(struct encoder *encoder, size_t samples);
size_t encoder_room(const struct encoder *encoder);

/* The compressed request body. */
struct slice encoder_finish(struct encoder *encoder);

/* The same as a zstd frame; nobody may have asked for the elements of a snappy block. */
struct slice encoder_finish_zstd(struct encoder *encoder);

#endif
