/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * number_quick() for loops over very many lines: most numbers lie in 16 bytes, whose digits are
 * found, gathered and summed up together. Only where cpu_has_avx2().
 */
#ifndef EXPOSITION_NUMBER_AVX2_H
#define EXPOSITION_NUMBER_AVX2_H

#include "base/cpu.h"
#include "exposition/number.h"

#ifdef CPU_MAY_HAVE_AVX2

#include <immintrin.h>
#include <string.h>

/* Bytes from *at on that are looked at, at most. */
#define NUMBER_AVX2_REACH 40

/* So many digits are exact, and powers of ten up to this: what is made of them is rounded once. */
#define NUMBER_AVX2_DIGITS   15
#define NUMBER_AVX2_EXPONENT 22

/* A factor and a divisor for each exponent from -22 on, of which one is 1. */
extern const double number_avx2_scales[2 * NUMBER_AVX2_EXPONENT + 1][2];

/* Moves `count` bytes to the end, behind zeros. */
static inline CPU_AVX2 __m128i number_avx2_align(__m128i bytes, unsigned count)
{
    static const uint8_t places[32] = {
        0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80,
        0x80, 0x80, 0x80, 0x80, 0x80, 0,    1,    2,    3,    4,    5,
        6,    7,    8,    9,    10,   11,   12,   13,   14,   15,
    };
    return _mm_shuffle_epi8(bytes,
                            _mm_loadu_si128((const __m128i *)(const void *)(places + count)));
}

/* Without the byte at `place`. */
static inline CPU_AVX2 __m128i number_avx2_close(__m128i bytes, unsigned place)
{
    static const uint8_t masks[48] = {
        [16] = 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff,        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    };
    __m128i behind = _mm_loadu_si128((const __m128i *)(const void *)(masks + 16 - place));
    return _mm_blendv_epi8(bytes, _mm_srli_si128(bytes, 1), behind);
}

/* The number of 16 digits, the first one in the lowest byte. */
static inline CPU_AVX2 uint64_t number_avx2_sum(__m128i digits)
{
    const __m128i tens = _mm_set1_epi16(0x010a);
    const __m128i hundreds = _mm_set1_epi32(0x00010064);
    const __m128i myriads = _mm_set1_epi32(0x00012710);
    __m128i pairs = _mm_maddubs_epi16(digits, tens);
    __m128i fours = _mm_madd_epi16(pairs, hundreds);
    __m128i eights = _mm_madd_epi16(_mm_packus_epi32(fours, fours), myriads);
    uint64_t halves = (uint64_t)_mm_cvtsi128_si64(eights);
    return (halves & UINT32_MAX) * 100000000 + (halves >> 32);
}

/*
 * The number at p, whose first 16 bytes are `line`, and `end`, a newline or a blank, right behind
 * it, where *ret_end then points. False: something else, or of another form than nearly all: at
 * most 15 digits, a point, e+ and two digits.
 */
static inline __attribute__((always_inline)) CPU_AVX2 bool
number_value_avx2(const char *p, __m128i line, char end, const char **ret_end, double *ret_value)
{
    __m128i digits = _mm_sub_epi8(line, _mm_set1_epi8('0'));
    __m128i are_digits = _mm_cmpeq_epi8(_mm_min_epu8(digits, _mm_set1_epi8(9)), digits);
    /* Bits 16 and up are set. */
    unsigned others = ~(unsigned)_mm_movemask_epi8(are_digits);
    unsigned whole = (unsigned)__builtin_ctz(others);
    unsigned point = p[whole] == '.';
    unsigned len = (unsigned)__builtin_ctz(others & (others - point));
    unsigned count = len - point;
    if (count - 1 >= NUMBER_AVX2_DIGITS)
        return false;
    digits = number_avx2_align(number_avx2_close(digits, whole), count);
    double value = (double)(int64_t)number_avx2_sum(digits);
    int exponent = (int)whole - (int)count;
    const char *rest = p + len;
    if (*rest == 'e') {
        const uint32_t form = (uint32_t)(uint8_t)end << 24 | 0x30302b;
        uint32_t text;
        memcpy(&text, rest + 1, sizeof(text)); /* little-endian: + digit digit end */
        if ((text & 0xfff0f0ff) != form || ((text + 0x060600) & 0xf0f000) != 0x303000)
            return false;
        exponent += (int)((text >> 8 & 15) * 10 + (text >> 16 & 15));
        if (exponent > NUMBER_AVX2_EXPONENT)
            return false;
        rest += 4;
    } else if (*rest != end) {
        return false;
    }
    const double *scale = number_avx2_scales[exponent + NUMBER_AVX2_EXPONENT];
    *ret_value = value * scale[0] / scale[1];
    *ret_end = rest;
    return true;
}

/*
 * The number at *at, of that form, and the newline right behind it, which *at moves behind. False:
 * nothing has moved. Where the newline is does not wait for the number, so that the processor can
 * go on with the next line meanwhile. NUMBER_AVX2_REACH bytes may be read.
 */
static inline __attribute__((always_inline)) CPU_AVX2 bool number_line_avx2(const char **at,
                                                                            double *ret_value)
{
    __m256i line = _mm256_loadu_si256((const __m256i *)(const void *)*at);
    unsigned newlines =
        (unsigned)_mm256_movemask_epi8(_mm256_cmpeq_epi8(line, _mm256_set1_epi8('\n')));
    const char *end;
    if (!number_value_avx2(*at, _mm256_castsi256_si128(line), '\n', &end, ret_value))
        return false;
    *at += __builtin_ctz(newlines) + 1;
    return true;
}

/*
 * The same with a blank and a timestamp of 13 digits between the number and the newline, as all in
 * milliseconds are from 2001 to 2286.
 */
static inline __attribute__((always_inline)) CPU_AVX2 bool
number_stamped_line_avx2(const char **at, double *ret_value, int64_t *ret_ms)
{
    enum { STAMP_DIGITS = 13 };
    const char *end;
    if (!number_value_avx2(*at, _mm_loadu_si128((const __m128i *)(const void *)*at), ' ', &end,
                           ret_value))
        return false;
    __m128i digits =
        _mm_sub_epi8(_mm_loadu_si128((const __m128i *)(const void *)(end + 1)), _mm_set1_epi8('0'));
    __m128i are_digits = _mm_cmpeq_epi8(_mm_min_epu8(digits, _mm_set1_epi8(9)), digits);
    unsigned others = ~(unsigned)_mm_movemask_epi8(are_digits);
    if (__builtin_ctz(others) != STAMP_DIGITS || end[1 + STAMP_DIGITS] != '\n')
        return false;
    *ret_ms = (int64_t)number_avx2_sum(number_avx2_align(digits, STAMP_DIGITS));
    *at = end + 1 + STAMP_DIGITS + 1;
    return true;
}

/*
 * As number_line_avx2, for what is left: at most 19 digits besides leading zeros, with an exponent
 * of two or three digits and either sign; and NaN.
 */
bool number_long_line_avx2(const char **at, double *ret_value);

/* Either. */
static inline CPU_AVX2 bool number_any_line_avx2(const char **at, double *ret_value)
{
    return number_line_avx2(at, ret_value) || number_long_line_avx2(at, ret_value);
}

#endif
#endif
