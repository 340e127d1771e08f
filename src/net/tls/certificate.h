/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a certificate says about when and for whom it is valid (RFC 5280), read from its DER, and
 * whether that fits; in the words of Go's crypto/x509, which name what would be right. Whether the
 * certificate can be believed is wolfSSL's part.
 */
#ifndef NET_TLS_CERTIFICATE_H
#define NET_TLS_CERTIFICATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/check.h"
#include "base/slice.h"

/* Slices point into the DER. */
struct certificate {
    int64_t not_before; /* seconds since the epoch */
    int64_t not_after;
    struct slice common_name;
    struct slice names; /* the GeneralNames of subjectAltName, tags and all */
    bool has_names;
};

/* ERR_SYNTAX if `der` is not a certificate. */
int certificate_read(struct slice der, struct certificate *ret_certificate) MUST_USE;

/* Whether a peer is to be known by an identity of SPIFFE ("spiffe://...") and not by its host. */
bool certificate_is_spiffe(struct slice host);

/*
 * host: a name or an address by number, as the URL or server_name has it, without brackets. Or an
 * identity, "spiffe://cluster.local/ns/shop/sa/web", which must be the only URI among the names
 * (X509-SVID, 5.2); an element of its path that is "*" stands for any. False with a sentence in
 * text, which is cut to size.
 */
bool certificate_fits(const struct certificate *certificate, struct slice host, int64_t now,
                      char *text, size_t size);

#endif
