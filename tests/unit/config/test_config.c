/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

static struct config *config;

static void parse(const char *text)
{
    struct errctx why;
    if (config_parse("conf/limpet.yml", text, strlen(text), &config, &why) != 0)
        fail_msg("%s", why.text);
}

static int clean_up(void **state)
{
    (void)state;
    config_free(config);
    config = NULL;
    return 0;
}

static const struct config_job *job(size_t index)
{
    assert_true(index < config->scrape_configs.len);
    return &config->scrape_configs.items[index];
}

static const struct config_remote *remote(size_t index)
{
    assert_true(index < config->remote_write.len);
    return &config->remote_write.items[index];
}

static void an_empty_file_means_defaults(void **state)
{
    (void)state;
    parse("");
    assert_int_equal(config->global.scrape_interval, 60000);
    assert_int_equal(config->global.scrape_timeout, 10000);
    assert_int_equal(config->global.external_labels.len, 0);
    assert_int_equal(config->scrape_configs.len, 0);
    assert_int_equal(config->remote_write.len, 0);
    assert_int_equal(config->limpet.scrapers, 1);
    assert_int_equal(config->limpet.cpus.len, 0);
    assert_int_equal(config->limpet.ring_size, 64 << 20);
    assert_int_equal(config->limpet.tick_max, 500);
    assert_int_equal(config->limpet.pinning, CONFIG_PINNING_AUTO);
    assert_int_equal(config->limpet.event_loop, CONFIG_EVENT_LOOP_AUTO);
    assert_int_equal(config->limpet.spool.max_bytes, 1 << 30);
    assert_int_equal(config->limpet.spool.after, 10000);
    assert_int_equal(config->limpet.spool.max_age, 24 * 60 * 60 * 1000);
    assert_string_equal(config->path, "conf/limpet.yml");
    assert_int_equal(config->generation, 0);
    assert_int_equal(config->warnings.len, 0);
}

static void sections_without_content_mean_defaults(void **state)
{
    (void)state;
    parse("global:\nscrape_configs:\nremote_write: []\nlimpet: {}\nstorage:\nruntime: ~\n"
          "alerting: {alertmanagers: []}\nrule_files: []\nremote_read: null\n");
    assert_int_equal(config->global.scrape_interval, 60000);
}

static void a_job_has_prometheus_defaults(void **state)
{
    (void)state;
    parse("scrape_configs: [{job_name: a}]");
    assert_string_equal(job(0)->job_name, "a");
    assert_int_equal(job(0)->scrape_interval, 60000);
    assert_int_equal(job(0)->scrape_timeout, 10000);
    assert_string_equal(job(0)->metrics_path, "/metrics");
    assert_int_equal(job(0)->scheme, CONFIG_SCHEME_HTTP);
    assert_false(job(0)->honor_labels);
    assert_true(job(0)->honor_timestamps);
    assert_false(job(0)->track_timestamps_staleness);
    assert_true(job(0)->enable_compression);
    assert_int_equal(job(0)->fallback_scrape_protocol, CONFIG_PROTOCOL_NONE);
    assert_int_equal(job(0)->scrape_protocols.len, 4);
    assert_int_equal(job(0)->scrape_protocols.items[0], CONFIG_PROTOCOL_OPENMETRICS_1_0_0);
    assert_int_equal(job(0)->scrape_protocols.items[3], CONFIG_PROTOCOL_TEXT_0_0_4);
}

static void jobs_inherit_times_and_protocols(void **state)
{
    (void)state;
    parse("global: {scrape_interval: 15s, scrape_timeout: 8s, scrape_protocols: "
          "[PrometheusText1.0.0]}\n"
          "scrape_configs:\n"
          "- job_name: a\n"
          "- {job_name: b, scrape_interval: 5s}\n"
          "- {job_name: c, scrape_interval: 1m, scrape_timeout: 20s}\n"
          "- {job_name: d, scrape_interval: 0s, scrape_protocols: [PrometheusText0.0.4]}\n");
    assert_int_equal(job(0)->scrape_interval, 15000);
    assert_int_equal(job(0)->scrape_timeout, 8000);
    assert_int_equal(job(0)->scrape_protocols.items[0], CONFIG_PROTOCOL_TEXT_1_0_0);
    assert_int_equal(job(1)->scrape_interval, 5000);
    assert_int_equal(job(1)->scrape_timeout, 5000);
    assert_int_equal(job(2)->scrape_timeout, 20000);
    assert_int_equal(job(3)->scrape_interval, 15000);
    assert_int_equal(job(3)->scrape_protocols.len, 1);
    assert_int_equal(job(3)->scrape_protocols.items[0], CONFIG_PROTOCOL_TEXT_0_0_4);
}

static void a_short_global_interval_shortens_the_default_timeout(void **state)
{
    (void)state;
    parse("global: {scrape_interval: 3s}\nscrape_configs: [{job_name: a, scrape_interval: 1h}]");
    assert_int_equal(config->global.scrape_timeout, 3000);
    assert_int_equal(job(0)->scrape_timeout, 3000);
}

static void prometheus_key_of_compression_holds_where_it_is_written(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum config_gzip wanted;
    } rows[] = {
        {"{job_name: a}", CONFIG_GZIP_AUTO},
        {"{job_name: a, enable_compression: true}", CONFIG_GZIP_ON},
        {"{job_name: a, enable_compression: false}", CONFIG_GZIP_OFF},
        {"{job_name: a, limpet: {compression: auto}}", CONFIG_GZIP_AUTO},
        {"{job_name: a, limpet: {compression: true}}", CONFIG_GZIP_ON},
        {"{job_name: a, limpet: {compression: false}}", CONFIG_GZIP_OFF},
        {"{job_name: a, enable_compression: true, limpet: {compression: auto}}", CONFIG_GZIP_AUTO},
        {"{job_name: a, enable_compression: false, limpet: {compression: true}}", CONFIG_GZIP_ON},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[128];
        snprintf(text, sizeof text, "scrape_configs: [%s]", rows[i].text);
        parse(text);
        assert_int_equal(job(0)->limpet.compression, rows[i].wanted);
        clean_up(state);
    }
}

static void the_user_of_a_url_becomes_its_credentials(void **state)
{
    (void)state;
    parse("remote_write:\n"
          "- url: http://me%40x:p%3as@h:1/w?x=@\n"
          "- url: http://me@h/2\n"
          "- {url: 'http://me:p@h/3', bearer_token: t}\n");
    const struct config_remote *remotes = config->remote_write.items;
    assert_string_equal(remotes[0].url, "http://h:1/w?x=@");
    assert_string_equal(remotes[0].http.basic_auth.username, "me@x");
    assert_string_equal(remotes[0].http.basic_auth.password, "p:s");
    assert_string_equal(remotes[1].url, "http://h/2");
    assert_string_equal(remotes[1].http.basic_auth.username, "me");
    assert_string_equal(remotes[1].http.basic_auth.password, "");
    assert_string_equal(remotes[2].url, "http://h/3");
    assert_false(remotes[2].http.basic_auth.given);
    assert_string_equal(remotes[2].http.authorization.credentials, "t");
}

static void claims_of_any_kind_become_json(void **state)
{
    (void)state;
    parse("scrape_configs:\n"
          "- job_name: a\n"
          "  oauth2:\n"
          "    client_id: i\n"
          "    token_url: t\n"
          "    grant_type: urn:ietf:params:oauth:grant-type:jwt-bearer\n"
          "    signature_algorithm: RS384\n"
          "    claims: {n: 12, f: -0.5e+3, no: 012, s: '12', b: yes, nothing: ,\n"
          "             list: [1, x, {k: \"a\\\"b\"}], map: {}, t: 1.}\n");
    static const char *const wanted[][2] = {
        {"b", "true"},       {"f", "-0.5e+3"}, {"list", "[1,\"x\",{\"k\":\"a\\\"b\"}]"},
        {"map", "{}"},       {"n", "12"},      {"no", "\"012\""},
        {"nothing", "null"}, {"s", "\"12\""},  {"t", "\"1.\""}};
    const struct config_oauth2 *oauth2 = &job(0)->http.oauth2;
    assert_int_equal(oauth2->grant_type, CONFIG_GRANT_JWT);
    assert_int_equal(oauth2->signature_algorithm, CONFIG_SIGN_RS384);
    assert_int_equal(oauth2->claims.len, sizeof wanted / sizeof *wanted);
    for (size_t i = 0; i < oauth2->claims.len; i++) {
        assert_string_equal(oauth2->claims.items[i].name, wanted[i][0]);
        assert_string_equal(oauth2->claims.items[i].value, wanted[i][1]);
    }
}

static void everything_a_job_may_say_is_taken(void **state)
{
    (void)state;
    parse("scrape_configs:\n"
          "- job_name: 42\n"
          "  honor_labels: yes\n"
          "  honor_timestamps: off\n"
          "  track_timestamps_staleness: TRUE\n"
          "  metrics_path: /probe\n"
          "  scheme: http\n"
          "  enable_compression: false\n"
          "  enable_http2: false\n"
          "  follow_redirects: false\n"
          "  fallback_scrape_protocol: PrometheusText0.0.4\n"
          "  params: {module: [http, 2], a: [], b: }\n"
          "  static_configs:\n"
          "  - targets: ['a:1', b]\n"
          "    labels: {zone: 1, env: prod, none: }\n"
          "  - {}\n"
          "  file_sd_configs:\n"
          "  - files: [t/*.json, /etc/x.yml]\n"
          "    refresh_interval: 10s\n");
    assert_string_equal(job(0)->job_name, "42");
    assert_true(job(0)->honor_labels);
    assert_false(job(0)->honor_timestamps);
    assert_true(job(0)->track_timestamps_staleness);
    assert_false(job(0)->enable_compression);
    assert_false(job(0)->http.enable_http2);
    assert_false(job(0)->http.follow_redirects);
    assert_int_equal(job(0)->fallback_scrape_protocol, CONFIG_PROTOCOL_TEXT_0_0_4);
    assert_int_equal(job(0)->params.len, 3);
    assert_string_equal(job(0)->params.items[0].name, "a");
    assert_int_equal(job(0)->params.items[1].values.len, 0);
    assert_string_equal(job(0)->params.items[2].values.items[1], "2");
    assert_int_equal(job(0)->static_configs.len, 2);
    const struct config_target_group *group = &job(0)->static_configs.items[0];
    assert_string_equal(group->targets.items[0], "a:1");
    assert_string_equal(group->labels.items[0].name, "env");
    assert_string_equal(group->labels.items[1].value, "");
    assert_string_equal(group->labels.items[2].value, "1");
    const struct config_file_sd *files = &job(0)->file_sd_configs.items[0];
    assert_string_equal(files->files.items[0], "conf/t/*.json");
    assert_string_equal(files->files.items[1], "/etc/x.yml");
    assert_int_equal(files->refresh_interval, 10000);
}

static void everything_a_remote_may_say_is_taken(void **state)
{
    (void)state;
    parse("remote_write:\n"
          "- url: http://[::1]:9090/api/v1/write?x=1\n"
          "  name: main\n"
          "  remote_timeout: 10s\n"
          "  protobuf_message: prometheus.WriteRequest\n"
          "  headers: {X-Scope-OrgID: 7}\n"
          "  queue_config: {capacity: 20_000, max_shards: 0x10, min_shards: 2,\n"
          "    max_samples_per_send: 1e3, batch_send_deadline: 1s, min_backoff: 10ms,\n"
          "    max_backoff: 20s, retry_on_http_429: false, sample_age_limit: 1h}\n"
          "  metadata_config: {send: false, send_interval: 2m, max_samples_per_send: 10}\n"
          "- url: http://b\n");
    assert_string_equal(remote(0)->url, "http://[::1]:9090/api/v1/write?x=1");
    assert_string_equal(remote(0)->name, "main");
    assert_int_equal(remote(0)->remote_timeout, 10000);
    assert_string_equal(remote(0)->headers.items[0].value, "7");
    const struct config_queue *queue = &remote(0)->queue_config;
    assert_int_equal(queue->capacity, 20000);
    assert_int_equal(queue->max_shards, 16);
    assert_int_equal(queue->min_shards, 2);
    assert_int_equal(queue->max_samples_per_send, 1000);
    assert_int_equal(queue->batch_send_deadline, 1000);
    assert_int_equal(queue->min_backoff, 10);
    assert_int_equal(queue->max_backoff, 20000);
    assert_false(queue->retry_on_http_429);
    assert_int_equal(queue->sample_age_limit, 3600000);
    assert_false(remote(0)->metadata_config.send);
    assert_int_equal(remote(1)->remote_timeout, 30000);
    assert_int_equal(remote(1)->queue_config.capacity, 10000);
    assert_int_equal(remote(1)->queue_config.max_shards, 50);
    assert_int_equal(remote(1)->queue_config.min_backoff, 30);
    assert_true(remote(1)->queue_config.retry_on_http_429);
    assert_true(remote(1)->metadata_config.send);
    assert_false(remote(1)->http.enable_http2);
}

static void a_generated_remote_name_depends_on_its_entry_only(void **state)
{
    char name[16];
    (void)state;
    parse("remote_write: [{url: 'http://a'}]");
    assert_int_equal(strlen(remote(0)->name), 6);
    snprintf(name, sizeof(name), "%s", remote(0)->name);
    config_free(config);
    parse("global: {scrape_interval: 5s}\nremote_write: [{url: 'http://b'}, {url: 'http://a'}]");
    assert_string_equal(remote(1)->name, name);
    assert_string_not_equal(remote(0)->name, name);
}

static void limpets_own_block_is_taken(void **state)
{
    (void)state;
    parse("limpet: {scrapers: 4, cpus: '5,0-3,2', ring_size: 1GB, tick_max: 10ms, pinning: on,"
          " event_loop: epoll, spool: {max_bytes: 2MiB, max_age: 1h}}");
    assert_int_equal(config->limpet.scrapers, 4);
    assert_int_equal(config->limpet.cpus.len, 5);
    assert_int_equal(config->limpet.cpus.items[0], 0);
    assert_int_equal(config->limpet.cpus.items[4], 5);
    assert_int_equal(config->limpet.ring_size, 1 << 30);
    assert_int_equal(config->limpet.tick_max, 10);
    assert_int_equal(config->limpet.pinning, CONFIG_PINNING_ON);
    assert_int_equal(config->limpet.event_loop, CONFIG_EVENT_LOOP_EPOLL);
    assert_int_equal(config->limpet.spool.max_bytes, 2 << 20);
    assert_int_equal(config->limpet.spool.max_age, 60 * 60 * 1000);
    config_free(config);
    parse("limpet: {cpus: 7}");
    assert_int_equal(config->limpet.cpus.len, 1);
    assert_int_equal(config->limpet.cpus.items[0], 7);
}

static void environment_variables_go_into_external_labels_only(void **state)
{
    (void)state;
    assert_int_equal(setenv("LIMPET_TEST_A", "va", 1), 0);
    assert_int_equal(unsetenv("LIMPET_TEST_B"), 0);
    parse("global:\n"
          "  external_labels:\n"
          "    a: x-${LIMPET_TEST_A}-$$\n"
          "    b: $LIMPET_TEST_B\n"
          "    $LIMPET_TEST_A: c\n"
          "scrape_configs:\n"
          "- {job_name: $LIMPET_TEST_A, static_configs: []}\n"
          "remote_write: [{url: 'http://a'}]\n");
    const struct config_map *labels = &config->global.external_labels;
    assert_int_equal(labels->len, 2);
    assert_string_equal(labels->items[0].name, "$LIMPET_TEST_A");
    assert_string_equal(labels->items[1].value, "x-va-$");
    assert_string_equal(job(0)->job_name, "$LIMPET_TEST_A");
    assert_int_equal(config->warnings.len, 2);
    assert_string_equal(config->warnings.items[0],
                        "conf/limpet.yml:4:8: the environment variable LIMPET_TEST_B is empty or "
                        "not set");
    assert_string_equal(config->warnings.items[1],
                        "conf/limpet.yml:7:3: the job \"$LIMPET_TEST_A\" has no targets: neither "
                        "`static_configs` nor one of the `*_sd_configs`");
}

static void an_environment_variable_that_is_not_utf8_is_refused(void **state)
{
    struct errctx why;
    static const char text[] = "global:\n  external_labels: {a: $LIMPET_TEST_C}\n";
    (void)state;
    assert_int_equal(setenv("LIMPET_TEST_C", "\xff", 1), 0);
    assert_int_equal(config_parse("f", text, strlen(text), &config, &why), ERR_CONFIG);
    assert_string_equal(why.text, "f:2:24: the value of the label \"a\" must be UTF-8, also after "
                                  "environment variables are put in");
}

static void an_explicit_null_is_the_zero_value(void **state)
{
    (void)state;
    parse("global: {scrape_interval: , external_labels: }\n"
          "scrape_configs: [{job_name: a, honor_timestamps: , metrics_path: , scheme: }]\n");
    assert_int_equal(config->global.scrape_interval, 60000);
    assert_false(job(0)->honor_timestamps);
    assert_string_equal(job(0)->metrics_path, "");
    assert_int_equal(job(0)->scheme, CONFIG_SCHEME_HTTP);
}

static void defaults_of_keys_that_are_not_there_yet_are_accepted(void **state)
{
    (void)state;
    parse("global: {sample_limit: 0, body_size_limit: 0, metric_name_validation_scheme: utf8}\n"
          "scrape_configs:\n"
          "- {job_name: a, tls_config: {},\n"
          "   scrape_native_histograms: false, proxy_url: '', consul_sd_configs: [],\n"
          "   enable_http2: true, http_headers: {}, metric_name_escaping_scheme: allow-utf-8}\n"
          "remote_write: [{url: 'http://a', send_exemplars: no, sigv4: }]\n"
          "storage: {tsdb: {out_of_order_time_window: 30m, retention: {time: 1d}}}\n"
          "runtime: {gogc: 100}\n"
          "scrape_config_files: []\n"
          "otlp: {}\n");
    assert_int_equal(config->scrape_configs.len, 1);
    assert_int_equal(config->storage.tsdb.out_of_order_time_window, 1800000);
}

static void rules_of_relabelling_have_prometheus_defaults(void **state)
{
    (void)state;
    parse("scrape_configs:\n"
          "- job_name: a\n"
          "  relabel_configs:\n"
          "  - {target_label: x}\n"
          "  - {action: labelKEEP, regex: a|b}\n"
          "  - {action: Drop, source_labels: [a, b], separator: '', regex: ''}\n"
          "  metric_relabel_configs: [{action: keep, regex: }]\n"
          "remote_write: [{url: 'http://a', write_relabel_configs: []}]\n");
    const struct config_relabels *rules = &job(0)->relabel_configs;
    assert_int_equal(rules->len, 3);
    assert_int_equal(rules->items[0].action, RELABEL_REPLACE);
    assert_int_equal(rules->items[0].source_labels.len, 0);
    assert_string_equal(rules->items[0].separator, ";");
    assert_string_equal(rules->items[0].regex, "(.*)");
    assert_string_equal(rules->items[0].target_label, "x");
    assert_string_equal(rules->items[0].replacement, "$1");
    assert_int_equal(rules->items[0].modulus, 0);
    assert_int_equal(rules->items[1].action, RELABEL_LABELKEEP);
    assert_int_equal(rules->items[2].action, RELABEL_DROP);
    assert_string_equal(rules->items[2].source_labels.items[1], "b");
    assert_string_equal(rules->items[2].separator, "");
    assert_string_equal(rules->items[2].regex, "");
    assert_string_equal(job(0)->metric_relabel_configs.items[0].regex, "");
    assert_int_equal(remote(0)->write_relabel_configs.len, 0);
}

static void anchors_and_merge_keys_save_typing(void **state)
{
    (void)state;
    parse("scrape_configs:\n"
          "- &base\n"
          "  job_name: a\n"
          "  scrape_interval: 7s\n"
          "  static_configs: &targets [{targets: ['h:1']}]\n"
          "- <<: *base\n"
          "  job_name: b\n"
          "- {job_name: c, static_configs: *targets}\n");
    assert_int_equal(job(1)->scrape_interval, 7000);
    assert_string_equal(job(1)->job_name, "b");
    assert_string_equal(job(2)->static_configs.items[0].targets.items[0], "h:1");
}

static void a_file_is_loaded_and_a_missing_one_is_named(void **state)
{
    char path[] = "/tmp/limpet-test-config-XXXXXX";
    struct errctx why;
    (void)state;
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "limpet: {scrapers: 2}\n", 22), 22);
    assert_int_equal(config_load(path, &config, &why), 0);
    assert_int_equal(config->limpet.scrapers, 2);
    assert_string_equal(config->path, path);
    config_free(config);
    config = NULL;
    close(fd);
    unlink(path);
    assert_true(config_load(path, &config, &why) < 0);
    assert_non_null(strstr(why.text, path));
    assert_non_null(strstr(why.text, "No such file"));
    assert_true(config_load("/", &config, &why) < 0);
    assert_string_equal(why.text, "/: Is a directory");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(an_empty_file_means_defaults, clean_up),
        cmocka_unit_test_teardown(sections_without_content_mean_defaults, clean_up),
        cmocka_unit_test_teardown(a_job_has_prometheus_defaults, clean_up),
        cmocka_unit_test_teardown(jobs_inherit_times_and_protocols, clean_up),
        cmocka_unit_test_teardown(a_short_global_interval_shortens_the_default_timeout, clean_up),
        cmocka_unit_test_teardown(prometheus_key_of_compression_holds_where_it_is_written,
                                  clean_up),
        cmocka_unit_test_teardown(the_user_of_a_url_becomes_its_credentials, clean_up),
        cmocka_unit_test_teardown(claims_of_any_kind_become_json, clean_up),
        cmocka_unit_test_teardown(everything_a_job_may_say_is_taken, clean_up),
        cmocka_unit_test_teardown(everything_a_remote_may_say_is_taken, clean_up),
        cmocka_unit_test_teardown(a_generated_remote_name_depends_on_its_entry_only, clean_up),
        cmocka_unit_test_teardown(limpets_own_block_is_taken, clean_up),
        cmocka_unit_test_teardown(environment_variables_go_into_external_labels_only, clean_up),
        cmocka_unit_test_teardown(an_environment_variable_that_is_not_utf8_is_refused, clean_up),
        cmocka_unit_test_teardown(an_explicit_null_is_the_zero_value, clean_up),
        cmocka_unit_test_teardown(defaults_of_keys_that_are_not_there_yet_are_accepted, clean_up),
        cmocka_unit_test_teardown(rules_of_relabelling_have_prometheus_defaults, clean_up),
        cmocka_unit_test_teardown(anchors_and_merge_keys_save_typing, clean_up),
        cmocka_unit_test_teardown(a_file_is_loaded_and_a_missing_one_is_named, clean_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
