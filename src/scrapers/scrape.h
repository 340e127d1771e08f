/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One scrape: request, answer, outcome, commit. Errors come in Prometheus' order: a status other
 * than 200 before all that follows, then what broke the transport, then the Content-Type, then
 * what is wrong with the body.
 */
#ifndef SCRAPERS_SCRAPE_H
#define SCRAPERS_SCRAPE_H

#include "fetch/fetch.h"
#include "http/gzip.h"
#include "scrapers/body.h"
#include "scrapers/ramp.h"
#include "scrapers/target.h"

struct ending;

struct scrape {
    struct scrape *next; /* spare ones; those that are put off */
    struct target *target;
    int64_t timestamp_ms;
    int64_t due_ns;     /* wall: when its tick was */
    int64_t started_ns; /* monotonic */
    int64_t worked_ns;  /* on it, so far, as far as that is measured */
    struct ramp_entry ramp;
    uint64_t promised;      /* bytes of the ring */
    int failure;            /* enum counter of the first failure that counts; -1: none yet */
    char *location;         /* another place that is to be asked; NULL: none */
    int redirect;           /* the status that said so */
    uint32_t weight;        /* while it counts with the throttle, else 0 */
    struct loop_timer look; /* set while the addresses of that place are being asked for */
    struct http_gzip gzip;
    bool is_awaited;       /* the scraper leaves when it is over */
    bool is_gzip;          /* the body is, which is being undone */
    bool gzip_over;        /* it was damaged, or longer than allowed */
    struct ending *ending; /* that is made in parts; NULL: it is not that far, or not so large */
    bool is_put_off;       /* in the list of those on which work goes on in the next turn */
    char *late; /* bytes of the body that came and are still to be worked on; NULL: none */
    size_t late_at;
    size_t late_len;
    bool has_body; /* a byte of it came; `body` is in use if there was no failure then */
    bool uses_body;
    uint64_t body_bytes; /* of the body, so far */
    uint64_t work;       /* on it, as scrape_body.c counts it */
    char content_type[512];
    char error[1024];
    struct body body;
};

/*
 * The target is due. Does nothing but count where a scrape may not start: one is running or held
 * back (then at most one tick is remembered), the ring is full, the target is quarantined, its last
 * scrape has the same timestamp. timestamp_ns: by tick_timestamp; it is later where that is not
 * after the last.
 */
void scrape_due(struct tick_member *member, int64_t due_ns, int64_t timestamp_ns);

/* A scrape that waited to open a connection may do so. */
void scrape_begin(struct ramp_entry *entry);

/* The turn of a target has come whose scrape was held back. */
void scrape_begin_held(struct throttle_member *member);

/* Gives up a running scrape; the target is free for another one, nothing is committed. */
void scrape_abandon(struct scrape *scrape);

void scrapes_fini(struct scraper *scraper);

extern const struct fetch_handler scrape_handler;

#endif
