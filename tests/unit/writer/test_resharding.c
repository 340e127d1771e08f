/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is under way when the number of shards changes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "tests/unit/writer/rig.h"
#include "writer/shard.h"

#define T0 INT64_C(1700000000000)

enum { RING = 256 << 10, SPOOL = 1 << 20, NEVER_MS = 600000, LINES = 5 };

static struct rig rig;
static _Atomic bool may_answer;

/* The first request stays without an answer, the second one has it when the test says so; the third
   is taken in, and a proxy says otherwise. */
static struct receiver_reply lose_an_answer(void *context, size_t number,
                                            const struct receiver_request *request)
{
    (void)context;
    (void)request;
    while (number == 1 && !may_answer)
        usleep(1000);
    if (number == 0)
        return (struct receiver_reply){.action = RECEIVER_HANG};
    if (number == 2)
        return (struct receiver_reply){RECEIVER_STORE_AND_ANSWER, 503, NULL, "proxy\n"};
    return (struct receiver_reply){.action = RECEIVER_STORE};
}

/* The same, and when the repeat, which is refused, is resolved, the receiver is not there. */
static struct receiver_reply lose_an_answer_and_go(void *context, size_t number,
                                                   const struct receiver_request *request)
{
    if (number >= 4)
        return (struct receiver_reply){RECEIVER_ANSWER, 503, "Retry-After: 600\r\n", "gone\n"};
    return lose_an_answer(context, number, request);
}

static void scrape(int64_t ms)
{
    (void)scrapers_scrape(&rig.scrapers, &(struct scrape){.target = 1, .ms = ms, .lines = LINES});
}

static const struct carrier *carrier(void)
{
    for (uint32_t i = 0; i < rig.writer.remotes[0].shards.count; i++) {
        const struct carrier *one = &rig.writer.remotes[0].shards.items[i].carrier;
        if (one->state == CARRIER_WAITING)
            return one;
    }
    return NULL;
}

/* Two records are stored; the second one has two scrapes, and is delivered when the first is. */
static void store_records(receiver_script_fn *script, int64_t min_backoff_ms)
{
    may_answer = false;
    rig_open(&rig, 1, RING, 1);
    rig_receive(&rig, 0, script, NULL);
    rig_store(&rig, SPOOL);
    rig.remotes[0].queue_config.min_backoff = min_backoff_ms;
    rig.remotes[0].queue_config.max_backoff = NEVER_MS;
    rig.config.limpet.spool.after = NEVER_MS;
    rig_start(&rig);
    scrape(T0);
    RIG_TURN_UNTIL(&rig, receiver_request_count(rig.receivers[0]) == 1);
    scrape(T0 + 1000);
    scrape(T0 + 2000);
    rig.config.limpet.spool.after = 0;
    RIG_TURN_UNTIL(&rig, rig_count(&rig, 0, REMOTE_SPOOL_IN) == LINES);
    rig.config.limpet.spool.after = NEVER_MS;
    RIG_TURN_UNTIL(&rig, rig_count(&rig, 0, REMOTE_SPOOL_IN) == 3 * LINES);
    may_answer = true;
}

/* It was delivered for all that anybody knows: what is refused of the repeat is no loss. */
static void a_record_stays_doubtful_for_its_next_carrier(void **state)
{
    (void)state;
    store_records(lose_an_answer, NEVER_MS);
    RIG_TURN_UNTIL(&rig, carrier() != NULL);
    assert_int_equal(receiver_request_count(rig.receivers[0]), 3);
    shards_change(&rig.writer.remotes[0], 2);
    rig_empty_spools(&rig);
    assert_int_equal(rig.writer.remotes[0].shards.count, 2);
    rig_assert_complete(&rig, 0);
    assert_int_equal(rig_count(&rig, 0, REMOTE_SAMPLES_FAILED), 0);
    assert_int_equal(rig_count(&rig, 0, REMOTE_DELIVERED) +
                         rig_count(&rig, 0, REMOTE_ALREADY_DELIVERED),
                     rig.scrapers.samples);
    rig_close(&rig);
}

/* What has to wait for the remote keeps nothing out of the spool until it is back. */
static void a_change_that_has_to_wait_is_given_up(void **state)
{
    (void)state;
    store_records(lose_an_answer_and_go, 1);
    RIG_TURN_UNTIL(&rig, carrier() != NULL && carrier()->whole.version != 0);
    struct shards *shards = &rig.writer.remotes[0].shards;
    shards_change(&rig.writer.remotes[0], 2);
    scrape(T0 + 3000);
    shards->step_at_ns = 0; /* the time has come to decide again how many there should be */
    RIG_TURN_UNTIL(&rig, rig_count(&rig, 0, REMOTE_SPOOL_IN) == 4 * LINES);
    assert_int_equal(shards->count, 1);
    rig_close(&rig);
}

int main(void)
{
    rig_reserve_descriptors();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_stays_doubtful_for_its_next_carrier),
        cmocka_unit_test(a_change_that_has_to_wait_is_given_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
