/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "labels/label_set.h"

static struct label_set set;

static void put(const char *name, const char *value)
{
    label_set_put(&set, slice_of(name), slice_of(value));
}

static void assert_names(const char *expected)
{
    char names[256] = "";
    size_t len = 0;
    for (size_t i = 0; i < set.count; i++)
        len += (size_t)snprintf(names + len, sizeof(names) - len, "%.*s,",
                                SLICE_ARG(set.labels[i].name));
    assert_string_equal(names, expected);
}

static int start_empty(void **state)
{
    (void)state;
    label_set_clear(&set);
    return 0;
}

static int end(void **state)
{
    (void)state;
    label_set_fini(&set);
    return 0;
}

static void names_are_kept_in_byte_order(void **state)
{
    (void)state;
    put("b", "1");
    put("ab", "2");
    put("B", "3");
    put("a", "4");
    put("\xc3\xa9", "5");
    assert_names("B,a,ab,b,\xc3\xa9,");
}

static void a_second_put_replaces(void **state)
{
    (void)state;
    put("a", "1");
    put("a", "2");
    label_set_put_new(&set, SLICE_LITERAL("a"), SLICE_LITERAL("3"));
    assert_int_equal(set.count, 1);
    assert_true(slice_is(label_set_get(&set, SLICE_LITERAL("a")), "2"));
    assert_int_equal(label_set_get(&set, SLICE_LITERAL("b")).len, 0);
    assert_false(label_set_has(&set, SLICE_LITERAL("b")));
}

static void labels_go_by_name_prefix_or_emptiness(void **state)
{
    (void)state;
    put("__meta_a", "1");
    put("__address__", "2");
    put("job", "3");
    put("empty", "");
    label_set_drop_prefix(&set, SLICE_LITERAL("__meta_"));
    assert_names("__address__,empty,job,");
    label_set_drop_empty(&set);
    assert_names("__address__,job,");
    label_set_drop(&set, SLICE_LITERAL("__address__"));
    label_set_drop(&set, SLICE_LITERAL("not there"));
    assert_names("job,");
}

static void the_hash_knows_where_names_end(void **state)
{
    (void)state;
    put("a", "bc");
    uint64_t one = label_set_hash(&set, 0);
    label_set_clear(&set);
    put("ab", "c");
    assert_true(one != label_set_hash(&set, 0));
}

static void many_labels_stay_sorted(void **state)
{
    (void)state;
    static char names[500][8];
    for (unsigned i = 0; i < 500; i++) {
        snprintf(names[i], sizeof(names[i]), "n%03u", i * 7919 % 500);
        put(names[i], "v");
    }
    assert_int_equal(set.count, 500);
    for (size_t i = 1; i < set.count; i++)
        assert_true(slice_compare(set.labels[i - 1].name, set.labels[i].name) < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(names_are_kept_in_byte_order, start_empty),
        cmocka_unit_test_setup(a_second_put_replaces, start_empty),
        cmocka_unit_test_setup(labels_go_by_name_prefix_or_emptiness, start_empty),
        cmocka_unit_test_setup(the_hash_knows_where_names_end, start_empty),
        cmocka_unit_test_setup(many_labels_stay_sorted, start_empty),
    };
    return cmocka_run_group_tests(tests, NULL, end);
}
