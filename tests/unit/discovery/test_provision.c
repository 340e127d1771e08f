/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "discovery/provision.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "tests/unit/discovery/directory.h"

struct stage {
    struct directory directory;
    struct config *config;
    struct provision *provision;
    struct supplies *supplies;
};

static void open_stage(struct stage *stage, const char *text)
{
    struct errctx why = {""};
    char path[PATH_MAX];
    directory_path(&stage->directory, "config.yml", path);
    int err = config_parse(path, text, strlen(text), &stage->config, &why);
    assert_string_equal(why.text, "");
    assert_int_equal(err, 0);
    stage->provision = provision_new(stage->config, NULL);
}

static const struct supply *look(struct stage *stage, enum provision_role role, size_t index)
{
    int fd;
    supplies_free(stage->supplies);
    stage->supplies = NULL;
    assert_int_equal(provision_seal(stage->provision, role, &fd, NULL), 0);
    assert_int_equal(supplies_open(fd, &stage->supplies, NULL), 0);
    close(fd);
    assert_true(index < stage->supplies->len);
    return &stage->supplies->items[index];
}

static void close_stage(struct stage *stage)
{
    supplies_free(stage->supplies);
    provision_free(stage->provision);
    config_free(stage->config);
    directory_close(&stage->directory);
}

static void puts_together_what_the_configuration_says(void **state)
{
    (void)state;
    struct stage stage = {0};
    directory_open(&stage.directory);
    open_stage(&stage, "scrape_configs:\n"
                       "- job_name: a\n"
                       "- {job_name: b, bearer_token: abc}\n"
                       "- job_name: c\n"
                       "  basic_auth: {username: u, password: p}\n"
                       "  http_headers: {X: {values: [v], secrets: [s]}}\n"
                       "remote_write:\n"
                       "- {url: 'http://h/', authorization: {type: T, credentials: c}}\n");
    const struct supply *supply = look(&stage, PROVISION_SCRAPERS, 2);
    assert_int_equal(stage.supplies->len, 3);
    assert_int_equal(stage.supplies->items[0].authorization.len, 0);
    assert_true(slice_is(stage.supplies->items[1].authorization, "Bearer abc"));
    assert_true(slice_is(supply->authorization, "Basic dTpw"));
    assert_int_equal(supply->fields.len, 2);
    assert_true(slice_is(supply->fields.items[1].value, "s"));
    assert_true(slice_is(look(&stage, PROVISION_WRITER, 0)->authorization, "T c"));
    close_stage(&stage);
}

static void is_needed_only_where_there_is_something(void **state)
{
    (void)state;
    struct stage stage = {0};
    directory_open(&stage.directory);
    open_stage(&stage, "scrape_configs: [{job_name: a}]\n"
                       "remote_write: [{url: 'https://h/'}]\n");
    assert_false(provision_is_needed(stage.provision, PROVISION_SCRAPERS));
    assert_true(provision_is_needed(stage.provision, PROVISION_WRITER));
    close_stage(&stage);
}

static void follows_files(void **state)
{
    (void)state;
    struct stage stage = {0};
    directory_open(&stage.directory);
    open_stage(&stage, "scrape_configs:\n"
                       "- {job_name: a, authorization: {credentials_file: token}}\n");
    const struct supply *supply = look(&stage, PROVISION_SCRAPERS, 0);
    char expected[8192];
    snprintf(expected, sizeof(expected),
             "unable to read authorization credentials: unable to read file %s/token: No such file "
             "or directory",
             stage.directory.path);
    assert_true(slice_is(supply->error, expected));
    assert_false(provision_poll(stage.provision));

    directory_put(&stage.directory, "token", " one\n");
    assert_true(provision_poll(stage.provision));
    assert_false(provision_poll(stage.provision));
    supply = look(&stage, PROVISION_SCRAPERS, 0);
    assert_int_equal(supply->error.len, 0);
    assert_true(slice_is(supply->authorization, "Bearer one"));

    /* Written anew with the same content: nothing has changed. */
    directory_put(&stage.directory, "token", " one\n");
    assert_false(provision_poll(stage.provision));
    directory_put(&stage.directory, "token", "two");
    assert_true(provision_poll(stage.provision));
    assert_true(slice_is(look(&stage, PROVISION_SCRAPERS, 0)->authorization, "Bearer two"));
    close_stage(&stage);
}

static void brings_authorities_to_whom_needs_them(void **state)
{
    (void)state;
    struct stage stage = {0};
    directory_open(&stage.directory);
    char path[PATH_MAX];
    directory_put(&stage.directory, "system", "SYSTEM\n");
    directory_put(&stage.directory, "own", "OWN\n");
    directory_path(&stage.directory, "system", path);
    setenv("SSL_CERT_FILE", path, 1);
    open_stage(&stage,
               "scrape_configs:\n"
               "- {job_name: plain}\n"
               "- {job_name: system, scheme: https}\n"
               "- {job_name: own, scheme: https, tls_config: {ca_file: own}}\n"
               "- {job_name: inline, tls_config: {ca: CA, cert: C, key: K}}\n"
               "- {job_name: anybody, scheme: https, tls_config: {insecure_skip_verify: true}}\n"
               "- {job_name: relabelled, relabel_configs: [{target_label: __scheme__, "
               "replacement: https}]}\n");
    static const char *const authorities[] = {"", "SYSTEM", "OWN", "CA", "", ""};
    for (size_t i = 0; i < sizeof(authorities) / sizeof(authorities[0]); i++) {
        const struct supply *supply = look(&stage, PROVISION_SCRAPERS, i);
        assert_true(slice_is(supply->ca, authorities[i]));
        assert_int_equal(supply->has_tls, i != 0 && i != 5);
    }
    assert_true(slice_is(look(&stage, PROVISION_SCRAPERS, 3)->key, "K"));
    unsetenv("SSL_CERT_FILE");
    close_stage(&stage);
}

static void brings_them_later_to_whom_turns_out_to_need_them(void **state)
{
    (void)state;
    struct stage stage = {0};
    directory_open(&stage.directory);
    char path[PATH_MAX];
    directory_put(&stage.directory, "system", "SYSTEM\n");
    directory_path(&stage.directory, "system", path);
    setenv("SSL_CERT_FILE", path, 1);
    open_stage(&stage, "scrape_configs: [{job_name: a}, {job_name: b}]\n"
                       "remote_write: [{url: 'http://h/'}]\n");
    assert_false(provision_is_needed(stage.provision, PROVISION_SCRAPERS));
    assert_true(provision_expect_https(stage.provision, PROVISION_SCRAPERS, 1));
    assert_false(provision_expect_https(stage.provision, PROVISION_SCRAPERS, 1));
    assert_false(provision_expect_https(stage.provision, PROVISION_SCRAPERS, 2));
    assert_true(provision_is_needed(stage.provision, PROVISION_SCRAPERS));
    assert_false(look(&stage, PROVISION_SCRAPERS, 0)->has_tls);
    assert_true(slice_is(look(&stage, PROVISION_SCRAPERS, 1)->ca, "SYSTEM"));

    assert_false(provision_is_needed(stage.provision, PROVISION_WRITER));
    assert_true(provision_expect_https(stage.provision, PROVISION_WRITER, 0));
    assert_true(slice_is(look(&stage, PROVISION_WRITER, 0)->ca, "SYSTEM"));

    /* Jobs of the network keep what was found out of them, wherever they stand. */
    struct config_job jobs[2] = {stage.config->scrape_configs.items[0],
                                 stage.config->scrape_configs.items[0]};
    struct supplied first[] = {{&jobs[0], SLICE_LITERAL("x"), NULL}};
    struct supplied then[] = {{&jobs[1], SLICE_LITERAL("y"), NULL}, first[0]};
    provision_take_jobs(stage.provision, (struct supplied_list){first, 1});
    assert_true(provision_expect_https(stage.provision, PROVISION_SCRAPERS, 2));
    provision_take_jobs(stage.provision, (struct supplied_list){then, 2});
    assert_true(look(&stage, PROVISION_SCRAPERS, 1)->has_tls);
    assert_false(look(&stage, PROVISION_SCRAPERS, 2)->has_tls);
    assert_true(look(&stage, PROVISION_SCRAPERS, 3)->has_tls);
    unsetenv("SSL_CERT_FILE");
    close_stage(&stage);
}

static void jobs_of_the_network_come_behind_the_others(void **state)
{
    (void)state;
    struct stage stage = {0};
    directory_open(&stage.directory);
    directory_put(&stage.directory, "token", "one");
    open_stage(&stage, "scrape_configs:\n- {job_name: own, bearer_token: abc}\n"
                       "limpet: {target_allocator: {endpoint: 'http://ta', collector_id: x}}\n");
    assert_true(provision_is_needed(stage.provision, PROVISION_SCRAPERS));
    char path[PATH_MAX];
    directory_path(&stage.directory, "token", path);
    struct config_job jobs[3];
    for (int i = 0; i < 3; i++)
        jobs[i] = stage.config->scrape_configs.items[0];
    jobs[0].http.authorization.credentials = "<secret>";
    jobs[1].http.authorization.credentials = "";
    jobs[1].http.authorization.credentials_file = path;
    struct supplied items[] = {{&jobs[0], SLICE_LITERAL("first"), NULL},
                               {&jobs[1], SLICE_LITERAL("second"), NULL},
                               {&jobs[2], SLICE_LITERAL("third"), NULL}};
    provision_take_jobs(stage.provision, (struct supplied_list){items, 2});
    assert_int_equal(look(&stage, PROVISION_SCRAPERS, 0)->job.len, 0);
    const struct supply *masked = look(&stage, PROVISION_SCRAPERS, 1);
    assert_true(slice_is(masked->job, "first"));
    assert_non_null(strstr(masked->error.ptr, "over https only"));
    const struct supply *of_file = look(&stage, PROVISION_SCRAPERS, 2);
    assert_true(slice_is(of_file->job, "second"));
    assert_true(slice_is(of_file->authorization, "Bearer one"));
    assert_int_equal(stage.supplies->len, 3);
    directory_put(&stage.directory, "token", "two");
    assert_true(provision_poll(stage.provision));
    provision_take_jobs(stage.provision, (struct supplied_list){items + 2, 1});
    assert_true(slice_is(look(&stage, PROVISION_SCRAPERS, 1)->job, "third"));
    assert_int_equal(stage.supplies->len, 2);
    close_stage(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(puts_together_what_the_configuration_says),
        cmocka_unit_test(is_needed_only_where_there_is_something),
        cmocka_unit_test(follows_files),
        cmocka_unit_test(brings_authorities_to_whom_needs_them),
        cmocka_unit_test(brings_them_later_to_whom_turns_out_to_need_them),
        cmocka_unit_test(jobs_of_the_network_come_behind_the_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
