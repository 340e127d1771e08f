/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Failed scrapes become lines of the files that jobs name. */
#include "console/failure_log.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "shm/failures.h"
#include "tests/unit/console/stage.h"

struct fixture {
    struct stage stage;
    char path[64];
    struct config_job jobs[3];
    struct config config;
    struct failures failures[STAGE_SCRAPERS];
    struct failure_log *log;
    char text[65536];
};

static void add_target(struct fixture *fixture, uint64_t id, const char *job, const char *url)
{
    const struct target_view target = {.id = id,
                                       .interval_ms = 1000,
                                       .timeout_ms = 1000,
                                       .job = slice_of(job),
                                       .url = slice_of(url)};
    assert_int_equal(targets_writer_add(&fixture->stage.targets, &target), 0);
}

static int set_up(void **state)
{
    static struct fixture fixture;
    memset(&fixture, 0, sizeof(fixture));
    stage_open(&fixture.stage);
    snprintf(fixture.path, sizeof(fixture.path), "/tmp/limpet-test-XXXXXX");
    int fd = mkstemp(fixture.path);
    assert_true(fd >= 0);
    close(fd);
    static const char *const names[] = {"a", "quiet", "b"};
    for (size_t i = 0; i < 3; i++)
        fixture.jobs[i] = (struct config_job){
            .job_name = names[i], .scrape_failure_log_file = i == 1 ? "" : fixture.path};
    fixture.config.scrape_configs = (struct config_jobs){fixture.jobs, 3};
    for (uint32_t i = 0; i < STAGE_SCRAPERS; i++)
        assert_int_equal(failures_attach(&fixture.failures[i], fixture.stage.fds.ring[i]), 0);
    targets_writer_begin(&fixture.stage.targets);
    add_target(&fixture, 1, "a", "http://h:1/m?x=\"y\"");
    add_target(&fixture, 2, "quiet", "http://h:2/m");
    add_target(&fixture, 3, "b", "http://h:3/m");
    targets_writer_commit(&fixture.stage.targets);
    fixture.log = failure_log_new(&fixture.config, &fixture.stage.view);
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    failure_log_free(fixture->log);
    for (uint32_t i = 0; i < STAGE_SCRAPERS; i++)
        failures_detach(&fixture->failures[i]);
    unlink(fixture->path);
    stage_close(&fixture->stage);
    return 0;
}

static void fail_scrape(struct fixture *fixture, uint32_t scraper, uint64_t target,
                        const char *text)
{
    failures_add(&fixture->failures[scraper], target, 1700000000042, slice_of(text));
}

static const char *written(struct fixture *fixture)
{
    FILE *file = fopen(fixture->path, "r");
    assert_non_null(file);
    size_t len = fread(fixture->text, 1, sizeof(fixture->text) - 1, file);
    fixture->text[len] = '\0';
    fclose(file);
    return fixture->text;
}

static uint64_t counter(struct fixture *fixture, enum counter counter)
{
    return slot_get(fixture->stage.view.own, counter);
}

#define TIME "{\"time\":\"2023-11-14T22:13:20.042Z\",\"level\":\"ERROR\","

static void failures_of_jobs_that_want_it_are_appended(void **state)
{
    struct fixture *fixture = *state;
    fail_scrape(fixture, 0, 3, "connection refused");
    fail_scrape(fixture, 0, 2, "nobody cares");
    fail_scrape(fixture, 0, 1, "say \"no\"\n");
    fail_scrape(fixture, 1, 3, "again");
    failure_log_turn(fixture->log);
    failure_log_turn(fixture->log);
    assert_string_equal(
        written(fixture),
        TIME "\"msg\":\"connection refused\",\"job_name\":\"b\",\"target\":\"http://h:3/m\"}\n" TIME
             "\"msg\":\"say \\\"no\\\"\\n\",\"job_name\":\"a\","
             "\"target\":\"http://h:1/m?x=\\\"y\\\"\"}\n" TIME
             "\"msg\":\"again\",\"job_name\":\"b\",\"target\":\"http://h:3/m\"}\n");
    assert_int_equal(counter(fixture, COUNTER_FAILURES_LOGGED), 3);
}

static void a_successor_goes_on_where_this_one_ended(void **state)
{
    struct fixture *fixture = *state;
    fail_scrape(fixture, 0, 1, "first");
    failure_log_turn(fixture->log);
    failure_log_free(fixture->log);
    fail_scrape(fixture, 0, 1, "second");
    fixture->log = failure_log_new(&fixture->config, &fixture->stage.view);
    failure_log_turn(fixture->log);
    const char *text = written(fixture);
    const char *first = strstr(text, "first"), *second = strstr(text, "second");
    assert_true(first != NULL && second != NULL && first < second);
    assert_null(strstr(first + 1, "first"));
}

static void targets_that_have_gone_and_late_reading_are_counted(void **state)
{
    struct fixture *fixture = *state;
    fail_scrape(fixture, 0, 99, "who was that");
    failure_log_turn(fixture->log);
    assert_string_equal(written(fixture), "");
    assert_int_equal(counter(fixture, COUNTER_FAILURES_NOT_LOGGED), 1);
    for (uint32_t i = 0; i < SHM_FAILURES_COUNT + 9; i++)
        fail_scrape(fixture, 1, 3, "x");
    failure_log_turn(fixture->log);
    assert_int_equal(counter(fixture, COUNTER_FAILURES_NOT_LOGGED), 11);
    assert_int_equal(counter(fixture, COUNTER_FAILURES_LOGGED), SHM_FAILURES_COUNT - 1);
}

static void a_file_that_cannot_be_written_costs_only_its_lines(void **state)
{
    struct fixture *fixture = *state;
    failure_log_free(fixture->log);
    fixture->jobs[0].scrape_failure_log_file = "/nowhere/at/all";
    fixture->log = failure_log_new(&fixture->config, &fixture->stage.view);
    fail_scrape(fixture, 0, 1, "lost");
    fail_scrape(fixture, 0, 3, "kept");
    failure_log_turn(fixture->log);
    assert_null(strstr(written(fixture), "lost"));
    assert_non_null(strstr(written(fixture), "kept"));
    assert_int_equal(counter(fixture, COUNTER_FAILURES_NOT_LOGGED), 1);
}

/* A file that cannot be written is then one line of the log, though `global` names it for all jobs.
 */
static void jobs_share_a_file_that_they_all_name(void **state)
{
    struct fixture *fixture = *state;
    size_t found = 0;
    DIR *open_files = opendir("/proc/self/fd");
    assert_non_null(open_files);
    for (struct dirent *entry; (entry = readdir(open_files)) != NULL;) {
        char target[sizeof(fixture->path)] = "";
        if (readlinkat(dirfd(open_files), entry->d_name, target, sizeof(target) - 1) > 0)
            found += strcmp(target, fixture->path) == 0;
    }
    closedir(open_files);
    assert_int_equal(found, 1);
}

static void nobody_who_wants_it_costs_nothing(void **state)
{
    struct fixture *fixture = *state;
    for (size_t i = 0; i < 3; i++)
        fixture->jobs[i].scrape_failure_log_file = "";
    assert_null(failure_log_new(&fixture->config, &fixture->stage.view));
    failure_log_turn(NULL);
    failure_log_free(NULL);
    /* tear_down frees the one of set_up, which looks at what it opened. */
    for (size_t i = 0; i < 3; i++)
        fixture->jobs[i].scrape_failure_log_file = fixture->path;
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(failures_of_jobs_that_want_it_are_appended),
        TEST(a_successor_goes_on_where_this_one_ended),
        TEST(targets_that_have_gone_and_late_reading_are_counted),
        TEST(a_file_that_cannot_be_written_costs_only_its_lines),
        TEST(jobs_share_a_file_that_they_all_name),
        TEST(nobody_who_wants_it_costs_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
