/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "shm/delivery.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#include "shm/remote_counters.h"
#include "tests/unit/dice.h"
#include "tests/unit/shm/segments.h"

#define RINGS 3

static const uint64_t start[RINGS] = {0, 640, 1280};

static void attach(struct delivery *delivery, int fd, bool writable)
{
    struct errctx errctx = {{0}};
    if (delivery_attach(delivery, fd, RINGS, writable, &errctx) != 0)
        fail_msg("%s", errctx.text);
}

static struct shm_remote *remote_of(struct delivery *delivery, const char *name)
{
    const struct delivery_names names = {name, name, "http://r/w"};
    struct shm_remote *remote;
    assert_int_equal(delivery_remote(delivery, &names, start, &remote), 0);
    return remote;
}

static struct shm_batch example(void)
{
    struct shm_batch batch = {.lanes = 1 | UINT64_C(1) << 63, .samples = 500, .rings = RINGS};
    for (uint32_t ring = 0; ring < RINGS; ring++) {
        batch.start[ring].pos = start[ring];
        batch.end[ring] = (struct shm_position){.pos = start[ring] + 6400, .sample = ring};
    }
    return batch;
}

static void a_remote_is_found_again_by_its_key(void **state)
{
    (void)state;
    struct delivery delivery;
    struct shm_remote *other;
    int fd = segments_delivery();
    attach(&delivery, fd, true);
    struct shm_remote *a = remote_of(&delivery, "a");
    assert_ptr_not_equal(remote_of(&delivery, "b"), a);
    assert_string_equal(a->name, "a");
    assert_string_equal(a->url, "http://r/w");
    const struct delivery_names changed = {"a", "new name", "http://other"};
    assert_int_equal(delivery_remote(&delivery, &changed, start, &other), 0);
    assert_ptr_equal(other, a);
    assert_string_equal(a->name, "new name");
    assert_string_equal(a->url, "http://other");
    assert_ptr_equal(remote_of(&delivery, "a"), a);
    assert_int_equal(a->lanes[0][1].pos, 640);
    assert_int_equal(a->lanes[SHM_LANES - 1][2].pos, 1280);
    delivery_detach(&delivery);
    close(fd);
}

static void a_batch_goes_on_after_a_restart_and_moves_its_lanes_when_done(void **state)
{
    (void)state;
    struct delivery delivery;
    struct shm_batch batch = example();
    int fd = segments_delivery();
    attach(&delivery, fd, true);
    struct shm_remote *remote = remote_of(&delivery, "a");
    assert_null(delivery_batch(remote, 4));
    delivery_open(remote, 4, &batch);
    delivery_attempt(remote, 4, 77);
    delivery_detach(&delivery);

    attach(&delivery, fd, true);
    remote = remote_of(&delivery, "a");
    const struct shm_batch *left = delivery_batch(remote, 4);
    assert_non_null(left);
    assert_int_equal(left->attempts, 1);
    assert_int_equal(left->body_hash, 77);
    assert_int_equal(left->samples, 500);
    assert_memory_equal(left->end, batch.end, RINGS * sizeof(*batch.end));
    const struct delivery_outcome outcome = {
        .of[DELIVERY_SAMPLES] = {.delivered = 450, .failed = 50}};
    delivery_done(&delivery, remote, 4, &outcome);
    assert_null(delivery_batch(remote, 4));
    assert_memory_equal(remote->lanes[63], batch.end, RINGS * sizeof(*batch.end));
    assert_int_equal(remote->lanes[1][0].pos, 0);
    assert_int_equal(remote_get(remote, REMOTE_DELIVERED), 450);
    assert_int_equal(remote_get(remote, REMOTE_SAMPLES_FAILED), 50);
    delivery_detach(&delivery);
    close(fd);
}

/* The writer dies after the store that commits, once before and once after what follows from it. */
static void a_batch_that_is_done_is_counted_exactly_once(void **state)
{
    (void)state;
    struct delivery delivery;
    struct shm_batch batch = example();
    int fd = segments_delivery();
    attach(&delivery, fd, true);
    struct shm_remote *remote = remote_of(&delivery, "a");
    remote_set(remote, REMOTE_DELIVERED, 7);
    delivery_open(remote, 4, &batch);
    delivery_done(&delivery, remote, 4,
                  &(struct delivery_outcome){.of[DELIVERY_SAMPLES] = {.delivered = 500}});
    struct shm_batch *copies = remote->shards[4];
    bool newer = copies[1].sequence > copies[0].sequence;
    for (int counted = 0; counted < 2; counted++) {
        copies[newer].sequence = 0; /* the other copy says DONE */
        remote_set(remote, REMOTE_DELIVERED, counted == 0 ? 7 : 507);
        memset(remote->lanes, 0, sizeof(remote->lanes));
        delivery_detach(&delivery);
        attach(&delivery, fd, true);
        remote = remote_of(&delivery, "a");
        copies = remote->shards[4];
        assert_null(delivery_batch(remote, 4));
        assert_int_equal(remote_get(remote, REMOTE_DELIVERED), 507);
        assert_memory_equal(remote->lanes[63], batch.end, RINGS * sizeof(*batch.end));
    }
    delivery_detach(&delivery);
    close(fd);
}

static void positions_and_batches_outside_the_rings_are_mended(void **state)
{
    (void)state;
    static const uint64_t produced[RINGS] = {6400, 7040, 7679}; /* the batch ends at 7680 */
    struct delivery delivery;
    struct shm_batch batch = example();
    int fd = segments_delivery();
    attach(&delivery, fd, true);
    struct shm_remote *remote = remote_of(&delivery, "a");
    delivery_open(remote, 4, &batch);
    remote->lanes[5][1] = (struct shm_position){.pos = 7104, .sample = 3};
    assert_int_equal(delivery_mend(&delivery, remote, start, produced), 2);
    assert_null(delivery_batch(remote, 4));
    assert_int_equal(remote->lanes[5][1].pos, 640);
    assert_int_equal(remote->lanes[5][1].sample, 0);
    assert_int_equal(delivery_mend(&delivery, remote, start, produced), 0);
    delivery_detach(&delivery);
    close(fd);
}

static void places_are_limited_and_given_back(void **state)
{
    (void)state;
    struct delivery delivery;
    struct shm_remote *remotes[SHM_MAX_REMOTES];
    struct shm_remote *more;
    struct shm_batch batch = example();
    int fd = segments_delivery();
    attach(&delivery, fd, true);
    uint64_t idle = segments_memory(fd);
    for (uint32_t i = 0; i < SHM_MAX_REMOTES; i++) {
        char name[2] = {(char)('a' + i), '\0'};
        remotes[i] = remote_of(&delivery, name);
        remote_set(remotes[i], REMOTE_DELIVERED, 1);
        delivery_open(remotes[i], 0, &batch);
    }
    const struct delivery_names z = {"z", "z", "http://r/w"};
    assert_int_equal(delivery_remote(&delivery, &z, start, &more), ERR_FULL);
    assert_null(delivery_find(&delivery, "z"));
    assert_ptr_equal(delivery_find(&delivery, "c"), remotes[2]);
    delivery_keep_only(&delivery, &remotes[1], 1);
    assert_true(segments_memory(fd) < idle + 2 * sizeof(struct shm_remote));
    assert_ptr_equal(remote_of(&delivery, "b"), remotes[1]);
    assert_non_null(delivery_batch(remotes[1], 0));
    /* Nothing is left of the one who had the place before. */
    struct shm_remote *remote = remote_of(&delivery, "z");
    assert_ptr_equal(remote, remotes[0]);
    assert_null(delivery_batch(remote, 0));
    assert_int_equal(remote_get(remote, REMOTE_DELIVERED), 0);
    assert_memory_equal(remote->name, "z", 2);
    delivery_detach(&delivery);
    close(fd);
}

static void a_long_name_or_url_is_cut_for_show(void **state)
{
    (void)state;
    struct delivery delivery;
    struct shm_remote *one;
    struct shm_remote *other;
    char url[600];
    int fd = segments_delivery();
    attach(&delivery, fd, true);
    memset(url, 'u', sizeof(url));
    url[599] = '\0';
    const struct delivery_names names = {url, url, url};
    assert_int_equal(delivery_remote(&delivery, &names, start, &one), 0);
    assert_int_equal(strlen(one->name), sizeof(one->name) - 1);
    assert_int_equal(strlen(one->url), sizeof(one->url) - 1);
    url[598] = 'v';
    assert_int_equal(delivery_remote(&delivery, &names, start, &other), 0);
    assert_ptr_not_equal(one, other);
    delivery_detach(&delivery);
    close(fd);
}

static void lanes_never_move_back(void **state)
{
    (void)state;
    struct delivery delivery;
    int fd = segments_delivery();
    attach(&delivery, fd, true);
    struct shm_remote *remote = remote_of(&delivery, "a");
    delivery_skip(remote, 3, 1, (struct shm_position){.pos = 6400, .sample = 4});
    delivery_skip(remote, 3, 1, (struct shm_position){.pos = 6400, .sample = 3});
    delivery_skip(remote, 3, 1, (struct shm_position){.pos = 704, .sample = 9});
    (void)remote_of(&delivery, "a"); /* starts again with positions that lie before */
    assert_int_equal(remote->lanes[3][1].pos, 6400);
    assert_int_equal(remote->lanes[3][1].sample, 4);
    assert_int_equal(remote->lanes[2][1].pos, 640);
    delivery_detach(&delivery);
    close(fd);
}

static void the_least_position_is_that_of_the_slowest_lane(void **state)
{
    (void)state;
    struct delivery delivery;
    int fd = segments_delivery();
    attach(&delivery, fd, true);
    assert_int_equal(delivery_least(&delivery, 1, 4711), 4711);
    struct shm_remote *a = remote_of(&delivery, "a");
    struct shm_remote *b = remote_of(&delivery, "b");
    for (uint32_t lane = 0; lane < SHM_LANES; lane++) {
        delivery_skip(a, lane, 1, (struct shm_position){.pos = 64000 + 64 * lane});
        delivery_skip(b, lane, 1, (struct shm_position){.pos = 32000 + 64 * lane, .sample = 5});
    }
    assert_int_equal(delivery_least(&delivery, 0, 4711), 0);
    assert_int_equal(delivery_least(&delivery, 1, 4711), 32000);
    delivery_keep_only(&delivery, &a, 1);
    assert_int_equal(delivery_least(&delivery, 1, 4711), 64000);
    delivery_detach(&delivery);
    close(fd);
}

static void targets_are_spread_over_all_lanes(void **state)
{
    (void)state;
    uint32_t targets[SHM_LANES] = {0};
    for (uint64_t id = 0; id < 64 * SHM_LANES; id++)
        targets[delivery_lane(id)]++;
    for (uint32_t lane = 0; lane < SHM_LANES; lane++)
        assert_in_range(targets[lane], 16, 160);
}

/* Whatever lies there: the writer starts, and works once it has mended. */
static void damage_is_survived(void **state)
{
    (void)state;
    static const uint64_t produced[RINGS] = {64000, 64000, 64000};
    struct dice dice = dice_new("delivery");
    for (int round = 0; round < 50; round++) {
        struct delivery delivery;
        struct shm_remote *remote;
        struct shm_batch batch = example();
        int fd = segments_delivery();
        attach(&delivery, fd, true);
        remote = remote_of(&delivery, "a");
        uint64_t *words = (uint64_t *)(void *)remote->lanes;
        size_t count = (sizeof(*remote) - offsetof(struct shm_remote, lanes)) / sizeof(*words);
        for (size_t i = 0; i < count; i++)
            words[i] = dice_roll(&dice, 2) == 0 ? dice_bits(&dice) : dice_roll(&dice, 4);
        if (round % 2 == 0)
            remote->shards[4][1].sequence = UINT64_MAX;
        delivery_detach(&delivery);
        attach(&delivery, fd, true);
        remote = remote_of(&delivery, "a");
        (void)delivery_mend(&delivery, remote, start, produced);
        for (uint32_t ring = 0; ring < RINGS; ring++)
            assert_in_range(delivery_least(&delivery, ring, 0), start[ring], produced[ring]);
        if (delivery_batch(remote, 4) == NULL)
            delivery_open(remote, 4, &batch);
        delivery_attempt(remote, 4, 1);
        delivery_done(&delivery, remote, 4,
                      &(struct delivery_outcome){.of[DELIVERY_SAMPLES] = {.delivered = 1}});
        assert_null(delivery_batch(remote, 4));
        delivery_detach(&delivery);
        close(fd);
    }
}

static void a_segment_that_is_too_small_is_refused(void **state)
{
    (void)state;
    struct delivery delivery;
    struct errctx errctx;
    int fd = segments_new(SHM_KIND_DELIVERY, 0, SHM_DELIVERY_DATA + 64 * SHM_PAGE, 0);
    assert_int_equal(delivery_attach(&delivery, fd, RINGS, true, &errctx), ERR_CORRUPT);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_remote_is_found_again_by_its_key),
        cmocka_unit_test(a_batch_goes_on_after_a_restart_and_moves_its_lanes_when_done),
        cmocka_unit_test(a_batch_that_is_done_is_counted_exactly_once),
        cmocka_unit_test(positions_and_batches_outside_the_rings_are_mended),
        cmocka_unit_test(places_are_limited_and_given_back),
        cmocka_unit_test(a_long_name_or_url_is_cut_for_show),
        cmocka_unit_test(lanes_never_move_back),
        cmocka_unit_test(the_least_position_is_that_of_the_slowest_lane),
        cmocka_unit_test(targets_are_spread_over_all_lanes),
        cmocka_unit_test(damage_is_survived),
        cmocka_unit_test(a_segment_that_is_too_small_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
