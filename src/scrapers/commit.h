/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Puts what came of a scrape into the ring, and the target's new state beside it, visible together
 * by one publish: whole or not at all.
 */
#ifndef SCRAPERS_COMMIT_H
#define SCRAPERS_COMMIT_H

#include "scrapers/outcome.h"
#include "shm/block.h"

/* The report series, in Prometheus' order; those from REPORT_COUNT on with extra_scrape_metrics. */
enum report {
    REPORT_UP,
    REPORT_DURATION,
    REPORT_SCRAPED,
    REPORT_POST,
    REPORT_ADDED,
    REPORT_COUNT,
    REPORT_TIMEOUT = REPORT_COUNT,
    REPORT_SAMPLE_LIMIT,
    REPORT_BODY_BYTES,
    REPORT_EXTRA_COUNT
};

/* Their LINE records, and the LAYOUTs of the first REPORT_COUNT and of all of them. */
struct report_lines {
    uint32_t lines[REPORT_EXTRA_COUNT];
    uint32_t layout;
    uint32_t extra_layout;
};
int report_lines_get(struct series_store *store, struct report_lines *ret_lines) MUST_USE;
void report_lines_release(struct series_store *store, const struct report_lines *lines);

struct commit {
    struct ring_producer *ring;
    struct series_store *store;
    const struct report_lines *report;
    bool doorbell; /* the writer wants to be woken: ring it once a turn, and set this to false */
};

struct commit_scrape {
    uint32_t target_ref;
    int64_t timestamp_ms;
    bool is_contested;  /* another instance may have the target, too; see commit_departure */
    bool send_samples;  /* false: the outcome's samples are only what was seen */
    uint32_t metadata;  /* METADATA record of what it exposes; 0: none is known */
    bool reports_extra; /* all of `report`, not only the first REPORT_COUNT */
    double report[REPORT_EXTRA_COUNT];
};

/*
 * ERR_FULL: the ring has no room; -ENOSPC: no memory. Then nothing has changed. The number of
 * samples and markers, with report series.
 */
int64_t commit_scrape(struct commit *commit, const struct commit_scrape *scrape,
                      const struct outcome *outcome) MUST_USE;

/*
 * The target is gone for good: markers for all it tracks, but for the lines that `heir` (a TARGET
 * with the same labels; 0: none) tracks now or gives timestamps of their own, and for its report
 * series, unless there is an heir. Its record is dropped. is_contested: another instance may have
 * the target and have sent newer samples, as an heir may; what receivers refuse for that takes
 * nothing else along. Errors as above.
 */
int64_t commit_departure(struct commit *commit, uint32_t target_ref, uint32_t heir_ref,
                         int64_t timestamp_ms, bool is_contested) MUST_USE;

/*
 * The target came from scraper `ring`: its state there becomes the state here, and the writer is
 * told that what follows comes after `pos` of that ring. Takes over a reference of state->layout,
 * state->stamped and state->metadata each, also in case of an error: ERR_FULL, -ENOSPC.
 */
int commit_takeover(struct commit *commit, uint32_t target_ref, const struct series_state *state,
                    uint32_t ring, uint64_t pos) MUST_USE;

/* Bytes that the blocks of this outcome take in the ring beyond those of its samples. */
uint64_t commit_bytes_of_items(const struct outcome *outcome);

/* Bytes that a scrape of so many samples and markers may take in the ring. */
uint64_t commit_bytes(uint32_t samples, uint32_t markers);

#endif
