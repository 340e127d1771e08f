/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Runs a function instruction by instruction in a process of its own, so that a test can look at
 * shared memory as a death between any two of them would leave it.
 */
#ifndef TESTS_UNIT_SHM_STEPPER_H
#define TESTS_UNIT_SHM_STEPPER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct stepper {
    void (*run)(void *context);  /* in the other process */
    void (*look)(void *context); /* in this one, whenever a watched byte has changed */
    void *context;
    const uint8_t *watched[2]; /* shared memory; NULL: nothing */
    size_t watched_len[2];
};

/* How often something had changed; -1: this system does not let processes be traced. */
int stepper_run(const struct stepper *stepper);

#endif
