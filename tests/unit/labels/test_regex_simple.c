/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Random patterns of the simple kind on random subjects: matches and groups are those of RE2.
 */
#include "labels/regex_simple.h"

#include <dlfcn.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/strbuf.h"
#include "labels/regex_engine.h"
#include "tests/unit/dice.h"

#define PATTERNS   4000
#define SUBJECTS   25
#define MAX_GROUPS 9

static const struct regex_engine *engine;
static struct dice dice;
static size_t simple_patterns;
static size_t matches;

static size_t roll(size_t sides)
{
    return dice_roll(&dice, (uint32_t)sides);
}

static const char *pick(const char *const *words, size_t n)
{
    return words[roll(n)];
}

#define PICK(words) pick(words, sizeof(words) / sizeof((words)[0]))

static void add_choice(struct strbuf *out, size_t depth);

static void add_item(struct strbuf *out, size_t depth)
{
    static const char *const literals[] = {"a", "b", "ab", "aba", "-", "\\.", "_", "é", "日"};
    static const char *const groups[] = {"(", "(", "(?:"};
    size_t kind = roll(10);
    if (kind < 5 || (kind > 7 && depth > 2)) {
        strbuf_adds(out, PICK(literals));
    } else if (kind < 8) {
        strbuf_adds(out, roll(2) == 0 ? ".*" : ".+");
    } else {
        strbuf_adds(out, PICK(groups));
        add_choice(out, depth + 1);
        strbuf_addc(out, ')');
    }
}

static void add_choice(struct strbuf *out, size_t depth)
{
    static const size_t alternatives[] = {1, 1, 1, 2, 3};
    for (size_t i = alternatives[roll(5)]; i > 0; i--) {
        for (size_t items = roll(4); items > 0; items--)
            add_item(out, depth);
        if (i > 1)
            strbuf_addc(out, '|');
    }
}

/* Valid UTF-8, as the engine wants it. */
static void add_subject(struct strbuf *out)
{
    static const char *const pieces[] = {"a", "b", "ab", "aba", "-", ".",
                                         "_", "é", "日", "x",   "\n"};
    for (size_t i = roll(8); i > 0; i--)
        strbuf_adds(out, PICK(pieces));
}

static bool same_group(struct slice a, struct slice b)
{
    return a.len == b.len && (a.ptr == NULL) == (b.ptr == NULL) &&
           (a.ptr == b.ptr || a.ptr == NULL);
}

static void compare(const struct regex_simple *simple, const struct regex_program *program,
                    const char *pattern, struct slice subject)
{
    struct slice mine[MAX_GROUPS], theirs[MAX_GROUPS];
    size_t count = regex_simple_group_count(simple) + 1;
    assert_int_equal(engine->group_count(program) + 1, count);
    bool match = regex_simple_match(simple, subject, mine, count);
    bool same = engine->search(program, subject, 0, theirs, count) == match;
    for (size_t i = 0; same && match && i < count; i++)
        same = same_group(mine[i], theirs[i]);
    matches += match;
    if (!same)
        fail_msg("`%s` differs on \"%.*s\"", pattern, SLICE_ARG(subject));
}

static void compare_on_subjects(const struct regex_simple *simple, const char *pattern)
{
    struct strbuf wrapped = STRBUF_GROWING;
    char error[256];
    strbuf_addf(&wrapped, "^(?s:%s)$", pattern);
    struct regex_program *program =
        engine->compile(slice_make(wrapped.text, wrapped.len), error, sizeof(error));
    assert_non_null(program);
    for (size_t i = 0; i < SUBJECTS; i++) {
        struct strbuf subject = STRBUF_GROWING;
        strbuf_adds(&subject, "");
        add_subject(&subject);
        compare(simple, program, pattern, slice_make(subject.text, subject.len));
        strbuf_fini(&subject);
    }
    engine->free(program);
    strbuf_fini(&wrapped);
}

static void simple_patterns_match_as_re2_does(void **state)
{
    (void)state;
    for (size_t i = 0; i < PATTERNS; i++) {
        struct strbuf pattern = STRBUF_GROWING;
        strbuf_adds(&pattern, "");
        add_choice(&pattern, 0);
        struct regex_simple *simple = regex_simple_compile(slice_make(pattern.text, pattern.len));
        if (simple != NULL)
            compare_on_subjects(simple, pattern.text);
        simple_patterns += simple != NULL;
        regex_simple_free(simple);
        strbuf_fini(&pattern);
    }
    /* Otherwise this has shown nothing. */
    assert_true(simple_patterns > PATTERNS / 2);
    assert_true(matches > PATTERNS);
}

static void what_is_too_large_is_left_to_the_engine(void **state)
{
    struct strbuf pattern = STRBUF_GROWING;
    (void)state;
    for (size_t i = 0; i < 600; i++)
        strbuf_addf(&pattern, "%sname_%zu", i > 0 ? "|" : "", i);
    assert_null(regex_simple_compile(slice_make(pattern.text, pattern.len)));
    struct regex_simple *half = regex_simple_compile(
        slice_make(pattern.text, (size_t)(strstr(pattern.text, "|name_500") - pattern.text)));
    assert_non_null(half);
    assert_true(regex_simple_match(half, slice_of("name_499"), NULL, 0));
    assert_false(regex_simple_match(half, slice_of("name_500"), NULL, 0));
    regex_simple_free(half);
    strbuf_fini(&pattern);
}

static int load(void **state)
{
    (void)state;
    union {
        void *symbol;
        regex_engine_entry *call;
    } entry;
    void *module = dlopen("./limpet-regex.so", RTLD_NOW);
    if (module == NULL)
        return -1;
    entry.symbol = dlsym(module, REGEX_ENGINE_SYMBOL);
    engine = entry.call();
    dice = dice_new("patterns");
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(simple_patterns_match_as_re2_does),
        cmocka_unit_test(what_is_too_large_is_left_to_the_engine),
    };
    return cmocka_run_group_tests(tests, load, NULL);
}
