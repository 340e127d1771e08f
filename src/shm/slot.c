/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "shm/slot.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"

/* is_gauge, divisor */
#define TYPE_COUNTER    false, 1
#define TYPE_COUNTER_NS false, 1000000000
#define TYPE_GAUGE      true, 1
#define TYPE_GAUGE_NS   true, 1000000000
#define TYPE_GAUGE_MS   true, 1000

static const struct counter_info infos[] = {
#define COUNTER(id, roles, type, name, help) {name, help, roles, TYPE_##type},
#include "shm/counters.def"
#undef COUNTER
};

const struct counter_info *counter_info(enum counter counter)
{
    return (size_t)counter < COUNTER_COUNT ? &infos[counter] : NULL;
}

uint32_t slot_role(uint32_t slot_index)
{
    check(slot_index < SHM_SLOTS);
    switch (slot_index) {
    case SHM_SLOT_DISCOVERY:
        return ROLE_DISCOVERY;
    case SHM_SLOT_WRITER:
        return ROLE_WRITER;
    case SHM_SLOT_CONSOLE:
        return ROLE_CONSOLE;
    default:
        return ROLE_SCRAPER;
    }
}

const char *slot_name(uint32_t slot_index)
{
    switch (slot_role(slot_index)) {
    case ROLE_DISCOVERY:
        return "discovery";
    case ROLE_WRITER:
        return "writer";
    case ROLE_CONSOLE:
        return "console";
    default:
        return "scraper";
    }
}

static uint64_t slot_offset(uint32_t slot_index)
{
    check(slot_index < SHM_SLOTS);
    return (2 + (uint64_t)slot_index) * SHM_PAGE;
}

int control_attach(struct control *control, int fd, bool writable, struct errctx *reterr)
{
    int err = segment_map(&control->segment, fd, SHM_KIND_CONTROL, 0, false, reterr);
    if (err != 0 || !writable)
        return err;
    err = segment_allow(&control->segment, SHM_PAGE, 2 * SHM_PAGE);
    if (err != 0) {
        control_detach(control);
        err_set(reterr, err, "cannot map the supervisor's page: %s", err_text(err));
    }
    return err;
}

void control_detach(struct control *control)
{
    segment_unmap(&control->segment);
}

struct shm_supervisor *control_supervisor(struct control *control)
{
    return (struct shm_supervisor *)(void *)(control->segment.base + SHM_PAGE);
}

const struct shm_slot *control_slot(const struct control *control, uint32_t slot_index)
{
    return (const struct shm_slot *)(const void *)(control->segment.base + slot_offset(slot_index));
}

/* What the predecessor said of itself goes; its counters stay. */
static void start_over(struct shm_slot *slot)
{
    uint64_t epoch = atomic_load_explicit(&slot->epoch, memory_order_relaxed);
    atomic_store_explicit(&slot->state, SHM_STATE_STARTING, memory_order_release);
    atomic_store_explicit(&slot->epoch, epoch + 1, memory_order_relaxed);
    atomic_store_explicit(&slot->started_at_ns, (uint64_t)clock_wall_ns(), memory_order_relaxed);
    atomic_store_explicit(&slot->working_on, 0, memory_order_relaxed);
    atomic_store_explicit(&slot->targets_generation, 0, memory_order_release);
    atomic_store_explicit(&slot->backend, 0, memory_order_relaxed);
    memset(slot->backend_why, 0, sizeof(slot->backend_why));
    /* From here on the supervisor takes what stands here for this process' own words. */
    atomic_store_explicit(&slot->pid, (uint32_t)getpid(), memory_order_release);
    slot_progress(slot);
}

int slot_attach(int fd, uint32_t slot_index, struct shm_slot **ret_slot, struct errctx *reterr)
{
    struct shm_header header;
    off_t offset = (off_t)slot_offset(slot_index);
    int err = segment_check(fd, SHM_KIND_CONTROL, 0, &header, reterr);
    if (err != 0)
        return err;
    struct shm_slot *slot = mmap(NULL, SHM_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, offset);
    if (slot == MAP_FAILED)
        return err_set(reterr, -errno, "cannot map the slot of the %s: %s", slot_name(slot_index),
                       strerror(errno));
    start_over(slot);
    *ret_slot = slot;
    return 0;
}
