/* SPDX-License-Identifier: GPL-2.0-or-later */
/* file_sd: what is read, what stays when a file breaks, what goes when it vanishes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "discovery/file_sd.h"

struct fixture {
    char directory[64];
    char pattern[128];
    const char *patterns[1];
    struct config_file_sd config;
    struct file_sd sd;
};

static void path_of(const struct fixture *fixture, const char *name, char path[256])
{
    snprintf(path, 256, "%s/%s", fixture->directory, name);
}

static void put_file(const struct fixture *fixture, const char *name, const char *content)
{
    char path[256];
    path_of(fixture, name, path);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(content, file);
    assert_int_equal(fclose(file), 0);
}

static void drop_file(const struct fixture *fixture, const char *name)
{
    char path[256];
    path_of(fixture, name, path);
    unlink(path);
}

static int make(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    assert_non_null(fixture);
    strcpy(fixture->directory, "/tmp/limpet-file-sd-XXXXXX");
    assert_non_null(mkdtemp(fixture->directory));
    snprintf(fixture->pattern, sizeof(fixture->pattern), "%s/*.json", fixture->directory);
    fixture->patterns[0] = fixture->pattern;
    fixture->config = (struct config_file_sd){{fixture->patterns, 1}, 300000};
    file_sd_init(&fixture->sd, &fixture->config);
    *state = fixture;
    return 0;
}

static int destroy(void **state)
{
    struct fixture *fixture = *state;
    file_sd_fini(&fixture->sd);
    drop_file(fixture, "a.json");
    drop_file(fixture, "b.json");
    rmdir(fixture->directory);
    free(fixture);
    return 0;
}

static void files_that_match_are_read(void **state)
{
    struct fixture *fixture = *state;
    put_file(fixture, "a.json", "[{\"targets\": [\"h:1\", \"h:2\"], \"labels\": {\"x\": \"y\"}}]");
    put_file(fixture, "b.json", "[]");
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
    put_file(fixture, "a.json", "[{\"targets\": [\"h:1\"]}]");
    assert_true(file_sd_refresh(&fixture->sd, 0));
    assert_false(file_sd_refresh(&fixture->sd, 0));
}

static void a_broken_file_keeps_its_targets(void **state)
{
    struct fixture *fixture = *state;
    put_file(fixture, "a.json", "[{\"targets\": [\"h:1\"]}]");
    assert_true(file_sd_refresh(&fixture->sd, 0));
    put_file(fixture, "a.json", "[{\"targets\": [\"h:1\"");
    assert_false(file_sd_refresh(&fixture->sd, 0));
    assert_int_equal(fixture->sd.files->groups.len, 1);
    assert_int_equal(fixture->sd.read_errors, 1);
    put_file(fixture, "a.json", "[{\"targets\": [\"h:3\"]}]");
    assert_true(file_sd_refresh(&fixture->sd, 0));
    assert_string_equal(fixture->sd.files->groups.items[0].targets.items[0], "h:3");
}

static void a_vanished_file_loses_its_targets(void **state)
{
    struct fixture *fixture = *state;
    put_file(fixture, "a.json", "[{\"targets\": [\"h:1\"]}]");
    assert_true(file_sd_refresh(&fixture->sd, 0));
    drop_file(fixture, "a.json");
    assert_true(file_sd_refresh(&fixture->sd, 0));
    assert_null(fixture->sd.files);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(files_that_match_are_read, make, destroy),
        cmocka_unit_test_setup_teardown(nothing_new_is_no_change, make, destroy),
        cmocka_unit_test_setup_teardown(a_broken_file_keeps_its_targets, make, destroy),
        cmocka_unit_test_setup_teardown(a_vanished_file_loses_its_targets, make, destroy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
