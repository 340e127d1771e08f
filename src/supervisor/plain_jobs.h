/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * annotation_discovery as jobs that Prometheus understands: for those who want to see what it
 * means, to change it, or to leave. Where Prometheus has no rule for something, the text says so.
 */
#ifndef SUPERVISOR_PLAIN_JOBS_H
#define SUPERVISOR_PLAIN_JOBS_H

#include "base/strbuf.h"
#include "config/config.h"

/*
 * Adds a file for Prometheus with the jobs of all annotation_discovery entries; without any, a file
 * without jobs. node: whose targets only are wanted; NULL: of all nodes.
 */
void plain_jobs_write(const struct config *config, const char *node, struct strbuf *out);

#endif
