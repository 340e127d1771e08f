/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A token of an OAuth 2.0 server (discovery/oauth2.h), asked for at the start and again before it
 * ends. What the requests carry that need it.
 */
#ifndef DISCOVERY_TOKEN_H
#define DISCOVERY_TOKEN_H

#include "base/slice.h"
#include "discovery/source.h"

struct token;

/*
 * changed: told when there is another token or error, from the loop. The configuration and the host
 * must outlive it.
 */
struct token *token_new(struct source_host *host, const struct config_oauth2 *config,
                        void (*changed)(void *context), void *context);
void token_free(struct token *token);

/*
 * What there is: the value of an Authorization field, or why there is none. Neither is touched
 * while the first answer has not come. Both belong to the token and stay until `changed`.
 */
void token_get(const struct token *token, struct slice *authorization, struct slice *error);

#endif
