/* SPDX-License-Identifier: GPL-2.0-or-later */
/* However large a body is, a turn of the loop does so much of the work on it, and of that of its
 * end, and no more. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <zlib.h>

#include "base/clock.h"
#include "scrapers/scrape.h"
#include "tests/unit/scrapers/rig.h"

#define PIECE (16u << 10) /* that is given to the parser at once */

/* The answer with this body, compressed or not. Freed by the caller; the text is used up. */
static struct rig_answer answer_of(uint8_t *text, size_t len, bool is_compressed)
{
    size_t room = len + 4096;
    char *answer = malloc(room);
    assert_non_null(answer);
    z_stream zlib = {.next_in = text, .avail_in = (uInt)len};
    assert_int_equal(deflateInit2(&zlib, is_compressed ? 9 : 0, Z_DEFLATED, 16 + MAX_WBITS, 8,
                                  Z_DEFAULT_STRATEGY),
                     Z_OK);
    uint8_t *packed = malloc(deflateBound(&zlib, len));
    assert_non_null(packed);
    zlib.next_out = packed;
    zlib.avail_out = (uInt)deflateBound(&zlib, len);
    assert_int_equal(deflate(&zlib, Z_FINISH), Z_STREAM_END);
    size_t body_len = is_compressed ? zlib.total_out : len;
    size_t head = (size_t)snprintf(answer, room,
                                   "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n%s"
                                   "Content-Length: %zu\r\n\r\n",
                                   is_compressed ? "Content-Encoding: gzip\r\n" : "", body_len);
    memcpy(answer + head, is_compressed ? packed : text, body_len);
    deflateEnd(&zlib);
    free(packed);
    free(text);
    return (struct rig_answer){.bytes = answer, .len = head + body_len};
}

static struct rig_answer make_answer(size_t lines, bool is_compressed)
{
    static const char line[] = "a_line_that_comes_again 1\n";
    size_t len = lines * (sizeof(line) - 1);
    uint8_t *text = malloc(len);
    assert_non_null(text);
    for (size_t i = 0; i < lines; i++)
        memcpy(text + i * (sizeof(line) - 1), line, sizeof(line) - 1);
    return answer_of(text, len, is_compressed);
}

/* Runs a scrape of the answer; the most bytes of the body that one turn has worked on. */
static uint64_t most_in_a_turn(struct rig *rig, const struct rig_answer *answer)
{
    uint64_t most = 0;
    rig_start(rig, 1, answer);
    const struct target *target = rig_target(rig, 1);
    while (target->scrape != NULL) {
        const struct scrape *scrape = target->scrape;
        uint64_t before = scrape->body_bytes;
        assert_int_equal(loop_run_once(rig->loop, NS_PER_S), 0);
        if (target->scrape == NULL)
            break;
        uint64_t done = scrape->body_bytes - before;
        most = done > most ? done : most;
    }
    return most;
}

static void work_on(size_t lines, bool is_compressed)
{
    char report[128];
    struct rig *rig = rig_new();
    struct rig_answer answer = make_answer(lines, is_compressed);
    rig_table(rig, &(struct rig_target){0}, 1);
    uint64_t most = most_in_a_turn(rig, &answer);
    assert_true(most > 0 && most <= WORK_A_TURN + PIECE);
    snprintf(report, sizeof(report),
             "a_line_that_comes_again 1\nup 1 scraped %zu post %zu added 1\n", lines, lines);
    assert_string_equal(rig_take(rig), report);
    assert_int_equal(rig_counter(rig, COUNTER_SAMPLES_DUPLICATE), lines - 1);
    if (is_compressed)
        assert_true(rig_counter(rig, COUNTER_PUT_OFF) > 0);
    rig_free(rig);
    free((char *)(uintptr_t)answer.bytes);
}

static void a_large_body_is_worked_on_in_slices(void **state)
{
    (void)state;
    work_on(200000, false);
}

static void a_body_that_is_compressed_a_thousandfold_is_worked_on_in_slices(void **state)
{
    (void)state;
    work_on(200000, true);
}

/* A body of this many series, of which the last `fresh` ones have names of this round. */
static struct rig_answer make_series(uint32_t count, uint32_t fresh, uint32_t round)
{
    struct strbuf text = STRBUF_GROWING;
    for (uint32_t i = 0; i < count; i++) {
        if (i < count - fresh)
            strbuf_addf(&text, "series_%u 1\n", i);
        else
            strbuf_addf(&text, "series_%u_%u 1\n", i, round);
    }
    return (struct rig_answer){.bytes = text.text, .len = text.len};
}

/* To learn a line costs much more than to look at the bytes of a short one. */
static void a_turn_reads_so_many_new_lines_however_short_they_are(void **state)
{
    enum { SERIES = 60000, LINES = WORK_A_TURN / WORK_OF_A_LINE, LINE_LEAST = 14 };
    (void)state;
    struct rig *rig = rig_new_sized(8 << 20, 64 << 20);
    struct rig_answer body = make_series(SERIES, 0, 0); /* it comes as many bytes at a time */
    struct rig_answer answer = answer_of((uint8_t *)(uintptr_t)body.bytes, body.len, true);
    rig_table(rig, &(struct rig_target){0}, 1);
    rig_start(rig, 1, &answer);
    const struct target *target = rig_target(rig, 1);
    uint32_t most = 0;
    while (target->scrape != NULL && target->scrape->ending == NULL) {
        uint32_t before = target->scrape->uses_body ? target->scrape->body.scraped : 0;
        assert_int_equal(loop_run_once(rig->loop, NS_PER_S), 0);
        assert_non_null(target->scrape); /* it ends in parts */
        uint32_t done = target->scrape->uses_body ? target->scrape->body.scraped - before : before;
        most = done > most ? done : most;
    }
    /* Each time it goes on it takes a piece, which may be twice in a turn. */
    assert_in_range(most, 1, LINES + 2 * PIECE / LINE_LEAST);
    rig_finish(rig);
    assert_int_equal(rig_counter(rig, COUNTER_LINES_LEARNT), SERIES);
    rig_free(rig);
    free((char *)(uintptr_t)answer.bytes);
}

/* Counts turns of a scrape; none of them looks at more lines than the budget is for. */
static void scrape_in_parts(struct rig *rig, const struct rig_answer *answer, uint32_t *ret_turns)
{
    rig_start(rig, 1, answer);
    struct target *target = rig_target(rig, 1);
    *ret_turns = 0;
    while (target->scrape != NULL) {
        bool is_ending = target->scrape->ending != NULL;
        assert_int_equal(loop_run_once(rig->loop, NS_PER_S), 0);
        *ret_turns += is_ending;
        if (is_ending)
            assert_true(rig->scraper.work.left > -2 * WORK_OF_A_LINE);
    }
}

static uint32_t lines_of(const char *text, const char *word)
{
    uint32_t count = 0;
    for (const char *at = text; (at = strstr(at, word)) != NULL; at++)
        count++;
    return count;
}

/* What a scrape of very many series comes to is the same as that of one with few. */
static void very_many_series_end_in_parts(void **state)
{
    enum { SERIES = 40000, FRESH = 3 };
    (void)state;
    struct rig *rig = rig_new_sized(8 << 20, 64 << 20);
    rig_table(rig, &(struct rig_target){0}, 1);
    for (uint32_t round = 0; round < 3; round++) {
        uint32_t turns;
        struct rig_answer answer = make_series(SERIES, FRESH, round);
        scrape_in_parts(rig, &answer, &turns);
        const char *text = rig_take(rig);
        assert_int_equal(lines_of(text, " 1\n"), SERIES);
        assert_int_equal(lines_of(text, " stale\n"), round == 0 ? 0 : FRESH);
        assert_int_equal(lines_of(text, "up 1 scraped 40000 post 40000 "), 1);
        assert_int_equal(lines_of(text, round == 0 ? "added 40000\n" : "added 3\n"), 1);
        /* Each series is looked at several times, by outcome, layout and plan. */
        assert_true(turns > SERIES / (WORK_A_TURN / WORK_OF_A_LINE));
        free((char *)(uintptr_t)answer.bytes);
    }
    rig_free(rig);
}

/* Runs a scrape of very many series until it ends; the rest of that is for the next turns. */
static struct rig *new_ending_rig(const struct rig_answer *answer)
{
    struct rig *rig = rig_new_sized(8 << 20, 64 << 20);
    rig_table(rig, &(struct rig_target){0}, 1);
    rig_start(rig, 1, answer);
    while (rig_target(rig, 1)->scrape->ending == NULL)
        assert_int_equal(loop_run_once(rig->loop, NS_PER_S), 0);
    return rig;
}

static void one_that_is_given_up_while_it_ends_leaves_nothing(void **state)
{
    enum { SERIES = 40000 };
    (void)state;
    for (int turns = 0; turns < 40; turns += 3) {
        struct rig_answer answer = make_series(SERIES, 0, 0);
        struct rig *rig = new_ending_rig(&answer);
        struct target *target = rig_target(rig, 1);
        for (int i = 0; i < turns && target->scrape != NULL; i++)
            assert_int_equal(loop_run_once(rig->loop, NS_PER_S), 0);
        if (target->scrape != NULL)
            scrape_abandon(target->scrape);
        assert_null(rig->scraper.work.first);
        rig_free(rig); /* which checks that no plan is left */
        free((char *)(uintptr_t)answer.bytes);
    }
}

/* A timer that stayed in the loop would be the first for ever, and no other had its turn. */
static void a_scraper_that_is_gone_while_one_ends_leaves_no_timer_in_the_loop(void **state)
{
    enum { SERIES = 20000 };
    (void)state;
    struct rig_answer answer = make_series(SERIES, 0, 0);
    struct rig *rig = new_ending_rig(&answer);
    rig_restart(rig);
    rig_table(rig, NULL, 0);
    loop_timer_set(rig->loop, &rig_target(rig, 1)->departure, loop_now(rig->loop));
    assert_int_equal(loop_run_once(rig->loop, 0), 0);
    assert_null(rig_target(rig, 1));
    rig_free(rig);
    free((char *)(uintptr_t)answer.bytes);
}

static void a_small_one_is_done_with_in_the_turn_in_which_it_comes(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    struct rig_answer answer = make_answer(WORK_SMALL / WORK_OF_A_LINE, true);
    rig_table(rig, &(struct rig_target){0}, 1);
    rig_scrape(rig, 1, &answer);
    assert_int_equal(rig_counter(rig, COUNTER_PUT_OFF), 0);
    rig_free(rig);
    free((char *)(uintptr_t)answer.bytes);
}

static void one_that_is_given_up_meanwhile_leaves_nothing(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    struct rig_answer answer = make_answer(1000000, true);
    rig_table(rig, &(struct rig_target){0}, 1);
    rig_start(rig, 1, &answer);
    struct target *target = rig_target(rig, 1);
    while (!target->scrape->is_put_off)
        assert_int_equal(loop_run_once(rig->loop, NS_PER_S), 0);
    scrape_abandon(target->scrape);
    assert_null(rig->scraper.work.first);
    assert_int_equal(loop_run_once(rig->loop, 0), 0);
    rig_free(rig);
    free((char *)(uintptr_t)answer.bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_large_body_is_worked_on_in_slices),
        cmocka_unit_test(a_body_that_is_compressed_a_thousandfold_is_worked_on_in_slices),
        cmocka_unit_test(a_turn_reads_so_many_new_lines_however_short_they_are),
        cmocka_unit_test(a_small_one_is_done_with_in_the_turn_in_which_it_comes),
        cmocka_unit_test(very_many_series_end_in_parts),
        cmocka_unit_test(one_that_is_given_up_while_it_ends_leaves_nothing),
        cmocka_unit_test(a_scraper_that_is_gone_while_one_ends_leaves_no_timer_in_the_loop),
        cmocka_unit_test(one_that_is_given_up_meanwhile_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
