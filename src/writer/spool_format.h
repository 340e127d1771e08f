/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a spool looks like on disk. A directory holds segments, `<number, 16 hex digits>.spool`, of
 * which the one with the greatest number is written to. A segment is a file head and then records,
 * each at a multiple of SPOOL_ALIGN: a head, a mark, and a request body as it is sent. Records are
 * only ever appended; a mark is written over when the record is over. One that is not may have been
 * delivered all the same, if the process that stored it is not there any more.
 *
 * Fields are fixed-width and little-endian. Every hash is XXH3-64. A reader takes files of its own
 * major version and the one before, and leaves others alone.
 */
#ifndef WRITER_SPOOL_FORMAT_H
#define WRITER_SPOOL_FORMAT_H

#include <stddef.h>
#include <stdint.h>

#define SPOOL_MAGIC        "limpetsp"
#define SPOOL_MAJOR        1u
#define SPOOL_RECORD_MAGIC 0x6372704cu /* "Lprc" */
#define SPOOL_ALIGN        32u
#define SPOOL_KINDS        3u /* samples, histograms, exemplars: enum delivery_kind */

struct spool_file_head {
    char magic[8];
    uint32_t major;
    uint32_t minor;
    uint64_t number; /* of the segment, as in its name */
    uint64_t reserved[4];
    uint64_t hash; /* of what stands before */
};
_Static_assert(sizeof(struct spool_file_head) == 64, "format");

#define SPOOL_UNCERTAIN 1u /* it may have been delivered before it was stored */

/* Written once. */
struct spool_record {
    uint32_t magic;
    uint32_t body_len;
    uint32_t message; /* version of remote write: 1 or 2 */
    uint32_t flags;   /* SPOOL_UNCERTAIN */
    uint64_t key;     /* which batch of the rings it is */
    uint64_t lanes;   /* bit l: it may hold series of lane l */
    uint64_t body_hash;
    int64_t written_ms; /* Unix, as the next two */
    int64_t oldest_ms;  /* of its items */
    int64_t newest_ms;
    uint32_t items[SPOOL_KINDS];
    uint32_t reserved;
    uint64_t hash; /* of what stands before; seed: number of the segment + offset in it */
};
_Static_assert(sizeof(struct spool_record) == 88, "format");

#define SPOOL_PENDING 0u
#define SPOOL_OVER    1u /* its outcome is below */

enum spool_outcome {
    SPOOL_DELIVERED,
    SPOOL_ALREADY_DELIVERED,
    SPOOL_FAILED,
    SPOOL_TOO_OLD,
    SPOOL_DAMAGED,
    SPOOL_OUTCOMES
};

/* Follows the head. One with a wrong hash counts as SPOOL_PENDING. */
struct spool_mark {
    uint32_t state; /* SPOOL_PENDING ... */
    uint32_t of[SPOOL_KINDS][SPOOL_OUTCOMES];
    uint64_t hash; /* of what stands before; the same seed */
};
_Static_assert(sizeof(struct spool_mark) == 72, "format");

#define SPOOL_HEADS (sizeof(struct spool_record) + sizeof(struct spool_mark))

#endif
