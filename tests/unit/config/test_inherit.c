/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What jobs take from `global`, and jobs in files of their own. */
#include "config/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

static struct config *config;
static char directory[] = "/tmp/limpet-test-inherit-XXXXXX";
static struct errctx why;

static int parse(const char *text)
{
    config_free(config);
    config = NULL;
    return config_parse("f", text, strlen(text), &config, &why);
}

static void expect(const char *text)
{
    if (parse(text) != 0)
        fail_msg("%s", why.text);
}

static void expect_refusal(const char *text, const char *message)
{
    assert_int_equal(parse(text), ERR_CONFIG);
    assert_string_equal(why.text, message);
}

static const struct config_job *job(size_t index)
{
    assert_true(index < config->scrape_configs.len);
    return &config->scrape_configs.items[index];
}

static void limits_are_inherited_unless_a_job_has_its_own(void **state)
{
    (void)state;
    expect("global: {body_size_limit: 1MB, sample_limit: 2, target_limit: 3, label_limit: 4,\n"
           "  label_name_length_limit: 5, label_value_length_limit: 6, keep_dropped_targets: 7,\n"
           "  extra_scrape_metrics: true}\n"
           "scrape_configs:\n"
           "- job_name: a\n"
           "- {job_name: b, body_size_limit: 10B, sample_limit: 20, target_limit: 30,\n"
           "   label_limit: 40, label_name_length_limit: 50, label_value_length_limit: 60,\n"
           "   keep_dropped_targets: 70, extra_scrape_metrics: false}\n"
           "- {job_name: c, sample_limit: 0, body_size_limit: 0}\n");
    struct config_limits one = {1 << 20, 2, 3, 4, 5, 6, 7};
    struct config_limits two = {10, 20, 30, 40, 50, 60, 70};
    assert_memory_equal(&job(0)->limits, &one, sizeof(one));
    assert_memory_equal(&job(1)->limits, &two, sizeof(two));
    assert_memory_equal(&job(2)->limits, &one, sizeof(one));
    assert_true(job(0)->extra_scrape_metrics);
    assert_false(job(1)->extra_scrape_metrics);
}

static void names_are_utf8_unless_somebody_says_legacy(void **state)
{
    (void)state;
    expect("scrape_configs:\n"
           "- job_name: a\n"
           "- {job_name: b, metric_name_validation_scheme: legacy}\n"
           "- {job_name: c, metric_name_escaping_scheme: dots}\n"
           "- {job_name: d, metric_name_validation_scheme: '', metric_name_escaping_scheme: ''}\n");
    assert_int_equal(job(0)->metric_name_validation_scheme, CONFIG_VALIDATION_UTF8);
    assert_int_equal(job(0)->metric_name_escaping_scheme, CONFIG_ESCAPING_ALLOW_UTF_8);
    assert_int_equal(job(1)->metric_name_validation_scheme, CONFIG_VALIDATION_LEGACY);
    assert_int_equal(job(1)->metric_name_escaping_scheme, CONFIG_ESCAPING_UNDERSCORES);
    assert_int_equal(job(2)->metric_name_escaping_scheme, CONFIG_ESCAPING_DOTS);
    assert_int_equal(job(3)->metric_name_validation_scheme, CONFIG_VALIDATION_UTF8);
    assert_int_equal(job(3)->metric_name_escaping_scheme, CONFIG_ESCAPING_ALLOW_UTF_8);
}

static void schemes_are_inherited(void **state)
{
    (void)state;
    expect("global: {metric_name_validation_scheme: legacy, metric_name_escaping_scheme: values}\n"
           "scrape_configs:\n"
           "- job_name: a\n"
           "- {job_name: b, metric_name_validation_scheme: utf8}\n");
    assert_int_equal(job(0)->metric_name_validation_scheme, CONFIG_VALIDATION_LEGACY);
    assert_int_equal(job(0)->metric_name_escaping_scheme, CONFIG_ESCAPING_VALUES);
    assert_int_equal(job(1)->metric_name_validation_scheme, CONFIG_VALIDATION_UTF8);
    assert_int_equal(job(1)->metric_name_escaping_scheme, CONFIG_ESCAPING_ALLOW_UTF_8);
}

static void utf8_names_cannot_be_asked_for_where_legacy_ones_are_valid(void **state)
{
    (void)state;
    expect_refusal("scrape_configs:\n"
                   "- {job_name: a, metric_name_validation_scheme: legacy,\n"
                   "   metric_name_escaping_scheme: allow-utf-8}\n",
                   "f:3:33: `metric_name_escaping_scheme` allow-utf-8 does not go with "
                   "`metric_name_validation_scheme` legacy; use underscores, dots or values");
}

static void legacy_holds_for_external_labels_and_rules_too(void **state)
{
    (void)state;
    expect("global: {external_labels: {a-b: x}}");
    expect_refusal("global:\n  metric_name_validation_scheme: legacy\n"
                   "  external_labels: {a-b: x}",
                   "f:3:26: \"a-b\" is not a valid label name");
    assert_int_equal(parse("scrape_configs: [{job_name: j, metric_name_validation_scheme: legacy,\n"
                           " relabel_configs: [{target_label: a-b}]}]"),
                     ERR_CONFIG);
    assert_int_equal(parse("global: {metric_name_validation_scheme: legacy}\n"
                           "remote_write: [{url: 'http://h', write_relabel_configs: [{target_label:"
                           " a-b}]}]"),
                     ERR_CONFIG);
}

/* ---- files of jobs ---- */

static void write_file(const char *name, const char *text)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/%s", directory, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static int load(void)
{
    char path[256];
    config_free(config);
    config = NULL;
    snprintf(path, sizeof(path), "%s/main.yml", directory);
    return config_load(path, &config, &why);
}

static void jobs_of_files_come_after_those_of_the_main_file(void **state)
{
    (void)state;
    write_file("main.yml", "global: {sample_limit: 9}\nscrape_configs: [{job_name: own}]\n"
                           "scrape_config_files: [jobs/b*.yml, jobs/a.yml, jobs/none.yml]\n");
    write_file("jobs/a.yml", "scrape_configs: [{job_name: a}]\n");
    write_file("jobs/b2.yml", "");
    write_file("jobs/b3.yml", "scrape_configs:\n"
                              "- {job_name: b3, file_sd_configs: [{files: [t.json]}]}\n"
                              "- job_name: b4\n");
    if (load() != 0)
        fail_msg("%s", why.text);
    assert_int_equal(config->scrape_configs.len, 4);
    assert_string_equal(job(0)->job_name, "own");
    assert_string_equal(job(1)->job_name, "b3");
    assert_string_equal(job(2)->job_name, "b4");
    assert_string_equal(job(3)->job_name, "a");
    assert_int_equal(job(3)->limits.sample_limit, 9);
    assert_int_equal(job(3)->scrape_interval, 60000);
    /* Paths count from the file in which they stand. */
    const char *path = job(1)->file_sd_configs.items[0].files.items[0];
    assert_true(strncmp(path, directory, strlen(directory)) == 0);
    assert_string_equal(path + strlen(directory), "/jobs/t.json");
}

static void expect_file_refusal(const char *message)
{
    assert_true(load() < 0);
    assert_true(strncmp(why.text, directory, strlen(directory)) == 0);
    assert_string_equal(why.text + strlen(directory), message);
}

static void what_is_wrong_in_a_file_of_jobs_is_said_with_its_place(void **state)
{
    (void)state;
    write_file("main.yml", "scrape_configs: [{job_name: own}]\n"
                           "scrape_config_files: [jobs/a.yml]\n");
    write_file("jobs/a.yml", "global: {}\n");
    expect_file_refusal("/jobs/a.yml:1:1: unknown key \"global\"; the nearest valid key is "
                        "`scrape_configs`");
    write_file("jobs/a.yml", "scrape_configs:\n- {job_name: x}\n- {job_name: own}\n");
    expect_file_refusal("/jobs/a.yml:3:14: the job name \"own\" is given twice; it must be unique");
    write_file("jobs/a.yml", "scrape_configs:\n- {job_name: x, scrape_timeout: 2m}\n");
    expect_file_refusal("/jobs/a.yml:2:33: `scrape_timeout` must not be greater than "
                        "`scrape_interval`, which is 1m");
    write_file("main.yml", "scrape_config_files: ['a*/b.yml']\n");
    expect_file_refusal("/main.yml:1:22: `scrape_config_files` must be paths with * only in the "
                        "last element, not \"a*/b.yml\"");
}

static int set_up(void **state)
{
    char path[256];
    (void)state;
    if (mkdtemp(directory) == NULL)
        return -1;
    snprintf(path, sizeof(path), "%s/jobs", directory);
    return mkdir(path, 0700);
}

static int clean_up(void **state)
{
    static const char *const names[] = {"main.yml",    "jobs/a.yml", "jobs/b2.yml",
                                        "jobs/b3.yml", "jobs",       ""};
    char path[256];
    (void)state;
    config_free(config);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        snprintf(path, sizeof(path), "%s/%s", directory, names[i]);
        (void)remove(path);
    }
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(limits_are_inherited_unless_a_job_has_its_own),
        cmocka_unit_test(names_are_utf8_unless_somebody_says_legacy),
        cmocka_unit_test(schemes_are_inherited),
        cmocka_unit_test(utf8_names_cannot_be_asked_for_where_legacy_ones_are_valid),
        cmocka_unit_test(legacy_holds_for_external_labels_and_rules_too),
        cmocka_unit_test(jobs_of_files_come_after_those_of_the_main_file),
        cmocka_unit_test(what_is_wrong_in_a_file_of_jobs_is_said_with_its_place),
    };
    return cmocka_run_group_tests(tests, set_up, clean_up);
}
