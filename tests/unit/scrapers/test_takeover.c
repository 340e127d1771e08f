/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Targets that move between two scrapers of one process: series go on without markers, what
 * vanishes at the move is marked, nothing counts as new, and whoever dies is made up for.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/clock.h"
#include "scrapers/scrape.h"
#include "tests/unit/scrapers/pair.h"

static const struct rig_answer TWO = RIG_BODY("a 1\nb 2\n");
static const struct rig_answer ONLY_A = RIG_BODY("a 3\n");
static const struct rig_answer STAMPED = RIG_BODY("a 1\nb 2 1800000010000\n");
static const struct rig_answer HANGS = RIG_BODY_THEN("a 1\n", hangs);

static void a_moved_target_goes_on_as_if_nothing_had_happened(void **state)
{
    (void)state;
    struct pair pair = pair_new();
    char expected[64];
    pair_give(&pair, 0, false);
    assert_string_equal(pair_scrape(&pair, 0, &TWO), "a 1\nb 2\nup 1 scraped 2 post 2 added 2\n");
    uint64_t pos = ring_consumer_produced(&pair.rigs[0]->ring);
    pair_move(&pair, 1);
    snprintf(expected, sizeof(expected), "from scraper 0 at %llu\n", (unsigned long long)pos);
    assert_string_equal(rig_take(pair.rigs[1]), expected);
    assert_string_equal(pair_scrape(&pair, 1, &TWO), "a 1\nb 2\nup 1 scraped 2 post 2 added 0\n");
    assert_string_equal(rig_take(pair.rigs[0]), "");
    assert_int_equal(pair_records(&pair, 0), 0);
    assert_int_equal(pair_records(&pair, 1), 1);
    assert_null(rig_target(pair.rigs[0], 1));
    assert_int_equal(pair.rigs[0]->scraper.active_series, 0);
    assert_int_equal(pair.rigs[1]->scraper.active_series, 2);
    pair_free(&pair);
}

static void a_series_that_vanishes_with_the_move_is_marked_by_the_new_owner(void **state)
{
    (void)state;
    struct pair pair = pair_new();
    pair_give(&pair, 0, false);
    pair_scrape(&pair, 0, &TWO);
    pair_move(&pair, 1);
    rig_take(pair.rigs[1]);
    assert_string_equal(pair_scrape(&pair, 1, &ONLY_A),
                        "a 3\nb stale\nup 1 scraped 1 post 1 added 0\n");
    pair_free(&pair);
}

static void a_series_with_times_of_its_own_is_not_sent_twice(void **state)
{
    (void)state;
    struct pair pair = pair_new();
    pair_give(&pair, 0, false);
    pair_scrape(&pair, 0, &STAMPED);
    pair_move(&pair, 1);
    rig_take(pair.rigs[1]);
    assert_string_equal(pair_scrape(&pair, 1, &STAMPED), "a 1\nup 1 scraped 2 post 2 added 0\n");
    assert_int_equal(rig_counter(pair.rigs[1], COUNTER_SAMPLES_OUT_OF_ORDER), 1);
    pair_free(&pair);
}

static void a_late_tick_is_not_stamped_before_the_last_scrape_elsewhere(void **state)
{
    (void)state;
    struct pair pair = pair_new();
    struct rig *rig = pair.rigs[1];
    pair_give(&pair, 0, false);
    pair_scrape(&pair, 0, &TWO);
    pair_move(&pair, 1);
    rig_take(rig);
    rig->now_ms = pair.rigs[0]->now_ms;
    int64_t due_ns = (rig->now_ms - 1) * NS_PER_MS;
    for (int i = 0; i < 2; i++) {
        scrape_due(&rig_target(rig, 1)->tick, due_ns, due_ns);
        rig_finish(rig);
        assert_string_equal(rig_take(rig),
                            i == 0 ? "" : "a 1\nb 2\nup 1 scraped 2 post 2 added 0\n");
        rig_wait_ms(rig, 1);
    }
    assert_int_equal(rig_counter(rig, COUNTER_SCRAPE_SKIPPED_MISSED), 1);
    pair_free(&pair);
}

static void a_target_that_comes_back_knows_what_happened_elsewhere(void **state)
{
    (void)state;
    struct pair pair = pair_new();
    pair_give(&pair, 0, false);
    pair_scrape(&pair, 0, &TWO);
    pair_move(&pair, 1);
    pair_scrape(&pair, 1, &ONLY_A);
    pair_move(&pair, 0);
    rig_take(pair.rigs[0]);
    assert_string_equal(pair_scrape(&pair, 0, &TWO), "a 1\nb 2\nup 1 scraped 2 post 2 added 1\n");
    assert_int_equal(pair_records(&pair, 1), 0);
    pair_free(&pair);
}

static void a_target_that_comes_back_before_anybody_took_it_over_is_as_before(void **state)
{
    (void)state;
    struct pair pair = pair_new();
    pair_give(&pair, 0, false);
    pair_scrape(&pair, 0, &TWO);
    rig_table(pair.rigs[0], &(struct rig_target){.owner = 1, .moved = true}, 1);
    rig_settle(pair.rigs, 1); /* the other one does not look */
    pair_give(&pair, 0, true);
    pair_settle(&pair);
    assert_string_equal(rig_take(pair.rigs[1]), "");
    assert_string_equal(pair_scrape(&pair, 0, &TWO), "a 1\nb 2\nup 1 scraped 2 post 2 added 0\n");
    pair_free(&pair);
}

static void a_scrape_that_is_running_ends_where_it_began(void **state)
{
    (void)state;
    struct pair pair = pair_new();
    pair_give(&pair, 0, false);
    pair_scrape(&pair, 0, &TWO);
    rig_start(pair.rigs[0], 1, &ONLY_A);
    pair_give(&pair, 1, true);
    rig_settle(&pair.rigs[1], 1);
    assert_int_equal(pair.rigs[1]->scraper.targets.active, 0); /* it waits */
    rig_finish(pair.rigs[0]);
    pair_settle(&pair);
    assert_string_equal(rig_take(pair.rigs[0]), "a 3\nb stale\nup 1 scraped 1 post 1 added 0\n");
    rig_take(pair.rigs[1]);
    assert_string_equal(pair_scrape(&pair, 1, &ONLY_A), "a 3\nup 1 scraped 1 post 1 added 0\n");
    pair_free(&pair);
}

static void a_former_owner_that_died_is_followed_by_one_that_gives_it_away(void **state)
{
    (void)state;
    struct pair pair = pair_new();
    pair_give(&pair, 0, false);
    pair_scrape(&pair, 0, &TWO);
    rig_start(pair.rigs[0], 1, &HANGS);
    pair_give(&pair, 1, true);
    rig_settle(&pair.rigs[1], 1);
    assert_int_equal(pair.rigs[1]->scraper.targets.active, 0);
    rig_restart(pair.rigs[0]);
    pair_settle(&pair);
    rig_take(pair.rigs[1]);
    assert_string_equal(pair_scrape(&pair, 1, &ONLY_A),
                        "a 3\nb stale\nup 1 scraped 1 post 1 added 0\n");
    assert_int_equal(pair_records(&pair, 0), 0);
    pair_free(&pair);
}

/* The table is replaced, twice, in the middle of its being taken in. */
static struct pair *to_be_torn;

static int64_t tear(void)
{
    const struct pair *pair = to_be_torn;
    const struct rig_target targets[] = {{.id = 2, .owner = 1}, {.owner = 1, .moved = true}};
    to_be_torn = NULL;
    for (int i = 0; pair != NULL && i < 2; i++)
        rig_table(pair->rigs[0], targets, 2);
    return RIG_START_MS * NS_PER_MS;
}

static void nobody_settles_with_a_table_that_is_half_known(void **state)
{
    const struct rig_target targets[] = {{.id = 2, .owner = 1}, {.owner = 1, .moved = true}};
    (void)state;
    struct pair pair = pair_new();
    struct scraper *second = &pair.rigs[1]->scraper;
    pair_give(&pair, 0, false);
    pair_scrape(&pair, 0, &TWO);
    rig_table(pair.rigs[0], targets, 2);
    int64_t (*wall_now)(void) = second->schedule.wall_now;
    second->schedule.wall_now = tear; /* it is asked when the first target is added */
    to_be_torn = &pair;
    rig_refresh(pair.rigs[1]);
    second->schedule.wall_now = wall_now;
    assert_null(to_be_torn);
    assert_null(rig_target(pair.rigs[1], 1));
    loop_timer_set(pair.rigs[1]->loop, &second->takeover.timer, loop_now(pair.rigs[1]->loop));
    assert_int_equal(loop_run_once(pair.rigs[1]->loop, 0), 0);
    assert_true(atomic_load(&pair.rigs[1]->slot->settled_generation) < second->targets.generation);
    pair_settle(&pair);
    (void)rig_take(pair.rigs[1]);
    assert_string_equal(pair_scrape(&pair, 1, &TWO), "a 1\nb 2\nup 1 scraped 2 post 2 added 0\n");
    assert_int_equal(pair_records(&pair, 0), 0);
    pair_free(&pair);
}

static void what_a_scraper_without_a_process_has_left_needs_no_release(void **state)
{
    (void)state;
    struct pair pair = pair_new();
    pair_give(&pair, 1, false);
    pair_scrape(&pair, 1, &TWO);
    atomic_store(&pair.rigs[0]->supervisor.scrapers, 1);
    rig_table(pair.rigs[0], &(struct rig_target){.owner = 0, .moved = true}, 1);
    rig_settle(pair.rigs, 1);
    rig_take(pair.rigs[0]);
    assert_string_equal(pair_scrape(&pair, 0, &ONLY_A),
                        "a 3\nb stale\nup 1 scraped 1 post 1 added 0\n");
    pair_free(&pair);
}

static void a_new_owner_that_dies_after_the_takeover_takes_nothing_over_again(void **state)
{
    (void)state;
    struct pair pair = pair_new();
    pair_give(&pair, 0, false);
    pair_scrape(&pair, 0, &TWO);
    pair_give(&pair, 1, true);
    rig_settle(&pair.rigs[1], 1);
    assert_int_equal(rig_counter(pair.rigs[1], COUNTER_TAKEOVERS), 1);
    atomic_store(&pair.rigs[1]->slot->settled_generation, 0); /* before it could say so */
    rig_restart(pair.rigs[1]);
    pair_settle(&pair);
    assert_int_equal(rig_counter(pair.rigs[1], COUNTER_TAKEOVERS), 1);
    rig_take(pair.rigs[1]);
    assert_string_equal(pair_scrape(&pair, 1, &TWO), "a 1\nb 2\nup 1 scraped 2 post 2 added 0\n");
    assert_int_equal(pair_records(&pair, 0), 0);
    pair_free(&pair);
}

static void a_target_that_vanishes_before_the_takeover_is_marked_once(void **state)
{
    (void)state;
    struct pair pair = pair_new();
    pair_give(&pair, 0, false);
    pair_scrape(&pair, 0, &TWO);
    rig_table(pair.rigs[0], &(struct rig_target){.owner = 1, .moved = true}, 1);
    rig_table(pair.rigs[0], NULL, 0);
    rig_refresh(pair.rigs[1]);
    pair_settle(&pair);
    assert_int_equal(rig_target(pair.rigs[0], 1)->life, TARGET_DEPARTING);
    assert_string_equal(rig_take(pair.rigs[1]), "");
    pair_free(&pair);
}

static void a_target_that_vanishes_after_the_takeover_is_the_new_owners_to_mark(void **state)
{
    (void)state;
    struct pair pair = pair_new();
    pair_give(&pair, 0, false);
    pair_scrape(&pair, 0, &TWO);
    pair_give(&pair, 1, true);
    rig_settle(&pair.rigs[1], 1); /* taken over; the first has not looked yet */
    rig_table(pair.rigs[0], NULL, 0);
    rig_refresh(pair.rigs[1]);
    pair_settle(&pair);
    assert_null(rig_target(pair.rigs[0], 1));
    assert_int_equal(rig_target(pair.rigs[1], 1)->life, TARGET_DEPARTING);
    pair_free(&pair);
}

static void replicas_share_lines_and_layout_after_the_move(void **state)
{
    (void)state;
    struct pair pair = pair_new();
    struct rig_target targets[3] = {
        {.id = 1, .extra = "pod=x"}, {.id = 2, .extra = "pod=y"}, {.id = 3, .extra = "pod=z"}};
    rig_table(pair.rigs[0], targets, 3);
    rig_refresh(pair.rigs[1]);
    for (uint64_t id = 1; id <= 3; id++)
        rig_scrape(pair.rigs[0], id, &TWO);
    for (int i = 0; i < 3; i++) {
        targets[i].owner = 1;
        targets[i].moved = true;
    }
    rig_table(pair.rigs[0], targets, 3);
    rig_refresh(pair.rigs[1]);
    pair_settle(&pair);
    struct series_usage usage = series_usage(&pair.rigs[1]->scraper.store);
    assert_int_equal(usage.targets, 3);
    assert_int_equal(usage.layouts, 2 + 1); /* two are those of report series */
    pair_free(&pair);
}

/* A body of this many series. */
static struct rig_answer make_series(uint32_t count)
{
    struct strbuf text = STRBUF_GROWING;
    for (uint32_t i = 0; i < count; i++)
        strbuf_addf(&text, "series{n=\"%u\"} 1\n", i);
    return (struct rig_answer){.bytes = text.text, .len = text.len};
}

static uint32_t lines_of(const struct pair *pair, uint32_t index)
{
    return series_usage(&pair->rigs[index]->scraper.store).lines;
}

/* Of a target with very many series so many are copied in a turn, and no more. */
static void very_many_series_move_in_parts(void **state)
{
    enum { SERIES = 30000 };
    (void)state;
    struct rig *first = rig_new_sized(8 << 20, 64 << 20);
    struct pair pair = {{first, rig_new_beside(first)}};
    struct rig_answer answer = make_series(SERIES);
    uint32_t turns = 0;
    pair_give(&pair, 0, false);
    pair_scrape(&pair, 0, &answer);
    pair_give(&pair, 1, true);
    uint32_t before = lines_of(&pair, 1);
    for (int i = 0; i < 10000 && lines_of(&pair, 1) < SERIES; i++) {
        for (int k = 0; k < 2; k++)
            assert_int_equal(loop_run_once(pair.rigs[k]->loop, NS_PER_MS), 0);
        for (int k = 0; k < 2; k++)
            pair.rigs[k]->doorbells += scraper_turn(&pair.rigs[k]->scraper);
        assert_in_range(lines_of(&pair, 1) - before, 0, TAKEOVER_LINES);
        turns += lines_of(&pair, 1) != before;
        before = lines_of(&pair, 1);
    }
    assert_true(turns >= SERIES / TAKEOVER_LINES);
    pair_settle(&pair);
    (void)rig_take(pair.rigs[1]);
    const char *text = pair_scrape(&pair, 1, &answer);
    assert_non_null(strstr(text, "up 1 scraped 30000 post 30000 added 0\n"));
    assert_null(strstr(text, "stale"));
    pair_free(&pair);
    free((char *)(uintptr_t)answer.bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_moved_target_goes_on_as_if_nothing_had_happened),
        cmocka_unit_test(a_series_that_vanishes_with_the_move_is_marked_by_the_new_owner),
        cmocka_unit_test(a_series_with_times_of_its_own_is_not_sent_twice),
        cmocka_unit_test(a_late_tick_is_not_stamped_before_the_last_scrape_elsewhere),
        cmocka_unit_test(a_target_that_comes_back_knows_what_happened_elsewhere),
        cmocka_unit_test(a_target_that_comes_back_before_anybody_took_it_over_is_as_before),
        cmocka_unit_test(a_scrape_that_is_running_ends_where_it_began),
        cmocka_unit_test(a_former_owner_that_died_is_followed_by_one_that_gives_it_away),
        cmocka_unit_test(nobody_settles_with_a_table_that_is_half_known),
        cmocka_unit_test(what_a_scraper_without_a_process_has_left_needs_no_release),
        cmocka_unit_test(a_new_owner_that_dies_after_the_takeover_takes_nothing_over_again),
        cmocka_unit_test(a_target_that_vanishes_before_the_takeover_is_marked_once),
        cmocka_unit_test(a_target_that_vanishes_after_the_takeover_is_the_new_owners_to_mark),
        cmocka_unit_test(replicas_share_lines_and_layout_after_the_move),
        cmocka_unit_test(very_many_series_move_in_parts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
