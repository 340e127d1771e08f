/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What one scraper sees of another one's targets. */
#include "shm/series_peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#include "tests/unit/dice.h"
#include "tests/unit/shm/stage.h"

static const uint32_t LINES[] = {1, 2, 3};

static struct stage stage;
static struct series_peer peer;

static void attach(void)
{
    struct errctx why;
    assert_int_equal(series_peer_attach(&peer, stage.ring_fd, stage.series_fd, 0, &why), 0);
}

static int set_up(void **state)
{
    (void)state;
    stage_setup(&stage, 1 << 20, 1 << 20);
    attach();
    return 0;
}

static int clean_up(void **state)
{
    (void)state;
    series_peer_detach(&peer);
    stage_teardown(&stage);
    return 0;
}

static void scrape(uint64_t id, uint32_t seq)
{
    assert_int_equal(stage_scrape(&stage, id, LINES, 3, true, seq), 0);
}

static struct series_peer_target target_of(uint64_t id)
{
    struct series_peer_target target;
    assert_true(series_peer_target(&peer, stage_find_target(&stage, id), id, &target));
    return target;
}

static void add_up(void *context, uint64_t target_id, uint32_t ref)
{
    struct series_peer_target target;
    uint64_t *sum = context;
    *sum += target_id;
    assert_true(series_peer_target(&peer, ref, target_id, &target));
    assert_false(series_peer_target(&peer, ref, target_id + 1, &target));
}

static void all_targets_are_found_but_those_that_were_dropped(void **state)
{
    (void)state;
    uint64_t sum = 0;
    for (uint64_t id = 1; id <= 100; id++) {
        scrape(id, 1);
        stage_commit(&stage, id);
    }
    series_target_drop(&stage.store, stage_find_target(&stage, 40));
    series_peer_each(&peer, add_up, &sum);
    assert_int_equal(sum, 5050 - 40);
}

static void the_state_is_the_last_one_that_was_published(void **state)
{
    (void)state;
    (void)stage_target(&stage, 7);
    assert_int_equal(target_of(7).scrape_seq, 0);
    assert_int_equal(target_of(7).pos, 0);
    scrape(7, 1);
    assert_int_equal(target_of(7).scrape_seq, 0); /* not yet */
    stage_commit(&stage, 7);
    struct series_peer_target target = target_of(7);
    assert_int_equal(target.scrape_seq, 1);
    assert_int_equal(target.pos, ring_consumer_produced(&stage.out));
    scrape(7, 2);
    assert_int_equal(target_of(7).scrape_seq, 1);
    stage_commit(&stage, 7);
    assert_int_equal(target_of(7).scrape_seq, 2);
}

static void a_state_leads_to_the_lines_of_its_layout(void **state)
{
    (void)state;
    struct series_record layout;
    uint32_t count;
    scrape(7, 1);
    stage_commit(&stage, 7);
    struct series_peer_target target = target_of(7);
    assert_true(series_reader_record(&peer.reader, target.layout_ref, SHM_RECORD_LAYOUT,
                                     target.layout_generation, &layout));
    assert_non_null(series_reader_lines(&layout, &count));
    assert_int_equal(count, 3);
}

/* Of the TARGET with this scrape, whose record was changed by `damage`: whether it can be read. */
static bool reads_times(void (*damage)(struct shm_stamped_body *body))
{
    struct series_record record;
    const uint32_t *lines;
    const int64_t *times;
    uint32_t count;
    struct series_peer_target target = target_of(7);
    assert_true(series_reader_record(&peer.reader, target.stamped_ref, SHM_RECORD_STAMPED,
                                     target.stamped_generation, &record));
    uint64_t offset = (uint64_t)(target.stamped_ref - 1) * SHM_SERIES_UNIT;
    struct shm_stamped_body *body =
        (struct shm_stamped_body *)(void *)(stage.store.arena + offset + sizeof(struct shm_record));
    const struct shm_stamped_body before = *body;
    damage(body);
    bool reads = series_reader_stamped(&record, &lines, &times, &count);
    *body = before;
    if (reads) {
        assert_int_equal(count, 3);
        assert_int_equal(times[2], 2);
        stage_assert_line(&peer.reader, lines[0], LINES[2]);
    }
    return reads;
}

static void leave(struct shm_stamped_body *body)
{
    (void)body;
}

static void point_beyond(struct shm_stamped_body *body)
{
    body->layout_ref = UINT32_MAX;
}

static void point_at_a_former_one(struct shm_stamped_body *body)
{
    body->layout_generation--;
}

static void point_at_any_generation(struct shm_stamped_body *body)
{
    body->layout_generation = 0;
}

/* A layout of one line, where three have times. */
static void point_at_another(struct shm_stamped_body *body)
{
    uint32_t layout = stage_layout(&stage, LINES, 1);
    *body = (struct shm_stamped_body){layout, series_generation(&stage.store, layout)};
}

static void times_lead_to_the_layout_of_their_lines_and_to_no_other(void **state)
{
    (void)state;
    scrape(7, 3);
    stage_commit(&stage, 7);
    assert_true(reads_times(leave));
    assert_false(reads_times(point_beyond));
    assert_false(reads_times(point_at_a_former_one));
    assert_false(reads_times(point_at_any_generation));
    assert_false(reads_times(point_at_another));
}

static void a_release_is_seen_and_outlives_its_scraper(void **state)
{
    (void)state;
    scrape(7, 1);
    stage_commit(&stage, 7);
    assert_false(target_of(7).released);
    series_target_release(&stage.store, stage_find_target(&stage, 7), true);
    assert_true(target_of(7).released);
    stage_restart(&stage);
    assert_true(target_of(7).released);
    assert_true(series_target_is_released(&stage.store, stage_find_target(&stage, 7)));
    series_target_release(&stage.store, stage_find_target(&stage, 7), false);
    assert_false(target_of(7).released);
}

static void ignore(void *context, uint64_t target_id, uint32_t ref)
{
    struct series_peer_target target;
    struct series_record record;
    const uint32_t *lines;
    const int64_t *times;
    uint32_t count;
    (void)context;
    if (!series_peer_target(&peer, ref, target_id, &target))
        return;
    if (series_reader_record(&peer.reader, target.layout_ref, SHM_RECORD_LAYOUT,
                             target.layout_generation, &record))
        (void)series_reader_lines(&record, &count);
    if (series_reader_record(&peer.reader, target.stamped_ref, SHM_RECORD_STAMPED, 0, &record))
        (void)!series_reader_stamped(&record, &lines, &times, &count);
}

static void any_bytes_are_looked_at_without_harm(void **state)
{
    (void)state;
    struct dice dice = dice_new("any_bytes_are_looked_at_without_harm");
    for (uint64_t id = 1; id <= 30; id++) {
        scrape(id, 3);
        stage_commit(&stage, id);
    }
    for (int round = 0; round < 3000; round++) {
        uint32_t at = dice_roll(&dice, (uint32_t)stage.store.used);
        stage.store.arena[at] = (uint8_t)dice_bits(&dice);
        if (round % 100 == 0) {
            uint32_t shift = dice_roll(&dice, 64);
            atomic_store(&stage.store.head->used, dice_bits(&dice) >> shift);
        }
        series_peer_each(&peer, ignore, NULL);
        for (uint32_t ref = 0; ref < 200; ref++)
            ignore(NULL, dice_roll(&dice, 40), ref);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(all_targets_are_found_but_those_that_were_dropped, set_up,
                                        clean_up),
        cmocka_unit_test_setup_teardown(the_state_is_the_last_one_that_was_published, set_up,
                                        clean_up),
        cmocka_unit_test_setup_teardown(a_state_leads_to_the_lines_of_its_layout, set_up, clean_up),
        cmocka_unit_test_setup_teardown(times_lead_to_the_layout_of_their_lines_and_to_no_other,
                                        set_up, clean_up),
        cmocka_unit_test_setup_teardown(a_release_is_seen_and_outlives_its_scraper, set_up,
                                        clean_up),
        cmocka_unit_test_setup_teardown(any_bytes_are_looked_at_without_harm, set_up, clean_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
