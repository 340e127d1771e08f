/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "shm/costs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "tests/unit/shm/segments.h"

static int fd;
static struct costs costs;

static int set_up(void **state)
{
    (void)state;
    fd = segments_ring(SHM_PIECE);
    return costs_attach(&costs, fd);
}

static int clean_up(void **state)
{
    (void)state;
    costs_detach(&costs);
    return close(fd);
}

/* What a reader finds: how many, and their sums. */
struct found {
    uint32_t count;
    uint64_t ids;
    uint64_t costs;
};

static void visit(void *context, uint64_t target_id, uint64_t cost_ns)
{
    struct found *found = context;
    found->count++;
    found->ids += target_id;
    found->costs += cost_ns;
}

static void expect(uint32_t count, uint64_t ids, uint64_t sum)
{
    struct found found = {0};
    costs_read(fd, visit, &found);
    assert_int_equal(found.count, count);
    assert_int_equal(found.ids, ids);
    assert_int_equal(found.costs, sum);
}

static void a_cost_is_read_until_it_is_taken_back(void **state)
{
    (void)state;
    uint32_t places[2] = {0};
    expect(0, 0, 0);
    costs_set(&costs, &places[0], 5, 1000);
    costs_set(&costs, &places[1], 6, 2000);
    expect(2, 11, 3000);
    costs_set(&costs, &places[0], 5, 1500);
    expect(2, 11, 3500);
    costs_clear(&costs, &places[0]);
    costs_clear(&costs, &places[0]);
    expect(1, 6, 2000);
}

static void a_place_is_used_again(void **state)
{
    (void)state;
    uint32_t place = 0;
    for (uint64_t id = 1; id <= 100000; id++) {
        costs_set(&costs, &place, id, id);
        expect(1, id, id);
        id += 9999;
        costs_clear(&costs, &place);
        assert_int_equal(place, 0);
    }
    assert_int_equal(costs.used, 1);
}

static void what_has_no_place_is_not_told(void **state)
{
    (void)state;
    uint32_t last = 0;
    for (uint64_t id = 1; id <= SHM_COSTS_COUNT; id++) {
        uint32_t place = 0;
        costs_set(&costs, &place, id, 1);
        assert_int_not_equal(place, 0);
    }
    costs_set(&costs, &last, 1, 1);
    assert_int_equal(last, 0);
    expect(SHM_COSTS_COUNT, (uint64_t)SHM_COSTS_COUNT * (SHM_COSTS_COUNT + 1) / 2, SHM_COSTS_COUNT);
}

static void memory_is_taken_as_it_is_needed(void **state)
{
    (void)state;
    uint64_t before = segments_memory(fd);
    uint32_t place = 0;
    costs_set(&costs, &place, 1, 1);
    expect(1, 1, 1);
    assert_int_equal(segments_memory(fd), before + SHM_PAGE);
}

static void a_successor_begins_with_none(void **state)
{
    (void)state;
    uint32_t place = 0;
    costs_set(&costs, &place, 1, 1);
    costs_detach(&costs);
    assert_int_equal(costs_attach(&costs, fd), 0);
    expect(0, 0, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_cost_is_read_until_it_is_taken_back, set_up, clean_up),
        cmocka_unit_test_setup_teardown(a_place_is_used_again, set_up, clean_up),
        cmocka_unit_test_setup_teardown(what_has_no_place_is_not_told, set_up, clean_up),
        cmocka_unit_test_setup_teardown(memory_is_taken_as_it_is_needed, set_up, clean_up),
        cmocka_unit_test_setup_teardown(a_successor_begins_with_none, set_up, clean_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
