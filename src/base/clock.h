/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The two clocks, in nanoseconds. Code under test takes time as a parameter instead. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

#define NS_PER_US INT64_C(1000)
#define NS_PER_MS INT64_C(1000000)
#define NS_PER_S  INT64_C(1000000000)

/* Unix time (CLOCK_REALTIME). */
int64_t clock_wall_ns(void);

/* CLOCK_MONOTONIC. */
int64_t clock_mono_ns(void);

/* Unix ns to ms, rounded down also before 1970. */
static inline int64_t clock_ms_of_ns(int64_t ns)
{
    return ns >= 0 ? ns / NS_PER_MS : -((-ns + NS_PER_MS - 1) / NS_PER_MS);
}

#endif
