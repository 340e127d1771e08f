/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A temporary directory for a test, and paths in it. Failures end the test. */
#ifndef TESTS_UNIT_SUPERVISOR_DIRECTORY_H
#define TESTS_UNIT_SUPERVISOR_DIRECTORY_H

#include <limits.h>

struct directory {
    char path[64];
    char below[PATH_MAX]; /* of the last directory_path */
};

struct directory directory_new(void);

/* The path of a name in it; valid until the next call. */
const char *directory_path(struct directory *directory, const char *name);

/* Removes it with everything in it. */
void directory_remove(struct directory *directory);

#endif
