/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "discovery/target_url.h"

#include "base/strbuf.h"
#include "http/url.h"

static bool parse_port(struct slice text, uint16_t *ret_port)
{
    unsigned port = 0;
    if (text.len == 0 || text.len > 5)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return false;
        port = port * 10 + (unsigned)(text.ptr[i] - '0');
    }
    if (port == 0 || port > 65535)
        return false;
    *ret_port = (uint16_t)port;
    return true;
}

/* What follows the host: nothing, or a colon and a port. */
static bool parse_rest(struct slice rest, uint16_t default_port, uint16_t *ret_port)
{
    if (rest.len == 0) {
        *ret_port = default_port;
        return true;
    }
    return rest.ptr[0] == ':' && parse_port(slice_make(rest.ptr + 1, rest.len - 1), ret_port);
}

bool target_url_split_address(struct slice address, uint16_t default_port, struct slice *ret_host,
                              uint16_t *ret_port)
{
    size_t host_len = address.len;
    size_t skip = 0;
    if (address.len > 0 && address.ptr[0] == '[') {
        const char *end = memchr(address.ptr, ']', address.len);
        if (end == NULL)
            return false;
        skip = 1;
        host_len = (size_t)(end - address.ptr) + 1;
    } else {
        const char *colon = memchr(address.ptr, ':', address.len);
        if (colon != NULL)
            host_len = (size_t)(colon - address.ptr);
    }
    struct slice host = slice_make(address.ptr + skip, host_len - 2 * skip);
    struct slice rest = slice_make(address.ptr + host_len, address.len - host_len);
    if (host.len == 0 || !parse_rest(rest, default_port, ret_port))
        return false;
    *ret_host = host;
    return true;
}

static bool is_unreserved(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("-_.~", c) != NULL);
}

static void add_percent(struct strbuf *text, char c)
{
    strbuf_addf(text, "%%%02X", (unsigned)(unsigned char)c);
}

static void add_path(struct strbuf *text, struct slice path)
{
    if (path.len == 0 || path.ptr[0] != '/')
        strbuf_addc(text, '/');
    for (size_t i = 0; i < path.len; i++) {
        char c = path.ptr[i];
        if (is_unreserved(c) || (c != '\0' && strchr("$&+,/:;=@", c) != NULL))
            strbuf_addc(text, c);
        else
            add_percent(text, c);
    }
}

static void add_pair(struct strbuf *text, struct slice name, struct slice value, bool *first)
{
    strbuf_addc(text, *first ? '?' : '&');
    *first = false;
    http_url_add_form(text, name);
    strbuf_addc(text, '=');
    http_url_add_form(text, value);
}

static bool param_name(struct slice label_name, struct slice *ret_param)
{
    static const char prefix[] = "__param_";
    size_t len = sizeof(prefix) - 1;
    if (label_name.len < len || memcmp(label_name.ptr, prefix, len) != 0)
        return false;
    *ret_param = slice_make(label_name.ptr + len, label_name.len - len);
    return true;
}

/* All values of one configured parameter; `first_value` stands in for its first one. */
static void add_param(struct strbuf *text, const struct config_param *param,
                      struct slice first_value, bool *first)
{
    for (size_t i = 0; i < param->values.len; i++) {
        struct slice value = slice_of(param->values.items[i]);
        if (i == 0 && first_value.len > 0)
            value = first_value;
        add_pair(text, slice_of(param->name), value, first);
    }
}

/* Merges two lists that are both sorted by parameter name: the labels and the configuration. */
static void add_query(struct strbuf *text, const struct label_set *labels,
                      const struct config_params *params)
{
    bool first = true;
    size_t next = 0;
    for (size_t i = 0; i < labels->count; i++) {
        struct slice name;
        if (!param_name(labels->labels[i].name, &name))
            continue;
        while (next < params->len && slice_compare(slice_of(params->items[next].name), name) < 0)
            add_param(text, &params->items[next++], SLICE_LITERAL(""), &first);
        struct slice value = labels->labels[i].value;
        bool same = next < params->len && slice_is(name, params->items[next].name);
        if (same && params->items[next].values.len > 0)
            add_param(text, &params->items[next], value, &first);
        else
            add_pair(text, name, value, &first);
        next += same;
    }
    while (next < params->len)
        add_param(text, &params->items[next++], SLICE_LITERAL(""), &first);
}

static struct slice to_arena(struct strbuf *text, struct arena *arena)
{
    struct slice copy = arena_slice(arena, slice_make(text->text, text->len));
    strbuf_fini(text);
    return copy;
}

struct slice target_url_path(const struct label_set *labels, const struct config_params *params,
                             struct arena *arena)
{
    struct strbuf text = STRBUF_GROWING;
    add_path(&text, label_set_get(labels, SLICE_LITERAL("__metrics_path__")));
    add_query(&text, labels, params);
    return to_arena(&text, arena);
}

struct slice target_url_whole(struct slice scheme, struct slice address, struct slice path,
                              struct arena *arena)
{
    struct strbuf text = STRBUF_GROWING;
    strbuf_addf(&text, "%.*s://%.*s%.*s", SLICE_ARG(scheme), SLICE_ARG(address), SLICE_ARG(path));
    return to_arena(&text, arena);
}
