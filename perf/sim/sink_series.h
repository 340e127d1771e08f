/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The series the sink has met: last sample and a few flags each, found by the hash of their label
 * bytes (64 bits, taken as unique). Labels and all samples are kept only where asked for.
 */
#ifndef SIM_SINK_SERIES_H
#define SIM_SINK_SERIES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/check.h"
#include "base/slice.h"
#include "base/strbuf.h"
#include "sim/sink_lookup.h"

#define SINK_NO_TARGET UINT32_MAX
#define SINK_NO_SERIES UINT32_MAX
#define SINK_CHUNK     4096 /* entries */

struct sink_sample {
    int64_t ts;
    uint64_t bits;
};

struct sink_kept {
    struct strbuf labels; /* the Label fields as received */
    struct sink_sample *samples;
    uint32_t count, cap;
};

/* A cache line, as there may be a million. */
struct sink_entry {
    uint64_t key;
    int64_t last_ts; /* ms; of the newest sample stored */
    uint64_t last_bits;
    uint32_t target;      /* in sink_targets, or SINK_NO_TARGET */
    uint32_t slot;        /* of its latest sample in the request at hand; see sink_read.c */
    uint32_t label_bytes; /* how many, of the Label fields as received */
    uint32_t next;        /* the entry whose sample came after its own the last time */
    struct sink_role role;
    bool stored : 1; /* there is a sample */
    bool flawed : 1; /* its label set is not allowed */
    bool violated : 1;
    bool stale_ever : 1, stale_followed : 1;
    struct sink_kept *kept; /* NULL if only counted */
};

struct sink_series {
    struct sink_entry **chunks; /* entries never move */
    uint32_t *slots;            /* open addressing: entry number + 1 */
    uint32_t count, cap;        /* cap: of slots, a power of two */
};

/* The number of the entry of a key, new ones zeroed but for the key. */
uint32_t sink_series_find(struct sink_series *series, uint64_t key, bool *ret_new);

/* Entry i of count. */
static inline struct sink_entry *sink_series_at(const struct sink_series *series, uint32_t i)
{
    check(i < series->count);
    return &series->chunks[i / SINK_CHUNK][i % SINK_CHUNK];
}

void sink_series_keep_labels(struct sink_entry *entry, struct slice labels);
void sink_series_keep_sample(struct sink_entry *entry, int64_t ts, uint64_t bits);

/* Reads Label fields; returns how many there are, or -1 if malformed or more than max. */
int sink_series_labels(struct slice fields, struct sink_label *ret_labels, int max);

/* {"__name__":"up",...} of kept labels, {} if they were not kept. */
void sink_series_describe(const struct sink_entry *entry, struct strbuf *json);

void sink_series_fini(struct sink_series *series);

#endif
