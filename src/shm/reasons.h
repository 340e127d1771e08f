/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Why targets cannot be scraped: a table beside each ring that the scraper writes and the console
 * shows. It is for people only: with more than some two thousand failing targets not all have a
 * place, and a reader that meets a writer may miss a reason or see a mixture of two.
 */
#ifndef SHM_REASONS_H
#define SHM_REASONS_H

#include "base/slice.h"
#include "shm/segment.h"

/* The scraper's side. */
struct reasons {
    struct shm_reason *table;
    int fd; /* borrowed: of the ring's segment */
};

/* Maps the table and empties it. -errno of mmap. */
int reasons_attach(struct reasons *reasons, int ring_fd) MUST_USE;
void reasons_detach(struct reasons *reasons);

/* Says why; the same again changes nothing. Without a free place or memory it is not said. */
void reasons_set(struct reasons *reasons, uint64_t target_id, int64_t since_ms, struct slice text);

/* Takes it back. */
void reasons_clear(struct reasons *reasons, uint64_t target_id);

/* The reader's side: a copy of the target's reason, its text terminated. False: there is none. */
bool reasons_read(int ring_fd, uint64_t target_id, struct shm_reason *ret_reason);

#endif
