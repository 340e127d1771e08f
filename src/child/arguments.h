/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The command line of a child. The supervisor writes it; operators never do. */
#ifndef CHILD_ARGUMENTS_H
#define CHILD_ARGUMENTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/log.h"

struct child_arguments {
    enum log_level level;
    enum log_format format;
    uint32_t index;
    uint32_t scrapers;
    uint32_t listeners;
    bool lifecycle;
};

/*
 * --log.level=WORD --log.format=WORD --index=N --scrapers=N --listeners=N --lifecycle=0|1, in any
 * order; what is not given is info, logfmt, 0, 1, 0, 0. ERR_SYNTAX.
 */
int child_arguments_parse(int argc, char **argv, struct child_arguments *ret_arguments,
                          struct errctx *reterr) MUST_USE;

#define CHILD_ARGUMENTS_MAX  6
#define CHILD_ARGUMENTS_ROOM 32

/* The same the other way: texts that child_arguments_parse reads. Returns how many. */
int child_arguments_format(const struct child_arguments *arguments,
                           char texts[CHILD_ARGUMENTS_MAX][CHILD_ARGUMENTS_ROOM]);

#endif
