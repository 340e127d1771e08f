/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A shared-memory segment: a file on tmpfs or a memfd whose first page says what it is. The
 * supervisor creates segments; every process maps the descriptors it has inherited. The size is
 * address space only: memory is taken before it is written (segment_reserve), so that a full tmpfs
 * is an error and not a SIGBUS, and given back by punching holes.
 */
#ifndef SHM_SEGMENT_H
#define SHM_SEGMENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "shm/layout.h"

struct shm_segment {
    uint8_t *base;
    uint64_t size;
    int fd; /* borrowed */
    bool writable;
};

/* Makes an empty file or memfd a segment. -ENOSPC and others of ftruncate and fallocate. */
int segment_create(int fd, uint32_t kind, uint32_t index, uint64_t size, uint64_t geometry,
                   struct errctx *reterr) MUST_USE;

/*
 * Whether fd is a segment of this kind, index, version and boot. 0 and its header;
 * ERR_NOT_READY: its creator has not finished (or died before); ERR_VERSION: another layout
 * version, the text names both; ERR_CORRUPT: something else.
 */
int segment_check(int fd, uint32_t kind, uint32_t index, struct shm_header *ret_header,
                  struct errctx *reterr) MUST_USE;

/* Checks and maps the whole segment; all but its header writable, or nothing. */
int segment_map(struct shm_segment *segment, int fd, uint32_t kind, uint32_t index, bool writable,
                struct errctx *reterr) MUST_USE;
void segment_unmap(struct shm_segment *segment);

/* Makes the pages of [from, to) of a segment that is mapped read-only writable. */
int segment_allow(const struct shm_segment *segment, uint64_t from, uint64_t to) MUST_USE;

/*
 * Maps a part of a segment's file, from a page on, writable: for a process that writes it alone and
 * takes its memory page by page. -errno of mmap. NULL is no part.
 */
int segment_map_part(int fd, uint64_t from, size_t size, void **ret_part) MUST_USE;
void segment_unmap_part(void *part, size_t size);

/* Takes the memory of [from, to); 0 or -ENOSPC and the like. Again is harmless. */
int segment_reserve(int fd, uint64_t from, uint64_t to) MUST_USE;

/*
 * Maps the pages of [start, start + len), which are mapped writable and have memory, in one call:
 * each by itself is found out by a fault. Only costs less; linux >= 5.14, otherwise nothing.
 */
void segment_touch(void *start, uint64_t len);

/* Gives back the whole pages inside [from, to); they read as zeros then. */
void segment_release(int fd, uint64_t from, uint64_t to);

#endif
