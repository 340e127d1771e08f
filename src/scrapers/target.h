/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A target: what the table says of it, what its next scrape needs, and its connection. What has
 * been committed of it lies in its TARGET record and outlives this process.
 */
#ifndef SCRAPERS_TARGET_H
#define SCRAPERS_TARGET_H

#include "fetch/fetch.h"
#include "scrapers/exemplars.h"
#include "scrapers/plan.h"
#include "scrapers/schedule.h"
#include "scrapers/throttle.h"
#include "shm/targets.h"

struct scraper;
struct scraper_job;
struct scrape;
struct way;
struct detour;
struct series_peer;

enum target_life {
    TARGET_ACTIVE,    /* in the table */
    TARGET_ARRIVING,  /* the same, but its state is to be taken over from another scraper first */
    TARGET_DEPARTING, /* not any more; its markers are due at a later time */
    TARGET_RELEASED,  /* another scraper's; what is known of it stays until that one has it */
    TARGET_RELEASING  /* only its connection is still being closed */
};

/* What a target served in its last good scrape that was committed; what the refs stand for is its
 * own, too. */
struct target_past {
    struct plan *plan;      /* or NULL */
    uint32_t strays;        /* STAMPED of what it served beside the plan; 0: nothing */
    uint32_t strays_stayed; /* for so many scrapes they have been the same */
    uint32_t metadata;      /* METADATA of what plan and strays exposed; 0: nothing */
    uint32_t metadata_left; /* for so many scrapes families are remembered that are gone */
    uint64_t said;          /* print of what strays said of families for it */
};

struct target {
    struct target *next; /* of the same bucket */
    struct scraper *scraper;
    uint64_t id;
    uint64_t description; /* hash of what the table says */
    uint64_t labels_key;  /* hash of its labels: the same key, the same series */
    uint64_t seen;        /* the table's generation in which it stood last */
    enum target_life life;
    uint32_t ref;    /* TARGET record; 0: there was no memory for it yet */
    uint32_t flags;  /* SHM_TARGET_* */
    uint32_t series; /* that are tracked */
    struct tick_member tick;
    int64_t timeout_ns;
    int64_t took_ns;             /* its last scrape */
    uint64_t sample_limit;       /* 0: that of the job */
    int64_t pending_due_ns;      /* a tick that came while one was running or held back; 0: none */
    struct throttle_member turn; /* to run it, where it was held back */
    struct scraper_job *job;     /* NULL: the configuration does not know it (any more) */
    struct way *way;             /* NULL: straight to `addresses`, in plain text; see way.h */
    struct detour *detour;       /* NULL: no redirects are being followed */
    struct line_context *context;
    struct exemplar_memory exemplars;
    struct target_past past;
    const char *fallback;  /* protocol's word, or NULL */
    struct scrape *scrape; /* that is running, or NULL */
    char *head;            /* of the request */
    bool supplied;         /* its job came over the network */
    bool is_shared;        /* departing: instances share it out, and the shares may be others now */
    bool has_reason;       /* that is shown: its last scrape failed */
    char *error;           /* it cannot be asked, and why; else NULL */
    uint32_t head_len;
    uint32_t base_len;     /* of it, the part that stays: without credentials and empty line */
    uint32_t tail_version; /* of the client whose credentials it has */
    uint32_t address_count;
    struct net_address addresses[SHM_TARGET_ADDRESSES];
    struct fetch_connection conn;
    struct fetch_counters counted; /* of conn.counters, what the slot knows */
    struct series_peer *from;      /* ARRIVING: where its state is; NULL: nowhere else */
    uint32_t from_ref;             /* its TARGET record there */
    uint64_t cost_ns;              /* CPU time of a scrape, smoothed; 0: not known */
    bool was_measured;             /* the first scrape here is over */
    uint32_t cost_place;           /* where that is told; 0: nowhere */
    struct loop_timer departure;   /* when the markers are due */
    int64_t departed_ms;           /* their timestamp */
};

#define TARGET_OF(pointer, member)                                                                 \
    ((struct target *)(void *)((char *)(pointer)-offsetof(struct target, member)))

/*
 * A target of the table, or NULL when what the table says cannot be read or used. `labels` are the
 * view's, decoded. Not scheduled yet.
 */
struct target *target_new(struct scraper *scraper, const struct target_view *view,
                          const struct label *labels);

/*
 * A target that the table does not know, but of which a predecessor left a TARGET record. Its
 * interval is that of the job that its labels name, else the global one.
 */
struct target *target_new_departing(struct scraper *scraper, uint32_t ref);

/* Looks again at what the TARGET record knows of its series. */
void target_note_series(struct target *target);

/* A hash of what the table says of a target besides its labels. */
uint64_t target_describe(const struct target_view *view);

/* A hash of labels, sorted by name, that only this process knows: no target can make its labels
   have that of another one's. */
uint64_t target_labels_key(const struct hash_key *secret, const struct label *labels,
                           uint32_t count);

/* Gives back what is its own. All zero afterwards. */
void target_past_forget(struct scraper *scraper, struct target_past *past);

/* Closes the connection, gives everything back, frees; perhaps later, from the loop. */
void target_free(struct target *target);

/* Makes or finds the TARGET record; without memory `ref` stays 0, and it can be tried again. */
void target_record(struct target *target, const struct label *labels, uint32_t count);

#endif
