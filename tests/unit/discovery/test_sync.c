/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From jobs to the target table: what is in it, what is left out, what survives a new discovery. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "discovery/sharding.h"
#include "discovery/static_sd.h"
#include "tests/unit/discovery/synced.h"

static void several_jobs_make_one_table(void **state)
{
    struct synced *fixture = *state;
    directory_put(&fixture->directory, "b.yml",
                  "- targets: ['127.0.0.1:3', '[::1]:4']\n  labels: {team: x}\n");
    synced_start(fixture, "scrape_configs:\n"
                          "  - job_name: a\n"
                          "    scrape_interval: 5s\n"
                          "    honor_labels: true\n"
                          "    static_configs: [{targets: ['127.0.0.1:1', '127.0.0.2:2']}]\n"
                          "  - job_name: b\n"
                          "    scrape_interval: 10s\n"
                          "    scrape_timeout: 2s\n"
                          "    params: {module: [m]}\n"
                          "    file_sd_configs: [{files: ['*.yml']}]\n");
    synced_write(fixture);
    assert_int_equal(synced_count(fixture), 4);
    struct target_view a = synced_find(fixture, "http://127.0.0.1:1/metrics");
    assert_true(slice_is(a.job, "a"));
    assert_int_equal(a.flags,
                     SHM_TARGET_HONOR_LABELS | SHM_TARGET_HONOR_TIMESTAMPS | SHM_TARGET_GZIP);
    assert_int_equal(a.interval_ms, 5000);
    assert_int_equal(a.address_count, 1);
    assert_int_equal(a.label_count, 2);
    synced_expect_label(&a, "instance", "127.0.0.1:1");
    struct target_view b = synced_find(fixture, "http://[::1]:4/metrics?module=m");
    assert_true(slice_is(b.job, "b"));
    assert_true(slice_is(b.path, "/metrics?module=m"));
    assert_true(slice_is(b.host, "[::1]:4"));
    assert_int_equal(b.timeout_ms, 2000);
    assert_int_equal(b.addresses[0].sin6_family, AF_INET6);
    assert_int_equal(ntohs(b.addresses[0].sin6_port), 4);
    synced_expect_label(&b, "job", "b");
    synced_expect_label(&b, "team", "x");
    assert_int_equal(slot_get(fixture->slot, COUNTER_TARGETS), 4);
    assert_int_equal(slot_get(fixture->slot, COUNTER_TARGETS_GENERATION), 1);
    assert_int_equal(slot_get(fixture->slot, COUNTER_SYNCS), 1);
}

/* A source of the group that a job of the configuration has. */
static struct supplied supply(struct synced *fixture, size_t index)
{
    const struct config_job *job = &fixture->config->scrape_configs.items[index];
    return (struct supplied){job, SLICE_LITERAL("x"),
                             static_sd_new(&fixture->host, &job->static_configs.items[0])};
}

static void jobs_of_the_network_come_and_go(void **state)
{
    struct synced *fixture = *state;
    const struct config_sharding unlocated = {.unlocated = CONFIG_UNLOCATED_NONE};
    const struct sharding elsewhere = {
        .config = &unlocated, .by = CONFIG_SHARD_NODE, .node = "here"};
    synced_start(fixture, "scrape_configs:\n"
                          "  - job_name: own\n"
                          "    static_configs: [{targets: ['127.0.0.1:1']}]\n"
                          "  - job_name: other\n"
                          "    scrape_interval: 7s\n"
                          "    scrape_timeout: 7s\n"
                          "    target_limit: 1\n"
                          "    static_configs: [{targets: ['127.0.0.1:2']}]\n"
                          "    relabel_configs: [{target_label: a, replacement: b}]\n");
    /* As if only the first one stood in the configuration. */
    sync_fini(&fixture->sync);
    fixture->host.sharding = &elsewhere;
    fixture->config->scrape_configs.len = 1;
    assert_int_equal(sync_init(&fixture->sync, fixture->config, &fixture->host, &fixture->table,
                               &fixture->reader, SYNCED_SCRAPERS, "host", NULL),
                     0);
    synced_write(fixture);
    assert_int_equal(synced_count(fixture), 0);
    struct supplied other = supply(fixture, 1);
    sync_take_jobs(&fixture->sync, (struct supplied_list){&other, 1});
    synced_write(fixture);
    assert_int_equal(synced_count(fixture), 1); /* it is not shared out again */
    struct target_view found = synced_find(fixture, "http://127.0.0.1:2/metrics");
    assert_true(slice_is(found.job, "other"));
    assert_int_equal(found.interval_ms, 7000);
    synced_expect_label(&found, "a", "b");

    sync_take_jobs(&fixture->sync, (struct supplied_list){NULL, 0});
    fixture->sync.expects_jobs = true; /* they may come back */
    synced_write(fixture);
    assert_int_equal(synced_count(fixture), 1);
    fixture->sync.expects_jobs = false;
    synced_write(fixture);
    assert_int_equal(synced_count(fixture), 0);
    other.source->class->free(other.source);
}

static void jobs_with_https_are_known_by_their_targets_and_by_the_table_before(void **state)
{
    struct synced *fixture = *state;
    synced_start(
        fixture,
        "scrape_configs:\n"
        "  - {job_name: a, static_configs: [{targets: ['127.0.0.1:1']}]}\n"
        "  - {job_name: b, static_configs: [{targets: ['127.0.0.1:1'], labels: {__scheme__: "
        "https}}]}\n");
    assert_false(fixture->sync.jobs[1].has_https);
    synced_write(fixture);
    assert_false(fixture->sync.jobs[0].has_https);
    assert_true(fixture->sync.jobs[1].has_https);
    sync_fini(&fixture->sync);
    assert_int_equal(sync_init(&fixture->sync, fixture->config, &fixture->host, &fixture->table,
                               &fixture->reader, SYNCED_SCRAPERS, "host", NULL),
                     0);
    sync_recall(&fixture->sync);
    assert_false(fixture->sync.jobs[0].has_https);
    assert_true(fixture->sync.jobs[1].has_https);
    assert_int_equal(fixture->sync.jobs[1].entry, 1);
}

static void no_job_makes_an_empty_table(void **state)
{
    struct synced *fixture = *state;
    synced_start(fixture, "scrape_configs: []\n");
    synced_write(fixture);
    assert_int_equal(synced_count(fixture), 0);
}

static void doubles_are_dropped(void **state)
{
    struct synced *fixture = *state;
    directory_put(&fixture->directory, "t.json", "[{\"targets\": [\"127.0.0.1:1\"]}]");
    synced_start(fixture, "scrape_configs:\n"
                          "  - job_name: a\n"
                          "    static_configs:\n"
                          "      - targets: ['127.0.0.1:1', '127.0.0.1:1']\n"
                          "      - targets: ['127.0.0.1:1']\n"
                          "        labels: {team: x}\n"
                          "    file_sd_configs: [{files: ['t.json']}]\n"
                          "  - job_name: b\n"
                          "    static_configs: [{targets: ['127.0.0.1:1'], labels: {job: a}}]\n");
    synced_write(fixture);
    /* The one with another label is another target. */
    assert_int_equal(synced_count(fixture), 2);
    assert_int_equal(slot_get(fixture->slot, COUNTER_TARGETS), 2);
}

static void identity_owner_and_phase_are_the_same_after_a_restart(void **state)
{
    struct synced *fixture = *state;
    static const char text[] = "scrape_configs:\n"
                               "  - job_name: a\n"
                               "    static_configs: [{targets: ['127.0.0.1:1', '127.0.0.2:1']}]\n";
    synced_start(fixture, text);
    synced_write(fixture);
    struct target_view before = synced_find(fixture, "http://127.0.0.2:1/metrics");
    synced_end(fixture);
    synced_start(fixture, text);
    synced_write(fixture);
    struct target_view after = synced_find(fixture, "http://127.0.0.2:1/metrics");
    assert_true(before.id == after.id);
    assert_true(before.phase_ns == after.phase_ns);
    assert_int_equal(before.owner, after.owner);
    assert_in_range(after.owner, 0, SYNCED_SCRAPERS - 1);
}

static void names_are_left_out_until_there_is_an_answer(void **state)
{
    struct synced *fixture = *state;
    synced_start(fixture, "scrape_configs:\n"
                          "  - job_name: a\n"
                          "    static_configs: [{targets: ['127.0.0.1:1', 'localhost:2']}]\n");
    assert_int_equal(sync_resolve(&fixture->sync), 1);
    synced_write(fixture);
    assert_int_equal(synced_count(fixture), 1);
    synced_collect_names(fixture);
    synced_write(fixture);
    struct target_view target = synced_find(fixture, "http://localhost:2/metrics");
    assert_true(target.address_count >= 1);
    assert_int_equal(ntohs(target.addresses[0].sin6_port), 2);
    assert_int_equal(target.error.len, 0);
}

static void a_name_without_answer_gets_in_with_an_error_when_patience_ends(void **state)
{
    struct synced *fixture = *state;
    synced_start(fixture, "scrape_configs:\n"
                          "  - job_name: a\n"
                          "    static_configs: [{targets: ['localhost:2']}]\n");
    sync_resolve(&fixture->sync);
    /* Nothing is collected: for the resolver's owner there is no answer. */
    int64_t now = clock_mono_ns();
    assert_false(resolver_refresh(fixture->resolver, now));
    assert_true(resolver_refresh(fixture->resolver, now + RESOLVER_PATIENCE_NS));
    assert_int_equal(resolver_pending(fixture->resolver), 0);
    synced_write(fixture);
    struct target_view target = synced_find(fixture, "http://localhost:2/metrics");
    assert_int_equal(target.address_count, 0);
    assert_true(slice_is(target.error, "lookup localhost: no answer yet"));
}

static void a_name_that_does_not_exist_is_a_target_with_an_error(void **state)
{
    struct synced *fixture = *state;
    synced_start(fixture, "scrape_configs:\n"
                          "  - job_name: a\n"
                          "    static_configs: [{targets: ['no..such..name:2']}]\n");
    sync_resolve(&fixture->sync);
    synced_collect_names(fixture);
    synced_write(fixture);
    struct target_view target = synced_find(fixture, "http://no..such..name:2/metrics");
    assert_true(slice_is(target.error, "lookup no..such..name: no such host"));
}

static void a_new_discovery_knows_the_addresses_of_the_one_before(void **state)
{
    struct synced *fixture = *state;
    static const char text[] = "scrape_configs:\n"
                               "  - job_name: a\n"
                               "    static_configs:\n"
                               "      - targets: ['localhost:2', 'no..such..name:3']\n";
    synced_start(fixture, text);
    sync_resolve(&fixture->sync);
    synced_collect_names(fixture);
    synced_write(fixture);
    synced_end(fixture);
    synced_start(fixture, text);
    /* Not one answer has been taken in yet. */
    assert_int_equal(sync_resolve(&fixture->sync), 0);
    synced_write(fixture);
    assert_true(synced_find(fixture, "http://localhost:2/metrics").address_count >= 1);
    assert_true(slice_is(synced_find(fixture, "http://no..such..name:3/metrics").error,
                         "lookup no..such..name: no answer yet"));
}

static void files_are_read_again_on_their_refresh_interval(void **state)
{
    struct synced *fixture = *state;
    directory_put(&fixture->directory, "t.yml", "- targets: ['127.0.0.1:1']\n");
    synced_start(fixture, "scrape_configs:\n"
                          "  - job_name: a\n"
                          "    file_sd_configs: [{files: ['t.yml'], refresh_interval: 7s}]\n"
                          "  - job_name: b\n"
                          "    file_sd_configs: [{files: ['t.yml']}]\n");
    directory_put(&fixture->directory, "t.yml", "- targets: ['127.0.0.1:2']\n");
    fixture->changed = false;
    sync_poll(&fixture->sync, 7 * NS_PER_S - 1, false);
    assert_false(fixture->changed);
    sync_poll(&fixture->sync, 7 * NS_PER_S, false);
    assert_true(fixture->changed);
    synced_write(fixture);
    assert_true(synced_has(fixture, "http://127.0.0.1:2/metrics"));
    /* Job b has not looked yet. */
    assert_true(synced_has(fixture, "http://127.0.0.1:1/metrics"));
}

static void jobs_with_equal_entries_share_a_source(void **state)
{
    struct synced *fixture = *state;
    directory_put(&fixture->directory, "t.yml", "- targets: ['127.0.0.1:1']\n");
    synced_start(fixture,
                 "scrape_configs:\n"
                 "  - job_name: a\n"
                 "    file_sd_configs: [{files: ['t.yml']}]\n"
                 "  - job_name: b\n"
                 "    file_sd_configs: [{files: ['t.yml']}, {files: ['t.yml', 'u.yml']}]\n");
    assert_int_equal(fixture->sync.sources.count, 2);
    synced_write(fixture);
    assert_int_equal(synced_count(fixture), 2);
}

static const char two_files[] = "scrape_configs:\n"
                                "  - job_name: a\n"
                                "    file_sd_configs: [{files: ['*.yml']}]\n"
                                "  - job_name: b\n"
                                "    static_configs: [{targets: ['127.0.0.2:1']}]\n";

/* One discovery that reads two files well, and a second one that finds one of them broken. */
static void restart_with_a_broken_file(struct synced *fixture)
{
    directory_put(&fixture->directory, "1.yml", "- targets: ['127.0.0.1:1']\n  labels: {x: y}\n");
    directory_put(&fixture->directory, "2.yml", "- targets: ['127.0.0.1:2']\n");
    synced_start(fixture, two_files);
    synced_write(fixture);
    assert_int_equal(synced_count(fixture), 3);
    synced_end(fixture);
    directory_put(&fixture->directory, "1.yml", "- tarrgets: ['127.0.0.1:1']\n");
    synced_start(fixture, two_files);
    assert_int_equal(slot_get(fixture->slot, COUNTER_FILE_SD_ERRORS), 1);
    synced_write(fixture);
}

static void a_broken_file_keeps_its_targets_over_a_restart(void **state)
{
    struct synced *fixture = *state;
    restart_with_a_broken_file(fixture);
    for (int i = 0; i < 3; i++) {
        synced_write(fixture);
        assert_int_equal(synced_count(fixture), 3);
        struct target_view kept = synced_find(fixture, "http://127.0.0.1:1/metrics");
        synced_expect_label(&kept, "x", "y");
        assert_int_equal(kept.address_count, 1);
    }
    directory_put(&fixture->directory, "1.yml", "- targets: ['127.0.0.1:3']\n");
    assert_true(synced_read_files(fixture));
    synced_write(fixture);
    assert_int_equal(synced_count(fixture), 3);
    assert_false(synced_has(fixture, "http://127.0.0.1:1/metrics"));
}

static void a_broken_file_that_vanishes_takes_its_targets_along(void **state)
{
    struct synced *fixture = *state;
    restart_with_a_broken_file(fixture);
    directory_drop(&fixture->directory, "1.yml");
    assert_true(synced_read_files(fixture));
    synced_write(fixture);
    assert_int_equal(synced_count(fixture), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SYNCED(several_jobs_make_one_table),
        SYNCED(jobs_of_the_network_come_and_go),
        SYNCED(jobs_with_https_are_known_by_their_targets_and_by_the_table_before),
        SYNCED(no_job_makes_an_empty_table),
        SYNCED(doubles_are_dropped),
        SYNCED(identity_owner_and_phase_are_the_same_after_a_restart),
        SYNCED(names_are_left_out_until_there_is_an_answer),
        SYNCED(a_name_without_answer_gets_in_with_an_error_when_patience_ends),
        SYNCED(a_name_that_does_not_exist_is_a_target_with_an_error),
        SYNCED(a_new_discovery_knows_the_addresses_of_the_one_before),
        SYNCED(files_are_read_again_on_their_refresh_interval),
        SYNCED(jobs_with_equal_entries_share_a_source),
        SYNCED(a_broken_file_keeps_its_targets_over_a_restart),
        SYNCED(a_broken_file_that_vanishes_takes_its_targets_along),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
