/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sim/sink_report.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"

#define ALL_REPORTS ((1U << SINK_REPORT_COUNT) - 1)
#define SHOWN       20
#define LABELS_MAX  128

/* What the walk over all scrapes adds up. */
struct account {
    uint64_t targets, scrapes, complete, failed, markers_only, incomplete;
    uint64_t missing_numbers, number_regressions;
    uint64_t samples_expected; /* of complete scrapes, report series included */
    uint64_t intervals_exact, intervals_off;
    uint64_t stale_expected, stale_mismatched;
    struct strbuf first_incomplete, first_off, first_mismatched, first_gaps;
    uint32_t shown_incomplete, shown_off, shown_mismatched, shown_gaps;
};

enum state { STATE_COMPLETE, STATE_FAILED, STATE_MARKERS_ONLY, STATE_INCOMPLETE };

static enum state state_of(const struct sink_scrape *scrape)
{
    bool reported = scrape->report_seen == ALL_REPORTS;
    if (scrape->resolved && scrape->seen == scrape->expected && reported && scrape->up)
        return STATE_COMPLETE;
    if (scrape->n == 0 && scrape->waiting_count == 0 && reported && !scrape->up)
        return STATE_FAILED;
    if (scrape->n == 0 && scrape->waiting_count == 0 && scrape->report_seen == 0)
        return STATE_MARKERS_ONLY;
    return STATE_INCOMPLETE;
}

static void show(struct strbuf *list, uint32_t *shown, const struct sink_target *target,
                 const struct sink_scrape *scrape, const char *what, long long number)
{
    if (*shown == SHOWN)
        return;
    strbuf_adds(list, *shown == 0 ? "{\"instance\":" : ",{\"instance\":");
    strbuf_add_json(list, target->instance, strlen(target->instance));
    strbuf_addf(list,
                ",\"ts\":%lld,\"n\":%u,\"seen\":%u,\"expected\":%u,\"report\":%u,\"%s\":%lld}",
                (long long)scrape->ts, scrape->n, scrape->seen, scrape->expected,
                (unsigned)scrape->report_seen, what, number);
    (*shown)++;
}

/* Markers the scrape needs, given the one before it: whatever was there and is no more. */
static uint64_t stale_expected(const struct sink *sink, const struct sink_target *target,
                               const struct sink_scrape *before, const struct sink_scrape *scrape)
{
    if (before == NULL || before->n == 0)
        return 0;
    if (scrape->n == 0)
        return before->expected;
    const struct plan *plan = &sink->targets.lookup.plans[target->kind];
    uint64_t gone = target->params.churn;
    if (!target->params.vanish)
        return gone;
    for (uint32_t i = 0; i < plan->count; i++) {
        const struct value_rule *rule = &plan->lines[i].rule;
        gone += value_present(rule, &target->params, target->index, before->n) &&
                !value_present(rule, &target->params, target->index, scrape->n);
    }
    return gone;
}

static void account_stale(const struct sink *sink, const struct sink_target *target,
                          const struct sink_scrape *before, const struct sink_scrape *scrape,
                          struct account *account)
{
    uint64_t want = stale_expected(sink, target, before, scrape);
    account->stale_expected += want;
    if (want == scrape->stale)
        return;
    account->stale_mismatched++;
    show(&account->first_mismatched, &account->shown_mismatched, target, scrape, "stale",
         scrape->stale);
}

static void account_number(const struct sink_target *target, const struct sink_scrape *scrape,
                           uint32_t last_n, struct account *account)
{
    if (scrape->n == 0 || last_n == 0)
        return;
    if (scrape->n <= last_n)
        account->number_regressions++;
    else
        account->missing_numbers += scrape->n - last_n - 1;
    if (scrape->n != last_n + 1)
        show(&account->first_gaps, &account->shown_gaps, target, scrape, "after", last_n);
}

static void account_state(const struct sink_target *target, const struct sink_scrape *scrape,
                          struct account *account)
{
    switch (state_of(scrape)) {
    case STATE_COMPLETE:
        account->complete++;
        account->samples_expected += scrape->expected + SINK_REPORT_COUNT;
        return;
    case STATE_FAILED:
        account->failed++;
        account->samples_expected += SINK_REPORT_COUNT;
        return;
    case STATE_MARKERS_ONLY:
        account->markers_only++;
        return;
    case STATE_INCOMPLETE:
        account->incomplete++;
        show(&account->first_incomplete, &account->shown_incomplete, target, scrape, "up",
             scrape->up);
    }
}

static int compare_distance(const void *a, const void *b)
{
    const int64_t *left = a, *right = b;
    return (*left > *right) - (*left < *right);
}

/* The median distance of consecutive timestamps over the targets. */
static int64_t guess_interval(const struct sink *sink)
{
    int64_t distances[1024];
    size_t count = 0;
    for (uint32_t i = 0; i < sink->targets.count; i++) {
        const struct sink_target *target = &sink->targets.targets[i];
        for (uint32_t j = 1; target->known && j < target->count && count < 1024; j++)
            distances[count++] = target->scrapes[j].ts - target->scrapes[j - 1].ts;
    }
    if (count == 0)
        return 0;
    qsort(distances, count, sizeof(distances[0]), compare_distance);
    return distances[count / 2];
}

static void account_target(const struct sink *sink, const struct sink_target *target,
                           int64_t interval_ms, struct account *account)
{
    const struct sink_scrape *before = NULL;
    uint32_t last_n = 0;
    account->targets++;
    for (uint32_t i = 0; i < target->count; i++) {
        const struct sink_scrape *scrape = &target->scrapes[i];
        account->scrapes++;
        account_state(target, scrape, account);
        account_number(target, scrape, last_n, account);
        account_stale(sink, target, before, scrape, account);
        if (before != NULL && scrape->ts - before->ts == interval_ms) {
            account->intervals_exact++;
        } else if (before != NULL) {
            account->intervals_off++;
            show(&account->first_off, &account->shown_off, target, scrape, "distance_ms",
                 (long long)(scrape->ts - before->ts));
        }
        last_n = scrape->n != 0 ? scrape->n : last_n;
        before = scrape;
    }
}

static void add_count(struct strbuf *json, const char *name, uint64_t number)
{
    strbuf_addf(json, "\"%s\":%llu,", name, (unsigned long long)number);
}

static void add_list(struct strbuf *json, const char *name, struct strbuf *list, const char *end)
{
    strbuf_addf(json, "\"%s\":[%s]%s", name, list->len == 0 ? "" : list->text, end);
    strbuf_fini(list);
}

static void add_requests(const struct sink *sink, struct strbuf *json)
{
    const struct sink_counts *counts = &sink->counts;
    const char *comma = "";
    strbuf_adds(json, "\"requests\":{");
    add_count(json, "total", counts->requests);
    add_count(json, "stored", counts->stored_requests);
    add_count(json, "v2", counts->v2_requests);
    add_count(json, "resets", counts->resets);
    add_count(json, "lost_answers", counts->lost_answers);
    add_count(json, "hung", counts->hung);
    add_count(json, "gone_before_answer", counts->gone);
    add_count(json, "unheard_samples", sink->unheard.count);
    add_count(json, "refused_samples", counts->refused_samples);
    add_count(json, "left_out_samples", counts->left_out);
    add_count(json, "ambiguous_samples", counts->ambiguous);
    add_count(json, "bytes", counts->bytes);
    add_count(json, "bytes_unpacked", counts->bytes_unpacked);
    strbuf_adds(json, "\"answered\":{");
    for (int status = 0; status < SINK_STATUS_MAX; status++) {
        if (counts->answered[status] == 0)
            continue;
        strbuf_addf(json, "%s\"%d\":%llu", comma, status,
                    (unsigned long long)counts->answered[status]);
        comma = ",";
    }
    strbuf_adds(json, "}},\n");
}

static void add_errors(const struct sink *sink, struct strbuf *json)
{
    uint64_t total = 0;
    strbuf_adds(json, "\"errors\":{");
    for (int kind = 0; kind < SINK_ERROR_KINDS; kind++) {
        add_count(json, sink_error_name((enum sink_error)kind), sink->counts.errors[kind]);
        total += sink->counts.errors[kind];
    }
    add_count(json, "total", total);
    strbuf_adds(json, "\"first\":[");
    for (uint32_t i = 0; i < sink->error_count; i++)
        strbuf_addf(json, "%s%s", i == 0 ? "" : ",", sink->errors[i]);
    strbuf_adds(json, "]},\n");
}

/* The delay that `percent` of the samples do not exceed, in ms. */
static uint64_t delay_percentile(const struct sink_counts *counts, uint64_t percent)
{
    uint64_t total = 0, sum = 0;
    for (uint64_t i = 0; i < SINK_DELAY_MS; i++)
        total += counts->delays_ms[i];
    for (uint64_t i = 0; i < SINK_DELAY_S; i++)
        total += counts->delays_s[i];
    uint64_t want = (total * percent + 99) / 100;
    for (uint64_t i = 0; i < SINK_DELAY_MS; i++) {
        sum += counts->delays_ms[i];
        if (sum >= want)
            return i;
    }
    for (uint64_t i = 0; i < SINK_DELAY_S; i++) {
        sum += counts->delays_s[i];
        if (sum >= want)
            return (i + 1) * 1000;
    }
    return 0;
}

/* How many samples had which delay: [ms, count], ... */
static void add_delays(const struct sink_counts *counts, struct strbuf *json)
{
    const char *comma = "";
    for (uint64_t i = 0; i < SINK_DELAY_MS + SINK_DELAY_S; i++) {
        bool is_ms = i < SINK_DELAY_MS;
        uint64_t ms = is_ms ? i : (i - SINK_DELAY_MS + 1) * 1000;
        uint64_t count = is_ms ? counts->delays_ms[i] : counts->delays_s[i - SINK_DELAY_MS];
        if (count == 0)
            continue;
        strbuf_addf(json, "%s[%llu,%llu]", comma, (unsigned long long)ms,
                    (unsigned long long)count);
        comma = ",";
    }
}

static void add_arrivals(const struct sink_counts *counts, struct strbuf *json)
{
    strbuf_addf(json, "\"arrival_delay_ms\":{\"p50\":%llu,\"p99\":%llu,\"max\":%llu,\"counts\":[",
                (unsigned long long)delay_percentile(counts, 50),
                (unsigned long long)delay_percentile(counts, 99),
                (unsigned long long)delay_percentile(counts, 100));
    add_delays(counts, json);
    strbuf_adds(json, "]}");
}

/* Series whose staleness marker was followed by another sample. */
static void add_stale(const struct sink *sink, struct account *account, struct strbuf *json)
{
    uint32_t shown = 0;
    strbuf_adds(json, "\"stale\":{");
    add_count(json, "stored", sink->counts.stale_stored);
    add_count(json, "series_followed", sink->counts.stale_followed);
    add_count(json, "expected", account->stale_expected);
    add_count(json, "mismatched_scrapes", account->stale_mismatched);
    add_list(json, "first_mismatched", &account->first_mismatched, ",\"first_series\":[");
    for (uint32_t i = 0; i < sink->series.count && shown < SHOWN; i++) {
        const struct sink_entry *entry = sink_series_at(&sink->series, i);
        if (!entry->stale_ever)
            continue;
        strbuf_addf(json, "%s{\"followed\":%s,\"series\":", shown == 0 ? "" : ",",
                    entry->stale_followed ? "true" : "false");
        if (entry->kept != NULL || entry->role.type != SINK_ROLE_PLAN) {
            sink_series_describe(entry, json);
        } else {
            const struct sink_target *target = &sink->targets.targets[entry->target];
            struct slice series =
                plan_series(&sink->targets.lookup.plans[target->kind], entry->role.index);
            strbuf_addf(json, "\"%s\",\"text\":", target->instance);
            strbuf_add_json(json, series.ptr, series.len);
        }
        strbuf_addc(json, '}');
        shown++;
    }
    strbuf_adds(json, "]},\n");
}

static void add_scrapes(struct account *account, int64_t interval_ms, struct strbuf *json)
{
    strbuf_adds(json, "\"scrapes\":{");
    add_count(json, "targets", account->targets);
    add_count(json, "total", account->scrapes);
    add_count(json, "complete", account->complete);
    add_count(json, "failed", account->failed);
    add_count(json, "markers_only", account->markers_only);
    add_count(json, "incomplete", account->incomplete);
    add_count(json, "samples_expected", account->samples_expected);
    add_count(json, "missing_numbers", account->missing_numbers);
    add_count(json, "number_regressions", account->number_regressions);
    add_list(json, "first_incomplete", &account->first_incomplete, ",");
    add_list(json, "first_gaps", &account->first_gaps, "},\n");
    strbuf_addf(json, "\"intervals\":{\"ms\":%lld,", (long long)interval_ms);
    add_count(json, "exact", account->intervals_exact);
    add_count(json, "off", account->intervals_off);
    add_list(json, "first_off", &account->first_off, "},\n");
}

static void add_samples(const struct sink *sink, struct strbuf *json)
{
    const struct sink_counts *counts = &sink->counts;
    uint64_t series = 0, violated = 0;
    for (uint32_t i = 0; i < sink->series.count; i++) {
        const struct sink_entry *entry = sink_series_at(&sink->series, i);
        series += entry->stored;
        violated += entry->violated;
    }
    strbuf_adds(json, "\"samples\":{");
    add_count(json, "received", counts->samples_received);
    add_count(json, "unchanged", counts->samples_unchanged);
    add_count(json, "verified", sink->targets.verified);
    add_count(json, "exemplars", counts->exemplars);
    add_count(json, "histograms", counts->histograms);
    add_count(json, "metadata", counts->metadata);
    strbuf_addf(json, "\"stored\":%llu},\n", (unsigned long long)counts->samples_stored);
    add_count(json, "series", series);
    add_count(json, "duplicates", counts->duplicates);
    strbuf_addf(json, "\"order_violations\":{\"samples\":%llu,\"series\":%llu},\n",
                (unsigned long long)counts->order_violations, (unsigned long long)violated);
    strbuf_addf(json, "\"refused\":{\"out_of_order\":%llu,\"duplicate\":%llu},\n",
                (unsigned long long)counts->refused_order,
                (unsigned long long)counts->refused_duplicate);
}

void sink_report_write(const struct sink *sink, struct strbuf *json)
{
    struct account account = {0};
    int64_t interval_ms = sink->options.interval_ms;
    if (interval_ms == 0)
        interval_ms = guess_interval(sink);
    for (uint32_t i = 0; i < sink->targets.count; i++) {
        if (sink->targets.targets[i].known)
            account_target(sink, &sink->targets.targets[i], interval_ms, &account);
    }
    strbuf_addf(json, "{\"like\":\"%s\",\n",
                sink->options.like_victoria ? "victoria" : "prometheus");
    add_requests(sink, json);
    add_samples(sink, json);
    add_errors(sink, json);
    add_stale(sink, &account, json);
    add_scrapes(&account, interval_ms, json);
    strbuf_adds(json, "\"repeats\":");
    sink_repeats_describe(&sink->repeats, json);
    strbuf_adds(json, ",\n\"faults\":");
    sink_faults_describe(&sink->faults, json);
    strbuf_adds(json, ",\n");
    add_arrivals(&sink->counts, json);
    strbuf_adds(json, "}\n");
}

void sink_report_write_scrapes(const struct sink *sink, struct strbuf *json)
{
    const char *comma = "";
    strbuf_adds(json,
                "{\"fields\":[\"ts\",\"n\",\"seen\",\"expected\",\"up\",\"report\",\"stale\"],"
                "\n\"targets\":[");
    for (uint32_t i = 0; i < sink->targets.count; i++) {
        const struct sink_target *target = &sink->targets.targets[i];
        if (!target->known)
            continue;
        strbuf_addf(json, "%s\n{\"instance\":", comma);
        strbuf_add_json(json, target->instance, strlen(target->instance));
        strbuf_adds(json, ",\"scrapes\":[");
        for (uint32_t j = 0; j < target->count; j++) {
            const struct sink_scrape *scrape = &target->scrapes[j];
            strbuf_addf(json, "%s[%lld,%u,%u,%u,%d,%u,%u]", j == 0 ? "" : ",",
                        (long long)scrape->ts, scrape->n, scrape->seen, scrape->expected,
                        (int)scrape->up, (unsigned)scrape->report_seen, scrape->stale);
        }
        strbuf_adds(json, "]}");
        comma = ",";
    }
    strbuf_adds(json, "\n]}\n");
}

static bool name_matches(const struct sink_entry *entry, struct slice name)
{
    struct sink_label labels[LABELS_MAX];
    if (slice_is(name, "*"))
        return true;
    struct slice fields = slice_make(entry->kept->labels.text, entry->kept->labels.len);
    int count = sink_series_labels(fields, labels, LABELS_MAX);
    return count > 0 && slice_equal(sink_lookup_label(labels, (uint32_t)count, "__name__"), name);
}

void sink_report_write_series(const struct sink *sink, struct slice name, struct strbuf *json)
{
    const char *comma = "";
    strbuf_adds(json, "[");
    for (uint32_t i = 0; i < sink->series.count; i++) {
        const struct sink_entry *entry = sink_series_at(&sink->series, i);
        if (!entry->stored || entry->kept == NULL || !name_matches(entry, name))
            continue;
        strbuf_addf(json, "%s\n{\"labels\":", comma);
        sink_series_describe(entry, json);
        strbuf_adds(json, ",\"samples\":[");
        for (uint32_t j = 0; j < entry->kept->count; j++) {
            const struct sink_sample *sample = &entry->kept->samples[j];
            double number;
            memcpy(&number, &sample->bits, sizeof(number));
            strbuf_addf(json, "%s[%lld,\"%.17g\",\"%016llx\"]", j == 0 ? "" : ",",
                        (long long)sample->ts, number, (unsigned long long)sample->bits);
        }
        strbuf_adds(json, "]}");
        comma = ",";
    }
    strbuf_adds(json, "\n]\n");
}
