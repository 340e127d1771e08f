/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "labels/regex_dialect.h"

#define MAX_DEPTH 1000u /* regexp/syntax, maxHeight */

struct reader {
    struct slice pattern;
    size_t at;
    size_t depth;
    struct strbuf *out;
    struct strbuf *why;
};

static bool starts(const struct reader *reader, const char *text)
{
    size_t len = strlen(text);
    return reader->pattern.len - reader->at >= len &&
           memcmp(reader->pattern.ptr + reader->at, text, len) == 0;
}

static void copy(struct reader *reader, size_t len)
{
    size_t left = reader->pattern.len - reader->at;
    if (len > left)
        len = left;
    strbuf_add(reader->out, reader->pattern.ptr + reader->at, len);
    reader->at += len;
}

static bool refuse(struct reader *reader, const char *what, size_t len)
{
    strbuf_addf(reader->why, "%s: `", what);
    strbuf_add(reader->why, reader->pattern.ptr + reader->at, len);
    strbuf_adds(reader->why, "`");
    return false;
}

static bool is_word(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

/* At (?P<name> or (?<name>, `before` being the length up to the name. */
static bool read_name(struct reader *reader, size_t before)
{
    size_t at = reader->at + before;
    while (at < reader->pattern.len && is_word(reader->pattern.ptr[at]))
        at++;
    const char *end =
        memchr(reader->pattern.ptr + reader->at, '>', reader->pattern.len - reader->at);
    if (end == NULL || end != reader->pattern.ptr + at || at == reader->at + before) {
        size_t len = end != NULL ? (size_t)(end + 1 - reader->pattern.ptr) - reader->at
                                 : reader->pattern.len - reader->at;
        return refuse(reader, "invalid named capture", len);
    }
    strbuf_adds(reader->out, "(?P<");
    reader->at += before;
    copy(reader, at + 1 - reader->at);
    return true;
}

static bool read_parenthesis(struct reader *reader)
{
    if (++reader->depth > MAX_DEPTH) {
        reader->at = 0;
        return refuse(reader, "expression nests too deeply", reader->pattern.len);
    }
    if (starts(reader, "(?P<"))
        return read_name(reader, 4);
    if (starts(reader, "(?<"))
        return read_name(reader, 3);
    copy(reader, 1);
    return true;
}

/* [...], in which only a backslash, [:name:] and a ] that is not the first character matter. */
static void read_class(struct reader *reader)
{
    copy(reader, starts(reader, "[^") ? 2 : 1);
    for (bool first = true; reader->at < reader->pattern.len; first = false) {
        char c = reader->pattern.ptr[reader->at];
        const char *end;
        if (c == ']' && !first) {
            copy(reader, 1);
            return;
        }
        if (starts(reader, "[:") &&
            (end = memmem(reader->pattern.ptr + reader->at + 2,
                          reader->pattern.len - reader->at - 2, ":]", 2)) != NULL)
            copy(reader, (size_t)(end + 2 - reader->pattern.ptr) - reader->at);
        else
            copy(reader, c == '\\' ? 2 : 1);
    }
}

static bool read_escape(struct reader *reader)
{
    if (starts(reader, "\\C"))
        return refuse(reader, "invalid escape sequence", 2);
    if (!starts(reader, "\\Q")) {
        copy(reader, 2);
        return true;
    }
    const char *rest = reader->pattern.ptr + reader->at;
    const char *end = memmem(rest, reader->pattern.len - reader->at, "\\E", 2);
    copy(reader, end != NULL ? (size_t)(end + 2 - rest) : reader->pattern.len - reader->at);
    return true;
}

bool regex_dialect(struct slice pattern, struct strbuf *out, struct strbuf *why)
{
    struct reader reader = {pattern, 0, 0, out, why};
    bool good = true;
    while (good && reader.at < pattern.len) {
        char c = pattern.ptr[reader.at];
        if (c == '(') {
            good = read_parenthesis(&reader);
        } else if (c == '\\') {
            good = read_escape(&reader);
        } else if (c == '[') {
            read_class(&reader);
        } else {
            reader.depth -= c == ')' && reader.depth > 0;
            copy(&reader, 1);
        }
    }
    return good;
}
