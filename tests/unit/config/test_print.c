/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is printed of a configuration is read back as the same. */

#include "config/print.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "config/codec.h"
#include "config/config.h"

static struct config *config_of(const char *text, size_t len)
{
    struct errctx why;
    struct config *config = NULL;
    if (config_parse("/f/limpet.yml", text, len, &config, &why) != 0)
        fail_msg("%s", why.text);
    return config;
}

/* The jobs of `text`, printed as a file. */
static void print_jobs(const struct config *config, struct strbuf *out)
{
    static const char empty[] = "scrape_configs: [{job_name: x}]";
    struct config *base = config_of(empty, sizeof(empty) - 1);
    strbuf_adds(out, "scrape_configs:\n");
    for (size_t i = 0; i < config->scrape_configs.len; i++) {
        size_t start = out->len;
        config_print(&schema_job, &config->scrape_configs.items[i], &base->scrape_configs.items[0],
                     2, out);
        out->text[start] = '-';
    }
    config_free(base);
}

static void expect_same_jobs(const struct config *left, const struct config *right)
{
    assert_int_equal(left->scrape_configs.len, right->scrape_configs.len);
    for (size_t i = 0; i < left->scrape_configs.len; i++) {
        struct strbuf a = STRBUF_GROWING, b = STRBUF_GROWING;
        codec_encode(&schema_job, &left->scrape_configs.items[i], &a);
        codec_encode(&schema_job, &right->scrape_configs.items[i], &b);
        assert_int_equal(a.len, b.len);
        assert_memory_equal(a.text, b.text, a.len);
        strbuf_fini(&a);
        strbuf_fini(&b);
    }
}

static void a_job_is_read_back_as_it_was(void **state)
{
    (void)state;
    static const char text[] =
        "scrape_configs:\n"
        "- job_name: \"a \\\"b\\\"\\n\"\n"
        "- {job_name: b, scrape_interval: 1m30s, scrape_timeout: 1s500ms, honor_labels: true,\n"
        "   honor_timestamps: false, body_size_limit: 10MB, sample_limit: 7, scheme: https,\n"
        "   scrape_protocols: [PrometheusProto, PrometheusText0.0.4],\n"
        "   native_histogram_min_bucket_factor: 1.1, params: {a: [b, 'c: d'], e: []},\n"
        "   basic_auth: {username: me, password_file: p}, enable_http2: false,\n"
        "   tls_config: {ca_file: c, min_version: TLS13}, proxy_url: 'http://p:1',\n"
        "   http_headers: {X-A: {values: [b], secrets: [c]}, X-B: {files: [f]}}}\n"
        "- {job_name: c, static_configs: [{targets: ['h:1', 'h:2'], labels: {x: 'true', y: ''}},\n"
        "   {targets: []}], file_sd_configs: [{files: ['a*.json'], refresh_interval: 1s}],\n"
        "   http_sd_configs: [{url: 'http://h', bearer_token: t}],\n"
        "   dns_sd_configs: [{names: [n], type: A, port: 1}],\n"
        "   kubernetes_sd_configs: [{role: pod, selectors: [{role: pod, label: a=b}],\n"
        "   namespaces: {own_namespace: true, names: [n]}, attach_metadata: {node: true}}],\n"
        "   relabel_configs: [{action: drop, source_labels: [a, b], regex: 'x\\.y'},\n"
        "   {target_label: t, replacement: '${1}'}, {action: labelmap, regex: 'a(.*)'},\n"
        "   {action: hashmod, source_labels: [a], modulus: 3, target_label: h}],\n"
        "   metric_relabel_configs: [{action: labeldrop, regex: z}]}\n";
    struct strbuf out = STRBUF_GROWING;
    struct config *config = config_of(text, sizeof(text) - 1);
    print_jobs(config, &out);
    struct config *again = config_of(out.text, out.len);
    expect_same_jobs(config, again);
    strbuf_fini(&out);
    config_free(config);
    config_free(again);
}

static void what_is_not_said_is_not_printed(void **state)
{
    (void)state;
    static const char text[] = "scrape_configs: [{job_name: a, limpet: {start_timestamps: true}}]";
    struct strbuf out = STRBUF_GROWING;
    struct config *config = config_of(text, sizeof(text) - 1);
    print_jobs(config, &out);
    assert_string_equal(out.text, "scrape_configs:\n- job_name: \"a\"\n");
    strbuf_fini(&out);
    config_free(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_job_is_read_back_as_it_was),
        cmocka_unit_test(what_is_not_said_is_not_printed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
