/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The sink's account as JSON; fields in perf/README.md. */
#ifndef SIM_SINK_REPORT_H
#define SIM_SINK_REPORT_H

#include "base/strbuf.h"
#include "sim/sink.h"

/* GET /report */
void sink_report_write(const struct sink *sink, struct strbuf *json);

/* GET /scrapes: every scrape of every target of the farm. */
void sink_report_write_scrapes(const struct sink *sink, struct strbuf *json);

/* GET /series?match=name: labels and samples kept, of that metric name; "*" is every series. */
void sink_report_write_series(const struct sink *sink, struct slice name, struct strbuf *json);

#endif
