/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "http/url.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#define HTTP_PORT  80
#define HTTPS_PORT 443

static struct slice from(struct slice text, size_t start)
{
    return slice_make(text.ptr + start, text.len - start);
}

static struct slice until(struct slice text, size_t end)
{
    return slice_make(text.ptr, end);
}

static bool starts_with(struct slice text, const char *start)
{
    size_t len = strlen(start);
    return text.len >= len && memcmp(text.ptr, start, len) == 0;
}

/* The first byte that is one of `bytes`; the length if there is none. */
static size_t find_any(struct slice text, const char *bytes)
{
    size_t at = 0;
    while (at < text.len && strchr(bytes, text.ptr[at]) == NULL)
        at++;
    return at;
}

/* The length of "scheme" if the text starts with "scheme:", else 0 (RFC 3986, 3.1). */
static size_t scheme_len(struct slice text)
{
    size_t len = 0;
    while (len < text.len && (isalnum((unsigned char)text.ptr[len]) ||
                              (len > 0 && strchr("+-.", text.ptr[len]) != NULL)))
        len++;
    bool is_scheme =
        len > 0 && len < text.len && text.ptr[len] == ':' && isalpha((unsigned char)text.ptr[0]);
    return is_scheme ? len : 0;
}

static bool scheme_is(struct slice scheme, const char *name)
{
    return scheme.len == strlen(name) && strncasecmp(scheme.ptr, name, scheme.len) == 0;
}

/* ---- Authority ---- */

static int parse_port(struct slice text, uint16_t fallback, uint16_t *ret_port)
{
    *ret_port = fallback;
    if (text.len == 0)
        return 0;
    uint32_t port = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (!isdigit((unsigned char)text.ptr[i]))
            return ERR_SYNTAX;
        port = port * 10 + (uint32_t)(text.ptr[i] - '0');
        if (port > UINT16_MAX)
            return ERR_SYNTAX;
    }
    *ret_port = (uint16_t)port;
    return port > 0 ? 0 : ERR_SYNTAX;
}

/* "host", "host:", "host:port", "[v6]", "[v6]:port" */
static int parse_host(struct slice text, struct http_url *url, struct errctx *reterr)
{
    struct slice rest;
    if (text.len > 0 && text.ptr[0] == '[') {
        const char *end = memchr(text.ptr, ']', text.len);
        if (end == NULL)
            return err_set(reterr, ERR_SYNTAX, "missing ']' in host");
        size_t len = (size_t)(end - text.ptr);
        url->host = slice_make(text.ptr + 1, len - 1);
        rest = from(text, len + 1);
    } else {
        url->host = until(text, find_any(text, ":"));
        rest = from(text, url->host.len);
    }
    bool has_port = rest.len > 0;
    if (url->host.len == 0 || find_any(url->host, " \"<>\\^`{|}/?#@") < url->host.len)
        return err_set(reterr, ERR_SYNTAX,
                       url->host.len == 0 ? "no host in request URL"
                                          : "invalid character in host name");
    if ((has_port && rest.ptr[0] != ':') ||
        parse_port(has_port ? from(rest, 1) : rest, url->https ? HTTPS_PORT : HTTP_PORT,
                   &url->port) != 0)
        return err_set(reterr, ERR_SYNTAX, "invalid port \"%.*s\" after host", SLICE_ARG(rest));
    return 0;
}

static int parse_authority(struct slice text, struct arena *arena, struct http_url *url,
                           struct errctx *reterr)
{
    const char *at = memrchr(text.ptr, '@', text.len);
    if (at != NULL) {
        size_t len = (size_t)(at - text.ptr);
        url->has_user = true;
        url->user = arena_slice(arena, until(text, len));
        text = from(text, len + 1);
    }
    url->authority = arena_slice(arena, text);
    return parse_host(url->authority, url, reterr);
}

/* ---- Path and query ---- */

/* What Go leaves as it is. */
static bool may_stand(unsigned char c, bool in_query)
{
    if (c <= ' ' || c >= 0x7f)
        return false;
    return in_query || strchr("\"<>\\^`{|}", c) == NULL;
}

static void add_escaped(struct strbuf *out, struct slice text, bool in_query)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (may_stand(c, in_query))
            strbuf_addc(out, text.ptr[i]);
        else
            strbuf_addf(out, "%%%02X", c);
    }
}

static void drop_last_segment(struct strbuf *out)
{
    while (out->len > 0 && out->text[--out->len] != '/')
        continue;
}

/* RFC 3986, 5.2.4 on "/a/../b": always starts with a slash. */
static void add_without_dots(struct strbuf *out, struct slice path)
{
    while (path.len > 0) {
        struct slice segment = until(path, 1 + find_any(from(path, 1), "/"));
        path = from(path, segment.len);
        struct slice name = from(segment, 1);
        bool is_last = path.len == 0;
        if (slice_is(name, ".."))
            drop_last_segment(out);
        if (slice_is(name, ".") || slice_is(name, "..")) {
            if (is_last)
                strbuf_addc(out, '/');
        } else {
            strbuf_addc(out, '/');
            add_escaped(out, name, false);
        }
    }
}

/* path: "" or with a leading slash; query: "" or with its question mark. */
static void set_target(struct slice path, struct slice query, bool remove_dots, struct arena *arena,
                       struct http_url *url)
{
    struct strbuf target = STRBUF_GROWING;
    if (remove_dots)
        add_without_dots(&target, path);
    else
        add_escaped(&target, path, false);
    if (target.len == 0)
        strbuf_addc(&target, '/');
    add_escaped(&target, query, true);
    url->target = arena_slice(arena, slice_make(target.text, target.len));
    strbuf_fini(&target);
}

/* ---- The whole ---- */

static int check_bytes(struct slice text, struct errctx *reterr)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c < ' ' || c == 0x7f)
            return err_set(reterr, ERR_SYNTAX, "invalid control character in URL");
    }
    return 0;
}

static bool is_escape(struct slice text)
{
    return text.len > 2 && isxdigit((unsigned char)text.ptr[1]) &&
           isxdigit((unsigned char)text.ptr[2]);
}

/* Those of the query may be anything. */
static int check_escapes(struct slice path, struct errctx *reterr)
{
    for (size_t at = find_any(path, "%"); at < path.len; at += find_any(from(path, at), "%")) {
        struct slice escape = from(path, at);
        if (!is_escape(escape))
            return err_set(reterr, ERR_SYNTAX, "invalid URL escape \"%.*s\"",
                           (int)(escape.len < 3 ? escape.len : 3), escape.ptr);
        at += 3;
    }
    return 0;
}

static struct slice without_fragment(struct slice text)
{
    return until(text, find_any(text, "#"));
}

static int parse(struct slice text, bool remove_dots, struct arena *arena, struct http_url *ret_url,
                 struct errctx *reterr)
{
    int err = check_bytes(text, reterr);
    if (err != 0)
        return err;
    text = without_fragment(text);
    struct slice scheme = until(text, scheme_len(text));
    bool https = scheme_is(scheme, "https");
    if (!https && !scheme_is(scheme, "http"))
        return err_set(reterr, ERR_SYNTAX, "unsupported protocol scheme \"%.*s\"",
                       SLICE_ARG(scheme));
    struct slice rest = from(text, scheme.len + 1);
    if (!starts_with(rest, "//"))
        return err_set(reterr, ERR_SYNTAX, "no host in request URL");
    rest = from(rest, 2);
    struct http_url url = {.https = https};
    struct slice authority = until(rest, find_any(rest, "/?"));
    err = parse_authority(authority, arena, &url, reterr);
    if (err != 0)
        return err;
    rest = from(rest, authority.len);
    struct slice path = until(rest, find_any(rest, "?"));
    err = check_escapes(path, reterr);
    if (err != 0)
        return err;
    set_target(path, from(rest, path.len), remove_dots, arena, &url);
    *ret_url = url;
    return 0;
}

int http_url_parse(struct slice text, struct arena *arena, struct http_url *ret_url,
                   struct errctx *reterr)
{
    return parse(text, false, arena, ret_url, reterr);
}

/* A reference with neither scheme nor authority. */
static void resolve_path(const struct http_url *base, struct slice reference, struct arena *arena,
                         struct http_url *url)
{
    struct slice base_path = until(base->target, find_any(base->target, "?"));
    struct slice path = until(reference, find_any(reference, "?"));
    struct slice query = from(reference, path.len);
    *url = *base;
    if (path.len == 0) {
        set_target(base_path, query.len > 0 ? query : from(base->target, base_path.len), false,
                   arena, url);
        return;
    }
    struct strbuf merged = STRBUF_GROWING;
    if (path.ptr[0] != '/') {
        strbuf_add(&merged, base_path.ptr, base_path.len);
        drop_last_segment(&merged);
        strbuf_addc(&merged, '/');
    }
    strbuf_add(&merged, path.ptr, path.len);
    set_target(slice_make(merged.text, merged.len), query, true, arena, url);
    strbuf_fini(&merged);
}

int http_url_resolve(const struct http_url *base, struct slice reference, struct arena *arena,
                     struct http_url *ret_url, struct errctx *reterr)
{
    if (scheme_len(reference) > 0)
        return parse(reference, true, arena, ret_url, reterr);
    if (starts_with(reference, "//")) {
        struct strbuf whole = STRBUF_GROWING;
        strbuf_adds(&whole, base->https ? "https:" : "http:");
        strbuf_add(&whole, reference.ptr, reference.len);
        int err = parse(slice_make(whole.text, whole.len), true, arena, ret_url, reterr);
        strbuf_fini(&whole);
        return err;
    }
    int err = check_bytes(reference, reterr);
    if (err != 0)
        return err;
    reference = without_fragment(reference);
    struct slice path = until(reference, find_any(reference, "?"));
    struct slice segment = until(path, find_any(path, "/"));
    if (find_any(segment, ":") < segment.len)
        return err_set(reterr, ERR_SYNTAX,
                       segment.ptr[0] == ':' ? "missing protocol scheme"
                                             : "first path segment in URL cannot contain colon");
    err = check_escapes(path, reterr);
    if (err == 0)
        resolve_path(base, reference, arena, ret_url);
    return err;
}

struct slice http_url_text(const struct http_url *url, struct arena *arena)
{
    struct strbuf text = STRBUF_GROWING;
    strbuf_adds(&text, url->https ? "https://" : "http://");
    strbuf_add(&text, url->authority.ptr, url->authority.len);
    strbuf_add(&text, url->target.ptr, url->target.len);
    struct slice copy = arena_slice(arena, slice_make(text.text, text.len));
    strbuf_fini(&text);
    return copy;
}

void http_url_add_form(struct strbuf *out, struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (isalnum(c) || (c != '\0' && strchr("-_.~", c) != NULL))
            strbuf_addc(out, text.ptr[i]);
        else if (c == ' ')
            strbuf_addc(out, '+');
        else
            strbuf_addf(out, "%%%02X", c);
    }
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)tolower((unsigned char)c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int http_url_unescape(struct slice text, struct arena *arena, struct slice *ret_text)
{
    char *out = arena_copy(arena, text.ptr, text.len);
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '%') {
            int high = i + 2 < text.len ? hex_digit(text.ptr[i + 1]) : -1;
            int low = high >= 0 ? hex_digit(text.ptr[i + 2]) : -1;
            if (low < 0)
                return ERR_SYNTAX;
            c = (char)(high << 4 | low);
            i += 2;
        }
        out[len++] = c;
    }
    *ret_text = slice_make(out, len);
    return 0;
}
