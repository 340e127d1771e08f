/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is known of the bytes of a layout's series before any sample of it comes: which bytes each
 * line brings (its own), where the labels that all series of the target share go between them, and
 * how the line's own bytes follow from those of the line before. From it a request is written
 * without searching for what repeats (writer/fast.h).
 *
 *     series of a line:    own, shared | own, shared | ... sample              each pair is a part
 *     from the line before: literal, copy | literal, copy | ...                 each pair is an op
 *
 * The distance between two series is not known here, since it has the shared labels in it; how far
 * back a byte is, is `back` and that distance. It is the same for all bytes of a copy, own and
 * shared ones, so that one copy can be most of a line.
 *
 * A template depends on the layout and on the names of the shared labels only, not on what was
 * encoded before: a repeat must be byte-identical whoever makes it. About 50 bytes a line, for all
 * targets that have it.
 */
#ifndef WRITER_TEMPLATE_H
#define WRITER_TEMPLATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/hash.h"
#include "base/hash_table.h"
#include "shm/series_reader.h"
#include "writer/tape.h"

/* With more labels than this in common a target is left to the compressor. */
#define TEMPLATE_SHARED_MAX 64u

struct template_op {
    uint16_t literal; /* own bytes that are new */
    uint16_t copy;    /* own bytes that are copied */
    uint16_t back;    /* from how far back, see above */
    uint8_t shared;   /* shared labels [shared, shared_end) that are copied with them */
    uint8_t shared_end;
};

struct template_part {
    uint16_t own_end;    /* own bytes up to the end of the part */
    uint16_t shared_end; /* shared labels up to the end of the part */
    uint16_t back;       /* how far back the shared ones of the part are in the line before */
};

/* Lines with the shared labels at different places split parts: so many there can be. */
#define TEMPLATE_PARTS_MAX (2 * TEMPLATE_SHARED_MAX + 1)

struct template_line {
    uint32_t literals; /* where the bytes of its literals start, in its segment */
    uint16_t parts;    /* and its parts */
    uint16_t ops;      /* and its ops */
    uint16_t own_len;
    uint8_t op_count;
    uint8_t part_count; /* 0: the line is damaged, or cannot be written this way */
};

/*
 * Some lines that follow each other. Equal ones are stored once: targets of one program often
 * differ in a line or two only.
 */
#define TEMPLATE_SEGMENT 16u

struct template_segment {
    struct template_line *lines;
    struct template_part *parts;
    struct template_op *ops;
    uint8_t *literals;  /* some bytes more than those can be read */
    struct tape *tapes; /* see template_keep_tape */
    /* private */
    struct hash_entry entry;    /* hash: of the columns */
    struct hash_entry by_lines; /* hash: of the lines it was made of, and of their generations */
    uint32_t references;
    uint32_t len; /* of all columns, which follow */
    int64_t used_ns;
    bool is_kept;  /* for a while, when there is no reference any more */
    bool is_loose; /* of a template that is not kept: it has no tapes */
};

struct template
{
    uint32_t count; /* of lines */
    /* private */
    struct hash_entry entry; /* hash: the key of its request */
    int64_t used_ns;
    struct template_segment *segments[];
};

static inline const struct template_segment *template_segment(const struct template *template,
                                                              uint32_t line)
{
    return template->segments[line / TEMPLATE_SEGMENT];
}

static inline const struct template_line *template_line(const struct template *template,
                                                        uint32_t line)
{
    return &template_segment(template, line)->lines[line % TEMPLATE_SEGMENT];
}

static inline const struct template_part *template_parts(const struct template *template,
                                                         uint32_t line)
{
    return template_segment(template, line)->parts + template_line(template, line)->parts;
}

/* The templates of a process. What is kept changes speed and memory, never what is written. */
struct templates {
    struct hash_key hash_key;
    /* private */
    struct hash_table kept;     /* of templates */
    struct template *spare;     /* of a layout that is not kept */
    struct template *loose;     /* of a few lines without a layout, the last ones */
    size_t loose_room;          /* bytes for its columns */
    uint32_t *seen;             /* keys that were asked for once */
    struct hash_table segments; /* by what they are */
    struct hash_table by_lines; /* the same, by what they were made of */
    size_t bytes;               /* of all of it */
    size_t tape_bytes;          /* of these, of tapes */
    uint64_t tapes_epoch;       /* moves when any of them goes */
    int64_t now_ns;
    int64_t swept_ns;
    struct template_maker *maker;
};

void templates_init(struct templates *templates);
void templates_fini(struct templates *templates);

/* Of which layout, for which shared labels. */
struct template_request {
    uint64_t key;   /* of all of the following, by a keyed hash; 0: not to be kept */
    uint64_t group; /* of what is not the layout */
    const struct series_reader *series;
    const uint32_t *lines;
    uint32_t count;
    bool is_part;               /* of a layout so large that not all of it may be kept */
    const struct slice *shared; /* names of the shared labels, sorted */
    uint32_t shared_count;
};

/* Keeps a copy of a tape of the segment, if it was to be kept before and there is room: it is then
 * among segment->tapes. Their keys are made by a keyed hash of what the tape depends on. */
void template_keep_tape(struct templates *templates, struct template_segment *segment,
                        const struct tape *tape);

/* Stays until the next call. now_ns: CLOCK_MONOTONIC. */
const struct template *templates_get(struct templates *templates,
                                     const struct template_request *request, int64_t now_ns);

#endif
