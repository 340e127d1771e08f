/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How long the addresses that the system has found for a name stand, which getaddrinfo does not
 * tell. DNS is asked for the same name, by the same search list, for the families the addresses
 * have, with one question each.
 */
#ifndef DISCOVERY_DNS_TTL_H
#define DISCOVERY_DNS_TTL_H

#include <stdint.h>

#include "discovery/dns_query.h"
#include "discovery/resolver.h"

/* ns, within the bounds of resolver.h; RESOLVER_REFRESH_NS if DNS does not tell. Blocks. */
int64_t dns_ttl_ask(const char *host, const struct resolver_answer *known);

/*
 * The same by one answer. If it has none of the known addresses they come from elsewhere (hosts
 * file), or have changed just now, or it is a choice out of many: then not more than
 * RESOLVER_REFRESH_NS.
 */
int64_t dns_ttl_read(const struct dns_answer *answer, const struct resolver_answer *known);

#endif
