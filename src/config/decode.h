/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Nodes to structs, by a block of the schema table. The first thing that is wrong ends it with an
 * error at its position. Rules that concern more than one value: config/rules.h.
 */
#ifndef CONFIG_DECODE_H
#define CONFIG_DECODE_H

#include "config/node.h"
#include "config/schema.h"

/*
 * Fills the struct of `block` at `out` with defaults and with what `map` says. NULL and null are an
 * empty mapping. Strings and lists are copied into source->arena.
 */
int decode_block(const struct document *source, const struct node *map,
                 const struct schema_block *block, void *out) MUST_USE;

/* A list of the structs of `block`. NULL and null are an empty list; a null entry is an error. */
int decode_list(const struct document *source, const struct node *list, const char *name,
                const struct schema_block *block, struct schema_list *ret_list) MUST_USE;

#endif
