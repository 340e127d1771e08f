/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "exposition/number_scale.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "exposition/powers_of_5.h"

_Static_assert(DBL_MANT_DIG == 53, "doubles are IEEE-754 binary64");

/* So many upper bits of a product are kept: those of a double, one to round, one that may be 0. */
#define BITS_KEPT (DBL_MANT_DIG + 2)
#define BITS_CUT  (64 - BITS_KEPT)

/* Only these powers of ten can make a tie of 64 bits: others have too large a power of five in
 * them, or are divided by one that no such integer holds. */
#define TIE_LEAST (-4)
#define TIE_MOST  23

__extension__ typedef unsigned __int128 wide;

struct product {
    uint64_t high;
    uint64_t low;
};

static inline struct product multiply(uint64_t mantissa, int exponent)
{
    const uint64_t cut = (UINT64_C(1) << BITS_CUT) - 1;
    const uint64_t *power = powers_of_5[exponent - POWERS_OF_5_LEAST];
    wide product = (wide)mantissa * power[0];
    if (((uint64_t)(product >> 64) & cut) == cut) /* what is missing may carry */
        product += (uint64_t)((wide)mantissa * power[1] >> 64);
    return (struct product){(uint64_t)(product >> 64), (uint64_t)product};
}

static double from_bits(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

double number_scale(uint64_t mantissa, int64_t exponent)
{
    if (mantissa == 0 || exponent < POWERS_OF_5_LEAST)
        return 0;
    if (exponent > POWERS_OF_5_MOST)
        return HUGE_VAL;
    int ten = (int)exponent;
    int spare = __builtin_clzll(mantissa);
    struct product product = multiply(mantissa << spare, ten);
    int shift = (int)(product.high >> 63) + BITS_CUT;
    uint64_t bits = product.high >> shift; /* those of the double, and one to round */
    /* floor(ten * log2(10)), and DBL_MIN_EXP is 1 more than IEEE's. */
    int power = ((ten * 217706) >> 16) + 63 - spare + shift - BITS_CUT;
    int place = power - (DBL_MIN_EXP - 1);
    if (place < 0) { /* subnormal, never a tie */
        bits = place > -64 ? bits >> -place : 0;
        place = 0;
    } else if (product.low == 0 && ten >= TIE_LEAST && ten <= TIE_MOST && (bits & 3) == 1 &&
               bits << shift == product.high) {
        bits--; /* a tie, and the lower neighbour is the even one */
    }
    bits = (bits + 1) >> 1;
    /* The leading bit adds 1 to the exponent's field: a normal number has it, by rounding, too. */
    bits += (uint64_t)place << (DBL_MANT_DIG - 1);
    return place < DBL_MAX_EXP - DBL_MIN_EXP + 1 ? from_bits(bits) : HUGE_VAL;
}
