/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The double nearest to an integer times a power of ten, without division: the algorithm of Eisel
 * and Lemire, as D. Lemire, "Number Parsing at a Gigabyte per Second" (2021), describes it. The
 * integer is multiplied by the 64 or 128 upper bits of the power of five. That these decide for
 * every 64-bit integer is what N. Mushtak and D. Lemire, "Fast Number Parsing Without Fallback"
 * (2022), show and scripts/write_powers.py checks.
 */
#ifndef EXPOSITION_NUMBER_SCALE_H
#define EXPOSITION_NUMBER_SCALE_H

#include <stdint.h>

/* Rounded to nearest, ties to even; too large is infinite, too small is 0 or subnormal. */
double number_scale(uint64_t mantissa, int64_t exponent);

#endif
