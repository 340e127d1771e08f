/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What limpet-regex.so gives to the program that loads it: RE2 behind a few plain functions. It is
 * a module of its own because it maps the C++ runtime (about 2 MB of PSS where nobody else does),
 * which a process without a real regular expression must not pay. labels/regex.c loads it;
 * labels/regex_re2.cc is it.
 */
#ifndef LABELS_REGEX_ENGINE_H
#define LABELS_REGEX_ENGINE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/slice.h"

/* Changes with everything in this file: module and program are of one build or do not work. */
#define REGEX_ENGINE_VERSION 1u

struct regex_program;

struct regex_engine {
    unsigned version;

    /*
     * Compiles the pattern as it stands, neither anchored nor with flags. NULL on failure, then
     * `error` holds a NUL-terminated text in the words of Go's regexp/syntax.
     */
    struct regex_program *(*compile)(struct slice pattern, char *error, size_t error_size);
    void (*free)(struct regex_program *program);

    /* Capturing groups without the whole match, and the index of a named one, -1 if there is none.
     */
    size_t (*group_count)(const struct regex_program *program);
    int (*group_named)(const struct regex_program *program, struct slice name);

    /*
     * The first match at or after `start`, with the context of all of `subject`, which is valid
     * UTF-8 and whose ptr is not NULL. count is at most group_count + 1; groups[0] is the whole
     * match; a group that took no part has a NULL ptr.
     */
    bool (*search)(const struct regex_program *program, struct slice subject, size_t start,
                   struct slice *groups, size_t count);
};

/* The only symbol of the module: a function of this type. */
#define REGEX_ENGINE_SYMBOL "limpet_regex_engine"
typedef const struct regex_engine *regex_engine_entry(void);

#endif
