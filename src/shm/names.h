/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Addresses of hosts that are not targets: of remotes, of proxies, and of what redirects led to.
 * Only discovery asks resolvers; it writes the answers into the targets segment, where writer and
 * scrapers look them up. Two copies and a generation: a new answer for any host is a new copy of
 * all of them.
 */
#ifndef SHM_NAMES_H
#define SHM_NAMES_H

#include <netinet/in.h>

#include "base/slice.h"
#include "shm/segment.h"

/* One host; a name counts whatever its case. count 0: it has no address. Ports are 0. */
struct name_addresses {
    struct slice host;
    uint32_t state; /* SHM_NAME_* */
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

/*
 * Puts these hosts in force and no others; at most SHM_NAMES_MAX. -ENOSPC and the like: there is no
 * memory for so many, and what was in force stays.
 */
int names_write(struct names_writer *writer, const struct name_addresses *names,
                uint32_t count) MUST_USE;

/* Says whether further names would be taken in now. */
void names_set_full(struct names_writer *writer, bool full);

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

/* What stands for a host that is not there. */
#define NAME_UNKNOWN UINT32_MAX

/* SHM_NAME_* of a host, or NAME_UNKNOWN. */
uint32_t names_state(const struct names_reader *reader, struct slice host);

/* No further name is taken in now. */
bool names_are_full(const struct names_reader *reader);

/*
 * Names with the same key are the same name: targets choose where they redirect to, so the hash has
 * a key that none of them knows. The first discovery makes it. Never 0.
 */
uint64_t names_key(const struct shm_names *names, struct slice host);

#endif
