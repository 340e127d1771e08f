/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Classic histograms of the text formats as native ones with custom buckets
 * (convert_classic_histograms_to_nhcb; spec 3.5), a layer over the parser. The samples of one
 * histogram, name_bucket, name_sum and name_count with the same labels but for le, stand together
 * behind a TYPE histogram line; where the name or the labels change the histogram is complete. The
 * protobuf parser does it by itself.
 *
 *     for each sample of the parser:
 *         if (!classic_continues(...) && classic_finish(..., &histogram)) use the histogram;
 *         is_part = classic_take(...);
 *     at the end of the body: classic_finish
 */
#ifndef EXPOSITION_CLASSIC_H
#define EXPOSITION_CLASSIC_H

#include "base/arena.h"
#include "base/strbuf.h"
#include "exposition/exposition.h"
#include "exposition/histogram.h"

/* Zeroed at the start; it keeps memory from one histogram to the next. */
struct classic {
    /* All private. */
    bool is_open; /* samples have been taken */
    struct strbuf name;
    uint64_t labels_hash; /* but le */
    struct strbuf series; /* of the native histogram */
    struct histogram_classic *buckets;
    size_t bucket_count;
    size_t bucket_room;
    bool has_count;
    double count;
    uint64_t sum_bits;
    bool has_timestamp;
    int64_t timestamp_ms;
    int64_t start_ms;
    struct exposition_exemplar *exemplars;
    size_t exemplar_count;
    size_t exemplar_room;
    struct arena texts; /* of the exemplars */
    struct histogram histogram;
    char *scratch;
    size_t scratch_room;
};

void classic_fini(struct classic *classic);

/* Forgets what has been taken. */
void classic_clear(struct classic *classic);

/* Whether this sample, with `type` in force, is part of the histogram in hand, or none is. */
bool classic_continues(struct classic *classic, const struct exposition_entry *sample,
                       enum exposition_type type);

/* Takes it into the histogram in hand, or a new one. False: it is no part of any. */
bool classic_take(struct classic *classic, const struct exposition_entry *sample,
                  enum exposition_type type);

/*
 * The histogram in hand as an entry, valid until the next call; there is none in hand afterwards.
 * False: there was none, or its samples do not make one, of which nobody is told.
 */
bool classic_finish(struct classic *classic, struct exposition_entry *ret_histogram);

#endif
