/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "supervisor/cpus.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/slice.h"

/* Of a small file of /proc or /sys; "" if it cannot be read. */
static void read_text(const char *path, char *room, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t len = fd < 0 ? -1 : read(fd, room, size - 1);
    room[len > 0 ? len : 0] = '\0';
    if (fd >= 0)
        close(fd);
}

void cpus_allowed(cpu_set_t *ret_cpus)
{
    CPU_ZERO(ret_cpus);
    if (sched_getaffinity(0, sizeof(*ret_cpus), ret_cpus) < 0)
        CPU_SET(0, ret_cpus); /* more CPUs than the set holds: no pinning by way of one candidate */
}

void cpus_second_threads(const cpu_set_t *allowed, cpu_set_t *ret_cpus)
{
    CPU_ZERO(ret_cpus);
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        char path[96];
        char siblings[64];
        if (!CPU_ISSET((size_t)cpu, allowed))
            continue;
        snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list",
                 cpu);
        read_text(path, siblings, sizeof(siblings));
        /* "0,4" or "0-1": the first number is the lowest one. */
        long first = strtol(siblings, NULL, 10);
        if (siblings[0] != '\0' && first >= 0 && first < cpu && CPU_ISSET((size_t)first, allowed))
            CPU_SET((size_t)cpu, ret_cpus);
    }
}

static uint32_t whole_cpus(long long quota, long long period)
{
    if (quota <= 0 || period <= 0)
        return 0;
    long long cpus = quota / period + (quota % period != 0);
    return cpus < CPU_SETSIZE ? (uint32_t)cpus : 0;
}

uint32_t cpus_budget_of(const char *cpu_max)
{
    char *end;
    long long quota = strtoll(cpu_max, &end, 10); /* "max" gives 0 */
    return whole_cpus(quota, strtoll(end, NULL, 10));
}

static uint32_t budget_in(const char *mount, const char *group, bool version_2)
{
    char path[512];
    char quota[64];
    char period[64];
    snprintf(path, sizeof(path), "%s%s/%s", mount, group,
             version_2 ? "cpu.max" : "cpu.cfs_quota_us");
    read_text(path, quota, sizeof(quota));
    if (version_2)
        return cpus_budget_of(quota);
    snprintf(path, sizeof(path), "%s%s/cpu.cfs_period_us", mount, group);
    read_text(path, period, sizeof(period));
    return whole_cpus(strtoll(quota, NULL, 10), strtoll(period, NULL, 10));
}

/* The least of the group and all its parents. */
static uint32_t least_budget(const char *mount, char *group, bool version_2)
{
    uint32_t least = 0;
    for (;;) {
        uint32_t budget = budget_in(mount, strcmp(group, "/") == 0 ? "" : group, version_2);
        if (budget != 0 && (least == 0 || budget < least))
            least = budget;
        char *slash = strrchr(group, '/');
        if (slash == NULL || group[0] == '\0')
            return least;
        *slash = '\0';
    }
}

/* A line of /proc/self/cgroup: "0::/path" is version 2, "4:cpu,cpuacct:/path" version 1. */
static uint32_t budget_of_line(char *line)
{
    char *names = strchr(line, ':');
    char *group = names == NULL ? NULL : strchr(names + 1, ':');
    if (group == NULL)
        return 0;
    *group++ = '\0';
    if (strcmp(line, "0:") == 0)
        return least_budget("/sys/fs/cgroup", group, true);
    bool has_cpu = strcmp(names, ":cpu") == 0 || strncmp(names, ":cpu,", 5) == 0;
    return has_cpu ? least_budget("/sys/fs/cgroup/cpu", group, false) : 0;
}

uint32_t cpus_budget(void)
{
    char text[4096];
    uint32_t least = 0;
    char *rest = NULL;
    read_text("/proc/self/cgroup", text, sizeof(text));
    for (char *line = strtok_r(text, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest)) {
        uint32_t budget = budget_of_line(line);
        if (budget != 0 && (least == 0 || budget < least))
            least = budget;
    }
    return least;
}
