/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The life of the program: orders, the supervisor's death, and kill -9 at every crash point. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/clock.h"
#include "tests/unit/dice.h"
#include "tests/unit/writer/ledger.h"
#include "tests/unit/writer/process.h"

#define T0 INT64_C(1700000000000)

static struct process process;

static void scrape(uint64_t target, int64_t ms, uint32_t lines)
{
    const struct scrape what = {.target = target, .ms = ms, .lines = lines};
    process_scrape(&process, &what);
}

static void assert_complete(void)
{
    ledger_assert_complete(process.receiver, process.scrapers.samples);
}

static void assert_orderly(int status)
{
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), HERITAGE_EXIT_ORDERLY);
}

/* With a request on its way that gets no answer. */
static void open_hanging(size_t *first_good)
{
    *first_good = SIZE_MAX;
    process_open(&process, 1, "20ms", "", receiver_hang_first, first_good);
    process_start(&process, NULL);
    scrape(1, T0, 100);
    assert_true(receiver_wait_taken(process.receiver, 1));
}

/* Bounds are so wide that a busy machine keeps them; what they tell apart is further apart. */
static int64_t ms_to_end(int64_t start_ns, int *ret_status)
{
    *ret_status = process_wait(&process);
    return (clock_mono_ns() - start_ns) / NS_PER_MS;
}

static void stop_delivers_what_is_there_and_ends(void **state)
{
    (void)state;
    int status;
    process_open(&process, 2, "20ms", "", NULL, NULL);
    process_start(&process, NULL);
    for (int64_t i = 0; i < 50; i++)
        scrape(1, T0 + i * 1000, 100);
    int64_t start_ns = clock_mono_ns();
    process_order(&process, HERITAGE_STOP, 15000);
    assert_true(ms_to_end(start_ns, &status) < 14000);
    assert_orderly(status);
    assert_int_equal(process.slot->state, SHM_STATE_STOPPED);
    assert_true(process_is_drained(&process));
    assert_complete();
    process_close(&process);
}

static void stop_keeps_for_the_next_start_what_nobody_takes(void **state)
{
    (void)state;
    int status;
    size_t first_good;
    open_hanging(&first_good);
    int64_t start_ns = clock_mono_ns();
    process_order(&process, HERITAGE_STOP, 1200);
    int64_t took_ms = ms_to_end(start_ns, &status);
    assert_in_range(took_ms, 500, 15000); /* the receiver has 20 s to answer */
    assert_orderly(status);
    assert_false(process_is_drained(&process));
    first_good = 0;
    process_start(&process, NULL);
    assert_true(receiver_wait_samples(process.receiver, 100));
    assert_complete();
    process_close(&process);
}

static void roll_waits_for_what_is_in_flight_and_begins_nothing(void **state)
{
    (void)state;
    int status;
    process_open(&process, 1, "1h", "", NULL, NULL);
    process_start(&process, NULL);
    scrape(1, T0, 100);
    int64_t start_ns = clock_mono_ns();
    process_order(&process, HERITAGE_ROLL, 10000);
    assert_true(ms_to_end(start_ns, &status) < 8000);
    assert_orderly(status);
    assert_int_equal(receiver_request_count(process.receiver), 0);
    process_start(&process, NULL);
    process_order(&process, HERITAGE_STOP, 10000);
    assert_orderly(process_wait(&process));
    assert_complete();
    process_close(&process);
}

static void roll_does_not_wait_long(void **state)
{
    (void)state;
    int status;
    size_t first_good;
    open_hanging(&first_good);
    int64_t start_ns = clock_mono_ns();
    process_order(&process, HERITAGE_ROLL, 10000);
    assert_true(ms_to_end(start_ns, &status) < 8000);
    assert_orderly(status);
    process_close(&process);
}

static void without_a_supervisor_it_flushes_and_leaves(void **state)
{
    (void)state;
    int status;
    process_open(&process, 1, "1h", "", NULL, NULL);
    process_start(&process, NULL);
    scrape(1, T0, 100);
    int64_t start_ns = clock_mono_ns();
    process_orphan(&process);
    assert_true(ms_to_end(start_ns, &status) < 4000);
    assert_orderly(status);
    assert_complete();
    process_close(&process);
}

static void without_a_supervisor_it_flushes_for_five_seconds_at_most(void **state)
{
    (void)state;
    int status;
    size_t first_good;
    open_hanging(&first_good);
    int64_t start_ns = clock_mono_ns();
    process_orphan(&process);
    int64_t took_ms = ms_to_end(start_ns, &status);
    assert_in_range(took_ms, 4800, 15000);
    assert_orderly(status);
    process_close(&process);
}

/* Each scrape is waited for: where a doorbell is missed, only the next sign of life delivers it. */
static void no_wake_up_is_lost(void **state)
{
    (void)state;
    enum { SCRAPES = 1000, LOST_MS = 900, TOLERATED = 3 };
    struct dice dice = dice_new("wake-ups");
    int slow = 0;
    process_open(&process, 3, "20ms", "    max_samples_per_send: 1\n", NULL, NULL);
    process_start(&process, NULL);
    for (uint32_t i = 0; i < SCRAPES; i++) {
        int64_t start_ns = clock_mono_ns();
        for (uint32_t spin = dice_roll(&dice, 20000); spin > 0; spin--)
            atomic_signal_fence(memory_order_seq_cst);
        struct scrape what = {.scraper = dice_roll(&dice, 3), .ms = T0 + i * 1000, .lines = 1};
        what.target = 1 + dice_roll(&dice, 20);
        process_scrape(&process, &what);
        assert_true(receiver_wait_samples(process.receiver, i + 1));
        slow += clock_mono_ns() - start_ns > LOST_MS * NS_PER_MS;
    }
    assert_true(slow <= TOLERATED);
    assert_complete();
    process_close(&process);
}

/* ---- Crash points ---- */

static const char *const points[] = {
#define CRASHPOINT_AT(name, moment) name,
#include "base/crashpoint.def"
#undef CRASHPOINT_AT
};

/* A lost answer to a batch that the receiver will refuse to take again, and a 503. */
static struct receiver_reply ill_luck(void *context, size_t number,
                                      const struct receiver_request *request)
{
    (void)context;
    (void)request;
    if (number == 0)
        return (struct receiver_reply){.action = RECEIVER_STORE_AND_CUT};
    if (number == 8)
        return (struct receiver_reply){RECEIVER_ANSWER, 503, NULL, "busy"};
    return (struct receiver_reply){.action = RECEIVER_STORE};
}

/* A receiver that is away for a while, and loses answers when it is back. */
static struct receiver_reply absence(void *context, size_t number,
                                     const struct receiver_request *request)
{
    (void)context;
    (void)request;
    if (number < 12)
        return (struct receiver_reply){RECEIVER_ANSWER, 503, NULL, "away"};
    if (number % 5 == 4)
        return (struct receiver_reply){.action = RECEIVER_STORE_AND_CUT};
    return (struct receiver_reply){.action = RECEIVER_STORE};
}

static void publish_some(void)
{
    static int64_t ms = T0;
    for (int i = 0; i < 4; i++, ms += 1000) {
        for (uint64_t target = 1; target <= 5; target++) {
            const struct scrape what = {
                .scraper = target % 2, .target = target, .ms = ms, .lines = 13, .block_samples = 5};
            process_scrape(&process, &what);
        }
    }
}

static bool is_delivered(void)
{
    return process_is_drained(&process) && process_count(&process, REMOTE_SPOOL_ITEMS) == 0;
}

/* Runs until everything is delivered, or killed. */
static bool runs_to_the_end(int *ret_status)
{
    while (!process_has_ended(&process, ret_status)) {
        if (is_delivered())
            return true;
        usleep(500);
    }
    return false;
}

static int stop(void)
{
    process_order(&process, HERITAGE_STOP, 15000);
    return process_wait(&process);
}

static bool was_killed(int status)
{
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

/* What a test varies: the receiver, and whether there is a spool. */
enum { KEEPS_ALL = 1, SPOOLS = 2 };

/* The variant in which the first pass of a point is certain; others may do without. -1: none. */
static int must_pass(const char *point)
{
    if (strcmp(point, "delivery.message_changed") == 0 ||
        strcmp(point, "delivery.compression_changed") == 0)
        return -1; /* wants a receiver that does not understand what it is sent at first */
    return strncmp(point, "writer.record_", strlen("writer.record_")) == 0 ? SPOOLS : 0;
}

/* Dies at that pass of the point, be it when it stops or never, and is started again. */
static void die_at(const char *point, int pass, int variant)
{
    char variable[96];
    int status = 0;
    snprintf(variable, sizeof variable, "%s:%d", point, pass);
    process_open(&process, 2, "20ms", "    max_samples_per_send: 150\n    min_shards: 2\n",
                 variant & SPOOLS ? absence : ill_luck, NULL);
    if (variant & SPOOLS)
        process_store(&process);
    if (variant & KEEPS_ALL)
        receiver_keep_all(process.receiver);
    publish_some();
    process_start(&process, variable);
    if (runs_to_the_end(&status)) {
        publish_some(); /* the point was not passed so often yet */
        (void)runs_to_the_end(&status);
    }
    publish_some();
    if (process.pid != 0)
        status = stop();
    if (was_killed(status)) {
        process_start(&process, NULL);
        assert_true(runs_to_the_end(&status));
        status = stop();
    } else {
        assert_true(pass > 1 || variant != must_pass(point));
        if (process_spool_files(&process) > 0) {
            process_start(&process, NULL);
            assert_true(runs_to_the_end(&status));
            status = stop();
        }
    }
    assert_orderly(status);
    assert_true(process_is_drained(&process));
    assert_complete();
    uint64_t counted = process_count(&process, REMOTE_DELIVERED) +
                       process_count(&process, REMOTE_ALREADY_DELIVERED);
    assert_int_equal(counted, process.scrapers.samples);
    assert_int_equal(process_count(&process, REMOTE_SAMPLES_FAILED), 0);
    assert_int_equal(process_count(&process, REMOTE_REPEATS_CHANGED), 0);
    assert_int_equal(process_count(&process, REMOTE_SPOOL_OUT),
                     process_count(&process, REMOTE_SPOOL_IN));
    assert_int_equal(process_count(&process, REMOTE_SPOOL_FOUND), 0);
    assert_int_equal(process_count(&process, REMOTE_SPOOL_LOST_DAMAGED), 0);
    assert_int_equal(process_spool_files(&process), 0);
    process_close(&process);
}

static bool is_of_the_writer(const char *point)
{
    static const char *const prefixes[] = {"writer.", "delivery."};
    return strncmp(point, prefixes[0], strlen(prefixes[0])) == 0 ||
           strncmp(point, prefixes[1], strlen(prefixes[1])) == 0;
}

static void killed_at_any_point_it_loses_and_miscounts_nothing(void **state)
{
    static const int passes[] = {1, 2, 5, 13};
    int variant = *(const int *)*state;
    for (size_t i = 0; i < sizeof points / sizeof *points; i++) {
        if (!is_of_the_writer(points[i]))
            continue;
        for (size_t j = 0; j < sizeof passes / sizeof *passes; j++) {
            print_message("%s:%d\n", points[i], passes[j]);
            die_at(points[i], passes[j], variant);
        }
    }
}

/* Its mark is all that tells what became of it, and nothing else keeps the file. */
static void the_last_record_of_a_file_is_counted_though_its_writer_dies_at_once(void **state)
{
    (void)state;
    int status = 0;
    const struct scrape what = {.scraper = 1, .target = 1, .ms = T0, .lines = 13};
    process_open(&process, 2, "20ms", "    min_shards: 2\n", absence, NULL);
    process_store(&process);
    process_scrape(&process, &what);
    process_start(&process, "writer.record_marked:1");
    assert_true(was_killed(process_wait(&process)));
    assert_int_equal(process_spool_files(&process), 1);
    process_start(&process, NULL);
    assert_true(runs_to_the_end(&status));
    assert_orderly(stop());
    assert_complete();
    assert_int_equal(process_count(&process, REMOTE_DELIVERED), process.scrapers.samples);
    assert_int_equal(process_count(&process, REMOTE_SPOOL_OUT),
                     process_count(&process, REMOTE_SPOOL_IN));
    assert_int_equal(process_count(&process, REMOTE_SPOOL_LOST_DAMAGED), 0);
    assert_int_equal(process_spool_files(&process), 0);
    process_close(&process);
}

int main(void)
{
    process_reserve_descriptors();
    static int variants[] = {0, KEEPS_ALL, SPOOLS, KEEPS_ALL | SPOOLS};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stop_delivers_what_is_there_and_ends),
        cmocka_unit_test(stop_keeps_for_the_next_start_what_nobody_takes),
        cmocka_unit_test(roll_waits_for_what_is_in_flight_and_begins_nothing),
        cmocka_unit_test(roll_does_not_wait_long),
        cmocka_unit_test(without_a_supervisor_it_flushes_and_leaves),
        cmocka_unit_test(without_a_supervisor_it_flushes_for_five_seconds_at_most),
        cmocka_unit_test(no_wake_up_is_lost),
        cmocka_unit_test(the_last_record_of_a_file_is_counted_though_its_writer_dies_at_once),
        cmocka_unit_test_prestate(killed_at_any_point_it_loses_and_miscounts_nothing, &variants[0]),
        cmocka_unit_test_prestate(killed_at_any_point_it_loses_and_miscounts_nothing, &variants[1]),
        cmocka_unit_test_prestate(killed_at_any_point_it_loses_and_miscounts_nothing, &variants[2]),
        cmocka_unit_test_prestate(killed_at_any_point_it_loses_and_miscounts_nothing, &variants[3]),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
