/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/shm/ring_pair.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/clock.h"
#include "tests/unit/shm/segments.h"

void ring_pair_attach(struct ring_pair *pair)
{
    struct errctx errctx = {{0}};
    if (ring_producer_attach(&pair->in, pair->fd, 0, &errctx) != 0 ||
        ring_consumer_attach(&pair->out, pair->fd, 0, true, &errctx) != 0)
        fail_msg("%s", errctx.text);
}

void ring_pair_make(struct ring_pair *pair, uint64_t size)
{
    *pair = (struct ring_pair){.fd = segments_ring(size)};
    ring_pair_attach(pair);
}

void ring_pair_detach(struct ring_pair *pair)
{
    ring_producer_detach(&pair->in);
    ring_consumer_detach(&pair->out);
}

void ring_pair_destroy(struct ring_pair *pair)
{
    ring_pair_detach(pair);
    close(pair->fd);
}

int ring_pair_reserve(struct ring_pair *pair, size_t bytes, int fill)
{
    void *room;
    int err = ring_reserve(&pair->in, bytes, &room);
    if (err == 0)
        memset(room, fill, bytes);
    return err;
}

void ring_pair_put(struct ring_pair *pair, size_t bytes, int fill)
{
    assert_int_equal(ring_pair_reserve(pair, bytes, fill), 0);
    segments_publish(&pair->in);
}

void ring_pair_expect(const struct ring_pair *pair, uint64_t pos, size_t bytes, int fill)
{
    const uint8_t *at = ring_consumer_at(&pair->out, pos);
    for (size_t i = 0; i < bytes; i++)
        assert_int_equal(at[i], fill);
}

void ring_pair_trim(struct ring_pair *pair, int64_t seconds)
{
    pair->now_ns += seconds * NS_PER_S;
    ring_trim(&pair->in, pair->now_ns);
}

void ring_pair_acknowledge(struct ring_pair *pair)
{
    ring_consumer_ack(&pair->out, ring_consumer_produced(&pair->out));
}

void ring_pair_put_marked(struct ring_pair *pair, size_t bytes)
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

void ring_pair_expect_marked(const struct ring_pair *pair)
{
    uint64_t end = ring_consumer_produced(&pair->out);
    for (uint64_t pos = ring_consumer_acked(&pair->out); pos < end; pos += 64) {
        uint64_t seen;
        memcpy(&seen, ring_consumer_at(&pair->out, pos), sizeof(seen));
        assert_int_equal(seen, pos);
    }
}
