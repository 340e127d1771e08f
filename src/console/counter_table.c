/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "console/counter_table.h"

static bool ends_with(struct slice text, struct slice end)
{
    return text.len > end.len && memcmp(text.ptr + text.len - end.len, end.ptr, end.len) == 0;
}

static struct slice without(struct slice text, struct slice end)
{
    return slice_make(text.ptr, text.len - end.len);
}

static void split(const char *text, struct counter_entry *entry)
{
    const char *brace = strchr(text, '{');
    if (brace == NULL) {
        entry->name = slice_of(text);
        entry->labels = SLICE_LITERAL("");
    } else {
        entry->name = slice_make(text, (size_t)(brace - text));
        entry->labels = slice_make(brace + 1, strlen(brace) - 2);
    }
    entry->family = entry->name;
}

static bool is_bucket(const struct counter_entry *entry)
{
    return ends_with(entry->name, SLICE_LITERAL("_bucket")) && entry->labels.len > 4 &&
           memcmp(entry->labels.ptr, "le=\"", 4) == 0;
}

/* The name of a bucket, a sum or a count without that ending; otherwise the name itself. */
static struct slice stem(struct slice name)
{
    static const struct slice ends[] = {{"_bucket", 7}, {"_sum", 4}, {"_count", 6}};
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        if (ends_with(name, ends[i]))
            return without(name, ends[i]);
    }
    return name;
}

static bool has_buckets(const struct counter_entry *entries, size_t count, struct slice family)
{
    for (size_t i = 0; i < count; i++) {
        if (is_bucket(&entries[i]) && slice_equal(stem(entries[i].name), family))
            return true;
    }
    return false;
}

static bool has_count(const struct counter_entry *entries, size_t count, struct slice family)
{
    for (size_t i = 0; i < count; i++) {
        if (ends_with(entries[i].name, SLICE_LITERAL("_count")) &&
            slice_equal(stem(entries[i].name), family))
            return true;
    }
    return false;
}

static void make_histogram(struct counter_entry *entries, size_t count, size_t i)
{
    struct slice family = stem(entries[i].name);
    if (slice_equal(family, entries[i].name) || !has_buckets(entries, count, family))
        return;
    entries[i].family = family;
    entries[i].type = "histogram";
    entries[i].is_also_count =
        slice_is(entries[i].labels, "le=\"+Inf\"") && !has_count(entries, count, family);
}

static void find_leader(struct counter_entry *entries, size_t i)
{
    size_t first = 0;
    while (!slice_equal(entries[first].family, entries[i].family))
        first++;
    entries[i].leads = first == i;
    if (entries[first].help[0] == '\0')
        entries[first].help = entries[i].help;
}

void counter_table_build(const struct counter_row *rows, size_t count,
                         struct counter_entry *entries)
{
    for (size_t i = 0; i < count; i++) {
        entries[i] = (struct counter_entry){.type = rows[i].is_gauge ? "gauge" : "counter",
                                            .help = rows[i].help,
                                            .divisor = rows[i].divisor};
        split(rows[i].name, &entries[i]);
    }
    for (size_t i = 0; i < count; i++)
        make_histogram(entries, count, i);
    for (size_t i = 0; i < count; i++)
        find_leader(entries, i);
}
