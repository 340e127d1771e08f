/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A temporary directory for tests of files. Failures end the test. */
#ifndef TESTS_UNIT_DISCOVERY_DIRECTORY_H
#define TESTS_UNIT_DISCOVERY_DIRECTORY_H

#include <limits.h>

struct directory {
    char path[PATH_MAX];
};

void directory_open(struct directory *directory);
void directory_close(struct directory *directory); /* with all that is in it */

/* directory/name, in `path`. */
const char *directory_path(const struct directory *directory, const char *name,
                           char path[static PATH_MAX]);

void directory_put(const struct directory *directory, const char *name, const char *content);
void directory_drop(const struct directory *directory, const char *name);
void directory_make(const struct directory *directory, const char *name);
void directory_move(const struct directory *directory, const char *from, const char *to);

/* A symbolic link `name` to `target`, which is taken as it stands. */
void directory_link(const struct directory *directory, const char *target, const char *name);

#endif
