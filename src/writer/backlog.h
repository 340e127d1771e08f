/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a remote has not taken yet and is in no ring any more: its spool (spool.h), whose sums and
 * losses are the remote's counters, and the rule that decides who sends which record.
 *
 * The counters balance: what went in, and what was there at the start, is what came out with an
 * outcome, what was lost, and what waits. They and the spool change in this order, so that a
 * process that dies at any instruction leaves something that its successor can put right:
 *
 *   storing    the record is written; then the batch is over (delivery_done), which counts it
 *   an outcome is noted in SHM_SPOOL_SLOT; written to the record's mark; counted; the file may go
 *   a loss     the file is removed; then counted. In between, the successor finds less than the
 *              counters say, and counts the difference as damaged.
 */
#ifndef WRITER_BACKLOG_H
#define WRITER_BACKLOG_H

#include <stdbool.h>
#include <stdint.h>

#include "shm/delivery.h"
#include "writer/spool.h"

struct remote;

struct backlog {
    bool is_there; /* false: no storage path, and nothing below is used */
    struct spool spool;
    /* private */
    struct delivery *delivery;
    struct remote *remote;
    uint64_t counted_damages;
    bool has_said_full;
    bool has_said_broken;
    int64_t expire_at_ns;
};

/*
 * After the remote's place in the delivery segment is known, and before its shards start. A
 * storage_fd of -1: there is no spool. `name`: spool_name. All but that must outlive the backlog.
 */
void backlog_open(struct backlog *backlog, struct delivery *delivery, struct remote *remote,
                  int storage_fd, const char *name, struct spool_limits limits);
void backlog_close(struct backlog *backlog);

/* Whether the batch of a predecessor was stored before that could be written down; what of it. */
bool backlog_has_stored(struct backlog *backlog, const struct shm_batch *batch,
                        struct spool_record *ret_record);

/* Lanes of which something waits: live batches of them queue behind it. */
static inline uint64_t backlog_lanes(const struct backlog *backlog)
{
    return backlog->is_there ? backlog->spool.pending_lanes | backlog->spool.held_lanes : 0;
}

/*
 * Stores a request for what is left of this batch, as it stands in the delivery segment, with the
 * hash of a body on record. The caller fills in
 * message, flags, oldest_ms, newest_ms and items of the record. False: it could not be; the log
 * says so once.
 */
bool backlog_store(struct backlog *backlog, const struct shm_batch *batch,
                   struct spool_record *record, struct slice body) MUST_USE;

/* The record is over: `outcome` is what became of its items. */
void backlog_finish(struct backlog *backlog, struct spool_place place,
                    const struct spool_record *record, struct delivery_outcome *outcome);

/* Each turn: expires, counts losses, shows sums. */
void backlog_tend(struct backlog *backlog, int64_t now_mono_ns);

#endif
