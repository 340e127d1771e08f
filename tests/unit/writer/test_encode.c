/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Requests are read back by code that protoc-c made from remote_write.proto. */
#include "writer/encode.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <snappy-c.h>

#include "remote_write.pb-c.h"

enum { ROOM = 1 << 20 };

#define L(label_name, label_value)                                                                 \
    {                                                                                              \
        SLICE_LITERAL(label_name), SLICE_LITERAL(label_value)                                      \
    }
#define COUNT(array) (sizeof(array) / sizeof *(array))

static Wire__WriteRequest *decode(struct encoder *encoder)
{
    struct slice body = encoder_finish(encoder);
    size_t len;
    assert_int_equal(snappy_uncompressed_length(body.ptr, body.len, &len), SNAPPY_OK);
    assert_int_equal(len, encoder_bytes(encoder));
    char *raw = malloc(len + 1);
    assert_int_equal(snappy_uncompress(body.ptr, body.len, raw, &len), SNAPPY_OK);
    Wire__WriteRequest *request = wire__write_request__unpack(NULL, len, (uint8_t *)raw);
    assert_non_null(request);
    free(raw);
    return request;
}

static void assert_labels(const Wire__TimeSeries *series, const char *wanted)
{
    char text[1024] = "";
    for (size_t i = 0; i < series->n_labels; i++) {
        size_t len = strlen(text);
        snprintf(text + len, sizeof text - len, "%s=%s,", series->labels[i]->name,
                 series->labels[i]->value);
    }
    assert_string_equal(text, wanted);
}

static void one_series_for_each_sample(void **state)
{
    (void)state;
    struct encoder encoder;
    assert_int_equal(encoder_init(&encoder, ROOM), 0);
    encoder_start(&encoder, NULL);
    const struct label up[] = {L("__name__", "up")};
    encoder_set_target(&encoder, NULL, 0, NULL, 0);
    assert_int_equal(encoder_add(&encoder, up, 1, 1, 1700000000000), 0);
    assert_int_equal(encoder_add(&encoder, up, 1, 2, 1700000005000), 0);
    assert_int_equal(encoder_samples(&encoder), 2);

    Wire__WriteRequest *request = decode(&encoder);
    assert_int_equal(request->n_timeseries, 2);
    for (size_t i = 0; i < 2; i++) {
        assert_labels(request->timeseries[i], "__name__=up,");
        assert_int_equal(request->timeseries[i]->n_samples, 1);
        int64_t ms = 1700000000000 + (int64_t)i * 5000;
        assert_int_equal(request->timeseries[i]->samples[0]->timestamp, ms);
    }
    wire__write_request__free_unpacked(request, NULL);
    encoder_fini(&encoder);
}

static void labels_of_series_target_and_file_merge_in_this_order(void **state)
{
    (void)state;
    struct encoder encoder;
    assert_int_equal(encoder_init(&encoder, ROOM), 0);
    encoder_start(&encoder, NULL);
    const struct label line[] = {L("B", "line"), L("__name__", "m"), L("e", "line"), L("z", "")};
    const struct label target[] = {L("A", "target"), L("e", "target"), L("f", "target"),
                                   L("z", "target"), L("zz", "target")};
    const struct label external[] = {L("B", "file"), L("c", "file"), L("e", "file"), L("f", "file"),
                                     L("z", "file")};
    encoder_set_target(&encoder, target, COUNT(target), external, COUNT(external));
    assert_int_equal(encoder_add(&encoder, line, COUNT(line), 0, 0), 0);
    const struct label bare[] = {L("__name__", "n")};
    assert_int_equal(encoder_add(&encoder, bare, 1, 0, 0), 0);
    const struct label emptied[] = {L("__name__", "o"), L("nothing", ""), L("zz", "")};
    assert_int_equal(encoder_add(&encoder, emptied, COUNT(emptied), 0, 0), 0);

    Wire__WriteRequest *request = decode(&encoder);
    assert_labels(request->timeseries[0],
                  "A=target,B=line,__name__=m,c=file,e=line,f=target,z=file,zz=target,");
    assert_labels(request->timeseries[1],
                  "A=target,B=file,__name__=n,c=file,e=target,f=target,z=target,zz=target,");
    assert_labels(request->timeseries[2],
                  "A=target,B=file,__name__=o,c=file,e=target,f=target,z=target,");
    wire__write_request__free_unpacked(request, NULL);
    encoder_fini(&encoder);
}

static void an_empty_target_label_counts_as_absent(void **state)
{
    (void)state;
    struct encoder encoder;
    assert_int_equal(encoder_init(&encoder, ROOM), 0);
    encoder_start(&encoder, NULL);
    const struct label line[] = {L("__name__", "m")};
    const struct label target[] = {L("a", ""), L("b", "")};
    const struct label external[] = {L("a", "file"), L("c", "")};
    encoder_set_target(&encoder, target, COUNT(target), external, COUNT(external));
    assert_int_equal(encoder_add(&encoder, line, COUNT(line), 0, 0), 0);
    Wire__WriteRequest *request = decode(&encoder);
    assert_labels(request->timeseries[0], "__name__=m,a=file,");
    wire__write_request__free_unpacked(request, NULL);
    encoder_fini(&encoder);
}

static void values_keep_every_bit(void **state)
{
    (void)state;
    static const uint64_t patterns[] = {
        0,                            /* 0 */
        UINT64_C(1) << 63,            /* -0 */
        UINT64_C(0x7ff0000000000002), /* the staleness marker */
        UINT64_C(0x7ff8000000000001), /* an ordinary NaN */
        UINT64_C(0x7ff0000000000000), /* +Inf */
        UINT64_C(0xfff0000000000000), /* -Inf */
        UINT64_C(0x0000000000000001), /* the smallest subnormal */
        UINT64_C(0x3fb999999999999a), /* 0.1 */
    };
    static const int64_t times[] = {0, 1, -1, INT64_MIN, INT64_MAX, 1700000000000, 127, 128};
    struct encoder encoder;
    assert_int_equal(encoder_init(&encoder, ROOM), 0);
    encoder_start(&encoder, NULL);
    encoder_set_target(&encoder, NULL, 0, NULL, 0);
    const struct label line[] = {L("__name__", "m")};
    for (size_t i = 0; i < COUNT(patterns); i++)
        assert_int_equal(encoder_add(&encoder, line, 1, patterns[i], times[i]), 0);
    Wire__WriteRequest *request = decode(&encoder);
    for (size_t i = 0; i < COUNT(patterns); i++) {
        const Wire__Sample *sample = request->timeseries[i]->samples[0];
        uint64_t bits;
        memcpy(&bits, &sample->value, sizeof bits);
        assert_int_equal(bits, patterns[i]);
        assert_int_equal(sample->timestamp, times[i]);
    }
    wire__write_request__free_unpacked(request, NULL);
    encoder_fini(&encoder);
}

/* The length of a series takes one, two or three bytes; the guess is two. */
static void labels_of_any_length_are_kept(void **state)
{
    (void)state;
    enum { LONGEST = 20000 };
    char *text = malloc(LONGEST);
    memset(text, 'v', LONGEST);
    struct encoder encoder;
    assert_int_equal(encoder_init(&encoder, ROOM), 0);
    encoder_start(&encoder, NULL);
    encoder_set_target(&encoder, NULL, 0, NULL, 0);
    static const size_t lengths[] = {1,   80,  81,  82,    83,    100,   110,   127,    128,
                                     200, 255, 256, 16300, 16340, 16350, 16360, LONGEST};
    for (size_t i = 0; i < COUNT(lengths); i++) {
        struct label line[] = {L("__name__", "m"), {SLICE_LITERAL("v"), {text, lengths[i]}}};
        assert_int_equal(encoder_add(&encoder, line, 2, i, 1700000000000), 0);
    }
    Wire__WriteRequest *request = decode(&encoder);
    assert_int_equal(request->n_timeseries, COUNT(lengths));
    for (size_t i = 0; i < COUNT(lengths); i++) {
        assert_string_equal(request->timeseries[i]->labels[0]->value, "m");
        assert_int_equal(strlen(request->timeseries[i]->labels[1]->value), lengths[i]);
        assert_int_equal(request->timeseries[i]->n_samples, 1);
    }
    wire__write_request__free_unpacked(request, NULL);
    encoder_fini(&encoder);
    free(text);
}

static void a_full_request_takes_no_part_of_a_sample(void **state)
{
    (void)state;
    struct encoder encoder;
    assert_int_equal(encoder_init(&encoder, 1000), 0);
    encoder_start(&encoder, NULL);
    encoder_set_target(&encoder, NULL, 0, NULL, 0);
    const struct label line[] = {L("__name__", "metric"), L("label", "value")};
    size_t added = 0;
    while (encoder_add(&encoder, line, 2, 0, 1700000000000) == 0)
        added++;
    assert_in_range(added, 10, 30);
    assert_int_equal(encoder_samples(&encoder), added);
    Wire__WriteRequest *request = decode(&encoder);
    assert_int_equal(request->n_timeseries, added);
    wire__write_request__free_unpacked(request, NULL);

    encoder_start(&encoder, NULL);
    assert_int_equal(encoder_samples(&encoder), 0);
    request = decode(&encoder);
    assert_int_equal(request->n_timeseries, 0);
    wire__write_request__free_unpacked(request, NULL);
    encoder_fini(&encoder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_series_for_each_sample),
        cmocka_unit_test(labels_of_series_target_and_file_merge_in_this_order),
        cmocka_unit_test(an_empty_target_label_counts_as_absent),
        cmocka_unit_test(values_keep_every_bit),
        cmocka_unit_test(labels_of_any_length_are_kept),
        cmocka_unit_test(a_full_request_takes_no_part_of_a_sample),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
