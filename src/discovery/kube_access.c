/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "discovery/kube_access.h"

#include <stdlib.h>

#include "config/codec.h"
#include "config/schema_discovery.h"
#include "discovery/kubeconfig.h"
#include "discovery/sd_credentials.h"

struct config_http_client kube_access_no_options(void)
{
    return (struct config_http_client){
        .basic_auth = {false, "", "", "", ""},
        .authorization = {false, "", "", ""},
        .oauth2 = {.client_id = "", .token_url = ""},
        .bearer_token = "",
        .bearer_token_file = "",
        .tls_config = {.ca = "",
                       .ca_file = "",
                       .cert = "",
                       .cert_file = "",
                       .key = "",
                       .key_file = "",
                       .server_name = ""},
        .proxy = {.proxy_url = "", .no_proxy = ""},
        .follow_redirects = true,
    };
}

static int use_cluster(struct kube_access *access, struct errctx *reterr)
{
    const char *host = getenv("KUBERNETES_SERVICE_HOST");
    const char *port = getenv("KUBERNETES_SERVICE_PORT");
    if (host == NULL || port == NULL || host[0] == '\0' || port[0] == '\0')
        return err_set(reterr, ERR_CONFIG,
                       "unable to load in-cluster configuration, KUBERNETES_SERVICE_HOST and "
                       "KUBERNETES_SERVICE_PORT must be defined; outside of a cluster give "
                       "`api_server` or `kubeconfig_file`");
    bool brackets = strchr(host, ':') != NULL;
    struct strbuf url = STRBUF_GROWING;
    strbuf_addf(&url, "https://%s%s%s:%s", brackets ? "[" : "", host, brackets ? "]" : "", port);
    access->url = arena_strdup(&access->arena, url.text);
    strbuf_fini(&url);
    access->http = kube_access_no_options();
    access->http.tls_config.ca_file = KUBE_SERVICE_ACCOUNT "/ca.crt";
    access->http.authorization =
        (struct config_authorization){true, "Bearer", "", KUBE_SERVICE_ACCOUNT "/token"};
    struct slice ns;
    if (sd_read_file(KUBE_SERVICE_ACCOUNT "/namespace", &access->arena, &ns, NULL) == 0)
        access->own_namespace = ns.ptr;
    return 0;
}

static int init(struct kube_access *access, const struct config_kubernetes_sd *config,
                struct errctx *reterr)
{
    /* What concerns the server; the rest is the same for all. */
    const struct config_kubernetes_sd server = {.api_server = config->api_server,
                                                .kubeconfig_file = config->kubeconfig_file,
                                                .http = config->http};
    codec_encode(&schema_kubernetes_sd, &server, &access->identity);
    access->http = kube_access_no_options();
    if (config->kubeconfig_file[0] != '\0')
        return kubeconfig_read(config->kubeconfig_file, access, reterr);
    if (config->api_server[0] == '\0')
        return use_cluster(access, reterr);
    access->url = config->api_server;
    access->http = config->http;
    return 0;
}

int kube_access_new(const struct config_kubernetes_sd *config, struct kube_access **ret_access,
                    struct errctx *reterr)
{
    struct kube_access *access = calloc(1, sizeof(*access));
    check(access != NULL);
    access->own_namespace = "";
    access->users = 1;
    int err = init(access, config, reterr);
    if (err == 0)
        *ret_access = access;
    else
        kube_access_unref(access);
    return err;
}

struct kube_access *kube_access_ref(struct kube_access *access)
{
    access->users++;
    return access;
}

void kube_access_unref(struct kube_access *access)
{
    if (--access->users > 0)
        return;
    strbuf_fini(&access->identity);
    arena_fini(&access->arena);
    free(access);
}
