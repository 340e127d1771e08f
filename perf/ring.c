/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a ring costs: scrapes of one block each are written and published, read and acknowledged,
 * in batches as a tick makes them. One JSON line; under callgrind, instructions / samples.
 *
 *     perf/ring [rounds] [samples a scrape] [scrapes a batch]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/check.h"
#include "base/clock.h"
#include "shm/block.h"
#include "shm/segment.h"

enum { RING_SIZE = 16 << 20 };

struct bench {
    struct ring_producer producer;
    struct ring_consumer consumer;
    uint64_t bits[SHM_BLOCK_SAMPLES];
    uint64_t sum; /* of what was read, so that it is */
    uint64_t wakes; /* of the reader, had it slept */
    int64_t write_ns;
    int64_t read_ns;
};

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "ring: %s\n", what);
    exit(1);
}

static void attach(struct bench *bench)
{
    int fd = memfd_create("ring", MFD_CLOEXEC);
    if (fd < 0 ||
        segment_create(fd, SHM_KIND_RING, 0, SHM_RING_DATA + RING_SIZE, RING_SIZE, NULL) != 0 ||
        ring_producer_attach(&bench->producer, fd, 0, NULL) != 0 ||
        ring_consumer_attach(&bench->consumer, fd, 0, true, NULL) != 0)
        die("cannot make a ring");
}

static void write_scrape(struct bench *bench, uint32_t samples, uint32_t seq)
{
    const struct shm_block head = {.kind = SHM_BLOCK_SAMPLES_KIND,
                                   .flags = SHM_BLOCK_HAS_LAYOUT | SHM_BLOCK_LAST,
                                   .target_id = 1,
                                   .target_ref = 1,
                                   .layout_ref = 1,
                                   .scrape_seq = seq,
                                   .timestamp_ms = seq,
                                   .count = samples};
    struct block_columns to;
    if (block_reserve(&bench->producer, &head, &to) != 0)
        die("the ring is full");
    memcpy(to.bits, bench->bits, samples * sizeof(*to.bits));
    bench->wakes += ring_publish(&bench->producer);
}

static void read_all(struct bench *bench)
{
    uint64_t pos = ring_consumer_acked(&bench->consumer);
    uint64_t end = ring_consumer_produced(&bench->consumer);
    while (pos < end) {
        struct block_view view;
        if (block_read(&bench->consumer, pos, end, &view) != 0)
            die("a damaged block");
        for (uint32_t i = 0; i < view.head.count; i++)
            bench->sum += view.bits[i];
        pos = view.next_pos;
    }
    ring_consumer_ack(&bench->consumer, end);
}

static void run(struct bench *bench, uint32_t rounds, uint32_t samples, uint32_t batch)
{
    for (uint32_t round = 0; round < rounds; round++) {
        int64_t began_ns = clock_mono_ns();
        for (uint32_t i = 0; i < batch; i++)
            write_scrape(bench, samples, round * batch + i + 1);
        int64_t written_ns = clock_mono_ns();
        read_all(bench);
        bench->write_ns += written_ns - began_ns;
        bench->read_ns += clock_mono_ns() - written_ns;
    }
}

static uint32_t argument(int argc, char **argv, int i, uint32_t fallback, uint32_t max)
{
    unsigned long given = argc > i ? strtoul(argv[i], NULL, 10) : fallback;
    if (given == 0 || given > max)
        die("usage: ring [rounds] [samples a scrape] [scrapes a batch]");
    return (uint32_t)given;
}

int main(int argc, char **argv)
{
    static struct bench bench;
    uint32_t rounds = argument(argc, argv, 1, 10000, 100000000);
    uint32_t samples = argument(argc, argv, 2, 66, SHM_BLOCK_SAMPLES);
    uint32_t batch = argument(argc, argv, 3, 32, RING_SIZE / 8 / (samples * 8 + 128));
    attach(&bench);
    for (uint32_t i = 0; i < samples; i++)
        bench.bits[i] = i;
    run(&bench, rounds, samples, batch);
    double all = (double)rounds * batch * samples;
    printf("{\"samples\":%.0f,\"write_ns_a_sample\":%.3f,\"read_ns_a_sample\":%.3f,\"sum\":%llu}\n",
           all, (double)bench.write_ns / all, (double)bench.read_ns / all,
           (unsigned long long)bench.sum);
    return 0;
}
