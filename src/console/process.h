/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the kernel says about a process of limpet's: /proc/<pid>/stat. */
#ifndef CONSOLE_PROCESS_H
#define CONSOLE_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct process {
    pid_t parent;
    uint64_t cpu_ns; /* user and system, all threads */
    uint64_t resident_bytes;
};

/* False when there is no such process (a zombie is none), or /proc does not say. */
bool process_read(pid_t pid, struct process *ret_process);

/*
 * The same for a child of `parent` only: a pid out of shared memory may be old, and the kernel may
 * have given it to a stranger.
 */
bool process_read_child(pid_t pid, pid_t parent, struct process *ret_process);

#endif
