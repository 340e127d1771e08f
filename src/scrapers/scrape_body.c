/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A body while it arrives. Small ones are worked on as they come. Of a large one the work is done
 * in slices: so many bytes a turn of the loop, those of all large bodies together, so that nobody
 * else is late, whatever a target sends and however well it is compressed. What is over budget is
 * put off to the next turn, and until then nothing more of that body is received.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/crashpoint.h"
#include "exposition/content_type.h"
#include "scrapers/scrape_private.h"

/* Of what is parsed at once; the more of it may be new, the less. */
#define PIECE_EXPECTED (64u << 10)
#define PIECE_OTHER    (16u << 10)

/* ---- the budget ---- */

static void begin_turn(struct work *work)
{
    uint64_t turn = loop_stats(work->loop)->turns;
    if (work->turn == turn)
        return;
    work->turn = turn;
    work->left = WORK_A_TURN;
}

/* Whether more may be done on this body in this turn. */
static bool may_work(const struct scrape *scrape)
{
    struct work *work = &scrape->target->scraper->work;
    begin_turn(work);
    return work->left > 0 || scrape->work < WORK_SMALL;
}

/* Lines that were not expected, which cost what they cost however short they are. */
static uint32_t surprises_of(const struct scrape *scrape)
{
    return scrape->uses_body ? scrape->body.scraped - scrape->body.predicted : 0;
}

/* So many bytes may be parsed in one piece. */
static size_t piece_of(const struct scrape *scrape, size_t len)
{
    const struct body *body = &scrape->body;
    const struct plan *plan = scrape->uses_body ? body->plan : scrape->target->past.plan;
    bool is_expected = plan != NULL && !(scrape->uses_body && body->harvest.is_drafted);
    size_t most = is_expected ? PIECE_EXPECTED : PIECE_OTHER;
    return len < most ? len : most;
}

static void arm(struct work *work)
{
    if (work->first == NULL)
        loop_timer_clear(work->loop, &work->timer);
    else
        loop_timer_set(work->loop, &work->timer, loop_now(work->loop) + 1); /* the next turn */
}

static void append(struct work *work, struct scrape *scrape)
{
    scrape->is_put_off = true;
    scrape->next = NULL;
    *(work->first == NULL ? &work->first : &work->last->next) = scrape;
    work->last = scrape;
}

static void take_out(struct work *work, struct scrape *scrape)
{
    struct scrape *before = NULL;
    struct scrape **link = &work->first;
    while (*link != scrape) {
        before = *link;
        link = &(*link)->next;
    }
    *link = scrape->next;
    if (work->last == scrape)
        work->last = before;
    scrape->is_put_off = false;
}

/* The rest of what came is kept; nothing more is received. */
static void put_off(struct scrape *scrape, struct slice rest)
{
    struct work *work = &scrape->target->scraper->work;
    scrape->late = malloc(rest.len + 1);
    check(scrape->late != NULL);
    memcpy(scrape->late, rest.ptr, rest.len);
    scrape->late_at = 0;
    scrape->late_len = rest.len;
    fetch_pause(&scrape->target->conn);
    append(work, scrape);
    arm(work);
    scrape_count(scrape->target->scraper, COUNTER_PUT_OFF, 1);
}

void scrape_put_off_end(struct scrape *scrape)
{
    if (scrape->is_put_off)
        take_out(&scrape->target->scraper->work, scrape);
    free(scrape->late);
    scrape->late = NULL;
}

/* ---- bytes ---- */

/* So many samples without times of their own fill half of the ring. */
static uint32_t harvest_limit(const struct scraper *scraper)
{
    uint64_t limit = scraper->ring.size / 2 / sizeof(uint64_t);
    return limit > UINT32_MAX / 8 ? UINT32_MAX / 8 : (uint32_t)limit;
}

/*
 * With this many samples more have certainly come than sample_limit allows. A few more than the
 * limit are kept, since those that are duplicates do not count, which is found out at the end.
 */
static uint32_t rough_sample_limit(uint64_t limit)
{
    return limit == 0 || limit > INT32_MAX / 2 ? 0 : (uint32_t)(limit + limit / 4 + 256);
}

/* How bodies of the target in this format are to be read. */
static unsigned parser_flags(const struct target *target, enum exposition_format format)
{
    unsigned flags = 0;
    if (format == EXPOSITION_OPENMETRICS && target->job != NULL &&
        target->job->config->limpet.start_timestamps)
        flags |= EXPOSITION_CREATED_TIMESTAMPS;
    if ((target->flags & SHM_TARGET_NATIVE_HISTOGRAMS) != 0)
        flags |= EXPOSITION_NATIVE_HISTOGRAMS;
    if ((target->flags & SHM_TARGET_CLASSIC_HISTOGRAMS) != 0)
        flags |= EXPOSITION_CLASSIC_HISTOGRAMS;
    if ((target->flags & SHM_TARGET_CONVERT_HISTOGRAMS) != 0)
        flags |= EXPOSITION_CONVERT_HISTOGRAMS;
    return flags;
}

static int32_t max_schema(const struct target *target)
{
    double factor =
        target->job != NULL ? target->job->config->native_histogram_min_bucket_factor : 0;
    return factor > 1 ? histogram_schema_for_factor(factor) : HISTOGRAM_SCHEMA_MAX;
}

static uint32_t bucket_limit(const struct target *target)
{
    int64_t limit = target->job != NULL ? target->job->config->native_histogram_bucket_limit : 0;
    return limit > UINT32_MAX ? UINT32_MAX : (uint32_t)limit;
}

static int find_format(const struct scrape *scrape, enum exposition_format *ret_format,
                       struct errctx *why)
{
    const char *fallback = scrape->target->fallback;
    struct last_type *last = &scrape->target->scraper->last_type;
    struct slice text = slice_of(scrape->content_type);
    if (text.len > 0 && fallback == last->fallback && slice_equal(text, slice_of(last->text))) {
        *ret_format = last->format;
        return 0;
    }
    int err = exposition_format_of(text, fallback, ret_format, why);
    if (err != 0 || text.len >= sizeof(last->text))
        return err;
    memcpy(last->text, text.ptr, text.len + 1);
    last->fallback = fallback;
    last->format = *ret_format;
    return 0;
}

/* The first byte of a body: only now the Content-Type matters. */
static void start_body(struct scrape *scrape)
{
    struct target *target = scrape->target;
    struct scraper *scraper = target->scraper;
    struct errctx why;
    struct body_source source = {
        .context = target->context,
        .plan = target->past.plan,
        .honor_timestamps = (target->flags & SHM_TARGET_HONOR_TIMESTAMPS) != 0,
        .takes_exemplars = scraper->takes_exemplars,
        .takes_metadata = scraper->takes_metadata,
        .max_schema = max_schema(target),
        .bucket_limit = bucket_limit(target),
        .limit = harvest_limit(scraper),
        .sample_limit = rough_sample_limit(scrape_sample_limit(target)),
    };
    if (find_format(scrape, &source.format, &why) != 0) {
        scrape_fail(scrape, COUNTER_SCRAPE_CONTENT_TYPE, why.text);
        return;
    }
    source.flags = parser_flags(target, source.format);
    body_begin(&scrape->body, &scraper->tools, &source);
    scrape->uses_body = true;
}

/* What is still to come does not matter any more. */
static void end_too_large_body(struct scrape *scrape)
{
    struct target *target = scrape->target;
    scrape->failure = SCRAPE_GOOD; /* this comes before what may be wrong with the Content-Type */
    scrape_fail(scrape, COUNTER_SCRAPE_BODY_LIMIT, "body size limit exceeded");
    fetch_abort(&target->conn);
    scrape_count_transfer(target);
    scrape_finish(scrape);
}

/* False: the body is too large. */
static bool take_body(struct scrape *scrape, struct slice bytes)
{
    uint64_t limit = scrape_limits_of(scrape->target)->body_size_limit;
    scrape->body_bytes += bytes.len;
    if (limit != 0 && scrape->body_bytes >= limit && scrape->failure != COUNTER_SCRAPE_STATUS)
        return false;
    if (!scrape->has_body) {
        scrape->has_body = true;
        if (scrape->failure == SCRAPE_GOOD)
            start_body(scrape);
    }
    if (scrape->uses_body)
        body_take(&scrape->body, bytes);
    return true;
}

/* The same, and the budget is charged for it. */
static bool take_piece(struct scrape *scrape, struct slice bytes)
{
    uint32_t before = surprises_of(scrape);
    bool fits = take_body(scrape, bytes);
    uint32_t after = surprises_of(scrape); /* less where a family was forgotten again */
    uint64_t lines = after > before ? (uint64_t)(after - before) * WORK_OF_A_LINE : 0;
    uint64_t work = bytes.len > lines ? bytes.len : lines;
    scrape->work += work;
    scrape->target->scraper->work.left -= (int64_t)work;
    return fits;
}

/*
 * Undoes the compression of bytes, as long as there is room for work. 1: of these bytes, or of what
 * they hold, something is left; 0: nothing is; ERR_LIMIT: the body is too large.
 */
static int take_gzip(struct scrape *scrape, struct slice *bytes)
{
    static uint8_t room[16384]; /* its content is used up at once */
    struct slice piece;
    int r = 0;
    while (!scrape->gzip_over && (r == 0 || may_work(scrape)) &&
           (r = http_gzip_next(&scrape->gzip, bytes, room, sizeof(room), &piece)) > 0) {
        if (!take_piece(scrape, piece))
            return ERR_LIMIT;
    }
    if (r < 0)
        scrape->gzip_over = true;
    return r > 0 && !scrape->gzip_over;
}

/* The same for bytes that may be compressed. */
static int take(struct scrape *scrape, struct slice *bytes)
{
    if (scrape->is_gzip && scrape->failure != COUNTER_SCRAPE_STATUS)
        return take_gzip(scrape, bytes);
    while (bytes->len > 0) {
        if (!may_work(scrape))
            return 1;
        size_t len = piece_of(scrape, bytes->len);
        if (!take_piece(scrape, slice_make(bytes->ptr, len)))
            return ERR_LIMIT;
        *bytes = slice_make(bytes->ptr + len, bytes->len - len);
    }
    return 0;
}

static int take_measured(struct scrape *scrape, struct slice *bytes)
{
    bool is_measured = scrape_is_measured(scrape->target->scraper);
    int64_t began_ns = is_measured ? clock_mono_ns() : 0;
    int r = take(scrape, bytes);
    if (is_measured)
        scrape->worked_ns += clock_mono_ns() - began_ns;
    return r;
}

void scrape_on_body(struct fetch_connection *conn, const uint8_t *bytes, size_t len)
{
    struct scrape *scrape = TARGET_OF(conn, conn)->scrape;
    struct slice rest = slice_make(bytes, len);
    if (scrape->location != NULL)
        return;
    int r = take_measured(scrape, &rest);
    CRASHPOINT("scraper.body_part");
    if (r == ERR_LIMIT)
        end_too_large_body(scrape);
    else if (r > 0)
        put_off(scrape, rest);
}

/* ---- work of later turns ---- */

void scrape_put_off_ending(struct scrape *scrape)
{
    struct work *work = &scrape->target->scraper->work;
    scrape->ending = calloc(1, sizeof(*scrape->ending));
    check(scrape->ending != NULL);
    append(work, scrape);
    arm(work);
}

static void go_on_ending(struct scrape *scrape)
{
    struct scraper *scraper = scrape->target->scraper;
    int64_t began_ns = scrape_is_measured(scraper) ? clock_mono_ns() : 0;
    uint32_t lines = 1 + (uint32_t)(scraper->work.left / WORK_OF_A_LINE);
    uint32_t left = lines;
    bool done = scrape_commit_part(scrape, &left);
    scraper->work.left -= (int64_t)(lines - left) * WORK_OF_A_LINE;
    if (scrape_is_measured(scraper))
        scrape->worked_ns += clock_mono_ns() - began_ns;
    if (done)
        scrape_is_over(scrape);
    else
        append(&scraper->work, scrape);
}

/* One that was put off goes on. */
static void go_on(struct scrape *scrape)
{
    struct target *target = scrape->target;
    atomic_store_explicit(&target->scraper->slot->working_on, target->id, memory_order_relaxed);
    if (scrape->ending != NULL) {
        go_on_ending(scrape);
        return;
    }
    struct slice rest = slice_make(scrape->late + scrape->late_at, scrape->late_len);
    int r = take_measured(scrape, &rest);
    scrape->late_at += scrape->late_len - rest.len;
    scrape->late_len = rest.len;
    if (r > 0) {
        append(&target->scraper->work, scrape);
        return;
    }
    free(scrape->late);
    scrape->late = NULL;
    if (r == ERR_LIMIT)
        end_too_large_body(scrape);
    else
        fetch_resume(&target->conn);
}

static void on_work(struct loop_timer *timer)
{
    struct work *work = (struct work *)(void *)((char *)timer - offsetof(struct work, timer));
    begin_turn(work);
    while (work->first != NULL && work->left > 0) {
        struct scrape *scrape = work->first;
        take_out(work, scrape);
        go_on(scrape);
    }
    arm(work);
}

void work_init(struct work *work, struct loop *loop)
{
    *work = (struct work){.loop = loop, .timer.expired = on_work};
}

void work_fini(struct work *work)
{
    check(work->first == NULL);
    loop_timer_clear(work->loop, &work->timer);
}
