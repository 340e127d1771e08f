/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Receivers that understand remote write 2.0, or do not, and repeats in either version. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/unit/writer/items.h"

/* ---- receivers that do not understand 2.0 ---- */

static void auto_finds_out_and_sends_the_same_as_1_0(void **state)
{
    (void)state;
    static const int answers[] = {204, 200, 415, 400};
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        items_open(CONFIG_MESSAGE_AUTO);
        receiver_know_no_v2(rig.receivers[0], answers[i]);
        rig_start(&rig);
        assert_int_equal(rig_count(&rig, 0, REMOTE_MESSAGE), 2);
        items_scrape_all_kinds(T0);
        rig_drain(&rig);
        items_scrape_all_kinds(T0 + 1000);
        rig_drain(&rig);
        rig_assert_complete(&rig, 0);
        assert_int_equal(receiver_exemplar_count(rig.receivers[0]), 6);
        assert_int_equal(receiver_request_count(rig.receivers[0]), 3);
        for (size_t j = 0; j < 3; j++) {
            struct request *request = items_request_at(j);
            assert_int_equal(request->is_v2, j == 0);
            request_free(request);
        }
        assert_null(strstr(receiver_request_at(rig.receivers[0], 1).head, "Retry-Attempt"));
        assert_int_equal(rig_count(&rig, 0, REMOTE_MESSAGE), 1);
        assert_int_equal(rig_count(&rig, 0, REMOTE_FALLBACKS), 1);
        assert_int_equal(rig_count(&rig, 0, REMOTE_DELIVERED), 6);
        assert_int_equal(rig_count(&rig, 0, REMOTE_SAMPLES_FAILED), 0);
        assert_int_equal(rig_count(&rig, 0, REMOTE_REPEATS_CHANGED), 0);
        rig_close(&rig);
    }
}

static void auto_stays_with_2_0_where_it_is_understood(void **state)
{
    (void)state;
    items_open(CONFIG_MESSAGE_AUTO);
    rig_start(&rig);
    for (int i = 0; i < 3; i++) {
        items_scrape_all_kinds(T0 + i * 1000);
        rig_drain(&rig);
    }
    rig_assert_complete(&rig, 0);
    assert_int_equal(receiver_request_count(rig.receivers[0]), 3);
    assert_int_equal(rig_count(&rig, 0, REMOTE_MESSAGE), 2);
    assert_int_equal(rig_count(&rig, 0, REMOTE_FALLBACKS), 0);
    rig_close(&rig);
}

/* As Prometheus: what an old receiver swallows is lost, and counted. */
static void explicit_2_0_counts_as_failed_what_nobody_says_is_written(void **state)
{
    (void)state;
    static const int answers[] = {204, 415};
    for (size_t i = 0; i < 2; i++) {
        items_open(CONFIG_MESSAGE_V2);
        receiver_know_no_v2(rig.receivers[0], answers[i]);
        rig_start(&rig);
        items_scrape_all_kinds(T0);
        rig_drain(&rig);
        assert_int_equal(receiver_request_count(rig.receivers[0]), 1);
        assert_int_equal(rig_count(&rig, 0, REMOTE_DELIVERED), 0);
        assert_int_equal(rig_count(&rig, 0, REMOTE_SAMPLES_FAILED), 3);
        assert_int_equal(rig_count(&rig, 0, REMOTE_HISTOGRAMS_FAILED), 3);
        assert_int_equal(rig_count(&rig, 0, REMOTE_EXEMPLARS_FAILED), 3);
        rig_close(&rig);
    }
}

static struct receiver_reply write_some(void *context, size_t number,
                                        const struct receiver_request *request)
{
    (void)number;
    (void)request;
    return (struct receiver_reply){.action = RECEIVER_STORE_AND_ANSWER,
                                   .status = *(int *)context,
                                   .fields = "X-Prometheus-Remote-Write-Samples-Written: 2\r\n"
                                             "X-Prometheus-Remote-Write-Histograms-Written: 9\r\n",
                                   .body = "partly\n"};
}

static void what_was_written_of_a_request_is_not_counted_as_failed(void **state)
{
    (void)state;
    for (int status = 200; status <= 400; status += 200) {
        rig_open(&rig, 1, RING, 1);
        rig_receive(&rig, 0, write_some, &status);
        rig.remotes[0].protobuf_message = CONFIG_MESSAGE_AUTO;
        rig.remotes[0].send_exemplars = rig.remotes[0].send_native_histograms = true;
        rig_start(&rig);
        items_scrape_all_kinds(T0);
        rig_drain(&rig);
        assert_int_equal(receiver_request_count(rig.receivers[0]), 1);
        assert_int_equal(rig_count(&rig, 0, REMOTE_DELIVERED), 2);
        assert_int_equal(rig_count(&rig, 0, REMOTE_SAMPLES_FAILED), 1);
        assert_int_equal(rig_count(&rig, 0, REMOTE_HISTOGRAMS_DELIVERED), 3);
        assert_int_equal(rig_count(&rig, 0, REMOTE_EXEMPLARS_FAILED), 3);
        rig_close(&rig);
    }
}

/* ---- repeats ---- */

/* Takes the first request and says nothing; of its repeat it writes some and refuses the rest. */
static struct receiver_reply write_some_of_the_repeat(void *context, size_t number,
                                                      const struct receiver_request *request)
{
    (void)request;
    if (number == 0)
        return (struct receiver_reply){.action = RECEIVER_STORE_AND_CUT};
    return (struct receiver_reply){.action = RECEIVER_ANSWER,
                                   .status = 400,
                                   .fields = "X-Prometheus-Remote-Write-Samples-Written: 2\r\n",
                                   .body = context};
}

static void open_2_0(receiver_script_fn *script, void *context)
{
    rig_open(&rig, 1, RING, 1);
    rig_receive(&rig, 0, script, context);
    rig.remotes[0].protobuf_message = CONFIG_MESSAGE_V2;
    rig.remotes[0].queue_config.min_backoff = rig.remotes[0].queue_config.max_backoff = 10;
    rig_start(&rig);
}

/* Nothing more of it would be taken, scrape by scrape: what was refused is there, or never is. */
static void a_repeat_of_which_some_is_written_is_over(void **state)
{
    (void)state;
    char repeated[] = "out of order sample\n";
    char bad[] = "label value too long\n";
    char *const texts[] = {repeated, bad};
    for (size_t i = 0; i < 2; i++) {
        open_2_0(write_some_of_the_repeat, texts[i]);
        items_scrape((struct scrape){.target = 1, .ms = T0, .lines = 5});
        items_scrape((struct scrape){.target = 1, .ms = T0 + 1000, .lines = 5});
        rig_drain(&rig);
        assert_int_equal(receiver_request_count(rig.receivers[0]), 2);
        assert_int_equal(rig_count(&rig, 0, REMOTE_DELIVERED), 2);
        assert_int_equal(rig_count(&rig, 0, REMOTE_ALREADY_DELIVERED), i == 0 ? 8 : 0);
        assert_int_equal(rig_count(&rig, 0, REMOTE_SAMPLES_FAILED), i == 0 ? 0 : 8);
        assert_int_equal(rig_count(&rig, 0, REMOTE_REPEATS_SPLIT), 0);
        rig_close(&rig);
    }
}

static struct receiver_reply fail_first(void *context, size_t number,
                                        const struct receiver_request *request)
{
    size_t failures = *(const size_t *)context;
    (void)request;
    return number < failures
               ? (struct receiver_reply){.action = RECEIVER_ANSWER, .status = 500, .body = "no\n"}
               : (struct receiver_reply){.action = RECEIVER_STORE};
}

static void assert_same_body(size_t a, size_t b)
{
    struct receiver_request first = receiver_request_at(rig.receivers[0], a);
    struct receiver_request second = receiver_request_at(rig.receivers[0], b);
    assert_int_equal(first.body_len, second.body_len);
    assert_memory_equal(first.body, second.body, first.body_len);
}

/* Targets of several lanes, a batch that ends in the middle of a block, and a new process. */
static void a_successor_repeats_2_0_byte_by_byte(void **state)
{
    (void)state;
    size_t failures = 2;
    rig_open(&rig, 1, RING, 1);
    rig_receive(&rig, 0, fail_first, &failures);
    rig.remotes[0].protobuf_message = CONFIG_MESSAGE_V2;
    rig.remotes[0].send_exemplars = rig.remotes[0].send_native_histograms = true;
    rig.remotes[0].queue_config.max_samples_per_send = 8;
    rig.remotes[0].queue_config.min_backoff = rig.remotes[0].queue_config.max_backoff = 100;
    rig_start(&rig);
    items_scrape_all_kinds(T0);
    items_scrape_all_kinds(T0 + 1000);
    rig_run_until_requests(&rig, 1);
    rig_crash(&rig);
    rig_run_until_requests(&rig, 2);
    rig_crash(&rig);
    rig_drain(&rig);
    assert_same_body(0, 1);
    assert_same_body(0, 2);
    assert_int_equal(rig_count(&rig, 0, REMOTE_REPEATS_CHANGED), 0);
    rig_assert_complete(&rig, 0);
    rig_close(&rig);
}

/* The second request is 1.0 and fails; the successor, which knows nothing of it, repeats it so. */
static void a_successor_repeats_1_0_after_a_fallback(void **state)
{
    (void)state;
    size_t failures = 0;
    rig_open(&rig, 1, RING, 1);
    rig_receive(&rig, 0, fail_first, &failures);
    rig.remotes[0].protobuf_message = CONFIG_MESSAGE_AUTO;
    rig.remotes[0].queue_config.min_backoff = rig.remotes[0].queue_config.max_backoff = 100;
    receiver_know_no_v2(rig.receivers[0], 204);
    rig_start(&rig);
    items_scrape((struct scrape){.target = 1, .ms = T0, .lines = 5});
    rig_run_until_requests(&rig, 1);
    failures = 2;
    rig_run_until_requests(&rig, 2);
    rig_crash(&rig);
    rig_drain(&rig);
    assert_int_equal(receiver_request_count(rig.receivers[0]), 3);
    assert_same_body(1, 2);
    rig_assert_complete(&rig, 0);
    assert_int_equal(rig_count(&rig, 0, REMOTE_DELIVERED), 5);
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(auto_finds_out_and_sends_the_same_as_1_0),
        cmocka_unit_test(auto_stays_with_2_0_where_it_is_understood),
        cmocka_unit_test(explicit_2_0_counts_as_failed_what_nobody_says_is_written),
        cmocka_unit_test(what_was_written_of_a_request_is_not_counted_as_failed),
        cmocka_unit_test(a_repeat_of_which_some_is_written_is_over),
        cmocka_unit_test(a_successor_repeats_2_0_byte_by_byte),
        cmocka_unit_test(a_successor_repeats_1_0_after_a_fallback),
    };
    return cmocka_run_group_tests(tests, items_reserve_descriptors, NULL);
}
