/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The configuration (config/config.h): what every block with an HTTP client in it has. */
#ifndef CONFIG_CONFIG_HTTP_H
#define CONFIG_CONFIG_HTTP_H

#include <stdbool.h>

#include "config/config_values.h"

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

#endif
