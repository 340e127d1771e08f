/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "labels/template.h"

#include "base/unicode.h"
#include "base/utf8.h"

/* Only texts count as parts, and groups that exist. */
struct builder {
    const struct regex *regex;
    struct template_part *parts;
    struct template *template;
};

/* The length of the name at the start of the text. */
static size_t name_length(struct slice text)
{
    size_t len = 0;
    while (len < text.len) {
        size_t step;
        uint32_t code = utf8_decode(text.ptr + len, text.len - len, &step);
        if (!unicode_is_letter(code) && !unicode_is_digit(code) && code != '_')
            break;
        len += step;
    }
    return len;
}

/* The index that is written; -1 if it is none: leading zeros are not allowed. */
static int number_of(struct slice name)
{
    int number = 0;
    if (name.len > 1 && name.ptr[0] == '0')
        return -1;
    for (size_t i = 0; i < name.len; i++) {
        if (name.ptr[i] < '0' || name.ptr[i] > '9' || number >= 100000000)
            return -1;
        number = number * 10 + (name.ptr[i] - '0');
    }
    return number;
}

static void add_text(struct builder *builder, struct slice text)
{
    if (text.len > 0)
        builder->parts[builder->template->count++] = (struct template_part){text, -1};
}

static void add_group(struct builder *builder, struct slice name)
{
    int group = number_of(name);
    if (group < 0)
        group = regex_group_named(builder->regex, name);
    if (group < 0 || (size_t)group > regex_group_count(builder->regex))
        return;
    builder->parts[builder->template->count++] = (struct template_part){{NULL, 0}, group};
    if (builder->template->groups < (size_t)group + 1)
        builder->template->groups = (size_t)group + 1;
}

/* What follows a dollar sign; returns how much of it belongs to that. */
static size_t add_variable(struct builder *builder, struct slice rest)
{
    bool brace = rest.len > 0 && rest.ptr[0] == '{';
    struct slice name = slice_make(rest.ptr + brace, rest.len - brace);
    if (rest.len > 0 && rest.ptr[0] == '$') {
        add_text(builder, SLICE_LITERAL("$"));
        return 1;
    }
    size_t len = name_length(name);
    if (len == 0 || (brace && (len == name.len || name.ptr[len] != '}'))) {
        add_text(builder, SLICE_LITERAL("$"));
        return 0;
    }
    add_group(builder, slice_make(name.ptr, len));
    return len + 2 * (size_t)brace;
}

void template_compile(struct slice text, const struct regex *regex, struct arena *arena,
                      struct template *ret)
{
    text = arena_slice(arena, text);
    size_t dollars = 0;
    for (size_t i = 0; i < text.len; i++)
        dollars += text.ptr[i] == '$';
    *ret = (struct template){0};
    struct builder builder = {regex, NULL, ret};
    builder.parts = arena_alloc(arena, (2 * dollars + 1) * sizeof(*builder.parts));
    ret->parts = builder.parts;
    size_t start = 0;
    for (size_t at = 0; at < text.len;) {
        if (text.ptr[at++] != '$')
            continue;
        add_text(&builder, slice_make(text.ptr + start, at - 1 - start));
        at += add_variable(&builder, slice_make(text.ptr + at, text.len - at));
        start = at;
    }
    add_text(&builder, slice_make(text.ptr + start, text.len - start));
}

static struct slice part_text(const struct template_part *part, const struct slice *groups)
{
    return part->group < 0 ? part->text : groups[part->group];
}

struct slice template_expand(const struct template *template, const struct slice *groups,
                             struct arena *arena)
{
    if (template->count == 0)
        return SLICE_LITERAL("");
    if (template->count == 1)
        return part_text(&template->parts[0], groups);
    size_t len = 0;
    for (size_t i = 0; i < template->count; i++)
        len += part_text(&template->parts[i], groups).len;
    char *text = arena_alloc(arena, len);
    size_t at = 0;
    for (size_t i = 0; i < template->count; i++) {
        struct slice part = part_text(&template->parts[i], groups);
        if (part.len > 0)
            memcpy(text + at, part.ptr, part.len);
        at += part.len;
    }
    return slice_make(text, len);
}
