/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "child/arguments.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/slice.h"
#include "shm/heritage.h"
#include "shm/layout.h"

/* A decimal number from min to max, nothing else around it. */
static bool take_number(const char *text, uint32_t min, uint32_t max, uint32_t *ret_number)
{
    char *end;
    if (text[0] < '0' || text[0] > '9')
        return false;
    unsigned long number = strtoul(text, &end, 10);
    if (*end != '\0' || number < min || number > max)
        return false;
    *ret_number = (uint32_t)number;
    return true;
}

static bool take(struct child_arguments *arguments, const char *name, size_t len, const char *value)
{
    struct slice key = slice_make(name, len);
    uint32_t lifecycle;
    if (slice_is(key, "--log.level"))
        return log_level_parse(value, &arguments->level);
    if (slice_is(key, "--log.format"))
        return log_format_parse(value, &arguments->format);
    if (slice_is(key, "--index"))
        return take_number(value, 0, SHM_MAX_SCRAPERS - 1, &arguments->index);
    if (slice_is(key, "--scrapers"))
        return take_number(value, 1, SHM_MAX_SCRAPERS, &arguments->scrapers);
    if (slice_is(key, "--listeners"))
        return take_number(value, 0, HERITAGE_MAX_LISTENERS, &arguments->listeners);
    if (!slice_is(key, "--lifecycle") || !take_number(value, 0, 1, &lifecycle))
        return false;
    arguments->lifecycle = lifecycle == 1;
    return true;
}

int child_arguments_parse(int argc, char **argv, struct child_arguments *ret_arguments,
                          struct errctx *reterr)
{
    struct child_arguments arguments = {LOG_LEVEL_INFO, LOG_FORMAT_LOGFMT, 0, 1, 0, false};
    for (int i = 1; i < argc; i++) {
        const char *equals = strchr(argv[i], '=');
        if (equals == NULL || !take(&arguments, argv[i], (size_t)(equals - argv[i]), equals + 1))
            return err_set(reterr, ERR_SYNTAX,
                           "%s: not an argument of a program that is started by limpet", argv[i]);
    }
    *ret_arguments = arguments;
    return 0;
}

int child_arguments_format(const struct child_arguments *arguments,
                           char texts[CHILD_ARGUMENTS_MAX][CHILD_ARGUMENTS_ROOM])
{
    const size_t room = CHILD_ARGUMENTS_ROOM;
    snprintf(texts[0], room, "--log.level=%s", log_level_name(arguments->level));
    snprintf(texts[1], room, "--log.format=%s", log_format_name(arguments->format));
    snprintf(texts[2], room, "--index=%u", arguments->index);
    snprintf(texts[3], room, "--scrapers=%u", arguments->scrapers);
    snprintf(texts[4], room, "--listeners=%u", arguments->listeners);
    snprintf(texts[5], room, "--lifecycle=%d", arguments->lifecycle ? 1 : 0);
    return CHILD_ARGUMENTS_MAX;
}
