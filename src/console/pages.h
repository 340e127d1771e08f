/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What each path answers, without any HTTP around it. Paths, methods and statuses follow Prometheus
 * 3.14's management API where it has the same.
 */
#ifndef CONSOLE_PAGES_H
#define CONSOLE_PAGES_H

#include "console/target_api.h"
#include "console/view.h"

struct answer {
    unsigned status;
    const char *content_type;
    const char *allow;    /* the header Allow of a 405; NULL otherwise */
    const char *stopping; /* the header X-Prometheus-Stopping; NULL: none */
    struct strbuf body;   /* growing; the caller ends it */
};

/* What a path may be asked with. */
enum page_methods { PAGE_READ /* GET, HEAD */, PAGE_CHANGE /* POST, PUT */ };

/* What else a page causes; the server does it. */
enum page_effect { PAGE_NO_EFFECT, PAGE_RELOAD, PAGE_QUIT };

struct page {
    const char *path;
    enum page_methods methods;
    enum page_effect effect;
    /* Of PAGE_READ. */
    void (*write)(struct view *view, const struct target_query *query, struct answer *answer);
};

/* The page of this path; NULL when there is none. */
const struct page *page_find(const char *path);

/* Starts an answer with a plain text. */
void answer_text(struct answer *answer, unsigned status, const char *text);

/* The outcome of the last reload, as the supervisor's page tells it. */
void answer_reload(struct view *view, struct answer *answer);

#endif
