/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What it costs to make requests out of the ring: replicas of one program are put into a ring once
 * and encoded again and again, as the writer does it. One JSON line with the figures; under
 * callgrind, instructions of build_request / samples.
 *
 *     perf/encode [rounds] [targets] [lines] [version] [fast | small | zstd] [samples a request]
 *                 [times of their own that samples have in turn]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "perf/stage.h"
#include "shm/series.h"
#include "writer/build.h"

enum { RING_SIZE = 64 << 20, ARENA = 64 << 20, LINES_MAX = 4096, BATCH = 2000, BATCH_MAX = 100000 };

struct bench {
    struct ring_producer ring;
    struct series_store store;
    struct source source;
    struct shm_position lanes[SHM_LANES][SHM_MAX_SCRAPERS]; /* nothing is delivered yet */
    uint32_t layout;
};

static void attach(struct bench *bench)
{
    const struct stage_segments segments =
        stage_attach(RING_SIZE, ARENA, &bench->ring, &bench->store);
    if (ring_consumer_attach(&bench->source.ring, segments.ring, 0, true, NULL) != 0 ||
        series_reader_attach(&bench->source.series, segments.series, 0, NULL) != 0)
        stage_die("cannot attach");
    (void)ring_consumer_wake_at(&bench->source.ring, UINT64_MAX);
}

/* Lines as an HTTP service has them: a name and two labels. */
static void make_layout(struct bench *bench, uint32_t lines)
{
    static uint32_t refs[LINES_MAX];
    static const char *const codes[] = {"200", "301", "404", "500"};
    for (uint32_t i = 0; i < lines; i++) {
        char name[64];
        char path[64];
        snprintf(name, sizeof name, "http_requests_of_service_%u_total", i / 8);
        snprintf(path, sizeof path, "/api/v1/resource/%u", i);
        const struct label labels[] = {{SLICE_LITERAL("__name__"), slice_of(name)},
                                       {SLICE_LITERAL("code"), slice_of(codes[i % 4])},
                                       {SLICE_LITERAL("path"), slice_of(path)}};
        if (series_line(&bench->store, labels, 3, &refs[i]) != 0)
            stage_die("no room for a line");
    }
    if (series_layout(&bench->store, refs, lines, &bench->layout) != 0)
        stage_die("no room for a layout");
}

static void publish_target(struct bench *bench, uint64_t target, uint32_t lines, uint32_t times)
{
    char instance[64];
    char pod[64];
    snprintf(instance, sizeof instance, "10.0.%u.%u:8080", (unsigned)(target >> 8),
             (unsigned)(target & 0xff));
    snprintf(pod, sizeof pod, "service-5d8f9c7b6d-%05u", (unsigned)target);
    const struct label labels[] = {{SLICE_LITERAL("instance"), slice_of(instance)},
                                   {SLICE_LITERAL("job"), SLICE_LITERAL("pods")},
                                   {SLICE_LITERAL("namespace"), SLICE_LITERAL("default")},
                                   {SLICE_LITERAL("pod"), slice_of(pod)}};
    struct shm_block head = {.kind = SHM_BLOCK_SAMPLES_KIND,
                             .flags = SHM_BLOCK_HAS_LAYOUT,
                             .target_id = target,
                             .count = lines,
                             .layout_ref = bench->layout,
                             .layout_generation = series_generation(&bench->store, bench->layout),
                             .timestamp_ms = INT64_C(1700000000000)};
    struct block_columns columns;
    if (times > 0)
        head.flags |= SHM_BLOCK_HAS_TIMESTAMPS;
    if (series_target(&bench->store, target, labels, 4, &head.target_ref) != 0)
        stage_die("no room for a target");
    head.target_generation = series_generation(&bench->store, head.target_ref);
    if (block_reserve(&bench->ring, &head, &columns) != 0)
        stage_die("no room in the ring");
    for (uint32_t i = 0; i < lines; i++) {
        double value = (double)(target * i % 1000);
        memcpy(&columns.bits[i], &value, sizeof value);
        if (times > 0)
            columns.timestamps[i] = head.timestamp_ms - 1 - i % times * 1237;
    }
    if (ring_publish(&bench->ring))
        stage_die("nobody sleeps here who could be woken");
}

struct total {
    uint64_t samples;
    uint64_t requests;
    uint64_t bytes; /* compressed */
};

static void encode_all(struct bench *bench, struct builder *builder, uint32_t version,
                       enum config_compression compression, uint32_t batch_samples,
                       struct total *total)
{
    const struct scan_filter filter = {
        .lanes = UINT64_MAX,
        .delivered = (const struct shm_position(*)[SHM_MAX_SCRAPERS])bench->lanes};
    const struct build_limits limits = {.message = version,
                                        .compression = compression,
                                        .oldest_ms = INT64_MIN,
                                        .may_end_early = true,
                                        .samples_max = batch_samples};
    struct shm_batch batch = {.rings = 1};
    for (bool more = true; more; total->requests++) {
        batch.start[0] = batch.end[0];
        batch.samples = 0;
        more = scan_collect(&bench->source, 1, filter, batch_samples, &batch);
        struct scan scan;
        struct build_result result;
        scan_start(&scan, &bench->source, 1, filter, batch.start, batch.end);
        build_request(builder, &scan, limits, NULL, &result);
        total->samples += result.sent;
        total->bytes += result.body.len;
    }
}

static uint32_t argument(int argc, char **argv, int i, uint32_t otherwise, uint32_t most)
{
    unsigned long number = argc > i ? strtoul(argv[i], NULL, 10) : otherwise;
    if ((number < 1 && argc > i) || number > most)
        stage_die(
            "usage: encode [rounds] [targets] [lines] [version] [compression] [batch] [times]");
    return (uint32_t)number;
}

static enum config_compression compression_argument(int argc, char **argv, int i)
{
    static const char *const words[] = {[CONFIG_COMPRESSION_FAST] = "fast",
                                        [CONFIG_COMPRESSION_SMALL] = "small",
                                        [CONFIG_COMPRESSION_ZSTD] = "zstd"};
    for (int word = 0; argc > i && word < 3; word++) {
        if (strcmp(argv[i], words[word]) == 0)
            return (enum config_compression)word;
    }
    return CONFIG_COMPRESSION_FAST;
}

int main(int argc, char **argv)
{
    static struct bench bench;
    uint32_t rounds = argument(argc, argv, 1, 20, 1000000);
    uint32_t targets = argument(argc, argv, 2, 500, 60000);
    uint32_t lines = argument(argc, argv, 3, 71, LINES_MAX);
    uint32_t version = argument(argc, argv, 4, 1, 2);
    enum config_compression compression = compression_argument(argc, argv, 5);
    uint32_t batch_samples = argument(argc, argv, 6, BATCH, BATCH_MAX);
    uint32_t times = argument(argc, argv, 7, 0, LINES_MAX);
    attach(&bench);
    make_layout(&bench, lines);
    for (uint32_t target = 1; target <= targets; target++)
        publish_target(&bench, target, lines, times);
    static const struct label external[] = {{SLICE_LITERAL("cluster"), SLICE_LITERAL("eu-1")}};
    struct builder builder;
    if (builder_init(&builder, batch_samples, external, 1) != 0)
        stage_die("no memory");
    struct total total = {0};
    int64_t start_ns = clock_mono_ns();
    for (uint32_t round = 0; round < rounds; round++)
        encode_all(&bench, &builder, version, compression, batch_samples, &total);
    double seconds = (double)(clock_mono_ns() - start_ns) / (double)NS_PER_S;
    printf("{\"samples\": %llu, \"requests\": %llu, \"ns_per_sample\": %.1f, "
           "\"samples_per_s\": %.0f, \"bytes_per_sample\": %.2f}\n",
           (unsigned long long)total.samples, (unsigned long long)total.requests,
           seconds * 1e9 / (double)total.samples, (double)total.samples / seconds,
           (double)total.bytes / (double)total.samples);
    builder_fini(&builder);
    return 0;
}
