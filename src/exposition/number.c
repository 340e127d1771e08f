/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "exposition/number.h"

#include <endian.h>
#include <float.h>
#include <inttypes.h>
#include <locale.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exposition/exposition.h"
#include "exposition/number_scale.h"

_Static_assert(FLT_EVAL_METHOD == 0, "the fast path needs double arithmetic without extra bits");
_Static_assert(DBL_MANT_DIG == 53, "doubles are IEEE-754 binary64");

/* Every 19-digit number fits 64 bits; not every 20-digit one does. */
#define MANTISSA_DIGITS 19

/* A double is decided by at most 767 significant digits and whether anything follows them. */
#define DECIDING_DIGITS 768

/* An exponent as long as the text can be; kept below this so that sums of it never overflow. */
#define EXPONENT_CAP INT64_C(1000000000000)

/* A decimal number as far as 64 bits hold it: mantissa * 10^exponent. */
struct decimal {
    uint64_t mantissa;
    int64_t exponent;
    int digits;      /* significant ones in mantissa */
    int64_t dropped; /* digits that did not fit any more */
    bool cut;        /* one of them is not 0 */
    bool negative;
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* Takes a run of digits into number. step: how the exponent changes with a digit taken. */
static const char *take_digits(const char *at, const char *end, int step, struct decimal *number)
{
    for (; at < end && is_digit(*at); at++) {
        if (number->digits < MANTISSA_DIGITS) {
            number->mantissa = number->mantissa * 10 + (uint64_t)(*at - '0');
            number->digits += number->mantissa != 0;
            number->exponent += step;
        } else {
            number->cut |= *at != '0';
            number->dropped++;
            number->exponent += step + 1;
        }
    }
    return at;
}

/* The number after an e. Returns NULL if there is no digit. */
static const char *take_exponent(const char *at, const char *end, struct decimal *number)
{
    bool negative = at < end && *at == '-';
    if (at < end && (*at == '-' || *at == '+'))
        at++;
    if (at == end || !is_digit(*at))
        return NULL;
    int64_t exponent = 0;
    for (; at < end && is_digit(*at); at++)
        exponent = exponent < EXPONENT_CAP ? exponent * 10 + (*at - '0') : exponent;
    number->exponent += negative ? -exponent : exponent;
    return at;
}

/* Whether the whole of text is a decimal number. */
static bool read_decimal(struct slice text, struct decimal *ret_number)
{
    struct decimal number = {0};
    const char *at = text.ptr;
    const char *end = at + text.len;
    if (at < end && (*at == '+' || *at == '-'))
        number.negative = *at++ == '-';
    const char *first = at;
    at = take_digits(at, end, 0, &number);
    size_t seen = (size_t)(at - first);
    if (at < end && *at == '.') {
        first = ++at;
        at = take_digits(at, end, -1, &number);
        seen += (size_t)(at - first);
    }
    if (seen == 0)
        return false;
    if (at < end && (*at == 'e' || *at == 'E')) {
        at = take_exponent(at + 1, end, &number);
        if (at == NULL)
            return false;
    }
    *ret_number = number;
    return at == end;
}

static inline double scale_any(uint64_t mantissa, int64_t exponent)
{
    static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                    1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                    1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    /* Clinger's fast path: both operands exact, so one rounding, by the processor. */
    if (mantissa > UINT64_C(1) << DBL_MANT_DIG || exponent < -22 || exponent > 22)
        return number_scale(mantissa, exponent);
    return exponent < 0 ? (double)mantissa / powers[-exponent]
                        : (double)mantissa * powers[exponent];
}

/* strtod() in the C locale, on text that is known to be a plain number. */
static double read_in_c_locale(const char *text)
{
    /* glibc's "C" is a static object: this neither allocates nor can it fail. */
    return strtod_l(text, NULL, newlocale(LC_ALL_MASK, "C", (locale_t)0));
}

/* Any decimal number, exactly: its deciding digits, written out as an integer with exponent. */
static double scale_slowly(struct slice text, const struct decimal *number)
{
    char plain[DECIDING_DIGITS + 32];
    size_t len = 0;
    int64_t exponent = number->exponent - number->dropped; /* of the last digit written */
    bool rest = false;
    for (size_t i = 0; i < text.len && lower(text.ptr[i]) != 'e'; i++) {
        char c = text.ptr[i];
        if (!is_digit(c) || (c == '0' && len == 0))
            continue;
        if (len < DECIDING_DIGITS) {
            plain[len++] = c;
        } else {
            rest |= c != '0';
            exponent++;
        }
    }
    if (rest) {
        plain[len++] = '1';
        exponent--;
    }
    snprintf(plain + len, sizeof(plain) - len, "e%" PRId64, exponent);
    return read_in_c_locale(plain);
}

static bool is_word(struct slice text, const char *word)
{
    for (size_t i = 0; i < text.len; i++)
        if (word[i] == '\0' || lower(text.ptr[i]) != word[i])
            return false;
    return word[text.len] == '\0';
}

static double not_a_number(void)
{
    uint64_t bits = EXPOSITION_NAN_BITS;
    double value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

static enum number_outcome parse_word(struct slice text, double *ret_value)
{
    if (memchr(text.ptr, '_', text.len) != NULL || memchr(text.ptr, 'p', text.len) != NULL ||
        memchr(text.ptr, 'P', text.len) != NULL)
        return NUMBER_UNSUPPORTED;
    if (is_word(text, "nan")) {
        *ret_value = not_a_number();
        return NUMBER_OK;
    }
    bool has_sign = text.len > 0 && (text.ptr[0] == '+' || text.ptr[0] == '-');
    struct slice word = {text.ptr + has_sign, text.len - has_sign};
    if (!is_word(word, "inf") && !is_word(word, "infinity"))
        return NUMBER_SYNTAX;
    *ret_value = text.ptr[0] == '-' ? -HUGE_VAL : HUGE_VAL;
    return NUMBER_OK;
}

static double scale(struct slice text, const struct decimal *number)
{
    double value = scale_any(number->mantissa, number->exponent);
    /* Digits that were left out count where not all numbers from here to the next are alike. */
    if (number->cut && scale_any(number->mantissa + 1, number->exponent) != value)
        return scale_slowly(text, number);
    return value;
}

enum number_outcome number_parse(struct slice text, double *ret_value)
{
    struct decimal number;
    if (text.len == 0)
        return NUMBER_SYNTAX;
    if (!read_decimal(text, &number))
        return parse_word(text, ret_value);
    double value = scale(text, &number);
    *ret_value = number.negative ? -value : value;
    return isinf(value) ? NUMBER_RANGE : NUMBER_OK;
}

/* Digits at *at, as far as they go; more than MANTISSA_DIGITS in all overflow *mantissa. */
static int64_t quick_digits(const char **at, const char *end, uint64_t *mantissa)
{
    const char *p = *at;
    for (; p < end && (unsigned char)(*p - '0') <= 9; p++)
        *mantissa = *mantissa * 10 + (uint64_t)(*p - '0');
    int64_t digits = p - *at;
    *at = p;
    return digits;
}

/* Eight characters that are digits, the first one in the lowest byte, less '0' each. */
static uint64_t eight_digits(uint64_t digits)
{
    const uint64_t every_fourth = UINT64_C(0x000000ff000000ff);
    digits = digits * 10 + (digits >> 8);
    return ((digits & every_fourth) * UINT64_C(0x000f424000000064) +
            ((digits >> 16) & every_fourth) * UINT64_C(0x0000271000000001)) >>
           32;
}

/* quick_digits() for what is often long: eight in one go. */
static int64_t quick_fraction(const char **at, const char *end, uint64_t *mantissa)
{
    static const uint32_t powers[] = {1,      10,      100,      1000,     10000,
                                      100000, 1000000, 10000000, 100000000};
    const uint64_t sevens = UINT64_C(0x7f7f7f7f7f7f7f7f);
    const char *start = *at;
    uint64_t text;
    int count = sizeof(text);
    for (; count == sizeof(text) && end - *at >= (ptrdiff_t)sizeof(text); *at += count) {
        memcpy(&text, *at, sizeof(text));
        text = le64toh(text) ^ UINT64_C(0x3030303030303030);
        /* The highest bit of each byte: it is more than 9. */
        uint64_t others = (((text & sevens) + UINT64_C(0x7676767676767676)) | text) & ~sevens;
        count = others == 0 ? (int)sizeof(text) : __builtin_ctzll(others) / 8;
        if (count > 0)
            text = eight_digits(text << (64 - 8 * count));
        *mantissa = *mantissa * powers[count] + (count > 0 ? text : 0);
    }
    int64_t digits = *at - start;
    return count < (int)sizeof(text) ? digits : digits + quick_digits(at, end, mantissa);
}

/* At an e: the exponent, if it has one to three digits. */
static bool quick_exponent(const char **at, const char *end, int64_t *exponent)
{
    uint64_t number = 0;
    const char *p = *at + 1;
    bool negative = p < end && *p == '-';
    if (p < end && (*p == '-' || *p == '+'))
        p++;
    int64_t digits = quick_digits(&p, end, &number);
    if (digits < 1 || digits > 3)
        return false; /* number may be anything */
    *exponent += negative ? -(int64_t)number : (int64_t)number;
    *at = p;
    return true;
}

/* How many digits stand before the first one that is not 0. */
static int64_t leading_zeros(const char *at, const char *end)
{
    int64_t count = 0;
    for (; at < end && (*at == '0' || *at == '.'); at++)
        count += *at == '0';
    return count;
}

/* As Go and most others write it. */
static bool quick_nan(const char **at, const char *end, double *ret_value)
{
    if (end - *at <= 3 || memcmp(*at, "NaN", 3) != 0)
        return false;
    *at += 3;
    *ret_value = not_a_number();
    return true;
}

bool number_quick(const char **at, const char *end, double *ret_value)
{
    const char *p = *at;
    uint64_t mantissa = 0;
    int64_t exponent = 0;
    bool negative = p < end && *p == '-';
    p += negative;
    const char *first = p;
    int64_t digits = quick_digits(&p, end, &mantissa);
    if (p < end && *p == '.') {
        p++;
        exponent = -quick_fraction(&p, end, &mantissa);
        digits -= exponent;
    }
    if (digits > MANTISSA_DIGITS)
        digits -= leading_zeros(first, p);
    if (digits == 0)
        return quick_nan(at, end, ret_value);
    if (digits > MANTISSA_DIGITS)
        return false;
    if (p < end && (*p == 'e' || *p == 'E') && !quick_exponent(&p, end, &exponent))
        return false;
    double value = scale_any(mantissa, exponent);
    if (p == end || value > DBL_MAX)
        return false;
    *at = p;
    *ret_value = negative ? -value : value;
    return true;
}

/* Go's rule for underscores: each stands between two digits, or between the base prefix and a
 * digit. Copies text without them; false when the rule is broken or there is no room. */
static bool copy_without_underscores(struct slice text, char *copy, size_t size)
{
    size_t len = 0;
    char before = '!'; /* 0: a digit, _: an underscore, !: anything else */
    size_t start = text.len > 0 && (text.ptr[0] == '+' || text.ptr[0] == '-');
    bool hex = text.len > start + 1 && text.ptr[start] == '0' && lower(text.ptr[start + 1]) == 'x';
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        bool digit =
            is_digit(c) || (hex && lower(c) >= 'a' && lower(c) <= 'f') || (hex && i == start + 1);
        if (c == '_' ? before != '0' : before == '_' && !digit)
            return false;
        before = c == '_' ? '_' : '!';
        if (digit)
            before = '0';
        if (c != '_' && len + 1 < size)
            copy[len++] = c;
        else if (c != '_')
            return false;
    }
    copy[len] = '\0';
    return before != '_';
}

/* Whether text is [sign]0x<hex digits with at most one point>p[sign]<digits>. */
static bool is_hex_float(const char *text)
{
    text += *text == '+' || *text == '-';
    if (text[0] != '0' || lower(text[1]) != 'x')
        return false;
    text += 2;
    static const char digits[] = "0123456789abcdefABCDEF";
    size_t whole = strspn(text, digits);
    text += whole;
    size_t fraction = 0;
    if (*text == '.') {
        fraction = strspn(++text, digits);
        text += fraction;
    }
    if (whole + fraction == 0 || lower(*text) != 'p')
        return false;
    text++;
    text += *text == '+' || *text == '-';
    size_t exponent = strspn(text, "0123456789");
    return exponent > 0 && text[exponent] == '\0';
}

enum number_outcome number_parse_go(struct slice text, double *ret_value)
{
    enum number_outcome outcome = number_parse(text, ret_value);
    char plain[256];
    if (outcome != NUMBER_UNSUPPORTED)
        return outcome;
    if (memchr(text.ptr, '\0', text.len) != NULL ||
        !copy_without_underscores(text, plain, sizeof(plain)))
        return NUMBER_SYNTAX;
    if (!is_hex_float(plain)) {
        outcome = number_parse(slice_of(plain), ret_value);
        return outcome == NUMBER_UNSUPPORTED ? NUMBER_SYNTAX : outcome;
    }
    *ret_value = read_in_c_locale(plain);
    return isinf(*ret_value) ? NUMBER_RANGE : NUMBER_OK;
}

/* The digits of value rounded to so many, as an integer; value is that times 10^*ret_exponent. */
static uint64_t round_to_digits(double value, int digits, int *ret_exponent)
{
    char text[40];
    snprintf(text, sizeof(text), "%.*e", digits - 1, value);
    uint64_t number = 0;
    const char *at = text;
    for (; *at != 'e'; at++)
        if (is_digit(*at)) /* whatever the locale's point is */
            number = number * 10 + (uint64_t)(*at - '0');
    *ret_exponent = (int)strtol(at + 1, NULL, 10) - (digits - 1);
    return number;
}

static bool reads_back(uint64_t digits, int exponent, double value)
{
    char text[48];
    int len = snprintf(text, sizeof(text), "%" PRIu64 "e%d", digits, exponent);
    double again;
    return number_parse(slice_make(text, (size_t)len), &again) == NUMBER_OK && again == value;
}

/* The shortest digits that read back as value > 0. */
static uint64_t shortest_digits(double value, int *ret_exponent)
{
    for (int digits = 1; digits < DBL_DECIMAL_DIG; digits++) {
        uint64_t number = round_to_digits(value, digits, ret_exponent);
        if (reads_back(number, *ret_exponent, value))
            return number;
        /* Below a power of two doubles lie closer than above it: there the nearest number of so
         * many digits can be too far below, while the next one still reads back. */
        if (reads_back(number + 1, *ret_exponent, value))
            return number + 1;
    }
    return round_to_digits(value, DBL_DECIMAL_DIG, ret_exponent);
}

/* text: len digits; the first one stands for 10^exponent. */
static size_t write_plain(const char *digits, int len, int exponent, char *text)
{
    char *at = text;
    for (int i = exponent < 0 ? exponent : 0; i < len || i <= exponent; i++) {
        if (i == exponent + 1)
            *at++ = '.';
        *at++ = i >= 0 && i < len ? digits[i] : '0';
        if (i == exponent && len <= exponent + 1) {
            *at++ = '.';
            *at++ = '0';
        }
    }
    *at = '\0';
    return (size_t)(at - text);
}

size_t number_format(double value, char text[NUMBER_FORMAT_SIZE])
{
    if (isnan(value))
        return (size_t)snprintf(text, NUMBER_FORMAT_SIZE, "NaN");
    if (isinf(value))
        return (size_t)snprintf(text, NUMBER_FORMAT_SIZE, value < 0 ? "-Inf" : "+Inf");
    if (value == 0)
        return (size_t)snprintf(text, NUMBER_FORMAT_SIZE, "0.0");

    int exponent;
    char digits[24];
    uint64_t number = shortest_digits(fabs(value), &exponent);
    int len = snprintf(digits, sizeof(digits), "%" PRIu64, number);
    exponent += len - 1;
    while (len > 1 && digits[len - 1] == '0')
        len--;

    size_t sign = value < 0;
    if (sign != 0)
        text[0] = '-';
    if (exponent >= -4 && exponent <= 5)
        return sign + write_plain(digits, len, exponent, text + sign);
    return sign + (size_t)snprintf(text + sign, NUMBER_FORMAT_SIZE - sign, "%c%s%.*se%+03d",
                                   digits[0], len > 1 ? "." : "", len - 1, digits + 1, exponent);
}

int64_t number_ms_of_seconds(double seconds)
{
    double ms = seconds * 1000;
    if (!(ms >= -0x1p63 && ms < 0x1p63))
        return INT64_MIN;
    return (int64_t)ms;
}
