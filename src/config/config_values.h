/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The configuration (config/config.h): lists and maps. `items` may be NULL when `len` is 0. */
#ifndef CONFIG_CONFIG_VALUES_H
#define CONFIG_CONFIG_VALUES_H

#include <stddef.h>
#include <stdint.h>

struct config_strings {
    const char *const *items;
    size_t len;
};

struct config_ints {
    const int64_t *items;
    size_t len;
};

struct config_pair {
    const char *name;
    const char *value;
};

/* Sorted by name (bytes), names unique. */
struct config_map {
    const struct config_pair *items;
    size_t len;
};

struct config_param {
    const char *name;
    struct config_strings values;
};

/* Sorted by name (bytes), names unique. */
struct config_params {
    const struct config_param *items;
    size_t len;
};

#endif
