/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * kubeconfig files: the server, authorities, client certificate, token or password of the current
 * context. Programs that print credentials (exec, auth-provider) are not run.
 */
#ifndef DISCOVERY_KUBECONFIG_H
#define DISCOVERY_KUBECONFIG_H

#include "discovery/kube_access.h"

/*
 * Sets access->url and access->http; texts go into access->arena. `name` is for messages, and files
 * are relative to its directory. ERR_CONFIG, as "name:line:column: what is wrong".
 */
int kubeconfig_parse(const char *name, const char *text, size_t len, struct kube_access *access,
                     struct errctx *reterr) MUST_USE;

/* The same for a file. */
int kubeconfig_read(const char *path, struct kube_access *access, struct errctx *reterr) MUST_USE;

#endif
