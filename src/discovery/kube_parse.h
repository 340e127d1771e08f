/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Answers of an API server or kubelet to records: a list of objects, or the events of a watch, as
 * they come in pieces.
 */
#ifndef DISCOVERY_KUBE_PARSE_H
#define DISCOVERY_KUBE_PARSE_H

#include "discovery/kube_kind.h"

/* An item of a list, or an event. Valid in the call. */
struct kube_parsed {
    struct slice type;    /* of an event: ADDED, MODIFIED, DELETED, BOOKMARK, ERROR; else empty */
    struct slice record;  /* empty of BOOKMARK and ERROR */
    struct slice version; /* metadata.resourceVersion */
    int status_code;      /* of ERROR: that of its metav1.Status; 0: none */
    struct slice status_reason;
    struct slice status_message;
};

/* Anything but 0 ends the reading. */
typedef int kube_parsed_fn(void *context, const struct kube_parsed *parsed, struct errctx *reterr);

struct kube_parser;

/* A list, or, with `events`, a watch. */
struct kube_parser *kube_parser_new(enum kube_kind kind, bool events, kube_parsed_fn *parsed,
                                    void *context);
/* Annotations with a longer value are left without it if nobody needs it. */
#define KUBE_LONG_ANNOTATION 512u

/* Who says of long annotations whether their value is needed, by their key; else all are kept. */
typedef bool kube_needed_fn(void *context, struct slice key);
void kube_parser_set_needed(struct kube_parser *parser, kube_needed_fn *is_needed);

/* A metav1.Status; after its end kube_parser_message has what it says. */
struct kube_parser *kube_parser_new_status(void);

/* NULL is allowed. */
void kube_parser_free(struct kube_parser *parser);

/* Errors: those of json_reader_feed and json_reader_finish. */
int kube_parser_feed(struct kube_parser *parser, const void *bytes, size_t len,
                     struct errctx *reterr) MUST_USE;
int kube_parser_finish(struct kube_parser *parser, struct errctx *reterr) MUST_USE;

/* After the end of a list: its version, and the token for the rest of it ("": that was all). */
const char *kube_parser_list_version(const struct kube_parser *parser);
const char *kube_parser_list_continue(const struct kube_parser *parser);
const char *kube_parser_message(const struct kube_parser *parser);

#endif
