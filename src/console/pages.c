/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "console/pages.h"

#include "console/metrics.h"
#include "console/readiness.h"
#include "console/target_list.h"
#include "console/text_format.h"

static const char plain_text[] = "text/plain; charset=utf-8";

void answer_text(struct answer *answer, unsigned status, const char *text)
{
    *answer = (struct answer){.status = status, .content_type = plain_text};
    strbuf_adds(&answer->body, text);
}

void answer_reload(struct view *view, struct answer *answer)
{
    const struct shm_supervisor *supervisor = view->supervisor;
    char room[VIEW_TEXT];
    if (atomic_load_explicit(&supervisor->reload_ok, memory_order_relaxed) != 0) {
        answer_text(answer, 200, "");
        return;
    }
    struct slice why = view_text(supervisor->reload_error, sizeof(supervisor->reload_error), room);
    answer_text(answer, 500, "");
    strbuf_addf(&answer->body, "failed to reload config: %.*s\n", SLICE_ARG(why));
}

static void write_healthy(struct view *view, const struct target_query *query,
                          struct answer *answer)
{
    (void)query;
    (void)view;
    answer_text(answer, 200, "limpet is Healthy.\n");
}

static void write_ready(struct view *view, const struct target_query *query, struct answer *answer)
{
    (void)query;
    struct strbuf missing = STRBUF_GROWING;
    if (readiness_check(view, &missing)) {
        answer_text(answer, 200, "limpet is Ready.\n");
    } else {
        answer_text(answer, 503, "Service Unavailable\n");
        strbuf_add(&answer->body, missing.text, missing.len);
        answer->stopping = readiness_stopping(view) ? "true" : "false";
    }
    strbuf_fini(&missing);
}

static void write_metrics(struct view *view, const struct target_query *query,
                          struct answer *answer)
{
    (void)query;
    answer_text(answer, 200, "");
    answer->content_type = TEXT_FORMAT_CONTENT_TYPE;
    metrics_write(view, &answer->body);
}

static void write_list(struct view *view, struct answer *answer,
                       bool (*write)(struct view *view, struct strbuf *page))
{
    answer_text(answer, 200, "");
    answer->content_type = "text/html; charset=utf-8";
    if (!write(view, &answer->body)) {
        strbuf_fini(&answer->body);
        answer_text(answer, 503, "There is no list of targets yet.\n");
    }
}

static void write_targets(struct view *view, const struct target_query *query,
                          struct answer *answer)
{
    (void)query;
    write_list(view, answer, target_list_write);
}

static void write_service_discovery(struct view *view, const struct target_query *query,
                                    struct answer *answer)
{
    (void)query;
    write_list(view, answer, target_list_write_refused);
}

static void write_api_targets(struct view *view, const struct target_query *query,
                              struct answer *answer)
{
    answer_text(answer, 200, "");
    answer->content_type = "application/json";
    if (!target_api_write(view, query, &answer->body)) {
        strbuf_fini(&answer->body);
        answer_text(answer, 503, "Service Unavailable\n");
    }
}

static void write_index(struct view *view, const struct target_query *query, struct answer *answer)
{
    (void)query;
    (void)view;
    answer_text(answer, 200,
                "<!DOCTYPE html>\n"
                "<html lang=\"en\"><head><meta charset=\"utf-8\"><title>limpet</title></head>\n"
                "<body><h1>limpet " PACKAGE_VERSION "</h1>\n"
                "<ul>\n"
                "<li><a href=\"/metrics\">/metrics</a>: counters of all processes</li>\n"
                "<li><a href=\"/targets\">/targets</a>: what is scraped, and what cannot be "
                "and why</li>\n"
                "<li><a href=\"/service-discovery\">/service-discovery</a>: what was found and is "
                "not scraped, and why</li>\n"
                "<li><a href=\"/api/v1/targets\">/api/v1/targets</a>: the same for programs, as "
                "Prometheus answers it</li>\n"
                "<li><a href=\"/-/ready\">/-/ready</a>: whether all of them work, and what is "
                "missing</li>\n"
                "<li><a href=\"/-/healthy\">/-/healthy</a>: whether this page's process does</li>\n"
                "</ul></body></html>\n");
    answer->content_type = "text/html; charset=utf-8";
}

static const struct page pages[] = {
    {"/", PAGE_READ, PAGE_NO_EFFECT, write_index},
    {"/metrics", PAGE_READ, PAGE_NO_EFFECT, write_metrics},
    {"/targets", PAGE_READ, PAGE_NO_EFFECT, write_targets},
    {"/service-discovery", PAGE_READ, PAGE_NO_EFFECT, write_service_discovery},
    {"/api/v1/targets", PAGE_READ, PAGE_NO_EFFECT, write_api_targets},
    {"/-/healthy", PAGE_READ, PAGE_NO_EFFECT, write_healthy},
    {"/-/ready", PAGE_READ, PAGE_NO_EFFECT, write_ready},
    {"/-/reload", PAGE_CHANGE, PAGE_RELOAD, NULL},
    {"/-/quit", PAGE_CHANGE, PAGE_QUIT, NULL},
};

const struct page *page_find(const char *path)
{
    for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
        if (strcmp(pages[i].path, path) == 0)
            return &pages[i];
    }
    return NULL;
}
