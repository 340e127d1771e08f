/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What becomes of batches that a remote does not take: with a spool, and without one. */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <signal.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/clock.h"
#include "tests/unit/writer/ledger.h"
#include "tests/unit/writer/request.h"
#include "tests/unit/writer/rig.h"

#define T0 INT64_C(1700000000000)

#define PATIENCE_NS (60 * NS_PER_S)

enum { RING = 256 << 10, BIG = 64 << 20, NEVER_MS = 600000 };

static struct rig rig;
static int64_t soon_ms; /* when something is spooled that a failing remote has not taken */

/* A receiver that can be made to fail, with this reply. */
struct mood {
    _Atomic bool fails;
    struct receiver_reply reply;
};

static struct mood moods[RIG_REMOTES_MAX];

static struct receiver_reply by_mood(void *context, size_t number,
                                     const struct receiver_request *request)
{
    (void)number;
    (void)request;
    const struct mood *mood = context;
    return mood->fails ? mood->reply : (struct receiver_reply){.action = RECEIVER_STORE};
}

static void open_remotes(uint32_t remotes, uint64_t spool_bytes)
{
    rig_open(&rig, 1, RING, remotes);
    memset(moods, 0, sizeof moods);
    for (uint32_t i = 0; i < remotes; i++) {
        moods[i].reply = (struct receiver_reply){RECEIVER_ANSWER, 503, NULL, "down"};
        rig_receive(&rig, i, by_mood, &moods[i]);
    }
    if (spool_bytes > 0)
        rig_store(&rig, spool_bytes);
    soon_ms = spool_bytes > 0 ? 20 : NEVER_MS;
    rig.config.limpet.spool.after = NEVER_MS;
}

/* What remotes have not taken goes into the spool soon while one of them fails. While none does it
 * never goes there, however late answers are on a busy machine. */
static void set_mood(uint32_t remote, bool fails)
{
    moods[remote].fails = fails;
    rig.config.limpet.spool.after = moods[0].fails || moods[1].fails ? soon_ms : NEVER_MS;
}

/* A request that was given up for the spool must not be taken when nobody hears of it any more. */
static void recover(uint32_t remote)
{
    rig_let_requests_arrive(&rig, remote);
    set_mood(remote, false);
}

static void scrape(uint64_t target, int64_t ms, uint32_t lines)
{
    (void)scrapers_scrape(&rig.scrapers,
                          &(struct scrape){.target = target, .ms = ms, .lines = lines});
}

static bool has_room(void)
{
    return ring_room(&rig.scrapers.scraper[0].ring) > 32768;
}

/* So many scrapes of targets 1 to 8, a turn after each. Returns the time after the last. */
static int64_t scrape_on(int64_t ms, int count)
{
    for (int i = 0; i < count; i++, ms += 1000) {
        for (uint64_t target = 1; target <= 8; target++)
            scrape(target, ms, 20);
        for (int64_t limit_ns = clock_mono_ns() + PATIENCE_NS; !has_room();) {
            assert_true(clock_mono_ns() < limit_ns);
            rig_turn(&rig, 1);
        }
        rig_turn(&rig, 0);
    }
    return ms;
}

static uint64_t dropped(uint32_t remote)
{
    return rig_count(&rig, remote, REMOTE_SPOOL_LOST_FULL) +
           rig_count(&rig, remote, REMOTE_SPOOL_LOST_EXPIRED) +
           rig_count(&rig, remote, REMOTE_SPOOL_LOST_DAMAGED) +
           rig_count(&rig, remote, REMOTE_DROPPED_BEHIND);
}

/* ---- with a spool ---- */

static void an_outage_holds_no_room_in_the_ring(void **state)
{
    (void)state;
    open_remotes(1, BIG);
    set_mood(0, true);
    rig_start(&rig);
    (void)scrape_on(T0, 200);
    rig_drain(&rig);
    assert_int_equal(receiver_sample_count(rig.receivers[0]), 0);
    assert_true(rig_count(&rig, 0, REMOTE_SPOOL_ITEMS) == rig.scrapers.samples);
    recover(0);
    rig_empty_spools(&rig);
    rig_assert_complete(&rig, 0);
    assert_int_equal(rig_count(&rig, 0, REMOTE_DELIVERED), rig.scrapers.samples);
    assert_int_equal(rig_spool_files(&rig, 0), 0);
    rig_close(&rig);
}

static void a_remote_that_never_answers_holds_up_no_other(void **state)
{
    (void)state;
    open_remotes(2, BIG);
    set_mood(0, true);
    moods[0].reply = (struct receiver_reply){RECEIVER_HANG, 0, NULL, NULL};
    rig_start(&rig);
    (void)scrape_on(T0, 100);
    rig_drain(&rig);
    RIG_TURN_UNTIL(&rig, rig_count(&rig, 1, REMOTE_SPOOL_ITEMS) == 0);
    rig_assert_complete(&rig, 1);
    assert_true(rig_count(&rig, 0, REMOTE_SPOOL_ITEMS) == rig.scrapers.samples);
    rig_close(&rig);
}

static void live_batches_queue_behind_the_spool(void **state)
{
    (void)state;
    open_remotes(1, BIG);
    set_mood(0, true);
    rig_start(&rig);
    int64_t ms = scrape_on(T0, 3);
    rig_drain(&rig);
    recover(0);
    ms = scrape_on(ms, 30);
    rig_drain(&rig);
    rig_empty_spools(&rig);
    rig_assert_complete(&rig, 0); /* in order, too */
    uint64_t before = rig_count(&rig, 0, REMOTE_SPOOL_IN);
    (void)scrape_on(ms, 3);
    rig_drain(&rig);
    assert_int_equal(rig_count(&rig, 0, REMOTE_SPOOL_IN), before);
    rig_assert_complete(&rig, 0);
    rig_close(&rig);
}

static void a_pause_that_was_asked_for_is_kept_when_a_batch_is_stored(void **state)
{
    (void)state;
    open_remotes(1, BIG);
    set_mood(0, true);
    moods[0].reply.fields = "Retry-After: 1\r\n";
    rig.config.limpet.spool.after = NEVER_MS;
    rig_start(&rig);
    scrape(1, T0, 20);
    RIG_TURN_UNTIL(&rig, rig_count(&rig, 0, REMOTE_REQUESTS_ANSWERED_RETRY) >= 1);
    moods[0].fails = false; /* the next one may come at any time from now on */
    rig.config.limpet.spool.after = soon_ms;
    rig_drain(&rig); /* into the spool */
    set_mood(0, false);
    rig_empty_spools(&rig);
    assert_int_equal(receiver_request_count(rig.receivers[0]), 2);
    int64_t gap_ns = receiver_request_at(rig.receivers[0], 1).at_ns -
                     receiver_request_at(rig.receivers[0], 0).at_ns;
    assert_true(gap_ns >= NS_PER_S);
    assert_non_null(strstr(receiver_request_at(rig.receivers[0], 1).head, "Retry-Attempt: 1"));
    rig_close(&rig);
}

static void a_full_spool_drops_its_oldest_and_counts_it(void **state)
{
    (void)state;
    open_remotes(1, 100 << 10);
    set_mood(0, true);
    rig_start(&rig);
    (void)scrape_on(T0, 300);
    rig_drain(&rig);
    recover(0);
    rig_empty_spools(&rig);
    assert_true(rig_count(&rig, 0, REMOTE_SPOOL_LOST_FULL) > 0);
    /* The request that was given up for the spool may be read late and taken; nobody hears of it.
     */
    uint64_t unheard = (uint64_t)rig.remotes[0].queue_config.max_samples_per_send;
    assert_in_range(receiver_sample_count(rig.receivers[0]) + dropped(0), rig.scrapers.samples,
                    rig.scrapers.samples + unheard);
    assert_int_equal(rig_count(&rig, 0, REMOTE_DELIVERED) + dropped(0), rig.scrapers.samples);
    rig_close(&rig);
}

static void remove_files(uint32_t remote)
{
    char path[256];
    rig_spool_path(&rig, remote, path);
    DIR *directory = opendir(path);
    assert_non_null(directory);
    struct dirent *entry;
    while ((entry = readdir(directory)) != NULL)
        (void)unlinkat(dirfd(directory), entry->d_name, 0);
    closedir(directory);
    assert_int_equal(rmdir(path), 0);
}

/* The other shard notices first; newer samples must not overtake what is held in memory. */
static void what_is_held_when_its_file_vanishes_still_comes_first(void **state)
{
    (void)state;
    open_remotes(1, BIG);
    rig.remotes[0].queue_config.min_shards = rig.remotes[0].queue_config.max_shards = 2;
    set_mood(0, true);
    moods[0].reply.fields = "Retry-After: 1\r\n";
    rig_start(&rig);
    int64_t ms = scrape_on(T0, 1);
    rig_drain(&rig);
    const struct shard *shards = rig.writer.remotes[0].shards.items;
    while (shards[0].carrier.state != CARRIER_WAITING || shards[1].carrier.state != CARRIER_WAITING)
        rig_turn(&rig, 5); /* each has sent its own once more, out of the spool */
    remove_files(0);
    set_mood(0, false);
    (void)scrape_on(ms, 1);
    rig_drain(&rig);
    rig_empty_spools(&rig);
    assert_int_equal(dropped(0), 0);
    rig_assert_complete(&rig, 0); /* in order */
    rig_close(&rig);
}

static void a_directory_that_vanishes_costs_what_was_in_it(void **state)
{
    (void)state;
    for (int crashes = 0; crashes < 2; crashes++) {
        open_remotes(1, BIG);
        set_mood(0, true);
        rig_start(&rig);
        int64_t ms = scrape_on(T0, 50);
        rig_drain(&rig);
        remove_files(0);
        if (crashes)
            rig_crash(&rig);
        (void)scrape_on(ms, 10);
        rig_drain(&rig);
        recover(0);
        rig_empty_spools(&rig);
        assert_true(rig_count(&rig, 0, REMOTE_SPOOL_LOST_DAMAGED) > 0);
        assert_int_equal(receiver_sample_count(rig.receivers[0]) + dropped(0),
                         rig.scrapers.samples);
        rig_close(&rig);
    }
}

/*
 * Records of all lanes, made by one shard, are delivered by two that have to wait for each other
 * while the disk takes no marks.
 */
static void a_disk_that_takes_no_marks_holds_up_nobody(void **state)
{
    (void)state;
    struct rlimit before;
    open_remotes(1, BIG);
    set_mood(0, true);
    rig_start(&rig);
    (void)scrape_on(T0, 20);
    rig_drain(&rig);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    const struct rlimit none = {0, before.rlim_max};
    signal(SIGXFSZ, SIG_IGN);
    rig.remotes[0].queue_config.min_shards = rig.remotes[0].queue_config.max_shards = 2;
    set_mood(0, false);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
    rig_crash(&rig);
    int64_t limit_ns = clock_mono_ns() + PATIENCE_NS;
    while (rig_count(&rig, 0, REMOTE_SPOOL_ITEMS) > 0 && clock_mono_ns() < limit_ns)
        rig_turn(&rig, 10);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    rig_assert_complete(&rig, 0);
    assert_int_equal(rig_count(&rig, 0, REMOTE_DELIVERED) +
                         rig_count(&rig, 0, REMOTE_ALREADY_DELIVERED),
                     rig.scrapers.samples);
    rig_close(&rig);
}

static void a_disk_that_takes_nothing_leaves_it_in_the_ring(void **state)
{
    (void)state;
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    const struct rlimit none = {0, before.rlim_max};
    signal(SIGXFSZ, SIG_IGN);
    open_remotes(1, BIG);
    set_mood(0, true);
    rig_start(&rig);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
    int64_t ms = scrape_on(T0, 5);
    RIG_TURN_UNTIL(&rig, rig_count(&rig, 0, REMOTE_SPOOL_ERRORS) >= 1);
    for (int i = 0; i < 60; i++)
        rig_turn(&rig, 1);
    assert_int_equal(rig_count(&rig, 0, REMOTE_SPOOL_IN), 0);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    recover(0);
    (void)scrape_on(ms, 5);
    rig_drain(&rig);
    rig_empty_spools(&rig);
    rig_assert_complete(&rig, 0);
    assert_int_equal(dropped(0), 0);
    rig_close(&rig);
}

/*
 * A disk that has become read-only, say, in an outage: what could not be stored waits longer than
 * for one more try, since the spool before it has to be delivered first. Then it is sent all the
 * same.
 */
static void what_cannot_be_stored_is_sent_when_the_spool_before_it_is_empty(void **state)
{
    (void)state;
    struct rlimit before;
    open_remotes(1, BIG);
    set_mood(0, true);
    rig_start(&rig);
    int64_t ms = scrape_on(T0, 3);
    rig_drain(&rig);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    const struct rlimit none = {0, before.rlim_max};
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
    (void)scrape_on(ms, 3);
    RIG_TURN_UNTIL(&rig, rig_count(&rig, 0, REMOTE_SPOOL_ERRORS) >= 3);
    recover(0);
    rig_drain(&rig);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    rig_assert_complete(&rig, 0);
    assert_int_equal(dropped(0), 0);
    rig_close(&rig);
}

/* What was stored as 2.0 is delivered as 1.0 to a receiver that turns out not to know better. */
static void what_was_stored_as_2_0_is_sent_as_1_0_where_need_be(void **state)
{
    (void)state;
    static const int answers[] = {204, 415, 400};
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        open_remotes(1, BIG);
        rig.remotes[0].protobuf_message = CONFIG_MESSAGE_AUTO;
        rig.remotes[0].send_exemplars = rig.remotes[0].send_native_histograms = true;
        receiver_know_no_v2(rig.receivers[0], answers[i]);
        set_mood(0, true);
        rig_start(&rig);
        for (int64_t ms = T0; ms < T0 + 5000; ms += 1000)
            (void)scrapers_scrape(
                &rig.scrapers,
                &(struct scrape){.target = 1, .ms = ms, .lines = 9, .with_metadata = true});
        rig_drain(&rig);
        assert_int_equal(rig_count(&rig, 0, REMOTE_SPOOL_ITEMS), 45);
        recover(0);
        rig_empty_spools(&rig);
        rig_assert_complete(&rig, 0);
        assert_int_equal(rig_count(&rig, 0, REMOTE_DELIVERED), 45);
        assert_int_equal(rig_count(&rig, 0, REMOTE_FALLBACKS), 1);
        rig_close(&rig);
    }
}

static void what_has_become_too_old_is_left_out_of_a_record(void **state)
{
    (void)state;
    open_remotes(1, BIG);
    set_mood(0, true);
    rig_start(&rig);
    int64_t now_ms = clock_wall_ns() / NS_PER_MS;
    scrape(1, now_ms - 3700 * 1000, 20);
    scrape(2, now_ms, 20);
    rig_drain(&rig);
    assert_int_equal(rig_count(&rig, 0, REMOTE_SPOOL_ITEMS), 40);
    const struct shard *shard = &rig.writer.remotes[0].shards.items[0];
    while (shard->carrier.state != CARRIER_WAITING)
        rig_turn(&rig, 1);
    rig.remotes[0].queue_config.sample_age_limit = 3600 * 1000; /* for the next attempt */
    recover(0);
    rig_empty_spools(&rig);
    assert_int_equal(receiver_sample_count(rig.receivers[0]), 20);
    assert_int_equal(rig_count(&rig, 0, REMOTE_DROPPED_TOO_OLD), 20);
    assert_int_equal(rig_count(&rig, 0, REMOTE_DELIVERED), 20);
    rig_close(&rig);
}

/* Before a stop: nothing is left in the ring, whatever the receiver does. */
static void what_is_under_way_at_the_end_is_stored(void **state)
{
    (void)state;
    open_remotes(1, BIG);
    set_mood(0, true);
    rig.config.limpet.spool.after = NEVER_MS;
    moods[0].reply = (struct receiver_reply){RECEIVER_HANG, 0, NULL, NULL};
    rig_start(&rig);
    (void)scrape_on(T0, 3);
    rig_run_until_requests(&rig, 1);
    rig.writer.flushing = rig.writer.spilling = true;
    rig_drain(&rig);
    set_mood(0, false);
    rig_crash(&rig);
    rig_empty_spools(&rig);
    rig_assert_complete(&rig, 0);
    rig_close(&rig);
}

/* A new runtime directory, as after a reboot or for a new version: the spool is what is left. */
static void what_another_life_stored_is_delivered(void **state)
{
    (void)state;
    open_remotes(1, BIG);
    set_mood(0, true);
    rig_start(&rig);
    (void)scrape_on(T0, 10);
    rig_drain(&rig);
    uint64_t samples = rig.scrapers.samples;
    assert_int_equal(rig_count(&rig, 0, REMOTE_SPOOL_ITEMS), samples);
    rig_forget(&rig);
    set_mood(0, false);
    rig_start(&rig);
    assert_int_equal(rig_count(&rig, 0, REMOTE_SPOOL_FOUND), samples);
    rig_empty_spools(&rig);
    ledger_assert_complete(rig.receivers[0], samples);
    /* The receiver may have taken what the first life had on its way when it ended. */
    assert_int_equal(rig_count(&rig, 0, REMOTE_DELIVERED) +
                         rig_count(&rig, 0, REMOTE_ALREADY_DELIVERED),
                     samples);
    assert_int_equal(rig_count(&rig, 0, REMOTE_SPOOL_OUT), samples);
    rig_close(&rig);
}

/* An unnamed remote gets another made-up name with any setting, and its spool and place stay. */
static void a_remote_that_is_renamed_goes_on_where_it_was(void **state)
{
    (void)state;
    open_remotes(1, BIG);
    snprintf(rig.names[0], sizeof rig.names[0], "0a1b2c");
    set_mood(0, true);
    rig_start(&rig);
    int64_t ms = scrape_on(T0, 10);
    rig_drain(&rig);
    scrape(1, ms, 20); /* and something in the ring */
    snprintf(rig.names[0], sizeof rig.names[0], "ffffff");
    set_mood(0, false);
    rig_crash(&rig);
    assert_string_equal(rig.writer.remotes[0].place->name, "ffffff");
    assert_int_equal(rig_count(&rig, 0, REMOTE_SPOOL_FOUND), 0);
    rig_drain(&rig);
    rig_empty_spools(&rig);
    rig_assert_complete(&rig, 0);
    assert_int_equal(rig_count(&rig, 0, REMOTE_DELIVERED) +
                         rig_count(&rig, 0, REMOTE_ALREADY_DELIVERED),
                     rig.scrapers.samples);
    rig_close(&rig);
}

/* ---- of remotes that are not there any more ---- */

/* Two remotes with spools, of which the second is taken out of the configuration. */
static void orphan_one(void)
{
    open_remotes(2, BIG);
    set_mood(0, true);
    set_mood(1, true);
    rig_start(&rig);
    (void)scrape_on(T0, 10);
    rig_drain(&rig);
    rig.config.remote_write.len = 1;
}

static void a_remote_that_comes_back_finds_its_spool(void **state)
{
    (void)state;
    orphan_one();
    rig_crash(&rig);
    uint64_t bytes = slot_get(&rig.slot, COUNTER_ORPHANS_BYTES);
    assert_true(bytes > 0 && bytes < 2 * rig_count(&rig, 0, REMOTE_SPOOL_BYTES));
    assert_int_equal(slot_get(&rig.slot, COUNTER_ORPHANS_DROPPED), 0);
    rig.config.remote_write.len = 2;
    set_mood(1, false);
    rig_crash(&rig);
    assert_int_equal(slot_get(&rig.slot, COUNTER_ORPHANS_BYTES), 0);
    RIG_TURN_UNTIL(&rig, rig_count(&rig, 1, REMOTE_SPOOL_ITEMS) == 0);
    ledger_assert_complete(rig.receivers[1], rig.scrapers.samples);
    rig_close(&rig);
}

static void the_spool_of_a_remote_that_stays_away_is_dropped_when_it_is_too_old(void **state)
{
    (void)state;
    char path[256];
    orphan_one();
    rig_crash(&rig);
    int64_t stored_ms = clock_ms_of_ns(clock_wall_ns());
    rig.config.limpet.spool.max_age = 3600 * 1000;
    rig.writer.orphans.max_age_ms = 3600 * 1000;
    orphans_tend(&rig.writer.orphans, rig.writer.orphans.look_at_ns);
    assert_int_equal(slot_get(&rig.slot, COUNTER_ORPHANS_DROPPED), 0);
    while (clock_ms_of_ns(clock_wall_ns()) <= stored_ms + 1)
        continue;
    rig.writer.orphans.max_age_ms = 1;
    orphans_tend(&rig.writer.orphans, rig.writer.orphans.look_at_ns);
    assert_int_equal(slot_get(&rig.slot, COUNTER_ORPHANS_DROPPED), rig.scrapers.samples);
    assert_int_equal(slot_get(&rig.slot, COUNTER_ORPHANS_BYTES), 0);
    snprintf(path, sizeof path, "%s/spool/%s", rig.storage, rig.names[1]);
    assert_int_equal(access(path, F_OK), -1);
    /* That of the other one is as it was. */
    assert_int_equal(rig_count(&rig, 0, REMOTE_SPOOL_ITEMS), rig.scrapers.samples);
    rig.config.remote_write.len = 2;
    rig_close(&rig);
}

/* ---- without one ---- */

static void without_a_spool_a_remote_loses_its_oldest_alone(void **state)
{
    (void)state;
    open_remotes(2, 0);
    set_mood(0, true);
    rig_start(&rig);
    int64_t ms = scrape_on(T0, 300);
    assert_true(rig_count(&rig, 0, REMOTE_DROPPED_BEHIND) > 0);
    recover(0);
    (void)scrape_on(ms, 10);
    rig_drain(&rig);
    rig_assert_complete(&rig, 1);
    assert_int_equal(dropped(1), 0);
    assert_int_equal(receiver_sample_count(rig.receivers[0]) + dropped(0), rig.scrapers.samples);
    rig_close(&rig);
}

static void without_a_spool_half_of_a_ring_is_kept(void **state)
{
    (void)state;
    open_remotes(1, 0);
    set_mood(0, true);
    rig_start(&rig);
    for (int64_t ms = T0; ring_room(&rig.scrapers.scraper[0].ring) > RING * 5 / 8; ms += 1000) {
        scrape(1, ms, 20);
        rig_turn(&rig, 0);
    }
    for (int i = 0; i < 60; i++)
        rig_turn(&rig, 1);
    assert_int_equal(dropped(0), 0);
    recover(0);
    rig_drain(&rig);
    rig_assert_complete(&rig, 0);
    rig_close(&rig);
}

int main(void)
{
    rig_reserve_descriptors();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_outage_holds_no_room_in_the_ring),
        cmocka_unit_test(a_remote_that_never_answers_holds_up_no_other),
        cmocka_unit_test(live_batches_queue_behind_the_spool),
        cmocka_unit_test(a_pause_that_was_asked_for_is_kept_when_a_batch_is_stored),
        cmocka_unit_test(a_full_spool_drops_its_oldest_and_counts_it),
        cmocka_unit_test(what_is_held_when_its_file_vanishes_still_comes_first),
        cmocka_unit_test(a_directory_that_vanishes_costs_what_was_in_it),
        cmocka_unit_test(a_disk_that_takes_nothing_leaves_it_in_the_ring),
        cmocka_unit_test(what_cannot_be_stored_is_sent_when_the_spool_before_it_is_empty),
        cmocka_unit_test(a_disk_that_takes_no_marks_holds_up_nobody),
        cmocka_unit_test(what_was_stored_as_2_0_is_sent_as_1_0_where_need_be),
        cmocka_unit_test(what_has_become_too_old_is_left_out_of_a_record),
        cmocka_unit_test(what_is_under_way_at_the_end_is_stored),
        cmocka_unit_test(what_another_life_stored_is_delivered),
        cmocka_unit_test(a_remote_that_is_renamed_goes_on_where_it_was),
        cmocka_unit_test(a_remote_that_comes_back_finds_its_spool),
        cmocka_unit_test(the_spool_of_a_remote_that_stays_away_is_dropped_when_it_is_too_old),
        cmocka_unit_test(without_a_spool_a_remote_loses_its_oldest_alone),
        cmocka_unit_test(without_a_spool_half_of_a_ring_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
