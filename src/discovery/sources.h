/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The sources of all jobs. Entries that are equal in everything share one source, however many
 * jobs have them: one set of requests and watches. The table of kinds is in sources.c.
 */
#ifndef DISCOVERY_SOURCES_H
#define DISCOVERY_SOURCES_H

#include "discovery/source.h"

struct sources_entry;

struct sources {
    struct source_host *host; /* borrowed */
    struct sources_entry *entries;
    size_t count;
    size_t room;
};

/* Those of one job; borrowed from the whole. */
struct source_list {
    struct source **items;
    size_t len;
    size_t room;
};

void sources_init(struct sources *sources, struct source_host *host);

/*
 * Makes those of a job, or finds them. *list is zeroed or has some; its items are freed by the
 * caller. The configuration must outlive the sources. Errors: what is wrong with which entry.
 */
int sources_add_job(struct sources *sources, const struct config_job *job, struct source_list *list,
                    struct errctx *reterr) MUST_USE;

/* Whether it is enough to poll them at every beat. */
bool sources_are_patient(const struct sources *sources);

void sources_poll(const struct sources *sources, int64_t now_mono_ns, bool files_changed);

void sources_fini(struct sources *sources);

#endif
