/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The rows of an HTTP client's options. How to read one: config/schema.h. */
#include "config/schema_http.h"

#define MEMBER(key) .name = #key, .offset = offsetof(BLOCK, key)

#define SECRET_MANAGER(key)                                                                        \
    {                                                                                              \
        .name = #key, .offset = SCHEMA_NO_MEMBER, .type = SCHEMA_STRING, .state = SCHEMA_REFUSED,  \
        .note = "`" #key "` is not supported: limpet has no secret manager; use a file",           \
        .help = "Not part of limpet."                                                              \
    }

#define BLOCK struct config_basic_auth
static const struct schema_key basic_auth_keys[] = {
    {MEMBER(username), .type = SCHEMA_STRING, .help = "The user's name."},
    {MEMBER(username_file), .type = SCHEMA_STRING, .help = "A file with it, read again."},
    {MEMBER(password), .type = SCHEMA_STRING, .help = "The password."},
    {MEMBER(password_file), .type = SCHEMA_STRING, .help = "A file with it, read again."},
    SECRET_MANAGER(username_ref),
    SECRET_MANAGER(password_ref),
    {.name = NULL},
};
#undef BLOCK

const struct schema_block schema_basic_auth = {.title = "basic_auth",
                                               .help = "User name and password of each request.",
                                               .size = sizeof(struct config_basic_auth),
                                               .keys = basic_auth_keys};

#define BLOCK struct config_authorization
static const struct schema_key authorization_keys[] = {
    {MEMBER(type), .type = SCHEMA_STRING, .fallback_help = "`Bearer`",
     .help = "What stands before the credentials; not `basic`."},
    {MEMBER(credentials), .type = SCHEMA_STRING, .help = "The credentials."},
    {MEMBER(credentials_file), .type = SCHEMA_STRING, .help = "A file with them, read again."},
    SECRET_MANAGER(credentials_ref),
    {.name = NULL},
};
#undef BLOCK

const struct schema_block schema_authorization = {.title = "authorization",
                                                  .help = "The Authorization header of requests.",
                                                  .size = sizeof(struct config_authorization),
                                                  .keys = authorization_keys};

static const struct schema_word version_words[] = {
    {"", CONFIG_TLS_DEFAULT, SCHEMA_WORKS},  {"TLS10", CONFIG_TLS_1_0, SCHEMA_WORKS},
    {"TLS11", CONFIG_TLS_1_1, SCHEMA_WORKS}, {"TLS12", CONFIG_TLS_1_2, SCHEMA_WORKS},
    {"TLS13", CONFIG_TLS_1_3, SCHEMA_WORKS}, {NULL, 0, SCHEMA_WORKS},
};

#define BLOCK struct config_tls
static const struct schema_key tls_keys[] = {
    {MEMBER(ca), .type = SCHEMA_STRING,
     .help = "Certificates of the authorities to believe, in PEM form."},
    {MEMBER(ca_file), .type = SCHEMA_STRING, .fallback_help = "the system's authorities",
     .help = "A file with them, read again when it changes."},
    {MEMBER(cert), .type = SCHEMA_STRING, .help = "The client's certificate, in PEM form."},
    {MEMBER(cert_file), .type = SCHEMA_STRING,
     .help = "A file with it, read again when it changes."},
    {MEMBER(key), .type = SCHEMA_STRING, .help = "The key of `cert`, in PEM form."},
    {MEMBER(key_file), .type = SCHEMA_STRING,
     .help = "A file with it, read again when it changes."},
    {MEMBER(server_name), .type = SCHEMA_STRING, .fallback_help = "the host of the URL",
     .help = "The name that the server's certificate must have; or its SPIFFE identity, as "
             "`spiffe://cluster.local/ns/shop/sa/*`."},
    {MEMBER(insecure_skip_verify), .type = SCHEMA_BOOL, .fallback = "false",
     .help = "Believe any certificate."},
    {MEMBER(min_version), .type = SCHEMA_ENUM, .words = version_words, .fallback = "",
     .fallback_help = "`TLS12`", .help = "The lowest TLS version."},
    {MEMBER(max_version), .type = SCHEMA_ENUM, .words = version_words, .fallback = "",
     .fallback_help = "`TLS13`", .help = "The highest TLS version."},
    SECRET_MANAGER(ca_ref),
    SECRET_MANAGER(cert_ref),
    SECRET_MANAGER(key_ref),
    {.name = NULL},
};
#undef BLOCK

const struct schema_block schema_tls = {.title = "tls_config",
                                        .help = "Certificates and TLS versions.",
                                        .size = sizeof(struct config_tls),
                                        .keys = tls_keys};

static const struct schema_word grant_words[] = {
    {"client_credentials", CONFIG_GRANT_CREDENTIALS, SCHEMA_WORKS},
    {CONFIG_GRANT_JWT_WORD, CONFIG_GRANT_JWT, SCHEMA_WORKS},
    {NULL, 0, SCHEMA_WORKS},
};

static const struct schema_word signature_words[] = {
    {"RS256", CONFIG_SIGN_RS256, SCHEMA_WORKS},
    {"RS384", CONFIG_SIGN_RS384, SCHEMA_WORKS},
    {"RS512", CONFIG_SIGN_RS512, SCHEMA_WORKS},
    {NULL, 0, SCHEMA_WORKS},
};

#define BLOCK struct config_oauth2
static const struct schema_key oauth2_keys[] = {
    {MEMBER(client_id), .type = SCHEMA_STRING, .help = "Who asks for the token."},
    {MEMBER(client_secret), .type = SCHEMA_STRING, .help = "The secret of `client_id`."},
    {MEMBER(client_secret_file), .type = SCHEMA_STRING, .help = "A file with it, read again."},
    {MEMBER(token_url), .type = SCHEMA_STRING, .help = "Where tokens are given."},
    {MEMBER(scopes), .type = SCHEMA_STRINGS, .help = "What the token shall be good for."},
    {MEMBER(endpoint_params), .type = SCHEMA_MAP, .help = "More parameters of the request."},
    {MEMBER(grant_type), .type = SCHEMA_ENUM, .words = grant_words,
     .fallback = "client_credentials",
     .help =
         "How the token is asked for: with the secret of the client, or with a token of our own "
         "that is signed with its key."},
    {MEMBER(client_certificate_key), .type = SCHEMA_STRING,
     .help = "The RSA key of `client_id` in PEM form, to sign with. This one and the next six are "
             "for the grant by JWT."},
    {MEMBER(client_certificate_key_file), .type = SCHEMA_STRING,
     .help = "A file with it, read again."},
    {MEMBER(client_certificate_key_id), .type = SCHEMA_STRING,
     .help = "The header `kid` of the token."},
    {MEMBER(signature_algorithm), .type = SCHEMA_ENUM, .words = signature_words,
     .fallback = "RS256", .help = "How it is signed."},
    {MEMBER(iss), .type = SCHEMA_STRING, .help = "Its claim `iss`."},
    {MEMBER(audience), .type = SCHEMA_STRING, .fallback_help = "the `token_url`",
     .help = "Its claim `aud`."},
    {MEMBER(claims), .type = SCHEMA_MAP, .any_value = true,
     .help = "More claims, of any kind; they replace ours of the same name."},
    {MEMBER(tls_config), .type = SCHEMA_STRUCT, .block = &schema_tls,
     .help = "Certificates and TLS versions for `token_url`."},
    SCHEMA_PROXY_ROWS(BLOCK, proxy),
    SECRET_MANAGER(client_secret_ref),
    SECRET_MANAGER(client_certificate_key_ref),
    {.name = NULL},
};
#undef BLOCK

const struct schema_block schema_oauth2 = {.title = "oauth2",
                                           .help = "Tokens of an OAuth 2.0 server.",
                                           .size = sizeof(struct config_oauth2),
                                           .keys = oauth2_keys};

#define BLOCK struct config_http_header
static const struct schema_key http_header_keys[] = {
    {MEMBER(values), .type = SCHEMA_STRINGS, .help = "The header's values."},
    {MEMBER(secrets), .type = SCHEMA_STRINGS, .help = "Values that are not shown."},
    {MEMBER(files), .type = SCHEMA_STRINGS, .help = "Files with values, read again."},
    {.name = NULL},
};
#undef BLOCK

const struct schema_block schema_http_header = {.title = "http_headers",
                                                .help = "More request headers, by their names.",
                                                .size = sizeof(struct config_http_header),
                                                .keys = http_header_keys};
