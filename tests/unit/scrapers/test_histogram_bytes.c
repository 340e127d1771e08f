/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Histograms are read back by code that protoc-c made from the message's definition. */
#include "scrapers/histogram_bytes.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "remote_write.pb-c.h"

static Wire__Histogram *read_back(const struct histogram *histogram)
{
    uint8_t *bytes = malloc(histogram_bytes_max(histogram));
    assert_non_null(bytes);
    size_t len = (size_t)(histogram_bytes_put(histogram, bytes) - bytes);
    assert_true(len <= histogram_bytes_max(histogram));
    assert_int_equal(bytes[0], 4 << 3); /* the schema stands first */
    Wire__Histogram *message = wire__histogram__unpack(NULL, len, bytes);
    assert_non_null(message);
    free(bytes);
    return message;
}

static void add(struct histogram_side *side, int64_t integer)
{
    assert_true(histogram_add_count(side, (union histogram_count){.integer = integer}));
}

static void add_real(struct histogram_side *side, double real)
{
    assert_true(histogram_add_count(side, (union histogram_count){.real = real}));
}

static void integer_buckets_are_differences(void **state)
{
    (void)state;
    struct histogram histogram = {.schema = -3, .zero_threshold = 0.25};
    double sum = -1.5;
    histogram.count.integer = 1000;
    histogram.zero_count.integer = 3;
    memcpy(&histogram.sum_bits, &sum, sizeof(sum));
    assert_true(histogram_add_span(&histogram.positive, -7, 2));
    assert_true(histogram_add_span(&histogram.positive, 300, 1));
    add(&histogram.positive, 5);
    add(&histogram.positive, 2);
    add(&histogram.positive, 900);
    assert_true(histogram_add_span(&histogram.negative, 1, 1));
    add(&histogram.negative, 90);

    Wire__Histogram *message = read_back(&histogram);
    static const int64_t deltas[] = {5, -3, 898};
    assert_int_equal(message->schema, -3);
    assert_int_equal(message->count_case, WIRE__HISTOGRAM__COUNT_COUNT_INT);
    assert_int_equal(message->count_int, 1000);
    assert_int_equal(message->zero_count_case, WIRE__HISTOGRAM__ZERO_COUNT_ZERO_COUNT_INT);
    assert_int_equal(message->zero_count_int, 3);
    assert_true(message->sum == -1.5 && message->zero_threshold == 0.25);
    assert_int_equal(message->n_positive_spans, 2);
    assert_int_equal(message->positive_spans[0]->offset, -7);
    assert_int_equal(message->positive_spans[0]->length, 2);
    assert_int_equal(message->positive_spans[1]->offset, 300);
    assert_int_equal(message->n_positive_deltas, 3);
    assert_memory_equal(message->positive_deltas, deltas, sizeof(deltas));
    assert_int_equal(message->n_negative_deltas, 1);
    assert_int_equal(message->negative_deltas[0], 90);
    assert_int_equal(message->n_positive_counts + message->n_negative_counts, 0);
    assert_int_equal(message->reset_hint, 0);
    assert_int_equal(message->timestamp, 0);
    wire__histogram__free_unpacked(message, NULL);
    histogram_fini(&histogram);
}

static void float_buckets_are_absolute_and_gauges_say_so(void **state)
{
    (void)state;
    struct histogram histogram = {.is_float = true, .is_gauge = true, .schema = 8};
    histogram.count.real = 2.5;
    histogram.zero_count.real = 0.5;
    histogram.sum_bits = UINT64_C(0x7ff8000000000001);
    assert_true(histogram_add_span(&histogram.negative, 0, 2));
    add_real(&histogram.negative, 1.25);
    add_real(&histogram.negative, 0.75);

    Wire__Histogram *message = read_back(&histogram);
    uint64_t sum;
    assert_int_equal(message->count_case, WIRE__HISTOGRAM__COUNT_COUNT_FLOAT);
    assert_true(message->count_float == 2.5 && message->zero_count_float == 0.5);
    assert_int_equal(message->n_negative_counts, 2);
    assert_true(message->negative_counts[0] == 1.25 && message->negative_counts[1] == 0.75);
    assert_int_equal(message->n_negative_deltas, 0);
    assert_int_equal(message->reset_hint, 3);
    memcpy(&sum, &message->sum, sizeof(sum));
    assert_int_equal(sum, histogram.sum_bits);
    wire__histogram__free_unpacked(message, NULL);
    histogram_fini(&histogram);
}

static void bounds_of_custom_buckets_are_there(void **state)
{
    (void)state;
    struct histogram histogram = {.schema = HISTOGRAM_SCHEMA_CUSTOM};
    histogram.count.integer = 4;
    assert_true(histogram_add_span(&histogram.positive, 0, 2));
    add(&histogram.positive, 1);
    add(&histogram.positive, 3);
    assert_true(histogram_add_bound(&histogram, 0.1));
    assert_true(histogram_add_bound(&histogram, 10));

    Wire__Histogram *message = read_back(&histogram);
    assert_int_equal(message->schema, -53);
    assert_int_equal(message->n_custom_values, 2);
    assert_true(message->custom_values[0] == 0.1 && message->custom_values[1] == 10);
    wire__histogram__free_unpacked(message, NULL);
    histogram_fini(&histogram);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integer_buckets_are_differences),
        cmocka_unit_test(float_buckets_are_absolute_and_gauges_say_so),
        cmocka_unit_test(bounds_of_custom_buckets_are_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
