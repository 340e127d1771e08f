/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Environment variables in text, as Go's os.Expand does it for external_labels: $NAME, ${NAME},
 * one-character names such as $1 and $*; a $ before anything else stays. $$ is a dollar sign.
 */
#ifndef CONFIG_EXPAND_H
#define CONFIG_EXPAND_H

#include <stdbool.h>

#include "base/slice.h"
#include "base/strbuf.h"

/* Called for each name; adds its value to `out`. */
typedef void (*expand_lookup)(void *context, struct slice name, struct strbuf *out);

void expand_text(const char *text, expand_lookup lookup, void *context, struct strbuf *out);

#endif
