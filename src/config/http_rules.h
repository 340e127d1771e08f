/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What concerns several options of an HTTP client at once, in Prometheus' words. */
#ifndef CONFIG_HTTP_RULES_H
#define CONFIG_HTTP_RULES_H

#include "config/config.h"
#include "config/node.h"

/*
 * `block` is what `client` is a part of, as it stands in the file (or NULL). Which options exclude
 * or need each other; bearer_token becomes `authorization`; files are resolved. ERR_CONFIG.
 */
int http_rules_apply(const struct document *source, const struct node *block,
                     struct config_http_client *client) MUST_USE;

/*
 * The user in a URL that was checked, and his password, become the client's basic_auth, unless it
 * has other credentials, which come first in Go; the URL loses them, so that nobody shows them.
 * ERR_CONFIG: a malformed escape. `at`: where it stands.
 */
int http_rules_take_user(const struct document *source, const struct node *at, const char **url,
                         struct config_http_client *client) MUST_USE;

/* Whether the options say anything about TLS. */
bool http_rules_has_tls(const struct config_tls *tls);

#endif
