/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A scraper in the test's own process, with segments in anonymous memory, a server that answers
 * what the test says, and a reader that renders what was committed. The wall clock stands; each
 * scrape comes RIG_INTERVAL_MS after the one before. Ticks do not run by themselves.
 */
#ifndef TESTS_UNIT_SCRAPERS_RIG_H
#define TESTS_UNIT_SCRAPERS_RIG_H

#include "base/strbuf.h"
#include "scrapers/scraper.h"
#include "scrapers/target.h"
#include "shm/ring.h"
#include "shm/series_reader.h"
#include "shm/targets.h"
#include "tests/unit/net/server.h"

#define RIG_START_MS    INT64_C(1800000000000)
#define RIG_INTERVAL_MS INT64_C(15000)

struct rig_answer {
    const char *bytes; /* NULL: close without one */
    size_t len;
    bool hangs;  /* nothing more comes */
    bool closes; /* the connection, afterwards */
};

/* These bytes, if they start with HTTP/; else the whole answer with this body as text/plain. */
#define RIG_BODY(text)                                                                             \
    {                                                                                              \
        .bytes = (text), .len = sizeof(text) - 1                                                   \
    }
#define RIG_BODY_THEN(text, x)                                                                     \
    {                                                                                              \
        .bytes = (text), .len = sizeof(text) - 1, .x = true                                        \
    }

/* A target as tests want it; zeros mean the usual. */
struct rig_target {
    uint64_t id;    /* 1 */
    uint32_t flags; /* SHM_TARGET_HONOR_TIMESTAMPS, as jobs have by default */
    bool no_flags;
    uint32_t owner;
    bool moved;
    const char *job;   /* "j": also the name of the job in the configuration */
    const char *extra; /* another label "name=value" */
    const char *error; /* it cannot be asked */
    const char *path;
    int64_t timeout_ms; /* 10000 */
    bool is_dead;       /* nobody listens at its address */
};

struct rig {
    uint32_t index; /* of the scraper */
    bool has_peers;
    struct loop *loop;
    struct shm_slot *slot;
    struct shm_supervisor supervisor;
    struct config *config;
    struct scraper scraper;
    uint32_t scrapers; /* of the next one, that there are; 0: two */
    struct scraper_segments segments;
    struct targets_writer table;
    struct ring_consumer ring;
    struct series_reader series;
    struct server *server;
    _Atomic(const struct rig_answer *) answer;
    char request[4096]; /* the last one */
    int doorbells;
    char asked_for[64]; /* of discovery: the last host */
    int64_t now_ms;
    struct strbuf text;
};

struct rig *rig_new(void);
struct rig *rig_new_sized(uint64_t ring_size, uint64_t series_size);
struct rig *rig_new_with_jobs(const char *more_jobs); /* of scrape_configs: "  - job_name: ..." */
void rig_free(struct rig *rig);

/*
 * Another scraper that has the same table. The two have processes as long as the supervisor pages
 * of both say so. It is to be freed before the first.
 */
struct rig *rig_new_beside(struct rig *first);

/* Kills the scraper, whatever it is doing, and starts a successor, which takes in the table. */
void rig_restart(struct rig *rig);

/* Writes a table of these targets and lets the scraper take it in. */
void rig_table(struct rig *rig, const struct rig_target *targets, int count);

/* Lets the scraper take in a table that another rig has written. */
void rig_refresh(struct rig *rig);

/* Lets scrapers look after each other for a while, in turn. */
void rig_settle(struct rig *const *rigs, int count);

/* The target of this id, or NULL. */
struct target *rig_target(struct rig *rig, uint64_t id);

/* Moves the clock. */
void rig_wait_ms(struct rig *rig, int64_t ms);

/* Starts a scrape of a target, at the next interval's time; finishes all that are running. */
void rig_start(struct rig *rig, uint64_t id, const struct rig_answer *answer);
void rig_finish(struct rig *rig);

/* Both, and then what was committed since the last time, as rig_take renders it. */
const char *rig_scrape(struct rig *rig, uint64_t id, const struct rig_answer *answer);

/*
 * What has been committed, a sample a line: "name{label="value"} value", the target's own instance
 * and job left out, " @ms" behind it where the sample has a time of its own, " from ms" where it
 * has a start timestamp, " stale" for a marker, " histogram schema s count c" for a native
 * histogram, and an exemplar as "name value exemplar label=value ...". Report series come in one
 * line: "up 1 scraped 2 post 2 added 1", or "report stale". Everything is acknowledged.
 */
const char *rig_take(struct rig *rig);

/* Until rig_take there is no room for what is committed. A scrape has to be under way: without room
 * none starts. */
void rig_fill_ring(struct rig *rig);

/* What discovery says of a host: that it is where the server is, or that there is none. */
void rig_tell_host(struct rig *rig, const char *host, bool exists);

/* A counter of the scraper. */
uint64_t rig_counter(const struct rig *rig, enum counter counter);

/* The seconds that this target's last rendered scrape_duration_seconds said. */
double rig_duration(void);

#endif
