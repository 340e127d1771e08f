/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The files of `scrape_failure_log_file`: takes what scrapers say of scrapes that failed out of
 * shared memory, and appends it as Prometheus does, a JSON object a line (time, level, msg,
 * job_name, target). It is this process that does it because a scraper must not wait for a disk.
 * How far it has come stands in the console's slot: a successor goes on there.
 */
#ifndef CONSOLE_FAILURE_LOG_H
#define CONSOLE_FAILURE_LOG_H

#include "config/config.h"
#include "console/view.h"

struct failure_log;

/* NULL: no job wants one. *config and *view must outlive it. */
struct failure_log *failure_log_new(const struct config *config, struct view *view);
void failure_log_free(struct failure_log *log);

/* Appends what is new, all of it. NULL is allowed. */
void failure_log_turn(struct failure_log *log);

#endif
