/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/crashpoint.h"

#ifdef WITH_CRASHPOINTS

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void crashpoint_pass(const char *name)
{
    static long passes;
    const char *wanted = getenv("LIMPET_CRASHPOINT");
    if (wanted == NULL)
        return;
    size_t len = strlen(name);
    if (strncmp(wanted, name, len) != 0 || wanted[len] != ':')
        return;
    if (++passes != strtol(wanted + len + 1, NULL, 10))
        return;
    const char *once = getenv("LIMPET_CRASHPOINT_ONCE");
    if (once != NULL && open(once, O_CREAT | O_EXCL | O_CLOEXEC, 0600) < 0)
        return;
    kill(getpid(), SIGKILL);
}

#else

typedef int crashpoints_are_off;

#endif
