/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One segment file of a spool: reading and writing what spool_format.h describes, no state. */
#ifndef WRITER_SPOOL_FILE_H
#define WRITER_SPOOL_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"
#include "writer/spool_format.h"

/* A segment's file as a reader needs it. */
struct spool_file {
    int fd;
    uint64_t number;
    uint64_t size;
};

/* -errno. */
int spool_file_write_head(int fd, uint64_t number) MUST_USE;

/* Whether this is segment `number` in a version that is understood. ERR_VERSION: not in one. */
int spool_file_check_head(const struct spool_file *file) MUST_USE;

/* Fills in what identifies the record and protects it, and appends it at file->size, which moves.
   -errno: the file is as it was. */
int spool_file_append(struct spool_file *file, struct spool_record *record,
                      struct slice body) MUST_USE;

/* The record at this offset; false: there is none, or not a whole one. */
bool spool_file_read(const struct spool_file *file, uint64_t offset,
                     struct spool_record *ret_record, struct spool_mark *ret_mark);

/* The first record at or after *offset, which moves there; false: there is none, and *offset is the
   file's size. *ret_damaged is set if bytes had to be skipped. */
bool spool_file_find(const struct spool_file *file, uint64_t *offset,
                     struct spool_record *ret_record, struct spool_mark *ret_mark,
                     bool *ret_damaged);

/* ERR_CORRUPT, -errno. */
int spool_file_read_body(const struct spool_file *file, uint64_t offset,
                         const struct spool_record *record, void *body) MUST_USE;

/* -errno. */
int spool_file_write_mark(const struct spool_file *file, uint64_t offset,
                          const struct spool_mark *mark) MUST_USE;

/* Bytes of head, mark, body and what aligns the next record. */
uint64_t spool_file_length(const struct spool_record *record);

#endif
