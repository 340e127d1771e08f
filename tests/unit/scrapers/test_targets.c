/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Targets that come, change, go and succeed each other, and scrapers that die and are succeeded.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/clock.h"
#include "scrapers/scrape.h"
#include "tests/unit/scrapers/rig.h"

static const struct rig_answer ONE = RIG_BODY("a 1\n");
static const struct rig_answer TWO = RIG_BODY("a 1\nb 2\n");
static const struct rig_answer OTHER = RIG_BODY("b 2\nc 3\n");
static const struct rig_answer FAILURE =
    RIG_BODY("HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n");
static const struct rig_answer STAMPED = RIG_BODY("a 1 1000\nb 2\n");

/* Lets the markers of departed targets be written: their timers are set in real time. */
static void let_departures_happen(struct rig *rig)
{
    for (int i = 0; i < 3; i++) {
        struct target *target = NULL;
        for (uint64_t id = 1; id <= 3 && target == NULL; id++) {
            target = rig_target(rig, id);
            if (target != NULL && !loop_timer_running(&target->departure))
                target = NULL;
        }
        if (target == NULL)
            return;
        loop_timer_set(rig->loop, &target->departure, loop_now(rig->loop));
        assert_int_equal(loop_run_once(rig->loop, 0), 0);
    }
}

/* From the turn in which it was decided, however long ago that is. */
static int64_t departure_wait_ms(struct rig *rig, uint64_t id)
{
    struct target *target = rig_target(rig, id);
    assert_non_null(target);
    assert_true(loop_timer_running(&target->departure));
    return (target->departure.at_ns - loop_now(rig->loop)) / NS_PER_MS;
}

static void a_target_that_goes_is_marked_with_its_report_series(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    rig_table(rig, &(struct rig_target){0}, 1);
    rig_scrape(rig, 1, &STAMPED);
    rig_table(rig, NULL, 0);
    assert_int_equal(rig->scraper.targets.active, 0);
    /* At its next tick, an interval and a tenth later. */
    assert_int_equal(departure_wait_ms(rig, 1), RIG_INTERVAL_MS * 21 / 10);
    assert_string_equal(rig_take(rig), "");
    let_departures_happen(rig);
    rig_wait_ms(rig, RIG_INTERVAL_MS);
    assert_string_equal(rig_take(rig), "b stale\nreport stale\n");
    assert_null(rig_target(rig, 1));
    assert_int_equal(series_usage(&rig->scraper.store).targets, 0);
    assert_int_equal(rig->scraper.active_series, 0);
    rig_free(rig);
}

/* Of what is tracked in spite of its own timestamps, as Prometheus' storage does it. */
static void what_has_a_newer_timestamp_than_its_marker_would_have_gets_none(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    char body[128];
    /* Before the marker and, the second one, at its very time. */
    snprintf(body, sizeof(body), "a 1 %lld\nb 2 %lld\nc 3 %lld\nd 4\n",
             (long long)(RIG_START_MS + RIG_INTERVAL_MS),
             (long long)(RIG_START_MS + 2 * RIG_INTERVAL_MS),
             (long long)(RIG_START_MS + 4 * RIG_INTERVAL_MS));
    const struct rig_answer answer = {.bytes = body, .len = strlen(body)};
    rig_table(
        rig,
        &(struct rig_target){.flags = SHM_TARGET_HONOR_TIMESTAMPS | SHM_TARGET_TRACK_TIMESTAMPS},
        1);
    rig_scrape(rig, 1, &answer);
    rig_table(rig, NULL, 0);
    assert_int_equal(rig_target(rig, 1)->departed_ms, RIG_START_MS + 2 * RIG_INTERVAL_MS);
    let_departures_happen(rig);
    rig_wait_ms(rig, RIG_INTERVAL_MS);
    assert_string_equal(rig_take(rig), "a stale\nd stale\nreport stale\n");
    rig_free(rig);
}

static void a_target_that_was_never_scraped_goes_without_a_word(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    rig_table(rig, &(struct rig_target){0}, 1);
    rig_table(rig, NULL, 0);
    let_departures_happen(rig);
    assert_string_equal(rig_take(rig), "");
    assert_null(rig_target(rig, 1));
    rig_free(rig);
}

static void a_target_of_a_job_that_is_not_known_is_left_to_the_successor(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    const struct rig_target both[] = {{.id = 1}, {.id = 2, .job = "of a newer configuration"}};
    rig_table(rig, both, 2);
    assert_non_null(rig_target(rig, 1));
    assert_null(rig_target(rig, 2));
    assert_int_equal(rig->scraper.targets.active, 1);
    rig_free(rig);
}

static void a_target_that_returns_in_time_is_not_marked(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    const struct rig_target target = {0};
    rig_table(rig, &target, 1);
    rig_scrape(rig, 1, &TWO);
    rig_table(rig, NULL, 0);
    rig_table(rig, &target, 1);
    assert_false(loop_timer_running(&rig_target(rig, 1)->departure));
    assert_string_equal(rig_scrape(rig, 1, &TWO), "a 1\nb 2\nup 1 scraped 2 post 2 added 0\n");
    rig_free(rig);
}

/* Target 1 has served TWO and is gone; target 2 of this scraper is its heir. */
static struct rig *rig_with_heir(uint32_t owner)
{
    struct rig *rig = rig_new();
    const struct rig_target before = {.id = 1};
    const struct rig_target heir = {.id = 2, .path = "/other", .owner = owner};
    rig_table(rig, &before, 1);
    rig_scrape(rig, 1, &TWO);
    rig_table(rig, &heir, 1);
    return rig;
}

static void an_heir_keeps_the_series_it_serves(void **state)
{
    (void)state;
    struct rig *rig = rig_with_heir(0);
    assert_string_equal(rig_scrape(rig, 2, &OTHER), "b 2\nc 3\nup 1 scraped 2 post 2 added 2\n");
    let_departures_happen(rig);
    assert_string_equal(rig_take(rig), "a stale\n");
    rig_free(rig);
}

/* Whether what has been committed since the last time may be refused without the rest. */
static bool is_refused_alone(const struct rig *rig)
{
    struct block_view block;
    uint64_t end = ring_consumer_produced(&rig->ring);
    uint64_t pos = ring_consumer_acked(&rig->ring);
    assert_true(pos < end);
    for (; pos < end; pos = block.next_pos) {
        assert_int_equal(block_read(&rig->ring, pos, end, &block), 0);
        if ((block.head.flags & SHM_BLOCK_CONTESTED) == 0)
            return false;
    }
    return true;
}

/* Its markers are newer than those of the one before it, which does not know what it has served. */
static void what_an_heir_has_lost_already_is_marked_where_it_may_be_refused(void **state)
{
    (void)state;
    struct rig *rig = rig_with_heir(0);
    rig_scrape(rig, 2, &TWO);
    assert_string_equal(rig_scrape(rig, 2, &FAILURE),
                        "a stale\nb stale\nup 0 scraped 0 post 0 added 0\n");
    let_departures_happen(rig);
    assert_true(is_refused_alone(rig));
    assert_string_equal(rig_take(rig), "a stale @1800000030000\nb stale @1800000030000\n");
    rig_table(rig, NULL, 0);
    let_departures_happen(rig);
    assert_false(is_refused_alone(rig)); /* nobody comes after that one */
    rig_free(rig);
}

/* Its next one may be older than the marker. */
static void what_an_heir_serves_with_times_of_its_own_is_not_marked(void **state)
{
    (void)state;
    struct rig *rig = rig_with_heir(0);
    char body[64];
    snprintf(body, sizeof(body), "a 1 %lld\nc 3\n", (long long)(RIG_START_MS + 1));
    const struct rig_answer answer = {.bytes = body, .len = strlen(body)};
    rig_scrape(rig, 2, &answer);
    let_departures_happen(rig);
    assert_string_equal(rig_take(rig), "b stale\n");
    rig_free(rig);
}

/* What is under way leaves a gap at the ring's start that has room for the first block only. */
static void leave_small_gap(struct rig *rig)
{
    struct ring_producer *ring = &rig->scraper.ring;
    const size_t sizes[] = {SHM_PIECE, RING_ALIGN};
    for (int i = 0; i < 2; i++) {
        void *room;
        assert_int_equal(ring_reserve(ring, sizes[i], &room), 0);
        memset(room, 0, sizes[i]);
        rig->doorbells += ring_publish(ring);
    }
    ring_consumer_ack(&rig->ring, ring->published - RING_ALIGN);
    for (int64_t s = 1; s <= 3 * RING_KEEP_S; s += RING_KEEP_S)
        ring_trim(ring, s * NS_PER_S); /* forgets that there has ever been more */
}

static void all_markers_of_a_large_target_lie_where_there_is_room_for_them(void **state)
{
    enum { SERIES = 20000 };
    (void)state;
    struct rig *rig = rig_new_sized(8 << 20, 64 << 20);
    struct strbuf body = STRBUF_GROWING;
    for (int i = 0; i < SERIES; i++)
        strbuf_addf(&body, "b{i=\"%d\"} 1\n", i);
    strbuf_addf(&body, "a 1 1000\n");
    const struct rig_answer answer = {.bytes = body.text, .len = body.len};
    rig_table(rig, &(struct rig_target){0}, 1);
    rig_scrape(rig, 1, &answer);
    rig_table(rig, NULL, 0);
    leave_small_gap(rig);
    let_departures_happen(rig);
    assert_null(rig_target(rig, 1));
    assert_int_equal(rig_counter(rig, COUNTER_STALE_MARKERS), SERIES + REPORT_COUNT);
    strbuf_fini(&body);
    rig_free(rig);
}

static void an_heir_of_another_scraper_inherits_everything(void **state)
{
    (void)state;
    struct rig *rig = rig_with_heir(1);
    let_departures_happen(rig);
    assert_string_equal(rig_take(rig), "");
    assert_int_equal(series_usage(&rig->scraper.store).targets, 0);
    rig_free(rig);
}

static void a_target_that_another_scraper_owns_now_leaves_no_marker(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    rig_table(rig, &(struct rig_target){0}, 1);
    rig_scrape(rig, 1, &TWO);
    rig_table(rig, &(struct rig_target){.owner = 1}, 1);
    rig_settle(&rig, 1);
    assert_string_equal(rig_take(rig), "");
    assert_null(rig_target(rig, 1));
    assert_int_equal(series_usage(&rig->scraper.store).targets, 0);
    rig_free(rig);
}

static void a_change_of_address_keeps_what_is_known(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    rig_table(rig, &(struct rig_target){0}, 1);
    rig_scrape(rig, 1, &TWO);
    rig_start(rig, 1, &TWO); /* given up, and made up for */
    rig_table(rig, &(struct rig_target){.is_dead = true}, 1);
    assert_int_equal(rig->scraper.running, 0);
    assert_string_equal(rig_scrape(rig, 1, &TWO),
                        "a stale\nb stale\nup 0 scraped 0 post 0 added 0\n");
    rig_table(rig, &(struct rig_target){0}, 1);
    assert_string_equal(rig_scrape(rig, 1, &TWO), "a 1\nb 2\nup 1 scraped 2 post 2 added 0\n");
    assert_int_equal(rig_counter(rig, COUNTER_LINES_LEARNT), 2);
    rig_free(rig);
}

static void what_the_table_says_unchanged_disturbs_nothing(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    const struct rig_target targets[] = {{.id = 1}, {.id = 2, .extra = "x=y"}};
    rig_table(rig, targets, 1);
    rig_start(rig, 1, &TWO);
    rig_table(rig, targets, 2);
    rig_finish(rig);
    assert_string_equal(rig_take(rig), "a 1\nb 2\nup 1 scraped 2 post 2 added 2\n");
    assert_int_equal(atomic_load(&rig->slot->targets_generation), 2);
    rig_free(rig);
}

/* ---- death ---- */

static void a_successor_goes_on_without_markers_or_new_series(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    const struct rig_target target = {0};
    rig_table(rig, &target, 1);
    rig_scrape(rig, 1, &TWO);
    rig_restart(rig);
    assert_int_equal(rig->scraper.active_series, 2);
    assert_string_equal(rig_scrape(rig, 1, &TWO), "a 1\nb 2\nup 1 scraped 2 post 2 added 0\n");
    rig_restart(rig);
    assert_string_equal(rig_scrape(rig, 1, &OTHER),
                        "b 2\nc 3\na stale\nup 1 scraped 2 post 2 added 1\n");
    rig_free(rig);
}

static void a_successor_knows_what_has_vanished_for_good(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    rig_table(rig, &(struct rig_target){0}, 1);
    const struct rig_answer refused = {.bytes = NULL};
    rig_scrape(rig, 1, &TWO);
    assert_string_equal(rig_scrape(rig, 1, &refused),
                        "a stale\nb stale\nup 0 scraped 0 post 0 added 0\n");
    rig_restart(rig);
    assert_string_equal(rig_scrape(rig, 1, &refused), "up 0 scraped 0 post 0 added 0\n");
    rig_free(rig);
}

static void a_successor_sends_no_old_timestamp_again(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    rig_table(rig, &(struct rig_target){0}, 1);
    rig_scrape(rig, 1, &STAMPED);
    rig_restart(rig);
    assert_string_equal(rig_scrape(rig, 1, &STAMPED), "b 2\nup 1 scraped 2 post 2 added 0\n");
    rig_free(rig);
}

static void a_death_in_the_middle_of_a_body_leaves_nothing(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    const struct rig_answer half = RIG_BODY_THEN(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 99\r\n\r\na 1\nn", hangs);
    rig_table(rig, &(struct rig_target){0}, 1);
    rig_scrape(rig, 1, &TWO);
    rig_start(rig, 1, &half);
    while (rig_target(rig, 1)->scrape->body.accepted == 0)
        assert_int_equal(loop_run_once(rig->loop, NS_PER_S), 0);
    rig_restart(rig);
    assert_string_equal(rig_take(rig), "");
    assert_string_equal(rig_scrape(rig, 1, &TWO), "a 1\nb 2\nup 1 scraped 2 post 2 added 0\n");
    rig_free(rig);
}

static void a_death_before_the_publish_leaves_nothing(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    rig_table(rig, &(struct rig_target){0}, 1);
    rig_scrape(rig, 1, &TWO);
    struct scraper *scraper = &rig->scraper;
    uint32_t ref = rig_target(rig, 1)->ref;
    /* As far as a commit gets: blocks are written and the state beside, nothing is published. */
    struct shm_block head = {.kind = SHM_BLOCK_STALE,
                             .flags = SHM_BLOCK_HAS_LAYOUT,
                             .count = REPORT_COUNT,
                             .target_id = 1,
                             .target_ref = ref,
                             .layout_ref = scraper->report.layout};
    struct block_columns columns;
    assert_int_equal(block_reserve(&scraper->ring, &head, &columns), 0);
    series_target_prepare(&scraper->store, ref,
                          &(struct series_state){.timestamp_ms = rig->now_ms, .scrape_seq = 2});
    rig_restart(rig);
    assert_string_equal(rig_take(rig), "");
    assert_string_equal(rig_scrape(rig, 1, &TWO), "a 1\nb 2\nup 1 scraped 2 post 2 added 0\n");
    rig_free(rig);
}

static void what_a_predecessor_left_behind_is_marked(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    const struct rig_target both[] = {{.id = 1}, {.id = 2, .extra = "x=y"}};
    rig_table(rig, both, 2);
    rig_scrape(rig, 1, &TWO);
    rig_scrape(rig, 2, &ONE);
    /* The table loses a target while no scraper is there to see it. */
    targets_writer_begin(&rig->table);
    targets_writer_commit(&rig->table);
    rig_wait_ms(rig, 1);
    rig_restart(rig);
    assert_int_equal(rig->scraper.targets.active, 0);
    let_departures_happen(rig);
    const char *text = rig_take(rig);
    assert_non_null(strstr(text, "a stale\nb stale\nreport stale\n"));
    assert_non_null(strstr(text, "a{x=\"y\"} stale\nreport stale\n"));
    assert_int_equal(series_usage(&rig->scraper.store).targets, 0);
    rig_free(rig);
}

static void what_the_shares_gave_to_another_instance_is_marked_at_its_last_sample(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    rig->config->limpet.sharding.by = CONFIG_SHARD_HASH;
    rig_table(rig, &(struct rig_target){0}, 1);
    rig_scrape(rig, 1, &TWO);
    int64_t last_ms = rig->now_ms;
    targets_writer_begin(&rig->table);
    targets_writer_commit(&rig->table);
    rig_wait_ms(rig, RIG_INTERVAL_MS / 2);
    rig_restart(rig);
    assert_int_equal(rig_target(rig, 1)->departed_ms, last_ms + 1);
    /* Its time: what is left until a tick (now), an interval and a tenth, and one more. */
    assert_int_equal(departure_wait_ms(rig, 1), RIG_INTERVAL_MS * 21 / 10);
    let_departures_happen(rig);
    rig->now_ms = last_ms + 1;
    assert_string_equal(rig_take(rig), "a stale\nb stale\nreport stale\n");
    rig_free(rig);
}

static void what_was_left_behind_and_returns_is_taken_up(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    const struct rig_target target = {0};
    rig_table(rig, &target, 1);
    rig_scrape(rig, 1, &TWO);
    targets_writer_begin(&rig->table);
    targets_writer_commit(&rig->table);
    rig_restart(rig);
    rig_table(rig, &target, 1);
    assert_string_equal(rig_scrape(rig, 1, &OTHER),
                        "b 2\nc 3\na stale\nup 1 scraped 2 post 2 added 1\n");
    let_departures_happen(rig);
    assert_string_equal(rig_take(rig), "");
    rig_free(rig);
}

static void nothing_departs_before_there_is_a_table(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    target_set_refresh(&rig->scraper);
    assert_int_equal(rig->scraper.targets.count, 0);
    assert_int_equal(atomic_load(&rig->slot->targets_generation), 0);
    rig_free(rig);
}

/* 64 KiB of series table, which one target fills until it is gone. */
static void a_target_without_memory_is_taken_up_when_there_is_some(void **state)
{
    (void)state;
    struct rig *rig = rig_new_sized(1 << 20, 64 << 10);
    const struct rig_target both[] = {{.id = 1}, {.id = 2, .extra = "x=y"}};
    struct strbuf body = STRBUF_GROWING;
    rig_table(rig, both, 1);
    int series = 0;
    while (rig_counter(rig, COUNTER_SCRAPE_NOT_STORED) == 0) {
        strbuf_addf(&body, "b{i=\"%d\"} 1\n", series++);
        const struct rig_answer growing = {.bytes = body.text, .len = body.len};
        rig_scrape(rig, 1, &growing);
    }
    struct series_store *store = &rig->scraper.store;
    const struct label labels[] = {
        {{"instance", 8}, {"i", 1}}, {{"job", 3}, {"j", 1}}, {{"x", 1}, {"y", 1}}};
    uint32_t ref;
    for (uint64_t id = 1000; series_target(store, id, labels, 3, &ref) == 0; id++)
        continue; /* the last bytes, in pieces as target 2 needs one */
    rig_table(rig, both, 2);
    assert_int_equal(rig_target(rig, 2)->ref, 0);
    assert_string_equal(rig_scrape(rig, 2, &ONE), "");
    rig_table(rig, &both[1], 1);
    let_departures_happen(rig);
    rig_take(rig);
    for (int i = 0; i < 100 && rig_target(rig, 2)->ref == 0; i++) {
        assert_string_equal(rig_scrape(rig, 2, &ONE), "");
        rig->scraper.targets.retry_at_ns = 0;
        assert_int_equal(loop_run_once(rig->loop, 0), 0);
        rig->doorbells += scraper_turn(&rig->scraper);
    }
    assert_string_equal(rig_scrape(rig, 2, &ONE), "a{x=\"y\"} 1\nup 1 scraped 1 post 1 added 1\n");
    strbuf_fini(&body);
    rig_free(rig);
}

static void memory_does_not_grow_with_time(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    char text[128];
    uint64_t used = 0;
    rig_table(rig, &(struct rig_target){0}, 1);
    for (int i = 0; i < 300; i++) {
        snprintf(text, sizeof(text), "a 1\nb{n=\"%d\"} 2\nc{n=\"%d\"} 3 1000\n", 1000 + i, i % 7);
        const struct rig_answer answer = {.bytes = text, .len = strlen(text)};
        rig_scrape(rig, 1, &answer);
        if (i == 100)
            used = series_usage(&rig->scraper.store).bytes;
    }
    assert_int_equal(series_usage(&rig->scraper.store).bytes, used);
    assert_true(series_usage(&rig->scraper.store).lines < 40);
    assert_int_equal(rig->scraper.plans.count, 1);
    rig_free(rig);
}

/* Ids are hashes without a key of what others choose: any number may be alike in any of their bits.
 */
static void ids_that_are_alike_share_no_bucket(void **state)
{
    (void)state;
    enum { COUNT = 128, MOST = 24 }; /* one a bucket on average, and by chance a few */
    static struct rig_target targets[COUNT];
    struct rig *rig = rig_new();
    for (uint32_t i = 0; i < COUNT; i++)
        targets[i].id = (uint64_t)(i + 1) << 16;
    rig_table(rig, targets, COUNT);
    const struct target_set *set = &rig->scraper.targets;
    assert_int_equal(set->count, COUNT);
    assert_true(set->mask <= UINT16_MAX);
    for (uint32_t i = 0; i <= set->mask; i++) {
        uint32_t length = 0;
        for (const struct target *target = set->buckets[i]; target != NULL; target = target->next)
            length++;
        assert_in_range(length, 0, MOST);
    }
    for (uint32_t i = 0; i < COUNT; i++)
        assert_non_null(target_set_find(set, targets[i].id));
    rig_free(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_target_that_goes_is_marked_with_its_report_series),
        cmocka_unit_test(what_has_a_newer_timestamp_than_its_marker_would_have_gets_none),
        cmocka_unit_test(a_target_that_was_never_scraped_goes_without_a_word),
        cmocka_unit_test(a_target_of_a_job_that_is_not_known_is_left_to_the_successor),
        cmocka_unit_test(a_target_that_returns_in_time_is_not_marked),
        cmocka_unit_test(an_heir_keeps_the_series_it_serves),
        cmocka_unit_test(what_an_heir_has_lost_already_is_marked_where_it_may_be_refused),
        cmocka_unit_test(what_an_heir_serves_with_times_of_its_own_is_not_marked),
        cmocka_unit_test(all_markers_of_a_large_target_lie_where_there_is_room_for_them),
        cmocka_unit_test(an_heir_of_another_scraper_inherits_everything),
        cmocka_unit_test(a_target_that_another_scraper_owns_now_leaves_no_marker),
        cmocka_unit_test(a_change_of_address_keeps_what_is_known),
        cmocka_unit_test(what_the_table_says_unchanged_disturbs_nothing),
        cmocka_unit_test(a_successor_goes_on_without_markers_or_new_series),
        cmocka_unit_test(a_successor_knows_what_has_vanished_for_good),
        cmocka_unit_test(a_successor_sends_no_old_timestamp_again),
        cmocka_unit_test(a_death_in_the_middle_of_a_body_leaves_nothing),
        cmocka_unit_test(a_death_before_the_publish_leaves_nothing),
        cmocka_unit_test(what_a_predecessor_left_behind_is_marked),
        cmocka_unit_test(what_the_shares_gave_to_another_instance_is_marked_at_its_last_sample),
        cmocka_unit_test(what_was_left_behind_and_returns_is_taken_up),
        cmocka_unit_test(nothing_departs_before_there_is_a_table),
        cmocka_unit_test(a_target_without_memory_is_taken_up_when_there_is_some),
        cmocka_unit_test(memory_does_not_grow_with_time),
        cmocka_unit_test(ids_that_are_alike_share_no_bucket),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
