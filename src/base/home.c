/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/home.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LIBEXEC_FROM_PROGRAM "../libexec/limpet"

bool home_of_program(char ret_path[static PATH_MAX])
{
    ssize_t len = readlink("/proc/self/exe", ret_path, PATH_MAX - 1);
    ret_path[len > 0 ? len : 0] = '\0';
    char *slash = strrchr(ret_path, '/');
    if (slash == NULL)
        return false;
    *slash = '\0';
    return true;
}

void home_libexec_of(const char *program_directory, char ret_path[static PATH_MAX])
{
    int len = snprintf(ret_path, PATH_MAX, "%s/%s", program_directory, LIBEXEC_FROM_PROGRAM);
    if (len >= PATH_MAX || access(ret_path, X_OK) < 0)
        snprintf(ret_path, PATH_MAX, "%s", LIMPET_LIBEXECDIR);
}

void home_libexec(char ret_path[static PATH_MAX])
{
    char program[PATH_MAX];
    if (home_of_program(program))
        home_libexec_of(program, ret_path);
    else
        snprintf(ret_path, PATH_MAX, "%s", LIMPET_LIBEXECDIR);
}
