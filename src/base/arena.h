/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A bump allocator for things that die together (a configuration, a target list). */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stddef.h>

#include "base/slice.h"

struct arena_chunk;

struct arena {
    struct arena_chunk *chunks; /* private */
    size_t total;               /* bytes handed out */
    size_t former;              /* the same before the last reset; private */
};

/* Zeroed memory, aligned to 16; never NULL (out of memory aborts). Lives until arena_fini. */
void *arena_alloc(struct arena *arena, size_t size);

/* NUL-terminated copies. */
char *arena_copy(struct arena *arena, const void *bytes, size_t len);
char *arena_strdup(struct arena *arena, const char *text);
struct slice arena_slice(struct arena *arena, struct slice text);

/* Forgets all that was handed out and keeps some of the memory, so that a repeat allocates nothing.
 */
void arena_reset(struct arena *arena);

void arena_fini(struct arena *arena);

#endif
