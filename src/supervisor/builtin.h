/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The configuration that limpet has by itself: that of --kubernetes. It stands in
 * src/supervisor/kubernetes.yml and is compiled in.
 */
#ifndef SUPERVISOR_BUILTIN_H
#define SUPERVISOR_BUILTIN_H

#include "base/strbuf.h"
#include "base/err.h"
#include "config/config.h"

/*
 * The text with the environment's NODE_NAME and NODE_IP in it (else the node is reached by its
 * name) and this URL. ERR_CONFIG: the environment does not say which node this is.
 */
int builtin_kubernetes(const char *remote_write_url, struct strbuf *out,
                       struct errctx *reterr) MUST_USE;

/* The same as a configuration; errors as those of config_load. */
int builtin_kubernetes_load(const char *remote_write_url, struct config **ret_config,
                            struct errctx *reterr) MUST_USE;

#endif
