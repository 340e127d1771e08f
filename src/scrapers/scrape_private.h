/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of a scrape share: scrape_start.c asks, scrape.c takes the answer, scrape_commit.c
 * ends it. */
#ifndef SCRAPERS_SCRAPE_PRIVATE_H
#define SCRAPERS_SCRAPE_PRIVATE_H

#include "scrapers/scrape.h"
#include "scrapers/scraper.h"

/* `failure` of a scrape that has not failed. */
#define SCRAPE_GOOD (-1)

static inline void scrape_count(const struct scraper *scraper, enum counter counter, uint64_t more)
{
    slot_add(scraper->slot, counter, more);
}

/* One without content, and its end. */
struct scrape *scrape_take(struct scraper *scraper);
void scrape_finish(struct scrape *scrape);

/* CLOCK_MONOTONIC: when its time is over. */
static inline int64_t scrape_deadline(const struct scrape *scrape)
{
    return scrape->started_ns + scrape->target->timeout_ns;
}

/* The first one counts. */
void scrape_fail(struct scrape *scrape, enum counter reason, const char *text);

/* Bytes and connections that the slot does not know yet. */
void scrape_count_transfer(struct target *target);

/* fetch_handler.on_body */
void scrape_on_body(struct fetch_connection *conn, const uint8_t *bytes, size_t len);

/* Its ending goes on in the next turns. */
void scrape_put_off_ending(struct scrape *scrape);

/* It is not put off any more, and nothing of its body is kept. */
void scrape_put_off_end(struct scrape *scrape);

/* What discovery shares targets out by; with one scraper there is nothing to share. */
static inline bool scrape_is_measured(const struct scraper *scraper)
{
    return scraper->scrapers > 1;
}

/* The limits of the target's job. */
const struct config_limits *scrape_limits_of(const struct target *target);
uint64_t scrape_sample_limit(const struct target *target);

/* Whether the ending is to be made in parts. */
bool scrape_ends_in_parts(const struct scrape *scrape);

/* All of it up to the ring. */
void scrape_commit(struct scrape *scrape);

/* A part of it, in `scrape->ending`, which is zeroed at first. True: done. */
bool scrape_commit_part(struct scrape *scrape, uint32_t *budget) MUST_USE;

/* Gives back what it holds, at whatever point it is. */
void scrape_ending_free(struct scrape *scrape);

/* What follows when it is committed. */
void scrape_is_over(struct scrape *scrape);

#endif
