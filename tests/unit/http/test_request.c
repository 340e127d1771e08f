/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "http/request.h"

static struct http_request get_request(void)
{
    return (struct http_request){
        .method = SLICE_LITERAL("GET"),
        .target = SLICE_LITERAL("/metrics?a=b%20c"),
        .host = SLICE_LITERAL("[::1]:9100"),
        .content_length = -1,
    };
}

static void writes_a_get(void **state)
{
    (void)state;
    struct http_request request = get_request();
    const struct http_field fields[] = {
        {SLICE_LITERAL("Accept"), SLICE_LITERAL("text/plain;q=0.5, */*")},
        {SLICE_LITERAL("X-Empty"), SLICE_LITERAL("")},
    };
    request.fields = fields;
    request.n_fields = 2;
    char buffer[512];
    size_t len;
    assert_int_equal(http_request_write(&request, buffer, sizeof(buffer), &len, NULL), 0);
    assert_string_equal(buffer, "GET /metrics?a=b%20c HTTP/1.1\r\nHost: [::1]:9100\r\n"
                                "Accept: text/plain;q=0.5, */*\r\nX-Empty: \r\n\r\n");
    assert_int_equal(len, strlen(buffer));
}

static void writes_a_post(void **state)
{
    (void)state;
    struct http_request request = get_request();
    request.method = SLICE_LITERAL("POST");
    request.content_length = 123456789012;
    char buffer[512];
    size_t len;
    assert_int_equal(http_request_write(&request, buffer, sizeof(buffer), &len, NULL), 0);
    assert_string_equal(buffer, "POST /metrics?a=b%20c HTTP/1.1\r\nHost: [::1]:9100\r\n"
                                "Content-Length: 123456789012\r\n\r\n");
}

static void says_when_it_does_not_fit(void **state)
{
    (void)state;
    struct http_request request = get_request();
    char buffer[512];
    size_t len, ignored;
    assert_int_equal(http_request_write(&request, buffer, sizeof(buffer), &len, NULL), 0);
    for (size_t cap = 1; cap <= len; cap++)
        assert_int_equal(http_request_write(&request, buffer, cap, &ignored, NULL), ERR_FULL);
    assert_int_equal(http_request_write(&request, buffer, len + 1, &ignored, NULL), 0);
}

static void expect_refusal(const struct http_request *request, const char *part)
{
    char buffer[512];
    size_t len;
    struct errctx ctx = {""};
    assert_int_equal(http_request_write(request, buffer, sizeof(buffer), &len, &ctx), ERR_SYNTAX);
    assert_non_null(strstr(ctx.text, part));
}

static void lets_nothing_be_smuggled_in(void **state)
{
    (void)state;
    static const char *const bad[] = {"a\r\nB: c", "a\nb", "a\rb", "a\177b", "a\001b"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct http_request request = get_request();
        request.method = slice_of(bad[i]);
        expect_refusal(&request, "the method");
        request = get_request();
        request.target = slice_of(bad[i]);
        expect_refusal(&request, "the path");
        request = get_request();
        request.host = slice_of(bad[i]);
        expect_refusal(&request, "the host");
        request = get_request();
        struct http_field field = {slice_of(bad[i]), SLICE_LITERAL("x")};
        request.fields = &field;
        request.n_fields = 1;
        expect_refusal(&request, "a header name");
        field = (struct http_field){SLICE_LITERAL("X"), slice_of(bad[i])};
        expect_refusal(&request, "a header value");
    }
    struct http_request request = get_request();
    request.target = SLICE_LITERAL("/a b");
    expect_refusal(&request, "the path");
    request.target = SLICE_LITERAL("");
    expect_refusal(&request, "the path");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_a_get),
        cmocka_unit_test(writes_a_post),
        cmocka_unit_test(says_when_it_does_not_fit),
        cmocka_unit_test(lets_nothing_be_smuggled_in),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
