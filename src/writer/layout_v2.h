/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Remote write 2.0: the lines of a layout as numbers of its own texts, each text once, with its
 * hash. A request numbers the texts as it meets them; the rest of a series follows from that, and
 * nothing has to be looked up in the series tables or compared again, from request to request.
 *
 * What is here changes speed and memory, never what is written: it depends on the layout, its
 * metadata and the names of the shared labels only. About 100 bytes a line, for all targets that
 * have the layout; layouts that are not met again are not kept, and there is a limit.
 */
#ifndef WRITER_LAYOUT_V2_H
#define WRITER_LAYOUT_V2_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/hash_table.h"
#include "base/slice.h"
#include "shm/series_reader.h"

enum {
    LAYOUT_V2_LINES_MAX = 4096,
    LAYOUT_V2_LABELS_MAX = 256, /* of a line */
    LAYOUT_V2_SHARED_MAX = 64
};

/* Of which lines; the same key stands for the same. */
struct layout_v2_key {
    const struct series_reader *series; /* the table that the refs are of */
    uint32_t layout;
    uint32_t layout_generation;
    uint32_t metadata; /* 0: there is none */
    uint32_t metadata_generation;
    uint32_t first_line;
    uint32_t count;        /* of lines from there on */
    uint64_t shared_names; /* a hash of the names of the shared labels */
};

/* An own label of a line, as numbers of texts. */
struct layout_v2_label {
    uint16_t name;
    uint16_t value;
    uint16_t shared; /* so many shared labels come before it */
};

struct layout_v2_line {
    uint32_t labels; /* the first of its own */
    uint16_t label_count;
    uint16_t type; /* of its family */
    uint16_t help; /* numbers of texts */
    uint16_t unit;
    uint32_t plain_bytes; /* see encoder_v2_plain_bytes; without the shared labels */
};

struct layout_v2_text {
    uint32_t at;
    uint32_t len;
    uint32_t hash; /* as encode_v2.c has it */
};

struct layout_v2 {
    struct layout_v2_key key;
    bool is_good; /* else its lines have to be looked at one by one */
    const struct layout_v2_line *lines;
    const struct layout_v2_label *labels;
    const struct layout_v2_text *texts; /* number 0 is the empty one */
    const char *bytes;                  /* of the texts */
    uint32_t text_count;
    size_t plain_bytes; /* of all lines */
    uint32_t *refs;     /* of the texts in the request at hand; 0: none yet */
    uint64_t request;   /* that is */
    /* private */
    struct hash_entry entry;
    size_t size;
    int64_t used_ns;
};

bool layout_v2_key_equal(const struct layout_v2_key *a, const struct layout_v2_key *b);

/* The layouts of a process. All zero but for the seed is empty. */
struct layouts_v2 {
    uint64_t seed; /* of hashes of texts, as the encoder has it */
    /* private */
    struct hash_table kept;
    struct layout_v2 *spare; /* one that is not kept */
    uint64_t *seen;          /* hashes of keys that were asked for */
    size_t bytes;
    int64_t now_ns;
    int64_t swept_ns;
    uint64_t request;
    struct layout_v2_maker *maker;
};

void layouts_v2_fini(struct layouts_v2 *layouts);

/* A request begins. now_ns: CLOCK_MONOTONIC. */
void layouts_v2_start(struct layouts_v2 *layouts, int64_t now_ns);

struct encode_shared_v2;

struct layout_v2_source {
    const uint32_t *lines;                 /* key.count of them */
    const struct series_record *metadata;  /* NULL: there is none */
    const struct encode_shared_v2 *shared; /* sorted by name */
    uint32_t shared_count;
};

/* Stays until the next call. */
struct layout_v2 *layouts_v2_get(struct layouts_v2 *layouts, const struct layout_v2_key *key,
                                 const struct layout_v2_source *source);

static inline struct slice layout_v2_text(const struct layout_v2 *layout, uint32_t number)
{
    return slice_make(layout->bytes + layout->texts[number].at, layout->texts[number].len);
}

#endif
