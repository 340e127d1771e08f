/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The options of an HTTP client: what they become, and what Prometheus refuses, in its words. */

#include "config/http_rules.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#include "config/decode.h"
#include "config/schema_http.h"
#include "config/yaml.h"

struct holder {
    struct config_http_client http;
};

static const struct schema_key keys[] = {
    SCHEMA_HTTP_ROWS(struct holder, http, "true", .required = false),
    {.name = NULL},
};

static const struct schema_block block = {"client", "A client.", sizeof(struct holder), keys};

static struct arena arena;
static struct errctx why;

static int read_client(const char *text, struct config_http_client *ret_client)
{
    struct holder holder;
    const struct document source = {"/etc/limpet/config.yml", &arena, &why};
    const struct node *root;
    memset(&holder, 0, sizeof(holder));
    why.text[0] = '\0';
    int err = yaml_read(&source, text, strlen(text), &root);
    if (err == 0)
        err = decode_block(&source, root, &block, &holder);
    if (err == 0)
        err = http_rules_apply(&source, root, &holder.http);
    *ret_client = holder.http;
    return err;
}

static struct config_http_client client_of(const char *text)
{
    struct config_http_client client;
    int err = read_client(text, &client);
    assert_string_equal(why.text, "");
    assert_int_equal(err, 0);
    return client;
}

static void has_nothing_by_default(void **state)
{
    (void)state;
    struct config_http_client client = client_of("");
    assert_false(client.basic_auth.given);
    assert_false(client.authorization.given);
    assert_false(client.oauth2.given);
    assert_true(client.follow_redirects);
    assert_true(client.enable_http2);
    assert_string_equal(client.tls_config.ca_file, "");
    assert_int_equal(client.tls_config.min_version, CONFIG_TLS_DEFAULT);
    assert_int_equal(client.http_headers.len, 0);
}

static void knows_who_asks(void **state)
{
    (void)state;
    struct config_http_client client =
        client_of("basic_auth: {username: u, password_file: secrets/p}");
    assert_true(client.basic_auth.given);
    assert_string_equal(client.basic_auth.username, "u");
    assert_string_equal(client.basic_auth.password_file, "/etc/limpet/secrets/p");
    assert_true(client_of("basic_auth: {}").basic_auth.given);
    assert_false(client_of("basic_auth:").basic_auth.given);
    client = client_of("authorization: {credentials: abc}");
    assert_string_equal(client.authorization.type, "Bearer");
    assert_string_equal(client.authorization.credentials, "abc");
    client = client_of("authorization: {type: ' Token ', credentials_file: /run/t}");
    assert_string_equal(client.authorization.type, "Token");
    assert_string_equal(client.authorization.credentials_file, "/run/t");
}

static void takes_the_old_spelling(void **state)
{
    (void)state;
    struct config_http_client client = client_of("bearer_token: abc");
    assert_true(client.authorization.given);
    assert_string_equal(client.authorization.type, "Bearer");
    assert_string_equal(client.authorization.credentials, "abc");
    assert_string_equal(client.bearer_token, "");
    client = client_of("bearer_token_file: t");
    assert_string_equal(client.authorization.credentials_file, "/etc/limpet/t");
    assert_string_equal(client.authorization.credentials, "");
}

static void knows_certificates_headers_and_proxies(void **state)
{
    (void)state;
    struct config_http_client client = client_of(
        "tls_config: {ca_file: ca.pem, cert: C, key_file: k, server_name: s, min_version: TLS12,\n"
        "  max_version: TLS13, insecure_skip_verify: true}\n"
        "http_headers:\n"
        "  X-B: {values: [1, two], secrets: [three]}\n"
        "  X-A: {files: [f, /g]}\n"
        "proxy_url: http://u:p@proxy.test:3128\n"
        "no_proxy: a.test\n"
        "proxy_connect_header: {X-P: [v]}\n");
    assert_string_equal(client.tls_config.ca_file, "/etc/limpet/ca.pem");
    assert_string_equal(client.tls_config.cert, "C");
    assert_string_equal(client.tls_config.key_file, "/etc/limpet/k");
    assert_int_equal(client.tls_config.min_version, CONFIG_TLS_1_2);
    assert_int_equal(client.tls_config.max_version, CONFIG_TLS_1_3);
    assert_true(client.tls_config.insecure_skip_verify);
    assert_int_equal(client.http_headers.len, 2);
    const struct config_http_header *header = &client.http_headers.items[0];
    assert_string_equal(header[0].name, "X-A");
    assert_string_equal(header[0].files.items[0], "/etc/limpet/f");
    assert_string_equal(header[0].files.items[1], "/g");
    assert_string_equal(header[1].name, "X-B");
    assert_string_equal(header[1].values.items[1], "two");
    assert_string_equal(header[1].secrets.items[0], "three");
    assert_string_equal(client.proxy.proxy_connect_header.items[0].values.items[0], "v");
}

static void knows_where_tokens_are_given(void **state)
{
    (void)state;
    struct config_http_client client =
        client_of("oauth2: {client_id: i, client_secret_file: s, token_url: https://t.test/, "
                  "scopes: [a, b],\n"
                  "  endpoint_params: {x: y}, tls_config: {ca_file: ca}, proxy_url: http://p}");
    assert_true(client.oauth2.given);
    assert_string_equal(client.oauth2.client_secret_file, "/etc/limpet/s");
    assert_string_equal(client.oauth2.tls_config.ca_file, "/etc/limpet/ca");
    assert_int_equal(client.oauth2.scopes.len, 2);
    assert_string_equal(client.oauth2.proxy.proxy_url, "http://p");
}

/* What is written, and what is said of it. */
static const char *const refusals[][2] = {
    {"{bearer_token: a, bearer_token_file: b}",
     "1:16: at most one of bearer_token & bearer_token_file must be configured"},
    {"{bearer_token: a, basic_auth: {}}",
     "1:16: at most one of basic_auth, oauth2, bearer_token & bearer_token_file must be "
     "configured"},
    {"{bearer_token_file: a, authorization: {}}",
     "1:21: authorization is not compatible with bearer_token & bearer_token_file"},
    {"basic_auth: {username: a, username_file: b}",
     "1:13: at most one of basic_auth username & username_file must be configured"},
    {"basic_auth: {password: a, password_file: b}",
     "1:13: at most one of basic_auth password & password_file must be configured"},
    {"authorization: {credentials: a, credentials_file: b}",
     "1:16: at most one of authorization credentials & credentials_file must be configured"},
    {"authorization: {type: BASIC}",
     "1:16: authorization type cannot be set to \"basic\", use \"basic_auth\" instead"},
    {"{authorization: {}, basic_auth: {}}",
     "1:17: at most one of basic_auth, oauth2 & authorization must be configured"},
    {"{basic_auth: {}, oauth2: {client_id: i, token_url: t}}",
     "1:26: at most one of basic_auth, oauth2 & authorization must be configured"},
    {"oauth2: {token_url: t}", "1:9: oauth2 client_id must be configured"},
    {"oauth2: {client_id: i}", "1:9: oauth2 token_url must be configured"},
    {"oauth2: {client_id: i, token_url: t, client_secret: a, client_secret_file: b}",
     "1:53: at most one of oauth2 client_secret & client_secret_file must be configured"},
    {"oauth2: {client_id: i, token_url: t, tls_config: {ca: a, ca_file: b}}",
     "1:50: at most one of ca and ca_file must be configured"},
    {"oauth2: {client_id: i, token_url: t, grant_type: "
     "'urn:ietf:params:oauth:grant-type:jwt-bearer', client_certificate_key: a, "
     "client_certificate_key_file: b}",
     "1:121: at most one of oauth2 client_certificate_key & client_certificate_key_file must "
     "be "
     "configured using grant-type=urn:ietf:params:oauth:grant-type:jwt-bearer"},
    {"oauth2: {client_id: i, token_url: t, signature_algorithm: HS256}",
     "1:59: `signature_algorithm` must be one of `RS256`, `RS384`, `RS512`, not \"HS256\""},
    {"oauth2: {client_id: i, token_url: t, claims: [a]}",
     "1:46: `claims` must be a mapping, not a list"},
    {"tls_config: {ca: a, ca_file: b}", "1:13: at most one of ca and ca_file must be configured"},
    {"tls_config: {cert: a, cert_file: b}",
     "1:13: at most one of cert and cert_file must be configured"},
    {"tls_config: {key: a, key_file: b}",
     "1:13: at most one of key and key_file must be configured"},
    {"tls_config: {cert: a}",
     "1:13: exactly one of key or key_file must be configured when a client certificate is "
     "configured"},
    {"tls_config: {key_file: a}",
     "1:13: exactly one of cert or cert_file must be configured when a client key is "
     "configured"},
    {"tls_config: {min_version: TLS13, max_version: TLS12}",
     "1:13: tls_config.max_version must be greater than or equal to tls_config.min_version if "
     "both are specified"},
    {"tls_config: {min_version: SSL3}",
     "1:27: `min_version` must be one of `TLS10`, `TLS11`, `TLS12`, `TLS13`, not \"SSL3\""},
    {"tls_config: {ca_ref: x}",
     "1:14: `ca_ref` is not supported: limpet has no secret manager; use a file"},
    {"{proxy_url: http://p, proxy_from_environment: true}",
     "1:47: if proxy_from_environment is configured, proxy_url must not be configured"},
    {"{no_proxy: a, proxy_from_environment: true}",
     "1:12: if proxy_from_environment is configured, no_proxy must not be configured"},
    {"no_proxy: a", "1:11: if no_proxy is configured, proxy_url must also be configured"},
    {"proxy_connect_header: {X: [y]}",
     "1:23: if proxy_connect_header is configured, proxy_url or proxy_from_environment must "
     "also be configured"},
    {"proxy_url: socks5://p:1",
     "1:12: `proxy_url` must be a proxy that is spoken to by http, such as http://host:3128"},
    {"http_headers: {Host: {values: [a]}}",
     "1:15: `http_headers` must not hold \"Host\", which limpet sets itself"},
    {"http_headers: {X-Prometheus-Scrape-Timeout-Seconds: {values: [a]}}",
     "1:15: `http_headers` must not hold \"X-Prometheus-Scrape-Timeout-Seconds\", which limpet "
     "sets itself"},
    {"http_headers: {'a b': {values: [a]}}",
     "1:15: `http_headers` must hold names of HTTP headers, not \"a b\""},
    {"http_headers: {X: {secrets: [\"hidden\\nline\"]}}",
     "1:15: `http_headers` must not hold line ends or control characters; a value of \"X\" "
     "does"},
    {"http_headers: {X: {value: [a]}}",
     "1:20: unknown key \"value\"; the nearest valid key is `values`"},
    {"http_headers: [X]",
     "1:15: `http_headers` must be a mapping of names to mappings, not a list"},
};

static void refuses_what_prometheus_refuses(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        struct config_http_client client;
        assert_int_equal(read_client(refusals[i][0], &client), ERR_CONFIG);
        assert_memory_equal(why.text, "/etc/limpet/config.yml:", 23);
        assert_string_equal(why.text + 23, refusals[i][1]);
    }
}

static int drop_arena(void **state)
{
    (void)state;
    arena_fini(&arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(has_nothing_by_default),
        cmocka_unit_test(knows_who_asks),
        cmocka_unit_test(takes_the_old_spelling),
        cmocka_unit_test(knows_certificates_headers_and_proxies),
        cmocka_unit_test(knows_where_tokens_are_given),
        cmocka_unit_test(refuses_what_prometheus_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, drop_arena);
}
