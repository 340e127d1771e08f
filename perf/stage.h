/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A scraper's segments in anonymous memory, for benchmarks: without an error, or the program ends.
 */
#ifndef PERF_STAGE_H
#define PERF_STAGE_H

#include "shm/series.h"

/* Says `what` went wrong. */
_Noreturn void stage_die(const char *what);

/* A ring and a series segment, attached; the descriptors stay open. */
struct stage_segments {
    int ring;
    int series;
};
struct stage_segments stage_attach(uint64_t ring_size, uint64_t arena_size,
                                   struct ring_producer *ring, struct series_store *store);

#endif
