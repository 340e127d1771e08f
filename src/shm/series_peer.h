/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a scraper reads of another one: the states of targets that it takes over. Nothing here
 * writes; every number is checked, as in series_reader.h, whose functions read what a state refers
 * to. That stays as it is while the target is released (series_target_release) or its scraper has
 * no process.
 */
#ifndef SHM_SERIES_PEER_H
#define SHM_SERIES_PEER_H

#include "shm/ring.h"
#include "shm/series_reader.h"

struct series_peer {
    struct series_reader reader;
    struct ring_consumer ring;
    uint32_t index; /* of that scraper */
};

/* The two descriptors, of ring and series of scraper `index`, may be read-only. */
int series_peer_attach(struct series_peer *peer, int ring_fd, int series_fd, uint32_t index,
                       struct errctx *reterr) MUST_USE;
void series_peer_detach(struct series_peer *peer);

/* Calls back for each TARGET record there is that has not been dropped, perhaps more than once. */
void series_peer_each(const struct series_peer *peer,
                      void (*visit)(void *context, uint64_t target_id, uint32_t ref),
                      void *context);

/* A target of that scraper. Without a committed state all but `released` is zero. */
struct series_peer_target {
    bool released;
    uint64_t pos; /* all blocks of the target lie before this position of the peer's ring */
    int64_t timestamp_ms;
    uint32_t scrape_seq;
    uint32_t flags;
    uint32_t layout_ref;
    uint32_t layout_generation;
    uint32_t stamped_ref;
    uint32_t stamped_generation;
};

/* False: at ref is no TARGET of this id (any more). */
bool series_peer_target(const struct series_peer *peer, uint32_t ref, uint64_t target_id,
                        struct series_peer_target *ret_target) MUST_USE;

#endif
