/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "http/request.h"

#include <string.h>

static bool is_token(struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!letter && (c == '\0' || strchr("!#$%&'*+-.^_`|~", c) == NULL))
            return false;
    }
    return text.len > 0;
}

/* Printable, and for a value also the space, the tab and bytes above ASCII. */
static bool is_clean(struct slice text, bool value)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        bool extra = value && (c == ' ' || c == '\t' || c >= 0x80);
        if (!extra && (c <= 0x20 || c >= 0x7f))
            return false;
    }
    return true;
}

static int refuse(struct errctx *ctx, const char *part, struct slice text)
{
    char quoted[160];
    struct strbuf buf = STRBUF_FIXED(quoted);
    strbuf_add_json(&buf, text.ptr, text.len);
    return err_set(ctx, ERR_SYNTAX, "%s of the HTTP request has a byte that is not allowed: %s",
                   part, quoted);
}

static int check_fields(const struct http_field *fields, size_t n, struct errctx *ctx)
{
    for (size_t i = 0; i < n; i++) {
        if (!is_token(fields[i].name))
            return refuse(ctx, "a header name", fields[i].name);
        if (!is_clean(fields[i].value, true))
            return refuse(ctx, "a header value", fields[i].value);
    }
    return 0;
}

static int check_parts(const struct http_request *request, struct errctx *ctx)
{
    if (!is_token(request->method))
        return refuse(ctx, "the method", request->method);
    if (request->target.len == 0 || !is_clean(request->target, false))
        return refuse(ctx, "the path", request->target);
    if (!is_clean(request->host, false))
        return refuse(ctx, "the host", request->host);
    return check_fields(request->fields, request->n_fields, ctx);
}

static void add_slice(struct strbuf *buf, struct slice text)
{
    strbuf_add(buf, text.ptr, text.len);
}

static void add_fields(struct strbuf *buf, const struct http_field *fields, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        add_slice(buf, fields[i].name);
        strbuf_adds(buf, ": ");
        add_slice(buf, fields[i].value);
        strbuf_adds(buf, "\r\n");
    }
}

int http_request_add_fields(const struct http_field *fields, size_t n, struct strbuf *lines,
                            struct errctx *ctx)
{
    int err = check_fields(fields, n, ctx);
    if (err != 0)
        return err;
    add_fields(lines, fields, n);
    strbuf_adds(lines, "\r\n");
    return 0;
}

int http_request_write(const struct http_request *request, char *buffer, size_t cap,
                       size_t *ret_len, struct errctx *ctx)
{
    int err = check_parts(request, ctx);
    if (err != 0)
        return err;
    check(cap > 0);
    struct strbuf buf = {buffer, 0, cap, true, false};
    add_slice(&buf, request->method);
    strbuf_addc(&buf, ' ');
    add_slice(&buf, request->target);
    strbuf_adds(&buf, " HTTP/1.1\r\nHost: ");
    add_slice(&buf, request->host);
    strbuf_adds(&buf, "\r\n");
    add_fields(&buf, request->fields, request->n_fields);
    if (request->content_length >= 0)
        strbuf_addf(&buf, "Content-Length: %lld\r\n", (long long)request->content_length);
    strbuf_adds(&buf, "\r\n");
    if (buf.cut)
        return err_set(ctx, ERR_FULL, "the head of the HTTP request has more than %zu bytes", cap);
    *ret_len = buf.len;
    return 0;
}
