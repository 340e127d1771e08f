/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The configuration as plain structs: what Prometheus' file says after defaults and inheritance,
 * plus limpet's own block. The supervisor loads it (config_load), hands it to the children as a
 * sealed snapshot (config/freeze.h), and they read it; nobody changes it.
 *
 * Everything hangs on one arena and lives until config_free. Durations are milliseconds, sizes
 * bytes. Strings are never NULL ("" is "not given"), contain no NUL byte and are valid UTF-8.
 * Members exist for keys that do something or are accepted; a key whose function is missing stands
 * in the schema table (config/schema.c) only, and giving it is an error.
 * The rules are those of Prometheus 3.14 in agent mode.
 */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "labels/label_name.h"
#include "labels/relabel.h"

/* Lists and maps: `items` may be NULL when `len` is 0. */
struct config_strings {
    const char *const *items;
    size_t len;
};

struct config_ints {
    const int64_t *items;
    size_t len;
};

struct config_pair {
    const char *name;
    const char *value;
};

/* Sorted by name (bytes), names unique. */
struct config_map {
    const struct config_pair *items;
    size_t len;
};

struct config_param {
    const char *name;
    struct config_strings values;
};

/* Sorted by name (bytes), names unique. */
struct config_params {
    const struct config_param *items;
    size_t len;
};

/* Valid rules, in the order in which they are applied. */
struct config_relabels {
    const struct relabel_config *items;
    size_t len;
};

enum config_scheme { CONFIG_SCHEME_HTTP, CONFIG_SCHEME_HTTPS };

enum config_protocol {
    CONFIG_PROTOCOL_NONE, /* fallback_scrape_protocol not given */
    CONFIG_PROTOCOL_PROTO,
    CONFIG_PROTOCOL_TEXT_0_0_4,
    CONFIG_PROTOCOL_TEXT_1_0_0,
    CONFIG_PROTOCOL_OPENMETRICS_0_0_1,
    CONFIG_PROTOCOL_OPENMETRICS_1_0_0
};

struct config_protocols {
    const enum config_protocol *items;
    size_t len;
};

enum config_message { CONFIG_MESSAGE_V1, CONFIG_MESSAGE_V2, CONFIG_MESSAGE_AUTO };

/* Batches in shared memory say it in these numbers. */
enum config_compression {
    CONFIG_COMPRESSION_FAST,
    CONFIG_COMPRESSION_SMALL,
    CONFIG_COMPRESSION_ZSTD
};
enum config_pinning { CONFIG_PINNING_AUTO, CONFIG_PINNING_ON, CONFIG_PINNING_OFF };

/* As enum loop_backend_kind. */
enum config_event_loop {
    CONFIG_EVENT_LOOP_AUTO,
    CONFIG_EVENT_LOOP_IO_URING,
    CONFIG_EVENT_LOOP_EPOLL
};

enum config_validation { CONFIG_VALIDATION_NONE, CONFIG_VALIDATION_UTF8, CONFIG_VALIDATION_LEGACY };

enum config_escaping {
    CONFIG_ESCAPING_NONE,
    CONFIG_ESCAPING_ALLOW_UTF_8,
    CONFIG_ESCAPING_UNDERSCORES,
    CONFIG_ESCAPING_DOTS,
    CONFIG_ESCAPING_VALUES
};

/* What stands in `global` and in each job, which inherits where it has 0; 0 is no limit. */
struct config_limits {
    uint64_t body_size_limit; /* a body of so many bytes is too large */
    int64_t sample_limit;
    int64_t target_limit;
    int64_t label_limit;
    int64_t label_name_length_limit;
    int64_t label_value_length_limit;
    int64_t keep_dropped_targets; /* that are shown; 0: all */
};

/* `global` */
struct config_global {
    int64_t scrape_interval;
    int64_t scrape_timeout;
    struct config_protocols scrape_protocols; /* empty: not given */
    struct config_map external_labels;        /* expanded; no empty values */
    int64_t evaluation_interval;              /* accepted, unused */
    int64_t rule_query_offset;                /* accepted, unused */
    const char *query_log_file;               /* accepted, unused */
    struct config_limits limits;
    enum config_validation metric_name_validation_scheme; /* never NONE */
    enum config_escaping metric_name_escaping_scheme;     /* never NONE */
    bool extra_scrape_metrics;
    bool scrape_native_histograms;
    bool always_scrape_classic_histograms;
    bool convert_classic_histograms_to_nhcb;
    const char *scrape_failure_log_file; /* of jobs that do not say */
};

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

/* `basic_auth`. Files are resolved against the directory of the configuration; the same below. */
struct config_basic_auth {
    bool given;
    const char *username;
    const char *username_file;
    const char *password;
    const char *password_file;
};

/* `authorization`, or what bearer_token and bearer_token_file mean. */
struct config_authorization {
    bool given;
    const char *type; /* never empty if given */
    const char *credentials;
    const char *credentials_file;
};

enum config_tls_version {
    CONFIG_TLS_DEFAULT,
    CONFIG_TLS_1_0,
    CONFIG_TLS_1_1,
    CONFIG_TLS_1_2,
    CONFIG_TLS_1_3
};

/* `tls_config` */
struct config_tls {
    const char *ca;
    const char *ca_file;
    const char *cert;
    const char *cert_file;
    const char *key;
    const char *key_file;
    const char *server_name;
    bool insecure_skip_verify;
    bool include_system_ca_certs_pool; /* only of target_allocator.tls: besides ca or ca_file */
    enum config_tls_version min_version;
    enum config_tls_version max_version;
};

struct config_proxy {
    const char *proxy_url;
    const char *no_proxy;
    bool proxy_from_environment;
    struct config_params proxy_connect_header;
};

#define CONFIG_GRANT_JWT_WORD "urn:ietf:params:oauth:grant-type:jwt-bearer"

enum config_grant { CONFIG_GRANT_CREDENTIALS, CONFIG_GRANT_JWT };

enum config_signature { CONFIG_SIGN_RS256, CONFIG_SIGN_RS384, CONFIG_SIGN_RS512 };

/* `oauth2` */
struct config_oauth2 {
    bool given;
    const char *client_id;
    const char *client_secret;
    const char *client_secret_file;
    const char *token_url;
    struct config_strings scopes;
    struct config_map endpoint_params;
    enum config_grant grant_type;
    const char *client_certificate_key; /* these are for CONFIG_GRANT_JWT */
    const char *client_certificate_key_file;
    const char *client_certificate_key_id;
    enum config_signature signature_algorithm;
    const char *iss;
    const char *audience;     /* "": the token_url */
    struct config_map claims; /* names to values in JSON */
    struct config_tls tls_config;
    struct config_proxy proxy;
};

/* An entry of `http_headers`. */
struct config_http_header {
    const char *name;
    struct config_strings values;
    struct config_strings secrets;
    struct config_strings files;
};

/* Sorted by name (bytes), names unique. */
struct config_http_headers {
    struct config_http_header *items;
    size_t len;
};

/* What every block with an HTTP client in it has. */
struct config_http_client {
    struct config_basic_auth basic_auth;
    struct config_authorization authorization;
    struct config_oauth2 oauth2;
    const char *bearer_token;      /* after loading part of `authorization` */
    const char *bearer_token_file; /* the same */
    struct config_tls tls_config;
    struct config_proxy proxy;
    struct config_http_headers http_headers;
    bool follow_redirects;
    bool enable_http2; /* accepted; limpet speaks HTTP/1.1 */
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

/* Whether targets are asked for gzip. */
enum config_gzip {
    CONFIG_GZIP_UNSAID,
    CONFIG_GZIP_AUTO, /* those that are not on this node */
    CONFIG_GZIP_ON,
    CONFIG_GZIP_OFF
};

/* `limpet` of a job: what Prometheus has no key for. */
struct config_job_limpet {
    struct config_kubelet_sds kubelet_sd_configs;
    struct config_annotation_sds annotation_discovery;
    bool start_timestamps;        /* _created lines are start timestamps, no samples */
    enum config_gzip compression; /* never CONFIG_GZIP_UNSAID */
};

/* An entry of `scrape_configs`, after inheritance from `global`. */
struct config_job {
    const char *job_name;
    int64_t scrape_interval;
    int64_t scrape_timeout;                        /* at most the interval */
    struct config_protocols scrape_protocols;      /* never empty */
    enum config_protocol fallback_scrape_protocol; /* CONFIG_PROTOCOL_NONE: no fallback */
    bool honor_labels;
    bool honor_timestamps;
    bool track_timestamps_staleness;
    bool enable_compression; /* if it is written; what holds is limpet.compression */
    struct config_http_client http;
    const char *metrics_path;
    enum config_scheme scheme;
    struct config_params params;
    struct config_target_groups static_configs;
    struct config_file_sds file_sd_configs;
    struct config_http_sds http_sd_configs;
    struct config_dns_sds dns_sd_configs;
    struct config_kubernetes_sds kubernetes_sd_configs;
    struct config_job_limpet limpet;
    struct config_relabels relabel_configs;        /* for targets */
    struct config_relabels metric_relabel_configs; /* for samples */
    struct config_limits limits;
    enum config_validation metric_name_validation_scheme; /* never NONE */
    enum config_escaping metric_name_escaping_scheme;     /* never NONE */
    bool extra_scrape_metrics;
    bool scrape_native_histograms;
    bool always_scrape_classic_histograms;
    bool convert_classic_histograms_to_nhcb;
    int64_t native_histogram_bucket_limit;     /* 0: none */
    double native_histogram_min_bucket_factor; /* 0: none */
    const char *scrape_failure_log_file;       /* "": none */
};

struct config_jobs {
    struct config_job *items;
    size_t len;
};

/* `queue_config` of a remote. */
struct config_queue {
    int64_t capacity;
    int64_t max_shards;
    int64_t min_shards;
    int64_t max_samples_per_send;
    int64_t batch_send_deadline;
    int64_t min_backoff;
    int64_t max_backoff;
    bool retry_on_http_429;
    int64_t sample_age_limit; /* 0: none */
};

/* `metadata_config` of a remote. */
struct config_metadata {
    bool send;
    int64_t send_interval;
    int64_t max_samples_per_send;
};

/* An entry of `remote_write`. */
/* `limpet` of a remote. */
struct config_remote_limpet {
    enum config_compression compression;
};

struct config_remote {
    const char *url;
    const char *name; /* given, or six hex digits that depend on this entry only; unique */
    int64_t remote_timeout;
    enum config_message protobuf_message;
    struct config_map headers; /* sent with each request */
    struct config_http_client http;
    bool send_exemplars;
    bool send_native_histograms;
    bool round_robin_dns;
    struct config_queue queue_config;
    struct config_metadata metadata_config;
    struct config_relabels write_relabel_configs; /* for series, after external_labels */
    struct config_remote_limpet limpet;
};

#define CONFIG_MAX_REMOTES 8 /* the shared memory has places for so many */

struct config_remotes {
    struct config_remote *items;
    size_t len;
};

/* `limpet: spool`: what remotes have not taken in time waits on disk. */
struct config_spool {
    uint64_t max_bytes; /* of each remote */
    int64_t max_age;
    int64_t after; /* a request that is not taken for so long goes there */
};

enum config_shard_by {
    CONFIG_SHARD_AUTO, /* by node where the environment has NODE_NAME, else none */
    CONFIG_SHARD_NONE,
    CONFIG_SHARD_NODE,
    CONFIG_SHARD_NAMESPACE,
    CONFIG_SHARD_HASH
};

enum config_unlocated { CONFIG_UNLOCATED_ALL, CONFIG_UNLOCATED_HASH, CONFIG_UNLOCATED_NONE };

/* `limpet: sharding`: which of the targets found are this instance's. */
struct config_sharding {
    enum config_shard_by by;
    const char *node;                 /* "": $NODE_NAME */
    struct config_strings namespaces; /* of this instance */
    int64_t shards;                   /* instances there are; 0: not given */
    const char *shard;                /* which one this is: its name, ending "-3"; "": the pod's */
    enum config_unlocated unlocated;  /* targets without a node or namespace */
};

/* `http_sd_config` of the Target Allocator: how targets are asked for. */
struct config_allocator_sd {
    bool given;
    int64_t refresh_interval;
    struct config_http_client http;
};

/* `http_scrape_config` of the Target Allocator: with what its targets are scraped. */
struct config_allocator_scrape {
    bool given;
    struct config_http_client http;
};

/* `limpet: target_allocator` */
struct config_target_allocator {
    bool given;
    const char *endpoint;     /* environment variables are in; no slash at the end */
    const char *collector_id; /* the same; never empty if given */
    int64_t interval;
    int64_t timeout;                /* of a request; never 0 nor more than the interval */
    struct config_map headers;      /* after loading part of http.http_headers */
    struct config_http_client http; /* for the jobs; redirects are not followed */
    struct config_allocator_sd sd;  /* for the targets; has what `http` has where it has none */
    struct config_allocator_scrape scrape; /* given: in place of what the jobs say */
    bool deny_file_references;
    struct config_strings allowed_directories; /* of files that jobs may name all the same */
};

/* `storage.tsdb` and `storage`: what of them concerns more than a database. */
struct config_tsdb {
    int64_t out_of_order_time_window;
};

struct config_storage {
    struct config_tsdb tsdb;
};

/* `limpet`: what Prometheus has no key for. */
struct config_limpet {
    int64_t scrapers;        /* scraper processes */
    struct config_ints cpus; /* CPUs for scrapers, ascending; empty: not given */
    uint64_t ring_size;      /* of each scraper; a power of two */
    int64_t tick_max;        /* scrapes due within this time may share a tick */
    enum config_pinning pinning;
    enum config_event_loop event_loop;
    struct config_spool spool;
    struct config_sharding sharding;
    struct config_target_allocator target_allocator;
};

/* Something valid that the operator should look at. */
struct config_warnings {
    const char *const *items; /* "file:line:column: text" */
    size_t len;
};

struct config {
    struct config_global global;
    struct config_jobs scrape_configs;
    struct config_remotes remote_write;
    struct config_limpet limpet;
    struct config_storage storage;
    struct config_strings scrape_config_files; /* their jobs are among scrape_configs */

    /* Not keys of the file. */
    const char *path;                /* the file it came from, as given */
    uint64_t generation;             /* set by the supervisor; 0 after loading */
    struct config_warnings warnings; /* of loading; not in snapshots */
    struct arena arena;              /* owns everything above */
};

/*
 * Reads and validates the file. On failure the error text is one line
 * "file:line:column: what is wrong, what is allowed" (or "file: why it cannot be read"), and the
 * result is ERR_CONFIG or -errno. The caller frees *ret_config with config_free.
 */
int config_load(const char *path, struct config **ret_config, struct errctx *reterr) MUST_USE;

/* The same for text in memory; `name` stands for the path, also for relative file names in it. */
int config_parse(const char *name, const char *text, size_t len, struct config **ret_config,
                 struct errctx *reterr) MUST_USE;

/* The scheme by which names are valid. */
enum label_scheme config_label_scheme(enum config_validation validation);

/* NULL is allowed. */
void config_free(struct config *config);

#endif
