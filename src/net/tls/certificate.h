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

/*
 * host: a name or an address by number, as the URL or server_name has it, without brackets. False
 * with a sentence in text, which is cut to size.
 */
bool certificate_fits(const struct certificate *certificate, struct slice host, int64_t now,
                      char *text, size_t size);

#endif
