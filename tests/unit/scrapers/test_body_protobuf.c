/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Bodies in protobuf, whose metrics are known by their bytes: whatever the body before was, a body
 * comes out as it does without a plan, and nothing that is another series is taken for a known one.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/unit/exposition/encode_proto.h"
#include "tests/unit/scrapers/bench.h"

#define FAMILIES_MAX 8
#define METRICS_MAX  5

/* ---- metrics ---- */

/* How a metric is written, beside the usual way. */
enum style {
    STYLE_TIMESTAMP = 1,
    STYLE_START = 2,
    STYLE_EXEMPLARS = 4,
    STYLE_UNKNOWN = 8,    /* a field that nobody knows between labels and value */
    STYLE_APART = 16,     /* the first label stands behind the value */
    STYLE_BACKWARDS = 32, /* the last label comes first */
    STYLE_TWICE = 64,     /* a message that repeats is one whose fields are merged */
    STYLE_NATIVE = 128,
    STYLES = 256
};

struct metric_text {
    const char *const *labels; /* name, value, ..., NULL */
    unsigned style;
    uint32_t parts; /* quantiles or buckets */
};

static void put_exemplar(struct strbuf *out, unsigned field, struct dice *dice)
{
    struct strbuf exemplar = STRBUF_GROWING;
    struct strbuf timestamp = STRBUF_GROWING;
    put_label(&exemplar, 1, "trace_id", "abc");
    put_double(&exemplar, 2, dice_roll(dice, 100));
    put_number(&timestamp, 1, 1700000000 + dice_roll(dice, 1000));
    put_message(&exemplar, 3, &timestamp);
    put_message(out, field, &exemplar);
}

static void put_start(struct strbuf *out, unsigned field)
{
    struct strbuf start = STRBUF_GROWING;
    put_number(&start, 1, 1690000000);
    put_message(out, field, &start);
}

static void put_value(struct strbuf *out, int type, const struct metric_text *metric,
                      struct dice *dice)
{
    put_double(out, 1, dice_roll(dice, 1000) / 8.0);
    if (type == COUNTER && (metric->style & STYLE_EXEMPLARS) != 0)
        put_exemplar(out, 2, dice);
    if (type == COUNTER && (metric->style & STYLE_START) != 0)
        put_start(out, 3);
}

static void put_summary(struct strbuf *out, const struct metric_text *metric, struct dice *dice)
{
    put_number(out, 1, dice_roll(dice, 1000));
    put_double(out, 2, dice_roll(dice, 1000) / 8.0);
    for (uint32_t i = 0; i < metric->parts; i++) {
        struct strbuf quantile = STRBUF_GROWING;
        put_double(&quantile, 1, 0.25 * i);
        put_double(&quantile, 2, dice_roll(dice, 1000));
        put_message(out, 3, &quantile);
    }
    if ((metric->style & STYLE_START) != 0)
        put_start(out, 4);
}

/* `count` is at least 3: one in each bucket, the others are zeros. */
static void put_native(struct strbuf *out, uint64_t count, struct dice *dice)
{
    struct strbuf span = STRBUF_GROWING;
    uint32_t buckets = dice_roll(dice, 4);
    put_signed(out, 5, 3);
    put_double(out, 6, 0.001);
    put_number(out, 7, count - buckets);
    put_signed(&span, 1, -1);
    put_number(&span, 2, buckets);
    put_message(out, 12, &span);
    for (uint32_t i = 0; i < buckets; i++)
        put_signed(out, 13, i == 0);
}

static void put_histogram(struct strbuf *out, const struct metric_text *metric, struct dice *dice)
{
    uint64_t count = 0;
    struct strbuf buckets = STRBUF_GROWING;
    for (uint32_t i = 0; i < metric->parts; i++) {
        struct strbuf bucket = STRBUF_GROWING;
        count += dice_roll(dice, 1u << dice_roll(dice, 20));
        put_number(&bucket, 1, count);
        put_double(&bucket, 2, i == 3 ? HUGE_VAL : 0.5 * i);
        if ((metric->style & STYLE_EXEMPLARS) != 0)
            put_exemplar(&bucket, 3, dice);
        put_message(&buckets, 3, &bucket);
    }
    count += 3 + dice_roll(dice, 3);
    put_number(out, 1, count);
    put_double(out, 2, dice_roll(dice, 1000) / 8.0);
    strbuf_add(out, buckets.len > 0 ? buckets.text : "", buckets.len);
    strbuf_fini(&buckets);
    if ((metric->style & STYLE_NATIVE) != 0)
        put_native(out, count, dice);
    if ((metric->style & STYLE_START) != 0)
        put_start(out, 15);
}

static void put_labels(struct strbuf *out, const struct metric_text *metric)
{
    int count = 0;
    while (metric->labels[2 * count] != NULL)
        count++;
    for (int i = (metric->style & STYLE_APART) != 0 ? 1 : 0; i < count; i++) {
        int at = (metric->style & STYLE_BACKWARDS) != 0 ? count - 1 - i : i;
        put_label(out, 1, metric->labels[2 * at], metric->labels[2 * at + 1]);
    }
}

static void put_metric(struct strbuf *family, int type, const struct metric_text *metric,
                       struct dice *dice)
{
    static const unsigned fields[TYPES] = {3, 2, 4, 5, 7, 7};
    struct strbuf out = STRBUF_GROWING;
    put_labels(&out, metric);
    if ((metric->style & STYLE_UNKNOWN) != 0)
        put_text(&out, 100, "what is this");
    for (int i = (metric->style & STYLE_TWICE) != 0 ? 0 : 1; i < 2; i++) {
        struct strbuf value = STRBUF_GROWING;
        if (type == SUMMARY)
            put_summary(&value, metric, dice);
        else if (type >= HISTOGRAM)
            put_histogram(&value, metric, dice);
        else
            put_value(&value, type, metric, dice);
        put_message(&out, fields[type], &value);
    }
    if ((metric->style & STYLE_APART) != 0 && metric->labels[0] != NULL) {
        int count = 0;
        while (metric->labels[2 * count] != NULL)
            count++;
        int at = (metric->style & STYLE_BACKWARDS) != 0 ? count - 1 : 0;
        put_label(&out, 1, metric->labels[2 * at], metric->labels[2 * at + 1]);
    }
    if ((metric->style & STYLE_TIMESTAMP) != 0)
        put_number(&out, 6, UINT64_C(1700000000000) + dice_roll(dice, 100000));
    put_message(family, 4, &out);
}

/* ---- reading ---- */

static struct body_source source_of(struct stage_bodies *bench, struct plan *plan, unsigned flags)
{
    return (struct body_source){.context = bench->context,
                                .plan = plan,
                                .format = EXPOSITION_PROTOBUF,
                                .flags = flags,
                                .honor_timestamps = true,
                                .takes_exemplars = true,
                                .takes_metadata = true,
                                .max_schema = HISTOGRAM_SCHEMA_MAX,
                                .limit = 10000};
}

static void read_body(struct stage_bodies *bench, struct body *body, struct plan *plan,
                      unsigned flags, const struct strbuf *bytes, struct dice *cuts)
{
    const struct body_source source = source_of(bench, plan, flags);
    bench_read_source(bench, body, &source, bytes, cuts);
}

static int64_t time_of(const struct harvest *harvest, uint32_t at)
{
    return harvest->has_times ? harvest->times[at] : HARVEST_NO_TIME;
}

static int64_t start_of(const struct harvest *harvest, uint32_t at)
{
    return harvest->has_starts ? harvest->starts[at] : 0;
}

static void assert_same_exemplars(const struct exemplars *a, const struct exemplars *b)
{
    assert_int_equal(a->count, b->count);
    assert_int_equal(a->bytes_len, b->bytes_len);
    for (uint32_t i = 0; i < a->count; i++) {
        assert_int_equal(a->items[i].sample, b->items[i].sample);
        assert_int_equal(a->items[i].bits, b->items[i].bits);
        assert_int_equal(a->items[i].ms, b->items[i].ms);
    }
}

static void assert_same(const struct body *a, const struct body *b)
{
    const struct harvest *left = &a->harvest;
    const struct harvest *right = &b->harvest;
    assert_string_equal(a->error.text, b->error.text);
    assert_int_equal(a->state, b->state);
    assert_int_equal(a->scraped, b->scraped);
    assert_int_equal(a->accepted, b->accepted);
    assert_int_equal(a->dropped, b->dropped);
    /* What repeats the sample before it is kept only where the plan has it twice, too. */
    assert_int_equal(left->count + a->repeated, right->count + b->repeated);
    if (a->repeated > 0 || b->repeated > 0)
        return;
    for (uint32_t i = 0; i < left->count; i++) {
        assert_int_equal(harvest_lines(left, a->plan)[i], harvest_lines(right, b->plan)[i]);
        assert_int_equal(harvest_types(left, a->plan)[i], harvest_types(right, b->plan)[i]);
        assert_int_equal(harvest_prints(left, a->plan)[i], harvest_prints(right, b->plan)[i]);
        assert_int_equal(time_of(left, i), time_of(right, i));
        assert_int_equal(start_of(left, i), start_of(right, i));
        assert_int_equal(left->bits[i], right->bits[i]);
        if ((harvest_types(left, a->plan)[i] & PLAN_HISTOGRAM) != 0)
            assert_true(slice_equal(harvest_histogram(left, left->bits[i]),
                                    harvest_histogram(right, right->bits[i])));
    }
    if (a->state == BODY_COMPLETE)
        assert_same_exemplars(&left->exemplars, &right->exemplars);
}

/* ---- random bodies ---- */

static const char *const label_sets[][6] = {
    {NULL},
    {"a", "1", NULL},
    {"a", "2", NULL},
    {"a", "1", "b", "2", NULL},
    {"le", "x", "zone", "y", NULL},
    {"http.status", "\"\\\n", "job", "k", NULL},
    {"a", "", NULL},
};

struct family_text {
    int name;
    int type;
    int count;
    struct metric_text metrics[METRICS_MAX];
};

struct page {
    int count;
    struct family_text families[FAMILIES_MAX];
};

static struct metric_text random_metric(struct dice *dice)
{
    struct metric_text metric = {.labels = label_sets[dice_roll(dice, 7)]};
    metric.parts = dice_roll(dice, 6);
    if (dice_roll(dice, 2) == 0) {
        metric.style = dice_roll(dice, STYLES);
        metric.style &= dice_roll(dice, STYLES);
    }
    if (dice_roll(dice, 2) == 0)
        metric.style |= STYLE_NATIVE;
    return metric;
}

static struct family_text random_family(struct dice *dice)
{
    struct family_text family = {.name = (int)dice_roll(dice, 5)};
    family.type = (int)dice_roll(dice, TYPES);
    family.count = 1 + (int)dice_roll(dice, METRICS_MAX);
    for (int i = 0; i < family.count; i++)
        family.metrics[i] = random_metric(dice);
    return family;
}

static void mutate(struct page *page, struct dice *dice)
{
    for (uint32_t changes = dice_roll(dice, 3); changes > 0; changes--) {
        struct family_text *family = &page->families[dice_roll(dice, (uint32_t)page->count)];
        switch (dice_roll(dice, 5)) {
        case 0:
            *family = random_family(dice);
            break;
        case 1:
            family->count -= family->count > 1;
            break;
        case 2:
            if (family->count < METRICS_MAX)
                family->metrics[family->count++] = random_metric(dice);
            break;
        case 3:
            family->metrics[0].style ^= 1u << dice_roll(dice, 8);
            break;
        default:
            family->type = (int)dice_roll(dice, TYPES);
            break;
        }
    }
}

static void put_spoiler(struct strbuf *family, struct dice *dice)
{
    static const char *const broken[] = {"\xff", "ab\xc0\x80"};
    struct strbuf metric = STRBUF_GROWING;
    struct strbuf gauge = STRBUF_GROWING;
    put_label(&metric, 1, "a", broken[dice_roll(dice, 2)]);
    put_double(&gauge, 1, 1);
    put_message(&metric, 2, &gauge);
    if (dice_roll(dice, 2) == 0)
        metric.len--;
    put_message(family, 4, &metric);
}

static void write_page(struct strbuf *bytes, const struct page *page, struct dice *dice)
{
    static const char *const names[] = {"a", "a_b", "a_count", "rpc_seconds", "\xc3\xa4.b"};
    bytes->len = 0;
    int spoiled = dice_roll(dice, 8) == 0 ? (int)dice_roll(dice, (uint32_t)page->count) : -1;
    for (int i = 0; i < page->count; i++) {
        const struct family_text *text = &page->families[i];
        struct strbuf family = new_family(names[text->name], text->type);
        for (int k = 0; k < text->count; k++)
            put_metric(&family, text->type, &text->metrics[k], dice);
        if (i == spoiled)
            put_spoiler(&family, dice);
        put_delimited(bytes, &family);
    }
    if (dice_roll(dice, 10) == 0)
        bytes->len -= 1 + dice_roll(dice, (uint32_t)bytes->len);
}

static unsigned random_flags(struct dice *dice)
{
    static const unsigned flags[] = {0, EXPOSITION_NATIVE_HISTOGRAMS, EXPOSITION_CLASSIC_HISTOGRAMS,
                                     EXPOSITION_CONVERT_HISTOGRAMS};
    unsigned one = flags[dice_roll(dice, 4)];
    return one | flags[dice_roll(dice, 4)];
}

static void a_plan_changes_nothing_but_the_effort(void **state)
{
    (void)state;
    struct dice dice = dice_new(__func__);
    struct stage_bodies *bench = bench_new(NULL);
    static struct body with, without;
    struct strbuf bytes = STRBUF_GROWING;
    uint64_t scraped = 0, learnt = 0, complete = 0;
    with = without = (struct body){0};
    for (int story = 0; story < 100; story++) {
        struct page page = {.count = FAMILIES_MAX};
        struct plan *plan = NULL;
        unsigned flags = random_flags(&dice);
        for (int i = 0; i < page.count; i++)
            page.families[i] = random_family(&dice);
        for (int scrape = 0; scrape < 20; scrape++) {
            mutate(&page, &dice);
            write_page(&bytes, &page, &dice);
            read_body(bench, &without, NULL, flags, &bytes, NULL);
            read_body(bench, &with, plan, flags, &bytes, &dice);
            assert_same(&with, &without);
            scraped += with.scraped;
            learnt += with.learnt;
            complete += with.state == BODY_COMPLETE;
            bench_learn_plan(bench, &with, &plan);
            body_end(&with, &bench->plans);
            body_end(&without, &bench->plans);
            series_reclaim(&bench->store);
        }
        plan_release(&bench->plans, plan);
    }
    assert_in_range(complete, 50, 1999);  /* on average 390, with a standard deviation of 52 */
    assert_true(scraped > learnt + 1000); /* 20,000 more, with one of 3000 */
    strbuf_fini(&bytes);
    body_fini(&with);
    body_fini(&without);
    bench_free(bench);
}

/* ---- what is known, and what is not ---- */

static const struct metric_text usual = {label_sets[3], 0, 4};

/* Families of all types, with this metric each. */
static void write_all_types(struct strbuf *bytes, const struct metric_text *metric,
                            struct dice *dice)
{
    static const char *const names[TYPES] = {"c", "g", "s", "u", "h", "gh"};
    bytes->len = 0;
    for (int type = 0; type < TYPES; type++) {
        struct strbuf family = new_family(names[type], type);
        put_metric(&family, type, metric, dice);
        put_delimited(bytes, &family);
    }
}

static void read_all_types(struct stage_bodies *bench, struct body *body, struct plan *plan,
                           const struct metric_text *metric, struct dice *dice)
{
    struct strbuf bytes = STRBUF_GROWING;
    write_all_types(&bytes, metric, dice);
    read_body(bench, body, plan, EXPOSITION_NATIVE_HISTOGRAMS, &bytes, dice);
    assert_int_equal(body->state, BODY_COMPLETE);
    strbuf_fini(&bytes);
}

static void what_stood_there_before_is_known_by_its_bytes(void **state)
{
    (void)state;
    static const unsigned styles[] = {
        0, STYLE_TIMESTAMP | STYLE_START | STYLE_EXEMPLARS | STYLE_UNKNOWN, STYLE_BACKWARDS,
        STYLE_TWICE, STYLE_NATIVE};
    struct dice dice = dice_new(__func__);
    struct stage_bodies *bench = bench_new(NULL);
    struct body body = {0};
    for (size_t i = 0; i < sizeof(styles) / sizeof(styles[0]); i++) {
        struct metric_text metric = usual;
        struct plan *plan = NULL;
        metric.style = styles[i];
        for (int scrape = 0; scrape < 3; scrape++) {
            read_all_types(bench, &body, plan, &metric, &dice);
            assert_int_equal(body.predicted, scrape == 0 ? 0 : body.scraped);
            assert_int_equal(body.learnt, scrape == 0 ? body.scraped : 0);
            assert_int_equal(body_followed_plan(&body), scrape > 0);
            bench_learn_plan(bench, &body, &plan);
            body_end(&body, &bench->plans);
        }
        plan_release(&bench->plans, plan);
        series_reclaim(&bench->store);
    }
    body_fini(&body);
    bench_free(bench);
}

static void labels_that_stand_apart_are_read_each_time(void **state)
{
    (void)state;
    struct dice dice = dice_new(__func__);
    struct stage_bodies *bench = bench_new(NULL);
    struct body body = {0};
    struct plan *plan = NULL;
    struct metric_text metric = usual;
    metric.style = STYLE_APART;
    for (int scrape = 0; scrape < 3; scrape++) {
        read_all_types(bench, &body, plan, &metric, &dice);
        assert_int_equal(body.predicted, scrape == 0 ? 0 : body.scraped);
        assert_int_equal(body.learnt, body.scraped);
        bench_learn_plan(bench, &body, &plan);
        body_end(&body, &bench->plans);
    }
    plan_release(&bench->plans, plan);
    body_fini(&body);
    bench_free(bench);
}

/* The same labels in another order are other bytes, and the same series. */
static void other_bytes_may_be_the_same_series(void **state)
{
    (void)state;
    struct dice dice = dice_new(__func__);
    struct stage_bodies *bench = bench_new(NULL);
    struct body before = {0};
    struct body body = {0};
    struct plan *plan = NULL;
    struct metric_text metric = usual;
    read_all_types(bench, &before, NULL, &metric, &dice);
    bench_learn_plan(bench, &before, &plan);
    metric.style = STYLE_BACKWARDS;
    read_all_types(bench, &body, plan, &metric, &dice);
    assert_int_equal(body.predicted, 0);
    assert_int_equal(body.harvest.count, before.harvest.count);
    assert_memory_equal(harvest_lines(&body.harvest, body.plan),
                        harvest_lines(&before.harvest, before.plan),
                        body.harvest.count * sizeof(uint32_t));
    body_end(&before, &bench->plans);
    body_end(&body, &bench->plans);
    plan_release(&bench->plans, plan);
    body_fini(&before);
    body_fini(&body);
    bench_free(bench);
}

/* A family with one metric: these label bytes, and a histogram with one bucket. */
static struct strbuf body_of(struct slice name, struct slice labels, double bound)
{
    struct strbuf bytes = STRBUF_GROWING;
    struct strbuf family = STRBUF_GROWING;
    struct strbuf metric = STRBUF_GROWING;
    struct strbuf histogram = STRBUF_GROWING;
    struct strbuf bucket = STRBUF_GROWING;
    put_number(&bucket, 1, 3);
    put_double(&bucket, 2, bound);
    put_message(&histogram, 3, &bucket);
    put_bytes(&family, 1, name.ptr, name.len);
    put_number(&family, 3, HISTOGRAM);
    strbuf_add(&metric, labels.ptr, labels.len);
    put_message(&metric, 7, &histogram);
    put_message(&family, 4, &metric);
    put_delimited(&bytes, &family);
    return bytes;
}

static uint32_t learnt_behind(struct stage_bodies *bench, struct strbuf first, struct strbuf second)
{
    struct body body = {0};
    struct plan *plan = NULL;
    read_body(bench, &body, NULL, 0, &first, NULL);
    assert_int_equal(body.state, BODY_COMPLETE);
    bench_learn_plan(bench, &body, &plan);
    body_end(&body, &bench->plans);
    read_body(bench, &body, plan, 0, &second, NULL);
    uint32_t learnt = body.learnt;
    body_end(&body, &bench->plans);
    body_fini(&body);
    plan_release(&bench->plans, plan);
    series_reclaim(&bench->store);
    strbuf_fini(&first);
    strbuf_fini(&second);
    return learnt;
}

/* Count, sum, the bucket and that of +Inf. */
static void what_is_nearly_the_same_is_not_taken_for_it(void **state)
{
    (void)state;
    struct stage_bodies *bench = bench_new(NULL);
    const struct slice a = SLICE_LITERAL("a");
    const struct slice label = SLICE_LITERAL("\x0a\x06\x0a\x01x\x12\x01y");
    assert_int_equal(learnt_behind(bench, body_of(a, label, 1), body_of(a, label, 1)), 0);
    /* another bound; the others are the same */
    assert_int_equal(learnt_behind(bench, body_of(a, label, 1), body_of(a, label, 2)), 1);
    assert_int_equal(learnt_behind(bench, body_of(a, label, 0.0), body_of(a, label, -0.0)), 1);
    /* another name, or no labels, or more of them */
    const struct slice longer = SLICE_LITERAL("\x0a\x06\x0a\x01x\x12\x01y\x0a\x00");
    assert_int_equal(learnt_behind(bench, body_of(a, label, 1), body_of(slice_of("b"), label, 1)),
                     4);
    assert_int_equal(
        learnt_behind(bench, body_of(a, label, 1), body_of(slice_of("a_sum"), label, 1)), 4);
    assert_int_equal(learnt_behind(bench, body_of(a, label, 1), body_of(a, slice_of(""), 1)), 4);
    assert_int_equal(learnt_behind(bench, body_of(a, label, 1), body_of(a, longer, 1)), 4);
    /* zeros, which a hash may be filled up with */
    const struct slice zero = SLICE_LITERAL("\x0a\x06\x0a\x01x\x12\x01\0");
    const struct slice zeros = SLICE_LITERAL("\x0a\x06\x0a\x01x\x12\x01\0\x0a\0");
    assert_int_equal(learnt_behind(bench, body_of(a, zero, 1), body_of(a, zeros, 1)), 4);
    bench_free(bench);
}

static void labels_that_are_none_fail_wherever_they_come(void **state)
{
    (void)state;
    struct stage_bodies *bench = bench_new(NULL);
    struct body body = {0};
    struct plan *plan = NULL;
    static const char *const why[] = {"metric family \"a\": a label value is no valid UTF-8",
                                      "metric family \"a\": the body is no valid protobuf message"};
    const struct slice labels[] = {SLICE_LITERAL("\x0a\x06\x0a\x01x\x12\x01\xff"),
                                   SLICE_LITERAL("\x0a\x06\x0a\x01x\x12\x02y")};
    struct strbuf good = body_of(slice_of("a"), SLICE_LITERAL("\x0a\x06\x0a\x01x\x12\x01y"), 1);
    read_body(bench, &body, NULL, 0, &good, NULL);
    bench_learn_plan(bench, &body, &plan);
    body_end(&body, &bench->plans);
    for (int i = 0; i < 4; i++) {
        struct strbuf bad = body_of(slice_of("a"), labels[i / 2], 1);
        read_body(bench, &body, i % 2 == 0 ? plan : NULL, 0, &bad, NULL);
        assert_int_equal(body.state, BODY_MALFORMED);
        assert_string_equal(body.error.text, why[i / 2]);
        assert_int_equal(body.scraped, 0);
        assert_int_equal(body.harvest.count, 0);
        body_end(&body, &bench->plans);
        strbuf_fini(&bad);
    }
    plan_release(&bench->plans, plan);
    strbuf_fini(&good);
    body_fini(&body);
    bench_free(bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plan_changes_nothing_but_the_effort),
        cmocka_unit_test(what_stood_there_before_is_known_by_its_bytes),
        cmocka_unit_test(labels_that_stand_apart_are_read_each_time),
        cmocka_unit_test(other_bytes_may_be_the_same_series),
        cmocka_unit_test(what_is_nearly_the_same_is_not_taken_for_it),
        cmocka_unit_test(labels_that_are_none_fail_wherever_they_come),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
