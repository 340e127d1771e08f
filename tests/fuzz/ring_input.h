/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An input of fuzz_ring: this header, then bytes of the ring from acked_pos on, as the first lap
 * says where they lie, then bytes of the series arena from its start. What is missing is zero.
 */
#ifndef TESTS_FUZZ_RING_INPUT_H
#define TESTS_FUZZ_RING_INPUT_H

#include "shm/layout.h"

#define RING_INPUT_RING  SHM_PIECE
#define RING_INPUT_ARENA SHM_PIECE

struct ring_input {
    uint64_t produced;
    uint64_t acked;
    uint64_t used;
    uint64_t ring_bytes;
    struct {
        uint64_t from;
        uint64_t place;
    } laps[SHM_RING_LAPS];
};

#endif
