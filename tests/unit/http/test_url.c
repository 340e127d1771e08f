/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "http/url.h"

/* "https user=u authority host port target", or the error. */
static void describe(int err, const struct http_url *url, const struct errctx *why, char *text,
                     size_t size)
{
    if (err != 0)
        snprintf(text, size, "%s", why->text);
    else
        snprintf(text, size, "%s%s%.*s %.*s %.*s %u %.*s", url->https ? "https" : "http",
                 url->has_user ? " user=" : "", SLICE_ARG(url->user), SLICE_ARG(url->authority),
                 SLICE_ARG(url->host), url->port, SLICE_ARG(url->target));
}

static void takes_urls_apart(void **state)
{
    (void)state;
    static const char *const urls[][2] = {
        {"http://a.test", "http a.test a.test 80 /"},
        {"HTTPS://A.test/", "https A.test A.test 443 /"},
        {"http://a.test:8080/x?y=z#part", "http a.test:8080 a.test 8080 /x?y=z"},
        {"http://a.test:/x", "http a.test: a.test 80 /x"},
        {"http://a.test?y", "http a.test a.test 80 /?y"},
        {"https://[2001:db8::1]:9/x", "https [2001:db8::1]:9 2001:db8::1 9 /x"},
        {"http://[::1]", "http [::1] ::1 80 /"},
        {"http://u:p%40@a.test/", "http user=u:p%40 a.test a.test 80 /"},
        {"http://u@v@a.test/", "http user=u@v a.test a.test 80 /"},
        {"http://a.test/a b\xc3\xa4<c>?d e\"\xff",
         "http a.test a.test 80 /a%20b%C3%A4%3Cc%3E?d%20e\"%FF"},
        {"http://a.test/%20?%zz", "http a.test a.test 80 /%20?%zz"},
        {"http://a.test/%20%zz", "invalid URL escape \"%zz\""},
        {"http://a.test/%2", "invalid URL escape \"%2\""},
        {"http://a.test/a/../b", "http a.test a.test 80 /a/../b"},
        {"ftp://a.test/", "unsupported protocol scheme \"ftp\""},
        {"/x", "unsupported protocol scheme \"\""},
        {"a.test:80", "unsupported protocol scheme \"a.test\""},
        {"http:/x", "no host in request URL"},
        {"http://", "no host in request URL"},
        {"http:///x", "no host in request URL"},
        {"http://:80/", "no host in request URL"},
        {"http://a.test:0/", "invalid port \":0\" after host"},
        {"http://a.test:65536/", "invalid port \":65536\" after host"},
        {"http://a.test:8x/", "invalid port \":8x\" after host"},
        {"http://[::1]x/", "invalid port \"x\" after host"},
        {"http://[::1/", "missing ']' in host"},
        {"http://a test/", "invalid character in host name"},
        {"http://a.test/\r\nX: y", "invalid control character in URL"},
        {"", "unsupported protocol scheme \"\""},
    };
    struct arena arena = {0};
    for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
        struct http_url url = {.port = 0};
        struct errctx why = {""};
        char text[1100];
        int err = http_url_parse(slice_of(urls[i][0]), &arena, &url, &why);
        assert_int_equal(err, strncmp(urls[i][1], "http", 4) == 0 ? 0 : ERR_SYNTAX);
        describe(err, &url, &why, text, sizeof(text));
        assert_string_equal(text, urls[i][1]);
    }
    arena_fini(&arena);
}

/* RFC 3986, 5.4, without what is no path. */
static void resolves_references(void **state)
{
    (void)state;
    static const char *const references[][2] = {
        {"g", "http://a/b/c/g"},
        {"./g", "http://a/b/c/g"},
        {"g/", "http://a/b/c/g/"},
        {"/g", "http://a/g"},
        {"//g", "http://g/"},
        {"//g:8/x?y", "http://g:8/x?y"},
        {"?y", "http://a/b/c/d;p?y"},
        {"g?y", "http://a/b/c/g?y"},
        {"#s", "http://a/b/c/d;p?q"},
        {"g#s", "http://a/b/c/g"},
        {";x", "http://a/b/c/;x"},
        {"", "http://a/b/c/d;p?q"},
        {".", "http://a/b/c/"},
        {"./", "http://a/b/c/"},
        {"..", "http://a/b/"},
        {"../", "http://a/b/"},
        {"../g", "http://a/b/g"},
        {"../..", "http://a/"},
        {"../../g", "http://a/g"},
        {"../../../g", "http://a/g"},
        {"/./g", "http://a/g"},
        {"/../g", "http://a/g"},
        {"g.", "http://a/b/c/g."},
        {"..g", "http://a/b/c/..g"},
        {"./../g", "http://a/b/g"},
        {"./g/.", "http://a/b/c/g/"},
        {"g/../h", "http://a/b/c/h"},
        {"g?y/../x", "http://a/b/c/g?y/../x"},
        {"https://h/../x", "https://h/x"},
        {"/a//b", "http://a/a//b"},
    };
    struct arena arena = {0};
    struct http_url base, url;
    assert_int_equal(http_url_parse(SLICE_LITERAL("http://a/b/c/d;p?q"), &arena, &base, NULL), 0);
    for (size_t i = 0; i < sizeof(references) / sizeof(references[0]); i++) {
        struct slice reference = slice_of(references[i][0]);
        assert_int_equal(http_url_resolve(&base, reference, &arena, &url, NULL), 0);
        assert_string_equal(http_url_text(&url, &arena).ptr, references[i][1]);
    }
    static const char *const none[] = {"ftp://g", "/g\n", ":", "1:g", "g/%g", "//g/%"};
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
        assert_int_equal(http_url_resolve(&base, slice_of(none[i]), &arena, &url, NULL),
                         ERR_SYNTAX);
    arena_fini(&arena);
}

static void undoes_escapes(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct slice text;
    assert_int_equal(http_url_unescape(SLICE_LITERAL("a%3Ab%c3%A4+"), &arena, &text), 0);
    assert_true(slice_is(text, "a:b\xc3\xa4+"));
    static const char *const wrong[] = {"%", "a%4", "%zz", "%4z"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_int_equal(http_url_unescape(slice_of(wrong[i]), &arena, &text), ERR_SYNTAX);
    arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_urls_apart),
        cmocka_unit_test(resolves_references),
        cmocka_unit_test(undoes_escapes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
