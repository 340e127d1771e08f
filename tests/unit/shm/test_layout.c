/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Two processes of different builds may meet in the same segment: only when both agree on every
 * offset may the layout version be the same.
 */
#include "shm/layout.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/hash.h"

/* The offsets of this version. A new fingerprint wants a new SHM_LAYOUT_MAJOR. */
#define FINGERPRINT_VERSION 16u
#define FINGERPRINT         UINT64_C(0x6de5d3fe36b55dd5)

struct number {
    const char *what;
    uint64_t value;
};

#define VALUE(name)                                                                                \
    {                                                                                              \
#name, (uint64_t)(name)                                                                    \
    }
#define SIZE(type)                                                                                 \
    {                                                                                              \
        "sizeof " #type, sizeof(struct type)                                                       \
    }
#define AT(type, member)                                                                           \
    {                                                                                              \
#type "." #member, offsetof(struct type, member)                                           \
    }

static const struct number numbers[] = {
    VALUE(SHM_PAGE),
    VALUE(SHM_MAX_SCRAPERS),
    VALUE(SHM_MAX_REMOTES),
    VALUE(SHM_LANES),
    VALUE(SHM_MAX_SHARDS),
    VALUE(SHM_MAX_COUNTERS),
    VALUE(SHM_BLOCK_SAMPLES),
    VALUE(SHM_SLOT_DISCOVERY),
    VALUE(SHM_SLOT_WRITER),
    VALUE(SHM_SLOT_CONSOLE),
    VALUE(SHM_SLOT_SCRAPER(0)),
    VALUE(SHM_KIND_CONTROL),
    VALUE(SHM_KIND_RING),
    VALUE(SHM_KIND_SERIES),
    VALUE(SHM_KIND_TARGETS),
    VALUE(SHM_KIND_DELIVERY),
    VALUE(SHM_STATE_NONE),
    VALUE(SHM_STATE_STARTING),
    VALUE(SHM_STATE_READY),
    VALUE(SHM_STATE_DRAINING),
    VALUE(SHM_STATE_STOPPED),
    VALUE(SHM_RING_DATA),
    VALUE(SHM_COSTS),
    VALUE(SHM_COSTS_COUNT),
    VALUE(SHM_BLOCK_MAGIC),
    VALUE(SHM_BLOCK_SAMPLES_KIND),
    VALUE(SHM_BLOCK_STALE),
    VALUE(SHM_BLOCK_SKIP),
    VALUE(SHM_BLOCK_HISTOGRAMS),
    VALUE(SHM_BLOCK_EXEMPLARS),
    VALUE(SHM_BLOCK_TAKEOVER),
    VALUE(SHM_BLOCK_HAS_STARTS),
    VALUE(SHM_BLOCK_HAS_LAYOUT),
    VALUE(SHM_BLOCK_HAS_TIMESTAMPS),
    VALUE(SHM_BLOCK_LAST),
    VALUE(SHM_BLOCK_REPORT),
    VALUE(SHM_SERIES_ARENA),
    VALUE(SHM_SERIES_UNIT),
    VALUE(SHM_RECORD_FREE),
    VALUE(SHM_RECORD_LINE),
    VALUE(SHM_RECORD_LAYOUT),
    VALUE(SHM_RECORD_STAMPED),
    VALUE(SHM_RECORD_TARGET),
    VALUE(SHM_RECORD_METADATA),
    VALUE(SHM_RECORD_NAME),
    VALUE(SHM_STATE_REPORTED),
    VALUE(SHM_TARGETS_DATA),
    VALUE(SHM_TARGET_HONOR_LABELS),
    VALUE(SHM_TARGET_HONOR_TIMESTAMPS),
    VALUE(SHM_TARGET_TRACK_TIMESTAMPS),
    VALUE(SHM_TARGET_GZIP),
    VALUE(SHM_TARGET_MOVED),
    VALUE(SHM_TARGET_NATIVE_HISTOGRAMS),
    VALUE(SHM_TARGET_CLASSIC_HISTOGRAMS),
    VALUE(SHM_TARGET_CONVERT_HISTOGRAMS),
    VALUE(SHM_TARGET_ADDRESSES),
    VALUE(SHM_SOCKADDR_SIZE),
    VALUE(SHM_BATCH_NONE),
    VALUE(SHM_BATCH_OPEN),
    VALUE(SHM_BATCH_DONE),
    VALUE(SHM_DELIVERY_DATA),
    SIZE(shm_header),
    AT(shm_header, layout_major),
    AT(shm_header, layout_minor),
    AT(shm_header, kind),
    AT(shm_header, index),
    AT(shm_header, size),
    AT(shm_header, geometry),
    AT(shm_header, boot_id),
    AT(shm_header, build),
    AT(shm_header, ready),
    SIZE(shm_supervisor),
    AT(shm_supervisor, started_at_ns),
    AT(shm_supervisor, config_generation),
    AT(shm_supervisor, reload_attempts),
    AT(shm_supervisor, reload_ok),
    AT(shm_supervisor, reload_at_ns),
    AT(shm_supervisor, standby),
    AT(shm_supervisor, reload_error),
    AT(shm_supervisor, restarts),
    AT(shm_supervisor, quarantined),
    AT(shm_supervisor, quarantines),
    AT(shm_supervisor, scrapers),
    AT(shm_supervisor, stopping),
    AT(shm_supervisor, reload_refused),
    AT(shm_supervisor, repins),
    AT(shm_supervisor, kept_scrapers),
    SIZE(shm_slot),
    AT(shm_slot, progress),
    AT(shm_slot, epoch),
    AT(shm_slot, started_at_ns),
    AT(shm_slot, pid),
    AT(shm_slot, state),
    AT(shm_slot, working_on),
    AT(shm_slot, targets_generation),
    AT(shm_slot, backend),
    AT(shm_slot, settled_generation),
    AT(shm_slot, backend_why),
    AT(shm_slot, counters),
    AT(shm_slot, logged),
    VALUE(SHM_FAILURES),
    VALUE(SHM_FAILURES_COUNT),
    SIZE(shm_failure),
    AT(shm_failure, target_id),
    AT(shm_failure, at_ms),
    AT(shm_failure, text),
    AT(shm_failures, places),
    SIZE(shm_ring_producer),
    VALUE(SHM_RING_LAPS),
    AT(shm_ring_producer, produced_pos),
    AT(shm_ring_producer, laps),
    SIZE(shm_ring_lap),
    AT(shm_ring_lap, from),
    AT(shm_ring_lap, place),
    SIZE(shm_ring_consumer),
    AT(shm_ring_consumer, acked_pos),
    AT(shm_ring_consumer, wake_pos),
    SIZE(shm_block),
    AT(shm_block, magic),
    AT(shm_block, length),
    AT(shm_block, kind),
    AT(shm_block, flags),
    AT(shm_block, count),
    AT(shm_block, target_id),
    AT(shm_block, target_ref),
    AT(shm_block, target_generation),
    AT(shm_block, layout_ref),
    AT(shm_block, layout_generation),
    AT(shm_block, first_line),
    AT(shm_block, scrape_seq),
    AT(shm_block, timestamp_ms),
    AT(shm_block, metadata_ref),
    AT(shm_block, metadata_generation),
    AT(shm_series_head, used),
    AT(shm_series_head, merges),
    AT(shm_series_head, seed),
    SIZE(shm_record),
    AT(shm_record, units),
    AT(shm_record, kind),
    AT(shm_record, flags),
    AT(shm_record, generation),
    AT(shm_record, count),
    AT(shm_record, hash),
    AT(shm_record, references),
    SIZE(shm_label),
    AT(shm_label, name_len),
    AT(shm_label, value_len),
    SIZE(shm_target_state),
    AT(shm_target_state, pos),
    AT(shm_target_state, timestamp_ms),
    AT(shm_target_state, layout_ref),
    AT(shm_target_state, layout_generation),
    AT(shm_target_state, stamped_ref),
    AT(shm_target_state, stamped_generation),
    AT(shm_target_state, scrape_seq),
    AT(shm_target_state, flags),
    AT(shm_target_state, metadata_ref),
    AT(shm_target_state, metadata_generation),
    SIZE(shm_stamped_body),
    AT(shm_stamped_body, layout_ref),
    AT(shm_stamped_body, layout_generation),
    SIZE(shm_family),
    AT(shm_family, at),
    AT(shm_family, type),
    AT(shm_family, name_len),
    AT(shm_family, help_len),
    AT(shm_family, unit_len),
    SIZE(shm_target_body),
    AT(shm_target_body, target_id),
    AT(shm_target_body, state),
    AT(shm_target_body, labels_len),
    AT(shm_target_body, released),
    SIZE(shm_cost),
    AT(shm_cost, target_id),
    AT(shm_cost, cost_ns),
    AT(shm_targets_head, generation),
    SIZE(shm_targets_half),
    AT(shm_targets_half, generation),
    AT(shm_targets_half, length),
    AT(shm_targets_half, count),
    SIZE(shm_target),
    AT(shm_target, length),
    AT(shm_target, flags),
    AT(shm_target, id),
    AT(shm_target, interval_ms),
    AT(shm_target, timeout_ms),
    AT(shm_target, phase_ns),
    AT(shm_target, sample_limit),
    AT(shm_target, owner),
    AT(shm_target, address_count),
    AT(shm_target, addresses),
    AT(shm_target, job_len),
    AT(shm_target, host_len),
    AT(shm_target, path_len),
    AT(shm_target, url_len),
    AT(shm_target, error_len),
    AT(shm_target, label_count),
    AT(shm_target, labels_len),
    SIZE(shm_dropped),
    AT(shm_dropped, length),
    AT(shm_dropped, job_len),
    AT(shm_dropped, label_count),
    AT(shm_dropped, labels_len),
    AT(shm_dropped, total),
    SIZE(shm_name),
    AT(shm_name, key),
    AT(shm_name, address_count),
    AT(shm_name, state),
    AT(shm_name, addresses),
    SIZE(shm_names),
    AT(shm_names, generation),
    AT(shm_names, full),
    AT(shm_names, counts),
    AT(shm_names, has_key),
    AT(shm_names, hash_key),
    AT(shm_names, names),
    VALUE(SHM_NAMES),
    VALUE(SHM_NAMES_MAX),
    SIZE(shm_position),
    AT(shm_position, pos),
    AT(shm_position, sample),
    SIZE(shm_batch),
    AT(shm_batch, sequence),
    AT(shm_batch, lanes),
    AT(shm_batch, body_hash),
    AT(shm_batch, state),
    AT(shm_batch, samples),
    AT(shm_batch, attempts),
    AT(shm_batch, rings),
    AT(shm_batch, message),
    AT(shm_batch, totals),
    AT(shm_batch, start),
    AT(shm_batch, end),
    SIZE(shm_remote),
    AT(shm_remote, key),
    AT(shm_remote, name),
    AT(shm_remote, url),
    AT(shm_remote, counters),
    AT(shm_remote, lanes),
    AT(shm_remote, shards),
    SIZE(shm_delivery),
};

static void the_offsets_are_those_of_the_layout_version(void **state)
{
    (void)state;
    uint64_t hash = FNV1A64_START;
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        char line[128];
        int len = snprintf(line, sizeof(line), "%s=%llu\n", numbers[i].what,
                           (unsigned long long)numbers[i].value);
        hash = hash_fnv1a64(hash, line, (size_t)len);
    }
    if (hash != FINGERPRINT || SHM_LAYOUT_MAJOR != FINGERPRINT_VERSION)
        fail_msg("shm/layout.h is not what layout version %u was: move SHM_LAYOUT_MAJOR (now %u), "
                 "then put FINGERPRINT_VERSION and UINT64_C(0x%016llx) here",
                 FINGERPRINT_VERSION, SHM_LAYOUT_MAJOR, (unsigned long long)hash);
}

static void no_two_writers_share_a_page(void **state)
{
    (void)state;
    assert_true(sizeof(struct shm_header) <= SHM_PAGE);
    assert_true(sizeof(struct shm_supervisor) <= SHM_PAGE);
    assert_true(sizeof(struct shm_slot) <= SHM_PAGE);
    assert_true(sizeof(struct shm_ring_producer) <= SHM_PAGE);
    assert_true(sizeof(struct shm_ring_consumer) <= SHM_PAGE);
    assert_int_equal(SHM_RING_DATA % SHM_PIECE, 0);
    assert_true(SHM_COSTS % SHM_PAGE == 0 && SHM_COSTS >= 3 * SHM_PAGE);
    assert_int_equal(SHM_REASONS % SHM_PAGE, 0);
    assert_int_equal(SHM_FAILURES % SHM_PAGE, 0);
    assert_int_equal(SHM_SERIES_ARENA % SHM_PAGE, 0);
    assert_int_equal(SHM_TARGETS_DATA % SHM_PAGE, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_offsets_are_those_of_the_layout_version),
        cmocka_unit_test(no_two_writers_share_a_page),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
