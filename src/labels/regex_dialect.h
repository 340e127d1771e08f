/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where Go's regexp syntax and RE2's (of 2022) differ: Go names groups also by (?<name>, in ASCII
 * only, does not match single bytes (\C), and has a limit of nesting.
 */
#ifndef LABELS_REGEX_DIALECT_H
#define LABELS_REGEX_DIALECT_H

#include <stdbool.h>

#include "base/slice.h"
#include "base/strbuf.h"

/*
 * Adds the pattern to `out` as RE2 reads it. False if Go would refuse it and RE2 not, then `why` is
 * Go's text, for example "invalid escape sequence: `\C`".
 */
bool regex_dialect(struct slice pattern, struct strbuf *out, struct strbuf *why);

#endif
