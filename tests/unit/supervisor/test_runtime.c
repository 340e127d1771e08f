/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "supervisor/runtime.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "shm/heritage.h"
#include "tests/unit/supervisor/directory.h"

#define NOBODY 65534

static struct errctx why;

static int open_explicit(struct runtime *runtime, const char *path)
{
    const struct runtime_request request = {.runtime_path = path, .config_file = "c.yml"};
    why.text[0] = '\0';
    return runtime_open(runtime, &request, &why);
}

static void an_explicit_path_is_made_with_its_parents_for_this_user_only(void **context)
{
    (void)context;
    struct directory directory = directory_new();
    struct runtime runtime;
    struct stat status;
    assert_int_equal(open_explicit(&runtime, directory_path(&directory, "a/b/c")), 0);
    assert_string_equal(runtime.path, directory.below);
    assert_return_code(stat(directory.below, &status), errno);
    assert_int_equal(status.st_mode & 0777, 0700);
    assert_true(runtime.dir_fd >= HERITAGE_END);
    assert_true(runtime.lock_fd >= HERITAGE_END);
    assert_int_equal(runtime.storage_lock_fd, -1);
    assert_int_equal(fcntl(runtime.lock_fd, F_GETFD), FD_CLOEXEC);
    assert_int_equal(runtime_lock(&runtime), 0);
    runtime_close(&runtime);
    assert_int_equal(open_explicit(&runtime, directory.below), 0);
    runtime_close(&runtime);
    directory_remove(&directory);
}

static void a_directory_that_others_can_write_is_refused(void **context)
{
    (void)context;
    struct directory directory = directory_new();
    struct runtime runtime;
    const char *path = directory_path(&directory, "open");
    assert_return_code(mkdir(path, 0700), errno);
    assert_return_code(chmod(path, 0770), errno);
    assert_int_equal(open_explicit(&runtime, path), -EPERM);
    assert_non_null(strstr(why.text, "/open must belong to uid "));
    assert_non_null(strstr(why.text, "and be writable for nobody else"));
    assert_int_equal(runtime.dir_fd, -1);
    assert_return_code(chmod(path, 0755), errno);
    assert_int_equal(open_explicit(&runtime, path), 0);
    runtime_close(&runtime);
    directory_remove(&directory);
}

static void a_directory_of_somebody_else_is_refused(void **context)
{
    (void)context;
    struct directory directory = directory_new();
    struct runtime runtime;
    const char *path = directory_path(&directory, "theirs");
    assert_return_code(mkdir(path, 0700), errno);
    if (chown(path, NOBODY, NOBODY) == 0) {
        assert_int_equal(open_explicit(&runtime, path), -EPERM);
        assert_non_null(strstr(why.text, "must belong to uid"));
    } else {
        assert_int_equal(open_explicit(&runtime, "/"), -EPERM); /* root's, and this is not root */
    }
    directory_remove(&directory);
}

static void what_is_no_directory_is_refused(void **context)
{
    (void)context;
    struct directory directory = directory_new();
    struct runtime runtime;
    int fd = open(directory_path(&directory, "file"), O_CREAT | O_WRONLY, 0600);
    close(fd);
    assert_int_equal(open_explicit(&runtime, directory.below), -ENOTDIR);
    assert_non_null(strstr(why.text, "/file is a symbolic link or no directory"));
    assert_int_equal(open_explicit(&runtime, directory_path(&directory, "file/below")), -ENOTDIR);
    directory_remove(&directory);
}

static void a_lock_file_that_is_a_link_is_refused(void **context)
{
    (void)context;
    struct directory directory = directory_new();
    struct runtime runtime;
    assert_return_code(symlink("/etc/passwd", directory_path(&directory, "lock")), errno);
    assert_int_equal(open_explicit(&runtime, directory.path), -ELOOP);
    assert_non_null(strstr(why.text, "/lock: "));
    directory_remove(&directory);
}

static void the_lock_keeps_a_second_one_out_until_the_last_heir_is_gone(void **context)
{
    (void)context;
    struct directory directory = directory_new();
    struct runtime first;
    struct runtime second;
    assert_int_equal(open_explicit(&first, directory.path), 0);
    assert_int_equal(open_explicit(&second, directory.path), 0);
    assert_int_equal(runtime_lock(&first), 0);
    assert_int_equal(runtime_lock(&second), -EWOULDBLOCK);
    int heir = dup(first.lock_fd); /* as a child has it */
    runtime_close(&first);
    assert_int_equal(runtime_lock(&second), -EWOULDBLOCK);
    close(heir);
    assert_int_equal(runtime_lock(&second), 0);
    runtime_close(&second);
    directory_remove(&directory);
}

static void the_storage_path_is_locked_too(void **context)
{
    (void)context;
    struct directory directory = directory_new();
    char storage[PATH_MAX];
    char runtime_path[2][PATH_MAX];
    struct runtime runtime[2];
    snprintf(storage, sizeof(storage), "%s", directory_path(&directory, "data/agent"));
    for (int i = 0; i < 2; i++) {
        snprintf(runtime_path[i], PATH_MAX, "%s/run-%d", directory.path, i);
        const struct runtime_request request = {
            .runtime_path = runtime_path[i], .storage_path = storage, .config_file = "c.yml"};
        assert_int_equal(runtime_open(&runtime[i], &request, &why), 0);
        assert_true(runtime[i].storage_lock_fd >= HERITAGE_END);
        assert_true(runtime[i].storage_fd >= HERITAGE_END);
    }
    assert_int_equal(runtime_lock(&runtime[0]), 0);
    assert_int_equal(runtime_lock(&runtime[1]), -EWOULDBLOCK);
    /* It has let go of the one it got: somebody else may have both. */
    struct runtime third;
    assert_int_equal(open_explicit(&third, runtime_path[1]), 0);
    assert_int_equal(runtime_lock(&third), 0);
    runtime_close(&third);
    runtime_close(&runtime[0]);
    assert_int_equal(runtime_lock(&runtime[1]), 0);
    runtime_close(&runtime[1]);
    directory_remove(&directory);
}

static void systemds_directory_comes_next_and_of_several_the_first(void **context)
{
    (void)context;
    struct directory directory = directory_new();
    struct runtime runtime;
    char list[PATH_MAX];
    const struct runtime_request request = {.config_file = "c.yml"};
    snprintf(list, sizeof(list), "%s/one:%s/two", directory.path, directory.path);
    setenv("RUNTIME_DIRECTORY", list, 1);
    assert_int_equal(runtime_open(&runtime, &request, &why), 0);
    assert_string_equal(runtime.path, directory_path(&directory, "one"));
    runtime_close(&runtime);
    unsetenv("RUNTIME_DIRECTORY");
    directory_remove(&directory);
}

/* The default place, for a storage path that no other test has. */
static void open_default_for(struct runtime *runtime, const char *storage, uint64_t room)
{
    const struct runtime_request request = {
        .storage_path = storage, .config_file = "c.yml", .room = room};
    assert_int_equal(runtime_open(runtime, &request, &why), 0);
}

static void the_default_place_depends_on_the_storage_path(void **context)
{
    (void)context;
    struct directory directory = directory_new();
    struct runtime runtime;
    char storage[PATH_MAX];
    char path[PATH_MAX];
    snprintf(storage, sizeof(storage), "%s", directory_path(&directory, "data"));
    open_default_for(&runtime, storage, 1);
    assert_memory_equal(runtime.path, "/dev/shm/limpet-", 16);
    assert_false(runtime.on_disk);
    snprintf(path, sizeof(path), "%s", runtime.path);
    runtime_close(&runtime);
    open_default_for(&runtime, storage, 1);
    assert_string_equal(runtime.path, path);
    runtime_close(&runtime);
    snprintf(storage, sizeof(storage), "%s", directory_path(&directory, "other"));
    open_default_for(&runtime, storage, 1);
    assert_string_not_equal(runtime.path, path);
    char other[PATH_MAX + 8];
    snprintf(other, sizeof(other), "%s/lock", runtime.path);
    unlink(other);
    rmdir(runtime.path);
    runtime_close(&runtime);
    snprintf(other, sizeof(other), "%s/lock", path);
    unlink(other);
    rmdir(path);
    directory_remove(&directory);
}

static void without_room_there_are_memfds_and_the_lock_is_in_the_storage_path(void **context)
{
    (void)context;
    struct directory directory = directory_new();
    struct runtime runtime;
    open_default_for(&runtime, directory.path, UINT64_MAX);
    assert_string_equal(runtime.path, "");
    assert_int_equal(runtime.dir_fd, -1);
    assert_true(runtime.lock_fd >= HERITAGE_END);
    assert_int_equal(runtime.storage_lock_fd, -1);
    assert_int_equal(access(directory_path(&directory, "lock"), F_OK), 0);
    assert_int_equal(runtime_lock(&runtime), 0);
    runtime_close(&runtime);
    directory_remove(&directory);
}

static void a_link_at_the_default_place_is_not_followed(void **context)
{
    (void)context;
    struct directory directory = directory_new();
    struct runtime runtime;
    char path[PATH_MAX];
    open_default_for(&runtime, directory.path, 1);
    snprintf(path, sizeof(path), "%s", runtime.path);
    assert_return_code(unlinkat(runtime.dir_fd, "lock", 0), errno);
    runtime_close(&runtime);
    assert_return_code(rmdir(path), errno);
    assert_return_code(mkdir(directory_path(&directory, "trap"), 0700), errno);
    assert_return_code(symlink(directory.below, path), errno);
    open_default_for(&runtime, directory.path, 1);
    assert_string_equal(runtime.path, ""); /* memfds instead */
    runtime_close(&runtime);
    assert_return_code(unlink(path), errno);
    directory_remove(&directory);
}

static void descriptors_are_lifted_above_those_of_children(void **context)
{
    (void)context;
    int fd = open("/dev/null", O_RDWR);
    assert_true(fd >= 0 && fd < HERITAGE_END);
    int high = runtime_lift(fd);
    assert_true(high >= HERITAGE_END);
    assert_int_equal(fcntl(high, F_GETFD), FD_CLOEXEC);
    assert_int_equal(fcntl(fd, F_GETFD), -1);
    close(high);
    errno = ENOENT;
    assert_int_equal(runtime_lift(-1), -ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_explicit_path_is_made_with_its_parents_for_this_user_only),
        cmocka_unit_test(a_directory_that_others_can_write_is_refused),
        cmocka_unit_test(a_directory_of_somebody_else_is_refused),
        cmocka_unit_test(what_is_no_directory_is_refused),
        cmocka_unit_test(a_lock_file_that_is_a_link_is_refused),
        cmocka_unit_test(the_lock_keeps_a_second_one_out_until_the_last_heir_is_gone),
        cmocka_unit_test(the_storage_path_is_locked_too),
        cmocka_unit_test(systemds_directory_comes_next_and_of_several_the_first),
        cmocka_unit_test(the_default_place_depends_on_the_storage_path),
        cmocka_unit_test(without_room_there_are_memfds_and_the_lock_is_in_the_storage_path),
        cmocka_unit_test(a_link_at_the_default_place_is_not_followed),
        cmocka_unit_test(descriptors_are_lifted_above_those_of_children),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
