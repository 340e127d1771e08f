/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Remote write 2.0 requests (io.prometheus.write.v2.Request), written by hand: each text stands
 * once in the request's table of symbols, and a series is numbers of symbols. Its rules are those
 * of 1.0 (encode.h): one TimeSeries for each item, labels in byte order of their names, no empty
 * values. Metadata of the family goes with each series.
 *
 * One encoder serves all shards; memory is reserved once and pages come as they are touched.
 *
 *     encoder_v2_start -> { encoder_v2_set_target -> encoder_v2_add ... } ... -> encoder_v2_finish
 */
#ifndef WRITER_ENCODE_V2_H
#define WRITER_ENCODE_V2_H

#include "shm/family.h"
#include "writer/elements.h"
#include "writer/item.h"
#include "writer/layout_v2.h"
#include "writer/replicas.h"

/* A text of the request; the table of them is open addressing. */
struct encode_symbol {
    uint32_t hash;
    uint32_t ref; /* 0: an empty place */
    uint32_t at;  /* where its bytes lie in encoder.symbols */
    uint32_t len;
};

/* A label that the series of a target have in common. Its texts become symbols when a series has
   them, so that a request's table depends on its items alone. */
struct encode_shared_v2 {
    struct slice name;
    struct slice target; /* values; empty: there is none */
    struct slice external;
    uint32_t name_ref; /* 0: not a symbol yet */
    uint32_t target_ref;
    uint32_t external_ref;
};

/* A label of a line that was learnt. */
struct encode_line_label {
    uint32_t name_ref;
    uint32_t value_ref; /* 0: empty */
    uint16_t before;    /* so many shared labels come before it */
    bool both;          /* the next shared label has this name */
};

/*
 * A line that is in the request already, by its number: what its labels are as symbols, how they
 * stand among shared labels of these names, and what is known of its family.
 */
struct encode_line {
    uint64_t key;   /* 0: an empty place */
    uint32_t first; /* of its labels */
    uint32_t count;
    uint64_t shared_names; /* for which `before` and `both` hold */
    uint32_t plain_bytes;
    uint32_t type;
    uint32_t help_ref;
    uint32_t unit_ref;
};

struct encoder_v2 {
    /* private */
    uint8_t *message; /* TimeSeries that are not in `elements` yet, with room for the symbols */
    size_t series_len;
    uint8_t *symbols; /* the fields of the symbols but the first, which is empty */
    size_t symbols_len;
    size_t room;     /* for both together */
    uint8_t *packed; /* the body, if nobody else has a place for it */
    size_t packed_room;
    uint8_t *out;             /* where it is written */
    size_t piece_room;        /* a third of what may be written there */
    struct elements elements; /* of series, behind the first */
    size_t replay_room;       /* that is left for elements of replicas */
    struct replicas replicas;
    struct replicas_labels
        labels; /* the shared ones of the target at hand, in encode_v2_replay.c */
    struct layouts_v2 layouts;
    uint64_t seed; /* of hashes of texts */
    struct encode_symbol *table;
    uint32_t table_mask;
    uint32_t symbol_count; /* with the empty one */
    struct encode_shared_v2 *shared;
    size_t shared_count;
    size_t shared_room;
    size_t shared_size_max;    /* that these labels may take */
    uint64_t shared_names;     /* a hash of them */
    struct encode_line *lines; /* open addressing */
    uint32_t line_mask;
    uint32_t line_count;
    struct encode_line_label *line_labels;
    uint32_t line_label_count;
    uint32_t line_label_room;
    uint8_t *refs; /* of the series in work, as bytes of the packed field */
    size_t refs_room;
    size_t plain_bytes;
};

/* Reserves buffers for messages of at most max_bytes before compression. -errno. */
int encoder_v2_init(struct encoder_v2 *encoder, size_t max_bytes) MUST_USE;
void encoder_v2_fini(struct encoder_v2 *encoder);

/* Bytes that a body has at most, with what may be left free before it. */
size_t encoder_v2_body_room(const struct encoder_v2 *encoder);

/* Begins an empty request, whose body is written into out[encoder_v2_body_room()], or somewhere in
   the encoder if that is NULL. */
void encoder_v2_start(struct encoder_v2 *encoder, uint8_t *out);

/* The labels that the following series have besides their own, as encoder_set_target says it; the
   texts must stay until the next call. */
void encoder_v2_set_target(struct encoder_v2 *encoder, const struct label *target,
                           size_t target_count, const struct label *external,
                           size_t external_count);

/*
 * Adds the item, with its series' labels and, if not NULL, its family's metadata. ERR_FULL: no
 * room, and nothing was added.
 */
int encoder_v2_add(struct encoder_v2 *encoder, const struct item *item,
                   const struct family *family) MUST_USE;

/*
 * Lines come again, for replicas: one that was added is learnt under a key (not 0) that stands for
 * its labels and its family, and the next item of it needs neither, if the target's labels have the
 * same names.
 */
void encoder_v2_learn(struct encoder_v2 *encoder, uint64_t key, const struct item *item,
                      const struct family *family);
bool encoder_v2_knows(const struct encoder_v2 *encoder, uint64_t key);
int encoder_v2_add_known(struct encoder_v2 *encoder, uint64_t key,
                         const struct item *item) MUST_USE;

/*
 * Blocks of targets that have one layout, all of one time. Samples [first, last) are added without
 * looking at labels: as elements, beside those of the target before with that layout or each beside
 * the line before. Returns where it stopped: the request is full, has plain_max of
 * encoder_v2_plain_bytes, or the rest has to be added item by item. A block all of whose samples
 * were added by this, after there were `start` bytes of series, is noted for the next one.
 */
struct encode_v2_block {
    struct layout_v2_key key;
    struct layout_v2_source source; /* shared labels are filled in here */
    uint32_t first;
    uint32_t last;
    int64_t ms;
    const uint64_t *bits; /* of the whole block; NULL: all are stale */
};
uint32_t encoder_v2_add_block(struct encoder_v2 *encoder, struct encode_v2_block *block,
                              size_t plain_max);
size_t encoder_v2_series_bytes(const struct encoder_v2 *encoder);
void encoder_v2_note(struct encoder_v2 *encoder, const struct encode_v2_block *block, size_t start);

/* Bytes (before compression) of the request so far; and at most so many the same items would have
   in remote write 1.0, which must have room for them when the receiver turns out not to know 2.0.
 */
size_t encoder_v2_plain_bytes(const struct encoder_v2 *encoder);
size_t encoder_v2_bytes(const struct encoder_v2 *encoder);

/* The compressed request body, borrowed until the next encoder_v2_start. */
struct slice encoder_v2_finish(struct encoder_v2 *encoder);

#endif
