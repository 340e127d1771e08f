/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is refused, each with Prometheus' sentence, and what is close to it but valid. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "rules.h"

#define VALID ""

static enum label_scheme scheme;
static unsigned gives;

static void expect(struct relabel_config rule, const char *sentence)
{
    struct errctx why = {""};
    int r = relabel_validate(&rule, gives, scheme, &why);
    assert_string_equal(why.text, sentence);
    assert_int_equal(r, sentence[0] != '\0' ? ERR_CONFIG : 0);
}

static int start_in_utf8(void **state)
{
    (void)state;
    scheme = LABEL_SCHEME_UTF8;
    gives = 0;
    return 0;
}

static void hashmod_needs_a_modulus(void **state)
{
    (void)state;
    expect(RULE(.action = RELABEL_HASHMOD, .target_label = "a"),
           "relabel configuration for hashmod requires non-zero modulus");
    expect(RULE(.action = RELABEL_HASHMOD, .target_label = "a", .modulus = 2), VALID);
}

static void actions_that_write_or_compare_need_a_target_label(void **state)
{
    (void)state;
    expect(RULE(.action = RELABEL_REPLACE),
           "relabel configuration for replace action requires 'target_label' value");
    expect(RULE(.action = RELABEL_HASHMOD, .modulus = 2),
           "relabel configuration for hashmod action requires 'target_label' value");
    expect(RULE(.action = RELABEL_LOWERCASE),
           "relabel configuration for lowercase action requires 'target_label' value");
    expect(RULE(.action = RELABEL_UPPERCASE),
           "relabel configuration for uppercase action requires 'target_label' value");
    expect(RULE(.action = RELABEL_KEEPEQUAL),
           "relabel configuration for keepequal action requires 'target_label' value");
    expect(RULE(.action = RELABEL_DROPEQUAL),
           "relabel configuration for dropequal action requires 'target_label' value");
    expect(RULE(.action = RELABEL_KEEP), VALID);
    expect(RULE(.action = RELABEL_DROP), VALID);
    expect(RULE(.action = RELABEL_LABELMAP), VALID);
    expect(RULE(.action = RELABEL_LABELDROP), VALID);
    expect(RULE(.action = RELABEL_LABELKEEP), VALID);
}

static void a_target_label_is_a_name_of_the_scheme(void **state)
{
    (void)state;
    expect(RULE(.target_label = "0-é"), VALID);
    expect(RULE(.target_label = "\xff"), "\"\xff\" is invalid 'target_label' for replace action");
    scheme = LABEL_SCHEME_LEGACY;
    expect(RULE(.target_label = "a0"), VALID);
    expect(RULE(.target_label = "0a"), "\"0a\" is invalid 'target_label' for replace action");
    expect(RULE(.action = RELABEL_LOWERCASE, .target_label = "a-b"),
           "\"a-b\" is invalid 'target_label' for lowercase action");
    expect(RULE(.action = RELABEL_HASHMOD, .target_label = "é", .modulus = 1),
           "\"é\" is invalid 'target_label' for hashmod action");
    expect(RULE(.action = RELABEL_KEEPEQUAL, .target_label = "${1}"),
           "\"${1}\" is invalid 'target_label' for keepequal action");
}

static void templates_are_names_in_utf8_and_pieces_in_legacy(void **state)
{
    static const char *const good[] = {"$1", "${1}", "a$1", "a${b}c$d_0", "$a$b", "_9"};
    static const char *const bad[] = {"$",   "a$",  "${}",    "${1", "a-$1",
                                      "0$1", "$1-", "${a-b}", "a$$"};
    (void)state;
    expect(RULE(.target_label = "${-$"), VALID);
    expect(RULE(.action = RELABEL_LABELMAP, .replacement = "${-$"), VALID);
    expect(RULE(.action = RELABEL_LABELMAP, .replacement = ""),
           "\"\" is invalid 'replacement' for labelmap action");
    scheme = LABEL_SCHEME_LEGACY;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        expect(RULE(.target_label = good[i]), VALID);
        expect(RULE(.action = RELABEL_LABELMAP, .replacement = good[i]), VALID);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct errctx why;
        struct relabel_config rule = RULE(.target_label = bad[i]);
        assert_int_equal(relabel_validate(&rule, 0, scheme, &why), ERR_CONFIG);
        rule = RULE(.action = RELABEL_LABELMAP, .replacement = bad[i]);
        assert_int_equal(relabel_validate(&rule, 0, scheme, &why), ERR_CONFIG);
    }
}

static void a_replacement_is_refused_where_none_is_used(void **state)
{
    (void)state;
    expect(RULE(.action = RELABEL_LOWERCASE, .target_label = "a", .replacement = "x"),
           "'replacement' can not be set for lowercase action");
    expect(RULE(.action = RELABEL_UPPERCASE, .target_label = "a", .replacement = ""),
           "'replacement' can not be set for uppercase action");
    expect(RULE(.action = RELABEL_KEEPEQUAL, .target_label = "a", .replacement = "x"),
           "'replacement' can not be set for keepequal action");
    expect(RULE(.action = RELABEL_DROPEQUAL, .target_label = "a", .replacement = "x"),
           "'replacement' can not be set for dropequal action");
    expect(RULE(.action = RELABEL_LOWERCASE, .target_label = "a", .replacement = "$1"), VALID);
    expect(RULE(.action = RELABEL_KEEP, .replacement = "x"), VALID);
}

static void comparing_takes_source_and_target_only(void **state)
{
    static const char keepequal[] = "keepequal action requires only 'source_labels' and "
                                    "`target_label`, and no other fields";
    struct relabel_config rule =
        RULE(.action = RELABEL_KEEPEQUAL, .source_labels = SOURCES("a"), .target_label = "b");
    (void)state;
    expect(rule, VALID);
    gives = RELABEL_GIVES_REGEX;
    expect(rule, keepequal);
    gives = RELABEL_GIVES_SOURCE_LABELS;
    rule.modulus = 1;
    expect(rule, keepequal);
    rule.modulus = 0;
    rule.separator = ",";
    expect(rule, keepequal);
    rule.action = RELABEL_DROPEQUAL;
    expect(rule, "dropequal action requires only 'source_labels' and `target_label`, and no other "
                 "fields");
}

static void filters_of_labels_take_a_regex_only(void **state)
{
    static const char labeldrop[] = "labeldrop action requires only 'regex', and no other fields";
    (void)state;
    gives = RELABEL_GIVES_REGEX;
    expect(RULE(.action = RELABEL_LABELDROP), VALID);
    expect(RULE(.action = RELABEL_LABELDROP, .target_label = "a"), labeldrop);
    expect(RULE(.action = RELABEL_LABELDROP, .modulus = 1), labeldrop);
    expect(RULE(.action = RELABEL_LABELDROP, .separator = ""), labeldrop);
    expect(RULE(.action = RELABEL_LABELDROP, .replacement = "x"), labeldrop);
    gives = RELABEL_GIVES_SOURCE_LABELS;
    expect(RULE(.action = RELABEL_LABELDROP), labeldrop);
    expect(RULE(.action = RELABEL_LABELKEEP),
           "labelkeep action requires only 'regex', and no other fields");
}

static void source_labels_have_names(void **state)
{
    (void)state;
    expect(RULE(.action = RELABEL_KEEP, .source_labels = SOURCES("a", "")),
           "\"\" is not a valid label name");
}

#define FROM_UTF8(test) cmocka_unit_test_setup(test, start_in_utf8)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FROM_UTF8(hashmod_needs_a_modulus),
        FROM_UTF8(actions_that_write_or_compare_need_a_target_label),
        FROM_UTF8(a_target_label_is_a_name_of_the_scheme),
        FROM_UTF8(templates_are_names_in_utf8_and_pieces_in_legacy),
        FROM_UTF8(a_replacement_is_refused_where_none_is_used),
        FROM_UTF8(comparing_takes_source_and_target_only),
        FROM_UTF8(filters_of_labels_take_a_regex_only),
        FROM_UTF8(source_labels_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
