/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What names a remote's spool from start to start. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "writer/spool_name.h"

/* In a file with these remotes. */
static void names_of(struct config_remote *items, size_t count, char (*ret_names)[SPOOL_NAME_MAX])
{
    const struct config_remotes remotes = {items, count};
    for (size_t i = 0; i < count; i++)
        spool_name(&remotes, i, ret_names[i]);
}

static void the_name_of_a_remote_names_it(void **state)
{
    (void)state;
    char names[4][SPOOL_NAME_MAX];
    struct config_remote remotes[] = {{.name = "central", .url = "http://a/"},
                                      {.name = "../up", .url = "http://a/"},
                                      {.name = "a/b", .url = "http://a/"},
                                      {.name = "", .url = "http://a/"}};
    names_of(remotes, 4, names);
    assert_string_equal(names[0], "central");
    for (size_t i = 1; i < 4; i++) {
        assert_memory_equal(names[i], "name-", 5);
        assert_null(strchr(names[i], '/'));
        assert_string_not_equal(names[i], names[i - 1]);
    }
    remotes[0].url = "http://b/";
    names_of(remotes, 1, names);
    assert_string_equal(names[0], "central");
}

/* A name that is made up changes with any setting of the remote. */
static void without_one_its_url_names_it(void **state)
{
    (void)state;
    char before[2][SPOOL_NAME_MAX];
    char after[2][SPOOL_NAME_MAX];
    struct config_remote remotes[] = {{.name = "0a1b2c", .url = "http://a/"},
                                      {.name = "3d4e5f", .url = "http://b/"}};
    names_of(remotes, 2, before);
    assert_memory_equal(before[0], "url-", 4);
    assert_string_not_equal(before[0], before[1]);
    struct config_remote changed[] = {{.name = "aaaaaa", .url = "http://b/"},
                                      {.name = "bbbbbb", .url = "http://a/"}};
    names_of(changed, 2, after);
    assert_string_equal(after[0], before[1]);
    assert_string_equal(after[1], before[0]);
}

static void those_with_one_url_are_told_apart_by_their_order(void **state)
{
    (void)state;
    char names[3][SPOOL_NAME_MAX];
    struct config_remote remotes[] = {{.name = "000000", .url = "http://a/"},
                                      {.name = "111111", .url = "http://a/"},
                                      {.name = "222222", .url = "http://a/"}};
    names_of(remotes, 3, names);
    assert_string_equal(names[0] + strlen(names[0]), "");
    assert_string_equal(names[1] + strlen(names[0]), ".2");
    assert_string_equal(names[2] + strlen(names[0]), ".3");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_name_of_a_remote_names_it),
        cmocka_unit_test(without_one_its_url_names_it),
        cmocka_unit_test(those_with_one_url_are_told_apart_by_their_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
