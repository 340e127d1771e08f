/* SPDX-License-Identifier: GPL-2.0-or-later */
/* For tests of discovery from jobs to the table. Failures end the test. */
#ifndef TESTS_UNIT_DISCOVERY_SYNCED_H
#define TESTS_UNIT_DISCOVERY_SYNCED_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "discovery/sync.h"
#include "tests/unit/discovery/directory.h"

#define SYNCED_SCRAPERS 3u

/* Segments and files, which outlive a discovery; and one discovery. */
struct synced {
    struct directory directory;
    int targets_fd;
    int control_fd;
    struct shm_slot *slot;
    struct targets_reader reader;
    struct config *config;
    struct resolver *resolver;
    struct source_host host;
    bool changed;
    struct targets_writer table;
    struct sync sync;
};

/* A test whose *state is one. */
#define SYNCED(test) cmocka_unit_test_setup_teardown(test, synced_make, synced_destroy)

int synced_make(void **state);
int synced_destroy(void **state);

/* A discovery for this configuration. Relative file names are those of the fixture's directory. */
void synced_start(struct synced *fixture, const char *text);
void synced_end(struct synced *fixture);

/* Reads all files again. True when something changed. */
bool synced_read_files(struct synced *fixture);

void synced_write(struct synced *fixture);

/* Until all names have an answer. */
void synced_collect_names(struct synced *fixture);

size_t synced_count(const struct synced *fixture);

/* "WHAT: WHY" of all that is shown as no target, one after another. */
void synced_expect_refused(const struct synced *fixture, const char *wanted);

/* The only target with this URL; its texts are good until the next look. */
struct target_view synced_find(const struct synced *fixture, const char *url);
bool synced_has(const struct synced *fixture, const char *url);
void synced_expect_label(const struct target_view *target, const char *name, const char *value);

#endif
