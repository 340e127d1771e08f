/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Remote write 2.0: where in a request the series of a layout lie, of the target that had it last.
 * Symbols stand for the same text throughout a request, so the series of the next target with that
 * layout are the same bytes, one after another, but for the refs of shared labels that the two
 * targets do not have in common, the samples' values and perhaps their time. They are written as
 * elements of the snappy block, copies and literals, without a compressor: refs of labels that
 * differ stand in the line before, too, so what a line is made of is the same for all targets.
 *
 *     line: head | old, run | old, run | ... old | value | time, old        each pair is an op
 *
 * `old` bytes are those of the target before, a run is refs of shared labels from the line before.
 *
 * All of it is of one request and depends on it alone, so that a repeat is byte-identical.
 */
#ifndef WRITER_REPLICAS_H
#define WRITER_REPLICAS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "writer/layout_v2.h"

enum { REPLICAS_PLACES = 32 };

/* A shared label, as symbols; 0: no series has it. */
struct replicas_label {
    uint32_t name;
    uint32_t value;
};

/* The shared labels of a target. */
struct replicas_labels {
    uint32_t count;
    struct replicas_label all[LAYOUT_V2_SHARED_MAX];
    uint16_t at[LAYOUT_V2_SHARED_MAX + 1];       /* where their refs start; the last: their end */
    uint8_t bytes[LAYOUT_V2_SHARED_MAX * 2 * 5]; /* the refs */
};

struct replicas_op {
    uint16_t old;   /* bytes of the target before */
    uint16_t start; /* of the run, among the bytes of all shared labels */
    uint16_t len;
    int16_t shift;   /* of the run against the line before, in own bytes */
    bool is_literal; /* it does not stand together in the line before */
};

struct replicas_line {
    uint16_t head;  /* bytes of the series before the refs */
    uint16_t rest;  /* and from there on */
    uint16_t own;   /* of these, refs of the line's own labels */
    uint16_t after; /* bytes between the last run and the value */
    uint16_t metadata;
    uint16_t literals; /* bytes of literal runs */
    uint16_t ops;
};

/*
 * The first target of a layout in a request, or one too far from the one before: a series beside
 * that of the line before. What it takes depends on the symbols of the lines only, and so serves
 * all targets in the request.
 *
 *     line: head | literal, copy | literal, copy | ... | value | time, metadata     each pair an op
 */
struct replicas_step_op {
    uint8_t literal; /* refs that are new, bytes */
    uint8_t from;    /* shared labels [from, to) are copied with own refs */
    uint8_t to;
    uint16_t copy; /* own refs that are copied, bytes */
    int16_t shift; /* against where they are in the line before */
};

struct replicas_step {
    uint32_t ops;   /* the first of them */
    uint32_t bytes; /* of literals, then of the metadata that differ */
    uint16_t op_count;
    uint16_t own;
    int16_t shift;         /* of what is behind the labels */
    uint8_t metadata;      /* bytes */
    uint8_t metadata_same; /* of these, at their start, as in the line before */
    bool is_same_length;   /* as the line before */
    bool is_regular;       /* so is each of its own refs */
    bool is_known;
};

/* Of some lines. */
struct replicas_sums {
    size_t bytes;
    size_t plain;    /* see encoder_v2_plain_bytes; without the shared labels */
    size_t elements; /* bytes that they take at most */
};

struct replicas_place {
    bool is_used;
    uint64_t stamp; /* when */
    int64_t used_ns;
    struct layout_v2_key key;
    uint32_t first; /* samples [first, last) of the block */
    uint32_t last;
    int64_t ms;
    size_t start; /* of the first series, among all series of the message */
    struct replicas_labels labels;
    uint64_t *bits; /* of each sample */

    bool is_beside;  /* the block at hand was written beside all of it */
    bool has_lines;  /* the rest is known */
    uint64_t differ; /* a bit for each shared label that is part of a run */
    struct replicas_line *lines;
    struct replicas_op *ops;
    struct replicas_sums sums;
    uint32_t line_room;
    uint32_t op_count;
    uint32_t op_room;

    struct replicas_step *steps; /* of all lines of the layout */
    uint32_t stepped_from;       /* those of lines (stepped_from, stepped_to) are all known */
    uint32_t stepped_to;
    struct replicas_step_op *step_ops;
    uint8_t *step_bytes;
    uint32_t step_room;
    uint32_t step_op_count;
    uint32_t step_op_room;
    uint32_t step_len;
    uint32_t step_bytes_room;
};

struct replicas {
    struct replicas_place places[REPLICAS_PLACES];
    uint64_t stamp;
    int64_t now_ns;
};

void replicas_fini(struct replicas *replicas);

/* A request begins. now_ns: CLOCK_MONOTONIC. Memory of places that were not used for long goes
   back. */
void replicas_start(struct replicas *replicas, int64_t now_ns);

/* The place of this layout, or NULL. */
struct replicas_place *replicas_find(struct replicas *replicas, const struct layout_v2_key *key);

/* A place for a layout that has none: the one that was not used for the longest time. */
struct replicas_place *replicas_take(struct replicas *replicas, const struct layout_v2_key *key);

/* Makes room for so many samples; for one op more, which is the result; for so many ops and bytes
   more of steps. */
void replicas_room(struct replicas_place *place, uint32_t count);
struct replicas_op *replicas_op(struct replicas_place *place);
void replicas_step_room(struct replicas_place *place, uint32_t ops, uint32_t bytes);

#endif
