/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Metadata in remote write 1.0: what the METADATA records of all active targets say, each (family,
 * type, help, unit) once, in requests of its own every metadata_config.send_interval.
 *
 * The pool collects it: it looks at the blocks that scrapers publish, and copies what a record says
 * while the block keeps it from changing. A record that no scrape has named for two of the longest
 * scrape intervals is not active any more. Each remote has a sender.
 */
#ifndef WRITER_METADATA_H
#define WRITER_METADATA_H

#include "shm/family.h"
#include "writer/attempt.h"
#include "writer/backoff.h"
#include "writer/scan.h"

/* Something that is sent; it owns its texts. */
struct metadata_entry {
    struct family family;
    uint64_t hash;
    bool is_alive; /* private */
};

/* A record that was seen; its entries are ids[first ... first + count - 1]. */
struct metadata_record {
    uint32_t ring;
    uint32_t ref;
    uint32_t generation;
    uint32_t count;
    uint32_t *ids;
    int64_t seen_ns;
};

struct metadata_pool {
    struct metadata_entry *entries;
    uint32_t entry_count;
    int64_t lifetime_ns; /* of a record that is not seen again */
    /* private */
    uint32_t entry_room;
    uint64_t seed;   /* of hashes: targets choose what is hashed; 0: there is no index yet */
    uint32_t *index; /* of entries by hash: number + 1, or 0 */
    uint32_t index_mask;
    struct metadata_record *records;
    uint32_t record_count;
    uint32_t record_room;
    uint32_t *record_index; /* by ring and ref, as `index` */
    uint32_t record_mask;
    uint64_t looked_at[SHM_MAX_SCRAPERS];
    uint32_t senders; /* that are in the middle of the entries */
};

/* All zero but for lifetime_ns is an empty pool. */
void metadata_pool_fini(struct metadata_pool *pool);

/* Takes in what was published since the last call; before anything of it is acknowledged. */
void metadata_pool_look(struct metadata_pool *pool, struct source *sources, uint32_t count);

/* Forgets what is not active any more; not while a sender is in the middle of it. */
void metadata_pool_tidy(struct metadata_pool *pool, int64_t now_mono_ns);

struct metadata_sender {
    /* All private. */
    struct attempt attempt;
    struct loop_timer timer; /* of the interval, or of the back-off */
    struct loop *loop;
    struct remote *remote;
    struct metadata_pool *pool;
    struct backoff backoff;
    uint32_t next;  /* entry to be sent */
    uint32_t count; /* of the request under way; 0: none */
    uint32_t attempts;
    uint8_t *raw;
    size_t raw_room;
    char *body; /* compressed */
    size_t body_len;
    size_t body_room;
};

/* All of these must outlive the sender. Nothing is sent if the remote's configuration says so. */
void metadata_sender_init(struct metadata_sender *sender, struct loop *loop, struct remote *remote,
                          struct metadata_pool *pool);
void metadata_sender_abort(struct metadata_sender *sender);
bool metadata_sender_is_quiet(const struct metadata_sender *sender);
void metadata_sender_fini(struct metadata_sender *sender);

#endif
