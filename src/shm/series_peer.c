/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "shm/series_peer.h"

#include <string.h>

#include "shm/series_private.h"

/* Records that are joined while they are walked over lead astray. */
#define WALKS_MAX 16

int series_peer_attach(struct series_peer *peer, int ring_fd, int series_fd, uint32_t index,
                       struct errctx *reterr)
{
    *peer = (struct series_peer){.index = index};
    int err = series_reader_attach(&peer->reader, series_fd, index, reterr);
    if (err != 0)
        return err;
    err = ring_consumer_attach(&peer->ring, ring_fd, index, false, reterr);
    if (err != 0)
        series_reader_detach(&peer->reader);
    return err;
}

void series_peer_detach(struct series_peer *peer)
{
    series_reader_detach(&peer->reader);
    ring_consumer_detach(&peer->ring);
}

/* The TARGET record at ref with its body, as far as they lie within `used`; or NULL. */
static const struct shm_target_body *body_at(const struct series_peer *peer, uint64_t used,
                                             uint32_t ref)
{
    const size_t need = sizeof(struct shm_record) + sizeof(struct shm_target_body);
    uint64_t offset = (uint64_t)(ref - 1) * SHM_SERIES_UNIT;
    if (ref == 0 || offset >= used || used - offset < need)
        return NULL;
    const struct shm_record *record =
        (const struct shm_record *)(const void *)(peer->reader.arena + offset);
    if (record->kind != SHM_RECORD_TARGET || (record->flags & RECORD_DROPPED) != 0)
        return NULL;
    /* acquire; pairs with series_complete: it is whole */
    atomic_thread_fence(memory_order_acquire);
    return (const struct shm_target_body *)(const void *)(record + 1);
}

static void walk(const struct series_peer *peer,
                 void (*visit)(void *context, uint64_t target_id, uint32_t ref), void *context)
{
    uint64_t used = series_reader_used(&peer->reader);
    uint64_t offset = 0;
    while (offset < used && used - offset >= sizeof(struct shm_record)) {
        uint32_t units;
        memcpy(&units, peer->reader.arena + offset, sizeof(units));
        /* Damage, or an arena that was cut meanwhile: what is needed lies before. */
        if (units == 0)
            return;
        uint32_t ref = (uint32_t)(offset / SHM_SERIES_UNIT) + 1;
        const struct shm_target_body *body = body_at(peer, used, ref);
        if (body != NULL)
            visit(context, body->target_id, ref);
        offset += (uint64_t)units * SHM_SERIES_UNIT;
    }
}

void series_peer_each(const struct series_peer *peer,
                      void (*visit)(void *context, uint64_t target_id, uint32_t ref), void *context)
{
    const _Atomic uint64_t *merges = &peer->reader.head->merges;
    uint64_t before;
    int tries = WALKS_MAX;
    /* acquire; pairs with merge() of series_space.c: who has seen what it did sees that it did */
    do {
        before = atomic_load_explicit(merges, memory_order_acquire);
        walk(peer, visit, context);
        atomic_thread_fence(memory_order_acquire);
    } while (--tries > 0 && atomic_load_explicit(merges, memory_order_relaxed) != before);
}

static const struct shm_target_state *valid_state(const struct shm_target_body *body,
                                                  uint64_t produced, uint64_t *ret_pos)
{
    const struct shm_target_state *valid = NULL;
    *ret_pos = 0;
    for (int i = 0; i < 2; i++) {
        uint64_t pos = atomic_load_explicit(&body->state[i].pos, memory_order_acquire);
        if (pos != 0 && pos <= produced && pos > *ret_pos) {
            valid = &body->state[i];
            *ret_pos = pos;
        }
    }
    return valid;
}

bool series_peer_target(const struct series_peer *peer, uint32_t ref, uint64_t target_id,
                        struct series_peer_target *ret_target)
{
    const struct shm_target_body *body = body_at(peer, series_reader_used(&peer->reader), ref);
    if (body == NULL || body->target_id != target_id)
        return false;
    /* acquire; pairs with series_target_release */
    bool released = atomic_load_explicit(&body->released, memory_order_acquire) != 0;
    uint64_t pos;
    const struct shm_target_state *state =
        valid_state(body, ring_consumer_produced(&peer->ring), &pos);
    *ret_target = (struct series_peer_target){.released = released};
    if (state == NULL)
        return true;
    *ret_target = (struct series_peer_target){.released = released,
                                              .pos = pos,
                                              .timestamp_ms = state->timestamp_ms,
                                              .scrape_seq = state->scrape_seq,
                                              .flags = state->flags,
                                              .layout_ref = state->layout_ref,
                                              .layout_generation = state->layout_generation,
                                              .stamped_ref = state->stamped_ref,
                                              .stamped_generation = state->stamped_generation};
    return true;
}
