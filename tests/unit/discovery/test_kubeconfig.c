/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What kubeconfig files say, and what is wrong with others. */
#include "discovery/kubeconfig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int parse(const char *text, struct kube_access *access, struct errctx *why)
{
    *access = (struct kube_access){.http = kube_access_no_options(), .own_namespace = ""};
    return kubeconfig_parse("/etc/k/config", text, strlen(text), access, why);
}

#define FILE_WITH(cluster, user)                                                                   \
    "current-context: b\n"                                                                         \
    "contexts:\n"                                                                                  \
    "- {name: a, context: {cluster: other, user: other}}\n"                                        \
    "- {name: b, context: {cluster: c, user: u}}\n"                                                \
    "clusters:\n"                                                                                  \
    "- {name: other, cluster: {server: 'https://other'}}\n"                                        \
    "- {name: c, cluster: {" cluster "}}\n"                                                        \
    "users:\n"                                                                                     \
    "- {name: other, user: {token: no}}\n"                                                         \
    "- {name: u, user: {" user "}}\n"

static void the_current_context_counts(void **state)
{
    struct kube_access access;
    struct errctx why;
    (void)state;
    assert_int_equal(
        parse(FILE_WITH("server: 'https://h:6443', tls-server-name: n", "token: t"), &access, &why),
        0);
    assert_string_equal(access.url, "https://h:6443");
    assert_string_equal(access.http.tls_config.server_name, "n");
    assert_true(access.http.authorization.given);
    assert_string_equal(access.http.authorization.type, "Bearer");
    assert_string_equal(access.http.authorization.credentials, "t");
    assert_false(access.http.tls_config.insecure_skip_verify);
    arena_fini(&access.arena);
}

static void files_are_relative_to_it_and_data_is_decoded(void **state)
{
    struct kube_access access;
    struct errctx why;
    (void)state;
    assert_int_equal(parse(FILE_WITH("server: 'https://h', certificate-authority: ca.pem",
                                     "client-certificate-data: Y2VydA==, client-key: /key.pem, "
                                     "tokenFile: token, token: ignored"),
                           &access, &why),
                     0);
    assert_string_equal(access.http.tls_config.ca_file, "/etc/k/ca.pem");
    assert_string_equal(access.http.tls_config.ca, "");
    assert_string_equal(access.http.tls_config.cert, "cert");
    assert_string_equal(access.http.tls_config.key_file, "/key.pem");
    assert_string_equal(access.http.authorization.credentials, "");
    assert_string_equal(access.http.authorization.credentials_file, "/etc/k/token");
    arena_fini(&access.arena);
}

static void a_user_and_a_password_will_do(void **state)
{
    struct kube_access access;
    struct errctx why;
    (void)state;
    assert_int_equal(parse(FILE_WITH("server: 'https://h', insecure-skip-tls-verify: true",
                                     "username: u, password: p"),
                           &access, &why),
                     0);
    assert_true(access.http.basic_auth.given);
    assert_string_equal(access.http.basic_auth.password, "p");
    assert_true(access.http.tls_config.insecure_skip_verify);
    arena_fini(&access.arena);
}

static void expect_error(const char *text, const char *wanted)
{
    struct kube_access access;
    struct errctx why;
    assert_int_equal(parse(text, &access, &why), ERR_CONFIG);
    assert_string_equal(why.text, wanted);
    arena_fini(&access.arena);
}

static void what_is_missing_is_said(void **state)
{
    (void)state;
    expect_error("", "/etc/k/config:1:1: there is no context \"\"");
    expect_error("current-context: x", "/etc/k/config:1:1: there is no context \"x\"");
    expect_error(FILE_WITH("", "token: t"), "/etc/k/config:7:22: the cluster has no `server`");
    expect_error("{current-context: a, contexts: [{name: a, context: {cluster: b}}]}",
                 "/etc/k/config:1:52: there is no cluster \"b\"");
}

static void what_would_run_a_program_is_refused(void **state)
{
    (void)state;
    expect_error(FILE_WITH("server: 'https://h'", "exec: {command: aws}"),
                 "/etc/k/config:10:26: `exec` is not supported: limpet runs no programs; use a "
                 "token, a token file or a client certificate");
    expect_error(FILE_WITH("server: 'https://h', certificate-authority-data: '*'", "token: t"),
                 "/etc/k/config:7:72: `certificate-authority-data` is not base64");
}

#define TEST(name) cmocka_unit_test(name)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_current_context_counts),
        TEST(files_are_relative_to_it_and_data_is_decoded),
        TEST(a_user_and_a_password_will_do),
        TEST(what_is_missing_is_said),
        TEST(what_would_run_a_program_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
