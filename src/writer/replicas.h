/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Remote write 2.0: where in a request the series of a layout lie, of the target that had it last.
 * Symbols stand for the same text throughout a request, so the series of the next target with that
 * layout are the same bytes, one after another, but for the values of shared labels that the two
 * targets do not have in common, the samples' values and perhaps their time. They are written as
 * elements of the snappy block, copies and literals, without a compressor.
 *
 * All of it is of one request and depends on it alone, so that a repeat is byte-identical.
 */
#ifndef WRITER_REPLICAS_H
#define WRITER_REPLICAS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { REPLICAS_PLACES = 16, REPLICAS_LINES_MAX = 4096, REPLICAS_SHARED_MAX = 64 };

/* What the series of two blocks have in common besides the names of shared labels. */
struct replicas_layout {
    const void *series; /* the table that the refs are of */
    uint32_t layout;
    uint32_t layout_generation;
    uint32_t metadata; /* 0: there is none */
    uint32_t metadata_generation;
    uint32_t first_line;
};

/* Samples [first, last) of a block, all of one time. */
struct replicas_block {
    struct replicas_layout layout;
    uint32_t first;
    uint32_t last;
    int64_t ms;
    const uint64_t *bits; /* of the whole block; NULL: all are stale */
};

/* A shared label, as symbols; 0: no series has it. */
struct replicas_label {
    uint32_t name;
    uint32_t value;
};

struct replicas_line {
    uint32_t plain_bytes;
    uint16_t total;    /* bytes of the series, with its head */
    uint16_t value_at; /* where its sample's value stands among them */
};

struct replicas_place {
    bool is_used;
    uint64_t stamp; /* when */
    struct replicas_layout layout;
    uint32_t first; /* samples [first, last) of the block */
    uint32_t last;
    int64_t ms;
    size_t start; /* of the first series, among all series of the message */
    size_t len;
    uint64_t shared_names; /* a hash of them */
    uint32_t shared_count;
    struct replicas_label shared[REPLICAS_SHARED_MAX];
    uint64_t *bits; /* of each sample */

    bool has_lines; /* the rest is known */
    struct replicas_line *lines;
    uint16_t *value_refs; /* for each line, where each shared label's value stands in the series */
    uint32_t line_room;
    uint32_t ref_room;
};

struct replicas {
    struct replicas_place places[REPLICAS_PLACES];
    uint64_t stamp;
};

void replicas_fini(struct replicas *replicas);

/* A request begins. */
void replicas_start(struct replicas *replicas);

/* The place of this layout, or NULL. */
struct replicas_place *replicas_find(struct replicas *replicas,
                                     const struct replicas_layout *layout);

/* The place to be used for it: its own, or the one that was not used for the longest time. */
struct replicas_place *replicas_take(struct replicas *replicas,
                                     const struct replicas_layout *layout);

/* Makes room for what is known of the block's samples, and for their lines. */
void replicas_room(struct replicas_place *place, uint32_t count);
void replicas_line_room(struct replicas_place *place);

#endif
