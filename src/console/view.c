/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "console/view.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "base/log.h"
#include "console/text_format.h"

static void attach_rings(struct view *view, const struct view_fds *fds, uint32_t rings)
{
    view->ring_count = rings < SHM_MAX_SCRAPERS ? rings : SHM_MAX_SCRAPERS;
    for (uint32_t i = 0; i < view->ring_count; i++) {
        struct errctx why;
        int err = ring_consumer_attach(&view->rings[i], fds->ring[i], i, false, &why);
        view->ring_there[i] = err == 0;
        view->ring_fds[i] = fds->ring[i];
        view->series_fds[i] = fds->series[i];
        if (err != 0) {
            view_damaged(view);
            log_warn(MSG("cannot read this ring; its fill is not shown"), INT("ring", i),
                     STR("err", why.text));
        }
    }
}

int view_attach(struct view *view, const struct control *control,
                const struct shm_supervisor *supervisor, struct shm_slot *own,
                const struct view_fds *fds, uint32_t rings, struct errctx *reterr)
{
    *view = (struct view){
        .own = own, .control = control, .supervisor = supervisor, .supervisor_pid = getppid()};
    int err = targets_reader_attach(&view->targets, fds->targets, reterr);
    if (err != 0)
        return err;
    err = delivery_attach(&view->delivery, fds->delivery, rings, false, reterr);
    if (err != 0) {
        targets_reader_detach(&view->targets);
        return err;
    }
    attach_rings(view, fds, rings);
    return 0;
}

void view_detach(struct view *view)
{
    for (uint32_t i = 0; i < view->ring_count; i++) {
        if (view->ring_there[i])
            ring_consumer_detach(&view->rings[i]);
    }
    delivery_detach(&view->delivery);
    targets_reader_detach(&view->targets);
}

void view_damaged(struct view *view)
{
    slot_add(view->own, COUNTER_CONSOLE_DAMAGED, 1);
}

uint32_t view_slots(struct view *view)
{
    uint64_t scrapers = atomic_load_explicit(&view->supervisor->scrapers, memory_order_acquire);
    if (scrapers <= SHM_MAX_SCRAPERS)
        view->last_slot_count = SHM_SLOT_SCRAPER((uint32_t)scrapers);
    else
        view_damaged(view);
    return view->last_slot_count;
}

const struct shm_slot *view_slot(const struct view *view, uint32_t slot_index)
{
    check(slot_index < SHM_SLOTS);
    return control_slot(view->control, slot_index);
}

void view_slot_labels(uint32_t slot_index, bool with_role, struct strbuf *labels)
{
    if (with_role)
        text_label(labels, "role", slice_of(slot_name(slot_index)));
    if (slot_role(slot_index) == ROLE_SCRAPER) {
        char number[12];
        snprintf(number, sizeof(number), "%" PRIu32, slot_index - SHM_SLOT_SCRAPER(0));
        text_label(labels, "scraper", slice_of(number));
    }
}

bool view_process(const struct view *view, uint32_t slot_index, struct process *ret_process)
{
    uint32_t pid = atomic_load_explicit(&view_slot(view, slot_index)->pid, memory_order_relaxed);
    return pid <= INT32_MAX && process_read_child((pid_t)pid, view->supervisor_pid, ret_process);
}

struct slice view_text(const char *text, size_t size, char room[static VIEW_TEXT])
{
    check(size <= VIEW_TEXT);
    memcpy(room, text, size);
    return slice_make(room, strnlen(room, size));
}
