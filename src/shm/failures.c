/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "shm/failures.h"

#include <string.h>
#include <unistd.h>

#include "shm/words.h"

int failures_attach(struct failures *failures, int ring_fd)
{
    void *shared;
    int err = segment_map_part(ring_fd, SHM_FAILURES, sizeof(struct shm_failures), &shared);
    *failures = (struct failures){.shared = shared, .fd = ring_fd};
    return err;
}

void failures_detach(struct failures *failures)
{
    segment_unmap_part(failures->shared, sizeof(struct shm_failures));
    *failures = (struct failures){0};
}

static uint64_t place_of(uint64_t number)
{
    return SHM_FAILURES + offsetof(struct shm_failures, places) +
           number % SHM_FAILURES_COUNT * sizeof(struct shm_failure);
}

void failures_add(struct failures *failures, uint64_t target_id, int64_t at_ms, struct slice text)
{
    struct shm_failures *shared = failures->shared;
    struct shm_failure failure = {.target_id = target_id, .at_ms = at_ms};
    size_t len = text.len < sizeof(failure.text) ? text.len : sizeof(failure.text) - 1;
    if (shared == NULL || segment_reserve(failures->fd, SHM_FAILURES, SHM_FAILURES + 1) != 0)
        return;
    uint64_t number = atomic_load_explicit(&shared->written, memory_order_relaxed);
    uint64_t place = place_of(number);
    if (segment_reserve(failures->fd, place, place + sizeof(failure)) != 0)
        return;
    memcpy(failure.text, text.ptr, len);
    words_store(&shared->places[number % SHM_FAILURES_COUNT], &failure, sizeof(failure));
    /* release; pairs with failures_read */
    atomic_store_explicit(&shared->written, number + 1, memory_order_release);
}

/* By reading: to look at a hole through a mapping would fill it. */
static uint64_t written_by_now(int ring_fd)
{
    uint64_t written;
    if (pread(ring_fd, &written, sizeof(written), SHM_FAILURES) != (ssize_t)sizeof(written))
        return 0;
    return written;
}

/* The one whose place is being written now may not be whole. */
static bool is_whole(uint64_t number, uint64_t written)
{
    return written - number < SHM_FAILURES_COUNT;
}

int failures_read(int ring_fd, uint64_t *next, struct shm_failure *ret_failure, uint64_t *ret_lost)
{
    uint64_t written = written_by_now(ring_fd);
    if (*next > written)
        *next = written; /* those were of another segment */
    while (*next < written) {
        ssize_t size = (ssize_t)sizeof(*ret_failure);
        if (is_whole(*next, written) &&
            pread(ring_fd, ret_failure, sizeof(*ret_failure), (off_t)place_of(*next)) == size &&
            is_whole(*next, written_by_now(ring_fd))) {
            ret_failure->text[sizeof(ret_failure->text) - 1] = '\0';
            (*next)++;
            return 1;
        }
        uint64_t oldest = written - (SHM_FAILURES_COUNT - 1);
        uint64_t later = is_whole(*next, written) ? *next + 1 : oldest;
        *ret_lost += later - *next;
        *next = later;
    }
    return 0;
}
