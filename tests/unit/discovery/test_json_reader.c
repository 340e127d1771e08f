/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is picked out of JSON, in whatever pieces it comes, and what is refused and how. */
#include "discovery/json_reader.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/strbuf.h"

enum { ITEM = 1, NAME, LABEL, PORT, READY, TAG };

static const struct json_want tags[] = {{NULL, JSON_STRING, TAG, false, false, NULL}};
static const struct json_want labels[] = {{JSON_EACH, JSON_STRING, LABEL, false, false, NULL},
                                          {.key = NULL}};
static const struct json_want members[] = {{"name", JSON_STRING, NAME, false, false, NULL},
                                           {"labels", JSON_OBJECT, 0, false, false, labels},
                                           {"port", JSON_SCALAR, PORT, false, false, NULL},
                                           {"ready", JSON_BOOL, READY, false, true, NULL},
                                           {"tags", JSON_LIST, 0, false, false, tags},
                                           {.key = NULL}};
static const struct json_want items[] = {{NULL, JSON_OBJECT, ITEM, true, false, members}};
static const struct json_want list[] = {{"items", JSON_LIST, 0, false, false, items},
                                        {.key = NULL}};
static const struct json_want root = {NULL, JSON_OBJECT, 0, false, false, list};

/* Events as a line: "(1 2=x 3:key=value )". */
static int tell_begin(void *context, const struct json_want *want, struct errctx *reterr)
{
    (void)reterr;
    strbuf_addf(context, "(%d ", want->id);
    return 0;
}

static int tell_end(void *context, const struct json_want *want, struct errctx *reterr)
{
    (void)want;
    (void)reterr;
    strbuf_adds(context, ") ");
    return 0;
}

static int tell_value(void *context, const struct json_want *want, struct slice key,
                      struct slice text, struct errctx *reterr)
{
    if (slice_is(text, "refuse me"))
        return err_set(reterr, ERR_CONFIG, "refused");
    if (want->id == LABEL)
        strbuf_addf(context, "%d:%.*s=%.*s ", want->id, SLICE_ARG(key), SLICE_ARG(text));
    else
        strbuf_addf(context, "%d=%.*s ", want->id, SLICE_ARG(text));
    return 0;
}

static const struct json_events events = {tell_begin, tell_end, tell_value};

static struct json_reader *cut_reader;
static char cut_why[256]; /* of the last object */

static int tell_cut_end(void *context, const struct json_want *want, struct errctx *reterr)
{
    (void)want;
    (void)reterr;
    static const char *const words[] = {
        [JSON_WHOLE] = ") ", [JSON_TOO_LARGE] = "cut) ", [JSON_MALFORMED] = "malformed) "};
    struct slice why;
    strbuf_adds(context, words[json_reader_cut(cut_reader, &why)]);
    snprintf(cut_why, sizeof(cut_why), "%.*s", SLICE_ARG(why));
    return 0;
}

static const struct json_events cut_events = {tell_begin, tell_cut_end, tell_value};

/* The result of reading text in pieces of so many bytes. */
static int read_text(const char *text, size_t len, size_t piece, bool many, struct strbuf *told,
                     struct errctx *why)
{
    struct json_reader *reader = json_reader_new(&root, many, &events, told);
    int err = 0;
    for (size_t i = 0; err == 0 && i < len; i += piece)
        err = json_reader_feed(reader, text + i, len - i < piece ? len - i : piece, why);
    if (err == 0)
        err = json_reader_finish(reader, why);
    json_reader_free(reader);
    return err;
}

static void expect(const char *text, bool many, const char *wanted)
{
    for (size_t piece = 1; piece < 64; piece += piece < 8 ? 1 : 13) {
        struct strbuf told = STRBUF_GROWING;
        struct errctx why = {""};
        if (read_text(text, strlen(text), piece, many, &told, &why) != 0)
            fail_msg("in pieces of %zu: %s", piece, why.text);
        assert_string_equal(told.text, wanted);
        strbuf_fini(&told);
    }
}

static void expect_error(const char *text, int err, const char *wanted)
{
    char room[4096];
    struct strbuf told = STRBUF_FIXED(room);
    struct errctx why = {""};
    assert_int_equal(read_text(text, strlen(text), 7, false, &told, &why), err);
    if (strstr(why.text, wanted) == NULL)
        fail_msg("\"%s\" is not in \"%s\"", wanted, why.text);
}

static void what_is_wanted_is_told_and_the_rest_is_skipped(void **state)
{
    (void)state;
    expect("{\"kind\":\"List\",\"items\":[{\"x\":{\"name\":\"no\",\"y\":[[1],{}]},\"name\":\"a\","
           "\"labels\":{\"k\":\"v\",\"l/m\":\"\"},\"port\":8080,\"tags\":[\"t\",\"u\"]},"
           "{\"port\":\"http\",\"ready\":false,\"name\":\"\\u00e9\\n\"}]}",
           false, "(1 2=a 3:k=v 3:l/m= 4=8080 6=t 6=u ) (1 4=http 5=false 2=\303\251\n ) ");
}

static void null_is_absent(void **state)
{
    (void)state;
    expect("{\"items\":[{\"name\":null,\"labels\":null,\"port\":null,\"tags\":null}]}", false,
           "(1 ) ");
    expect("{\"items\":null, \"x\": {}}{\"items\":[{}]}", true, "(1 ) ");
}

static void values_may_follow_one_another(void **state)
{
    (void)state;
    expect("{\"items\":[{\"name\":\"a\"}]}\n{\"items\":[{\"name\":\"b\"}]}\n", true,
           "(1 2=a ) (1 2=b ) ");
    expect_error("{\"items\":[]} {\"items\":[]}", ERR_SYNTAX, "not JSON at byte 1");
}

static void another_type_is_an_error_that_says_where(void **state)
{
    (void)state;
    expect_error("[]", ERR_SYNTAX, "the text: must be an object, not a list");
    expect_error("{\"items\":{}}", ERR_SYNTAX, "items: must be a list, not an object");
    expect_error("{\"items\":[5]}", ERR_SYNTAX, "items[]: must be an object, not a number");
}

/* What an item has that is `text`, between others, and why it is cut. */
static void expect_malformed(const char *text, const char *wanted, const char *why)
{
    char room[512];
    for (size_t piece = 1; piece < 64; piece += piece < 8 ? 1 : 13) {
        struct strbuf whole = STRBUF_GROWING, told = STRBUF_FIXED(room);
        struct json_reader *reader = json_reader_new(&root, false, &cut_events, &told);
        cut_reader = reader;
        strbuf_addf(&whole,
                    "{\"items\":[{\"name\":\"first\"},{%s,\"tags\":[\"left out\"],\"port\":[]}]}",
                    text);
        for (size_t i = 0; i < whole.len; i += piece)
            assert_int_equal(json_reader_feed(reader, whole.text + i,
                                              whole.len - i < piece ? whole.len - i : piece, NULL),
                             0);
        assert_int_equal(json_reader_finish(reader, NULL), 0);
        assert_string_equal(told.text, wanted);
        assert_string_equal(cut_why, why);
        json_reader_free(reader);
        strbuf_fini(&whole);
    }
}

static void what_is_malformed_harms_nobody_else(void **state)
{
    (void)state;
    expect_malformed("\"name\":\"a\",\"labels\":{\"k\":[\"x\"],\"l\":\"y\"}",
                     "(1 2=first ) (1 2=a malformed) ",
                     "items[].labels.k: must be a string, not a list");
    expect_malformed("\"name\":5", "(1 2=first ) (1 malformed) ",
                     "items[].name: must be a string, not a number");
    expect_malformed("\"name\":\"a\",\"labels\":\"x\"", "(1 2=first ) (1 2=a malformed) ",
                     "items[].labels: must be an object, not a string");
    /* The next one of the same reader is whole. */
    expect("{\"items\":[{\"port\":{}},{\"name\":\"b\"}]}", false, "(1 ) (1 2=b ) ");
}

static void a_lenient_want_takes_another_type_as_absent(void **state)
{
    (void)state;
    expect("{\"items\":[{\"ready\":\"yes\"},{\"ready\":{\"a\":[true]},\"name\":\"b\"}]}", false,
           "(1 ) (1 2=b ) ");
}

static void what_is_no_json_is_an_error(void **state)
{
    (void)state;
    expect_error("{\"items\":[}", ERR_SYNTAX, "not JSON at byte");
    expect_error("{\"items\" \"x\"}", ERR_SYNTAX, "not JSON at byte");
    expect_error("{\"items\":[{\"name\":\"\xff\"}]}", ERR_SYNTAX, "invalid bytes in UTF8");
    expect_error("{\"items\":[", ERR_SYNTAX, "ends early, after 10 bytes");
    expect_error("", ERR_SYNTAX, "ends early");
    expect_error("<html>", ERR_SYNTAX, "not JSON at byte");
}

static void an_event_may_refuse(void **state)
{
    (void)state;
    expect_error("{\"items\":[{\"name\":\"refuse me\"}]}", ERR_CONFIG, "refused");
}

static void depth_is_bounded(void **state)
{
    (void)state;
    char text[512] = "{\"x\":";
    size_t len = strlen(text);
    memset(text + len, '[', JSON_READER_DEPTH);
    text[len + JSON_READER_DEPTH] = '\0';
    expect_error(text, ERR_LIMIT, "nested too deeply");
}

/* Feeds the start and then one piece again and again, until an error or 100 MB. */
static int feed_much(const char *start, const char *piece, struct errctx *why, size_t *ret_fed)
{
    char room[64];
    struct strbuf told = STRBUF_FIXED(room);
    struct json_reader *reader = json_reader_new(&root, false, &events, &told);
    int err = json_reader_feed(reader, start, strlen(start), why);
    for (*ret_fed = 0; err == 0 && *ret_fed < 100u << 20; *ret_fed += strlen(piece))
        err = json_reader_feed(reader, piece, strlen(piece), why);
    json_reader_free(reader);
    return err;
}

static void what_is_endless_is_refused_early(void **state)
{
    (void)state;
    struct errctx why;
    size_t fed;
    char piece[8193];
    memset(piece, 'x', sizeof(piece) - 1);
    piece[sizeof(piece) - 1] = '\0';
    assert_int_equal(feed_much("{\"y\":\"", piece, &why, &fed), ERR_LIMIT);
    assert_non_null(strstr(why.text, "a text of more than 1 MiB"));
    assert_in_range(fed, 1 << 20, (1 << 20) + 32768);
    memset(piece, ' ', sizeof(piece) - 1);
    assert_int_equal(feed_much("{\"y\":", piece, &why, &fed), ERR_LIMIT);
    assert_non_null(strstr(why.text, "more than 2 MiB without a value"));
}

/* An item with `piece` so many times between its name and its tags, and one before and after. */
static void expect_cut(const char *begin, const char *piece, size_t times, const char *end,
                       const char *wanted)
{
    char room[512];
    struct strbuf told = STRBUF_FIXED(room);
    struct json_reader *reader = json_reader_new(&root, false, &cut_events, &told);
    cut_reader = reader;
    const char *head = "{\"items\":[{\"name\":\"first\"},{\"name\":\"huge\",";
    const char *tail = ",\"tags\":[\"left out\"]},{\"name\":\"last\"}]}";
    assert_int_equal(json_reader_feed(reader, head, strlen(head), NULL), 0);
    assert_int_equal(json_reader_feed(reader, begin, strlen(begin), NULL), 0);
    struct strbuf many = STRBUF_GROWING;
    for (size_t i = 0; i < 1000; i++)
        strbuf_adds(&many, piece);
    for (size_t i = 0; i < times; i += 1000)
        assert_int_equal(json_reader_feed(reader, many.text, many.len, NULL), 0);
    strbuf_fini(&many);
    assert_int_equal(json_reader_feed(reader, end, strlen(end), NULL), 0);
    assert_int_equal(json_reader_feed(reader, tail, strlen(tail), NULL), 0);
    assert_int_equal(json_reader_finish(reader, NULL), 0);
    json_reader_free(reader);
    assert_string_equal(told.text, wanted);
}

static void what_is_too_large_harms_nobody_else(void **state)
{
    (void)state;
    static const char wanted[] = "(1 2=first ) (1 2=huge cut) (1 2=last ) ";
    expect_cut("\"y\":[0", ",{\"z\":[1,2,3,4,5,6,7,8,9]}", 800000, "]", wanted);
    expect_cut("\"y\":\"", "0123456789abcdefghijklmnopqrstuvwxyz", 600000, "\"", wanted);
    expect_cut("\"labels\":{\"", "0123456789abcdefghijklmnopqrstuvwxyz", 50000, "\":\"\"}", wanted);
    /* Characters and escapes are not cut in two. */
    expect_cut("\"y\":\"", "\303\251", 800000, "\"", wanted);
    expect_cut("\"y\":\"x", "\342\202\254", 800000, "\"", wanted);
    expect_cut("\"y\":\"", "\\u00e9", 300000, "\"", wanted);
    expect_cut("\"y\":\"x", "\\u00e9", 300000, "\"", wanted);
    expect_cut("\"y\":\"xy", "\\u00e9", 300000, "\"", wanted);
    expect_cut("\"y\":\"x", "\\\"", 900000, "\\\\\"", wanted);
}

static void a_long_text_of_small_objects_is_no_problem(void **state)
{
    (void)state;
    struct errctx why;
    size_t fed;
    assert_int_equal(
        feed_much("{\"items\":[{}", ",{\"z\":\"0123456789012345678901234567890\"}", &why, &fed), 0);
}

#define TEST(name) cmocka_unit_test(name)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_wanted_is_told_and_the_rest_is_skipped),
        TEST(null_is_absent),
        TEST(values_may_follow_one_another),
        TEST(another_type_is_an_error_that_says_where),
        TEST(a_lenient_want_takes_another_type_as_absent),
        TEST(what_is_no_json_is_an_error),
        TEST(an_event_may_refuse),
        TEST(depth_is_bounded),
        TEST(what_is_endless_is_refused_early),
        TEST(what_is_malformed_harms_nobody_else),
        TEST(what_is_too_large_harms_nobody_else),
        TEST(a_long_text_of_small_objects_is_no_problem),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
