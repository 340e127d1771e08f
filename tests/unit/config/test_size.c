/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config/size.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static const struct {
    const char *text;
    bool good;
    uint64_t bytes;
    const char *printed;
} sizes[] = {
    {"0", true, 0, "0"},
    {"0B", true, 0, "0"},
    {"1B", true, 1, "1B"},
    {"1023B", true, 1023, "1023B"},
    {"1KB", true, 1024, "1KiB"},
    {"1KiB", true, 1024, "1KiB"},
    {"1.5KiB", true, 1536, "1536B"},
    {".5MB", true, 512 * 1024, "512KiB"},
    {"64MiB", true, UINT64_C(64) << 20, "64MiB"},
    {"10MB", true, UINT64_C(10) << 20, "10MiB"},
    {"1GB512MB", true, UINT64_C(1536) << 20, "1536MiB"},
    {"2TiB", true, UINT64_C(2) << 40, "2TiB"},
    {"3PB", true, UINT64_C(3) << 50, "3PiB"},
    {"7EiB", true, UINT64_C(7) << 60, "7EiB"},
    {"8EiB", false, 0, NULL},
    {"7EiB1024PiB", false, 0, NULL},
    {"", false, 0, NULL},
    {"1", false, 0, NULL},
    {"B", false, 0, NULL},
    {".B", false, 0, NULL},
    {"1K", false, 0, NULL},
    {"1Ki", false, 0, NULL},
    {"1kb", false, 0, NULL},
    {"1 KB", false, 0, NULL},
    {"-1KB", false, 0, NULL},
    {"1KB1", false, 0, NULL},
    {"1e3B", false, 0, NULL},
    {"99999999999999999999B", false, 0, NULL},
};

static void every_size_is_read_or_refused_as_prometheus_does(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        uint64_t bytes = 0;
        bool good = config_size_parse(slice_of(sizes[i].text), &bytes);
        if (good != sizes[i].good || bytes != sizes[i].bytes)
            fail_msg("\"%s\" gave %d, %llu", sizes[i].text, good, (unsigned long long)bytes);
    }
}

static void sizes_are_printed_with_the_largest_exact_unit(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        char text[CONFIG_SIZE_SIZE];
        if (sizes[i].good)
            assert_string_equal(config_size_format(sizes[i].bytes, text), sizes[i].printed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_size_is_read_or_refused_as_prometheus_does),
        cmocka_unit_test(sizes_are_printed_with_the_largest_exact_unit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
