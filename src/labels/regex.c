/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "labels/regex.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/module.h"
#include "base/utf8.h"
#include "labels/regex_dialect.h"
#include "labels/regex_engine.h"
#include "labels/regex_simple.h"

#define MODULE "limpet-regex.so"

/* One of both. */
struct regex {
    struct regex_simple *simple;
    struct regex_program *program;
};

/* The module, once it is loaded; it is never unloaded. */
static const struct regex_engine *engine;

static int use(struct module *module, struct errctx *reterr)
{
    union {
        void *symbol;
        regex_engine_entry *call;
    } entry = {.symbol = module->symbol};
    const struct regex_engine *found = entry.call();
    if (found == NULL || found->version != REGEX_ENGINE_VERSION) {
        module_unload(module);
        return err_set(reterr, ERR_VERSION, "%s is of another build; install programs of one build",
                       MODULE);
    }
    engine = found;
    return 0;
}

static int explain(int err, struct errctx *reterr)
{
    return err_prefix(reterr, err, "this regular expression needs %s", MODULE);
}

int regex_load(const char *directory, struct errctx *reterr)
{
    char path[PATH_MAX];
    struct module module;
    if (engine != NULL)
        return 0;
    snprintf(path, sizeof(path), "%s/%s", directory, MODULE);
    int err = module_load(path, REGEX_ENGINE_SYMBOL, &module, reterr);
    return err != 0 ? explain(err, reterr) : use(&module, reterr);
}

static int load(struct errctx *reterr)
{
    struct module module;
    if (engine != NULL)
        return 0;
    int err = module_load_own(MODULE, REGEX_ENGINE_SYMBOL, &module, reterr);
    return err != 0 ? explain(err, reterr) : use(&module, reterr);
}

/* As Prometheus does, so an unbalanced parenthesis has the same odd effect. */
static void wrap(struct slice pattern, struct strbuf *out)
{
    strbuf_adds(out, "^(?s:");
    strbuf_add(out, pattern.ptr, pattern.len);
    strbuf_adds(out, ")$");
}

static int compile_by_engine(struct slice pattern, struct regex *regex, struct errctx *reterr)
{
    struct strbuf wrapped = STRBUF_GROWING;
    struct strbuf text = STRBUF_GROWING;
    char buffer[512];
    struct strbuf why = STRBUF_FIXED(buffer);
    int r = load(reterr);
    if (r == 0) {
        wrap(pattern, &wrapped);
        if (regex_dialect(slice_make(wrapped.text, wrapped.len), &text, &why))
            regex->program =
                engine->compile(slice_make(text.text, text.len), buffer, sizeof(buffer));
        if (regex->program == NULL)
            r = err_set(reterr, ERR_CONFIG, "error parsing regexp: %s", buffer);
    }
    strbuf_fini(&wrapped);
    strbuf_fini(&text);
    return r;
}

int regex_compile(struct slice pattern, struct regex **ret_regex, struct errctx *reterr)
{
    struct regex *regex = calloc(1, sizeof(*regex));
    check(regex != NULL);
    regex->simple = regex_simple_compile(pattern);
    int r = regex->simple != NULL ? 0 : compile_by_engine(pattern, regex, reterr);
    if (r == 0)
        *ret_regex = regex;
    else
        free(regex);
    return r;
}

void regex_free(struct regex *regex)
{
    if (regex == NULL)
        return;
    regex_simple_free(regex->simple);
    if (regex->program != NULL)
        engine->free(regex->program);
    free(regex);
}

size_t regex_group_count(const struct regex *regex)
{
    return regex->simple != NULL ? regex_simple_group_count(regex->simple)
                                 : engine->group_count(regex->program);
}

int regex_group_named(const struct regex *regex, struct slice name)
{
    return regex->simple != NULL ? regex_simple_group_named(regex->simple, name)
                                 : engine->group_named(regex->program, name);
}

/* The subject with U+FFFD for every byte that is not UTF-8, which is how Go sees it. */
static char *repair(struct slice subject, size_t *ret_len)
{
    char *text = malloc(3 * subject.len + 1);
    size_t len = 0;
    check(text != NULL);
    for (size_t at = 0; at < subject.len;) {
        size_t step = utf8_sequence(subject.ptr + at, subject.len - at);
        memcpy(text + len, step > 0 ? subject.ptr + at : "\xef\xbf\xbd", step > 0 ? step : 3);
        len += step > 0 ? step : 3;
        at += step > 0 ? step : 1;
    }
    *ret_len = len;
    return text;
}

/* How long that becomes of the first `end` bytes; and the way back. */
static size_t repaired_length(struct slice subject, size_t end)
{
    size_t len = 0;
    for (size_t at = 0; at < end;) {
        size_t step = utf8_sequence(subject.ptr + at, subject.len - at);
        len += step > 0 ? step : 3;
        at += step > 0 ? step : 1;
    }
    return len;
}

static size_t original_length(struct slice subject, size_t repaired)
{
    size_t at = 0;
    for (size_t len = 0; len < repaired;) {
        size_t step = utf8_sequence(subject.ptr + at, subject.len - at);
        len += step > 0 ? step : 3;
        at += step > 0 ? step : 1;
    }
    return at;
}

static bool search_repaired(const struct regex *regex, struct slice subject, size_t start,
                            struct slice *groups, size_t count)
{
    size_t len;
    char *text = repair(subject, &len);
    bool found = engine->search(regex->program, slice_make(text, len),
                                repaired_length(subject, start), groups, count);
    for (size_t i = 0; found && i < count; i++) {
        if (groups[i].ptr == NULL)
            continue;
        size_t from = original_length(subject, (size_t)(groups[i].ptr - text));
        size_t to = original_length(subject, (size_t)(groups[i].ptr - text) + groups[i].len);
        groups[i] = slice_make(subject.ptr + from, to - from);
    }
    free(text);
    return found;
}

bool regex_search(const struct regex *regex, struct slice subject, size_t start,
                  struct slice *groups, size_t count)
{
    if (regex->simple != NULL)
        return start == 0 && regex_simple_match(regex->simple, subject, groups, count);
    if (subject.ptr == NULL)
        subject = SLICE_LITERAL("");
    if (!utf8_valid(subject.ptr, subject.len))
        return search_repaired(regex, subject, start, groups, count);
    return engine->search(regex->program, subject, start, groups, count);
}

bool regex_captures(const struct regex *regex, struct slice subject, struct slice *groups,
                    size_t count)
{
    return regex_search(regex, subject, 0, groups, count);
}

bool regex_match(const struct regex *regex, struct slice subject)
{
    return regex_search(regex, subject, 0, NULL, 0);
}

bool regex_uses_engine(const struct regex *regex)
{
    return regex->simple == NULL;
}
