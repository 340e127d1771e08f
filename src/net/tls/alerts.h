/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a peer complains about (RFC 8446, 6.2), in the words of Go's crypto/tls. */
#ifndef NET_TLS_ALERTS_H
#define NET_TLS_ALERTS_H

/* Never NULL. */
const char *tls_alert_text(int code);

#endif
