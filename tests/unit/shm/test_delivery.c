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
    struct shm_remote *remote;
    assert_int_equal(delivery_remote(delivery, name, "http://r/w", start, &remote), 0);
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

static void a_remote_is_found_again_by_name_and_url(void **state)
{
    (void)state;
    struct delivery delivery;
    struct shm_remote *other;
    int fd = segments_delivery();
    attach(&delivery, fd, true);
    struct shm_remote *a = remote_of(&delivery, "a");
    assert_ptr_not_equal(remote_of(&delivery, "b"), a);
    assert_int_equal(delivery_remote(&delivery, "a", "http://other", start, &other), 0);
    assert_ptr_not_equal(other, a);
    assert_ptr_equal(remote_of(&delivery, "a"), a);
    assert_string_equal(a->name, "a");
    assert_string_equal(a->url, "http://r/w");
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
    const struct delivery_outcome outcome = {.delivered = 450, .failed = 50};
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
    delivery_done(&delivery, remote, 4, &(struct delivery_outcome){.delivered = 500});
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_remote_is_found_again_by_name_and_url),
        cmocka_unit_test(a_batch_goes_on_after_a_restart_and_moves_its_lanes_when_done),
        cmocka_unit_test(a_batch_that_is_done_is_counted_exactly_once),
        cmocka_unit_test(positions_and_batches_outside_the_rings_are_mended),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
