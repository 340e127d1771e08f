#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes src/exposition/powers_of_5.h to stdout; each entry is made by exact arithmetic, and it is
proved that with it every 64-bit integer is rounded as with all bits of the power.

    scripts/write_powers.py > src/exposition/powers_of_5.h
"""
LEAST, MOST = -342, 308  # what doubles of 19 digits can need
ROUNDED_UP = range(-27, 0)  # these reciprocals, so that ties are seen
COMPLETE = range(-27, 56)  # nothing is left to decide: no bits are missing, or no integer needs them
BITS_CUT = 9  # see number_scale.c


def power(exponent):
    """5^exponent times the power of two that gives it 128 bits, as an integer."""
    if exponent >= 0:
        exact = 5 ** exponent
        return exact << 128 >> exact.bit_length()
    divisor = 5 ** -exponent
    shift = 127 + divisor.bit_length()
    return (1 << shift) // divisor + (exponent in ROUNDED_UP)


def first_within(factor, modulus, low, high):
    """The least n >= 0 with low <= n * factor % modulus <= high, or None; as Euclid's algorithm."""
    if low == 0:
        return 0
    factor %= modulus
    if 2 * factor > modulus:
        factor, low, high = modulus - factor, modulus - high, modulus - low
    if factor == 0:
        return None
    n = -(-low // factor)
    if n * factor <= high:
        return n
    turns = first_within(modulus % factor, factor, -high % factor, -low % factor)
    return None if turns is None else -(-(low + modulus * turns) // factor)


def is_decided(exponent):
    """Whether missing bits never carry into those that are kept: of a product's 192 bits, those
    between the 64 lowest and the ones that are kept are never all 1."""
    bits = 64 + 64 + BITS_CUT
    n = first_within(power(exponent), 1 << bits, (1 << bits) - (1 << 64), (1 << bits) - 1)
    return n is None or n >= 1 << 64


assert all(is_decided(each) for each in range(LEAST, MOST + 1) if each not in COMPLETE)
print(f"""/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Written by scripts/write_powers.py. */
#ifndef EXPOSITION_POWERS_OF_5_H
#define EXPOSITION_POWERS_OF_5_H

#include <stdint.h>

#define POWERS_OF_5_LEAST ({LEAST})
#define POWERS_OF_5_MOST  {MOST}

/* The upper and the lower 64 of the 128 most significant bits of 5^LEAST to 5^MOST. What has more
 * bits is cut off, but rounded up from 5^-27 to 5^-1. */
static const uint64_t powers_of_5[POWERS_OF_5_MOST - POWERS_OF_5_LEAST + 1][2] = {{""")
for first in range(LEAST, MOST + 1, 2):
    cells = []
    for exponent in range(first, min(first + 2, MOST + 1)):
        bits = power(exponent)
        assert bits.bit_length() == 128
        cells.append(f"{{0x{bits >> 64:016x}, 0x{bits & (1 << 64) - 1:016x}}},")
    print("    " + " ".join(cells))
print("""};

#endif""")
