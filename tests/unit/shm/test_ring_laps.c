/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where the bytes of a ring lie, and which memory it has. */
#include "shm/ring.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "tests/unit/dice.h"
#include "tests/unit/shm/ring_pair.h"
#include "tests/unit/shm/segments.h"

#define DATA  (4 * SHM_PIECE)
#define LARGE (64 * SHM_PIECE)

static void memory_is_taken_as_needed_and_goes_back_when_it_is_not_used(void **state)
{
    (void)state;
    struct ring_pair pair;
    ring_pair_make(&pair, DATA);
    uint64_t idle = segments_memory(pair.fd);
    ring_pair_trim(&pair, 1);
    ring_pair_put(&pair, 64, 1);
    assert_int_equal(segments_memory(pair.fd), idle + SHM_PIECE);
    ring_pair_put(&pair, DATA - 64, 2);
    assert_int_equal(segments_memory(pair.fd), idle + DATA);
    ring_pair_trim(&pair, 1000);
    assert_int_equal(segments_memory(pair.fd), idle + DATA); /* it waits to be read */
    ring_consumer_ack(&pair.out, DATA - 64);
    ring_pair_trim(&pair, RING_KEEP_S - 1);
    assert_int_equal(segments_memory(pair.fd), idle + DATA);
    ring_pair_trim(&pair, 1);
    assert_int_equal(segments_memory(pair.fd), idle + SHM_PIECE);
    ring_pair_expect(&pair, DATA - 64, 64, 2);
    /* Taken again, what is in use stays. */
    ring_pair_put(&pair, SHM_PIECE, 3);
    ring_pair_trim(&pair, 1);
    assert_int_equal(segments_memory(pair.fd), idle + 2 * SHM_PIECE);
    ring_pair_expect(&pair, DATA, SHM_PIECE, 3);
    ring_pair_acknowledge(&pair);
    ring_pair_trim(&pair, RING_KEEP_S);
    assert_int_equal(segments_memory(pair.fd), idle);
    ring_pair_destroy(&pair);
}

static void an_empty_ring_goes_on_at_its_start(void **state)
{
    (void)state;
    struct ring_pair pair;
    ring_pair_make(&pair, DATA);
    uint64_t idle = segments_memory(pair.fd);
    for (int i = 0; i < 100; i++) {
        uint64_t pos = ring_written(&pair.in);
        ring_pair_put(&pair, SHM_PIECE - 64, i);
        assert_ptr_equal(ring_consumer_at(&pair.out, pos), pair.out.data);
        ring_pair_expect(&pair, pos, SHM_PIECE - 64, i);
        ring_pair_acknowledge(&pair);
        assert_int_equal(ring_room(&pair.in), DATA);
    }
    assert_int_equal(segments_memory(pair.fd), idle + SHM_PIECE);
    ring_pair_destroy(&pair);
}

/* What is written and acknowledged in turn, with up to `lag` bytes on their way. */
static void stream(struct ring_pair *pair, uint64_t bytes, uint64_t lag)
{
    for (uint64_t end = ring_written(&pair->in) + bytes; ring_written(&pair->in) < end;) {
        ring_pair_put_marked(pair, 64 * 101);
        uint64_t produced = ring_consumer_produced(&pair->out);
        if (produced - ring_consumer_acked(&pair->out) > lag) {
            ring_pair_expect_marked(pair);
            ring_consumer_ack(&pair->out, produced - lag / 4);
        }
    }
}

static void a_steady_stream_goes_on_in_the_memory_that_it_has(void **state)
{
    (void)state;
    struct ring_pair pair;
    ring_pair_make(&pair, LARGE);
    uint64_t memory = 0;
    stream(&pair, 4 * LARGE, 3 * SHM_PIECE);
    for (uint32_t i = 0; i < 4 * RING_KEEP_S; i++) {
        stream(&pair, 16 * SHM_PIECE, 3 * SHM_PIECE);
        ring_pair_trim(&pair, 1);
        /* It is known what the stream needs: nothing is given back, nothing is taken. */
        if (i > 2 * RING_KEEP_S)
            assert_int_equal(segments_memory(pair.fd), memory);
        memory = segments_memory(pair.fd);
        assert_true(memory < 12 * SHM_PIECE);
    }
    ring_pair_destroy(&pair);
}

static void a_stream_that_is_not_acknowledged_fills_the_whole_ring(void **state)
{
    (void)state;
    struct ring_pair pair;
    ring_pair_make(&pair, LARGE);
    struct dice dice = dice_new("filling");
    ring_pair_trim(&pair, 1);
    for (int round = 0; round < 10; round++) {
        stream(&pair, LARGE + 64 * dice_roll(&dice, 30000), 3 * SHM_PIECE);
        while (ring_room(&pair.in) >= 64)
            ring_pair_put_marked(&pair,
                                 64 * (1 + dice_roll(&dice, ring_room(&pair.in) < 6400 ? 1 : 100)));
        /* Between two laps less than one reservation may be left. */
        uint64_t waiting = ring_written(&pair.in) - ring_consumer_acked(&pair.out);
        assert_true(waiting > LARGE - 6400);
        ring_pair_expect_marked(&pair);
        uint64_t memory = segments_memory(pair.fd);
        ring_consumer_ack(&pair.out, ring_consumer_acked(&pair.out) + LARGE / 2);
        ring_pair_put_marked(&pair, LARGE / 4);
        ring_pair_expect_marked(&pair);
        ring_pair_acknowledge(&pair);
        ring_pair_trim(&pair, RING_KEEP_S);
        assert_true(segments_memory(pair.fd) < memory / 4);
    }
    ring_pair_destroy(&pair);
}

static void what_is_begun_lies_in_one_lap_where_all_of_it_fits(void **state)
{
    (void)state;
    struct ring_pair pair;
    ring_pair_make(&pair, LARGE);
    stream(&pair, LARGE + 12 * SHM_PIECE, 3 * SHM_PIECE);
    for (int i = 0; i < 20; i++) {
        /* The gap at the start is too small for it. */
        ring_pair_put_marked(&pair, 64);
        ring_begin(&pair.in, LARGE / 2);
        uint64_t pos = ring_written(&pair.in);
        void *first, *last;
        assert_int_equal(ring_reserve(&pair.in, 64, &first), 0);
        assert_int_equal(ring_reserve(&pair.in, LARGE / 2 - 128, &last), 0);
        memset(last, i, LARGE / 2 - 128);
        assert_int_equal(ring_reserve(&pair.in, 64, &last), 0);
        segments_publish(&pair.in);
        ring_pair_expect(&pair, pos + 64, LARGE / 2 - 128, i);
        stream(&pair, 8 * SHM_PIECE, LARGE);
        ring_pair_acknowledge(&pair);
        ring_pair_put_marked(&pair, 64);
        stream(&pair, 8 * SHM_PIECE, SHM_PIECE);
    }
    ring_pair_destroy(&pair);
}

static void memory_that_was_prepared_is_there_when_it_is_begun(void **state)
{
    (void)state;
    struct ring_pair pair;
    ring_pair_make(&pair, LARGE);
    stream(&pair, 12 * SHM_PIECE, 3 * SHM_PIECE);
    int calls = 1;
    while (!ring_prepare(&pair.in, LARGE / 2)) {
        ring_pair_put_marked(&pair, 64); /* others go on meanwhile */
        calls++;
    }
    assert_true(calls >= 4);
    uint64_t memory = segments_memory(pair.fd);
    ring_begin(&pair.in, LARGE / 2);
    ring_pair_put_marked(&pair, LARGE / 2);
    assert_true(segments_memory(pair.fd) <= memory + SHM_PIECE);
    assert_true(ring_prepare(&pair.in, 2 * LARGE)); /* it never will */
    ring_pair_destroy(&pair);
}

/* A scrape that was rolled back had begun a lap. */
static void a_lap_that_is_rolled_back_was_never_there(void **state)
{
    (void)state;
    struct ring_pair pair;
    ring_pair_make(&pair, LARGE);
    for (int i = 0; i < 100; i++) {
        void *room;
        ring_pair_put_marked(&pair, 64 * 100);
        ring_pair_acknowledge(&pair);
        assert_int_equal(ring_reserve(&pair.in, 64, &room), 0); /* goes back to the start */
        ring_rollback(&pair.in);
        if (i % 3 == 0) {
            ring_pair_detach(&pair);
            ring_pair_attach(&pair);
        }
        ring_pair_put_marked(&pair, 640);
        ring_pair_expect_marked(&pair);
    }
    ring_pair_destroy(&pair);
}

static void laps_that_do_not_say_where_something_lies_are_refused(void **state)
{
    (void)state;
    static const struct shm_ring_lap cases[] = {{SHM_NO_LAP, 0}, {128, 0},   {32, 0},
                                                {0, 32},         {0, LARGE}, {0, UINT64_MAX}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct ring_pair pair;
        ring_pair_make(&pair, LARGE);
        ring_pair_put_marked(&pair, 640);
        ring_consumer_ack(&pair.out, 64);
        for (size_t slot = 0; slot < SHM_RING_LAPS; slot++)
            pair.in.own->laps[slot] = cases[i];
        const uint8_t *at = ring_consumer_at(&pair.out, 64);
        assert_true(at >= pair.out.data && at < pair.out.data + LARGE);
        assert_int_equal((at - pair.out.data) % RING_ALIGN, 0);
        struct ring_producer in;
        struct errctx errctx;
        assert_int_equal(ring_producer_attach(&in, pair.fd, 0, &errctx), ERR_CORRUPT);
        assert_non_null(strstr(errctx.text, "laps"));
        ring_pair_destroy(&pair);
    }
}

/* Anything in any order, and deaths in between. */
static void what_waits_is_found_whatever_comes(void **state)
{
    (void)state;
    struct ring_pair pair;
    ring_pair_make(&pair, LARGE);
    struct dice dice = dice_new("laps");
    uint32_t lag = 100;
    for (int i = 0; i < 20000; i++) {
        uint64_t waiting = ring_written(&pair.in) - ring_consumer_acked(&pair.out);
        uint64_t room = ring_room(&pair.in);
        size_t bytes = 64 * (1 + dice_roll(&dice, 2000));
        if (dice_roll(&dice, 500) == 0)
            lag = 1 + dice_roll(&dice, LARGE / 64);
        assert_true(room <= LARGE - waiting);
        if (bytes <= room)
            ring_pair_put_marked(&pair, bytes);
        if (waiting / 64 > lag || bytes > room)
            ring_consumer_ack(&pair.out, ring_consumer_acked(&pair.out) +
                                             64 * dice_roll(&dice, (uint32_t)(waiting / 64) + 1));
        if (dice_roll(&dice, 10) == 0)
            ring_pair_trim(&pair, dice_roll(&dice, RING_KEEP_S));
        if (dice_roll(&dice, 100) == 0) {
            ring_pair_detach(&pair);
            ring_pair_attach(&pair);
        }
        if (i % 16 == 0)
            ring_pair_expect_marked(&pair);
    }
    ring_pair_destroy(&pair);
}

/* So many pieces from 25 on wait, and never more than 20 did. */
static void let_wait(struct ring_pair *pair)
{
    ring_pair_put_marked(pair, 20 * SHM_PIECE);
    ring_consumer_ack(&pair->out, 15 * SHM_PIECE);
    ring_pair_put_marked(pair, 15 * SHM_PIECE);
    ring_consumer_ack(&pair->out, 25 * SHM_PIECE);
    ring_pair_put_marked(pair, 10 * SHM_PIECE);
    assert_int_equal(ring_room(&pair->in), 44 * SHM_PIECE);
}

static bool is_at_start(const struct ring_pair *pair, uint64_t pos)
{
    return ring_consumer_at(&pair->out, pos) == (const void *)pair->out.data;
}

/* Each takes 1 piece, with so many promised before, its own among them. */
static void what_is_promised_is_not_split_by_going_back(void **state)
{
    (void)state;
    static const struct {
        uint64_t promised;
        bool goes_back;
    } cases[] = {{0, true}, {24, true}, {25, false}, {31, false}, {44, false}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct ring_pair pair;
        ring_pair_make(&pair, LARGE);
        let_wait(&pair);
        uint64_t pos = ring_written(&pair.in);
        pair.in.promised = cases[i].promised * SHM_PIECE;
        ring_pair_put_marked(&pair, SHM_PIECE);
        assert_int_equal(is_at_start(&pair, pos), cases[i].goes_back);
        if (cases[i].promised > 0)
            ring_pair_put_marked(&pair, (cases[i].promised - 1) * SHM_PIECE);
        ring_pair_expect_marked(&pair);
        ring_pair_destroy(&pair);
    }
}

/* As if there had been more before than now is. */
static void what_still_waits_is_lately_under_way(void **state)
{
    (void)state;
    for (int is_successor = 0; is_successor < 2; is_successor++) {
        struct ring_pair pair;
        ring_pair_make(&pair, LARGE);
        let_wait(&pair);
        for (int i = 0; i < 4; i++)
            ring_pair_trim(&pair, RING_KEEP_S);
        if (is_successor) {
            ring_pair_detach(&pair);
            ring_pair_attach(&pair);
        }
        ring_pair_put_marked(&pair, 6 * SHM_PIECE);
        assert_int_equal(ring_room(&pair.in), 38 * SHM_PIECE);
        ring_pair_expect_marked(&pair);
        ring_pair_destroy(&pair);
    }
}

static void what_did_not_fit_is_tried_in_every_gap_again(void **state)
{
    (void)state;
    struct ring_pair pair;
    ring_pair_make(&pair, LARGE);
    let_wait(&pair);
    ring_pair_put_marked(&pair, SHM_PIECE); /* at the start, and the next one behind it */
    ring_pair_put_marked(&pair, 20 * SHM_PIECE);
    ring_pair_put_marked(&pair, 6 * SHM_PIECE); /* behind what waited before */
    assert_int_equal(ring_pair_reserve(&pair, 20 * SHM_PIECE, 1), ERR_FULL);
    ring_consumer_ack(&pair.out, 45 * SHM_PIECE);
    assert_int_equal(ring_room(&pair.in), 24 * SHM_PIECE);
    ring_pair_put_marked(&pair, 20 * SHM_PIECE);
    ring_pair_expect_marked(&pair);
    ring_pair_destroy(&pair);
}

static void a_successor_gives_back_what_nobody_reads(void **state)
{
    (void)state;
    struct ring_pair pair;
    ring_pair_make(&pair, DATA);
    uint64_t idle = segments_memory(pair.fd);
    ring_pair_put(&pair, DATA - 64, 1);
    ring_consumer_ack(&pair.out, DATA - 128);
    ring_pair_detach(&pair);
    ring_pair_attach(&pair);
    assert_int_equal(segments_memory(pair.fd), idle + SHM_PIECE);
    ring_pair_expect(&pair, DATA - 128, 64, 1);
    ring_pair_destroy(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_taken_as_needed_and_goes_back_when_it_is_not_used),
        cmocka_unit_test(an_empty_ring_goes_on_at_its_start),
        cmocka_unit_test(a_steady_stream_goes_on_in_the_memory_that_it_has),
        cmocka_unit_test(a_stream_that_is_not_acknowledged_fills_the_whole_ring),
        cmocka_unit_test(what_is_begun_lies_in_one_lap_where_all_of_it_fits),
        cmocka_unit_test(memory_that_was_prepared_is_there_when_it_is_begun),
        cmocka_unit_test(a_lap_that_is_rolled_back_was_never_there),
        cmocka_unit_test(laps_that_do_not_say_where_something_lies_are_refused),
        cmocka_unit_test(what_waits_is_found_whatever_comes),
        cmocka_unit_test(what_is_promised_is_not_split_by_going_back),
        cmocka_unit_test(what_still_waits_is_lately_under_way),
        cmocka_unit_test(what_did_not_fit_is_tried_in_every_gap_again),
        cmocka_unit_test(a_successor_gives_back_what_nobody_reads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
