/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Requests over TLS to a real nginx, on both backends of the loop. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/fetch/client.h"
#include "tests/unit/loop/backends.h"
#include "tests/unit/net/certificates.h"
#include "tests/unit/net/nginx.h"

enum site {
    SERVER,
    RSA,
    TLS_1_2,
    TLS_1_3,
    EXPIRED,
    EARLY,
    ELSEWHERE,
    NAMELESS,
    STRANGER,
    CHAIN,
    SELF_SIGNED,
    MUTUAL,
    SITES
};

#define BOTH "TLSv1.2 TLSv1.3"

static const struct nginx_site sites[SITES] = {
    [SERVER] = {"server", BOTH, NULL},
    [RSA] = {"rsa", BOTH, NULL},
    [TLS_1_2] = {"server", "TLSv1.2", NULL},
    [TLS_1_3] = {"server", "TLSv1.3", NULL},
    [EXPIRED] = {"expired", BOTH, NULL},
    [EARLY] = {"early", BOTH, NULL},
    [ELSEWHERE] = {"elsewhere", BOTH, NULL},
    [NAMELESS] = {"nameless", BOTH, NULL},
    [STRANGER] = {"stranger", BOTH, NULL},
    [CHAIN] = {"chain", BOTH, NULL},
    [SELF_SIGNED] = {"selfsigned", BOTH, NULL},
    [MUTUAL] = {"server", BOTH, "ssl_client_certificate ca.pem; ssl_verify_client on;"},
};

static struct nginx *nginx;

struct stage {
    struct loop *loop;
    struct client *client;
    struct net_tls_context *tls;
    struct net_address address;
    struct net_tls_options options;
    const char *host;
    char head[512];
    struct fetch_request request;
};

/* A client of `site` that believes ca.pem. */
static struct stage *stage_new(void **state, enum site site)
{
    struct stage *stage = calloc(1, sizeof(*stage));
    stage->loop = loop_of(state);
    stage->client = client_new(stage->loop);
    stage->address = nginx_address(nginx, site);
    stage->options = (struct net_tls_options){.ca = certificates_file("ca.pem")};
    stage->host = "127.0.0.1";
    return stage;
}

static void use_options(struct stage *stage)
{
    struct errctx why = {""};
    net_tls_context_free(stage->tls);
    stage->tls = NULL;
    int err = net_tls_context_new(&stage->options, &stage->tls, &why);
    assert_string_equal(why.text, "");
    assert_int_equal(err, 0);
}

static void start(struct stage *stage, const char *path, struct slice body)
{
    if (stage->tls == NULL)
        use_options(stage);
    client_reset(stage->client);
    snprintf(stage->head, sizeof(stage->head),
             "%s %s HTTP/1.1\r\nHost: %s\r\nContent-Length: %zu\r\n\r\n",
             body.len > 0 ? "POST" : "GET", path, stage->host, body.len);
    stage->request = (struct fetch_request){
        .addresses = &stage->address,
        .n_addresses = 1,
        .idempotent = body.len == 0,
        .head = slice_of(stage->head),
        .body = body,
        .tls = stage->tls,
        .tls_host = slice_of(stage->host),
        .deadline_ns = clock_mono_ns() + PATIENCE_NS,
    };
    fetch_start(&stage->client->conn, &stage->request);
}

static void run(struct stage *stage, const char *path, struct slice body)
{
    start(stage, path, body);
    RUN_UNTIL(stage->loop, stage->client->dones == 1);
}

static void get(struct stage *stage)
{
    run(stage, "/", SLICE_LITERAL(""));
}

static void expect_answer(const struct stage *stage, const char *part)
{
    assert_string_equal(stage->client->text, "");
    assert_int_equal(stage->client->error, 0);
    assert_int_equal(stage->client->status, 200);
    if (strstr(stage->client->body.text, part) == NULL)
        assert_string_equal(stage->client->body.text, part);
}

static void expect_failure(const struct stage *stage, const char *text)
{
    if (strstr(stage->client->text, text) == NULL)
        assert_string_equal(stage->client->text, text);
    assert_int_equal(stage->client->error, ERR_TLS);
    assert_int_equal(stage->client->heads, 0);
    assert_false(stage->client->maybe_delivered);
}

static void stage_end(struct stage *stage)
{
    client_free(stage->client, stage->loop);
    net_tls_context_free(stage->tls);
    assert_int_equal(loop_in_flight(stage->loop), 0);
    free(stage);
}

static void speaks_1_3_where_it_can(void **state)
{
    struct stage *stage = stage_new(state, SERVER);
    get(stage);
    expect_answer(stage, "TLSv1.3 name= client= NONE");
    stage_end(stage);
}

static void speaks_1_2(void **state)
{
    struct stage *stage = stage_new(state, TLS_1_2);
    get(stage);
    expect_answer(stage, "TLSv1.2");
    stage_end(stage);
}

static void believes_rsa(void **state)
{
    struct stage *stage = stage_new(state, RSA);
    get(stage);
    expect_answer(stage, "TLSv1.3");
    stage->options.max_version = NET_TLS_1_2;
    use_options(stage);
    get(stage);
    expect_answer(stage, "TLSv1.2");
    stage_end(stage);
}

static void keeps_to_the_versions_that_are_allowed(void **state)
{
    struct stage *stage = stage_new(state, TLS_1_2);
    stage->options.min_version = NET_TLS_1_3;
    get(stage);
    expect_failure(stage, "remote error: tls: protocol version not supported");
    stage_end(stage);
    stage = stage_new(state, TLS_1_3);
    stage->options.max_version = NET_TLS_1_2;
    get(stage);
    expect_failure(stage, "remote error: tls: protocol version not supported");
    stage_end(stage);
}

static void asks_for_the_name(void **state)
{
    struct stage *stage = stage_new(state, SERVER);
    stage->host = "a.example.test";
    get(stage);
    expect_answer(stage, "name=a.example.test ");
    stage->host = "127.0.0.1";
    stage->options.server_name = SLICE_LITERAL("localhost");
    use_options(stage);
    get(stage);
    expect_answer(stage, "name=localhost ");
    stage_end(stage);
}

static void keeps_the_connection(void **state)
{
    struct stage *stage = stage_new(state, SERVER);
    for (int i = 0; i < 3; i++) {
        get(stage);
        expect_answer(stage, "TLSv1.3");
        run(stage, "/", SLICE_LITERAL("some content"));
        expect_answer(stage, "length=12");
    }
    assert_int_equal(stage->client->conn.counters.opened, 1);
    assert_int_equal(stage->client->conn.counters.reused, 5);
    /* Another context is another connection. */
    use_options(stage);
    get(stage);
    assert_int_equal(stage->client->conn.counters.opened, 2);
    stage_end(stage);
}

/* Whether the handshake of a new connection went on from the one before. */
static bool is_resumed(struct stage *stage)
{
    fetch_close_idle(&stage->client->conn);
    get(stage);
    expect_answer(stage, "TLSv1.");
    return strstr(stage->client->body.text, " r\n") != NULL;
}

static void goes_on_from_the_connection_before(void **state)
{
    static const enum site either[] = {TLS_1_2, TLS_1_3};
    for (int i = 0; i < 2; i++) {
        struct stage *stage = stage_new(state, either[i]);
        assert_false(is_resumed(stage));
        assert_true(is_resumed(stage));
        assert_true(is_resumed(stage));
        /* Nothing is left after a connection without a handshake. */
        start(stage, "/", SLICE_LITERAL(""));
        fetch_abort(&stage->client->conn);
        RUN_UNTIL(stage->loop, fetch_is_quiet(&stage->client->conn));
        get(stage);
        stage_end(stage);
    }
}

/* With TLS 1.3 there is a new secret then, and still the old ticket. */
static void does_not_go_on_from_a_connection_that_ended_before_its_ticket_came(void **state)
{
    static const enum site either[] = {TLS_1_2, TLS_1_3};
    for (int i = 0; i < 2; i++) {
        struct stage *stage = stage_new(state, either[i]);
        struct fetch_connection *conn = &stage->client->conn;
        assert_false(is_resumed(stage));
        fetch_close_idle(conn);
        start(stage, "/", SLICE_LITERAL(""));
        RUN_UNTIL(stage->loop, conn->counters.opened == 2);
        fetch_abort(conn);
        RUN_UNTIL(stage->loop, fetch_is_quiet(conn));
        get(stage);
        expect_answer(stage, "TLSv1.");
        stage_end(stage);
    }
}

static void goes_on_with_the_same_host_and_context_only(void **state)
{
    struct stage *stage = stage_new(state, SERVER);
    assert_false(is_resumed(stage));
    stage->host = "a.example.test";
    assert_false(is_resumed(stage));
    assert_true(is_resumed(stage));
    use_options(stage);
    assert_false(is_resumed(stage));
    assert_true(is_resumed(stage));
    stage->options.insecure_skip_verify = true;
    use_options(stage);
    assert_false(is_resumed(stage));
    assert_true(is_resumed(stage));
    stage_end(stage);
}

static void believes_nobody_for_a_ticket(void **state)
{
    static const enum site others[] = {STRANGER, EXPIRED, ELSEWHERE};
    for (int i = 0; i < 3; i++) {
        struct stage *stage = stage_new(state, SERVER);
        assert_false(is_resumed(stage));
        fetch_close_idle(&stage->client->conn);
        stage->address = nginx_address(nginx, others[i]);
        get(stage);
        expect_failure(stage, "tls: failed to verify certificate: x509: ");
        stage_end(stage);
    }
}

static void carries_big_bodies(void **state)
{
    static const enum site versions[] = {TLS_1_2, TLS_1_3};
    size_t size = 8 << 20;
    char *body = malloc(size);
    memset(body, 'x', size);
    for (int i = 0; i < 2; i++) {
        struct stage *stage = stage_new(state, versions[i]);
        run(stage, "/big", SLICE_LITERAL(""));
        expect_answer(stage, "");
        assert_int_equal(stage->client->body.len, NGINX_BIG);
        for (size_t at = 0; at < NGINX_BIG; at++) {
            if (stage->client->body.text[at] != nginx_big_byte(at))
                fail_msg("wrong byte at %zu", at);
        }
        run(stage, "/", slice_make(body, size));
        expect_answer(stage, "length=8388608");
        stage_end(stage);
    }
    free(body);
}

static void says_since_when_a_certificate_is_expired(void **state)
{
    struct stage *stage = stage_new(state, EXPIRED);
    get(stage);
    expect_failure(stage, "tls: failed to verify certificate: x509: certificate has expired or is "
                          "not yet valid: current time 20");
    expect_failure(stage, "Z is after 2021-02-03T04:05:06Z");
    stage_end(stage);
    stage = stage_new(state, EARLY);
    get(stage);
    expect_failure(stage, "Z is before 2049-01-01T00:00:00Z");
    stage_end(stage);
}

static void says_for_which_names_a_certificate_is_valid(void **state)
{
    struct stage *stage = stage_new(state, ELSEWHERE);
    get(stage);
    expect_failure(stage, "tls: failed to verify certificate: x509: certificate is valid for "
                          "192.0.2.1, not 127.0.0.1");
    stage->host = "localhost";
    get(stage);
    expect_failure(stage, "tls: failed to verify certificate: x509: certificate is valid for "
                          "elsewhere.test, *.elsewhere.test, not localhost");
    stage->options.server_name = SLICE_LITERAL("a.elsewhere.test");
    use_options(stage);
    get(stage);
    expect_answer(stage, "name=a.elsewhere.test");
    stage_end(stage);
}

static void does_not_take_the_common_name(void **state)
{
    struct stage *stage = stage_new(state, NAMELESS);
    stage->host = "localhost";
    get(stage);
    expect_failure(stage, "x509: certificate relies on legacy Common Name field, use SANs instead");
    stage->host = "other";
    get(stage);
    expect_failure(stage,
                   "x509: certificate is not valid for any names, but wanted to match other");
    stage->host = "127.0.0.1";
    get(stage);
    expect_failure(stage, "x509: cannot validate certificate for 127.0.0.1 because it doesn't "
                          "contain any IP SANs");
    stage_end(stage);
}

static void does_not_believe_strangers(void **state)
{
    static const enum site strange[] = {STRANGER, SELF_SIGNED};
    for (int i = 0; i < 2; i++) {
        struct stage *stage = stage_new(state, strange[i]);
        get(stage);
        expect_failure(stage, "tls: failed to verify certificate: x509: certificate signed by "
                              "unknown authority");
        stage_end(stage);
    }
    struct stage *stage = stage_new(state, SERVER);
    stage->options.ca = SLICE_LITERAL("");
    get(stage);
    expect_failure(stage, "x509: certificate signed by unknown authority");
    stage_end(stage);
}

static void believes_everybody_if_told_so(void **state)
{
    static const enum site strange[] = {STRANGER, SELF_SIGNED, EXPIRED, ELSEWHERE, NAMELESS};
    for (size_t i = 0; i < sizeof(strange) / sizeof(strange[0]); i++) {
        struct stage *stage = stage_new(state, strange[i]);
        stage->options.insecure_skip_verify = true;
        get(stage);
        expect_answer(stage, "TLSv1.3");
        stage_end(stage);
    }
}

static void believes_through_an_intermediate(void **state)
{
    struct stage *stage = stage_new(state, CHAIN);
    get(stage);
    expect_answer(stage, "TLSv1.3");
    stage->options.ca = certificates_file("other.pem");
    use_options(stage);
    get(stage);
    expect_failure(stage, "x509: certificate signed by unknown authority");
    /* What the peer sent along has not become an authority. */
    get(stage);
    expect_failure(stage, "x509: certificate signed by unknown authority");
    stage_end(stage);
}

static void believes_a_self_signed_certificate_by_itself(void **state)
{
    struct stage *stage = stage_new(state, SELF_SIGNED);
    stage->options.ca = certificates_file("selfsigned.pem");
    get(stage);
    expect_answer(stage, "TLSv1.3");
    stage_end(stage);
}

static void shows_its_own_certificate(void **state)
{
    struct stage *stage = stage_new(state, MUTUAL);
    stage->options.cert = certificates_file("client.pem");
    stage->options.key = certificates_file("client.key");
    get(stage);
    expect_answer(stage, "client=CN=client SUCCESS");
    stage->options.max_version = NET_TLS_1_2;
    use_options(stage);
    get(stage);
    expect_answer(stage, "TLSv1.2 name= client=CN=client SUCCESS");
    stage_end(stage);
}

static void is_refused_without_a_certificate_or_with_a_wrong_one(void **state)
{
    struct stage *stage = stage_new(state, MUTUAL);
    get(stage);
    assert_int_equal(stage->client->error, 0);
    assert_int_equal(stage->client->status, 400);
    assert_non_null(strstr(stage->client->body.text, "No required SSL certificate was sent"));
    stage->options.cert = certificates_file("wrongclient.pem");
    stage->options.key = certificates_file("wrongclient.key");
    use_options(stage);
    get(stage);
    assert_int_equal(stage->client->status, 400);
    assert_non_null(strstr(stage->client->body.text, "The SSL certificate error"));
    stage_end(stage);
}

static void says_which_option_is_wrong(void **state)
{
    (void)state;
    struct slice cert = certificates_file("client.pem"), key = certificates_file("client.key");
    const struct {
        struct net_tls_options options;
        const char *text;
    } wrong[] = {
        {{.ca = SLICE_LITERAL("nothing")}, "ca: no certificate in PEM form was found in it"},
        {{.ca = key}, "ca: no certificate in PEM form was found in it"},
        {{.cert = cert}, "cert and key are needed together"},
        {{.key = key}, "cert and key are needed together"},
        {{.cert = key, .key = key}, "cert: not a certificate in PEM form"},
        {{.cert = cert, .key = cert}, "key: not a private key in PEM form"},
        {{.cert = cert, .key = certificates_file("rsa.key")},
         "key: the private key does not belong to cert"},
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct net_tls_context *context = NULL;
        struct errctx why = {""};
        int err = net_tls_context_new(&wrong[i].options, &context, &why);
        if (err != ERR_CONFIG)
            fail_msg("%zu: %s", i, wrong[i].text);
        if (strstr(why.text, wrong[i].text) == NULL)
            assert_string_equal(why.text, wrong[i].text);
    }
}

static void can_be_aborted_at_any_time(void **state)
{
    struct stage *stage = stage_new(state, SERVER);
    for (int turns = 0; turns < 12; turns++) {
        start(stage, "/big", SLICE_LITERAL(""));
        for (int i = 0; i < turns && stage->client->dones == 0; i++)
            assert_int_equal(loop_run_once(stage->loop, NS_PER_S), 0);
        fetch_abort(&stage->client->conn);
        RUN_UNTIL(stage->loop, fetch_is_quiet(&stage->client->conn));
    }
    get(stage);
    expect_answer(stage, "TLSv1.3");
    stage_end(stage);
}

static struct net_tls_context *believer_of(struct slice ca)
{
    const struct net_tls_options options = {.ca = ca};
    struct net_tls_context *made;
    assert_int_equal(net_tls_context_new(&options, &made, NULL), 0);
    return made;
}

/* They share what wolfSSL has made of it; whoever came first may go first. */
static void contexts_that_believe_the_same_do_so_each_as_long_as_it_lives(void **state)
{
    struct stage *stage = stage_new(state, SERVER);
    struct slice other = certificates_file("other.pem");
    char *copy = strndup(other.ptr, other.len);
    struct net_tls_context *first = believer_of(other);
    use_options(stage);
    struct net_tls_context *second = believer_of(slice_make(copy, other.len));
    free(copy);
    get(stage);
    expect_answer(stage, "TLSv1.3");
    net_tls_context_free(first);
    net_tls_context_free(stage->tls);
    stage->tls = second;
    get(stage);
    expect_failure(stage, "x509: certificate signed by unknown authority");
    stage->address = nginx_address(nginx, STRANGER);
    get(stage);
    expect_answer(stage, "TLSv1.3");
    stage_end(stage);
}

/* What one takes without a question is no authority for the other. */
static void who_verifies_shares_nothing_with_who_does_not(void **state)
{
    struct stage *stage = stage_new(state, CHAIN);
    struct net_tls_context *careless;
    stage->options.ca = certificates_file("other.pem");
    stage->options.insecure_skip_verify = true;
    get(stage);
    expect_answer(stage, "TLSv1.3");
    careless = stage->tls;
    stage->tls = NULL;
    stage->options.insecure_skip_verify = false;
    get(stage);
    expect_failure(stage, "x509: certificate signed by unknown authority");
    net_tls_context_free(careless);
    stage_end(stage);
}

static int start_nginx(void **state)
{
    (void)state;
    struct errctx why;
    if (net_tls_load(TESTS_TLS_MODULE, &why) != 0)
        return -1;
    nginx = nginx_start(sites, SITES);
    return 0;
}

static int stop_nginx(void **state)
{
    (void)state;
    nginx_stop(nginx);
    if (getenv("KEEP") == NULL)
        certificates_remove();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_BOTH(speaks_1_3_where_it_can),
        ON_BOTH(speaks_1_2),
        ON_BOTH(believes_rsa),
        ON_BOTH(keeps_to_the_versions_that_are_allowed),
        ON_BOTH(asks_for_the_name),
        ON_BOTH(keeps_the_connection),
        ON_BOTH(goes_on_from_the_connection_before),
        ON_BOTH(does_not_go_on_from_a_connection_that_ended_before_its_ticket_came),
        ON_BOTH(goes_on_with_the_same_host_and_context_only),
        ON_BOTH(believes_nobody_for_a_ticket),
        ON_BOTH(carries_big_bodies),
        ON_BOTH(says_since_when_a_certificate_is_expired),
        ON_BOTH(says_for_which_names_a_certificate_is_valid),
        ON_BOTH(does_not_take_the_common_name),
        ON_BOTH(does_not_believe_strangers),
        ON_BOTH(believes_everybody_if_told_so),
        ON_BOTH(believes_through_an_intermediate),
        ON_BOTH(believes_a_self_signed_certificate_by_itself),
        ON_BOTH(contexts_that_believe_the_same_do_so_each_as_long_as_it_lives),
        ON_BOTH(who_verifies_shares_nothing_with_who_does_not),
        ON_BOTH(shows_its_own_certificate),
        ON_BOTH(is_refused_without_a_certificate_or_with_a_wrong_one),
        cmocka_unit_test(says_which_option_is_wrong),
        ON_BOTH(can_be_aborted_at_any_time),
    };
    return cmocka_run_group_tests(tests, start_nginx, stop_nginx);
}
