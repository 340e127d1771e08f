/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A tape: the snappy elements of a template's segment, finished but for the samples, for shared
 * labels of certain lengths. It is made once and played for every target with labels of those
 * lengths, so that a sample costs a copy of a few bytes and its value.
 *
 * Where own bytes come from the target before, how far back that is differs from request to
 * request: elements that do have their distance added when the tape is played.
 *
 *     line:  first copy | finished elements, last copy | value
 *
 * First and last copy may become longer. The first one goes on where the sample before ended, the
 * series before it, and so may begin with that value; it is no part of what is finished. The last
 * one, the series before this one, goes on with the head of the sample and the start of this value,
 * whose length is added to it when it is played.
 *
 * Samples may have times of their own, all as long as varints. One that is not the time before goes
 * on with the value's literal; the bytes at its end that are the same begin the next line's first
 * copy, instead of the whole of it.
 */
#ifndef WRITER_TAPE_H
#define WRITER_TAPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "writer/elements.h"

/* Its bytes are those of all lines before it further on: patch_count bytes that say where among
   the finished elements distances are to be added to, then those. */
struct tape_line {
    uint16_t bytes;    /* of its finished elements, the last copy, which has three, among them */
    uint16_t total;    /* bytes of the series, with its head; 0: the line is not on the tape */
    uint8_t head;      /* of them, before the labels */
    uint8_t first_len; /* with all of the time; 0: it is none of its own, and one of the finished
                          elements */
    uint8_t last_len;  /* of the last copy, if it takes all of the value with it */
    uint8_t patch_count;
};

struct tape {
    struct tape *next;
    const void *owner;    /* the segment */
    struct tape *after;   /* what was played after it, which is still there if nothing has gone */
    uint64_t after_epoch; /* since: see templates.tapes_epoch */
    uintptr_t ahead;      /* where one is that was played some tapes after it; may have gone */
    uint64_t key;
    size_t size;         /* of all of it */
    uint32_t count;      /* of lines */
    uint32_t whole_from; /* all lines from this one on can be played */
    uint32_t total;      /* bytes of their series */
    struct tape_line lines[];
};

void tapes_free(struct tape *tapes);

/* ---- Making one ---- */

/* Elements of the line at hand that are not finished. */
struct tape_copy {
    bool is_old;
    uint32_t distance; /* modulo 2^32, if is_old */
    uint32_t len;      /* 0: there is none */
};

enum { TAPE_PATCHES = 16 };

/* Grows, and is used again. */
struct tape_writer {
    /* All private. */
    struct tape *tape;
    size_t room;
    size_t len; /* bytes, lines and all */
    /* The line at hand: */
    uint32_t line;
    size_t start;   /* of its bytes */
    size_t literal; /* where an open literal's bytes start; 0: none is open */
    bool has_first;
    bool fits; /* it can be on a tape */
    struct tape_copy copy;
    uint8_t patch_count;
    uint8_t patches[TAPE_PATCHES];
};

void tape_writer_fini(struct tape_writer *writer);

/* For so many lines; those that are not written, and those that do not fit, cannot be played. */
void tape_start(struct tape_writer *writer, uint32_t lines);

/*
 * What a line is made of, from the end of the series before to the end of the labels. It begins
 * with a copy: out of the target before, or of as many bytes back as the series before it has. The
 * lines of a tape all begin in the same way. `total`: bytes of the series, `head`: of them, before
 * the labels.
 */
void tape_line(struct tape_writer *writer, uint32_t line, uint32_t head, uint32_t total);
void tape_copy(struct tape_writer *writer, uint32_t distance, bool is_old, uint32_t len);
/* Whether the same has just been copied from: more of it costs nothing. */
bool tape_copies(const struct tape_writer *writer, uint32_t distance, bool is_old);
void tape_literal(struct tape_writer *writer, const uint8_t *bytes, size_t len);
void tape_line_end(struct tape_writer *writer);

/* The tape, until the next tape_start. */
const struct tape *tape_finish(struct tape_writer *writer, uint64_t key);

/* ---- Playing it ---- */

/* A time of more bytes is not written by a tape. */
#define TAPE_TIME_MAX 7u

struct tape_run {
    const uint64_t *bits;       /* of the samples; NULL: all are stale */
    const int64_t *times;       /* of the samples, as many bytes each as that of the series before;
                                   NULL: that of the series before */
    int64_t *ms;                /* with times: of the series before; becomes that of the last */
    const uint32_t *old_starts; /* of the same lines in the target before, if it has old ones */
    uint32_t *ret_starts;       /* where their labels start; may be NULL */
    size_t at;                  /* where the first series starts */
    uint32_t sample;            /* bytes of a sample's message */
    uint32_t total_before;      /* of the series before */
    int32_t value_end;          /* bytes of the value before that are still to be written; 0 if the
                                   lines begin with copies out of the target before; less than 0:
                                   so many of its time have been written */
    bool whole_values;          /* the ends of values are not copied; not if there are times */
};

/* What the last series was. */
struct tape_last {
    uint64_t bits;
    int32_t value_end; /* as above */
    size_t at;         /* where it started */
};

/*
 * Writes `count` series of the tape from line `first` on, all but the end of the last one, which is
 * that of the series before it: its time, or the bytes that are the same. Without times they are
 * those of the two series before. last->bits: the value before.
 */
void tape_play(const struct tape *tape, uint32_t first, uint32_t count, const struct tape_run *run,
               struct elements *elements, struct tape_last *last);

#endif
