/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A parsed file before it means anything: scalars, lists and mappings with their positions.
 * Made by config/yaml.c, read by the decoder and by the rules. Nodes live in an arena and are
 * shared where the file uses aliases, so the "tree" is a graph without cycles.
 */
#ifndef CONFIG_NODE_H
#define CONFIG_NODE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/slice.h"

enum node_kind { NODE_SCALAR, NODE_LIST, NODE_MAP };

struct node;

struct node_pair {
    const struct node *key; /* a scalar */
    const struct node *value;
};

struct node {
    enum node_kind kind;
    bool plain;                      /* a scalar without quotes: may be null or a boolean */
    unsigned line, column;           /* from 1 */
    size_t weight;                   /* nodes in it, aliases expanded */
    struct slice text;               /* NODE_SCALAR: NUL-terminated, may contain NUL */
    size_t len;                      /* of items or pairs */
    const struct node *const *items; /* NODE_LIST */
    const struct node_pair *pairs;   /* NODE_MAP: in the order of the file, keys unique */
};

/* What is being read: every error carries its name. */
struct document {
    const char *name;
    struct arena *arena; /* of what is made of the nodes */
    struct errctx *err;
};

struct node_message {
    char text[sizeof(((struct errctx *)0)->text)];
};

/*
 * "name:line:column: format" in one line: control characters become spaces, since names from the
 * file may hold some. A NULL node stands for the start of the file.
 */
void node_format(struct node_message *message, const struct document *source, const struct node *at,
                 const char *format, va_list args) PRINTF_LIKE(4, 0);

/* Sets "name:line:column: format"; ERR_CONFIG. */
int node_fail(const struct document *source, const struct node *at, const char *format, ...)
    PRINTF_LIKE(3, 4);

/*
 * A file name in the file: relative ones count from its directory; "" stays. In the arena or `path`
 * itself.
 */
const char *document_resolve(const struct document *source, const char *path);

/* null, ~ or nothing at all. NULL counts as null. */
bool node_is_null(const struct node *node);

/* The node as JSON; scalars without quotes are what YAML makes of them. In the arena. */
const char *node_json(const struct node *node, struct arena *arena);

/* The value of a key, NULL if it is not there or `map` is no mapping (or NULL). */
const struct node *node_get(const struct node *map, const char *key);

/* The item of a list, NULL beyond it or if `list` is no list (or NULL). */
const struct node *node_at(const struct node *list, size_t index);

/* The first that is not NULL. */
const struct node *node_or(const struct node *first, const struct node *second);

/* For messages: a short scalar in quotes, "a list", "a mapping" or "empty". */
struct node_text {
    char text[80];
};
struct node_text node_describe(const struct node *node);

#endif
