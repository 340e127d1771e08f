/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The stage of the benchmarks, for tests that read bodies without a scraper. */
#ifndef TESTS_UNIT_SCRAPERS_BENCH_H
#define TESTS_UNIT_SCRAPERS_BENCH_H

#include "perf/stage_bodies.h"
#include "scrapers/body.h"
#include "tests/unit/dice.h"

struct stage_bodies *bench_new(const struct relabel *relabel);

/* A rule that drops the lines whose names this expression matches. */
struct relabel *bench_drop(const char *names);

/* Everything must have been given back. */
void bench_free(struct stage_bodies *bench);

/* Reads a text with this plan, in pieces where `cuts` says; NULL: in one, and without guesses. */
void bench_read(struct stage_bodies *bench, struct body *body, struct plan *plan,
                const struct strbuf *text, struct dice *cuts);

/* The same with everything that can be said of a source. */
void bench_read_source(struct stage_bodies *bench, struct body *body,
                       const struct body_source *source, const struct strbuf *text,
                       struct dice *cuts);

/* The plan for the next body, as after a good scrape. */
void bench_learn_plan(struct stage_bodies *bench, struct body *body, struct plan **plan);

#endif
