/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config/duration.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

#define MINUTE (INT64_C(60) * 1000)
#define DAY    (24 * 60 * MINUTE)

static const struct {
    const char *text;
    int64_t ms; /* -1: refused */
    const char *printed;
} durations[] = {
    {"0", 0, "0s"},
    {"0s", 0, "0s"},
    {"1ms", 1, "1ms"},
    {"15s", 15000, "15s"},
    {"90s", 90000, "1m30s"},
    {"1m30s", 90000, "1m30s"},
    {"1h", 60 * MINUTE, "1h"},
    {"90d", 90 * DAY, "90d"},
    {"2w", 14 * DAY, "2w"},
    {"14d", 14 * DAY, "2w"},
    {"15d", 15 * DAY, "15d"},
    {"365d", 365 * DAY, "1y"},
    {"1y", 365 * DAY, "1y"},
    {"1y2w3d4h5m6s7ms", (365 + 14 + 3) * DAY + 245 * MINUTE + 6007, "382d4h5m6s7ms"},
    {"292y", 292 * 365 * DAY, "292y"},
    {"9223372036854ms", 9223372036854, "106751d23h47m16s854ms"},
    {"007s", 7000, "7s"},
    {"", -1, NULL},
    {"1", -1, NULL},
    {"00", -1, NULL},
    {"s", -1, NULL},
    {"1.5s", -1, NULL},
    {"-1s", -1, NULL},
    {"+1s", -1, NULL},
    {" 1s", -1, NULL},
    {"1s ", -1, NULL},
    {"1S", -1, NULL},
    {"1sec", -1, NULL},
    {"1s1s", -1, NULL},
    {"1s1m", -1, NULL},
    {"1ms1s", -1, NULL},
    {"1us", -1, NULL},
    {"1m30", -1, NULL},
    {"293y", -1, NULL},
    {"9223372036855ms", -1, NULL},
    {"99999999999999999999s", -1, NULL},
};

static void every_duration_is_read_or_refused_as_prometheus_does(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(durations) / sizeof(durations[0]); i++) {
        int64_t ms = -1;
        bool good = config_duration_parse(slice_of(durations[i].text), &ms);
        if (ms != durations[i].ms || good != (durations[i].ms >= 0))
            fail_msg("\"%s\" gave %lld", durations[i].text, (long long)ms);
    }
}

static void durations_are_printed_in_their_shortest_exact_form(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(durations) / sizeof(durations[0]); i++) {
        char text[CONFIG_DURATION_SIZE];
        if (durations[i].printed != NULL)
            assert_string_equal(config_duration_format(durations[i].ms, text),
                                durations[i].printed);
    }
}

static void a_printed_duration_reads_back_as_itself(void **state)
{
    (void)state;
    for (int64_t ms = 1; ms < INT64_C(9223372036854) / 3; ms = ms * 3 + 1) {
        char text[CONFIG_DURATION_SIZE];
        int64_t back = -1;
        assert_true(config_duration_parse(slice_of(config_duration_format(ms, text)), &back));
        assert_int_equal(back, ms);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_duration_is_read_or_refused_as_prometheus_does),
        cmocka_unit_test(durations_are_printed_in_their_shortest_exact_form),
        cmocka_unit_test(a_printed_duration_reads_back_as_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
