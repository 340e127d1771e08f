/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Each case: rules, a set of labels before as "name=value,name=value", and the set after. */
#include "labels/relabel.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/strbuf.h"
#include "labels/regex.h"
#include "rules.h"

#define DROPPED "(dropped)"

static struct arena scratch;
static enum label_scheme scheme;

static void read_labels(const char *text, struct label_set *labels)
{
    while (*text != '\0') {
        size_t name = strcspn(text, "=");
        size_t value = strcspn(text + name + 1, ",");
        label_set_put(labels, slice_make(text, name), slice_make(text + name + 1, value));
        text += name + 1 + value;
        text += *text == ',';
    }
}

static void write_labels(const struct label_set *labels, struct strbuf *out)
{
    for (size_t i = 0; i < labels->count; i++) {
        const struct label *label = &labels->labels[i];
        strbuf_addf(out, "%s%.*s=%.*s", i > 0 ? "," : "", SLICE_ARG(label->name),
                    SLICE_ARG(label->value));
    }
}

static void expect_all(const struct relabel_config *rules, size_t count, const char *before,
                       const char *after)
{
    struct relabel *relabel;
    struct errctx why = {""};
    struct label_set labels = {0};
    char text[1024] = "";
    struct strbuf out = STRBUF_FIXED(text);
    if (relabel_compile(rules, count, scheme, &relabel, &why) < 0)
        fail_msg("%s", why.text);
    read_labels(before, &labels);
    if (relabel_apply(relabel, &labels, &scratch))
        write_labels(&labels, &out);
    else
        strbuf_adds(&out, DROPPED);
    assert_string_equal(text, after);
    label_set_fini(&labels);
    relabel_free(relabel);
    arena_reset(&scratch);
}

static void expect(struct relabel_config rule, const char *before, const char *after)
{
    expect_all(&rule, 1, before, after);
}

static void replace_writes_what_the_match_expands_to(void **state)
{
    (void)state;
    struct relabel_config rule = RULE(.source_labels = SOURCES("a"), .regex = "f(.*)",
                                      .target_label = "d", .replacement = "ch${1}-ch${1}");
    expect(rule, "a=foo,b=bar", "a=foo,b=bar,d=choo-choo");
    expect(rule, "a=boo,b=bar", "a=boo,b=bar");
    rule = RULE(.source_labels = SOURCES("a", "b"), .regex = "(.*);(.*)", .separator = ";",
                .target_label = "a", .replacement = "$2/$1");
    expect(rule, "a=x,b=y", "a=y/x,b=y");
    expect(rule, "a=x", "a=/x");
    rule = RULE(.source_labels = SOURCES("a", "b"), .separator = "", .target_label = "c");
    expect(rule, "a=1,b=2", "a=1,b=2,c=12");
    expect(RULE(.target_label = "c", .replacement = "x"), "", "c=x");
}

static void replace_leaves_a_label_alone_when_the_regex_matches_a_part_only(void **state)
{
    (void)state;
    struct relabel_config rule =
        RULE(.source_labels = SOURCES("a"), .regex = "oo", .target_label = "a", .replacement = "x");
    expect(rule, "a=foo", "a=foo");
    expect(rule, "a=oo", "a=x");
    rule.regex = "";
    expect(rule, "a=foo", "a=foo");
    expect(rule, "b=foo", "a=x,b=foo");
}

static void replace_deletes_the_label_when_the_value_is_empty(void **state)
{
    (void)state;
    expect(RULE(.source_labels = SOURCES("a"), .target_label = "b"), "b=1", "");
    expect(RULE(.source_labels = SOURCES("a"), .target_label = "a", .replacement = ""), "a=1,b=2",
           "b=2");
    expect(RULE(.source_labels = SOURCES("a"), .regex = "(x)?.*", .target_label = "a"), "a=1,b=2",
           "b=2");
    expect(RULE(.target_label = "a", .replacement = "$unknown$9"), "a=1,b=2", "b=2");
}

static void replace_expands_the_target_label_too(void **state)
{
    (void)state;
    struct relabel_config rule = RULE(.source_labels = SOURCES("a"), .regex = "([^-]+)-(?P<v>.*)",
                                      .target_label = "__${1}", .replacement = "$v");
    expect(rule, "a=some-name-value", "__some=name-value,a=some-name-value");
    rule.target_label = "${3}";
    expect(rule, "a=some-name-value", "a=some-name-value");
}

static void a_target_label_must_be_valid_once_it_is_expanded(void **state)
{
    (void)state;
    struct relabel_config rule =
        RULE(.source_labels = SOURCES("a"), .target_label = "$1", .replacement = "x");
    expect(rule, "a=0-é", "0-é=x,a=0-é");
    expect(rule, "a=\xff", "a=\xff");
    scheme = LABEL_SCHEME_LEGACY;
    expect(rule, "a=0-é", "a=0-é");
    expect(rule, "a=0b", "a=0b");
    expect(rule, "a=b0", "a=b0,b0=x");
    expect(rule, "a=_", "_=x,a=_");
    scheme = LABEL_SCHEME_UTF8;
}

static void keep_and_drop_go_by_the_match(void **state)
{
    (void)state;
    struct relabel_config keep =
        RULE(.action = RELABEL_KEEP, .source_labels = SOURCES("a", "b"), .regex = "x;y|z;.*");
    struct relabel_config drop = keep;
    drop.action = RELABEL_DROP;
    expect(keep, "a=x,b=y", "a=x,b=y");
    expect(keep, "a=x,b=yy", DROPPED);
    expect(keep, "a=z", "a=z");
    expect(drop, "a=x,b=y", DROPPED);
    expect(drop, "a=x,b=yy", "a=x,b=yy");
    expect(drop, "", "");
}

static void the_first_drop_ends_it(void **state)
{
    (void)state;
    struct relabel_config rules[] = {
        RULE(.action = RELABEL_DROP, .source_labels = SOURCES("a"), .regex = "1"),
        RULE(.source_labels = SOURCES("a"), .target_label = "b"),
        RULE(.action = RELABEL_DROP, .source_labels = SOURCES("b"), .regex = "2"),
    };
    expect_all(rules, 3, "a=1", DROPPED);
    expect_all(rules, 3, "a=2", DROPPED);
    expect_all(rules, 3, "a=3", "a=3,b=3");
}

static void keepequal_and_dropequal_compare_values(void **state)
{
    (void)state;
    struct relabel_config keep =
        RULE(.action = RELABEL_KEEPEQUAL, .source_labels = SOURCES("a"), .target_label = "b");
    struct relabel_config drop = keep;
    drop.action = RELABEL_DROPEQUAL;
    expect(keep, "a=1,b=1", "a=1,b=1");
    expect(keep, "a=1,b=11", DROPPED);
    expect(keep, "c=1", "c=1");
    expect(drop, "a=1,b=1", DROPPED);
    expect(drop, "a=1,b=11", "a=1,b=11");
    expect(drop, "c=1", DROPPED);
}

/* The remainders are those that Prometheus computes. */
static void hashmod_is_the_remainder_of_half_an_md5(void **state)
{
    (void)state;
    struct relabel_config rule = RULE(.action = RELABEL_HASHMOD, .source_labels = SOURCES("c"),
                                      .target_label = "d", .modulus = 1000);
    expect(rule, "c=baz", "c=baz,d=976");
    rule = RULE(.action = RELABEL_HASHMOD, .source_labels = SOURCES("a"), .target_label = "d",
                .modulus = 1000);
    expect(rule, "a=foo\nbar", "a=foo\nbar,d=734");
    rule.modulus = 1;
    expect(rule, "", "d=0");
}

static void labelmap_copies_labels_to_new_names(void **state)
{
    (void)state;
    struct relabel_config rule =
        RULE(.action = RELABEL_LABELMAP, .regex = "__meta_(ku(.*))", .replacement = "bar_${2}");
    expect(rule, "__meta_kube=1,__meta_my=2,a=3", "__meta_kube=1,__meta_my=2,a=3,bar_be=1");
    rule = RULE(.action = RELABEL_LABELMAP, .regex = "x_(.+)");
    expect(rule, "x_a=1,a=2,x_b=3", "a=1,b=3,x_a=1,x_b=3");
    expect(rule, "x_x_a=1", "x_a=1,x_x_a=1");
    rule = RULE(.action = RELABEL_LABELMAP, .regex = "(.)\\d+", .replacement = "$1");
    expect(rule, "a1=1,a2=2", "a=2,a1=1,a2=2");
}

static void labelmap_does_not_look_at_the_new_name(void **state)
{
    (void)state;
    scheme = LABEL_SCHEME_LEGACY;
    expect(RULE(.action = RELABEL_LABELMAP, .regex = "a(.*)"), "a0=1", "0=1,a0=1");
    scheme = LABEL_SCHEME_UTF8;
}

/* Go replaces every match in a name; parentheses like these let there be more than one. */
static void labelmap_replaces_every_match_that_escapes_the_anchors(void **state)
{
    (void)state;
    struct relabel_config rule =
        RULE(.action = RELABEL_LABELMAP, .regex = "x)|(o)|(?:y", .replacement = "<$1>");
    expect(rule, "xfooly=1", "<>f<o><o>l<>=1,xfooly=1");
}

static void labeldrop_and_labelkeep_go_by_names(void **state)
{
    (void)state;
    expect(RULE(.action = RELABEL_LABELDROP, .regex = "b.*|__name__"), "__name__=n,a=1,b1=2,cb=3",
           "a=1,cb=3");
    expect(RULE(.action = RELABEL_LABELKEEP, .regex = "b.*"), "__name__=n,a=1,b1=2,cb=3", "b1=2");
}

static void case_is_mapped_character_by_character(void **state)
{
    (void)state;
    struct relabel_config lower =
        RULE(.action = RELABEL_LOWERCASE, .source_labels = SOURCES("a"), .target_label = "b");
    struct relabel_config upper = lower;
    upper.action = RELABEL_UPPERCASE;
    expect(lower, "a=FooÉΣ1", "a=FooÉΣ1,b=fooéσ1");
    expect(upper, "a=Fooéß1ŉ", "a=Fooéß1ŉ,b=FOOÉß1ŉ");
    expect(lower, "a=İȺ", "a=İȺ,b=iⱥ");
    expect(upper, "a=ıſǅ\xff", "a=ıſǅ\xff,b=ISǄ\xef\xbf\xbd");
    expect(lower, "b=x", "");
}

static void labels_without_a_value_are_not_there(void **state)
{
    (void)state;
    expect(RULE(.action = RELABEL_LABELMAP, .regex = "a(.*)", .replacement = "c$1"),
           "a1=,a2=x,b=", "a2=x,c2=x");
}

static void no_rules_change_nothing(void **state)
{
    (void)state;
    expect_all(NULL, 0, "a=1", "a=1");
}

static void bytes_that_are_not_utf8_match_as_one_character(void **state)
{
    (void)state;
    struct relabel_config rule = RULE(.source_labels = SOURCES("a"), .regex = "x(.)(\\W)y",
                                      .target_label = "b", .replacement = "$2");
    expect(rule, "a=x\xff\xc3y", "a=x\xff\xc3y,b=\xc3");
    rule.regex = "x\xef\xbf\xbd(.)y";
    expect(rule, "a=x\xff\xc3y", "a=x\xff\xc3y");
    rule.replacement = "$1";
    expect(rule, "a=x\xff\xc3y", "a=x\xff\xc3y,b=\xc3");
    rule.regex = "x(.+)y";
    expect(rule, "a=x\xff\xc3y", "a=x\xff\xc3y,b=\xff\xc3");
}

static int load(void **state)
{
    (void)state;
    return regex_load(".", NULL);
}

static int end(void **state)
{
    (void)state;
    arena_fini(&scratch);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replace_writes_what_the_match_expands_to),
        cmocka_unit_test(replace_leaves_a_label_alone_when_the_regex_matches_a_part_only),
        cmocka_unit_test(replace_deletes_the_label_when_the_value_is_empty),
        cmocka_unit_test(replace_expands_the_target_label_too),
        cmocka_unit_test(a_target_label_must_be_valid_once_it_is_expanded),
        cmocka_unit_test(keep_and_drop_go_by_the_match),
        cmocka_unit_test(the_first_drop_ends_it),
        cmocka_unit_test(keepequal_and_dropequal_compare_values),
        cmocka_unit_test(hashmod_is_the_remainder_of_half_an_md5),
        cmocka_unit_test(labelmap_copies_labels_to_new_names),
        cmocka_unit_test(labelmap_does_not_look_at_the_new_name),
        cmocka_unit_test(labelmap_replaces_every_match_that_escapes_the_anchors),
        cmocka_unit_test(labeldrop_and_labelkeep_go_by_names),
        cmocka_unit_test(case_is_mapped_character_by_character),
        cmocka_unit_test(labels_without_a_value_are_not_there),
        cmocka_unit_test(no_rules_change_nothing),
        cmocka_unit_test(bytes_that_are_not_utf8_match_as_one_character),
    };
    return cmocka_run_group_tests(tests, load, end);
}
