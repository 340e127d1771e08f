/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What bodies are read with, and plans made, without a scraper: for benchmarks and tests. */
#ifndef PERF_STAGE_BODIES_H
#define PERF_STAGE_BODIES_H

#include "perf/stage.h"
#include "scrapers/body.h"

struct stage_bodies {
    struct stage_segments segments;
    struct ring_producer ring;
    struct series_store store;
    struct line_contexts contexts;
    struct line_context *context; /* of a target with the labels instance="i", job="j" */
    struct plans plans;
    struct body_tools tools;
};

/* Segments of its own, and all that reads into them; relabel may be NULL, and is borrowed. The
 * program ends if that does not work. */
void stage_bodies_init(struct stage_bodies *ret_stage, const struct relabel *relabel);

#endif
