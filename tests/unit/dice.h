/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What random tests need: a seed, which is said and can be given again (SEED=), and dice.
 */
#ifndef TESTS_UNIT_DICE_H
#define TESTS_UNIT_DICE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* Whether a run is to be repeated: a test that has several rounds makes that one only. */
static inline bool seed_is_given(void)
{
    return getenv("SEED") != NULL;
}

/* SEED, otherwise the usual one; says which. */
static inline uint64_t seed_of_run(const char *test, uint64_t usual)
{
    uint64_t seed = seed_is_given() ? strtoull(getenv("SEED"), NULL, 0) : usual;
    printf("%s: SEED=%llu\n", test, (unsigned long long)seed);
    fflush(stdout);
    return seed;
}

struct dice {
    uint64_t state; /* the seed; any is good */
};

/* Each run is another one, unless SEED is given. */
static inline struct dice dice_new(const char *test)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t usual = (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
    return (struct dice){seed_of_run(test, usual)};
}

static inline uint64_t dice_bits(struct dice *dice)
{
    /* A linear congruential step; its low bits are poor, so that they get the high ones' help. */
    dice->state = dice->state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return dice->state ^ (dice->state >> 29);
}

/* 0 ... sides - 1 */
static inline uint32_t dice_roll(struct dice *dice, uint32_t sides)
{
    return (uint32_t)(((dice_bits(dice) >> 32) * sides) >> 32);
}

#endif
