/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "console/target_list.h"

#include <inttypes.h>
#include <time.h>

#include "base/utf8.h"
#include "shm/reasons.h"

/* A table that is replaced while it is read is read again, but not for ever. */
#define TRIES 5

/* Texts come from anywhere: no markup, no control characters, and UTF-8 only. */
static void add_text(struct strbuf *page, struct slice text)
{
    if (!utf8_valid(text.ptr, text.len)) {
        strbuf_adds(page, "(not UTF-8)");
        return;
    }
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '<')
            strbuf_adds(page, "&lt;");
        else if (c == '&')
            strbuf_adds(page, "&amp;");
        else
            strbuf_addc(page, (unsigned char)c < 0x20 ? ' ' : c);
    }
}

static void add_time(struct strbuf *page, int64_t ms)
{
    char text[32];
    struct tm tm;
    time_t seconds = (time_t)(ms / 1000);
    if (gmtime_r(&seconds, &tm) != NULL && strftime(text, sizeof(text), "%F %TZ", &tm) > 0)
        strbuf_adds(page, text);
}

/* A target with more labels is shown without them. */
#define LABELS_MAX 256u

static void add_labels(struct strbuf *page, const struct label *labels, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        strbuf_adds(page, i == 0 ? "" : ", ");
        add_text(page, labels[i].name);
        strbuf_adds(page, "=\"");
        add_text(page, labels[i].value);
        strbuf_adds(page, "\"");
    }
}

/* What discovery or else the scraper says. */
static void add_reason(const struct view *view, struct strbuf *page,
                       const struct target_view *target)
{
    struct shm_reason reason;
    bool has_ring = target->owner < view->ring_count && view->ring_there[target->owner];
    if (target->error.len > 0) {
        strbuf_adds(page, "</td><td>");
        add_text(page, target->error);
    } else if (has_ring && reasons_read(view->ring_fds[target->owner], target->id, &reason)) {
        add_time(page, reason.since_ms);
        strbuf_adds(page, "</td><td>");
        add_text(page, slice_of(reason.text));
    } else {
        strbuf_adds(page, "</td><td>");
    }
}

static void add_row(const struct view *view, struct strbuf *page, const struct target_view *target)
{
    struct label labels[LABELS_MAX];
    strbuf_adds(page, "<tr><td>");
    add_text(page, target->job);
    strbuf_adds(page, "</td><td>");
    add_text(page, target->url);
    strbuf_adds(page, "</td><td>");
    if (target->label_count <= LABELS_MAX && target_labels_decode(target, labels) == 0)
        add_labels(page, labels, target->label_count);
    strbuf_adds(page, "</td><td>");
    add_reason(view, page, target);
    strbuf_adds(page, "</td></tr>\n");
}

static void add_dropped_row(struct strbuf *page, const struct dropped_view *dropped)
{
    struct label labels[LABELS_MAX];
    strbuf_adds(page, "<tr><td>");
    add_text(page, dropped->job);
    strbuf_adds(page, "</td><td>");
    if (dropped->total > 0)
        strbuf_addf(page, "%" PRIu64 " dropped", dropped->total);
    else if (dropped->label_count <= LABELS_MAX && dropped_labels_decode(dropped, labels) == 0)
        add_labels(page, labels, dropped->label_count);
    strbuf_adds(page, "</td></tr>\n");
}

static void add_refused_row(struct strbuf *page, const struct target_view *refused)
{
    strbuf_adds(page, "<tr><td>");
    add_text(page, refused->job);
    strbuf_adds(page, "</td><td>");
    add_text(page, refused->host);
    strbuf_adds(page, "</td><td>");
    add_text(page, refused->error);
    strbuf_adds(page, "</td></tr>\n");
}

/* After the last step. 1: that was all of them; 0: the table was replaced meanwhile; negative: it
 * cannot be read. */
static int end_of_walk(const struct view *view, const struct targets_cursor *cursor, int last_step)
{
    if (!targets_cursor_valid(&view->targets, cursor))
        return 0;
    return last_step == 0 ? 1 : last_step;
}

/* Targets, or what asks to be one and is none; the result is that of end_of_walk. */
static int add_rows(struct view *view, struct strbuf *page, bool refused)
{
    struct targets_cursor cursor;
    struct target_view target;
    int more;
    int err = targets_reader_open(&view->targets, &cursor);
    if (err != 0)
        return err;
    cursor.all = refused;
    while ((more = targets_cursor_next(&cursor, &target)) == 1) {
        if (!refused)
            add_row(view, page, &target);
        else if (target.flags & SHM_TARGET_NONE)
            add_refused_row(page, &target);
    }
    return end_of_walk(view, &cursor, more);
}

/* The same for what was dropped. */
static int add_dropped_rows(struct view *view, struct strbuf *page)
{
    struct targets_cursor cursor;
    struct dropped_view dropped;
    int more;
    int err = targets_reader_open_dropped(&view->targets, &cursor);
    if (err != 0)
        return err;
    while ((more = targets_cursor_next_dropped(&cursor, &dropped)) == 1)
        add_dropped_row(page, &dropped);
    return end_of_walk(view, &cursor, more);
}

static int add_tables(struct view *view, struct strbuf *page)
{
    strbuf_adds(page, "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
                      "<title>limpet: targets</title></head>\n<body><h1>Targets</h1>\n"
                      "<table><tr><th>Job</th><th>URL</th><th>Labels</th><th>Fails since</th>"
                      "<th>Why</th></tr>\n");
    int done = add_rows(view, page, false);
    if (done <= 0)
        return done;
    strbuf_adds(page, "</table>\n<h1>Dropped by relabel_configs</h1>\n"
                      "<table><tr><th>Job</th><th>Discovered labels</th></tr>\n");
    done = add_dropped_rows(view, page);
    strbuf_adds(page, "</table></body></html>\n");
    return done;
}

static int add_refused_table(struct view *view, struct strbuf *page)
{
    strbuf_adds(page, "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
                      "<title>limpet: service discovery</title></head>\n"
                      "<body><h1>Found and not scraped as asked</h1>\n"
                      "<table><tr><th>Job</th><th>What</th><th>Why</th></tr>\n");
    int done = add_rows(view, page, true);
    strbuf_adds(page, "</table></body></html>\n");
    return done;
}

static bool write_page(struct view *view, struct strbuf *page,
                       int (*add)(struct view *view, struct strbuf *page))
{
    size_t start = page->len;
    int done = 0;
    for (int i = 0; done == 0 && i < TRIES; i++) {
        page->len = start;
        done = add(view, page);
    }
    if (done == ERR_CORRUPT)
        view_damaged(view);
    return done == 1;
}

bool target_list_write(struct view *view, struct strbuf *page)
{
    return write_page(view, page, add_tables);
}

bool target_list_write_refused(struct view *view, struct strbuf *page)
{
    return write_page(view, page, add_refused_table);
}
