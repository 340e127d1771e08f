/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "supervisor/check_config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

struct outcome {
    int status;
    char *out;
    char *err;
};

/* Runs in the directory of the file, so that messages carry a short name. */
static struct outcome run(const char *text)
{
    struct outcome outcome;
    size_t out_len, err_len;
    char directory[] = "/tmp/limpet-test-check-XXXXXX";
    assert_non_null(mkdtemp(directory));
    assert_int_equal(chdir(directory), 0);
    FILE *file = fopen("f.yml", "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    FILE *out = open_memstream(&outcome.out, &out_len);
    FILE *err = open_memstream(&outcome.err, &err_len);
    outcome.status = check_config_run("f.yml", out, err);
    fclose(out);
    fclose(err);
    assert_int_equal(unlink("f.yml"), 0);
    assert_int_equal(chdir("/"), 0);
    assert_int_equal(rmdir(directory), 0);
    return outcome;
}

static void a_valid_file_is_told_in_lines(void **state)
{
    (void)state;
    struct outcome outcome = run("global: {scrape_interval: 15s}\n"
                                 "scrape_configs:\n"
                                 "- job_name: node\n"
                                 "  static_configs: [{targets: [a, b]}, {targets: [c]}]\n"
                                 "  file_sd_configs: [{files: [t/*.json]}]\n"
                                 "  relabel_configs: [{target_label: a}, {target_label: b}]\n"
                                 "  metric_relabel_configs: [{action: DROP, regex: x}]\n"
                                 "- {job_name: idle}\n"
                                 "remote_write: [{url: 'http://h/w', name: main, "
                                 "write_relabel_configs: [{action: keep}]}]\n"
                                 "limpet: {scrapers: 2, cpus: 0-1}\n");
    assert_int_equal(outcome.status, 0);
    assert_string_equal(
        outcome.out,
        "f.yml is valid\n"
        "2 scrapers, a ring of 64MiB each, ticks of at most 500ms, pinning auto, CPUs 0,1\n"
        "job node: http /metrics every 15s, time-out 10s, 3 static targets\n"
        "    and those of the files t/*.json\n"
        "    2 relabelling rules for targets\n"
        "    1 relabelling rule for samples\n"
        "job idle: http /metrics every 15s, time-out 10s, 0 static targets\n"
        "remote main: http://h/w, time-out 30s, 1 to 50 shards, at most 10000 samples or 5s a "
        "request\n"
        "    1 relabelling rule for what is sent\n");
    assert_string_equal(outcome.err, "warning: f.yml:8:3: the job \"idle\" has no targets: neither "
                                     "`static_configs` nor one of the `*_sd_configs`\n");
    free(outcome.out);
    free(outcome.err);
}

static void an_invalid_file_is_one_line_on_the_error_side(void **state)
{
    (void)state;
    struct outcome outcome = run("globl: {}\n");
    assert_int_equal(outcome.status, 1);
    assert_string_equal(outcome.out, "");
    assert_string_equal(outcome.err,
                        "f.yml:1:1: unknown key \"globl\"; the nearest valid key is `global`\n");
    free(outcome.out);
    free(outcome.err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_valid_file_is_told_in_lines),
        cmocka_unit_test(an_invalid_file_is_one_line_on_the_error_side),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
