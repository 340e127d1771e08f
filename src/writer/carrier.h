/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Delivers what the spool holds for the lanes of one shard, one record after another, over a
 * connection of its own. It is to the spool what the shard is to the rings; the shard stores what
 * comes meanwhile behind it, so the order of every series is kept.
 *
 *   IDLE --a record, first of all its lanes--> SENDING --2xx, refused--> IDLE
 *                                              |    ^
 *                       no answer, 5xx, 429    v    |  back-off is over
 *                                              WAITING
 *
 * A record may have lanes of several shards, when their number was another one: its carrier is that
 * of its lowest lane, and goes on when it comes first for every other one, too.
 *
 * As in shard.h, a refusal of what may have been delivered before is resolved scrape by scrape.
 */
#ifndef WRITER_CARRIER_H
#define WRITER_CARRIER_H

#include <stdbool.h>
#include <stdint.h>

#include "writer/attempt.h"
#include "writer/backlog.h"
#include "writer/backoff.h"
#include "writer/message.h"
#include "writer/verdict.h"

enum carrier_state { CARRIER_IDLE, CARRIER_SENDING, CARRIER_WAITING };

struct carrier {
    /* All private. */
    struct attempt attempt;
    struct loop *loop;
    struct loop_timer timer;
    struct remote *remote;
    struct backlog *backlog;
    uint32_t index;
    uint64_t lanes;
    enum carrier_state state;
    struct spool_place place; /* of the record, or where to look for the next one */
    struct spool_record record;
    bool is_uncertain; /* it may have been delivered */
    bool is_repacked;  /* it was refused as zstd, and is sent as snappy */
    uint32_t attempts;
    struct backoff backoff;
    int64_t not_before_ns; /* the receiver asked for a pause */

    char *body; /* as it is sent */
    size_t body_len;
    size_t body_room;
    uint32_t message; /* version of the body */
    int64_t oldest_ms;
    struct verdict_items sent; /* what is in it */

    struct message whole; /* when resolving: the record's message; else empty */
    size_t part_at;       /* what comes after the part that is sent */
    struct delivery_outcome outcome;
};

/* `remote` and `backlog` must outlive it. */
void carrier_init(struct carrier *carrier, struct loop *loop, struct remote *remote,
                  struct backlog *backlog, uint32_t index, uint64_t lanes);

/* Begins the next record if it can. */
void carrier_poke(struct carrier *carrier);

/*
 * The batch that the shard was delivering has become the spool's last record: goes on with its
 * attempts and its back-off, and not before this time.
 */
void carrier_take_over(struct carrier *carrier, uint32_t attempts, const struct backoff *backoff,
                       int64_t not_before_ns);

bool carrier_is_sending(const struct carrier *carrier);

/* Gives a record that is not being sent back to the spool. True: the carrier is idle. */
bool carrier_rest(struct carrier *carrier);

void carrier_abort(struct carrier *carrier);
bool carrier_is_quiet(const struct carrier *carrier);
void carrier_fini(struct carrier *carrier);

#endif
