/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The rows that every block with an HTTP client in it has: for config/schema_table.c only. */
#ifndef CONFIG_SCHEMA_HTTP_H
#define CONFIG_SCHEMA_HTTP_H

#include "config/config.h"
#include "config/schema.h"
#include "config/schema_check.h"

extern const struct schema_block schema_basic_auth;
extern const struct schema_block schema_authorization;
extern const struct schema_block schema_oauth2;
extern const struct schema_block schema_tls;
extern const struct schema_block schema_http_header;

/* `proxy` is the member of `owner`. */
#define SCHEMA_PROXY_ROWS(owner, proxy)                                                            \
    {.name = "proxy_url",                                                                          \
     .offset = offsetof(owner, proxy.proxy_url),                                                   \
     .type = SCHEMA_STRING,                                                                        \
     .verify = check_proxy_url,                                                                    \
     .help = "An HTTP proxy: http://[user:password@]host:port. Not https:// and not socks5://."},  \
        {.name = "no_proxy",                                                                       \
         .offset = offsetof(owner, proxy.no_proxy),                                                \
         .type = SCHEMA_STRING,                                                                    \
         .help = "What is reached without the proxy: names, addresses, networks, separated by "    \
                 "commas."},                                                                       \
        {.name = "proxy_from_environment",                                                         \
         .offset = offsetof(owner, proxy.proxy_from_environment),                                  \
         .type = SCHEMA_BOOL,                                                                      \
         .fallback = "false",                                                                      \
         .help = "Take the proxy from HTTP_PROXY, HTTPS_PROXY and NO_PROXY."},                     \
    {                                                                                              \
        .name = "proxy_connect_header", .offset = offsetof(owner, proxy.proxy_connect_header),     \
        .type = SCHEMA_PARAMS, .help = "Headers for the proxy when it is asked for a tunnel."      \
    }

/* `http` is the member of `owner`; more is added to the row of follow_redirects. */
#define SCHEMA_HTTP_ROWS(owner, http, http2, ...)                                                  \
    {.name = "basic_auth",                                                                         \
     .offset = offsetof(owner, http.basic_auth),                                                   \
     .type = SCHEMA_STRUCT,                                                                        \
     .block = &schema_basic_auth,                                                                  \
     .has_given = true,                                                                            \
     .help = "User name and password."},                                                           \
        {.name = "authorization",                                                                  \
         .offset = offsetof(owner, http.authorization),                                            \
         .type = SCHEMA_STRUCT,                                                                    \
         .block = &schema_authorization,                                                           \
         .has_given = true,                                                                        \
         .help = "An Authorization header."},                                                      \
        {.name = "oauth2",                                                                         \
         .offset = offsetof(owner, http.oauth2),                                                   \
         .type = SCHEMA_STRUCT,                                                                    \
         .block = &schema_oauth2,                                                                  \
         .has_given = true,                                                                        \
         .help = "A token from an OAuth 2.0 server."},                                             \
        {.name = "bearer_token",                                                                   \
         .offset = offsetof(owner, http.bearer_token),                                             \
         .type = SCHEMA_STRING,                                                                    \
         .help = "The old spelling of `authorization.credentials`."},                              \
        {.name = "bearer_token_file",                                                              \
         .offset = offsetof(owner, http.bearer_token_file),                                        \
         .type = SCHEMA_STRING,                                                                    \
         .help = "The old spelling of `authorization.credentials_file`."},                         \
        {.name = "tls_config",                                                                     \
         .offset = offsetof(owner, http.tls_config),                                               \
         .type = SCHEMA_STRUCT,                                                                    \
         .block = &schema_tls,                                                                     \
         .help = "Certificates and TLS versions."},                                                \
        SCHEMA_PROXY_ROWS(owner, http.proxy),                                                      \
        {.name = "http_headers",                                                                   \
         .offset = offsetof(owner, http.http_headers),                                             \
         .type = SCHEMA_NAMED,                                                                     \
         .block = &schema_http_header,                                                             \
         .verify = check_http_headers,                                                             \
         .help = "More request headers, by their names."},                                         \
        {.name = "follow_redirects",                                                               \
         .offset = offsetof(owner, http.follow_redirects),                                         \
         .type = SCHEMA_BOOL,                                                                      \
         .fallback = "true",                                                                       \
         .help = "Follow redirects, up to 10.",                                                    \
         __VA_ARGS__},                                                                             \
    {                                                                                              \
        .name = "enable_http2", .offset = offsetof(owner, http.enable_http2), .type = SCHEMA_BOOL, \
        .fallback = (http2), .state = SCHEMA_UNUSED, .note = "limpet speaks HTTP/1.1",             \
        .help = "Allow HTTP/2."                                                                    \
    }

#endif
