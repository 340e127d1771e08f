/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The rows. How to read one: config/schema.h. The order is that of the documentation. */
#include "config/schema.h"

#include "config/config.h"
#include "config/schema_allocator.h"
#include "config/schema_check.h"
#include "config/schema_discovery.h"
#include "config/schema_http.h"
#include "config/schema_storage.h"

#define MEMBER(key)  .name = #key, .offset = offsetof(BLOCK, key)
#define NOWHERE(key) .name = #key, .offset = SCHEMA_NO_MEMBER
#define UNUSED(text) .state = SCHEMA_UNUSED, .note = text

#define REFUSED(key, text, ...)                                                                    \
    {                                                                                              \
        NOWHERE(key), .type = SCHEMA_OPAQUE, .state = SCHEMA_REFUSED, .note = text, __VA_ARGS__    \
    }

/* Of the struct `limits` in a block. */
#define LIMIT(key, kind, text)                                                                     \
    {                                                                                              \
        .name = #key, .offset = offsetof(BLOCK, limits.key), .type = (kind), .help = text          \
    }

/* Limits and switches that stand in `global` and again in each job. */
#define SHARED_ROWS                                                                                \
    LIMIT(body_size_limit, SCHEMA_SIZE,                                                            \
          "A scrape fails whose uncompressed body is not smaller than this; 0: any may be."),      \
        LIMIT(sample_limit, SCHEMA_INT,                                                            \
              "Most samples of a scrape after `metric_relabel_configs`; 0: any number."),          \
        LIMIT(target_limit, SCHEMA_INT,                                                            \
              "Most targets of a job, of which none is scraped otherwise; 0: any number."),        \
        LIMIT(label_limit, SCHEMA_INT, "Most labels of a sample; 0: any number."),                 \
        LIMIT(label_name_length_limit, SCHEMA_INT, "Longest label name in bytes; 0: any."),        \
        LIMIT(label_value_length_limit, SCHEMA_INT, "Longest label value in bytes; 0: any."),      \
        {.name = "keep_dropped_targets",                                                           \
         .offset = offsetof(BLOCK, limits.keep_dropped_targets),                                   \
         .type = SCHEMA_INT,                                                                       \
         .help = "Most targets dropped by `relabel_configs` that the page /targets shows with "    \
                 "the labels they had; 0: all, but not more than 4 MiB of them. The number is "    \
                 "shown in any case."},                                                            \
        {MEMBER(metric_name_validation_scheme),                                                    \
         .type = SCHEMA_ENUM,                                                                      \
         .words = validation_words,                                                                \
         .fallback = "",                                                                           \
         .fallback_help = "utf8, or that of `global`",                                             \
         .help = "Which metric and label names are valid."},                                       \
        {MEMBER(metric_name_escaping_scheme),                                                      \
         .type = SCHEMA_ENUM,                                                                      \
         .words = escaping_words,                                                                  \
         .fallback = "",                                                                           \
         .fallback_help = "that of `global`, else allow-utf-8, or underscores where names are "    \
                          "validated as legacy",                                                   \
         .help = "How a target is asked to escape names."},                                        \
        {MEMBER(scrape_native_histograms), .type = SCHEMA_BOOL, .fallback = "false",               \
         .help = "Ask for and take native histograms."},                                           \
        {MEMBER(convert_classic_histograms_to_nhcb), .type = SCHEMA_BOOL, .fallback = "false",     \
         .help = "Make native histograms with custom buckets of classic ones."},                   \
        {MEMBER(always_scrape_classic_histograms), .type = SCHEMA_BOOL, .fallback = "false",       \
         .help = "Take the classic histogram too where there is a native one."},                   \
        {MEMBER(extra_scrape_metrics), .type = SCHEMA_BOOL, .fallback = "false",                   \
         .help = "Report time-out, sample limit and body size of each scrape."},                   \
    {                                                                                              \
        MEMBER(scrape_failure_log_file),                                                           \
            .type = SCHEMA_STRING,                                                                 \
            .help =                                                                                \
                "A file to which scrapes are appended, a JSON object a line, that fail before "    \
                "there is anything to parse. A reload opens it anew."                              \
    }

static const struct schema_word protocol_words[] = {
    {"PrometheusProto", CONFIG_PROTOCOL_PROTO, SCHEMA_WORKS},
    {"PrometheusText0.0.4", CONFIG_PROTOCOL_TEXT_0_0_4, SCHEMA_WORKS},
    {"PrometheusText1.0.0", CONFIG_PROTOCOL_TEXT_1_0_0, SCHEMA_WORKS},
    {"OpenMetricsText0.0.1", CONFIG_PROTOCOL_OPENMETRICS_0_0_1, SCHEMA_WORKS},
    {"OpenMetricsText1.0.0", CONFIG_PROTOCOL_OPENMETRICS_1_0_0, SCHEMA_WORKS},
    {NULL, 0, SCHEMA_WORKS},
};

static const struct schema_word fallback_words[] = {
    {"", CONFIG_PROTOCOL_NONE, SCHEMA_WORKS},
    {"PrometheusProto", CONFIG_PROTOCOL_PROTO, SCHEMA_WORKS},
    {"PrometheusText0.0.4", CONFIG_PROTOCOL_TEXT_0_0_4, SCHEMA_WORKS},
    {"PrometheusText1.0.0", CONFIG_PROTOCOL_TEXT_1_0_0, SCHEMA_WORKS},
    {"OpenMetricsText0.0.1", CONFIG_PROTOCOL_OPENMETRICS_0_0_1, SCHEMA_WORKS},
    {"OpenMetricsText1.0.0", CONFIG_PROTOCOL_OPENMETRICS_1_0_0, SCHEMA_WORKS},
    {NULL, 0, SCHEMA_WORKS},
};

static const struct schema_word scheme_words[] = {
    {"http", CONFIG_SCHEME_HTTP, SCHEMA_WORKS},
    {"https", CONFIG_SCHEME_HTTPS, SCHEMA_WORKS},
    {NULL, 0, SCHEMA_WORKS},
};

static const struct schema_word event_loop_words[] = {
    {"auto", CONFIG_EVENT_LOOP_AUTO, SCHEMA_WORKS},
    {"io_uring", CONFIG_EVENT_LOOP_IO_URING, SCHEMA_WORKS},
    {"epoll", CONFIG_EVENT_LOOP_EPOLL, SCHEMA_WORKS},
    {NULL, 0, SCHEMA_WORKS},
};

static const struct schema_word gzip_words[] = {
    {"", CONFIG_GZIP_UNSAID, SCHEMA_WORKS},
    {"auto", CONFIG_GZIP_AUTO, SCHEMA_WORKS},
    {"true", CONFIG_GZIP_ON, SCHEMA_WORKS},
    {"false", CONFIG_GZIP_OFF, SCHEMA_WORKS},
    {NULL, 0, SCHEMA_WORKS},
};

static const struct schema_word pinning_words[] = {
    {"auto", CONFIG_PINNING_AUTO, SCHEMA_WORKS},
    {"on", CONFIG_PINNING_ON, SCHEMA_WORKS},
    {"off", CONFIG_PINNING_OFF, SCHEMA_WORKS},
    {NULL, 0, SCHEMA_WORKS},
};

static const struct schema_word validation_words[] = {
    {"", CONFIG_VALIDATION_NONE, SCHEMA_WORKS},
    {"utf8", CONFIG_VALIDATION_UTF8, SCHEMA_WORKS},
    {"legacy", CONFIG_VALIDATION_LEGACY, SCHEMA_WORKS},
    {NULL, 0, SCHEMA_WORKS},
};

static const struct schema_word escaping_words[] = {
    {"", CONFIG_ESCAPING_NONE, SCHEMA_WORKS},
    {"allow-utf-8", CONFIG_ESCAPING_ALLOW_UTF_8, SCHEMA_WORKS},
    {"underscores", CONFIG_ESCAPING_UNDERSCORES, SCHEMA_WORKS},
    {"dots", CONFIG_ESCAPING_DOTS, SCHEMA_WORKS},
    {"values", CONFIG_ESCAPING_VALUES, SCHEMA_WORKS},
    {NULL, 0, SCHEMA_WORKS},
};

/* The default comes first; the order of the rest is that of Prometheus' documentation. */
static const struct schema_word action_words[] = {
    {"replace", RELABEL_REPLACE, SCHEMA_WORKS},     {"lowercase", RELABEL_LOWERCASE, SCHEMA_WORKS},
    {"uppercase", RELABEL_UPPERCASE, SCHEMA_WORKS}, {"keep", RELABEL_KEEP, SCHEMA_WORKS},
    {"drop", RELABEL_DROP, SCHEMA_WORKS},           {"keepequal", RELABEL_KEEPEQUAL, SCHEMA_WORKS},
    {"dropequal", RELABEL_DROPEQUAL, SCHEMA_WORKS}, {"hashmod", RELABEL_HASHMOD, SCHEMA_WORKS},
    {"labelmap", RELABEL_LABELMAP, SCHEMA_WORKS},   {"labeldrop", RELABEL_LABELDROP, SCHEMA_WORKS},
    {"labelkeep", RELABEL_LABELKEEP, SCHEMA_WORKS}, {NULL, 0, SCHEMA_WORKS},
};

#define BLOCK struct relabel_config
static const struct schema_key relabel_keys[] = {
    {MEMBER(source_labels), .type = SCHEMA_STRINGS,
     .help = "Labels whose values, joined by `separator`, the rule looks at."},
    {MEMBER(separator), .type = SCHEMA_STRING, .fallback = ";",
     .help = "What stands between the values of `source_labels`."},
    {MEMBER(regex), .type = SCHEMA_STRING, .fallback = "(.*)",
     .help = "A regular expression (RE2) for the whole value, or, of the actions that begin with "
             "`label`, for the whole of a label's name."},
    {MEMBER(modulus), .type = SCHEMA_INT,
     .help = "What `hashmod` divides the value's hash by; at least 1 there."},
    {MEMBER(target_label), .type = SCHEMA_STRING,
     .help = "The label that is written; of `keepequal` and `dropequal`, compared."},
    {MEMBER(replacement), .type = SCHEMA_STRING, .fallback = "$1",
     .help = "The value that `replace` writes, or the name that `labelmap` gives. `$1`, `${1}` "
             "and `${name}` are groups of `regex`; `$$` is a dollar sign."},
    {MEMBER(action), .type = SCHEMA_ENUM, .words = action_words, .any_case = true,
     .fallback = "replace", .help = "What the rule does."},
    {.name = NULL},
};
#undef BLOCK

const struct schema_block schema_relabel = {
    "relabel_configs",
    "Rules that change or drop sets of labels, applied in their order: `relabel_configs` to "
    "targets, `metric_relabel_configs` to samples, `write_relabel_configs` to what is sent to a "
    "remote.",
    sizeof(struct relabel_config), relabel_keys};

#define BLOCK struct config_global
static const struct schema_key global_keys[] = {
    {MEMBER(scrape_interval), .type = SCHEMA_DURATION, .fallback = "1m",
     .help = "How often targets are scraped; 0 means the default."},
    {MEMBER(scrape_timeout), .type = SCHEMA_DURATION,
     .fallback_help = "10s, but at most `scrape_interval`",
     .help = "How long a scrape may take; at most `scrape_interval`."},
    {MEMBER(scrape_protocols), .type = SCHEMA_ENUMS, .words = protocol_words,
     .verify = check_protocols, .fallback_help = "that of the jobs",
     .help = "The formats that targets are asked for, the most wanted first."},
    {MEMBER(external_labels), .type = SCHEMA_MAP, .verify = check_label_names,
     .help = "Labels that every series gets on its way out, unless it has them. `$NAME` and "
             "`${NAME}` in values are environment variables, `$$` is a dollar sign."},
    {MEMBER(evaluation_interval), .type = SCHEMA_DURATION, .fallback = "1m",
     UNUSED("limpet evaluates no rules"), .help = "How often rules are evaluated."},
    {MEMBER(rule_query_offset), .type = SCHEMA_DURATION, .fallback = "0s",
     UNUSED("limpet evaluates no rules"), .help = "How far rules look back."},
    {MEMBER(query_log_file), .type = SCHEMA_STRING, UNUSED("limpet answers no queries"),
     .help = "Where queries are logged."},
    SHARED_ROWS,
    {.name = NULL},
};
#undef BLOCK

static const struct schema_block global_block = {
    "global", "What holds for every job that does not say otherwise.", sizeof(struct config_global),
    global_keys};

#define BLOCK struct config_target_group
static const struct schema_key target_group_keys[] = {
    {MEMBER(targets), .type = SCHEMA_STRINGS,
     .help =
         "`host:port` of each target; no scheme and no path. Names are asked for again by the "
         "TTL of their DNS records, of at least 5 s and at most 5 min; each 30 s where there is "
         "none."},
    {MEMBER(labels), .type = SCHEMA_MAP, .verify = check_label_names,
     .help = "Labels of all targets of the group."},
    {.name = NULL},
};
#undef BLOCK

const struct schema_block schema_target_group = {
    "static_configs", "Targets by name. The files of `file_sd_configs` hold lists of these too.",
    sizeof(struct config_target_group), target_group_keys};

#define BLOCK struct config_file_sd
static const struct schema_key file_sd_keys[] = {
    {MEMBER(files), .type = SCHEMA_STRINGS, .required = true, .verify = check_file_patterns,
     .help = "Paths, relative to this file's directory; `*` may stand in the last element. They "
             "end in .json, .yml or .yaml."},
    {MEMBER(refresh_interval), .type = SCHEMA_DURATION, .fallback = "5m", .min = 1,
     .help = "The files are read again after this time even if no change was noticed."},
    {.name = NULL},
};
#undef BLOCK

const struct schema_block schema_file_sd = {"file_sd_configs",
                                            "Targets from files, which are watched for changes.",
                                            sizeof(struct config_file_sd), file_sd_keys};

#define OTHER_SD(kind)                                                                             \
    REFUSED(kind##_sd_configs,                                                                     \
            "`" #kind "_sd_configs` is not supported: limpet scrapes what is "                     \
            "on its own node; give the targets by file_sd_configs",                                \
            .help = "Not part of limpet.")

#define BLOCK struct config_job_limpet
static const struct schema_key job_limpet_keys[] = {
    {MEMBER(kubelet_sd_configs), .type = SCHEMA_STRUCTS, .block = &schema_kubelet_sd,
     .help = "The pods of this node, from its kubelet."},
    {MEMBER(annotation_discovery), .type = SCHEMA_STRUCTS, .block = &schema_annotation_sd,
     .help = "Pods and services that ask by annotations to be scraped."},
    {MEMBER(start_timestamps), .type = SCHEMA_BOOL, .fallback = "false",
     .help =
         "Take the `_created` lines of OpenMetrics as the start timestamps of the samples before "
         "them, which remote write 2.0 carries, instead of as samples. The lines of a family are "
         "then held until its `_created` line has come: at most 1 MiB."},
    {MEMBER(compression), .type = SCHEMA_ENUM, .words = gzip_words, .fallback = "",
     .fallback_help = "what the job's `enable_compression` says if it is written, else `auto`",
     .help = "Whether targets are asked for gzip. `auto`: those on other nodes are, those on this "
             "one (by the node's name where the discovery knows it, else by their addresses) are "
             "not: there, compressing and undoing it costs both sides more than the bytes do."},
    {.name = NULL},
};
#undef BLOCK

static const struct schema_block job_limpet_block = {.title = "limpet of a job",
                                                     .help = "What Prometheus has no key for.",
                                                     .size = sizeof(struct config_job_limpet),
                                                     .keys = job_limpet_keys};

#define BLOCK struct config_job
static const struct schema_key job_keys[] = {
    {MEMBER(job_name), .type = SCHEMA_STRING, .required = true, .verify = check_not_empty,
     .help = "The label `job` of the targets; unique in the file."},
    {MEMBER(scrape_interval), .type = SCHEMA_DURATION, .fallback_help = "that of `global`",
     .help = "How often targets are scraped; 0 means the default."},
    {MEMBER(scrape_timeout), .type = SCHEMA_DURATION,
     .fallback_help = "that of `global`, but at most `scrape_interval`",
     .help = "How long a scrape may take; at most `scrape_interval`."},
    {MEMBER(scrape_protocols), .type = SCHEMA_ENUMS, .words = protocol_words,
     .verify = check_protocols,
     .fallback_help = "that of `global`, else OpenMetricsText1.0.0, OpenMetricsText0.0.1, "
                      "PrometheusText1.0.0, PrometheusText0.0.4",
     .help = "The formats that targets are asked for, the most wanted first."},
    {MEMBER(fallback_scrape_protocol), .type = SCHEMA_ENUM, .words = fallback_words, .fallback = "",
     .help = "The format of an answer whose Content-Type does not say it."},
    {MEMBER(honor_labels), .type = SCHEMA_BOOL, .fallback = "false",
     .help = "Where a target's label and an exposed one have the same name, keep the exposed one."},
    {MEMBER(honor_timestamps), .type = SCHEMA_BOOL, .fallback = "true",
     .help = "Take the timestamps that targets expose."},
    {MEMBER(track_timestamps_staleness), .type = SCHEMA_BOOL, .fallback = "false",
     .help = "Send staleness markers also for series with timestamps of their own."},
    {MEMBER(metrics_path), .type = SCHEMA_STRING, .fallback = "/metrics",
     .help = "The path that is asked for."},
    {MEMBER(scheme), .type = SCHEMA_ENUM, .words = scheme_words, .fallback = "http",
     .help = "How targets are spoken to."},
    {MEMBER(params), .type = SCHEMA_PARAMS, .help = "The query of the URL."},
    {MEMBER(enable_compression), .type = SCHEMA_BOOL, .fallback = "true",
     .fallback_help = "see `compression` of `limpet`",
     .help = "Ask for gzip; with `false` for uncompressed answers."},
    {MEMBER(static_configs), .type = SCHEMA_STRUCTS, .block = &schema_target_group,
     .help = "Targets by name."},
    {MEMBER(file_sd_configs), .type = SCHEMA_STRUCTS, .block = &schema_file_sd,
     .help = "Targets from files."},
    {MEMBER(http_sd_configs), .type = SCHEMA_STRUCTS, .block = &schema_http_sd,
     .help = "Targets from an HTTP server."},
    {MEMBER(dns_sd_configs), .type = SCHEMA_STRUCTS, .block = &schema_dns_sd,
     .help = "Targets from DNS."},
    {MEMBER(kubernetes_sd_configs), .type = SCHEMA_STRUCTS, .block = &schema_kubernetes_sd,
     .help = "Targets from Kubernetes."},
    {MEMBER(limpet), .type = SCHEMA_STRUCT, .block = &job_limpet_block,
     .help = "What Prometheus has no key for."},
    {MEMBER(relabel_configs), .type = SCHEMA_STRUCTS, .block = &schema_relabel,
     .help = "Rules that change or drop targets."},
    {MEMBER(metric_relabel_configs), .type = SCHEMA_STRUCTS, .block = &schema_relabel,
     .help = "Rules that change or drop samples."},
    SHARED_ROWS,
    {MEMBER(native_histogram_bucket_limit), .type = SCHEMA_INT,
     .help = "Most buckets of a native histogram, which is made coarser to have no more; 0: any "
             "number."},
    {MEMBER(native_histogram_min_bucket_factor), .type = SCHEMA_NUMBER,
     .help = "Native histograms whose buckets grow by less than this factor are made coarser; 0: "
             "none is."},
    SCHEMA_HTTP_ROWS(BLOCK, http, "true", .required = false),
    OTHER_SD(aws),
    OTHER_SD(azure),
    OTHER_SD(consul),
    OTHER_SD(digitalocean),
    OTHER_SD(docker),
    OTHER_SD(dockerswarm),
    OTHER_SD(ec2),
    OTHER_SD(ecs),
    OTHER_SD(elasticache),
    OTHER_SD(eureka),
    OTHER_SD(gce),
    OTHER_SD(hetzner),
    OTHER_SD(ionos),
    OTHER_SD(kuma),
    OTHER_SD(lightsail),
    OTHER_SD(linode),
    OTHER_SD(marathon),
    OTHER_SD(msk),
    OTHER_SD(nerve),
    OTHER_SD(nomad),
    OTHER_SD(oci),
    OTHER_SD(openstack),
    OTHER_SD(outscale),
    OTHER_SD(ovhcloud),
    OTHER_SD(puppetdb),
    OTHER_SD(rds),
    OTHER_SD(scaleway),
    OTHER_SD(serverset),
    OTHER_SD(stackit),
    OTHER_SD(triton),
    OTHER_SD(uyuni),
    OTHER_SD(vultr),
    {.name = NULL},
};
#undef BLOCK

const struct schema_block schema_job = {"scrape_configs",
                                        "The jobs: which targets are scraped, and how.",
                                        sizeof(struct config_job), job_keys};

#define BLOCK struct config_spool
static const struct schema_key spool_keys[] = {
    {MEMBER(max_bytes), .type = SCHEMA_SIZE, .fallback = "1GiB", .min = 1 << 20,
     .max = INT64_C(1) << 50, .help = "Largest spool of a remote; then the oldest is dropped."},
    {MEMBER(max_age), .type = SCHEMA_DURATION, .fallback = "24h", .min = 1000,
     .help = "What has waited longer than this is dropped."},
    {MEMBER(after), .type = SCHEMA_DURATION, .fallback = "10s", .min = 1,
     .help =
         "A request that is not taken for so long goes into the spool; sooner if half of a ring "
         "waits for it."},
    {.name = NULL},
};
#undef BLOCK

static const struct schema_block spool_block = {
    "spool", "What remotes do not take in time waits on disk, below `--storage.path`.",
    sizeof(struct config_spool), spool_keys};

static const struct schema_word shard_by_words[] = {
    {"auto", CONFIG_SHARD_AUTO, SCHEMA_WORKS}, {"none", CONFIG_SHARD_NONE, SCHEMA_WORKS},
    {"node", CONFIG_SHARD_NODE, SCHEMA_WORKS}, {"namespace", CONFIG_SHARD_NAMESPACE, SCHEMA_WORKS},
    {"hash", CONFIG_SHARD_HASH, SCHEMA_WORKS}, {NULL, 0, SCHEMA_WORKS},
};

static const struct schema_word unlocated_words[] = {
    {"all", CONFIG_UNLOCATED_ALL, SCHEMA_WORKS},
    {"hash", CONFIG_UNLOCATED_HASH, SCHEMA_WORKS},
    {"none", CONFIG_UNLOCATED_NONE, SCHEMA_WORKS},
    {NULL, 0, SCHEMA_WORKS},
};

#define BLOCK struct config_sharding
static const struct schema_key sharding_keys[] = {
    {MEMBER(by), .type = SCHEMA_ENUM, .words = shard_by_words, .fallback = "auto",
     .help = "What decides: the `node` a target runs on, its `namespace`, or a `hash` of its "
             "labels and URL. `auto`: `node` where the environment has NODE_NAME, as in a "
             "DaemonSet, else `none`."},
    {MEMBER(node), .type = SCHEMA_STRING, .fallback = "", .fallback_help = "$NODE_NAME",
     .help = "The name of this node."},
    {MEMBER(namespaces), .type = SCHEMA_STRINGS, .help = "The namespaces of this instance."},
    {MEMBER(shards), .type = SCHEMA_INT, .fallback = "0", .max = 65536,
     .help = "For `hash`: how many instances there are. One more moves as few targets as "
             "possible."},
    {MEMBER(shard), .type = SCHEMA_STRING, .fallback = "",
     .fallback_help = "$POD_NAME, else the host name",
     .help = "For `hash`: which of them this is: a name that ends with `-` and a number from 0 on, "
             "as the pods of a StatefulSet have."},
    {MEMBER(unlocated), .type = SCHEMA_ENUM, .words = unlocated_words, .fallback = "all",
     .help = "Who takes targets without a node (or namespace), such as those of "
             "`static_configs`: `all` instances, one by `hash`, or `none`."},
    {.name = NULL},
};
#undef BLOCK

static const struct schema_block sharding_block = {
    "sharding", "Which targets are this instance's, where several have the same configuration.",
    sizeof(struct config_sharding), sharding_keys};

#define BLOCK struct config_limpet
static const struct schema_key limpet_keys[] = {
    {MEMBER(scrapers), .type = SCHEMA_INT, .fallback = "1", .min = 1, .max = 64,
     .help = "Scraper processes. One is enough for tens of thousands of small targets. Targets are "
             "shared out by what they cost; a reload may change the number."},
    {MEMBER(cpus), .type = SCHEMA_CPUS, .fallback_help = "the kernel decides",
     .help = "CPUs for the scrapers, from the lowest on; as `0-3,5`."},
    {MEMBER(pinning), .type = SCHEMA_ENUM, .words = pinning_words, .fallback = "auto",
     .help = "Whether scrapers are bound to their CPUs. `auto`: when `cpus` is given or limpet "
             "has CPUs of its own."},
    {MEMBER(ring_size), .type = SCHEMA_SIZE, .fallback = "64MiB", .min = 1 << 20,
     .max = INT64_C(1) << 36, .verify = check_power_of_two,
     .help = "What each scraper may have waiting for delivery; a power of two. Memory is taken "
             "as it is needed."},
    {MEMBER(tick_max), .type = SCHEMA_DURATION, .fallback = "500ms", .min = 1, .max = 1000,
     .help = "Scrapes that are due within this time may start together, which saves CPU."},
    {MEMBER(event_loop), .type = SCHEMA_ENUM, .words = event_loop_words, .fallback = "auto",
     .help = "How scrapers and writer talk to the kernel. `auto`: io_uring where it works."},
    {MEMBER(spool), .type = SCHEMA_STRUCT, .block = &spool_block,
     .help = "Where samples wait that a receiver does not take."},
    {MEMBER(sharding), .type = SCHEMA_STRUCT, .block = &sharding_block, .verify = check_sharding,
     .help = "How instances with the same configuration share the targets."},
    {MEMBER(target_allocator), .type = SCHEMA_STRUCT, .block = &schema_target_allocator,
     .has_given = true, .help = "More jobs and targets, from a Target Allocator."},
    {.name = NULL},
};
#undef BLOCK

static const struct schema_block limpet_block = {"limpet", "What Prometheus has no key for.",
                                                 sizeof(struct config_limpet), limpet_keys};

#define AGENT_MODE(key)                                                                            \
    REFUSED(key, "field " #key " is not allowed in agent mode; remove it",                         \
            .help = "Not part of an agent.")

#define BLOCK struct config
static const struct schema_key root_keys[] = {
    {MEMBER(global), .type = SCHEMA_STRUCT, .block = &global_block,
     .help = "What holds for every job that does not say otherwise."},
    {MEMBER(scrape_configs), .type = SCHEMA_STRUCTS, .block = &schema_job, .help = "The jobs."},
    {MEMBER(remote_write), .type = SCHEMA_STRUCTS, .block = &schema_remote,
     .help = "The receivers, at most 8; each gets every sample."},
    {MEMBER(limpet), .type = SCHEMA_STRUCT, .block = &limpet_block,
     .help = "What Prometheus has no key for."},
    {MEMBER(scrape_config_files), .type = SCHEMA_STRINGS, .verify = check_job_files,
     .help = "Files with more jobs, each a mapping with the key `scrape_configs`. Paths, relative "
             "to this file's directory; `*` may stand in the last element."},
    {MEMBER(storage), .type = SCHEMA_STRUCT, .block = &schema_storage,
     .help = "Settings of a database."},
    {NOWHERE(runtime), .type = SCHEMA_STRUCT, .block = &schema_runtime,
     UNUSED("limpet does not run on Go"), .help = "Settings of Go."},
    AGENT_MODE(alerting),
    AGENT_MODE(rule_files),
    AGENT_MODE(remote_read),
    REFUSED(otlp, "`otlp` is not supported: limpet receives nothing, it scrapes; remove it",
            .help = "Not part of limpet."),
    REFUSED(tracing, "`tracing` is not supported: limpet sends no traces of itself; remove it",
            .help = "Not part of limpet."),
    {.name = NULL},
};

/* A file of scrape_config_files. */
static const struct schema_key job_file_keys[] = {
    {MEMBER(scrape_configs), .type = SCHEMA_STRUCTS, .block = &schema_job, .help = "The jobs."},
    {.name = NULL},
};

const struct schema_block schema_job_file = {"the file of jobs", "The keys of a file of jobs.",
                                             sizeof(struct config), job_file_keys};
#undef BLOCK

const struct schema_block schema_root = {"the file", "The keys of the top level.",
                                         sizeof(struct config), root_keys};
