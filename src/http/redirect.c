/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "http/redirect.h"

#include <strings.h>

bool http_is_redirect(const struct http_head *head)
{
    switch (head->status) {
    case 301:
    case 302:
    case 303:
    case 307:
    case 308:
        return true;
    default:
        return false;
    }
}

static bool equal_in_any_case(struct slice a, struct slice b)
{
    return a.len == b.len && strncasecmp(a.ptr, b.ptr, a.len) == 0;
}

/* Credentials of example.com may go to a.example.com too, but not to an address that ends alike. */
static bool is_same_or_below(struct slice host, struct slice parent)
{
    if (equal_in_any_case(host, parent))
        return true;
    if (host.len <= parent.len || memchr(host.ptr, ':', host.len) != NULL)
        return false;
    struct slice end = slice_make(host.ptr + host.len - parent.len, parent.len);
    return end.ptr[-1] == '.' && equal_in_any_case(end, parent);
}

/* 307 and 308 repeat the request, the others make a GET of it. */
static void set_method(const struct http_hop *now, int status, struct http_hop *next)
{
    bool same = status == 307 || status == 308;
    next->with_body = same && now->with_body;
    next->method = now->method;
    if (!same && !slice_is(now->method, "GET") && !slice_is(now->method, "HEAD"))
        next->method = SLICE_LITERAL("GET");
}

int http_redirect(const struct http_hop *first, const struct http_hop *now,
                  const struct http_head *head, struct arena *arena, struct http_hop *ret_next,
                  struct errctx *reterr)
{
    if (!http_is_redirect(head) || head->location.len == 0)
        return 0;
    struct http_hop next = {.hops = now->hops + 1};
    int err = http_url_resolve(&now->url, head->location, arena, &next.url, reterr);
    if (err != 0)
        return err_prefix(reterr, err, "redirect to another place");
    if (next.hops >= HTTP_MAX_REDIRECTS)
        return err_set(reterr, ERR_LIMIT, "stopped after %d redirects", HTTP_MAX_REDIRECTS);
    set_method(now, head->status, &next);
    next.foreign = now->foreign || !is_same_or_below(next.url.host, first->url.host);
    if (!now->url.https || next.url.https)
        next.referer = http_url_text(&now->url, arena);
    *ret_next = next;
    return 1;
}
