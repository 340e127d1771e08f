/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Scrapes that failed, on their way from the scraper, which writes no files, to the console, which
 * appends them to those of `scrape_failure_log_file`. A reader that comes too late misses some.
 */
#ifndef SHM_FAILURES_H
#define SHM_FAILURES_H

#include "base/slice.h"
#include "shm/segment.h"

/* The scraper's side. Zeroed, it takes nothing. */
struct failures {
    struct shm_failures *shared;
    int fd; /* borrowed: of the ring's segment */
};

/* Goes on behind what a predecessor has written. -errno of mmap. */
int failures_attach(struct failures *failures, int ring_fd) MUST_USE;
void failures_detach(struct failures *failures);

/* A text that is too long is cut off. Without memory it is lost. */
void failures_add(struct failures *failures, uint64_t target_id, int64_t at_ms, struct slice text);

/*
 * The reader's side. 1: the failure of number *next, which moves on; its text is terminated. 0:
 * there is none yet. *ret_lost grows by those that were overwritten.
 */
int failures_read(int ring_fd, uint64_t *next, struct shm_failure *ret_failure,
                  uint64_t *ret_lost) MUST_USE;

#endif
