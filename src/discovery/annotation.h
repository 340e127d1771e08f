/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a pod or a service says by its annotations: prometheus.io/scrape, scheme, port, ports, path,
 * param_NAME, interval, timeout, sample-limit, container. Anybody in the cluster writes them, so
 * nothing in them is believed: what cannot be read is a problem of that object and of no other.
 * Everything is compared exactly and case-sensitively.
 */
#ifndef DISCOVERY_ANNOTATION_H
#define DISCOVERY_ANNOTATION_H

#include "base/arena.h"
#include "base/err.h"
#include "config/config.h"

/* Why an annotated object has no target, or one that is not quite what it says. */
enum annotation_reason {
    ANNOTATION_BAD_SCRAPE,   /* prometheus.io/scrape is neither "true" nor "false" */
    ANNOTATION_OTHER_MESH,   /* in the mesh, and only what is outside is wanted; or the reverse */
    ANNOTATION_BAD_SCHEME,   /* neither http nor https */
    ANNOTATION_BAD_PORT,     /* not a port, or a name that nothing has */
    ANNOTATION_NO_PORT,      /* neither annotated nor declared */
    ANNOTATION_NO_CONTAINER, /* the pod has no such container, or it has ended */
    ANNOTATION_NO_ADDRESS,   /* the pod has none yet */
    ANNOTATION_FINISHED,     /* the pod's phase is Succeeded or Failed */
    ANNOTATION_NO_ENDPOINT,  /* the service has no selector and no endpoints */
    ANNOTATION_NO_POD,       /* its selector matches no pod that is known here */
    ANNOTATION_BAD_VALUE,    /* an interval, time-out or limit that is none: the job's holds */
    ANNOTATION_CLAMPED,      /* one beyond the configured bounds: the bound holds */
    ANNOTATION_TOO_LARGE,    /* the object is, so that nobody knows what it asks for */
    ANNOTATION_MALFORMED,    /* the same */
    ANNOTATION_REASONS
};

struct annotation_problem {
    enum annotation_reason reason;
    struct errctx text; /* for people */
};

/* Who hears of problems; embedded in what he needs to know. */
struct annotation_listener {
    void (*problem)(struct annotation_listener *listener, const struct annotation_problem *problem);
};

/* "8080", "http", "8080/metrics?x=1" */
struct annotation_port {
    struct slice port;  /* digits that are a port's, or a name */
    struct slice path;  /* empty: that of the object */
    struct slice query; /* without "?" */
};

/* Texts are the record's and the configuration's; ports are in the arena. */
struct annotations {
    struct slice record;
    struct slice scheme;
    struct slice path; /* starts with "/" unless the configuration's does not */
    struct slice query;
    struct slice container;        /* empty: any */
    struct annotation_port *ports; /* none: every declared port */
    size_t port_count;
    int64_t interval_ms; /* 0: the job's; the same below */
    int64_t timeout_ms;
    int64_t sample_limit;
};

/* Whether the key of an annotation is one of those that are read here. */
bool annotation_is_ours(struct slice key);

/* Whether prometheus.io/scrape is there, with whatever value but "false". */
bool annotation_mentions_scrape(struct slice record);

/* Whether it is exactly "true"; else the listener (may be NULL) hears of it if it is mentioned. */
bool annotation_checks_scrape(struct slice record, struct annotation_listener *listener);

/* Whether prometheus.io/scrape is exactly "true". */
bool annotation_wants_scrape(struct slice record);

/*
 * Reads all others. False: there is no target in this object; the listener (may be NULL) knows why.
 * True, but what was wrong with times, limits or some of the ports has been said.
 */
bool annotations_read(struct slice record, const struct config_annotation_sd *config,
                      struct arena *arena, struct annotation_listener *listener,
                      struct annotations *ret_annotations);

/* Says one; the text as printf. listener may be NULL. */
void annotation_complain(struct annotation_listener *listener, enum annotation_reason reason,
                         const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Whether it is digits; then its number, 0 if that is no port's. */
bool annotation_port_number(struct slice text, uint16_t *ret_port);

/*
 * The next "prometheus.io/param_NAME". *rest starts as the record. The name is as it stands there:
 * nothing in it is replaced.
 */
bool annotation_next_param(struct slice *rest, struct slice *ret_name, struct slice *ret_value);

#endif
