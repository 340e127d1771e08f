/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/base64.h"
#include "http/auth.h"

static void expect(struct strbuf *value, const char *text)
{
    assert_string_equal(value->text, text);
    strbuf_fini(value);
}

static void encodes_base64(void **state)
{
    (void)state;
    /* RFC 4648, 10, and all bits set. */
    static const char *const vectors[][2] = {
        {"", ""},
        {"f", "Zg=="},
        {"fo", "Zm8="},
        {"foo", "Zm9v"},
        {"foob", "Zm9vYg=="},
        {"fooba", "Zm9vYmE="},
        {"foobar", "Zm9vYmFy"},
        {"\xff\xff\xff", "////"},
        {"\xfb\xef\xbe", "++++"},
    };
    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
        struct strbuf value = STRBUF_GROWING;
        strbuf_adds(&value, "");
        base64_add(&value, slice_of(vectors[i][0]));
        expect(&value, vectors[i][1]);
    }
}

static void writes_user_and_password(void **state)
{
    (void)state;
    struct strbuf value = STRBUF_GROWING;
    http_auth_basic(&value, SLICE_LITERAL("Aladdin"), SLICE_LITERAL("open sesame"));
    expect(&value, "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    http_auth_basic(&value, SLICE_LITERAL(""), SLICE_LITERAL(""));
    expect(&value, "Basic Og==");
}

static void writes_any_scheme(void **state)
{
    (void)state;
    struct strbuf value = STRBUF_GROWING;
    http_auth_scheme(&value, SLICE_LITERAL("Bearer"), SLICE_LITERAL("abc"));
    expect(&value, "Bearer abc");
    http_auth_scheme(&value, SLICE_LITERAL("Bearer"), SLICE_LITERAL(""));
    expect(&value, "Bearer ");
}

static void takes_the_user_of_a_url(void **state)
{
    (void)state;
    static const char *const urls[][2] = {
        {"http://a.test/", ""},
        {"http://u:p@a.test/", "Basic dTpw"},
        {"http://u@a.test/", "Basic dTo="},
        {"http://u%3A:p%40q:r@a.test/", "Basic dTo6cEBxOnI="},
        {"http://@a.test/", "Basic Og=="},
    };
    struct arena arena = {0};
    for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
        struct http_url url;
        struct strbuf value = STRBUF_GROWING;
        strbuf_adds(&value, "");
        assert_int_equal(http_url_parse(slice_of(urls[i][0]), &arena, &url, NULL), 0);
        assert_int_equal(http_auth_of_url(&value, &url, &arena), 0);
        expect(&value, urls[i][1]);
    }
    struct http_url url;
    struct strbuf value = STRBUF_GROWING;
    assert_int_equal(http_url_parse(SLICE_LITERAL("http://u%4@a.test/"), &arena, &url, NULL), 0);
    assert_true(http_auth_of_url(&value, &url, &arena) < 0);
    arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(encodes_base64),
        cmocka_unit_test(writes_user_and_password),
        cmocka_unit_test(writes_any_scheme),
        cmocka_unit_test(takes_the_user_of_a_url),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
