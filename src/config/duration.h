/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Durations as Prometheus writes them: "0", or number+unit pieces with the units y w d h m s ms,
 * each at most once and in this order; a year is 365 days. The unit of the number is milliseconds.
 */
#ifndef CONFIG_DURATION_H
#define CONFIG_DURATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

/* Fits the longest text with its NUL. */
#define CONFIG_DURATION_SIZE 40

/* False for anything but a duration (also "" and what does not fit), then *ret_ms is untouched. */
bool config_duration_parse(struct slice text, int64_t *ret_ms);

/*
 * "1m30s"; years and weeks only where they are exact. ms must not be negative. Returns `buffer`.
 * This is also the text of the labels __scrape_interval__ and __scrape_timeout__.
 */
const char *config_duration_format(int64_t ms, char buffer[CONFIG_DURATION_SIZE]);

#endif
