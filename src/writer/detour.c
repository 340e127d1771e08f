/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "writer/detour.h"

#include <stdlib.h>

bool detour_note(struct detour *detour, const struct remote *remote, const struct http_head *head)
{
    if (!remote->config->http.follow_redirects || !http_is_redirect(head) ||
        head->location.len == 0)
        return false;
    free(detour->location);
    detour->status = head->status;
    detour->location = strndup(head->location.ptr, head->location.len);
    check(detour->location != NULL);
    return true;
}

bool detour_is_noted(const struct detour *detour)
{
    return detour->location != NULL;
}

static int begin(struct detour *detour, const struct remote *remote, struct errctx *why)
{
    detour->first = (struct http_hop){.method = SLICE_LITERAL("POST"), .with_body = true};
    int err =
        http_url_parse(slice_of(remote->config->url), &detour->arena, &detour->first.url, why);
    detour->hop = detour->first;
    detour->is_away = true;
    return err;
}

int detour_take(struct detour *detour, const struct remote *remote, struct errctx *why)
{
    int err = detour->is_away ? 0 : begin(detour, remote, why);
    if (err != 0)
        return err;
    const struct http_head head = {.status = detour->status,
                                   .location =
                                       arena_slice(&detour->arena, slice_of(detour->location))};
    free(detour->location);
    detour->location = NULL;
    int r = http_redirect(&detour->first, &detour->hop, &head, &detour->arena, &detour->hop, why);
    if (r < 0)
        return r;
    check(r == 1); /* see detour_note */
    return route_make(&remote->config->http.proxy, &detour->hop.url, &detour->arena, &detour->route,
                      why);
}

void detour_end(struct detour *detour)
{
    free(detour->location);
    arena_fini(&detour->arena);
    *detour = (struct detour){.is_away = false};
}
