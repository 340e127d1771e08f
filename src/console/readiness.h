/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whether limpet does its work, and if not, what is missing: /-/ready. */
#ifndef CONSOLE_READINESS_H
#define CONSOLE_READINESS_H

#include "console/view.h"

/*
 * True when every child lives and is ready and every scraper has taken in a target table. Adds a
 * line to `missing` for each thing that is not so. limpet that is stopping is not ready.
 */
bool readiness_check(struct view *view, struct strbuf *missing);

bool readiness_stopping(const struct view *view);

#endif
