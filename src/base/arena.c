/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/arena.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"

/*
 * Chunks are as large as all before them, since there are many small arenas; and as all that there
 * was before a reset, so that a repeat fits into the one that is kept.
 */
#define CHUNK_MIN 1008u
#define CHUNK_MAX 16384u

struct arena_chunk {
    struct arena_chunk *next;
    size_t used;
    size_t size;
    _Alignas(16) unsigned char bytes[];
};

static struct arena_chunk *chunk_new(struct arena *arena, size_t size)
{
    struct arena_chunk *chunk = calloc(1, sizeof(*chunk) + size);
    check(chunk != NULL);
    chunk->size = size;
    /* A large piece gets a chunk of its own behind the one being filled. */
    if (size > CHUNK_MAX && arena->chunks != NULL) {
        chunk->next = arena->chunks->next;
        arena->chunks->next = chunk;
    } else {
        chunk->next = arena->chunks;
        arena->chunks = chunk;
    }
    return chunk;
}

static size_t next_size(const struct arena *arena, size_t wanted)
{
    size_t size = arena->total > arena->former ? arena->total : arena->former;
    if (size < CHUNK_MIN)
        size = CHUNK_MIN;
    if (size > CHUNK_MAX)
        size = CHUNK_MAX;
    return wanted > size ? wanted : size;
}

void *arena_alloc(struct arena *arena, size_t size)
{
    size_t rounded = (size + 15) & ~(size_t)15;
    check(rounded >= size);
    struct arena_chunk *chunk = arena->chunks;
    if (chunk == NULL || chunk->size - chunk->used < rounded)
        chunk = chunk_new(arena, next_size(arena, rounded));
    void *piece = chunk->bytes + chunk->used;
    chunk->used += rounded;
    arena->total += rounded;
    return piece;
}

char *arena_copy(struct arena *arena, const void *bytes, size_t len)
{
    char *copy = arena_alloc(arena, len + 1);
    if (len > 0)
        memcpy(copy, bytes, len);
    return copy;
}

char *arena_strdup(struct arena *arena, const char *text)
{
    return arena_copy(arena, text, strlen(text));
}

struct slice arena_slice(struct arena *arena, struct slice text)
{
    return slice_make(arena_copy(arena, text.ptr, text.len), text.len);
}

void arena_reset(struct arena *arena)
{
    struct arena_chunk *kept = arena->chunks;
    if (kept == NULL)
        return;
    struct arena rest = {.chunks = kept->next};
    arena_fini(&rest);
    memset(kept->bytes, 0, kept->used);
    kept->next = NULL;
    kept->used = 0;
    arena->former = arena->total;
    arena->total = 0;
}

void arena_fini(struct arena *arena)
{
    struct arena_chunk *chunk = arena->chunks;
    while (chunk != NULL) {
        struct arena_chunk *next = chunk->next;
        free(chunk);
        chunk = next;
    }
    *arena = (struct arena){0};
}
