/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What bodies are read with, and plans made, without a scraper. */
#ifndef TESTS_UNIT_SCRAPERS_BENCH_H
#define TESTS_UNIT_SCRAPERS_BENCH_H

#include "scrapers/body.h"
#include "tests/unit/shm/segments.h"

struct bench {
    struct ring_producer ring;
    struct series_store store;
    struct line_contexts contexts;
    struct line_context *context;
    struct plans plans;
    struct body_tools tools;
    int ring_fd;
    int series_fd;
};

struct bench *bench_new(const struct relabel *relabel);

/* Everything must have been given back. */
void bench_free(struct bench *bench);

#endif
