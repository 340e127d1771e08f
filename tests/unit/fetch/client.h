/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An owner of a connection that notes what it is told, and does what the test wants meanwhile. */
#ifndef TESTS_CLIENT_H
#define TESTS_CLIENT_H

#include "base/strbuf.h"
#include "fetch/fetch.h"

struct client {
    struct fetch_connection conn;
    struct strbuf body;
    int status;
    int heads;
    int dones;
    int released;
    int error;
    char text[512]; /* of on_done */
    bool maybe_delivered;
    /* Called in the event if set. */
    void (*in_head)(struct client *client);
    void (*in_body)(struct client *client);
    void (*in_done)(struct client *client);
    void (*in_released)(struct client *client);
};

extern const struct fetch_handler client_handler;

struct client *client_new(struct loop *loop);

/* Ends the connection, turning the loop until it is released. */
void client_free(struct client *client, struct loop *loop);

/* Forgets what was noted. */
void client_reset(struct client *client);

#endif
