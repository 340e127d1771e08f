/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How much is done on large bodies and their endings in a turn of the loop: see scrape_body.c. */
#ifndef SCRAPERS_WORK_H
#define SCRAPERS_WORK_H

#include "loop/loop.h"

struct scrape;

/*
 * Bytes a turn, uncompressed. To undo the compression of so many takes 0.2 to 2 ms, to parse them
 * 0.1 to 1 ms.
 */
#define WORK_A_TURN (256 << 10)

/* What the budget is charged for a line that the parser has to read, if it is shorter, and for one
 * that is looked at when a scrape with very many ends: some of these looks miss the caches. */
#define WORK_OF_A_LINE 64

/* So much work on a body is never put off. */
#define WORK_SMALL (256u << 10)

/*
 * Memory that large scrapes used goes back to the system, which takes it page by page: so many
 * bytes cost as much as to look at a line.
 */
#define WORK_BYTES_OF_A_LINE 2048u

static inline void work_charge_memory(uint32_t *budget, size_t bytes)
{
    uint32_t cost = (uint32_t)(bytes / WORK_BYTES_OF_A_LINE);
    *budget -= cost < *budget ? cost : *budget;
}

struct work {
    struct loop *loop;
    struct loop_timer timer;
    struct scrape *first; /* on which work goes on */
    struct scrape *last;
    int64_t left;  /* bytes, in this turn */
    uint64_t turn; /* of which that is said */
};

void work_init(struct work *work, struct loop *loop);

/* Nothing may be put off any more. */
void work_fini(struct work *work);

#endif
