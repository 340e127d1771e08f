/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which parser reads a body: decided by the media type alone, parameters are ignored. */
#ifndef EXPOSITION_CONTENT_TYPE_H
#define EXPOSITION_CONTENT_TYPE_H

#include "base/err.h"
#include "base/slice.h"
#include "exposition/exposition.h"

/* The format of a body with this Content-Type header (empty: none was sent). fallback: the job's
 * fallback_scrape_protocol (PrometheusText0.0.4, PrometheusText1.0.0, OpenMetricsText0.0.1,
 * OpenMetricsText1.0.0, PrometheusProto) or NULL; it counts only where content_type names none of
 * the known types. Returns ERR_PROTOCOL, with Prometheus' words in ctx, when nothing decides. */
int exposition_format_of(struct slice content_type, const char *fallback,
                         enum exposition_format *ret_format, struct errctx *ctx) MUST_USE;

#endif
