/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which process may run on which CPU. Scrapers are bound to a CPU each only where that cannot hurt
 * anybody: when the set of CPUs is limpet's own, or when the operator says so; otherwise the
 * kernel decides. The planning is a pure function; supervisor/cpus.h asks the system.
 */
#ifndef SUPERVISOR_PLACEMENT_H
#define SUPERVISOR_PLACEMENT_H

#include <sched.h>
#include <stdbool.h>
#include <stdint.h>

#include "config/config.h"
#include "shm/layout.h"

struct placement_input {
    cpu_set_t allowed;       /* what sched_getaffinity says: cpuset and affinity together */
    cpu_set_t second;        /* of them, those whose core has a lower-numbered thread in it too */
    uint32_t budget;         /* CPUs worth of time that the cgroup may use; 0 = no limit */
    uint32_t scrapers;       /* 1 to SHM_MAX_SCRAPERS */
    struct config_ints cpus; /* `limpet: cpus` */
    enum config_pinning pinning; /* `limpet: pinning` */
};

struct placement {
    bool pinned;
    uint32_t scraper_cpu[SHM_MAX_SCRAPERS]; /* if pinned */
    cpu_set_t
        others; /* for writer, discovery and console: not a scraper's CPU if there is another */
    cpu_set_t allowed;
    const char *why;   /* why pinned or not, for the log */
    bool cpus_refused; /* some of `limpet: cpus` are not allowed */
};

void placement_plan(const struct placement_input *input, struct placement *ret_placement);

/* The CPUs of scraper i; of any other child with i = -1. */
void placement_of(const struct placement *placement, int scraper, cpu_set_t *ret_cpus);

/* Room for any text of placement_format_cpus. */
#define PLACEMENT_TEXT 256

/* "0-3,5"; cut where it gets too long. Returns buffer. */
const char *placement_format_cpus(const cpu_set_t *cpus, char buffer[static PLACEMENT_TEXT]);

#endif
