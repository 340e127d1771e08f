/* SPDX-License-Identifier: GPL-2.0-or-later */
/* write_relabel_configs: what of the series of m0{instance="t<target>",job="j"} ... arrives, and
 * how. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/clock.h"
#include "tests/unit/labels/rules.h"
#include "tests/unit/writer/rig.h"

enum { RING = 1 << 20 };

#define T0 INT64_C(1700000000000)

static struct rig rig;

static void set_rules(uint32_t remote, const struct relabel_config *rules, size_t count)
{
    rig.remotes[remote].write_relabel_configs = (struct config_relabels){rules, count};
}

static void open_with(uint32_t remotes, int64_t max_samples)
{
    rig_open(&rig, 1, RING, remotes);
    for (uint32_t i = 0; i < remotes; i++) {
        rig.remotes[i].queue_config.max_samples_per_send = max_samples;
        rig.remotes[i].queue_config.batch_send_deadline = 20;
        rig_receive(&rig, i, NULL, NULL);
    }
}

static void scrape(uint64_t target, int64_t ms, uint32_t lines)
{
    const struct scrape what = {.target = target, .ms = ms, .lines = lines};
    (void)scrapers_scrape(&rig.scrapers, &what);
}

struct listing {
    char text[1024];
    size_t len;
};

static void list(void *context, const char *series, int64_t ms, uint64_t bits)
{
    (void)ms;
    (void)bits;
    struct listing *listing = context;
    listing->len += (size_t)snprintf(listing->text + listing->len,
                                     sizeof(listing->text) - listing->len, "%s\n", series);
}

/* The series in the order in which their samples came. */
static void assert_series(uint32_t remote, const char *expected)
{
    struct listing listing = {"", 0};
    receiver_each_sample(rig.receivers[remote], list, &listing);
    assert_string_equal(listing.text, expected);
    assert_int_equal(receiver_malformed_count(rig.receivers[remote]), 0);
}

static void rules_change_and_drop_series_and_see_external_labels(void **state)
{
    (void)state;
    const struct config_pair labels[] = {{"dc", "x"}, {"job", "file"}};
    const struct relabel_config rules[] = {
        RULE(.action = RELABEL_DROP, .source_labels = SOURCES("__name__", "dc"), .regex = "m1;x"),
        RULE(.source_labels = SOURCES("dc", "job"), .separator = "/", .target_label = "place"),
        RULE(.action = RELABEL_UPPERCASE, .source_labels = SOURCES("instance"),
             .target_label = "instance"),
        RULE(.action = RELABEL_LABELDROP, .regex = "job|dc"),
    };
    open_with(1, 100);
    rig.config.global.external_labels = (struct config_map){labels, 2};
    set_rules(0, rules, 4);
    rig_start(&rig);
    scrape(1, T0, 3);
    scrape(2, T0, 1);
    rig_drain(&rig);
    assert_series(0, "__name__=m0,instance=T1,place=x/j,\n"
                     "__name__=m2,instance=T1,place=x/j,\n"
                     "__name__=m0,instance=T2,place=x/j,\n");
    assert_int_equal(rig_count(&rig, 0, REMOTE_DROPPED_UNWANTED), 1);
    assert_int_equal(rig_count(&rig, 0, REMOTE_DELIVERED), 3);
    rig_close(&rig);
}

static void each_remote_has_its_own_rules(void **state)
{
    (void)state;
    const struct relabel_config first[] = {
        RULE(.action = RELABEL_KEEP, .source_labels = SOURCES("__name__"), .regex = "m0")};
    const struct relabel_config second[] = {
        RULE(.action = RELABEL_DROP, .source_labels = SOURCES("__name__"), .regex = "m0")};
    open_with(3, 100);
    set_rules(0, first, 1);
    set_rules(1, second, 1);
    rig_start(&rig);
    scrape(1, T0, 2);
    rig_drain(&rig);
    assert_series(0, "__name__=m0,instance=t1,job=j,\n");
    assert_series(1, "__name__=m1,instance=t1,job=j,\n");
    assert_series(2, "__name__=m0,instance=t1,job=j,\n__name__=m1,instance=t1,job=j,\n");
    rig_close(&rig);
}

static void a_batch_of_which_nothing_is_left_is_over_without_a_request(void **state)
{
    (void)state;
    const struct relabel_config rules[] = {RULE(.action = RELABEL_DROP)};
    open_with(1, 10);
    set_rules(0, rules, 1);
    rig_start(&rig);
    for (uint64_t target = 1; target <= 20; target++)
        scrape(target, T0, 25);
    rig_drain(&rig);
    assert_int_equal(receiver_request_count(rig.receivers[0]), 0);
    assert_int_equal(rig_count(&rig, 0, REMOTE_DROPPED_UNWANTED), 500);
    rig_close(&rig);
}

/* Of 20000 samples 2000 are wanted: 20 full requests, and some more until the share is known. */
static void requests_are_full_however_much_is_dropped(void **state)
{
    (void)state;
    const struct relabel_config rules[] = {RULE(.action = RELABEL_KEEP,
                                                .source_labels = SOURCES("__name__"),
                                                .regex = "m0|m1|m2|m3|m4|m5|m6|m7|m8|m9")};
    open_with(1, 100);
    set_rules(0, rules, 1);
    rig_start(&rig);
    for (uint64_t target = 1; target <= 200; target++)
        scrape(target, T0, 100);
    rig_drain(&rig);
    assert_int_equal(rig_count(&rig, 0, REMOTE_DELIVERED), 2000);
    assert_int_equal(rig_count(&rig, 0, REMOTE_DROPPED_UNWANTED), 18000);
    assert_true(receiver_request_count(rig.receivers[0]) <= 25);
    for (size_t i = 0; i < receiver_request_count(rig.receivers[0]); i++)
        assert_true(receiver_request_at(rig.receivers[0], i).samples <= 100);
    rig_close(&rig);
}

static void a_repeat_after_a_crash_is_the_same(void **state)
{
    (void)state;
    const struct relabel_config rules[] = {
        RULE(.action = RELABEL_HASHMOD, .source_labels = SOURCES("__name__"), .modulus = 3,
             .target_label = "__tmp_part"),
        RULE(.action = RELABEL_KEEP, .source_labels = SOURCES("__tmp_part"), .regex = "1"),
    };
    size_t once = 1;
    rig_open(&rig, 1, RING, 1);
    rig_receive(&rig, 0, receiver_hang_first, &once);
    set_rules(0, rules, 2);
    rig_start(&rig);
    scrape(1, T0, 300);
    rig_run_until_requests(&rig, 1);
    rig_crash(&rig);
    rig_drain(&rig);
    struct receiver_request first = receiver_request_at(rig.receivers[0], 0);
    struct receiver_request second = receiver_request_at(rig.receivers[0], 1);
    assert_int_equal(first.body_len, second.body_len);
    assert_memory_equal(first.body, second.body, first.body_len);
    assert_int_equal(rig_count(&rig, 0, REMOTE_REPEATS_CHANGED), 0);
    assert_int_equal(
        rig_count(&rig, 0, REMOTE_DELIVERED) + rig_count(&rig, 0, REMOTE_DROPPED_UNWANTED), 300);
    assert_true(rig_count(&rig, 0, REMOTE_DELIVERED) > 0);
    rig_close(&rig);
}

int main(void)
{
    rig_reserve_descriptors();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rules_change_and_drop_series_and_see_external_labels),
        cmocka_unit_test(each_remote_has_its_own_rules),
        cmocka_unit_test(a_batch_of_which_nothing_is_left_is_over_without_a_request),
        cmocka_unit_test(requests_are_full_however_much_is_dropped),
        cmocka_unit_test(a_repeat_after_a_crash_is_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
