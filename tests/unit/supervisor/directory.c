/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/supervisor/directory.h"

#include <errno.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

struct directory directory_new(void)
{
    struct directory directory = {.path = "/tmp/limpet-test-supervisor-XXXXXX"};
    assert_non_null(mkdtemp(directory.path));
    return directory;
}

const char *directory_path(struct directory *directory, const char *name)
{
    snprintf(directory->below, sizeof(directory->below), "%s/%s", directory->path, name);
    return directory->below;
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
    (void)status;
    (void)kind;
    (void)walk;
    return remove(path);
}

void directory_remove(struct directory *directory)
{
    assert_return_code(nftw(directory->path, remove_one, 16, FTW_DEPTH | FTW_PHYS), errno);
}
