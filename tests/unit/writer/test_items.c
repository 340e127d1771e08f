/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Histograms, exemplars, metadata and start timestamps in both versions of remote write. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/hash.h"
#include "tests/unit/dice.h"
#include "tests/unit/writer/items.h"

#define PATIENCE_NS (60 * NS_PER_S)

static uint64_t value_of(uint64_t target, uint32_t line, int64_t ms)
{
    char series[64];
    scrapers_series(target, line, series);
    return scrapers_value(series, ms);
}

static void assert_item(const struct request_item *item, enum request_kind kind, uint32_t line)
{
    char series[64];
    char trace[32];
    scrapers_series(1 + kind, line, series);
    snprintf(trace, sizeof trace, "trace=%u,", line);
    assert_int_equal(item->kind, kind);
    assert_string_equal(item->series, series);
    assert_int_equal(item->ms, T0);
    assert_int_equal(item->bits, value_of(1 + kind, line, T0));
    if (kind == REQUEST_HISTOGRAM) {
        assert_int_equal(item->schema, 1);
        assert_true(item->count == 7);
    }
    if (kind == REQUEST_EXEMPLAR)
        assert_string_equal(item->exemplar, trace);
}

static void every_kind_arrives_in_a_series_of_its_own(void **state)
{
    (void)state;
    for (int version = 1; version <= 2; version++) {
        items_open(version == 1 ? CONFIG_MESSAGE_V1 : CONFIG_MESSAGE_V2);
        rig_start(&rig);
        items_scrape_all_kinds(T0);
        rig_drain(&rig);
        assert_int_equal(receiver_request_count(rig.receivers[0]), 1);
        struct request *request = items_request_at(0);
        assert_int_equal(request->is_v2, version == 2);
        assert_int_equal(request->item_count, 9);
        for (uint32_t i = 0; i < 9; i++)
            assert_item(&request->items[i], (enum request_kind)(i / 3), i % 3);
        request_free(request);
        assert_int_equal(rig_count(&rig, 0, REMOTE_DELIVERED), 3);
        assert_int_equal(rig_count(&rig, 0, REMOTE_HISTOGRAMS_DELIVERED), 3);
        assert_int_equal(rig_count(&rig, 0, REMOTE_EXEMPLARS_DELIVERED), 3);
        assert_int_equal(rig_count(&rig, 0, REMOTE_SAMPLES), 3);
        assert_int_equal(rig_count(&rig, 0, REMOTE_HISTOGRAMS), 3);
        assert_int_equal(rig_count(&rig, 0, REMOTE_EXEMPLARS), 3);
        rig_close(&rig);
    }
}

static struct receiver_reply never(void *context, size_t number,
                                   const struct receiver_request *request)
{
    (void)context;
    (void)number;
    (void)request;
    return (struct receiver_reply){.action = RECEIVER_HANG};
}

static void what_is_under_way_is_shown_by_kind(void **state)
{
    (void)state;
    rig_open(&rig, 1, 1 << 20, 1);
    rig_receive(&rig, 0, never, NULL);
    rig.remotes[0].send_exemplars = rig.remotes[0].send_native_histograms = true;
    rig_start(&rig);
    items_scrape_all_kinds(T0);
    rig_run_until_requests(&rig, 1);
    rig_turn(&rig, 0);
    assert_int_equal(rig_count(&rig, 0, REMOTE_SAMPLES_PENDING), 3);
    assert_int_equal(rig_count(&rig, 0, REMOTE_HISTOGRAMS_PENDING), 3);
    assert_int_equal(rig_count(&rig, 0, REMOTE_EXEMPLARS_PENDING), 3);
    rig_close(&rig);
}

static void metadata_and_start_timestamps_go_with_each_series_of_2_0(void **state)
{
    (void)state;
    items_open(CONFIG_MESSAGE_V2);
    rig_start(&rig);
    items_scrape_all_kinds(T0);
    rig_drain(&rig);
    struct request *request = items_request_at(0);
    for (uint32_t i = 0; i < request->item_count; i++) {
        const struct request_item *item = &request->items[i];
        char help[16];
        snprintf(help, sizeof help, "M %u", i % 3);
        assert_int_equal(item->type, 1);
        assert_string_equal(item->help, help);
        assert_string_equal(item->unit, "u");
        if (item->kind != REQUEST_EXEMPLAR)
            assert_int_equal(item->start_ms, T0 - 5000);
    }
    request_free(request);
    rig_close(&rig);
}

static void without_metadata_nothing_is_said_of_the_family(void **state)
{
    (void)state;
    items_open(CONFIG_MESSAGE_V2);
    rig_start(&rig);
    items_scrape((struct scrape){.target = 1, .ms = T0, .lines = 1});
    rig_drain(&rig);
    struct request *request = items_request_at(0);
    assert_int_equal(request->items[0].type, 0);
    assert_string_equal(request->items[0].help, "");
    assert_int_equal(request->items[0].start_ms, 0);
    request_free(request);
    rig_close(&rig);
}

static void what_a_remote_is_not_to_be_sent_is_passed_over(void **state)
{
    (void)state;
    items_open(CONFIG_MESSAGE_V1);
    rig.remotes[0].send_exemplars = false;
    rig.remotes[0].send_native_histograms = false;
    rig_start(&rig);
    items_scrape_all_kinds(T0);
    rig_drain(&rig);
    struct request *request = items_request_at(0);
    assert_int_equal(request->item_count, 3);
    assert_int_equal(request->of[REQUEST_SAMPLE], 3);
    request_free(request);
    assert_int_equal(rig_count(&rig, 0, REMOTE_HISTOGRAMS_UNWANTED), 0);
    rig_close(&rig);
}

static void histograms_of_custom_buckets_go_to_2_0_only(void **state)
{
    (void)state;
    for (int version = 1; version <= 2; version++) {
        items_open(version == 1 ? CONFIG_MESSAGE_V1 : CONFIG_MESSAGE_V2);
        rig_start(&rig);
        items_scrape((struct scrape){.target = 1, .ms = T0, .lines = 1});
        items_scrape((struct scrape){.target = 2,
                                     .ms = T0,
                                     .lines = 2,
                                     .kind = SHM_BLOCK_HISTOGRAMS,
                                     .custom_buckets = true});
        rig_drain(&rig);
        struct request *request = items_request_at(0);
        assert_int_equal(request->item_count, version == 1 ? 1 : 3);
        assert_int_equal(rig_count(&rig, 0, REMOTE_HISTOGRAMS_CUSTOM_BUCKETS),
                         version == 1 ? 2 : 0);
        request_free(request);
        rig_close(&rig);
    }
}

static void a_request_has_the_headers_of_remote_write_2(void **state)
{
    (void)state;
    items_open(CONFIG_MESSAGE_V2);
    rig_start(&rig);
    items_scrape((struct scrape){.target = 1, .ms = T0, .lines = 1});
    rig_drain(&rig);
    const char *head = receiver_request_at(rig.receivers[0], 0).head;
    assert_non_null(strstr(head, "\r\nContent-Encoding: snappy\r\n"));
    assert_non_null(strstr(
        head, "\r\nContent-Type: application/x-protobuf;proto=io.prometheus.write.v2.Request\r\n"));
    assert_non_null(strstr(head, "\r\nX-Prometheus-Remote-Write-Version: 2.0.0\r\n"));
    rig_close(&rig);
}

/* Labels of target, file and line meet in 2.0 as they do in 1.0. */
static void labels_are_the_same_in_both_versions(void **state)
{
    (void)state;
    static const struct config_pair external[] = {{"a", "x"}, {"instance", "not this"}, {"z", "y"}};
    for (int version = 1; version <= 2; version++) {
        items_open(version == 1 ? CONFIG_MESSAGE_V1 : CONFIG_MESSAGE_V2);
        rig.config.global.external_labels = (struct config_map){external, 3};
        rig_start(&rig);
        items_scrape((struct scrape){.target = 1, .ms = T0, .lines = 2});
        rig_drain(&rig);
        struct request *request = items_request_at(0);
        assert_string_equal(request->items[1].series, "__name__=m1,a=x,instance=t1,job=j,z=y,");
        request_free(request);
        rig.config.global.external_labels = (struct config_map){0};
        rig_close(&rig);
    }
}

/* ---- damage ---- */

/* Bytes of the only block that was published, from its start on. */
static uint8_t *block_at(size_t offset)
{
    return rig.scrapers.scraper[0].ring.data + offset;
}

static void items_that_cannot_be_read_are_left_out_and_counted(void **state)
{
    (void)state;
    const uint32_t huge = UINT32_MAX;
    for (int version = 1; version <= 2; version++) {
        items_open(version == 1 ? CONFIG_MESSAGE_V1 : CONFIG_MESSAGE_V2);
        rig_start(&rig);
        items_scrape(
            (struct scrape){.target = 1, .ms = T0, .lines = 4, .kind = SHM_BLOCK_HISTOGRAMS});
        memcpy(block_at(sizeof(struct shm_block) + sizeof huge), &huge, sizeof huge); /* an end */
        rig_drain(&rig);
        struct request *request = items_request_at(0);
        assert_int_equal(request->of[REQUEST_HISTOGRAM], 2); /* the first and the last */
        assert_int_equal(rig_count(&rig, 0, REMOTE_HISTOGRAMS_DAMAGED), 2);
        request_free(request);
        rig_close(&rig);

        items_open(version == 1 ? CONFIG_MESSAGE_V1 : CONFIG_MESSAGE_V2);
        rig_start(&rig);
        items_scrape(
            (struct scrape){.target = 1, .ms = T0, .lines = 4, .kind = SHM_BLOCK_EXEMPLARS});
        /* Values and ends come first; then the number of labels of the first exemplar. */
        memcpy(block_at(sizeof(struct shm_block) + 4 * 8 + 4 * 4), &huge, sizeof huge);
        rig_drain(&rig);
        request = items_request_at(0);
        assert_int_equal(request->of[REQUEST_EXEMPLAR], 3);
        assert_int_equal(rig_count(&rig, 0, REMOTE_EXEMPLARS_DAMAGED), 1);
        request_free(request);
        rig_close(&rig);
    }
}

/* ---- labels, at random ---- */

enum { NAMES = 6, TARGETS = 5, LINES = 12, ITEMS = 200 };

/* Some of the names, in order; values may be empty where `may_hide`. */
static size_t random_labels(struct dice *dice, bool may_hide, struct label *labels)
{
    static const char *const names[NAMES] = {"A", "__name__", "b", "instance", "job", "zone"};
    static const char *const values[] = {"", "1", "2", "three", "a longer value", "b"};
    size_t count = 0;
    for (size_t i = 0; i < NAMES; i++) {
        if (dice_roll(dice, 2) == 0)
            continue;
        uint32_t first = may_hide ? 0 : 1;
        labels[count++] = (struct label){slice_of(names[i]),
                                         slice_of(values[first + dice_roll(dice, 6 - first)])};
    }
    return count;
}

struct set {
    struct label labels[NAMES];
    size_t count;
};

/* The item of a line: as one that is known if it can be, as the writer does it. */
static void add_v2(struct encoder_v2 *encoder, uint64_t key, const struct item *item)
{
    if (encoder_v2_knows(encoder, key)) {
        struct item bare = *item;
        bare.labels = NULL;
        bare.label_count = 0;
        assert_int_equal(encoder_v2_add_known(encoder, key, &bare), 0);
        return;
    }
    assert_int_equal(encoder_v2_add(encoder, item, NULL), 0);
    encoder_v2_learn(encoder, key, item, NULL);
}

static struct request *read_body(bool is_v2, struct slice body)
{
    const char *head = is_v2 ? "proto=io.prometheus.write.v2.Request\r\n" : "";
    struct request *request = request_read(head, (const uint8_t *)body.ptr, body.len);
    assert_non_null(request);
    return request;
}

/* Whatever labels target, file and line have, and whatever lines are known: 1.0 and 2.0 say the
   same. */
static void labels_at_random_are_the_same_in_both_versions(void **state)
{
    (void)state;
    uint64_t seed = seed_of_run("labels", 1000);
    for (uint64_t end = seed + (seed_is_given() ? 1 : 200); seed < end; seed++) {
        struct dice dice = {seed};
        struct set targets[TARGETS];
        struct set lines[LINES];
        struct set external;
        struct encoder v1;
        struct encoder_v2 v2;
        assert_int_equal(encoder_init(&v1, 1 << 20), 0);
        assert_int_equal(encoder_v2_init(&v2, 1 << 20), 0);
        encoder_start(&v1, NULL);
        encoder_v2_start(&v2, NULL);
        external.count = random_labels(&dice, false, external.labels);
        for (size_t i = 0; i < TARGETS; i++)
            targets[i].count = random_labels(&dice, false, targets[i].labels);
        for (size_t i = 0; i < LINES; i++)
            lines[i].count = random_labels(&dice, true, lines[i].labels);
        for (size_t i = 0; i < ITEMS; i++) {
            const struct set *target = &targets[i * TARGETS / ITEMS];
            uint64_t line = dice_roll(&dice, LINES);
            encoder_set_target(&v1, target->labels, target->count, external.labels, external.count);
            encoder_v2_set_target(&v2, target->labels, target->count, external.labels,
                                  external.count);
            const struct item item = {.ms = T0 + (int64_t)i,
                                      .bits = i,
                                      .labels = lines[line].labels,
                                      .label_count = lines[line].count};
            assert_int_equal(item_put_v1(&v1, &item), 0);
            add_v2(&v2, line + 1, &item);
        }
        struct request *first = read_body(false, encoder_finish(&v1));
        struct request *second = read_body(true, encoder_v2_finish(&v2));
        assert_int_equal(first->malformed + second->malformed, 0);
        assert_int_equal(second->item_count, ITEMS);
        for (size_t i = 0; i < ITEMS; i++) {
            if (strcmp(first->items[i].series, second->items[i].series) != 0 ||
                first->items[i].ms != second->items[i].ms)
                fail_msg("SEED=%llu, item %zu: %s is not %s", (unsigned long long)seed, i,
                         second->items[i].series, first->items[i].series);
        }
        request_free(first);
        request_free(second);
        encoder_fini(&v1);
        encoder_v2_fini(&v2);
    }
}

/* Texts whose hashes without a seed end alike. */
static void texts_cannot_be_made_to_meet_in_the_table_of_symbols(void **state)
{
    (void)state;
    enum { TEXTS = 64, TABLE = 1024 };
    struct encoder_v2 encoder;
    uint32_t run = 0;
    uint32_t longest = 0;
    assert_int_equal(encoder_v2_init(&encoder, 1 << 20), 0);
    encoder_v2_start(&encoder, NULL);
    encoder_v2_set_target(&encoder, NULL, 0, NULL, 0);
    for (uint32_t found = 0, number = 0; found < TEXTS; number++) {
        char text[16];
        size_t len = (size_t)snprintf(text, sizeof text, "%u", number);
        const struct label name = {SLICE_LITERAL("__name__"), slice_make(text, len)};
        const struct item item = {.ms = T0, .labels = &name, .label_count = 1};
        if (hash64(text, len, 0) % TABLE != 0)
            continue;
        assert_int_equal(encoder_v2_add(&encoder, &item, NULL), 0);
        found++;
    }
    assert_int_equal(encoder.table_mask, TABLE - 1);
    for (uint32_t i = 0; i < TABLE; i++) {
        run = encoder.table[i].ref == 0 ? 0 : run + 1;
        longest = run > longest ? run : longest;
    }
    assert_in_range(longest, 1, TEXTS / 4);
    encoder_v2_fini(&encoder);
}

/* ---- memory ---- */

static void places_of_layouts_that_do_not_come_any_more_take_no_memory(void **state)
{
    (void)state;
    static struct replicas replicas;
    const struct layout_v2_key key = {.layout = 1, .count = 1000};
    const int64_t start_ns = 1000 * NS_PER_S;
    replicas_start(&replicas, start_ns);
    struct replicas_place *place = replicas_take(&replicas, &key);
    replicas_room(place, 1000);
    replicas_step_room(place, 1000, 1000);
    replicas_start(&replicas, start_ns + 299 * NS_PER_S);
    assert_non_null(place->steps);
    replicas_start(&replicas, start_ns + 301 * NS_PER_S);
    assert_null(place->steps);
    assert_ptr_equal(replicas_take(&replicas, &key), place);
    replicas_fini(&replicas);
}

/* ---- metadata in 1.0 ---- */

/* Turns until so many metadata entries have come. */
static void run_until_families(size_t count)
{
    int64_t limit_ns = clock_mono_ns() + PATIENCE_NS;
    while (receiver_family_count(rig.receivers[0]) < count) {
        assert_true(clock_mono_ns() < limit_ns);
        rig_turn(&rig, 5);
    }
}

/* The next request with metadata from that one on: those with samples go their own way. */
static struct request *next_with_families(size_t *number)
{
    for (;;) {
        struct request *request = items_request_at((*number)++);
        if (request->family_count > 0)
            return request;
        request_free(request);
    }
}

static void metadata_goes_in_requests_of_its_own_in_1_0(void **state)
{
    (void)state;
    items_open(CONFIG_MESSAGE_V1);
    rig.remotes[0].metadata_config = (struct config_metadata){true, 200, 2};
    rig_start(&rig);
    /* However late it is sent. */
    rig.writer.metadata.lifetime_ns = PATIENCE_NS;
    for (uint64_t target = 1; target <= 3; target++) /* replicas: their families count once */
        items_scrape(
            (struct scrape){.target = target, .ms = T0, .lines = 3, .with_metadata = true});
    run_until_families(3);
    static const size_t sizes[] = {2, 1};
    size_t number = 0;
    for (size_t i = 0; i < 2; i++) {
        struct request *request = next_with_families(&number);
        assert_false(request->is_v2);
        assert_int_equal(request->item_count, 0);
        assert_int_equal(request->family_count, sizes[i]);
        assert_int_equal(request->families[0].type, 1);
        assert_string_equal(request->families[0].name, i == 0 ? "m0" : "m2");
        assert_string_equal(request->families[0].help, i == 0 ? "M 0" : "M 2");
        assert_string_equal(request->families[0].unit, "u");
        request_free(request);
    }
    assert_int_equal(rig_count(&rig, 0, REMOTE_METADATA), 3);
    run_until_families(6); /* the next time */
    rig_close(&rig);
}

static void metadata_is_not_sent_where_it_is_not_wanted_or_goes_with_the_series(void **state)
{
    (void)state;
    for (int version = 1; version <= 2; version++) {
        items_open(version == 1 ? CONFIG_MESSAGE_V1 : CONFIG_MESSAGE_V2);
        rig.remotes[0].metadata_config = (struct config_metadata){version == 2, 20, 2};
        rig_start(&rig);
        items_scrape((struct scrape){.target = 1, .ms = T0, .lines = 3, .with_metadata = true});
        rig_drain(&rig);
        for (int i = 0; i < 20; i++)
            rig_turn(&rig, 5);
        assert_int_equal(receiver_request_count(rig.receivers[0]), 1);
        assert_int_equal(rig_count(&rig, 0, REMOTE_METADATA), 0);
        rig_close(&rig);
    }
}

/* Of the first request without samples; 0: it has been given. */
static struct receiver_reply refuse_metadata(void *context, size_t number,
                                             const struct receiver_request *request)
{
    (void)number;
    int *status = context;
    struct receiver_reply reply = {.action = RECEIVER_STORE};
    if (request->samples == 0 && *status != 0) {
        reply = (struct receiver_reply){RECEIVER_ANSWER, *status, NULL, "no\n"};
        *status = 0;
    }
    return reply;
}

static void refused_metadata_is_dropped_and_failed_metadata_is_sent_again(void **state)
{
    (void)state;
    int statuses[] = {400, 503};
    for (int i = 0; i < 2; i++) {
        rig_open(&rig, 1, RING, 1);
        rig_receive(&rig, 0, refuse_metadata, &statuses[i]);
        rig.remotes[0].metadata_config = (struct config_metadata){true, 200, 2};
        rig_start(&rig);
        rig.writer.metadata.lifetime_ns = PATIENCE_NS;
        items_scrape((struct scrape){.target = 1, .ms = T0, .lines = 3, .with_metadata = true});
        run_until_families(i == 0 ? 1 : 3);
        assert_int_equal(rig_count(&rig, 0, REMOTE_METADATA_FAILED), i == 0 ? 2 : 0);
        assert_int_equal(rig_count(&rig, 0, REMOTE_METADATA_RETRIED), i == 0 ? 0 : 2);
        rig_close(&rig);
    }
}

/* The records are not named any more, and twice the longest interval has passed. */
static void metadata_of_targets_that_are_gone_is_forgotten(void **state)
{
    (void)state;
    items_open(CONFIG_MESSAGE_V1);
    rig.remotes[0].metadata_config = (struct config_metadata){true, 100, 10};
    rig_start(&rig);
    rig.writer.metadata.lifetime_ns = 1;
    items_scrape((struct scrape){.target = 1, .ms = T0, .lines = 3, .with_metadata = true});
    rig_drain(&rig);
    int64_t limit_ns = clock_mono_ns() + PATIENCE_NS;
    while (rig.writer.metadata.entry_count > 0) {
        assert_true(clock_mono_ns() < limit_ns);
        rig_turn(&rig, 5);
    }
    assert_int_equal(receiver_family_count(rig.receivers[0]), 0);
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_arrives_in_a_series_of_its_own),
        cmocka_unit_test(what_is_under_way_is_shown_by_kind),
        cmocka_unit_test(metadata_and_start_timestamps_go_with_each_series_of_2_0),
        cmocka_unit_test(without_metadata_nothing_is_said_of_the_family),
        cmocka_unit_test(what_a_remote_is_not_to_be_sent_is_passed_over),
        cmocka_unit_test(histograms_of_custom_buckets_go_to_2_0_only),
        cmocka_unit_test(a_request_has_the_headers_of_remote_write_2),
        cmocka_unit_test(labels_are_the_same_in_both_versions),
        cmocka_unit_test(items_that_cannot_be_read_are_left_out_and_counted),
        cmocka_unit_test(labels_at_random_are_the_same_in_both_versions),
        cmocka_unit_test(places_of_layouts_that_do_not_come_any_more_take_no_memory),
        cmocka_unit_test(texts_cannot_be_made_to_meet_in_the_table_of_symbols),
        cmocka_unit_test(metadata_goes_in_requests_of_its_own_in_1_0),
        cmocka_unit_test(metadata_is_not_sent_where_it_is_not_wanted_or_goes_with_the_series),
        cmocka_unit_test(refused_metadata_is_dropped_and_failed_metadata_is_sent_again),
        cmocka_unit_test(metadata_of_targets_that_are_gone_is_forgotten),
    };
    return cmocka_run_group_tests(tests, items_reserve_descriptors, NULL);
}
