/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One entry of `remote_write`, made ready for use: where it is, and the heads of its requests
 * (remote write 1.0 as Prometheus sends it). Its shards share it; it never changes while they run.
 */
#ifndef WRITER_REMOTE_H
#define WRITER_REMOTE_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "config/config.h"
#include "http/request.h"
#include "writer/endpoint.h"

struct remote {
    const struct config_remote *config; /* borrowed from the configuration */
    struct endpoint endpoint;
    size_t head_room; /* no head is longer */
    /* private */
    struct http_field *fields; /* with one place more, for Retry-Attempt */
    size_t field_count;
};

/* ERR_CONFIG, with the reason in reterr, when the URL leads nowhere the writer can connect to. */
int remote_init(struct remote *remote, const struct config_remote *config,
                struct errctx *reterr) MUST_USE;
void remote_fini(struct remote *remote);

/*
 * The head of a request with a body of body_len bytes, in head[head_room]; attempt 0 is the first,
 * later ones say which they are. Returns its length, 0 if a configured header cannot be sent.
 */
size_t remote_write_head(const struct remote *remote, uint32_t attempt, size_t body_len,
                         char *head);

#endif
