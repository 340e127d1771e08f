/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * JSON text (RFC 8259) to nodes, for file_sd files: there everything is a string, so numbers and
 * booleans are refused, as Prometheus does. YAML readers cannot stand in: they stumble over tabs,
 * line ends before colons and characters written as two \u escapes.
 */
#ifndef CONFIG_JSON_H
#define CONFIG_JSON_H

#include "config/node.h"

#define JSON_MAX_DEPTH 16

/* Nodes live in source->arena. Duplicate keys are errors, and so is an empty text. */
int json_read(const struct document *source, const char *text, size_t len,
              const struct node **ret_root) MUST_USE;

/* The same for JSON of any other kind: numbers and booleans become plain scalars. */
int json_read_values(const struct document *source, const char *text, size_t len,
                     const struct node **ret_root) MUST_USE;

#endif
