/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How a target's requests get there. Most go straight to its addresses in plain text and need none
 * of this; others speak TLS, go through a proxy, carry credentials, or are sent elsewhere.
 */
#ifndef SCRAPERS_WAY_H
#define SCRAPERS_WAY_H

#include "client/route.h"
#include "http/redirect.h"

struct scraper_job;
struct target;
struct target_view;

/* A target's own, if it is not the plain one. */
struct way {
    struct arena arena;
    struct route route;
    struct sockaddr_un socket; /* of a target that is asked at one */
};

/* Redirects that are being followed. All of it is in the arena. */
struct detour {
    struct arena arena;
    struct http_hop first;
    struct http_hop now;
    struct route route;
    struct net_address addresses[ROUTE_ADDRESSES];
    uint32_t address_count;
    struct slice head;
};

/*
 * Writes the request and finds the way of a new target. A reason if it cannot be asked: then
 * target->error has it.
 */
void way_make(struct target *target, const struct target_view *view);
void way_free(struct target *target);

/* Whether all is there that a request needs: credentials come from discovery, perhaps later. */
bool way_is_open(const struct target *target);

/* The request of the next scrape. Fails, with the reason, when it cannot be made now. */
int way_request(struct target *target, int64_t deadline_ns, struct fetch_request *ret_request,
                struct errctx *reterr) MUST_USE;

/* Whether this answer is not the answer: another place will be asked. */
bool way_leads_on(const struct target *target, const struct http_head *head);

/* Takes the way that such an answer shows; nothing of the connection may be in flight. */
int way_redirect(struct target *target, int status, struct slice location,
                 struct errctx *reterr) MUST_USE;

/*
 * Then 1 and the request to make there; 0: the host's addresses are not known yet, ask again after
 * LOOKUP_POLL_NS. Fails, with the reason, if they never will.
 */
int way_go_on(struct target *target, int64_t deadline_ns, struct fetch_request *ret_request,
              struct errctx *reterr) MUST_USE;

/* For the log: what is asked for, without what must not be shown. */
struct slice way_shown(const struct target *target);

/* The scrape is over: forgets where redirects led. */
void way_end(struct target *target);

#endif
