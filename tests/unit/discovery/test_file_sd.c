/* SPDX-License-Identifier: GPL-2.0-or-later */
/* file_sd: what is read, what stays when a file breaks, what goes when it vanishes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "discovery/file_sd.h"
#include "tests/unit/discovery/directory.h"

struct fixture {
    struct directory directory;
    char pattern[PATH_MAX];
    const char *patterns[1];
    struct config_file_sd config;
    struct file_sd sd;
};

static int make(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    assert_non_null(fixture);
    directory_open(&fixture->directory);
    fixture->patterns[0] = directory_path(&fixture->directory, "*.json", fixture->pattern);
    fixture->config = (struct config_file_sd){{fixture->patterns, 1}, 300000};
    file_sd_init(&fixture->sd, &fixture->config);
    *state = fixture;
    return 0;
}

static int destroy(void **state)
{
    struct fixture *fixture = *state;
    file_sd_fini(&fixture->sd);
    directory_close(&fixture->directory);
    free(fixture);
    return 0;
}

static void files_that_match_are_read(void **state)
{
    struct fixture *fixture = *state;
    directory_put(&fixture->directory, "a.json",
                  "[{\"targets\": [\"h:1\", \"h:2\"], \"labels\": {\"x\": \"y\"}}]");
    directory_put(&fixture->directory, "b.json", "[]");
    assert_true(file_sd_refresh(&fixture->sd, 0));
    assert_int_equal(fixture->sd.files->groups.len, 1);
    assert_int_equal(fixture->sd.files->groups.items[0].targets.len, 2);
    assert_non_null(strstr(fixture->sd.files->path, "/a.json"));
    assert_non_null(fixture->sd.files->next);
    assert_int_equal(fixture->sd.next_refresh, INT64_C(300000000000));
}

static void nothing_new_is_no_change(void **state)
{
    struct fixture *fixture = *state;
    directory_put(&fixture->directory, "a.json", "[{\"targets\": [\"h:1\"]}]");
    assert_true(file_sd_refresh(&fixture->sd, 0));
    assert_false(file_sd_refresh(&fixture->sd, 0));
}

static void a_broken_file_keeps_its_targets(void **state)
{
    struct fixture *fixture = *state;
    directory_put(&fixture->directory, "a.json", "[{\"targets\": [\"h:1\"]}]");
    assert_true(file_sd_refresh(&fixture->sd, 0));
    directory_put(&fixture->directory, "a.json", "[{\"targets\": [\"h:1\"");
    assert_false(file_sd_refresh(&fixture->sd, 0));
    assert_int_equal(fixture->sd.files->groups.len, 1);
    assert_int_equal(fixture->sd.read_errors, 1);
    directory_put(&fixture->directory, "a.json", "[{\"targets\": [\"h:3\"]}]");
    assert_true(file_sd_refresh(&fixture->sd, 0));
    assert_string_equal(fixture->sd.files->groups.items[0].targets.items[0], "h:3");
}

static void a_vanished_file_loses_its_targets(void **state)
{
    struct fixture *fixture = *state;
    directory_put(&fixture->directory, "a.json", "[{\"targets\": [\"h:1\"]}]");
    assert_true(file_sd_refresh(&fixture->sd, 0));
    directory_drop(&fixture->directory, "a.json");
    assert_true(file_sd_refresh(&fixture->sd, 0));
    assert_null(fixture->sd.files);
}

static void a_broken_file_counts_each_time_it_is_read(void **state)
{
    struct fixture *fixture = *state;
    directory_put(&fixture->directory, "a.json", "[{\"tarrgets\": [\"h:1\"]}]");
    file_sd_refresh(&fixture->sd, 0);
    file_sd_refresh(&fixture->sd, 0);
    assert_int_equal(fixture->sd.read_errors, 2);
    assert_false(fixture->sd.files->good);
}

static void a_file_that_was_never_good_is_missed_when_it_goes(void **state)
{
    struct fixture *fixture = *state;
    directory_put(&fixture->directory, "a.json", "nonsense");
    assert_false(file_sd_refresh(&fixture->sd, 0));
    directory_drop(&fixture->directory, "a.json");
    assert_true(file_sd_refresh(&fixture->sd, 0));
}

static void what_is_no_regular_file_is_an_error(void **state)
{
    struct fixture *fixture = *state;
    directory_make(&fixture->directory, "a.json");
    assert_false(file_sd_refresh(&fixture->sd, 0));
    assert_int_equal(fixture->sd.read_errors, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(files_that_match_are_read, make, destroy),
        cmocka_unit_test_setup_teardown(nothing_new_is_no_change, make, destroy),
        cmocka_unit_test_setup_teardown(a_broken_file_keeps_its_targets, make, destroy),
        cmocka_unit_test_setup_teardown(a_vanished_file_loses_its_targets, make, destroy),
        cmocka_unit_test_setup_teardown(a_broken_file_counts_each_time_it_is_read, make, destroy),
        cmocka_unit_test_setup_teardown(a_file_that_was_never_good_is_missed_when_it_goes, make,
                                        destroy),
        cmocka_unit_test_setup_teardown(what_is_no_regular_file_is_an_error, make, destroy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
