/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One remote-write request: unpack, check, store or refuse as the imitated receiver would. */
#ifndef SIM_SINK_TAKE_H
#define SIM_SINK_TAKE_H

#include <stdbool.h>
#include <stdint.h>

#include "sim/serve.h"
#include "sim/sink.h"

struct sink_outcome {
    int status;
    const char *text; /* of a refusal; static */
    bool is_stored;
    bool is_v2; /* a receiver of 2.0 says how much it has written: */
    uint32_t written, written_histograms, written_exemplars;
    struct sink_samples samples; /* the caller's, until sink_take_back */
};

/*
 * Takes the request; `store` false checks its form only. Of one of 2.0 `left_out` percent of the
 * samples are not stored, always the same ones. Single-threaded, not re-entrant.
 */
void sink_take(struct sink *sink, const struct serve_request *request, bool store,
               unsigned left_out, struct sink_outcome *ret_outcome);

/* The room for samples of an outcome may be used again. */
void sink_take_back(struct sink_samples *samples);

#endif
