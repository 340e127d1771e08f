/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Numbers as Go's strconv reads and Prometheus writes them: independent of the locale, rounded to
 * nearest even for any number of digits. Used for values, timestamps, exemplars and le/quantile.
 */
#ifndef EXPOSITION_NUMBER_H
#define EXPOSITION_NUMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"
#include "base/slice.h"

enum number_outcome {
    NUMBER_OK,
    NUMBER_SYNTAX,      /* not a number */
    NUMBER_RANGE,       /* finite as written, but beyond the largest double */
    NUMBER_UNSUPPORTED, /* holds p, P or _: Prometheus refuses them before looking further */
};

/* A sample value: the whole of text, decimal or inf/infinity/nan in any case. A NaN becomes
 * EXPOSITION_NAN_BITS; too small a number becomes 0 or subnormal, which is no error. */
enum number_outcome number_parse(struct slice text, double *ret_value) MUST_USE;

/* The common case, quickly: NaN or a plain decimal at *at, of at most 19 digits besides leading
 * zeros. True: *at has moved behind it, and bytes before end follow, which may make it something
 * else. False: nothing is known. */
bool number_quick(const char **at, const char *end, double *ret_value);

/* What Go's ParseFloat takes: besides, hexadecimal floats and underscores between digits. */
enum number_outcome number_parse_go(struct slice text, double *ret_value) MUST_USE;

/* Enough for any result of number_format(). */
#define NUMBER_FORMAT_SIZE 32

/* Writes value as OpenMetrics wants floats in labels: the fewest digits that read back as the same
 * double; 1.0, 0.25, 1e+06, 1.5e-05, +Inf, -Inf, NaN; either zero is 0.0. Returns the length;
 * text is NUL-terminated. */
size_t number_format(double value, char text[NUMBER_FORMAT_SIZE]);

/* Seconds to milliseconds, truncated towards zero in binary64; what does not fit an int64, and
 * NaN, becomes INT64_MIN (the answer of the x86 instruction, which receivers have come to see). */
int64_t number_ms_of_seconds(double seconds);

#endif
