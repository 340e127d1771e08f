/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What lists and watches tell, in whatever pieces they come. */
#include "discovery/kube_parse.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/strbuf.h"

/* "TYPE name@version " for each, and what is asked about annotations. */
struct told {
    struct strbuf text;
    const char *needed; /* the key of the long annotation that is */
    size_t annotation;  /* length of the last one's value */
};

static int tell(void *context, const struct kube_parsed *parsed, struct errctx *reterr)
{
    struct told *told = context;
    struct kube_entry entry;
    struct slice rest = parsed->record;
    (void)reterr;
    struct slice malformed = kube_record_get(parsed->record, KUBE_MALFORMED);
    strbuf_addf(&told->text, "%.*s %.*s%s%.*s@%.*s ", SLICE_ARG(parsed->type),
                SLICE_ARG(kube_record_get(parsed->record, KUBE_NAME)), malformed.len > 0 ? "!" : "",
                SLICE_ARG(malformed), SLICE_ARG(parsed->version));
    if (parsed->status_code != 0)
        strbuf_addf(&told->text, "%d %.*s: %.*s ", parsed->status_code,
                    SLICE_ARG(parsed->status_reason), SLICE_ARG(parsed->status_message));
    while (kube_record_find(&rest, KUBE_ANNOTATION, &entry))
        told->annotation = entry.value.len;
    return 0;
}

static bool is_needed(void *context, struct slice key)
{
    const struct told *told = context;
    return told->needed != NULL && slice_is(key, told->needed);
}

static void read_text(struct kube_parser *parser, const char *text, size_t piece)
{
    struct errctx why = {""};
    size_t len = strlen(text);
    for (size_t i = 0; i < len; i += piece) {
        if (kube_parser_feed(parser, text + i, len - i < piece ? len - i : piece, &why) != 0)
            fail_msg("%s", why.text);
    }
    if (kube_parser_finish(parser, &why) != 0)
        fail_msg("%s", why.text);
}

static void a_list_has_items_a_version_and_perhaps_more(void **state)
{
    (void)state;
    for (size_t piece = 1; piece < 100; piece += 7) {
        struct told told = {0};
        struct kube_parser *parser = kube_parser_new(KUBE_PODS, false, tell, &told);
        read_text(parser,
                  "{\"kind\":\"PodList\",\"items\":[{\"metadata\":{\"name\":\"a\","
                  "\"resourceVersion\":\"7\"}},{\"metadata\":{\"name\":\"b\"}}],\"metadata\":{"
                  "\"resourceVersion\":\"9\",\"continue\":\"token\",\"remainingItemCount\":5}}",
                  piece);
        assert_string_equal(told.text.text, " a@7  b@ ");
        assert_string_equal(kube_parser_list_version(parser), "9");
        assert_string_equal(kube_parser_list_continue(parser), "token");
        kube_parser_free(parser);
        strbuf_fini(&told.text);
    }
}

static void a_watch_has_events_of_all_types(void **state)
{
    (void)state;
    for (size_t piece = 1; piece < 100; piece += 7) {
        struct told told = {0};
        struct kube_parser *parser = kube_parser_new(KUBE_PODS, true, tell, &told);
        read_text(parser,
                  "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":\"a\","
                  "\"resourceVersion\":\"7\"},\"status\":{\"podIP\":\"1\"}}}\n"
                  "{\"object\":{\"metadata\":{\"name\":\"a\",\"resourceVersion\":\"8\"}},"
                  "\"type\":\"DELETED\"}\n"
                  "{\"type\":\"BOOKMARK\",\"object\":{\"kind\":\"Pod\",\"metadata\":{"
                  "\"resourceVersion\":\"9\",\"creationTimestamp\":null},\"spec\":{"
                  "\"containers\":null},\"status\":{}}}\n"
                  "{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"metadata\":{},"
                  "\"status\":\"Failure\",\"message\":\"too old\",\"reason\":\"Expired\","
                  "\"code\":410}}\n",
                  piece);
        assert_string_equal(told.text.text, "ADDED a@7 DELETED a@8 BOOKMARK @9 ERROR @ 410 "
                                            "Expired: too old ");
        kube_parser_free(parser);
        strbuf_fini(&told.text);
    }
}

static void what_is_told_of_one_object_is_not_that_of_another(void **state)
{
    struct told told = {0};
    (void)state;
    struct kube_parser *parser = kube_parser_new(KUBE_PODS, true, tell, &told);
    read_text(parser,
              "{\"type\":\"ERROR\",\"object\":{\"code\":500,\"message\":\"m\",\"reason\":\"r\"}}"
              "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":\"a\"}}}"
              "{\"object\":{\"metadata\":{\"name\":\"b\"}}}",
              1000);
    assert_string_equal(told.text.text, "ERROR @ 500 r: m ADDED a@  b@ ");
    kube_parser_free(parser);
    strbuf_fini(&told.text);
}

/* A name, and what stands for the rest of the last object that has a name. */
static void what_is_malformed_is_known_by_its_name(void **state)
{
    (void)state;
    struct errctx why = {""};
    struct told told = {0};
    struct kube_parser *parser = kube_parser_new(KUBE_PODS, false, tell, &told);
    read_text(parser,
              "{\"items\":[{\"metadata\":{\"name\":\"a\"},\"spec\":{\"containers\":[{\"ports\":[{"
              "\"containerPort\":80},{\"containerPort\":\"http\"}]}],\"nodeName\":\"n\"}},"
              "{\"metadata\":{\"name\":\"b\"}}],\"metadata\":{\"resourceVersion\":\"9\"}}",
              16);
    assert_string_equal(told.text.text,
                        " a!items[].spec.containers[].ports[].containerPort: must be a number, not "
                        "a string@  b@ ");
    kube_parser_free(parser);
    /* Without a name nobody knows what is left out. */
    parser = kube_parser_new(KUBE_PODS, false, tell, &told);
    const char *text = "{\"items\":[{\"metadata\":{\"name\":5}}]}";
    assert_int_equal(kube_parser_feed(parser, text, strlen(text), &why), ERR_SYNTAX);
    assert_string_equal(why.text, "items[].metadata.name: must be a string, not a number");
    kube_parser_free(parser);
    strbuf_fini(&told.text);
}

static void a_status_says_what_is_wrong(void **state)
{
    (void)state;
    struct kube_parser *parser = kube_parser_new_status();
    read_text(parser, "{\"kind\":\"Status\",\"status\":\"Failure\",\"message\":\"no\"}", 3);
    assert_string_equal(kube_parser_message(parser), "no");
    kube_parser_free(parser);
}

static void an_object_without_a_name_is_an_error(void **state)
{
    struct told told = {0};
    struct errctx why;
    static const char text[] = "{\"items\":[{\"metadata\":{\"namespace\":\"a\"}}]}";
    (void)state;
    struct kube_parser *parser = kube_parser_new(KUBE_PODS, false, tell, &told);
    assert_int_equal(kube_parser_feed(parser, text, sizeof(text) - 1, &why), ERR_SYNTAX);
    assert_string_equal(why.text, "an object without metadata.name");
    kube_parser_free(parser);
}

/* The length of an annotation's value of so many bytes, after it was read. */
static size_t length_after(size_t len, const char *needed)
{
    struct told told = {.needed = needed};
    struct strbuf text = STRBUF_GROWING;
    strbuf_adds(&text, "{\"items\":[{\"metadata\":{\"name\":\"a\",\"annotations\":{\"last\":\"");
    for (size_t i = 0; i < len; i++)
        strbuf_addc(&text, 'x');
    strbuf_adds(&text, "\"}}}]}");
    struct kube_parser *parser = kube_parser_new(KUBE_PODS, false, tell, &told);
    kube_parser_set_needed(parser, is_needed);
    read_text(parser, text.text, 1000);
    kube_parser_free(parser);
    strbuf_fini(&text);
    strbuf_fini(&told.text);
    return told.annotation;
}

static void long_annotations_are_kept_where_somebody_needs_them(void **state)
{
    (void)state;
    assert_int_equal(length_after(KUBE_LONG_ANNOTATION, NULL), KUBE_LONG_ANNOTATION);
    assert_int_equal(length_after(KUBE_LONG_ANNOTATION + 1, NULL), 0);
    assert_int_equal(length_after(KUBE_LONG_ANNOTATION + 1, "other"), 0);
    assert_int_equal(length_after(100000, "last"), 100000);
}

#define TEST(name) cmocka_unit_test(name)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_list_has_items_a_version_and_perhaps_more),
        TEST(a_watch_has_events_of_all_types),
        TEST(what_is_told_of_one_object_is_not_that_of_another),
        TEST(what_is_malformed_is_known_by_its_name),
        TEST(a_status_says_what_is_wrong),
        TEST(an_object_without_a_name_is_an_error),
        TEST(long_annotations_are_kept_where_somebody_needs_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
