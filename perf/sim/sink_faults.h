/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the sink is told to do wrong: POST /faults?..., see perf/README.md for the words. */
#ifndef SIM_SINK_FAULTS_H
#define SIM_SINK_FAULTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/strbuf.h"
#include "sim/serve.h"

enum sink_reset { SINK_RESET_NONE, SINK_RESET_AFTER_HEAD, SINK_RESET_AFTER_BODY };

struct sink_fault {
    int status; /* 0: the ordinary one */
    int64_t delay_ms;
    int64_t retry_after_s; /* 0: no such header */
    enum sink_reset reset;
    bool hang;
    bool store;        /* the request is stored although its answer is bad */
    unsigned left_out; /* percent of the samples of a request of 2.0 that are not stored */
};

struct sink_faults {
    bool active;
    struct sink_fault fault;
    unsigned percent;
    int64_t left; /* requests it still hits; -1: until cleared */
    uint64_t random;
    uint64_t hits;
};

/* Replaces the faults by those of the query; nothing changes if a word is wrong. */
int sink_faults_set(struct sink_faults *faults, const struct serve_request *request,
                    struct errctx *errctx) MUST_USE;

/* Whether this request is hit; ret_fault is all zeros otherwise. */
bool sink_faults_draw(struct sink_faults *faults, struct sink_fault *ret_fault);

void sink_faults_describe(const struct sink_faults *faults, struct strbuf *json);

#endif
