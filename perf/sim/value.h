/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a simulated target answers, as a pure function of (seed, target, series, scrape number).
 * The farm prints these numbers, the sink computes them again and compares the doubles bit for
 * bit; neither asks the other.
 *
 * A number is held as decimal digits, so that its text needs no general float printing and its
 * double is exact: an integer below 2^53 divided by a power of ten up to 10^22 rounds like strtod.
 * Numbers with 17 significant digits come from a table, once printed by the C library.
 */
#ifndef SIM_VALUE_H
#define SIM_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VALUE_DOUBLES  1024 /* entries of the table of 17-digit numbers */
#define VALUE_TEXT_MAX 32   /* room for any printed number */

#define VALUE_COPIES_MAX 10000u

/* The value bits of a staleness marker (Prometheus' StaleNaN). */
#define VALUE_STALE UINT64_C(0x7ff0000000000002)

enum value_kind {
    VALUE_NUMBER,   /* the scrape number itself */
    VALUE_TARGET,   /* the number of the target */
    VALUE_CONSTANT, /* scale, always */
    VALUE_COUNTER,  /* grows by a fixed step each time it changes */
    VALUE_GAUGE     /* anything below scale */
};

enum value_form {
    VALUE_INTEGER, /* 1234567 */
    VALUE_GO,      /* 1.234567e+06, as Go programs print large numbers */
    VALUE_DECIMAL, /* 1.2345 */
    VALUE_DOUBLE   /* 0.70112345678901234: the table */
};

struct value_rule {
    enum value_kind kind;
    enum value_form form;
    unsigned decimals; /* digits after the point of a VALUE_DECIMAL, at most 9 */
    bool vanishes;     /* comes and goes where the plan asks for that */
    uint32_t group;    /* series of one histogram share it, so that they move together */
    uint32_t multiply; /* the share of the group's number: a bucket of a histogram, its sum */
    uint32_t divide;
    uint64_t scale; /* numbers start below this; at most 10^12 */
};

/* What a body is made of besides its plan. */
struct value_params {
    uint64_t seed;
    unsigned change; /* percent of the numbers that change from one scrape to the next */
    unsigned churn;  /* series with a new name in every scrape */
    bool vanish;     /* whether rules that vanish do */
    unsigned copies; /* of each series, told apart by a label; at least 1 */
};

struct value {
    enum value_form form;
    unsigned decimals;
    uint64_t digits; /* of a VALUE_DOUBLE: the index into the table */
};

struct value_table {
    double number[VALUE_DOUBLES];
    uint8_t len[VALUE_DOUBLES];
    char text[VALUE_DOUBLES][VALUE_TEXT_MAX];
};

/* splitmix64: every bit of the argument moves every bit of the result. */
static inline uint64_t value_mix(uint64_t x)
{
    x += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

static inline uint64_t value_key(uint64_t seed, uint32_t target, uint32_t group)
{
    return value_mix(seed ^ value_mix((uint64_t)target << 32 | group));
}

/* Scrapes in threes: three with the series, three without. Scrape numbers start at 1. */
static inline bool value_present(const struct value_rule *rule, const struct value_params *params,
                                 uint32_t target, uint64_t n)
{
    if (!params->vanish || !rule->vanishes)
        return true;
    return ((n + value_key(params->seed, target, rule->group) % 6) / 3) % 2 == 0;
}

static inline struct value value_at(const struct value_rule *rule,
                                    const struct value_params *params, uint32_t target, uint64_t n)
{
    struct value value = {rule->form, rule->decimals, rule->scale};
    if (rule->kind == VALUE_NUMBER)
        value.digits = n;
    if (rule->kind == VALUE_TARGET)
        value.digits = target;
    if (rule->kind <= VALUE_CONSTANT)
        return value;
    uint64_t key = value_key(params->seed, target, rule->group);
    uint64_t version = (n * params->change + key % 100) / 100; /* one more at each change */
    if (rule->form == VALUE_DOUBLE) {
        value.digits = value_mix(key + version) % VALUE_DOUBLES;
        return value;
    }
    if (rule->kind == VALUE_COUNTER)
        value.digits = (key >> 8) % rule->scale + version * (1 + (key >> 48) % 200);
    else
        value.digits = value_mix(key + version) % rule->scale;
    value.digits = value.digits * rule->multiply / rule->divide;
    return value;
}

/* A series of the churn: named by slot and generation, and the generation is the scrape number. */
static inline struct value value_of_churn(const struct value_params *params, uint32_t target,
                                          uint32_t slot, uint64_t n)
{
    uint64_t key = value_key(params->seed, target, UINT32_MAX - slot);
    return (struct value){VALUE_INTEGER, 0, value_mix(key + n) % 1000000};
}

/* The same table for the same seed, on both sides. */
void value_table_init(struct value_table *ret_table, uint64_t seed);

double value_to_double(const struct value *value, const struct value_table *table);
uint64_t value_to_bits(const struct value *value, const struct value_table *table);

/* Writes at most VALUE_TEXT_MAX bytes, not terminated; returns how many. */
size_t value_print(const struct value *value, const struct value_table *table, char *ret_text);

/* Decimal digits of a number, at most 20, not terminated; returns how many. */
size_t value_print_integer(uint64_t number, char *ret_text);

#endif
