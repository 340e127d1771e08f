/* SPDX-License-Identifier: GPL-2.0-or-later */
/* `target_allocator`, and what its answers become. */

#include "config/supplied_jobs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "config/allocator_rules.h"
#include "config/codec.h"
#include "config/freeze.h"
#include "config/schema.h"

static struct errctx why;

/* A file with this block, in the flow style. */
static int read_block(const char *block, struct config **ret_config)
{
    char text[2048];
    int len = snprintf(text, sizeof(text),
                       "{global: {scrape_interval: 15s, scrape_timeout: 5s},"
                       " scrape_configs: [{job_name: own}], limpet: {target_allocator: %s}}",
                       block);
    why.text[0] = '\0';
    return config_parse("/etc/limpet/limpet.yml", text, (size_t)len, ret_config, &why);
}

static struct config *config_of(const char *block)
{
    struct config *config = NULL;
    if (read_block(block, &config) != 0)
        fail_msg("%s", why.text);
    return config;
}

static const struct config_target_allocator *allocator_of(const struct config *config)
{
    return &config->limpet.target_allocator;
}

#define PLAIN "endpoint: 'http://ta:80/', collector_id: pod-1"

static void the_block_has_the_collectors_defaults(void **state)
{
    (void)state;
    struct config *config = config_of("{" PLAIN "}");
    const struct config_target_allocator *allocator = allocator_of(config);
    assert_true(allocator->given);
    assert_string_equal(allocator->endpoint, "http://ta:80");
    assert_string_equal(allocator->collector_id, "pod-1");
    assert_int_equal(allocator->interval, 30000);
    assert_int_equal(allocator->timeout, 30000);
    assert_int_equal(allocator->sd.refresh_interval, 30000);
    assert_false(allocator->http.follow_redirects);
    assert_false(allocator->sd.http.follow_redirects);
    assert_false(allocator->scrape.given);
    assert_true(allocator->deny_file_references);
    config_free(config);
}

static void variables_of_the_environment_are_put_in(void **state)
{
    (void)state;
    setenv("LIMPET_TEST_POD", "agent-x7k2p", 1);
    unsetenv("LIMPET_TEST_NONE");
    struct config *config = config_of(
        "{endpoint: 'http://${LIMPET_TEST_POD}', collector_id: '${env:LIMPET_TEST_POD}'}");
    assert_string_equal(allocator_of(config)->endpoint, "http://agent-x7k2p");
    assert_string_equal(allocator_of(config)->collector_id, "agent-x7k2p");
    config_free(config);
    assert_int_equal(
        read_block("{endpoint: 'http://ta', collector_id: '${LIMPET_TEST_NONE}'}", &config),
        ERR_CONFIG);
    assert_string_equal(why.text, "/etc/limpet/limpet.yml:1:154: `collector_id` uses the "
                                  "environment variable LIMPET_TEST_NONE, which is empty or not "
                                  "set");
}

static void what_cannot_work_is_refused(void **state)
{
    (void)state;
    static const char *const blocks[][2] = {
        {"{endpoint: 'http://ta'}", "`collector_id` is missing"},
        {"{collector_id: x}", "`endpoint` is missing"},
        {"{endpoint: 'ta:80', collector_id: x}", "must be a URL"},
        {"{endpoint: 'http://ta?x=y', collector_id: x}", "must not have a query"},
        {"{endpoint: 'http://ta', collector_id: 'a b'}", "must be a name"},
        {"{endpoint: 'http://ta', collector_id: ''}", "must not be empty"},
        {"{endpoint: 'http://ta', collector_id: '$${x}'}", "has a \"${\" that is no variable"},
        {"{" PLAIN ", auth: {authenticator: x}}", "extension of the collector"},
        {"{" PLAIN ", tls: {ca_pem: '?'}}", "`ca_pem` must be PEM"},
        {"{" PLAIN ", tls: {ca_file: a}, tls_config: {ca_file: b}}", "give one of them"},
        {"{" PLAIN ", tls: {cert_file: a}}", "exactly one of key or key_file"},
        {"{" PLAIN ", headers: {Host: x}}", "which limpet sets itself"},
        {"{" PLAIN ", http_scrape_config: {bearer_token: a, bearer_token_file: b}}",
         "at most one of bearer_token"},
    };
    for (size_t i = 0; i < sizeof(blocks) / sizeof(blocks[0]); i++) {
        struct config *config;
        assert_int_equal(read_block(blocks[i][0], &config), ERR_CONFIG);
        if (strstr(why.text, blocks[i][1]) == NULL)
            fail_msg("%s: %s", blocks[i][0], why.text);
    }
}

static void targets_are_asked_for_with_what_jobs_are(void **state)
{
    (void)state;
    struct config *config = config_of(
        "{" PLAIN ", interval: 10s, timeout: 1m, proxy_url: 'http://proxy:1', headers: {X-A: b},"
        " tls: {ca_file: ca.crt, cert_pem: LS0tLS1CRUdJTg==, key_file: /k, min_version: '1.3',"
        " server_name_override: name, reload_interval: 5m, insecure: false}, idle_conn_timeout: "
        "90s, basic_auth: {username: me}, http_sd_config: {refresh_interval: 5s}}");
    const struct config_http_client *clients[] = {&allocator_of(config)->http,
                                                  &allocator_of(config)->sd.http};
    for (int i = 0; i < 2; i++) {
        const struct config_tls *tls = &clients[i]->tls_config;
        assert_string_equal(tls->ca_file, "/etc/limpet/ca.crt");
        assert_string_equal(tls->cert, "-----BEGIN");
        assert_string_equal(tls->key_file, "/k");
        assert_string_equal(tls->server_name, "name");
        assert_int_equal(tls->min_version, CONFIG_TLS_1_3);
        assert_string_equal(clients[i]->proxy.proxy_url, "http://proxy:1");
        assert_int_equal(clients[i]->http_headers.len, 1);
        assert_string_equal(clients[i]->http_headers.items[0].values.items[0], "b");
        assert_string_equal(clients[i]->basic_auth.username, "me");
    }
    assert_int_equal(allocator_of(config)->timeout, 10000);
    assert_int_equal(allocator_of(config)->sd.refresh_interval, 5000);
    config_free(config);
}

static void the_block_survives_a_snapshot(void **state)
{
    (void)state;
    struct config *config = config_of("{" PLAIN ", headers: {X-A: b}, allowed_directories: [x]}");
    struct config *thawed;
    struct strbuf before = STRBUF_GROWING, after = STRBUF_GROWING;
    int fd;
    assert_int_equal(config_freeze(config, &fd, NULL), 0);
    assert_int_equal(config_thaw(fd, &thawed, NULL), 0);
    codec_encode(&schema_root, config, &before);
    codec_encode(&schema_root, thawed, &after);
    assert_int_equal(before.len, after.len);
    assert_memory_equal(before.text, after.text, before.len);
    assert_string_equal(allocator_of(thawed)->allowed_directories.items[0], "/etc/limpet/x");
    assert_string_equal(allocator_of(thawed)->http.http_headers.items[0].name, "X-A");
    strbuf_fini(&before);
    strbuf_fini(&after);
    config_free(config);
    config_free(thawed);
}

/* ---- answers ---- */

static struct supplied_jobs read_jobs(const struct config *config, const char *text)
{
    struct supplied_jobs jobs;
    why.text[0] = '\0';
    if (supplied_jobs_read(slice_of(text), config, &jobs, &why) != 0)
        fail_msg("%s", why.text);
    return jobs;
}

static void a_job_is_as_if_it_stood_in_the_file(void **state)
{
    (void)state;
    struct config *config = config_of("{" PLAIN "}");
    struct supplied_jobs jobs = read_jobs(
        config, "{\"a/b/0\":{\"job_name\":\"a/b/0\",\"scrape_timeout\":\"30s\",\"sample_limit\":5,"
                "\"kubernetes_sd_configs\":[{\"role\":\"endpointslice\",\"nonsense\":1}],"
                "\"consul_sd_configs\":[{}],\"static_configs\":[{\"targets\":[\"/"
                "\"]}],\"scrape_failure_log_file\":\"/x\","
                "\"relabel_configs\":[{\"source_labels\":[\"x\"],\"target_label\":\"y\","
                "\"separator\":\";\","
                "\"replacement\":\"$1\",\"action\":\"keepequal\"},"
                "{\"source_labels\":[\"__address__\",\"t\"],\"modulus\":2,\"target_label\":\"t\","
                "\"action\":\"hashmod\"}]}}");
    assert_int_equal(jobs.len, 1);
    const struct config_job *job = jobs.items[0].job;
    assert_string_equal(jobs.items[0].error, "");
    assert_string_equal(jobs.items[0].unknown, "");
    assert_non_null(job);
    assert_string_equal(job->job_name, "a/b/0");
    assert_int_equal(job->scrape_interval, 15000);
    assert_int_equal(job->scrape_timeout, 15000);
    assert_int_equal(job->limits.sample_limit, 5);
    assert_int_equal(job->fallback_scrape_protocol, CONFIG_PROTOCOL_TEXT_0_0_4);
    assert_true(job->honor_timestamps);
    assert_int_equal(job->relabel_configs.len, 2);
    assert_int_equal(job->relabel_configs.items[1].modulus, 2);
    assert_int_equal(job->kubernetes_sd_configs.len + job->static_configs.len, 0);
    assert_string_equal(job->scrape_failure_log_file, "");
    supplied_jobs_free(&jobs);
    config_free(config);
}

static void wrong_jobs_say_why_and_leave_the_others(void **state)
{
    (void)state;
    struct config *config = config_of("{" PLAIN "}");
    struct supplied_jobs jobs = read_jobs(
        config, "{\"good\":{\"job_name\":\"good\",\"new_key\":[1,{\"a\":null}]},"
                "\"own\":{\"job_name\":\"own\"},"
                "\"\":{\"job_name\":\"\"},"
                "\"list\":[],"
                "\"null\":null,"
                "\"other\":{\"job_name\":\"another\"},"
                "\"limpet\":{\"job_name\":\"limpet\",\"limpet\":{\"start_timestamps\":true}},"
                "\"soon\":{\"job_name\":\"soon\",\"scrape_interval\":\"soon\"},"
                "\"deep\":{\"job_name\":\"deep\",\"tls_config\":{\"new_key\":1}}}");
    static const char *const errors[] = {"",
                                         "goes before",
                                         "must have a name",
                                         "must be a mapping of keys, not a list",
                                         "must be a mapping of keys, not empty",
                                         "the job is served as \"other\"",
                                         "",
                                         "scrape_configs:1:",
                                         "unknown key \"new_key\""};
    assert_int_equal(jobs.len, 9);
    for (size_t i = 0; i < jobs.len; i++) {
        assert_int_equal(jobs.items[i].job == NULL, errors[i][0] != '\0');
        if (strstr(jobs.items[i].error, errors[i]) == NULL)
            fail_msg("%s: %s", jobs.items[i].name, jobs.items[i].error);
    }
    assert_string_equal(jobs.items[0].unknown, "\"new_key\"");
    assert_false(jobs.items[6].job->limpet.start_timestamps);
    supplied_jobs_free(&jobs);
    config_free(config);
}

static void what_is_no_answer_is_an_error(void **state)
{
    (void)state;
    static const char *const texts[] = {"",  "null",        "[]",
                                        "{", "{\"a\":{}}x", "{\"a\":{},\"a\":{}}"};
    struct config *config = config_of("{" PLAIN "}");
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct supplied_jobs jobs;
        assert_int_equal(supplied_jobs_read(slice_of(texts[i]), config, &jobs, &why), ERR_CONFIG);
        assert_int_equal(strncmp(why.text, "scrape_configs:1:", 17), 0);
        supplied_jobs_free(&jobs);
    }
    struct supplied_jobs none = read_jobs(config, " {} ");
    assert_int_equal(none.len, 0);
    supplied_jobs_free(&none);
    config_free(config);
}

/* Whether a job that names this file, by this key, may be used. */
static bool may_name(const char *block, const char *key, const char *path)
{
    char text[512];
    struct config *config = config_of(block);
    snprintf(text, sizeof(text), "{\"a\":{\"job_name\":\"a\",%s\"%s\"%s}}", key, path,
             strchr(key, '[') != NULL   ? "]}}"
             : strchr(key, '{') != NULL ? "}"
                                        : "");
    struct supplied_jobs jobs = read_jobs(config, text);
    bool may = jobs.items[0].job != NULL;
    if (!may && strstr(jobs.items[0].error, "deny_file_references") == NULL)
        fail_msg("%s", jobs.items[0].error);
    supplied_jobs_free(&jobs);
    config_free(config);
    return may;
}

static void files_are_not_given_away(void **state)
{
    (void)state;
    static const char *const keys[] = {
        "\"bearer_token_file\":",
        "\"authorization\":{\"credentials_file\":",
        "\"basic_auth\":{\"password_file\":",
        "\"basic_auth\":{\"username_file\":",
        "\"tls_config\":{\"ca_file\":",
        "\"tls_config\":{\"key_file\":\"/allowed/k\",\"cert_file\":",
        "\"tls_config\":{\"cert_file\":\"/allowed/k\",\"key_file\":",
        "\"oauth2\":{\"client_id\":\"x\",\"token_url\":\"http://x\",\"client_secret_file\":",
        "\"http_headers\":{\"X-A\":{\"files\":[",
    };
    static const char *const allowing = "{" PLAIN ", allowed_directories: [/allowed/]}";
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        assert_false(may_name("{" PLAIN "}", keys[i], "/allowed/token"));
        assert_true(may_name(allowing, keys[i], "/allowed/token"));
        assert_false(may_name(allowing, keys[i], "/allowed/../etc/token"));
        assert_false(may_name(allowing, keys[i], "/allowed/.."));
        assert_false(may_name(allowing, keys[i], "/allowed"));
        assert_false(may_name(allowing, keys[i], "/allowedly/token"));
        assert_false(may_name(allowing, keys[i], "token"));
        assert_true(may_name("{" PLAIN ", deny_file_references: false}", keys[i], "token"));
    }
    assert_true(may_name("{" PLAIN ", http_scrape_config: {}}", keys[0], "/etc/passwd"));
}

static void a_job_comes_out_of_its_bytes_as_it_went_in(void **state)
{
    (void)state;
    struct config *config = config_of("{" PLAIN "}");
    struct supplied_jobs jobs =
        read_jobs(config, "{\"a\":{\"job_name\":\"a\",\"metrics_path\":\"/m\"}}");
    struct strbuf bytes = STRBUF_GROWING, again = STRBUF_GROWING;
    struct arena arena = {0};
    struct config_job job = {0};
    config_job_freeze(jobs.items[0].job, &bytes);
    assert_int_equal(config_job_thaw(slice_make(bytes.text, bytes.len), &arena, &job, &why), 0);
    assert_string_equal(job.metrics_path, "/m");
    config_job_freeze(&job, &again);
    assert_int_equal(bytes.len, again.len);
    assert_memory_equal(bytes.text, again.text, bytes.len);
    for (size_t len = 0; len < bytes.len; len++)
        assert_int_equal(config_job_thaw(slice_make(bytes.text, len), &arena, &job, &why),
                         ERR_CORRUPT);
    bytes.text[0] ^= 1;
    assert_int_equal(config_job_thaw(slice_make(bytes.text, bytes.len), &arena, &job, &why),
                     ERR_VERSION);
    arena_fini(&arena);
    strbuf_fini(&bytes);
    strbuf_fini(&again);
    supplied_jobs_free(&jobs);
    config_free(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_block_has_the_collectors_defaults),
        cmocka_unit_test(variables_of_the_environment_are_put_in),
        cmocka_unit_test(what_cannot_work_is_refused),
        cmocka_unit_test(targets_are_asked_for_with_what_jobs_are),
        cmocka_unit_test(the_block_survives_a_snapshot),
        cmocka_unit_test(a_job_is_as_if_it_stood_in_the_file),
        cmocka_unit_test(wrong_jobs_say_why_and_leave_the_others),
        cmocka_unit_test(what_is_no_answer_is_an_error),
        cmocka_unit_test(files_are_not_given_away),
        cmocka_unit_test(a_job_comes_out_of_its_bytes_as_it_went_in),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
