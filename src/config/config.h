/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The configuration as plain structs: what Prometheus' file says after defaults and inheritance,
 * plus limpet's own block. The supervisor loads it (config_load), hands it to the children as a
 * sealed snapshot (config/freeze.h), and they read it; nobody changes it.
 *
 * Everything hangs on one arena and lives until config_free. Durations are milliseconds, sizes
 * bytes. Strings are never NULL ("" is "not given"), contain no NUL byte and are valid UTF-8.
 * Members exist for keys that do something or are accepted; a key whose function is missing stands
 * in the schema table (config/schema_table.c) only, and giving it is an error.
 * The rules are those of Prometheus 3.14 in agent mode.
 */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include "base/arena.h"
#include "base/err.h"
#include "config/config_discovery.h"
#include "config/config_http.h"
#include "config/config_values.h"
#include "labels/label_name.h"
#include "labels/relabel.h"

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

/* `limpet` of a remote. */
struct config_remote_limpet {
    enum config_compression compression;
};

/* An entry of `remote_write`. */
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
