/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the fuzz targets of bodies share: a series table and a ring in memory, a target with two
 * labels, and the comparison of what came out of two bodies.
 */
#ifndef TESTS_FUZZ_BODIES_H
#define TESTS_FUZZ_BODIES_H

#include "scrapers/body.h"

extern struct plans bodies_plans;

/* Before anything else; does nothing when it has been done. */
void bodies_prepare(void);

/* Without a plan. `choice` % 3 is the format, bits 2 to 4, 6 and 7 are flags and limits. */
struct body_source bodies_source(uint8_t choice);

/* In pieces of that size. guesses: whether a plan may be guessed where the source has none. */
void bodies_read(struct body *body, const struct body_source *source, struct slice bytes,
                 size_t piece, bool guesses);

/* The same samples, exemplars and start timestamps, or the same error. */
void bodies_check_same(const struct body *a, const struct body *b);

/* When nothing refers to what the bodies made. */
void bodies_reclaim(void);

#endif
