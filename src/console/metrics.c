/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "console/metrics.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "console/counter_table.h"
#include "console/text_format.h"
#include "shm/remote_counters.h"

#define NO_LABELS SLICE_LITERAL("")

static uint64_t load(const _Atomic uint64_t *value)
{
    return atomic_load_explicit(value, memory_order_relaxed);
}

/* ---- families of the counter lists ---- */

/* One line of a family, and the count that a histogram's last bucket stands for, too. */
static void add_entry(struct strbuf *page, const struct counter_entry *entry,
                      const struct strbuf *labels, uint64_t value)
{
    text_sample(page, entry->name, entry->labels, labels, value, entry->divisor);
    if (entry->is_also_count) {
        char name[128];
        snprintf(name, sizeof(name), "%.*s_count", SLICE_ARG(entry->family));
        text_sample(page, slice_of(name), NO_LABELS, labels, value, entry->divisor);
    }
}

static bool same_family(const struct counter_entry *a, const struct counter_entry *b)
{
    return slice_equal(a->family, b->family);
}

static void add_slot_lines(struct view *view, struct strbuf *page,
                           const struct counter_entry *entries, size_t first, uint32_t slot_index)
{
    uint32_t role = slot_role(slot_index);
    uint32_t roles = counter_info((enum counter)first)->roles;
    struct strbuf labels = STRBUF_GROWING;
    view_slot_labels(slot_index, (roles & (roles - 1)) != 0, &labels);
    for (size_t i = first; i < COUNTER_COUNT; i++) {
        if (same_family(&entries[i], &entries[first]) &&
            (counter_info((enum counter)i)->roles & role) != 0)
            add_entry(page, &entries[i], &labels,
                      slot_get(view_slot(view, slot_index), (enum counter)i));
    }
    strbuf_fini(&labels);
}

/* A scraper that is not wanted any more goes on counting for what it has done, and for no more. */
static bool counts(const struct view *view, uint32_t slots, uint32_t slot_index,
                   enum counter counter)
{
    return slot_index < slots ||
           (!counter_info(counter)->is_gauge && load(&view_slot(view, slot_index)->epoch) > 0);
}

static void add_slot_counters(struct view *view, struct strbuf *page)
{
    struct counter_row rows[COUNTER_COUNT];
    struct counter_entry entries[COUNTER_COUNT];
    for (size_t i = 0; i < COUNTER_COUNT; i++) {
        const struct counter_info *info = counter_info((enum counter)i);
        rows[i] = (struct counter_row){info->name, info->help, info->is_gauge, info->divisor};
    }
    counter_table_build(rows, COUNTER_COUNT, entries);
    uint32_t slots = view_slots(view);
    for (size_t i = 0; i < COUNTER_COUNT; i++) {
        if (!entries[i].leads)
            continue;
        text_family(page, entries[i].family, entries[i].type, entries[i].help);
        for (uint32_t k = 0; k < SHM_SLOTS; k++) {
            if (counts(view, slots, k, (enum counter)i))
                add_slot_lines(view, page, entries, i, k);
        }
    }
}

/* ---- what Prometheus' dashboards and alerts ask for ---- */

/*
 * The sum over all slots of one of our counters, of timestamps the newest, under the name that
 * Prometheus has for it.
 */
struct alias {
    const char *name;
    const char *labels;
    const char *type;
    const char *help; /* NULL: one more of the family before */
    enum counter counter;
};

static const struct alias aliases[] = {
    {"prometheus_agent_active_series", "", "gauge", "Number of active series being tracked.",
     COUNTER_SERIES_ACTIVE},
    {"prometheus_agent_samples_appended_total", "type=\"float\"", "counter",
     "Total number of samples appended to the storage.", COUNTER_SAMPLES_APPENDED},
    {"prometheus_agent_samples_appended_total", "type=\"histogram\"", "counter", NULL,
     COUNTER_HISTOGRAMS_COMMITTED},
    {"prometheus_agent_exemplars_appended_total", "", "counter",
     "Total number of exemplars appended to the storage.", COUNTER_EXEMPLARS_COMMITTED},
    {"prometheus_agent_out_of_order_samples_total", "", "counter",
     "Total number of out of order samples ingestion failed attempts.",
     COUNTER_SAMPLES_OUT_OF_ORDER},
    {"prometheus_sd_file_read_errors_total", "", "counter", "The number of File-SD read errors.",
     COUNTER_FILE_SD_ERRORS},
    {"prometheus_remote_storage_samples_in_total", "", "counter",
     "Samples in to remote storage, compare to samples out for queue managers.",
     COUNTER_WRITER_SAMPLES_IN},
    {"prometheus_remote_storage_histograms_in_total", "", "counter",
     "Histograms in to remote storage, compare to histograms out for queue managers.",
     COUNTER_WRITER_HISTOGRAMS_IN},
    {"prometheus_remote_storage_exemplars_in_total", "", "counter",
     "Exemplars in to remote storage, compare to exemplars out for queue managers.",
     COUNTER_WRITER_EXEMPLARS_IN},
    {"prometheus_remote_storage_highest_timestamp_in_seconds", "", "gauge",
     "Highest timestamp that has come in, in seconds since epoch.", COUNTER_HIGHEST_APPENDED_MS},
};

static void add_alias(struct view *view, const struct alias *alias, struct strbuf *page)
{
    uint32_t slots = view_slots(view);
    uint64_t value = 0;
    for (uint32_t i = 0; i < SHM_SLOTS; i++) {
        if (!counts(view, slots, i, alias->counter))
            continue;
        uint64_t of_slot = slot_get(view_slot(view, i), alias->counter);
        if (alias->counter != COUNTER_HIGHEST_APPENDED_MS)
            value += of_slot;
        else if (of_slot > value)
            value = of_slot;
    }
    if (alias->help != NULL)
        text_family(page, slice_of(alias->name), alias->type, alias->help);
    text_sample(page, slice_of(alias->name), slice_of(alias->labels), NULL, value,
                counter_info(alias->counter)->divisor);
}

/* ---- remotes ---- */

struct remote_row {
    const struct shm_remote *remote;
    struct strbuf labels;
};

static void add_remote(struct view *view, const struct shm_remote *remote, struct remote_row *rows,
                       size_t *count)
{
    char name[VIEW_TEXT], url[VIEW_TEXT];
    struct strbuf labels = STRBUF_GROWING;
    text_label(&labels, "remote_name", view_text(remote->name, sizeof(remote->name), name));
    text_label(&labels, "url", view_text(remote->url, sizeof(remote->url), url));
    for (size_t i = 0; i < *count; i++) {
        /* Two of the same labels would make the page invalid. */
        if (strcmp(rows[i].labels.text, labels.text) == 0) {
            view_damaged(view);
            strbuf_fini(&labels);
            return;
        }
    }
    rows[(*count)++] = (struct remote_row){remote, labels};
}

static size_t find_remotes(struct view *view, struct remote_row *rows)
{
    size_t count = 0;
    for (size_t i = 0; i < SHM_MAX_REMOTES; i++) {
        const struct shm_remote *remote = &view->delivery.data->remotes[i];
        if (atomic_load_explicit(&remote->key, memory_order_acquire) != 0)
            add_remote(view, remote, rows, &count);
    }
    return count;
}

static void add_remote_lines(struct strbuf *page, const struct remote_row *row,
                             const struct counter_entry *entries, size_t first)
{
    for (size_t i = first; i < REMOTE_COUNTER_COUNT; i++) {
        if (same_family(&entries[i], &entries[first]))
            add_entry(page, &entries[i], &row->labels,
                      remote_get(row->remote, (enum remote_counter)i));
    }
}

static void add_remote_counters(struct view *view, struct strbuf *page)
{
    struct remote_row remotes[SHM_MAX_REMOTES];
    struct counter_row rows[REMOTE_COUNTER_COUNT];
    struct counter_entry entries[REMOTE_COUNTER_COUNT];
    for (size_t i = 0; i < REMOTE_COUNTER_COUNT; i++) {
        const struct remote_counter_info *info = remote_counter_info((enum remote_counter)i);
        rows[i] = (struct counter_row){info->name, info->help, info->is_gauge, info->divisor};
    }
    counter_table_build(rows, REMOTE_COUNTER_COUNT, entries);
    size_t count = find_remotes(view, remotes);
    for (size_t i = 0; i < REMOTE_COUNTER_COUNT; i++) {
        if (!entries[i].leads)
            continue;
        text_family(page, entries[i].family, entries[i].type, entries[i].help);
        for (size_t k = 0; k < count; k++)
            add_remote_lines(page, &remotes[k], entries, i);
    }
    for (size_t k = 0; k < count; k++)
        strbuf_fini(&remotes[k].labels);
}

/* ---- the supervisor's page ---- */

static void add_one(struct strbuf *page, const char *name, const char *type, const char *help,
                    uint64_t value, uint64_t divisor)
{
    text_family(page, slice_of(name), type, help);
    text_sample(page, slice_of(name), NO_LABELS, NULL, value, divisor);
}

static void add_build_info(struct strbuf *page)
{
    struct slice name = SLICE_LITERAL("limpet_build_info");
    struct strbuf labels = STRBUF_GROWING;
    text_label(&labels, "version", slice_of(PACKAGE_VERSION));
    text_family(page, name, "gauge", "A constant 1 with the version of this limpet.");
    text_sample(page, name, NO_LABELS, &labels, 1, 1);
    strbuf_fini(&labels);
}

static void add_reloads(const struct shm_supervisor *supervisor, struct strbuf *page)
{
    /* Released last by the supervisor: what is read after it is at least as new. */
    uint64_t attempts = atomic_load_explicit(&supervisor->reload_attempts, memory_order_acquire);
    uint64_t ok = load(&supervisor->reload_ok) != 0;
    uint64_t at_ns = load(&supervisor->reload_at_ns);
    static const char ok_help[] = "Whether the last configuration reload attempt was successful.";
    static const char at_help[] = "Timestamp of the last successful configuration reload.";
    add_one(page, "prometheus_config_last_reload_successful", "gauge", ok_help, ok, 1);
    add_one(page, "prometheus_config_last_reload_success_timestamp_seconds", "gauge", at_help,
            at_ns, NS_PER_S);
    add_one(page, "limpet_config_last_reload_successful", "gauge", ok_help, ok, 1);
    add_one(page, "limpet_config_last_reload_success_timestamp_seconds", "gauge", at_help, at_ns,
            NS_PER_S);
    add_one(page, "limpet_config_reloads_total", "counter", "Attempts to load the configuration.",
            attempts, 1);
    add_one(page, "limpet_config_generation", "gauge", "Generation of the configuration in force.",
            load(&supervisor->config_generation), 1);
    add_one(page, "limpet_config_reload_settings_refused_total", "counter",
            "Changed settings that only a restart of limpet can bring into force.",
            load(&supervisor->reload_refused), 1);
    add_one(page, "limpet_cpu_changes_total", "counter",
            "Times that the CPUs limpet may use were others than before.",
            load(&supervisor->repins), 1);
}

static void add_quarantine(const struct shm_supervisor *supervisor, struct strbuf *page)
{
    size_t room = sizeof(supervisor->quarantined) / sizeof(supervisor->quarantined[0]);
    uint64_t count = 0;
    for (size_t i = 0; i < room; i++)
        count += load(&supervisor->quarantined[i]) != 0;
    add_one(page, "limpet_quarantined_targets", "gauge",
            "Targets that are left alone because scrapers died of them.", count, 1);
    add_one(page, "limpet_quarantines_total", "counter", "Times a target was put into quarantine.",
            load(&supervisor->quarantines), 1);
}

static void add_supervisor(struct view *view, struct strbuf *page)
{
    const struct shm_supervisor *supervisor = view->supervisor;
    add_build_info(page);
    add_one(page, "process_start_time_seconds", "gauge",
            "Start time of limpet since unix epoch in seconds.", load(&supervisor->started_at_ns),
            NS_PER_S);
    add_reloads(supervisor, page);
    add_quarantine(supervisor, page);
    add_one(page, "limpet_target_table_generation", "gauge",
            "Generation of the target table in force; 0 while there is none.",
            targets_reader_generation(&view->targets), 1);
}

/* ---- children ---- */

/* One family with a sample of each slot for which `get` has a value. */
struct slot_family {
    const char *name;
    const char *type;
    const char *help;
    uint64_t divisor;
    bool (*get)(const struct view *view, uint32_t slot_index, uint64_t *ret_value);
};

static bool get_up(const struct view *view, uint32_t slot_index, uint64_t *ret_value)
{
    struct process process;
    uint32_t state =
        atomic_load_explicit(&view_slot(view, slot_index)->state, memory_order_acquire);
    *ret_value = state == SHM_STATE_READY && view_process(view, slot_index, &process);
    return true;
}

static bool get_restarts(const struct view *view, uint32_t slot_index, uint64_t *ret_value)
{
    *ret_value = load(&view->supervisor->restarts[slot_index]);
    return true;
}

static bool get_starts(const struct view *view, uint32_t slot_index, uint64_t *ret_value)
{
    *ret_value = load(&view_slot(view, slot_index)->epoch);
    return true;
}

static bool get_started_at(const struct view *view, uint32_t slot_index, uint64_t *ret_value)
{
    *ret_value = load(&view_slot(view, slot_index)->started_at_ns);
    return *ret_value != 0;
}

static bool get_cpu(const struct view *view, uint32_t slot_index, uint64_t *ret_value)
{
    struct process process;
    bool lives = view_process(view, slot_index, &process);
    *ret_value = lives ? process.cpu_ns : 0;
    return lives;
}

static bool get_resident(const struct view *view, uint32_t slot_index, uint64_t *ret_value)
{
    struct process process;
    bool lives = view_process(view, slot_index, &process);
    *ret_value = lives ? process.resident_bytes : 0;
    return lives;
}

static const struct slot_family slot_families[] = {
    {"limpet_child_up", "gauge", "Whether the child lives and is ready.", 1, get_up},
    {"limpet_child_restarts_total", "counter",
     "Times the child was started again after it had died.", 1, get_restarts},
    {"limpet_child_starts_total", "counter",
     "Times the child has started, over all restarts of limpet that shared memory outlived.", 1,
     get_starts},
    {"limpet_process_start_time_seconds", "gauge",
     "Start time of the child since unix epoch in seconds.", NS_PER_S, get_started_at},
    {"limpet_process_cpu_seconds_total", "counter", "User and system CPU time of the process.",
     NS_PER_S, get_cpu},
    {"limpet_process_resident_memory_bytes", "gauge",
     "Resident memory of the process, shared pages included.", 1, get_resident},
};

/* The supervisor has no slot, but it is a process. */
static void add_supervisor_process(const struct view *view, const struct slot_family *family,
                                   struct strbuf *page)
{
    struct process process;
    if ((family->get != get_cpu && family->get != get_resident) ||
        !process_read(view->supervisor_pid, &process))
        return;
    uint64_t value = family->get == get_cpu ? process.cpu_ns : process.resident_bytes;
    text_sample(page, slice_of(family->name), SLICE_LITERAL("role=\"supervisor\""), NULL, value,
                family->divisor);
}

static void add_slot_family(struct view *view, const struct slot_family *family,
                            struct strbuf *page)
{
    uint32_t slots = view_slots(view);
    text_family(page, slice_of(family->name), family->type, family->help);
    add_supervisor_process(view, family, page);
    for (uint32_t i = 0; i < slots; i++) {
        struct strbuf labels = STRBUF_GROWING;
        uint64_t value;
        view_slot_labels(i, true, &labels);
        if (family->get(view, i, &value))
            text_sample(page, slice_of(family->name), NO_LABELS, &labels, value, family->divisor);
        strbuf_fini(&labels);
    }
}

static const char *backend_name(uint32_t backend)
{
    return backend == 1 ? "io_uring" : backend == 2 ? "epoll" : NULL;
}

/* Which event loop a child runs on and why: what to look at when a node is slow. */
static void add_backends(struct view *view, struct strbuf *page)
{
    struct slice name = SLICE_LITERAL("limpet_event_loop_info");
    uint32_t slots = view_slots(view);
    text_family(page, name, "gauge", "A constant 1: the event loop's backend, and why that one.");
    for (uint32_t i = 0; i < slots; i++) {
        const struct shm_slot *slot = view_slot(view, i);
        const char *backend =
            backend_name(atomic_load_explicit(&slot->backend, memory_order_acquire));
        if (backend == NULL)
            continue;
        struct strbuf labels = STRBUF_GROWING;
        char why[VIEW_TEXT];
        view_slot_labels(i, true, &labels);
        text_label(&labels, "backend", slice_of(backend));
        text_label(&labels, "why", view_text(slot->backend_why, sizeof(slot->backend_why), why));
        text_sample(page, name, NO_LABELS, &labels, 1, 1);
        strbuf_fini(&labels);
    }
}

/* ---- rings ---- */

static uint64_t ring_size(const struct ring_consumer *ring)
{
    return ring->size;
}

/* What lies in the ring because some remote has not taken it. */
static uint64_t ring_used(const struct ring_consumer *ring)
{
    uint64_t acked = ring_consumer_acked(ring);
    uint64_t produced = ring_consumer_produced(ring);
    /* The writer may have acknowledged more between the two. */
    return produced > acked ? produced - acked : 0;
}

static uint64_t ring_produced(const struct ring_consumer *ring)
{
    return ring_consumer_produced(ring);
}

static void add_ring_family(const struct view *view, struct strbuf *page, const char *name,
                            const char *type, const char *help,
                            uint64_t (*get)(const struct ring_consumer *ring))
{
    text_family(page, slice_of(name), type, help);
    for (uint32_t i = 0; i < view->ring_count; i++) {
        char label[32];
        if (!view->ring_there[i])
            continue;
        snprintf(label, sizeof(label), "scraper=\"%" PRIu32 "\"", i);
        text_sample(page, slice_of(name), slice_of(label), NULL, get(&view->rings[i]), 1);
    }
}

static void add_rings(const struct view *view, struct strbuf *page)
{
    add_ring_family(view, page, "limpet_ring_size_bytes", "gauge", "Size of the ring.", ring_size);
    add_ring_family(view, page, "limpet_ring_used_bytes", "gauge",
                    "Bytes in the ring that some remote has not taken yet.", ring_used);
    add_ring_family(view, page, "limpet_ring_produced_bytes_total", "counter",
                    "Bytes ever put into the ring.", ring_produced);
}

void metrics_write(struct view *view, struct strbuf *page)
{
    add_supervisor(view, page);
    for (size_t i = 0; i < sizeof(slot_families) / sizeof(slot_families[0]); i++)
        add_slot_family(view, &slot_families[i], page);
    add_backends(view, page);
    add_rings(view, page);
    add_slot_counters(view, page);
    for (size_t i = 0; i < sizeof(aliases) / sizeof(aliases[0]); i++)
        add_alias(view, &aliases[i], page);
    add_remote_counters(view, page);
}
