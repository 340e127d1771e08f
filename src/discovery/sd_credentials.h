/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a request of a source carries and how it speaks TLS, put together from the options of an
 * HTTP client and the files they name. Files are read each time, since requests are rare.
 */
#ifndef DISCOVERY_SD_CREDENTIALS_H
#define DISCOVERY_SD_CREDENTIALS_H

#include "base/arena.h"
#include "config/config.h"
#include "net/tls.h"

struct sd_credentials {
    struct slice authorization; /* the field's value; empty: none */
    struct net_tls_options tls; /* of https */
};

/*
 * ERR_CONFIG: a file cannot be read; the text is Prometheus'. Everything is in the arena, or is the
 * configuration's.
 */
int sd_credentials_read(const struct config_http_client *http, bool https, struct arena *arena,
                        struct sd_credentials *ret_credentials, struct errctx *reterr) MUST_USE;

/* A whole file, without white space around it. */
int sd_read_file(const char *path, struct arena *arena, struct slice *ret_text,
                 struct errctx *reterr) MUST_USE;

/* Without white space around it. */
struct slice sd_trimmed(struct slice text);

/* The file with the authorities that this system believes; NULL: there is none. */
const char *sd_system_authorities(void);

#endif
