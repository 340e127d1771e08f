/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the processor can do beyond what programs are compiled for. Each function that asks has a
 * plain twin with the same results, which runs everywhere.
 */
#ifndef BASE_CPU_H
#define BASE_CPU_H

#include <stdbool.h>

#if defined(__x86_64__)
#define CPU_MAY_HAVE_AVX2 1
#define CPU_AVX2          __attribute__((target("avx2,bmi")))
#endif

/* Whether functions marked with CPU_AVX2 may be called: never where there is no such mark. */
static inline bool cpu_has_avx2(void)
{
#ifdef CPU_MAY_HAVE_AVX2
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi");
#else
    return false;
#endif
}

#endif
