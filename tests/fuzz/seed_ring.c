/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Writes the seeds of fuzz_ring into the directory that is named on the command line: what a
 * scraper leaves. Run it when the layout has changed:
 *
 *     make tests/fuzz/seed_ring && tests/fuzz/seed_ring ../../tests/fuzz/corpus/ring
 */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "shm/block.h"
#include "shm/series.h"
#include "tests/fuzz/ring_input.h"

struct scraper {
    int ring_fd;
    int series_fd;
    struct ring_producer ring;
    struct series_store store;
    uint32_t target;
    uint32_t lines[3];
    uint32_t layout;
    uint32_t metadata;
};

static int make_segment(uint32_t kind, uint64_t size, uint64_t geometry, uint64_t start)
{
    int fd = memfd_create("seed", MFD_CLOEXEC);
    check(fd >= 0);
    check(segment_create(fd, kind, 0, size, geometry, NULL) == 0);
    if (kind == SHM_KIND_RING) {
        check(pwrite(fd, &start, sizeof(start), SHM_PAGE) == sizeof(start));
        check(pwrite(fd, &start, sizeof(start), 2 * SHM_PAGE) == sizeof(start));
    }
    return fd;
}

static void start(struct scraper *scraper, uint64_t pos)
{
    static const struct label names[] = {{SLICE_LITERAL("__name__"), SLICE_LITERAL("up")},
                                         {SLICE_LITERAL("__name__"), SLICE_LITERAL("a_total")},
                                         {SLICE_LITERAL("instance"), {series_hides, 0}}};
    static const struct label instance = {SLICE_LITERAL("instance"), SLICE_LITERAL("h:80")};
    static const struct family families[] = {
        {SLICE_LITERAL("a_total"), SLICE_LITERAL("How many."), SLICE_LITERAL(""), 1},
        {SLICE_LITERAL("up"), SLICE_LITERAL(""), SLICE_LITERAL("seconds"), 2}};
    scraper->ring_fd =
        make_segment(SHM_KIND_RING, SHM_RING_DATA + RING_INPUT_RING, RING_INPUT_RING, pos);
    scraper->series_fd = make_segment(SHM_KIND_SERIES, SHM_SERIES_ARENA + RING_INPUT_ARENA, 0, 0);
    check(ring_producer_attach(&scraper->ring, scraper->ring_fd, 0, NULL) == 0);
    check(series_store_attach(&scraper->store, scraper->series_fd, 0, &scraper->ring, NULL) == 0);
    check(series_target(&scraper->store, 7, &instance, 1, &scraper->target) == 0);
    check(series_line(&scraper->store, &names[0], 1, &scraper->lines[0]) == 0);
    check(series_line(&scraper->store, &names[1], 1, &scraper->lines[1]) == 0);
    check(series_line(&scraper->store, &names[1], 2, &scraper->lines[2]) == 0);
    check(series_layout(&scraper->store, scraper->lines, 3, &scraper->layout) == 0);
    check(series_metadata(&scraper->store, families, 2, &scraper->metadata) == 0);
}

static void put_block(struct scraper *scraper, uint16_t kind, uint16_t flags)
{
    const struct series_store *store = &scraper->store;
    struct block_columns columns;
    struct shm_block head = {.kind = kind,
                             .flags = flags,
                             .count = 3,
                             .target_id = 7,
                             .target_ref = scraper->target,
                             .target_generation = series_generation(store, scraper->target)};
    if ((flags & SHM_BLOCK_HAS_LAYOUT) != 0) {
        head.layout_ref = scraper->layout;
        head.layout_generation = series_generation(store, scraper->layout);
    }
    head.metadata_ref = scraper->metadata;
    head.metadata_generation = series_generation(store, scraper->metadata);
    bool has_bytes = kind == SHM_BLOCK_HISTOGRAMS || kind == SHM_BLOCK_EXEMPLARS;
    check(block_reserve_bytes(&scraper->ring, &head, has_bytes ? 12 : 0, &columns) == 0);
    for (uint32_t i = 0; i < 3; i++) {
        if (columns.refs != NULL)
            columns.refs[i] = scraper->lines[i];
        if (columns.bits != NULL)
            columns.bits[i] = i;
        if (columns.timestamps != NULL)
            columns.timestamps[i] = i;
        if (columns.starts != NULL)
            columns.starts[i] = i;
        if (columns.ends != NULL) {
            static const uint8_t item[4] = {0x20, 0, 0x08, 7};
            memcpy(columns.bytes + 4 * i, item, sizeof(item));
            columns.ends[i] = 4 * (i + 1);
        }
    }
}

static void commit(struct scraper *scraper, bool with_stamped)
{
    static const int64_t times[] = {1, 2, 3};
    struct series_state state = {
        .scrape_seq = 1, .layout = scraper->layout, .metadata = scraper->metadata};
    if (with_stamped)
        check(series_stamped(&scraper->store, scraper->lines, times, 3, &state.stamped) == 0);
    series_target_prepare(&scraper->store, scraper->target, &state);
    if (!ring_publish(&scraper->ring))
        series_reclaim(&scraper->store);
    series_target_commit(&scraper->store, scraper->target);
}

/* Bytes of a block with three values. */
static uint64_t block_bytes_of(struct scraper *scraper)
{
    uint64_t before = scraper->ring.written;
    put_block(scraper, SHM_BLOCK_STALE, 0);
    check(ring_publish(&scraper->ring)); /* wake_pos is 0 */
    return scraper->ring.written - before;
}

/* All but the last so many bytes have been read. */
static void acknowledge(struct scraper *scraper, uint64_t left)
{
    struct ring_consumer ring;
    check(ring_consumer_attach(&ring, scraper->ring_fd, 0, true, NULL) == 0);
    ring_consumer_ack(&ring, ring_consumer_produced(&ring) - left);
    ring_consumer_detach(&ring);
}

/* The next block does not fit before the end of the data, and one that lies there waits. */
static void go_to_the_end(struct scraper *scraper)
{
    put_block(scraper, SHM_BLOCK_STALE, SHM_BLOCK_HAS_LAYOUT); /* shorter */
    uint64_t bytes = block_bytes_of(scraper);
    check(RING_INPUT_RING % bytes == 0);
    while (scraper->ring.written + bytes <= RING_INPUT_RING)
        check(block_bytes_of(scraper) == bytes);
    acknowledge(scraper, bytes);
}

/* The last so many bytes are of a lap that happens to go on where the one before ends. */
static void divide(struct scraper *scraper, uint64_t bytes)
{
    struct shm_ring_lap *laps = scraper->ring.own->laps;
    laps[1].from = scraper->ring.published - bytes;
    laps[1].place = laps[0].place + (laps[1].from - laps[0].from);
}

static void save(struct scraper *scraper, const char *directory, const char *name)
{
    char path[4096];
    struct ring_input input = {.produced = scraper->ring.published,
                               .acked = ring_acked(&scraper->ring),
                               .used = series_usage(&scraper->store).bytes};
    input.ring_bytes = input.produced - input.acked;
    for (uint32_t i = 0; i < SHM_RING_LAPS; i++) {
        input.laps[i].from = scraper->ring.own->laps[i].from;
        input.laps[i].place = scraper->ring.own->laps[i].place;
    }
    uint64_t place = input.laps[0].place + (input.acked - input.laps[0].from);
    snprintf(path, sizeof(path), "%s/%s", directory, name);
    FILE *out = fopen(path, "wb");
    check(out != NULL);
    fwrite(&input, sizeof(input), 1, out);
    fwrite(scraper->ring.data + place % RING_INPUT_RING, input.ring_bytes, 1, out);
    fwrite(scraper->store.arena, input.used, 1, out);
    check(fclose(out) == 0);
    series_store_detach(&scraper->store);
    ring_producer_detach(&scraper->ring);
    close(scraper->ring_fd);
    close(scraper->series_fd);
}

int main(int argc, char **argv)
{
    struct scraper scraper;
    check(argc == 2);
    const char *directory = argv[1];
    start(&scraper, 0);
    put_block(&scraper, SHM_BLOCK_SAMPLES_KIND, SHM_BLOCK_HAS_LAYOUT | SHM_BLOCK_LAST);
    commit(&scraper, false);
    save(&scraper, directory, "layout");
    start(&scraper, 0);
    put_block(&scraper, SHM_BLOCK_SAMPLES_KIND, SHM_BLOCK_HAS_TIMESTAMPS);
    put_block(&scraper, SHM_BLOCK_STALE, SHM_BLOCK_HAS_LAYOUT);
    commit(&scraper, true);
    save(&scraper, directory, "refs-timestamps-stale");
    start(&scraper, 0);
    go_to_the_end(&scraper);
    put_block(&scraper, SHM_BLOCK_SAMPLES_KIND, SHM_BLOCK_REPORT);
    commit(&scraper, false);
    save(&scraper, directory, "across-the-end");
    start(&scraper, RING_INPUT_RING * 5);
    put_block(&scraper, SHM_BLOCK_SAMPLES_KIND, SHM_BLOCK_HAS_LAYOUT);
    divide(&scraper, block_bytes_of(&scraper));
    save(&scraper, directory, "two-laps");
    start(&scraper, 0);
    put_block(&scraper, SHM_BLOCK_STALE, SHM_BLOCK_LAST);
    commit(&scraper, true);
    series_target_drop(&scraper.store, scraper.target);
    save(&scraper, directory, "dropped-target");
    start(&scraper, 0);
    put_block(&scraper, SHM_BLOCK_HISTOGRAMS, SHM_BLOCK_HAS_LAYOUT | SHM_BLOCK_HAS_STARTS);
    put_block(&scraper, SHM_BLOCK_EXEMPLARS, SHM_BLOCK_HAS_TIMESTAMPS);
    put_block(&scraper, SHM_BLOCK_SAMPLES_KIND, SHM_BLOCK_HAS_LAYOUT | SHM_BLOCK_HAS_STARTS);
    commit(&scraper, false);
    save(&scraper, directory, "histograms-exemplars-starts");
    return 0;
}
