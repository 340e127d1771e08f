/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "scrapers/line.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/strbuf.h"
#include "base/utf8.h"

#define LABEL_ROOM_MIN 64
#define BUCKETS_MIN    16u

static const struct slice metric_name = {"__name__", 8};

/* ---- contexts ---- */

/* A target with such a label cannot be scraped at all, and the error names the value. */
static bool is_value_too_long(const struct line_rules *rules, const struct label *label)
{
    return rules->limits.value_length > 0 && label->value.len > rules->limits.value_length;
}

/* Whether something looks at values of the target's labels. */
static bool needs_values(const struct line_rules *rules)
{
    return rules->relabel != NULL || rules->limits.value_length > 0;
}

/*
 * What contexts are told apart by. Who names a pod chooses labels: the key is not to be foreseen,
 * or a target could have the outcomes of another one's rules.
 */
static uint64_t context_key(const struct hash_key *secret, const struct line_rules *rules,
                            const struct label *labels, uint32_t label_count)
{
    const uint64_t start[] = {rules->job_number, rules->honor_labels};
    uint64_t key = hash64_keyed_next(0, start, sizeof(start), secret);
    key = hash64_keyed_next(key, rules->job.ptr, rules->job.len, secret);
    for (uint32_t i = 0; i < label_count; i++) {
        struct slice value = slice_make("", 0); /* a label that is read has another one */
        if (relabel_reads(rules->relabel, labels[i].name) || is_value_too_long(rules, &labels[i]))
            value = labels[i].value;
        key = hash64_keyed_next(key, labels[i].name.ptr, labels[i].name.len, secret);
        key = hash64_keyed_next(key, value.ptr, value.len, secret);
    }
    return key;
}

static struct slice put_text(char **at, struct slice text)
{
    struct slice copy = slice_make(*at, text.len);
    memcpy(*at, text.ptr, text.len);
    *at += text.len;
    return copy;
}

static struct line_context *context_new(const struct line_rules *rules, const struct label *labels,
                                        uint32_t label_count)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < label_count; i++)
        bytes += labels[i].name.len + (needs_values(rules) ? labels[i].value.len : 0);
    struct line_context *context =
        calloc(1, sizeof(*context) + label_count * sizeof(struct label) + bytes);
    check(context != NULL);
    context->honor_labels = rules->honor_labels;
    context->scheme = rules->scheme;
    context->limits = rules->limits;
    context->relabel = rules->relabel;
    context->labels = (struct label *)(void *)(context + 1);
    context->label_count = label_count;
    char *text = (char *)(context->labels + label_count);
    for (uint32_t i = 0; i < label_count; i++) {
        context->labels[i].name = put_text(&text, labels[i].name);
        if (needs_values(rules))
            context->labels[i].value = put_text(&text, labels[i].value);
    }
    return context;
}

/* Twice as many buckets as before, or the first ones. */
static void grow(struct line_contexts *contexts)
{
    uint32_t mask = contexts->buckets == NULL ? BUCKETS_MIN - 1 : contexts->mask * 2 + 1;
    struct line_context **buckets = calloc((size_t)mask + 1, sizeof(struct line_context *));
    check(buckets != NULL);
    for (uint32_t i = 0; contexts->buckets != NULL && i <= contexts->mask; i++) {
        for (struct line_context *context = contexts->buckets[i], *next; context != NULL;
             context = next) {
            next = context->next;
            context->next = buckets[context->key & mask];
            buckets[context->key & mask] = context;
        }
    }
    free(contexts->buckets);
    contexts->buckets = buckets;
    contexts->mask = mask;
}

static void add_context(struct line_contexts *contexts, struct line_context *context)
{
    if (contexts->buckets == NULL || contexts->count > contexts->mask)
        grow(contexts);
    context->next = contexts->buckets[context->key & contexts->mask];
    contexts->buckets[context->key & contexts->mask] = context;
    contexts->count++;
}

struct line_context *line_context_get(struct line_contexts *contexts,
                                      const struct line_rules *rules, const struct label *labels,
                                      uint32_t label_count)
{
    if (contexts->buckets == NULL)
        hash_key_make(&contexts->secret);
    uint64_t key = context_key(&contexts->secret, rules, labels, label_count);
    struct line_context *context =
        contexts->buckets == NULL ? NULL : contexts->buckets[key & contexts->mask];
    while (context != NULL && context->key != key)
        context = context->next;
    if (context == NULL) {
        context = context_new(rules, labels, label_count);
        context->key = key;
        add_context(contexts, context);
    }
    context->references++;
    return context;
}

void line_context_release(struct line_contexts *contexts, struct line_context *context)
{
    check(context->references > 0);
    if (--context->references > 0)
        return;
    struct line_context **link = &contexts->buckets[context->key & contexts->mask];
    while (*link != context)
        link = &(*link)->next;
    *link = context->next;
    free(context->changes);
    free(context);
    if (--contexts->count > 0)
        return;
    free(contexts->buckets);
    *contexts = (struct line_contexts){0};
}

/* ---- learning ---- */

void line_learner_fini(struct line_learner *learner)
{
    free(learner->exposed);
    free(learner->labels);
    free(learner->conflicts);
    free(learner->scratch);
    arena_fini(&learner->texts);
    label_set_fini(&learner->relabelled);
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
    for (uint32_t i = 0; i < context->label_count; i++) {
        if (slice_equal(context->labels[i].name, name))
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
        char *longer = arena_alloc(&learner->texts, sizeof(prefix) - 1 + name.len);
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

static bool hides(const struct label *label)
{
    return label->value.ptr == series_hides;
}

/* The labels of the target and of the line together. */
static void unite(struct line_learner *learner, const struct line_context *context, int count)
{
    struct label_set *set = &learner->relabelled;
    label_set_clear(set);
    for (uint32_t i = 0; i < context->label_count; i++)
        label_set_put(set, context->labels[i].name, context->labels[i].value);
    for (int i = 0; i < count; i++) {
        if (hides(&learner->labels[i]))
            label_set_drop(set, learner->labels[i].name);
        else
            label_set_put(set, learner->labels[i].name, learner->labels[i].value);
    }
}

static bool is_valid_name(enum label_scheme scheme, const struct label *label)
{
    /* Legacy names of metrics may hold colons. */
    if (scheme == LABEL_SCHEME_LEGACY && slice_equal(label->name, metric_name))
        return metric_name_valid(scheme, label->value);
    return label_name_valid(scheme, label->name);
}

static bool is_valid(enum label_scheme scheme, const struct label *label)
{
    bool has_value =
        hides(label) || (label->value.len > 0 && utf8_valid(label->value.ptr, label->value.len));
    return has_value && is_valid_name(scheme, label);
}

/* The first label with the name of the one before it; count if there is none. */
static int find_repeat(const struct label *labels, int count)
{
    int i = 1;
    while (i < count && !slice_equal(labels[i - 1].name, labels[i].name))
        i++;
    return i < count ? i : count;
}

static int refuse_nameless(struct errctx *why)
{
    return err_set(why, ERR_SYNTAX, "missing metric name (__name__ label)");
}

static int refuse_repeat(struct slice name, struct errctx *why)
{
    char text[256];
    struct strbuf quoted = STRBUF_FIXED(text);
    strbuf_add_json(&quoted, name.ptr, name.len);
    return err_set(why, ERR_SYNTAX, "label name %s is not unique: invalid sample", text);
}

static int check_names(const struct line_context *context, const struct label *labels, int count,
                       struct errctx *why)
{
    bool valid = true;
    for (int i = 0; valid && i < count; i++)
        valid = is_valid(context->scheme, &labels[i]);
    for (uint32_t i = 0; valid && i < context->label_count; i++) {
        struct slice name = context->labels[i].name;
        valid = label_name_valid(context->scheme, name) || has_label(labels, count, name);
    }
    return valid ? 0 : refuse(why, "invalid metric name or label names", labels, count);
}

/* ---- limits ---- */

/* How Prometheus shortens texts in its messages. */
#define SHORT(slice) (int)((slice).len < 50 ? (slice).len : 50), (slice).ptr

static int check_lengths(struct line_learner *learner, const struct line_limits *limits,
                         struct slice metric, const struct label *label, struct errctx *why)
{
    struct slice value = label->value;
    char quoted[256];
    struct strbuf text = STRBUF_FIXED(quoted);
    if (limits->name_length > 0 && label->name.len > limits->name_length) {
        learner->excess = LINE_EXCESS_NAME;
        return err_set(why, ERR_SYNTAX,
                       "label_name_length_limit exceeded (metric: %.*s, label name: %.*s, length: "
                       "%zu, limit: %llu)",
                       SHORT(metric), SHORT(label->name), label->name.len,
                       (unsigned long long)limits->name_length);
    }
    if (limits->value_length == 0 || value.len <= limits->value_length)
        return 0;
    learner->excess = LINE_EXCESS_VALUE;
    strbuf_add_json(&text, value.ptr, value.len < 50 ? value.len : 50);
    return err_set(why, ERR_SYNTAX,
                   "label_value_length_limit exceeded (metric: %.*s, label name: %.*s, value: %s, "
                   "length: %zu, limit: %llu)",
                   SHORT(metric), SHORT(label->name), quoted, value.len,
                   (unsigned long long)limits->value_length);
}

/*
 * The labels of target and line together, in their order: `labels` are the line's. Prometheus looks
 * at all of them.
 */
static int check_limits(struct line_learner *learner, const struct line_context *context, int count,
                        struct errctx *why)
{
    const struct line_limits *limits = &context->limits;
    struct label_set *set = &learner->relabelled;
    if (limits->labels == 0 && limits->name_length == 0 && limits->value_length == 0)
        return 0;
    unite(learner, context, count);
    struct slice metric = label_set_get(set, metric_name);
    if (limits->labels > 0 && set->count > limits->labels) {
        learner->excess = LINE_EXCESS_LABELS;
        return err_set(why, ERR_SYNTAX,
                       "label_limit exceeded (metric: %.*s, number of labels: %zu, limit: %llu)",
                       SHORT(metric), set->count, (unsigned long long)limits->labels);
    }
    int err = 0;
    for (size_t i = 0; err == 0 && i < set->count; i++)
        err = check_lengths(learner, limits, metric, &set->labels[i], why);
    return err;
}

/* What Prometheus asks of a series before it takes it, in its order. */
static int check_labels(struct line_learner *learner, const struct line_context *context, int count,
                        struct errctx *why)
{
    const struct label *labels = learner->labels;
    if (!has_label(labels, count, metric_name))
        return refuse_nameless(why);
    int err = check_names(context, labels, count, why);
    if (err == 0)
        err = check_limits(learner, context, count, why);
    if (err != 0)
        return err;
    int repeat = find_repeat(labels, count);
    return repeat < count ? refuse_repeat(labels[repeat].name, why) : 0;
}

/* The labels that the line contributes; how many. */
static int collect(struct line_learner *learner, const struct line_context *context,
                   struct exposition_label *exposed, int count)
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
    return kept;
}

/* ---- relabelling ---- */

/*
 * What of the set is not the target's, and the target's labels that are not in the set. A label
 * counts as the target's when it has not been touched: whether its value is the same does not
 * matter, which would depend on the target.
 */
static int separate(struct line_learner *learner, const struct line_context *context)
{
    const struct label_set *set = &learner->relabelled;
    const struct label *target = context->labels;
    const struct label *end = target + context->label_count;
    int kept = 0;
    make_room(learner, (int)(set->count + context->label_count));
    for (size_t i = 0; i < set->count; i++) {
        const struct label *label = &set->labels[i];
        int order = 1;
        while (target < end && (order = slice_compare(target->name, label->name)) < 0)
            learner->labels[kept++] = (struct label){target++->name, slice_make(series_hides, 0)};
        bool both = target < end && order == 0;
        if (!both || target->value.ptr != label->value.ptr || target->value.len != label->value.len)
            learner->labels[kept++] = *label;
        target += both;
    }
    for (; target < end; target++)
        learner->labels[kept++] = (struct label){target->name, slice_make(series_hides, 0)};
    return kept;
}

/* metric_relabel_configs: how many labels the line then has, 0 if it is dropped. */
static int relabel(struct line_learner *learner, const struct line_context *context, int count,
                   struct errctx *why)
{
    const struct label_set *set = &learner->relabelled;
    int repeat = find_repeat(learner->labels, count);
    struct slice repeated = repeat < count ? learner->labels[repeat].name : slice_make("", 0);
    unite(learner, context, count);
    if (!relabel_apply(context->relabel, &learner->relabelled, &learner->texts) || set->count == 0)
        return 0;
    if (!label_set_has(set, metric_name))
        return refuse_nameless(why);
    if (repeat < count && label_set_has(set, repeated))
        return refuse_repeat(repeated, why);
    return separate(learner, context);
}

int line_labels(struct line_learner *learner, const struct line_context *context,
                struct exposition_label *exposed, int count, struct errctx *why)
{
    learner->excess = LINE_EXCESS_NONE;
    count = collect(learner, context, exposed, count);
    if (context->relabel != NULL)
        count = relabel(learner, context, count, why);
    if (count <= 0 && context->relabel != NULL)
        return count;
    int err = check_labels(learner, context, count, why);
    return err == 0 ? count : err;
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

int line_judge(struct line_learner *learner, const struct line_context *context,
               struct slice series, enum exposition_normalise normalise, struct errctx *why)
{
    int count = decode(learner, series, normalise);
    check(count > 0);
    count = line_labels(learner, context, learner->exposed, count, why);
    if (learner->texts.total > 0)
        arena_reset(&learner->texts);
    return count > 0 ? 1 : count;
}

int line_learn(struct line_learner *learner, struct series_store *store,
               const struct line_context *context, struct slice series,
               enum exposition_normalise normalise, uint32_t *ret_ref, struct errctx *why)
{
    int count = decode(learner, series, normalise);
    check(count > 0);
    count = line_labels(learner, context, learner->exposed, count, why);
    *ret_ref = LINE_DROPPED;
    if (count > 0) {
        int err = series_line(store, learner->labels, (uint32_t)count, ret_ref);
        count = err == 0 ? 0 : err_set(why, err, "no memory for a new series: %s", err_text(err));
    }
    if (learner->texts.total > 0)
        arena_reset(&learner->texts);
    return count;
}
