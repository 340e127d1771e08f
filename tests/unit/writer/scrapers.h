/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Scrapers for tests of the writer: rings and series tables in anonymous memory, filled with
 * scrapes whose every value follows from target, line and time, so that whoever receives a sample
 * can tell whether it is right. Failures end the test.
 */
#ifndef TESTS_WRITER_SCRAPERS_H
#define TESTS_WRITER_SCRAPERS_H

#include "shm/block.h"
#include "shm/ring.h"
#include "shm/series.h"

enum { SCRAPERS_MAX = 4, SCRAPERS_LINES = 5000 };

struct scraper {
    int ring_fd;
    int series_fd;
    struct ring_producer ring;
    struct series_store store;
    uint32_t lines[SCRAPERS_LINES]; /* refs of m0, m1 ...; 0: not made yet */
};

struct scrapers {
    uint32_t count;
    int delivery_fd;
    int targets_fd;
    uint64_t samples; /* published so far */
    int64_t trimmed_ns;
    struct scraper scraper[SCRAPERS_MAX];
};

void scrapers_open(struct scrapers *scrapers, uint32_t count, uint64_t ring_size);
void scrapers_close(struct scrapers *scrapers);

/*
 * What is scraped: the series m0{instance="t<target>",job="j"} to m<lines - 1>, all with the
 * timestamp `ms`. Blocks of at most `block_samples`; with a layout, or with refs of their own.
 */
struct scrape {
    uint32_t scraper;
    uint64_t target; /* from 1 */
    int64_t ms;
    uint32_t lines;
    uint32_t block_samples; /* 0: SHM_BLOCK_SAMPLES */
    bool with_refs;
    bool stale;
    uint16_t kind;             /* SHM_BLOCK_HISTOGRAMS or SHM_BLOCK_EXEMPLARS; 0: samples */
    bool custom_buckets;       /* of histograms: schema -53 */
    int64_t start_ms;          /* 0: no start timestamps */
    bool with_metadata;        /* m<i> is a counter with the help "M <i>" and the unit "u" */
    const int64_t *timestamps; /* of each line, instead of ms; or NULL */
};

/* Publishes a scrape. True: the writer wants its doorbell rung. */
bool scrapers_scrape(struct scrapers *scrapers, const struct scrape *scrape);

/* The target comes to `scraper` from another one, all that that has published being before. */
void scrapers_take_over(struct scrapers *scrapers, uint32_t scraper, uint64_t target,
                        uint32_t from);

/*
 * A histogram has the value of its series as its sum; an exemplar has it as its value and the label
 * trace="<line>".
 */

/* The series as receiver.h writes it, without external labels; in text[64]. */
void scrapers_series(uint64_t target, uint32_t line, char *text);

/* The bits of the value that this series has at this time. */
uint64_t scrapers_value(const char *series, int64_t ms);

/* A target whose lane is `lane`; the nth such. */
uint64_t scrapers_target_of_lane(uint32_t lane, uint32_t nth);

#endif
