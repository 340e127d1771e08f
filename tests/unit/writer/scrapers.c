/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/writer/scrapers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/hash.h"
#include "shm/delivery.h"
#include "tests/unit/shm/segments.h"

enum { SERIES_ARENA = 64 << 20, TARGETS_HALF = 64 << 10 };

static void open_scraper(struct scraper *scraper, uint32_t index, uint64_t ring_size)
{
    struct errctx why;
    scraper->ring_fd = segments_new(SHM_KIND_RING, index, SHM_RING_DATA + ring_size, ring_size);
    scraper->series_fd = segments_new(SHM_KIND_SERIES, index, SHM_SERIES_ARENA + SERIES_ARENA, 0);
    if (ring_producer_attach(&scraper->ring, scraper->ring_fd, index, &why) != 0)
        fail_msg("%s", why.text);
    if (series_store_attach(&scraper->store, scraper->series_fd, index, &scraper->ring, &why) != 0)
        fail_msg("%s", why.text);
}

void scrapers_open(struct scrapers *scrapers, uint32_t count, uint64_t ring_size)
{
    assert_true(count <= SCRAPERS_MAX);
    *scrapers = (struct scrapers){.count = count,
                                  .delivery_fd = segments_delivery(),
                                  .targets_fd = segments_targets(TARGETS_HALF)};
    for (uint32_t i = 0; i < count; i++)
        open_scraper(&scrapers->scraper[i], i, ring_size);
}

void scrapers_close(struct scrapers *scrapers)
{
    for (uint32_t i = 0; i < scrapers->count; i++) {
        struct scraper *scraper = &scrapers->scraper[i];
        series_store_detach(&scraper->store);
        ring_producer_detach(&scraper->ring);
        close(scraper->ring_fd);
        close(scraper->series_fd);
    }
    close(scrapers->delivery_fd);
    close(scrapers->targets_fd);
}

static const uint32_t *lines_of(struct scraper *scraper, uint32_t count)
{
    assert_true(count <= SCRAPERS_LINES);
    for (uint32_t i = 0; i < count; i++) {
        if (scraper->lines[i] != 0)
            continue;
        char name[16];
        snprintf(name, sizeof name, "m%u", i);
        const struct label label = {SLICE_LITERAL("__name__"), slice_of(name)};
        assert_int_equal(series_line(&scraper->store, &label, 1, &scraper->lines[i]), 0);
    }
    return scraper->lines;
}

static uint32_t target_of(struct scraper *scraper, uint64_t target)
{
    char instance[32];
    snprintf(instance, sizeof instance, "t%llu", (unsigned long long)target);
    const struct label labels[] = {{SLICE_LITERAL("instance"), slice_of(instance)},
                                   {SLICE_LITERAL("job"), SLICE_LITERAL("j")}};
    uint32_t ref;
    assert_int_equal(series_target(&scraper->store, target, labels, 2, &ref), 0);
    return ref;
}

void scrapers_series(uint64_t target, uint32_t line, char *text)
{
    snprintf(text, 64, "__name__=m%u,instance=t%llu,job=j,", line, (unsigned long long)target);
}

uint64_t scrapers_value(const char *series, int64_t ms)
{
    /* Never the staleness marker: the exponent is not all ones. */
    return hash64(series, strlen(series), (uint64_t)ms) & UINT64_C(0xbfffffffffffffff);
}

static int64_t time_of(const struct scrape *scrape, uint32_t line)
{
    return scrape->timestamps != NULL ? scrape->timestamps[line] : scrape->ms;
}

static uint8_t *put_histogram(uint8_t *at, const struct scrape *scrape, uint64_t sum)
{
    const uint8_t head[] = {0x20, scrape->custom_buckets ? 105 : 2, 0x08, 7, 0x19};
    memcpy(at, head, sizeof head);
    memcpy(at + sizeof head, &sum, sizeof sum);
    return at + sizeof head + sizeof sum;
}

static uint8_t *put_exemplar(uint8_t *at, uint32_t line)
{
    char value[16];
    uint32_t count = 1;
    size_t len = (size_t)snprintf(value, sizeof value, "%u", line);
    const struct label label = {slice_make("trace", 5), slice_make(value, len)};
    memcpy(at, &count, sizeof count);
    return label_bytes_put(at + sizeof count, &label, count);
}

/* The bytes of all items, and where each ends. */
static uint32_t make_bytes(const struct scrape *scrape, const struct shm_block *head,
                           uint8_t *bytes, uint32_t *ends)
{
    uint8_t *at = bytes;
    for (uint32_t i = 0; i < head->count; i++) {
        uint32_t line = head->first_line + i;
        char series[64];
        scrapers_series(scrape->target, line, series);
        at = scrape->kind == SHM_BLOCK_EXEMPLARS
                 ? put_exemplar(at, line)
                 : put_histogram(at, scrape, scrapers_value(series, time_of(scrape, line)));
        ends[i] = (uint32_t)(at - bytes);
    }
    return (uint32_t)(at - bytes);
}

static uint32_t metadata_of(struct scraper *scraper, uint32_t lines)
{
    enum { MOST = 10 }; /* m0 to m9 are sorted as they stand */
    struct family families[MOST];
    char texts[MOST][2][16];
    uint32_t count = lines < MOST ? lines : MOST;
    uint32_t ref;
    for (uint32_t i = 0; i < count; i++) {
        snprintf(texts[i][0], sizeof texts[i][0], "m%u", i);
        snprintf(texts[i][1], sizeof texts[i][1], "M %u", i);
        families[i] =
            (struct family){slice_of(texts[i][0]), slice_of(texts[i][1]), SLICE_LITERAL("u"), 1};
    }
    assert_int_equal(series_metadata(&scraper->store, families, count, &ref), 0);
    return ref;
}

static void fill(const struct scrape *scrape, const uint32_t *lines, const struct shm_block *head,
                 const struct block_columns *columns)
{
    for (uint32_t i = 0; i < head->count; i++) {
        uint32_t line = head->first_line + i;
        char series[64];
        scrapers_series(scrape->target, line, series);
        if (columns->refs != NULL)
            columns->refs[i] = lines[line];
        if (columns->bits != NULL)
            columns->bits[i] = scrapers_value(series, time_of(scrape, line));
        if (columns->timestamps != NULL)
            columns->timestamps[i] = time_of(scrape, line);
        if (columns->starts != NULL)
            columns->starts[i] = scrape->start_ms;
    }
}

bool scrapers_scrape(struct scrapers *scrapers, const struct scrape *scrape)
{
    struct scraper *scraper = &scrapers->scraper[scrape->scraper];
    const uint32_t *lines = lines_of(scraper, scrape->lines);
    uint32_t layout;
    assert_int_equal(series_layout(&scraper->store, lines, scrape->lines, &layout), 0);
    uint16_t kind = scrape->kind != 0 ? scrape->kind : SHM_BLOCK_SAMPLES_KIND;
    struct shm_block head = {.kind = scrape->stale ? SHM_BLOCK_STALE : kind,
                             .target_id = scrape->target,
                             .target_ref = target_of(scraper, scrape->target),
                             .timestamp_ms = scrape->ms,
                             .scrape_seq = (uint32_t)(scrape->ms / 1000)};
    head.target_generation = series_generation(&scraper->store, head.target_ref);
    if (!scrape->with_refs) {
        head.flags |= SHM_BLOCK_HAS_LAYOUT;
        head.layout_ref = layout;
        head.layout_generation = series_generation(&scraper->store, layout);
    }
    if (scrape->timestamps != NULL)
        head.flags |= SHM_BLOCK_HAS_TIMESTAMPS;
    if (scrape->start_ms != 0)
        head.flags |= SHM_BLOCK_HAS_STARTS;
    if (scrape->with_metadata) {
        head.metadata_ref = metadata_of(scraper, scrape->lines);
        head.metadata_generation = series_generation(&scraper->store, head.metadata_ref);
    }
    uint32_t most = scrape->block_samples == 0 ? SHM_BLOCK_SAMPLES : scrape->block_samples;
    for (uint32_t done = 0; done < scrape->lines; done += head.count) {
        struct block_columns columns;
        head.first_line = done;
        head.count = scrape->lines - done < most ? scrape->lines - done : most;
        uint8_t bytes[64 * SHM_BLOCK_SAMPLES];
        uint32_t ends[SHM_BLOCK_SAMPLES];
        uint32_t len = scrape->kind != 0 ? make_bytes(scrape, &head, bytes, ends) : 0;
        assert_int_equal(block_reserve_bytes(&scraper->ring, &head, len, &columns), 0);
        fill(scrape, lines, &head, &columns);
        if (len > 0) {
            memcpy(columns.bytes, bytes, len);
            memcpy(columns.ends, ends, head.count * sizeof *ends);
        }
    }
    if (scrape->kind != SHM_BLOCK_EXEMPLARS)
        scrapers->samples += scrape->lines;
    bool wants_doorbell = ring_publish(&scraper->ring);
    scrapers->trimmed_ns += RING_KEEP_S * NS_PER_S;
    ring_trim(&scraper->ring, scrapers->trimmed_ns); /* so that less of what is old can be read */
    return wants_doorbell;
}

void scrapers_take_over(struct scrapers *scrapers, uint32_t scraper, uint64_t target, uint32_t from)
{
    struct scraper *to = &scrapers->scraper[scraper];
    struct block_columns columns;
    struct shm_block head = {.kind = SHM_BLOCK_TAKEOVER,
                             .count = 1,
                             .target_id = target,
                             .target_ref = target_of(to, target),
                             .first_line = from};
    head.target_generation = series_generation(&to->store, head.target_ref);
    assert_int_equal(block_reserve(&to->ring, &head, &columns), 0);
    columns.bits[0] = ring_written(&scrapers->scraper[from].ring);
    (void)!ring_publish(&to->ring);
}

uint64_t scrapers_target_of_lane(uint32_t lane, uint32_t nth)
{
    uint64_t target = 1;
    for (;; target++) {
        if (delivery_lane(target) == lane && nth-- == 0)
            return target;
    }
}
