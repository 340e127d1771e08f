/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "shm/costs.h"

#include <stdlib.h>
#include <unistd.h>

#define BYTES      (SHM_COSTS_COUNT * sizeof(struct shm_cost))
#define A_PAGE     (SHM_PAGE / sizeof(struct shm_cost))
#define READ_PAGES 4u

int costs_attach(struct costs *costs, int ring_fd)
{
    segment_release(ring_fd, SHM_COSTS, SHM_COSTS + BYTES);
    void *table;
    int err = segment_map_part(ring_fd, SHM_COSTS, BYTES, &table);
    *costs = (struct costs){.table = table, .fd = ring_fd};
    return err;
}

void costs_detach(struct costs *costs)
{
    segment_unmap_part(costs->table, BYTES);
    free(costs->free);
    *costs = (struct costs){0};
}

/* A place, counted from 1; 0: there is none, or no memory. */
static uint32_t take_place(struct costs *costs)
{
    if (costs->free_len > 0)
        return costs->free[--costs->free_len];
    if (costs->used == SHM_COSTS_COUNT)
        return 0;
    uint64_t page = SHM_COSTS + costs->used / A_PAGE * SHM_PAGE;
    if (costs->used % A_PAGE == 0 && segment_reserve(costs->fd, page, page + SHM_PAGE) != 0)
        return 0;
    return ++costs->used;
}

void costs_set(struct costs *costs, uint32_t *place, uint64_t target_id, uint64_t cost_ns)
{
    if (*place == 0)
        *place = take_place(costs);
    if (*place == 0)
        return;
    struct shm_cost *cost = &costs->table[*place - 1];
    atomic_store_explicit(&cost->cost_ns, cost_ns, memory_order_relaxed);
    /* release; the cost is this target's, for who meets it in one read */
    atomic_store_explicit(&cost->target_id, target_id, memory_order_release);
}

void costs_clear(struct costs *costs, uint32_t *place)
{
    if (*place == 0)
        return;
    if (costs->free_len == costs->free_room) {
        costs->free_room = costs->free_room == 0 ? 64 : costs->free_room * 2;
        costs->free = realloc(costs->free, costs->free_room * sizeof(*costs->free));
        check(costs->free != NULL);
    }
    atomic_store_explicit(&costs->table[*place - 1].target_id, 0, memory_order_release);
    costs->free[costs->free_len++] = *place;
    *place = 0;
}

void costs_read(int ring_fd, void (*visit)(void *context, uint64_t target_id, uint64_t cost_ns),
                void *context)
{
    struct shm_cost piece[READ_PAGES * A_PAGE];
    /* Not mapped: to look at a hole through a mapping would fill it. */
    for (uint64_t at = 0; at + sizeof(piece) <= BYTES; at += sizeof(piece)) {
        if (pread(ring_fd, piece, sizeof(piece), (off_t)(SHM_COSTS + at)) != (ssize_t)sizeof(piece))
            return;
        for (size_t i = 0; i < sizeof(piece) / sizeof(piece[0]); i++) {
            uint64_t id = atomic_load_explicit(&piece[i].target_id, memory_order_relaxed);
            if (id != 0)
                visit(context, id, atomic_load_explicit(&piece[i].cost_ns, memory_order_relaxed));
        }
    }
}
_Static_assert(BYTES % (READ_PAGES * SHM_PAGE) == 0, "read in whole pieces");
