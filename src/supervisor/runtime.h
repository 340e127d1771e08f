/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where shared memory lives, and the locks that keep a second limpet off it.
 *
 * The runtime directory: --runtime.path; else $RUNTIME_DIRECTORY (systemd); else a directory below
 * /dev/shm whose name depends on the user and the storage path (without one, on the path of the
 * configuration), if there is room; else none, and segments are memfds, which outlive every child
 * but not the supervisor.
 */
#ifndef SUPERVISOR_RUNTIME_H
#define SUPERVISOR_RUNTIME_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct runtime {
    char path[PATH_MAX]; /* "" with memfds */
    int dir_fd;          /* -1 with memfds */
    int lock_fd;    /* in the runtime directory, else in the storage path; -1: neither exists */
    int storage_fd; /* the storage path, a directory; -1: none */
    int storage_lock_fd; /* -1: no storage path, or the same as lock_fd */
    bool on_disk;        /* not tmpfs: works, but costs disk writes */
};

#define RUNTIME_NONE                                                                               \
    ((struct runtime){.dir_fd = -1, .lock_fd = -1, .storage_fd = -1, .storage_lock_fd = -1})

struct runtime_request {
    const char *runtime_path; /* NULL: choose */
    const char *storage_path; /* NULL: none */
    const char *config_file;
    uint64_t room; /* bytes that the default place must have free */
};

/*
 * Finds or makes the directories (mode 0700) and the lock files, without locking. A directory that
 * belongs to somebody else, can be written by others or is a symbolic link is an error, or, for
 * the default place, a reason to use memfds. Storage and explicit runtime paths are made with
 * their parents.
 */
int runtime_open(struct runtime *runtime, const struct runtime_request *request,
                 struct errctx *reterr) MUST_USE;

/* Takes the locks without waiting: 0, or -EWOULDBLOCK while another limpet has one of them. */
int runtime_lock(struct runtime *runtime) MUST_USE;

/* Closes everything; children that live still hold what they inherited. */
void runtime_close(struct runtime *runtime);

/*
 * A descriptor of at least HERITAGE_END in place of fd, closed on exec: what children inherit is
 * then put at its number without running over another one. Returns it or -errno; fd is closed.
 */
int runtime_lift(int fd) MUST_USE;

#endif
