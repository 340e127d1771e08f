/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What /-/ready and /metrics say about a limpet, also about one whose memory is damaged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "console/metrics.h"
#include "console/pages.h"
#include "console/readiness.h"
#include "exposition/exposition.h"
#include "shm/reasons.h"
#include "shm/remote_counters.h"
#include "tests/unit/dice.h"
#include "tests/unit/console/stage.h"

static const struct target_query no_query;

/* ---- ready ---- */

static void expect_not_ready(struct stage *stage, const char *missing)
{
    struct strbuf text = STRBUF_GROWING;
    bool ready = readiness_check(&stage->view, &text);
    if (ready || strstr(text.text, missing) == NULL)
        fail_msg("ready: %d; missing: \"%s\"; expected \"%s\"", ready, text.text, missing);
    strbuf_fini(&text);
}

static void expect_ready(struct stage *stage)
{
    struct strbuf text = STRBUF_GROWING;
    if (!readiness_check(&stage->view, &text))
        fail_msg("not ready: %s", text.text);
    strbuf_fini(&text);
}

static void a_limpet_that_has_not_started_says_all_that_is_missing(void **state)
{
    struct stage *stage = *state;
    expect_not_ready(stage, "discovery has not written a target table yet\n");
    expect_not_ready(stage, "discovery has not been started\n");
    expect_not_ready(stage, "writer has not been started\n");
    expect_not_ready(stage, "scraper 1 has not been started\n");
}

static void it_is_ready_when_all_children_are(void **state)
{
    struct stage *stage = *state;
    stage_make_ready(stage);
    expect_ready(stage);
    slot_state(stage_slot(stage, SHM_SLOT_SCRAPER(1)), SHM_STATE_STARTING);
    expect_not_ready(stage, "scraper 1 is starting\n");
    slot_state(stage_slot(stage, SHM_SLOT_SCRAPER(1)), SHM_STATE_DRAINING);
    expect_not_ready(stage, "scraper 1 is leaving\n");
}

static void a_scraper_without_targets_is_not_ready(void **state)
{
    struct stage *stage = *state;
    stage_make_ready(stage);
    atomic_store(&stage_slot(stage, SHM_SLOT_SCRAPER(0))->targets_generation, 0);
    expect_not_ready(stage, "scraper 0 has no targets yet\n");
}

static void a_child_that_died_is_not_ready_whatever_its_slot_says(void **state)
{
    struct stage *stage = *state;
    stage_make_ready(stage);
    pid_t pid = fork();
    if (pid == 0)
        _exit(0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    atomic_store(&stage_slot(stage, SHM_SLOT_WRITER)->pid, (uint32_t)pid);
    expect_not_ready(stage, "writer has died\n");
}

static void a_stranger_with_the_pid_of_a_child_is_not_taken_for_it(void **state)
{
    struct stage *stage = *state;
    stage_make_ready(stage);
    atomic_store(&stage_slot(stage, SHM_SLOT_WRITER)->pid, (uint32_t)getppid());
    expect_not_ready(stage, "writer has died\n");
    atomic_store(&stage_slot(stage, SHM_SLOT_WRITER)->pid, UINT32_MAX);
    expect_not_ready(stage, "writer has died\n");
}

static void a_limpet_on_its_way_out_is_not_ready(void **state)
{
    struct stage *stage = *state;
    struct answer answer;
    stage_make_ready(stage);
    page_find("/-/ready")->write(&stage->view, &no_query, &answer);
    assert_int_equal(answer.status, 200);
    strbuf_fini(&answer.body);
    atomic_store(&stage->supervisor->stopping, 1);
    page_find("/-/ready")->write(&stage->view, &no_query, &answer);
    assert_int_equal(answer.status, 503);
    assert_string_equal(answer.stopping, "true");
    assert_non_null(strstr(answer.body.text, "limpet is stopping\n"));
    strbuf_fini(&answer.body);
}

/* ---- metrics ---- */

static struct strbuf metrics_of(struct stage *stage)
{
    struct strbuf page = STRBUF_GROWING;
    metrics_write(&stage->view, &page);
    return page;
}

static void expect_line(const struct strbuf *page, const char *line)
{
    const char *at = strstr(page->text, line);
    if (at == NULL || (at != page->text && at[-1] != '\n'))
        fail_msg("there is no line \"%s\"", line);
}

/* With the counters of as many former scrapers as can be. */
enum { SERIES_MAX = 16384 };

/* A family's samples stand together under its one TYPE line; no series is there twice. */
struct reading {
    char family[128];
    char *families[512];
    size_t family_count;
    char *series[SERIES_MAX];
    size_t series_count;
};

static void remember(char **list, size_t *count, size_t room, struct slice text, const char *what)
{
    for (size_t i = 0; i < *count; i++) {
        if (slice_is(text, list[i]))
            fail_msg("the %s %s is there twice", what, list[i]);
    }
    assert_true(*count < room);
    list[(*count)++] = strndup(text.ptr, text.len);
}

static void expect_in_family(const struct reading *reading, struct slice series)
{
    size_t len = strlen(reading->family);
    if (series.len < len || memcmp(series.ptr, reading->family, len) != 0)
        fail_msg("%.*s stands in the family %s", SLICE_ARG(series), reading->family);
}

static void read_page(const struct strbuf *page, struct reading *reading)
{
    struct exposition_parser parser;
    struct exposition_entry entry;
    enum exposition_kind kind;
    exposition_begin(&parser, EXPOSITION_TEXT, 0);
    exposition_feed(&parser, page->text, page->len, true);
    while ((kind = exposition_next(&parser, &entry)) != EXPOSITION_END) {
        if (kind == EXPOSITION_ERROR) {
            struct strbuf why = STRBUF_GROWING;
            exposition_error(&parser, &why);
            fail_msg("%s", why.text);
        }
        if (kind == EXPOSITION_TYPE) {
            remember(reading->families, &reading->family_count, 512, entry.family, "family");
            snprintf(reading->family, sizeof(reading->family), "%.*s", SLICE_ARG(entry.family));
        }
        if (kind == EXPOSITION_SAMPLE) {
            expect_in_family(reading, entry.series);
            remember(reading->series, &reading->series_count, SERIES_MAX, entry.series, "series");
        }
    }
}

static size_t expect_valid(const struct strbuf *page)
{
    struct reading *reading = calloc(1, sizeof(*reading));
    assert_non_null(reading);
    read_page(page, reading);
    size_t count = reading->series_count;
    for (size_t i = 0; i < reading->family_count; i++)
        free(reading->families[i]);
    for (size_t i = 0; i < reading->series_count; i++)
        free(reading->series[i]);
    free(reading);
    return count;
}

static void the_page_is_valid_and_has_every_counter(void **state)
{
    struct stage *stage = *state;
    stage_make_ready(stage);
    stage_remote(stage, "a", "http://127.0.0.1:1/write");
    stage_remote(stage, "b", "http://127.0.0.1:2/write");
    struct strbuf page = metrics_of(stage);
    size_t series = expect_valid(&page);
    size_t expected = 2 * REMOTE_COUNTER_COUNT;
    for (size_t i = 0; i < COUNTER_COUNT; i++) {
        uint32_t roles = counter_info((enum counter)i)->roles;
        expected += (roles & ROLE_SCRAPER) != 0 ? STAGE_SCRAPERS : 0;
        expected += (roles & ROLE_DISCOVERY) != 0;
        expected += (roles & ROLE_WRITER) != 0;
        expected += (roles & ROLE_CONSOLE) != 0;
    }
    assert_true(series > expected);
    strbuf_fini(&page);
}

static void counters_carry_the_labels_of_their_process(void **state)
{
    struct stage *stage = *state;
    slot_add(stage_slot(stage, SHM_SLOT_SCRAPER(1)), COUNTER_SCRAPES, 42);
    slot_add(stage_slot(stage, SHM_SLOT_SCRAPER(0)), COUNTER_SCRAPE_TIMEOUT, 3);
    slot_add(stage_slot(stage, SHM_SLOT_WRITER), COUNTER_LOOP_TURNS, 5);
    slot_set(stage_slot(stage, SHM_SLOT_DISCOVERY), COUNTER_TARGETS, 7);
    slot_set(stage_slot(stage, SHM_SLOT_SCRAPER(0)), COUNTER_LATE_SUM_NS, 1500000000);
    slot_set(stage_slot(stage, SHM_SLOT_SCRAPER(0)), COUNTER_LATE_ALL, 9);
    struct strbuf page = metrics_of(stage);
    expect_line(&page, "limpet_scrapes_total{scraper=\"1\"} 42\n");
    expect_line(&page, "limpet_scrapes_failed_total{reason=\"timeout\",scraper=\"0\"} 3\n");
    expect_line(&page, "limpet_loop_turns_total{role=\"writer\"} 5\n");
    expect_line(&page, "limpet_loop_turns_total{role=\"scraper\",scraper=\"0\"} 0\n");
    expect_line(&page, "limpet_discovery_targets 7\n");
    expect_line(&page, "# TYPE limpet_scrape_lateness_seconds histogram\n");
    expect_line(&page, "limpet_scrape_lateness_seconds_bucket{le=\"+Inf\",scraper=\"0\"} 9\n");
    expect_line(&page, "limpet_scrape_lateness_seconds_count{scraper=\"0\"} 9\n");
    expect_line(&page, "limpet_scrape_lateness_seconds_sum{scraper=\"0\"} 1.5\n");
    strbuf_fini(&page);
}

static void prometheus_names_are_sums_over_all_processes(void **state)
{
    struct stage *stage = *state;
    slot_set(stage_slot(stage, SHM_SLOT_SCRAPER(0)), COUNTER_SERIES_ACTIVE, 40);
    slot_set(stage_slot(stage, SHM_SLOT_SCRAPER(1)), COUNTER_SERIES_ACTIVE, 2);
    slot_set(stage_slot(stage, SHM_SLOT_SCRAPER(1)), COUNTER_SAMPLES_APPENDED, 7);
    slot_set(stage_slot(stage, SHM_SLOT_SCRAPER(0)), COUNTER_HISTOGRAMS_COMMITTED, 3);
    slot_set(stage_slot(stage, SHM_SLOT_WRITER), COUNTER_WRITER_EXEMPLARS_IN, 5);
    slot_set(stage_slot(stage, SHM_SLOT_SCRAPER(0)), COUNTER_HIGHEST_APPENDED_MS, 1700000000123);
    slot_set(stage_slot(stage, SHM_SLOT_SCRAPER(1)), COUNTER_HIGHEST_APPENDED_MS, 1700000000122);
    struct strbuf page = metrics_of(stage);
    expect_line(&page, "prometheus_agent_active_series 42\n");
    expect_line(&page, "prometheus_agent_samples_appended_total{type=\"float\"} 7\n"
                       "prometheus_agent_samples_appended_total{type=\"histogram\"} 3\n");
    expect_line(&page, "prometheus_remote_storage_exemplars_in_total 5\n");
    expect_line(&page, "prometheus_remote_storage_highest_timestamp_in_seconds 1700000000.123\n");
    strbuf_fini(&page);
}

static void remotes_are_told_apart_by_name_and_url(void **state)
{
    struct stage *stage = *state;
    struct shm_remote *remote = stage_remote(stage, "main", "http://h:1/w?\"q\"");
    remote_count(remote, REMOTE_SAMPLES, 1000);
    remote_set(remote, REMOTE_HIGHEST_MS, 1700000000123);
    struct strbuf page = metrics_of(stage);
    expect_line(&page, "prometheus_remote_storage_samples_total{remote_name=\"main\","
                       "url=\"http://h:1/w?\\\"q\\\"\"} 1000\n");
    expect_line(&page, "prometheus_remote_storage_queue_highest_timestamp_seconds"
                       "{remote_name=\"main\",url=\"http://h:1/w?\\\"q\\\"\"} 1700000000.123\n");
    expect_line(&page, "# TYPE prometheus_remote_storage_sent_batch_duration_seconds histogram\n");
    strbuf_fini(&page);
}

static void the_supervisors_page_is_shown(void **state)
{
    struct stage *stage = *state;
    atomic_store(&stage->supervisor->reload_ok, 1);
    atomic_store(&stage->supervisor->reload_at_ns, 1700000000500000000);
    atomic_store(&stage->supervisor->restarts[SHM_SLOT_WRITER], 4);
    atomic_store(&stage->supervisor->quarantined[3], 99);
    struct shm_slot *slot = stage_slot(stage, SHM_SLOT_SCRAPER(0));
    atomic_store(&slot->backend, 2);
    memcpy(slot->backend_why, "io_uring_setup: not permitted",
           sizeof("io_uring_setup: not permitted"));
    struct strbuf page = metrics_of(stage);
    expect_line(&page, "prometheus_config_last_reload_successful 1\n");
    expect_line(&page, "prometheus_config_last_reload_success_timestamp_seconds 1700000000.5\n");
    expect_line(&page, "limpet_config_last_reload_successful 1\n");
    expect_line(&page, "limpet_child_restarts_total{role=\"writer\"} 4\n");
    expect_line(&page, "limpet_quarantined_targets 1\n");
    expect_line(&page, "limpet_build_info{version=\"" PACKAGE_VERSION "\"} 1\n");
    expect_line(&page, "limpet_event_loop_info{role=\"scraper\",scraper=\"0\",backend=\"epoll\","
                       "why=\"io_uring_setup: not permitted\"} 1\n");
    expect_line(&page, "limpet_ring_size_bytes{scraper=\"1\"} 1048576\n");
    expect_line(&page, "limpet_ring_used_bytes{scraper=\"1\"} 0\n");
    strbuf_fini(&page);
}

static void processes_that_live_show_their_use(void **state)
{
    struct stage *stage = *state;
    stage_make_ready(stage);
    struct strbuf page = metrics_of(stage);
    expect_line(&page, "limpet_process_resident_memory_bytes{role=\"supervisor\"} ");
    expect_line(&page, "limpet_process_resident_memory_bytes{role=\"scraper\",scraper=\"1\"} ");
    expect_line(&page, "limpet_process_cpu_seconds_total{role=\"writer\"} ");
    expect_line(&page, "limpet_child_up{role=\"discovery\"} 1\n");
    strbuf_fini(&page);
}

static void impossible_numbers_are_counted_and_survived(void **state)
{
    struct stage *stage = *state;
    stage_make_ready(stage);
    atomic_store(&stage->supervisor->scrapers, STAGE_SCRAPERS);
    struct strbuf page = metrics_of(stage);
    strbuf_fini(&page);
    atomic_store(&stage->supervisor->scrapers, 1000000);
    /* The last number that was possible goes on. */
    page = metrics_of(stage);
    expect_valid(&page);
    expect_line(&page, "limpet_scrapes_total{scraper=\"1\"} 0\n");
    assert_true(slot_get(stage->view.own, COUNTER_CONSOLE_DAMAGED) > 0);
    strbuf_fini(&page);
}

static void any_bytes_in_shared_memory_make_a_valid_page(void **state)
{
    struct stage *stage = *state;
    struct dice dice = dice_new("any_bytes_in_shared_memory_make_a_valid_page");
    struct shm_delivery *delivery = stage->delivery.data;
    for (int round = 0; round < 20; round++) {
        uint8_t *pages = (uint8_t *)stage->supervisor;
        for (size_t i = 0; i < (1 + SHM_SLOTS) * (size_t)SHM_PAGE; i++)
            pages[i] = (uint8_t)dice_roll(&dice, 256);
        for (size_t k = 0; k < SHM_MAX_REMOTES; k++) {
            uint8_t *remote = (uint8_t *)&delivery->remotes[k];
            for (size_t i = 0; i < offsetof(struct shm_remote, lanes); i++)
                remote[i] = (uint8_t)dice_roll(&dice, 256);
        }
        struct strbuf page = metrics_of(stage);
        expect_valid(&page);
        strbuf_fini(&page);
        readiness_check(&stage->view, &page);
        strbuf_fini(&page);
    }
}

/* Target 5 of job app, with one label. */
static struct target_view app_target(const char *path, const char *url, const struct label *label)
{
    return (struct target_view){.id = 5,
                                .interval_ms = 90000,
                                .timeout_ms = 1000,
                                .job = SLICE_LITERAL("app"),
                                .host = SLICE_LITERAL("h:1"),
                                .path = slice_of(path),
                                .url = slice_of(url),
                                .label_count = 1,
                                .labels = label};
}

/* What was asked to be a target of job app, and is none. */
static struct dropped_view app_dropped(const struct label *label)
{
    return (struct dropped_view){.job = SLICE_LITERAL("app"), .label_count = 1, .labels = label};
}

/* A table of these targets of job app, which has dropped three of which one is known. */
static void make_table(struct stage *stage, const struct target_view *targets, int count)
{
    const struct dropped_view total = {.job = SLICE_LITERAL("app"), .total = 3};
    const struct dropped_view dropped = app_dropped(targets[0].labels);
    targets_writer_begin(&stage->targets);
    for (int i = 0; i < count; i++)
        assert_int_equal(targets_writer_add(&stage->targets, &targets[i]), 0);
    assert_int_equal(targets_writer_add_dropped(&stage->targets, &total), 0);
    assert_int_equal(targets_writer_add_dropped(&stage->targets, &dropped), 0);
    targets_writer_commit(&stage->targets);
}

static void targets_are_listed_with_what_is_wrong_with_them(void **state)
{
    struct stage *stage = *state;
    struct reasons reasons;
    struct answer answer;
    const struct label label = {SLICE_LITERAL("zone"), SLICE_LITERAL("<b>&")};
    struct target_view targets[2];
    targets[0] = targets[1] = app_target("/m", "http://h:1/m", &label);
    targets[0].owner = targets[1].owner = 1;
    targets[1].id = 6;
    targets[1].error = SLICE_LITERAL("lookup nowhere: no such host");
    make_table(stage, targets, 2);
    assert_int_equal(reasons_attach(&reasons, stage->fds.ring[1]), 0);
    reasons_set(&reasons, 5, 1700000000000, SLICE_LITERAL("sample limit\nexceeded"));
    page_find("/targets")->write(&stage->view, &no_query, &answer);
    assert_int_equal(answer.status, 200);
    assert_non_null(strstr(answer.body.text,
                           "<tr><td>app</td><td>http://h:1/m</td><td>zone=\"&lt;b>&amp;\"</td>"
                           "<td>2023-11-14 22:13:20Z</td><td>sample limit exceeded</td></tr>"));
    assert_non_null(strstr(answer.body.text, "<td></td><td>lookup nowhere: no such host</td>"));
    assert_non_null(strstr(answer.body.text, "<tr><td>app</td><td>3 dropped</td></tr>\n"
                                             "<tr><td>app</td><td>zone=\"&lt;b>&amp;\"</td>"));
    strbuf_fini(&answer.body);
    reasons_clear(&reasons, 5);
    page_find("/targets")->write(&stage->view, &no_query, &answer);
    assert_non_null(strstr(answer.body.text, "&amp;\"</td><td></td><td></td></tr>"));
    strbuf_fini(&answer.body);
    reasons_detach(&reasons);
}

static void expect_api(struct stage *stage, const char *state, const char *pool, const char *wanted)
{
    struct answer answer;
    const struct target_query query = {state, pool};
    page_find("/api/v1/targets")->write(&stage->view, &query, &answer);
    assert_int_equal(answer.status, 200);
    assert_string_equal(answer.content_type, "application/json");
    assert_string_equal(answer.body.text, wanted);
    strbuf_fini(&answer.body);
}

static void programs_are_told_of_targets_as_prometheus_does(void **state)
{
    struct stage *stage = *state;
    struct reasons reasons;
    const struct label label = {SLICE_LITERAL("zone"), SLICE_LITERAL("\"b\"\n")};
    const struct target_view target = app_target("/m?x=y", "http://h:1/m?x=y", &label);
    make_table(stage, &target, 1);
    assert_int_equal(reasons_attach(&reasons, stage->fds.ring[0]), 0);
#define BEFORE_ERROR                                                                               \
    "{\"discoveredLabels\":{\"__address__\":\"h:1\",\"__metrics_path__\":\"/m\","                  \
    "\"__scheme__\":\"http\",\"__scrape_interval__\":\"1m30s\",\"__scrape_timeout__\":\"1s\","     \
    "\"job\":\"app\"},\"labels\":{\"zone\":\"\\\"b\\\"\\n\"},\"scrapePool\":\"app\","              \
    "\"scrapeUrl\":\"http://h:1/m?x=y\",\"globalUrl\":\"http://h:1/m?x=y\",\"lastError\":"
#define BEHIND_HEALTH                                                                              \
    ",\"lastScrape\":\"0001-01-01T00:00:00Z\",\"lastScrapeDuration\":0,"                           \
    "\"scrapeInterval\":\"1m30s\",\"scrapeTimeout\":\"1s\"}"
#define ACTIVE BEFORE_ERROR "\"\",\"health\":\"unknown\"" BEHIND_HEALTH
#define START  "{\"status\":\"success\",\"data\":{\"activeTargets\":["
#define DROPPED                                                                                    \
    "],\"droppedTargets\":[{\"discoveredLabels\":{\"zone\":\"\\\"b\\\"\\n\"},\"scrapePool\":"      \
    "\"app\"}],"                                                                                   \
    "\"droppedTargetCounts\":{\"app\":3}}}\n"
#define NONE_DROPPED "],\"droppedTargets\":[],\"droppedTargetCounts\":null}}\n"
    expect_api(stage, NULL, NULL, START ACTIVE DROPPED);
    expect_api(stage, "any", "app", START ACTIVE DROPPED);
    expect_api(stage, "Active", NULL, START ACTIVE NONE_DROPPED);
    expect_api(stage, "dropped", "", START DROPPED);
    expect_api(stage, "other", NULL, START NONE_DROPPED);
    expect_api(stage, NULL, "no such",
               START "],\"droppedTargets\":[],\"droppedTargetCounts\":{}}}\n");
    reasons_set(&reasons, 5, 1700000000000, SLICE_LITERAL("too \"much\""));
    expect_api(stage, "active", NULL,
               START BEFORE_ERROR
               "\"too \\\"much\\\"\",\"health\":\"down\"" BEHIND_HEALTH NONE_DROPPED);
    reasons_detach(&reasons);
}

static void any_bytes_in_the_table_of_targets_make_an_answer(void **state)
{
    struct stage *stage = *state;
    struct dice dice = dice_new("any_bytes_in_the_table_of_targets_make_an_answer");
    const struct label label = {SLICE_LITERAL("zone"), SLICE_LITERAL("b")};
    const struct target_view target = app_target("/m?x=y", "http://h:1/m?x=y", &label);
    const struct dropped_view dropped = app_dropped(&label);
    for (int round = 0; round < 300; round++) {
        struct answer answer;
        targets_writer_begin(&stage->targets);
        for (int i = 0; i < 3; i++)
            assert_int_equal(targets_writer_add(&stage->targets, &target), 0);
        assert_int_equal(targets_writer_add_dropped(&stage->targets, &dropped), 0);
        uint8_t *half = stage->targets.half;
        uint64_t length = stage->targets.length;
        targets_writer_commit(&stage->targets);
        for (int i = 0; i < 1 + round / 10; i++) {
            uint32_t at = dice_roll(&dice, (uint32_t)length);
            half[at] = (uint8_t)dice_roll(&dice, 256);
        }
        page_find("/api/v1/targets")->write(&stage->view, &no_query, &answer);
        assert_true(answer.status == 200 || answer.status == 503);
        strbuf_fini(&answer.body);
    }
}

static void what_is_no_target_has_a_page_of_its_own(void **state)
{
    struct stage *stage = *state;
    struct answer answer;
    const struct target_view target = {.id = 5,
                                       .interval_ms = 1000,
                                       .timeout_ms = 1000,
                                       .job = SLICE_LITERAL("app"),
                                       .url = SLICE_LITERAL("http://h:1/m")};
    targets_writer_begin(&stage->targets);
    assert_int_equal(targets_writer_add(&stage->targets, &target), 0);
    assert_int_equal(targets_writer_add_none(&stage->targets, SLICE_LITERAL("app"),
                                             SLICE_LITERAL("pod shop/<web>"),
                                             SLICE_LITERAL("no port & no hope")),
                     0);
    targets_writer_commit(&stage->targets);
    page_find("/service-discovery")->write(&stage->view, &no_query, &answer);
    assert_int_equal(answer.status, 200);
    assert_non_null(strstr(answer.body.text,
                           "<th>Why</th></tr>\n<tr><td>app</td><td>pod shop/&lt;web>"
                           "</td><td>no port &amp; no hope</td></tr>\n</table>"));
    strbuf_fini(&answer.body);
    page_find("/targets")->write(&stage->view, &no_query, &answer);
    assert_non_null(strstr(answer.body.text, "http://h:1/m"));
    assert_null(strstr(answer.body.text, "no hope"));
    strbuf_fini(&answer.body);
}

static void without_a_list_there_is_no_page_of_targets(void **state)
{
    struct stage *stage = *state;
    struct answer answer;
    page_find("/targets")->write(&stage->view, &no_query, &answer);
    assert_int_equal(answer.status, 503);
    strbuf_fini(&answer.body);
    page_find("/api/v1/targets")->write(&stage->view, &no_query, &answer);
    assert_int_equal(answer.status, 503);
    strbuf_fini(&answer.body);
}

static void two_remotes_of_the_same_labels_are_shown_once(void **state)
{
    struct stage *stage = *state;
    stage_remote(stage, "a", "http://h:1/w");
    struct shm_remote *other = stage_remote(stage, "b", "http://h:1/w");
    memcpy(other->name, "a", 2);
    struct strbuf page = metrics_of(stage);
    expect_valid(&page);
    assert_true(slot_get(stage->view.own, COUNTER_CONSOLE_DAMAGED) > 0);
    strbuf_fini(&page);
}

static int open_stage(void **state)
{
    struct stage *stage = calloc(1, sizeof(*stage));
    assert_non_null(stage);
    stage_open(stage);
    *state = stage;
    return 0;
}

static int close_stage(void **state)
{
    stage_close(*state);
    free(*state);
    return 0;
}

#define STAGED(test) cmocka_unit_test_setup_teardown(test, open_stage, close_stage)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STAGED(a_limpet_that_has_not_started_says_all_that_is_missing),
        STAGED(it_is_ready_when_all_children_are),
        STAGED(a_scraper_without_targets_is_not_ready),
        STAGED(a_child_that_died_is_not_ready_whatever_its_slot_says),
        STAGED(a_stranger_with_the_pid_of_a_child_is_not_taken_for_it),
        STAGED(a_limpet_on_its_way_out_is_not_ready),
        STAGED(the_page_is_valid_and_has_every_counter),
        STAGED(counters_carry_the_labels_of_their_process),
        STAGED(prometheus_names_are_sums_over_all_processes),
        STAGED(remotes_are_told_apart_by_name_and_url),
        STAGED(the_supervisors_page_is_shown),
        STAGED(processes_that_live_show_their_use),
        STAGED(impossible_numbers_are_counted_and_survived),
        STAGED(any_bytes_in_shared_memory_make_a_valid_page),
        STAGED(targets_are_listed_with_what_is_wrong_with_them),
        STAGED(programs_are_told_of_targets_as_prometheus_does),
        STAGED(any_bytes_in_the_table_of_targets_make_an_answer),
        STAGED(what_is_no_target_has_a_page_of_its_own),
        STAGED(without_a_list_there_is_no_page_of_targets),
        STAGED(two_remotes_of_the_same_labels_are_shown_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
