/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A writer in the test's own process, between scrapers.h and receiver.h. rig_crash drops it in the
 * middle of whatever it does and starts a new one, which finds what a killed process would leave.
 * Failures end the test.
 */
#ifndef TESTS_WRITER_RIG_H
#define TESTS_WRITER_RIG_H

#include "base/clock.h"
#include "shm/remote_counters.h"
#include "tests/unit/writer/receiver.h"
#include "tests/unit/writer/scrapers.h"
#include "writer/writer.h"

enum { RIG_REMOTES_MAX = 3 };

/* No wait is longer; reaching it is a failure. */
#define RIG_PATIENCE_NS (60 * NS_PER_S)

struct rig {
    struct scrapers scrapers;
    uint64_t ring_size;
    struct receiver *receivers[RIG_REMOTES_MAX];
    struct config config;
    struct config_remote remotes[RIG_REMOTES_MAX];
    char urls[RIG_REMOTES_MAX][64];
    char names[RIG_REMOTES_MAX][16];
    struct shm_slot slot;
    struct shm_supervisor supervisor;
    struct loop *loop;
    struct writer writer;
    char storage[64]; /* a directory; empty: no spool */
};

/* Call it once before anything else opens descriptors: the numbers of shm/heritage.h are kept. */
void rig_reserve_descriptors(void);

/*
 * Segments of `scrapers` scrapers and a configuration with `remotes` remotes that have short pauses
 * (min_backoff 1 ms, deadline 20 ms); no writer yet, so that the test can change rig->remotes.
 */
void rig_open(struct rig *rig, uint32_t scrapers, uint64_t ring_size, uint32_t remotes);

/* A storage path, so that remotes have spools of at most max_bytes; before rig_start. */
void rig_store(struct rig *rig, uint64_t max_bytes);

/* The path of a remote's spool, in path[256]. */
void rig_spool_path(const struct rig *rig, uint32_t remote, char *path);

/* Files of a remote's spool. */
uint32_t rig_spool_files(const struct rig *rig, uint32_t remote);

/* The receiver of a remote; NULL script: it stores everything. */
void rig_receive(struct rig *rig, uint32_t remote, receiver_script_fn *script, void *context);

void rig_start(struct rig *rig);
void rig_crash(struct rig *rig);

/* Ends the writer; all shared memory is new, the storage path and the receivers stay. */
void rig_forget(struct rig *rig);
void rig_close(struct rig *rig);

/* One turn of the writer's main loop, waiting for at most wait_ms. */
void rig_turn(struct rig *rig, int64_t wait_ms);

/* Turns until the condition holds. */
#define RIG_TURN_UNTIL(rig, condition)                                                             \
    do {                                                                                           \
        int64_t limit_ns_ = clock_mono_ns() + RIG_PATIENCE_NS;                                     \
        while (!(condition)) {                                                                     \
            assert_true(clock_mono_ns() < limit_ns_);                                              \
            rig_turn((rig), 10);                                                                   \
        }                                                                                          \
    } while (0)

/* Turns until nothing waits in any spool. */
void rig_empty_spools(struct rig *rig);

/* Turns until everything is acknowledged; the batches need not be full. */
void rig_drain(struct rig *rig);

/* Turns until so many requests came to the receiver of remote 0. */
void rig_run_until_requests(struct rig *rig, size_t count);

/* Turns until the receiver has what there was of requests that were broken off: of them nothing
   arrives any more. */
void rig_let_requests_arrive(struct rig *rig, uint32_t remote);

uint64_t rig_count(const struct rig *rig, uint32_t remote, enum remote_counter counter);

/* All that was published has arrived, in order, with the right values; copies do not matter. */
void rig_assert_complete(struct rig *rig, uint32_t remote);

#endif
