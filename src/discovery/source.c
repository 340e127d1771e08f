/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "discovery/source.h"

#include "base/strbuf.h"

static int walk_group(const struct config_target_group *group, struct label extra,
                      struct label_set *labels, struct source_visit *visit)
{
    int err = 0;
    label_set_clear(labels);
    for (size_t i = 0; i < group->labels.len; i++)
        label_set_put(labels, slice_of(group->labels.items[i].name),
                      slice_of(group->labels.items[i].value));
    if (extra.name.len > 0)
        label_set_put(labels, extra.name, extra.value);
    for (size_t i = 0; err == 0 && i < group->targets.len; i++)
        err = visit->target(visit, slice_of(group->targets.items[i]), labels);
    return err;
}

int source_walk_groups(const struct config_target_groups *groups, struct label extra,
                       struct source_visit *visit)
{
    struct label_set labels = {0};
    int err = 0;
    for (size_t i = 0; err == 0 && i < groups->len; i++)
        err = walk_group(&groups->items[i], extra, &labels, visit);
    label_set_fini(&labels);
    return err;
}

struct slice source_address(struct arena *arena, struct slice host, struct slice port)
{
    bool brackets = port.len > 0 && host.len > 0 && memchr(host.ptr, ':', host.len) != NULL;
    if (port.len == 0)
        return host;
    char *text = arena_alloc(arena, host.len + port.len + 4);
    struct strbuf out = {.text = text, .cap = host.len + port.len + 4, .fixed = true};
    strbuf_adds(&out, brackets ? "[" : "");
    strbuf_add(&out, host.ptr, host.len);
    strbuf_adds(&out, brackets ? "]:" : ":");
    strbuf_add(&out, port.ptr, port.len);
    return slice_make(text, out.len);
}
