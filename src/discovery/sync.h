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
    struct relabel *relabel;
    struct file_sd *files;
    size_t file_count;
};

struct sync {
    const struct config *config;
    struct sync_job *jobs;
    size_t job_count;
    struct resolver *resolver;           /* borrowed */
    struct targets_writer *table;        /* borrowed */
    const struct targets_reader *former; /* borrowed; of the same segment */
    struct shm_slot *slot;               /* borrowed; counters */
    uint32_t scrapers;
    uint64_t seed;
};

/*
 * *config, resolver, both views of the table and slot must outlive it. host_name: this host, for
 * the phases. Fails when relabelling rules cannot be compiled; sync_fini is due in any case.
 */
int sync_init(struct sync *sync, const struct config *config, struct resolver *resolver,
              struct targets_writer *table, const struct targets_reader *former,
              struct shm_slot *slot, uint32_t scrapers, const char *host_name,
              struct errctx *reterr) MUST_USE;
void sync_fini(struct sync *sync);

/*
 * Takes the addresses that names have in the table of a predecessor, so that its targets need not
 * wait for the resolver, nor suffer if that has no answer now. A damaged table is as none.
 */
void sync_recall(struct sync *sync);

/* Adds the directories of all jobs' files to those that are watched. */
void sync_watch(const struct sync *sync, struct watches *watches);

/*
 * Reads again the files whose refresh is due, or all of them. True when something changed.
 * sync_next_refresh: when the next one is due, CLOCK_MONOTONIC ns; INT64_MAX for never.
 */
bool sync_refresh(struct sync *sync, bool all, int64_t now_mono_ns);
int64_t sync_next_refresh(const struct sync *sync);

/*
 * Writes the table. A job with a file that this process has not been able to read yet keeps the
 * targets it has in the table in force, until the file is mended or gone. A target whose name is
 * still pending is left out: it gets in when there is an answer or no patience is left. -ENOSPC or
 * ERR_FULL: the old table stays.
 */
int sync_write(struct sync *sync) MUST_USE;

/* Asks for every name that targets have, so that answers are under way. How many are missing. */
int sync_resolve(struct sync *sync);

/* Which of n scrapers has the target: stays the same for as many targets as possible as n moves. */
uint32_t sync_owner(uint64_t target_id, uint32_t n);

#endif
