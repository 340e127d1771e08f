/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Between net/tls.c and the module that has wolfSSL in it. Both come from one build. */
#ifndef NET_TLS_MODULE_H
#define NET_TLS_MODULE_H

#include "net/tls.h"

#define TLS_MODULE_FILE   "limpet-tls.so"
#define TLS_MODULE_SYMBOL "limpet_tls_module"

/* The functions of net/tls.h. */
struct tls_module {
    const char *version; /* that of limpet: a module of another one is refused */
    int (*context_new)(const struct net_tls_options *options, struct net_tls_context **ret_context,
                       struct errctx *reterr);
    void (*context_free)(struct net_tls_context *context);
    int (*sign)(struct slice key_pem, enum net_tls_hash hash, struct slice text,
                uint8_t ret_signature[NET_TLS_SIGNATURE_MAX], size_t *ret_len,
                struct errctx *reterr);
    struct net_tls_session *(*session_new)(struct net_tls_context *context, struct slice host,
                                           const struct net_tls_ticket *ticket);
    struct net_tls_ticket *(*ticket_next)(struct net_tls_session *session,
                                          struct net_tls_ticket *before);
    void (*ticket_free)(struct net_tls_ticket *ticket);
    bool (*is_resumed)(const struct net_tls_session *session);
    void (*session_free)(struct net_tls_session *session);
    void (*feed)(struct net_tls_session *session, const uint8_t *bytes, size_t len);
    int (*handshake)(struct net_tls_session *session);
    int (*read)(struct net_tls_session *session, uint8_t *room, size_t size);
    int (*write)(struct net_tls_session *session, const void *bytes, size_t len);
    void (*close)(struct net_tls_session *session);
    struct slice (*output)(struct net_tls_session *session);
    const char *(*error)(const struct net_tls_session *session);
};

#endif
