/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What each simulated target has answered: the ledger that a receiver's account is held against. */
#ifndef SIM_FARM_TARGETS_H
#define SIM_FARM_TARGETS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

/* Scrape numbers first to last. */
struct farm_range {
    uint32_t first, last;
};

struct farm_request {
    int64_t arrival_ns;  /* wall clock */
    int64_t sent_ns;     /* when its body was out, 0: never */
    uint32_t connection; /* see serve_conn.number */
    bool left;           /* who asked had gone before */
};

struct farm_target {
    char address[24]; /* 127.1.0.1:9100 */
    uint32_t requests;
    uint32_t complete;         /* bodies written to the end */
    struct farm_range *ranges; /* of complete bodies; like the log only with a ledger */
    uint32_t range_count, range_cap;
    struct farm_request *log; /* request n at n - 1 */
    uint32_t log_cap;
};

struct farm_targets {
    struct farm_target *targets;
    uint32_t count;
    bool with_log;
    uint64_t requests, complete; /* of all targets */
    uint32_t seen;               /* targets with a complete body */
    int64_t first_ns;            /* when the first request of all came, 0: none has */
    int64_t all_seen_ns;         /* when `seen` became `count`, 0: it has not */
};

void farm_targets_init(struct farm_targets *ret_targets, uint32_t count, bool with_log);
void farm_targets_fini(struct farm_targets *targets);

/* A request for the metrics has come: its scrape number, from 1. */
uint32_t farm_targets_count_request(struct farm_targets *targets, uint32_t index,
                                    int64_t arrival_ns, uint32_t connection);

/* The whole body of scrape n was written; left: nobody was there any more to read it. */
void farm_targets_count_complete(struct farm_targets *targets, uint32_t index, uint32_t n,
                                 int64_t now_ns, bool left);

/* The JSON of file_sd_configs, put in place by a rename. */
int farm_targets_write_file_sd(const struct farm_targets *targets, const char *path,
                               struct errctx *errctx) MUST_USE;

/* The ledger as JSON; see perf/README.md for the fields. */
int farm_targets_write_ledger(const struct farm_targets *targets, const char *path,
                              struct errctx *errctx) MUST_USE;

#endif
