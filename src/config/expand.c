/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config/expand.h"

#include <string.h>

static bool is_special(char c)
{
    return c != '\0' && strchr("*#$@!?-0123456789", c) != NULL;
}

static bool is_word(char c)
{
    return c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* The name after a '$' and the length of all that stands for it, 0 if it is not a variable. */
static size_t find_name(const char *text, struct slice *ret_name)
{
    *ret_name = slice_make(text, 0);
    if (text[0] == '{') {
        const char *end = strchr(text, '}');
        if (end == NULL)
            return 1; /* an unclosed brace vanishes with its dollar */
        *ret_name = slice_make(text + 1, (size_t)(end - text) - 1);
        return (size_t)(end - text) + 1;
    }
    size_t len = is_special(text[0]) ? 1 : 0;
    while (!is_special(text[0]) && is_word(text[len]))
        len++;
    *ret_name = slice_make(text, len);
    return len;
}

void expand_text(const char *text, expand_lookup lookup, void *context, struct strbuf *out)
{
    while (*text != '\0') {
        struct slice name;
        if (*text != '$' || text[1] == '\0') {
            strbuf_addc(out, *text++);
            continue;
        }
        size_t len = find_name(++text, &name);
        if (len == 0)
            strbuf_addc(out, '$');
        else if (slice_is(name, "$"))
            strbuf_addc(out, '$');
        else if (name.len > 0)
            lookup(context, name, out);
        text += len;
    }
}
