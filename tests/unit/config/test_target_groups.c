/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config/target_groups.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

static struct arena arena;
static struct config_target_groups groups;
static struct errctx why;

static int parse_as(const char *name, const char *text)
{
    return target_groups_parse(name, text, strlen(text), &arena, &groups, &why);
}

static int clean_up(void **state)
{
    (void)state;
    arena_fini(&arena);
    return 0;
}

static void json_groups_are_read(void **state)
{
    (void)state;
    assert_int_equal(parse_as("t.JSON",
                              "[{\"targets\":[\"a:1\",\"b:2\"],\"labels\":{\"z\":\"\\u00e9\",\"b\":"
                              "\"x\\/y\"}},\n\t{\"labels\": {}, \"targets\": []}]"),
                     0);
    assert_int_equal(groups.len, 2);
    assert_int_equal(groups.items[0].targets.len, 2);
    assert_string_equal(groups.items[0].targets.items[1], "b:2");
    assert_int_equal(groups.items[0].labels.len, 2);
    assert_string_equal(groups.items[0].labels.items[0].name, "b");
    assert_string_equal(groups.items[0].labels.items[0].value, "x/y");
    assert_string_equal(groups.items[0].labels.items[1].value, "\xc3\xa9");
    assert_int_equal(groups.items[1].targets.len, 0);
}

static void yaml_groups_are_read(void **state)
{
    (void)state;
    assert_int_equal(
        parse_as("t.yml", "- targets:\n  - a:1\n  labels:\n    port: 1\n    up: true\n"), 0);
    assert_int_equal(groups.len, 1);
    assert_string_equal(groups.items[0].targets.items[0], "a:1");
    assert_string_equal(groups.items[0].labels.items[0].value, "1");
    assert_string_equal(groups.items[0].labels.items[1].value, "true");
}

static void an_empty_yaml_file_is_an_empty_list(void **state)
{
    (void)state;
    assert_int_equal(parse_as("t.yml", ""), 0);
    assert_int_equal(groups.len, 0);
    assert_int_equal(parse_as("t.json", "[]"), 0);
    assert_int_equal(groups.len, 0);
}

static void an_empty_json_file_is_an_error(void **state)
{
    (void)state;
    assert_int_equal(parse_as("t.json", ""), ERR_CONFIG);
    assert_string_equal(why.text, "t.json:1:1: not JSON: the file ends where a string in double "
                                  "quotes, a list, a mapping or null should stand");
}

struct refusal {
    const char *text;
    const char *message; /* after the name */
};

/* These are YAML as well as JSON, and wrong in the same place. */
static const struct refusal wrong_in_both[] = {
    {"{}", "1:1: the file must be a list of mappings, not a mapping"},
    {"[null]", "1:2: the file has an empty entry; remove it"},
    {"[\"a:1\"]", "1:2: an entry of the file must be a mapping of keys, not \"a:1\""},
    {"[{\"target\": []}]", "1:3: unknown key \"target\"; the nearest valid key is `targets`"},
    {"[{\"targets\": [],\n  \"targets\": []}]",
     "2:3: the key \"targets\" is given twice; it stands in line 1 already"},
    {"[{\"targets\": \"a:1\"}]", "1:14: `targets` must be a list of strings, not \"a:1\""},
    {"[{\"targets\": [null]}]", "1:15: `targets` has an empty entry; remove it"},
    {"[{\"targets\": [[]]}]", "1:15: `targets` must be a list of strings, not a list"},
    {"[{\"labels\": {\"\": \"x\"}}]", "1:13: `labels` must not hold an empty label name"},
    {"[{\"labels\": {\"a\": []}}]",
     "1:19: `labels` must be a mapping of names to strings, not a list"},
};

static void what_is_wrong_is_said_with_its_position(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(wrong_in_both) / sizeof(wrong_in_both[0]); i++) {
        assert_int_equal(parse_as("t.json", wrong_in_both[i].text), ERR_CONFIG);
        assert_string_equal(why.text + strlen("t.json:"), wrong_in_both[i].message);
        assert_int_equal(parse_as("t.yaml", wrong_in_both[i].text), ERR_CONFIG);
        assert_string_equal(why.text + strlen("t.yaml:"), wrong_in_both[i].message);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(json_groups_are_read, clean_up),
        cmocka_unit_test_teardown(yaml_groups_are_read, clean_up),
        cmocka_unit_test_teardown(an_empty_yaml_file_is_an_empty_list, clean_up),
        cmocka_unit_test_teardown(an_empty_json_file_is_an_error, clean_up),
        cmocka_unit_test_teardown(what_is_wrong_is_said_with_its_position, clean_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
