/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config/config.h"

#include <stdlib.h>

void config_free(struct config *config)
{
    if (config == NULL)
        return;
    struct arena arena = config->arena;
    arena_fini(&arena);
    free(config);
}
