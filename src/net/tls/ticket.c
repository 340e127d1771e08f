/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How a handshake goes on from an earlier one: RFC 5077, RFC 8446 (2.2). */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/check.h"
#include "net/tls.h"
#include "net/tls/wolf.h"

struct net_tls_ticket {
    uint64_t context; /* its number */
    int64_t until;    /* the peer's certificate is valid for so long; 0: nobody looked */
    char *host;
    unsigned char *bytes; /* wolfSSL's session as DER */
    int len;
};

/* As Go, a session is not gone on with when the certificate that it began with has expired. */
static bool may_resume(const struct net_tls_session *session, const struct net_tls_ticket *ticket)
{
    bool is_known = session->context->skip_verify || ticket->until > time(NULL);
    return is_known && ticket->context == session->context->number &&
           strcmp(ticket->host, session->host) == 0;
}

void wolf_resume(struct net_tls_session *session, const struct net_tls_ticket *ticket)
{
    const unsigned char *bytes = ticket->bytes;
    if (!may_resume(session, ticket))
        return;
    WOLFSSL_SESSION *kept = wolfSSL_d2i_SSL_SESSION(NULL, &bytes, ticket->len);
    if (kept != NULL && wolfSSL_set_session(session->wolf, kept) == WOLFSSL_SUCCESS)
        session->until = ticket->until;
    wolfSSL_SESSION_free(kept);
}

void wolf_ticket_free(struct net_tls_ticket *ticket)
{
    explicit_bzero(ticket->bytes, (size_t)ticket->len);
    free(ticket->host);
    free(ticket->bytes);
    free(ticket);
}

/*
 * With TLS 1.3 the secret of a session is that of its last handshake, also while its ticket is
 * still the one by which that handshake went on: what a connection leaves that ended before its own
 * ticket came is refused by the peer (RFC 8446, 4.2.11.2: the binder does not verify).
 */
static bool has_what_goes_on(const struct net_tls_session *session)
{
    return session->got_ticket || wolfSSL_version(session->wolf) < TLS1_3_VERSION;
}

static struct net_tls_ticket *ticket_new(struct net_tls_session *session)
{
    if (!session->established || session->broken || !has_what_goes_on(session))
        return NULL;
    WOLFSSL_SESSION *kept = wolfSSL_get_session(session->wolf);
    int len = kept != NULL ? wolfSSL_i2d_SSL_SESSION(kept, NULL) : 0;
    if (len <= 0)
        return NULL;
    struct net_tls_ticket *ticket = calloc(1, sizeof(*ticket));
    unsigned char *bytes = malloc((size_t)len);
    check(ticket != NULL && bytes != NULL);
    *ticket = (struct net_tls_ticket){session->context->number, session->until,
                                      wolf_copy(slice_of(session->host)), bytes, len};
    check(ticket->host != NULL && wolfSSL_i2d_SSL_SESSION(kept, &bytes) == len);
    return ticket;
}

static bool may_be_used_again(const struct net_tls_session *session)
{
    return session->established && !session->broken && wolfSSL_session_reused(session->wolf) == 1 &&
           wolfSSL_version(session->wolf) < TLS1_3_VERSION;
}

/* Up to TLS 1.2 a peer gives no new one where it takes one. */
struct net_tls_ticket *wolf_ticket_next(struct net_tls_session *session,
                                        struct net_tls_ticket *before)
{
    if (before != NULL && may_be_used_again(session))
        return before;
    if (before != NULL)
        wolf_ticket_free(before);
    return ticket_new(session);
}

bool wolf_is_resumed(const struct net_tls_session *session)
{
    return session->established && wolfSSL_session_reused(session->wolf) == 1;
}
