/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config/http_rules.h"

#include <string.h>
#include <strings.h>

/* One client, and where errors point to. */
struct rules {
    const struct document *source;
    const struct node *block;
};

static bool given(const char *text)
{
    return text[0] != '\0';
}

static int fail(const struct rules *rules, const char *key, const char *text)
{
    return node_fail(rules->source, node_or(node_get(rules->block, key), rules->block), "%s", text);
}

/* ---- Who asks ---- */

static int check_bearer(const struct rules *rules, const struct config_http_client *client)
{
    bool token = given(client->bearer_token), file = given(client->bearer_token_file);
    if (token && file)
        return fail(rules, "bearer_token",
                    "at most one of bearer_token & bearer_token_file must be configured");
    const char *key = token ? "bearer_token" : "bearer_token_file";
    if ((token || file) && (client->basic_auth.given || client->oauth2.given))
        return fail(rules, key,
                    "at most one of basic_auth, oauth2, bearer_token & bearer_token_file must be "
                    "configured");
    if ((token || file) && client->authorization.given)
        return fail(rules, key,
                    "authorization is not compatible with bearer_token & bearer_token_file");
    return 0;
}

static int check_basic_auth(const struct rules *rules, const struct config_basic_auth *basic)
{
    if (given(basic->username) && given(basic->username_file))
        return fail(rules, "basic_auth",
                    "at most one of basic_auth username & username_file must be configured");
    if (given(basic->password) && given(basic->password_file))
        return fail(rules, "basic_auth",
                    "at most one of basic_auth password & password_file must be configured");
    return 0;
}

static const char *trimmed(const struct rules *rules, const char *text)
{
    static const char spaces[] = " \t\r\n\v\f";
    text += strspn(text, spaces);
    size_t len = strlen(text);
    while (len > 0 && strchr(spaces, text[len - 1]) != NULL)
        len--;
    return arena_copy(rules->source->arena, text, len);
}

static int settle_authorization(const struct rules *rules, struct config_authorization *auth)
{
    if (!auth->given)
        return 0;
    if (given(auth->credentials) && given(auth->credentials_file))
        return fail(rules, "authorization",
                    "at most one of authorization credentials & credentials_file must be "
                    "configured");
    auth->type = trimmed(rules, auth->type);
    if (!given(auth->type))
        auth->type = "Bearer";
    if (strcasecmp(auth->type, "basic") == 0)
        return fail(rules, "authorization",
                    "authorization type cannot be set to \"basic\", use \"basic_auth\" instead");
    return 0;
}

static void adopt_bearer(struct config_http_client *client)
{
    if (!given(client->bearer_token) && !given(client->bearer_token_file))
        return;
    client->authorization = (struct config_authorization){true, "Bearer", client->bearer_token,
                                                          client->bearer_token_file};
    client->bearer_token = client->bearer_token_file = "";
}

static int check_methods(const struct rules *rules, const struct config_http_client *client)
{
    if (client->basic_auth.given + client->oauth2.given + client->authorization.given <= 1)
        return 0;
    return fail(rules, client->authorization.given ? "authorization" : "oauth2",
                "at most one of basic_auth, oauth2 & authorization must be configured");
}

/* ---- How to get there ---- */

static int check_proxy(const struct rules *rules, const struct config_proxy *proxy)
{
    bool url = given(proxy->proxy_url);
    if (proxy->proxy_connect_header.len > 0 && !proxy->proxy_from_environment && !url)
        return fail(rules, "proxy_connect_header",
                    "if proxy_connect_header is configured, proxy_url or proxy_from_environment "
                    "must also be configured");
    if (proxy->proxy_from_environment && url)
        return fail(rules, "proxy_from_environment",
                    "if proxy_from_environment is configured, proxy_url must not be configured");
    if (proxy->proxy_from_environment && given(proxy->no_proxy))
        return fail(rules, "no_proxy",
                    "if proxy_from_environment is configured, no_proxy must not be configured");
    if (!url && given(proxy->no_proxy))
        return fail(rules, "no_proxy",
                    "if no_proxy is configured, proxy_url must also be configured");
    return 0;
}

static int check_tls(const struct rules *rules, const struct config_tls *tls)
{
    const char *why = NULL;
    bool cert = given(tls->cert) || given(tls->cert_file);
    bool key = given(tls->key) || given(tls->key_file);
    if (given(tls->ca) && given(tls->ca_file))
        why = "at most one of ca and ca_file must be configured";
    else if (given(tls->cert) && given(tls->cert_file))
        why = "at most one of cert and cert_file must be configured";
    else if (given(tls->key) && given(tls->key_file))
        why = "at most one of key and key_file must be configured";
    else if (cert && !key)
        why = "exactly one of key or key_file must be configured when a client certificate is "
              "configured";
    else if (key && !cert)
        why = "exactly one of cert or cert_file must be configured when a client key is configured";
    else if (tls->max_version != CONFIG_TLS_DEFAULT && tls->max_version < tls->min_version)
        why = "tls_config.max_version must be greater than or equal to tls_config.min_version if "
              "both are specified";
    return why == NULL ? 0 : fail(rules, "tls_config", why);
}

static void resolve(const struct rules *rules, const char **path)
{
    *path = document_resolve(rules->source, *path);
}

static void resolve_tls(const struct rules *rules, struct config_tls *tls)
{
    resolve(rules, &tls->ca_file);
    resolve(rules, &tls->cert_file);
    resolve(rules, &tls->key_file);
}

/* ---- Tokens ---- */

static int settle_oauth2(const struct rules *outer, struct config_oauth2 *oauth2)
{
    struct rules rules = {outer->source, node_get(outer->block, "oauth2")};
    if (!oauth2->given)
        return 0;
    if (!given(oauth2->client_id))
        return fail(&rules, "client_id", "oauth2 client_id must be configured");
    if (!given(oauth2->token_url))
        return fail(&rules, "token_url", "oauth2 token_url must be configured");
    if (given(oauth2->client_secret) && given(oauth2->client_secret_file))
        return fail(&rules, "client_secret",
                    "at most one of oauth2 client_secret & client_secret_file must be configured");
    if (oauth2->grant_type == CONFIG_GRANT_JWT && given(oauth2->client_certificate_key) &&
        given(oauth2->client_certificate_key_file))
        return fail(&rules, "client_certificate_key",
                    "at most one of oauth2 client_certificate_key & client_certificate_key_file "
                    "must be configured using grant-type=" CONFIG_GRANT_JWT_WORD);
    resolve(&rules, &oauth2->client_secret_file);
    resolve(&rules, &oauth2->client_certificate_key_file);
    resolve_tls(&rules, &oauth2->tls_config);
    int err = check_tls(&rules, &oauth2->tls_config);
    return err != 0 ? err : check_proxy(&rules, &oauth2->proxy);
}

/* ---- The whole ---- */

static void resolve_headers(const struct rules *rules, const struct config_http_headers *headers)
{
    for (size_t i = 0; i < headers->len; i++) {
        struct config_strings *files = &headers->items[i].files;
        const char **items = arena_alloc(rules->source->arena, files->len * sizeof(*items));
        for (size_t j = 0; j < files->len; j++)
            items[j] = document_resolve(rules->source, files->items[j]);
        files->items = items;
    }
}

int http_rules_apply(const struct document *source, const struct node *block,
                     struct config_http_client *client)
{
    struct rules rules = {source, block};
    int err = check_bearer(&rules, client);
    if (err == 0)
        err = check_basic_auth(&rules, &client->basic_auth);
    if (err == 0)
        err = settle_authorization(&rules, &client->authorization);
    if (err == 0)
        err = check_methods(&rules, client);
    if (err == 0)
        err = settle_oauth2(&rules, &client->oauth2);
    if (err == 0)
        err = check_proxy(&rules, &client->proxy);
    if (err == 0)
        err = check_tls(&rules, &client->tls_config);
    if (err != 0)
        return err;
    adopt_bearer(client);
    resolve(&rules, &client->basic_auth.username_file);
    resolve(&rules, &client->basic_auth.password_file);
    resolve(&rules, &client->authorization.credentials_file);
    resolve_tls(&rules, &client->tls_config);
    resolve_headers(&rules, &client->http_headers);
    return 0;
}

/* ---- The user of a URL ---- */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* NULL: a malformed escape. */
static const char *unescape(struct arena *arena, const char *text, size_t len)
{
    char *copy = arena_copy(arena, text, len);
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        if (text[i] != '%') {
            copy[n++] = text[i];
            continue;
        }
        int high = i + 2 < len ? hex_digit(text[i + 1]) : -1;
        int low = high >= 0 ? hex_digit(text[i + 2]) : -1;
        int byte = high * 16 + low;
        if (high < 0 || low < 0 || byte == 0)
            return NULL;
        copy[n++] = (char)byte;
        i += 2;
    }
    copy[n] = '\0';
    return copy;
}

int http_rules_take_user(const struct document *source, const struct node *at, const char **url,
                         struct config_http_client *client)
{
    const char *user = strstr(*url, "://") + 3;
    const char *end = memrchr(user, '@', strcspn(user, "/?#"));
    if (end == NULL)
        return 0;
    const char *colon = memchr(user, ':', (size_t)(end - user));
    const char *user_end = colon != NULL ? colon : end;
    const char *password = colon != NULL ? colon + 1 : end;
    struct config_basic_auth own = {true, "", "", "", ""};
    own.username = unescape(source->arena, user, (size_t)(user_end - user));
    own.password = unescape(source->arena, password, (size_t)(end - password));
    if (own.username == NULL || own.password == NULL)
        return node_fail(source, at, "the user in the URL has a malformed escape");
    if (!client->basic_auth.given && !client->authorization.given && !client->oauth2.given)
        client->basic_auth = own;
    size_t scheme = (size_t)(user - *url);
    char *rest = arena_alloc(source->arena, scheme + strlen(end + 1) + 1);
    memcpy(rest, *url, scheme);
    memcpy(rest + scheme, end + 1, strlen(end + 1) + 1);
    *url = rest;
    return 0;
}

bool http_rules_has_tls(const struct config_tls *tls)
{
    return given(tls->ca) || given(tls->ca_file) || given(tls->cert) || given(tls->cert_file) ||
           given(tls->server_name) || tls->insecure_skip_verify ||
           tls->min_version != CONFIG_TLS_DEFAULT || tls->max_version != CONFIG_TLS_DEFAULT;
}
