/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The log's two formats, read back from a pipe put in the place of stderr. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"

static char line[8192];

/* What log_write prints for these fields, without its time. */
static const char *logged(enum log_format format, enum log_level level,
                          const struct log_field *fields)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    int saved = dup(STDERR_FILENO);
    assert_int_equal(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
    log_init(LOG_LEVEL_INFO, format, "writer");
    log_write(level, fields);
    assert_int_equal(dup2(saved, STDERR_FILENO), STDERR_FILENO);
    close(saved);
    close(ends[1]);
    ssize_t len = read(ends[0], line, sizeof(line) - 1);
    close(ends[0]);
    line[len > 0 ? len : 0] = '\0';
    const char *level_key = strstr(line, "level");
    return level_key != NULL ? level_key : "";
}

static void logfmt_quotes_what_needs_quotes(void **state)
{
    (void)state;
    const struct log_field fields[] = {MSG("two words"), STR("file", "a.yml"), INT("n", -5),
                                       STR("err", "x=\"y\""), STR("empty", ""), LOG_END};
    assert_string_equal(logged(LOG_FORMAT_LOGFMT, LOG_LEVEL_WARN, fields),
                        "level=warn component=writer msg=\"two words\" file=a.yml n=-5 "
                        "err=\"x=\\\"y\\\"\" empty=\"\"\n");
}

static void json_is_one_object_a_line(void **state)
{
    (void)state;
    const struct log_field fields[] = {MSG("hi"), INT("n", 7), LOG_END};
    assert_string_equal(logged(LOG_FORMAT_JSON, LOG_LEVEL_ERROR, fields),
                        "level\":\"error\",\"component\":\"writer\",\"msg\":\"hi\",\"n\":7}\n");
    assert_int_equal(strncmp(line, "{\"ts\":\"", 7), 0);
}

static void what_is_below_the_level_is_not_logged(void **state)
{
    (void)state;
    const struct log_field fields[] = {MSG("hi"), LOG_END};
    assert_string_equal(logged(LOG_FORMAT_JSON, LOG_LEVEL_DEBUG, fields), "");
}

static void a_long_line_is_cut_and_still_ends(void **state)
{
    (void)state;
    static char text[6000];
    memset(text, 'x', sizeof(text) - 1);
    const struct log_field fields[] = {MSG(text), LOG_END};
    logged(LOG_FORMAT_LOGFMT, LOG_LEVEL_INFO, fields);
    assert_true(strlen(line) <= 4096);
    assert_int_equal(line[strlen(line) - 1], '\n');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(logfmt_quotes_what_needs_quotes),
        cmocka_unit_test(json_is_one_object_a_line),
        cmocka_unit_test(what_is_below_the_level_is_not_logged),
        cmocka_unit_test(a_long_line_is_cut_and_still_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
