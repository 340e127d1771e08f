/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The rows of sources that ask somebody. How to read one: config/schema.h. */
#include "config/schema_discovery.h"

#include "config/schema_http.h"

#define MEMBER(key) .name = #key, .offset = offsetof(BLOCK, key)
#define BLOCK       struct config_http_sd
static const struct schema_key http_sd_keys[] = {
    {MEMBER(url), .type = SCHEMA_STRING, .required = true,
     .help = "Where the list of targets is: JSON as in the files of `file_sd_configs`."},
    {MEMBER(refresh_interval), .type = SCHEMA_DURATION, .fallback = "1m", .min = 1,
     .help = "How often it is asked for; also how long an answer may take."},
    SCHEMA_HTTP_ROWS(BLOCK, http, "true", .required = false),
    {.name = NULL},
};
#undef BLOCK

const struct schema_block schema_http_sd = {.title = "http_sd_configs",
                                            .help = "Targets from an HTTP server.",
                                            .size = sizeof(struct config_http_sd),
                                            .keys = http_sd_keys};

static const struct schema_word dns_words[] = {
    {"SRV", CONFIG_DNS_SRV, SCHEMA_WORKS},   {"A", CONFIG_DNS_A, SCHEMA_WORKS},
    {"AAAA", CONFIG_DNS_AAAA, SCHEMA_WORKS}, {"MX", CONFIG_DNS_MX, SCHEMA_WORKS},
    {"NS", CONFIG_DNS_NS, SCHEMA_WORKS},     {NULL, 0, SCHEMA_WORKS},
};

#define BLOCK struct config_dns_sd
static const struct schema_key dns_sd_keys[] = {
    {MEMBER(names), .type = SCHEMA_STRINGS, .required = true,
     .help = "Names that are asked for; those that do not end in a dot also with the system's "
             "search list."},
    {MEMBER(type), .type = SCHEMA_ENUM, .words = dns_words, .any_case = true, .fallback = "SRV",
     .help = "The type of the records."},
    {MEMBER(port), .type = SCHEMA_INT, .max = 65535,
     .help = "The port of the targets; SRV records have their own."},
    {MEMBER(refresh_interval), .type = SCHEMA_DURATION, .fallback = "30s", .min = 1,
     .help = "How often the names are asked for."},
    {.name = NULL},
};
#undef BLOCK

const struct schema_block schema_dns_sd = {.title = "dns_sd_configs",
                                           .help = "Targets from DNS.",
                                           .size = sizeof(struct config_dns_sd),
                                           .keys = dns_sd_keys};

static const struct schema_word role_words[] = {
    {"pod", CONFIG_KUBE_POD, SCHEMA_WORKS},
    {"service", CONFIG_KUBE_SERVICE, SCHEMA_WORKS},
    {"endpoints", CONFIG_KUBE_ENDPOINTS, SCHEMA_WORKS},
    {"endpointslice", CONFIG_KUBE_ENDPOINTSLICE, SCHEMA_WORKS},
    {"node", CONFIG_KUBE_NODE, SCHEMA_WORKS},
    {"ingress", CONFIG_KUBE_INGRESS, SCHEMA_WORKS},
    {NULL, 0, SCHEMA_WORKS},
};

#define BLOCK struct config_kube_namespaces
static const struct schema_key namespaces_keys[] = {
    {MEMBER(own_namespace), .type = SCHEMA_BOOL, .fallback = "false",
     .help = "The namespace in which limpet itself runs."},
    {MEMBER(names), .type = SCHEMA_STRINGS, .fallback_help = "all",
     .help = "The namespaces whose objects are looked at."},
    {.name = NULL},
};
#undef BLOCK

static const struct schema_block namespaces_block = {
    .title = "namespaces",
    .help = "Which namespaces `kubernetes_sd_configs` looks at.",
    .size = sizeof(struct config_kube_namespaces),
    .keys = namespaces_keys};

/* Which API server, and which of its namespaces. */
#define API_SERVER_ROWS                                                                            \
    {MEMBER(api_server), .type = SCHEMA_STRING,                                                    \
     .fallback_help = "that of the cluster limpet runs in, with its service account",              \
     .help = "The URL of the API server."},                                                        \
        {MEMBER(kubeconfig_file), .type = SCHEMA_STRING,                                           \
         .help = "A kubeconfig file, instead of `api_server`; its current context counts."},       \
    {                                                                                              \
        MEMBER(namespaces), .type = SCHEMA_STRUCT, .block = &namespaces_block,                     \
                            .help = "Which namespaces are looked at."                              \
    }

#define BLOCK struct config_kube_selector
static const struct schema_key selector_keys[] = {
    {MEMBER(role), .type = SCHEMA_ENUM, .words = role_words, .required = true,
     .help = "The kind of objects that it selects among."},
    {MEMBER(label), .type = SCHEMA_STRING, .help = "A label selector, as `app=web,tier!=db`."},
    {MEMBER(field), .type = SCHEMA_STRING, .help = "A field selector, as `spec.nodeName=node-1`."},
    {.name = NULL},
};
#undef BLOCK

static const struct schema_block selector_block = {
    .title = "selectors",
    .help = "Which objects `kubernetes_sd_configs` asks the API server for.",
    .size = sizeof(struct config_kube_selector),
    .keys = selector_keys};

#define BLOCK struct config_kube_attach
static const struct schema_key attach_keys[] = {
    {MEMBER(node), .type = SCHEMA_BOOL, .fallback = "false",
     .help = "Labels and annotations of the target's node, for pods and endpoints."},
    {MEMBER(namespace), .type = SCHEMA_BOOL, .fallback = "false",
     .help = "Labels and annotations of the target's namespace."},
    {MEMBER(deployment), .type = SCHEMA_BOOL, .fallback = "false",
     .help = "The name of the pod's Deployment, found by its ReplicaSet."},
    {MEMBER(job), .type = SCHEMA_BOOL, .fallback = "false", .help = "The name of the pod's Job."},
    {MEMBER(cronjob), .type = SCHEMA_BOOL, .fallback = "false",
     .help = "The name of the pod's CronJob, found by its Job."},
    {.name = NULL},
};
#undef BLOCK

static const struct schema_block attach_block = {
    .title = "attach_metadata",
    .help = "What other objects give labels to the targets of `kubernetes_sd_configs`.",
    .size = sizeof(struct config_kube_attach),
    .keys = attach_keys};

#define BLOCK struct config_kubernetes_sd
static const struct schema_key kubernetes_sd_keys[] = {
    {MEMBER(role), .type = SCHEMA_ENUM, .words = role_words, .required = true,
     .help = "The kind of objects that become targets."},
    API_SERVER_ROWS,
    {MEMBER(selectors), .type = SCHEMA_STRUCTS, .block = &selector_block,
     .help = "Which objects the API server is asked for; one selector a kind."},
    {MEMBER(attach_metadata), .type = SCHEMA_STRUCT, .block = &attach_block,
     .help = "What other objects give labels to the targets."},
    SCHEMA_HTTP_ROWS(BLOCK, http, "true", .required = false),
    {.name = NULL},
};
#undef BLOCK

const struct schema_block schema_kubernetes_sd = {
    .title = "kubernetes_sd_configs",
    .help = "Targets from the API server of Kubernetes. Jobs that want the same objects share one "
            "watch.",
    .size = sizeof(struct config_kubernetes_sd),
    .keys = kubernetes_sd_keys};

#define BLOCK struct config_kubelet_sd
static const struct schema_key kubelet_sd_keys[] = {
    {MEMBER(url), .type = SCHEMA_STRING,
     .fallback_help = "`https://HOST:10250/pods`, HOST from the environment: NODE_IP, NODE_NAME, "
                      "or else 127.0.0.1",
     .help = "Where the kubelet lists its pods."},
    {MEMBER(refresh_interval), .type = SCHEMA_DURATION, .fallback = "15s", .min = 1,
     .help = "How often it is asked."},
    SCHEMA_HTTP_ROWS(BLOCK, http, "true", .required = false),
    {.name = NULL},
};
#undef BLOCK

const struct schema_block schema_kubelet_sd = {
    .title = "kubelet_sd_configs",
    .help = "The pods of this node from its kubelet, with the labels of `role: pod`; the API "
            "server is not asked at all. Without an authorization of its own, the service account "
            "is shown to an https kubelet; without a `tls_config`, its certificate is not checked, "
            "since kubelets sign their own.",
    .size = sizeof(struct config_kubelet_sd),
    .keys = kubelet_sd_keys};

static const struct schema_word mesh_words[] = {
    {"any", CONFIG_MESH_ANY, SCHEMA_WORKS},
    {"outside", CONFIG_MESH_OUTSIDE, SCHEMA_WORKS},
    {"inside", CONFIG_MESH_INSIDE, SCHEMA_WORKS},
    {NULL, 0, SCHEMA_WORKS},
};

#define BLOCK struct config_annotation_sd
static const struct schema_key annotation_sd_keys[] = {
    {MEMBER(pods), .type = SCHEMA_BOOL, .fallback = "true",
     .help = "Scrape pods that are annotated."},
    {MEMBER(services), .type = SCHEMA_BOOL, .fallback = "true",
     .help = "Scrape the pods of services that are annotated; limpet matches their selectors "
             "itself."},
    API_SERVER_ROWS,
    {MEMBER(pod_labels), .type = SCHEMA_STRINGS,
     .help = "Labels of pods that their targets get, as `app.kubernetes.io/name`; characters that "
             "may not stand in a name become `_`."},
    {MEMBER(job_from_name), .type = SCHEMA_BOOL, .fallback = "false",
     .help = "The label `job` is the pod's `app.kubernetes.io/name`, where it has one, instead of "
             "`kubernetes-pods` or `kubernetes-services`."},
    {MEMBER(mesh), .type = SCHEMA_ENUM, .words = mesh_words, .fallback = "any",
     .help = "Which pods: `inside` an Istio mesh are those with the label "
             "`security.istio.io/tlsMode: istio`. So one job can have the mesh's `tls_config`."},
    {MEMBER(scheme), .type = SCHEMA_STRING, .fallback_help = "that of the job",
     .help = "The scheme of objects that are annotated with none."},
    {MEMBER(metrics_path), .type = SCHEMA_STRING, .fallback_help = "that of the job",
     .help = "The path of objects that are annotated with none."},
    {MEMBER(min_interval), .type = SCHEMA_DURATION, .fallback = "5s", .min = 1,
     .help = "The shortest interval an annotation may ask for."},
    {MEMBER(max_interval), .type = SCHEMA_DURATION, .fallback = "5m", .min = 1,
     .help = "The longest interval an annotation may ask for."},
    {MEMBER(max_timeout), .type = SCHEMA_DURATION, .fallback_help = "`scrape_timeout` of the job",
     .help = "The longest time-out an annotation may ask for; at most `scrape_interval` of the "
             "job."},
    {MEMBER(max_sample_limit), .type = SCHEMA_INT, .fallback_help = "`sample_limit` of the job",
     .help = "The highest sample limit an annotation may ask for; 0: any."},
    SCHEMA_HTTP_ROWS(BLOCK, http, "true", .required = false),
    {.name = NULL},
};
#undef BLOCK

const struct schema_block schema_annotation_sd = {
    .title = "annotation_discovery",
    .help = "Pods of this node, and services by them, that are annotated with "
            "`prometheus.io/scrape: \"true\"`; docs/kubernetes.md has all annotations.",
    .size = sizeof(struct config_annotation_sd),
    .keys = annotation_sd_keys};
