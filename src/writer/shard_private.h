/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the three parts of a shard need of each other: shard.c collects batches and says when things
 * happen, shard_send.c sends them and looks at answers, shard_store.c takes those away that are not
 * taken in time.
 */
#ifndef WRITER_SHARD_PRIVATE_H
#define WRITER_SHARD_PRIVATE_H

#include "writer/shard.h"

/* ---- shard.c ---- */

static inline const struct config_queue *shard_queue(const struct shard *shard)
{
    return &shard->remote->config->queue_config;
}

struct scan_filter shard_filter(const struct shard *shard);

/* What max_samples_per_send says. */
uint32_t shard_samples_wanted(const struct shard *shard);

void shard_set_timer(struct shard *shard, int64_t wait_ms);

/* More than parts / of of some ring lies behind the batch's first sample; more than half. */
bool shard_is_behind(const struct shard *shard, uint32_t parts, uint32_t of);
bool shard_holds_half(const struct shard *shard);

/* ---- shard_send.c ---- */

void shard_on_timer(struct loop_timer *timer);
void shard_on_answer(struct attempt *attempt, enum answer answer);

/* Commits what was collected, and sends or stores it. */
void shard_begin_batch(struct shard *shard);

/* Whether the body that was built stands where it can stay. */
static inline bool shard_keeps_body(const struct shard *shard)
{
    const uint8_t *at = (const uint8_t *)shard->built.body.ptr;
    return at != NULL && at >= shard->body && at < shard->body + shard->body_room;
}

/* Makes the body of the batch, or of the part of it that is being resolved. */
void shard_build(struct shard *shard, bool is_new);

/* Counts what the build left out of the body. */
void shard_add_left_out(struct delivery_outcome *outcome, const struct build_result *built);

/* What was sent needs no further attempt; the batch is over. */
void shard_finish_sent(struct shard *shard);
void shard_finish_batch(struct shard *shard);

/* ---- shard_store.c ---- */

/* Puts the body into the spool. If that does not go, the batch goes on as it was. */
void shard_store(struct shard *shard);

/* The batch is in the spool, as shard->stored. */
void shard_finish_stored(struct shard *shard);

/* A batch that is under way must not hold up the rings, nor others, for ever. */
void shard_relieve(struct shard *shard);

#endif
