/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The text of a scalar to the value of its type. Used for what the file says and for defaults. */
#ifndef CONFIG_VALUE_H
#define CONFIG_VALUE_H

#include "base/arena.h"
#include "base/slice.h"
#include "config/config.h"
#include "config/schema.h"

/* Whether schema_value_parse knows the type. */
bool value_is_scalar(enum schema_type type);

/*
 * Writes *out, which has the key's type. False if the text is none of that type or beyond the
 * key's bounds. `plain`: it stood without quotes, which booleans and numbers have to.
 */
bool value_parse(const struct schema_key *key, struct slice text, bool plain, struct arena *arena,
                 void *out);

/* Equal values of a scalar type. */
bool value_equal(const struct schema_key *key, const void *a, const void *b);

/* The word of an enum, NULL if it is none of them. */
const struct schema_word *value_word(const struct schema_key *key, struct slice text);

/* The booleans of YAML 1.1, which Prometheus' parser reads. False: it is none. */
bool value_bool(struct slice text, bool *ret);

#endif
