/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "discovery/static_sd.h"

#include <stdlib.h>

#include "base/check.h"

struct static_sd {
    struct source source;
    struct config_target_groups groups; /* one */
};

#define OWNER(pointer) ((const struct static_sd *)(const void *)(pointer))

static int walk(const struct source *source, struct source_visit *visit)
{
    return source_walk_groups(&OWNER(source)->groups, (struct label){0}, visit);
}

static void free_source(struct source *source)
{
    free(source);
}

static const struct source_class class = {
    .name = "static_configs",
    .walk = walk,
    .free = free_source,
};

struct source *static_sd_new(struct source_host *host, const struct config_target_group *group)
{
    struct static_sd *sd = calloc(1, sizeof(*sd));
    check(sd != NULL);
    sd->source = (struct source){&class, host};
    sd->groups = (struct config_target_groups){group, 1};
    return &sd->source;
}
