/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Signatures with an RSA key, for net_tls_sign. */
#ifndef NET_TLS_SIGN_H
#define NET_TLS_SIGN_H

#include "net/tls.h"

int tls_sign(struct slice key_pem, enum net_tls_hash hash, struct slice text,
             uint8_t ret_signature[NET_TLS_SIGNATURE_MAX], size_t *ret_len,
             struct errctx *reterr) MUST_USE;

#endif
