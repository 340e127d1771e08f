/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "shm/slot.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#include "tests/unit/shm/segments.h"

static struct shm_slot *attach(int fd, uint32_t slot_index)
{
    struct shm_slot *slot;
    struct errctx errctx = {{0}};
    if (slot_attach(fd, slot_index, &slot, &errctx) != 0)
        fail_msg("%s", errctx.text);
    return slot;
}

static void detach(struct shm_slot *slot)
{
    munmap(slot, SHM_PAGE);
}

static void a_child_and_the_console_see_the_same_slot(void **state)
{
    (void)state;
    struct control control;
    struct errctx errctx;
    int fd = segments_control();
    assert_int_equal(control_attach(&control, fd, false, &errctx), 0);
    struct shm_slot *own = attach(fd, SHM_SLOT_SCRAPER(5));
    const struct shm_slot *seen = control_slot(&control, SHM_SLOT_SCRAPER(5));
    slot_add(own, COUNTER_SCRAPES, 3);
    slot_add(own, COUNTER_SCRAPES, 4);
    slot_set(own, COUNTER_LINES, 9);
    slot_state(own, SHM_STATE_READY);
    assert_int_equal(slot_get(seen, COUNTER_SCRAPES), 7);
    assert_int_equal(slot_get(seen, COUNTER_LINES), 9);
    assert_int_equal(atomic_load(&seen->state), SHM_STATE_READY);
    assert_int_equal(atomic_load(&seen->pid), getpid());
    assert_int_equal(slot_get(control_slot(&control, SHM_SLOT_SCRAPER(4)), COUNTER_SCRAPES), 0);
    assert_int_equal(slot_get(control_slot(&control, SHM_SLOT_SCRAPER(6)), COUNTER_SCRAPES), 0);
    detach(own);
    control_detach(&control);
    close(fd);
}

static void counters_outlive_a_child_and_what_it_was_doing_does_not(void **state)
{
    (void)state;
    int fd = segments_control();
    struct shm_slot *slot = attach(fd, SHM_SLOT_WRITER);
    uint64_t progress = atomic_load(&slot->progress);
    slot_add(slot, COUNTER_WRITER_SAMPLES_IN, 11);
    slot_state(slot, SHM_STATE_READY);
    atomic_store(&slot->working_on, 4711);
    atomic_store(&slot->targets_generation, 5);
    detach(slot);
    slot = attach(fd, SHM_SLOT_WRITER);
    assert_int_equal(slot_get(slot, COUNTER_WRITER_SAMPLES_IN), 11);
    assert_int_equal(atomic_load(&slot->state), SHM_STATE_STARTING);
    assert_int_equal(atomic_load(&slot->epoch), 2);
    assert_int_equal(atomic_load(&slot->working_on), 0);
    assert_int_equal(atomic_load(&slot->targets_generation), 0);
    assert_true(atomic_load(&slot->progress) > progress);
    assert_true(atomic_load(&slot->started_at_ns) > 0);
    detach(slot);
    close(fd);
}

static bool can_be_written(const void *page)
{
    FILE *maps = fopen("/proc/self/maps", "re");
    char line[512];
    bool can = false;
    assert_non_null(maps);
    while (fgets(line, sizeof(line), maps) != NULL) {
        uintptr_t from;
        uintptr_t to;
        char rights[5];
        if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %4s", &from, &to, rights) == 3 &&
            from <= (uintptr_t)page && (uintptr_t)page < to)
            can = rights[1] == 'w';
    }
    fclose(maps);
    return can;
}

static void everyone_can_write_only_its_own_page(void **state)
{
    (void)state;
    struct control console;
    struct control supervisor;
    struct errctx errctx;
    int fd = segments_control();
    struct shm_slot *slot = attach(fd, SHM_SLOT_WRITER);
    assert_int_equal(control_attach(&console, fd, false, &errctx), 0);
    assert_int_equal(control_attach(&supervisor, fd, true, &errctx), 0);
    assert_true(can_be_written(slot));
    assert_false(can_be_written(control_supervisor(&console)));
    assert_true(can_be_written(control_supervisor(&supervisor)));
    assert_false(can_be_written(supervisor.segment.base));
    assert_false(can_be_written(control_slot(&supervisor, SHM_SLOT_DISCOVERY)));
    assert_false(can_be_written(control_slot(&supervisor, SHM_SLOTS - 1)));
    atomic_store(&control_supervisor(&supervisor)->scrapers, 7);
    assert_int_equal(atomic_load(&control_supervisor(&console)->scrapers), 7);
    control_detach(&console);
    control_detach(&supervisor);
    detach(slot);
    close(fd);
}

static void every_slot_has_a_role(void **state)
{
    (void)state;
    assert_string_equal(slot_name(SHM_SLOT_DISCOVERY), "discovery");
    assert_string_equal(slot_name(SHM_SLOT_WRITER), "writer");
    assert_string_equal(slot_name(SHM_SLOT_CONSOLE), "console");
    assert_string_equal(slot_name(SHM_SLOT_SCRAPER(0)), "scraper");
    assert_string_equal(slot_name(SHM_SLOTS - 1), "scraper");
    assert_int_equal(slot_role(SHM_SLOT_CONSOLE), ROLE_CONSOLE);
}

/* A metric's help stands where its name comes for the first time, and only there. */
static void the_counters_are_well_described(void **state)
{
    (void)state;
    const struct counter_info *before = NULL;
    for (uint32_t i = 0; i < COUNTER_COUNT; i++) {
        const struct counter_info *info = counter_info((enum counter)i);
        size_t name_len = strcspn(info->name, "{");
        bool is_same = before != NULL && strcspn(before->name, "{") == name_len &&
                       strncmp(before->name, info->name, name_len) == 0;
        assert_int_equal(strncmp(info->name, "limpet_", 7), 0);
        assert_int_not_equal(info->roles, 0);
        assert_int_equal(info->help[0] == '\0', is_same);
        if (is_same)
            assert_int_equal(info->is_gauge, before->is_gauge);
        before = info;
    }
    assert_null(counter_info(COUNTER_COUNT));
}

static void another_segment_is_no_control_segment(void **state)
{
    (void)state;
    struct shm_slot *slot;
    struct errctx errctx;
    int fd = segments_series(SHM_PIECE);
    assert_int_equal(slot_attach(fd, 0, &slot, &errctx), ERR_CORRUPT);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_child_and_the_console_see_the_same_slot),
        cmocka_unit_test(counters_outlive_a_child_and_what_it_was_doing_does_not),
        cmocka_unit_test(everyone_can_write_only_its_own_page),
        cmocka_unit_test(every_slot_has_a_role),
        cmocka_unit_test(the_counters_are_well_described),
        cmocka_unit_test(another_segment_is_no_control_segment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
