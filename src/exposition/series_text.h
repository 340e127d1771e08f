/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The series of a metric of the protobuf format, written as the text formats would write it, labels
 * in the order of their names: the identity of a sample inside one scrape, whatever the format.
 * Private to exposition/.
 */
#ifndef EXPOSITION_SERIES_TEXT_H
#define EXPOSITION_SERIES_TEXT_H

#include "exposition/metric.h"

struct strbuf;

/*
 * Replaces what is in `out` by the series of family + suffix with the metric's labels and, in its
 * place among them, `extra` if that is not NULL. The result is a view of `out`.
 */
struct slice series_text(struct strbuf *out, struct slice family, const char *suffix,
                         const struct metric *metric, const struct exposition_label *extra);

#endif
