/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What does not get into the target table, and is counted or shown instead. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/strbuf.h"
#include "tests/unit/discovery/synced.h"

/* One job, whose targets stand in t.yml. */
static void start_with_file(struct synced *fixture, const char *content)
{
    directory_put(&fixture->directory, "t.yml", content);
    synced_start(fixture, "scrape_configs:\n"
                          "  - job_name: a\n"
                          "    file_sd_configs: [{files: ['t.yml']}]\n");
    synced_write(fixture);
}

static void what_is_no_target_is_counted_and_harms_no_other(void **state)
{
    struct synced *fixture = *state;
    start_with_file(fixture, "- targets: ['127.0.0.1:99999', 'h/x', '127.0.0.1:1']\n"
                             "- targets: ['127.0.0.1:2']\n  labels: {__scrape_interval__: soon}\n");
    assert_int_equal(synced_count(fixture), 1);
    assert_int_equal(slot_get(fixture->slot, COUNTER_TARGET_SYNC_FAILURES), 3);
    synced_expect_refused(fixture,
                          "127.0.0.1:99999: \"127.0.0.1:99999\" is not a valid address, want "
                          "host:port\n"
                          "h/x: \"h/x\" is not a valid hostname\n"
                          "127.0.0.1:2: error parsing scrape interval: not a valid duration: "
                          "\"soon\"\n");
    synced_write(fixture);
    assert_int_equal(slot_get(fixture->slot, COUNTER_TARGET_SYNC_FAILURES), 6);
}

static void what_a_rule_drops_is_counted_and_is_no_failure(void **state)
{
    struct synced *fixture = *state;
    synced_start(fixture,
                 "scrape_configs:\n"
                 "  - job_name: a\n"
                 "    static_configs: [{targets: ['127.0.0.1:1', '127.0.0.1:2', '127.0.0.1:3']}]\n"
                 "    relabel_configs:\n"
                 "      - {action: drop, source_labels: [__address__], regex: '127.+:1|127.+:3'}\n"
                 "      - {source_labels: [__address__, job], target_label: both}\n"
                 "  - job_name: b\n"
                 "    static_configs: [{targets: ['127.0.0.1:3']}]\n");
    synced_write(fixture);
    synced_write(fixture);
    assert_int_equal(synced_count(fixture), 2);
    struct target_view target = synced_find(fixture, "http://127.0.0.1:2/metrics");
    synced_expect_label(&target, "both", "127.0.0.1:2;a");
    assert_true(synced_has(fixture, "http://127.0.0.1:3/metrics"));
    assert_int_equal(slot_get(fixture->slot, COUNTER_TARGETS_DROPPED), 2);
    assert_int_equal(slot_get(fixture->slot, COUNTER_TARGET_SYNC_FAILURES), 0);
}

/* "job label=value ..." and "job: total", a line each. */
static void render_dropped(struct synced *fixture, char *text, size_t size)
{
    struct targets_cursor cursor;
    struct dropped_view dropped;
    struct label found[16];
    size_t len = 0;
    assert_int_equal(targets_reader_open_dropped(&fixture->reader, &cursor), 0);
    while (targets_cursor_next_dropped(&cursor, &dropped) == 1) {
        len += (size_t)snprintf(text + len, size - len, "%.*s", SLICE_ARG(dropped.job));
        if (dropped.total > 0)
            len += (size_t)snprintf(text + len, size - len, ": %d", (int)dropped.total);
        assert_int_equal(dropped_labels_decode(&dropped, found), 0);
        for (uint32_t i = 0; i < dropped.label_count; i++)
            len += (size_t)snprintf(text + len, size - len, " %.*s=%.*s", SLICE_ARG(found[i].name),
                                    SLICE_ARG(found[i].value));
        len += (size_t)snprintf(text + len, size - len, "\n");
    }
    assert_true(len < size);
}

static void what_was_dropped_is_kept_with_its_labels_up_to_the_limit(void **state)
{
    struct synced *fixture = *state;
    char text[4096];
    synced_start(
        fixture,
        "global: {keep_dropped_targets: 1}\n"
        "scrape_configs:\n"
        "  - job_name: a\n"
        "    params: {x: [y]}\n"
        "    static_configs: [{targets: ['127.0.0.1:1', '127.0.0.1:2', '127.0.0.1:3'],\n"
        "                      labels: {zone: z, none: ''}}]\n"
        "    relabel_configs: [{action: drop, source_labels: [__address__], regex: '.+:1|.+:3'}]\n"
        "  - job_name: b\n"
        "    static_configs: [{targets: ['127.0.0.1:4']}]\n"
        "  - job_name: c\n"
        "    keep_dropped_targets: 5\n"
        "    static_configs: [{targets: ['127.0.0.1:5', '127.0.0.1:6']}]\n"
        "    relabel_configs:\n"
        "      - {target_label: __address__, replacement: changed}\n"
        "      - {action: keep, source_labels: [job], regex: nothing}\n");
    synced_write(fixture);
    render_dropped(fixture, text, sizeof(text));
#define DEFAULTS " __metrics_path__=/metrics"
#define TIMES    " __scheme__=http __scrape_interval__=1m __scrape_timeout__=10s"
    assert_string_equal(text,
                        "a: 2\n"
                        "a __address__=127.0.0.1:1" DEFAULTS " __param_x=y" TIMES " job=a zone=z\n"
                        "c: 2\n"
                        "c __address__=127.0.0.1:5" DEFAULTS TIMES " job=c\n"
                        "c __address__=127.0.0.1:6" DEFAULTS TIMES " job=c\n");
    synced_write(fixture);
    char again[4096];
    render_dropped(fixture, again, sizeof(again));
    assert_string_equal(text, again);
}

static void above_target_limit_no_target_of_the_job_is_asked(void **state)
{
    struct synced *fixture = *state;
    struct target_view target;
    struct targets_cursor cursor;
    synced_start(fixture,
                 "global: {target_limit: 2}\n"
                 "scrape_configs:\n"
                 "- {job_name: a, static_configs: [{targets: ['127.0.0.1:1', '127.0.0.1:2']}]}\n"
                 "- {job_name: b, static_configs: [{targets: ['127.0.0.1:1', '127.0.0.1:2',\n"
                 "   '127.0.0.1:3', '127.0.0.1:1']}]}\n");
    synced_write(fixture);
    assert_int_equal(synced_count(fixture), 5);
    assert_int_equal(slot_get(fixture->slot, COUNTER_TARGET_LIMIT_EXCEEDED), 1);
    assert_int_equal(targets_reader_open(&fixture->reader, &cursor), 0);
    while (targets_cursor_next(&cursor, &target) == 1) {
        if (slice_is(target.job, "a"))
            assert_int_equal(target.error.len, 0);
        else
            assert_true(
                slice_is(target.error, "target_limit exceeded (number of targets: 3, limit: 2)"));
    }
}

static void a_target_that_is_too_long_harms_no_other(void **state)
{
    struct synced *fixture = *state;
    char *content = malloc(TARGET_LENGTH_MAX + 100);
    assert_non_null(content);
    int len = sprintf(content, "- targets: ['127.0.0.1:1']\n  labels: {a: ");
    memset(content + len, 'x', TARGET_LENGTH_MAX);
    strcpy(content + len + TARGET_LENGTH_MAX, "}\n- targets: ['127.0.0.1:2']\n");
    start_with_file(fixture, content);
    free(content);
    assert_int_equal(synced_count(fixture), 1);
    assert_int_equal(slot_get(fixture->slot, COUNTER_TARGET_SYNC_FAILURES), 1);
}

static void a_table_that_is_full_leaves_the_old_one(void **state)
{
    struct synced *fixture = *state;
    struct strbuf many = STRBUF_GROWING;
    start_with_file(fixture, "- targets: ['127.0.0.1:1']\n");
    strbuf_adds(&many, "- targets: [");
    for (int i = 0; i < 20000; i++)
        strbuf_addf(&many, "'127.0.0.1:%d', ", i + 1);
    strbuf_adds(&many, "'127.0.0.2:1']\n");
    directory_put(&fixture->directory, "t.yml", many.text);
    strbuf_fini(&many);
    assert_true(synced_read_files(fixture));
    assert_int_equal(sync_write(&fixture->sync), ERR_FULL);
    assert_int_equal(synced_count(fixture), 1);
    directory_put(&fixture->directory, "t.yml", "- targets: ['127.0.0.3:1']\n");
    assert_true(synced_read_files(fixture));
    synced_write(fixture);
    assert_true(synced_has(fixture, "http://127.0.0.3:1/metrics"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SYNCED(what_is_no_target_is_counted_and_harms_no_other),
        SYNCED(what_a_rule_drops_is_counted_and_is_no_failure),
        SYNCED(what_was_dropped_is_kept_with_its_labels_up_to_the_limit),
        SYNCED(above_target_limit_no_target_of_the_job_is_asked),
        SYNCED(a_target_that_is_too_long_harms_no_other),
        SYNCED(a_table_that_is_full_leaves_the_old_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
