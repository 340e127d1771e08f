/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Receivers that take zstd frames, or do not, and what becomes of what is under way by then. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/unit/dice.h"
#include "tests/unit/writer/items.h"
#include "writer/compress.h"

/* From this request on so many are answered so; then all is stored. */
struct trouble {
    size_t from;
    _Atomic size_t count;
    struct receiver_reply reply;
};

static struct trouble trouble;

static struct receiver_reply by_trouble(void *context, size_t number,
                                        const struct receiver_request *request)
{
    (void)context;
    (void)request;
    if (number < trouble.from || trouble.count == 0)
        return (struct receiver_reply){.action = RECEIVER_STORE};
    trouble.count--;
    return trouble.reply;
}

static void open_zstd(size_t count, struct receiver_reply reply)
{
    trouble.from = 0;
    trouble.count = count;
    trouble.reply = reply;
    rig_open(&rig, 1, RING, 1);
    rig_receive(&rig, 0, by_trouble, NULL);
    rig.remotes[0].limpet.compression = CONFIG_COMPRESSION_ZSTD;
    rig.remotes[0].send_exemplars = rig.remotes[0].send_native_histograms = true;
    rig.remotes[0].queue_config.min_backoff = rig.remotes[0].queue_config.max_backoff = 100;
}

static bool is_zstd_at(size_t number)
{
    struct request *request = items_request_at(number);
    bool is_zstd = request->is_zstd;
    request_free(request);
    return is_zstd;
}

/* The requests so far: 'z' for a frame, 's' for a block. */
static void assert_sorts(const char *wanted)
{
    char sorts[32] = "";
    size_t count = receiver_request_count(rig.receivers[0]);
    assert_true(count < sizeof sorts);
    for (size_t i = 0; i < count; i++)
        sorts[i] = is_zstd_at(i) ? 'z' : 's';
    assert_string_equal(sorts, wanted);
}

static void assert_same_body(size_t a, size_t b)
{
    struct receiver_request first = receiver_request_at(rig.receivers[0], a);
    struct receiver_request second = receiver_request_at(rig.receivers[0], b);
    assert_int_equal(first.body_len, second.body_len);
    assert_memory_equal(first.body, second.body, first.body_len);
}

static void assert_nothing_lost(void)
{
    rig_assert_complete(&rig, 0);
    assert_int_equal(rig_count(&rig, 0, REMOTE_SAMPLES_FAILED), 0);
    assert_int_equal(rig_count(&rig, 0, REMOTE_HISTOGRAMS_FAILED), 0);
    assert_int_equal(rig_count(&rig, 0, REMOTE_EXEMPLARS_FAILED), 0);
    assert_int_equal(rig_count(&rig, 0, REMOTE_REPEATS_CHANGED), 0);
}

/* ---- receivers ---- */

static void one_that_takes_zstd_gets_nothing_else(void **state)
{
    (void)state;
    open_zstd(0, (struct receiver_reply){0});
    rig.remotes[0].protobuf_message = CONFIG_MESSAGE_AUTO; /* which is 1.0 then */
    rig_start(&rig);
    for (int i = 0; i < 3; i++) {
        items_scrape_all_kinds(T0 + i * 1000);
        rig_drain(&rig);
    }
    assert_sorts("zzz");
    const char *head = receiver_request_at(rig.receivers[0], 0).head;
    assert_non_null(strstr(head, "\r\nContent-Encoding: zstd\r\n"));
    assert_non_null(strstr(head, "\r\nContent-Type: application/x-protobuf\r\n"));
    assert_non_null(strstr(head, "\r\nX-VictoriaMetrics-Remote-Write-Version: 1\r\n"));
    assert_null(strstr(head, "X-Prometheus-Remote-Write-Version"));
    assert_nothing_lost();
    assert_int_equal(receiver_exemplar_count(rig.receivers[0]), 9);
    assert_int_equal(rig_count(&rig, 0, REMOTE_ZSTD_REFUSED), 0);
    rig_close(&rig);
}

static void one_that_does_not_gets_the_same_as_snappy(void **state)
{
    (void)state;
    static const int answers[] = {400, 415, 422};
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        open_zstd(0, (struct receiver_reply){0});
        receiver_know_no_zstd(rig.receivers[0], answers[i]);
        rig_start(&rig);
        for (int scrape = 0; scrape < 3; scrape++) {
            items_scrape_all_kinds(T0 + scrape * 1000);
            rig_drain(&rig);
        }
        assert_sorts("zsss");
        const char *head = receiver_request_at(rig.receivers[0], 1).head;
        assert_non_null(strstr(head, "\r\nX-Prometheus-Remote-Write-Version: 0.1.0\r\n"));
        assert_null(strstr(head, "X-VictoriaMetrics"));
        assert_null(strstr(head, "Retry-Attempt"));
        assert_nothing_lost();
        assert_int_equal(receiver_exemplar_count(rig.receivers[0]), 9);
        assert_int_equal(rig_count(&rig, 0, REMOTE_ZSTD_REFUSED), 1);
        assert_int_equal(rig_count(&rig, 0, REMOTE_DELIVERED), 9);
        rig_close(&rig);
    }
}

/* What is refused as snappy, too, is refused for what it is. */
static void a_refusal_of_the_samples_leaves_zstd_as_it_is(void **state)
{
    (void)state;
    open_zstd(2, (struct receiver_reply){RECEIVER_ANSWER, 400, NULL, "I want no such samples\n"});
    rig_start(&rig);
    items_scrape_all_kinds(T0);
    rig_drain(&rig);
    items_scrape_all_kinds(T0 + 1000);
    rig_drain(&rig);
    assert_sorts("zsz");
    assert_int_equal(rig_count(&rig, 0, REMOTE_SAMPLES_FAILED), 3);
    assert_int_equal(rig_count(&rig, 0, REMOTE_DELIVERED), 3);
    assert_int_equal(rig_count(&rig, 0, REMOTE_ZSTD_REFUSED), 0);
    rig_close(&rig);
}

static void other_refusals_say_nothing_about_zstd(void **state)
{
    (void)state;
    open_zstd(1, (struct receiver_reply){RECEIVER_ANSWER, 401, NULL, "who are you?\n"});
    rig_start(&rig);
    items_scrape_all_kinds(T0);
    rig_drain(&rig);
    assert_sorts("z");
    assert_int_equal(rig_count(&rig, 0, REMOTE_SAMPLES_FAILED), 3);
    rig_close(&rig);
}

/* The first answer is lost; the repeat is refused, as zstd and as snappy, since it was taken. */
static void a_repeat_that_is_refused_is_resolved_as_ever(void **state)
{
    (void)state;
    open_zstd(1, (struct receiver_reply){.action = RECEIVER_STORE_AND_CUT});
    rig_start(&rig);
    for (int64_t ms = T0; ms < T0 + 3000; ms += 1000)
        items_scrape((struct scrape){.target = 1, .ms = ms, .lines = 5});
    rig_drain(&rig);
    assert_sorts("zzssss");
    assert_same_body(0, 1);
    assert_nothing_lost();
    assert_int_equal(
        rig_count(&rig, 0, REMOTE_DELIVERED) + rig_count(&rig, 0, REMOTE_ALREADY_DELIVERED), 15);
    assert_int_equal(rig_count(&rig, 0, REMOTE_REPEATS_SPLIT), 1);
    assert_int_equal(rig_count(&rig, 0, REMOTE_ZSTD_REFUSED), 0);
    rig_close(&rig);
}

/* ---- repeats ---- */

static void fail_twice_and_change_to(enum config_compression before, enum config_compression after,
                                     const char *sorts)
{
    open_zstd(2, (struct receiver_reply){RECEIVER_ANSWER, 500, NULL, "no\n"});
    rig.remotes[0].limpet.compression = before;
    rig_start(&rig);
    items_scrape_all_kinds(T0);
    rig_run_until_requests(&rig, 1);
    rig.remotes[0].limpet.compression = after;
    rig_crash(&rig);
    rig_run_until_requests(&rig, 2);
    rig_crash(&rig);
    rig_drain(&rig);
    items_scrape_all_kinds(T0 + 1000);
    rig_drain(&rig);
    assert_sorts(sorts);
    assert_same_body(0, 1);
    assert_same_body(0, 2);
    assert_nothing_lost();
    rig_close(&rig);
}

static void a_successor_repeats_byte_by_byte_whatever_its_configuration(void **state)
{
    (void)state;
    fail_twice_and_change_to(CONFIG_COMPRESSION_ZSTD, CONFIG_COMPRESSION_ZSTD, "zzzz");
    fail_twice_and_change_to(CONFIG_COMPRESSION_ZSTD, CONFIG_COMPRESSION_FAST, "zzzs");
    fail_twice_and_change_to(CONFIG_COMPRESSION_SMALL, CONFIG_COMPRESSION_ZSTD, "sssz");
    fail_twice_and_change_to(CONFIG_COMPRESSION_FAST, CONFIG_COMPRESSION_SMALL, "ssss");
}

/* The block after the refusal fails, and so does the writer. */
static void a_successor_repeats_snappy_after_a_refusal(void **state)
{
    (void)state;
    open_zstd(1, (struct receiver_reply){RECEIVER_ANSWER, 500, NULL, "no\n"});
    trouble.from = 1;
    receiver_know_no_zstd(rig.receivers[0], 400);
    rig_start(&rig);
    items_scrape_all_kinds(T0);
    rig_run_until_requests(&rig, 2);
    rig_crash(&rig);
    rig_drain(&rig);
    assert_sorts("zss");
    assert_same_body(1, 2);
    assert_nothing_lost();
    rig_close(&rig);
}

/* ---- the spool ---- */

/* Scrapes into the spool of a remote that is down. */
static void store(enum config_compression compression)
{
    open_zstd(SIZE_MAX, (struct receiver_reply){RECEIVER_ANSWER, 503, NULL, "down\n"});
    rig.remotes[0].limpet.compression = compression;
    rig_store(&rig, 1 << 20);
    rig.config.limpet.spool.after = 20;
    rig_start(&rig);
    for (int64_t ms = T0; ms < T0 + 3000; ms += 1000)
        items_scrape_all_kinds(ms);
    rig_drain(&rig);
    assert_int_equal(rig_count(&rig, 0, REMOTE_SPOOL_ITEMS), 27);
}

static void empty_the_spool(void)
{
    rig_let_requests_arrive(&rig, 0);
    size_t before = receiver_request_count(rig.receivers[0]);
    trouble.count = 0;
    rig.config.limpet.spool.after = 600000;
    rig_empty_spools(&rig);
    assert_true(receiver_request_count(rig.receivers[0]) > before);
    assert_nothing_lost();
    assert_int_equal(receiver_exemplar_count(rig.receivers[0]), 9);
    assert_int_equal(rig_count(&rig, 0, REMOTE_DELIVERED), 9);
}

static void assert_last_is(bool is_zstd)
{
    assert_int_equal(is_zstd_at(receiver_request_count(rig.receivers[0]) - 1), is_zstd);
}

static void a_spool_of_zstd_goes_to_whoever_takes_it(void **state)
{
    (void)state;
    static const int answers[] = {0, 400, 415};
    for (size_t i = 0; i < 3; i++) {
        store(CONFIG_COMPRESSION_ZSTD);
        receiver_know_no_zstd(rig.receivers[0], answers[i]);
        empty_the_spool();
        assert_last_is(answers[i] == 0);
        assert_int_equal(rig_count(&rig, 0, REMOTE_ZSTD_REFUSED), answers[i] != 0);
        rig_close(&rig);
    }
}

static void a_spool_is_sent_as_the_configuration_says_by_then(void **state)
{
    (void)state;
    store(CONFIG_COMPRESSION_ZSTD);
    receiver_know_no_zstd(rig.receivers[0], 500); /* for ever, if it were asked */
    rig.remotes[0].limpet.compression = CONFIG_COMPRESSION_FAST;
    rig_crash(&rig);
    empty_the_spool();
    assert_last_is(false);
    rig_close(&rig);

    store(CONFIG_COMPRESSION_FAST);
    rig.remotes[0].limpet.compression = CONFIG_COMPRESSION_ZSTD;
    rig_crash(&rig);
    empty_the_spool();
    assert_last_is(false); /* it is good as it is */
    items_scrape_all_kinds(T0 + 9000);
    rig_drain(&rig);
    assert_last_is(true);
    rig_close(&rig);
}

/* ---- frames ---- */

static void what_is_no_frame_is_an_error(void **state)
{
    (void)state;
    struct dice dice = dice_new("zstd");
    enum { LEN = 4096 };
    char text[LEN];
    for (size_t i = 0; i < LEN; i++)
        text[i] = (char)('a' + dice_roll(&dice, 1 + (uint32_t)i % 5));
    struct compressor compressor = {0};
    uint8_t *frame = malloc(compress_room(LEN));
    assert_non_null(frame);
    size_t len = compress_zstd(&compressor, slice_make(text, LEN), frame);
    uint8_t *raw;
    size_t raw_len;
    assert_true(compress_is_zstd(slice_make(frame, len)));
    assert_int_equal(compress_undo(slice_make(frame, len), LEN, &raw, &raw_len), 0);
    assert_int_equal(raw_len, LEN);
    assert_memory_equal(raw, text, LEN);
    free(raw);
    assert_int_equal(compress_undo(slice_make(frame, len), LEN - 1, &raw, &raw_len), ERR_CORRUPT);
    for (size_t cut = 0; cut < len; cut++)
        assert_int_equal(compress_undo(slice_make(frame, cut), LEN, &raw, &raw_len), ERR_CORRUPT);
    for (int i = 0; i < 3000; i++) {
        uint32_t at = dice_roll(&dice, (uint32_t)len);
        uint8_t before = frame[at];
        frame[at] ^= (uint8_t)(1 << dice_roll(&dice, 8));
        if (compress_undo(slice_make(frame, len), 1 << 20, &raw, &raw_len) == 0)
            free(raw);
        frame[at] = before;
    }
    free(frame);
    compressor_fini(&compressor);
}

static void no_block_of_snappy_looks_like_a_frame(void **state)
{
    (void)state;
    uint8_t text[40] = {0xb5, 0x2f, 0xfd}; /* a block of 40 bytes begins with 0x28, too */
    uint8_t *block = malloc(compress_room(sizeof text));
    assert_non_null(block);
    size_t len = compress_snappy(slice_make(text, sizeof text), block);
    assert_int_equal(block[0], 0x28);
    assert_false(compress_is_zstd(slice_make(block, len)));
    uint8_t *raw;
    size_t raw_len;
    assert_int_equal(compress_undo(slice_make(block, len), sizeof text, &raw, &raw_len), 0);
    assert_memory_equal(raw, text, sizeof text);
    free(raw);
    free(block);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_that_takes_zstd_gets_nothing_else),
        cmocka_unit_test(one_that_does_not_gets_the_same_as_snappy),
        cmocka_unit_test(a_refusal_of_the_samples_leaves_zstd_as_it_is),
        cmocka_unit_test(other_refusals_say_nothing_about_zstd),
        cmocka_unit_test(a_repeat_that_is_refused_is_resolved_as_ever),
        cmocka_unit_test(a_successor_repeats_byte_by_byte_whatever_its_configuration),
        cmocka_unit_test(a_successor_repeats_snappy_after_a_refusal),
        cmocka_unit_test(a_spool_of_zstd_goes_to_whoever_takes_it),
        cmocka_unit_test(a_spool_is_sent_as_the_configuration_says_by_then),
        cmocka_unit_test(what_is_no_frame_is_an_error),
        cmocka_unit_test(no_block_of_snappy_looks_like_a_frame),
    };
    return cmocka_run_group_tests(tests, items_reserve_descriptors, NULL);
}
