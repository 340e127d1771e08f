/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From raw series text to labels: escapes and the rewriting of le and quantile. */
#include "exposition/exposition.h"

#include "base/err.h"
#include "exposition/number.h"
#include "exposition/series.h"

/* Where decoded text goes. */
struct scratch {
    char *at;
    size_t left;
};

static bool scratch_add(struct scratch *scratch, const char *bytes, size_t len)
{
    if (len > scratch->left)
        return false;
    memcpy(scratch->at, bytes, len);
    scratch->at += len;
    scratch->left -= len;
    return true;
}

/* What a backslash followed by c stands for; NUL if it stands for itself. */
static char meaning_of(char c, bool quote_escapes)
{
    switch (c) {
    case 'n':
        return '\n';
    case '\\':
        return '\\';
    case '"':
        return quote_escapes ? '"' : '\0';
    default:
        return '\0';
    }
}

/* Never longer than text. */
static size_t unescape(struct slice text, bool quote_escapes, char *ret_text)
{
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        char meaning = '\0';
        if (c == '\\' && i + 1 < text.len)
            meaning = meaning_of(text.ptr[i + 1], quote_escapes);
        i += meaning != '\0';
        ret_text[len++] = meaning != '\0' ? meaning : c;
    }
    return len;
}

/* Replaces *text by what it means. False: no room. */
static bool decode(struct slice *text, struct scratch *scratch)
{
    if (text->len == 0 || memchr(text->ptr, '\\', text->len) == NULL)
        return true;
    if (text->len > scratch->left)
        return false;
    size_t len = unescape(*text, true, scratch->at);
    *text = slice_make(scratch->at, len);
    scratch->at += len;
    scratch->left -= len;
    return true;
}

/* Rewrites a number in the canonical form; anything else stays as it is. False: no room. */
static bool normalise_value(struct slice *value, struct scratch *scratch)
{
    double number;
    if (number_parse_go(*value, &number) != NUMBER_OK)
        return true;
    char text[NUMBER_FORMAT_SIZE];
    size_t len = number_format(number, text);
    if (slice_equal(*value, slice_make(text, len)))
        return true;
    const char *start = scratch->at;
    if (!scratch_add(scratch, text, len))
        return false;
    *value = slice_make(start, len);
    return true;
}

static bool is_normalised(struct slice name, enum exposition_normalise normalise)
{
    return (normalise == EXPOSITION_NORMALISE_LE && slice_is(name, "le")) ||
           (normalise == EXPOSITION_NORMALISE_QUANTILE && slice_is(name, "quantile"));
}

int exposition_labels(struct slice series, enum exposition_normalise normalise,
                      struct exposition_label *ret_labels, int max, char *scratch,
                      size_t scratch_size)
{
    struct scratch room = {scratch, scratch_size};
    struct slice metric_name;
    struct raw_labels reader = series_read(series, &metric_name);
    bool named = metric_name.len > 0;
    int count = 1; /* the first one is the metric's name, which may come late */
    struct raw_label raw;
    int more;
    while ((more = series_next(&reader, &raw)) > 0) {
        if (!decode(&raw.name, &room))
            return ERR_LIMIT;
        if (raw.is_metric_name) {
            metric_name = raw.name;
            named = true;
            continue;
        }
        if (count >= max || !decode(&raw.value, &room))
            return ERR_LIMIT;
        if (is_normalised(raw.name, normalise) && !normalise_value(&raw.value, &room))
            return ERR_LIMIT;
        ret_labels[count++] = (struct exposition_label){raw.name, raw.value};
    }
    if (more < 0 || !named)
        return ERR_SYNTAX;
    if (max < 1)
        return ERR_LIMIT;
    ret_labels[0] = (struct exposition_label){SLICE_LITERAL("__name__"), metric_name};
    return count;
}

int exposition_exemplar_labels(const struct exposition_exemplar *exemplar,
                               struct exposition_label *ret_labels, int max)
{
    if (exemplar->pairs != NULL) {
        if (exemplar->pair_count > (uint32_t)max)
            return ERR_LIMIT;
        memcpy(ret_labels, exemplar->pairs, exemplar->pair_count * sizeof(*ret_labels));
        return (int)exemplar->pair_count;
    }
    struct raw_labels reader = {exemplar->text.ptr, exemplar->text.ptr + exemplar->text.len};
    struct raw_label raw;
    int count = 0;
    int more;
    while ((more = series_next(&reader, &raw)) > 0) {
        if (raw.is_metric_name)
            return ERR_SYNTAX;
        if (count >= max)
            return ERR_LIMIT;
        ret_labels[count++] = (struct exposition_label){raw.name, raw.value};
    }
    return more < 0 ? more : count;
}

size_t exposition_decode_help(struct slice text, enum exposition_format format, char *ret_text)
{
    if (format != EXPOSITION_PROTOBUF)
        return unescape(text, format == EXPOSITION_OPENMETRICS, ret_text);
    memcpy(ret_text, text.ptr, text.len);
    return text.len;
}
