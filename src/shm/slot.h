/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Slots of the control segment: what each child says about itself. A child writes its own slot;
 * the supervisor and the console read all of them. Counters survive restarts of the child.
 */
#ifndef SHM_SLOT_H
#define SHM_SLOT_H

#include "shm/segment.h"

enum counter {
#define COUNTER(id, roles, type, name, help) COUNTER_##id,
#include "shm/counters.def"
#undef COUNTER
    COUNTER_COUNT
};
_Static_assert((int)COUNTER_COUNT <= (int)SHM_MAX_COUNTERS, "make SHM_MAX_COUNTERS larger");

/* Roles in counters.def, as a mask. */
#define ROLE_DISCOVERY 1u
#define ROLE_WRITER    2u
#define ROLE_CONSOLE   4u
#define ROLE_SCRAPER   8u

struct counter_info {
    const char *name; /* of the metric; may end with {label="value"} */
    const char *help;
    uint32_t roles;
    bool is_gauge;
    uint64_t divisor; /* shown = stored / divisor */
};
const struct counter_info *counter_info(enum counter counter);

/* The role of a slot's child. */
uint32_t slot_role(uint32_t slot_index);
const char *slot_name(uint32_t slot_index); /* "discovery", "scraper" ... */

struct control {
    struct shm_segment segment;
};

/* Read-only, or with the supervisor's page writable. */
int control_attach(struct control *control, int fd, bool writable, struct errctx *reterr) MUST_USE;
void control_detach(struct control *control);
struct shm_supervisor *control_supervisor(struct control *control);
const struct shm_slot *control_slot(const struct control *control, uint32_t slot_index);

/* The child's own slot, writable; only that page is. Moves its epoch and says it is starting. */
int slot_attach(int fd, uint32_t slot_index, struct shm_slot **ret_slot,
                struct errctx *reterr) MUST_USE;

/* One writer a slot, so that plain loads and stores of an atomic are enough: no locked add. */
static inline void slot_add(struct shm_slot *slot, enum counter counter, uint64_t more)
{
    _Atomic uint64_t *value = &slot->counters[counter];
    atomic_store_explicit(value, atomic_load_explicit(value, memory_order_relaxed) + more,
                          memory_order_relaxed);
}

static inline void slot_set(struct shm_slot *slot, enum counter counter, uint64_t value)
{
    atomic_store_explicit(&slot->counters[counter], value, memory_order_relaxed);
}

static inline uint64_t slot_get(const struct shm_slot *slot, enum counter counter)
{
    return atomic_load_explicit(&slot->counters[counter], memory_order_relaxed);
}

static inline void slot_progress(struct shm_slot *slot)
{
    uint64_t turns = atomic_load_explicit(&slot->progress, memory_order_relaxed);
    atomic_store_explicit(&slot->progress, turns + 1, memory_order_release);
}

static inline void slot_state(struct shm_slot *slot, uint32_t state)
{
    atomic_store_explicit(&slot->state, state, memory_order_release);
}

#endif
