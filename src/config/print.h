/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Structs of the schema table as text of a configuration file: the way back from what was loaded,
 * for people and for other programs. Secrets are printed as they are.
 */
#ifndef CONFIG_PRINT_H
#define CONFIG_PRINT_H

#include "base/strbuf.h"
#include "config/schema.h"

/*
 * Adds the keys that must be there or whose values differ from those of `base`, a struct of the
 * same block, as YAML with this indentation; nothing if there are none. `limpet` blocks are left
 * out: what is printed is for Prometheus.
 */
void config_print(const struct schema_block *block, const void *value, const void *base,
                  unsigned indent, struct strbuf *out);

#endif
