/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "net/tls.h"

#include <string.h>

#include "base/module.h"
#include "net/tls/module.h"

/* Once loaded it stays: contexts are there as long as the process. */
static const struct tls_module *module;

int net_tls_load(const char *path, struct errctx *reterr)
{
    struct module loaded;
    if (module != NULL)
        return 0;
    int err = path != NULL ? module_load(path, TLS_MODULE_SYMBOL, &loaded, reterr)
                           : module_load_own(TLS_MODULE_FILE, TLS_MODULE_SYMBOL, &loaded, reterr);
    if (err != 0)
        return err_prefix(reterr, err, "TLS needs %s", TLS_MODULE_FILE);
    const struct tls_module *found = loaded.symbol;
    if (strcmp(found->version, PACKAGE_VERSION) != 0) {
        module_unload(&loaded);
        return err_set(reterr, ERR_VERSION, "%s is that of another limpet, not " PACKAGE_VERSION,
                       TLS_MODULE_FILE);
    }
    module = found;
    return 0;
}

int net_tls_context_new(const struct net_tls_options *options, struct net_tls_context **ret_context,
                        struct errctx *reterr)
{
    int err = net_tls_load(NULL, reterr);
    return err != 0 ? err : module->context_new(options, ret_context, reterr);
}

int net_tls_sign(struct slice key_pem, enum net_tls_hash hash, struct slice text,
                 uint8_t ret_signature[NET_TLS_SIGNATURE_MAX], size_t *ret_len,
                 struct errctx *reterr)
{
    int err = net_tls_load(NULL, reterr);
    return err != 0 ? err : module->sign(key_pem, hash, text, ret_signature, ret_len, reterr);
}

void net_tls_context_free(struct net_tls_context *context)
{
    if (context != NULL)
        module->context_free(context);
}

struct net_tls_session *net_tls_session_new(struct net_tls_context *context, struct slice host,
                                            const struct net_tls_ticket *ticket)
{
    return module->session_new(context, host, ticket);
}

struct net_tls_ticket *net_tls_ticket_next(struct net_tls_session *session,
                                           struct net_tls_ticket *before)
{
    return module->ticket_next(session, before);
}

void net_tls_ticket_free(struct net_tls_ticket *ticket)
{
    if (ticket != NULL)
        module->ticket_free(ticket);
}

bool net_tls_is_resumed(const struct net_tls_session *session)
{
    return module->is_resumed(session);
}

void net_tls_session_free(struct net_tls_session *session)
{
    if (session != NULL)
        module->session_free(session);
}

void net_tls_feed(struct net_tls_session *session, const uint8_t *bytes, size_t len)
{
    module->feed(session, bytes, len);
}

int net_tls_handshake(struct net_tls_session *session)
{
    return module->handshake(session);
}

int net_tls_read(struct net_tls_session *session, uint8_t *room, size_t size)
{
    return module->read(session, room, size);
}

int net_tls_write(struct net_tls_session *session, const void *bytes, size_t len)
{
    return module->write(session, bytes, len);
}

void net_tls_close(struct net_tls_session *session)
{
    module->close(session);
}

struct slice net_tls_output(struct net_tls_session *session)
{
    return module->output(session);
}

const char *net_tls_error(const struct net_tls_session *session)
{
    return module->error(session);
}
