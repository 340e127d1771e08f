/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "shm/ring.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/clock.h"
#include "tests/unit/dice.h"
#include "tests/unit/shm/segments.h"

#define DATA (4 * SHM_PIECE)

struct pair {
    int fd;
    struct ring_producer in;
    struct ring_consumer out;
    int64_t now_ns;
};

static void attach(struct pair *pair)
{
    struct errctx errctx = {{0}};
    if (ring_producer_attach(&pair->in, pair->fd, 0, &errctx) != 0 ||
        ring_consumer_attach(&pair->out, pair->fd, 0, true, &errctx) != 0)
        fail_msg("%s", errctx.text);
}

static void setup(struct pair *pair)
{
    *pair = (struct pair){.fd = segments_ring(DATA)};
    attach(pair);
}

static void detach(struct pair *pair)
{
    ring_producer_detach(&pair->in);
    ring_consumer_detach(&pair->out);
}

static void teardown(struct pair *pair)
{
    detach(pair);
    close(pair->fd);
}

static int reserve(struct pair *pair, size_t bytes, int fill)
{
    void *room;
    int err = ring_reserve(&pair->in, bytes, &room);
    if (err == 0)
        memset(room, fill, bytes);
    return err;
}

static void put(struct pair *pair, size_t bytes, int fill)
{
    assert_int_equal(reserve(pair, bytes, fill), 0);
    segments_publish(&pair->in);
}

static void assert_bytes(const struct pair *pair, uint64_t pos, size_t bytes, int fill)
{
    const uint8_t *at = ring_consumer_at(&pair->out, pos);
    for (size_t i = 0; i < bytes; i++)
        assert_int_equal(at[i], fill);
}

static void set_positions(int fd, uint64_t produced, uint64_t acked)
{
    assert_int_equal(pwrite(fd, &produced, 8, SHM_PAGE), 8);
    assert_int_equal(pwrite(fd, &acked, 8, 2 * SHM_PAGE), 8);
}

static void nothing_is_seen_before_it_is_published(void **state)
{
    (void)state;
    struct pair pair;
    setup(&pair);
    assert_int_equal(reserve(&pair, 64, 1), 0);
    assert_int_equal(reserve(&pair, 128, 2), 0);
    assert_int_equal(ring_written(&pair.in), 192);
    assert_int_equal(ring_consumer_produced(&pair.out), 0);
    segments_publish(&pair.in);
    assert_int_equal(ring_consumer_produced(&pair.out), 192);
    assert_bytes(&pair, 0, 64, 1);
    assert_bytes(&pair, 64, 128, 2);
    teardown(&pair);
}

static void what_is_rolled_back_was_never_there(void **state)
{
    (void)state;
    struct pair pair;
    setup(&pair);
    put(&pair, 64, 1);
    assert_int_equal(reserve(&pair, 640, 2), 0);
    ring_rollback(&pair.in);
    put(&pair, 64, 3);
    assert_int_equal(ring_consumer_produced(&pair.out), 128);
    assert_bytes(&pair, 64, 64, 3);
    teardown(&pair);
}

static void a_full_ring_refuses_and_goes_on_after_an_acknowledgement(void **state)
{
    (void)state;
    struct pair pair;
    setup(&pair);
    put(&pair, DATA - 64, 1);
    assert_int_equal(ring_room(&pair.in), 64);
    assert_int_equal(reserve(&pair, 128, 2), ERR_FULL);
    put(&pair, 64, 2);
    assert_int_equal(reserve(&pair, 64, 3), ERR_FULL);
    assert_int_equal(ring_room(&pair.in), 0);
    ring_consumer_ack(&pair.out, 64);
    put(&pair, 64, 3);
    assert_int_equal(reserve(&pair, 64, 4), ERR_FULL);
    assert_bytes(&pair, 64, DATA - 128, 1);
    assert_bytes(&pair, DATA - 64, 64, 2);
    assert_bytes(&pair, DATA, 64, 3);
    teardown(&pair);
}

static void more_than_the_ring_never_fits(void **state)
{
    (void)state;
    struct pair pair;
    setup(&pair);
    assert_int_equal(reserve(&pair, DATA + 64, 0), ERR_FULL);
    put(&pair, DATA, 7);
    assert_bytes(&pair, 0, DATA, 7);
    teardown(&pair);
}

static void what_lies_across_the_end_is_in_one_piece(void **state)
{
    (void)state;
    struct pair pair;
    setup(&pair);
    for (uint64_t lap = 0; lap < 20; lap++) {
        uint64_t pos = ring_written(&pair.in);
        put(&pair, DATA / 3 / 64 * 64 + 64, (int)lap + 1);
        assert_bytes(&pair, pos, DATA / 3 / 64 * 64 + 64, (int)lap + 1);
        ring_consumer_ack(&pair.out, ring_consumer_produced(&pair.out));
    }
    teardown(&pair);
}

static void a_successor_goes_on_behind_what_was_published(void **state)
{
    (void)state;
    struct pair pair;
    setup(&pair);
    put(&pair, 640, 1);
    ring_consumer_ack(&pair.out, 64);
    assert_int_equal(reserve(&pair, 64, 2), 0);
    detach(&pair); /* dies here */
    attach(&pair);
    assert_int_equal(ring_consumer_produced(&pair.out), 640);
    assert_int_equal(ring_room(&pair.in), DATA - 576);
    put(&pair, 64, 3);
    assert_bytes(&pair, 64, 576, 1);
    assert_bytes(&pair, 640, 64, 3);
    teardown(&pair);
}

static void the_doorbell_is_rung_only_when_it_was_asked_for(void **state)
{
    (void)state;
    struct pair pair;
    setup(&pair);
    assert_int_equal(ring_consumer_wake_at(&pair.out, 192), 0);
    assert_int_equal(reserve(&pair, 128, 1), 0);
    assert_false(ring_publish(&pair.in));
    assert_int_equal(reserve(&pair, 64, 1), 0);
    assert_true(ring_publish(&pair.in));
    /* Too late to sleep: it is there already. */
    assert_int_equal(ring_consumer_wake_at(&pair.out, 192), 192);
    assert_int_equal(ring_consumer_wake_at(&pair.out, UINT64_MAX), 192);
    assert_int_equal(reserve(&pair, 64, 1), 0);
    assert_false(ring_publish(&pair.in));
    teardown(&pair);
}

/* So much later. */
static void trim(struct pair *pair, int64_t seconds)
{
    pair->now_ns += seconds * NS_PER_S;
    ring_trim(&pair->in, pair->now_ns);
}

static void acknowledge_all(struct pair *pair)
{
    ring_consumer_ack(&pair->out, ring_consumer_produced(&pair->out));
}

static void memory_is_taken_as_needed_and_goes_back_when_it_is_not_used(void **state)
{
    (void)state;
    struct pair pair;
    setup(&pair);
    uint64_t idle = segments_memory(pair.fd);
    trim(&pair, 1);
    put(&pair, 64, 1);
    assert_int_equal(segments_memory(pair.fd), idle + SHM_PIECE);
    put(&pair, DATA - 64, 2);
    assert_int_equal(segments_memory(pair.fd), idle + DATA);
    trim(&pair, 1000);
    assert_int_equal(segments_memory(pair.fd), idle + DATA); /* it waits to be read */
    ring_consumer_ack(&pair.out, DATA - 64);
    trim(&pair, RING_KEEP_S - 1);
    assert_int_equal(segments_memory(pair.fd), idle + DATA);
    trim(&pair, 1);
    assert_int_equal(segments_memory(pair.fd), idle + SHM_PIECE);
    assert_bytes(&pair, DATA - 64, 64, 2);
    /* Taken again, what is in use stays. */
    put(&pair, SHM_PIECE, 3);
    trim(&pair, 1);
    assert_int_equal(segments_memory(pair.fd), idle + 2 * SHM_PIECE);
    assert_bytes(&pair, DATA, SHM_PIECE, 3);
    acknowledge_all(&pair);
    trim(&pair, RING_KEEP_S);
    assert_int_equal(segments_memory(pair.fd), idle);
    teardown(&pair);
}

static void an_empty_ring_goes_on_at_its_start(void **state)
{
    (void)state;
    struct pair pair;
    setup(&pair);
    uint64_t idle = segments_memory(pair.fd);
    for (int i = 0; i < 100; i++) {
        uint64_t pos = ring_written(&pair.in);
        put(&pair, SHM_PIECE - 64, i);
        assert_ptr_equal(ring_consumer_at(&pair.out, pos), pair.out.data);
        assert_bytes(&pair, pos, SHM_PIECE - 64, i);
        acknowledge_all(&pair);
        assert_int_equal(ring_room(&pair.in), DATA);
    }
    assert_int_equal(segments_memory(pair.fd), idle + SHM_PIECE);
    teardown(&pair);
}

#define LARGE (64 * SHM_PIECE)

static void setup_large(struct pair *pair)
{
    *pair = (struct pair){.fd = segments_ring(LARGE)};
    attach(pair);
}

/* Each 64 bytes say where they lie. */
static void put_marked(struct pair *pair, size_t bytes)
{
    void *room;
    uint64_t pos = ring_written(&pair->in);
    assert_int_equal(ring_reserve(&pair->in, bytes, &room), 0);
    for (uint64_t at = 0; at < bytes; at += 64) {
        uint64_t here = pos + at;
        memcpy((uint8_t *)room + at, &here, sizeof(here));
    }
    segments_publish(&pair->in);
}

static void assert_marked(const struct pair *pair)
{
    uint64_t end = ring_consumer_produced(&pair->out);
    for (uint64_t pos = ring_consumer_acked(&pair->out); pos < end; pos += 64) {
        uint64_t seen;
        memcpy(&seen, ring_consumer_at(&pair->out, pos), sizeof(seen));
        assert_int_equal(seen, pos);
    }
}

/* What is written and acknowledged in turn, with up to `lag` bytes on their way. */
static void stream(struct pair *pair, uint64_t bytes, uint64_t lag)
{
    for (uint64_t end = ring_written(&pair->in) + bytes; ring_written(&pair->in) < end;) {
        put_marked(pair, 64 * 101);
        uint64_t produced = ring_consumer_produced(&pair->out);
        if (produced - ring_consumer_acked(&pair->out) > lag) {
            assert_marked(pair);
            ring_consumer_ack(&pair->out, produced - lag / 4);
        }
    }
}

static void a_steady_stream_goes_on_in_the_memory_that_it_has(void **state)
{
    (void)state;
    struct pair pair;
    setup_large(&pair);
    uint64_t memory = 0;
    stream(&pair, 4 * LARGE, 3 * SHM_PIECE);
    for (uint32_t i = 0; i < 4 * RING_KEEP_S; i++) {
        stream(&pair, 16 * SHM_PIECE, 3 * SHM_PIECE);
        trim(&pair, 1);
        /* It is known what the stream needs: nothing is given back, nothing is taken. */
        if (i > 2 * RING_KEEP_S)
            assert_int_equal(segments_memory(pair.fd), memory);
        memory = segments_memory(pair.fd);
        assert_true(memory < 12 * SHM_PIECE);
    }
    teardown(&pair);
}

static void a_stream_that_is_not_acknowledged_fills_the_whole_ring(void **state)
{
    (void)state;
    struct pair pair;
    setup_large(&pair);
    struct dice dice = dice_new("filling");
    trim(&pair, 1);
    for (int round = 0; round < 10; round++) {
        stream(&pair, LARGE + 64 * dice_roll(&dice, 30000), 3 * SHM_PIECE);
        while (ring_room(&pair.in) >= 64)
            put_marked(&pair, 64 * (1 + dice_roll(&dice, ring_room(&pair.in) < 6400 ? 1 : 100)));
        /* Between two laps less than one reservation may be left. */
        uint64_t waiting = ring_written(&pair.in) - ring_consumer_acked(&pair.out);
        assert_true(waiting > LARGE - 6400);
        assert_marked(&pair);
        uint64_t memory = segments_memory(pair.fd);
        ring_consumer_ack(&pair.out, ring_consumer_acked(&pair.out) + LARGE / 2);
        put_marked(&pair, LARGE / 4);
        assert_marked(&pair);
        acknowledge_all(&pair);
        trim(&pair, RING_KEEP_S);
        assert_true(segments_memory(pair.fd) < memory / 4);
    }
    teardown(&pair);
}

static void what_is_begun_lies_in_one_lap_where_all_of_it_fits(void **state)
{
    (void)state;
    struct pair pair;
    setup_large(&pair);
    stream(&pair, LARGE + 12 * SHM_PIECE, 3 * SHM_PIECE);
    for (int i = 0; i < 20; i++) {
        /* The gap at the start is too small for it. */
        put_marked(&pair, 64);
        ring_begin(&pair.in, LARGE / 2);
        uint64_t pos = ring_written(&pair.in);
        void *first, *last;
        assert_int_equal(ring_reserve(&pair.in, 64, &first), 0);
        assert_int_equal(ring_reserve(&pair.in, LARGE / 2 - 128, &last), 0);
        memset(last, i, LARGE / 2 - 128);
        assert_int_equal(ring_reserve(&pair.in, 64, &last), 0);
        segments_publish(&pair.in);
        assert_bytes(&pair, pos + 64, LARGE / 2 - 128, i);
        stream(&pair, 8 * SHM_PIECE, LARGE);
        acknowledge_all(&pair);
        put_marked(&pair, 64);
        stream(&pair, 8 * SHM_PIECE, SHM_PIECE);
    }
    teardown(&pair);
}

static void memory_that_was_prepared_is_there_when_it_is_begun(void **state)
{
    (void)state;
    struct pair pair;
    setup_large(&pair);
    stream(&pair, 12 * SHM_PIECE, 3 * SHM_PIECE);
    int calls = 1;
    while (!ring_prepare(&pair.in, LARGE / 2)) {
        put_marked(&pair, 64); /* others go on meanwhile */
        calls++;
    }
    assert_true(calls >= 4);
    uint64_t memory = segments_memory(pair.fd);
    ring_begin(&pair.in, LARGE / 2);
    put_marked(&pair, LARGE / 2);
    assert_true(segments_memory(pair.fd) <= memory + SHM_PIECE);
    assert_true(ring_prepare(&pair.in, 2 * LARGE)); /* it never will */
    teardown(&pair);
}

/* A scrape that was rolled back had begun a lap. */
static void a_lap_that_is_rolled_back_was_never_there(void **state)
{
    (void)state;
    struct pair pair;
    setup_large(&pair);
    for (int i = 0; i < 100; i++) {
        void *room;
        put_marked(&pair, 64 * 100);
        acknowledge_all(&pair);
        assert_int_equal(ring_reserve(&pair.in, 64, &room), 0); /* goes back to the start */
        ring_rollback(&pair.in);
        if (i % 3 == 0) {
            detach(&pair);
            attach(&pair);
        }
        put_marked(&pair, 640);
        assert_marked(&pair);
    }
    teardown(&pair);
}

static void laps_that_do_not_say_where_something_lies_are_refused(void **state)
{
    (void)state;
    static const struct shm_ring_lap cases[] = {{SHM_NO_LAP, 0}, {128, 0},   {32, 0},
                                                {0, 32},         {0, LARGE}, {0, UINT64_MAX}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct pair pair;
        setup_large(&pair);
        put_marked(&pair, 640);
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
        teardown(&pair);
    }
}

/* Anything in any order, and deaths in between. */
static void what_waits_is_found_whatever_comes(void **state)
{
    (void)state;
    struct pair pair;
    setup_large(&pair);
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
            put_marked(&pair, bytes);
        if (waiting / 64 > lag || bytes > room)
            ring_consumer_ack(&pair.out, ring_consumer_acked(&pair.out) +
                                             64 * dice_roll(&dice, (uint32_t)(waiting / 64) + 1));
        if (dice_roll(&dice, 10) == 0)
            trim(&pair, dice_roll(&dice, RING_KEEP_S));
        if (dice_roll(&dice, 100) == 0) {
            detach(&pair);
            attach(&pair);
        }
        if (i % 16 == 0)
            assert_marked(&pair);
    }
    teardown(&pair);
}

/* So many pieces from 25 on wait, and never more than 20 did. */
static void let_wait(struct pair *pair)
{
    put_marked(pair, 20 * SHM_PIECE);
    ring_consumer_ack(&pair->out, 15 * SHM_PIECE);
    put_marked(pair, 15 * SHM_PIECE);
    ring_consumer_ack(&pair->out, 25 * SHM_PIECE);
    put_marked(pair, 10 * SHM_PIECE);
    assert_int_equal(ring_room(&pair->in), 44 * SHM_PIECE);
}

static bool is_at_start(const struct pair *pair, uint64_t pos)
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
        struct pair pair;
        setup_large(&pair);
        let_wait(&pair);
        uint64_t pos = ring_written(&pair.in);
        pair.in.promised = cases[i].promised * SHM_PIECE;
        put_marked(&pair, SHM_PIECE);
        assert_int_equal(is_at_start(&pair, pos), cases[i].goes_back);
        if (cases[i].promised > 0)
            put_marked(&pair, (cases[i].promised - 1) * SHM_PIECE);
        assert_marked(&pair);
        teardown(&pair);
    }
}

/* As if there had been more before than now is. */
static void what_still_waits_is_lately_under_way(void **state)
{
    (void)state;
    for (int is_successor = 0; is_successor < 2; is_successor++) {
        struct pair pair;
        setup_large(&pair);
        let_wait(&pair);
        for (int i = 0; i < 4; i++)
            trim(&pair, RING_KEEP_S);
        if (is_successor) {
            detach(&pair);
            attach(&pair);
        }
        put_marked(&pair, 6 * SHM_PIECE);
        assert_int_equal(ring_room(&pair.in), 38 * SHM_PIECE);
        assert_marked(&pair);
        teardown(&pair);
    }
}

static void what_did_not_fit_is_tried_in_every_gap_again(void **state)
{
    (void)state;
    struct pair pair;
    setup_large(&pair);
    let_wait(&pair);
    put_marked(&pair, SHM_PIECE); /* at the start, and the next one behind it */
    put_marked(&pair, 20 * SHM_PIECE);
    put_marked(&pair, 6 * SHM_PIECE); /* behind what waited before */
    assert_int_equal(reserve(&pair, 20 * SHM_PIECE, 1), ERR_FULL);
    ring_consumer_ack(&pair.out, 45 * SHM_PIECE);
    assert_int_equal(ring_room(&pair.in), 24 * SHM_PIECE);
    put_marked(&pair, 20 * SHM_PIECE);
    assert_marked(&pair);
    teardown(&pair);
}

static void a_successor_gives_back_what_nobody_reads(void **state)
{
    (void)state;
    struct pair pair;
    setup(&pair);
    uint64_t idle = segments_memory(pair.fd);
    put(&pair, DATA - 64, 1);
    ring_consumer_ack(&pair.out, DATA - 128);
    detach(&pair);
    attach(&pair);
    assert_int_equal(segments_memory(pair.fd), idle + SHM_PIECE);
    assert_bytes(&pair, DATA - 128, 64, 1);
    teardown(&pair);
}

static void positions_that_cannot_be_are_refused_by_the_producer(void **state)
{
    (void)state;
    static const struct {
        uint64_t produced;
        uint64_t acked;
    } cases[] = {{64, 128}, {DATA + 64, 0}, {65, 64}, {UINT64_MAX - 63, 0}, {0, UINT64_MAX}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct ring_producer in;
        struct errctx errctx;
        int fd = segments_ring(DATA);
        set_positions(fd, cases[i].produced, cases[i].acked);
        assert_int_equal(ring_producer_attach(&in, fd, 0, &errctx), ERR_CORRUPT);
        close(fd);
    }
}

static void positions_that_cannot_be_look_like_an_empty_ring_to_the_consumer(void **state)
{
    (void)state;
    static const uint64_t cases[] = {64, DATA + 192, 129, UINT64_MAX, 0};
    struct pair pair;
    setup(&pair);
    put(&pair, 256, 1);
    ring_consumer_ack(&pair.out, 128);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        set_positions(pair.fd, cases[i], 128);
        assert_int_equal(ring_consumer_produced(&pair.out), 128);
        ring_consumer_ack(&pair.out, 192);
        ring_consumer_ack(&pair.out, 64);
        assert_int_equal(ring_consumer_acked(&pair.out), 128);
    }
    teardown(&pair);
}

static void an_acknowledgement_that_cannot_be_gives_no_room(void **state)
{
    (void)state;
    struct pair pair;
    setup(&pair);
    put(&pair, DATA, 1);
    ring_consumer_ack(&pair.out, 64);
    assert_int_equal(ring_room(&pair.in), 64);
    set_positions(pair.fd, DATA, DATA + 64);
    assert_int_equal(ring_room(&pair.in), 64);
    set_positions(pair.fd, DATA, UINT64_MAX);
    assert_int_equal(ring_room(&pair.in), 64);
    teardown(&pair);
}

static void a_ring_of_another_size_than_it_says_is_refused(void **state)
{
    (void)state;
    static const uint64_t geometries[] = {DATA / 2, DATA * 2, DATA - 64, 0, UINT64_MAX};
    for (size_t i = 0; i < sizeof(geometries) / sizeof(geometries[0]); i++) {
        struct ring_consumer out;
        struct errctx errctx;
        int fd = segments_new(SHM_KIND_RING, 0, SHM_RING_DATA + DATA, geometries[i]);
        assert_int_equal(ring_consumer_attach(&out, fd, 0, true, &errctx), ERR_CORRUPT);
        close(fd);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_seen_before_it_is_published),
        cmocka_unit_test(what_is_rolled_back_was_never_there),
        cmocka_unit_test(a_full_ring_refuses_and_goes_on_after_an_acknowledgement),
        cmocka_unit_test(more_than_the_ring_never_fits),
        cmocka_unit_test(what_lies_across_the_end_is_in_one_piece),
        cmocka_unit_test(a_successor_goes_on_behind_what_was_published),
        cmocka_unit_test(the_doorbell_is_rung_only_when_it_was_asked_for),
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
        cmocka_unit_test(positions_that_cannot_be_are_refused_by_the_producer),
        cmocka_unit_test(positions_that_cannot_be_look_like_an_empty_ring_to_the_consumer),
        cmocka_unit_test(an_acknowledgement_that_cannot_be_gives_no_room),
        cmocka_unit_test(a_ring_of_another_size_than_it_says_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
