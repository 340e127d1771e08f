/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the shards of the process have in common: the rings they read, the encoder, the delivery
 * segment. Everything runs in one thread, in the call backs of one loop.
 */
#ifndef WRITER_WRITER_H
#define WRITER_WRITER_H

#include <stdbool.h>
#include <stdint.h>

#include "config/config.h"
#include "loop/loop.h"
#include "shm/delivery.h"
#include "shm/slot.h"
#include "writer/build.h"
#include "writer/metadata.h"
#include "writer/orphans.h"
#include "writer/remote.h"
#include "writer/scan.h"
#include "writer/shard.h"

struct writer {
    struct loop *loop;                       /* borrowed; set before writer_init */
    struct shm_slot *slot;                   /* borrowed; set before writer_init */
    const struct shm_supervisor *supervisor; /* borrowed; set before writer_init */
    const struct config *config;             /* borrowed; set before writer_init */
    struct source *sources;
    uint32_t source_count;
    struct delivery delivery;
    struct names_reader names; /* of remotes, in the targets segment */
    struct lookups lookups;    /* in them; its `ask` and `ask_tls` are set before writer_init */
    struct supplies *supplies; /* of the remotes' clients; NULL: none have come */
    struct builder builder;
    int storage_fd; /* the storage path; -1: there is none */
    struct remote *remotes;
    uint32_t remote_count;
    bool flushing; /* limpet stops: what is there is sent at once */
    bool spilling; /* it stops very soon: what is there goes into the spool */
    bool closing;  /* a successor follows: no new batches */
    /* private */
    struct label *external;
    struct metadata_pool metadata;
    struct orphans orphans;
    bool sends_metadata; /* some remote is sent it in requests of its own */
    bool has_skipped;    /* positions of lanes have moved without writer_acknowledge */
    uint64_t counted_damages;
    uint64_t seen[SHM_MAX_SCRAPERS]; /* produced positions before the shards looked */
};

/*
 * Attaches to `rings` rings and series tables and to the delivery segment, at the descriptors of
 * shm/heritage.h, and makes the shards, which take up what a predecessor left. -errno, the errors
 * of attaching, ERR_CONFIG.
 */
int writer_init(struct writer *writer, uint32_t rings, struct errctx *reterr) MUST_USE;

/* After writer_abort. */
void writer_fini(struct writer *writer);

/* A new set of supplies of its configuration, which is the writer's now. */
void writer_supply(struct writer *writer, struct supplies *supplies);

/* Lets every shard look at the rings; acknowledges what all of them are done with. */
void writer_poke(struct writer *writer);

/* Called by a shard that moved its lanes' positions. */
void writer_acknowledge(struct writer *writer);

/*
 * Before sleeping: asks the scrapers for the doorbell at the point where there is something to do.
 * False: it has been reached already, so poke again instead.
 */
bool writer_may_sleep(struct writer *writer);

/* Whether something is under way whose time may be over without an event. */
bool writer_is_busy(const struct writer *writer);

/* Whether a request is under way; whether everything in the rings is acknowledged. */
bool writer_is_sending(const struct writer *writer);
bool writer_is_drained(const struct writer *writer);

/* Breaks off all requests. True: nothing of them is left in the loop; else run it and ask again. */
bool writer_abort(struct writer *writer);

#endif
