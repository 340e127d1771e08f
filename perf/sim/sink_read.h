/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads a WriteRequest: which series its samples are of, and whether a Prometheus would take them.
 *
 * Senders repeat series in the same order, so the entry that came after the one at hand the last
 * time is looked at first: if its label bytes have the hash of those that are here, they are taken
 * for the same (as they are by the table of all series), and no label is looked at.
 */
#ifndef SIM_SINK_READ_H
#define SIM_SINK_READ_H

#include <stdbool.h>

#include "base/slice.h"
#include "sim/sink.h"

/*
 * Appends the samples of the message to those given, and meets its series. Returns false if it is
 * malformed; what was read before that is there all the same.
 */
bool sink_read(struct sink *sink, struct slice message, struct sink_samples *samples);

/* ---- For readers of both versions ---- */

/* A message while it is read. */
struct sink_reading {
    struct sink *sink;
    struct sink_samples *samples;
    uint32_t last; /* the entry of the series before this one; at first SINK_NO_SERIES */
};

/* The series that came after that one the last time; SINK_NO_SERIES: there is none. */
uint32_t sink_reading_expect(const struct sink_reading *reading);

/* The series of these Label fields, known or new, which is what is expected from now on;
   SINK_NO_SERIES: they are malformed. */
uint32_t sink_reading_meet(struct sink_reading *reading, struct slice fields);

/* Appends a sample of the series. */
void sink_reading_add(struct sink_reading *reading, struct sink_entry *entry, uint64_t bits,
                      int64_t ts);

#endif
