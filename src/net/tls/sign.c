/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "net/tls/sign.h"

#include <limits.h>
#include <stdlib.h>

#include <wolfssl/options.h>
#include <wolfssl/ssl.h>
#include <wolfssl/wolfcrypt/asn_public.h>
#include <wolfssl/wolfcrypt/random.h>
#include <wolfssl/wolfcrypt/rsa.h>
#include <wolfssl/wolfcrypt/signature.h>

static enum wc_HashType hash_type(enum net_tls_hash hash)
{
    switch (hash) {
    case NET_TLS_SHA384:
        return WC_HASH_TYPE_SHA384;
    case NET_TLS_SHA512:
        return WC_HASH_TYPE_SHA512;
    case NET_TLS_SHA256:
        break;
    }
    return WC_HASH_TYPE_SHA256;
}

/* As Go's x509: PKCS#1 or PKCS#8 in PEM form. */
static int read_key(struct slice pem, RsaKey *key)
{
    word32 at = 0;
    if (pem.len == 0 || pem.len > INT_MAX)
        return -1;
    unsigned char *der = malloc(pem.len);
    check(der != NULL);
    int len = wc_KeyPemToDer((const unsigned char *)pem.ptr, (int)pem.len, der, (int)pem.len, NULL);
    int r = len > 0 ? wc_RsaPrivateKeyDecode(der, &at, key, (word32)len) : -1;
    explicit_bzero(der, pem.len);
    free(der);
    return r;
}

static int sign(RsaKey *key, WC_RNG *rng, enum wc_HashType hash, struct slice text,
                uint8_t *ret_signature, size_t *ret_len)
{
    int size = wc_RsaEncryptSize(key);
    if (size <= 0 || size > (int)NET_TLS_SIGNATURE_MAX)
        return -1;
    word32 len = (word32)size;
    int r = wc_SignatureGenerate(hash, WC_SIGNATURE_TYPE_RSA_W_ENC, (const byte *)text.ptr,
                                 (word32)text.len, ret_signature, &len, key, sizeof(*key), rng);
    *ret_len = len;
    return r;
}

int tls_sign(struct slice key_pem, enum net_tls_hash hash, struct slice text,
             uint8_t ret_signature[NET_TLS_SIGNATURE_MAX], size_t *ret_len, struct errctx *reterr)
{
    RsaKey key;
    WC_RNG rng;
    if (wc_InitRng(&rng) != 0)
        return err_set(reterr, ERR_NOT_READY, "no random numbers to sign with");
    if (wc_InitRsaKey(&key, NULL) != 0) {
        wc_FreeRng(&rng);
        return err_set(reterr, ERR_NOT_READY, "no memory to sign with");
    }
    int err = 0;
    if (read_key(key_pem, &key) != 0)
        err = err_set(reterr, ERR_CONFIG, "the key is no RSA private key in PEM form");
    else if (wc_RsaSetRNG(&key, &rng) != 0 ||
             sign(&key, &rng, hash_type(hash), text, ret_signature, ret_len) != 0)
        err = err_set(reterr, ERR_CONFIG,
                      "the key cannot sign: it is damaged, or of more than %u "
                      "bits",
                      NET_TLS_SIGNATURE_MAX * 8);
    wc_FreeRsaKey(&key);
    wc_FreeRng(&rng);
    return err;
}
