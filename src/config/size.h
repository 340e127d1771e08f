/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sizes as Prometheus writes them: pieces of number+unit ("64MiB", "1.5GB", "1GB512MB"), units B
 * and K M G T P E followed by B or iB, all of them powers of 1024. A bare number is refused, but
 * for 0.
 */
#ifndef CONFIG_SIZE_H
#define CONFIG_SIZE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

#define CONFIG_SIZE_SIZE 32

/* False for anything but a size; then *ret_bytes is untouched. */
bool config_size_parse(struct slice text, uint64_t *ret_bytes);

/* "64MiB": the largest unit that is exact. Returns `buffer`. */
const char *config_size_format(uint64_t bytes, char buffer[CONFIG_SIZE_SIZE]);

#endif
