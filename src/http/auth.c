/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "http/auth.h"

#include "base/base64.h"

void http_auth_basic(struct strbuf *value, struct slice user, struct slice password)
{
    struct strbuf pair = STRBUF_GROWING;
    strbuf_add(&pair, user.ptr, user.len);
    strbuf_addc(&pair, ':');
    strbuf_add(&pair, password.ptr, password.len);
    strbuf_adds(value, "Basic ");
    base64_add(value, slice_make(pair.text, pair.len));
    strbuf_fini(&pair);
}

void http_auth_scheme(struct strbuf *value, struct slice scheme, struct slice credentials)
{
    strbuf_add(value, scheme.ptr, scheme.len);
    strbuf_addc(value, ' ');
    strbuf_add(value, credentials.ptr, credentials.len);
}

int http_auth_of_url(struct strbuf *value, const struct http_url *url, struct arena *arena)
{
    if (!url->has_user)
        return 0;
    struct slice user = url->user, password = slice_make(url->user.ptr + url->user.len, 0);
    const char *colon = memchr(user.ptr, ':', user.len);
    if (colon != NULL) {
        user.len = (size_t)(colon - user.ptr);
        password = slice_make(colon + 1, url->user.len - user.len - 1);
    }
    int err = http_url_unescape(user, arena, &user);
    if (err == 0)
        err = http_url_unescape(password, arena, &password);
    if (err == 0)
        http_auth_basic(value, user, password);
    return err;
}
