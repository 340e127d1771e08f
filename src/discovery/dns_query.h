/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Questions to DNS for records that getaddrinfo does not tell. The system's resolver library
 * (servers and search list of /etc/resolv.conf, TCP after truncated answers) blocks, so it runs in
 * a thread of its own, which is started with the first question; answers come over the loop.
 */
#ifndef DISCOVERY_DNS_QUERY_H
#define DISCOVERY_DNS_QUERY_H

#include <stdint.h>

#include "base/arena.h"
#include "base/slice.h"
#include "config/config.h"
#include "loop/loop.h"

/* A record of an answer. */
struct dns_record {
    const char *target; /* address of A and AAAA; name of the others, with its final dot */
    uint16_t port;      /* of SRV */
};

struct dns_answer {
    int error;        /* 0; ERR_TIMEOUT, ERR_PROTOCOL: nobody could say */
    const char *text; /* what failed */
    struct dns_record *records;
    size_t len;   /* 0: there are none, or there is no such name */
    uint32_t ttl; /* seconds, with records: the smallest of these and of the aliases to them */
    struct arena arena;
};

/*
 * A question, embedded by who asks. From dns_query_ask until `answered` is called it belongs to
 * this file.
 */
struct dns_query {
    const char *name;
    enum config_dns_type type;
    struct dns_answer answer;
    void (*answered)(struct dns_query *query);
    struct dns_query *next; /* private */
};

void dns_query_ask(struct loop *loop, struct dns_query *query);

/* The same in the calling thread, any but that of a loop: it waits until there is an answer. */
void dns_query_wait(struct dns_query *query);

/* The records in a DNS message (RFC 1035), of the type that was asked for, or answer->error. */
void dns_query_parse(const uint8_t *message, size_t len, enum config_dns_type type,
                     struct dns_answer *answer);

/* Ends the thread; no question may be under way. For tests. */
void dns_query_stop(void);

#endif
