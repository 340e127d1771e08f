/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The command line of `limpet`, so that command lines of `prometheus --agent` keep working. One
 * table of flags drives the parser and the help text. A flag of Prometheus that limpet has no use
 * for is accepted with one warning that says what limpet does instead; one that only makes sense
 * for a Prometheus server is refused (status 3, as Prometheus 3.14 does with --agent).
 */
#ifndef SUPERVISOR_FLAGS_H
#define SUPERVISOR_FLAGS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"
#include "base/log.h"
#include "shm/heritage.h"

enum flag_type {
    FLAG_BOOL, /* --name, --no-name, --name=true|false */
    FLAG_TEXT,
    FLAG_LISTENER, /* repeatable */
    FLAG_DURATION,
    FLAG_LOG_LEVEL,
    FLAG_LOG_FORMAT,
    FLAG_FEATURES, /* a comma-separated list; repeatable */
    FLAG_FAMILY    /* stands for all flags whose name starts with `name` */
};

enum flag_status {
    FLAG_WORKS,
    FLAG_IGNORED,    /* true anyway */
    FLAG_INSTEAD,    /* accepted; `help` says what limpet does instead */
    FLAG_SERVER_ONLY /* refused */
};

struct flag {
    const char *name;
    enum flag_type type;
    enum flag_status status;
    const char *fallback; /* default, for the help text; NULL = none */
    const char *help;
    size_t offset; /* of the member of struct options; FLAG_WORKS only */
};

#define OPTIONS_MAX_NOTED 32

/* Texts are borrowed from argv or constant. */
struct options {
    const char *config_file;
    bool kubernetes;              /* what is built in, instead of the file */
    const char *remote_write_url; /* NULL unless `kubernetes` */
    const char *storage_path;     /* NULL: none */
    const char *runtime_path;     /* NULL: chosen by runtime_open */
    const char *listen[HERITAGE_MAX_LISTENERS];
    uint32_t listen_count;
    bool lifecycle;
    bool help;
    bool version;
    int64_t flush_deadline_ms;
    enum log_level log_level;
    enum log_format log_format;
    const struct flag *noted[OPTIONS_MAX_NOTED]; /* given, and worth a warning */
    uint32_t noted_count;
};

/* Statuses with which limpet exits, as Prometheus has them. */
#define EXIT_FAILED      1
#define EXIT_USAGE       2
#define EXIT_SERVER_ONLY 3

/*
 * argv[0] is skipped. 0, or the status to exit with (EXIT_USAGE, EXIT_SERVER_ONLY); reterr then
 * holds the sentence for the operator.
 */
int flags_parse(int argc, char **argv, struct options *ret_options, struct errctx *reterr) MUST_USE;

/* What --help says. */
void flags_help(FILE *out);

/* One line for each flag that is accepted but does nothing. */
void flags_warn(const struct options *options);

#endif
