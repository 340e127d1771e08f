/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "discovery/jwt.h"

#include <inttypes.h>

#include "base/base64.h"
#include "discovery/oauth2.h"
#include "http/url.h"
#include "net/tls.h"

#define LIFETIME_S 3600

static const struct {
    const char *name;
    enum net_tls_hash hash;
} algorithms[] = {
    [CONFIG_SIGN_RS256] = {"RS256", NET_TLS_SHA256},
    [CONFIG_SIGN_RS384] = {"RS384", NET_TLS_SHA384},
    [CONFIG_SIGN_RS512] = {"RS512", NET_TLS_SHA512},
};

/* ---- JSON ---- */

static void add_name(struct strbuf *json, const char *name)
{
    strbuf_addc(json, json->len == 0 ? '{' : ',');
    strbuf_add_json(json, name, strlen(name));
    strbuf_addc(json, ':');
}

static void add_text(struct strbuf *json, const char *name, const char *value)
{
    add_name(json, name);
    strbuf_add_json(json, value, strlen(value));
}

static void add_time(struct strbuf *json, const char *name, int64_t seconds)
{
    add_name(json, name);
    strbuf_addf(json, "%" PRId64, seconds);
}

/* A random UUID (RFC 4122, 4.4). */
static void add_identity(struct strbuf *json, const uint8_t random[16])
{
    add_name(json, "jti");
    strbuf_addc(json, '"');
    for (int i = 0; i < 16; i++) {
        unsigned byte = random[i];
        if (i == 6)
            byte = 0x40 | (byte & 0x0f);
        if (i == 8)
            byte = 0x80 | (byte & 0x3f);
        strbuf_addf(json, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", byte);
    }
    strbuf_addc(json, '"');
}

static bool has_claim(const struct config_oauth2 *config, const char *name)
{
    for (size_t i = 0; i < config->claims.len; i++) {
        if (strcmp(config->claims.items[i].name, name) == 0)
            return true;
    }
    return false;
}

/* The file's own claims come instead of ours. */
static void add_claims(const struct config_oauth2 *config, const struct jwt_moment *moment,
                       struct strbuf *json)
{
    struct strbuf scope = STRBUF_GROWING;
    const char *audience = config->audience[0] != '\0' ? config->audience : config->token_url;
    oauth2_scope(&config->scopes, &scope);
    if (!has_claim(config, "iss"))
        add_text(json, "iss", config->iss);
    if (!has_claim(config, "sub"))
        add_text(json, "sub", config->client_id);
    if (!has_claim(config, "aud"))
        add_text(json, "aud", audience);
    if (!has_claim(config, "jti"))
        add_identity(json, moment->random);
    if (!has_claim(config, "iat"))
        add_time(json, "iat", moment->now_s);
    if (!has_claim(config, "exp"))
        add_time(json, "exp", moment->now_s + LIFETIME_S);
    if (config->scopes.len > 0 && !has_claim(config, "scope"))
        add_text(json, "scope", scope.text);
    for (size_t i = 0; i < config->claims.len; i++) {
        add_name(json, config->claims.items[i].name);
        strbuf_adds(json, config->claims.items[i].value);
    }
    strbuf_addc(json, '}');
    strbuf_fini(&scope);
}

static void add_header(const struct config_oauth2 *config, struct strbuf *json)
{
    add_text(json, "alg", algorithms[config->signature_algorithm].name);
    if (config->client_certificate_key_id[0] != '\0')
        add_text(json, "kid", config->client_certificate_key_id);
    add_text(json, "typ", "JWT");
    strbuf_addc(json, '}');
}

/* ---- The whole ---- */

static int add_assertion(const struct config_oauth2 *config, struct slice key,
                         const struct jwt_moment *moment, struct strbuf *assertion,
                         struct errctx *reterr)
{
    struct strbuf header = STRBUF_GROWING, claims = STRBUF_GROWING;
    uint8_t signature[NET_TLS_SIGNATURE_MAX];
    size_t len;
    add_header(config, &header);
    add_claims(config, moment, &claims);
    base64_add_url(assertion, slice_make(header.text, header.len));
    strbuf_addc(assertion, '.');
    base64_add_url(assertion, slice_make(claims.text, claims.len));
    strbuf_fini(&header);
    strbuf_fini(&claims);
    int err = net_tls_sign(key, algorithms[config->signature_algorithm].hash,
                           slice_make(assertion->text, assertion->len), signature, &len, reterr);
    if (err != 0)
        return err;
    strbuf_addc(assertion, '.');
    base64_add_url(assertion, slice_make(signature, len));
    return 0;
}

/* As Prometheus: of ours only grant_type may be another. */
static int check_params(const struct config_oauth2 *config, bool *ret_has_grant,
                        struct errctx *reterr)
{
    *ret_has_grant = false;
    for (size_t i = 0; i < config->endpoint_params.len; i++) {
        const char *name = config->endpoint_params.items[i].name;
        bool is_scope = strcmp(name, "scope") == 0 && config->scopes.len > 0;
        if (is_scope || strcmp(name, "assertion") == 0)
            return err_set(reterr, ERR_CONFIG, "oauth2: cannot overwrite parameter \"%s\"", name);
        *ret_has_grant |= strcmp(name, "grant_type") == 0;
    }
    return 0;
}

int jwt_body(const struct config_oauth2 *config, struct slice key, const struct jwt_moment *moment,
             struct strbuf *body, struct errctx *reterr)
{
    struct strbuf assertion = STRBUF_GROWING, scope = STRBUF_GROWING;
    bool has_grant;
    int err = check_params(config, &has_grant, reterr);
    if (err == 0)
        err = add_assertion(config, key, moment, &assertion, reterr);
    if (err == 0) {
        if (!has_grant)
            oauth2_add_pair(body, SLICE_LITERAL("grant_type"),
                            SLICE_LITERAL(CONFIG_GRANT_JWT_WORD));
        oauth2_add_pair(body, SLICE_LITERAL("assertion"),
                        slice_make(assertion.text, assertion.len));
        oauth2_scope(&config->scopes, &scope);
        if (config->scopes.len > 0)
            oauth2_add_pair(body, SLICE_LITERAL("scope"), slice_make(scope.text, scope.len));
        for (size_t i = 0; i < config->endpoint_params.len; i++)
            oauth2_add_pair(body, slice_of(config->endpoint_params.items[i].name),
                            slice_of(config->endpoint_params.items[i].value));
    }
    strbuf_fini(&assertion);
    strbuf_fini(&scope);
    return err;
}
