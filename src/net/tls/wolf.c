/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The module: net/tls.h by wolfSSL. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "net/tls/alerts.h"
#include "net/tls/authorities.h"
#include "net/tls/certificate.h"
#include "net/tls/module.h"
#include "net/tls/sign.h"
#include "net/tls/wolf.h"

/* Content of one record at most (RFC 8446, 5.1). */
#define RECORD_MAX 16384

/* An output buffer larger than this goes back when it has been sent. */
#define KEEP_OUTPUT 2048u

#define CHACHA_1_3 "TLS13-CHACHA20-POLY1305-SHA256:"
#define AES_1_3    "TLS13-AES128-GCM-SHA256:TLS13-AES256-GCM-SHA384:"
#define CHACHA_1_2 "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:"
#define AES_1_2                                                                                    \
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"                                   \
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
#define OLD                                                                                        \
    "ECDHE-ECDSA-AES128-SHA:ECDHE-RSA-AES128-SHA:ECDHE-ECDSA-AES256-SHA:ECDHE-RSA-AES256-SHA"

/*
 * What Go offers, what costs less first: a wolfSSL like Debian's, which does not use the CPU's
 * instructions for AES, takes twice as long for AES as for ChaCha20 (docs/performance.md).
 */
#ifdef WOLFSSL_AES_IS_FAST
static const char ciphers[] = AES_1_3 CHACHA_1_3 AES_1_2 CHACHA_1_2 OLD;
#else
static const char ciphers[] = CHACHA_1_3 AES_1_3 CHACHA_1_2 AES_1_2 OLD;
#endif

/* X25519 costs least; the others are what Go offers besides. */
static int groups[] = {WOLFSSL_ECC_X25519, WOLFSSL_ECC_SECP256R1, WOLFSSL_ECC_SECP384R1,
                       WOLFSSL_ECC_SECP521R1};

/* ---- Contexts ---- */

static void drop_context(struct net_tls_context *context)
{
    if (--context->references > 0)
        return;
    wolfSSL_CTX_free(context->wolf);
    authorities_release(context->authorities);
    free(context->server_name);
    free(context);
}

char *wolf_copy(struct slice text)
{
    return strndup(text.len > 0 ? text.ptr : "", text.len);
}

static int min_version_of(enum net_tls_version version)
{
    switch (version) {
    case NET_TLS_1_0:
        return WOLFSSL_TLSV1;
    case NET_TLS_1_1:
        return WOLFSSL_TLSV1_1;
    case NET_TLS_1_3:
        return WOLFSSL_TLSV1_3;
    case NET_TLS_1_2:
    case NET_TLS_DEFAULT:
        break;
    }
    return WOLFSSL_TLSV1_2;
}

static int max_version_of(enum net_tls_version version)
{
    switch (version) {
    case NET_TLS_1_0:
        return TLS1_VERSION;
    case NET_TLS_1_1:
        return TLS1_1_VERSION;
    case NET_TLS_1_2:
        return TLS1_2_VERSION;
    case NET_TLS_1_3:
    case NET_TLS_DEFAULT:
        break;
    }
    return TLS1_3_VERSION;
}

static int set_versions(WOLFSSL_CTX *wolf, const struct net_tls_options *options,
                        struct errctx *reterr)
{
    if (wolfSSL_CTX_SetMinVersion(wolf, min_version_of(options->min_version)) != WOLFSSL_SUCCESS)
        return err_set(reterr, ERR_CONFIG, "min_version: this TLS version is not supported");
    if (wolfSSL_CTX_set_max_proto_version(wolf, max_version_of(options->max_version)) !=
        WOLFSSL_SUCCESS)
        return err_set(reterr, ERR_CONFIG, "max_version: this TLS version is not supported");
    return 0;
}

static int set_own_certificate(WOLFSSL_CTX *wolf, const struct net_tls_options *options,
                               struct errctx *reterr)
{
    const unsigned char *cert = (const unsigned char *)options->cert.ptr;
    const unsigned char *key = (const unsigned char *)options->key.ptr;
    if (options->cert.len == 0 && options->key.len == 0)
        return 0;
    if (options->cert.len == 0 || options->key.len == 0)
        return err_set(reterr, ERR_CONFIG, "cert and key are needed together");
    if (wolfSSL_CTX_use_certificate_chain_buffer(wolf, cert, (long)options->cert.len) !=
        WOLFSSL_SUCCESS)
        return err_set(reterr, ERR_CONFIG, "cert: not a certificate in PEM form");
    if (wolfSSL_CTX_use_PrivateKey_buffer(wolf, key, (long)options->key.len,
                                          WOLFSSL_FILETYPE_PEM) != WOLFSSL_SUCCESS)
        return err_set(reterr, ERR_CONFIG, "key: not a private key in PEM form without passphrase");
    if (wolfSSL_CTX_check_private_key(wolf) != WOLFSSL_SUCCESS)
        return err_set(reterr, ERR_CONFIG, "key: the private key does not belong to cert");
    return 0;
}

static int receive_input(WOLFSSL *wolf, char *room, int size, void *owner);
static int send_output(WOLFSSL *wolf, char *bytes, int len, void *owner);
static int verify(int preverified, WOLFSSL_X509_STORE_CTX *store);

static int set_up(struct net_tls_context *context, const struct net_tls_options *options,
                  struct errctx *reterr)
{
    WOLFSSL_CTX *wolf = context->wolf;
    int err = set_versions(wolf, options, reterr);
    if (err == 0 && options->ca.len > 0)
        err = authorities_use(context, options->ca, reterr);
    if (err == 0)
        err = set_own_certificate(wolf, options, reterr);
    if (err != 0)
        return err;
    int r = wolfSSL_CTX_set_cipher_list(wolf, ciphers);
    check(r == WOLFSSL_SUCCESS);
    r = wolfSSL_CTX_set_groups(wolf, groups, sizeof(groups) / sizeof(groups[0]));
    check(r == WOLFSSL_SUCCESS);
    wolfSSL_CTX_SetIORecv(wolf, receive_input);
    wolfSSL_CTX_SetIOSend(wolf, send_output);
    wolfSSL_CTX_set_session_cache_mode(wolf, WOLFSSL_SESS_CACHE_OFF);
    r = wolfSSL_CTX_UseSessionTicket(wolf); /* up to 1.2 it has to be asked for */
    check(r == WOLFSSL_SUCCESS);
    if (context->skip_verify)
        wolfSSL_CTX_set_verify(wolf, WOLFSSL_VERIFY_NONE, NULL);
    else
        wolfSSL_CTX_set_verify(wolf, WOLFSSL_VERIFY_PEER, verify);
    return 0;
}

static int context_new(const struct net_tls_options *options, struct net_tls_context **ret_context,
                       struct errctx *reterr)
{
    static bool is_initialized;
    static uint64_t contexts;
    if (!is_initialized && wolfSSL_Init() != WOLFSSL_SUCCESS)
        return err_set(reterr, ERR_TLS, "wolfSSL could not be initialized");
    is_initialized = true;
    struct net_tls_context *context = calloc(1, sizeof(*context));
    check(context != NULL);
    context->references = 1;
    context->number = ++contexts;
    context->skip_verify = options->insecure_skip_verify;
    context->server_name = wolf_copy(options->server_name);
    context->wolf = wolfSSL_CTX_new(wolfSSLv23_client_method());
    check(context->server_name != NULL && context->wolf != NULL);
    int err = set_up(context, options, reterr);
    if (err != 0)
        drop_context(context);
    else
        *ret_context = context;
    return err;
}

/* ---- Errors ---- */

static int fail_with(struct net_tls_session *session, const char *prefix, const char *text)
{
    session->broken = true;
    if (session->error[0] == '\0')
        snprintf(session->error, sizeof(session->error), "%s%s", prefix, text);
    return ERR_TLS;
}

static int fail(struct net_tls_session *session, const char *text)
{
    return fail_with(session, "", text);
}

static int fail_by_alert(struct net_tls_session *session)
{
    WOLFSSL_ALERT_HISTORY history;
    if (wolfSSL_get_alert_history(session->wolf, &history) != WOLFSSL_SUCCESS)
        history.last_rx.code = -1;
    return fail_with(session, "remote error: tls: ", tls_alert_text(history.last_rx.code));
}

static bool answered_in_plain_text(const struct net_tls_session *session)
{
    return session->start_len == sizeof(session->start) &&
           memcmp(session->start, "HTTP/", sizeof(session->start)) == 0;
}

static int fail_by(struct net_tls_session *session, int wolf_error)
{
    char text[WOLFSSL_MAX_ERROR_SZ];
    if (wolf_error == FATAL_ERROR)
        return fail_by_alert(session);
    if (!session->established && answered_in_plain_text(session))
        return fail(session, "http: server gave HTTP response to HTTPS client");
    if (!session->established && wolf_error == UNKNOWN_RECORD_TYPE)
        return fail(session, "tls: first record does not look like a TLS handshake");
    if (!session->established && wolf_error == VERSION_ERROR)
        return fail(session, "tls: server selected unsupported protocol version");
    wolfSSL_ERR_error_string_n((unsigned long)wolf_error, text, sizeof(text));
    return fail_with(session, "tls: ", text);
}

/* What a call that could not go on means: 0 if it only lacks input. */
static int stopped(struct net_tls_session *session, int result)
{
    int error = wolfSSL_get_error(session->wolf, result);
    if (error == WOLFSSL_ERROR_WANT_READ)
        return 0;
    if (error == WOLFSSL_ERROR_ZERO_RETURN)
        return ERR_CLOSED;
    return fail_by(session, error);
}

/* ---- Verification ---- */

static void refuse(struct net_tls_session *session, const char *why)
{
    session->refused = true;
    if (session->error[0] == '\0')
        snprintf(session->error, sizeof(session->error), "tls: failed to verify certificate: %s",
                 why);
}

/* As Go: first whether the peer's own certificate fits, then whether it can be believed. */
static void verify_leaf(struct net_tls_session *session, const WOLFSSL_X509_STORE_CTX *store)
{
    struct certificate certificate;
    char why[ERROR_MAX - 64];
    const WOLFSSL_BUFFER_INFO *leaf = &store->certs[0];
    if (store->totalCerts < 1 ||
        certificate_read(slice_make(leaf->buffer, leaf->length), &certificate) != 0)
        refuse(session, "x509: malformed certificate");
    else if (!certificate_fits(&certificate, slice_of(session->host), time(NULL), why, sizeof(why)))
        refuse(session, why);
    else
        session->leaf_fits = true;
    session->until = session->leaf_fits ? certificate.not_after : 0;
}

/* The error is wolfSSL's own or, as Debian builds it, one of OpenSSL's X509_V_ERR_*. */
static void refuse_chain(struct net_tls_session *session, int error)
{
    char text[WOLFSSL_MAX_ERROR_SZ];
    char why[WOLFSSL_MAX_ERROR_SZ + 16];
    switch (error) {
    case ASN_NO_SIGNER_E:
    case ASN_SELF_SIGNED_E:
    case ASN_SIG_CONFIRM_E:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
        refuse(session, "x509: certificate signed by unknown authority");
        return;
    case ASN_AFTER_DATE_E:
    case ASN_BEFORE_DATE_E:
    case X509_V_ERR_CERT_NOT_YET_VALID:
    case X509_V_ERR_CERT_HAS_EXPIRED:
        refuse(session, "x509: a certificate of the chain has expired or is not yet valid");
        return;
    default:
        wolfSSL_ERR_error_string_n((unsigned long)error, text, sizeof(text));
        snprintf(why, sizeof(why), "x509: %s", text);
        refuse(session, why);
        return;
    }
}

/* Called for each certificate, the peer's own last. What was refused once stays refused. */
static int verify(int preverified, WOLFSSL_X509_STORE_CTX *store)
{
    struct net_tls_session *session = store->userCtx;
    if (!session->leaf_fits && !session->refused)
        verify_leaf(session, store);
    if (!session->refused && preverified != 1)
        refuse_chain(session, store->error);
    return !session->refused;
}

/* ---- Bytes ---- */

static int receive_input(WOLFSSL *wolf, char *room, int size, void *owner)
{
    (void)wolf;
    struct net_tls_session *session = owner;
    struct slice *input = &session->input;
    if (input->len == 0)
        return WOLFSSL_CBIO_ERR_WANT_READ;
    size_t len = input->len < (size_t)size ? input->len : (size_t)size;
    memcpy(room, input->ptr, len);
    *input = slice_make(input->ptr + len, input->len - len);
    return (int)len;
}

static int send_output(WOLFSSL *wolf, char *bytes, int len, void *owner)
{
    (void)wolf;
    struct net_tls_session *session = owner;
    struct wolf_output *output = &session->filling;
    size_t needed = output->len + (size_t)len;
    if (needed > output->cap) {
        size_t cap = output->cap == 0 ? 512 : output->cap;
        while (cap < needed)
            cap *= 2;
        output->bytes = realloc(output->bytes, cap);
        check(output->bytes != NULL);
        output->cap = cap;
    }
    memcpy(output->bytes + output->len, bytes, (size_t)len);
    output->len = needed;
    return len;
}

static struct slice take_output(struct net_tls_session *session)
{
    struct wolf_output sent = session->leaving;
    if (sent.cap > KEEP_OUTPUT) {
        free(sent.bytes);
        sent = (struct wolf_output){.bytes = NULL};
    }
    sent.len = 0;
    session->leaving = session->filling;
    session->filling = sent;
    return slice_make(session->leaving.bytes, session->leaving.len);
}

static void feed(struct net_tls_session *session, const uint8_t *bytes, size_t len)
{
    check(session->input.len == 0 || session->broken);
    session->input = slice_make(bytes, len);
    for (size_t i = 0; i < len && session->start_len < sizeof(session->start); i++)
        session->start[session->start_len++] = (char)bytes[i];
}

/* ---- Sessions ---- */

static void session_free(struct net_tls_session *session)
{
    wolfSSL_free(session->wolf);
    drop_context(session->context);
    free(session->host);
    free(session->filling.bytes);
    free(session->leaving.bytes);
    free(session);
}

static bool is_address(const char *host)
{
    return strchr(host, ':') != NULL || strspn(host, "0123456789.") == strlen(host);
}

/* Of CallbackSessionTicket. */
static int note_ticket(WOLFSSL *wolf, const unsigned char *ticket, int len, void *context)
{
    struct net_tls_session *session = context;
    (void)wolf;
    (void)ticket;
    (void)len;
    session->got_ticket = true;
    return 0;
}

static bool set_up_session(struct net_tls_session *session)
{
    size_t len = strlen(session->host);
    if (session->wolf == NULL)
        return false;
    wolfSSL_SetIOReadCtx(session->wolf, session);
    wolfSSL_SetIOWriteCtx(session->wolf, session);
    wolfSSL_SetCertCbCtx(session->wolf, session);
    wolfSSL_set_SessionTicket_cb(session->wolf, note_ticket, session);
    if (is_address(session->host) || certificate_is_spiffe(slice_of(session->host)) ||
        len > USHRT_MAX)
        return true;
    return wolfSSL_UseSNI(session->wolf, WOLFSSL_SNI_HOST_NAME, session->host,
                          (unsigned short)len) == WOLFSSL_SUCCESS;
}

static struct net_tls_session *session_new(struct net_tls_context *context, struct slice host,
                                           const struct net_tls_ticket *ticket)
{
    struct net_tls_session *session = calloc(1, sizeof(*session));
    if (session == NULL)
        return NULL;
    context->references++;
    session->context = context;
    session->host =
        wolf_copy(context->server_name[0] != '\0' ? slice_of(context->server_name) : host);
    session->wolf = wolfSSL_new(context->wolf);
    if (session->host != NULL && set_up_session(session)) {
        if (ticket != NULL)
            wolf_resume(session, ticket);
        return session;
    }
    session_free(session);
    return NULL;
}

/*
 * Debian's wolfSSL keeps tables of multiples of each point of a curve that it meets twice, 0.8 MB
 * for each and up to 12 MB; worth it for a server, not for some handshakes an hour.
 */
static void drop_tables(void)
{
    wc_ecc_fp_free();
}

static int handshake(struct net_tls_session *session)
{
    if (session->broken)
        return ERR_TLS;
    int r = wolfSSL_connect(session->wolf);
    drop_tables();
    if (r != WOLFSSL_SUCCESS) {
        r = stopped(session, r);
        return r == ERR_CLOSED ? fail(session, "EOF") : r;
    }
    bool is_known = session->leaf_fits || wolfSSL_session_reused(session->wolf) == 1;
    if (!session->context->skip_verify && (session->refused || !is_known))
        return fail(session, "tls: failed to verify certificate");
    session->established = true;
    return 1;
}

static int read_content(struct net_tls_session *session, uint8_t *room, size_t size)
{
    int max = size < INT_MAX ? (int)size : INT_MAX;
    size_t before;
    do {
        if (session->broken)
            return ERR_TLS;
        before = session->input.len;
        int r = wolfSSL_read(session->wolf, room, max);
        if (r > 0)
            return r;
        r = stopped(session, r);
        if (r != 0 || session->input.len == 0)
            return r;
        /* It stops too where a message without content ends. */
    } while (session->input.len < before);
    return fail(session, "tls: a record could not be taken");
}

static int write_content(struct net_tls_session *session, const void *bytes, size_t len)
{
    if (session->broken)
        return ERR_TLS;
    int max = len < RECORD_MAX ? (int)len : RECORD_MAX;
    int r = wolfSSL_write(session->wolf, bytes, max);
    if (r > 0)
        return r;
    r = stopped(session, r);
    return r < 0 ? r : fail(session, "tls: the connection cannot be written to");
}

static void close_session(struct net_tls_session *session)
{
    if (session->established && !session->broken)
        (void)wolfSSL_shutdown(session->wolf);
}

static const char *error_of(const struct net_tls_session *session)
{
    return session->error;
}

extern const struct tls_module limpet_tls_module;

__attribute__((visibility("default"))) const struct tls_module limpet_tls_module = {
    .version = PACKAGE_VERSION,
    .context_new = context_new,
    .context_free = drop_context,
    .sign = tls_sign,
    .session_new = session_new,
    .session_free = session_free,
    .ticket_next = wolf_ticket_next,
    .ticket_free = wolf_ticket_free,
    .is_resumed = wolf_is_resumed,
    .feed = feed,
    .handshake = handshake,
    .read = read_content,
    .write = write_content,
    .close = close_session,
    .output = take_output,
    .error = error_of,
};
