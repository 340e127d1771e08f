/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "discovery/kube_request.h"

#include <stdio.h>
#include <string.h>

#include "http/url.h"

#define PAGE 500

static void add_query(struct strbuf *target, const char *name, const char *value)
{
    if (value[0] == '\0')
        return;
    strbuf_addf(target, "%c%s=", strchr(target->text, '?') == NULL ? '?' : '&', name);
    http_url_add_form(target, slice_of(value));
}

static void add_number(struct strbuf *target, const char *name, unsigned number)
{
    char text[16];
    snprintf(text, sizeof(text), "%u", number);
    add_query(target, name, text);
}

static void add_wanted(struct strbuf *target, const struct kube_wanted *wanted)
{
    const struct kube_kind_info *info = kube_kind_info(wanted->kind);
    strbuf_adds(target, info->base);
    if (info->namespaced && wanted->ns[0] != '\0') {
        strbuf_adds(target, "/namespaces/");
        http_url_add_form(target, slice_of(wanted->ns));
    }
    strbuf_addf(target, "/%s", info->resource);
    add_query(target, "labelSelector", wanted->label);
    add_query(target, "fieldSelector", wanted->field);
}

void kube_request_list(struct strbuf *target, const struct kube_wanted *wanted,
                       const char *continued, bool from_cache)
{
    add_wanted(target, wanted);
    add_number(target, "limit", PAGE);
    add_query(target, "continue", continued);
    if (continued[0] == '\0' && from_cache)
        add_query(target, "resourceVersion", "0");
}

void kube_request_watch(struct strbuf *target, const struct kube_wanted *wanted,
                        const char *version, unsigned seconds)
{
    add_wanted(target, wanted);
    add_query(target, "watch", "true");
    add_query(target, "allowWatchBookmarks", "true");
    add_query(target, "resourceVersion", version);
    add_number(target, "timeoutSeconds", seconds);
}
