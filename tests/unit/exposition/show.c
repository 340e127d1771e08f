/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "show.h"

#include <string.h>

#include "exposition/histogram.h"

static void show_time(struct strbuf *out, const struct exposition_entry *entry)
{
    if (entry->has_timestamp)
        strbuf_addf(out, " at=%lld", (long long)entry->timestamp_ms);
    if (entry->start_ms != 0)
        strbuf_addf(out, " start=%lld", (long long)entry->start_ms);
}

static void show_exemplar(struct strbuf *out, const struct exposition_exemplar *exemplar)
{
    struct exposition_label labels[8];
    double value;
    memcpy(&value, &exemplar->bits, sizeof(value));
    strbuf_addf(out, " exemplar(%g", value);
    int count = exposition_exemplar_labels(exemplar, labels, 8);
    for (int i = 0; i < count; i++)
        strbuf_addf(out, ",%.*s=%.*s", SLICE_ARG(labels[i].name), SLICE_ARG(labels[i].value));
    if (exemplar->has_timestamp)
        strbuf_addf(out, "@%lld", (long long)exemplar->timestamp_ms);
    strbuf_addc(out, ')');
}

static void show_side(struct strbuf *out, const char *name, const struct histogram_side *side,
                      bool is_float)
{
    strbuf_addf(out, " %s", name);
    for (uint32_t i = 0; i < side->span_count; i++)
        strbuf_addf(out, "[%d,%u]", side->spans[i].offset, side->spans[i].length);
    for (uint32_t i = 0; i < side->count_count; i++) {
        if (is_float)
            strbuf_addf(out, "%s%g", i == 0 ? "" : ",", side->counts[i].real);
        else
            strbuf_addf(out, "%s%lld", i == 0 ? "" : ",", (long long)side->counts[i].integer);
    }
}

static void show_histogram(struct strbuf *out, const struct exposition_entry *entry)
{
    const struct histogram *histogram = entry->histogram;
    double sum;
    memcpy(&sum, &histogram->sum_bits, sizeof(sum));
    strbuf_addf(
        out, " %s%s schema=%d zero=%g:%g count=%g sum=%g",
        histogram->is_float ? "float" : "integer", histogram->is_gauge ? " gauge" : "",
        histogram->schema, histogram->zero_threshold,
        histogram->is_float ? histogram->zero_count.real : (double)histogram->zero_count.integer,
        histogram->is_float ? histogram->count.real : (double)histogram->count.integer, sum);
    show_side(out, "+", &histogram->positive, histogram->is_float);
    show_side(out, "-", &histogram->negative, histogram->is_float);
    for (uint32_t i = 0; i < histogram->bound_count; i++)
        strbuf_addf(out, " <=%g", histogram->bounds[i]);
    for (uint32_t i = 0; i < entry->exemplar_count; i++)
        show_exemplar(out, &entry->exemplars[i]);
    const char *why = histogram_invalid(histogram);
    if (why != NULL)
        strbuf_addf(out, " INVALID: %s", why);
}

void show_entry(struct strbuf *out, const struct exposition_entry *entry)
{
    double value;
    switch (entry->kind) {
    case EXPOSITION_SAMPLE:
        memcpy(&value, &entry->bits, sizeof(value));
        strbuf_addf(out, "%.*s %g", SLICE_ARG(entry->series), value);
        show_time(out, entry);
        if (entry->has_exemplar)
            show_exemplar(out, &entry->exemplar);
        break;
    case EXPOSITION_HISTOGRAM:
        strbuf_addf(out, "%.*s", SLICE_ARG(entry->series));
        show_histogram(out, entry);
        show_time(out, entry);
        break;
    case EXPOSITION_TYPE:
        strbuf_addf(out, "TYPE %.*s %s", SLICE_ARG(entry->family),
                    exposition_type_name(entry->type));
        break;
    default:
        strbuf_addf(out, "%s %.*s %.*s", entry->kind == EXPOSITION_HELP ? "HELP" : "UNIT",
                    SLICE_ARG(entry->family), SLICE_ARG(entry->text));
        break;
    }
    strbuf_addc(out, '\n');
}
