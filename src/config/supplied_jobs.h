/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Jobs that do not stand in the configuration but come from a Target Allocator while limpet runs:
 * the answer to its /scrape_configs, which is JSON with the keys of scrape_configs. They are
 * validated as if they stood in the file, but for three things: where their targets come from is
 * left out, keys of a newer Prometheus are passed over, and a job that is wrong harms no other.
 */
#ifndef CONFIG_SUPPLIED_JOBS_H
#define CONFIG_SUPPLIED_JOBS_H

#include "base/slice.h"
#include "config/config.h"

struct supplied_job {
    const char *name;
    const struct config_job *job; /* NULL: it cannot be used */
    const char *error;            /* then: why, in one line */
    const char *unknown;          /* a key that was passed over; "": none was */
};

struct supplied_jobs {
    const struct supplied_job *items; /* names are unique */
    size_t len;
    struct arena arena; /* owns all of the above; it may point into the configuration, too */
};

/*
 * *config: whose `global` and `target_allocator` hold. ERR_CONFIG: the whole is nothing that an
 * allocator answers, "TEXT:line:column: why". Free with supplied_jobs_free, also then.
 */
int supplied_jobs_read(struct slice text, const struct config *config,
                       struct supplied_jobs *ret_jobs, struct errctx *reterr) MUST_USE;

void supplied_jobs_free(struct supplied_jobs *jobs);

#endif
