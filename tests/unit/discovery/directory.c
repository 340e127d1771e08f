/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/discovery/directory.h"

#include <errno.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

void directory_open(struct directory *directory)
{
    memcpy(directory->path, "/tmp/limpet-test-XXXXXX", sizeof("/tmp/limpet-test-XXXXXX"));
    assert_non_null(mkdtemp(directory->path));
}

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
    (void)status;
    (void)kind;
    (void)walk;
    return remove(path);
}

void directory_close(struct directory *directory)
{
    nftw(directory->path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

const char *directory_path(const struct directory *directory, const char *name,
                           char path[static PATH_MAX])
{
    int len = snprintf(path, PATH_MAX, "%s/%s", directory->path, name);
    assert_in_range(len, 0, PATH_MAX - 1);
    return path;
}

void directory_put(const struct directory *directory, const char *name, const char *content)
{
    char path[PATH_MAX];
    FILE *file = fopen(directory_path(directory, name, path), "w");
    assert_non_null(file);
    fputs(content, file);
    assert_int_equal(fclose(file), 0);
}

void directory_drop(const struct directory *directory, const char *name)
{
    char path[PATH_MAX];
    assert_return_code(remove(directory_path(directory, name, path)), errno);
}

void directory_make(const struct directory *directory, const char *name)
{
    char path[PATH_MAX];
    assert_return_code(mkdir(directory_path(directory, name, path), 0700), errno);
}

void directory_move(const struct directory *directory, const char *from, const char *to)
{
    char old_path[PATH_MAX], new_path[PATH_MAX];
    assert_return_code(
        rename(directory_path(directory, from, old_path), directory_path(directory, to, new_path)),
        errno);
}

void directory_link(const struct directory *directory, const char *target, const char *name)
{
    char path[PATH_MAX];
    assert_return_code(symlink(target, directory_path(directory, name, path)), errno);
}
