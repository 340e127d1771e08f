/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Both ends of a ring. Failures end the test. */
#ifndef TESTS_UNIT_SHM_RING_PAIR_H
#define TESTS_UNIT_SHM_RING_PAIR_H

#include "shm/ring.h"

struct ring_pair {
    int fd;
    struct ring_producer in;
    struct ring_consumer out;
    int64_t now_ns;
};

/* A new ring with so many bytes of data. */
void ring_pair_make(struct ring_pair *pair, uint64_t size);
void ring_pair_destroy(struct ring_pair *pair);

/* The ends die, and others come. */
void ring_pair_detach(struct ring_pair *pair);
void ring_pair_attach(struct ring_pair *pair);

/* Bytes that are all `fill`; returns what ring_reserve does. */
int ring_pair_reserve(struct ring_pair *pair, size_t bytes, int fill);

/* The same, and publishes them. */
void ring_pair_put(struct ring_pair *pair, size_t bytes, int fill);
void ring_pair_expect(const struct ring_pair *pair, uint64_t pos, size_t bytes, int fill);

/* Publishes bytes of which each 64 say where they lie; all that wait must be such. */
void ring_pair_put_marked(struct ring_pair *pair, size_t bytes);
void ring_pair_expect_marked(const struct ring_pair *pair);

void ring_pair_acknowledge(struct ring_pair *pair);

/* ring_trim, so much later than the last time. */
void ring_pair_trim(struct ring_pair *pair, int64_t seconds);

#endif
