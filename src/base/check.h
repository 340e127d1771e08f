/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Assertions on our own invariants. They are always compiled in. Nothing that a peer, a disk or a
 * user sent may reach one: that is an error (base/err.h), not a bug.
 */
#ifndef BASE_CHECK_H
#define BASE_CHECK_H

/* Prints where and what, then aborts. Async-signal-safe enough to be called anywhere. */
_Noreturn void check_failed(const char *expression, const char *file, int line);

#define check(expression)                                                                          \
    ((expression) ? (void)0 : check_failed(#expression, __FILE__, __LINE__))

#define MUST_USE __attribute__((warn_unused_result))
#define PRINTF_LIKE(text, first) __attribute__((format(printf, text, first)))

#endif
