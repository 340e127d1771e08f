/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From ranges of the rings to a request body: follows the refs of each block into the series
 * tables, puts labels together and hands items (samples, histograms, exemplars) to the encoder.
 * What is damaged is left out and counted, never guessed.
 */
#ifndef WRITER_BUILD_H
#define WRITER_BUILD_H

#include "base/arena.h"
#include "base/slice.h"
#include "config/config.h"
#include "labels/relabel.h"
#include "shm/delivery.h"
#include "writer/encode_v2.h"
#include "writer/fast.h"
#include "writer/scan.h"

/* A series with more labels than this is left out. */
enum { BUILD_LABELS_MAX = 1024 };

/* One for the process: shards build one after another. */
struct builder {
    struct encoder encoder;
    struct encoder_v2 encoder_v2;
    const struct label *external; /* sorted by name; borrowed */
    size_t external_count;
    size_t batch_bytes; /* a new batch ends when its message has so many bytes */
    /* private */
    struct fast fast;
    bool has_target; /* target_labels are those of this target: */
    const struct series_reader *target_series;
    uint32_t target_ref;
    uint32_t target_generation;
    bool fits_fast; /* and `fast` has taken them, if it could */
    bool fits_slow; /* and the encoder */
    size_t target_count;
    struct label *target_labels;
    struct label *line_labels;
    struct label *exemplar_labels;
    struct label_set series; /* to be relabelled */
    struct arena scratch;
};

struct build_limits {
    uint32_t message;                    /* remote write version: 1 or 2 */
    const struct relabel *relabel;       /* write_relabel_configs; NULL: none */
    int64_t oldest_ms;                   /* items before it are left out; INT64_MIN: none */
    enum config_compression compression; /* of 1.0; FAST: without a compressor, where there are no
                                            rules */
    bool histograms;                     /* the remote is sent these */
    bool exemplars;
    bool may_end_early; /* stop once the message has batch_bytes, or so many samples as below; else
                           go on while there is room */
    uint32_t samples_max;
};

/* What became of the items of one kind. */
struct build_tally {
    uint32_t sent; /* in the body */
    uint32_t too_old;
    uint32_t unwanted; /* rules dropped them */
    uint32_t damaged;
    uint32_t too_large;
};

struct build_result {
    struct slice body; /* compressed */
    uint32_t passed;   /* items looked at, of which ... */
    uint32_t sent;     /* ... these are in the body, of all kinds */
    struct build_tally of[DELIVERY_KINDS];
    uint32_t custom_buckets; /* histograms left out because remote write 1.0 cannot carry them */
    bool contested;          /* there are some that a receiver may have newer ones of */
    int64_t oldest_ms;       /* of those sent */
    int64_t newest_ms;
};

/* For batches of at most max_samples. -errno. */
int builder_init(struct builder *builder, uint32_t max_samples, const struct label *external,
                 size_t external_count) MUST_USE;
void builder_fini(struct builder *builder);

/* Items of all kinds that were left out as too old; that rules dropped. */
uint32_t build_too_old(const struct build_result *result);
uint32_t build_unwanted(const struct build_result *result);

/*
 * Encodes what the scan visits; the scan ends where the request does. The body is written to `out`,
 * of builder_body_room() bytes; if that is NULL it is the builder's, and borrowed until the next
 * build.
 */
void build_request(struct builder *builder, struct scan *scan, struct build_limits limits,
                   uint8_t *out, struct build_result *ret_result);
size_t builder_body_room(const struct builder *builder);

#endif
