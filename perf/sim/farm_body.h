/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Bodies of simulated targets: fixed text, with numbers printed into it at each scrape. */
#ifndef SIM_FARM_BODY_H
#define SIM_FARM_BODY_H

#include "base/slice.h"
#include "sim/plan.h"
#include "sim/value.h"

#define FARM_PARAMS_MAX 256

enum farm_format { FARM_TEXT, FARM_OPENMETRICS, FARM_PROTOBUF };

struct farm_style {
    enum farm_format format;
    bool native;     /* of protobuf: histograms have native buckets, too */
    bool timestamps; /* each sample has one of its own: the time of the answer */
    bool different;  /* a label makes every target's series unlike all others */
    bool own_churn;  /* the same for series of the churn only */
};

struct farm_body {
    struct plan plan;
    struct value_params params;
    struct farm_style style;
    struct value_table table;
    char params_text[FARM_PARAMS_MAX]; /* the labels of farm_plan, and a blank */
    size_t params_len;
    char *text; /* the body rendered last */
    char *chunks;
    char *packed;
    struct z_stream_s *zlib;
    size_t cap;
    size_t packed_cap;
};

void farm_body_init(struct farm_body *ret_body, enum plan_kind kind,
                    const struct value_params *params, const struct farm_style *style);
void farm_body_fini(struct farm_body *body);

/* Its Content-Type. */
const char *farm_body_type(const struct farm_body *body);

/* The body of scrape n of a target, at this time. Valid until the next call. */
struct slice farm_body_render(struct farm_body *body, uint32_t target, uint64_t n, int64_t now_ms);

/* The body rendered last in chunks of several sizes, with the final chunk, or compressed with
 * gzip. Each valid until its next call. */
struct slice farm_body_chunk(struct farm_body *body, struct slice text);
struct slice farm_body_pack(struct farm_body *body, struct slice text);

#endif
