/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Any bytes as the certificate of a peer: read, compared and talked about without harm. */
#include <stdint.h>

#include "base/check.h"
#include "net/tls/certificate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const hosts[] = {"localhost",      "127.0.0.1", "::1",
                                        "a.example.test", "",          "spiffe://a/*"};
    struct certificate certificate;
    if (certificate_read(slice_make(data, size), &certificate) != 0)
        return 0;
    for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
        char text[128] = "";
        /* In time always, so that names are looked at. */
        bool fits = certificate_fits(&certificate, slice_of(hosts[i]), certificate.not_before, text,
                                     sizeof(text));
        check(fits == (text[0] == '\0'));
    }
    return 0;
}
