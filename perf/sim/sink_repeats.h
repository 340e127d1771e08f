/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Bodies whose delivery failed, or may have: a sender has to send the very same bytes again, or
 * nothing of them. Kept by hash, for the life of the process.
 */
#ifndef SIM_SINK_REPEATS_H
#define SIM_SINK_REPEATS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/strbuf.h"

struct sink_body {
    uint64_t hash;   /* of the body; never 0 */
    int last_status; /* 0: no answer */
    uint32_t repeats;
    bool delivered; /* a repeat got a 2xx */
};

struct sink_repeats {
    struct sink_body *bodies; /* open addressing on hash */
    uint32_t cap;             /* a power of two */
    uint32_t count;
    uint64_t identical;     /* requests equal to one that had failed */
    uint64_t not_identical; /* requests marked Retry-Attempt that equal none */
    uint64_t of_refused;    /* identical ones, although the answer had been a final 4xx */
};

/* A request has come; to be called before its outcome is known. */
void sink_repeats_note(struct sink_repeats *repeats, uint64_t hash, bool marked_as_retry);

/* Its outcome: a status, or 0 if it got no answer; is_read: its sender can have read that. */
void sink_repeats_settle(struct sink_repeats *repeats, uint64_t hash, int status, bool is_read);

void sink_repeats_describe(const struct sink_repeats *repeats, struct strbuf *json);

void sink_repeats_fini(struct sink_repeats *repeats);

#endif
