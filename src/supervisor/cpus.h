/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the system says about CPUs: affinity, threads of a core, the cgroup's share of time. */
#ifndef SUPERVISOR_CPUS_H
#define SUPERVISOR_CPUS_H

#include <sched.h>
#include <stdint.h>

/* The CPUs this process may use now, cpusets included. */
void cpus_allowed(cpu_set_t *ret_cpus);

/* Those of `allowed` whose core has a lower-numbered thread in `allowed` too (SMT siblings). */
void cpus_second_threads(const cpu_set_t *allowed, cpu_set_t *ret_cpus);

/*
 * CPUs worth of time, rounded up: the tightest limit of this process' cgroup and its parents
 * (cpu.max of version 2, cpu.cfs_quota_us of version 1). 0 = no limit.
 */
uint32_t cpus_budget(void);

/* The same of one file's text: "max 100000", "150000 100000" (version 2). 0 = no limit. */
uint32_t cpus_budget_of(const char *cpu_max);

#endif
