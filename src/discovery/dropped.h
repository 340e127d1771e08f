/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The targets that relabel_configs have dropped while a table is made: how many of each job, and
 * the discovered labels of as many as `keep_dropped_targets` says. They are for people to look at,
 * so all together take at most DROPPED_BYTES_MAX; the numbers are right in any case.
 */
#ifndef DISCOVERY_DROPPED_H
#define DISCOVERY_DROPPED_H

#include "base/arena.h"
#include "labels/label_set.h"
#include "shm/targets.h"

#define DROPPED_BYTES_MAX (4u << 20)

/* Of one job. */
struct dropped_job {
    struct slice name; /* borrowed */
    uint64_t limit;    /* 0: all */
    uint64_t total;
    struct dropped_view *items; /* the labels are in the arena */
    size_t count;
    size_t room;
};

struct dropped {
    struct dropped_job *jobs;
    size_t len;
    size_t bytes;
    struct arena arena;
};

/* For so many jobs, whose names and limits the caller sets. */
void dropped_init(struct dropped *dropped, size_t jobs);
void dropped_fini(struct dropped *dropped);

/* Counts one. True: there is room for its labels, so dropped_keep is due. */
bool dropped_count(struct dropped *dropped, size_t job) MUST_USE;

/* Copies the labels; those without a value do not count. */
void dropped_keep(struct dropped *dropped, size_t job, const struct label_set *labels);

/* Puts them behind the targets of the table that is being written, as many as fit. */
void dropped_write(const struct dropped *dropped, struct targets_writer *table);

#endif
