/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "supervisor/scale.h"

#include <errno.h>
#include <sched.h>

#include "base/log.h"

bool scale_is_removed(const struct children *children, const struct child_process *child)
{
    return child_is_scraper(child) &&
           (uint32_t)child_scraper_index(child) >= children->estate->scrapers;
}

void scale_show(struct children *children)
{
    uint64_t count = children->estate->scrapers;
    for (uint32_t i = 0; i < children->count; i++) {
        const struct child_process *child = &children->all[i];
        if (child_is_scraper(child) && child->state != LIFE_ENDED &&
            (uint64_t)child_scraper_index(child) >= count)
            count = (uint64_t)child_scraper_index(child) + 1;
    }
    /* release; for scrapers that look at what the last one of them has left */
    if (atomic_load_explicit(&children->page->scrapers, memory_order_relaxed) != count)
        atomic_store_explicit(&children->page->scrapers, count, memory_order_release);
}

static struct child_process *find_slot(struct children *children, uint32_t slot)
{
    for (uint32_t i = 0; i < children->count; i++) {
        if (children->all[i].slot == slot)
            return &children->all[i];
    }
    return NULL;
}

void scale_up(struct children *children, int64_t now)
{
    for (uint32_t i = 0; i < children->estate->scrapers; i++) {
        struct child_process *child = find_slot(children, SHM_SLOT_SCRAPER(i));
        if (child == NULL) {
            children_add(children, SHM_SLOT_SCRAPER(i), now);
        } else if (child->state == LIFE_ENDED) {
            child->state = LIFE_WAITING;
            child->due = now;
        }
    }
}

static uint64_t table_generation(const struct children *children)
{
    return slot_get(control_slot(children->control, SHM_SLOT_DISCOVERY),
                    COUNTER_TARGETS_GENERATION);
}

void scale_keep(struct children *children)
{
    uint64_t kept = atomic_load(&children->page->kept_scrapers);
    uint64_t living = atomic_load(&children->page->scrapers);
    atomic_store(&children->page->kept_scrapers, living > kept ? living : kept);
}

void scale_await_table(struct children *children)
{
    children->table_before = table_generation(children);
    children->table_after = 0;
}

static bool have_settled(const struct children *children)
{
    for (uint32_t i = 0; i < children->estate->scrapers; i++) {
        const struct shm_slot *slot = control_slot(children->control, SHM_SLOT_SCRAPER(i));
        if (atomic_load_explicit(&slot->settled_generation, memory_order_acquire) <
            children->table_after)
            return false;
    }
    return true;
}

void scale_look(struct children *children)
{
    struct shm_supervisor *page = children->page;
    if (children->rolling || atomic_load(&page->kept_scrapers) <= children->estate->scrapers)
        return;
    /* A table that was written since by a discovery which knows the number. */
    if (children->table_after == 0 && table_generation(children) > children->table_before)
        children->table_after = table_generation(children);
    if (children->table_after > 0 && have_settled(children))
        atomic_store(&page->kept_scrapers, children->estate->scrapers);
}

void scale_place(const struct children *children)
{
    for (uint32_t i = 0; i < children->count; i++) {
        const struct child_process *child = &children->all[i];
        cpu_set_t cpus;
        placement_of(children->placement, child_scraper_index(child), &cpus);
        if (child->pid > 0 && !scale_is_removed(children, child) &&
            sched_setaffinity(child->pid, sizeof(cpus), &cpus) < 0)
            log_warn(MSG("cannot move a child to other CPUs"), STR("child", child->name),
                     STR("err", err_text(-errno)));
    }
}
