/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The HTTP client of a source: one GET or POST after another to one server, by the options of an
 * HTTP client (8.5 of the specification), over one connection that is kept. Host names are
 * resolved; credential and certificate files are read for each request, redirects followed, proxies
 * used.
 *
 * Events come from the loop only, never from within a function of this file: `head` and `body` for
 * answers that are no redirects, and `done` once, at the end.
 */
#ifndef DISCOVERY_SD_CLIENT_H
#define DISCOVERY_SD_CLIENT_H

#include "config/config.h"
#include "discovery/source.h"
#include "http/response.h"

struct sd_client;

struct sd_client_events {
    void (*head)(void *context, const struct http_head *head);
    /* Bytes of the body, of any status; valid in the call. */
    void (*body)(void *context, const uint8_t *bytes, size_t len);
    /* 0: complete. Else as fetch's on_done, or ERR_CONFIG, ERR_SYNTAX, ERR_LIMIT, ERR_NOT_READY. */
    void (*done)(void *context, int err, const char *text);
};

/*
 * url: scheme, host, port and where paths begin. All is borrowed and must outlive the client.
 * ERR_CONFIG, ERR_SYNTAX: the URL.
 */
int sd_client_new(struct source_host *host, const char *url, const struct config_http_client *http,
                  const struct sd_client_events *events, void *context,
                  struct sd_client **ret_client, struct errctx *reterr) MUST_USE;

struct sd_request {
    const char *target; /* behind the path of the URL: "/api/v1/pods?limit=500"; "": nothing */
    const char *accept;
    const char *field_name; /* one more field; NULL: none */
    const char *field_value;
    const char *form;   /* the body of a POST, in form encoding; NULL: a GET */
    int64_t timeout_ns; /* for all of it, redirects included */
};

/* Starts one; none may be running. Nothing of *request is needed after the call. */
void sd_client_get(struct sd_client *client, const struct sd_request *request);

/* Ends a running one without `done`, and its connection. */
void sd_client_abort(struct sd_client *client);

/* The URL without its user, for messages. */
const char *sd_client_url(const struct sd_client *client);

bool sd_client_is_running(const struct sd_client *client);

/* Ends everything; no event comes after this. Memory is given back in some turns of the loop. */
void sd_client_free(struct sd_client *client);

#endif
