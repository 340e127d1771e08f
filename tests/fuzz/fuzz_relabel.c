/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One rule on one set of labels, both from the input: a byte that chooses action and scheme, then
 * lines: regex, target_label, replacement, separator, and values of the labels a, b, c, d. What
 * comes out is a set in order without empty values; a simple regex matches as the engine does.
 */
#include <stdint.h>
#include <stdio.h>

#include "base/check.h"
#include "labels/regex.h"
#include "labels/relabel.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define LINES      8u
#define MAX_GROUPS 10u

struct input {
    struct relabel_config rule;
    enum label_scheme scheme;
    struct slice lines[LINES];
};

static void read_input(const uint8_t *data, size_t size, struct arena *arena, struct input *input)
{
    static const char *const sources[] = {"a", "b", "c"};
    struct slice rest = slice_make(data + 1, size - 1);
    for (size_t i = 0; i < LINES; i++) {
        const char *end = rest.len > 0 ? memchr(rest.ptr, '\n', rest.len) : NULL;
        size_t len = end != NULL ? (size_t)(end - rest.ptr) : rest.len;
        input->lines[i] = arena_slice(arena, slice_make(rest.ptr, len));
        size_t used = len + (end != NULL);
        rest = slice_make(rest.ptr + used, rest.len - used);
    }
    input->scheme = data[0] & 0x80 ? LABEL_SCHEME_LEGACY : LABEL_SCHEME_UTF8;
    input->rule = (struct relabel_config){
        .action = (enum relabel_action)(data[0] % RELABEL_ACTIONS),
        .source_labels = {sources, data[0] >> 4 & 3},
        .modulus = 1 + data[0],
        .regex = input->lines[0].ptr,
        .target_label = input->lines[1].ptr,
        .replacement = input->lines[2].ptr,
        .separator = input->lines[3].ptr,
    };
}

/* The same pattern, spelt such that it is not simple. */
static struct regex *compile_for_engine(const char *pattern, struct arena *arena)
{
    size_t size = strlen(pattern) + sizeof("(?s:)");
    char *text = arena_alloc(arena, size);
    struct regex *regex;
    snprintf(text, size, "(?s:%s)", pattern);
    check(regex_compile(slice_of(text), &regex, NULL) == 0);
    check(regex_uses_engine(regex));
    return regex;
}

static void compare(const struct regex *simple, const struct regex *engine, struct slice subject)
{
    struct slice mine[MAX_GROUPS], theirs[MAX_GROUPS];
    size_t count = regex_group_count(simple) + 1;
    check(count <= MAX_GROUPS && regex_group_count(engine) + 1 == count);
    bool match = regex_captures(simple, subject, mine, count);
    check(regex_captures(engine, subject, theirs, count) == match);
    for (size_t i = 0; match && i < count; i++)
        check(mine[i].ptr == theirs[i].ptr && mine[i].len == theirs[i].len);
}

static void try_regex(const struct input *input, struct arena *arena)
{
    struct regex *regex;
    struct errctx why = {""};
    if (regex_compile(slice_of(input->rule.regex), &regex, &why) < 0) {
        check(why.text[0] != '\0');
        return;
    }
    if (!regex_uses_engine(regex)) {
        struct regex *engine = compile_for_engine(input->rule.regex, arena);
        for (size_t i = 4; i < LINES; i++)
            compare(regex, engine, input->lines[i]);
        regex_free(engine);
    }
    regex_free(regex);
}

static void check_set(const struct label_set *labels)
{
    for (size_t i = 0; i < labels->count; i++) {
        check(labels->labels[i].value.len > 0);
        check(i == 0 || slice_compare(labels->labels[i - 1].name, labels->labels[i].name) < 0);
    }
}

static void try_rule(const struct input *input, struct arena *arena)
{
    static const char *const names[] = {"a", "b", "c", "d"};
    struct relabel *relabel;
    struct label_set labels = {0};
    if (relabel_validate(&input->rule, 0, input->scheme, NULL) < 0 ||
        relabel_compile(&input->rule, 1, input->scheme, &relabel, NULL) < 0)
        return;
    for (size_t i = 0; i < 4; i++)
        label_set_put(&labels, slice_of(names[i]), input->lines[4 + i]);
    if (relabel_apply(relabel, &labels, arena))
        check_set(&labels);
    label_set_fini(&labels);
    relabel_free(relabel);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena = {0};
    struct input input;
    /* Long patterns only test the patience of RE2. */
    if (size == 0 || size > 1024 || regex_load(".", NULL) < 0)
        return 0;
    read_input(data, size, &arena, &input);
    try_regex(&input, &arena);
    try_rule(&input, &arena);
    arena_fini(&arena);
    return 0;
}
