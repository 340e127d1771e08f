/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config/allocator_rules.h"

#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/strbuf.h"
#include "config/expand.h"
#include "config/http_rules.h"
#include "config/schema_check.h"

static bool given(const char *text)
{
    return text[0] != '\0';
}

/* One pass over the block. */
struct rules {
    const struct document *source;
    const struct node *block;
};

static int fail(const struct rules *rules, const char *key, const char *text)
{
    return node_fail(rules->source, node_or(node_get(rules->block, key), rules->block), "`%s` %s",
                     key, text);
}

/* ---- environment ---- */

struct expansion {
    struct strbuf missing; /* the variable that is not set; "": all are */
};

/* The collector has it as ${env:NAME} too. */
static void look_up(void *context, struct slice name, struct strbuf *out)
{
    static const char prefix[] = "env:";
    struct expansion *expansion = context;
    size_t len = sizeof(prefix) - 1;
    if (name.len > len && memcmp(name.ptr, prefix, len) == 0)
        name = slice_make(name.ptr + len, name.len - len);
    char *key = strndup(name.ptr, name.len);
    check(key != NULL);
    const char *value = getenv(key);
    if (value != NULL && given(value))
        strbuf_adds(out, value);
    else if (expansion->missing.len == 0)
        strbuf_adds(&expansion->missing, key);
    free(key);
}

static int expand(const struct rules *rules, const char *key, const char **text)
{
    struct expansion expansion = {STRBUF_GROWING};
    struct strbuf out = STRBUF_GROWING;
    struct strbuf why = STRBUF_GROWING;
    expand_text(*text, look_up, &expansion, &out);
    *text = arena_copy(rules->source->arena, out.text, out.len);
    int err = 0;
    if (expansion.missing.len > 0)
        strbuf_addf(&why, "uses the environment variable %.100s, which is empty or not set",
                    expansion.missing.text);
    else if (out.len == 0)
        strbuf_adds(&why, "must not be empty");
    else if (strstr(*text, "${") != NULL)
        strbuf_adds(&why, "has a \"${\" that is no variable");
    if (why.len > 0)
        err = fail(rules, key, why.text);
    strbuf_fini(&why);
    strbuf_fini(&out);
    strbuf_fini(&expansion.missing);
    return err;
}

static int settle_endpoint(const struct rules *rules, const char **endpoint)
{
    struct errctx why;
    int err = expand(rules, "endpoint", endpoint);
    if (err != 0)
        return err;
    if (check_url(endpoint, &why) != 0)
        return fail(rules, "endpoint", why.text);
    size_t len = strlen(*endpoint);
    while ((*endpoint)[len - 1] == '/')
        len--;
    *endpoint = arena_copy(rules->source->arena, *endpoint, len);
    return strchr(*endpoint, '?') == NULL ? 0 : fail(rules, "endpoint", "must not have a query");
}

/* It goes into URLs as it is. */
static int settle_id(const struct rules *rules, const char **id)
{
    int err = expand(rules, "collector_id", id);
    for (const char *at = *id; err == 0 && *at != '\0'; at++) {
        if ((unsigned char)*at <= ' ' || (unsigned char)*at >= 0x7f || strchr("#&%+", *at) != NULL)
            err = fail(rules, "collector_id", "must be a name as pods have them");
    }
    return err;
}

/* ---- clients ---- */

static int settle_pem(const struct rules *rules, const char *key, const char **text)
{
    struct strbuf decoded = STRBUF_GROWING;
    const char *start = *text + strspn(*text, " \t\r\n");
    if (!given(start) || strncmp(start, "-----", 5) == 0)
        return 0;
    bool good =
        base64_decode(slice_of(start), &decoded) && memchr(decoded.text, '\0', decoded.len) == NULL;
    if (good)
        *text = arena_copy(rules->source->arena, decoded.text, decoded.len);
    strbuf_fini(&decoded);
    return good ? 0 : fail(rules, key, "must be PEM, or base64 of it");
}

static int settle_tls(const struct rules *rules, struct config_tls *tls)
{
    const struct rules inner = {rules->source, node_get(rules->block, "tls")};
    if (node_is_null(inner.block))
        return 0;
    if (!node_is_null(node_get(rules->block, "tls_config")))
        return fail(rules, "tls_config", "and `tls` mean the same; give one of them");
    int err = settle_pem(&inner, "ca_pem", &tls->ca);
    if (err == 0)
        err = settle_pem(&inner, "cert_pem", &tls->cert);
    return err == 0 ? settle_pem(&inner, "key_pem", &tls->key) : err;
}

/* Behind those of http_headers. */
static void adopt_headers(const struct rules *rules, struct config_target_allocator *allocator)
{
    struct arena *arena = rules->source->arena;
    struct config_http_headers *headers = &allocator->http.http_headers;
    size_t more = allocator->headers.len, len = headers->len;
    if (more == 0)
        return;
    struct config_http_header *items = arena_alloc(arena, (len + more) * sizeof(*items));
    if (len > 0)
        memcpy(items, headers->items, len * sizeof(*items));
    for (size_t i = 0; i < more; i++) {
        const char **value = arena_alloc(arena, sizeof(*value));
        *value = allocator->headers.items[i].value;
        items[len + i] = (struct config_http_header){.name = allocator->headers.items[i].name,
                                                     .values = {value, 1}};
    }
    *headers = (struct config_http_headers){items, len + more};
    allocator->headers = (struct config_map){NULL, 0};
}

/* What the client for targets does not say is as for the jobs. */
static void complete(struct config_http_client *client, const struct config_http_client *jobs)
{
    if (!http_rules_has_tls(&client->tls_config))
        client->tls_config = jobs->tls_config;
    if (!given(client->proxy.proxy_url) && !client->proxy.proxy_from_environment)
        client->proxy = jobs->proxy;
    if (client->http_headers.len == 0)
        client->http_headers = jobs->http_headers;
    if (client->basic_auth.given || client->authorization.given || client->oauth2.given)
        return;
    client->basic_auth = jobs->basic_auth;
    client->authorization = jobs->authorization;
    client->oauth2 = jobs->oauth2;
}

static int settle_clients(const struct rules *rules, struct config_target_allocator *allocator)
{
    const struct document *source = rules->source;
    int err = settle_tls(rules, &allocator->http.tls_config);
    if (err == 0)
        err = http_rules_apply(source, rules->block, &allocator->http);
    if (err == 0)
        err =
            http_rules_apply(source, node_get(rules->block, "http_sd_config"), &allocator->sd.http);
    if (err == 0)
        err = http_rules_apply(source, node_get(rules->block, "http_scrape_config"),
                               &allocator->scrape.http);
    if (err != 0)
        return err;
    adopt_headers(rules, allocator);
    complete(&allocator->sd.http, &allocator->http);
    allocator->http.follow_redirects = allocator->sd.http.follow_redirects = false;
    return 0;
}

static void resolve_directories(const struct rules *rules, struct config_strings *directories)
{
    const char **items = arena_alloc(rules->source->arena, directories->len * sizeof(*items));
    for (size_t i = 0; i < directories->len; i++)
        items[i] = document_resolve(rules->source, directories->items[i]);
    *directories = (struct config_strings){directories->len > 0 ? items : NULL, directories->len};
}

int allocator_rules_apply(const struct document *source, const struct node *block,
                          struct config_target_allocator *allocator)
{
    const struct rules rules = {source, block};
    if (!allocator->given)
        return 0;
    int err = settle_endpoint(&rules, &allocator->endpoint);
    if (err == 0)
        err = settle_id(&rules, &allocator->collector_id);
    if (err == 0)
        err = settle_clients(&rules, allocator);
    if (allocator->timeout == 0 || allocator->timeout > allocator->interval)
        allocator->timeout = allocator->interval;
    resolve_directories(&rules, &allocator->allowed_directories);
    return err;
}

/* ---- files that jobs name ---- */

/* An absolute path with no step upwards in it, below the directory. */
static bool lies_in(const char *path, const char *directory)
{
    size_t len = strlen(directory);
    while (len > 0 && directory[len - 1] == '/')
        len--;
    if (directory[0] != '/' || strncmp(path, directory, len) != 0 || path[len] != '/')
        return false;
    size_t path_len = strlen(path);
    bool ends_upwards = path_len >= 3 && strcmp(path + path_len - 3, "/..") == 0;
    return !ends_upwards && strstr(path, "/../") == NULL;
}

static bool is_denied(const struct config_target_allocator *allocator, const char *path)
{
    if (!allocator->deny_file_references || !given(path))
        return false;
    for (size_t i = 0; i < allocator->allowed_directories.len; i++) {
        if (lies_in(path, allocator->allowed_directories.items[i]))
            return false;
    }
    return true;
}

const char *allocator_rules_denied_file(const struct config_target_allocator *allocator,
                                        const struct config_http_client *client)
{
    const char *const paths[] = {
        client->basic_auth.username_file,
        client->basic_auth.password_file,
        client->authorization.credentials_file,
        client->bearer_token_file,
        client->tls_config.ca_file,
        client->tls_config.cert_file,
        client->tls_config.key_file,
        client->oauth2.client_secret_file,
        client->oauth2.tls_config.ca_file,
        client->oauth2.tls_config.cert_file,
        client->oauth2.tls_config.key_file,
    };
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        /* bearer_token and authorization are set anew by the rules, and may lack the file. */
        if (paths[i] != NULL && is_denied(allocator, paths[i]))
            return paths[i];
    }
    for (size_t i = 0; i < client->http_headers.len; i++) {
        const struct config_strings *files = &client->http_headers.items[i].files;
        for (size_t k = 0; k < files->len; k++) {
            if (is_denied(allocator, files->items[k]))
                return files->items[k];
        }
    }
    return NULL;
}
