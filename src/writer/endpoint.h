/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where a remote's URL leads: addresses to connect to, and what the request says about it. The
 * writer resolves no names: a host is an address by number, `localhost`, which is the loopback
 * address of both families, or a name whose addresses discovery has written down (shm/names.h).
 */
#ifndef WRITER_ENDPOINT_H
#define WRITER_ENDPOINT_H

#include <stddef.h>

#include "base/err.h"
#include "base/slice.h"
#include "net/address.h"
#include "shm/names.h"

enum { ENDPOINT_ADDRESSES_MAX = SHM_TARGET_ADDRESSES };

struct endpoint {
    struct net_address addresses[ENDPOINT_ADDRESSES_MAX]; /* in order of preference */
    size_t address_count; /* 0: none are known; see endpoint_find_addresses */
    struct slice name;    /* to be looked up; part of the URL; empty for a number */
    uint16_t port;
    struct slice host; /* of the Host field; part of the URL */
    char *target;      /* path and query; owned */
};

/* ERR_CONFIG, with the reason in reterr. `url` must outlive the endpoint. */
int endpoint_parse(const char *url, struct endpoint *ret_endpoint, struct errctx *reterr) MUST_USE;

void endpoint_fini(struct endpoint *endpoint);

/* Before each connection: the addresses that the name has now. False: there are none. */
bool endpoint_find_addresses(struct endpoint *endpoint, const struct names_reader *names);

#endif
