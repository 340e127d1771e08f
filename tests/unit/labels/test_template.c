/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "labels/template.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

/* Expands with the groups of (one)-(?P<n>two)|(none) in "one-two". */
static void expect(const char *text, const char *expanded)
{
    struct regex *regex;
    struct slice groups[4];
    struct arena arena = {0};
    struct template template;
    assert_int_equal(regex_compile(slice_of("(one)-(?P<n>two)|(none)"), &regex, NULL), 0);
    template_compile(slice_of(text), regex, &arena, &template);
    assert_true(template.groups <= 4);
    assert_true(regex_captures(regex, slice_of("one-two"), groups,
                               template.groups > 0 ? template.groups : 1));
    struct slice result = template_expand(&template, groups, &arena);
    char *copy = arena_copy(&arena, result.ptr, result.len);
    assert_string_equal(copy, expanded);
    arena_fini(&arena);
    regex_free(regex);
}

static void numbers_and_names_are_groups(void **state)
{
    (void)state;
    expect("$1", "one");
    expect("${1}", "one");
    expect("$0", "one-two");
    expect("$n/${n}", "two/two");
    expect("<$1$2>", "<onetwo>");
}

static void names_are_as_long_as_can_be(void **state)
{
    (void)state;
    expect("$1_x", "");
    expect("${1}_x", "one_x");
    expect("$1-x", "one-x");
    expect("$nx", "");
    expect("$1é", "");
    expect("$1\xd9\xa3", "");
    expect("$1\xff", "one\xff");
    expect("$10", "");
}

static void groups_that_are_not_there_are_empty(void **state)
{
    (void)state;
    expect("a$3-b", "a-b");
    expect("a${4}b", "ab");
    expect("a${x}b", "ab");
    expect("a${01}b", "ab");
    expect("$99999999999", "");
    expect("", "");
}

static void a_dollar_sign_before_anything_else_stays(void **state)
{
    (void)state;
    expect("$$", "$");
    expect("$$1", "$1");
    expect("$$$1", "$one");
    expect("a$", "a$");
    expect("$-", "$-");
    expect("${", "${");
    expect("${}", "${}");
    expect("${1", "${1");
    expect("${1-}", "${1-}");
    expect("$ 1", "$ 1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_and_names_are_groups),
        cmocka_unit_test(names_are_as_long_as_can_be),
        cmocka_unit_test(groups_that_are_not_there_are_empty),
        cmocka_unit_test(a_dollar_sign_before_anything_else_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
