/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The configuration (config/config.h): where a job finds its targets. */
#ifndef CONFIG_CONFIG_DISCOVERY_H
#define CONFIG_CONFIG_DISCOVERY_H

#include "config/config_http.h"

/* An entry of static_configs or of a file_sd file. */
struct config_target_group {
    struct config_strings targets; /* each becomes __address__ */
    struct config_map labels;
};

struct config_target_groups {
    const struct config_target_group *items;
    size_t len;
};

/* An entry of file_sd_configs. */
struct config_file_sd {
    struct config_strings files; /* glob(3) patterns, resolved against the file's directory */
    int64_t refresh_interval;
};

struct config_file_sds {
    struct config_file_sd *items;
    size_t len;
};

/* An entry of http_sd_configs. */
struct config_http_sd {
    const char *url;
    int64_t refresh_interval;
    struct config_http_client http;
};

struct config_http_sds {
    struct config_http_sd *items;
    size_t len;
};

enum config_dns_type {
    CONFIG_DNS_SRV,
    CONFIG_DNS_A,
    CONFIG_DNS_AAAA,
    CONFIG_DNS_MX,
    CONFIG_DNS_NS
};

/* An entry of dns_sd_configs. */
struct config_dns_sd {
    struct config_strings names; /* at least one */
    enum config_dns_type type;
    int64_t port; /* 0 only with SRV */
    int64_t refresh_interval;
};

struct config_dns_sds {
    struct config_dns_sd *items;
    size_t len;
};

enum config_kube_role {
    CONFIG_KUBE_POD,
    CONFIG_KUBE_SERVICE,
    CONFIG_KUBE_ENDPOINTS,
    CONFIG_KUBE_ENDPOINTSLICE,
    CONFIG_KUBE_NODE,
    CONFIG_KUBE_INGRESS
};

struct config_kube_namespaces {
    bool own_namespace;
    struct config_strings names; /* empty, and own_namespace false: all */
};

struct config_kube_selector {
    enum config_kube_role role; /* at most once in a list */
    const char *label;
    const char *field;
};

struct config_kube_selectors {
    struct config_kube_selector *items;
    size_t len;
};

struct config_kube_attach {
    bool node;
    bool namespace;
    bool deployment;
    bool job;
    bool cronjob;
};

/* An entry of kubernetes_sd_configs. Neither api_server nor kubeconfig_file: in the cluster. */
struct config_kubernetes_sd {
    enum config_kube_role role;
    const char *api_server;
    const char *kubeconfig_file;
    struct config_http_client http; /* of api_server */
    struct config_kube_namespaces namespaces;
    struct config_kube_selectors selectors;
    struct config_kube_attach attach_metadata;
};

struct config_kubernetes_sds {
    struct config_kubernetes_sd *items;
    size_t len;
};

/* An entry of limpet.kubelet_sd_configs. */
struct config_kubelet_sd {
    const char *url; /* "": that of the environment */
    int64_t refresh_interval;
    struct config_http_client http;
};

struct config_kubelet_sds {
    struct config_kubelet_sd *items;
    size_t len;
};

enum config_mesh { CONFIG_MESH_ANY, CONFIG_MESH_OUTSIDE, CONFIG_MESH_INSIDE };

/* An entry of limpet.annotation_discovery. */
struct config_annotation_sd {
    bool pods;
    bool services;
    const char *api_server; /* as of config_kubernetes_sd, like the next ones */
    const char *kubeconfig_file;
    struct config_http_client http;
    struct config_kube_namespaces namespaces;
    struct config_strings pod_labels; /* keys of labels of pods that targets have too */
    bool job_from_name;               /* app.kubernetes.io/name is the label job */
    enum config_mesh mesh;
    const char *scheme;       /* of objects that say none: the job's */
    const char *metrics_path; /* the same */
    int64_t min_interval;
    int64_t max_interval; /* at least min_interval */
    int64_t max_timeout;  /* at most the job's interval */
    int64_t max_sample_limit;
};

struct config_annotation_sds {
    struct config_annotation_sd *items;
    size_t len;
};

#endif
