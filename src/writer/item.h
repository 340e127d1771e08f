/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One thing that goes to a remote: a sample, a native histogram or an exemplar of a series. Read
 * out of a block, every byte checked, and put into a request.
 */
#ifndef WRITER_ITEM_H
#define WRITER_ITEM_H

#include <stdbool.h>
#include <stdint.h>

#include "labels/label_set.h"
#include "shm/block.h"
#include "shm/delivery.h"
#include "writer/encode.h"

/* An exemplar with more labels than this is damaged: those of Prometheus have 128 characters. */
enum { ITEM_EXEMPLAR_LABELS_MAX = 64, ITEM_EXEMPLAR_BYTES_MAX = 8192 };

struct item {
    enum delivery_kind kind;
    int64_t ms;
    int64_t start_ms;       /* 0: not known */
    uint64_t bits;          /* of a sample or exemplar */
    struct slice histogram; /* the message without its timestamps */
    struct label *exemplar; /* room for ITEM_EXEMPLAR_LABELS_MAX; set by the caller */
    size_t exemplar_count;
    const struct label *labels; /* of the series, sorted by name; set by the caller */
    size_t label_count;
};

/* Item i of the block, whose kind is item->kind; all but the labels of the series. False: damaged.
 */
bool item_read(const struct block_view *block, uint32_t i, struct item *item) MUST_USE;

/* Whether this is a histogram of schema -53, which remote write 1.0 has not. */
bool item_has_custom_buckets(const struct item *item);

/* Adds the item to a request of remote write 1.0. ERR_FULL; ERR_LIMIT: an exemplar is too large. */
int item_put_v1(struct encoder *encoder, const struct item *item) MUST_USE;

#endif
