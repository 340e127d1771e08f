/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Anonymous memory that nobody can change any more: how processes hand bytes on as a whole. */
#ifndef BASE_SEALED_H
#define BASE_SEALED_H

#include "base/check.h"
#include "base/slice.h"

/* A new memfd with `start` and `rest`, close-on-exec, sealed; the caller closes it. -errno. */
int sealed_make(const char *name, struct slice start, struct slice rest, int *ret_fd) MUST_USE;

/*
 * Maps it read-only. -EINVAL: empty, larger than `max`, or no such thing at all. Leaves fd open, at
 * any offset. sealed_unmap gives it back.
 */
int sealed_map(int fd, size_t max, struct slice *ret_bytes) MUST_USE;
void sealed_unmap(struct slice bytes);

#endif
