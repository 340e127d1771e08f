/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Remote write 1.0 requests as snappy blocks without a compressor: what repeats is known. The own
 * bytes of a line follow from the line before by its template, or are those of the same line of the
 * target before, if that has the same layout; the labels of the target are those of its series
 * before; so is all of the sample but the bytes of the value that differ.
 *
 * What is written depends on the request alone, so that a repeat is byte-identical. The result
 * decodes to the very bytes that writer/encode.h makes. What does not fit the scheme (a line that
 * overrules labels of its target, items that are no samples) goes through the compressor; its
 * elements are appended in between.
 *
 *     message: fast_start -> { block: fast_begin -> fast_add | (fast_pause, others) ... -> fast_end
 * }
 *              -> fast_pause
 */
#ifndef WRITER_FAST_H
#define WRITER_FAST_H

#include "labels/label_set.h"
#include "shm/block.h"
#include "writer/elements.h"
#include "writer/template.h"

/* Layouts whose places in the message are remembered, those that were met last. */
enum { FAST_PLACES = 8, FAST_WIRE_MAX = 16384 };

/* The labels that all series of a target have, finished, one after another. */
struct fast_shared {
    uint32_t count;
    uint32_t at[TEMPLATE_SHARED_MAX + 1]; /* where they start in wire; the last: their end */
    uint8_t *wire;
};

/* A shared label beside that of the target before with the layout. */
struct fast_label {
    bool is_same;       /* byte for byte */
    uint32_t displaced; /* it, and the own bytes before it, stand so much further behind */
};

/* Lines, and where in the message the labels of their series start. */
struct fast_lines {
    uint32_t *refs;
    uint32_t *starts;
    uint32_t room;
};

/* Where the series of a layout lie in the message, of the target that had it last. */
struct fast_place {
    uint64_t key;   /* 0: unused */
    uint64_t group; /* of places that may stand in for each other */
    uint32_t begins_with;
    uint32_t first;
    uint32_t last;
    bool has_gaps;           /* some of them have no place */
    struct fast_lines lines; /* [first, last) */
    int64_t ms;
    uint64_t stamp; /* when it was used */
    struct fast_shared shared;
};

/*
 * The series before, as far as the next one repeats it. The end of it, the time and some bytes of
 * the value perhaps, is still to be written: it may be part of a longer copy.
 */
struct fast_previous {
    bool valid;                      /* it is directly before */
    bool same_target;                /* and has these shared labels */
    const struct template *template; /* NULL: of an earlier block */
    uint32_t line;
    uint32_t tail_len;      /* of the end; 0: there is none */
    uint32_t tail_distance; /* where it can be copied from; 0: from nowhere */
    uint32_t ms_size;       /* as a varint */
    size_t labels_at;
    size_t sample_at;
    size_t total; /* with its head */
    uint64_t bits;
    int64_t ms;
};

/* Tapes are fetched when the one that is so many before them is played: main memory takes longer
   than one or two last. */
#define FAST_AHEAD 4u

struct fast {
    /* All private. */
    struct templates templates;
    struct fast_place places[FAST_PLACES];
    uint64_t stamp;
    int64_t now_ns;

    struct slice names[TEMPLATE_SHARED_MAX];
    struct fast_shared shared; /* of the target at hand */
    uint64_t names_key;

    struct fast_previous previous;
    struct template_part parts[TEMPLATE_PARTS_MAX]; /* its parts, if its template is NULL */

    /* The block at hand. */
    const struct block_view *block;
    const struct series_reader *series;
    const uint32_t *lines; /* of the layout */
    const struct template *template;
    uint32_t first_line;
    struct fast_place *place; /* NULL: not remembered */
    struct fast_place old;    /* what the place was before the block */
    bool is_alike;            /* lines from old.first to old.last are the same, all with a place */
    uint32_t shift;           /* line i was the old one's line i + shift (modulo 2^32) */
    bool leads_in;            /* what is before a line's labels is the same in the old place */
    struct fast_lines spare;
    struct fast_label labels[TEMPLATE_SHARED_MAX + 1]; /* the shared ones beside the old place's */
    uint64_t classes[2]; /* of the block's tapes: beside the old place, and without; 0: not known */
    struct tape
        *played[FAST_AHEAD]; /* the last tapes that are kept, at their numbers modulo that */
    uint64_t played_count;
    uint64_t
        played_epoch; /* what is in played[] is there as long as templates.tapes_epoch is this */
    struct tape_writer tape_writer;
    int64_t times[TEMPLATE_SEGMENT]; /* of samples to be played */
    uint32_t begun_at;
    uint32_t done;
    uint8_t *own; /* bytes of a line that has no line before */
};

void fast_init(struct fast *fast);
void fast_fini(struct fast *fast);

void fast_start(struct fast *fast);

/*
 * The labels of the target whose blocks follow, and external ones where it has no such label, both
 * sorted by name; the names must stay. False: too many of them, leave the target to the compressor.
 */
bool fast_set_target(struct fast *fast, const struct label *target, size_t target_count,
                     const struct label *external, size_t external_count);

/* Lines are those of the whole layout, of which the block has some from head.first_line on; or of
 * the block, if it has no layout. `ring`: that of the block. */
void fast_begin(struct fast *fast, const struct series_reader *series, uint32_t ring,
                const struct block_view *block, const uint32_t *lines, uint32_t line_count);

/* Whether sample i of the block can be written this way. */
static inline bool fast_takes(const struct fast *fast, uint32_t i)
{
    return template_line(fast->template, fast->first_line + i)->part_count > 0;
}

/*
 * Adds samples [from, to) of the block until the message has raw_max bytes or one cannot be written
 * this way; returns where it stopped. raw_room: bytes that the message can have at most.
 */
uint32_t fast_add(struct fast *fast, struct elements *elements, uint32_t from, uint32_t to,
                  size_t raw_max, size_t raw_room);

void fast_end(struct fast *fast);

/* Bytes of the series before that are still to be written. */
static inline size_t fast_unwritten(const struct fast *fast)
{
    return fast->previous.tail_len;
}

/* Finishes the series before: others write next, or the message ends. */
void fast_pause(struct fast *fast, struct elements *elements);

#endif
