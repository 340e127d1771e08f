/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config/duration.h"

#include <string.h>

#include "base/check.h"
#include "base/strbuf.h"

static const struct unit {
    const char *name;
    int64_t ms;
    bool only_exact; /* 90d reads better than 12w6d */
} units[] = {
    {"y", INT64_C(1000) * 60 * 60 * 24 * 365, true},
    {"w", INT64_C(1000) * 60 * 60 * 24 * 7, true},
    {"d", INT64_C(1000) * 60 * 60 * 24, false},
    {"h", INT64_C(1000) * 60 * 60, false},
    {"m", INT64_C(1000) * 60, false},
    {"s", INT64_C(1000), false},
    {"ms", INT64_C(1), false},
};

#define N_UNITS (sizeof(units) / sizeof(units[0]))

/* Prometheus counts in nanoseconds; what overflows there is refused here too. */
#define LONGEST (INT64_MAX / 1000000)

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* One number+unit at *at; the unit must come after units[*unit - 1]. */
static bool parse_piece(struct slice text, size_t *at, size_t *unit, int64_t *total)
{
    int64_t number = 0;
    size_t start = *at;
    for (; *at < text.len && is_digit(text.ptr[*at]); (*at)++) {
        number = number * 10 + (text.ptr[*at] - '0');
        if (number > LONGEST)
            return false;
    }
    size_t name = *at;
    while (*at < text.len && !is_digit(text.ptr[*at]))
        (*at)++;
    if (name == start)
        return false;
    struct slice given = slice_make(text.ptr + name, *at - name);
    while (*unit < N_UNITS && !slice_is(given, units[*unit].name))
        (*unit)++;
    if (*unit == N_UNITS || number > (LONGEST - *total) / units[*unit].ms)
        return false;
    *total += number * units[(*unit)++].ms;
    return true;
}

bool config_duration_parse(struct slice text, int64_t *ret_ms)
{
    int64_t total = 0;
    size_t unit = 0;
    if (text.len == 0)
        return false;
    if (!slice_is(text, "0")) {
        for (size_t at = 0; at < text.len;) {
            if (!parse_piece(text, &at, &unit, &total))
                return false;
        }
    }
    *ret_ms = total;
    return true;
}

const char *config_duration_format(int64_t ms, char buffer[CONFIG_DURATION_SIZE])
{
    check(ms >= 0);
    struct strbuf out = {buffer, 0, CONFIG_DURATION_SIZE, true, false};
    if (ms == 0)
        strbuf_adds(&out, "0s");
    for (size_t i = 0; i < N_UNITS; i++) {
        int64_t count = ms / units[i].ms;
        if (count == 0 || (units[i].only_exact && ms % units[i].ms != 0))
            continue;
        strbuf_addf(&out, "%lld%s", (long long)count, units[i].name);
        ms -= count * units[i].ms;
    }
    check(!out.cut);
    return buffer;
}
