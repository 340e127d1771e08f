/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One entry of `remote_write`, made ready for use: where it is, and the heads of its requests
 * (remote write 1.0 and 2.0 as Prometheus sends them). Its shards share it.
 */
#ifndef WRITER_REMOTE_H
#define WRITER_REMOTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "client/client.h"
#include "client/lookup.h"
#include "client/route.h"
#include "config/config.h"
#include "http/redirect.h"
#include "http/request.h"
#include "shm/layout.h"
#include "writer/backlog.h"
#include "writer/shards.h"

struct metadata_sender;

/* What is said apart, so that in an outage repeats do not keep what is lost out of the log. */
enum remote_log { REMOTE_LOG_REPEAT, REMOTE_LOG_LOSS, REMOTE_LOGS };

struct remote {
    const struct config_remote *config; /* borrowed from the configuration */
    struct route route;
    struct client client;
    struct relabel *relabel; /* write_relabel_configs */
    size_t head_room;        /* no head is longer */

    /* Set by the writer. */
    const struct names_reader *names;
    struct lookups *lookups;
    struct shm_remote *place; /* in the delivery segment */
    uint32_t message;         /* the version of remote write for new batches: 1 or 2 */
    bool speaks_v2;           /* the receiver has shown that it understands 2.0 */
    bool refuses_zstd;        /* it has shown that it does not take zstd */
    struct backlog backlog;
    struct metadata_sender *metadata;
    struct shards shards;
    uint64_t taken;       /* items out of the rings */
    int64_t sent_at_ns;   /* when something was sent with an outcome */
    int64_t waited_at_ns; /* when a shard last began to wait before a repeat, and how long */
    int64_t wait_ms;

    /* private */
    struct {
        int64_t again_ns;
        uint64_t unsaid;
    } logged[REMOTE_LOGS];
    struct http_field *fields; /* with one place more, for Retry-Attempt */
    size_t field_count;
    uint32_t attempts; /* that were made: each begins with another address if the file wants that */
    struct arena arena; /* of route */
};

/* `scheme`: of the names that rules make.
   ERR_CONFIG, with the reason in reterr: the URL leads nowhere the writer can connect to, or a
   header cannot be sent. Other errors: relabelling rules cannot be compiled. */
int remote_init(struct remote *remote, const struct config_remote *config, enum label_scheme scheme,
                struct errctx *reterr) MUST_USE;
void remote_fini(struct remote *remote);

/*
 * The head of a request with this body in this version of remote write, in head[head_room]; attempt
 * 0 is the first, later ones say which they are. Returns its length.
 */
size_t remote_write_head(const struct remote *remote, uint32_t message, uint32_t attempt,
                         struct slice body, char *head);

/*
 * The same for the place that a redirect leads to, in the arena: another method, perhaps no body.
 * ERR_SYNTAX: it cannot be asked for.
 */
int remote_write_head_to(const struct remote *remote, const struct http_hop *hop,
                         const struct route *route, uint32_t message, uint32_t attempt,
                         struct slice body, struct arena *arena, struct slice *ret_head,
                         struct errctx *reterr) MUST_USE;

/* Whether a receiver that does not understand 2.0 is sent 1.0 instead. */
bool remote_may_fall_back(const struct remote *remote);

/* It is, from now on and until the end of this process. */
void remote_fall_back(struct remote *remote);

/* The compression of new bodies. */
enum config_compression remote_compression(const struct remote *remote);

/* The receiver does not take zstd: it gets none from now on and until the end of this process. */
void remote_refuse_zstd(struct remote *remote);

/*
 * Failures may come by the thousand, so one of each sort in ten seconds is logged: true, and how
 * many of it were not since the last one.
 */
bool remote_may_log(struct remote *remote, enum remote_log sort, int64_t now_mono_ns,
                    uint64_t *ret_unsaid);

#endif
