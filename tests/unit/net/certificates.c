/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/net/certificates.h"

#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/check.h"

extern char **environ;

static char directory[] = "/tmp/limpet-certificates-XXXXXX";
static bool is_made;
static struct arena files;

static void run(const char *program, const char *argument)
{
    char *const argv[] = {strdup("sh"), strdup(program), strdup(argument), NULL};
    pid_t pid;
    int status;
    check(posix_spawn(&pid, "/bin/sh", NULL, NULL, argv, environ) == 0);
    check(waitpid(pid, &status, 0) == pid && status == 0);
    for (int i = 0; i < 3; i++)
        free(argv[i]);
}

const char *certificates_directory(void)
{
    if (is_made)
        return directory;
    const char *srcdir = getenv("srcdir");
    char script[4096];
    snprintf(script, sizeof(script), "%s/tests/unit/net/certificates.sh",
             srcdir != NULL ? srcdir : TESTS_SRCDIR);
    check(mkdtemp(directory) != NULL);
    is_made = true;
    run(script, directory);
    return directory;
}

struct slice certificates_file(const char *name)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/%s", certificates_directory(), name);
    FILE *in = fopen(path, "r");
    check(in != NULL);
    char text[1 << 14];
    size_t len = fread(text, 1, sizeof(text), in);
    fclose(in);
    return arena_slice(&files, slice_make(text, len));
}

void certificates_remove(void)
{
    char command[128];
    snprintf(command, sizeof(command), "rm -rf %s", directory);
    char *const argv[] = {strdup("sh"), strdup("-c"), command, NULL};
    pid_t pid;
    int status;
    check(posix_spawn(&pid, "/bin/sh", NULL, NULL, argv, environ) == 0);
    check(waitpid(pid, &status, 0) == pid);
    free(argv[0]);
    free(argv[1]);
    arena_fini(&files);
}
