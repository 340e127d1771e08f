/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From jobs to the target table: what is in it, what is left out, what survives a new discovery. */
#include "discovery/sync.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/strbuf.h"
#include "discovery/sharding.h"
#include "discovery/static_sd.h"
#include "tests/unit/discovery/directory.h"
#include "tests/unit/shm/segments.h"

#define SCRAPERS 3u

/* Segments and files, which outlive a discovery; and one discovery. */
struct fixture {
    struct directory directory;
    int targets_fd;
    int control_fd;
    struct shm_slot *slot;
    struct targets_reader reader;
    struct config *config;
    struct resolver *resolver;
    struct source_host host;
    bool changed;
    struct targets_writer table;
    struct sync sync;
};

static int make(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    assert_non_null(fixture);
    directory_open(&fixture->directory);
    fixture->targets_fd = segments_targets(4 << 20);
    fixture->control_fd = segments_control();
    assert_int_equal(slot_attach(fixture->control_fd, SHM_SLOT_DISCOVERY, &fixture->slot, NULL), 0);
    assert_int_equal(targets_reader_attach(&fixture->reader, fixture->targets_fd, NULL), 0);
    *state = fixture;
    return 0;
}

static void on_change(struct source_host *host)
{
    ((struct fixture *)(void *)((char *)host - offsetof(struct fixture, host)))->changed = true;
}

/* Reads all files again. True when something changed. */
static bool read_files(struct fixture *fixture)
{
    fixture->changed = false;
    sync_poll(&fixture->sync, 0, true);
    return fixture->changed;
}

/* A discovery for this configuration. Relative file names are those of the fixture's directory. */
static void start(struct fixture *fixture, const char *text)
{
    char path[PATH_MAX];
    struct errctx why;
    directory_path(&fixture->directory, "limpet.yml", path);
    if (config_parse(path, text, strlen(text), &fixture->config, &why) != 0)
        fail_msg("%s", why.text);
    assert_int_equal(resolver_new(&fixture->resolver, NULL), 0);
    assert_int_equal(targets_writer_attach(&fixture->table, fixture->targets_fd, NULL), 0);
    fixture->host = (struct source_host){
        .resolver = fixture->resolver, .slot = fixture->slot, .changed = on_change};
    if (sync_init(&fixture->sync, fixture->config, &fixture->host, &fixture->table,
                  &fixture->reader, SCRAPERS, "host", &why) != 0)
        fail_msg("%s", why.text);
    sync_recall(&fixture->sync);
    sync_poll(&fixture->sync, 0, true);
}

static void end(struct fixture *fixture)
{
    sync_fini(&fixture->sync);
    targets_writer_detach(&fixture->table);
    resolver_free(fixture->resolver);
    config_free(fixture->config);
    fixture->config = NULL;
}

static int destroy(void **state)
{
    struct fixture *fixture = *state;
    if (fixture->config != NULL)
        end(fixture);
    targets_reader_detach(&fixture->reader);
    munmap(fixture->slot, SHM_PAGE);
    close(fixture->targets_fd);
    close(fixture->control_fd);
    directory_close(&fixture->directory);
    free(fixture);
    return 0;
}

/* ---- looking at the table ---- */

static size_t count_targets(const struct fixture *fixture)
{
    struct targets_cursor cursor;
    struct target_view target;
    size_t count = 0;
    assert_int_equal(targets_reader_open(&fixture->reader, &cursor), 0);
    while (targets_cursor_next(&cursor, &target) == 1)
        count++;
    return count;
}

/* "WHAT: WHY" of all that is shown as no target, one after another. */
static void expect_refused(const struct fixture *fixture, const char *wanted)
{
    char room[1024];
    struct strbuf found = STRBUF_FIXED(room);
    struct targets_cursor cursor;
    struct target_view target;
    assert_int_equal(targets_reader_open(&fixture->reader, &cursor), 0);
    cursor.all = true;
    while (targets_cursor_next(&cursor, &target) == 1) {
        if (target.flags & SHM_TARGET_NONE)
            strbuf_addf(&found, "%.*s: %.*s\n", SLICE_ARG(target.host), SLICE_ARG(target.error));
    }
    assert_string_equal(room, wanted);
}

/* The only target with this URL; its texts are good until the next look. */
static struct target_view find(const struct fixture *fixture, const char *url)
{
    struct targets_cursor cursor;
    struct target_view target, found = {0};
    int seen = 0;
    assert_int_equal(targets_reader_open(&fixture->reader, &cursor), 0);
    while (seen == 0 && targets_cursor_next(&cursor, &target) == 1) {
        if (slice_is(target.url, url)) {
            found = target;
            seen++;
        }
    }
    if (seen == 0)
        fail_msg("there is no target %s", url);
    return found;
}

static bool has(const struct fixture *fixture, const char *url)
{
    struct targets_cursor cursor;
    struct target_view target;
    assert_int_equal(targets_reader_open(&fixture->reader, &cursor), 0);
    while (targets_cursor_next(&cursor, &target) == 1) {
        if (slice_is(target.url, url))
            return true;
    }
    return false;
}

static void expect_label(const struct target_view *target, const char *name, const char *value)
{
    struct label labels[16];
    assert_in_range(target->label_count, 1, 16);
    assert_int_equal(target_labels_decode(target, labels), 0);
    for (uint32_t i = 0; i < target->label_count; i++) {
        if (slice_is(labels[i].name, name)) {
            assert_true(slice_is(labels[i].value, value));
            return;
        }
    }
    fail_msg("there is no label %s", name);
}

static void write_table(struct fixture *fixture)
{
    assert_int_equal(sync_write(&fixture->sync), 0);
}

static void collect_names(struct fixture *fixture)
{
    while (resolver_pending(fixture->resolver) > 0) {
        struct pollfd readable = {.fd = resolver_fd(fixture->resolver), .events = POLLIN};
        assert_int_equal(poll(&readable, 1, 30000), 1);
        resolver_collect(fixture->resolver);
    }
}

/* ---- tests ---- */

static void several_jobs_make_one_table(void **state)
{
    struct fixture *fixture = *state;
    directory_put(&fixture->directory, "b.yml",
                  "- targets: ['127.0.0.1:3', '[::1]:4']\n  labels: {team: x}\n");
    start(fixture, "scrape_configs:\n"
                   "  - job_name: a\n"
                   "    scrape_interval: 5s\n"
                   "    honor_labels: true\n"
                   "    static_configs: [{targets: ['127.0.0.1:1', '127.0.0.2:2']}]\n"
                   "  - job_name: b\n"
                   "    scrape_interval: 10s\n"
                   "    scrape_timeout: 2s\n"
                   "    params: {module: [m]}\n"
                   "    file_sd_configs: [{files: ['*.yml']}]\n");
    write_table(fixture);
    assert_int_equal(count_targets(fixture), 4);
    struct target_view a = find(fixture, "http://127.0.0.1:1/metrics");
    assert_true(slice_is(a.job, "a"));
    assert_int_equal(a.flags,
                     SHM_TARGET_HONOR_LABELS | SHM_TARGET_HONOR_TIMESTAMPS | SHM_TARGET_GZIP);
    assert_int_equal(a.interval_ms, 5000);
    assert_int_equal(a.address_count, 1);
    assert_int_equal(a.label_count, 2);
    expect_label(&a, "instance", "127.0.0.1:1");
    struct target_view b = find(fixture, "http://[::1]:4/metrics?module=m");
    assert_true(slice_is(b.job, "b"));
    assert_true(slice_is(b.path, "/metrics?module=m"));
    assert_true(slice_is(b.host, "[::1]:4"));
    assert_int_equal(b.timeout_ms, 2000);
    assert_int_equal(b.addresses[0].sin6_family, AF_INET6);
    assert_int_equal(ntohs(b.addresses[0].sin6_port), 4);
    expect_label(&b, "job", "b");
    expect_label(&b, "team", "x");
    assert_int_equal(slot_get(fixture->slot, COUNTER_TARGETS), 4);
    assert_int_equal(slot_get(fixture->slot, COUNTER_TARGETS_GENERATION), 1);
    assert_int_equal(slot_get(fixture->slot, COUNTER_SYNCS), 1);
}

/* A source of the group that a job of the configuration has. */
static struct supplied supply(struct fixture *fixture, size_t index)
{
    const struct config_job *job = &fixture->config->scrape_configs.items[index];
    return (struct supplied){job, SLICE_LITERAL("x"),
                             static_sd_new(&fixture->host, &job->static_configs.items[0])};
}

static void jobs_of_the_network_come_and_go(void **state)
{
    struct fixture *fixture = *state;
    const struct config_sharding unlocated = {.unlocated = CONFIG_UNLOCATED_NONE};
    const struct sharding elsewhere = {
        .config = &unlocated, .by = CONFIG_SHARD_NODE, .node = "here"};
    start(fixture, "scrape_configs:\n"
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
                               &fixture->reader, SCRAPERS, "host", NULL),
                     0);
    write_table(fixture);
    assert_int_equal(count_targets(fixture), 0);
    struct supplied other = supply(fixture, 1);
    sync_take_jobs(&fixture->sync, (struct supplied_list){&other, 1});
    write_table(fixture);
    assert_int_equal(count_targets(fixture), 1); /* it is not shared out again */
    struct target_view found = find(fixture, "http://127.0.0.1:2/metrics");
    assert_true(slice_is(found.job, "other"));
    assert_int_equal(found.interval_ms, 7000);
    expect_label(&found, "a", "b");

    sync_take_jobs(&fixture->sync, (struct supplied_list){NULL, 0});
    fixture->sync.expects_jobs = true; /* they may come back */
    write_table(fixture);
    assert_int_equal(count_targets(fixture), 1);
    fixture->sync.expects_jobs = false;
    write_table(fixture);
    assert_int_equal(count_targets(fixture), 0);
    other.source->class->free(other.source);
}

static void jobs_with_https_are_known_by_their_targets_and_by_the_table_before(void **state)
{
    struct fixture *fixture = *state;
    start(fixture,
          "scrape_configs:\n"
          "  - {job_name: a, static_configs: [{targets: ['127.0.0.1:1']}]}\n"
          "  - {job_name: b, static_configs: [{targets: ['127.0.0.1:1'], labels: {__scheme__: "
          "https}}]}\n");
    assert_false(fixture->sync.jobs[1].has_https);
    write_table(fixture);
    assert_false(fixture->sync.jobs[0].has_https);
    assert_true(fixture->sync.jobs[1].has_https);
    sync_fini(&fixture->sync);
    assert_int_equal(sync_init(&fixture->sync, fixture->config, &fixture->host, &fixture->table,
                               &fixture->reader, SCRAPERS, "host", NULL),
                     0);
    sync_recall(&fixture->sync);
    assert_false(fixture->sync.jobs[0].has_https);
    assert_true(fixture->sync.jobs[1].has_https);
    assert_int_equal(fixture->sync.jobs[1].entry, 1);
}

static void no_job_makes_an_empty_table(void **state)
{
    struct fixture *fixture = *state;
    start(fixture, "scrape_configs: []\n");
    write_table(fixture);
    assert_int_equal(count_targets(fixture), 0);
}

static void doubles_are_dropped(void **state)
{
    struct fixture *fixture = *state;
    directory_put(&fixture->directory, "t.json", "[{\"targets\": [\"127.0.0.1:1\"]}]");
    start(fixture, "scrape_configs:\n"
                   "  - job_name: a\n"
                   "    static_configs:\n"
                   "      - targets: ['127.0.0.1:1', '127.0.0.1:1']\n"
                   "      - targets: ['127.0.0.1:1']\n"
                   "        labels: {team: x}\n"
                   "    file_sd_configs: [{files: ['t.json']}]\n"
                   "  - job_name: b\n"
                   "    static_configs: [{targets: ['127.0.0.1:1'], labels: {job: a}}]\n");
    write_table(fixture);
    /* The one with another label is another target. */
    assert_int_equal(count_targets(fixture), 2);
    assert_int_equal(slot_get(fixture->slot, COUNTER_TARGETS), 2);
}

static void identity_owner_and_phase_are_the_same_after_a_restart(void **state)
{
    struct fixture *fixture = *state;
    static const char text[] = "scrape_configs:\n"
                               "  - job_name: a\n"
                               "    static_configs: [{targets: ['127.0.0.1:1', '127.0.0.2:1']}]\n";
    start(fixture, text);
    write_table(fixture);
    struct target_view before = find(fixture, "http://127.0.0.2:1/metrics");
    end(fixture);
    start(fixture, text);
    write_table(fixture);
    struct target_view after = find(fixture, "http://127.0.0.2:1/metrics");
    assert_true(before.id == after.id);
    assert_true(before.phase_ns == after.phase_ns);
    assert_int_equal(before.owner, after.owner);
    assert_in_range(after.owner, 0, SCRAPERS - 1);
}

static void names_are_left_out_until_there_is_an_answer(void **state)
{
    struct fixture *fixture = *state;
    start(fixture, "scrape_configs:\n"
                   "  - job_name: a\n"
                   "    static_configs: [{targets: ['127.0.0.1:1', 'localhost:2']}]\n");
    assert_int_equal(sync_resolve(&fixture->sync), 1);
    write_table(fixture);
    assert_int_equal(count_targets(fixture), 1);
    collect_names(fixture);
    write_table(fixture);
    struct target_view target = find(fixture, "http://localhost:2/metrics");
    assert_true(target.address_count >= 1);
    assert_int_equal(ntohs(target.addresses[0].sin6_port), 2);
    assert_int_equal(target.error.len, 0);
}

static void a_name_without_answer_gets_in_with_an_error_when_patience_ends(void **state)
{
    struct fixture *fixture = *state;
    start(fixture, "scrape_configs:\n"
                   "  - job_name: a\n"
                   "    static_configs: [{targets: ['localhost:2']}]\n");
    sync_resolve(&fixture->sync);
    /* Nothing is collected: for the resolver's owner there is no answer. */
    int64_t now = clock_mono_ns();
    assert_false(resolver_refresh(fixture->resolver, now));
    assert_true(resolver_refresh(fixture->resolver, now + RESOLVER_PATIENCE_NS));
    assert_int_equal(resolver_pending(fixture->resolver), 0);
    write_table(fixture);
    struct target_view target = find(fixture, "http://localhost:2/metrics");
    assert_int_equal(target.address_count, 0);
    assert_true(slice_is(target.error, "lookup localhost: no answer yet"));
}

static void a_name_that_does_not_exist_is_a_target_with_an_error(void **state)
{
    struct fixture *fixture = *state;
    start(fixture, "scrape_configs:\n"
                   "  - job_name: a\n"
                   "    static_configs: [{targets: ['no..such..name:2']}]\n");
    sync_resolve(&fixture->sync);
    collect_names(fixture);
    write_table(fixture);
    struct target_view target = find(fixture, "http://no..such..name:2/metrics");
    assert_true(slice_is(target.error, "lookup no..such..name: no such host"));
}

static void a_new_discovery_knows_the_addresses_of_the_one_before(void **state)
{
    struct fixture *fixture = *state;
    static const char text[] = "scrape_configs:\n"
                               "  - job_name: a\n"
                               "    static_configs:\n"
                               "      - targets: ['localhost:2', 'no..such..name:3']\n";
    start(fixture, text);
    sync_resolve(&fixture->sync);
    collect_names(fixture);
    write_table(fixture);
    end(fixture);
    start(fixture, text);
    /* Not one answer has been taken in yet. */
    assert_int_equal(sync_resolve(&fixture->sync), 0);
    write_table(fixture);
    assert_true(find(fixture, "http://localhost:2/metrics").address_count >= 1);
    assert_true(slice_is(find(fixture, "http://no..such..name:3/metrics").error,
                         "lookup no..such..name: no answer yet"));
}

static void what_is_no_target_is_counted_and_harms_no_other(void **state)
{
    struct fixture *fixture = *state;
    directory_put(&fixture->directory, "t.yml",
                  "- targets: ['127.0.0.1:99999', 'h/x', '127.0.0.1:1']\n"
                  "- targets: ['127.0.0.1:2']\n  labels: {__scrape_interval__: soon}\n");
    start(fixture, "scrape_configs:\n"
                   "  - job_name: a\n"
                   "    file_sd_configs: [{files: ['t.yml']}]\n");
    write_table(fixture);
    assert_int_equal(count_targets(fixture), 1);
    assert_int_equal(slot_get(fixture->slot, COUNTER_TARGET_SYNC_FAILURES), 3);
    expect_refused(fixture, "127.0.0.1:99999: \"127.0.0.1:99999\" is not a valid address, want "
                            "host:port\n"
                            "h/x: \"h/x\" is not a valid hostname\n"
                            "127.0.0.1:2: error parsing scrape interval: not a valid duration: "
                            "\"soon\"\n");
    write_table(fixture);
    assert_int_equal(slot_get(fixture->slot, COUNTER_TARGET_SYNC_FAILURES), 6);
}

static void what_a_rule_drops_is_counted_and_is_no_failure(void **state)
{
    struct fixture *fixture = *state;
    start(fixture,
          "scrape_configs:\n"
          "  - job_name: a\n"
          "    static_configs: [{targets: ['127.0.0.1:1', '127.0.0.1:2', '127.0.0.1:3']}]\n"
          "    relabel_configs:\n"
          "      - {action: drop, source_labels: [__address__], regex: '127.+:1|127.+:3'}\n"
          "      - {source_labels: [__address__, job], target_label: both}\n"
          "  - job_name: b\n"
          "    static_configs: [{targets: ['127.0.0.1:3']}]\n");
    write_table(fixture);
    write_table(fixture);
    assert_int_equal(count_targets(fixture), 2);
    struct target_view target = find(fixture, "http://127.0.0.1:2/metrics");
    expect_label(&target, "both", "127.0.0.1:2;a");
    assert_true(has(fixture, "http://127.0.0.1:3/metrics"));
    assert_int_equal(slot_get(fixture->slot, COUNTER_TARGETS_DROPPED), 2);
    assert_int_equal(slot_get(fixture->slot, COUNTER_TARGET_SYNC_FAILURES), 0);
}

/* "job label=value ..." and "job: total", a line each. */
static void render_dropped(struct fixture *fixture, char *text, size_t size)
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
    struct fixture *fixture = *state;
    char text[4096];
    start(
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
    write_table(fixture);
    render_dropped(fixture, text, sizeof(text));
#define DEFAULTS " __metrics_path__=/metrics"
#define TIMES    " __scheme__=http __scrape_interval__=1m __scrape_timeout__=10s"
    assert_string_equal(text,
                        "a: 2\n"
                        "a __address__=127.0.0.1:1" DEFAULTS " __param_x=y" TIMES " job=a zone=z\n"
                        "c: 2\n"
                        "c __address__=127.0.0.1:5" DEFAULTS TIMES " job=c\n"
                        "c __address__=127.0.0.1:6" DEFAULTS TIMES " job=c\n");
    write_table(fixture);
    char again[4096];
    render_dropped(fixture, again, sizeof(again));
    assert_string_equal(text, again);
}

static void above_target_limit_no_target_of_the_job_is_asked(void **state)
{
    struct fixture *fixture = *state;
    struct target_view target;
    struct targets_cursor cursor;
    start(fixture, "global: {target_limit: 2}\n"
                   "scrape_configs:\n"
                   "- {job_name: a, static_configs: [{targets: ['127.0.0.1:1', '127.0.0.1:2']}]}\n"
                   "- {job_name: b, static_configs: [{targets: ['127.0.0.1:1', '127.0.0.1:2',\n"
                   "   '127.0.0.1:3', '127.0.0.1:1']}]}\n");
    write_table(fixture);
    assert_int_equal(count_targets(fixture), 5);
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
    struct fixture *fixture = *state;
    char *content = malloc(TARGET_LENGTH_MAX + 100);
    assert_non_null(content);
    int len = sprintf(content, "- targets: ['127.0.0.1:1']\n  labels: {a: ");
    memset(content + len, 'x', TARGET_LENGTH_MAX);
    strcpy(content + len + TARGET_LENGTH_MAX, "}\n- targets: ['127.0.0.1:2']\n");
    directory_put(&fixture->directory, "t.yml", content);
    free(content);
    start(fixture, "scrape_configs:\n"
                   "  - job_name: a\n"
                   "    file_sd_configs: [{files: ['t.yml']}]\n");
    write_table(fixture);
    assert_int_equal(count_targets(fixture), 1);
    assert_int_equal(slot_get(fixture->slot, COUNTER_TARGET_SYNC_FAILURES), 1);
}

static void a_table_that_is_full_leaves_the_old_one(void **state)
{
    struct fixture *fixture = *state;
    struct strbuf many = STRBUF_GROWING;
    directory_put(&fixture->directory, "t.yml", "- targets: ['127.0.0.1:1']\n");
    start(fixture, "scrape_configs:\n"
                   "  - job_name: a\n"
                   "    file_sd_configs: [{files: ['t.yml']}]\n");
    write_table(fixture);
    strbuf_adds(&many, "- targets: [");
    for (int i = 0; i < 20000; i++)
        strbuf_addf(&many, "'127.0.0.1:%d', ", i + 1);
    strbuf_adds(&many, "'127.0.0.2:1']\n");
    directory_put(&fixture->directory, "t.yml", many.text);
    strbuf_fini(&many);
    assert_true(read_files(fixture));
    assert_int_equal(sync_write(&fixture->sync), ERR_FULL);
    assert_int_equal(count_targets(fixture), 1);
    directory_put(&fixture->directory, "t.yml", "- targets: ['127.0.0.3:1']\n");
    assert_true(read_files(fixture));
    write_table(fixture);
    assert_true(has(fixture, "http://127.0.0.3:1/metrics"));
}

static void files_are_read_again_on_their_refresh_interval(void **state)
{
    struct fixture *fixture = *state;
    directory_put(&fixture->directory, "t.yml", "- targets: ['127.0.0.1:1']\n");
    start(fixture, "scrape_configs:\n"
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
    write_table(fixture);
    assert_true(has(fixture, "http://127.0.0.1:2/metrics"));
    /* Job b has not looked yet. */
    assert_true(has(fixture, "http://127.0.0.1:1/metrics"));
}

static void jobs_with_equal_entries_share_a_source(void **state)
{
    struct fixture *fixture = *state;
    directory_put(&fixture->directory, "t.yml", "- targets: ['127.0.0.1:1']\n");
    start(fixture, "scrape_configs:\n"
                   "  - job_name: a\n"
                   "    file_sd_configs: [{files: ['t.yml']}]\n"
                   "  - job_name: b\n"
                   "    file_sd_configs: [{files: ['t.yml']}, {files: ['t.yml', 'u.yml']}]\n");
    assert_int_equal(fixture->sync.sources.count, 2);
    write_table(fixture);
    assert_int_equal(count_targets(fixture), 2);
}

static const char two_files[] = "scrape_configs:\n"
                                "  - job_name: a\n"
                                "    file_sd_configs: [{files: ['*.yml']}]\n"
                                "  - job_name: b\n"
                                "    static_configs: [{targets: ['127.0.0.2:1']}]\n";

/* One discovery that reads two files well, and a second one that finds one of them broken. */
static void restart_with_a_broken_file(struct fixture *fixture)
{
    directory_put(&fixture->directory, "1.yml", "- targets: ['127.0.0.1:1']\n  labels: {x: y}\n");
    directory_put(&fixture->directory, "2.yml", "- targets: ['127.0.0.1:2']\n");
    start(fixture, two_files);
    write_table(fixture);
    assert_int_equal(count_targets(fixture), 3);
    end(fixture);
    directory_put(&fixture->directory, "1.yml", "- tarrgets: ['127.0.0.1:1']\n");
    start(fixture, two_files);
    assert_int_equal(slot_get(fixture->slot, COUNTER_FILE_SD_ERRORS), 1);
    write_table(fixture);
}

static void a_broken_file_keeps_its_targets_over_a_restart(void **state)
{
    struct fixture *fixture = *state;
    restart_with_a_broken_file(fixture);
    for (int i = 0; i < 3; i++) {
        write_table(fixture);
        assert_int_equal(count_targets(fixture), 3);
        struct target_view kept = find(fixture, "http://127.0.0.1:1/metrics");
        expect_label(&kept, "x", "y");
        assert_int_equal(kept.address_count, 1);
    }
    directory_put(&fixture->directory, "1.yml", "- targets: ['127.0.0.1:3']\n");
    assert_true(read_files(fixture));
    write_table(fixture);
    assert_int_equal(count_targets(fixture), 3);
    assert_false(has(fixture, "http://127.0.0.1:1/metrics"));
}

static void a_broken_file_that_vanishes_takes_its_targets_along(void **state)
{
    struct fixture *fixture = *state;
    restart_with_a_broken_file(fixture);
    directory_drop(&fixture->directory, "1.yml");
    assert_true(read_files(fixture));
    write_table(fixture);
    assert_int_equal(count_targets(fixture), 2);
}

#define SYNCED(test) cmocka_unit_test_setup_teardown(test, make, destroy)

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
        SYNCED(what_is_no_target_is_counted_and_harms_no_other),
        SYNCED(what_a_rule_drops_is_counted_and_is_no_failure),
        SYNCED(what_was_dropped_is_kept_with_its_labels_up_to_the_limit),
        SYNCED(above_target_limit_no_target_of_the_job_is_asked),
        SYNCED(a_target_that_is_too_long_harms_no_other),
        SYNCED(a_table_that_is_full_leaves_the_old_one),
        SYNCED(files_are_read_again_on_their_refresh_interval),
        SYNCED(jobs_with_equal_entries_share_a_source),
        SYNCED(a_broken_file_keeps_its_targets_over_a_restart),
        SYNCED(a_broken_file_that_vanishes_takes_its_targets_along),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
