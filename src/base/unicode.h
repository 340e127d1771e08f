/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Properties of code points and simple case mapping (Unicode 15.0), as Go's package unicode. */
#ifndef BASE_UNICODE_H
#define BASE_UNICODE_H

#include <stdbool.h>
#include <stdint.h>

/* General category L (any letter), and Nd (decimal digits). */
bool unicode_is_letter(uint32_t code);
bool unicode_is_digit(uint32_t code);

/* The code point's simple mapping, itself if it has none. */
uint32_t unicode_upper(uint32_t code);
uint32_t unicode_lower(uint32_t code);

#endif
