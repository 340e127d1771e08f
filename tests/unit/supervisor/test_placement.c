/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "supervisor/placement.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "supervisor/cpus.h"
#include "tests/unit/dice.h"

/* "0-3,6": the other way round than placement_format_cpus. */
static cpu_set_t set_of(const char *text)
{
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    while (*text != '\0') {
        char *end;
        unsigned long first = strtoul(text, &end, 10);
        unsigned long last = *end == '-' ? strtoul(end + 1, &end, 10) : first;
        for (unsigned long cpu = first; cpu <= last; cpu++)
            CPU_SET(cpu, &cpus);
        text = *end == ',' ? end + 1 : end;
    }
    return cpus;
}

struct machine {
    const char *what;
    const char *allowed;
    const char *second; /* threads whose core has a lower one */
    uint32_t budget;
    uint32_t scrapers;
    const char *configured; /* `limpet: cpus` */
    enum config_pinning pinning;
    const char *scraper_cpus[4]; /* of each scraper, as text */
    const char *others;
    bool pinned;
    bool refused;
};

static const struct machine machines[] = {
    {.what = "a shared machine without limit",
     .allowed = "0-3",
     .scrapers = 1,
     .scraper_cpus = {"0-3"},
     .others = "0-3"},
    {.what = "a limit below the set: a burstable pod",
     .allowed = "0-7",
     .budget = 2,
     .scrapers = 2,
     .scraper_cpus = {"0-7", "0-7"},
     .others = "0-7"},
    {.what = "as many as the budget: a guaranteed pod",
     .allowed = "2-3",
     .budget = 2,
     .scrapers = 1,
     .scraper_cpus = {"2"},
     .others = "3",
     .pinned = true},
    {.what = "as many scrapers as CPUs of its own",
     .allowed = "2-3",
     .budget = 2,
     .scrapers = 2,
     .scraper_cpus = {"2", "3"},
     .others = "2-3",
     .pinned = true},
    {.what = "one CPU of its own",
     .allowed = "5",
     .budget = 1,
     .scrapers = 1,
     .scraper_cpus = {"5"},
     .others = "5",
     .pinned = true},
    {.what = "one CPU, shared",
     .allowed = "0",
     .scrapers = 1,
     .scraper_cpus = {"0"},
     .others = "0"},
    {.what = "one CPU for three scrapers",
     .allowed = "1",
     .scrapers = 3,
     .pinning = CONFIG_PINNING_ON,
     .scraper_cpus = {"1", "1", "1"},
     .others = "1",
     .pinned = true},
    {.what = "whole cores before second threads",
     .allowed = "0-3",
     .second = "1,3",
     .budget = 4,
     .scrapers = 3,
     .scraper_cpus = {"0", "2", "1"},
     .others = "3",
     .pinned = true},
    {.what = "second threads numbered behind all cores",
     .allowed = "0-7",
     .second = "4-7",
     .scrapers = 2,
     .pinning = CONFIG_PINNING_ON,
     .scraper_cpus = {"0", "1"},
     .others = "2-7",
     .pinned = true},
    {.what = "configured CPUs",
     .allowed = "0-7",
     .scrapers = 2,
     .configured = "6,3",
     .scraper_cpus = {"6", "3"},
     .others = "0-2,4-5,7",
     .pinned = true},
    {.what = "fewer configured CPUs than scrapers",
     .allowed = "0-3",
     .scrapers = 3,
     .configured = "1,2",
     .scraper_cpus = {"1", "2", "1"},
     .others = "0,3",
     .pinned = true},
    {.what = "configured CPUs of which one is not allowed",
     .allowed = "0-1",
     .scrapers = 1,
     .configured = "7,1",
     .scraper_cpus = {"1"},
     .others = "0",
     .pinned = true,
     .refused = true},
    {.what = "no configured CPU is allowed",
     .allowed = "0-1",
     .scrapers = 1,
     .configured = "7",
     .scraper_cpus = {"0-1"},
     .others = "0-1",
     .refused = true},
    {.what = "no configured CPU is allowed, but pinning is on",
     .allowed = "0-1",
     .scrapers = 1,
     .configured = "7",
     .pinning = CONFIG_PINNING_ON,
     .scraper_cpus = {"0"},
     .others = "1",
     .pinned = true,
     .refused = true},
    {.what = "a number beyond any CPU",
     .allowed = "0-1",
     .scrapers = 1,
     .configured = "4096,0",
     .scraper_cpus = {"0"},
     .others = "1",
     .pinned = true,
     .refused = true},
    {.what = "pinning off",
     .allowed = "2-3",
     .budget = 2,
     .scrapers = 1,
     .configured = "2",
     .pinning = CONFIG_PINNING_OFF,
     .scraper_cpus = {"2-3"},
     .others = "2-3"},
    {.what = "pinning on, shared machine",
     .allowed = "0-3",
     .scrapers = 2,
     .pinning = CONFIG_PINNING_ON,
     .scraper_cpus = {"0", "1"},
     .others = "2-3",
     .pinned = true},
    {.what = "high numbers",
     .allowed = "510-513",
     .budget = 4,
     .scrapers = 1,
     .scraper_cpus = {"510"},
     .others = "511-513",
     .pinned = true},
};

static struct config_ints ints_of(const char *text, int64_t room[8])
{
    struct config_ints ints = {room, 0};
    while (text != NULL && *text != '\0') {
        char *end;
        room[ints.len++] = strtoll(text, &end, 10);
        text = *end == ',' ? end + 1 : end;
    }
    return ints;
}

static void try_machine(const struct machine *machine)
{
    int64_t room[8];
    char text[PLACEMENT_TEXT];
    struct placement placement;
    cpu_set_t cpus;
    const struct placement_input input = {
        .allowed = set_of(machine->allowed),
        .second = set_of(machine->second != NULL ? machine->second : ""),
        .budget = machine->budget,
        .scrapers = machine->scrapers,
        .cpus = ints_of(machine->configured, room),
        .pinning = machine->pinning,
    };
    print_message("%s\n", machine->what);
    placement_plan(&input, &placement);
    assert_int_equal(placement.pinned, machine->pinned);
    assert_int_equal(placement.cpus_refused, machine->refused);
    for (uint32_t i = 0; i < machine->scrapers; i++) {
        placement_of(&placement, (int)i, &cpus);
        assert_string_equal(placement_format_cpus(&cpus, text), machine->scraper_cpus[i]);
    }
    placement_of(&placement, -1, &cpus);
    assert_string_equal(placement_format_cpus(&cpus, text), machine->others);
}

static void every_machine_gets_its_plan(void **context)
{
    (void)context;
    for (size_t i = 0; i < sizeof(machines) / sizeof(machines[0]); i++)
        try_machine(&machines[i]);
}

/* What holds on any machine. */
static void nobody_is_ever_put_on_a_cpu_that_is_not_allowed(void **context)
{
    (void)context;
    struct dice dice = dice_new("placement");
    for (int round = 0; round < 2000; round++) {
        struct placement_input input = {.scrapers = 1 + dice_roll(&dice, SHM_MAX_SCRAPERS)};
        struct placement placement;
        input.budget = dice_roll(&dice, 9);
        input.pinning = (enum config_pinning)dice_roll(&dice, 3);
        CPU_ZERO(&input.allowed);
        CPU_ZERO(&input.second);
        CPU_SET(dice_roll(&dice, 64), &input.allowed);
        for (size_t cpu = 0; cpu < 64; cpu++) {
            if (dice_roll(&dice, 3) == 0)
                CPU_SET(cpu, &input.allowed);
            if (dice_roll(&dice, 2) == 0 && CPU_ISSET(cpu, &input.allowed))
                CPU_SET(cpu, &input.second);
        }
        int64_t room[3];
        for (int i = 0; i < 3; i++)
            room[i] = dice_roll(&dice, 70);
        input.cpus = (struct config_ints){room, dice_roll(&dice, 4)};
        placement_plan(&input, &placement);
        for (int who = -1; who < (int)input.scrapers; who++) {
            cpu_set_t cpus;
            cpu_set_t outside;
            placement_of(&placement, who, &cpus);
            CPU_AND(&outside, &cpus, &input.allowed);
            assert_true(CPU_COUNT(&cpus) > 0);
            assert_true(CPU_EQUAL(&outside, &cpus));
        }
    }
}

static void long_sets_are_cut_and_empty_ones_are_empty(void **context)
{
    (void)context;
    char text[PLACEMENT_TEXT];
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    assert_string_equal(placement_format_cpus(&cpus, text), "");
    for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu += 2)
        CPU_SET(cpu, &cpus);
    assert_int_equal(strlen(placement_format_cpus(&cpus, text)), PLACEMENT_TEXT - 1);
    assert_memory_equal(text, "0,2,4,6,", 8);
}

static void a_budget_is_rounded_up(void **context)
{
    (void)context;
    assert_int_equal(cpus_budget_of("max 100000"), 0);
    assert_int_equal(cpus_budget_of("100000 100000"), 1);
    assert_int_equal(cpus_budget_of("100001 100000"), 2);
    assert_int_equal(cpus_budget_of("150000 100000\n"), 2);
    assert_int_equal(cpus_budget_of("10000 100000"), 1);
    assert_int_equal(cpus_budget_of("400000 100000"), 4);
    assert_int_equal(cpus_budget_of(""), 0);
    assert_int_equal(cpus_budget_of("50000"), 0);
    assert_int_equal(cpus_budget_of("-1 100000"), 0);
    assert_int_equal(cpus_budget_of("nonsense"), 0);
}

static void this_process_has_cpus_and_they_are_its_affinity(void **context)
{
    (void)context;
    cpu_set_t all;
    cpu_set_t one;
    cpu_set_t now;
    cpus_allowed(&all);
    assert_true(CPU_COUNT(&all) >= 1);
    size_t first = 0;
    while (!CPU_ISSET(first, &all))
        first++;
    CPU_ZERO(&one);
    CPU_SET(first, &one);
    assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
    cpus_allowed(&now);
    assert_true(CPU_EQUAL(&now, &one));
    cpus_second_threads(&one, &now);
    assert_int_equal(CPU_COUNT(&now), 0);
    assert_int_equal(sched_setaffinity(0, sizeof(all), &all), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_machine_gets_its_plan),
        cmocka_unit_test(nobody_is_ever_put_on_a_cpu_that_is_not_allowed),
        cmocka_unit_test(long_sets_are_cut_and_empty_ones_are_empty),
        cmocka_unit_test(a_budget_is_rounded_up),
        cmocka_unit_test(this_process_has_cpus_and_they_are_its_affinity),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
