/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The shards of a remote, and their number: between min_shards and max_shards, from what is
 * measured (pace.h). Lanes change hands only when no shard has anything under way, so that the
 * order of every series is kept; what comes meanwhile waits in the rings.
 */
#ifndef WRITER_SHARDS_H
#define WRITER_SHARDS_H

#include <stdbool.h>
#include <stdint.h>

#include "writer/pace.h"

struct remote;
struct shard;
struct writer;

struct shards {
    struct shard *items;
    uint32_t count;   /* also those that only finish a predecessor's batch */
    uint32_t wanted;  /* that have lanes */
    uint32_t barrier; /* batches of a predecessor with other lanes; nothing new before they end */
    uint32_t next;    /* not 0: nothing new begins, there will be so many */
    /* private */
    struct pace pace;
    double produced;       /* bytes of all rings, at the last step */
    double waiting;        /* of them, those that no batch had come to */
    double items_per_byte; /* of what was taken between the last steps */
    uint64_t taken;        /* items, at the last step */
    int64_t step_at_ns;
    int64_t stepped_at_ns;
};

/* As many as the configuration says at least. Takes up what a predecessor left. */
void shards_start(struct writer *writer, struct remote *remote);

/* Lets every shard look at the rings and the spool; measures, and changes the number. */
void shards_poke(struct writer *writer, struct remote *remote, int64_t now_ns);

/* From now on there are so many, once what is under way is over. */
void shards_change(struct remote *remote, uint32_t count);

/* A predecessor's batch is over. */
void shards_lower_barrier(struct remote *remote);

/* What is in batches that are collected or under way, in the remote's counters. */
void shards_show_pending(const struct remote *remote);

/* See shard.h. */
bool shards_are_busy(const struct remote *remote);
bool shards_are_sending(const struct remote *remote);
bool shards_abort(struct remote *remote);
void shards_fini(struct remote *remote);

#endif
