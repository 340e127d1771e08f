/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A remote that says it is elsewhere: redirects of one attempt, as Go's client follows them. */
#ifndef WRITER_DETOUR_H
#define WRITER_DETOUR_H

#include "http/redirect.h"
#include "writer/remote.h"

/* Zeroed before its first use. */
struct detour {
    /* Where the request goes next, after detour_take. */
    struct http_hop hop;
    struct route route;
    /* private */
    struct http_hop first;
    struct arena arena;
    int status;
    char *location; /* an answer's that has not been taken */
    bool is_away;   /* from the remote's own URL */
};

/* True: this answer is not the answer; what follows of it does not matter. */
bool detour_note(struct detour *detour, const struct remote *remote, const struct http_head *head);

/* An answer has been noted that is to be followed. */
bool detour_is_noted(const struct detour *detour);

/* Finds the way there. Fails, with the reason, where it leads nowhere. */
int detour_take(struct detour *detour, const struct remote *remote, struct errctx *why) MUST_USE;

/* Back to the remote's own URL; nothing of the request may be in flight. */
void detour_end(struct detour *detour);

#endif
