/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A ring and a series segment with arbitrary bytes: the writer must read nothing beyond them, and
 * the next scraper must be able to work with what it recovers.
 */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "shm/block.h"
#include "shm/series.h"
#include "shm/series_reader.h"
#include "tests/fuzz/ring_input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct segments {
    int ring_fd;
    int series_fd;
    uint8_t *ring; /* all of the segment, to put bytes there */
    uint8_t *series;
    uint64_t ring_size;
    uint64_t series_size;
};

static int make_segment(uint32_t kind, uint64_t size, uint64_t geometry, uint8_t **ret_base)
{
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    check(fd >= 0);
    check(segment_create(fd, kind, 0, size, geometry, NULL) == 0);
    *ret_base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    check(*ret_base != MAP_FAILED);
    return fd;
}

static struct segments make_segments(void)
{
    struct segments segments = {.ring_size = SHM_RING_DATA + RING_INPUT_RING,
                                .series_size = SHM_SERIES_ARENA + RING_INPUT_ARENA};
    segments.ring_fd =
        make_segment(SHM_KIND_RING, segments.ring_size, RING_INPUT_RING, &segments.ring);
    segments.series_fd = make_segment(SHM_KIND_SERIES, segments.series_size, 0, &segments.series);
    return segments;
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static void put_input(struct segments *segments, const uint8_t *data, size_t size)
{
    struct ring_input input = {0};
    memcpy(&input, data, least(size, sizeof(input)));
    data += least(size, sizeof(input));
    size -= least(size, sizeof(input));
    uint64_t ring_bytes = least(least(input.ring_bytes, size), RING_INPUT_RING);
    uint64_t series_bytes = least(size - ring_bytes, RING_INPUT_ARENA);
    uint64_t place = input.laps[0].place + (input.acked - input.laps[0].from);
    memcpy(segments->ring + SHM_PAGE, &input.produced, sizeof(input.produced));
    memcpy(segments->ring + SHM_PAGE + offsetof(struct shm_ring_producer, laps), input.laps,
           sizeof(input.laps));
    memcpy(segments->ring + 2 * SHM_PAGE, &input.acked, sizeof(input.acked));
    memcpy(segments->series + SHM_PAGE, &input.used, sizeof(input.used));
    memset(segments->ring + SHM_RING_DATA, 0, RING_INPUT_RING);
    for (uint64_t i = 0; i < ring_bytes; i++)
        segments->ring[SHM_RING_DATA + (place + i) % RING_INPUT_RING] = data[i];
    memset(segments->series + SHM_SERIES_ARENA, 0, RING_INPUT_ARENA);
    memcpy(segments->series + SHM_SERIES_ARENA, data + ring_bytes, series_bytes);
}

/* ---- the writer ---- */

/* Reads the bytes, and fails when they do not lie in the segment; one name never does. */
static uint64_t touch(const struct series_reader *reader, const void *ptr, size_t len)
{
    const uint8_t *bytes = ptr;
    const uint8_t *end = reader->segment.base + reader->segment.size;
    uint64_t sum = 0;
    bool is_inside = bytes >= reader->arena && bytes < end && len <= (size_t)(end - bytes);
    check(len == 0 || is_inside || (len == 8 && memcmp(bytes, "__name__", 8) == 0));
    for (size_t i = 0; i < len; i++)
        sum += bytes[i];
    return sum;
}

static uint64_t read_series(const struct series_reader *reader, const struct series_record *target,
                            uint32_t ref)
{
    struct series_record line;
    struct series_label labels[16];
    uint64_t sum = 0;
    if (!series_reader_record(reader, ref, SHM_RECORD_LINE, 0, &line))
        return 0;
    int count = series_reader_merge(target, &line, labels, 16);
    for (int i = 0; i < count; i++)
        sum += touch(reader, labels[i].name.ptr, labels[i].name.len) +
               touch(reader, labels[i].value.ptr, labels[i].value.len);
    return sum;
}

static const uint32_t *lines_of(const struct series_reader *reader, const struct block_view *view)
{
    struct series_record layout;
    uint32_t count;
    if (view->refs != NULL)
        return view->refs;
    if (!series_reader_record(reader, view->head.layout_ref, SHM_RECORD_LAYOUT,
                              view->head.layout_generation, &layout))
        return NULL;
    const uint32_t *lines = series_reader_lines(&layout, &count);
    if (lines == NULL || count < view->head.count ||
        count - view->head.count < view->head.first_line)
        return NULL;
    (void)touch(reader, lines, count * sizeof(*lines));
    return lines + view->head.first_line;
}

static uint64_t read_metadata(const struct series_reader *reader, const struct block_view *view)
{
    struct series_record metadata;
    struct family family;
    uint64_t sum = 0;
    if (!series_reader_record(reader, view->head.metadata_ref, SHM_RECORD_METADATA,
                              view->head.metadata_generation, &metadata))
        return 0;
    for (uint32_t i = 0; families_get(metadata.body, metadata.body_len, metadata.count, i, &family);
         i++)
        sum += touch(reader, family.name.ptr, family.name.len) +
               touch(reader, family.help.ptr, family.help.len) +
               touch(reader, family.unit.ptr, family.unit.len);
    return sum + series_reader_family(&metadata, slice_of("a_total"), &family);
}

static uint64_t read_bytes(const struct block_view *view, uint32_t i)
{
    struct slice bytes;
    uint64_t sum = 0;
    if (!block_bytes(view, i, &bytes))
        return 0;
    check(bytes.ptr + bytes.len <= (const char *)view->bytes + view->head.length);
    for (size_t j = 0; j < bytes.len; j++)
        sum += (uint8_t)bytes.ptr[j];
    return sum;
}

static uint64_t read_block(const struct series_reader *reader, const struct block_view *view)
{
    struct series_record target;
    uint64_t sum = 0;
    const uint32_t *lines = lines_of(reader, view);
    if (lines == NULL || !series_reader_record(reader, view->head.target_ref, SHM_RECORD_TARGET,
                                               view->head.target_generation, &target))
        return 0;
    for (uint32_t i = 0; i < view->head.count; i++) {
        sum += read_series(reader, &target, lines[i]);
        sum += view->bits != NULL ? view->bits[i] : 0;
        sum += view->timestamps != NULL ? (uint64_t)view->timestamps[i] : 0;
        sum += view->starts != NULL ? (uint64_t)view->starts[i] : 0;
        sum += read_bytes(view, i);
    }
    return sum + read_metadata(reader, view);
}

static void read_as_writer(const struct segments *segments)
{
    struct ring_consumer ring;
    struct series_reader reader;
    struct block_view view;
    check(ring_consumer_attach(&ring, segments->ring_fd, 0, true, NULL) == 0);
    check(series_reader_attach(&reader, segments->series_fd, 0, NULL) == 0);
    uint64_t end = ring_consumer_produced(&ring);
    uint64_t pos = ring_consumer_acked(&ring);
    while (pos != end && block_read(&ring, pos, end, &view) == 0) {
        if (view.head.kind != SHM_BLOCK_SKIP)
            (void)read_block(&reader, &view);
        pos = view.next_pos;
    }
    ring_consumer_detach(&ring);
    series_reader_detach(&reader);
}

/* ---- the next scraper ---- */

static void visit_target(void *context, uint64_t target_id, uint32_t ref)
{
    const struct series_store *store = context;
    struct series_state state = series_target_state(store, ref);
    check(series_target_id(store, ref) == target_id);
    if (state.layout != 0)
        check(series_layout_lines(store, state.layout) != NULL);
    if (state.stamped != 0)
        check(series_stamped_times(store, state.stamped) != NULL &&
              series_stamped_lines(store, state.stamped) != NULL);
    for (uint32_t i = 0; state.metadata != 0 && i < series_count(store, state.metadata); i++)
        check(series_family(store, state.metadata, i).name.ptr != NULL);
}

static void write_scrape(struct series_store *store, struct ring_producer *ring)
{
    const struct label label = {SLICE_LITERAL("__name__"), SLICE_LITERAL("up")};
    struct block_columns columns;
    struct series_state state = {.scrape_seq = 1};
    struct shm_block head = {.kind = SHM_BLOCK_SAMPLES_KIND, .count = 1};
    uint32_t line;
    if (series_line(store, &label, 1, &line) != 0)
        return;
    if (series_layout(store, &line, 1, &state.layout) == 0 &&
        series_target(store, 4711, &label, 1, &head.target_ref) == 0 &&
        block_reserve(ring, &head, &columns) == 0) {
        columns.refs[0] = line;
        columns.bits[0] = 0;
        series_target_prepare(store, head.target_ref, &state);
        if (!ring_publish(ring))
            series_reclaim(store);
        series_target_commit(store, head.target_ref);
        check(series_target_state(store, head.target_ref).layout == state.layout);
    }
    series_release(store, line);
    series_reclaim(store);
}

static void recover_as_scraper(const struct segments *segments)
{
    struct ring_producer ring;
    struct series_store store;
    if (ring_producer_attach(&ring, segments->ring_fd, 0, NULL) != 0)
        return;
    check(series_store_attach(&store, segments->series_fd, 0, &ring, NULL) == 0);
    series_targets_each(&store, visit_target, &store);
    write_scrape(&store, &ring);
    series_store_detach(&store);
    /* A second time there is nothing to complain about. */
    check(series_store_attach(&store, segments->series_fd, 0, &ring, NULL) == 0);
    series_targets_each(&store, visit_target, &store);
    series_store_detach(&store);
    ring_producer_detach(&ring);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct segments segments;
    if (segments.ring == NULL)
        segments = make_segments();
    put_input(&segments, data, size);
    read_as_writer(&segments);
    recover_as_scraper(&segments);
    read_as_writer(&segments);
    return 0;
}
