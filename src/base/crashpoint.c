/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/crashpoint.h"

#ifdef WITH_CRASHPOINTS

#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"

static const char *const names[] = {
#define CRASHPOINT_AT(name, moment) name,
#include "base/crashpoint.def"
#undef CRASHPOINT_AT
};

static bool is_known(const char *name, size_t len)
{
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strlen(names[i]) == len && memcmp(names[i], name, len) == 0)
            return true;
    }
    return false;
}

void crashpoint_pass(const char *name)
{
    static long passes;
    const char *wanted = getenv("LIMPET_CRASHPOINT");
    if (wanted == NULL)
        return;
    size_t len = strlen(name);
    check(is_known(name, len));
    check(is_known(wanted, strcspn(wanted, ":"))); /* else the test would show nothing */
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
