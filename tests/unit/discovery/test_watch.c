/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Watches: every way in which people and Kubernetes replace a file is noticed. */
#include "discovery/watch.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/discovery/directory.h"

struct fixture {
    struct directory directory;
    struct watches watches;
};

static bool noticed(struct fixture *fixture)
{
    struct pollfd readable = {.fd = fixture->watches.fd, .events = POLLIN};
    bool any = poll(&readable, 1, 0) == 1;
    watches_drain(&fixture->watches);
    return any;
}

static void watch(struct fixture *fixture, const char *pattern)
{
    char path[PATH_MAX];
    watches_add(&fixture->watches, directory_path(&fixture->directory, pattern, path));
}

static int make(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    assert_non_null(fixture);
    directory_open(&fixture->directory);
    assert_int_equal(watches_open(&fixture->watches, NULL), 0);
    *state = fixture;
    return 0;
}

static int destroy(void **state)
{
    struct fixture *fixture = *state;
    watches_close(&fixture->watches);
    directory_close(&fixture->directory);
    free(fixture);
    return 0;
}

static void files_that_are_made_changed_replaced_and_deleted_are_noticed(void **state)
{
    struct fixture *fixture = *state;
    const struct directory *directory = &fixture->directory;
    watch(fixture, "*.json");
    assert_true(watches_renew(&fixture->watches));
    assert_false(watches_renew(&fixture->watches));
    assert_false(noticed(fixture));
    directory_put(directory, "a.json", "[]");
    assert_true(noticed(fixture));
    directory_put(directory, "a.json", "[]");
    assert_true(noticed(fixture));
    directory_put(directory, "a.tmp", "[]");
    assert_true(noticed(fixture));
    directory_move(directory, "a.tmp", "a.json");
    assert_true(noticed(fixture));
    directory_drop(directory, "a.json");
    assert_true(noticed(fixture));
    assert_false(noticed(fixture));
}

static void the_swap_of_a_config_map_is_noticed(void **state)
{
    struct fixture *fixture = *state;
    const struct directory *directory = &fixture->directory;
    /* The kubelet's way: a.json -> ..data/a.json, ..data -> ..1; then ..data is replaced. */
    directory_make(directory, "..1");
    directory_put(directory, "..1/a.json", "[]");
    directory_link(directory, "..1", "..data");
    directory_link(directory, "..data/a.json", "a.json");
    watch(fixture, "a.json");
    assert_true(watches_renew(&fixture->watches));
    directory_make(directory, "..2");
    directory_put(directory, "..2/a.json", "[]");
    directory_link(directory, "..2", "..data_tmp");
    assert_true(noticed(fixture));
    directory_move(directory, "..data_tmp", "..data");
    assert_true(noticed(fixture));
}

static void a_directory_that_comes_later_is_found(void **state)
{
    struct fixture *fixture = *state;
    watch(fixture, "later/*.json");
    assert_false(watches_renew(&fixture->watches));
    directory_make(&fixture->directory, "later");
    assert_true(watches_renew(&fixture->watches));
    directory_put(&fixture->directory, "later/a.json", "[]");
    assert_true(noticed(fixture));
}

static void a_directory_that_is_made_anew_is_watched_again(void **state)
{
    struct fixture *fixture = *state;
    const struct directory *directory = &fixture->directory;
    directory_make(directory, "d");
    watch(fixture, "d/*.json");
    assert_true(watches_renew(&fixture->watches));
    directory_drop(directory, "d");
    assert_true(noticed(fixture));
    directory_make(directory, "d");
    assert_true(watches_renew(&fixture->watches));
    directory_put(directory, "d/a.json", "[]");
    assert_true(noticed(fixture));
}

static void a_directory_that_is_replaced_by_another_one_is_left(void **state)
{
    struct fixture *fixture = *state;
    const struct directory *directory = &fixture->directory;
    directory_make(directory, "d");
    directory_make(directory, "new");
    watch(fixture, "d/*.json");
    assert_true(watches_renew(&fixture->watches));
    directory_move(directory, "d", "old");
    directory_move(directory, "new", "d");
    assert_true(watches_renew(&fixture->watches));
    watches_drain(&fixture->watches);
    directory_put(directory, "old/a.json", "[]");
    assert_false(noticed(fixture));
    directory_put(directory, "d/a.json", "[]");
    assert_true(noticed(fixture));
}

static void a_link_to_a_directory_that_leads_elsewhere_is_followed(void **state)
{
    struct fixture *fixture = *state;
    const struct directory *directory = &fixture->directory;
    directory_make(directory, "one");
    directory_make(directory, "two");
    directory_link(directory, "one", "now");
    watch(fixture, "now/*.json");
    assert_true(watches_renew(&fixture->watches));
    directory_link(directory, "two", "next");
    directory_move(directory, "next", "now");
    assert_true(watches_renew(&fixture->watches));
    watches_drain(&fixture->watches);
    directory_put(directory, "two/a.json", "[]");
    assert_true(noticed(fixture));
}

static void two_paths_to_one_directory_share_it(void **state)
{
    struct fixture *fixture = *state;
    const struct directory *directory = &fixture->directory;
    directory_make(directory, "d");
    directory_make(directory, "e");
    directory_link(directory, "d", "now");
    watch(fixture, "d/*.json");
    watch(fixture, "d/*.yml");
    watch(fixture, "now/*.json");
    assert_int_equal(fixture->watches.count, 2);
    assert_true(watches_renew(&fixture->watches));
    /* One of them leaves it: it is still watched for the other. */
    directory_link(directory, "e", "next");
    directory_move(directory, "next", "now");
    assert_true(watches_renew(&fixture->watches));
    watches_drain(&fixture->watches);
    directory_put(directory, "d/a.json", "[]");
    assert_true(noticed(fixture));
}

#define WATCHED(test) cmocka_unit_test_setup_teardown(test, make, destroy)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WATCHED(files_that_are_made_changed_replaced_and_deleted_are_noticed),
        WATCHED(the_swap_of_a_config_map_is_noticed),
        WATCHED(a_directory_that_comes_later_is_found),
        WATCHED(a_directory_that_is_made_anew_is_watched_again),
        WATCHED(a_directory_that_is_replaced_by_another_one_is_left),
        WATCHED(a_link_to_a_directory_that_leads_elsewhere_is_followed),
        WATCHED(two_paths_to_one_directory_share_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
