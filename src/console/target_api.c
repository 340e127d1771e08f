/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "console/target_api.h"

#include <inttypes.h>
#include <stdlib.h>
#include <strings.h>
#include <time.h>

#include "base/grow.h"
#include "base/search.h"
#include "config/duration.h"
#include "shm/reasons.h"
#include "shm/series_peer.h"

/* A table that is replaced while it is read is read again, but not for ever. */
#define TRIES 5

/* A target with more labels is shown without them. */
#define LABELS_MAX 256u

/* When a target was scraped last. */
struct scraped {
    uint64_t id;
    int64_t at_ms;
};

struct writing {
    struct view *view;
    const struct target_query *query;
    struct strbuf *page;
    struct scraped *scraped; /* sorted by id, the newest first */
    size_t scraped_len;
    size_t scraped_room;
    const struct series_peer *peer; /* whose targets are being noted */
};

/* ---- When ---- */

static void note_scraped(void *context, uint64_t target_id, uint32_t ref)
{
    struct writing *writing = context;
    struct series_peer_target state;
    if (!series_peer_target(writing->peer, ref, target_id, &state) || state.timestamp_ms == 0)
        return;
    writing->scraped = grow_for_one(writing->scraped, writing->scraped_len, &writing->scraped_room,
                                    sizeof(*writing->scraped));
    writing->scraped[writing->scraped_len++] = (struct scraped){target_id, state.timestamp_ms};
}

static int compare_scraped(const void *a, const void *b)
{
    const struct scraped *left = a, *right = b;
    if (left->id != right->id)
        return left->id < right->id ? -1 : 1;
    return left->at_ms > right->at_ms ? -1 : left->at_ms < right->at_ms;
}

static void note_all_scraped(struct writing *writing)
{
    const struct view *view = writing->view;
    for (uint32_t i = 0; i < view->ring_count; i++) {
        struct series_peer peer;
        if (!view->ring_there[i] ||
            series_peer_attach(&peer, view->ring_fds[i], view->series_fds[i], i, NULL) != 0)
            continue;
        writing->peer = &peer;
        series_peer_each(&peer, note_scraped, writing);
        series_peer_detach(&peer);
    }
    if (writing->scraped_len > 0)
        qsort(writing->scraped, writing->scraped_len, sizeof(*writing->scraped), compare_scraped);
}

static bool is_before(const void *scraped, uint64_t id)
{
    return ((const struct scraped *)scraped)->id < id;
}

/* 0: never. */
static int64_t last_scrape_of(const struct writing *writing, uint64_t id)
{
    size_t place = search_lower_bound(writing->scraped, writing->scraped_len,
                                      sizeof(*writing->scraped), is_before, id);
    bool found = place < writing->scraped_len && writing->scraped[place].id == id;
    return found ? writing->scraped[place].at_ms : 0;
}

/* ---- Pieces ---- */

static void add_string(struct strbuf *page, struct slice text)
{
    strbuf_add_json(page, text.ptr, text.len);
}

static void add_pair(struct strbuf *page, const char *name, struct slice value)
{
    strbuf_addf(page, "\"%s\":", name);
    add_string(page, value);
    strbuf_addc(page, ',');
}

static void add_labels(struct strbuf *page, const struct label *labels, uint32_t count)
{
    strbuf_addc(page, '{');
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0)
            strbuf_addc(page, ',');
        add_string(page, labels[i].name);
        strbuf_addc(page, ':');
        add_string(page, labels[i].value);
    }
    strbuf_addc(page, '}');
}

/* As Go writes the zero time where there is none. */
static void add_time(struct strbuf *page, int64_t at_ms)
{
    char text[32];
    struct tm tm;
    time_t seconds = (time_t)(at_ms / 1000);
    if (at_ms > 0 && gmtime_r(&seconds, &tm) != NULL &&
        strftime(text, sizeof(text), "%FT%T", &tm) > 0)
        strbuf_addf(page, "\"%s.%03dZ\"", text, (int)(at_ms % 1000));
    else
        strbuf_adds(page, "\"0001-01-01T00:00:00Z\"");
}

/* What stands in shared memory may be anything. */
static const char *duration_of(int64_t ms, char text[static CONFIG_DURATION_SIZE])
{
    return config_duration_format(ms < 0 ? 0 : ms, text);
}

/* ---- Targets ---- */

static bool is_asked_for(const struct writing *writing, struct slice pool)
{
    const char *wanted = writing->query->scrape_pool;
    return wanted == NULL || wanted[0] == '\0' || slice_is(pool, wanted);
}

/* What the rules saw, as far as it stands in the table. */
static void add_discovered(struct strbuf *page, const struct target_view *target)
{
    const char *query =
        target->path.len > 0 ? memchr(target->path.ptr, '?', target->path.len) : NULL;
    size_t path_len = query != NULL ? (size_t)(query - target->path.ptr) : target->path.len;
    const char *colon = target->url.len > 0 ? memchr(target->url.ptr, ':', target->url.len) : NULL;
    size_t scheme_len = colon != NULL ? (size_t)(colon - target->url.ptr) : 0;
    char interval[CONFIG_DURATION_SIZE], timeout[CONFIG_DURATION_SIZE];
    const struct label labels[] = {
        {SLICE_LITERAL("__address__"), target->host},
        {SLICE_LITERAL("__metrics_path__"), slice_make(target->path.ptr, path_len)},
        {SLICE_LITERAL("__scheme__"), slice_make(target->url.ptr, scheme_len)},
        {SLICE_LITERAL("__scrape_interval__"),
         slice_of(duration_of(target->interval_ms, interval))},
        {SLICE_LITERAL("__scrape_timeout__"), slice_of(duration_of(target->timeout_ms, timeout))},
        {SLICE_LITERAL("job"), target->job}};
    strbuf_adds(page, "\"discoveredLabels\":");
    add_labels(page, labels, sizeof(labels) / sizeof(labels[0]));
}

/* How it is, and what discovery or else the scraper says of it. */
static void add_health(const struct writing *writing, const struct target_view *target,
                       int64_t last_ms)
{
    const struct view *view = writing->view;
    struct shm_reason reason;
    bool has_ring = target->owner < view->ring_count && view->ring_there[target->owner];
    struct slice error = target->error;
    if (error.len == 0 && has_ring &&
        reasons_read(view->ring_fds[target->owner], target->id, &reason))
        error = slice_of(reason.text);
    add_pair(writing->page, "lastError", error);
    add_pair(writing->page, "health",
             error.len > 0 ? SLICE_LITERAL("down")
             : last_ms > 0 ? SLICE_LITERAL("up")
                           : SLICE_LITERAL("unknown"));
}

static void add_target(const struct writing *writing, const struct target_view *target)
{
    struct strbuf *page = writing->page;
    struct label labels[LABELS_MAX];
    char text[CONFIG_DURATION_SIZE];
    int64_t last_ms = last_scrape_of(writing, target->id);
    bool has_labels =
        target->label_count <= LABELS_MAX && target_labels_decode(target, labels) == 0;
    strbuf_addc(page, '{');
    add_discovered(page, target);
    strbuf_adds(page, ",\"labels\":");
    add_labels(page, labels, has_labels ? target->label_count : 0);
    strbuf_addc(page, ',');
    add_pair(page, "scrapePool", target->job);
    add_pair(page, "scrapeUrl", target->url);
    add_pair(page, "globalUrl", target->url);
    add_health(writing, target, last_ms);
    strbuf_adds(page, "\"lastScrape\":");
    add_time(page, last_ms);
    strbuf_adds(page, ",\"lastScrapeDuration\":0,");
    add_pair(page, "scrapeInterval", slice_of(duration_of(target->interval_ms, text)));
    strbuf_addf(page, "\"scrapeTimeout\":\"%s\"}", duration_of(target->timeout_ms, text));
}

/* 1: all of them; 0: the table was replaced meanwhile; negative: it cannot be read. */
static int add_active(const struct writing *writing)
{
    struct targets_cursor cursor;
    struct target_view target;
    const char *comma = "";
    int more;
    int err = targets_reader_open(&writing->view->targets, &cursor);
    if (err != 0)
        return err;
    while ((more = targets_cursor_next(&cursor, &target)) == 1) {
        if (!is_asked_for(writing, target.job))
            continue;
        strbuf_adds(writing->page, comma);
        add_target(writing, &target);
        comma = ",\n";
    }
    if (!targets_cursor_valid(&writing->view->targets, &cursor))
        return 0;
    return more == 0 ? 1 : more;
}

static void add_dropped(struct strbuf *page, const struct dropped_view *dropped)
{
    struct label labels[LABELS_MAX];
    bool has_labels =
        dropped->label_count <= LABELS_MAX && dropped_labels_decode(dropped, labels) == 0;
    strbuf_adds(page, "{\"discoveredLabels\":");
    add_labels(page, labels, has_labels ? dropped->label_count : 0);
    strbuf_adds(page, ",\"scrapePool\":");
    add_string(page, dropped->job);
    strbuf_addc(page, '}');
}

static void add_count(struct strbuf *page, const struct dropped_view *count)
{
    add_string(page, count->job);
    strbuf_addf(page, ":%" PRIu64, count->total);
}

/* The targets, or how many there were of each job. As add_active. */
static int add_all_dropped(const struct writing *writing, bool counts)
{
    struct targets_cursor cursor;
    struct dropped_view dropped;
    const char *comma = "";
    int more;
    int err = targets_reader_open_dropped(&writing->view->targets, &cursor);
    if (err != 0)
        return err;
    while ((more = targets_cursor_next_dropped(&cursor, &dropped)) == 1) {
        if ((dropped.total > 0) != counts || !is_asked_for(writing, dropped.job))
            continue;
        strbuf_adds(writing->page, comma);
        (counts ? add_count : add_dropped)(writing->page, &dropped);
        comma = counts ? "," : ",\n";
    }
    if (!targets_cursor_valid(&writing->view->targets, &cursor))
        return 0;
    return more == 0 ? 1 : more;
}

static bool wants(const struct writing *writing, const char *state)
{
    const char *wanted = writing->query->state;
    return wanted == NULL || wanted[0] == '\0' || strcasecmp(wanted, "any") == 0 ||
           strcasecmp(wanted, state) == 0;
}

static int write_answer(const struct writing *writing)
{
    struct strbuf *page = writing->page;
    bool active = wants(writing, "active"), dropped = wants(writing, "dropped");
    strbuf_adds(page, "{\"status\":\"success\",\"data\":{\"activeTargets\":[");
    int done = active ? add_active(writing) : 1;
    if (done <= 0)
        return done;
    strbuf_adds(page, "],\"droppedTargets\":[");
    done = dropped ? add_all_dropped(writing, false) : 1;
    if (done <= 0)
        return done;
    strbuf_adds(page, dropped ? "],\"droppedTargetCounts\":{" : "],\"droppedTargetCounts\":null");
    done = dropped ? add_all_dropped(writing, true) : 1;
    strbuf_adds(page, dropped ? "}}}\n" : "}}\n");
    return done;
}

bool target_api_write(struct view *view, const struct target_query *query, struct strbuf *page)
{
    struct writing writing = {.view = view, .query = query, .page = page};
    size_t start = page->len;
    int done = targets_reader_generation(&view->targets) == 0 ? ERR_NOT_READY : 0;
    if (done == 0 && wants(&writing, "active"))
        note_all_scraped(&writing);
    for (int i = 0; done == 0 && i < TRIES; i++) {
        page->len = start;
        done = write_answer(&writing);
    }
    if (done == ERR_CORRUPT)
        view_damaged(view);
    free(writing.scraped);
    return done == 1;
}
