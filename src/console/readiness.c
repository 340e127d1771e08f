/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "console/readiness.h"

#include <inttypes.h>

static void add_name(struct strbuf *missing, uint32_t slot_index)
{
    strbuf_adds(missing, slot_name(slot_index));
    if (slot_role(slot_index) == ROLE_SCRAPER)
        strbuf_addf(missing, " %" PRIu32, slot_index - SHM_SLOT_SCRAPER(0));
}

/* NULL when the state is "ready". */
static const char *trouble_of_state(uint32_t state)
{
    switch (state) {
    case SHM_STATE_READY:
        return NULL;
    case SHM_STATE_STARTING:
        return "is starting";
    case SHM_STATE_DRAINING:
    case SHM_STATE_STOPPED:
        return "is leaving";
    case SHM_STATE_NONE:
        return "has not been started";
    default:
        return "is in a state that does not exist";
    }
}

static const char *trouble_of_slot(const struct view *view, uint32_t slot_index)
{
    const struct shm_slot *slot = view_slot(view, slot_index);
    const char *trouble =
        trouble_of_state(atomic_load_explicit(&slot->state, memory_order_acquire));
    struct process process;
    if (trouble != NULL)
        return trouble;
    /* One that was killed cannot say so. */
    if (!view_process(view, slot_index, &process))
        return "has died";
    if (slot_role(slot_index) == ROLE_SCRAPER &&
        atomic_load_explicit(&slot->targets_generation, memory_order_acquire) == 0)
        return "has no targets yet";
    return NULL;
}

bool readiness_stopping(const struct view *view)
{
    return atomic_load_explicit(&view->supervisor->stopping, memory_order_acquire) != 0;
}

bool readiness_check(struct view *view, struct strbuf *missing)
{
    size_t before = missing->len;
    if (readiness_stopping(view))
        strbuf_adds(missing, "limpet is stopping\n");
    if (targets_reader_generation(&view->targets) == 0)
        strbuf_adds(missing, "discovery has not written a target table yet\n");
    uint32_t slots = view_slots(view);
    if (slots <= SHM_SLOT_SCRAPER(0))
        strbuf_adds(missing, "no scraper has been started\n");
    for (uint32_t i = 0; i < slots; i++) {
        const char *trouble = trouble_of_slot(view, i);
        if (trouble == NULL)
            continue;
        add_name(missing, i);
        strbuf_addf(missing, " %s\n", trouble);
    }
    return missing->len == before;
}
