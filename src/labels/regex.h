/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Regular expressions of relabelling rules, as Prometheus compiles them: Go's regexp syntax (RE2),
 * anchored at both ends, dot matches newline, linear time. Used by discovery, the scrapers, the
 * writer, and by the supervisor to validate.
 *
 * Simple patterns (labels/regex_simple.h) cost nothing but themselves. The first other one loads
 * the module limpet-regex.so, from limpet's libexec directory or from beside the program that
 * runs; so compile before a sandbox closes the file system.
 *
 * Known differences from the Go of today: classes of Unicode are those of Unicode 14, and names in
 * \p{} are the short ones ("L", not "Letter").
 */
#ifndef LABELS_REGEX_H
#define LABELS_REGEX_H

#include <stdbool.h>
#include <stddef.h>

#include "base/check.h"
#include "base/err.h"
#include "base/slice.h"

struct regex;

/*
 * Loads the module from this directory, unless it is loaded. Programs need not call it; those that
 * run from elsewhere do, such as tests.
 */
int regex_load(const char *directory, struct errctx *reterr) MUST_USE;

/*
 * Compiles the pattern. ERR_CONFIG with Go's text, for example "error parsing regexp: missing
 * closing ): `^(?s:(a)$`"; ERR_NOT_READY when the module cannot be loaded.
 */
int regex_compile(struct slice pattern, struct regex **ret_regex, struct errctx *reterr) MUST_USE;

/* NULL is allowed. */
void regex_free(struct regex *regex);

/* Capturing groups, not counting the whole match; the index of a named one, -1 if there is none. */
size_t regex_group_count(const struct regex *regex);
int regex_group_named(const struct regex *regex, struct slice name);

/* Any bytes may be in the subject; those that are not UTF-8 match as U+FFFD. */
bool regex_match(const struct regex *regex, struct slice subject);

/*
 * The match and its groups: groups[0] is all of it, a group that took no part has a NULL ptr.
 * count is at least 1 and at most regex_group_count() + 1. Groups point into the subject.
 */
bool regex_captures(const struct regex *regex, struct slice subject, struct slice *groups,
                    size_t count);

/*
 * The first match at or after `start`. Differs from the above only for patterns whose unbalanced
 * parentheses escape the anchors, such as `a)|(b`, which Go takes and which can match repeatedly.
 */
bool regex_search(const struct regex *regex, struct slice subject, size_t start,
                  struct slice *groups, size_t count);

/* Whether the pattern was not simple, so that the module is loaded. For tests and figures. */
bool regex_uses_engine(const struct regex *regex);

#endif
