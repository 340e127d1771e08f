/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "shm/ring.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>
#include <cmocka.h>

#include "tests/unit/shm/ring_pair.h"
#include "tests/unit/shm/segments.h"

#define DATA (4 * SHM_PIECE)

static void set_positions(int fd, uint64_t produced, uint64_t acked)
{
    assert_int_equal(pwrite(fd, &produced, 8, SHM_PAGE), 8);
    assert_int_equal(pwrite(fd, &acked, 8, 2 * SHM_PAGE), 8);
}

static void nothing_is_seen_before_it_is_published(void **state)
{
    (void)state;
    struct ring_pair pair;
    ring_pair_make(&pair, DATA);
    assert_int_equal(ring_pair_reserve(&pair, 64, 1), 0);
    assert_int_equal(ring_pair_reserve(&pair, 128, 2), 0);
    assert_int_equal(ring_written(&pair.in), 192);
    assert_int_equal(ring_consumer_produced(&pair.out), 0);
    segments_publish(&pair.in);
    assert_int_equal(ring_consumer_produced(&pair.out), 192);
    ring_pair_expect(&pair, 0, 64, 1);
    ring_pair_expect(&pair, 64, 128, 2);
    ring_pair_destroy(&pair);
}

static void what_is_rolled_back_was_never_there(void **state)
{
    (void)state;
    struct ring_pair pair;
    ring_pair_make(&pair, DATA);
    ring_pair_put(&pair, 64, 1);
    assert_int_equal(ring_pair_reserve(&pair, 640, 2), 0);
    ring_rollback(&pair.in);
    ring_pair_put(&pair, 64, 3);
    assert_int_equal(ring_consumer_produced(&pair.out), 128);
    ring_pair_expect(&pair, 64, 64, 3);
    ring_pair_destroy(&pair);
}

static void a_full_ring_refuses_and_goes_on_after_an_acknowledgement(void **state)
{
    (void)state;
    struct ring_pair pair;
    ring_pair_make(&pair, DATA);
    ring_pair_put(&pair, DATA - 64, 1);
    assert_int_equal(ring_room(&pair.in), 64);
    assert_int_equal(ring_pair_reserve(&pair, 128, 2), ERR_FULL);
    ring_pair_put(&pair, 64, 2);
    assert_int_equal(ring_pair_reserve(&pair, 64, 3), ERR_FULL);
    assert_int_equal(ring_room(&pair.in), 0);
    ring_consumer_ack(&pair.out, 64);
    ring_pair_put(&pair, 64, 3);
    assert_int_equal(ring_pair_reserve(&pair, 64, 4), ERR_FULL);
    ring_pair_expect(&pair, 64, DATA - 128, 1);
    ring_pair_expect(&pair, DATA - 64, 64, 2);
    ring_pair_expect(&pair, DATA, 64, 3);
    ring_pair_destroy(&pair);
}

static void more_than_the_ring_never_fits(void **state)
{
    (void)state;
    struct ring_pair pair;
    ring_pair_make(&pair, DATA);
    assert_int_equal(ring_pair_reserve(&pair, DATA + 64, 0), ERR_FULL);
    ring_pair_put(&pair, DATA, 7);
    ring_pair_expect(&pair, 0, DATA, 7);
    ring_pair_destroy(&pair);
}

static void what_lies_across_the_end_is_in_one_piece(void **state)
{
    (void)state;
    struct ring_pair pair;
    ring_pair_make(&pair, DATA);
    for (uint64_t lap = 0; lap < 20; lap++) {
        uint64_t pos = ring_written(&pair.in);
        ring_pair_put(&pair, DATA / 3 / 64 * 64 + 64, (int)lap + 1);
        ring_pair_expect(&pair, pos, DATA / 3 / 64 * 64 + 64, (int)lap + 1);
        ring_consumer_ack(&pair.out, ring_consumer_produced(&pair.out));
    }
    ring_pair_destroy(&pair);
}

static void a_successor_goes_on_behind_what_was_published(void **state)
{
    (void)state;
    struct ring_pair pair;
    ring_pair_make(&pair, DATA);
    ring_pair_put(&pair, 640, 1);
    ring_consumer_ack(&pair.out, 64);
    assert_int_equal(ring_pair_reserve(&pair, 64, 2), 0);
    ring_pair_detach(&pair); /* dies here */
    ring_pair_attach(&pair);
    assert_int_equal(ring_consumer_produced(&pair.out), 640);
    assert_int_equal(ring_room(&pair.in), DATA - 576);
    ring_pair_put(&pair, 64, 3);
    ring_pair_expect(&pair, 64, 576, 1);
    ring_pair_expect(&pair, 640, 64, 3);
    ring_pair_destroy(&pair);
}

static void the_doorbell_is_rung_only_when_it_was_asked_for(void **state)
{
    (void)state;
    struct ring_pair pair;
    ring_pair_make(&pair, DATA);
    assert_int_equal(ring_consumer_wake_at(&pair.out, 192), 0);
    assert_int_equal(ring_pair_reserve(&pair, 128, 1), 0);
    assert_false(ring_publish(&pair.in));
    assert_int_equal(ring_pair_reserve(&pair, 64, 1), 0);
    assert_true(ring_publish(&pair.in));
    /* Too late to sleep: it is there already. */
    assert_int_equal(ring_consumer_wake_at(&pair.out, 192), 192);
    assert_int_equal(ring_consumer_wake_at(&pair.out, UINT64_MAX), 192);
    assert_int_equal(ring_pair_reserve(&pair, 64, 1), 0);
    assert_false(ring_publish(&pair.in));
    ring_pair_destroy(&pair);
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
    struct ring_pair pair;
    ring_pair_make(&pair, DATA);
    ring_pair_put(&pair, 256, 1);
    ring_consumer_ack(&pair.out, 128);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        set_positions(pair.fd, cases[i], 128);
        assert_int_equal(ring_consumer_produced(&pair.out), 128);
        ring_consumer_ack(&pair.out, 192);
        ring_consumer_ack(&pair.out, 64);
        assert_int_equal(ring_consumer_acked(&pair.out), 128);
    }
    ring_pair_destroy(&pair);
}

static void an_acknowledgement_that_cannot_be_gives_no_room(void **state)
{
    (void)state;
    struct ring_pair pair;
    ring_pair_make(&pair, DATA);
    ring_pair_put(&pair, DATA, 1);
    ring_consumer_ack(&pair.out, 64);
    assert_int_equal(ring_room(&pair.in), 64);
    set_positions(pair.fd, DATA, DATA + 64);
    assert_int_equal(ring_room(&pair.in), 64);
    set_positions(pair.fd, DATA, UINT64_MAX);
    assert_int_equal(ring_room(&pair.in), 64);
    ring_pair_destroy(&pair);
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
        cmocka_unit_test(positions_that_cannot_be_are_refused_by_the_producer),
        cmocka_unit_test(positions_that_cannot_be_look_like_an_empty_ring_to_the_consumer),
        cmocka_unit_test(an_acknowledgement_that_cannot_be_gives_no_room),
        cmocka_unit_test(a_ring_of_another_size_than_it_says_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
