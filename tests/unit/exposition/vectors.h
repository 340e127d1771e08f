/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tests/data/exposition-vectors.jsonl: what Prometheus 3.14's own parsers make of some hundred
 * bodies. A byte string that is not UTF-8 stands there as {"b64": "..."}.
 */
#ifndef TESTS_EXPOSITION_VECTORS_H
#define TESTS_EXPOSITION_VECTORS_H

#include "exposition/exposition.h"
#include "json.h"

struct vector {
    struct slice id;
    enum exposition_format format;
    unsigned flags;
    struct slice body;
    const struct json *entries;
    struct slice error; /* ptr is NULL where the body is fine */
};

/* Calls visit for each vector; returns their number. Finds the file by $srcdir. */
int vectors_visit(void (*visit)(struct arena *arena, const struct vector *vector, void *state),
                  void *state);

/* The bytes of a JSON string or of a b64 object. */
struct slice vectors_bytes(struct arena *arena, const struct json *value);

#endif
