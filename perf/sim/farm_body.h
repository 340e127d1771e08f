/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Bodies of simulated targets: fixed text, with numbers printed into it at each scrape. */
#ifndef SIM_FARM_BODY_H
#define SIM_FARM_BODY_H

#include "base/slice.h"
#include "sim/plan.h"
#include "sim/value.h"

struct farm_body {
    struct plan plan;
    struct value_params params;
    struct value_table table;
    char *text; /* the body rendered last */
    char *chunks;
    size_t cap;
};

void farm_body_init(struct farm_body *ret_body, enum plan_kind kind,
                    const struct value_params *params);
void farm_body_fini(struct farm_body *body);

/* The body of scrape n of a target. Valid until the next call. */
struct slice farm_body_render(struct farm_body *body, uint32_t target, uint64_t n);

/* The body rendered last in chunks of several sizes, with the final chunk. Valid until the next
 * call. */
struct slice farm_body_chunk(struct farm_body *body, struct slice text);

#endif
