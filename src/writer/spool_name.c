/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "writer/spool_name.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/hash.h"

/* As config/rules.c makes them where none is given. */
static bool is_made_up(const char *name)
{
    return strlen(name) == 6 && strspn(name, "0123456789abcdef") == 6;
}

/* Letters that need no thought in a path. */
static bool is_plain(const char *name)
{
    size_t len = strlen(name);
    for (size_t i = 0; i < len; i++) {
        if (!isalnum((unsigned char)name[i]) && strchr("-_", name[i]) == NULL)
            return false;
    }
    return len > 0 && len < SPOOL_NAME_MAX;
}

static void name_alone(const struct config_remote *remote, char ret_name[static SPOOL_NAME_MAX])
{
    const char *name = remote->name;
    const char *url = remote->url;
    if (is_made_up(name))
        snprintf(ret_name, SPOOL_NAME_MAX, "url-%016" PRIx64, hash64(url, strlen(url), 0));
    else if (is_plain(name))
        snprintf(ret_name, SPOOL_NAME_MAX, "%s", name);
    else
        snprintf(ret_name, SPOOL_NAME_MAX, "name-%016" PRIx64, hash64(name, strlen(name), 0));
}

void spool_name(const struct config_remotes *remotes, size_t index,
                char ret_name[static SPOOL_NAME_MAX])
{
    unsigned twins = 0;
    name_alone(&remotes->items[index], ret_name);
    for (size_t i = 0; i < index; i++) {
        char other[SPOOL_NAME_MAX];
        name_alone(&remotes->items[i], other);
        twins += strcmp(ret_name, other) == 0;
    }
    size_t len = strlen(ret_name);
    if (twins > 0 && len + 8 < SPOOL_NAME_MAX) /* only those by URL can be the same, and short */
        snprintf(ret_name + len, SPOOL_NAME_MAX - len, ".%u", twins + 1);
}
