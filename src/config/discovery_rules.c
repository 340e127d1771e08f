/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config/discovery_rules.h"

#include <string.h>
#include <strings.h>

#include "base/strbuf.h"
#include "config/http_rules.h"
#include "config/kube_selector.h"

static const char *const role_names[] = {"pod",           "service", "endpoints",
                                         "endpointslice", "node",    "ingress"};

static bool given(const char *text)
{
    return text[0] != '\0';
}

static const struct node *at(const struct node *entry, const char *key)
{
    return node_or(node_get(entry, key), entry);
}

/* In Prometheus' words. */
static int check_server_url(const struct document *source, const struct node *entry,
                            const char *key, const char *url)
{
    static const char *const schemes[] = {"http://", "https://"};
    for (size_t i = 0; i < 2; i++) {
        size_t len = strlen(schemes[i]);
        if (strncasecmp(url, schemes[i], len) != 0)
            continue;
        if (url[len] == '\0' || strchr("/?#", url[len]) != NULL)
            return node_fail(source, at(entry, key), "host is missing in URL");
        return 0;
    }
    return node_fail(source, at(entry, key), "URL scheme must be 'http' or 'https'");
}

static int apply_http_sd(const struct document *source, const struct node *entry,
                         struct config_http_sd *sd)
{
    if (!given(sd->url))
        return node_fail(source, at(entry, "url"), "URL is missing");
    int err = check_server_url(source, entry, "url", sd->url);
    return err != 0 ? err : http_rules_apply(source, entry, &sd->http);
}

static int apply_dns_sd(const struct document *source, const struct node *entry,
                        const struct config_dns_sd *sd)
{
    if (sd->names.len == 0)
        return node_fail(source, at(entry, "names"),
                         "DNS-SD config must contain at least one SRV record name");
    if (sd->port == 0 && sd->type != CONFIG_DNS_SRV)
        return node_fail(source, at(entry, "port"),
                         "a port is required in DNS-SD configs for all record types except SRV");
    return 0;
}

/* ---- Kubernetes ---- */

/* The kinds that a role looks at, and may select among, as bits. */
static unsigned kinds_of(enum config_kube_role role)
{
    static const unsigned kinds[] = {
        [CONFIG_KUBE_POD] = 1u << CONFIG_KUBE_POD | 1u << CONFIG_KUBE_NODE,
        [CONFIG_KUBE_SERVICE] = 1u << CONFIG_KUBE_SERVICE,
        [CONFIG_KUBE_ENDPOINTS] =
            1u << CONFIG_KUBE_ENDPOINTS | 1u << CONFIG_KUBE_SERVICE | 1u << CONFIG_KUBE_POD,
        [CONFIG_KUBE_ENDPOINTSLICE] =
            1u << CONFIG_KUBE_ENDPOINTSLICE | 1u << CONFIG_KUBE_SERVICE | 1u << CONFIG_KUBE_POD,
        [CONFIG_KUBE_NODE] = 1u << CONFIG_KUBE_NODE,
        [CONFIG_KUBE_INGRESS] = 1u << CONFIG_KUBE_INGRESS,
    };
    return kinds[role];
}

static int refuse_selector(const struct document *source, const struct node *selector,
                           enum config_kube_role role)
{
    char text[128];
    struct strbuf names = STRBUF_FIXED(text);
    for (size_t i = 0; i < sizeof(role_names) / sizeof(role_names[0]); i++) {
        if (kinds_of(role) & 1u << i)
            strbuf_addf(&names, "%s%s", names.len > 0 ? ", " : "", role_names[i]);
    }
    return node_fail(source, at(selector, "role"), "%s role supports only %s selectors",
                     role_names[role], text);
}

static int check_selector(const struct document *source, const struct node *node,
                          const struct config_kube_selector *selector)
{
    if (!kube_selector_is_label(selector->label))
        return node_fail(source, at(node, "label"), "\"%.200s\" is not a label selector",
                         selector->label);
    if (!kube_selector_is_field(selector->field))
        return node_fail(source, at(node, "field"),
                         "\"%.200s\" is not a field selector, which is field=value or "
                         "field!=value",
                         selector->field);
    return 0;
}

static int check_selectors(const struct document *source, const struct node *list,
                           const struct config_kubernetes_sd *sd)
{
    unsigned seen = 0;
    for (size_t i = 0; i < sd->selectors.len; i++) {
        const struct config_kube_selector *selector = &sd->selectors.items[i];
        unsigned bit = 1u << selector->role;
        if (seen & bit)
            return node_fail(source, at(node_at(list, i), "role"), "duplicated selector role: %s",
                             role_names[selector->role]);
        seen |= bit;
        if (!(kinds_of(sd->role) & bit))
            return refuse_selector(source, node_at(list, i), sd->role);
        int err = check_selector(source, node_at(list, i), selector);
        if (err != 0)
            return err;
    }
    return 0;
}

/* The first option of the HTTP client that the entry gives, beyond what is the default anyway. */
static const char *custom_client(const struct node *entry, const struct config_http_client *http)
{
    static const char *const keys[] = {
        "basic_auth", "authorization", "oauth2",   "bearer_token",           "bearer_token_file",
        "tls_config", "proxy_url",     "no_proxy", "proxy_from_environment", "http_headers"};
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        if (!node_is_null(node_get(entry, keys[i])))
            return keys[i];
    }
    return !http->follow_redirects ? "follow_redirects"
           : !http->enable_http2   ? "enable_http2"
                                   : NULL;
}

static int check_server(const struct document *source, const struct node *entry,
                        const struct config_kubernetes_sd *sd)
{
    const char *client = custom_client(entry, &sd->http);
    bool server = given(sd->api_server), file = given(sd->kubeconfig_file);
    if (server && file)
        return node_fail(source, at(entry, "kubeconfig_file"),
                         "cannot use 'kubeconfig_file' and 'api_server' simultaneously");
    if (file && client != NULL)
        return node_fail(source, at(entry, client),
                         "cannot use a custom HTTP client configuration together with "
                         "'kubeconfig_file'");
    if (!server && client != NULL)
        return node_fail(source, at(entry, client),
                         "to use custom HTTP client configuration please provide the "
                         "'api_server' URL explicitly");
    if (server && sd->namespaces.own_namespace)
        return node_fail(source, at(entry, "namespaces"),
                         "cannot use 'api_server' and 'namespaces.own_namespace' simultaneously");
    if (file && sd->namespaces.own_namespace)
        return node_fail(
            source, at(entry, "namespaces"),
            "cannot use 'kubeconfig_file' and 'namespaces.own_namespace' simultaneously");
    return server ? check_server_url(source, entry, "api_server", sd->api_server) : 0;
}

static int apply_kubernetes_sd(const struct document *source, const struct node *entry,
                               struct config_kubernetes_sd *sd)
{
    int err = check_server(source, entry, sd);
    if (err == 0)
        err = check_selectors(source, node_get(entry, "selectors"), sd);
    if (err == 0)
        err = http_rules_apply(source, entry, &sd->http);
    if (given(sd->kubeconfig_file))
        sd->kubeconfig_file = document_resolve(source, sd->kubeconfig_file);
    return err;
}

static int apply_kubelet_sd(const struct document *source, const struct node *entry,
                            struct config_kubelet_sd *sd)
{
    int err = given(sd->url) ? check_server_url(source, entry, "url", sd->url) : 0;
    return err != 0 ? err : http_rules_apply(source, entry, &sd->http);
}

static int check_bounds(const struct document *source, const struct node *entry,
                        const struct config_job *job, const struct config_annotation_sd *sd)
{
    if (sd->min_interval > sd->max_interval)
        return node_fail(source, at(entry, "min_interval"),
                         "`min_interval` is longer than `max_interval`");
    if (sd->max_timeout > job->scrape_interval)
        return node_fail(source, at(entry, "max_timeout"),
                         "`max_timeout` is longer than the job's `scrape_interval`");
    if (strcmp(sd->scheme, "http") != 0 && strcmp(sd->scheme, "https") != 0)
        return node_fail(source, at(entry, "scheme"),
                         "`scheme` must be http or https, not "
                         "\"%.200s\"",
                         sd->scheme);
    if (!sd->pods && !sd->services)
        return node_fail(source, at(entry, "pods"),
                         "with neither `pods` nor `services` there is nothing to scrape");
    return 0;
}

static int apply_annotation_sd(const struct document *source, const struct node *entry,
                               const struct config_job *job, struct config_annotation_sd *sd)
{
    const struct config_kubernetes_sd server = {.api_server = sd->api_server,
                                                .kubeconfig_file = sd->kubeconfig_file,
                                                .http = sd->http,
                                                .namespaces = sd->namespaces};
    if (!given(sd->scheme))
        sd->scheme = job->scheme == CONFIG_SCHEME_HTTPS ? "https" : "http";
    if (!given(sd->metrics_path))
        sd->metrics_path = job->metrics_path;
    if (sd->max_timeout == 0)
        sd->max_timeout = job->scrape_timeout;
    if (sd->max_sample_limit == 0)
        sd->max_sample_limit = job->limits.sample_limit;
    int err = check_server(source, entry, &server);
    if (err == 0)
        err = check_bounds(source, entry, job, sd);
    if (err == 0)
        err = http_rules_apply(source, entry, &sd->http);
    if (given(sd->kubeconfig_file))
        sd->kubeconfig_file = document_resolve(source, sd->kubeconfig_file);
    return err;
}

int discovery_rules_apply(const struct document *source, const struct node *block,
                          struct config_job *job)
{
    struct config_kubelet_sds *kubelets = &job->limpet.kubelet_sd_configs;
    struct config_annotation_sds *annotated = &job->limpet.annotation_discovery;
    const struct node *limpet = node_get(block, "limpet");
    int err = 0;
    for (size_t i = 0; err == 0 && i < job->http_sd_configs.len; i++)
        err = apply_http_sd(source, node_at(node_get(block, "http_sd_configs"), i),
                            &job->http_sd_configs.items[i]);
    for (size_t i = 0; err == 0 && i < job->dns_sd_configs.len; i++)
        err = apply_dns_sd(source, node_at(node_get(block, "dns_sd_configs"), i),
                           &job->dns_sd_configs.items[i]);
    for (size_t i = 0; err == 0 && i < job->kubernetes_sd_configs.len; i++)
        err = apply_kubernetes_sd(source, node_at(node_get(block, "kubernetes_sd_configs"), i),
                                  &job->kubernetes_sd_configs.items[i]);
    for (size_t i = 0; err == 0 && i < kubelets->len; i++)
        err = apply_kubelet_sd(source, node_at(node_get(limpet, "kubelet_sd_configs"), i),
                               &kubelets->items[i]);
    for (size_t i = 0; err == 0 && i < annotated->len; i++)
        err = apply_annotation_sd(source, node_at(node_get(limpet, "annotation_discovery"), i), job,
                                  &annotated->items[i]);
    return err;
}

bool discovery_rules_has_source(const struct config_job *job)
{
    return job->static_configs.len + job->file_sd_configs.len + job->http_sd_configs.len +
               job->dns_sd_configs.len + job->kubernetes_sd_configs.len +
               job->limpet.kubelet_sd_configs.len + job->limpet.annotation_discovery.len >
           0;
}
