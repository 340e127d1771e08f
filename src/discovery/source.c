/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "discovery/source.h"

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
