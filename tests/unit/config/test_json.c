/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/strbuf.h"

static void dump(const struct node *node, struct strbuf *out)
{
    if (node->kind == NODE_SCALAR) {
        strbuf_addf(out, node->plain ? "%.*s" : "'%.*s'", SLICE_ARG(node->text));
        return;
    }
    bool is_map = node->kind == NODE_MAP;
    strbuf_addc(out, is_map ? '{' : '[');
    for (size_t i = 0; i < node->len; i++) {
        strbuf_adds(out, i == 0 ? "" : " ");
        if (is_map)
            strbuf_addf(out, "%s:", node->pairs[i].key->text.ptr);
        dump(is_map ? node->pairs[i].value : node->items[i], out);
    }
    strbuf_addc(out, is_map ? '}' : ']');
}

/* The dump or the error. The text is copied to its exact size, so that reads beyond it show. */
static void expect(const char *text, const char *expected)
{
    size_t len = strlen(text);
    char *exact = malloc(len + 1);
    assert_non_null(exact);
    memcpy(exact, text, len);
    exact = realloc(exact, len == 0 ? 1 : len);
    struct arena arena = {0};
    struct errctx why = {""};
    struct document source = {"f", &arena, &why};
    const struct node *root;
    struct strbuf out = STRBUF_GROWING;
    if (json_read(&source, exact, len, &root) < 0)
        strbuf_adds(&out, why.text);
    else
        dump(root, &out);
    assert_string_equal(out.text, expected);
    strbuf_fini(&out);
    arena_fini(&arena);
    free(exact);
}

static void lists_mappings_strings_and_null_are_read(void **state)
{
    (void)state;
    expect("[]", "[]");
    expect(" {\r\n\t} ", "{}");
    expect("[{\"a\":[\"b\",\"c\"]},null,\"\"]", "[{a:['b' 'c']} null '']");
    expect("{\t\"a\"\n:\n\"b\"\t,\"c\" : []\n}\n", "{a:'b' c:[]}");
}

static void escapes_become_utf8(void **state)
{
    (void)state;
    expect("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "'\"\\/\b\f\n\r\t'");
    expect("\"\\u0041\\u00e9\\u20AC\"", "'A\xc3\xa9\xe2\x82\xac'");
    expect("\"\\ud83d\\ude00\"", "'\xf0\x9f\x98\x80'");
    expect("\"\\ud83d\\u0041\\ude00\\ud83d\"", "'\xef\xbf\xbd"
                                               "A\xef\xbf\xbd\xef\xbf\xbd'");
    expect("\"\xc3\xa9\"", "'\xc3\xa9'");
}

static void what_is_not_json_is_refused_at_its_position(void **state)
{
    static const char value[] = "a string in double quotes, a list, a mapping or null";
    static const struct {
        const char *text;
        const char *position;
        const char *wanted;
    } cases[] = {
        {"", "f:1:1: not JSON: the file ends where %s should stand", value},
        {"[", "f:1:2: not JSON: the file ends where %s should stand", value},
        {"[\"a\",", "f:1:6: not JSON: the file ends where %s should stand", value},
        {"[\"a\",]", "f:1:6: not JSON: here should stand %s", value},
        {"[1]", "f:1:2: not JSON: here should stand %s", value},
        {"[\n  true]", "f:2:3: not JSON: here should stand %s", value},
        {"nul", "f:1:1: not JSON: here should stand %s", value},
        {"'a'", "f:1:1: not JSON: here should stand %s", value},
        {"[\"a\"", "f:1:5: not JSON: the file ends where %s should stand", "a comma or ]"},
        {"[\"a\" \"b\"]", "f:1:6: not JSON: here should stand %s", "a comma or ]"},
        {"{\"a\":[]]", "f:1:8: not JSON: here should stand %s", "a comma or }"},
        {"{a:[]}", "f:1:2: not JSON: here should stand %s", "a key in double quotes"},
        {"{\"a\" []}", "f:1:6: not JSON: here should stand %s", "a colon"},
        {"[] []", "f:1:4: not JSON: here should stand %s", "the end of the file"},
        {"\"a", "f:1:3: not JSON: the file ends where %s should stand", "the end of a string"},
        {"\"a\\", "f:1:3: not JSON: here should stand %s", "a valid escape"},
        {"\"\\x41\"", "f:1:2: not JSON: here should stand %s", "a valid escape"},
        {"\"\\u00g0\"", "f:1:2: not JSON: here should stand %s", "a valid escape"},
        {"\"\\u12", "f:1:2: not JSON: here should stand %s", "a valid escape"},
        {"\"a\nb\"", "f:1:3: not JSON: here should stand %s", "a character in UTF-8 or an escape"},
        {"\"\xff\"", "f:1:2: not JSON: here should stand %s", "a character in UTF-8 or an escape"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct strbuf expected = STRBUF_GROWING;
        const char *mark = strstr(cases[i].position, "%s");
        strbuf_add(&expected, cases[i].position, (size_t)(mark - cases[i].position));
        strbuf_adds(&expected, cases[i].wanted);
        strbuf_adds(&expected, mark + 2);
        expect(cases[i].text, expected.text);
        strbuf_fini(&expected);
    }
}

static void keys_are_unique(void **state)
{
    (void)state;
    expect("{\"a\":null,\n\"a\":null}",
           "f:2:1: the key \"a\" is given twice; it stands in line 1 already");
}

static void nesting_has_an_end(void **state)
{
    (void)state;
    expect("[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]", "[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]");
    expect("[[[[[[[[[[[[[[[[[", "f:1:17: nested deeper than 16 levels");
}

static void reads_any_values_if_asked_to(void **state)
{
    (void)state;
    static const char *const texts[][2] = {
        {"[0, -1, 10.5, 2e3, 1.0E-7, true, false, null, \"1\"]",
         "[0 -1 10.5 2e3 1.0E-7 true false null '1']"},
        {"12", "12"},
        {"01", NULL},
        {"-", NULL},
        {"1.", NULL},
        {"1e", NULL},
        {".5", NULL},
        {"+1", NULL},
        {"truest", NULL},
        {"nul", NULL},
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct arena arena = {0};
        struct errctx why;
        const struct document source = {"x", &arena, &why};
        const struct node *root = NULL;
        struct strbuf text = STRBUF_GROWING;
        int r = json_read_values(&source, texts[i][0], strlen(texts[i][0]), &root);
        assert_int_equal(r, texts[i][1] == NULL ? ERR_CONFIG : 0);
        if (r == 0) {
            dump(root, &text);
            assert_string_equal(text.text, texts[i][1]);
        }
        strbuf_fini(&text);
        arena_fini(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_mappings_strings_and_null_are_read),
        cmocka_unit_test(escapes_become_utf8),
        cmocka_unit_test(what_is_not_json_is_refused_at_its_position),
        cmocka_unit_test(keys_are_unique),
        cmocka_unit_test(nesting_has_an_end),
        cmocka_unit_test(reads_any_values_if_asked_to),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
