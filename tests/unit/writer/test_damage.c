/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rings, series tables and positions that say what cannot be: it costs a counter, nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/unit/dice.h"
#include "tests/unit/shm/segments.h"
#include "tests/unit/writer/rig.h"

#define T0 INT64_C(1700000000000)

enum { RING = 1 << 20 };

static struct rig rig;

static void open_rings(uint32_t count)
{
    rig_open(&rig, count, RING, 1);
    rig_receive(&rig, 0, NULL, NULL);
    rig_start(&rig);
}

static void scrape(uint32_t scraper, uint64_t target, int64_t ms, bool with_refs)
{
    (void)scrapers_scrape(
        &rig.scrapers,
        &(struct scrape){
            .scraper = scraper, .target = target, .ms = ms, .lines = 10, .with_refs = with_refs});
}

/* The block at `pos`, as its scraper can write to it. */
static struct shm_block *block_at(uint32_t scraper, uint64_t pos)
{
    struct ring_producer *ring = &rig.scrapers.scraper[scraper].ring;
    struct ring_consumer twin = segments_twin(ring);
    return (struct shm_block *)(uintptr_t)ring_consumer_at(&twin, pos);
}

static uint64_t corrupt_count(void)
{
    return rig.slot.counters[COUNTER_WRITER_CORRUPT];
}

static void assert_arrived(size_t samples)
{
    assert_int_equal(receiver_sample_count(rig.receivers[0]), samples);
    assert_int_equal(receiver_malformed_count(rig.receivers[0]), 0);
}

typedef void spoil_fn(struct shm_block *block);

static void other_target(struct shm_block *block)
{
    block->target_ref++;
}

static void target_beyond_the_segment(struct shm_block *block)
{
    block->target_ref = UINT32_MAX;
}

static void other_generation(struct shm_block *block)
{
    block->target_generation++;
}

static void layout_is_no_layout(struct shm_block *block)
{
    block->layout_ref = block->target_ref;
}

static void lines_beyond_the_layout(struct shm_block *block)
{
    block->first_line = UINT32_MAX - 3;
}

static void a_block_that_refers_to_nonsense_is_left_out_and_counted(void **state)
{
    (void)state;
    static spoil_fn *const spoils[] = {other_target, target_beyond_the_segment, other_generation,
                                       layout_is_no_layout, lines_beyond_the_layout};
    enum { SPOILS = sizeof spoils / sizeof *spoils };
    open_rings(1);
    for (size_t i = 0; i < SPOILS; i++) {
        scrape(0, 1, T0 + (int64_t)i * 1000, false);
        uint64_t pos = ring_written(&rig.scrapers.scraper[0].ring);
        scrape(0, 2, T0 + (int64_t)i * 1000, false);
        spoils[i](block_at(0, pos));
    }
    rig_drain(&rig);
    assert_arrived(10 * SPOILS);
    assert_int_equal(rig_count(&rig, 0, REMOTE_DROPPED_DAMAGED), 10 * SPOILS);
    assert_int_equal(corrupt_count(), 10 * SPOILS);
    rig_close(&rig);
}

static void a_line_that_is_none_costs_only_its_sample(void **state)
{
    (void)state;
    open_rings(1);
    scrape(0, 1, T0, true);
    uint32_t *refs = (uint32_t *)(void *)(block_at(0, 0) + 1);
    refs[0] = 0;
    refs[3] = UINT32_MAX;
    refs[4] += 1;
    rig_drain(&rig);
    assert_arrived(7);
    assert_int_equal(rig_count(&rig, 0, REMOTE_DROPPED_DAMAGED), 3);
    rig_close(&rig);
}

static void after_damage_the_ring_goes_on_where_it_was_published(void **state)
{
    (void)state;
    open_rings(2);
    scrape(0, 1, T0, false);
    uint64_t pos = ring_written(&rig.scrapers.scraper[0].ring);
    scrape(0, 2, T0, false);
    scrape(0, 3, T0, false);
    scrape(1, 4, T0, false);
    block_at(0, pos)->magic = 0;
    writer_poke(&rig.writer);
    scrape(0, 5, T0, false);
    rig_drain(&rig);
    assert_arrived(30); /* 1, 4 and 5 */
    assert_int_equal(corrupt_count(), 1);
    rig_close(&rig);
}

/* The damage is seen by the process that dies, and by its successor, for which more is published.
 */
static void a_repeat_with_damage_in_it_is_still_the_same(void **state)
{
    (void)state;
    size_t once = 1;
    rig_open(&rig, 1, RING, 1);
    rig_receive(&rig, 0, receiver_hang_first, &once);
    rig.remotes[0].queue_config.batch_send_deadline = 3600 * 1000;
    rig.remotes[0].queue_config.max_samples_per_send = 40;
    rig_start(&rig);
    scrape(0, 1, T0, false);
    uint64_t pos = ring_written(&rig.scrapers.scraper[0].ring);
    scrape(0, 2, T0, false);
    block_at(0, pos)->length = 64;
    writer_poke(&rig.writer);
    for (int64_t i = 1; i < 10; i++)
        scrape(0, 1, T0 + i * 1000, false);
    rig_run_until_requests(&rig, 1);
    rig_crash(&rig);
    rig.writer.flushing = true;
    rig_drain(&rig);
    assert_arrived(100);
    assert_int_equal(rig_count(&rig, 0, REMOTE_REPEATS_CHANGED), 0);
    rig_close(&rig);
}

static void a_produced_position_that_cannot_be_is_not_believed(void **state)
{
    (void)state;
    open_rings(1);
    scrape(0, 1, T0, false);
    rig_drain(&rig);
    _Atomic uint64_t *produced = &rig.scrapers.scraper[0].ring.own->produced_pos;
    uint64_t good = *produced;
    static const int64_t steps[] = {-64, 1, 2 * RING, INT64_MIN};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        *produced = good + (uint64_t)steps[i];
        rig_turn(&rig, 0);
    }
    *produced = good;
    scrape(0, 1, T0 + 1000, false);
    rig_drain(&rig);
    assert_arrived(20);
    rig_close(&rig);
}

/* A batch stands, and what it is made of is gone. */
static void a_batch_whose_ring_went_back_ends(void **state)
{
    (void)state;
    open_rings(1);
    scrape(0, 1, T0, false);
    receiver_keep_all(rig.receivers[0]);
    rig_run_until_requests(&rig, 1);
    _Atomic uint64_t *produced = &rig.scrapers.scraper[0].ring.own->produced_pos;
    uint64_t good = *produced;
    *produced = 0;
    rig_turn(&rig, 5);
    rig_crash(&rig);
    *produced = good;
    rig_drain(&rig);
    rig_close(&rig);
}

static void positions_that_cannot_be_are_mended_at_the_start(void **state)
{
    (void)state;
    open_rings(2);
    scrape(0, 1, T0, false);
    rig_drain(&rig);
    struct shm_remote *place = rig.writer.remotes[0].place;
    for (uint32_t lane = 0; lane < SHM_LANES; lane++)
        place->lanes[lane][0].pos = UINT64_C(1) << (lane + 20 > 63 ? 63 : lane + 20);
    rig_crash(&rig);
    scrape(0, 1, T0 + 1000, false);
    scrape(1, 2, T0 + 1000, false);
    rig_drain(&rig);
    assert_arrived(30);
    rig_close(&rig);
}

/* Any bytes anywhere, while it works: nothing but the end of the test is asked for. */
static void random_bytes_in_everything_that_scrapers_write_do_not_stop_it(void **state)
{
    (void)state;
    struct dice dice = dice_new("damage");
    open_rings(2);
    receiver_keep_all(rig.receivers[0]);
    for (int round = 0; round < 300; round++) {
        uint32_t scraper = dice_roll(&dice, 2);
        struct scraper *spoilt = &rig.scrapers.scraper[scraper];
        if (ring_room(&spoilt->ring) > RING / 2) {
            uint32_t target = 1 + dice_roll(&dice, 5);
            scrape(scraper, target, T0 + round * 1000, dice_roll(&dice, 2) == 0);
        }
        uint64_t from = ring_acked(&spoilt->ring);
        uint64_t waiting = spoilt->ring.published - from;
        for (uint32_t n = dice_roll(&dice, 3); n > 0 && waiting > 0; n--) {
            uint64_t pos = from + dice_roll(&dice, (uint32_t)waiting);
            uint64_t start = pos / RING_ALIGN * RING_ALIGN;
            uint8_t *byte = (uint8_t *)block_at(scraper, start) + pos % RING_ALIGN;
            *byte = (uint8_t)dice_bits(&dice);
        }
        /* What the scraper itself needs of its table it checks as well; here it must go on. */
        if (dice_roll(&dice, 20) == 0)
            rig_crash(&rig);
        else
            rig_turn(&rig, dice_roll(&dice, 2));
    }
    rig.writer.flushing = true;
    rig_drain(&rig);
    rig_close(&rig);
}

int main(void)
{
    rig_reserve_descriptors();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_block_that_refers_to_nonsense_is_left_out_and_counted),
        cmocka_unit_test(a_line_that_is_none_costs_only_its_sample),
        cmocka_unit_test(after_damage_the_ring_goes_on_where_it_was_published),
        cmocka_unit_test(a_repeat_with_damage_in_it_is_still_the_same),
        cmocka_unit_test(a_produced_position_that_cannot_be_is_not_believed),
        cmocka_unit_test(a_batch_whose_ring_went_back_ends),
        cmocka_unit_test(positions_that_cannot_be_are_mended_at_the_start),
        cmocka_unit_test(random_bytes_in_everything_that_scrapers_write_do_not_stop_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
