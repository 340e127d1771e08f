/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The stage of the benchmarks, for tests that read bodies without a scraper. */
#ifndef TESTS_UNIT_SCRAPERS_BENCH_H
#define TESTS_UNIT_SCRAPERS_BENCH_H

#include "perf/stage_bodies.h"

struct stage_bodies *bench_new(const struct relabel *relabel);

/* Everything must have been given back. */
void bench_free(struct stage_bodies *bench);

#endif
