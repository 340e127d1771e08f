/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What Prometheus answers at /api/v1/targets (10.3 of the specification), for programs. */
#ifndef CONSOLE_TARGET_API_H
#define CONSOLE_TARGET_API_H

#include "console/view.h"

/* The query; NULL: not given. */
struct target_query {
    const char *state; /* active, dropped, any; in any case of letters */
    const char *scrape_pool;
};

/*
 * Appends the JSON text. What is not kept here is left out or zero: __meta_* among the discovered
 * labels of what is scraped, and how long the last scrape took. False: discovery has not made a
 * list, or it cannot be read.
 */
bool target_api_write(struct view *view, const struct target_query *query,
                      struct strbuf *page) MUST_USE;

#endif
