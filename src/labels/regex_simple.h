/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The regular expressions that relabelling rules mostly are, matched without a regex engine:
 * alternatives of literal text with `.*` and `.+` in between, in groups or not, for example
 *
 *     literal    a|b|c    (.+)    prefix_(.*)    (?:go|process)_.*    (.*)-(.*)
 *
 * Always anchored at both ends, dot matches newline. What it accepts it matches exactly as RE2
 * does, groups included (leftmost-first, greedy); it accepts nothing else.
 */
#ifndef LABELS_REGEX_SIMPLE_H
#define LABELS_REGEX_SIMPLE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/slice.h"

struct regex_simple;

/* NULL when the pattern is not that simple (or is wrong, which it does not find out). */
struct regex_simple *regex_simple_compile(struct slice pattern);

/* NULL is allowed. */
void regex_simple_free(struct regex_simple *regex);

/* As in labels/regex_engine.h, except that any bytes may be in `subject`. */
size_t regex_simple_group_count(const struct regex_simple *regex);
int regex_simple_group_named(const struct regex_simple *regex, struct slice name);
bool regex_simple_match(const struct regex_simple *regex, struct slice subject,
                        struct slice *groups, size_t count);

#endif
