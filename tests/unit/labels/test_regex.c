/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "labels/regex.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/strbuf.h"

#define NO_MATCH "(no match)"

static int load(void **state)
{
    (void)state;
    return regex_load(".", NULL);
}

static struct regex *compile(const char *pattern)
{
    struct regex *regex;
    struct errctx why;
    if (regex_compile(slice_of(pattern), &regex, &why) < 0)
        fail_msg("%s: %s", pattern, why.text);
    return regex;
}

/* `groups`: "[whole][1][2]", where a group that took no part is "-". */
static void expect(const char *pattern, const char *subject, const char *groups)
{
    struct slice found[10];
    char text[256] = "";
    struct strbuf out = STRBUF_FIXED(text);
    struct regex *regex = compile(pattern);
    size_t count = regex_group_count(regex) + 1;
    bool match = regex_captures(regex, slice_of(subject), found, count);
    for (size_t i = 0; match && i < count; i++) {
        if (found[i].ptr == NULL)
            strbuf_adds(&out, "-");
        else
            strbuf_addf(&out, "[%.*s]", SLICE_ARG(found[i]));
    }
    assert_string_equal(match ? text : NO_MATCH, groups);
    assert_int_equal(regex_match(regex, slice_of(subject)), match);
    regex_free(regex);
}

static void the_whole_subject_must_match(void **state)
{
    (void)state;
    expect("a", "a", "[a]");
    expect("a", "ab", NO_MATCH);
    expect("a", "ba", NO_MATCH);
    expect("a|ab", "ab", "[ab]");
    expect("", "", "[]");
    expect("", "a", NO_MATCH);
    expect("[ab]", "a\n", NO_MATCH);
}

static void a_dot_matches_the_end_of_a_line(void **state)
{
    (void)state;
    expect("a.b", "a\nb", "[a\nb]");
    expect(".*", "\n\n", "[\n\n]");
    expect("(?-s)a.b", "a\nb", NO_MATCH);
    expect("(?-s:a.*)", "a\nb", NO_MATCH);
}

static void groups_are_leftmost_first_and_greedy(void **state)
{
    (void)state;
    expect("(a|ab)(c|bcd)(d*)", "abcd", "[abcd][a][bcd][]");
    expect("(.*)-(.*)", "a-b-c", "[a-b-c][a-b][c]");
    expect("(.+)(-.+)", "a-b-c", "[a-b-c][a-b][-c]");
    expect("(?U)(.*)-(.*)", "a-b-c", "[a-b-c][a][b-c]");
    expect("(a)|(b)", "b", "[b]-[b]");
    expect("x(|a)(.*)", "xab", "[xab][][ab]");
    expect("(.+)-(.+)", "a-", NO_MATCH);
    expect("a(.+)b", "ab", NO_MATCH);
    expect("aba.*ba", "aba", NO_MATCH);
}

static void the_usual_address_rule_works(void **state)
{
    (void)state;
    expect("([^:]+)(?::\\d+)?;(\\d+)", "10.0.0.1:80;9100", "[10.0.0.1:80;9100][10.0.0.1][9100]");
    expect("([^:]+)(?::\\d+)?;(\\d+)", "10.0.0.1;9100", "[10.0.0.1;9100][10.0.0.1][9100]");
    expect("([^:]+)(?::\\d+)?;(\\d+)", "10.0.0.1:80;", NO_MATCH);
}

static void names_find_groups(void **state)
{
    static const char *const patterns[] = {"(x)(?P<a_1>y)", "(x)(?<a_1>y)", "([x])(?P<a_1>y)",
                                           "([x])(?<a_1>y)"};
    (void)state;
    for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++) {
        struct regex *regex = compile(patterns[i]);
        assert_int_equal(regex_group_count(regex), 2);
        assert_int_equal(regex_group_named(regex, slice_of("a_1")), 2);
        assert_int_equal(regex_group_named(regex, slice_of("a")), -1);
        assert_int_equal(regex_group_named(regex, slice_of("")), -1);
        regex_free(regex);
    }
}

static void classes_are_ascii_unless_they_are_unicodes(void **state)
{
    (void)state;
    expect("\\w", "é", NO_MATCH);
    expect("\\d", "٣", NO_MATCH);
    expect("\\pL\\p{Greek}", "éΩ", "[éΩ]");
    expect("(?i)É", "é", "[é]");
    expect("[[:alpha:]]+", "ab", "[ab]");
    expect("[(?<a>]+", "(?<a>", "[(?<a>]");
    expect("\\Q(?<a>\\E", "(?<a>", "[(?<a>]");
    expect("[]a]+", "]a", "[]a]");
}

static void bytes_that_are_not_utf8_are_characters(void **state)
{
    (void)state;
    expect("(.)[^a](.)", "a\xff\xe6\x97\xa5", "[a\xff\xe6\x97\xa5][a][\xe6\x97\xa5]");
    expect("\xef\xbf\xbd{2}", "\xe6\x97", "[\xe6\x97]");
    expect("(\xef\xbf\xbd)\xef\xbf\xbd", "\xff\xef\xbf\xbd", "[\xff\xef\xbf\xbd][\xff]");
    expect(".", "\xe6\x97", NO_MATCH);
    expect(".+x", "\xe6\x97x", "[\xe6\x97x]");
}

static void unbalanced_parentheses_escape_the_anchors(void **state)
{
    (void)state;
    expect("a)|(b", "ax", "[a]-");
    expect("a)|(b", "xb", "[b][b]");
}

static void expect_error(const char *pattern, const char *text)
{
    struct errctx why = {""};
    struct regex *regex = NULL;
    assert_int_equal(regex_compile(slice_of(pattern), &regex, &why), ERR_CONFIG);
    assert_string_equal(why.text, text);
}

static void errors_are_those_of_go(void **state)
{
    (void)state;
    expect_error("a(", "error parsing regexp: missing closing ): `^(?s:a()$`");
    expect_error("a)", "error parsing regexp: unexpected ): `^(?s:a))$`");
    expect_error("[a", "error parsing regexp: missing closing ]: `[a)$`");
    expect_error("[b-a]", "error parsing regexp: invalid character class range: `b-a`");
    expect_error("[[:x:]]", "error parsing regexp: invalid character class range: `[:x:]`");
    expect_error("*", "error parsing regexp: missing argument to repetition operator: `*`");
    expect_error("a**", "error parsing regexp: invalid nested repetition operator: `**`");
    expect_error("a{1001}", "error parsing regexp: invalid repeat count: `{1001}`");
    expect_error("(?:?<n>a)", "error parsing regexp: missing argument to repetition operator: `?`");
    expect_error("(?=a)", "error parsing regexp: invalid or unsupported Perl syntax: `(?=`");
    expect_error("\\8", "error parsing regexp: invalid escape sequence: `\\8`");
    expect_error("\\C", "error parsing regexp: invalid escape sequence: `\\C`");
    expect_error("(?P<é>a)", "error parsing regexp: invalid named capture: `(?P<é>`");
    expect_error("(?P<a", "error parsing regexp: invalid named capture: `(?P<a)$`");
}

static void expressions_nest_a_thousand_times_at_most(void **state)
{
    char pattern[2 * 1001 + 2] = "";
    struct errctx why = {""};
    struct regex *regex = NULL;
    (void)state;
    for (size_t i = 0; i < 1001; i++) {
        pattern[i] = '(';
        pattern[1002 + i] = ')';
    }
    pattern[1001] = 'a';
    assert_int_equal(regex_compile(slice_make(pattern, 2003), &regex, &why), ERR_CONFIG);
    assert_non_null(strstr(why.text, "error parsing regexp: expression nests too deeply"));
}

static void large_expressions_get_the_room_they_need(void **state)
{
    (void)state;
    expect("\\pL{900}x", "é", NO_MATCH);
    expect("(?:[a-z]{500}x){2}", "a", NO_MATCH);
}

static void only_real_expressions_use_the_engine(void **state)
{
    static const char *const simple[] = {"",
                                         "(.*)",
                                         ".+",
                                         "abc",
                                         "a\\.b\\_",
                                         "a|b|c",
                                         "(?:go|process)_.*",
                                         "é",
                                         "()",
                                         "a|",
                                         "__meta_(.+)",
                                         "(.*)-(.*)-(?P<x>.+)",
                                         "((a)|b)c"};
    static const char *const real[] = {"a?",   "[ab]", "a.b",  "(?i)a", "\\d",     "^a",
                                       "a{2}", ".*?",  ".*.*", "(a)+",  ".*(a|b)", "\xef\xbf\xbd"};
    (void)state;
    for (size_t i = 0; i < sizeof(simple) / sizeof(simple[0]); i++) {
        struct regex *regex = compile(simple[i]);
        assert_false(regex_uses_engine(regex));
        regex_free(regex);
    }
    for (size_t i = 0; i < sizeof(real) / sizeof(real[0]); i++) {
        struct regex *regex = compile(real[i]);
        assert_true(regex_uses_engine(regex));
        regex_free(regex);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_whole_subject_must_match),
        cmocka_unit_test(a_dot_matches_the_end_of_a_line),
        cmocka_unit_test(groups_are_leftmost_first_and_greedy),
        cmocka_unit_test(the_usual_address_rule_works),
        cmocka_unit_test(names_find_groups),
        cmocka_unit_test(classes_are_ascii_unless_they_are_unicodes),
        cmocka_unit_test(bytes_that_are_not_utf8_are_characters),
        cmocka_unit_test(unbalanced_parentheses_escape_the_anchors),
        cmocka_unit_test(errors_are_those_of_go),
        cmocka_unit_test(expressions_nest_a_thousand_times_at_most),
        cmocka_unit_test(large_expressions_get_the_room_they_need),
        cmocka_unit_test(only_real_expressions_use_the_engine),
    };
    return cmocka_run_group_tests(tests, load, NULL);
}
