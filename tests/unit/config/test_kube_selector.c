/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is a selector of labels and of fields, as Kubernetes' own library reads them. */
#include "config/kube_selector.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void expect(bool (*is)(const char *), const char *const *texts, bool wanted)
{
    for (; *texts != NULL; texts++) {
        if (is(*texts) != wanted)
            fail_msg("\"%s\" is%s a selector", *texts, wanted ? " not" : "");
    }
}

static void selectors_of_labels(void **state)
{
    (void)state;
    static const char *const good[] = {"",
                                       "  ",
                                       "a",
                                       "!a",
                                       "! a",
                                       "a,b",
                                       "a=b",
                                       "a==b",
                                       "a != b",
                                       "a=",
                                       "a=,b!=",
                                       "a in (b)",
                                       "a in(b , c)",
                                       "a notin (b,,c)",
                                       "a in (,)",
                                       "in in (in, notin)",
                                       "a>5,b < -6",
                                       "app.kubernetes.io/name=web",
                                       "x-y.z/A_b.c=1.2-3_4",
                                       NULL};
    static const char *const bad[] = {
        "a in b",     "a in ()",   "a in (b", "a in", "a=b,",  ",a=b",       "a=b,,c",
        "a=b=c",      "a=b c",     "=x",      "(a)",  "a(b)",  "!a=b",       "!!a",
        "-a=b",       "a.=b",      "a/b/c=d", "/a=b", "A/b=c", "x..y/b=c",   "a/=b",
        "a=-b",       "a > x",     "a >",     "a=>b", "a=b!c", "a in (b c)", "a in ((b))",
        "a=\303\251", "a notin b", NULL};
    expect(kube_selector_is_label, good, true);
    expect(kube_selector_is_label, bad, false);
}

static void keys_and_values_have_their_lengths(void **state)
{
    (void)state;
#define TEN "0123456789"
    assert_true(kube_selector_is_label("a=" TEN TEN TEN TEN TEN TEN "123"));
    assert_false(kube_selector_is_label("a=" TEN TEN TEN TEN TEN TEN "1234"));
    assert_true(kube_selector_is_label(TEN TEN TEN TEN TEN TEN "123=a"));
    assert_false(kube_selector_is_label(TEN TEN TEN TEN TEN TEN "1234=a"));
}

static void selectors_of_fields(void **state)
{
    (void)state;
    static const char *const good[] = {"",
                                       "a=b",
                                       "spec.nodeName=node-1,status.phase!=Failed",
                                       "a==b",
                                       "a=",
                                       "a=b,",
                                       ",a=b",
                                       "a=x\\,y\\=\\\\",
                                       "a!=b!",
                                       NULL};
    static const char *const bad[] = {"a", "a=b,c", "a=b=c", "a!=b!=c", "a=\\x", "a=\\", NULL};
    expect(kube_selector_is_field, good, true);
    expect(kube_selector_is_field, bad, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(selectors_of_labels),
        cmocka_unit_test(keys_and_values_have_their_lengths),
        cmocka_unit_test(selectors_of_fields),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
