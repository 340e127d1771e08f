/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "client/client.h"

#include <stdlib.h>
#include <string.h>

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
    *client = (struct client){.config = client->config, .version = client->version + 1};
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

static void write_tail(struct client *client)
{
    const struct supply *supply = client->supply;
    struct http_field *fields = calloc(supply->fields.len + 1, sizeof(*fields));
    struct strbuf lines = STRBUF_GROWING;
    struct errctx why;
    size_t n = 0;
    check(fields != NULL);
    if (supply->authorization.len > 0)
        fields[n++] = (struct http_field){SLICE_LITERAL("Authorization"), supply->authorization};
    for (size_t i = 0; i < supply->fields.len; i++)
        fields[n++] =
            (struct http_field){supply->fields.items[i].name, supply->fields.items[i].value};
    if (n > 0 && http_request_add_fields(fields, n, &lines, &why) != 0) {
        /* The text would quote it. */
        client->error = copy(SLICE_LITERAL("a header value from a file or credentials have bytes "
                                           "that a header cannot hold"));
        strbuf_fini(&lines);
    }
    client->tail = lines.text;
    client->tail_len = lines.len;
    free(fields);
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
    return client->supply != NULL || (!carries && !https);
}

struct slice client_tail(const struct client *client)
{
    return slice_make(client->tail, client->tail_len);
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
