/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The HTTP client of a job or a remote: what its requests carry and how they speak TLS, as the
 * supplies say that discovery sends (shm/supplies.h). One without credentials and TLS needs none.
 */
#ifndef CLIENT_CLIENT_H
#define CLIENT_CLIENT_H

#include "config/config.h"
#include "http/redirect.h"
#include "net/tls.h"
#include "shm/supplies.h"

struct client {
    const struct config_http_client *config;
    const struct supply *supply; /* NULL: none has come yet; the owner keeps it */
    uint32_t version;            /* moves with each supply */
    uint32_t entry;              /* of the sets; the owner says it */
    int64_t tls_asked_at;        /* see lookup_tls */
    char *tail;                  /* see client_tail; or NULL */
    size_t tail_len;
    char *error; /* requests cannot be made, and why; else NULL */
    struct net_tls_context *tls;
    char *tls_error; /* there can be no tls, and why */
};

void client_init(struct client *client, const struct config_http_client *config);
void client_fini(struct client *client);

/* A new supply, in force from the next request on; NULL takes the old one away. */
void client_supply(struct client *client, const struct supply *supply);

/*
 * Whether requests can be made (or fail with a reason): all that they need has come. What https
 * needs comes when discovery sees a target that is asked so, or is told of a redirect (lookup.h).
 */
bool client_is_ready(const struct client *client, bool https);

/*
 * The fields and the empty line that replace the empty line of a head, for the host of the target
 * only; empty if there are none.
 */
struct slice client_tail(const struct client *client);

/*
 * The same where a redirect leads to: what is there of the URL's own user, and unless that are
 * strangers, the rest. With the empty line, in the arena. ERR_SYNTAX: the user cannot be sent.
 */
int client_tail_to(const struct client *client, const struct http_hop *hop, struct arena *arena,
                   struct slice *ret_tail, struct errctx *reterr) MUST_USE;

/* The context, made when it is needed first. NULL: client->tls_error. */
struct net_tls_context *client_tls(struct client *client);

#endif
