/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Media types as Go's mime package reads them, whose strictness decides what Prometheus scrapes. */
#include "exposition/content_type.h"

#include <stdio.h>

#include "base/strbuf.h"
#include "exposition/quote.h"

/* A header with more parameters than this is refused; real ones have two or three. */
#define MAX_PARAMETERS 32

static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* The tspecials of RFC 2045. */
static bool is_special(char c)
{
    return c != '\0' && strchr("()<>@,;:\\\"/[]?=", c) != NULL;
}

static bool is_token_char(char c)
{
    return c > ' ' && c < 0x7f && !is_special(c);
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool equal_any_case(struct slice a, struct slice b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++)
        if (lower(a.ptr[i]) != lower(b.ptr[i]))
            return false;
    return true;
}

static void skip_blanks(struct slice *text)
{
    while (text->len > 0 && is_blank(text->ptr[0]))
        *text = slice_make(text->ptr + 1, text->len - 1);
}

static struct slice trim(struct slice text)
{
    skip_blanks(&text);
    while (text.len > 0 && is_blank(text.ptr[text.len - 1]))
        text.len--;
    return text;
}

/* Cuts a token, possibly an empty one, off the front of text. */
static struct slice take_token(struct slice *text)
{
    size_t len = 0;
    while (len < text->len && is_token_char(text->ptr[len]))
        len++;
    struct slice token = {text->ptr, len};
    *text = slice_make(text->ptr + len, text->len - len);
    return token;
}

static bool take_char(struct slice *text, char c)
{
    if (text->len == 0 || text->ptr[0] != c)
        return false;
    *text = slice_make(text->ptr + 1, text->len - 1);
    return true;
}

/* type/subtype; NULL or what is wrong. */
static const char *check_type(struct slice type)
{
    if (take_token(&type).len == 0)
        return "mime: no media type";
    if (type.len == 0)
        return NULL;
    if (!take_char(&type, '/'))
        return "mime: expected slash after first token";
    if (take_token(&type).len == 0)
        return "mime: expected token after slash";
    return type.len == 0 ? NULL : "mime: unexpected content after media subtype";
}

/* A token or a quoted string, of which the inside is returned as written. */
static bool take_parameter_value(struct slice *text, struct slice *ret_value)
{
    if (text->len == 0 || text->ptr[0] != '"') {
        *ret_value = take_token(text);
        return ret_value->len > 0;
    }
    for (size_t i = 1; i < text->len; i++) {
        char c = text->ptr[i];
        if (c == '\r' || c == '\n')
            return false;
        if (c == '\\' && i + 1 < text->len && is_special(text->ptr[i + 1])) {
            i++;
        } else if (c == '"') {
            *ret_value = slice_make(text->ptr + 1, i - 1);
            *text = slice_make(text->ptr + i + 1, text->len - i - 1);
            return true;
        }
    }
    return false;
}

struct parameter {
    struct slice name;
    struct slice value;
};

/* ; name = value */
static bool take_parameter(struct slice *text, struct parameter *ret_parameter)
{
    if (!take_char(text, ';'))
        return false;
    skip_blanks(text);
    ret_parameter->name = take_token(text);
    skip_blanks(text);
    if (ret_parameter->name.len == 0 || !take_char(text, '='))
        return false;
    skip_blanks(text);
    return take_parameter_value(text, &ret_parameter->value);
}

/* What follows the media type; NULL or what is wrong. The same parameter twice is accepted if it
 * says the same twice. */
static const char *check_parameters(struct slice text)
{
    struct parameter seen[MAX_PARAMETERS];
    size_t count = 0;
    for (skip_blanks(&text); text.len > 0; skip_blanks(&text)) {
        if (slice_is(trim(text), ";"))
            return NULL;
        if (count == MAX_PARAMETERS || !take_parameter(&text, &seen[count]))
            return "mime: invalid media parameter";
        for (size_t i = 0; i < count; i++)
            if (equal_any_case(seen[i].name, seen[count].name) &&
                !slice_equal(seen[i].value, seen[count].value))
                return "mime: duplicate parameter name";
        count++;
    }
    return NULL;
}

static const char *parse_media_type(struct slice header, struct slice *ret_type)
{
    const char *semicolon = memchr(header.ptr, ';', header.len);
    size_t len = semicolon != NULL ? (size_t)(semicolon - header.ptr) : header.len;
    *ret_type = trim(slice_make(header.ptr, len));
    const char *problem = check_type(*ret_type);
    if (problem == NULL)
        problem = check_parameters(slice_make(header.ptr + len, header.len - len));
    return problem;
}

enum { FORMAT_UNKNOWN = -1 };

/* An enum exposition_format or FORMAT_UNKNOWN. */
static int format_of_type(struct slice type)
{
    if (equal_any_case(type, SLICE_LITERAL("text/plain")))
        return EXPOSITION_TEXT;
    if (equal_any_case(type, SLICE_LITERAL("application/openmetrics-text")))
        return EXPOSITION_OPENMETRICS;
    if (equal_any_case(type, SLICE_LITERAL("application/vnd.google.protobuf")))
        return EXPOSITION_PROTOBUF;
    return FORMAT_UNKNOWN;
}

static int format_of_fallback(const char *fallback)
{
    if (strncmp(fallback, "PrometheusText", strlen("PrometheusText")) == 0)
        return EXPOSITION_TEXT;
    if (strncmp(fallback, "OpenMetricsText", strlen("OpenMetricsText")) == 0)
        return EXPOSITION_OPENMETRICS;
    return EXPOSITION_PROTOBUF;
}

/* Puts "before "header"after" into ctx. */
static int refuse(struct errctx *ctx, const char *before, struct slice header, const char *after)
{
    char text[sizeof(ctx->text)];
    struct strbuf sentence = STRBUF_FIXED(text);
    strbuf_adds(&sentence, before);
    quote_add(&sentence, header);
    strbuf_adds(&sentence, after);
    return err_set(ctx, ERR_PROTOCOL, "%s", text);
}

int exposition_format_of(struct slice content_type, const char *fallback,
                         enum exposition_format *ret_format, struct errctx *ctx)
{
    const char *problem = NULL;
    int format = FORMAT_UNKNOWN;
    if (content_type.len > 0) {
        struct slice type;
        problem = parse_media_type(content_type, &type);
        if (problem == NULL)
            format = format_of_type(type);
    }
    if (format == FORMAT_UNKNOWN && fallback != NULL)
        format = format_of_fallback(fallback);
    if (format >= 0) {
        *ret_format = (enum exposition_format)format;
        return 0;
    }
    if (content_type.len == 0)
        return err_set(ctx, ERR_PROTOCOL,
                       "non-compliant scrape target sending blank Content-Type and no "
                       "fallback_scrape_protocol specified for target");
    if (problem == NULL)
        return refuse(ctx, "received unsupported Content-Type ", content_type,
                      " and no fallback_scrape_protocol specified for target");
    int err = refuse(ctx, "cannot parse Content-Type ", content_type,
                     " and no fallback_scrape_protocol for target");
    if (ctx != NULL) {
        size_t len = strlen(ctx->text);
        snprintf(ctx->text + len, sizeof(ctx->text) - len, "\n%s", problem);
    }
    return err;
}
