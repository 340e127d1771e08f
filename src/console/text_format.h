/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Writes the Prometheus text format 0.0.4: a family's HELP and TYPE, then its samples. The caller
 * keeps a family together.
 */
#ifndef CONSOLE_TEXT_FORMAT_H
#define CONSOLE_TEXT_FORMAT_H

#include <stdint.h>

#include "base/slice.h"
#include "base/strbuf.h"

#define TEXT_FORMAT_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* `type` is counter, gauge, histogram or untyped. */
void text_family(struct strbuf *page, struct slice name, const char *type, const char *help);

/*
 * Adds name="value" to a list of labels. The value comes from anywhere: it is escaped, and bytes
 * that are not UTF-8 become U+FFFD.
 */
void text_label(struct strbuf *labels, const char *name, struct slice value);

/*
 * One line: the value is value / divisor, a power of ten, written exactly. `fixed` and `labels` are
 * two halves of the label list; either may be empty.
 */
void text_sample(struct strbuf *page, struct slice name, struct slice fixed,
                 const struct strbuf *labels, uint64_t value, uint64_t divisor);

#endif
