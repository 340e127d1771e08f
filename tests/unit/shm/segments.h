/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the tests of shared memory need: segments in anonymous memory. Failures end the test. */
#ifndef TESTS_UNIT_SHM_SEGMENTS_H
#define TESTS_UNIT_SHM_SEGMENTS_H

#include "shm/ring.h"
#include "shm/segment.h"
#include "tests/unit/dice.h"

/* A new memfd that is a segment of this kind; the caller closes it. */
int segments_new(uint32_t kind, uint32_t index, uint64_t size, uint64_t geometry);

int segments_ring(uint64_t data_size);    /* ring 0 */
int segments_series(uint64_t arena_size); /* of scraper 0 */
int segments_targets(uint64_t half_size);
int segments_delivery(void);
int segments_control(void);

/* Another memfd with the same bytes, and holes where this one has them. */
int segments_copy(int fd);

/*
 * The consumer's side of a ring by the producer's own mapping, for tests with threads: a thread
 * sanitizer knows memory by its address and would not see that two mappings are the same bytes.
 * Nothing to detach.
 */
struct ring_consumer segments_twin(const struct ring_producer *ring);

/* ring_publish for those who need no doorbell. */
void segments_publish(struct ring_producer *ring);

/* Bytes of memory that the segment holds. */
uint64_t segments_memory(int fd);

#endif
