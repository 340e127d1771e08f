/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/fuzz/bodies.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/hash.h"

#define RING_SIZE   (1u << 20)
#define SERIES_SIZE (16u << 20)

static struct ring_producer ring;
static struct series_store store;
static struct line_contexts contexts;
static struct line_context *context;
static struct body_tools tools;
struct plans bodies_plans;

static int make_segment(uint32_t kind, uint64_t size, uint64_t geometry)
{
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    check(fd >= 0);
    check(segment_create(fd, kind, 0, size, geometry, NULL) == 0);
    return fd;
}

void bodies_prepare(void)
{
    if (context != NULL)
        return;
    static const struct label labels[] = {{{"instance", 8}, {"i", 1}}, {{"job", 3}, {"j", 1}}};
    const struct line_rules rules = {.job = SLICE_LITERAL("j")};
    int ring_fd = make_segment(SHM_KIND_RING, SHM_RING_DATA + RING_SIZE, RING_SIZE);
    int series_fd = make_segment(SHM_KIND_SERIES, SERIES_SIZE, 0);
    check(ring_producer_attach(&ring, ring_fd, 0, NULL) == 0);
    check(series_store_attach(&store, series_fd, 0, &ring, NULL) == 0);
    gap_key_make(&tools.key, cpu_has_avx2());
    tools.store = &store;
    plans_init(&bodies_plans, &store, &contexts, NULL, 0);
    context = line_context_get(&contexts, &rules, labels, 2);
}

struct body_source bodies_source(uint8_t choice)
{
    struct body_source source = {
        .context = context,
        .format = (enum exposition_format)(choice % 3),
        .honor_timestamps = true,
        .takes_exemplars = true,
        .takes_metadata = true,
        .max_schema = (choice & 0x40) != 0 ? 2 : HISTOGRAM_SCHEMA_MAX,
        .bucket_limit = (choice & 0x80) != 0 ? 3 : 0,
        .limit = 100000,
    };
    source.flags = EXPOSITION_NATIVE_HISTOGRAMS;
    source.flags |= (choice & 4) != 0 ? EXPOSITION_CLASSIC_HISTOGRAMS : 0;
    source.flags |= (choice & 8) != 0 ? EXPOSITION_CONVERT_HISTOGRAMS : 0;
    if (source.format == EXPOSITION_OPENMETRICS && (choice & 16) != 0)
        source.flags |= EXPOSITION_CREATED_TIMESTAMPS;
    return source;
}

void bodies_read(struct body *body, const struct body_source *source, struct slice bytes,
                 size_t piece, bool guesses)
{
    body_begin(body, &tools, source);
    body->may_guess = body->may_guess && guesses;
    while (bytes.len > 0) {
        size_t n = bytes.len < piece ? bytes.len : piece;
        char *copy = malloc(n); /* so that nothing behind it can be read */
        check(copy != NULL);
        memcpy(copy, bytes.ptr, n);
        body_take(body, slice_make(copy, n));
        free(copy);
        bytes = slice_make(bytes.ptr + n, bytes.len - n);
    }
    body_finish(body);
}

static bool is_histogram(const struct body *body, uint32_t at)
{
    return (harvest_types(&body->harvest, body->plan)[at] & PLAN_HISTOGRAM) != 0;
}

static void check_same_value(const struct body *a, uint32_t i, const struct body *b, uint32_t k)
{
    uint64_t left = a->harvest.bits[i];
    uint64_t right = b->harvest.bits[k];
    check(is_histogram(a, i) == is_histogram(b, k));
    if (!is_histogram(a, i) || left == HARVEST_NO_HISTOGRAM) {
        check(left == right);
        return;
    }
    check(slice_equal(harvest_histogram(&a->harvest, left), harvest_histogram(&b->harvest, right)));
}

static bool has_time(const struct body *body, uint32_t at)
{
    return body->harvest.has_times && body->harvest.times[at] != HARVEST_NO_TIME;
}

/* The same text right behind itself counts as a duplicate whether it is kept or not. */
static bool is_repeat(const struct body *body, uint32_t at)
{
    const struct harvest *harvest = &body->harvest;
    const uint32_t *lines = harvest_lines(harvest, body->plan);
    return at > 0 && lines[at] == lines[at - 1] && lines[at] != LINE_DROPPED &&
           !is_histogram(body, at) && !has_time(body, at) && !has_time(body, at - 1) &&
           harvest_prints(harvest, body->plan)[at] == harvest_prints(harvest, body->plan)[at - 1];
}

static uint32_t next_of(const struct body *body, uint32_t at)
{
    while (at < body->harvest.count && is_repeat(body, at))
        at++;
    return at;
}

/* How many samples are no repeats, before `end`. */
static uint32_t count_kept(const struct body *body, uint32_t end)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < end; i++)
        count += !is_repeat(body, i);
    return count;
}

static void check_same_exemplars(const struct body *left, const struct body *right)
{
    const struct exemplars *a = &left->harvest.exemplars;
    const struct exemplars *b = &right->harvest.exemplars;
    check(a->count == b->count && a->bytes_len == b->bytes_len);
    check(a->too_long == b->too_long && a->invalid == b->invalid);
    check(a->bytes_len == 0 || memcmp(a->bytes, b->bytes, a->bytes_len) == 0);
    for (uint32_t i = 0; i < a->count; i++)
        check(count_kept(left, a->items[i].sample) == count_kept(right, b->items[i].sample) &&
              a->items[i].bits == b->items[i].bits && a->items[i].has_ms == b->items[i].has_ms &&
              a->items[i].ms == b->items[i].ms);
}

void bodies_check_same(const struct body *a, const struct body *b)
{
    uint32_t i = 0;
    uint32_t k = 0;
    check(a->state == b->state && a->scraped == b->scraped && a->accepted == b->accepted);
    check(a->harvest.count + a->repeated == b->harvest.count + b->repeated);
    check(a->exceeds_buckets == b->exceeds_buckets);
    check(strcmp(a->error.text, b->error.text) == 0);
    while (i < a->harvest.count && k < b->harvest.count) {
        check(harvest_lines(&a->harvest, a->plan)[i] == harvest_lines(&b->harvest, b->plan)[k]);
        check_same_value(a, i, b, k);
        int64_t left = a->harvest.has_starts ? a->harvest.starts[i] : 0;
        int64_t right = b->harvest.has_starts ? b->harvest.starts[k] : 0;
        check(left == right);
        i = next_of(a, i + 1);
        k = next_of(b, k + 1);
    }
    check(i == a->harvest.count && k == b->harvest.count);
    check_same_exemplars(a, b);
}

void bodies_reclaim(void)
{
    series_reclaim(&store);
}
