/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A scraper's shared memory with both sides attached, and scrapes as a scraper writes them. Lines
 * and targets are numbers here: their labels are made from the number, so that a test can tell
 * what it reads.
 */
#ifndef TESTS_UNIT_SHM_STAGE_H
#define TESTS_UNIT_SHM_STAGE_H

#include "shm/block.h"
#include "shm/series.h"
#include "shm/series_reader.h"

#define STAGE_LINES_MAX 64u

struct stage {
    int ring_fd;
    int series_fd;
    struct ring_producer in;
    struct series_store store;
    struct ring_consumer out;
    struct series_reader reader;
};

void stage_setup(struct stage *stage, uint64_t ring_size, uint64_t arena_size);
void stage_teardown(struct stage *stage);

/* The scraper dies without a word and its successor attaches. */
void stage_restart(struct stage *stage);

/* Both segments as they are now, copied, and attached by another scraper and writer. */
void stage_copy(struct stage *copy, const struct stage *stage);

/* The LINE of this number; the caller has a reference. */
uint32_t stage_line(struct stage *stage, uint32_t line);

/* The LAYOUT of these lines; the caller has a reference to it, and none to its lines. */
uint32_t stage_layout(struct stage *stage, const uint32_t *lines, uint32_t count);

/* The TARGET of this id. */
uint32_t stage_target(struct stage *stage, uint64_t id);

/* The TARGET of this id if there is one, otherwise 0. */
uint32_t stage_find_target(struct stage *stage, uint64_t id);

/*
 * Writes a scrape: a block, in which sample i has the value i, or is a histogram, with metadata or
 * without, and the target's next state. Not published. ERR_FULL: nothing was changed.
 */
int stage_scrape(struct stage *stage, uint64_t id, const uint32_t *lines, uint32_t count,
                 bool with_layout, uint32_t scrape_seq);

/* The next step: everything is visible, the state before is given back. */
void stage_commit(struct stage *stage, uint64_t id);

/* Instead: nothing has happened. */
void stage_forget(struct stage *stage, uint64_t id);

/* Fails the test unless the block at pos is this one; returns where the next one is. */
uint64_t stage_assert_block(const struct stage *stage, uint64_t pos, uint64_t id,
                            const uint32_t *lines, uint32_t count);

/* Fails the test unless the target's state is of this scrape and tracks these lines. */
void stage_assert_state(struct stage *stage, uint64_t id, uint32_t scrape_seq,
                        const uint32_t *lines, uint32_t count);

/* Fails the test unless the record has the labels of this number. */
void stage_assert_line(const struct series_reader *reader, uint32_t ref, uint32_t line);

#endif
