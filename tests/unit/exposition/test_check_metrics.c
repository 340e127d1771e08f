/* SPDX-License-Identifier: GPL-2.0-or-later */
/* `limpet check metrics` prints the entries of the vectors, and refuses what a scrape refuses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "supervisor/check_metrics.h"
#include "vectors.h"

struct run {
    int status;
    char *out;
    char *err;
    size_t out_len;
    size_t err_len;
};

static struct run run(struct slice body, int argc, char **argv)
{
    struct run run = {0};
    /* fmemopen() refuses to open nothing. */
    FILE *in = body.len > 0 ? fmemopen((void *)(uintptr_t)body.ptr, body.len, "r")
                            : fopen("/dev/null", "r");
    FILE *out = open_memstream(&run.out, &run.out_len);
    FILE *err = open_memstream(&run.err, &run.err_len);
    assert_true(in != NULL && out != NULL && err != NULL);
    run.status = check_metrics_run(argc, argv, in, out, err);
    fclose(in);
    fclose(out);
    fclose(err);
    return run;
}

static void run_end(struct run *run)
{
    free(run->out);
    free(run->err);
}

static struct run run_as(struct slice body, const char *content_type)
{
    char type[128];
    snprintf(type, sizeof(type), "--content-type=%s", content_type);
    char *argv[] = {type, NULL};
    return run(body, 1, argv);
}

static void assert_same(const struct json *got, const struct json *expected)
{
    assert_non_null(got);
    assert_int_equal(got->kind, expected->kind);
    assert_true(slice_equal(got->text, expected->text));
    const struct json *member = got->first;
    for (const struct json *other = expected->first; other != NULL; other = other->next) {
        /* The parser's own name of a series and the readable form of its bits are not printed. */
        if (slice_is(other->key, "key") ||
            (slice_is(other->key, "value") && json_get(expected, "bits") != NULL))
            continue;
        assert_non_null(member);
        assert_true(slice_equal(member->key, other->key));
        assert_same(member, other);
        member = member->next;
    }
    assert_null(member);
}

static void check_vector(struct arena *arena, const struct vector *vector, void *state)
{
    static char openmetrics[] = "application/openmetrics-text; version=1.0.0";
    static char words[][32] = {"--content-type", "", "--created-as-start-timestamp"};
    char *argv[] = {words[0], openmetrics, words[2], NULL};
    (void)state;
    int argc = vector->format == EXPOSITION_TEXT ? 0 : vector->flags == 0 ? 2 : 3;
    struct run got = run(vector->body, argc, argv);
    assert_int_equal(got.status, vector->error.ptr != NULL);
    assert_int_equal(got.err_len, vector->error.ptr != NULL ? vector->error.len + 1 : 0);
    assert_memory_equal(got.err, vector->error.ptr != NULL ? vector->error.ptr : "",
                        vector->error.len);
    char *line = got.out;
    for (const struct json *entry = vector->entries->first; entry != NULL; entry = entry->next) {
        char *end = strchr(line, '\n');
        assert_non_null(end);
        *end = '\0';
        assert_same(json_read(arena, line), entry);
        line = end + 1;
    }
    assert_string_equal(line, "");
    run_end(&got);
}

static void prints_the_entries_and_errors_of_every_vector(void **state)
{
    assert_true(vectors_visit(check_vector, *state) > 0);
}

static void refuses_a_type_that_no_parser_knows(void **state)
{
    (void)state;
    struct run got = run_as(SLICE_LITERAL("a 1\n"), "text/html");
    assert_int_equal(got.status, 1);
    assert_string_equal(got.out, "");
    assert_string_equal(got.err, "received unsupported Content-Type \"text/html\" and no "
                                 "fallback_scrape_protocol specified for target\n");
    run_end(&got);
}

static void takes_an_empty_body_of_any_type(void **state)
{
    (void)state;
    struct run got = run_as(SLICE_LITERAL(""), "text/html");
    assert_int_equal(got.status, 0);
    assert_string_equal(got.out, "");
    run_end(&got);
}

static void refuses_an_unknown_option(void **state)
{
    (void)state;
    char option[] = "--contents";
    char *argv[] = {option, NULL};
    struct run got = run(SLICE_LITERAL(""), 1, argv);
    assert_int_equal(got.status, 2);
    assert_non_null(strstr(got.err, "--contents"));
    run_end(&got);
}

static void reads_lines_longer_than_its_first_buffer(void **state)
{
    (void)state;
    size_t len = 300000;
    char *body = malloc(len + 16);
    assert_non_null(body);
    memcpy(body, "a{b=\"", 5);
    memset(body + 5, 'x', len);
    memcpy(body + 5 + len, "\"} 1\n", 5);
    struct run got = run_as(slice_make(body, len + 10), "text/plain");
    assert_int_equal(got.status, 0);
    assert_true(got.out_len > len);
    run_end(&got);
    free(body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prints_the_entries_and_errors_of_every_vector),
        cmocka_unit_test(refuses_a_type_that_no_parser_knows),
        cmocka_unit_test(takes_an_empty_body_of_any_type),
        cmocka_unit_test(refuses_an_unknown_option),
        cmocka_unit_test(reads_lines_longer_than_its_first_buffer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
