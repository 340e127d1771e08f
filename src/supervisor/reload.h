/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A new edition of the configuration while limpet runs. A file that is not valid changes nothing;
 * a valid one is put in force, and the children are rolled to it one by one. If one of them cannot
 * work with it, the former edition comes back the same way.
 */
#ifndef SUPERVISOR_RELOAD_H
#define SUPERVISOR_RELOAD_H

#include "supervisor/supervisor.h"

/* For SIGHUP and requests of the console. The outcome goes to the log and the supervisor's page. */
void reload_try(struct supervisor *supervisor, int64_t now);

/* The child of this name cannot work. Whether there was a former edition to go back to. */
bool reload_go_back(struct supervisor *supervisor, const char *child, int64_t now);

/* All children work with the edition in force; ends what reload_try has begun, if anything. */
void reload_done(struct supervisor *supervisor);

#endif
