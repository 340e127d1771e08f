/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "discovery/kubeconfig.h"

#include <stdlib.h>

#include "config/yaml.h"
#include "discovery/sd_credentials.h"

/* One file while it is read. */
struct kubeconfig {
    const struct document *source;
    const struct node *root;
    struct kube_access *access;
};

static const char *text_of(const struct node *map, const char *key)
{
    const struct node *node = node_get(map, key);
    return node == NULL || node->kind != NODE_SCALAR || node_is_null(node) ? "" : node->text.ptr;
}

static const char *keep(const struct kubeconfig *config, const char *text)
{
    return arena_strdup(&config->access->arena, text);
}

/* Files are relative to the one that names them. */
static const char *keep_path(const struct kubeconfig *config, const char *path)
{
    return path[0] == '\0' ? "" : keep(config, document_resolve(config->source, path));
}

/* The entry of a list that has this name, or NULL. */
static const struct node *find_named(const struct kubeconfig *config, const char *list,
                                     const char *name, const char *member)
{
    const struct node *entries = node_get(config->root, list);
    const struct node *entry;
    for (size_t i = 0; (entry = node_at(entries, i)) != NULL; i++) {
        if (strcmp(text_of(entry, "name"), name) == 0)
            return node_or(node_get(entry, member), entry);
    }
    return NULL;
}

/* ---- base64 (RFC 4648), in which certificates and keys are written ---- */

static int value_of(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *found = c == '\0' ? NULL : strchr(digits, c);
    return found == NULL ? -1 : (int)(found - digits);
}

static bool decode(const char *text, struct strbuf *out)
{
    unsigned bits = 0, count = 0;
    for (; *text != '\0' && *text != '='; text++) {
        int value = value_of(*text);
        if (value < 0 && strchr("\r\n ", *text) != NULL)
            continue;
        if (value < 0)
            return false;
        bits = bits << 6 | (unsigned)value;
        count += 6;
        if (count >= 8) {
            count -= 8;
            strbuf_addc(out, (char)(unsigned char)(bits >> count));
        }
    }
    return true;
}

/* The member KEY-data, decoded, or the file that KEY names. */
static int take_pem(const struct kubeconfig *config, const struct node *map, const char *key,
                    const char **ret_inlined, const char **ret_file)
{
    char name[64];
    struct strbuf data_key = STRBUF_FIXED(name);
    struct strbuf decoded = STRBUF_GROWING;
    strbuf_addf(&data_key, "%s-data", key);
    const char *data = text_of(map, name);
    *ret_file = data[0] == '\0' ? keep_path(config, text_of(map, key)) : "";
    bool valid = decode(data, &decoded);
    *ret_inlined = decoded.len == 0 ? "" : keep(config, decoded.text);
    strbuf_fini(&decoded);
    return valid ? 0 : node_fail(config->source, node_get(map, name), "`%s` is not base64", name);
}

static int take_cluster(const struct kubeconfig *config, const struct node *cluster)
{
    struct config_tls *tls = &config->access->http.tls_config;
    config->access->url = keep(config, text_of(cluster, "server"));
    if (config->access->url[0] == '\0')
        return node_fail(config->source, cluster, "the cluster has no `server`");
    tls->insecure_skip_verify = strcmp(text_of(cluster, "insecure-skip-tls-verify"), "true") == 0;
    tls->server_name = keep(config, text_of(cluster, "tls-server-name"));
    config->access->http.proxy.proxy_url = keep(config, text_of(cluster, "proxy-url"));
    return take_pem(config, cluster, "certificate-authority", &tls->ca, &tls->ca_file);
}

static void take_token(const struct kubeconfig *config, const struct node *user)
{
    const char *token = text_of(user, "token");
    const char *file = keep_path(config, text_of(user, "tokenFile"));
    if (token[0] == '\0' && file[0] == '\0')
        return;
    /* As client-go: the file wins. */
    config->access->http.authorization =
        (struct config_authorization){.given = true,
                                      .type = "Bearer",
                                      .credentials = file[0] == '\0' ? keep(config, token) : "",
                                      .credentials_file = file};
}

static int take_user(const struct kubeconfig *config, const struct node *user)
{
    static const char *const programs[] = {"exec", "auth-provider"};
    struct config_tls *tls = &config->access->http.tls_config;
    for (size_t i = 0; i < 2; i++) {
        if (node_get(user, programs[i]) != NULL)
            return node_fail(config->source, node_get(user, programs[i]),
                             "`%s` is not supported: limpet runs no programs; use a token, a token "
                             "file or a client certificate",
                             programs[i]);
    }
    take_token(config, user);
    const char *name = text_of(user, "username");
    if (name[0] != '\0' && !config->access->http.authorization.given)
        config->access->http.basic_auth =
            (struct config_basic_auth){.given = true,
                                       .username = keep(config, name),
                                       .username_file = "",
                                       .password = keep(config, text_of(user, "password")),
                                       .password_file = ""};
    int err = take_pem(config, user, "client-certificate", &tls->cert, &tls->cert_file);
    return err != 0 ? err : take_pem(config, user, "client-key", &tls->key, &tls->key_file);
}

static int take_context(const struct kubeconfig *config)
{
    const char *name = text_of(config->root, "current-context");
    const struct node *context = find_named(config, "contexts", name, "context");
    if (context == NULL)
        return node_fail(config->source, config->root, "there is no context \"%.200s\"", name);
    const struct node *cluster =
        find_named(config, "clusters", text_of(context, "cluster"), "cluster");
    if (cluster == NULL)
        return node_fail(config->source, context, "there is no cluster \"%.200s\"",
                         text_of(context, "cluster"));
    int err = take_cluster(config, cluster);
    const char *user = text_of(context, "user");
    if (err != 0 || user[0] == '\0')
        return err;
    const struct node *entry = find_named(config, "users", user, "user");
    if (entry == NULL)
        return node_fail(config->source, context, "there is no user \"%.200s\"", user);
    return take_user(config, entry);
}

int kubeconfig_parse(const char *name, const char *text, size_t len, struct kube_access *access,
                     struct errctx *reterr)
{
    struct errctx ignored;
    struct arena arena = {0};
    struct document source = {name, &arena, reterr != NULL ? reterr : &ignored};
    struct kubeconfig config = {.source = &source, .access = access};
    int err = yaml_read(&source, text, len, &config.root);
    if (err == 0)
        err = take_context(&config);
    arena_fini(&arena);
    return err;
}

int kubeconfig_read(const char *path, struct kube_access *access, struct errctx *reterr)
{
    struct slice text;
    int err = sd_read_file(path, &access->arena, &text, reterr);
    return err != 0 ? err : kubeconfig_parse(path, text.ptr, text.len, access, reterr);
}
