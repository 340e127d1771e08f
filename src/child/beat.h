/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * When processes wake that have nothing to do: children for their sign of life, the supervisor to
 * look at these. All at the same moments, multiples of BEAT_NS of CLOCK_MONOTONIC, since one that
 * wakes right after another finds the kernel's code in the cache and the CPU out of its sleep.
 */
#ifndef CHILD_BEAT_H
#define CHILD_BEAT_H

#include <stdint.h>

#include "base/clock.h"

#define BEAT_NS (2 * NS_PER_S)

/* From one wake-up to the next that is not for work, at most. */
#define BEAT_APART_NS (BEAT_NS + BEAT_NS / 4)

/* The first beat that is not so near that who is awake now can wait for the one after it. */
static inline int64_t beat_after(int64_t mono_ns)
{
    return (mono_ns + BEAT_NS / 4 + BEAT_NS - 1) / BEAT_NS * BEAT_NS;
}

#endif
