/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/console/stage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/shm/segments.h"

void stage_open(struct stage *stage)
{
    struct errctx why;
    *stage = (struct stage){
        .control_fd = segments_control(),
        .fds = {.targets = segments_targets(256 << 10), .delivery = segments_delivery()}};
    for (uint32_t i = 0; i < STAGE_SCRAPERS; i++) {
        stage->fds.ring[i] = segments_new(SHM_KIND_RING, i, SHM_RING_DATA + (1 << 20), 1 << 20);
        stage->fds.series[i] = -1; /* integration tests have scrapes */
    }
    assert_int_equal(control_attach(&stage->writable, stage->control_fd, true, &why), 0);
    /* The supervisor may write its page only; the test is all children, too. */
    assert_int_equal(segment_allow(&stage->writable.segment, 0, stage->writable.segment.size), 0);
    assert_int_equal(control_attach(&stage->control, stage->control_fd, false, &why), 0);
    assert_int_equal(targets_writer_attach(&stage->targets, stage->fds.targets, &why), 0);
    assert_int_equal(
        delivery_attach(&stage->delivery, stage->fds.delivery, STAGE_SCRAPERS, true, &why), 0);
    stage->supervisor = control_supervisor(&stage->writable);
    atomic_store(&stage->supervisor->scrapers, STAGE_SCRAPERS);
    int err = view_attach(&stage->view, &stage->control, control_supervisor(&stage->control),
                          stage_slot(stage, SHM_SLOT_CONSOLE), &stage->fds, STAGE_SCRAPERS, &why);
    if (err != 0)
        fail_msg("%s", why.text);
    stage->view.supervisor_pid = getppid();
}

void stage_close(struct stage *stage)
{
    view_detach(&stage->view);
    delivery_detach(&stage->delivery);
    targets_writer_detach(&stage->targets);
    control_detach(&stage->control);
    control_detach(&stage->writable);
    close(stage->control_fd);
    close(stage->fds.targets);
    close(stage->fds.delivery);
    for (uint32_t i = 0; i < STAGE_SCRAPERS; i++)
        close(stage->fds.ring[i]);
}

struct shm_slot *stage_slot(struct stage *stage, uint32_t slot_index)
{
    size_t offset = (2 + (size_t)slot_index) * SHM_PAGE;
    return (struct shm_slot *)(void *)(stage->writable.segment.base + offset);
}

void stage_make_ready(struct stage *stage)
{
    targets_writer_begin(&stage->targets);
    targets_writer_commit(&stage->targets);
    for (uint32_t i = 0; i < SHM_SLOT_SCRAPER(STAGE_SCRAPERS); i++) {
        struct shm_slot *slot = stage_slot(stage, i);
        atomic_store(&slot->pid, (uint32_t)getpid());
        atomic_store(&slot->targets_generation, 1);
        slot_state(slot, SHM_STATE_READY);
    }
}

struct shm_remote *stage_remote(struct stage *stage, const char *name, const char *url)
{
    static const uint64_t start[STAGE_SCRAPERS];
    const struct delivery_names names = {name, name, url};
    struct shm_remote *remote;
    assert_int_equal(delivery_remote(&stage->delivery, &names, start, &remote), 0);
    return remote;
}
