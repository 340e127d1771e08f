/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Requests taken apart: by scrape, by age, and in another version; and bytes that are no request.
 */
#include "writer/message.h"

#include <setjmp.h>
#include <snappy-c.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/clock.h"
#include "tests/unit/dice.h"
#include "tests/unit/writer/request.h"
#include "tests/unit/writer/rig.h"

#define T0 INT64_C(1700000000000)

enum { RING = 1 << 20, TARGETS = 3, LINES = 9, SCRAPES = 4 };

static const char head_v1[] = "Content-Type: application/x-protobuf\r\n";
static const char head_v2[] =
    "Content-Type: application/x-protobuf;proto=io.prometheus.write.v2.Request\r\n";

static struct rig rig;
static uint8_t *body;
static size_t body_len;

/* A body as the writer makes it, of several targets and times. */
static void make_body(enum config_message message)
{
    rig_open(&rig, 1, RING, 1);
    rig_receive(&rig, 0, NULL, NULL);
    rig.remotes[0].protobuf_message = message;
    rig.remotes[0].send_exemplars = rig.remotes[0].send_native_histograms = true;
    rig_start(&rig);
    for (int64_t ms = T0; ms < T0 + SCRAPES * 1000; ms += 1000) {
        for (uint64_t target = 1; target <= TARGETS; target++)
            (void)scrapers_scrape(&rig.scrapers, &(struct scrape){.target = target,
                                                                  .ms = ms,
                                                                  .lines = LINES,
                                                                  .with_metadata = true});
    }
    rig_drain(&rig);
    assert_int_equal(receiver_request_count(rig.receivers[0]), 1);
    struct receiver_request request = receiver_request_at(rig.receivers[0], 0);
    body_len = request.body_len;
    body = malloc(body_len);
    memcpy(body, request.body, body_len);
    rig_close(&rig);
}

static struct request *read_part(const struct message_part *part, uint32_t version)
{
    struct request *request =
        request_read(version == 2 ? head_v2 : head_v1, (const uint8_t *)part->body, part->body_len);
    assert_non_null(request);
    assert_int_equal(request->malformed, 0);
    assert_int_equal(request->item_count, verdict_sum(&part->sent));
    return request;
}

static void assert_same_items(const struct request *a, const struct request *b, size_t from)
{
    for (size_t i = 0; i < a->item_count; i++) {
        const struct request_item *left = &a->items[i];
        const struct request_item *right = &b->items[from + i];
        assert_string_equal(left->series, right->series);
        assert_int_equal(left->kind, right->kind);
        assert_int_equal(left->ms, right->ms);
        assert_int_equal(left->bits, right->bits);
    }
}

static void a_request_comes_apart_by_scrape(void **state)
{
    (void)state;
    for (uint32_t version = 1; version <= 2; version++) {
        struct message message;
        struct message_part part;
        bool more;
        make_body(version == 2 ? CONFIG_MESSAGE_V2 : CONFIG_MESSAGE_V1);
        struct request *whole = request_read(version == 2 ? head_v2 : head_v1, body, body_len);
        assert_int_equal(message_unpack(slice_make(body, body_len), version, &message), 0);
        struct message_choice choice = {
            .one_scrape = true, .oldest_ms = INT64_MIN, .version = version};
        size_t parts = 0;
        size_t items = 0;
        for (;;) {
            assert_int_equal(message_build(&message, choice, &part, &more), 0);
            if (!more)
                break;
            struct request *request = read_part(&part, version);
            assert_same_items(request, whole, items);
            items += request->item_count;
            request_free(request);
            free(part.body);
            choice.from = part.end;
            parts++;
        }
        free(part.body);
        assert_int_equal(items, whole->item_count);
        assert_int_equal(parts, TARGETS * SCRAPES);
        request_free(whole);
        message_free(&message);
        free(body);
    }
}

static void what_is_too_old_is_left_out(void **state)
{
    (void)state;
    struct message message;
    struct message_part part;
    bool more;
    make_body(CONFIG_MESSAGE_V1);
    assert_int_equal(message_unpack(slice_make(body, body_len), 1, &message), 0);
    const struct message_choice choice = {.oldest_ms = T0 + 1001, .version = 1};
    assert_int_equal(message_build(&message, choice, &part, &more), 0);
    assert_true(more);
    struct request *request = read_part(&part, 1);
    for (size_t i = 0; i < request->item_count; i++)
        assert_true(request->items[i].ms > T0 + 1000);
    assert_int_equal(part.oldest_ms, T0 + 2000);
    assert_int_equal(part.newest_ms, T0 + 3000);
    assert_int_equal(verdict_sum(&part.too_old), verdict_sum(&part.sent));
    request_free(request);
    free(part.body);
    message_free(&message);
    free(body);
}

static void a_request_of_2_0_becomes_one_of_1_0(void **state)
{
    (void)state;
    struct message message;
    struct message_part part;
    bool more;
    make_body(CONFIG_MESSAGE_V2);
    struct request *whole = request_read(head_v2, body, body_len);
    assert_int_equal(message_unpack(slice_make(body, body_len), 2, &message), 0);
    const struct message_choice choice = {.oldest_ms = INT64_MIN, .version = 1};
    assert_int_equal(message_build(&message, choice, &part, &more), 0);
    struct request *request = read_part(&part, 1);
    assert_false(request->is_v2);
    assert_int_equal(request->item_count, whole->item_count);
    assert_same_items(request, whole, 0);
    for (size_t i = 0; i < request->item_count; i++) {
        if (request->items[i].kind == REQUEST_EXEMPLAR)
            assert_string_equal(request->items[i].exemplar, whole->items[i].exemplar);
        if (request->items[i].kind == REQUEST_HISTOGRAM)
            assert_true(request->items[i].count == whole->items[i].count);
    }
    request_free(request);
    request_free(whole);
    free(part.body);
    message_free(&message);
    free(body);
}

/* Damage is found out before, by a hash; all the same nothing may break. */
static void bytes_that_are_no_request_are_errors(void **state)
{
    (void)state;
    struct dice dice = dice_new("message");
    for (uint32_t version = 1; version <= 2; version++) {
        make_body(version == 2 ? CONFIG_MESSAGE_V2 : CONFIG_MESSAGE_V1);
        size_t raw_len;
        assert_int_equal(snappy_uncompressed_length((char *)body, body_len, &raw_len), SNAPPY_OK);
        char *raw = malloc(raw_len);
        assert_int_equal(snappy_uncompress((char *)body, body_len, raw, &raw_len), SNAPPY_OK);
        for (int i = 0; i < 2000; i++) {
            size_t cut = dice_roll(&dice, 4) == 0 ? dice_roll(&dice, (uint32_t)raw_len) : raw_len;
            char *damaged = malloc(raw_len);
            memcpy(damaged, raw, raw_len);
            for (uint32_t flips = dice_roll(&dice, 4); flips > 0; flips--) {
                uint32_t at = dice_roll(&dice, (uint32_t)raw_len);
                damaged[at] ^= (char)(1 << dice_roll(&dice, 8));
            }
            size_t packed_len = snappy_max_compressed_length(cut);
            char *packed = malloc(packed_len);
            assert_int_equal(snappy_compress(damaged, cut, packed, &packed_len), SNAPPY_OK);
            struct message message;
            struct message_part part;
            bool more;
            struct message_choice choice = {.oldest_ms = T0 + 1000};
            choice.one_scrape = dice_roll(&dice, 2) == 0;
            choice.version = dice_roll(&dice, 2) == 0 ? 1 : version;
            if (message_unpack(slice_make(packed, packed_len), version, &message) == 0) {
                if (message_build(&message, choice, &part, &more) == 0)
                    free(part.body);
                message_free(&message);
            }
            free(damaged);
            free(packed);
        }
        free(raw);
        free(body);
    }
}

int main(void)
{
    rig_reserve_descriptors();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_comes_apart_by_scrape),
        cmocka_unit_test(what_is_too_old_is_left_out),
        cmocka_unit_test(a_request_of_2_0_becomes_one_of_1_0),
        cmocka_unit_test(bytes_that_are_no_request_are_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
