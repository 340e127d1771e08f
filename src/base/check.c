/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void check_failed(const char *expression, const char *file, int line)
{
    char text[512];
    int len = snprintf(text, sizeof(text), "limpet: bug: check failed: %s (%s:%d)\n", expression,
                       file, line);
    if (len > (int)sizeof(text))
        len = (int)sizeof(text);
    if (len > 0 && write(STDERR_FILENO, text, (size_t)len) < 0)
        abort();
    abort();
}
