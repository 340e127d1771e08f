/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The rows of the Target Allocator. How to read one: config/schema.h. */
#include "config/schema_allocator.h"

#include "config/schema_http.h"

#define MEMBER(key)  .name = #key, .offset = offsetof(BLOCK, key)
#define NOWHERE(key) .name = #key, .offset = SCHEMA_NO_MEMBER
#define UNUSED(text) .state = SCHEMA_UNUSED, .note = text

/* Of the collector's HTTP client. */
#define TUNING(key, kind)                                                                          \
    {                                                                                              \
        NOWHERE(key), .type = (kind), UNUSED("limpet keeps one connection and needs no tuning"),   \
                      .help = "The collector's."                                                   \
    }

#define REFUSED(key, text)                                                                         \
    {                                                                                              \
        NOWHERE(key), .type = SCHEMA_OPAQUE, .state = SCHEMA_REFUSED, .note = text,                \
                      .help = "Not part of limpet."                                                \
    }

static const struct schema_word version_words[] = {
    {"", CONFIG_TLS_DEFAULT, SCHEMA_WORKS}, {"1.0", CONFIG_TLS_1_0, SCHEMA_WORKS},
    {"1.1", CONFIG_TLS_1_1, SCHEMA_WORKS},  {"1.2", CONFIG_TLS_1_2, SCHEMA_WORKS},
    {"1.3", CONFIG_TLS_1_3, SCHEMA_WORKS},  {NULL, 0, SCHEMA_WORKS},
};

#define BLOCK struct config_tls
static const struct schema_key tls_keys[] = {
    {.name = "ca_pem",
     .offset = offsetof(BLOCK, ca),
     .type = SCHEMA_STRING,
     .help = "Certificates of the authorities to believe, in PEM form or as base64 of it."},
    {MEMBER(ca_file), .type = SCHEMA_STRING, .fallback_help = "the system's authorities",
     .help = "A file with them, read for each request."},
    {.name = "cert_pem",
     .offset = offsetof(BLOCK, cert),
     .type = SCHEMA_STRING,
     .help = "The client's certificate, in PEM form or as base64 of it."},
    {MEMBER(cert_file), .type = SCHEMA_STRING, .help = "A file with it, read for each request."},
    {.name = "key_pem",
     .offset = offsetof(BLOCK, key),
     .type = SCHEMA_STRING,
     .help = "The key of `cert_pem`, in PEM form or as base64 of it."},
    {MEMBER(key_file), .type = SCHEMA_STRING, .help = "A file with it, read for each request."},
    {.name = "server_name_override",
     .offset = offsetof(BLOCK, server_name),
     .type = SCHEMA_STRING,
     .fallback_help = "the host of the URL",
     .help = "The name that the server's certificate must have."},
    {MEMBER(insecure_skip_verify), .type = SCHEMA_BOOL, .fallback = "false",
     .help = "Believe any certificate."},
    {MEMBER(min_version), .type = SCHEMA_ENUM, .words = version_words, .fallback = "",
     .fallback_help = "`1.2`", .help = "The lowest TLS version."},
    {MEMBER(max_version), .type = SCHEMA_ENUM, .words = version_words, .fallback = "",
     .fallback_help = "`1.3`", .help = "The highest TLS version."},
    {NOWHERE(insecure), .type = SCHEMA_BOOL, .fallback = "false",
     UNUSED("the URL says whether TLS is spoken"), .help = "The collector's."},
    {NOWHERE(reload_interval), .type = SCHEMA_DURATION, .fallback = "0s",
     UNUSED("files are read for each request"), .help = "How often files are read."},
    {MEMBER(include_system_ca_certs_pool), .type = SCHEMA_BOOL, .fallback = "false",
     .help = "Believe the system's authorities besides those of `ca_pem` or `ca_file`."},
    {.name = NULL},
};
#undef BLOCK

static const struct schema_block tls_block = {.title = "tls (of target_allocator)",
                                              .help = "TLS, in the collector's words.",
                                              .size = sizeof(struct config_tls),
                                              .keys = tls_keys};

#define BLOCK struct config_allocator_sd
static const struct schema_key sd_keys[] = {
    {NOWHERE(url), .type = SCHEMA_STRING, UNUSED("each job has a URL of its own"),
     .help = "Of `http_sd_configs`."},
    {MEMBER(refresh_interval), .type = SCHEMA_DURATION, .fallback = "30s", .min = 1,
     .help = "How often each job's targets are asked for."},
    SCHEMA_HTTP_ROWS(BLOCK, http, "true", .state = SCHEMA_UNUSED,
                     .note = "a Target Allocator's redirects are not followed"),
    {.name = NULL},
};
#undef BLOCK

static const struct schema_block sd_block = {
    .title = "http_sd_config (of target_allocator)",
    .help = "How targets are asked for. What is not said about TLS, the proxy, credentials and "
            "headers is as for the jobs.",
    .size = sizeof(struct config_allocator_sd),
    .keys = sd_keys};

#define BLOCK struct config_allocator_scrape
static const struct schema_key scrape_keys[] = {
    SCHEMA_HTTP_ROWS(BLOCK, http, "true", .required = false),
    {.name = NULL},
};
#undef BLOCK

static const struct schema_block scrape_block = {
    .title = "http_scrape_config (of target_allocator)",
    .help = "The options of an HTTP client with which the targets are scraped, in place of all "
            "that their jobs say of these.",
    .size = sizeof(struct config_allocator_scrape),
    .keys = scrape_keys};

#define BLOCK struct config_target_allocator
static const struct schema_key allocator_keys[] = {
    {MEMBER(endpoint), .type = SCHEMA_STRING, .required = true,
     .help = "The URL of the Target Allocator. `${NAME}` is an environment variable."},
    {MEMBER(interval), .type = SCHEMA_DURATION, .fallback = "30s", .min = 1,
     .help = "How often the jobs are asked for."},
    {MEMBER(collector_id), .type = SCHEMA_STRING, .required = true,
     .help = "Who is asking: the name of this pod, `${POD_NAME}`."},
    {MEMBER(timeout), .type = SCHEMA_DURATION, .fallback_help = "`interval`",
     .help = "How long an answer may take; at most `interval`."},
    {.name = "tls",
     .offset = offsetof(BLOCK, http.tls_config),
     .type = SCHEMA_STRUCT,
     .block = &tls_block,
     .help = "TLS, in the collector's words; or else `tls_config`."},
    {MEMBER(headers), .type = SCHEMA_MAP, .verify = check_headers,
     .help = "Headers of each request."},
    {.name = "http_sd_config",
     .offset = offsetof(BLOCK, sd),
     .type = SCHEMA_STRUCT,
     .block = &sd_block,
     .has_given = true,
     .help = "How targets are asked for."},
    {.name = "http_scrape_config",
     .offset = offsetof(BLOCK, scrape),
     .type = SCHEMA_STRUCT,
     .block = &scrape_block,
     .has_given = true,
     .help = "With what the targets are scraped, in place of what their jobs say."},
    {MEMBER(deny_file_references), .type = SCHEMA_BOOL, .fallback = "true",
     .help = "Refuse jobs that name files: who may write jobs could have a file of this host, "
             "such as a token, sent to a target of his."},
    {MEMBER(allowed_directories), .type = SCHEMA_STRINGS,
     .help = "Directories whose files jobs may name all the same."},
    SCHEMA_HTTP_ROWS(BLOCK, http, "true", .state = SCHEMA_UNUSED,
                     .note = "a Target Allocator's redirects are not followed"),
    REFUSED(auth, "`auth` names an extension of the collector, which limpet does not have; give "
                  "`basic_auth`, `authorization` or `oauth2`"),
    REFUSED(middlewares, "`middlewares` are extensions of the collector, which limpet does not "
                         "have; remove them"),
    {NOWHERE(compression), .type = SCHEMA_STRING, UNUSED("requests have no body"),
     .help = "The collector's."},
    TUNING(read_buffer_size, SCHEMA_INT),
    TUNING(write_buffer_size, SCHEMA_INT),
    TUNING(max_idle_conns, SCHEMA_INT),
    TUNING(max_idle_conns_per_host, SCHEMA_INT),
    TUNING(max_conns_per_host, SCHEMA_INT),
    TUNING(idle_conn_timeout, SCHEMA_DURATION),
    TUNING(disable_keep_alives, SCHEMA_BOOL),
    TUNING(force_attempt_http2, SCHEMA_BOOL),
    TUNING(http2_read_idle_timeout, SCHEMA_DURATION),
    TUNING(http2_ping_timeout, SCHEMA_DURATION),
    TUNING(cookies, SCHEMA_OPAQUE),
    {.name = NULL},
};
#undef BLOCK

const struct schema_block schema_target_allocator = {
    .title = "target_allocator",
    .help = "Jobs from a Target Allocator of OpenTelemetry, and of their targets those that it "
            "gives to this instance. The block is the collector's. Jobs of this file are scraped "
            "besides.",
    .size = sizeof(struct config_target_allocator),
    .keys = allocator_keys};
