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
#include "tests/unit/scrapers/rig.h"
#include "tests/unit/shm/segments.h"

static const struct rig_answer TWO = RIG_BODY("a 1\nb 2\n");
static const struct rig_answer ONLY_A = RIG_BODY("a 3\n");
static const struct rig_answer STAMPED = RIG_BODY("a 1\nb 2 1800000010000\n");
static const struct rig_answer HANGS = RIG_BODY_THEN("a 1\n", hangs);

struct pair {
    struct rig *rigs[2];
};

static struct pair pair_new(void)
{
    struct rig *first = rig_new();
    return (struct pair){{first, rig_new_beside(first)}};
}

static void pair_free(struct pair *pair)
{
    rig_free(pair->rigs[1]);
    rig_free(pair->rigs[0]);
}

/* Both take in a table with target 1 at this owner. */
static void give_to(struct pair *pair, uint32_t owner, bool moved)
{
    rig_table(pair->rigs[0], &(struct rig_target){.owner = owner, .moved = moved}, 1);
    rig_refresh(pair->rigs[1]);
}

static void settle(struct pair *pair)
{
    rig_settle(pair->rigs, 2);
}

/* The clock of one rig goes on with the other's. */
static const char *scrape(struct pair *pair, uint32_t owner, const struct rig_answer *answer)
{
    int64_t now_ms = pair->rigs[0]->now_ms > pair->rigs[1]->now_ms ? pair->rigs[0]->now_ms
                                                                   : pair->rigs[1]->now_ms;
    pair->rigs[owner]->now_ms = now_ms;
    atomic_store(&pair->rigs[0]->answer, answer); /* the target is the first one's server */
    return rig_scrape(pair->rigs[owner], 1, answer);
}

static void move(struct pair *pair, uint32_t owner)
{
    give_to(pair, owner, true);
    settle(pair);
}

static uint32_t records(const struct pair *pair, uint32_t index)
{
    return series_usage(&pair->rigs[index]->scraper.store).targets;
}

static void a_moved_target_goes_on_as_if_nothing_had_happened(void **state)
{
    (void)state;
    struct pair pair = pair_new();
    char expected[64];
    give_to(&pair, 0, false);
    assert_string_equal(scrape(&pair, 0, &TWO), "a 1\nb 2\nup 1 scraped 2 post 2 added 2\n");
    uint64_t pos = ring_consumer_produced(&pair.rigs[0]->ring);
    move(&pair, 1);
    snprintf(expected, sizeof(expected), "from scraper 0 at %llu\n", (unsigned long long)pos);
    assert_string_equal(rig_take(pair.rigs[1]), expected);
    assert_string_equal(scrape(&pair, 1, &TWO), "a 1\nb 2\nup 1 scraped 2 post 2 added 0\n");
    assert_string_equal(rig_take(pair.rigs[0]), "");
    assert_int_equal(records(&pair, 0), 0);
    assert_int_equal(records(&pair, 1), 1);
    assert_null(rig_target(pair.rigs[0], 1));
    assert_int_equal(pair.rigs[0]->scraper.active_series, 0);
    assert_int_equal(pair.rigs[1]->scraper.active_series, 2);
    pair_free(&pair);
}

static void a_series_that_vanishes_with_the_move_is_marked_by_the_new_owner(void **state)
{
    (void)state;
    struct pair pair = pair_new();
    give_to(&pair, 0, false);
    scrape(&pair, 0, &TWO);
    move(&pair, 1);
    rig_take(pair.rigs[1]);
    assert_string_equal(scrape(&pair, 1, &ONLY_A), "a 3\nb stale\nup 1 scraped 1 post 1 added 0\n");
    pair_free(&pair);
}

static void a_series_with_times_of_its_own_is_not_sent_twice(void **state)
{
    (void)state;
    struct pair pair = pair_new();
    give_to(&pair, 0, false);
    scrape(&pair, 0, &STAMPED);
    move(&pair, 1);
    rig_take(pair.rigs[1]);
    assert_string_equal(scrape(&pair, 1, &STAMPED), "a 1\nup 1 scraped 2 post 2 added 0\n");
    assert_int_equal(rig_counter(pair.rigs[1], COUNTER_SAMPLES_OUT_OF_ORDER), 1);
    pair_free(&pair);
}

static void a_target_that_comes_back_knows_what_happened_elsewhere(void **state)
{
    (void)state;
    struct pair pair = pair_new();
    give_to(&pair, 0, false);
    scrape(&pair, 0, &TWO);
    move(&pair, 1);
    scrape(&pair, 1, &ONLY_A);
    move(&pair, 0);
    rig_take(pair.rigs[0]);
    assert_string_equal(scrape(&pair, 0, &TWO), "a 1\nb 2\nup 1 scraped 2 post 2 added 1\n");
    assert_int_equal(records(&pair, 1), 0);
    pair_free(&pair);
}

static void a_target_that_comes_back_before_anybody_took_it_over_is_as_before(void **state)
{
    (void)state;
    struct pair pair = pair_new();
    give_to(&pair, 0, false);
    scrape(&pair, 0, &TWO);
    rig_table(pair.rigs[0], &(struct rig_target){.owner = 1, .moved = true}, 1);
    rig_settle(pair.rigs, 1); /* the other one does not look */
    give_to(&pair, 0, true);
    settle(&pair);
    assert_string_equal(rig_take(pair.rigs[1]), "");
    assert_string_equal(scrape(&pair, 0, &TWO), "a 1\nb 2\nup 1 scraped 2 post 2 added 0\n");
    pair_free(&pair);
}

static void a_scrape_that_is_running_ends_where_it_began(void **state)
{
    (void)state;
    struct pair pair = pair_new();
    give_to(&pair, 0, false);
    scrape(&pair, 0, &TWO);
    rig_start(pair.rigs[0], 1, &ONLY_A);
    give_to(&pair, 1, true);
    rig_settle(&pair.rigs[1], 1);
    assert_int_equal(pair.rigs[1]->scraper.targets.active, 0); /* it waits */
    rig_finish(pair.rigs[0]);
    settle(&pair);
    assert_string_equal(rig_take(pair.rigs[0]), "a 3\nb stale\nup 1 scraped 1 post 1 added 0\n");
    rig_take(pair.rigs[1]);
    assert_string_equal(scrape(&pair, 1, &ONLY_A), "a 3\nup 1 scraped 1 post 1 added 0\n");
    pair_free(&pair);
}

static void a_former_owner_that_died_is_followed_by_one_that_gives_it_away(void **state)
{
    (void)state;
    struct pair pair = pair_new();
    give_to(&pair, 0, false);
    scrape(&pair, 0, &TWO);
    rig_start(pair.rigs[0], 1, &HANGS);
    give_to(&pair, 1, true);
    rig_settle(&pair.rigs[1], 1);
    assert_int_equal(pair.rigs[1]->scraper.targets.active, 0);
    rig_restart(pair.rigs[0]);
    settle(&pair);
    rig_take(pair.rigs[1]);
    assert_string_equal(scrape(&pair, 1, &ONLY_A), "a 3\nb stale\nup 1 scraped 1 post 1 added 0\n");
    assert_int_equal(records(&pair, 0), 0);
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
    give_to(&pair, 0, false);
    scrape(&pair, 0, &TWO);
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
    settle(&pair);
    (void)rig_take(pair.rigs[1]);
    assert_string_equal(scrape(&pair, 1, &TWO), "a 1\nb 2\nup 1 scraped 2 post 2 added 0\n");
    assert_int_equal(records(&pair, 0), 0);
    pair_free(&pair);
}

static void what_a_scraper_without_a_process_has_left_needs_no_release(void **state)
{
    (void)state;
    struct pair pair = pair_new();
    give_to(&pair, 1, false);
    scrape(&pair, 1, &TWO);
    atomic_store(&pair.rigs[0]->supervisor.scrapers, 1);
    rig_table(pair.rigs[0], &(struct rig_target){.owner = 0, .moved = true}, 1);
    rig_settle(pair.rigs, 1);
    rig_take(pair.rigs[0]);
    assert_string_equal(scrape(&pair, 0, &ONLY_A), "a 3\nb stale\nup 1 scraped 1 post 1 added 0\n");
    pair_free(&pair);
}

static void a_new_owner_that_dies_after_the_takeover_takes_nothing_over_again(void **state)
{
    (void)state;
    struct pair pair = pair_new();
    give_to(&pair, 0, false);
    scrape(&pair, 0, &TWO);
    give_to(&pair, 1, true);
    rig_settle(&pair.rigs[1], 1);
    assert_int_equal(rig_counter(pair.rigs[1], COUNTER_TAKEOVERS), 1);
    atomic_store(&pair.rigs[1]->slot->settled_generation, 0); /* before it could say so */
    rig_restart(pair.rigs[1]);
    settle(&pair);
    assert_int_equal(rig_counter(pair.rigs[1], COUNTER_TAKEOVERS), 1);
    rig_take(pair.rigs[1]);
    assert_string_equal(scrape(&pair, 1, &TWO), "a 1\nb 2\nup 1 scraped 2 post 2 added 0\n");
    assert_int_equal(records(&pair, 0), 0);
    pair_free(&pair);
}

static void a_target_that_vanishes_before_the_takeover_is_marked_once(void **state)
{
    (void)state;
    struct pair pair = pair_new();
    give_to(&pair, 0, false);
    scrape(&pair, 0, &TWO);
    rig_table(pair.rigs[0], &(struct rig_target){.owner = 1, .moved = true}, 1);
    rig_table(pair.rigs[0], NULL, 0);
    rig_refresh(pair.rigs[1]);
    settle(&pair);
    assert_int_equal(rig_target(pair.rigs[0], 1)->life, TARGET_DEPARTING);
    assert_string_equal(rig_take(pair.rigs[1]), "");
    pair_free(&pair);
}

static void a_target_that_vanishes_after_the_takeover_is_the_new_owners_to_mark(void **state)
{
    (void)state;
    struct pair pair = pair_new();
    give_to(&pair, 0, false);
    scrape(&pair, 0, &TWO);
    give_to(&pair, 1, true);
    rig_settle(&pair.rigs[1], 1); /* taken over; the first has not looked yet */
    rig_table(pair.rigs[0], NULL, 0);
    rig_refresh(pair.rigs[1]);
    settle(&pair);
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
    settle(&pair);
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
    give_to(&pair, 0, false);
    scrape(&pair, 0, &answer);
    give_to(&pair, 1, true);
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
    settle(&pair);
    (void)rig_take(pair.rigs[1]);
    const char *text = scrape(&pair, 1, &answer);
    assert_non_null(strstr(text, "up 1 scraped 30000 post 30000 added 0\n"));
    assert_null(strstr(text, "stale"));
    pair_free(&pair);
    free((char *)(uintptr_t)answer.bytes);
}

/* ---- scrapers that go ---- */

/* A reload leaves the first scraper alone with this table; the second has a process for now. */
static void remove_second(struct pair *pair, const struct rig_target *targets, int count)
{
    struct rig *first = pair->rigs[0];
    atomic_store(&first->supervisor.kept_scrapers, 2);
    first->scrapers = 1;
    first->now_ms = pair->rigs[1]->now_ms > first->now_ms ? pair->rigs[1]->now_ms : first->now_ms;
    rig_restart(first);
    rig_table(first, targets, count);
    rig_settle(pair->rigs, 1);
}

static bool has_settled(const struct rig *rig)
{
    return atomic_load(&rig->slot->settled_generation) == rig->scraper.targets.generation;
}

static const char *mark(struct rig *rig)
{
    struct target *target = rig_target(rig, 1);
    assert_non_null(target);
    assert_int_equal(target->life, TARGET_DEPARTING);
    rig->now_ms = target->departed_ms;
    loop_timer_set(rig->loop, &target->departure, loop_now(rig->loop));
    rig_settle(&rig, 1);
    assert_null(rig_target(rig, 1));
    return rig_take(rig);
}

static void a_target_that_goes_together_with_its_scraper_is_marked_once(void **state)
{
    (void)state;
    struct pair pair = pair_new();
    struct rig *first = pair.rigs[0];
    char expected[128];
    give_to(&pair, 1, false);
    scrape(&pair, 1, &TWO);
    uint64_t pos = ring_consumer_produced(&pair.rigs[1]->ring);
    remove_second(&pair, NULL, 0);
    assert_null(rig_target(first, 1)); /* that one may do it by itself */
    assert_false(has_settled(first));
    atomic_store(&first->supervisor.scrapers, 1);
    rig_settle(pair.rigs, 1);
    assert_true(has_settled(first));
    snprintf(expected, sizeof(expected), "from scraper 1 at %llu\na stale\nb stale\nreport stale\n",
             (unsigned long long)pos);
    assert_string_equal(mark(first), expected);
    assert_int_equal(records(&pair, 0), 0);
    rig_table(first, NULL, 0);
    rig_settle(pair.rigs, 1);
    assert_null(rig_target(first, 1));
    /* The supervisor has seen that everything has settled. */
    atomic_store(&first->supervisor.kept_scrapers, 1);
    rig_restart(first);
    rig_settle(pair.rigs, 1);
    assert_null(rig_target(first, 1));
    pair_free(&pair);
}

/* It has settled with the table that comes with the reload, and does not know of the reload. */
static void what_a_predecessor_among_more_scrapers_said_is_not_taken_for_done(void **state)
{
    (void)state;
    struct pair pair = pair_new();
    struct rig *first = pair.rigs[0];
    give_to(&pair, 1, false);
    scrape(&pair, 1, &TWO);
    atomic_store(&first->supervisor.kept_scrapers, 2);
    first->now_ms = pair.rigs[1]->now_ms;
    rig_table(first, NULL, 0);
    rig_settle(pair.rigs, 1);
    assert_true(has_settled(first));
    first->scrapers = 1;
    rig_restart(first);
    rig_settle(pair.rigs, 1);
    assert_false(has_settled(first)); /* the second one has a process still */
    atomic_store(&first->supervisor.scrapers, 1);
    rig_settle(pair.rigs, 1);
    assert_true(has_settled(first));
    assert_non_null(strstr(mark(first), "\na stale\nb stale\nreport stale\n"));
    pair_free(&pair);
}

/* Its last scrape has failed: all is marked but what reported that. */
static void a_target_that_goes_with_nothing_but_its_report_is_marked(void **state)
{
    static const struct rig_answer none = {.bytes = NULL};
    (void)state;
    struct pair pair = pair_new();
    give_to(&pair, 1, false);
    scrape(&pair, 1, &TWO);
    assert_string_equal(scrape(&pair, 1, &none),
                        "a stale\nb stale\nup 0 scraped 0 post 0 added 0\n");
    atomic_store(&pair.rigs[0]->supervisor.scrapers, 1);
    remove_second(&pair, NULL, 0);
    assert_non_null(strstr(mark(pair.rigs[0]), "\nreport stale\n"));
    pair_free(&pair);
}

static void whoever_dies_before_it_is_marked_has_a_successor_that_does(void **state)
{
    (void)state;
    struct pair pair = pair_new();
    struct rig *first = pair.rigs[0];
    give_to(&pair, 1, false);
    scrape(&pair, 1, &TWO);
    atomic_store(&first->supervisor.scrapers, 1);
    remove_second(&pair, NULL, 0);
    assert_int_equal(rig_target(first, 1)->life, TARGET_DEPARTING);
    rig_take(first);
    rig_wait_ms(first, 1000);
    rig_restart(first);
    rig_settle(pair.rigs, 1);
    assert_string_equal(mark(first), "a stale\nb stale\nreport stale\n");
    pair_free(&pair);
}

static void whoever_dies_before_it_has_taken_over_has_a_successor_that_does(void **state)
{
    (void)state;
    struct pair pair = pair_new();
    struct rig *first = pair.rigs[0];
    const struct label labels[] = {{{"instance", 8}, {"i", 1}}, {{"job", 3}, {"j", 1}}};
    uint32_t ref;
    give_to(&pair, 1, false);
    scrape(&pair, 1, &TWO);
    atomic_store(&first->supervisor.scrapers, 1);
    /* A record of which there is no state yet. */
    assert_int_equal(series_target(&first->scraper.store, 1, labels, 2, &ref), 0);
    remove_second(&pair, NULL, 0);
    assert_true(has_settled(first));
    assert_non_null(strstr(mark(first), "\na stale\nb stale\nreport stale\n"));
    assert_int_equal(records(&pair, 0), 0);
    pair_free(&pair);
}

static void a_target_that_stays_or_was_done_with_is_not_marked(void **state)
{
    (void)state;
    struct pair pair = pair_new();
    struct rig *first = pair.rigs[0];
    const struct rig_target stays = {.owner = 0, .moved = true};
    give_to(&pair, 1, false);
    scrape(&pair, 1, &TWO);
    atomic_store(&first->supervisor.scrapers, 1);
    remove_second(&pair, &stays, 1);
    assert_int_equal(rig_target(first, 1)->life, TARGET_ACTIVE);
    assert_true(has_settled(first));
    rig_take(first);
    assert_string_equal(scrape(&pair, 0, &TWO), "a 1\nb 2\nup 1 scraped 2 post 2 added 0\n");
    /* Now it is in the first one's hands alone, whatever the second one had of it. */
    rig_table(first, NULL, 0);
    assert_string_equal(mark(first), "a stale\nb stale\nreport stale\n");
    pair_free(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_moved_target_goes_on_as_if_nothing_had_happened),
        cmocka_unit_test(a_series_that_vanishes_with_the_move_is_marked_by_the_new_owner),
        cmocka_unit_test(a_series_with_times_of_its_own_is_not_sent_twice),
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
        cmocka_unit_test(a_target_that_goes_together_with_its_scraper_is_marked_once),
        cmocka_unit_test(what_a_predecessor_among_more_scrapers_said_is_not_taken_for_done),
        cmocka_unit_test(a_target_that_goes_with_nothing_but_its_report_is_marked),
        cmocka_unit_test(whoever_dies_before_it_is_marked_has_a_successor_that_does),
        cmocka_unit_test(whoever_dies_before_it_has_taken_over_has_a_successor_that_does),
        cmocka_unit_test(a_target_that_stays_or_was_done_with_is_not_marked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
