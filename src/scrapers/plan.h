/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Plans: what a body is expected to be. A target serves nearly the same lines in the same order
 * every time, so what it served before, without the numbers, predicts what comes. The unit is a
 * gap: all bytes from the end of one sample's line to the value of the next one, comments, HELP,
 * TYPE and series text in one. A plan has for each the length, a keyed hash, and the LINE it stands
 * for: the next gap is recognised by hashing as many bytes as expected, and only the number behind
 * it is parsed. 12 bytes a line beside its layout; equal plans are stored once, however many
 * targets follow them.
 *
 * That the bytes are the expected ones is known up to a hash collision, which a peer that does not
 * know the key cannot bring about. Everything that is not as expected goes to the parser.
 */
#ifndef SCRAPERS_PLAN_H
#define SCRAPERS_PLAN_H

#include "scrapers/gap_hash.h"
#include "scrapers/layout.h"
#include "scrapers/line.h"
#include "scrapers/metadata.h"
#include "scrapers/refmap.h"

/* A longer gap has the length 0: it cannot be predicted. */
#define PLAN_GAP_MAX UINT16_MAX

/* Flag among the types: the sample is a native histogram. */
#define PLAN_HISTOGRAM 0x80u

/* Columns, one entry a sample; lines may repeat. */
struct plan_columns {
    uint64_t *hashes;  /* of the gaps */
    uint32_t *lines;   /* refs of LINE records, or LINE_DROPPED */
    uint16_t *lengths; /* of the gaps; 0: not to be predicted; 1 where the hash is one of parts */
    uint8_t *types;    /* enum exposition_type in force behind the gap; PLAN_HISTOGRAM */
    uint8_t *prints;   /* of the series text: where it differs the text does */
};

struct plan {
    struct plan *next;  /* private, as is the following */
    struct plan **link; /* what points to it, so that it goes without a look at others */
    struct line_context *context;
    uint64_t key;
    uint32_t references;
    uint32_t count;
    uint32_t dropped; /* entries without a line */
    uint32_t layout;  /* LAYOUT of its lines, each once; 0 when there are none */
    enum exposition_format format;
    unsigned flags; /* of exposition_begin, with which the bodies are read */
    bool has_histograms;
    bool plain; /* its lines are those of the layout, one for one, none of them reserved */
    struct metadata metadata; /* of the families that are exposed */
    struct plan_columns columns;
    uint32_t *own_lines; /* private: columns.lines, if they are not those of the layout */
};

/* Makes a plan a part at a time. Zeroed before its first use; keeps memory between uses. */
struct plan_maker {
    struct plan *plan;           /* private, all of it */
    struct plan_columns columns; /* that it is made of */
    struct refmap seen;
    uint32_t *unique; /* its lines, each once */
    uint32_t unique_count;
    uint32_t unique_room;
    uint32_t at;
    bool is_found; /* there is such a plan already */
    bool is_plain; /* it is known that the plan will be (plans_is_plain) */
    struct layout_maker layout;
};

struct plans {
    struct series_store *store;
    struct line_contexts *contexts;
    struct plan **buckets; /* private */
    uint32_t mask;
    uint32_t count;
    const uint32_t *reserved; /* lines that only the scraper itself may send */
    uint32_t reserved_count;
    struct plan_maker maker;
};

/* `reserved` must outlive the plans. */
void plans_init(struct plans *plans, struct series_store *store, struct line_contexts *contexts,
                const uint32_t *reserved, uint32_t reserved_count);
void plans_fini(struct plans *plans);

/* The plan with these entries; a reference for the caller, who keeps his of the lines; the metadata
   is the plan's from now on, whatever comes of it. -ENOSPC. */
int plans_get(struct plans *plans, struct line_context *context, enum exposition_format format,
              unsigned flags, const struct plan_columns *columns, uint32_t count,
              struct metadata metadata, struct plan **ret_plan) MUST_USE;

/*
 * The same a part at a time; until it is done, the columns must stay, and the lines must be needed
 * by somebody else, too.
 * plans_step: true: done, with the result of plans_get. *budget: lines that may be looked at;
 * becomes what is left of it. plans_give_up ends one that is not done.
 */
void plans_begin(struct plans *plans, struct plan_maker *maker, struct line_context *context,
                 enum exposition_format format, unsigned flags, const struct plan_columns *columns,
                 uint32_t count, struct metadata metadata);
bool plans_step(struct plans *plans, struct plan_maker *maker, uint32_t *budget, int *ret_error,
                struct plan **ret_plan) MUST_USE;
void plans_give_up(struct plans *plans, struct plan_maker *maker);

/* After plans_begin: somebody has found out that the plan is plain and has no histograms. */
void plans_is_plain(struct plan_maker *maker);

/* Gives back memory for very many lines, a part at a time, when nothing is being made. True: done.
 */
bool plan_maker_release(struct plan_maker *maker, uint32_t *budget) MUST_USE;
void plan_maker_fini(struct plan_maker *maker);

/* A plan of the context whose first gap these bytes begin with, or NULL; no reference. */
struct plan *plans_guess(const struct line_context *context, enum exposition_format format,
                         unsigned flags, const struct gap_key *key, struct slice bytes);

/* plan may be NULL. */
void plan_retain(struct plan *plan);
void plan_release(struct plans *plans, struct plan *plan);

/*
 * The entry at `from` or soon behind it that has this gap, with the same type in force behind it,
 * or this line; plan->count for none.
 */
uint32_t plan_find_gap(const struct plan *plan, uint32_t from, uint16_t length, uint64_t hash,
                       uint8_t type);
uint32_t plan_find_line(const struct plan *plan, uint32_t from, uint32_t line);

/* How many of these are LINE_DROPPED. */
uint32_t plan_count_dropped(const uint32_t *lines, uint32_t count);

/* The type that was in force where the gap of this entry began: the same bytes behind another TYPE
 * line can be another line. */
enum exposition_type plan_type_before(const struct plan *plan, uint32_t at);

/*
 * Takes entries from `at` on, at most `most` of them, as long as each is the expected one with a
 * value of the usual kind and nothing behind it. Returns how many; *bytes moves behind them, their
 * values are in bits[0...]. What ends it plan_step can tell.
 */
uint32_t plan_follow(const struct plan *plan, uint32_t at, uint32_t most, const struct gap_key *key,
                     struct slice *bytes, uint64_t *bits);

/* The same in the text format for lines that end with a blank and a timestamp of 13 digits, which
 * are in times[0...]. */
uint32_t plan_follow_stamped(const struct plan *plan, uint32_t at, uint32_t most,
                             const struct gap_key *key, struct slice *bytes, uint64_t *bits,
                             int64_t *times);

enum plan_step {
    PLAN_EXPECTED, /* the sample is taken */
    PLAN_OTHER,    /* the parser has to look */
    PLAN_MORE      /* cannot be told before more bytes have come */
};

struct plan_sample {
    uint64_t bits;
    int64_t timestamp_ms;
    bool has_timestamp;
    int64_t start_ms; /* 0: not known */
};

/*
 * Whether the expected entry `at` (< plan->count) lies at *bytes, where plan_type_before is in
 * force. If it does, *bytes moves behind its line. `wanted`, for PLAN_MORE: at least so many bytes
 * from *bytes on.
 */
enum plan_step plan_step(const struct plan *plan, uint32_t at, const struct gap_key *key,
                         struct slice *bytes, struct plan_sample *ret_sample, size_t *ret_wanted);

#endif
