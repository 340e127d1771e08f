/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A writer that was not run for a while: what was answered meanwhile is not late. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "tests/unit/writer/rig.h"
#include "writer/shard.h"

#define T0 INT64_C(1700000000000)

enum { RING = 256 << 10, SPOOL = 1 << 20, NEVER_MS = 600000, STANDSTILL_MS = 100 };

static struct rig rig;
static _Atomic bool has_come, may_answer;

static struct receiver_reply answer_when_told(void *context, size_t number,
                                              const struct receiver_request *request)
{
    (void)context;
    (void)number;
    (void)request;
    has_come = true;
    while (!may_answer)
        usleep(1000);
    return (struct receiver_reply){.action = RECEIVER_STORE};
}

static void send_a_batch(void)
{
    (void)scrapers_scrape(&rig.scrapers, &(struct scrape){.target = 1, .ms = T0, .lines = 5});
    RIG_TURN_UNTIL(&rig, has_come);
}

/* The patience for what is under way will be over in the middle of it. */
static void stand_still(void)
{
    int64_t age_ns = clock_mono_ns() - rig.writer.remotes[0].shards.items[0].begun_ns;
    rig.config.limpet.spool.after = age_ns / NS_PER_MS + STANDSTILL_MS / 2;
    usleep(STANDSTILL_MS * 1000);
}

static void what_was_answered_meanwhile_is_not_sent_again(void **state)
{
    (void)state;
    rig_open(&rig, 1, RING, 1);
    rig_receive(&rig, 0, answer_when_told, NULL);
    rig_store(&rig, SPOOL);
    rig.config.limpet.spool.after = NEVER_MS;
    rig_start(&rig);
    send_a_batch();
    may_answer = true;
    assert_true(receiver_wait_requests(rig.receivers[0], 1));
    stand_still();
    rig_turn(&rig, 0);
    rig.config.limpet.spool.after = NEVER_MS;
    rig_drain(&rig);
    rig_empty_spools(&rig);
    assert_int_equal(rig_count(&rig, 0, REMOTE_SPOOL_IN), 0);
    assert_int_equal(receiver_request_count(rig.receivers[0]), 1);
    rig_assert_complete(&rig, 0);
    rig_close(&rig);
}

int main(void)
{
    rig_reserve_descriptors();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_answered_meanwhile_is_not_sent_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
