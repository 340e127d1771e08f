/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Host names to addresses, for the whole of limpet: no other process asks a resolver. The system's
 * own resolver (getaddrinfo: hosts file, nsswitch, DNS) runs in a few threads, because it blocks;
 * everything else of discovery is one thread, which is told by an eventfd that answers are there.
 * A name that fails keeps the addresses it had, and is asked for again after RESOLVER_RETRY_NS if
 * it had none.
 *
 * Names are asked for again by the TTL of their records (RFC 1035, 3.2.1). getaddrinfo tells none,
 * so once it has found addresses these are in use, and DNS is asked for the TTL (dns_ttl.h). Where
 * DNS tells none (hosts file, other sources of nsswitch, a server that does not answer) and for
 * localhost, for which no server is asked (RFC 6761, 6.3), that is after RESOLVER_REFRESH_NS.
 */
#ifndef DISCOVERY_RESOLVER_H
#define DISCOVERY_RESOLVER_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"

#define RESOLVER_ADDRESSES  4
#define RESOLVER_REFRESH_NS (30 * INT64_C(1000000000))

/*
 * The bounds of a TTL. 0 means that a record is not to be kept at all, and some servers say so for
 * every record: it is no reason to ask with each tick; 5 s is what headless services of Kubernetes
 * have by default. Above, a day's TTL must not keep limpet at a server that has moved, as
 * Prometheus asks for each connection it opens.
 */
#define RESOLVER_TTL_MIN_NS (5 * INT64_C(1000000000))
#define RESOLVER_TTL_MAX_NS (300 * INT64_C(1000000000))

#define RESOLVER_RETRY_NS (5 * INT64_C(1000000000))

/* A name that has no answer after this counts as failed, until there is one. */
#define RESOLVER_PATIENCE_NS (5 * INT64_C(1000000000))

enum resolver_state { RESOLVER_PENDING, RESOLVER_KNOWN, RESOLVER_FAILED };

struct resolver_answer {
    enum resolver_state state;
    int count;                                         /* of addresses, when known; ports are 0 */
    struct sockaddr_in6 addresses[RESOLVER_ADDRESSES]; /* or sockaddr_in, by family */
    const char *error;                                 /* when failed; "no such host" and so on */
    bool is_negative;                                  /* failed for certain: no such host */
};

struct resolver;

/* Starts the threads. *ret is freed with resolver_free. */
int resolver_new(struct resolver **ret, struct errctx *reterr) MUST_USE;
void resolver_free(struct resolver *resolver);

/* Readable when resolver_collect has something to do. */
int resolver_fd(const struct resolver *resolver);

/*
 * What is known about the host now. Numeric addresses answer at once; a name not seen before is
 * asked for and is pending. Marks the name as used until the next resolver_sweep.
 */
struct resolver_answer resolver_lookup(struct resolver *resolver, struct slice host);

/*
 * The same for a name that a stranger has brought up, a redirect say: only some of the threads ask
 * for such names, so that those whose servers do not answer delay no others.
 */
struct resolver_answer resolver_lookup_aside(struct resolver *resolver, struct slice host);

/*
 * What a predecessor knew about a name: its addresses (ports are ignored), or that there were none
 * (count 0). The name is asked for, but not pending. Nothing happens if it is known already.
 */
void resolver_recall(struct resolver *resolver, struct slice host,
                     const struct sockaddr_in6 *addresses, int count);

/* Takes in the answers that have come. True when one differs from what was known. */
bool resolver_collect(struct resolver *resolver);

/*
 * Asks again for the names whose answers are old, and gives up patience with those that have none.
 * True when a name is pending no longer because of that.
 */
bool resolver_refresh(struct resolver *resolver, int64_t now_mono_ns);

/* Forgets the names that were not used since the last time. */
void resolver_sweep(struct resolver *resolver);

/* How many names have no answer yet; answers that were errors, since the start. */
int resolver_pending(const struct resolver *resolver);
uint64_t resolver_failures(const struct resolver *resolver);

#endif
