/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Addresses of hosts that are not targets: the remotes. Only discovery asks resolvers; it writes
 * the answers into the targets segment, where the writer looks them up. Two copies and a
 * generation: a new answer for any host is a new copy of all of them.
 */
#ifndef SHM_NAMES_H
#define SHM_NAMES_H

#include <netinet/in.h>

#include "base/slice.h"
#include "shm/segment.h"

/* One host; a name counts whatever its case. count 0: it has no address. Ports are 0. */
struct name_addresses {
    struct slice host;
    uint32_t count;
    struct sockaddr_in6 addresses[SHM_TARGET_ADDRESSES]; /* or sockaddr_in, by family */
};

struct names_writer {
    struct shm_segment segment;
    struct shm_names *names;
};

/* `fd` is the targets segment. */
int names_writer_attach(struct names_writer *writer, int fd, struct errctx *reterr) MUST_USE;
void names_writer_detach(struct names_writer *writer);

/* Puts these hosts in force and no others; at most SHM_NAMES_MAX. */
void names_write(struct names_writer *writer, const struct name_addresses *names, uint32_t count);

struct names_reader {
    struct shm_segment segment;
    const struct shm_names *names;
};

int names_reader_attach(struct names_reader *reader, int fd, struct errctx *reterr) MUST_USE;
void names_reader_detach(struct names_reader *reader);

/*
 * The addresses of a host: how many, 0 if it has none or is not known (yet), or if what is there
 * makes no sense.
 */
uint32_t names_lookup(const struct names_reader *reader, struct slice host,
                      struct sockaddr_in6 ret_addresses[SHM_TARGET_ADDRESSES]);

#endif
