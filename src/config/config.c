/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config/config.h"

#include <stdlib.h>

enum label_scheme config_label_scheme(enum config_validation validation)
{
    return validation == CONFIG_VALIDATION_LEGACY ? LABEL_SCHEME_LEGACY : LABEL_SCHEME_UTF8;
}

void config_free(struct config *config)
{
    if (config == NULL)
        return;
    struct arena arena = config->arena;
    arena_fini(&arena);
    free(config);
}
