/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads an io.prometheus.write.v2.Request, to the letter of its specification, as sink_read.h does
 * with a WriteRequest. A series is known again by the hashes of its symbols; where it is not, its
 * labels are written as those of 1.0, so that a series is the same whichever way it came.
 */
#ifndef SIM_SINK_READ_V2_H
#define SIM_SINK_READ_V2_H

#include <stdint.h>

#include "base/slice.h"
#include "base/strbuf.h"
#include "sim/sink_symbols.h"

struct sink;
struct sink_samples;

/* Lasts from request to request. */
struct sink_v2 {
    struct sink_symbols symbols;
    uint64_t *keys; /* by number of series: the hash of its refs' symbols; 0: not known */
    uint32_t key_count;
    struct strbuf fields; /* Label fields of the series in work */
};

/* As sink_read; NULL, or what is wrong with the message. */
const char *sink_read_v2(struct sink *sink, struct slice message, struct sink_samples *samples);

void sink_v2_fini(struct sink_v2 *v2);

#endif
