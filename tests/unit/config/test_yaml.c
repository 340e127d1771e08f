/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config/yaml.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/strbuf.h"

/* Nodes as one line: {key: value} [item] and scalars, quoted ones in quotes. */
static void dump(const struct node *node, struct strbuf *out)
{
    if (node->kind == NODE_SCALAR) {
        strbuf_addf(out, node->plain ? "%s" : "'%s'", node->text.ptr);
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

/* The dump, or the error text. */
static void read_text(const char *text, size_t len, struct strbuf *out)
{
    struct arena arena = {0};
    struct errctx why = {""};
    struct document source = {"f", &arena, &why};
    const struct node *root = NULL;
    if (yaml_read(&source, text, len, &root) < 0)
        strbuf_adds(out, why.text);
    else if (root == NULL)
        strbuf_adds(out, "nothing");
    else
        dump(root, out);
    arena_fini(&arena);
}

static void expect(const char *text, const char *expected)
{
    struct strbuf out = STRBUF_GROWING;
    read_text(text, strlen(text), &out);
    assert_string_equal(out.text, expected);
    strbuf_fini(&out);
}

static void files_without_content_are_nothing(void **state)
{
    (void)state;
    expect("", "nothing");
    expect("\n\n# only a comment\n", "nothing");
    expect("---\n", "");
}

static void scalars_know_whether_they_were_quoted(void **state)
{
    (void)state;
    expect("[a, 'b', \"c\", !!str d, ! e, 1]", "[a 'b' 'c' 'd' 'e' 1]");
    expect("a: |\n  two\n  lines\n", "{a:'two\nlines\n'}");
}

static void aliases_stand_for_their_anchors(void **state)
{
    (void)state;
    expect("a: &x [1, 2]\nb: *x\n", "{a:[1 2] b:[1 2]}");
    expect("a: &x 1\nb: &x 2\nc: *x\n", "{a:1 b:2 c:2}");
    expect("a: *x\n", "f:1:4: alias *x has no anchor &x before it");
    expect("a: &x [*x]\n", "f:1:8: alias *x stands inside its own anchor");
}

static void merge_keys_give_way_to_explicit_ones(void **state)
{
    (void)state;
    expect("a: &x {p: 1, q: 2}\nb:\n  <<: *x\n  q: 3\n", "{a:{p:1 q:2} b:{q:3 p:1}}");
    expect("a: &x {p: 1, q: 2}\nb:\n  q: 3\n  <<: *x\n", "{a:{p:1 q:2} b:{q:3 p:1}}");
    expect("- &x {p: 1}\n- &y {p: 2, q: 2}\n- {<<: [*x, *y]}\n", "[{p:1} {p:2 q:2} {p:1 q:2}]");
    expect("{'<<': 1}", "{<<:1}");
    expect("{<<: 1}", "f:1:6: << must be a mapping or a list of them, not \"1\"");
    expect("{<<: [[]]}", "f:1:6: << must be a mapping or a list of them");
}

static void keys_are_unique_scalars(void **state)
{
    (void)state;
    expect("a: 1\nb: 2\na: 3\n",
           "f:3:1: the key \"a\" is given twice; it stands in line 1 already");
    expect("{[a]: 1}", "f:1:2: a key must be a string, not a list");
}

static void what_is_not_yaml_is_refused_at_its_position(void **state)
{
    (void)state;
    expect("a: [1\nb: 2\n", "f:2:2: not YAML: did not find expected ',' or ']' while parsing a "
                            "flow sequence");
    expect("a:\n\t- 1\n", "f:2:1: not YAML: found character that cannot start any token while "
                          "scanning for the next token");
    expect("a: \xff\n", "f:1:1: not YAML: invalid leading UTF-8 octet at byte 3");
    expect("a: 1\n---\nb: 1\n", "f:2:1: a second document starts here; only one is allowed");
    expect("a: !!binary eA==\n",
           "f:1:4: the tag \"tag:yaml.org,2002:binary\" is not supported; remove it");
}

static void nesting_has_an_end(void **state)
{
    struct strbuf text = STRBUF_GROWING;
    (void)state;
    for (int i = 0; i < 65; i++)
        strbuf_addc(&text, '[');
    expect(text.text, "f:1:65: nested deeper than 64 levels");
    strbuf_fini(&text);
}

static void a_billion_laughs_are_stopped(void **state)
{
    struct strbuf text = STRBUF_GROWING;
    (void)state;
    strbuf_adds(&text, "a0: &a0 [ha, ha, ha, ha, ha, ha, ha, ha, ha, ha]\n");
    for (int i = 1; i < 12; i++) {
        strbuf_addf(&text, "a%d: &a%d [*a%d", i, i, i - 1);
        for (int j = 1; j < 10; j++)
            strbuf_addf(&text, ", *a%d", i - 1);
        strbuf_adds(&text, "]\n");
    }
    expect(text.text, "f:6:45: aliases expand to more than 1000000 values");
    strbuf_fini(&text);
}

static void merge_keys_have_the_same_budget(void **state)
{
    struct strbuf text = STRBUF_GROWING;
    struct strbuf out = STRBUF_GROWING;
    (void)state;
    strbuf_adds(&text, "- &a {");
    for (int i = 0; i < 1000; i++)
        strbuf_addf(&text, "k%d: 1, ", i);
    strbuf_adds(&text, "}\n");
    for (int i = 0; i < 600; i++)
        strbuf_adds(&text, "- {<<: *a}\n");
    read_text(text.text, text.len, &out);
    assert_non_null(strstr(out.text, "aliases expand to more than"));
    strbuf_fini(&text);
    strbuf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_without_content_are_nothing),
        cmocka_unit_test(scalars_know_whether_they_were_quoted),
        cmocka_unit_test(aliases_stand_for_their_anchors),
        cmocka_unit_test(merge_keys_give_way_to_explicit_ones),
        cmocka_unit_test(keys_are_unique_scalars),
        cmocka_unit_test(what_is_not_yaml_is_refused_at_its_position),
        cmocka_unit_test(nesting_has_an_end),
        cmocka_unit_test(a_billion_laughs_are_stopped),
        cmocka_unit_test(merge_keys_have_the_same_budget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
