/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * limpet-writer as the process that it is, with the test in the supervisor's place: the program
 * itself, built with crash points. Failures end the test.
 */
#ifndef TESTS_WRITER_PROCESS_H
#define TESTS_WRITER_PROCESS_H

#include <stdbool.h>
#include <sys/types.h>

#include "shm/delivery.h"
#include "shm/heritage.h"
#include "shm/remote_counters.h"
#include "shm/slot.h"
#include "tests/unit/writer/receiver.h"
#include "tests/unit/writer/scrapers.h"

struct process {
    struct scrapers scrapers;
    struct receiver *receiver;
    int control_fd;
    int config_fd;
    int doorbell;
    int supervision; /* the supervisor's end */
    int storage;     /* a directory; -1: no spool */
    char storage_path[64];
    pid_t pid;                /* 0: none is running */
    struct delivery delivery; /* read-only */
    const struct shm_slot *slot;
    struct control control;
};

/* Call it once before anything else opens descriptors. */
void process_reserve_descriptors(void);

/* Segments, and a receiver with this script; `deadline` of a batch, and more lines of
 * queue_config. */
void process_open(struct process *process, uint32_t scrapers, const char *deadline,
                  const char *queue, receiver_script_fn *script, void *context);

/* A storage path: what is not taken within 20 ms goes into a spool. Before the first start. */
void process_store(struct process *process);

/* Files in the spool. */
uint32_t process_spool_files(const struct process *process);

void process_close(struct process *process);

/* Starts the program; crashpoint is "<name>:<n>" or NULL. Waits until it is ready or dead. */
void process_start(struct process *process, const char *crashpoint);

/* Publishes, and rings the doorbell if that is asked for. */
void process_scrape(struct process *process, const struct scrape *scrape);

/* One that is dead by now hears nothing. */
void process_order(struct process *process, enum heritage_kind order, uint64_t limit_ms);

/* The supervisor is dead. */
void process_orphan(struct process *process);

/* Waits for its end; returns the status of waitpid. */
int process_wait(struct process *process);

/* Whether it has ended, and how. */
bool process_has_ended(struct process *process, int *ret_status);

/* Everything in the rings is acknowledged. */
bool process_is_drained(const struct process *process);

uint64_t process_count(struct process *process, enum remote_counter counter);

#endif
