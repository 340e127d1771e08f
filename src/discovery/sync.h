/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * All jobs' sources and the table made of them: builds every target, looks up its addresses,
 * drops doubles, decides which scraper owns it, and writes the table.
 */
#ifndef DISCOVERY_SYNC_H
#define DISCOVERY_SYNC_H

#include "config/config.h"
#include "discovery/owners.h"
#include "discovery/resolver.h"
#include "discovery/sources.h"
#include "discovery/supplied.h"
#include "shm/slot.h"
#include "shm/targets.h"

/* One job: its part of the configuration and where its targets come from. */
struct sync_job {
    const struct config_job *config;
    struct relabel *relabel;
    struct source_list sources;
    size_t entry;     /* among the jobs of the configuration, behind which those supplied come */
    bool has_https;   /* targets that are asked by https have been seen */
    bool supplied;    /* it came over the network, and somebody else shares its targets out */
    uint64_t targets; /* with target_limit: how many there were when the table was written last */
};

struct sync {
    const struct config *config;
    struct sync_job *jobs; /* those of the configuration first */
    size_t job_count;
    bool expects_jobs; /* the owner's: others are to come, whose targets stay in the table */
    struct sources sources;
    struct source_host *host;            /* borrowed */
    struct targets_writer *table;        /* borrowed */
    const struct targets_reader *former; /* borrowed; of the same segment */
    struct owners owners;
    uint64_t seed;
};

/*
 * *config, host and both views of the table must outlive it. host_name: this host, for the phases.
 * Fails when relabelling rules cannot be compiled or a source cannot be made; sync_fini is due in
 * any case.
 */
int sync_init(struct sync *sync, const struct config *config, struct source_host *host,
              struct targets_writer *table, const struct targets_reader *former, uint32_t scrapers,
              const char *host_name, struct errctx *reterr) MUST_USE;
void sync_fini(struct sync *sync);

/*
 * Takes these jobs besides those of the configuration, in place of those that it had been given
 * before, which are not looked at any more.
 */
void sync_take_jobs(struct sync *sync, struct supplied_list jobs);

/*
 * Takes the addresses that names have in the table of a predecessor, so that its targets need not
 * wait for the resolver, nor suffer if that has no answer now; who owns its targets, and which jobs
 * have https. A damaged table is as none.
 */
void sync_recall(struct sync *sync);

/* Lets the sources do what is due; with files_changed, those of files read them again. */
void sync_poll(struct sync *sync, int64_t now_mono_ns, bool files_changed);

/*
 * Writes the table. A job with a source that does not know yet what there is (a file that this
 * process was not able to read, a server that has not answered) keeps the targets it has in the
 * table in force, until that is known. A target whose name is
 * still pending is left out: it gets in when there is an answer or no patience is left. -ENOSPC or
 * ERR_FULL: the old table stays.
 */
int sync_write(struct sync *sync) MUST_USE;

/* Asks for every name that targets have, so that answers are under way. How many are missing. */
int sync_resolve(struct sync *sync);

#endif
