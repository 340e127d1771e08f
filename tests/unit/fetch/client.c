/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/fetch/client.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"

static void on_head(struct fetch_connection *conn, const struct http_head *head)
{
    struct client *client = (struct client *)conn;
    client->heads++;
    client->status = head->status;
    if (client->in_head != NULL)
        client->in_head(client);
}

static void on_body(struct fetch_connection *conn, const uint8_t *bytes, size_t len)
{
    struct client *client = (struct client *)conn;
    strbuf_add(&client->body, bytes, len);
    if (client->in_body != NULL)
        client->in_body(client);
}

static void on_done(struct fetch_connection *conn, int error, const char *text)
{
    struct client *client = (struct client *)conn;
    client->dones++;
    client->error = error;
    client->maybe_delivered = fetch_request_maybe_delivered(conn);
    snprintf(client->text, sizeof(client->text), "%s", text);
    if (client->in_done != NULL)
        client->in_done(client);
}

static void on_released(struct fetch_connection *conn)
{
    struct client *client = (struct client *)conn;
    client->released++;
    if (client->in_released != NULL)
        client->in_released(client);
}

const struct fetch_handler client_handler = {
    .on_head = on_head, .on_body = on_body, .on_done = on_done, .on_released = on_released};

struct client *client_new(struct loop *loop)
{
    struct client *client = calloc(1, sizeof(*client));
    check(client != NULL);
    fetch_init(&client->conn, loop, &client_handler);
    strbuf_adds(&client->body, "");
    return client;
}

void client_reset(struct client *client)
{
    client->status = client->heads = client->dones = client->released = client->error = 0;
    client->text[0] = '\0';
    strbuf_fini(&client->body);
    strbuf_adds(&client->body, "");
}

void client_free(struct client *client, struct loop *loop)
{
    if (!fetch_fini(&client->conn)) {
        int64_t limit_ns = clock_mono_ns() + 60 * NS_PER_S;
        while (client->released == 0)
            check(clock_mono_ns() < limit_ns && loop_run_once(loop, NS_PER_S) == 0);
    }
    strbuf_fini(&client->body);
    free(client);
}
