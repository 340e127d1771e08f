/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The delimited protobuf format: what each kind of metric becomes, however the body is cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <math.h>

#include <cmocka.h>

#include "encode_proto.h"
#include "exposition/exposition.h"
#include "exposition/histogram.h"
#include "show.h"

/* ---- bodies in pieces ---- */

static bool is_sample(enum exposition_kind kind)
{
    return kind == EXPOSITION_SAMPLE || kind == EXPOSITION_HISTOGRAM;
}

static enum exposition_kind feed(struct exposition_parser *parser, struct strbuf *out,
                                 struct slice piece, bool last, size_t *ret_left)
{
    /* A copy of its own, so that a sanitizer sees reads beyond it. */
    char *copy = malloc(piece.len + !piece.len);
    assert_non_null(copy);
    memcpy(copy, piece.ptr, piece.len);
    exposition_feed(parser, copy, piece.len, last);
    struct exposition_entry entry;
    enum exposition_kind kind;
    while ((kind = exposition_next(parser, &entry)) != EXPOSITION_NEED_MORE &&
           kind != EXPOSITION_END && kind != EXPOSITION_ERROR) {
        if (is_sample(kind) && !exposition_series(parser, &entry)) {
            kind = EXPOSITION_ERROR;
            break;
        }
        show_entry(out, &entry);
    }
    if (kind == EXPOSITION_ERROR) {
        strbuf_adds(out, "ERROR ");
        exposition_error(parser, out);
    }
    *ret_left = exposition_rest(parser).len;
    free(copy);
    return kind;
}

static void parse(struct strbuf *out, struct slice body, unsigned flags, size_t step, size_t cut)
{
    struct protobuf *protobuf = protobuf_new();
    struct exposition_parser parser;
    exposition_begin_protobuf(&parser, protobuf, flags);
    enum exposition_kind kind = EXPOSITION_NEED_MORE;
    size_t start = 0;
    for (size_t end = 0; end <= body.len && kind == EXPOSITION_NEED_MORE; end++) {
        if (end != body.len && end != cut && end % step != 0)
            continue;
        size_t left;
        kind =
            feed(&parser, out, slice_make(body.ptr + start, end - start), end == body.len, &left);
        start = end - left;
    }
    assert_int_not_equal(kind, EXPOSITION_NEED_MORE);
    protobuf_free(protobuf);
}

/* Takes the body over. The text must not depend on where it is cut. */
static void expect(struct strbuf *body, unsigned flags, const char *expected)
{
    struct slice bytes = slice_make(body->text, body->len);
    for (size_t cut = 0; cut <= bytes.len; cut++) {
        struct strbuf got = STRBUF_GROWING;
        parse(&got, bytes, flags, cut == 0 ? 1 : SIZE_MAX, cut);
        assert_string_equal(got.len > 0 ? got.text : "", expected);
        strbuf_fini(&got);
    }
    strbuf_fini(body);
}

/* ---- messages ---- */

/* A family with this metric alone; takes it over. */
static struct strbuf body_of(const char *name, int type, struct strbuf *metric)
{
    struct strbuf out = STRBUF_GROWING;
    struct strbuf whole = new_family(name, type);
    put_message(&whole, 4, metric);
    put_delimited(&out, &whole);
    return out;
}

static struct strbuf metric_of(unsigned field, struct strbuf *inner)
{
    struct strbuf metric = STRBUF_GROWING;
    put_message(&metric, field, inner);
    return metric;
}

static void put_exemplar(struct strbuf *out, unsigned field, double value, int64_t seconds)
{
    struct strbuf exemplar = STRBUF_GROWING;
    struct strbuf timestamp = STRBUF_GROWING;
    put_label(&exemplar, 1, "trace_id", "a\"b");
    put_double(&exemplar, 2, value);
    if (seconds != 0) {
        put_number(&timestamp, 1, (uint64_t)seconds);
        put_number(&timestamp, 2, 5000000);
        put_message(&exemplar, 3, &timestamp);
    }
    put_message(out, field, &exemplar);
}

static void put_bucket(struct strbuf *out, uint64_t count, double bound)
{
    struct strbuf bucket = STRBUF_GROWING;
    put_number(&bucket, 1, count);
    put_double(&bucket, 2, bound);
    put_message(out, 3, &bucket);
}

static void put_span(struct strbuf *out, unsigned field, int32_t offset, uint32_t length)
{
    struct strbuf span = STRBUF_GROWING;
    put_signed(&span, 1, offset);
    put_number(&span, 2, length);
    put_message(out, field, &span);
}

static struct strbuf totals(uint64_t count, double sum)
{
    struct strbuf out = STRBUF_GROWING;
    put_number(&out, 1, count);
    put_double(&out, 2, sum);
    return out;
}

/* Schema 3, zero bucket 2, positive 1 at index 0, 2 at 1; 5 in all. */
static struct strbuf small_native(void)
{
    struct strbuf out = totals(5, 7.5);
    put_signed(&out, 5, 3);
    put_double(&out, 6, 0.001);
    put_number(&out, 7, 2);
    put_span(&out, 12, 0, 2);
    put_signed(&out, 13, 1);
    put_signed(&out, 13, 1);
    return out;
}

/* ---- simple metrics ---- */

static void a_counter_is_one_sample_with_its_exemplar_and_start(void **state)
{
    (void)state;
    struct strbuf counter = STRBUF_GROWING;
    struct strbuf start = STRBUF_GROWING;
    put_double(&counter, 1, 42.5);
    put_exemplar(&counter, 2, 0.5, 7);
    put_number(&start, 1, 1700000000);
    put_message(&counter, 3, &start);
    struct strbuf metric = metric_of(3, &counter);
    put_label(&metric, 1, "z", "last \"quoted\" \\ one");
    put_label(&metric, 1, "a", "first");
    put_number(&metric, 6, 1234);
    struct strbuf body = body_of("requests_total", COUNTER, &metric);
    expect(&body, 0,
           "HELP requests_total some help\nTYPE requests_total counter\n"
           "requests_total{a=\"first\",z=\"last \\\"quoted\\\" \\\\ one\"} 42.5 at=1234 "
           "start=1700000000000 exemplar(0.5,trace_id=a\"b@7005)\n");
}

static void units_stand_between_help_and_type(void **state)
{
    (void)state;
    struct strbuf gauge = STRBUF_GROWING;
    put_double(&gauge, 1, -1);
    struct strbuf metric = metric_of(2, &gauge);
    struct strbuf whole = new_family("size_bytes", GAUGE);
    put_text(&whole, 5, "bytes");
    put_message(&whole, 4, &metric);
    struct strbuf body = STRBUF_GROWING;
    put_delimited(&body, &whole);
    expect(&body, 0,
           "HELP size_bytes some help\nUNIT size_bytes bytes\nTYPE size_bytes gauge\n"
           "size_bytes -1\n");
}

static void a_unit_may_stand_behind_the_metrics(void **state)
{
    (void)state;
    struct strbuf gauge = STRBUF_GROWING;
    put_double(&gauge, 1, -1);
    struct strbuf metric = metric_of(2, &gauge);
    struct strbuf whole = new_family("size", GAUGE);
    put_message(&whole, 4, &metric);
    put_text(&whole, 5, "bytes");
    struct strbuf body = STRBUF_GROWING;
    put_delimited(&body, &whole);
    expect(&body, 0, "HELP size some help\nTYPE size gauge\nsize -1\nUNIT size bytes\n");
}

static void a_timestamp_of_zero_is_none(void **state)
{
    (void)state;
    struct strbuf gauge = STRBUF_GROWING;
    put_double(&gauge, 1, 3);
    struct strbuf metric = metric_of(2, &gauge);
    put_number(&metric, 6, 0);
    struct strbuf body = body_of("g", GAUGE, &metric);
    expect(&body, 0, "HELP g some help\nTYPE g gauge\ng 3\n");
}

static void the_bits_of_a_nan_stay_as_they_are(void **state)
{
    (void)state;
    const uint64_t stale = UINT64_C(0x7ff0000000000002);
    double value;
    memcpy(&value, &stale, sizeof(value));
    struct strbuf gauge = STRBUF_GROWING;
    put_double(&gauge, 1, value);
    struct strbuf metric = metric_of(2, &gauge);
    struct strbuf body = body_of("g", GAUGE, &metric);
    struct protobuf *protobuf = protobuf_new();
    struct exposition_parser parser;
    struct exposition_entry entry;
    exposition_begin_protobuf(&parser, protobuf, 0);
    exposition_feed(&parser, body.text, body.len, true);
    while (exposition_next(&parser, &entry) != EXPOSITION_SAMPLE)
        assert_true(entry.kind == EXPOSITION_HELP || entry.kind == EXPOSITION_TYPE);
    assert_true(entry.bits == stale);
    protobuf_free(protobuf);
    strbuf_fini(&body);
}

static void names_beyond_the_old_alphabet_are_quoted(void **state)
{
    (void)state;
    struct strbuf gauge = STRBUF_GROWING;
    put_double(&gauge, 1, 3);
    struct strbuf metric = metric_of(2, &gauge);
    put_label(&metric, 1, "http.status", "200");
    struct strbuf body = body_of("my.gauge", GAUGE, &metric);
    expect(&body, 0,
           "HELP my.gauge some help\nTYPE my.gauge gauge\n"
           "{\"my.gauge\",\"http.status\"=\"200\"} 3\n");
}

static void an_untyped_metric_without_a_value_repeats_the_one_before(void **state)
{
    (void)state;
    struct strbuf untyped = STRBUF_GROWING;
    put_double(&untyped, 1, 9);
    struct strbuf first = metric_of(5, &untyped);
    struct strbuf second = STRBUF_GROWING;
    put_label(&second, 1, "n", "2");
    struct strbuf whole = new_family("u", UNTYPED);
    put_message(&whole, 4, &first);
    put_message(&whole, 4, &second);
    struct strbuf body = STRBUF_GROWING;
    put_delimited(&body, &whole);
    expect(&body, 0, "HELP u some help\nTYPE u unknown\nu 9\nu{n=\"2\"} 9\n");
}

static void a_family_without_metrics_says_nothing(void **state)
{
    (void)state;
    struct strbuf body = STRBUF_GROWING;
    struct strbuf none = new_family("none", GAUGE);
    put_delimited(&body, &none);
    struct strbuf gauge = STRBUF_GROWING;
    put_double(&gauge, 1, 1);
    struct strbuf metric = metric_of(2, &gauge);
    struct strbuf whole = new_family("g", GAUGE);
    put_message(&whole, 4, &metric);
    put_delimited(&body, &whole);
    expect(&body, 0, "HELP g some help\nTYPE g gauge\ng 1\n");
}

static void a_summary_has_count_sum_and_its_quantiles(void **state)
{
    (void)state;
    struct strbuf summary = totals(10, 2.5);
    struct strbuf quantile = STRBUF_GROWING;
    put_double(&quantile, 1, 0.5);
    put_double(&quantile, 2, 0.25);
    put_message(&summary, 3, &quantile);
    struct strbuf metric = metric_of(4, &summary);
    put_label(&metric, 1, "zone", "b");
    struct strbuf body = body_of("s", SUMMARY, &metric);
    expect(&body, 0,
           "HELP s some help\nTYPE s summary\ns_count{zone=\"b\"} 10\ns_sum{zone=\"b\"} 2.5\n"
           "s{quantile=\"0.5\",zone=\"b\"} 0.25\n");
    summary = totals(1, 2);
    metric = metric_of(4, &summary);
    body = body_of("s", SUMMARY, &metric);
    expect(&body, 0, "HELP s some help\nTYPE s summary\ns_count 1\ns_sum 2\n");
}

/* ---- histograms ---- */

static struct strbuf classic_body(bool with_inf, uint64_t inf)
{
    struct strbuf histogram = totals(5, 4.5);
    put_bucket(&histogram, 1, 0.1);
    put_bucket(&histogram, 4, 1);
    if (with_inf)
        put_bucket(&histogram, inf, HUGE_VAL);
    struct strbuf metric = metric_of(7, &histogram);
    return body_of("h", HISTOGRAM, &metric);
}

static const char CLASSIC[] = "HELP h some help\nTYPE h histogram\nh_count 5\nh_sum 4.5\n"
                              "h_bucket{le=\"0.1\"} 1\nh_bucket{le=\"1.0\"} 4\n"
                              "h_bucket{le=\"+Inf\"} 5\n";

static void a_classic_histogram_gets_the_bucket_it_lacks(void **state)
{
    (void)state;
    struct strbuf body = classic_body(false, 0);
    expect(&body, 0, CLASSIC);
    body = classic_body(true, 5);
    expect(&body, 0, CLASSIC);
}

static const char NATIVE[] = "HELP h some help\nTYPE h histogram\n"
                             "h integer schema=3 zero=0.001:2 count=5 sum=7.5 +[0,2]1,2 -\n";

static void a_native_histogram_is_one_entry_if_it_is_wanted(void **state)
{
    (void)state;
    struct strbuf histogram = small_native();
    struct strbuf metric = metric_of(7, &histogram);
    struct strbuf body = body_of("h", HISTOGRAM, &metric);
    expect(&body, EXPOSITION_NATIVE_HISTOGRAMS, NATIVE);
    histogram = small_native();
    metric = metric_of(7, &histogram);
    body = body_of("h", HISTOGRAM, &metric);
    expect(&body, 0,
           "HELP h some help\nTYPE h histogram\nh_count 5\nh_sum 7.5\nh_bucket{le=\"+Inf\"} 5\n");
}

static void both_forms_come_native_first_if_both_are_wanted(void **state)
{
    (void)state;
    struct strbuf histogram = small_native();
    put_bucket(&histogram, 3, 1);
    struct strbuf metric = metric_of(7, &histogram);
    struct strbuf body = body_of("h", HISTOGRAM, &metric);
    expect(&body, EXPOSITION_NATIVE_HISTOGRAMS | EXPOSITION_CLASSIC_HISTOGRAMS,
           "HELP h some help\nTYPE h histogram\n"
           "h integer schema=3 zero=0.001:2 count=5 sum=7.5 +[0,2]1,2 -\n"
           "h_count 5\nh_sum 7.5\nh_bucket{le=\"1.0\"} 3\nh_bucket{le=\"+Inf\"} 5\n");
}

static void nothing_but_a_no_op_span_is_an_empty_native_histogram(void **state)
{
    (void)state;
    struct strbuf histogram = STRBUF_GROWING;
    put_span(&histogram, 12, 0, 0);
    struct strbuf metric = metric_of(7, &histogram);
    struct strbuf body = body_of("h", HISTOGRAM, &metric);
    expect(&body, EXPOSITION_NATIVE_HISTOGRAMS,
           "HELP h some help\nTYPE h histogram\n"
           "h integer schema=0 zero=0:0 count=0 sum=0 + -\n");
    histogram = (struct strbuf)STRBUF_GROWING;
    put_signed(&histogram, 5, 3);
    metric = metric_of(7, &histogram);
    body = body_of("h", HISTOGRAM, &metric);
    expect(&body, EXPOSITION_NATIVE_HISTOGRAMS,
           "HELP h some help\nTYPE h histogram\nh_count 0\nh_sum 0\nh_bucket{le=\"+Inf\"} 0\n");
}

static void a_float_histogram_of_a_gauge_keeps_its_kind_and_exemplars_in_order(void **state)
{
    (void)state;
    struct strbuf histogram = STRBUF_GROWING;
    put_double(&histogram, 4, 2.5);
    put_double(&histogram, 2, 1);
    put_span(&histogram, 9, -2, 1);
    put_span(&histogram, 9, 3, 2);
    put_double(&histogram, 11, 1.5);
    put_double(&histogram, 11, 0);
    put_double(&histogram, 11, 1);
    put_exemplar(&histogram, 16, 2, 20);
    put_exemplar(&histogram, 16, 1, 10);
    put_exemplar(&histogram, 16, 3, 0);
    struct strbuf metric = metric_of(7, &histogram);
    struct strbuf body = body_of("h", GAUGE_HISTOGRAM, &metric);
    expect(&body, EXPOSITION_NATIVE_HISTOGRAMS,
           "HELP h some help\nTYPE h gaugehistogram\n"
           "h float gauge schema=0 zero=0:0 count=2.5 sum=1 + -[-2,1][4,1]1.5,1 "
           "exemplar(1,trace_id=a\"b@10005) exemplar(2,trace_id=a\"b@20005)\n");
}

static void packed_and_single_deltas_are_the_same(void **state)
{
    (void)state;
    struct strbuf histogram = totals(3, 7.5);
    struct strbuf packed = STRBUF_GROWING;
    put_span(&histogram, 12, 0, 2);
    put_varint(&packed, 2); /* +1 */
    put_varint(&packed, 2);
    put_message(&histogram, 13, &packed);
    struct strbuf metric = metric_of(7, &histogram);
    struct strbuf body = body_of("h", HISTOGRAM, &metric);
    expect(&body, EXPOSITION_NATIVE_HISTOGRAMS,
           "HELP h some help\nTYPE h histogram\n"
           "h integer schema=0 zero=0:0 count=3 sum=7.5 +[0,2]1,2 -\n");
}

static void classic_buckets_become_custom_ones_if_that_is_wanted(void **state)
{
    (void)state;
    static const char custom[] =
        "h integer schema=-53 zero=0:0 count=5 sum=4.5 +[0,3]1,3,1 - <=0.1 <=1\n";
    struct strbuf expected = STRBUF_GROWING;
    strbuf_addf(&expected, "HELP h some help\nTYPE h histogram\n%s", custom);
    struct strbuf body = classic_body(true, 5);
    expect(&body, EXPOSITION_CONVERT_HISTOGRAMS, expected.text);
    body = classic_body(false, 0);
    expect(&body, EXPOSITION_CONVERT_HISTOGRAMS, expected.text);
    strbuf_adds(&expected, strchr(strchr(CLASSIC, '\n') + 1, '\n') + 1);
    body = classic_body(true, 5);
    expect(&body, EXPOSITION_CONVERT_HISTOGRAMS | EXPOSITION_CLASSIC_HISTOGRAMS, expected.text);
    strbuf_fini(&expected);
    body = classic_body(true, 6);
    expect(&body, EXPOSITION_CONVERT_HISTOGRAMS,
           "HELP h some help\nTYPE h histogram\n"
           "ERROR metric family \"h\": the count differs from that of the +Inf bucket");
}

static void a_native_histogram_wins_over_conversion(void **state)
{
    (void)state;
    struct strbuf histogram = small_native();
    put_bucket(&histogram, 3, 1);
    struct strbuf metric = metric_of(7, &histogram);
    struct strbuf body = body_of("h", HISTOGRAM, &metric);
    expect(&body, EXPOSITION_NATIVE_HISTOGRAMS | EXPOSITION_CONVERT_HISTOGRAMS, NATIVE);
}

/* ---- what fails ---- */

static void spans_that_do_not_fit_fail(void **state)
{
    (void)state;
    struct strbuf histogram = totals(3, 1);
    put_span(&histogram, 12, 0, 3);
    put_signed(&histogram, 13, 1);
    put_signed(&histogram, 13, 1);
    struct strbuf metric = metric_of(7, &histogram);
    struct strbuf body = body_of("h", HISTOGRAM, &metric);
    expect(&body, EXPOSITION_NATIVE_HISTOGRAMS,
           "HELP h some help\nTYPE h histogram\nERROR metric family \"h\": a native histogram's "
           "spans need another number of buckets than it has");
}

static void an_unknown_type_fails(void **state)
{
    (void)state;
    struct strbuf metric = STRBUF_GROWING;
    struct strbuf body = body_of("h", 7, &metric);
    expect(&body, 0, "ERROR metric family \"h\": unknown metric type");
}

static void texts_that_are_not_utf8_fail(void **state)
{
    (void)state;
    struct strbuf gauge = STRBUF_GROWING;
    put_double(&gauge, 1, 3);
    struct strbuf metric = metric_of(2, &gauge);
    put_label(&metric, 1, "a", "\xff");
    struct strbuf body = body_of("g", GAUGE, &metric);
    expect(&body, 0,
           "HELP g some help\nTYPE g gauge\n"
           "ERROR metric family \"g\": a label value is no valid UTF-8");
    metric = (struct strbuf)STRBUF_GROWING;
    body = body_of("\xff", GAUGE, &metric);
    expect(&body, 0,
           "ERROR invalid metric name: a metric family's name must be non-empty valid UTF-8");
}

static void a_body_that_ends_early_fails(void **state)
{
    (void)state;
    struct strbuf body = classic_body(true, 5);
    body.len -= 3;
    expect(&body, 0, "ERROR unexpected EOF: the body ends within a protobuf message");
    body = (struct strbuf)STRBUF_GROWING;
    strbuf_add(&body, "\xff", 1);
    expect(&body, 0, "ERROR unexpected EOF: the body ends within a protobuf message");
}

static void bytes_that_are_no_message_fail(void **state)
{
    (void)state;
    struct strbuf body = STRBUF_GROWING;
    strbuf_add(&body, "\x02\x0b\x0b", 3); /* group */
    expect(&body, 0, "ERROR the body is no valid protobuf message");
    body = (struct strbuf)STRBUF_GROWING;
    strbuf_add(&body, "\x03\x0a\x05g", 4); /* a name that leaves its family */
    expect(&body, 0, "ERROR the body is no valid protobuf message");
    body = (struct strbuf)STRBUF_GROWING;
    strbuf_add(&body, "\xff\xff\xff\xff\xff\xff", 6);
    expect(&body, 0, "ERROR the body is no valid protobuf message");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_counter_is_one_sample_with_its_exemplar_and_start),
        cmocka_unit_test(units_stand_between_help_and_type),
        cmocka_unit_test(a_unit_may_stand_behind_the_metrics),
        cmocka_unit_test(a_timestamp_of_zero_is_none),
        cmocka_unit_test(the_bits_of_a_nan_stay_as_they_are),
        cmocka_unit_test(names_beyond_the_old_alphabet_are_quoted),
        cmocka_unit_test(an_untyped_metric_without_a_value_repeats_the_one_before),
        cmocka_unit_test(a_family_without_metrics_says_nothing),
        cmocka_unit_test(a_summary_has_count_sum_and_its_quantiles),
        cmocka_unit_test(a_classic_histogram_gets_the_bucket_it_lacks),
        cmocka_unit_test(a_native_histogram_is_one_entry_if_it_is_wanted),
        cmocka_unit_test(both_forms_come_native_first_if_both_are_wanted),
        cmocka_unit_test(nothing_but_a_no_op_span_is_an_empty_native_histogram),
        cmocka_unit_test(a_float_histogram_of_a_gauge_keeps_its_kind_and_exemplars_in_order),
        cmocka_unit_test(packed_and_single_deltas_are_the_same),
        cmocka_unit_test(classic_buckets_become_custom_ones_if_that_is_wanted),
        cmocka_unit_test(a_native_histogram_wins_over_conversion),
        cmocka_unit_test(spans_that_do_not_fit_fail),
        cmocka_unit_test(an_unknown_type_fails),
        cmocka_unit_test(texts_that_are_not_utf8_fail),
        cmocka_unit_test(a_body_that_ends_early_fails),
        cmocka_unit_test(bytes_that_are_no_message_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
