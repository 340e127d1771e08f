/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "writer/writer.h"

#include <fcntl.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/crashpoint.h"
#include "base/log.h"
#include "shm/heritage.h"
#include "shm/remote_counters.h"
#include "writer/spool_name.h"

/* ---- Attaching ---- */

static int attach_sources(struct writer *writer, uint32_t rings, struct errctx *reterr)
{
    writer->sources = calloc(rings, sizeof *writer->sources);
    check(writer->sources != NULL && rings <= SHM_MAX_SCRAPERS);
    for (uint32_t i = 0; i < rings; i++) {
        struct source *source = &writer->sources[i];
        int err = ring_consumer_attach(&source->ring, HERITAGE_RING(i), i, true, reterr);
        if (err != 0)
            return err;
        err = series_reader_attach(&source->series, HERITAGE_SERIES(i), i, reterr);
        if (err != 0)
            return err;
        writer->source_count++;
    }
    return 0;
}

static void prepare_external_labels(struct writer *writer)
{
    const struct config_map *labels = &writer->config->global.external_labels;
    writer->external = calloc(labels->len + 1, sizeof *writer->external);
    check(writer->external != NULL);
    for (size_t i = 0; i < labels->len; i++)
        writer->external[i] =
            (struct label){slice_of(labels->items[i].name), slice_of(labels->items[i].value)};
}

static int prepare_builder(struct writer *writer, struct errctx *reterr)
{
    const struct config_remotes *remotes = &writer->config->remote_write;
    int64_t most = 1;
    for (size_t i = 0; i < remotes->len; i++) {
        if (remotes->items[i].queue_config.max_samples_per_send > most)
            most = remotes->items[i].queue_config.max_samples_per_send;
    }
    prepare_external_labels(writer);
    uint32_t samples = most < UINT32_MAX ? (uint32_t)most : UINT32_MAX;
    int err = builder_init(&writer->builder, samples, writer->external,
                           writer->config->global.external_labels.len);
    if (err == 0)
        return 0;
    return err_set(reterr, err,
                   "cannot reserve address space for requests of %u samples: %s (RLIMIT_AS and "
                   "RLIMIT_DATA bound it, and with vm.overcommit_memory=2 what may be committed)",
                   samples, err_text(err));
}

/* ---- Remotes ---- */

static void show_settings(const struct remote *remote)
{
    const struct config_queue *queue = &remote->config->queue_config;
    remote_set(remote->place, REMOTE_MESSAGE, remote->message);
    remote_set(remote->place, REMOTE_SHARDS_MAX, (uint64_t)queue->max_shards);
    remote_set(remote->place, REMOTE_SHARDS_MIN, (uint64_t)queue->min_shards);
    remote_set(remote->place, REMOTE_SHARD_CAPACITY, (uint64_t)queue->capacity);
    remote_set(remote->place, REMOTE_MAX_SAMPLES_PER_SEND, (uint64_t)queue->max_samples_per_send);
}

/* Finds out how far the remote has come; what cannot be read is not believed. */
static int take_place(struct writer *writer, struct remote *remote, const char *key)
{
    const struct config_remote *config = remote->config;
    const struct delivery_names names = {key, config->name, config->url};
    uint64_t acked[SHM_MAX_SCRAPERS];
    uint64_t produced[SHM_MAX_SCRAPERS];
    for (uint32_t i = 0; i < writer->source_count; i++) {
        produced[i] = ring_consumer_produced(&writer->sources[i].ring);
        acked[i] = ring_consumer_acked(&writer->sources[i].ring);
    }
    int err = delivery_remote(&writer->delivery, &names, acked, &remote->place);
    if (err != 0)
        return err;
    uint32_t mended = delivery_mend(&writer->delivery, remote->place, acked, produced);
    if (mended > 0)
        log_error(MSG("positions of a remote are not those of the rings; it starts anew"),
                  STR("remote_name", config->name), INT("positions", mended));
    return 0;
}

/* Jobs of a Target Allocator are not known here; few are slower. */
#define SUPPLIED_INTERVAL_MS (5 * 60 * 1000)

/* Records stay as long as the slowest job's targets need to name them again. */
static int64_t metadata_lifetime_ns(const struct config *config)
{
    int64_t longest_ms = config->limpet.target_allocator.given ? SUPPLIED_INTERVAL_MS : 0;
    for (size_t i = 0; i < config->scrape_configs.len; i++) {
        int64_t interval_ms = config->scrape_configs.items[i].scrape_interval;
        longest_ms = interval_ms > longest_ms ? interval_ms : longest_ms;
    }
    return 2 * longest_ms * NS_PER_MS + NS_PER_S;
}

static void start_metadata(struct writer *writer, struct remote *remote)
{
    const struct config_remote *config = remote->config;
    writer->sends_metadata |=
        config->metadata_config.send && config->protobuf_message != CONFIG_MESSAGE_V2;
    remote->metadata = malloc(sizeof *remote->metadata);
    check(remote->metadata != NULL);
    metadata_sender_init(remote->metadata, writer->loop, remote, &writer->metadata);
}

static int start_remote(struct writer *writer, struct remote *remote, struct errctx *reterr)
{
    char name[SPOOL_NAME_MAX];
    spool_name(&writer->config->remote_write, (size_t)(remote - writer->remotes), name);
    int err = take_place(writer, remote, name);
    if (err != 0)
        return err_set(reterr, err, "no place for remote \"%s\" in the delivery segment: %s",
                       remote->config->name, err_text(err));
    const struct config_spool *spool = &writer->config->limpet.spool;
    backlog_open(&remote->backlog, &writer->delivery, remote, writer->storage_fd, name,
                 (struct spool_limits){spool->max_bytes, spool->max_age});
    show_settings(remote);
    shards_start(writer, remote);
    start_metadata(writer, remote);
    return 0;
}

_Static_assert(CONFIG_MAX_REMOTES == SHM_MAX_REMOTES, "each has a place");

/* A remote that is not configured any more must not hold up the rings. */
static void forget_other_remotes(struct writer *writer)
{
    const struct config_remotes *configs = &writer->config->remote_write;
    struct shm_remote *kept[SHM_MAX_REMOTES];
    uint32_t count = 0;
    for (size_t i = 0; i < configs->len; i++) {
        char name[SPOOL_NAME_MAX];
        spool_name(configs, i, name);
        struct shm_remote *place = delivery_find(&writer->delivery, name);
        if (place != NULL)
            kept[count++] = place;
    }
    delivery_keep_only(&writer->delivery, kept, count);
}

/* Nothing in the delivery segment changes before all of the configuration turned out to be good. */
static int prepare_remotes(struct writer *writer, struct errctx *reterr)
{
    const struct config_remotes *configs = &writer->config->remote_write;
    enum label_scheme scheme =
        config_label_scheme(writer->config->global.metric_name_validation_scheme);
    check(configs->len <= CONFIG_MAX_REMOTES);
    writer->remotes = calloc(configs->len + 1, sizeof *writer->remotes);
    check(writer->remotes != NULL);
    for (size_t i = 0; i < configs->len; i++) {
        int err = remote_init(&writer->remotes[i], &configs->items[i], scheme, reterr);
        if (err != 0)
            return err;
        writer->remotes[i].client.entry = (uint32_t)i;
        writer->remotes[i].names = &writer->names;
        writer->remotes[i].lookups = &writer->lookups;
        writer->remote_count++;
    }
    return 0;
}

/* Without a storage path there is none. */
static void find_storage(struct writer *writer)
{
    writer->storage_fd = fcntl(HERITAGE_STORAGE, F_GETFD) < 0 ? -1 : HERITAGE_STORAGE;
    if (writer->storage_fd < 0 && writer->remote_count > 0)
        log_info(MSG("no --storage.path, so no spool: a remote that takes nothing may hold half of "
                     "each ring, then its oldest samples are dropped"));
}

static int start_remotes(struct writer *writer, struct errctx *reterr)
{
    forget_other_remotes(writer);
    writer->metadata.lifetime_ns = metadata_lifetime_ns(writer->config);
    find_storage(writer);
    for (uint32_t i = 0; i < writer->remote_count; i++) {
        int err = start_remote(writer, &writer->remotes[i], reterr);
        if (err != 0)
            return err;
    }
    writer->orphans = (struct orphans){.storage_fd = writer->storage_fd,
                                       .remotes = &writer->config->remote_write,
                                       .max_age_ms = writer->config->limpet.spool.max_age,
                                       .slot = writer->slot};
    orphans_start(&writer->orphans, clock_mono_ns());
    if (writer->remote_count == 0)
        log_warn(MSG("no remote_write is configured: samples are scraped and go nowhere"));
    return 0;
}

int writer_init(struct writer *writer, uint32_t rings, struct errctx *reterr)
{
    int err = attach_sources(writer, rings, reterr);
    if (err == 0)
        err = delivery_attach(&writer->delivery, HERITAGE_DELIVERY, rings, true, reterr);
    if (err == 0)
        err = names_reader_attach(&writer->names, HERITAGE_TARGETS, reterr);
    writer->lookups.names = &writer->names;
    writer->lookups.slot = writer->slot;
    if (err == 0)
        err = prepare_builder(writer, reterr);
    if (err == 0)
        err = prepare_remotes(writer, reterr);
    if (err == 0)
        err = start_remotes(writer, reterr);
    writer->has_skipped = true; /* a predecessor may have */
    return err;
}

void writer_supply(struct writer *writer, struct supplies *supplies)
{
    check(supplies->len == writer->remote_count);
    for (uint32_t i = 0; i < writer->remote_count; i++)
        client_supply(&writer->remotes[i].client, &supplies->items[i]);
    supplies_free(writer->supplies);
    writer->supplies = supplies;
}

void writer_fini(struct writer *writer)
{
    for (uint32_t i = 0; i < writer->remote_count; i++) {
        shards_fini(&writer->remotes[i]);
        backlog_close(&writer->remotes[i].backlog);
        if (writer->remotes[i].metadata != NULL)
            metadata_sender_fini(writer->remotes[i].metadata);
        free(writer->remotes[i].metadata);
        remote_fini(&writer->remotes[i]);
    }
    free(writer->remotes);
    supplies_free(writer->supplies);
    builder_fini(&writer->builder);
    free(writer->external);
    metadata_pool_fini(&writer->metadata);
    names_reader_detach(&writer->names);
    delivery_detach(&writer->delivery);
    for (uint32_t i = 0; i < writer->source_count; i++) {
        series_reader_detach(&writer->sources[i].series);
        ring_consumer_detach(&writer->sources[i].ring);
    }
    free(writer->sources);
}

/* ---- Each turn ---- */

/* Without a remote everything is read, counted and given back. */
static void pass_unwanted(struct writer *writer, uint32_t ring)
{
    struct source *source = &writer->sources[ring];
    uint64_t end;
    slot_add(writer->slot, COUNTER_WRITER_UNWANTED, scan_pass_all(source, ring, &end));
    ring_consumer_ack(&source->ring, end);
}

void writer_acknowledge(struct writer *writer)
{
    for (uint32_t ring = 0; ring < writer->source_count; ring++) {
        struct ring_consumer *consumer = &writer->sources[ring].ring;
        if (writer->remote_count == 0) {
            pass_unwanted(writer, ring);
            continue;
        }
        uint64_t done = delivery_least(&writer->delivery, ring, 0);
        /* Positions come from memory that outlives this process: believe only possible ones. */
        if (done > ring_consumer_acked(consumer) && done <= ring_consumer_produced(consumer))
            ring_consumer_ack(consumer, done);
    }
    writer->has_skipped = false;
    CRASHPOINT("writer.acknowledged");
}

static void count_damages(struct writer *writer)
{
    uint64_t damages = 0;
    for (uint32_t ring = 0; ring < writer->source_count; ring++)
        damages += writer->sources[ring].damages;
    slot_add(writer->slot, COUNTER_WRITER_CORRUPT, damages - writer->counted_damages);
    writer->counted_damages = damages;
}

void writer_poke(struct writer *writer)
{
    for (uint32_t ring = 0; ring < writer->source_count; ring++)
        writer->seen[ring] = ring_consumer_produced(&writer->sources[ring].ring);
    if (writer->sends_metadata)
        metadata_pool_look(&writer->metadata, writer->sources, writer->source_count);
    int64_t now_ns = clock_mono_ns();
    for (uint32_t i = 0; i < writer->remote_count; i++) {
        struct remote *remote = &writer->remotes[i];
        shards_poke(writer, remote, now_ns);
        shards_show_pending(remote);
        backlog_tend(&remote->backlog, now_ns);
    }
    orphans_tend(&writer->orphans, now_ns);
    /* Positions lie far apart: to look at all of them costs more than the rest of an idle turn. */
    if (writer->remote_count == 0 || writer->has_skipped)
        writer_acknowledge(writer);
    count_damages(writer);
}

/* How many more bytes in some ring would give a shard something to do; 0: none would. */
static uint64_t bytes_to_wake_for(const struct writer *writer)
{
    if (writer->closing)
        return 0;
    if (writer->remote_count == 0)
        return UINT64_MAX; /* only room is to be given back */
    uint64_t least = 0;
    for (uint32_t i = 0; i < writer->remote_count; i++) {
        const struct shards *shards = &writer->remotes[i].shards;
        for (uint32_t j = 0; j < shards->count; j++) {
            uint64_t hunger = shard_hunger(&shards->items[j]);
            if (hunger > 0 && (least == 0 || hunger < least))
                least = hunger;
        }
    }
    return least;
}

/* Any ring may bring its part of it, but waking up for a few samples is not worth it; and a ring
   must not come near to its end unnoticed. */
static uint64_t wake_position(const struct writer *writer, uint32_t ring, uint64_t bytes)
{
    enum { LEAST = 4096, RING_SHARE = 4 };
    if (writer->closing)
        return UINT64_MAX;
    uint64_t share = bytes == 0 ? UINT64_MAX : bytes;
    if (bytes > 1)
        share = bytes / writer->source_count > LEAST ? bytes / writer->source_count : LEAST;
    uint64_t most = writer->sources[ring].ring.size / RING_SHARE;
    return writer->seen[ring] + (share < most ? share : most);
}

bool writer_may_sleep(struct writer *writer)
{
    uint64_t bytes = bytes_to_wake_for(writer);
    bool may = true;
    for (uint32_t ring = 0; ring < writer->source_count; ring++) {
        uint64_t at = wake_position(writer, ring, bytes);
        may &= ring_consumer_wake_at(&writer->sources[ring].ring, at) < at;
    }
    return may;
}

bool writer_is_busy(const struct writer *writer)
{
    for (uint32_t i = 0; i < writer->remote_count; i++) {
        if (shards_are_busy(&writer->remotes[i]))
            return true;
    }
    return false;
}

bool writer_is_sending(const struct writer *writer)
{
    for (uint32_t i = 0; i < writer->remote_count; i++) {
        if (shards_are_sending(&writer->remotes[i]))
            return true;
    }
    return false;
}

bool writer_is_drained(const struct writer *writer)
{
    for (uint32_t ring = 0; ring < writer->source_count; ring++) {
        const struct ring_consumer *consumer = &writer->sources[ring].ring;
        if (ring_consumer_acked(consumer) != ring_consumer_produced(consumer))
            return false;
    }
    return true;
}

bool writer_abort(struct writer *writer)
{
    bool is_quiet = true;
    for (uint32_t i = 0; i < writer->remote_count; i++) {
        struct metadata_sender *metadata = writer->remotes[i].metadata;
        if (metadata != NULL) {
            metadata_sender_abort(metadata);
            is_quiet &= metadata_sender_is_quiet(metadata);
        }
        is_quiet &= shards_abort(&writer->remotes[i]);
    }
    return is_quiet;
}
