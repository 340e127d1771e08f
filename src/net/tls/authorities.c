/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "net/tls/authorities.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"

/* One text. */
struct authorities {
    struct authorities *next;
    WOLFSSL_X509_STORE *store;
    unsigned references; /* contexts */
    bool skip_verify;
    uint8_t digest[WC_SHA256_DIGEST_SIZE]; /* of the text */
};

static struct authorities *all;

static struct authorities *find(const uint8_t *digest, bool skip_verify)
{
    struct authorities *it = all;
    while (it != NULL &&
           (it->skip_verify != skip_verify || memcmp(it->digest, digest, sizeof(it->digest)) != 0))
        it = it->next;
    return it;
}

static struct authorities *add(const uint8_t *digest, bool skip_verify)
{
    struct authorities *made = calloc(1, sizeof(*made));
    check(made != NULL);
    made->store = wolfSSL_X509_STORE_new();
    check(made->store != NULL);
    made->skip_verify = skip_verify;
    memcpy(made->digest, digest, sizeof(made->digest));
    made->next = all;
    all = made;
    return made;
}

/* The context owns a reference to the store from now on. */
static void let_use(struct net_tls_context *context, struct authorities *authorities)
{
    int r = wolfSSL_X509_STORE_up_ref(authorities->store);
    check(r == WOLFSSL_SUCCESS);
    wolfSSL_CTX_set_cert_store(context->wolf, authorities->store);
    authorities->references++;
    context->authorities = authorities;
}

int authorities_use(struct net_tls_context *context, struct slice ca, struct errctx *reterr)
{
    const unsigned char *text = (const unsigned char *)ca.ptr;
    uint8_t digest[WC_SHA256_DIGEST_SIZE];
    int r = wc_Sha256Hash(text, (word32)ca.len, digest);
    check(r == 0);
    struct authorities *authorities = find(digest, context->skip_verify);
    if (authorities != NULL) {
        let_use(context, authorities);
        return 0;
    }
    let_use(context, add(digest, context->skip_verify));
    r = wolfSSL_CTX_load_verify_buffer_ex(context->wolf, text, (long)ca.len, WOLFSSL_FILETYPE_PEM,
                                          0, WOLFSSL_LOAD_FLAG_DATE_ERR_OKAY);
    if (r == WOLFSSL_SUCCESS)
        return 0;
    return err_set(reterr, ERR_CONFIG, "ca: no certificate in PEM form was found in it");
}

void authorities_release(struct authorities *authorities)
{
    if (authorities == NULL || --authorities->references > 0)
        return;
    struct authorities **link = &all;
    while (*link != authorities)
        link = &(*link)->next;
    *link = authorities->next;
    wolfSSL_X509_STORE_free(authorities->store);
    free(authorities);
}
