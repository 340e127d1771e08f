/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How an API server is reached: as the configuration says, by a kubeconfig file, or, in a cluster,
 * by what Kubernetes gives every pod (environment and service account).
 */
#ifndef DISCOVERY_KUBE_ACCESS_H
#define DISCOVERY_KUBE_ACCESS_H

#include "base/arena.h"
#include "base/strbuf.h"
#include "config/config.h"

#define KUBE_SERVICE_ACCOUNT "/var/run/secrets/kubernetes.io/serviceaccount"

/* Everything is in the arena, or the configuration's. Counted references. */
struct kube_access {
    const char *url;
    struct config_http_client http; /* token files are read again for each request */
    const char *own_namespace;      /* in a cluster: that of limpet; else "" */
    struct strbuf identity;         /* equal for accesses that are the same */
    struct arena arena;
    unsigned users;
};

/* The caller has a reference. ERR_CONFIG: what is missing or wrong. */
int kube_access_new(const struct config_kubernetes_sd *config, struct kube_access **ret_access,
                    struct errctx *reterr) MUST_USE;

struct kube_access *kube_access_ref(struct kube_access *access);
void kube_access_unref(struct kube_access *access);

/* Options without anything in them: redirects are followed. */
struct config_http_client kube_access_no_options(void);

#endif
