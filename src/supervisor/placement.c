/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "supervisor/placement.h"

#include "base/check.h"
#include "base/strbuf.h"

/* CPUs in the order in which scrapers take them. */
struct candidates {
    uint32_t cpus[CPU_SETSIZE];
    uint32_t count;
};

static void add(struct candidates *candidates, uint32_t cpu)
{
    check(candidates->count < CPU_SETSIZE);
    candidates->cpus[candidates->count++] = cpu;
}

/* Whole cores before second threads of cores that are taken already. */
static void add_allowed(struct candidates *candidates, const struct placement_input *input)
{
    for (int second = 0; second < 2; second++) {
        for (uint32_t cpu = 0; cpu < CPU_SETSIZE; cpu++) {
            bool is_second = CPU_ISSET(cpu, &input->second);
            if (CPU_ISSET(cpu, &input->allowed) && is_second == (second == 1))
                add(candidates, cpu);
        }
    }
}

/* True if some were left out. */
static bool add_configured(struct candidates *candidates, const struct placement_input *input)
{
    bool refused = false;
    for (size_t i = 0; i < input->cpus.len; i++) {
        int64_t cpu = input->cpus.items[i];
        if (cpu >= 0 && cpu < CPU_SETSIZE && CPU_ISSET((size_t)cpu, &input->allowed))
            add(candidates, (uint32_t)cpu);
        else
            refused = true;
    }
    return refused;
}

static bool wanted(const struct placement_input *input, uint32_t configured, const char **ret_why)
{
    if (input->pinning == CONFIG_PINNING_OFF) {
        *ret_why = "pinning is off: the kernel decides";
        return false;
    }
    if (input->pinning == CONFIG_PINNING_ON) {
        *ret_why = "pinning is on";
        return true;
    }
    if (input->cpus.len > 0) {
        *ret_why = configured > 0 ? "CPUs are configured"
                                  : "none of the configured CPUs is allowed: the kernel decides";
        return configured > 0;
    }
    bool exclusive = input->budget == (uint32_t)CPU_COUNT(&input->allowed);
    *ret_why = exclusive ? "the CPUs are limpet's own: as many as its budget"
                         : "the CPUs are shared with others: the kernel decides";
    return exclusive;
}

static void pin(struct placement *placement, const struct candidates *candidates, uint32_t scrapers)
{
    for (uint32_t i = 0; i < scrapers; i++) {
        uint32_t cpu = candidates->cpus[i % candidates->count];
        placement->scraper_cpu[i] = cpu;
        CPU_CLR(cpu, &placement->others);
    }
    if (CPU_COUNT(&placement->others) == 0)
        placement->others = placement->allowed;
}

void placement_plan(const struct placement_input *input, struct placement *ret_placement)
{
    check(input->scrapers >= 1 && input->scrapers <= SHM_MAX_SCRAPERS);
    struct placement placement = {.others = input->allowed, .allowed = input->allowed};
    struct candidates candidates = {.count = 0};
    placement.cpus_refused = add_configured(&candidates, input);
    placement.pinned = wanted(input, candidates.count, &placement.why);
    if (candidates.count == 0)
        add_allowed(&candidates, input);
    if (placement.pinned && candidates.count > 0)
        pin(&placement, &candidates, input->scrapers);
    else
        placement.pinned = false;
    *ret_placement = placement;
}

void placement_of(const struct placement *placement, int scraper, cpu_set_t *ret_cpus)
{
    if (scraper < 0 || !placement->pinned) {
        *ret_cpus = scraper < 0 ? placement->others : placement->allowed;
        return;
    }
    CPU_ZERO(ret_cpus);
    CPU_SET(placement->scraper_cpu[scraper], ret_cpus);
}

const char *placement_format_cpus(const cpu_set_t *cpus, char buffer[static PLACEMENT_TEXT])
{
    struct strbuf text = {buffer, 0, PLACEMENT_TEXT, true, false};
    strbuf_adds(&text, "");
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET((size_t)cpu, cpus))
            continue;
        int last = cpu;
        while (last + 1 < CPU_SETSIZE && CPU_ISSET((size_t)last + 1, cpus))
            last++;
        strbuf_addf(&text, text.len > 0 ? ",%d" : "%d", cpu);
        if (last > cpu)
            strbuf_addf(&text, "-%d", last);
        cpu = last;
    }
    return buffer;
}
