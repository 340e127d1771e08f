/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What goes into a request, when it is sent, and what is given back to the scrapers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/clock.h"
#include "tests/unit/writer/rig.h"

enum { RING = 1 << 20, HOUR_MS = 3600 * 1000 };

#define T0 INT64_C(1700000000000)

static struct rig rig;

/* For receiver_hang_first. */
static size_t once = 1;
static size_t always = SIZE_MAX;

static void open_one(uint32_t scrapers, int64_t max_samples, int64_t deadline_ms)
{
    rig_open(&rig, scrapers, RING, 1);
    rig.remotes[0].queue_config.max_samples_per_send = max_samples;
    rig.remotes[0].queue_config.batch_send_deadline = deadline_ms;
    rig_receive(&rig, 0, NULL, NULL);
}

static void scrape(uint32_t scraper, uint64_t target, int64_t ms, uint32_t lines)
{
    const struct scrape what = {.scraper = scraper, .target = target, .ms = ms, .lines = lines};
    (void)scrapers_scrape(&rig.scrapers, &what);
}

static size_t samples_of_request(size_t number)
{
    return receiver_request_at(rig.receivers[0], number).samples;
}

static void a_full_batch_goes_at_once_and_the_rest_waits(void **state)
{
    (void)state;
    open_one(1, 100, HOUR_MS);
    rig_start(&rig);
    for (uint64_t target = 1; target <= 10; target++)
        scrape(0, target, T0, 25);
    rig_run_until_requests(&rig, 2);
    RIG_TURN_UNTIL(&rig, rig_count(&rig, 0, REMOTE_DELIVERED) >= 200);
    for (int i = 0; i < 5; i++)
        rig_turn(&rig, 1);
    assert_int_equal(samples_of_request(0), 100);
    assert_int_equal(samples_of_request(1), 100);
    assert_int_equal(receiver_request_count(rig.receivers[0]), 2);
    assert_int_equal(rig_count(&rig, 0, REMOTE_SAMPLES_PENDING), 50);
    assert_false(writer_is_drained(&rig.writer));
    rig.writer.flushing = true;
    rig_drain(&rig);
    rig_assert_complete(&rig, 0);
    rig_close(&rig);
}

static void what_is_not_full_goes_when_its_deadline_has_passed(void **state)
{
    (void)state;
    open_one(1, 100, 60);
    rig_start(&rig);
    int64_t start_ns = clock_mono_ns();
    scrape(0, 1, T0, 3);
    rig_drain(&rig);
    assert_true(receiver_request_at(rig.receivers[0], 0).at_ns - start_ns >= 60 * NS_PER_MS);
    rig_assert_complete(&rig, 0);
    rig_close(&rig);
}

static void only_a_scrape_larger_than_a_batch_is_cut(void **state)
{
    (void)state;
    /* The one that is cut fills up what is there. */
    static const size_t wanted[] = {60 + 40, 100, 100, 10 + 30, 80};
    open_one(1, 100, 20);
    rig_start(&rig);
    scrape(0, 1, T0, 60);
    scrape(0, 2, T0, 250);
    scrape(0, 3, T0, 30);
    scrape(0, 4, T0, 80);
    rig_drain(&rig);
    rig_assert_complete(&rig, 0);
    assert_int_equal(receiver_request_count(rig.receivers[0]), 5);
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(samples_of_request(i), wanted[i]);
    rig_close(&rig);
}

static void scrapes_of_several_blocks_stay_together(void **state)
{
    (void)state;
    open_one(1, 100, 20);
    rig_start(&rig);
    for (uint64_t target = 1; target <= 4; target++) {
        const struct scrape what = {.target = target,
                                    .ms = T0,
                                    .lines = 60,
                                    .block_samples = 7,
                                    .with_refs = target % 2 == 0};
        (void)scrapers_scrape(&rig.scrapers, &what);
    }
    rig_drain(&rig);
    assert_int_equal(receiver_request_count(rig.receivers[0]), 4);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(samples_of_request(i), 60);
    rig_assert_complete(&rig, 0);
    rig_close(&rig);
}

static void timestamps_of_samples_and_staleness_markers_arrive(void **state)
{
    (void)state;
    static const int64_t times[] = {T0 - 5, T0 + 7, T0};
    open_one(1, 100, 20);
    rig_start(&rig);
    (void)scrapers_scrape(&rig.scrapers,
                          &(struct scrape){.target = 1, .ms = T0, .lines = 3, .timestamps = times});
    (void)scrapers_scrape(
        &rig.scrapers, &(struct scrape){.target = 1, .ms = T0 + 1000, .lines = 3, .stale = true});
    rig_drain(&rig);
    rig_assert_complete(&rig, 0);
    rig_close(&rig);
}

static void shards_deliver_at_the_same_time_and_each_in_order(void **state)
{
    (void)state;
    open_one(2, 40, 20);
    rig.remotes[0].queue_config.min_shards = rig.remotes[0].queue_config.max_shards = 8;
    rig_start(&rig);
    for (int64_t round = 0; round < 20; round++) {
        for (uint64_t target = 1; target <= 64; target++)
            scrape(target % 2 == 0, target, T0 + round * 1000, 10);
        rig_turn(&rig, 1);
    }
    rig_drain(&rig);
    rig_assert_complete(&rig, 0);
    assert_int_equal(rig_count(&rig, 0, REMOTE_DELIVERED), 20 * 64 * 10);
    assert_int_equal(rig_count(&rig, 0, REMOTE_SHARDS), 8);
    rig_close(&rig);
}

/* In the new scraper's ring there is more of the target before the old one's was read. */
static void a_target_that_moved_to_another_scraper_keeps_its_order(void **state)
{
    (void)state;
    open_one(2, 30, 20);
    rig_start(&rig);
    for (int64_t i = 0; i < 10; i++) {
        scrape(1, 1, T0 + i * 1000, 10);
        scrape(1, 2, T0 + i * 1000 + 1, 10);
    }
    for (int64_t i = 10; i < 20; i++)
        scrape(0, 1, T0 + i * 1000, 10);
    rig_drain(&rig);
    rig_assert_complete(&rig, 0);
    rig_close(&rig);
}

/* Behind others with later times, where the oldest first would not come first. */
static void what_a_target_had_before_it_moved_comes_first_whatever_the_times_say(void **state)
{
    (void)state;
    open_one(3, 30, 20);
    rig_start(&rig);
    scrape(0, 2, T0 + HOUR_MS, 10);
    scrape(0, 1, T0, 10);
    scrapers_take_over(&rig.scrapers, 1, 1, 0);
    scrape(1, 1, T0 + 1000, 10);
    scrape(2, 3, T0 + HOUR_MS, 10);
    scrapers_take_over(&rig.scrapers, 2, 1, 1);
    scrape(2, 1, T0 + 2000, 10);
    scrapers_take_over(&rig.scrapers, 0, 1, 2);
    scrape(0, 1, T0 + 3000, 10);
    rig_drain(&rig);
    rig_assert_complete(&rig, 0);
    assert_int_equal(rig_count(&rig, 0, REMOTE_DELIVERED), 60);
    rig_close(&rig);
}

/* The other ring grew after it was looked at, in the same turn. */
static void a_takeover_that_is_newer_than_the_look_at_the_other_ring_waits(void **state)
{
    (void)state;
    struct scan scan;
    struct scan_piece piece;
    struct shm_position zero[2] = {{0}};
    struct shm_position lanes[SHM_LANES][SHM_MAX_SCRAPERS] = {{{0}}};
    const struct scan_filter filter = {
        .lanes = UINT64_MAX, .delivered = (const struct shm_position(*)[SHM_MAX_SCRAPERS])lanes};
    open_one(2, 30, 20);
    rig_start(&rig);
    scan_start(&scan, rig.writer.sources, 2, filter, zero, NULL);
    scrape(0, 1, T0, 10);
    scrapers_take_over(&rig.scrapers, 1, 1, 0);
    scrape(1, 1, T0 + 1000, 10);
    scan.produced[1] = ring_consumer_produced(&rig.writer.sources[1].ring);
    scan.end[1].pos = scan.produced[1];
    assert_false(scan_peek(&scan, &piece));
    scan_start(&scan, rig.writer.sources, 2, filter, zero, NULL);
    assert_true(scan_peek(&scan, &piece));
    assert_int_equal(piece.ring, 0);
    scan_pass(&scan, &piece, 10);
    assert_true(scan_peek(&scan, &piece));
    assert_int_equal(piece.ring, 1);
    rig_drain(&rig);
    rig_assert_complete(&rig, 0);
    rig_close(&rig);
}

static void a_takeover_from_what_is_not_there_holds_nothing_up(void **state)
{
    (void)state;
    open_one(2, 30, 20);
    rig_start(&rig);
    for (uint32_t from = 0; from < 2; from++) {
        struct scraper *scraper = &rig.scrapers.scraper[1];
        struct block_columns columns;
        const struct shm_block head = {
            .kind = SHM_BLOCK_TAKEOVER, .count = 1, .target_id = 1, .first_line = from * 63};
        assert_int_equal(block_reserve(&scraper->ring, &head, &columns), 0);
        columns.bits[0] = UINT64_C(1) << 60; /* far beyond what that ring ever had */
        (void)!ring_publish(&scraper->ring);
    }
    scrape(1, 1, T0, 10);
    rig_drain(&rig);
    rig_assert_complete(&rig, 0);
    rig_close(&rig);
}

/*
 * A reload to two scrapers: the new one has the target for a while before the writer, which knows
 * one ring, is rolled.
 */
static void a_takeover_from_a_ring_that_is_new_waits_for_the_writer_that_knows_it(void **state)
{
    (void)state;
    open_one(2, 30, 20);
    rig.scrapers.count = 1;
    rig_start(&rig);
    rig.scrapers.count = 2;
    atomic_store(&rig.supervisor.kept_scrapers, 2);
    scrape(0, 1, T0, 10);
    scrapers_take_over(&rig.scrapers, 1, 1, 0);
    scrape(1, 1, T0 + 1000, 10);
    scrapers_take_over(&rig.scrapers, 0, 1, 1);
    scrape(0, 1, T0 + 2000, 30);
    rig_run_until_requests(&rig, 1);
    for (int64_t end_ns = clock_mono_ns() + 100 * NS_PER_MS; clock_mono_ns() < end_ns;)
        rig_turn(&rig, 10);
    assert_int_equal(rig_count(&rig, 0, REMOTE_DELIVERED), 10);
    rig_crash(&rig);
    rig_drain(&rig);
    rig_assert_complete(&rig, 0);
    assert_int_equal(rig_count(&rig, 0, REMOTE_DELIVERED), 50);
    rig_close(&rig);
}

static void find_long_label(void *context, const char *series, int64_t ms, uint64_t bits)
{
    (void)ms;
    (void)bits;
    size_t *found = context;
    *found += strstr(series, "pad=xxx") != NULL && strstr(series, ",instance=t1,job=j,") != NULL;
}

/* The file says job, which the target has, and pad, which it has not. */
static void external_labels_are_added_and_yield_and_a_batch_has_a_limit_of_bytes(void **state)
{
    (void)state;
    enum { SAMPLES = 4000, PAD = 1500 };
    char pad[PAD + 1];
    memset(pad, 'x', PAD);
    pad[PAD] = '\0';
    const struct config_pair labels[] = {{"job", "file"}, {"pad", pad}};
    open_one(1, SAMPLES, 20);
    rig.config.global.external_labels = (struct config_map){labels, 2};
    rig_start(&rig);
    scrape(0, 1, T0, SAMPLES);
    rig_drain(&rig);
    size_t found = 0;
    receiver_each_sample(rig.receivers[0], find_long_label, &found);
    assert_int_equal(found, SAMPLES);
    assert_true(receiver_request_count(rig.receivers[0]) > 1);
    assert_int_equal(receiver_malformed_count(rig.receivers[0]), 0);
    assert_int_equal(rig_count(&rig, 0, REMOTE_DELIVERED), SAMPLES);
    assert_int_equal(rig.slot.counters[COUNTER_WRITER_SAMPLES_IN], SAMPLES);
    rig_close(&rig);
}

static void samples_beyond_the_age_limit_are_dropped_and_counted(void **state)
{
    (void)state;
    open_one(1, 100, 20);
    rig.remotes[0].queue_config.sample_age_limit = 60 * 1000;
    rig_start(&rig);
    int64_t now_ms = clock_ms_of_ns(clock_wall_ns());
    scrape(0, 1, now_ms - 120 * 1000, 10);
    rig_drain(&rig);
    assert_int_equal(receiver_request_count(rig.receivers[0]), 0);
    scrape(0, 2, now_ms - 120 * 1000, 10);
    scrape(0, 1, now_ms, 10);
    rig_drain(&rig);
    assert_int_equal(rig_count(&rig, 0, REMOTE_DROPPED_TOO_OLD), 20);
    assert_int_equal(rig_count(&rig, 0, REMOTE_DELIVERED), 10);
    assert_int_equal(samples_of_request(0), 10);
    rig_close(&rig);
}

static void without_a_remote_everything_is_counted_and_given_back(void **state)
{
    (void)state;
    rig_open(&rig, 2, RING, 0);
    rig_start(&rig);
    scrape(0, 1, T0, 10);
    scrape(1, 2, T0, 15);
    writer_poke(&rig.writer);
    assert_true(writer_is_drained(&rig.writer));
    assert_int_equal(rig.slot.counters[COUNTER_WRITER_UNWANTED], 25);
    rig_close(&rig);
}

static void a_slow_remote_holds_up_the_ring_but_no_other_remote(void **state)
{
    (void)state;
    rig_open(&rig, 1, RING, 2);
    rig_receive(&rig, 0, NULL, NULL);
    rig_receive(&rig, 1, receiver_hang_first, &always);
    rig_start(&rig);
    for (int64_t i = 0; i < 10; i++) {
        scrape(0, 1, T0 + i * 1000, 100);
        RIG_TURN_UNTIL(&rig, rig_count(&rig, 0, REMOTE_DELIVERED) >= (uint64_t)(i + 1) * 100);
    }
    rig_assert_complete(&rig, 0);
    assert_int_equal(ring_consumer_acked(&rig.writer.sources[0].ring), 0);

    /* Once it is not configured any more, it holds up nothing. */
    rig.config.remote_write.len = 1;
    rig_crash(&rig);
    rig_drain(&rig);
    rig.config.remote_write.len = 2;
    rig_close(&rig);
}

static void another_number_of_shards_takes_over_what_the_former_left(void **state)
{
    (void)state;
    static const int64_t shards[] = {4, 1, 7, 64, 2, 2, 1};
    open_one(1, 50, 5);
    rig.remotes[0].queue_config.min_shards = 8;
    rig_start(&rig);
    int64_t ms = T0;
    for (size_t i = 0; i < sizeof shards / sizeof *shards; i++) {
        for (int round = 0; round < 10; round++, ms += 1000) {
            for (uint64_t target = 1; target <= 16; target++)
                scrape(0, target, ms, 10);
        }
        for (int turn = 0; turn < 6; turn++)
            rig_turn(&rig, 1);
        rig.remotes[0].queue_config.min_shards = shards[i];
        rig_crash(&rig);
    }
    rig_drain(&rig);
    rig_assert_complete(&rig, 0);
    rig_close(&rig);
}

/* The new second shard had to wait for the batch of the former only one; its room is used again. */
static void a_shard_that_had_to_wait_begins_behind_what_was_delivered(void **state)
{
    (void)state;
    enum { TARGETS = 20, LINES = 1000 };
    rig_open(&rig, 1, RING, 1);
    rig_receive(&rig, 0, receiver_hang_first, &once);
    rig.remotes[0].queue_config.max_samples_per_send = TARGETS * LINES;
    rig_start(&rig);
    for (uint64_t target = 1; target <= TARGETS; target++)
        scrape(0, target, T0, LINES);
    rig_run_until_requests(&rig, 1);
    rig.remotes[0].queue_config.min_shards = 2;
    rig_crash(&rig);
    RIG_TURN_UNTIL(&rig, rig_count(&rig, 0, REMOTE_DELIVERED) >= TARGETS * LINES);
    for (uint64_t target = 1; target <= TARGETS; target++)
        scrape(0, target, T0 + 1000, 10);
    rig_drain(&rig);
    rig_assert_complete(&rig, 0);
    rig_close(&rig);
}

/* Too few samples for a batch, but many of another lane's bytes. */
static void a_batch_does_not_hold_back_more_than_a_part_of_the_ring(void **state)
{
    (void)state;
    open_one(1, 1000, HOUR_MS);
    rig.remotes[0].queue_config.min_shards = 64;
    rig_start(&rig);
    scrape(0, scrapers_target_of_lane(3, 0), T0, 10);
    uint64_t other = scrapers_target_of_lane(5, 0);
    for (int64_t i = 0; i < 600; i++) { /* 600 x 4 KiB: more than the ring has */
        scrape(0, other, T0 + i * 1000, 500);
        int64_t limit_ns = clock_mono_ns() + 60 * NS_PER_S;
        while (ring_room(&rig.scrapers.scraper[0].ring) < RING / 4) {
            assert_true(clock_mono_ns() < limit_ns);
            rig_turn(&rig, 1);
        }
    }
    rig.writer.flushing = true;
    rig_drain(&rig);
    rig_assert_complete(&rig, 0);
    rig_close(&rig);
}

static size_t address_space(void)
{
    unsigned long pages;
    FILE *file = fopen("/proc/self/statm", "r");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%lu", &pages), 1);
    fclose(file);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

/* Emulators of other processors leave this limit out of account. */
static bool may_map(size_t bytes)
{
    void *room = mmap(NULL, bytes, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (room != MAP_FAILED)
        munmap(room, bytes);
    return room != MAP_FAILED;
}

/* As with vm.overcommit_memory=2: there is not enough of it for the largest requests. */
static void shards_deliver_where_address_space_is_scarce(void **state)
{
    (void)state;
    struct rlimit limit;
    open_one(1, 300, 20);
    rig.remotes[0].queue_config.min_shards = 4;
    rig.remotes[0].queue_config.max_shards = 4;
    rig_start(&rig);
    assert_int_equal(getrlimit(RLIMIT_AS, &limit), 0);
    const struct rlimit scarce = {address_space() + builder_body_room(&rig.writer.builder) / 2,
                                  limit.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_AS, &scarce), 0);
    if (may_map(builder_body_room(&rig.writer.builder))) {
        assert_int_equal(setrlimit(RLIMIT_AS, &limit), 0);
        rig_close(&rig);
        skip();
    }
    for (int64_t i = 0; i < 20; i++) {
        for (uint64_t target = 1; target <= 8; target++)
            scrape(0, target, T0 + i * 1000, 10 + (uint32_t)i * 20);
        rig_drain(&rig);
    }
    assert_int_equal(setrlimit(RLIMIT_AS, &limit), 0);
    for (uint32_t i = 0; i < 4; i++)
        assert_true(rig.writer.remotes[0].shards.items[i].is_copied);
    rig_assert_complete(&rig, 0);
    rig_close(&rig);
}

static void the_doorbell_is_asked_for_where_there_is_something_to_do(void **state)
{
    (void)state;
    open_one(1, 4000, HOUR_MS);
    rig_start(&rig);
    writer_poke(&rig.writer);
    assert_true(writer_may_sleep(&rig.writer));
    const struct scrape what = {.target = 1, .ms = T0, .lines = 100};
    assert_true(scrapers_scrape(&rig.scrapers, &what)); /* the first sample */
    assert_false(writer_may_sleep(&rig.writer));
    writer_poke(&rig.writer);
    assert_true(writer_may_sleep(&rig.writer));
    int rings = 0;
    for (int64_t i = 1; i < 39; i++) {
        const struct scrape next = {.target = 1, .ms = T0 + i * 1000, .lines = 100};
        rings += scrapers_scrape(&rig.scrapers, &next);
    }
    /* 39 x 896 bytes are more than 3900 x 8. */
    assert_in_range(rings, 1, 10);
    rig.writer.flushing = true;
    rig_drain(&rig);
    rig.writer.closing = true;
    writer_poke(&rig.writer);
    assert_true(writer_may_sleep(&rig.writer));
    assert_false(scrapers_scrape(&rig.scrapers,
                                 &(struct scrape){.target = 1, .ms = T0 + 100000, .lines = 4000}));
    rig_close(&rig);
}

int main(void)
{
    rig_reserve_descriptors();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_batch_goes_at_once_and_the_rest_waits),
        cmocka_unit_test(what_is_not_full_goes_when_its_deadline_has_passed),
        cmocka_unit_test(only_a_scrape_larger_than_a_batch_is_cut),
        cmocka_unit_test(scrapes_of_several_blocks_stay_together),
        cmocka_unit_test(timestamps_of_samples_and_staleness_markers_arrive),
        cmocka_unit_test(shards_deliver_at_the_same_time_and_each_in_order),
        cmocka_unit_test(a_target_that_moved_to_another_scraper_keeps_its_order),
        cmocka_unit_test(what_a_target_had_before_it_moved_comes_first_whatever_the_times_say),
        cmocka_unit_test(a_takeover_that_is_newer_than_the_look_at_the_other_ring_waits),
        cmocka_unit_test(a_takeover_from_what_is_not_there_holds_nothing_up),
        cmocka_unit_test(a_takeover_from_a_ring_that_is_new_waits_for_the_writer_that_knows_it),
        cmocka_unit_test(external_labels_are_added_and_yield_and_a_batch_has_a_limit_of_bytes),
        cmocka_unit_test(samples_beyond_the_age_limit_are_dropped_and_counted),
        cmocka_unit_test(without_a_remote_everything_is_counted_and_given_back),
        cmocka_unit_test(a_slow_remote_holds_up_the_ring_but_no_other_remote),
        cmocka_unit_test(another_number_of_shards_takes_over_what_the_former_left),
        cmocka_unit_test(a_shard_that_had_to_wait_begins_behind_what_was_delivered),
        cmocka_unit_test(a_batch_does_not_hold_back_more_than_a_part_of_the_ring),
        cmocka_unit_test(shards_deliver_where_address_space_is_scarce),
        cmocka_unit_test(the_doorbell_is_asked_for_where_there_is_something_to_do),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
