/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * /metrics: the counters of all slots and remotes, the supervisor's page, the rings and the
 * processes, in the text format; each family once, its samples together.
 */
#ifndef CONSOLE_METRICS_H
#define CONSOLE_METRICS_H

#include "console/view.h"

/* Adds the whole page. */
void metrics_write(struct view *view, struct strbuf *page);

#endif
