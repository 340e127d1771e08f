/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * All jobs' sources and the table made of them: builds every target, looks up its addresses,
 * drops doubles, decides which scraper owns it, and writes the table.
 */
#ifndef DISCOVERY_SYNC_H
#define DISCOVERY_SYNC_H

#include "config/config.h"
#include "discovery/file_sd.h"
#include "discovery/resolver.h"
#include "shm/slot.h"
#include "shm/targets.h"

/* One job: its part of the configuration and what its file_sd_configs have found. */
struct sync_job {
    const struct config_job *config;
    struct file_sd *files;
    size_t file_count;
};

struct sync {
    const struct config *config;
    struct sync_job *jobs;
    size_t job_count;
    struct resolver *resolver;    /* borrowed */
    struct targets_writer *table; /* borrowed */
    struct shm_slot *slot;        /* borrowed; counters */
    uint32_t scrapers;
    uint64_t seed;
};

/* *config, resolver, table and slot must outlive it. host_name: this host, for the phases. */
void sync_init(struct sync *sync, const struct config *config, struct resolver *resolver,
               struct targets_writer *table, struct shm_slot *slot, uint32_t scrapers,
               const char *host_name);
void sync_fini(struct sync *sync);

/* Watches the files of all jobs. */
void sync_watch(const struct sync *sync, int inotify_fd);

/*
 * Reads again the files whose refresh is due, or all of them. True when something changed.
 * sync_next_refresh: when the next one is due, CLOCK_MONOTONIC ns; INT64_MAX for never.
 */
bool sync_refresh(struct sync *sync, bool all, int64_t now_mono_ns);
int64_t sync_next_refresh(const struct sync *sync);

/*
 * Writes the table. A target whose name is still being asked for is left out if `omit_pending`,
 * otherwise it is in the table with an error. -ENOSPC or ERR_FULL: the old table stays.
 */
int sync_write(struct sync *sync, bool omit_pending) MUST_USE;

/* Asks for every name that targets have, so that answers are under way. How many are missing. */
int sync_resolve(struct sync *sync);

/* Which of n scrapers has the target: stays the same for as many targets as possible as n moves. */
uint32_t sync_owner(uint64_t target_id, uint32_t n);

#endif
