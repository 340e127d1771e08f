/* SPDX-License-Identifier: GPL-2.0-or-later */
/* HTTP/1.1 requests: bytes in, slices out. Used by serve.c. */
#ifndef SIM_SERVE_REQUEST_H
#define SIM_SERVE_REQUEST_H

#include "sim/serve.h"

struct serve_parsed {
    int status;         /* not 0: what to answer to a request that cannot be served */
    bool head_complete; /* request is filled in, but for the body */
    bool close_after;   /* the client wants no other request on this connection */
    size_t total;       /* bytes of the whole request, 0 while some are missing */
    size_t missing;     /* so many, once the head is complete */
};

/* Parses the request at the start of the bytes; its slices point into them. */
void serve_request_parse(const char *data, size_t len, struct serve_request *request,
                         struct serve_parsed *ret_parsed);

#endif
