/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "client/client.h"

#include <stdlib.h>
#include <string.h>

#include "http/auth.h"
#include "http/request.h"

void client_init(struct client *client, const struct config_http_client *config)
{
    *client = (struct client){.config = config};
}

static void forget(struct client *client)
{
    free(client->tail);
    free(client->error);
    free(client->tls_error);
    net_tls_context_free(client->tls);
    *client = (struct client){
        .config = client->config, .version = client->version + 1, .entry = client->entry};
}

void client_fini(struct client *client)
{
    forget(client);
}

static char *copy(struct slice text)
{
    char *made = strndup(text.ptr, text.len);
    check(made != NULL);
    return made;
}

/* Nothing if there are no fields; the text of an error would quote a secret. */
static int add_fields(struct strbuf *lines, struct slice authorization,
                      const struct supply_fields *more)
{
    struct http_field *fields = calloc(more->len + 1, sizeof(*fields));
    struct errctx why;
    size_t n = 0;
    check(fields != NULL);
    if (authorization.len > 0)
        fields[n++] = (struct http_field){SLICE_LITERAL("Authorization"), authorization};
    for (size_t i = 0; i < more->len; i++)
        fields[n++] = (struct http_field){more->items[i].name, more->items[i].value};
    int err = n > 0 ? http_request_add_fields(fields, n, lines, &why) : 0;
    free(fields);
    return err;
}

static void write_tail(struct client *client)
{
    const struct supply *supply = client->supply;
    struct strbuf lines = STRBUF_GROWING;
    if (add_fields(&lines, supply->authorization, &supply->fields) != 0) {
        client->error = copy(SLICE_LITERAL("a header value from a file or credentials have bytes "
                                           "that a header cannot hold"));
        strbuf_fini(&lines);
    }
    client->tail = lines.text;
    client->tail_len = lines.len;
}

void client_supply(struct client *client, const struct supply *supply)
{
    forget(client);
    client->supply = supply;
    if (supply == NULL)
        return;
    if (supply->error.len > 0)
        client->error = copy(supply->error);
    else
        write_tail(client);
}

bool client_is_ready(const struct client *client, bool https)
{
    const struct config_http_client *config = client->config;
    bool carries = config->basic_auth.given || config->authorization.given ||
                   config->oauth2.given || config->http_headers.len > 0;
    if (client->supply == NULL)
        return !carries && !https;
    return client->supply->has_tls || !https;
}

struct slice client_tail(const struct client *client)
{
    return slice_make(client->tail, client->tail_len);
}

int client_tail_to(const struct client *client, const struct http_hop *hop, struct arena *arena,
                   struct slice *ret_tail, struct errctx *reterr)
{
    static const struct supply nothing = {.error = {NULL, 0}};
    const struct supply *supply =
        client->supply != NULL && !hop->foreign ? client->supply : &nothing;
    struct strbuf own = STRBUF_GROWING, lines = STRBUF_GROWING;
    int err = http_auth_of_url(&own, &hop->url, arena);
    struct slice authorization =
        own.len > 0 ? slice_make(own.text, own.len) : supply->authorization;
    if (err == 0)
        err = add_fields(&lines, authorization, &supply->fields);
    if (err != 0)
        err = err_set(reterr, ERR_SYNTAX, "the user in the URL cannot be sent");
    else if (lines.len > 0)
        *ret_tail = arena_slice(arena, slice_make(lines.text, lines.len));
    else
        *ret_tail = SLICE_LITERAL("\r\n");
    strbuf_fini(&own);
    strbuf_fini(&lines);
    return err;
}

static enum net_tls_version version_of(enum config_tls_version version)
{
    switch (version) {
    case CONFIG_TLS_1_0:
        return NET_TLS_1_0;
    case CONFIG_TLS_1_1:
        return NET_TLS_1_1;
    case CONFIG_TLS_1_2:
        return NET_TLS_1_2;
    case CONFIG_TLS_1_3:
        return NET_TLS_1_3;
    case CONFIG_TLS_DEFAULT:
        break;
    }
    return NET_TLS_DEFAULT;
}

struct net_tls_context *client_tls(struct client *client)
{
    const struct config_tls *config = &client->config->tls_config;
    struct errctx why;
    if (client->tls != NULL || client->tls_error != NULL)
        return client->tls;
    struct net_tls_options options = {
        .server_name = slice_of(config->server_name),
        .min_version = version_of(config->min_version),
        .max_version = version_of(config->max_version),
        .insecure_skip_verify = config->insecure_skip_verify,
    };
    if (client->supply != NULL) {
        options.ca = client->supply->ca;
        options.cert = client->supply->cert;
        options.key = client->supply->key;
    }
    if (net_tls_context_new(&options, &client->tls, &why) != 0)
        client->tls_error = copy(slice_of(why.text));
    return client->tls;
}
