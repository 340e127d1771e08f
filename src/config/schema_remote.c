/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The rows of what samples are sent to. How to read one: config/schema.h. */
#include "config/config.h"
#include "config/schema.h"
#include "config/schema_check.h"
#include "config/schema_http.h"

#define MEMBER(key)  .name = #key, .offset = offsetof(BLOCK, key)
#define NOWHERE(key) .name = #key, .offset = SCHEMA_NO_MEMBER

static const struct schema_word message_words[] = {
    {"prometheus.WriteRequest", CONFIG_MESSAGE_V1, SCHEMA_WORKS},
    {"io.prometheus.write.v2.Request", CONFIG_MESSAGE_V2, SCHEMA_WORKS},
    {"auto", CONFIG_MESSAGE_AUTO, SCHEMA_WORKS},
    {NULL, 0, SCHEMA_WORKS},
};

static const struct schema_word compression_words[] = {
    {"fast", CONFIG_COMPRESSION_FAST, SCHEMA_WORKS},
    {"small", CONFIG_COMPRESSION_SMALL, SCHEMA_WORKS},
    {"zstd", CONFIG_COMPRESSION_ZSTD, SCHEMA_WORKS},
    {NULL, 0, SCHEMA_WORKS},
};

#define BLOCK struct config_queue
static const struct schema_key queue_keys[] = {
    {MEMBER(capacity), .type = SCHEMA_INT, .fallback = "10000", .min = 1,
     .help = "Samples that may wait in a shard."},
    {MEMBER(max_shards), .type = SCHEMA_INT, .fallback = "50", .min = 1,
     .help = "Most requests at a time."},
    {MEMBER(min_shards), .type = SCHEMA_INT, .fallback = "1", .min = 1,
     .help = "Shards to start with; at most `max_shards`."},
    {MEMBER(max_samples_per_send), .type = SCHEMA_INT, .fallback = "10000", .min = 1,
     .help = "Most samples of a request. A request costs more than what is in it: with Prometheus' "
             "2000, all of limpet takes half as much CPU time again on large targets."},
    {MEMBER(batch_send_deadline), .type = SCHEMA_DURATION, .fallback = "5s", .min = 1,
     .help = "A sample waits no longer than this for its request to fill."},
    {MEMBER(min_backoff), .type = SCHEMA_DURATION, .fallback = "30ms", .min = 1,
     .help = "The pause before the first repeat; it doubles each time."},
    {MEMBER(max_backoff), .type = SCHEMA_DURATION, .fallback = "5s", .min = 1,
     .help = "The longest pause before a repeat; at least `min_backoff`."},
    {MEMBER(retry_on_http_429), .type = SCHEMA_BOOL, .fallback = "true",
     .help = "Repeat a request that was answered with 429. Prometheus' default is `false`."},
    {MEMBER(sample_age_limit), .type = SCHEMA_DURATION, .fallback = "0s",
     .help = "Older samples are dropped instead of sent; 0: none are."},
    {.name = NULL},
};
#undef BLOCK

static const struct schema_block queue_block = {
    "queue_config", "How samples are gathered into requests and repeated.",
    sizeof(struct config_queue), queue_keys};

#define BLOCK struct config_metadata
static const struct schema_key metadata_keys[] = {
    {MEMBER(send), .type = SCHEMA_BOOL, .fallback = "true",
     .help = "Send type, help and unit of metrics."},
    {MEMBER(send_interval), .type = SCHEMA_DURATION, .fallback = "1m", .min = 1,
     .help = "How often."},
    {MEMBER(max_samples_per_send), .type = SCHEMA_INT, .fallback = "2000", .min = 1,
     .help = "Most entries of a request."},
    {.name = NULL},
};
#undef BLOCK

static const struct schema_block metadata_block = {"metadata_config", "Metadata of metrics.",
                                                   sizeof(struct config_metadata), metadata_keys};

#define CLOUD_AUTH(kind)                                                                           \
    {                                                                                              \
        NOWHERE(kind), .type = SCHEMA_OPAQUE, .state = SCHEMA_REFUSED,                             \
                       .note = "`" #kind "` is not supported: limpet does not sign requests for "  \
                               "cloud vendors; send through a proxy that does",                    \
                       .help = "Not part of limpet."                                               \
    }

#define BLOCK struct config_remote_limpet
static const struct schema_key remote_limpet_keys[] = {
    {MEMBER(compression), .type = SCHEMA_ENUM, .words = compression_words, .fallback = "fast",
     .help = "`fast`: requests are written as snappy blocks without searching for what repeats, at "
             "a small part of the CPU time; `small`: with a compressor, about a fifth less bytes. "
             "Both are snappy to the receiver. `zstd`: less than half of the bytes for more CPU "
             "time, for a receiver that takes VictoriaMetrics' remote write protocol "
             "(VictoriaMetrics since 1.88), always as remote write 1.0; one that refuses it is "
             "sent the same again as `fast`, and so is everything else from then on."},
    {.name = NULL},
};
#undef BLOCK

static const struct schema_block remote_limpet_block = {
    "limpet (of a remote)", "What Prometheus has no key for.", sizeof(struct config_remote_limpet),
    remote_limpet_keys};

#define BLOCK struct config_remote
static const struct schema_key remote_keys[] = {
    {MEMBER(url), .type = SCHEMA_STRING, .required = true, .verify = check_url,
     .help = "Where samples are sent."},
    {MEMBER(name), .type = SCHEMA_STRING, .fallback_help = "six hex digits made of this entry",
     .help = "The remote's name in metrics and logs; unique in the file."},
    {MEMBER(remote_timeout), .type = SCHEMA_DURATION, .fallback = "30s", .min = 1,
     .help = "How long a request may take."},
    {MEMBER(protobuf_message), .type = SCHEMA_ENUM, .words = message_words,
     .fallback = "prometheus.WriteRequest",
     .help = "The remote write version: 1.0 or 2.0. `auto`: 2.0, and 1.0 for a receiver that turns "
             "out not to understand it. An old receiver may answer 2.0 with success and store "
             "nothing; with `auto` that is found out and the data sent again as 1.0, with 2.0 it "
             "is lost and counted, as Prometheus does it."},
    {MEMBER(headers), .type = SCHEMA_MAP, .verify = check_headers,
     .help = "Headers of each request, besides those of the protocol."},
    {MEMBER(queue_config), .type = SCHEMA_STRUCT, .block = &queue_block,
     .help = "How samples are gathered into requests and repeated."},
    {MEMBER(metadata_config), .type = SCHEMA_STRUCT, .block = &metadata_block,
     .help = "Metadata of metrics."},
    {MEMBER(write_relabel_configs), .type = SCHEMA_STRUCTS, .block = &schema_relabel,
     .help = "Rules that change or drop samples on their way to this remote, after "
             "`external_labels` were added."},
    {MEMBER(send_exemplars), .type = SCHEMA_BOOL, .fallback = "false", .help = "Send exemplars."},
    {MEMBER(send_native_histograms), .type = SCHEMA_BOOL, .fallback = "false",
     .help = "Send native histograms."},
    {MEMBER(limpet), .type = SCHEMA_STRUCT, .block = &remote_limpet_block,
     .help = "Settings that Prometheus does not have."},
    {MEMBER(round_robin_dns), .type = SCHEMA_BOOL, .fallback = "false",
     .help = "Spread shards over all addresses of the host."},
    {NOWHERE(failed_request_logging), .type = SCHEMA_BOOL, .fallback = "false",
     .state = SCHEMA_UNUSED, .note = "requests that failed are logged in any case",
     .help = "Log requests that failed."},
    SCHEMA_HTTP_ROWS(BLOCK, http, "false", .required = false),
    CLOUD_AUTH(sigv4),
    CLOUD_AUTH(azuread),
    CLOUD_AUTH(google_iam),
    {.name = NULL},
};
#undef BLOCK

const struct schema_block schema_remote = {"remote_write",
                                           "The receivers, at most 8; each gets every sample.",
                                           sizeof(struct config_remote), remote_keys};
