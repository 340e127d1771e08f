/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Moves of targets between scrapers. Discovery decides them; the table says who owns a target and
 * that it has MOVED. The two scrapers follow the table each by itself, and no message goes between
 * them:
 *
 *   the former owner  lets the scrape that is running end, then says in its TARGET record that this
 *                     is the last state here (released), and keeps the record;
 *   the new owner     waits for that, copies the state with all its lines, publishes it as its own
 *                     with a TAKEOVER block, which tells the writer what must come before, and goes
 *                     on at the next tick; when it has all targets of the table, it says so in its
 *                     slot (settled_generation);
 *   the former owner  drops its records once all the others have said that.
 *
 * Of several states of a target (it may have moved on, or back) the one with the greatest
 * scrape_seq counts. A scraper without a process releases nothing and need not: nobody writes there
 * any more. Whoever dies in between is followed by a successor that finds the same table and the
 * same records.
 */
#ifndef SCRAPERS_TAKEOVER_H
#define SCRAPERS_TAKEOVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "loop/loop.h"
#include "scrapers/copies.h"
#include "scrapers/left_behind.h"
#include "shm/series_peer.h"

struct scraper;
struct target;

/* So many lines of a target with very many are copied in a turn, and let go. */
#define TAKEOVER_LINES 4096u

struct takeover {
    struct scraper *scraper;
    uint32_t arriving; /* targets in this state */
    uint32_t released;
    /* private */
    struct left_behind left_behind;
    struct loop_timer timer;
    int64_t began_ns;                            /* when there was something to do */
    int64_t work_until_ns;                       /* of this turn: others' scrapes wait meanwhile */
    struct series_peer *source;                  /* from which targets are taken over just now */
    bool has_more;                               /* there was no time left for all */
    uint64_t searched;                           /* the table for which peers were looked through */
    struct series_peer *peers[SHM_MAX_SCRAPERS]; /* attached to while something arrives */
    struct copies copies;
    uint32_t budget;                /* lines that may be copied in this turn */
    const struct target *under_way; /* some of its lines are copied */
};

void takeover_init(struct scraper *scraper);
void takeover_fini(struct scraper *scraper);

/* Whether a target that the table says has moved may be somewhere else still. */
bool takeover_is_due(const struct scraper *scraper);

/* An active target, not scheduled yet, whose state has to be looked for. */
void takeover_expect(struct target *target);

/* Another scraper's now, by the table that is being taken in. Its schedule has ended. */
void takeover_release(struct target *target);

/* The last scrape of a target that another scraper owns is over. */
void takeover_scrape_ended(struct target *target);

/* A target in one of the two states is forgotten. */
void takeover_forget(const struct target *target);

/* A whole table has been taken in. */
void takeover_table_taken(struct scraper *scraper);

/* So many scrapers have processes; others may have left something. */
uint32_t takeover_living(const struct scraper *scraper);

/* Another scraper's series and ring, until nothing arrives any more; NULL: there are none. */
struct series_peer *takeover_peer(struct scraper *scraper, uint32_t index);

/*
 * Whether markers after a last scrape of this time make no sense any more: it may have been
 * elsewhere since, and queries do not look back so far.
 */
bool takeover_is_forgotten(const struct scraper *scraper, int64_t timestamp_ms,
                           int64_t interval_ns);

#endif
