/* SPDX-License-Identifier: GPL-2.0-or-later */
/* UTF-8 as RFC 3629 defines it: no surrogates, no overlong forms, at most U+10FFFF. */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The length (1-4) of the valid sequence at the start of len >= 1 bytes, 0 if there is none. */
size_t utf8_sequence(const char *text, size_t len);

/*
 * The code point at the start of len >= 1 bytes, and how many of them it takes. What is no valid
 * sequence is U+FFFD and takes one byte, as Go decodes it.
 */
uint32_t utf8_decode(const char *text, size_t len, size_t *ret_step);

/* Writes 1 to 4 bytes and returns how many. The code point must be valid. */
size_t utf8_encode(uint32_t code, char text[4]);

/* Whether all of it is valid; the empty text is. */
bool utf8_valid(const char *text, size_t len);

#endif
