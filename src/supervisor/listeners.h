/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The listening sockets of the pages. The supervisor opens them, so that a console that dies
 * refuses nobody: the successor answers. Host names are not resolved here; "localhost" is
 * 127.0.0.1, and without a host it is every address of this machine.
 */
#ifndef SUPERVISOR_LISTENERS_H
#define SUPERVISOR_LISTENERS_H

#include "net/address.h"
#include "supervisor/estate.h"

/* The address of --web.listen-address; ERR_SYNTAX, and the text says what is allowed. */
int listeners_parse(const char *text, struct net_address *ret_address,
                    struct errctx *reterr) MUST_USE;

/* Whether all of them are addresses, before anything is opened. */
int listeners_check(const char *const *texts, uint32_t count, struct errctx *reterr) MUST_USE;

/* Opens them all and logs msg=listening with the real address, as the port may be 0. */
int listeners_open(struct estate *estate, const char *const *texts, uint32_t count,
                   struct errctx *reterr) MUST_USE;

#endif
