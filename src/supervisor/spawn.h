/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One fork and exec. The child gets exactly the descriptors that are listed, its CPUs, an empty
 * signal mask, and HERITAGE_ORPHAN_SIGNAL when the parent dies. All other descriptors of the parent
 * are closed on exec (spawn_prepare sees to those that it got from its own parent).
 */
#ifndef SUPERVISOR_SPAWN_H
#define SUPERVISOR_SPAWN_H

#include <sched.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

struct spawn_fd {
    int number; /* in the child, below HERITAGE_END */
    int fd;     /* in the parent, at least HERITAGE_END (runtime_lift) */
};

struct spawn {
    const char *path;
    const char *const *argv; /* ends with NULL */
    const struct spawn_fd *fds;
    uint32_t fd_count;
    const cpu_set_t *cpus; /* NULL: those of the parent */
};

/*
 * Once, first thing in the process: makes sure that 0, 1 and 2 exist, marks all other inherited
 * descriptors close-on-exec, and raises the limit of descriptors as far as it goes: a scraper needs
 * one for each target.
 */
void spawn_prepare(void);

/* Returns when the program has been executed. 0 and its pid, or -errno with what went wrong. */
int spawn_run(const struct spawn *spawn, pid_t *ret_pid, struct errctx *reterr) MUST_USE;

#endif
