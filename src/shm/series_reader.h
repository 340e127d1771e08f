/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reading a series segment from another process: every ref, generation and length is checked
 * before it is used, so that no bytes there lead beyond the segment. What is returned stays as it
 * is while the block that led to it is not acknowledged.
 */
#ifndef SHM_SERIES_READER_H
#define SHM_SERIES_READER_H

#include "base/slice.h"
#include "shm/family.h"
#include "shm/segment.h"

struct series_reader {
    struct shm_segment segment;
    const struct shm_series_head *head;
    const uint8_t *arena;
};

int series_reader_attach(struct series_reader *reader, int fd, uint32_t index,
                         struct errctx *reterr) MUST_USE;
void series_reader_detach(struct series_reader *reader);

/* Bytes of the arena that hold records; never beyond the mapping, whatever the segment says. */
uint64_t series_reader_used(const struct series_reader *reader);

/*
 * A record that was checked. The numbers are copies, so that they stay what they were when they
 * were checked, whatever happens to the segment; the body lies in the segment.
 */
struct series_record {
    const struct series_reader *reader; /* NULL: one of the caller's own store, a TARGET */
    const uint8_t *body;                /* of a TARGET: its labels */
    size_t body_len;
    uint32_t count;
    uint16_t kind;
};

/* False when ref, kind or generation do not fit (generation 0: any). */
bool series_reader_record(const struct series_reader *reader, uint32_t ref, uint16_t kind,
                          uint32_t generation, struct series_record *ret_record) MUST_USE;

/* The generation of the record of this kind at ref; 0: there is none. */
uint32_t series_reader_generation(const struct series_reader *reader, uint32_t ref, uint16_t kind);

/* The line refs of a LAYOUT record; *ret_count of them. NULL when damaged. */
const uint32_t *series_reader_lines(const struct series_record *layout, uint32_t *ret_count);

/* The lines and times of a STAMPED record; *ret_count of them. False when damaged. */
bool series_reader_stamped(const struct series_record *stamped, const uint32_t **ret_lines,
                           const int64_t **ret_times_ms, uint32_t *ret_count) MUST_USE;

/* The family of this name in a METADATA record; false: it has none, or is damaged. */
bool series_reader_family(const struct series_record *metadata, struct slice name,
                          struct family *ret_family) MUST_USE;

/* A label of a LINE or TARGET; hides: the series has no such label, though its target has. */
struct series_label {
    struct slice name;
    struct slice value;
    bool hides;
};

/* Walks the labels of a LINE or TARGET record, in order of names. */
struct series_labels {
    const struct series_reader *reader;
    const uint8_t *next;
    const uint8_t *end;
    uint32_t left;
};
struct series_labels series_reader_labels(const struct series_record *record);

/* 1 and the next label; 0 at the end; ERR_CORRUPT. */
int series_labels_next(struct series_labels *labels, struct series_label *ret_label);

/*
 * The labels of the series (target, line), sorted by name: of equal names the line's counts, and
 * one that hides removes the target's. Writes at most `max`; the number, or ERR_LIMIT, ERR_CORRUPT.
 */
int series_reader_merge(const struct series_record *target, const struct series_record *line,
                        struct series_label *ret_labels, int max);

#endif
