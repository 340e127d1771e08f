/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Requests that are written without a compressor: whatever lines, targets and values there are and
 * wherever a request ends, libsnappy unpacks them to the bytes of the request that it packed
 * itself, and a builder that has seen all of it before writes the same as one that has seen
 * nothing.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "shm/series.h"
#include "writer/build.h"
#include "writer/compress.h"

enum {
    RING_SIZE = 1 << 20,
    ARENA = 4 << 20,
    LAYOUTS = 3,
    LINES = 40,
    TARGETS = 6,
    SCRAPES = 40,
    REQUESTS = 6,
    SERIES_MAX = 4096 /* bytes */
};

static const char *const names[] = {"A", "__name__", "code", "instance", "job", "le", "zone"};
enum { NAMES = sizeof names / sizeof *names, NAME = 1 };

static const struct label external[] = {{SLICE_LITERAL("cluster"), SLICE_LITERAL("eu")}};

struct input {
    const uint8_t *at;
    const uint8_t *end;
};

struct world {
    int ring_fd;
    int series_fd;
    struct ring_producer ring;
    struct series_store store;
    struct source source;
    struct shm_position lanes[SHM_LANES][SHM_MAX_SCRAPERS]; /* nothing is delivered yet */
    uint32_t lines[LAYOUTS][LINES];
    uint32_t counts[LAYOUTS];
    uint32_t layouts[LAYOUTS];
    uint32_t targets[TARGETS];
    int64_t ms; /* of the first scrape */
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t next(struct input *input)
{
    return input->at < input->end ? *input->at++ : 0;
}

static int make_segment(uint32_t kind, uint64_t size, uint64_t geometry)
{
    int fd = memfd_create("request", MFD_CLOEXEC);
    check(fd >= 0 && segment_create(fd, kind, 0, size, geometry, NULL) == 0);
    return fd;
}

static void attach(struct world *world)
{
    int ring = make_segment(SHM_KIND_RING, SHM_RING_DATA + RING_SIZE, RING_SIZE);
    int series = make_segment(SHM_KIND_SERIES, SHM_SERIES_ARENA + ARENA, 0);
    world->ring_fd = ring;
    world->series_fd = series;
    check(ring_producer_attach(&world->ring, ring, 0, NULL) == 0 &&
          series_store_attach(&world->store, series, 0, &world->ring, NULL) == 0 &&
          ring_consumer_attach(&world->source.ring, ring, 0, true, NULL) == 0 &&
          series_reader_attach(&world->source.series, series, 0, NULL) == 0);
}

static void detach(struct world *world)
{
    series_reader_detach(&world->source.series);
    ring_consumer_detach(&world->source.ring);
    series_store_detach(&world->store);
    ring_producer_detach(&world->ring);
    close(world->series_fd);
    close(world->ring_fd);
}

/* Labels of the names in the mask; values of the alphabet, long ones now and then. */
struct texts {
    char values[NAMES][300];
    struct label labels[NAMES];
    uint32_t count;
};

static void make_labels(struct input *input, uint32_t mask, struct texts *texts)
{
    texts->count = 0;
    for (uint32_t i = 0; i < NAMES; i++) {
        if ((mask >> i & 1) == 0)
            continue;
        uint8_t shape = next(input);
        size_t len = (size_t)(shape & 7) + 1 + (shape >= 0xf8 ? 250 : shape >> 4);
        char *value = texts->values[texts->count];
        memset(value, 'a', len);
        value[len - 1] = (char)('a' + next(input) % 26);
        if ((shape & 8) != 0)
            value[0] = (char)('a' + next(input) % 26);
        texts->labels[texts->count++] = (struct label){slice_of(names[i]), slice_make(value, len)};
    }
}

static void make_layout(struct world *world, struct input *input, uint32_t layout)
{
    struct texts texts;
    uint32_t count = next(input) % LINES;
    for (uint32_t i = 0; i < count; i++) {
        make_labels(input, next(input) | 1u << NAME, &texts);
        check(series_line(&world->store, texts.labels, texts.count, &world->lines[layout][i]) == 0);
    }
    world->counts[layout] = count;
    check(count == 0 ||
          series_layout(&world->store, world->lines[layout], count, &world->layouts[layout]) == 0);
}

static void put_values(struct input *input, uint32_t count, struct block_columns *columns,
                       int64_t ms)
{
    uint64_t bits = 0;
    for (uint32_t i = 0; i < count; i++) {
        bits ^= (uint64_t)next(input) << (next(input) % 57);
        if (columns->bits != NULL)
            columns->bits[i] = bits;
        if (columns->timestamps != NULL)
            columns->timestamps[i] = ms - next(input) % 3;
    }
}

static void put_scrape(struct world *world, struct input *input, uint32_t number, int64_t ms)
{
    struct block_columns columns;
    uint8_t choice = next(input);
    uint32_t layout = choice % LAYOUTS;
    uint32_t target = next(input) % TARGETS;
    struct shm_block head = {.kind = SHM_BLOCK_SAMPLES_KIND,
                             .target_id = target + 1,
                             .target_ref = world->targets[target],
                             .scrape_seq = number + 1,
                             .count = world->counts[layout],
                             .timestamp_ms = ms};
    if (head.count == 0)
        return;
    head.target_generation = series_generation(&world->store, head.target_ref);
    if (choice < 0xf0) {
        head.flags |= SHM_BLOCK_HAS_LAYOUT;
        head.layout_ref = world->layouts[layout];
        head.layout_generation = series_generation(&world->store, head.layout_ref);
    }
    if (choice >= 0xc0 && choice < 0xe0)
        head.flags |= SHM_BLOCK_HAS_TIMESTAMPS;
    if (choice >= 0xe0 && choice < 0xe8)
        head.kind = SHM_BLOCK_STALE;
    check(block_reserve(&world->ring, &head, &columns) == 0);
    if (columns.refs != NULL)
        memcpy(columns.refs, world->lines[layout], head.count * sizeof *columns.refs);
    put_values(input, head.count, &columns, ms);
    (void)ring_consumer_wake_at(&world->source.ring, UINT64_MAX);
    check(!ring_publish(&world->ring)); /* nobody asked to be woken */
}

static void make_world(struct world *world, struct input *input)
{
    struct texts texts;
    attach(world);
    for (uint32_t i = 0; i < LAYOUTS; i++)
        make_layout(world, input, i);
    for (uint32_t i = 0; i < TARGETS; i++) {
        make_labels(input, next(input) & ~(1u << NAME), &texts);
        check(series_target(&world->store, i + 1, texts.labels, texts.count, &world->targets[i]) ==
              0);
    }
    int64_t ms = (int64_t)1 << (next(input) % 48);
    world->ms = ms;
    for (uint32_t i = 0; i < SCRAPES && input->at < input->end; i++) {
        ms += next(input) % 2;
        put_scrape(world, input, i, ms);
    }
}

/* How the ring's samples become requests. */
struct form {
    uint32_t message;
    size_t batch_bytes;
    uint32_t samples_max;
    int64_t oldest_ms;
};

/* From `start` on; to `end`, or, if that is NULL, as far as a request goes. */
struct range {
    const struct shm_position *start;
    const struct shm_position *end;
};

/* What a builder makes of it; borrowed from it. `at`: where the request ends. */
static struct slice encode(struct world *world, struct builder *builder, const struct form *form,
                           struct range range, enum config_compression compression,
                           struct shm_position *at)
{
    const struct scan_filter filter = {
        .lanes = UINT64_MAX,
        .delivered = (const struct shm_position(*)[SHM_MAX_SCRAPERS])world->lanes};
    const struct build_limits limits = {.message = form->message,
                                        .compression = compression,
                                        .oldest_ms = form->oldest_ms,
                                        .may_end_early = range.end == NULL,
                                        .samples_max = form->samples_max};
    struct scan scan;
    struct build_result result;
    builder->batch_bytes = form->batch_bytes;
    scan_start(&scan, &world->source, 1, filter, range.start, range.end);
    build_request(builder, &scan, limits, NULL, &result);
    check(result.sent <= form->samples_max);
    *at = scan.at[0];
    return result.body;
}

static struct slice unpack(struct slice body)
{
    uint8_t *message;
    size_t len;
    check(compress_undo(body, SIZE_MAX - 1, &message, &len) == 0);
    return slice_make(message, len);
}

static struct slice copy_of(struct slice text)
{
    char *copy = malloc(text.len + 1);
    check(copy != NULL);
    memcpy(copy, text.ptr, text.len);
    return slice_make(copy, text.len);
}

static void release(struct slice text)
{
    free((void *)(uintptr_t)text.ptr);
}

static void check_same_message(struct slice message, struct slice body)
{
    struct slice other = unpack(body);
    check(slice_equal(message, other));
    release(other);
}

/*
 * One request: in all compressions it is the same message, and whoever makes it again of the same
 * range, a builder that has seen much or one that has seen nothing, makes the same body.
 */
static void check_request(struct world *world, struct builder *builder, struct builder *fresh,
                          const struct form *form, const struct shm_position *start,
                          struct shm_position *end)
{
    struct shm_position at;
    const struct range open = {start, NULL};
    const struct range closed = {start, end};
    struct slice body =
        copy_of(encode(world, builder, form, open, CONFIG_COMPRESSION_FAST, &end[0]));
    struct slice message = unpack(body);
    check(form->message == 2 || message.len < SERIES_MAX ||
          message.len - SERIES_MAX < form->batch_bytes);
    for (int i = 0; i < 2; i++)
        check(
            slice_equal(body, encode(world, builder, form, closed, CONFIG_COMPRESSION_FAST, &at)));
    check(slice_equal(body, encode(world, fresh, form, closed, CONFIG_COMPRESSION_FAST, &at)));
    check_same_message(message,
                       encode(world, builder, form, closed, CONFIG_COMPRESSION_SMALL, &at));
    check_same_message(message, encode(world, builder, form, closed, CONFIG_COMPRESSION_ZSTD, &at));
    release(message);
    release(body);
}

static bool is_at(const struct shm_position *a, const struct shm_position *b)
{
    return a->pos == b->pos && a->sample == b->sample;
}

/* All that is in the ring, one request after another, as long as they are not too many. */
static void check_requests(struct world *world, struct builder *builder, const struct form *form)
{
    struct shm_position start[SHM_MAX_SCRAPERS] = {0};
    struct shm_position end[SHM_MAX_SCRAPERS];
    struct builder fresh;
    bool more = true;
    for (int i = 0; i < REQUESTS && more; i++) {
        memcpy(end, start, sizeof end);
        check(builder_init(&fresh, 1000, external, 1) == 0);
        check_request(world, builder, &fresh, form, start, end);
        builder_fini(&fresh);
        more = !is_at(start, end);
        memcpy(start, end, sizeof start);
    }
}

/* The last bytes of the input say it, so that what the first ones mean does not depend on it. */
static struct form form_of(const struct world *world, const uint8_t *data, size_t size)
{
    uint8_t bytes = size > 0 ? data[size - 1] : 0;
    uint8_t samples = size > 1 ? data[size - 2] : 0;
    uint8_t age = size > 2 ? data[size - 3] : 0;
    return (struct form){.batch_bytes = bytes < 128 ? SIZE_MAX : (size_t)256 << bytes % 12,
                         .samples_max = samples < 128 ? UINT32_MAX : samples - 127u,
                         .oldest_ms = age < 128 ? INT64_MIN : world->ms + age % 16};
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct world world;
    struct input input = {data, data + size};
    struct builder builder;
    world = (struct world){0};
    make_world(&world, &input);
    check(builder_init(&builder, 1000, external, 1) == 0);
    struct form form = form_of(&world, data, size);
    form.message = 1;
    check_requests(&world, &builder, &form);
    form.message = 2;
    check_requests(&world, &builder, &form);
    builder_fini(&builder);
    detach(&world);
    return 0;
}
