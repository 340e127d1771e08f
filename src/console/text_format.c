/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "console/text_format.h"

#include <inttypes.h>

#include "base/utf8.h"

static void add_help(struct strbuf *page, const char *help)
{
    for (; *help != '\0'; help++) {
        if (*help == '\\')
            strbuf_adds(page, "\\\\");
        else if (*help == '\n')
            strbuf_adds(page, "\\n");
        else
            strbuf_addc(page, *help);
    }
}

void text_family(struct strbuf *page, struct slice name, const char *type, const char *help)
{
    strbuf_addf(page, "# HELP %.*s ", SLICE_ARG(name));
    add_help(page, help);
    strbuf_addf(page, "\n# TYPE %.*s %s\n", SLICE_ARG(name), type);
}

static void add_value(struct strbuf *labels, struct slice value)
{
    size_t at = 0;
    while (at < value.len) {
        size_t len = utf8_sequence(value.ptr + at, value.len - at);
        char c = value.ptr[at];
        if (len == 0)
            strbuf_adds(labels, "\xef\xbf\xbd");
        else if (c == '\\' || c == '"')
            strbuf_addf(labels, "\\%c", c);
        else if (c == '\n')
            strbuf_adds(labels, "\\n");
        else
            strbuf_add(labels, value.ptr + at, len);
        at += len > 0 ? len : 1;
    }
}

void text_label(struct strbuf *labels, const char *name, struct slice value)
{
    strbuf_addf(labels, "%s%s=\"", labels->len > 0 ? "," : "", name);
    add_value(labels, value);
    strbuf_addc(labels, '"');
}

static void add_number(struct strbuf *page, uint64_t value, uint64_t divisor)
{
    strbuf_addf(page, "%" PRIu64, value / divisor);
    uint64_t rest = value % divisor;
    if (rest > 0)
        strbuf_addc(page, '.');
    while (rest > 0) {
        divisor /= 10;
        strbuf_addc(page, (char)('0' + rest / divisor));
        rest %= divisor;
    }
}

void text_sample(struct strbuf *page, struct slice name, struct slice fixed,
                 const struct strbuf *labels, uint64_t value, uint64_t divisor)
{
    size_t more = labels != NULL ? labels->len : 0;
    strbuf_add(page, name.ptr, name.len);
    if (fixed.len + more > 0) {
        strbuf_addc(page, '{');
        strbuf_add(page, fixed.ptr, fixed.len);
        if (fixed.len > 0 && more > 0)
            strbuf_addc(page, ',');
        if (more > 0)
            strbuf_add(page, labels->text, more);
        strbuf_addc(page, '}');
    }
    strbuf_addc(page, ' ');
    add_number(page, value, divisor);
    strbuf_addc(page, '\n');
}
