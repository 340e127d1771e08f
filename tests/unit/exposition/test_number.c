/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "exposition/exposition.h"
#include "exposition/number.h"
#include "exposition/number_avx2.h"
#include "exposition/number_scale.h"
#include "tests/unit/dice.h"

static struct dice dice;

static uint64_t bits_of(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    return bits;
}

/* Any finite double, each bit pattern as likely as any other. */
static double random_double(void)
{
    for (;;) {
        uint64_t bits = dice_bits(&dice);
        if ((bits >> 52 & 0x7ff) == 0x7ff)
            continue;
        double value;
        memcpy(&value, &bits, sizeof(value));
        return value;
    }
}

static void assert_number(const char *text, double expected)
{
    double value;
    enum number_outcome outcome = number_parse(slice_of(text), &value);
    if (outcome != NUMBER_OK || bits_of(value) != bits_of(expected))
        fail_msg("%s: outcome %d, %a instead of %a", text, outcome, value, expected);
}

/* libc in the C locale is the oracle; the test program never leaves that locale. */
static void assert_like_libc(const char *text)
{
    assert_number(text, strtod(text, NULL));
}

static void assert_outcome(const char *text, enum number_outcome expected)
{
    double value;
    enum number_outcome outcome = number_parse(slice_of(text), &value);
    if (outcome != expected)
        fail_msg("'%s': outcome %d instead of %d", text, outcome, expected);
}

static void reads_what_it_should(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "0",
        "-0",
        "1",
        "+1",
        "-1",
        "5.",
        ".5",
        "007",
        "0.0",
        "1e3",
        "1E-3",
        "1e+3",
        "1.5e0",
        "123456789.125",
        "9007199254740993",
        "18446744073709551615",
        "18446744073709551616",
        "0.1000000000000000055511151231257827021181583404541015625",
        "4.9e-324",
        "2e-324",
        "2.4703282292062327e-324",
        "2.4703282292062328e-324",
        "2.2250738585072011e-308",
        "1.7976931348623157e308",
        "179769313486231570000e288",
        "0.000000000000000000000000001e27",
        "9007199254740992999999",
        "9007199254740993.00000000000000000000000000000001",
        "0e99999999999999999999",
        "1e-99999999999999999999",
        "0.30000000000000004",
        "1234567890123456789e-27",
        "9999999999999999999e27",
        "8.5e22",
        "1e23",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        assert_like_libc(texts[i]);
}

static void reads_the_named_values(void **state)
{
    (void)state;
    static const char *const infinities[] = {"inf", "Inf", "INF", "+Inf", "iNfInItY", "+infinity"};
    for (size_t i = 0; i < sizeof(infinities) / sizeof(infinities[0]); i++)
        assert_number(infinities[i], strtod("inf", NULL));
    assert_number("-Inf", -strtod("inf", NULL));
    assert_number("-infinity", -strtod("inf", NULL));
    double value;
    assert_int_equal(number_parse(slice_of("nAn"), &value), NUMBER_OK);
    assert_int_equal(bits_of(value), EXPOSITION_NAN_BITS);
}

static void refuses_what_is_no_number(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",    ".",    "+",    "-",      "e5",      "1e",        "1e+",          "1.2.3", " 1",
        "1 ",  "+NaN", "-nan", "nan(1)", "infinit", "infinityy", "in",           "0x1F",  "0b1",
        "1,5", "1\r",  "--1",  "1-",     "1e5.0",   "NaNa",      "\xc2\xa0\x31", "i",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        assert_outcome(texts[i], NUMBER_SYNTAX);
    assert_outcome("1_000", NUMBER_UNSUPPORTED);
    assert_outcome("0x1p-2", NUMBER_UNSUPPORTED);
    assert_outcome("inP", NUMBER_UNSUPPORTED);
    assert_outcome("1e309", NUMBER_RANGE);
    assert_outcome("-1e400", NUMBER_RANGE);
    assert_outcome("1.7976931348623159e308", NUMBER_RANGE);
    assert_outcome("1e99999999999999999999", NUMBER_RANGE);
}

static void reads_back_random_doubles_written_with_17_digits(void **state)
{
    (void)state;
    for (int i = 0; i < 200000; i++) {
        char text[64];
        double value = random_double();
        snprintf(text, sizeof(text), "%.17g", value);
        assert_number(text, value);
    }
}

/* The shapes of real exporters, around the borders of the three ways to scale. */
static void agrees_with_libc_on_random_decimals(void **state)
{
    (void)state;
    for (int i = 0; i < 300000; i++) {
        char text[96];
        int whole = (int)(dice_bits(&dice) % 20);
        int fraction = (int)(dice_bits(&dice) % 25);
        int len = 0;
        for (int k = 0; k <= whole; k++)
            text[len++] = (char)('0' + dice_bits(&dice) % 10);
        text[len++] = '.';
        for (int k = 0; k < fraction; k++)
            text[len++] = (char)('0' + dice_bits(&dice) % 10);
        snprintf(text + len, sizeof(text) - (size_t)len, "e%d", (int)(dice_bits(&dice) % 61) - 30);
        assert_like_libc(text);
    }
}

/* Any 64-bit integer times any power of ten, beyond both ends of what doubles hold, too. */
static void agrees_with_libc_on_integers_times_powers_of_ten(void **state)
{
    (void)state;
    for (int i = 0; i < 200000; i++) {
        char text[64];
        uint64_t shift = dice_bits(&dice) % 64;
        uint64_t mantissa = dice_bits(&dice) >> shift;
        int exponent = (int)(dice_bits(&dice) % 700) - 370;
        snprintf(text, sizeof(text), "%" PRIu64 "e%d", mantissa, exponent);
        double expected = strtod(text, NULL);
        double value = number_scale(mantissa, exponent);
        if (bits_of(value) != bits_of(expected))
            fail_msg("%s: %a instead of %a", text, value, expected);
        if (isfinite(expected))
            assert_number(text, expected);
        else
            assert_outcome(text, NUMBER_RANGE);
    }
}

/* What lies in the middle of two neighbouring doubles, of any size or near some size, subnormal
 * ones included; written with few digits or many, as it is or one unit of the last digit beside. */
static void agrees_with_libc_close_to_ties(void **state)
{
    (void)state;
    _Static_assert(LDBL_MANT_DIG >= DBL_MANT_DIG + 1, "holds what is between doubles");
    for (int i = 0; i < 150000; i++) {
        static const int most_digits[] = {15, 16, 17, 18, 19, 20, 21, 25, 40, 780};
        char text[1024];
        double lower = fabs(random_double());
        int exponent = (int)(dice_bits(&dice) % 90) - 20;
        uint64_t shift = 11 + dice_bits(&dice) % 52;
        if (dice_bits(&dice) % 2 == 0) /* where ties have few digits */
            lower = ldexp((double)(dice_bits(&dice) >> 11), exponent);
        else if (dice_bits(&dice) % 8 == 0)
            lower = ldexp((double)(dice_bits(&dice) >> shift), -1074);
        long double tie = ((long double)lower + (long double)nextafter(lower, HUGE_VAL)) / 2;
        if (!isfinite(nextafter(lower, HUGE_VAL)))
            continue;
        size_t kind = dice_bits(&dice) % (i % 64 == 0 ? 10 : 9);
        int len = snprintf(text, sizeof(text), "%.*Le", most_digits[kind] - 1, tie);
        char *last = strchr(text, 'e') - 1;
        int step = (int)(dice_bits(&dice) % 3) - 1;
        if (*last + step >= '0' && *last + step <= '9')
            *last = (char)(*last + step);
        assert_true(len < (int)sizeof(text));
        assert_like_libc(text);
    }
}

/* Exactly between two doubles, and a hair beside it, with more digits than anything keeps. */
static void rounds_ties_to_even_whatever_the_number_of_digits(void **state)
{
    (void)state;
    char text[4096];
    memset(text, '0', sizeof(text));
    memcpy(text, "9007199254740993.", 17);
    text[2000] = '\0';
    assert_number(text, 9007199254740992.0);
    text[1999] = '1';
    assert_number(text, 9007199254740994.0);

    memset(text, '7', 1500);
    text[1500] = '\0';
    memcpy(text + 1500, "e-1400", 7);
    assert_like_libc(text);
    memset(text, '0', 3000);
    memcpy(text, "0.", 2);
    strcpy(text + 3000, "12345e3000");
    assert_number(text, 12.345);
}

static void assert_format(double value, const char *expected)
{
    char text[NUMBER_FORMAT_SIZE];
    size_t len = number_format(value, text);
    assert_string_equal(text, expected);
    assert_int_equal(len, strlen(expected));
}

static void writes_floats_as_openmetrics_wants_them(void **state)
{
    (void)state;
    assert_format(1, "1.0");
    assert_format(0, "0.0");
    assert_format(-0.0, "0.0");
    assert_format(-1, "-1.0");
    assert_format(10, "10.0");
    assert_format(0.25, "0.25");
    assert_format(-12.5, "-12.5");
    assert_format(0.1, "0.1");
    assert_format(100000, "100000.0");
    assert_format(999999, "999999.0");
    assert_format(1000000, "1e+06");
    assert_format(1234567, "1.234567e+06");
    assert_format(123456789.5, "1.234567895e+08");
    assert_format(0.0001, "0.0001");
    assert_format(0.000123, "0.000123");
    assert_format(0.00001, "1e-05");
    assert_format(2.5e-5, "2.5e-05");
    assert_format(1e-100, "1e-100");
    assert_format(-1.7976931348623157e308, "-1.7976931348623157e+308");
    assert_format(5e-324, "5e-324");
    assert_format(0x1p-24, "5.960464477539063e-08");
    assert_format(0x1p-44, "5.684341886080802e-14");
    assert_format(9007199254740993.0, "9.007199254740992e+15");
    assert_format(strtod("inf", NULL), "+Inf");
    assert_format(-strtod("inf", NULL), "-Inf");
    assert_format(strtod("nan", NULL), "NaN");
}

static void what_is_written_reads_back_and_is_as_short_as_can_be(void **state)
{
    (void)state;
    for (int i = 0; i < 20000; i++) {
        double value = random_double();
        char text[NUMBER_FORMAT_SIZE];
        number_format(value, text);
        assert_number(text, value);
        char digits[64];
        int len = 0;
        for (const char *at = text; *at != '\0' && *at != 'e'; at++)
            len += *at >= '0' && *at <= '9';
        if (len < 2 || strchr(text, 'e') == NULL) /* zeros around the point do not count */
            continue;
        snprintf(digits, sizeof(digits), "%.*e", len - 2, value);
        if (strtod(digits, NULL) == value)
            fail_msg("%s is not the shortest form, %s is", text, digits);
    }
}

static void labels_take_more_forms_than_values(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        double value;
    } cases[] = {{"1_0", 10},       {"0x1p-2", 0.25}, {"+1", 1},        {"0x_1p0", 1},
                 {"-0X1.8P+1", -3}, {"0x.8p0", 0.5},  {"1_0e1_0", 1e11}};
    double value;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(number_parse_go(slice_of(cases[i].text), &value), NUMBER_OK);
        assert_true(value == cases[i].value);
    }
    static const char *const wrong[] = {"_1",   "1_",   "1__0", "1_.5",  "1._5",  "0x10",
                                        "0xp1", "0x1p", "p",    "_",     "0x1p+", "abc",
                                        "",     " 1",   "inf_", "0x1p1 "};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_int_equal(number_parse_go(slice_of(wrong[i]), &value), NUMBER_SYNTAX);
    assert_int_equal(number_parse_go(slice_of("1e400"), &value), NUMBER_RANGE);
    assert_int_equal(number_parse_go(slice_of("0x1p1024"), &value), NUMBER_RANGE);
}

static void seconds_become_milliseconds_towards_zero(void **state)
{
    (void)state;
    assert_int_equal(number_ms_of_seconds(1.5), 1500);
    assert_int_equal(number_ms_of_seconds(-1.5), -1500);
    assert_int_equal(number_ms_of_seconds(-0.0009), 0);
    assert_int_equal(number_ms_of_seconds(1700000000.9999), 1700000000999);
    assert_int_equal(number_ms_of_seconds(1e30), INT64_MIN);
    assert_int_equal(number_ms_of_seconds(-1e30), INT64_MIN);
    assert_int_equal(number_ms_of_seconds(strtod("nan", NULL)), INT64_MIN);
}

/* What the quick way takes up to some byte is exactly what the careful way makes of it. */
static void the_quick_way_never_differs(void **state)
{
    (void)state;
    static const char alphabet[] = "0123456789012345678900000..eE-+ \nxi";
    size_t taken = 0;
    for (int round = 0; round < 2000000; round++) {
        char text[24];
        size_t len = 1 + dice_bits(&dice) % (sizeof(text) - 1);
        for (size_t i = 0; i < len; i++)
            text[i] = alphabet[dice_bits(&dice) % (sizeof(alphabet) - 1)];
        const char *at = text;
        double quick, careful;
        if (!number_quick(&at, text + len, &quick))
            continue;
        taken++;
        assert_true(at > text && at < text + len);
        struct slice number = slice_make(text, (size_t)(at - text));
        assert_int_equal(number_parse(number, &careful), NUMBER_OK);
        if (bits_of(quick) != bits_of(careful))
            fail_msg("%.*s: %a instead of %a", SLICE_ARG(number), quick, careful);
    }
    assert_true(taken > 100000);
    static const char *const not_taken[] = {
        "NaN",
        "Na ",
        "nan ",
        "-NaN ",
        "+NaN ",
        "1e ",
        "1e-1000 ",
        "1e1000 ",
        "1.5e-9223372036854775808 ", /* the least number, to be negated */
        "1e9223372036854775808 ",
        "1.5e9223372036854775807 ",
        "1.5e-99999999999999999999 ",
    };
    const char *at = "NaN\n";
    double nan;
    assert_true(number_quick(&at, at + 4, &nan) && *at == '\n');
    assert_int_equal(bits_of(nan), EXPOSITION_NAN_BITS);
    for (size_t i = 0; i < sizeof(not_taken) / sizeof(not_taken[0]); i++) {
        at = not_taken[i];
        assert_false(number_quick(&at, at + strlen(at), &nan));
    }
}

#ifdef CPU_MAY_HAVE_AVX2
/* A text that is a number more often than not, and what may stand behind it. */
static void random_line(char *text)
{
    static const char *const ends[] = {
        "\n",      "\n",       "\n",     "\n",     "\n",     " \n",    "e+09\n",
        "e+10\n",  "e+9\n",    "e-05\n", "e-15\n", "e+0:\n", "e+99\n", "e+100\n",
        "e-310\n", "e+1000\n", "e\n",    "x\n",    ".5\n",   "e+05",   ""};
    size_t len = 0;
    size_t digits = dice_bits(&dice) % 24;
    size_t zeros = dice_bits(&dice) % 4 == 0 ? dice_bits(&dice) % 8 : 0;
    size_t point = dice_bits(&dice) % 24;
    if (dice_bits(&dice) % 8 == 0)
        text[len++] = '-';
    for (size_t i = 0; i < digits; i++) {
        if (i == point)
            text[len++] = '.';
        text[len++] =
            (char)('0' + (i < zeros || dice_bits(&dice) % 3 == 0 ? 0 : dice_bits(&dice) % 10));
    }
    if (dice_bits(&dice) % 16 == 0) {
        size_t at = dice_bits(&dice) % (len + 1);
        text[at] = (char)dice_bits(&dice);
    }
    const char *end = ends[dice_bits(&dice) % (sizeof(ends) / sizeof(ends[0]))];
    memcpy(text + len, end, strlen(end));
}

/* Whether the way takes the line; if so it must be what the careful way makes of it. */
static bool takes(bool (*way)(const char **at, double *ret_value), const char *text,
                  const char *newline)
{
    const char *at = text;
    double value, careful;
    if (!way(&at, &value)) {
        assert_ptr_equal(at, text);
        return false;
    }
    if (newline == NULL || at != newline + 1 ||
        number_parse(slice_make(text, (size_t)(newline - text)), &careful) != NUMBER_OK ||
        bits_of(value) != bits_of(careful))
        fail_msg("%.32s", text);
    return true;
}
#endif

/* Lines that are taken at once are taken as numbers one after another are; the others not at all.
 */
static void nor_do_the_ways_of_wide_registers(void **state)
{
    (void)state;
#ifdef CPU_MAY_HAVE_AVX2
    size_t usual = 0;
    size_t longer = 0;
    size_t left = 0;
    if (!cpu_has_avx2())
        skip();
    for (int round = 0; round < 2000000; round++) {
        char text[80];
        for (size_t i = 0; i < sizeof(text); i++)
            text[i] = "0123456789.e+-\n "[dice_bits(&dice) % 16];
        random_line(text);
        const char *at = text;
        double quick;
        const char *newline = memchr(text, '\n', sizeof(text));
        bool is_usual = takes(number_line_avx2, text, newline);
        bool is_long = takes(number_long_line_avx2, text, newline);
        usual += is_usual;
        longer += is_long && !is_usual;
        left +=
            !is_usual && !is_long && number_quick(&at, text + sizeof(text), &quick) && *at == '\n';
    }
    print_message("%zu usual, %zu long, %zu left\n", usual, longer, left);
    assert_true(usual > 300000);
    assert_true(longer > 300000);
    assert_true(left < longer / 4);
#else
    skip();
#endif
}

static void long_values_of_real_programs_are_taken_at_once(void **state)
{
    (void)state;
#ifdef CPU_MAY_HAVE_AVX2
    static const char *const taken[] = {
        "0.123456789012345678",
        "1.7976931348623157e+308",
        "12345.678901234567",
        "NaN",
        "-0.00012345678901234567",
        "1.6865802863761244e+09",
        "6.2497e-05",
        "-1",
        "1234567890123456789",
        "1.2345678901234567e-10",
        "5e-324",
        "1e-400",
        "9007199254740993",
        "-0",
        "123456789012345.6",
    };
    static const char *const left[] = {"",        "-",    ".",     "1e400",  "nan", "NaN ",
                                       "1e+5",    "1e05", "+Inf",  "+1",     "1e+", "1e+0000",
                                       "-1e+309", "--1",  "1.2.3", "0x1p+1", "1 2"};
    if (!cpu_has_avx2())
        skip();
    for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]) + sizeof(left) / sizeof(left[0]); i++) {
        bool is_taken = i < sizeof(taken) / sizeof(taken[0]);
        char text[80];
        memset(text, '7', sizeof(text));
        snprintf(text, sizeof(text), "%s\n",
                 is_taken ? taken[i] : left[i - sizeof(taken) / sizeof(taken[0])]);
        if (takes(number_long_line_avx2, text, strchr(text, '\n')) != is_taken)
            fail_msg("%s", text);
    }
#else
    skip();
#endif
}

int main(void)
{
    dice.state = seed_of_run("number", UINT64_C(0x9e3779b97f4a7c15));
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_it_should),
        cmocka_unit_test(reads_the_named_values),
        cmocka_unit_test(refuses_what_is_no_number),
        cmocka_unit_test(reads_back_random_doubles_written_with_17_digits),
        cmocka_unit_test(agrees_with_libc_on_random_decimals),
        cmocka_unit_test(agrees_with_libc_on_integers_times_powers_of_ten),
        cmocka_unit_test(agrees_with_libc_close_to_ties),
        cmocka_unit_test(rounds_ties_to_even_whatever_the_number_of_digits),
        cmocka_unit_test(the_quick_way_never_differs),
        cmocka_unit_test(nor_do_the_ways_of_wide_registers),
        cmocka_unit_test(long_values_of_real_programs_are_taken_at_once),
        cmocka_unit_test(writes_floats_as_openmetrics_wants_them),
        cmocka_unit_test(what_is_written_reads_back_and_is_as_short_as_can_be),
        cmocka_unit_test(labels_take_more_forms_than_values),
        cmocka_unit_test(seconds_become_milliseconds_towards_zero),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
