/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Families out of the counter lists (shm/counters.def, shm/remote_counters.def). An entry there is
 * a sample, name and fixed labels in one text; this finds out which entries make one family. Those
 * whose name ends in _bucket with a label le, and _sum and _count of the same name, are one
 * histogram.
 */
#ifndef CONSOLE_COUNTER_TABLE_H
#define CONSOLE_COUNTER_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

/* What the lists give. */
struct counter_row {
    const char *name; /* may end with {label="value"} */
    const char *help;
    bool is_gauge;
    uint64_t divisor;
};

/* A row taken apart. */
struct counter_entry {
    struct slice family;
    struct slice name;   /* of the sample */
    struct slice labels; /* without braces */
    const char *type;
    const char *help; /* the family's: the first that is not empty */
    uint64_t divisor;
    bool leads;         /* the first entry of its family */
    bool is_also_count; /* the last bucket of a histogram that has no _count of its own */
};

/* Fills entries[count]; texts are those of the rows. */
void counter_table_build(const struct counter_row *rows, size_t count,
                         struct counter_entry *entries);

#endif
