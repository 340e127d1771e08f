/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sim/value.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

static const double powers_of_ten[] = {1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9};

void value_table_init(struct value_table *ret_table, uint64_t seed)
{
    for (uint64_t i = 0; i < VALUE_DOUBLES; i++) {
        double unit = (double)(value_mix(seed + i) >> 11) * 0x1p-53;
        double number = unit * powers_of_ten[i % 8] * (i % 5 == 0 ? 1e-6 : 1);
        if (i % 7 == 0)
            number = -number;
        char *text = ret_table->text[i];
        int len = snprintf(text, VALUE_TEXT_MAX, "%.17g", number);
        check(len > 0 && len < VALUE_TEXT_MAX);
        ret_table->len[i] = (uint8_t)len;
        ret_table->number[i] = strtod(text, NULL);
    }
}

double value_to_double(const struct value *value, const struct value_table *table)
{
    if (value->form == VALUE_DOUBLE)
        return table->number[value->digits];
    double number = (double)value->digits;
    return value->decimals == 0 ? number : number / powers_of_ten[value->decimals];
}

uint64_t value_to_bits(const struct value *value, const struct value_table *table)
{
    double number = value_to_double(value, table);
    uint64_t bits;
    memcpy(&bits, &number, sizeof(bits));
    return bits;
}

/* How many decimal digits a number has. */
static size_t count_digits(uint64_t number)
{
    static const uint64_t powers[] = {UINT64_C(1),
                                      UINT64_C(10),
                                      UINT64_C(100),
                                      UINT64_C(1000),
                                      UINT64_C(10000),
                                      UINT64_C(100000),
                                      UINT64_C(1000000),
                                      UINT64_C(10000000),
                                      UINT64_C(100000000),
                                      UINT64_C(1000000000),
                                      UINT64_C(10000000000),
                                      UINT64_C(100000000000),
                                      UINT64_C(1000000000000),
                                      UINT64_C(10000000000000),
                                      UINT64_C(100000000000000),
                                      UINT64_C(1000000000000000),
                                      UINT64_C(10000000000000000),
                                      UINT64_C(100000000000000000),
                                      UINT64_C(1000000000000000000),
                                      UINT64_C(10000000000000000000)};
    size_t bits = 64 - (size_t)__builtin_clzll(number | 1);
    size_t least = bits * 1233 >> 12; /* log10(2) is nearly 1233 / 4096 */
    return least + ((number | 1) >= powers[least]);
}

/* Two digits at a time, from behind. */
size_t value_print_integer(uint64_t number, char *ret_text)
{
    static const char pairs[] =
        "00010203040506070809101112131415161718192021222324252627282930313233"
        "34353637383940414243444546474849505152535455565758596061626364656667"
        "6869707172737475767778798081828384858687888990919293949596979899";
    size_t len = count_digits(number);
    char *at = ret_text + len;
    for (; number >= 100; number /= 100) {
        at -= 2;
        memcpy(at, pairs + 2 * (number % 100), 2);
    }
    if (number >= 10)
        memcpy(ret_text, pairs + 2 * number, 2);
    else
        ret_text[0] = (char)('0' + number);
    return len;
}

/* 1234500 as 1.2345e+06; below a million plain, as strconv.FormatFloat(x, 'g', -1, 64) does. */
static size_t print_go(uint64_t number, char *ret_text)
{
    char digits[20];
    size_t count = value_print_integer(number, digits);
    if (count <= 6) {
        memcpy(ret_text, digits, count);
        return count;
    }
    size_t exponent = count - 1;
    while (count > 1 && digits[count - 1] == '0')
        count--;
    size_t len = 0;
    ret_text[len++] = digits[0];
    if (count > 1) {
        ret_text[len++] = '.';
        memcpy(ret_text + len, digits + 1, count - 1);
        len += count - 1;
    }
    ret_text[len++] = 'e';
    ret_text[len++] = '+';
    ret_text[len++] = (char)('0' + exponent / 10);
    ret_text[len++] = (char)('0' + exponent % 10);
    return len;
}

/* 12345 with 3 decimals as 12.345, without trailing zeros. */
static size_t print_decimal(uint64_t number, unsigned decimals, char *ret_text)
{
    while (decimals > 0 && number % 10 == 0) {
        number /= 10;
        decimals--;
    }
    char digits[20];
    size_t count = value_print_integer(number, digits);
    if (decimals == 0) {
        memcpy(ret_text, digits, count);
        return count;
    }
    size_t zeros = count > decimals ? 0 : decimals + 1 - count; /* in front, one before the point */
    size_t whole = count + zeros - decimals;
    char padded[2 * sizeof(digits)];
    memset(padded, '0', zeros);
    memcpy(padded + zeros, digits, count);
    memcpy(ret_text, padded, whole);
    ret_text[whole] = '.';
    memcpy(ret_text + whole + 1, padded + whole, decimals);
    return whole + 1 + decimals;
}

size_t value_print(const struct value *value, const struct value_table *table, char *ret_text)
{
    switch (value->form) {
    case VALUE_INTEGER:
        return value_print_integer(value->digits, ret_text);
    case VALUE_GO:
        return print_go(value->digits, ret_text);
    case VALUE_DECIMAL:
        return print_decimal(value->digits, value->decimals, ret_text);
    case VALUE_DOUBLE:
        memcpy(ret_text, table->text[value->digits], VALUE_TEXT_MAX);
        return table->len[value->digits];
    }
    check(false);
}
