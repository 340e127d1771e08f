/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whatever receivers do and whenever the writer dies: in the end they have what was published, in
 * order, and the counters say so. Receivers are like Prometheus or like VictoriaMetrics; a fault
 * comes with any request; batches, shards and remotes change from life to life.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/unit/dice.h"
#include "tests/unit/writer/rig.h"

#define T0 INT64_C(1700000000000)

enum { RING = 64 << 10, TARGETS = 24, LINES_MAX = 40, ROUNDS = 100 };

static struct rig rig;

/* A receiver's own dice, since it has its own thread. */
struct whims {
    struct dice dice;
    uint32_t faults; /* in percent */
    uint32_t outage; /* requests that are still to fail */
};

static struct receiver_reply whim(void *context, size_t number,
                                  const struct receiver_request *request)
{
    (void)number;
    (void)request;
    static const struct receiver_reply faults[] = {
        {RECEIVER_STORE_AND_CUT, 0, NULL, NULL},    {RECEIVER_CUT, 0, NULL, NULL},
        {RECEIVER_ANSWER, 503, NULL, "busy"},       {RECEIVER_ANSWER, 429, NULL, "slow down"},
        {RECEIVER_STORE_AND_ANSWER, 504, NULL, ""}, {RECEIVER_HANG, 0, NULL, NULL},
    };
    struct whims *whims = context;
    if (whims->outage > 0) {
        whims->outage--;
        return (struct receiver_reply){RECEIVER_ANSWER, 503, NULL, "down"};
    }
    if (dice_roll(&whims->dice, 200) == 0)
        whims->outage = dice_roll(&whims->dice, 80);
    if (dice_roll(&whims->dice, 100) >= whims->faults)
        return (struct receiver_reply){.action = RECEIVER_STORE};
    return faults[dice_roll(&whims->dice, sizeof faults / sizeof *faults)];
}

/* Where each target is scraped now, and the time of its last scrape. */
struct world {
    struct dice dice;
    uint32_t scraper[TARGETS];
    int64_t ms[TARGETS];
    int64_t now_ms;
};

/* The order of times is not that of rings: what keeps a moved target's order is its takeover. */
static int64_t clock_skew(uint32_t target)
{
    return target % 7 * 60000;
}

static void scrape_some(struct world *world)
{
    uint32_t count = dice_roll(&world->dice, 12);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t target = dice_roll(&world->dice, TARGETS);
        if (world->ms[target] == world->now_ms)
            continue;
        uint32_t from = world->scraper[target];
        if (dice_roll(&world->dice, 10) == 0)
            world->scraper[target] = dice_roll(&world->dice, rig.scrapers.count);
        struct ring_producer *ring = &rig.scrapers.scraper[world->scraper[target]].ring;
        if (ring_room(ring) < 16384) {
            world->scraper[target] = from;
            continue;
        }
        if (from != world->scraper[target])
            scrapers_take_over(&rig.scrapers, world->scraper[target], target + 1, from);
        world->ms[target] = world->now_ms;
        struct scrape scrape = {.scraper = world->scraper[target],
                                .target = target + 1,
                                .ms = world->now_ms + clock_skew(target)};
        scrape.lines = 1 + dice_roll(&world->dice, LINES_MAX);
        scrape.block_samples = 1 + dice_roll(&world->dice, 50);
        scrape.with_refs = dice_roll(&world->dice, 3) == 0;
        scrape.stale = dice_roll(&world->dice, 20) == 0;
        (void)scrapers_scrape(&rig.scrapers, &scrape);
    }
    world->now_ms += 1000;
}

static void change_configuration(struct world *world)
{
    for (size_t i = 0; i < rig.config.remote_write.len; i++) {
        struct config_queue *queue = &rig.remotes[i].queue_config;
        queue->min_shards = 1 + dice_roll(&world->dice, 6);
        queue->max_samples_per_send = 10 + dice_roll(&world->dice, 200);
        queue->batch_send_deadline = 1 + dice_roll(&world->dice, 20);
        queue->retry_on_http_429 = true;
        rig.remotes[i].remote_timeout = 40;
    }
}

static void assert_counted_once(uint32_t remote)
{
    uint64_t counted = rig_count(&rig, remote, REMOTE_DELIVERED) +
                       rig_count(&rig, remote, REMOTE_ALREADY_DELIVERED);
    assert_int_equal(counted, rig.scrapers.samples);
    assert_int_equal(rig_count(&rig, remote, REMOTE_SPOOL_OUT),
                     rig_count(&rig, remote, REMOTE_SPOOL_IN));
    assert_int_equal(rig_count(&rig, remote, REMOTE_SPOOL_FOUND), 0);
    assert_int_equal(rig_count(&rig, remote, REMOTE_SPOOL_LOST_DAMAGED), 0);
    assert_int_equal(rig_spool_files(&rig, remote), 0);
    assert_int_equal(rig_count(&rig, remote, REMOTE_SAMPLES_FAILED), 0);
    assert_int_equal(rig_count(&rig, remote, REMOTE_REPEATS_CHANGED), 0);
    assert_int_equal(rig_count(&rig, remote, REMOTE_DROPPED_DAMAGED), 0);
}

static void run(struct world *world, uint32_t scrapers, struct whims *whims,
                enum config_message message)
{
    rig_open(&rig, scrapers, RING, 2);
    rig_store(&rig, 64 << 20);
    rig.config.limpet.spool.after = 1 + dice_roll(&world->dice, 200);
    for (uint32_t i = 0; i < 2; i++) {
        rig_receive(&rig, i, whim, &whims[i]);
        rig.remotes[i].protobuf_message = message;
    }
    receiver_keep_all(rig.receivers[1]);
    change_configuration(world);
    rig_start(&rig);
    for (int round = 0; round < ROUNDS; round++) {
        scrape_some(world);
        for (uint32_t turns = dice_roll(&world->dice, 4); turns > 0; turns--)
            rig_turn(&rig, 1);
        if (dice_roll(&world->dice, 6) == 0) {
            uint32_t remote = dice_roll(&world->dice, 2);
            shards_change(&rig.writer.remotes[remote], 1 + dice_roll(&world->dice, 8));
        }
        if (dice_roll(&world->dice, 8) == 0) {
            change_configuration(world);
            rig_crash(&rig);
        }
    }
    rig_drain(&rig);
    rig_empty_spools(&rig);
    print_message("%llu and %llu samples went through the spools\n",
                  (unsigned long long)rig_count(&rig, 0, REMOTE_SPOOL_IN),
                  (unsigned long long)rig_count(&rig, 1, REMOTE_SPOOL_IN));
    for (uint32_t i = 0; i < 2; i++) {
        rig_assert_complete(&rig, i);
        assert_counted_once(i);
    }
    rig_close(&rig);
}

static void everything_arrives_in_order(const char *name, enum config_message message)
{
    struct dice dice = dice_new(name);
    uint32_t faults = dice_roll(&dice, 45);
    struct whims whims[2] = {{.faults = faults}, {.faults = faults / 2}};
    for (int i = 0; i < 2; i++)
        whims[i].dice.state = dice_bits(&dice);
    struct world world = {.dice = dice, .now_ms = T0};
    run(&world, 1 + dice_roll(&dice, SCRAPERS_MAX), whims, message);
}

static void everything_arrives_in_order_whatever_happens(void **state)
{
    (void)state;
    everything_arrives_in_order("random", CONFIG_MESSAGE_V1);
}

static void so_it_does_in_2_0(void **state)
{
    (void)state;
    everything_arrives_in_order("random", CONFIG_MESSAGE_V2);
}

int main(void)
{
    rig_reserve_descriptors();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_arrives_in_order_whatever_happens),
        cmocka_unit_test(so_it_does_in_2_0),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
