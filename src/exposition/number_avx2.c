/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "exposition/number_avx2.h"

#include <float.h>

#include "exposition/exposition.h"
#include "exposition/number_scale.h"

#ifdef CPU_MAY_HAVE_AVX2
const double number_avx2_scales[2 * NUMBER_AVX2_EXPONENT + 1][2] = {
    {1, 1e22}, {1, 1e21}, {1, 1e20}, {1, 1e19}, {1, 1e18}, {1, 1e17}, {1, 1e16}, {1, 1e15},
    {1, 1e14}, {1, 1e13}, {1, 1e12}, {1, 1e11}, {1, 1e10}, {1, 1e9},  {1, 1e8},  {1, 1e7},
    {1, 1e6},  {1, 1e5},  {1, 1e4},  {1, 1e3},  {1, 1e2},  {1, 1e1},  {1, 1},    {1e1, 1},
    {1e2, 1},  {1e3, 1},  {1e4, 1},  {1e5, 1},  {1e6, 1},  {1e7, 1},  {1e8, 1},  {1e9, 1},
    {1e10, 1}, {1e11, 1}, {1e12, 1}, {1e13, 1}, {1e14, 1}, {1e15, 1}, {1e16, 1}, {1e17, 1},
    {1e18, 1}, {1e19, 1}, {1e20, 1}, {1e21, 1}, {1e22, 1},
};

/* Less than 32 bytes, and perhaps a point among them. */
struct digits {
    const char *text;
    unsigned len;   /* with the point */
    unsigned whole; /* digits before the point, or all */
    unsigned count; /* digits */
};

static CPU_AVX2 bool find_digits(const char *text, struct digits *ret_digits)
{
    __m256i line = _mm256_loadu_si256((const __m256i *)(const void *)text);
    __m256i digits = _mm256_sub_epi8(line, _mm256_set1_epi8('0'));
    __m256i are_digits = _mm256_cmpeq_epi8(_mm256_min_epu8(digits, _mm256_set1_epi8(9)), digits);
    unsigned others = ~(unsigned)_mm256_movemask_epi8(are_digits);
    if (others == 0)
        return false;
    unsigned whole = (unsigned)__builtin_ctz(others);
    unsigned point = text[whole] == '.';
    others &= others - point;
    if (others == 0)
        return false;
    unsigned len = (unsigned)__builtin_ctz(others);
    *ret_digits = (struct digits){text, len, whole, len - point};
    return true;
}

static CPU_AVX2 __m128i load_digits(const char *text)
{
    return _mm_sub_epi8(_mm_loadu_si128((const __m128i *)(const void *)text), _mm_set1_epi8('0'));
}

/* The first `count` (at most 16) of the digits. */
static CPU_AVX2 uint64_t sum_first(const struct digits *digits, unsigned count)
{
    unsigned point = digits->whole < 16 ? digits->whole : 16;
    __m128i first = number_avx2_close(load_digits(digits->text), point);
    return number_avx2_sum(number_avx2_align(first, count));
}

/* The last 16 of at least as many digits. */
static CPU_AVX2 uint64_t sum_last(const struct digits *digits)
{
    static const uint8_t masks[32] = {
        [16] = 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff,        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    };
    const char *end = digits->text + digits->len;
    unsigned behind = digits->count - digits->whole;
    __m128i is_behind =
        _mm_loadu_si128((const __m128i *)(const void *)(masks + (behind < 16 ? behind : 16)));
    bool has_point = digits->len > digits->count;
    return number_avx2_sum(
        _mm_blendv_epi8(load_digits(end - 16 - has_point), load_digits(end - 16), is_behind));
}

/* False: more than 64 bits hold. */
static CPU_AVX2 bool sum_digits(const struct digits *digits, uint64_t *ret_number)
{
    if (digits->count - 1 >= 32 - 1)
        return false;
    if (digits->count < 16) {
        *ret_number = sum_first(digits, digits->count);
        return true;
    }
    uint64_t head = digits->count > 16 ? sum_first(digits, digits->count - 16) : 0;
    *ret_number = head * UINT64_C(10000000000000000) + sum_last(digits);
    return head < 1000;
}

/* At an e: adds the exponent if it has a sign, two or three digits. */
static bool take_exponent(const char **at, int64_t *exponent)
{
    const char *p = *at + 1;
    bool negative = *p == '-';
    if (!negative && *p != '+')
        return false;
    unsigned number = 0;
    unsigned digit;
    const char *first = ++p;
    for (; p < first + 3 && (digit = (unsigned)*p - '0') <= 9; p++)
        number = number * 10 + digit;
    *exponent += negative ? -(int64_t)number : (int64_t)number;
    *at = p;
    return p >= first + 2;
}

CPU_AVX2 bool number_long_line_avx2(const char **at, double *ret_value)
{
    static const uint64_t nan = EXPOSITION_NAN_BITS;
    struct digits digits;
    uint64_t mantissa;
    const char *p = *at;
    bool negative = *p == '-';
    if (memcmp(p, "NaN\n", 4) == 0) {
        memcpy(ret_value, &nan, sizeof(*ret_value));
        *at = p + 4;
        return true;
    }
    if (!find_digits(p + negative, &digits) || !sum_digits(&digits, &mantissa))
        return false;
    p = digits.text + digits.len;
    int64_t exponent = (int64_t)digits.whole - (int64_t)digits.count;
    if (*p == 'e' && !take_exponent(&p, &exponent))
        return false;
    double value = number_scale(mantissa, exponent);
    if (*p != '\n' || value > DBL_MAX)
        return false;
    *ret_value = negative ? -value : value;
    *at = p + 1;
    return true;
}
#endif
