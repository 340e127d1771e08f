/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/strbuf.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"

/* Room for `more` bytes and a NUL; how many of them fit. */
static size_t make_room(struct strbuf *buf, size_t more)
{
    if (buf->cap - buf->len > more)
        return more;
    if (buf->fixed) {
        buf->cut = true;
        return buf->cap - buf->len - 1;
    }
    size_t cap = buf->cap < 128 ? 128 : buf->cap;
    while (cap - buf->len <= more)
        cap *= 2;
    char *text = realloc(buf->text, cap);
    check(text != NULL);
    buf->text = text;
    buf->cap = cap;
    return more;
}

void strbuf_add(struct strbuf *buf, const void *bytes, size_t len)
{
    len = make_room(buf, len);
    if (len > 0)
        memcpy(buf->text + buf->len, bytes, len);
    buf->len += len;
    buf->text[buf->len] = '\0';
}

void strbuf_adds(struct strbuf *buf, const char *text)
{
    strbuf_add(buf, text, strlen(text));
}

void strbuf_addc(struct strbuf *buf, char c)
{
    strbuf_add(buf, &c, 1);
}

void strbuf_addf(struct strbuf *buf, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    check(len >= 0);
    size_t room = make_room(buf, (size_t)len);
    va_start(args, format);
    vsnprintf(buf->text + buf->len, room + 1, format, args);
    va_end(args);
    buf->len += room;
}

static void add_escaped(struct strbuf *buf, unsigned char c)
{
    switch (c) {
    case '"':
        strbuf_adds(buf, "\\\"");
        break;
    case '\\':
        strbuf_adds(buf, "\\\\");
        break;
    case '\n':
        strbuf_adds(buf, "\\n");
        break;
    case '\r':
        strbuf_adds(buf, "\\r");
        break;
    case '\t':
        strbuf_adds(buf, "\\t");
        break;
    default:
        strbuf_addf(buf, "\\u%04x", c);
    }
}

void strbuf_add_json(struct strbuf *buf, const char *text, size_t len)
{
    strbuf_addc(buf, '"');
    for (size_t i = 0; i < len;) {
        unsigned char c = (unsigned char)text[i];
        if (c < 0x20 || c == '"' || c == '\\' || c == 0x7f) {
            add_escaped(buf, c);
            i++;
            continue;
        }
        size_t step = utf8_sequence(text + i, len - i);
        if (step == 0) {
            strbuf_adds(buf, "\\ufffd");
            i++;
        } else {
            strbuf_add(buf, text + i, step);
            i += step;
        }
    }
    strbuf_addc(buf, '"');
}

void strbuf_fini(struct strbuf *buf)
{
    if (!buf->fixed)
        free(buf->text);
    *buf = (struct strbuf){0};
}
