/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The counters of a remote (remote_counters.def) in its place of the delivery segment. The writer
 * counts; the console shows them with the labels remote_name and url of struct shm_remote.
 */
#ifndef SHM_REMOTE_COUNTERS_H
#define SHM_REMOTE_COUNTERS_H

#include <stdbool.h>

#include "shm/layout.h"

enum remote_counter {
#define COUNTER(id, type, divisor, name, help) REMOTE_##id,
#include "shm/remote_counters.def"
#undef COUNTER
    REMOTE_COUNTER_COUNT
};
_Static_assert((int)REMOTE_COUNTER_COUNT <= 128, "struct shm_remote has no room for more");

struct remote_counter_info {
    const char *name; /* of the metric; may end with {label="value"} */
    const char *help; /* "" where the one before of the same metric has it */
    bool is_gauge;
    uint64_t divisor; /* shown = stored / divisor */
};
const struct remote_counter_info *remote_counter_info(enum remote_counter counter);

/* One writing process, so that plain loads and stores of an atomic are enough. */
static inline void remote_count(struct shm_remote *remote, enum remote_counter counter,
                                uint64_t more)
{
    _Atomic uint64_t *value = &remote->counters[counter];
    atomic_store_explicit(value, atomic_load_explicit(value, memory_order_relaxed) + more,
                          memory_order_relaxed);
}

static inline void remote_set(struct shm_remote *remote, enum remote_counter counter,
                              uint64_t value)
{
    atomic_store_explicit(&remote->counters[counter], value, memory_order_relaxed);
}

static inline uint64_t remote_get(const struct shm_remote *remote, enum remote_counter counter)
{
    return atomic_load_explicit(&remote->counters[counter], memory_order_relaxed);
}

#endif
