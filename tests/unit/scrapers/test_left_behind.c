/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Targets that go together with their scraper: the first one marks them, once, whoever dies.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "tests/unit/scrapers/pair.h"

static const struct rig_answer TWO = RIG_BODY("a 1\nb 2\n");

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
    pair_give(&pair, 1, false);
    pair_scrape(&pair, 1, &TWO);
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
    assert_int_equal(pair_records(&pair, 0), 0);
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
    pair_give(&pair, 1, false);
    pair_scrape(&pair, 1, &TWO);
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
    pair_give(&pair, 1, false);
    pair_scrape(&pair, 1, &TWO);
    assert_string_equal(pair_scrape(&pair, 1, &none),
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
    pair_give(&pair, 1, false);
    pair_scrape(&pair, 1, &TWO);
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
    pair_give(&pair, 1, false);
    pair_scrape(&pair, 1, &TWO);
    atomic_store(&first->supervisor.scrapers, 1);
    /* A record of which there is no state yet. */
    assert_int_equal(series_target(&first->scraper.store, 1, labels, 2, &ref), 0);
    remove_second(&pair, NULL, 0);
    assert_true(has_settled(first));
    assert_non_null(strstr(mark(first), "\na stale\nb stale\nreport stale\n"));
    assert_int_equal(pair_records(&pair, 0), 0);
    pair_free(&pair);
}

/* What scrapes of so many targets that failed would have left. */
static void leave_many(struct rig *rig, uint32_t count)
{
    enum { ROOM = 1000 }; /* for so many blocks the ring has room */
    struct label labels[] = {{SLICE_LITERAL("instance"), SLICE_LITERAL("i")},
                             {SLICE_LITERAL("job"), SLICE_LITERAL("j")}};
    for (uint32_t id = 1; id <= count; id++) {
        struct series_state state = {
            .timestamp_ms = rig->now_ms, .scrape_seq = 1, .flags = SHM_STATE_REPORTED};
        uint32_t ref;
        assert_int_equal(series_target(&rig->scraper.store, id, labels, 2, &ref), 0);
        assert_int_equal(commit_takeover(&rig->scraper.commit, ref, &state, 0, 0), 0);
        if (id % ROOM == 0)
            rig_take(rig);
    }
}

/* Targets of the first one after a turn that has no time left. */
static uint32_t found_after_a_step(struct rig *first)
{
    assert_false(left_behind_take(&first->scraper, 0));
    return first->scraper.targets.count;
}

static void very_many_targets_that_have_gone_are_found_in_parts(void **state)
{
    enum { TARGETS = 14000 };
    (void)state;
    struct pair pair = {{rig_new_sized(16 << 20, 32 << 20), NULL}};
    struct rig *first = pair.rigs[0];
    pair.rigs[1] = rig_new_beside(first);
    /* None departs meanwhile, however long it takes. */
    first->config->scrape_configs.items[0].scrape_interval = INT64_C(24) * 3600 * 1000;
    pair_give(&pair, 1, false);
    leave_many(pair.rigs[1], TARGETS);
    remove_second(&pair, NULL, 0);
    atomic_store(&first->supervisor.scrapers, 1);
    uint32_t before = first->scraper.targets.count;
    while (before < 10) {
        uint32_t count = found_after_a_step(first);
        assert_in_range(count - before, 0, 1);
        before = count;
    }
    assert_true(left_behind_is_under_way(&first->scraper));
    while (!has_settled(first))
        rig_settle(pair.rigs, 1);
    assert_false(left_behind_is_under_way(&first->scraper));
    assert_int_equal(first->scraper.targets.count, TARGETS);
    assert_int_equal(rig_counter(first, COUNTER_TAKEOVERS), TARGETS);
    assert_int_equal(rig_target(first, TARGETS)->life, TARGET_DEPARTING);
    pair_free(&pair);
}

/* Whatever was found before it was replaced arrives, and nothing is found twice. */
static void a_search_begins_anew_with_the_next_table(void **state)
{
    enum { TARGETS = 100 };
    (void)state;
    struct pair pair = pair_new();
    struct rig *first = pair.rigs[0];
    pair_give(&pair, 1, false);
    leave_many(pair.rigs[1], TARGETS);
    remove_second(&pair, NULL, 0);
    atomic_store(&first->supervisor.scrapers, 1);
    while (first->scraper.targets.count < 10)
        found_after_a_step(first);
    const struct rig_target back = {.id = TARGETS, .moved = true};
    rig_table(first, &back, 1);
    while (!has_settled(first))
        rig_settle(pair.rigs, 1);
    assert_int_equal(first->scraper.targets.count, TARGETS);
    assert_int_equal(rig_counter(first, COUNTER_TAKEOVERS), TARGETS);
    assert_int_equal(rig_target(first, TARGETS)->life, TARGET_ACTIVE);
    assert_int_equal(rig_target(first, TARGETS - 1)->life, TARGET_DEPARTING);
    pair_free(&pair);
}

static void a_target_that_stays_or_was_done_with_is_not_marked(void **state)
{
    (void)state;
    struct pair pair = pair_new();
    struct rig *first = pair.rigs[0];
    const struct rig_target stays = {.owner = 0, .moved = true};
    pair_give(&pair, 1, false);
    pair_scrape(&pair, 1, &TWO);
    atomic_store(&first->supervisor.scrapers, 1);
    remove_second(&pair, &stays, 1);
    assert_int_equal(rig_target(first, 1)->life, TARGET_ACTIVE);
    assert_true(has_settled(first));
    rig_take(first);
    assert_string_equal(pair_scrape(&pair, 0, &TWO), "a 1\nb 2\nup 1 scraped 2 post 2 added 0\n");
    /* Now it is in the first one's hands alone, whatever the second one had of it. */
    rig_table(first, NULL, 0);
    assert_string_equal(mark(first), "a stale\nb stale\nreport stale\n");
    pair_free(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_target_that_goes_together_with_its_scraper_is_marked_once),
        cmocka_unit_test(what_a_predecessor_among_more_scrapers_said_is_not_taken_for_done),
        cmocka_unit_test(a_target_that_goes_with_nothing_but_its_report_is_marked),
        cmocka_unit_test(whoever_dies_before_it_is_marked_has_a_successor_that_does),
        cmocka_unit_test(whoever_dies_before_it_has_taken_over_has_a_successor_that_does),
        cmocka_unit_test(very_many_targets_that_have_gone_are_found_in_parts),
        cmocka_unit_test(a_search_begins_anew_with_the_next_table),
        cmocka_unit_test(a_target_that_stays_or_was_done_with_is_not_marked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
