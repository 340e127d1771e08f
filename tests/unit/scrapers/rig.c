/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/scrapers/rig.h"

#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/log.h"
#include "config/config.h"
#include "scrapers/scrape.h"
#include "shm/block.h"
#include "tests/unit/shm/segments.h"

#define PATIENCE_NS (60 * NS_PER_S)

static int64_t wall_ns;
static double last_duration;

static int64_t wall_now(void)
{
    return wall_ns;
}

double rig_duration(void)
{
    return last_duration;
}

/* ---- the server ---- */

static void write_all(int fd, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t sent = send(fd, bytes, len, MSG_NOSIGNAL); /* who asked may have gone */
        if (sent <= 0)
            return;
        bytes += sent;
        len -= (size_t)sent;
    }
}

/* In one piece: a second small one would wait for the first to be acknowledged. */
static void answer_with(int fd, const struct rig_answer *answer)
{
    struct strbuf text = STRBUF_GROWING;
    if (strncmp(answer->bytes, "HTTP/", strlen("HTTP/")) != 0)
        strbuf_addf(&text,
                    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\n\r\n",
                    answer->len);
    strbuf_add(&text, answer->bytes, answer->len);
    write_all(fd, text.text, text.len);
    strbuf_fini(&text);
}

static void serve(int fd, int nth, void *context)
{
    struct rig *rig = context;
    char request[sizeof(rig->request)];
    (void)nth;
    while (server_read_head(fd, request, sizeof(request))) {
        /* A copy: once it is answered the test may go on to the next one. */
        struct rig_answer answer = *atomic_load(&rig->answer);
        memcpy(rig->request, request, sizeof(request));
        if (answer.bytes != NULL)
            answer_with(fd, &answer);
        if (answer.hangs)
            server_await_close(fd);
        if (answer.hangs || answer.bytes == NULL || answer.closes)
            return;
    }
}

/* ---- life ---- */

static const char configuration[] = "global: {scrape_interval: 15s}\n"
                                    "scrape_configs:\n"
                                    "  - job_name: j\n"
                                    "  - job_name: fallback\n"
                                    "    fallback_scrape_protocol: PrometheusText0.0.4\n";

static struct rig *asking;

static void ask(struct slice host)
{
    snprintf(asking->asked_for, sizeof(asking->asked_for), "%.*s", SLICE_ARG(host));
}

void rig_tell_host(struct rig *rig, const char *host, bool exists)
{
    struct names_writer writer;
    struct errctx why;
    struct name_addresses name = {.host = slice_of(host), .state = SHM_NAME_NONE};
    struct net_address address = server_address(rig->server);
    if (exists) {
        name.state = SHM_NAME_KNOWN;
        name.count = 1;
        memcpy(&name.addresses[0], &address.v6, sizeof(address.v6));
    }
    assert_int_equal(names_writer_attach(&writer, rig->segments.targets, &why), 0);
    assert_int_equal(names_write(&writer, &name, 1), 0);
    names_writer_detach(&writer);
}

static struct rig *all_rigs[2]; /* of those with peers */

static bool peer_segments(void *context, uint32_t index, int *ret_ring, int *ret_series)
{
    (void)context;
    if (index >= 2 || all_rigs[index] == NULL)
        return false;
    *ret_ring = all_rigs[index]->segments.ring;
    *ret_series = all_rigs[index]->segments.series;
    return true;
}

static const struct shm_slot *peer_slot(void *context, uint32_t index)
{
    (void)context;
    return all_rigs[index]->slot;
}

static const struct scraper_peers rig_peers = {.segments = peer_segments, .slot = peer_slot};

static void start_scraper(struct rig *rig)
{
    struct errctx why = {""};
    rig->scraper = (struct scraper){.loop = rig->loop,
                                    .slot = rig->slot,
                                    .supervisor = &rig->supervisor,
                                    .config = rig->config,
                                    .index = rig->index,
                                    .scrapers = rig->scrapers != 0 ? rig->scrapers : 2,
                                    .peers = rig->has_peers ? &rig_peers : NULL,
                                    .lookups.ask = ask};
    asking = rig;
    if (scraper_init(&rig->scraper, &rig->segments, &why) != 0)
        fail_msg("%s", why.text);
    rig->scraper.schedule.wall_now = wall_now;
    schedule_stop(&rig->scraper.schedule);
}

static struct config *parse(const char *more_jobs)
{
    struct strbuf text = STRBUF_GROWING;
    struct config *config;
    struct errctx why;
    strbuf_adds(&text, configuration);
    strbuf_adds(&text, more_jobs);
    if (config_parse("test.yml", text.text, text.len, &config, &why) != 0)
        fail_msg("%s", why.text);
    strbuf_fini(&text);
    return config;
}

static struct rig *make(uint32_t index, int targets_fd, uint64_t ring_size, uint64_t series_size,
                        const char *more_jobs)
{
    struct rig *rig = calloc(1, sizeof(*rig));
    struct errctx why = {""};
    assert_non_null(rig);
    log_init(LOG_LEVEL_ERROR, LOG_FORMAT_LOGFMT, "rig"); /* the standing clock is warned of */
    rig->slot = calloc(1, sizeof(*rig->slot));
    rig->index = index;
    rig->now_ms = RIG_START_MS;
    wall_ns = rig->now_ms * NS_PER_MS;
    rig->segments = (struct scraper_segments){
        segments_new(SHM_KIND_RING, index, SHM_RING_DATA + ring_size, ring_size),
        segments_new(SHM_KIND_SERIES, index, SHM_SERIES_ARENA + series_size, 0), targets_fd};
    const struct loop_options options = {.buffer_size = 128 << 10}; /* as the program has it */
    assert_int_equal(loop_new(&options, &rig->loop, &why), 0);
    rig->config = parse(more_jobs);
    assert_int_equal(targets_writer_attach(&rig->table, rig->segments.targets, &why), 0);
    start_scraper(rig);
    assert_int_equal(ring_consumer_attach(&rig->ring, rig->segments.ring, index, true, &why), 0);
    assert_int_equal(series_reader_attach(&rig->series, rig->segments.series, index, &why), 0);
    rig->server = server_start(serve, rig);
    return rig;
}

struct rig *rig_new_sized(uint64_t ring_size, uint64_t series_size)
{
    return make(0, segments_targets(1 << 20), ring_size, series_size, "");
}

struct rig *rig_new_with_jobs(const char *more_jobs)
{
    return make(0, segments_targets(1 << 20), 1 << 20, 16 << 20, more_jobs);
}

struct rig *rig_new(void)
{
    return rig_new_with_jobs("");
}

static void join(struct rig *rig)
{
    atomic_store(&rig->supervisor.scrapers, 2);
    atomic_store(&rig->slot->state, SHM_STATE_READY);
    rig->has_peers = true;
    rig->scraper.peers = &rig_peers;
    all_rigs[rig->index] = rig;
}

struct rig *rig_new_beside(struct rig *first)
{
    struct rig *second = make(1, dup(first->segments.targets), 1 << 20, 16 << 20, "");
    join(first);
    join(second);
    return second;
}

static void turn(struct rig *rig)
{
    assert_int_equal(loop_run_once(rig->loop, 10 * NS_PER_MS), 0);
    if (scraper_turn(&rig->scraper))
        rig->doorbells++;
}

/* What is still in flight of abandoned scrapes has to end before the memory goes. */
static void stop_scraper(struct rig *rig)
{
    scraper_abandon(&rig->scraper);
    for (int64_t limit_ns = clock_mono_ns() + PATIENCE_NS; loop_in_flight(rig->loop) > 0;) {
        assert_true(clock_mono_ns() < limit_ns);
        assert_int_equal(loop_run_once(rig->loop, 10 * NS_PER_MS), 0);
    }
    scraper_fini(&rig->scraper);
}

void rig_free(struct rig *rig)
{
    if (rig->has_peers)
        all_rigs[rig->index] = NULL;
    stop_scraper(rig);
    server_stop(rig->server);
    ring_consumer_detach(&rig->ring);
    series_reader_detach(&rig->series);
    targets_writer_detach(&rig->table);
    config_free(rig->config);
    loop_free(rig->loop);
    close(rig->segments.ring);
    close(rig->segments.series);
    close(rig->segments.targets);
    strbuf_fini(&rig->text);
    free(rig->slot);
    free(rig);
}

void rig_restart(struct rig *rig)
{
    stop_scraper(rig);
    start_scraper(rig);
    target_set_refresh(&rig->scraper);
}

void rig_refresh(struct rig *rig)
{
    target_set_refresh(&rig->scraper);
}

void rig_settle(struct rig *const *rigs, int count)
{
    enum { TURNS = 24 }; /* of up to 10 ms: takeovers are looked after every 50 ms at the latest */
    for (int i = 0; i < TURNS; i++)
        turn(rigs[i % count]);
}

/* ---- targets ---- */

static struct net_address address_of(const struct rig *rig, const struct rig_target *target)
{
    return target->is_dead ? server_dead_address() : server_address(rig->server);
}

static int compare_labels(const void *a, const void *b)
{
    return slice_compare(((const struct label *)a)->name, ((const struct label *)b)->name);
}

static void add_target(struct rig *rig, const struct rig_target *target)
{
    struct label labels[3] = {{SLICE_LITERAL("instance"), SLICE_LITERAL("i")},
                              {SLICE_LITERAL("job"), SLICE_LITERAL("j")}};
    struct net_address address = address_of(rig, target);
    struct target_view view = {
        .id = target->id != 0 ? target->id : 1,
        .owner = target->owner,
        .flags =
            (target->flags != 0 || target->no_flags ? target->flags : SHM_TARGET_HONOR_TIMESTAMPS) |
            (target->moved ? SHM_TARGET_MOVED : 0),
        .interval_ms = RIG_INTERVAL_MS,
        .timeout_ms = target->timeout_ms != 0 ? target->timeout_ms : 10000,
        .address_count = 1,
        .job = slice_of(target->job != NULL ? target->job : "j"),
        .host = SLICE_LITERAL("example:9100"),
        .path = slice_of(target->path != NULL ? target->path : "/metrics"),
        .url = SLICE_LITERAL("http://example:9100/metrics"),
        .error = slice_of(target->error != NULL ? target->error : ""),
        .labels = labels,
        .label_count = 2,
    };
    memcpy(&view.addresses[0], &address.v6, sizeof(address.v6));
    if (target->extra != NULL) {
        const char *equal = strchr(target->extra, '=');
        labels[2].name = slice_make(target->extra, (size_t)(equal - target->extra));
        labels[2].value = slice_of(equal + 1);
        view.label_count = 3;
        qsort(labels, 3, sizeof(labels[0]), compare_labels);
    }
    assert_int_equal(targets_writer_add(&rig->table, &view), 0);
}

void rig_table(struct rig *rig, const struct rig_target *targets, int count)
{
    targets_writer_begin(&rig->table);
    for (int i = 0; i < count; i++)
        add_target(rig, &targets[i]);
    targets_writer_commit(&rig->table);
    target_set_refresh(&rig->scraper);
}

static uint64_t wanted_id;
static struct target *found_target;

static void note_target(struct target *target)
{
    if (target->id == wanted_id)
        found_target = target;
}

struct target *rig_target(struct rig *rig, uint64_t id)
{
    wanted_id = id;
    found_target = NULL;
    target_set_each(&rig->scraper.targets, note_target);
    return found_target;
}

/* ---- scrapes ---- */

void rig_wait_ms(struct rig *rig, int64_t ms)
{
    rig->now_ms += ms;
    wall_ns = rig->now_ms * NS_PER_MS;
}

void rig_start(struct rig *rig, uint64_t id, const struct rig_answer *answer)
{
    struct target *target = rig_target(rig, id);
    assert_non_null(target);
    rig_wait_ms(rig, RIG_INTERVAL_MS);
    atomic_store(&rig->answer, answer);
    scrape_due(&target->tick, wall_ns, wall_ns);
}

void rig_finish(struct rig *rig)
{
    int64_t limit_ns = clock_mono_ns() + PATIENCE_NS;
    while (rig->scraper.running > 0) {
        assert_true(clock_mono_ns() < limit_ns);
        turn(rig);
    }
}

const char *rig_scrape(struct rig *rig, uint64_t id, const struct rig_answer *answer)
{
    rig_start(rig, id, answer);
    rig_finish(rig);
    return rig_take(rig);
}

void rig_fill_ring(struct rig *rig)
{
    struct ring_producer *ring = &rig->scraper.ring;
    for (uint64_t bytes; (bytes = ring_room(ring)) >= sizeof(struct shm_block);) {
        void *room;
        ring_begin(ring, bytes);
        assert_int_equal(ring_reserve(ring, bytes, &room), 0);
        *(struct shm_block *)room = (struct shm_block){
            .magic = SHM_BLOCK_MAGIC, .kind = SHM_BLOCK_SKIP, .length = (uint32_t)bytes};
        rig->doorbells += ring_publish(ring);
    }
}

uint64_t rig_counter(const struct rig *rig, enum counter counter)
{
    return slot_get(rig->slot, counter);
}

/* ---- what was committed ---- */

static void render_labels(struct rig *rig, const struct series_label *labels, int count)
{
    const char *before = "{";
    for (int i = 0; i < count; i++) {
        if (slice_is(labels[i].name, "__name__"))
            strbuf_add(&rig->text, labels[i].value.ptr, labels[i].value.len);
    }
    for (int i = 0; i < count; i++) {
        bool is_usual = (slice_is(labels[i].name, "instance") && slice_is(labels[i].value, "i")) ||
                        (slice_is(labels[i].name, "job") && slice_is(labels[i].value, "j"));
        if (slice_is(labels[i].name, "__name__") || is_usual)
            continue;
        strbuf_addf(&rig->text, "%s%.*s=", before, SLICE_ARG(labels[i].name));
        strbuf_add_json(&rig->text, labels[i].value.ptr, labels[i].value.len);
        before = ",";
    }
    if (*before == ',')
        strbuf_addc(&rig->text, '}');
}

/* Its first two fields: schema and count. */
static void render_histogram(struct rig *rig, const struct block_view *block, uint32_t at)
{
    struct slice bytes;
    assert_true(block_bytes(block, at, &bytes));
    assert_true(bytes.len > 4 && bytes.ptr[0] == 4 << 3 && bytes.ptr[2] == 1 << 3);
    int zigzag = bytes.ptr[1];
    strbuf_addf(&rig->text, " histogram schema %d count %d", zigzag >> 1 ^ -(zigzag & 1),
                bytes.ptr[3]);
}

static void render_exemplar(struct rig *rig, const struct block_view *block, uint32_t at)
{
    struct slice bytes;
    uint32_t count;
    struct label label;
    assert_true(block_bytes(block, at, &bytes));
    assert_true(bytes.len >= sizeof(count));
    memcpy(&count, bytes.ptr, sizeof(count));
    const uint8_t *next = (const uint8_t *)bytes.ptr + sizeof(count);
    strbuf_adds(&rig->text, " exemplar");
    for (; count > 0 && label_bytes_get(&next, (const uint8_t *)bytes.ptr + bytes.len, &label);
         count--)
        strbuf_addf(&rig->text, " %.*s=%.*s", SLICE_ARG(label.name), SLICE_ARG(label.value));
}

static void render_sample(struct rig *rig, const struct block_view *block,
                          const struct series_record *target, uint32_t line_ref, uint32_t at)
{
    struct series_record line;
    struct series_label labels[64];
    assert_true(series_reader_record(&rig->series, line_ref, SHM_RECORD_LINE, 0, &line));
    int count = series_reader_merge(target, &line, labels, 64);
    assert_true(count > 0);
    render_labels(rig, labels, count);
    if (block->head.kind == SHM_BLOCK_HISTOGRAMS) {
        render_histogram(rig, block, at);
    } else if (block->bits == NULL) {
        strbuf_adds(&rig->text, " stale");
    } else {
        double value;
        memcpy(&value, &block->bits[at], sizeof(value));
        if (block->bits[at] == SHM_STALE_BITS)
            strbuf_adds(&rig->text, " stale");
        else
            strbuf_addf(&rig->text, isnan(value) ? " NaN" : " %.17g", value);
    }
    int64_t time_ms = block->timestamps != NULL ? block->timestamps[at] : block->head.timestamp_ms;
    if (time_ms != rig->now_ms)
        strbuf_addf(&rig->text, " @%" PRId64, time_ms);
    if (block->starts != NULL && block->starts[at] != 0)
        strbuf_addf(&rig->text, " from %" PRId64, block->starts[at]);
    if (block->head.kind == SHM_BLOCK_EXEMPLARS)
        render_exemplar(rig, block, at);
    strbuf_addc(&rig->text, '\n');
}

static void render_report(struct rig *rig, const struct block_view *block)
{
    double values[REPORT_COUNT];
    assert_int_equal(block->head.count, REPORT_COUNT);
    assert_true((block->head.flags & SHM_BLOCK_LAST) != 0);
    if (block->bits == NULL) {
        strbuf_adds(&rig->text, "report stale");
    } else {
        memcpy(values, block->bits, sizeof(values));
        last_duration = values[REPORT_DURATION];
        strbuf_addf(&rig->text, "up %g scraped %g post %g added %g", values[REPORT_UP],
                    values[REPORT_SCRAPED], values[REPORT_POST], values[REPORT_ADDED]);
    }
    if (block->head.timestamp_ms != rig->now_ms)
        strbuf_addf(&rig->text, " @%" PRId64, block->head.timestamp_ms);
    strbuf_addc(&rig->text, '\n');
}

static const uint32_t *lines_of(struct rig *rig, const struct block_view *block)
{
    const struct shm_block *head = &block->head;
    struct series_record layout;
    uint32_t count;
    if ((head->flags & SHM_BLOCK_HAS_LAYOUT) == 0)
        return block->refs;
    assert_true(series_reader_record(&rig->series, head->layout_ref, SHM_RECORD_LAYOUT,
                                     head->layout_generation, &layout));
    const uint32_t *lines = series_reader_lines(&layout, &count);
    assert_non_null(lines);
    assert_true(head->first_line + head->count <= count);
    return lines + head->first_line;
}

static void render_block(struct rig *rig, const struct block_view *block)
{
    struct series_record target;
    assert_true(series_reader_record(&rig->series, block->head.target_ref, SHM_RECORD_TARGET,
                                     block->head.target_generation, &target));
    if ((block->head.flags & SHM_BLOCK_REPORT) != 0) {
        render_report(rig, block);
        return;
    }
    const uint32_t *lines = lines_of(rig, block);
    for (uint32_t i = 0; i < block->head.count; i++)
        render_sample(rig, block, &target, lines[i], i);
}

const char *rig_take(struct rig *rig)
{
    uint64_t end = ring_consumer_produced(&rig->ring);
    struct block_view block;
    rig->text.len = 0;
    strbuf_adds(&rig->text, "");
    for (uint64_t pos = ring_consumer_acked(&rig->ring); pos < end; pos = block.next_pos) {
        assert_int_equal(block_read(&rig->ring, pos, end, &block), 0);
        if (block.head.kind == SHM_BLOCK_TAKEOVER)
            strbuf_addf(&rig->text, "from scraper %u at %" PRIu64 "\n", block.head.first_line,
                        block.bits[0]);
        else if (block.head.kind != SHM_BLOCK_SKIP)
            render_block(rig, &block);
    }
    ring_consumer_ack(&rig->ring, end);
    return rig->text.len == 0 ? "" : rig->text.text;
}
