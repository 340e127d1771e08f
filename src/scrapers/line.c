/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "scrapers/line.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/strbuf.h"
#include "base/utf8.h"

#define LABEL_ROOM_MIN 64

static const struct slice metric_name = {"__name__", 8};

/* ---- contexts ---- */

static uint64_t context_key(struct slice job, bool honor_labels, const struct label *labels,
                            uint32_t label_count)
{
    uint64_t key = hash64(job.ptr, job.len, honor_labels);
    for (uint32_t i = 0; i < label_count; i++)
        key = hash64(labels[i].name.ptr, labels[i].name.len, key);
    return key;
}

static struct line_context *context_new(const struct label *labels, uint32_t label_count)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < label_count; i++)
        bytes += labels[i].name.len;
    struct line_context *context =
        calloc(1, sizeof(*context) + label_count * sizeof(struct slice) + bytes);
    check(context != NULL);
    context->names = (struct slice *)(void *)(context + 1);
    char *text = (char *)(context->names + label_count);
    for (uint32_t i = 0; i < label_count; i++) {
        memcpy(text, labels[i].name.ptr, labels[i].name.len);
        context->names[i] = slice_make(text, labels[i].name.len);
        text += labels[i].name.len;
    }
    context->name_count = label_count;
    return context;
}

struct line_context *line_context_get(struct line_contexts *contexts, struct slice job,
                                      bool honor_labels, const struct label *labels,
                                      uint32_t label_count)
{
    uint64_t key = context_key(job, honor_labels, labels, label_count);
    struct line_context *context = contexts->first;
    while (context != NULL && context->key != key)
        context = context->next;
    if (context == NULL) {
        context = context_new(labels, label_count);
        context->key = key;
        context->honor_labels = honor_labels;
        context->next = contexts->first;
        contexts->first = context;
    }
    context->references++;
    return context;
}

void line_context_release(struct line_contexts *contexts, struct line_context *context)
{
    check(context->references > 0);
    if (--context->references > 0)
        return;
    struct line_context **link = &contexts->first;
    while (*link != context)
        link = &(*link)->next;
    *link = context->next;
    free(context);
}

/* ---- learning ---- */

void line_learner_fini(struct line_learner *learner)
{
    free(learner->exposed);
    free(learner->labels);
    free(learner->conflicts);
    free(learner->scratch);
    arena_fini(&learner->names);
    *learner = (struct line_learner){0};
}

static void *grown(void *array, size_t count, size_t size)
{
    void *larger = realloc(array, count * size);
    check(larger != NULL);
    return larger;
}

/* A result may have one label more for each of the text's: what it hides or renames replaces one.
 */
static void make_room(struct line_learner *learner, int labels)
{
    if (labels <= learner->label_room)
        return;
    int room = learner->label_room == 0 ? LABEL_ROOM_MIN : learner->label_room;
    while (room < labels)
        room *= 2;
    learner->exposed = grown(learner->exposed, (size_t)room, sizeof(*learner->exposed));
    learner->labels = grown(learner->labels, (size_t)room, sizeof(*learner->labels));
    learner->conflicts = grown(learner->conflicts, (size_t)room, sizeof(*learner->conflicts));
    learner->label_room = room;
}

static int compare_exposed(const void *a, const void *b)
{
    return slice_compare(((const struct exposition_label *)a)->name,
                         ((const struct exposition_label *)b)->name);
}

static int compare_labels(const void *a, const void *b)
{
    return slice_compare(((const struct label *)a)->name, ((const struct label *)b)->name);
}

/* Shorter names first, then by name: the order in which they were found. */
static int compare_lengths(const void *a, const void *b)
{
    const struct label *left = a;
    const struct label *right = b;
    if (left->name.len != right->name.len)
        return left->name.len < right->name.len ? -1 : 1;
    return slice_compare(left->name, right->name);
}

static bool is_of_target(const struct line_context *context, struct slice name)
{
    for (uint32_t i = 0; i < context->name_count; i++) {
        if (slice_equal(context->names[i], name))
            return true;
    }
    return false;
}

static bool has_label(const struct label *labels, int count, struct slice name)
{
    for (int i = 0; i < count; i++) {
        if (slice_equal(labels[i].name, name))
            return true;
    }
    return false;
}

/* The exported_ name under which the target's label of the same name leaves an exposed one alive.
 */
static struct slice free_name(struct line_learner *learner, const struct line_context *context,
                              int count, struct slice name)
{
    static const char prefix[] = "exported_";
    do {
        char *longer = arena_alloc(&learner->names, sizeof(prefix) - 1 + name.len);
        memcpy(longer, prefix, sizeof(prefix) - 1);
        memcpy(longer + sizeof(prefix) - 1, name.ptr, name.len);
        name = slice_make(longer, sizeof(prefix) - 1 + name.len);
    } while (has_label(learner->labels, count, name) || is_of_target(context, name));
    return name;
}

/*
 * Labels of one name, which are more than one only in a text that repeats it. Appends what remains
 * of them to learner->labels, or one to learner->conflicts.
 */
static void take_name(struct line_learner *learner, const struct line_context *context,
                      const struct exposition_label *same, int n, int *count, int *conflicts)
{
    bool collides = is_of_target(context, same[0].name);
    bool is_empty = false;
    for (int i = 0; i < n; i++)
        is_empty |= same[i].value.len == 0;
    if (is_empty) {
        /* No label at all, not even the target's where exposed ones come first. */
        if (collides && context->honor_labels)
            learner->labels[(*count)++] = (struct label){same[0].name, slice_make(series_hides, 0)};
    } else if (collides && !context->honor_labels) {
        learner->conflicts[(*conflicts)++] = (struct label){same[0].name, same[0].value};
    } else {
        for (int i = 0; i < n; i++)
            learner->labels[(*count)++] = (struct label){same[i].name, same[i].value};
    }
}

static int refuse(struct errctx *why, const char *problem, const struct label *labels, int count)
{
    char text[sizeof(why->text)];
    struct strbuf sentence = STRBUF_FIXED(text);
    strbuf_addf(&sentence, "%s: {", problem);
    for (int i = 0; i < count; i++) {
        strbuf_adds(&sentence, i == 0 ? "" : ", ");
        strbuf_add(&sentence, labels[i].name.ptr, labels[i].name.len);
        strbuf_addc(&sentence, '=');
        strbuf_add_json(&sentence, labels[i].value.ptr, labels[i].value.len);
    }
    strbuf_addc(&sentence, '}');
    return err_set(why, ERR_SYNTAX, "%s", text);
}

static bool is_valid_text(struct slice text)
{
    return text.len > 0 && utf8_valid(text.ptr, text.len);
}

/* What Prometheus asks of a series before it takes it, in its order. */
static int check_labels(const struct label *labels, int count, struct errctx *why)
{
    if (!has_label(labels, count, metric_name))
        return err_set(why, ERR_SYNTAX, "missing metric name (__name__ label)");
    for (int i = 0; i < count; i++) {
        bool hides = labels[i].value.ptr == series_hides;
        if (!is_valid_text(labels[i].name) || (!hides && !is_valid_text(labels[i].value)))
            return refuse(why, "invalid metric name or label names", labels, count);
    }
    for (int i = 1; i < count; i++) {
        if (slice_equal(labels[i - 1].name, labels[i].name)) {
            char name[256];
            struct strbuf quoted = STRBUF_FIXED(name);
            strbuf_add_json(&quoted, labels[i].name.ptr, labels[i].name.len);
            return err_set(why, ERR_SYNTAX, "label name %s is not unique: invalid sample", name);
        }
    }
    return 0;
}

int line_labels(struct line_learner *learner, const struct line_context *context,
                struct exposition_label *exposed, int count, struct errctx *why)
{
    int kept = 0;
    int conflicts = 0;
    make_room(learner, count);
    qsort(exposed, (size_t)count, sizeof(*exposed), compare_exposed);
    for (int i = 0, n; i < count; i += n) {
        for (n = 1; i + n < count && slice_equal(exposed[i].name, exposed[i + n].name);)
            n++;
        take_name(learner, context, &exposed[i], n, &kept, &conflicts);
    }
    if (conflicts > 0) {
        qsort(learner->conflicts, (size_t)conflicts, sizeof(struct label), compare_lengths);
        for (int i = 0; i < conflicts; i++) {
            struct slice name = free_name(learner, context, kept, learner->conflicts[i].name);
            learner->labels[kept++] = (struct label){name, learner->conflicts[i].value};
        }
        qsort(learner->labels, (size_t)kept, sizeof(struct label), compare_labels);
    }
    int err = check_labels(learner->labels, kept, why);
    return err == 0 ? kept : err;
}

static int decode(struct line_learner *learner, struct slice series,
                  enum exposition_normalise normalise)
{
    size_t scratch = 2 * series.len + 32;
    if (learner->scratch_room < scratch) {
        learner->scratch = grown(learner->scratch, scratch, 1);
        learner->scratch_room = scratch;
    }
    make_room(learner, 1);
    for (;;) {
        int count = exposition_labels(series, normalise, learner->exposed, learner->label_room,
                                      learner->scratch, learner->scratch_room);
        if (count != ERR_LIMIT)
            return count;
        make_room(learner, learner->label_room + 1);
    }
}

int line_learn(struct line_learner *learner, struct series_store *store,
               const struct line_context *context, struct slice series,
               enum exposition_normalise normalise, uint32_t *ret_ref, struct errctx *why)
{
    int count = decode(learner, series, normalise);
    check(count > 0);
    count = line_labels(learner, context, learner->exposed, count, why);
    if (count >= 0) {
        /* Metric relabelling belongs here: labels in, labels or "dropped" out. */
        int err = series_line(store, learner->labels, (uint32_t)count, ret_ref);
        count = err == 0 ? 0 : err_set(why, err, "no memory for a new series: %s", err_text(err));
    }
    if (learner->names.total > 0)
        arena_fini(&learner->names);
    return count;
}
