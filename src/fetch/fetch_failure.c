/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fetch/fetch_private.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void fetch_clear_failure(struct fetch_connection *conn)
{
    conn->error = 0;
    free(conn->failure);
    conn->failure = NULL;
}

void fetch_set_failure(struct fetch_connection *conn, int error, const char *format, ...)
{
    if (conn->error != 0)
        return;
    char text[FAILURE_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    conn->error = error;
    conn->failure = strdup(text);
    check(conn->failure != NULL);
}

void fetch_set_system_failure(struct fetch_connection *conn, int error, const char *what)
{
    char address[NET_ADDRESS_TEXT];
    const char *text = err_text(error);
    const struct net_address *peer = &conn->request.addresses[conn->address];
    fetch_set_failure(conn, error, "%s %s %s: %c%s", what, net_address_network(peer),
                      net_address_format(peer, address), tolower((unsigned char)text[0]), text + 1);
}

void fetch_set_stream_failure(struct fetch_connection *conn, int error, const char *what,
                              const char *text)
{
    if (error == ERR_TLS)
        fetch_set_failure(conn, error, "%s", net_stream_failure(&conn->stream));
    else if (error == ERR_CLOSED)
        fetch_set_failure(conn, error, "%s", text);
    else
        fetch_set_system_failure(conn, error, what);
}
