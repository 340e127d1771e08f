/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * http_sd_configs: a list of target groups in JSON that an HTTP server gives, asked for on each
 * refresh interval. Whatever is not a valid list keeps the groups there were. Rules: Prometheus
 * 3.14, HTTP service discovery (7.4 of the specification).
 */
#ifndef DISCOVERY_HTTP_SD_H
#define DISCOVERY_HTTP_SD_H

#include "discovery/source.h"

/* *config must outlive it. Errors: the URL. */
int http_sd_new(struct source_host *host, const struct config_http_sd *config,
                struct source **ret_source, struct errctx *reterr) MUST_USE;

#endif
