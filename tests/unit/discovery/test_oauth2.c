/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "discovery/oauth2.h"

static const char *const scopes[] = {"read", "write all"};
static const struct config_pair params[] = {
    {"audience", "https://a.test/x y"}, {"client_id", "not this"}, {"zone", "1&2"}};

static struct oauth2_client client(void)
{
    return (struct oauth2_client){
        .id = SLICE_LITERAL("me & you"),
        .secret = SLICE_LITERAL("s:p=%"),
        .scopes = {scopes, 2},
        .endpoint_params = {params, 3},
    };
}

static void expect_body(const struct oauth2_client *asking, enum oauth2_style style,
                        const char *text)
{
    struct strbuf body = STRBUF_GROWING;
    oauth2_body(asking, style, &body);
    assert_string_equal(body.text, text);
    strbuf_fini(&body);
}

static void asks_in_form_encoding(void **state)
{
    (void)state;
    struct oauth2_client asking = client();
    expect_body(&asking, OAUTH2_IN_BODY,
                "audience=https%3A%2F%2Fa.test%2Fx+y&client_id=me+%26+you&"
                "client_secret=s%3Ap%3D%25&grant_type=client_credentials&scope=read+write+all&"
                "zone=1%262");
    expect_body(&asking, OAUTH2_IN_HEADER,
                "audience=https%3A%2F%2Fa.test%2Fx+y&client_id=not+this&"
                "grant_type=client_credentials&scope=read+write+all&zone=1%262");
    asking.scopes.len = 0;
    asking.endpoint_params.len = 0;
    asking.secret = SLICE_LITERAL("");
    expect_body(&asking, OAUTH2_IN_HEADER, "grant_type=client_credentials");
    expect_body(&asking, OAUTH2_IN_BODY, "client_id=me+%26+you&grant_type=client_credentials");
}

static void lets_another_grant_type_be_asked_for(void **state)
{
    (void)state;
    static const struct config_pair other[] = {{"grant_type", "password"}, {"user", "x"}};
    struct oauth2_client asking = {.id = SLICE_LITERAL("i"), .endpoint_params = {other, 2}};
    expect_body(&asking, OAUTH2_IN_HEADER, "grant_type=password&user=x");
}

static void shows_itself_in_the_header(void **state)
{
    (void)state;
    struct oauth2_client asking = client();
    struct strbuf value = STRBUF_GROWING;
    oauth2_authorization(&asking, &value);
    /* me+%26+you:s%3Ap%3D%25 */
    assert_string_equal(value.text, "Basic bWUrJTI2K3lvdTpzJTNBcCUzRCUyNQ==");
    strbuf_fini(&value);
}

struct answer {
    int status;
    const char *body;
    const char *authorization; /* or the error */
    int64_t lifetime_ms;       /* -1: it is an error */
};

static void understands_answers(void **state)
{
    (void)state;
    static const struct answer answers[] = {
        {200, "{\"access_token\":\"abc\",\"token_type\":\"bearer\",\"expires_in\":3600}",
         "Bearer abc", 3590000},
        {201, " {\"access_token\": \"abc\", \"expires_in\": \"60\", \"x\": [1.5e3, true, null]}",
         "Bearer abc", 50000},
        {200, "{\"access_token\":\"abc\",\"token_type\":\"mac\"}", "MAC abc", 0},
        {200, "{\"access_token\":\"abc\",\"token_type\":\"DPoP\",\"expires_in\":5}", "DPoP abc", 1},
        {200, "{\"access_token\":\"abc\",\"expires_in\":-5}", "Bearer abc", 0},
        {200, "{\"access_token\":\"\"}", "oauth2: server response missing access_token", -1},
        {200, "{}", "oauth2: server response missing access_token", -1},
        {200, "[]", "oauth2: server response missing access_token", -1},
        {200, "<html>", "oauth2: cannot parse json: token:1:1: not JSON: here should stand a value",
         -1},
        {200, "{\"error\":\"invalid_scope\"}", "oauth2: \"invalid_scope\"", -1},
        {401, "{\"error\":\"invalid_client\",\"error_description\":\"who?\"}",
         "oauth2: \"invalid_client\" \"who?\"", -1},
        {500, "no\n", "oauth2: cannot fetch token: 500 Oops; response: \"no\\n\"", -1},
    };
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        const struct answer *answer = &answers[i];
        struct arena arena = {0};
        struct oauth2_token token = {.lifetime_ms = -2};
        struct errctx why = {""};
        int err = oauth2_answer(answer->status, SLICE_LITERAL("500 Oops"), slice_of(answer->body),
                                &arena, &token, &why);
        assert_int_equal(err, answer->lifetime_ms < 0 ? ERR_PROTOCOL : 0);
        assert_string_equal(err != 0 ? why.text : token.authorization.ptr, answer->authorization);
        assert_int_equal(token.lifetime_ms, err != 0 ? -2 : answer->lifetime_ms);
        arena_fini(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(asks_in_form_encoding),
        cmocka_unit_test(lets_another_grant_type_be_asked_for),
        cmocka_unit_test(shows_itself_in_the_header),
        cmocka_unit_test(understands_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
