/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "exposition/series_text.h"

#include "base/strbuf.h"
#include "exposition/lexer.h"

static bool is_plain(struct slice name, unsigned start, unsigned rest)
{
    if (name.len == 0 || !lexer_is((unsigned char)name.ptr[0], start))
        return false;
    for (size_t i = 1; i < name.len; i++) {
        if (!lexer_is((unsigned char)name.ptr[i], rest))
            return false;
    }
    return true;
}

static void add_escaped(struct strbuf *out, struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '"' || text.ptr[i] == '\\')
            strbuf_addc(out, '\\');
        strbuf_addc(out, text.ptr[i]);
    }
}

static void add_quoted(struct strbuf *out, struct slice text)
{
    strbuf_addc(out, '"');
    add_escaped(out, text);
    strbuf_addc(out, '"');
}

static void add_label(struct strbuf *out, struct exposition_label label, bool first)
{
    if (!first)
        strbuf_addc(out, ',');
    if (is_plain(label.name, CLASS_LABEL_START, CLASS_LABEL))
        strbuf_add(out, label.name.ptr, label.name.len);
    else
        add_quoted(out, label.name);
    strbuf_addc(out, '=');
    add_quoted(out, label.value);
}

/* first: nothing stands behind the opening brace yet. */
static void add_labels(struct strbuf *out, const struct metric *metric,
                       const struct exposition_label *extra, bool first)
{
    for (uint32_t i = 0; i < metric->label_count; i++) {
        if (extra != NULL && slice_compare(extra->name, metric->labels[i].name) < 0) {
            add_label(out, *extra, first);
            extra = NULL;
            first = false;
        }
        add_label(out, metric->labels[i], first);
        first = false;
    }
    if (extra != NULL)
        add_label(out, *extra, first);
}

struct slice series_text(struct strbuf *out, struct slice family, const char *suffix,
                         const struct metric *metric, const struct exposition_label *extra)
{
    bool plain = is_plain(family, CLASS_METRIC_START, CLASS_METRIC);
    out->len = 0;
    if (plain) {
        strbuf_add(out, family.ptr, family.len);
        strbuf_adds(out, suffix);
        if (extra == NULL && metric->label_count == 0)
            return slice_make(out->text, out->len);
    }
    strbuf_addc(out, '{');
    if (!plain) {
        strbuf_addc(out, '"');
        add_escaped(out, family);
        strbuf_adds(out, suffix);
        strbuf_addc(out, '"');
    }
    add_labels(out, metric, extra, plain);
    strbuf_addc(out, '}');
    return slice_make(out->text, out->len);
}
