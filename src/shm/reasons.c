/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "shm/reasons.h"

#include <string.h>
#include <unistd.h>

/* A target's reason stands in one of so many places that follow each other. */
#define PLACES 16u
#define BYTES  (SHM_REASONS_COUNT * sizeof(struct shm_reason))

int reasons_attach(struct reasons *reasons, int ring_fd)
{
    segment_release(ring_fd, SHM_REASONS, SHM_REASONS + BYTES);
    void *table;
    int err = segment_map_part(ring_fd, SHM_REASONS, BYTES, &table);
    *reasons = (struct reasons){.table = table, .fd = ring_fd};
    return err;
}

void reasons_detach(struct reasons *reasons)
{
    segment_unmap_part(reasons->table, BYTES);
    *reasons = (struct reasons){0};
}

/* The first place of a group; groups do not overlap, and are whole pages. */
static uint32_t group_of(uint64_t target_id)
{
    uint32_t groups = SHM_REASONS_COUNT / PLACES;
    return (uint32_t)((target_id ^ target_id >> 32) % groups) * PLACES;
}
_Static_assert(PLACES * sizeof(struct shm_reason) == SHM_PAGE, "a group is a page");

static struct shm_reason *find(const struct reasons *reasons, uint64_t target_id, uint64_t wanted)
{
    struct shm_reason *group = &reasons->table[group_of(target_id)];
    for (uint32_t i = 0; i < PLACES; i++) {
        if (atomic_load_explicit(&group[i].target_id, memory_order_relaxed) == wanted)
            return &group[i];
    }
    return NULL;
}

void reasons_set(struct reasons *reasons, uint64_t target_id, int64_t since_ms, struct slice text)
{
    uint64_t page = SHM_REASONS + group_of(target_id) * sizeof(struct shm_reason);
    size_t len = text.len < sizeof(((struct shm_reason *)0)->text)
                     ? text.len
                     : sizeof(((struct shm_reason *)0)->text) - 1;
    if (target_id == 0 || segment_reserve(reasons->fd, page, page + SHM_PAGE) != 0)
        return;
    struct shm_reason *reason = find(reasons, target_id, target_id);
    if (reason == NULL)
        reason = find(reasons, target_id, 0);
    else if (strlen(reason->text) == len && memcmp(reason->text, text.ptr, len) == 0)
        return;
    if (reason == NULL)
        return;
    atomic_store_explicit(&reason->target_id, 0, memory_order_release);
    reason->since_ms = since_ms;
    memcpy(reason->text, text.ptr, len);
    memset(reason->text + len, 0, sizeof(reason->text) - len);
    atomic_store_explicit(&reason->target_id, target_id, memory_order_release);
}

void reasons_clear(struct reasons *reasons, uint64_t target_id)
{
    struct shm_reason *reason = find(reasons, target_id, target_id);
    if (reason != NULL)
        atomic_store_explicit(&reason->target_id, 0, memory_order_release);
}

bool reasons_read(int ring_fd, uint64_t target_id, struct shm_reason *ret_reason)
{
    struct shm_reason group[PLACES];
    off_t at = (off_t)(SHM_REASONS + group_of(target_id) * sizeof(struct shm_reason));
    /* Not mapped: to look at a hole through a mapping would fill it. */
    if (target_id == 0 || pread(ring_fd, group, sizeof(group), at) != (ssize_t)sizeof(group))
        return false;
    for (uint32_t i = 0; i < PLACES; i++) {
        if (atomic_load_explicit(&group[i].target_id, memory_order_relaxed) != target_id)
            continue;
        memcpy(ret_reason, &group[i], sizeof(*ret_reason));
        ret_reason->text[sizeof(ret_reason->text) - 1] = '\0';
        return true;
    }
    return false;
}
