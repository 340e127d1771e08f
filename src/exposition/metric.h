/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One metric of the protobuf format (io.prometheus.client.Metric), decoded. Texts are views into
 * the message. Labels are left as they are at first: whoever has met their bytes knows them.
 * Private to exposition/.
 */
#ifndef EXPOSITION_METRIC_H
#define EXPOSITION_METRIC_H

#include "exposition/exposition.h"
#include "exposition/histogram.h"

struct metric_exemplar {
    uint32_t first; /* its labels are exemplar_labels[first], ... */
    uint32_t count;
    uint64_t bits;
    bool has_timestamp;
    bool is_native; /* the native histogram's own, not one of a classic bucket */
    int64_t timestamp_ms;
};

#define METRIC_NO_EXEMPLAR UINT32_MAX

struct metric_bucket {
    double bound;
    uint64_t count; /* cumulative */
    double count_float;
    uint32_t exemplar; /* in exemplars, or METRIC_NO_EXEMPLAR */
};

struct metric_quantile {
    double quantile;
    uint64_t bits;
};

/* Zero it once, metric_fini at the end; the arrays are kept from one metric to the next. */
struct metric {
    struct slice label_bytes; /* the fields of the labels; ptr NULL: others stand between them */
    struct exposition_label *labels; /* sorted by name, after metric_decode_labels */
    uint32_t label_count;
    size_t label_room;
    int64_t timestamp_ms; /* 0: none */
    int64_t start_ms;     /* 0: not known */

    uint64_t bits; /* of a counter, gauge or untyped metric */
    bool has_value;
    uint32_t exemplar; /* of a counter */

    uint64_t count; /* of a summary or histogram, and their sum */
    double count_float;
    uint64_t sum_bits;
    struct metric_quantile *quantiles;
    uint32_t quantile_count;
    size_t quantile_room;
    struct metric_bucket *buckets;
    uint32_t bucket_count;
    size_t bucket_room;

    struct histogram native;
    bool is_native;         /* it has what makes a histogram a native one (spec 3.3) */
    bool has_own_exemplars; /* some are the native histogram's own */

    struct metric_exemplar *exemplars;
    uint32_t exemplar_count;
    size_t exemplar_room;
    struct exposition_label *exemplar_labels;
    uint32_t exemplar_label_count;
    size_t exemplar_label_room;

    /* private */
    struct slice message;
    bool has_labels; /* they have been decoded */
    /* private, while a histogram is decoded */
    uint64_t zero_count;
    double zero_count_float;
    int64_t last_delta[2]; /* absolute count of the last bucket, negative and positive side */
    bool has_real_counts[2];
};

/* Decodes a message but for its labels. NULL, or the constant sentence that says what is wrong with
 * it. */
const char *metric_decode(struct metric *metric, struct slice message) MUST_USE;

/* Decodes the labels, if that has not been done, while the message is there. Same result. */
const char *metric_decode_labels(struct metric *metric) MUST_USE;

void metric_fini(struct metric *metric);

#endif
