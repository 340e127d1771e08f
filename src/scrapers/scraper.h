/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A scraper: all that its parts share. It takes in tables of targets (target_set.h), is told by the
 * schedule who is due (schedule.h), asks them (scrape.h), and commits what comes (commit.h).
 */
#ifndef SCRAPERS_SCRAPER_H
#define SCRAPERS_SCRAPER_H

#include "client/lookup.h"
#include "config/config.h"
#include "http/memo.h"
#include "scrapers/body.h"
#include "scrapers/commit.h"
#include "scrapers/ending.h"
#include "scrapers/jobs.h"
#include "scrapers/ramp.h"
#include "scrapers/schedule.h"
#include "scrapers/takeover.h"
#include "scrapers/target_set.h"
#include "scrapers/throttle.h"
#include "scrapers/work.h"
#include "shm/costs.h"
#include "shm/failures.h"
#include "shm/names.h"
#include "shm/reasons.h"
#include "shm/slot.h"
#include "shm/targets.h"

struct scrape;

/* The other scrapers, as far as one looks at them. */
struct scraper_peers {
    void *context;
    /* Descriptors of ring and series of a scraper or former scraper; false: it has none. */
    bool (*segments)(void *context, uint32_t index, int *ret_ring, int *ret_series);
    const struct shm_slot *(*slot)(void *context, uint32_t index);
};

/* What the last Content-Type said that said something: as a rule the next one is the same. */
struct last_type {
    char text[128]; /* empty: there was none */
    const char *fallback;
    enum exposition_format format;
};

struct scraper {
    struct loop *loop; /* these seven are given */
    struct shm_slot *slot;
    const struct shm_supervisor *supervisor;
    const struct config *config;
    uint32_t index;
    uint32_t scrapers;
    const struct scraper_peers *peers; /* NULL: there are no others */
    /* the rest is the parts' */
    struct ring_producer ring;
    struct series_store store;
    struct targets_reader table;
    struct reasons reasons;
    struct failures failures;
    struct costs costs;
    struct line_contexts contexts;
    struct plans plans;
    struct body_tools tools;
    struct report_lines report;
    struct ending ending; /* of small scrapes, which end at once */
    struct commit commit;
    struct schedule schedule;
    struct ramp ramp;
    struct throttle throttle;
    struct work work;
    struct target_set targets;
    struct takeover takeover;
    struct jobs jobs;
    struct names_reader names; /* of proxies and redirects, in the segment of targets */
    struct lookups lookups;    /* in them; its `ask` and `ask_tls` are given, too */
    struct http_memo heads;    /* of answers */
    struct last_type last_type;
    struct scrape *spare_scrapes;
    uint32_t spare_count;
    uint32_t running;    /* scrapes */
    uint32_t peak;       /* the most that were running since memory went back */
    uint32_t peak_lines; /* and the most lines there were since */
    uint32_t awaited;    /* of them, while it is leaving: those that ran when it was told so */
    uint64_t active_series;
    int64_t next_trim_ns;
    struct loop_timer next_turn; /* which there is something to do in, though nothing happens */
    bool leaving;                /* none starts that takes long */
    bool stopping;               /* no scrape starts any more */
    bool takes_exemplars;        /* some remote is sent them */
    bool takes_metadata;         /* the same */
    bool warned_of_clock;
    bool warned_of_size;
};

/* Descriptors of its segments. */
struct scraper_segments {
    int ring;
    int series;
    int targets;
};

/* Attaches and takes up what a predecessor left. The seven members must be set, the rest zero. */
int scraper_init(struct scraper *scraper, const struct scraper_segments *segments,
                 struct errctx *reterr) MUST_USE;

/* Nothing may be running. Without another turn of the loop, so only for the end. */
void scraper_fini(struct scraper *scraper);

/* Between two turns of the loop. True: ring the writer's doorbell. */
bool scraper_turn(struct scraper *scraper) MUST_USE;

/*
 * It is going to leave, once the scrapes that are running are over (`awaited`). Meanwhile those
 * that are due are started, but for targets that took longer than SCRAPER_QUICK_NS last time: the
 * successor makes up for a tick that was missed.
 */
#define SCRAPER_QUICK_NS NS_PER_S
void scraper_prepare_to_leave(struct scraper *scraper);

/* No new scrapes. */
void scraper_stop(struct scraper *scraper);

/* Gives up the scrapes that are still running; nothing of them is committed. */
void scraper_abandon(struct scraper *scraper);

#endif
