/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config/kube_selector.h"

#include <string.h>

#include "base/slice.h"

#define NAME_MAX_LEN   63u  /* of a name and of a value */
#define PREFIX_MAX_LEN 253u /* of what stands before the "/" of a key */

/* ---- Names ---- */

static bool is_lower_or_digit(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool is_alphanumeric(char c)
{
    return is_lower_or_digit(c) || (c >= 'A' && c <= 'Z');
}

/* Letters and digits at both ends, and "-", "_", "." between them. */
static bool is_name(struct slice text)
{
    if (text.len == 0 || text.len > NAME_MAX_LEN || !is_alphanumeric(text.ptr[0]) ||
        !is_alphanumeric(text.ptr[text.len - 1]))
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (!is_alphanumeric(text.ptr[i]) && strchr("-_.", text.ptr[i]) == NULL)
            return false;
    }
    return true;
}

/* A domain in lower case. */
static bool is_prefix(struct slice text)
{
    char before = '.';
    if (text.len == 0 || text.len > PREFIX_MAX_LEN)
        return false;
    for (size_t i = 0; i <= text.len; i++) {
        char c = i < text.len ? text.ptr[i] : '.';
        bool within = is_lower_or_digit(before) || before == '-';
        if (!is_lower_or_digit(c) && !(c == '-' && within) &&
            !(c == '.' && is_lower_or_digit(before)))
            return false;
        before = c;
    }
    return true;
}

static bool is_key(struct slice text)
{
    const char *slash = text.len > 0 ? memchr(text.ptr, '/', text.len) : NULL;
    if (slash == NULL)
        return is_name(text);
    size_t len = (size_t)(slash - text.ptr);
    return is_prefix(slice_make(text.ptr, len)) &&
           is_name(slice_make(slash + 1, text.len - len - 1));
}

static bool is_value(struct slice text)
{
    return text.len == 0 || is_name(text);
}

static bool is_integer(struct slice text)
{
    size_t from = text.len > 0 && (text.ptr[0] == '-' || text.ptr[0] == '+');
    if (text.len == from || text.len - from > 18)
        return false;
    for (size_t i = from; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return false;
    }
    return true;
}

/* ---- Labels ---- */

/* The next token: a symbol, or a text up to the next one; empty at the end. */
static struct slice peek(const char *at)
{
    at += strspn(at, " \t\r\n");
    if (*at == '\0')
        return SLICE_LITERAL("");
    size_t len = strcspn(at, " \t\r\n!=<>(),");
    if (len > 0)
        return slice_make(at, len);
    bool two = (at[0] == '=' || at[0] == '!') && at[1] == '=';
    return slice_make(at, two ? 2 : 1);
}

static struct slice take(const char **at)
{
    struct slice token = peek(*at);
    *at = token.len > 0 ? token.ptr + token.len : *at + strlen(*at);
    return token;
}

static bool is_text(struct slice token)
{
    return token.len > 0 && strchr("!=<>(),", token.ptr[0]) == NULL;
}

static bool ends(struct slice token)
{
    return token.len == 0 || slice_is(token, ",");
}

/* "(a, b,,c)": commas separate, and what is between two of them is empty. */
static bool take_values(const char **at)
{
    if (!slice_is(take(at), "(") || slice_is(peek(*at), ")"))
        return false;
    for (;;) {
        struct slice token = take(at);
        if (is_text(token)) {
            if (!is_value(token))
                return false;
            token = take(at);
        }
        if (slice_is(token, ")"))
            return true;
        if (!slice_is(token, ","))
            return false;
    }
}

static bool take_requirement(const char **at)
{
    bool negated = slice_is(peek(*at), "!");
    if (negated)
        (void)take(at);
    struct slice key = take(at);
    if (!is_text(key) || !is_key(key))
        return false;
    if (negated || ends(peek(*at)))
        return true;
    struct slice relation = take(at);
    if (slice_is(relation, "in") || slice_is(relation, "notin"))
        return take_values(at);
    bool compares = slice_is(relation, "<") || slice_is(relation, ">");
    if (!compares && !slice_is(relation, "=") && !slice_is(relation, "==") &&
        !slice_is(relation, "!="))
        return false;
    struct slice value = ends(peek(*at)) ? SLICE_LITERAL("") : take(at);
    if (compares)
        return is_integer(value);
    return value.len == 0 || (is_text(value) && is_value(value));
}

bool kube_selector_is_label(const char *text)
{
    if (peek(text).len == 0)
        return true;
    for (;;) {
        if (!take_requirement(&text))
            return false;
        struct slice token = take(&text);
        if (token.len == 0)
            return true;
        if (!slice_is(token, ","))
            return false;
    }
}

/* ---- Fields ---- */

/* Steps behind one character or escape. False: there is no such escape. */
static bool step(const char **at)
{
    if ((*at)[0] != '\\') {
        (*at)++;
        return true;
    }
    if ((*at)[1] == '\0' || strchr("\\,=", (*at)[1]) == NULL)
        return false;
    *at += 2;
    return true;
}

/* One term; *at is behind it. */
static bool take_term(const char **at)
{
    bool has_operator = false;
    while (**at != '\0' && **at != ',') {
        bool unequal = (*at)[0] == '!' && (*at)[1] == '=';
        if (!has_operator && (unequal || **at == '=')) {
            has_operator = true;
            *at += unequal || (*at)[1] == '=' ? 2 : 1;
        } else if (**at == '=' || !step(at)) {
            return false;
        }
    }
    return has_operator;
}

bool kube_selector_is_field(const char *text)
{
    while (*text != '\0') {
        if (*text != ',' && !take_term(&text))
            return false;
        text += *text == ',';
    }
    return true;
}
