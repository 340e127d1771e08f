/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The OAuth 2.0 client credentials grant (RFC 6749, 4.4), as golang.org/x/oauth2 speaks it: what is
 * asked of a token URL and what its answer means. No I/O.
 */
#ifndef DISCOVERY_OAUTH2_H
#define DISCOVERY_OAUTH2_H

#include <stdint.h>

#include "base/arena.h"
#include "base/strbuf.h"
#include "config/config.h"

/* Where a server wants to see who asks. Which one it is comes out by trying, header first. */
enum oauth2_style { OAUTH2_IN_HEADER, OAUTH2_IN_BODY };

struct oauth2_client {
    struct slice id;
    struct slice secret;
    struct config_strings scopes;
    struct config_map endpoint_params; /* their grant_type goes before ours, as in Go */
};

/* The body of the POST, in form encoding with sorted names. */
void oauth2_body(const struct oauth2_client *client, enum oauth2_style style, struct strbuf *body);

/* The scopes as one text, for whoever asks in another way. */
void oauth2_scope(const struct config_strings *scopes, struct strbuf *text);

/* Adds a parameter to a body in form encoding. */
void oauth2_add_pair(struct strbuf *body, struct slice name, struct slice value);

/* The Authorization field of OAUTH2_IN_HEADER. */
void oauth2_authorization(const struct oauth2_client *client, struct strbuf *value);

struct oauth2_token {
    struct slice authorization; /* "Bearer ...": what requests carry; in the arena */
    int64_t lifetime_ms;        /* until a new one is needed; 0: it does not expire */
};

/*
 * The answer to the POST. ERR_PROTOCOL with the reason in Go's words: a status that is not 2xx, a
 * body that is not JSON or has no access_token.
 */
int oauth2_answer(int status, struct slice status_text, struct slice body, struct arena *arena,
                  struct oauth2_token *ret_token, struct errctx *reterr) MUST_USE;

#endif
