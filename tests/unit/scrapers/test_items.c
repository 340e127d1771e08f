/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Bodies in protobuf, native histograms, exemplars, start timestamps and metadata: what of them is
   committed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/unit/exposition/encode_proto.h"
#include "tests/unit/scrapers/rig.h"

#define NATIVE (SHM_TARGET_NATIVE_HISTOGRAMS | SHM_TARGET_HONOR_TIMESTAMPS)
#define BOTH   (NATIVE | SHM_TARGET_CLASSIC_HISTOGRAMS)

static const char jobs[] = "  - job_name: started\n"
                           "    limpet: {start_timestamps: true}\n"
                           "  - job_name: limited\n"
                           "    native_histogram_bucket_limit: 3\n"
                           "  - job_name: coarse\n"
                           "    native_histogram_min_bucket_factor: 1.5\n"
                           "  - job_name: relabelled\n"
                           "    metric_relabel_configs:\n"
                           "      - {source_labels: [__name__], regex: h, action: drop}\n";

/* ---- bodies ---- */

struct made {
    struct rig_answer answer;
    struct strbuf text;
};

static void wrap(struct made *made, const char *type, const struct strbuf *body)
{
    made->text = (struct strbuf)STRBUF_GROWING;
    strbuf_addf(&made->text, "HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %zu\r\n\r\n",
                type, body->len);
    strbuf_add(&made->text, body->text, body->len);
    made->answer = (struct rig_answer){.bytes = made->text.text, .len = made->text.len};
}

static void wrap_proto(struct made *made, struct strbuf *body)
{
    wrap(made, "application/vnd.google.protobuf; encoding=delimited", body);
    strbuf_fini(body);
}

static void wrap_openmetrics(struct made *made, const char *text)
{
    struct strbuf body = STRBUF_GROWING;
    strbuf_adds(&body, text);
    wrap(made, "application/openmetrics-text", &body);
    strbuf_fini(&body);
}

static void put_counter(struct strbuf *body, const char *name, double value, int64_t start_s)
{
    struct strbuf family = STRBUF_GROWING;
    struct strbuf metric = STRBUF_GROWING;
    struct strbuf counter = STRBUF_GROWING;
    put_double(&counter, 1, value);
    if (start_s != 0) {
        struct strbuf start = STRBUF_GROWING;
        put_number(&start, 1, (uint64_t)start_s);
        put_message(&counter, 3, &start);
    }
    put_message(&metric, 3, &counter);
    put_text(&family, 1, name);
    put_text(&family, 2, "Helps.");
    put_number(&family, 3, COUNTER);
    put_message(&family, 4, &metric);
    put_delimited(body, &family);
}

/* `buckets` native ones of 1 each from index 0 on, and a classic one, le="1", of `buckets`. */
static void put_native(struct strbuf *body, int schema, unsigned buckets, unsigned count)
{
    struct strbuf family = STRBUF_GROWING;
    struct strbuf metric = STRBUF_GROWING;
    struct strbuf histogram = STRBUF_GROWING;
    struct strbuf classic = STRBUF_GROWING;
    struct strbuf span = STRBUF_GROWING;
    put_number(&histogram, 1, count);
    put_double(&histogram, 2, 12.5);
    put_number(&classic, 1, buckets);
    put_double(&classic, 2, 1);
    put_message(&histogram, 3, &classic);
    put_signed(&histogram, 5, schema);
    put_signed(&span, 1, 0);
    put_number(&span, 2, buckets);
    put_message(&histogram, 12, &span);
    for (unsigned i = 0; i < buckets; i++)
        put_signed(&histogram, 13, i == 0);
    put_message(&metric, 7, &histogram);
    put_text(&family, 1, "h");
    put_number(&family, 3, HISTOGRAM);
    put_message(&family, 4, &metric);
    put_delimited(body, &family);
}

/* The same answer to the target, rendered. */
static const char *scrape_native(struct rig *rig, int schema, unsigned buckets, unsigned count)
{
    static struct made made;
    struct strbuf body = STRBUF_GROWING;
    put_native(&body, schema, buckets, count);
    wrap_proto(&made, &body);
    const char *text = rig_scrape(rig, 1, &made.answer);
    strbuf_fini(&made.text);
    return text;
}

static const char *scrape_openmetrics(struct rig *rig, const char *text)
{
    static struct made made;
    wrap_openmetrics(&made, text);
    const char *committed = rig_scrape(rig, 1, &made.answer);
    strbuf_fini(&made.text);
    return committed;
}

static struct rig *new_rig(const char *job, uint32_t flags)
{
    struct rig *rig = rig_new_with_jobs(jobs);
    struct rig_target target = {.job = job, .flags = flags};
    rig->scraper.takes_exemplars = rig->scraper.takes_metadata = true;
    rig_table(rig, &target, 1);
    return rig;
}

/* ---- protobuf ---- */

static void protobuf_is_read_and_predicted(void **state)
{
    (void)state;
    struct rig *rig = new_rig(NULL, 0);
    for (int i = 0; i < 3; i++) {
        struct made made;
        struct strbuf body = STRBUF_GROWING;
        put_counter(&body, "a_total", 1 + i, 0);
        put_counter(&body, "b_total", 2, 1800000000);
        wrap_proto(&made, &body);
        char wanted[256];
        snprintf(wanted, sizeof(wanted),
                 "a_total %d\nb_total 2 from 1800000000000\nup 1 scraped 2 post 2 added %d\n",
                 1 + i, i == 0 ? 2 : 0);
        assert_string_equal(rig_scrape(rig, 1, &made.answer), wanted);
        strbuf_fini(&made.text);
    }
    assert_int_equal(rig_counter(rig, COUNTER_LINES_LEARNT), 2);
    assert_int_equal(rig_counter(rig, COUNTER_LINES_PREDICTED), 4);
    rig_free(rig);
}

static void a_truncated_protobuf_body_fails(void **state)
{
    (void)state;
    struct rig *rig = new_rig(NULL, 0);
    struct made made;
    struct strbuf body = STRBUF_GROWING;
    put_counter(&body, "a_total", 1, 0);
    put_counter(&body, "b_total", 2, 0);
    body.len -= 3;
    wrap_proto(&made, &body);
    assert_string_equal(rig_scrape(rig, 1, &made.answer), "up 0 scraped 1 post 1 added 1\n");
    strbuf_fini(&made.text);
    rig_free(rig);
}

/* ---- histograms ---- */

static void native_histograms_come_if_wanted(void **state)
{
    (void)state;
    struct rig *rig = new_rig(NULL, NATIVE);
    assert_string_equal(scrape_native(rig, 3, 4, 4), "h histogram schema 3 count 4\n"
                                                     "up 1 scraped 1 post 1 added 1\n");
    assert_string_equal(scrape_native(rig, 3, 5, 5), "h histogram schema 3 count 5\n"
                                                     "up 1 scraped 1 post 1 added 0\n");
    assert_int_equal(rig_counter(rig, COUNTER_HISTOGRAMS_COMMITTED), 2);
    rig_free(rig);
    rig = new_rig(NULL, 0);
    assert_string_equal(scrape_native(rig, 3, 4, 4),
                        "h_count 4\nh_sum 12.5\nh_bucket{le=\"1.0\"} 4\nh_bucket{le=\"+Inf\"} 4\n"
                        "up 1 scraped 4 post 4 added 4\n");
    rig_free(rig);
    rig = new_rig(NULL, BOTH);
    assert_string_equal(scrape_native(rig, 3, 4, 4),
                        "h_count 4\nh_sum 12.5\nh_bucket{le=\"1.0\"} 4\nh_bucket{le=\"+Inf\"} 4\n"
                        "h histogram schema 3 count 4\n"
                        "up 1 scraped 5 post 5 added 5\n");
    rig_free(rig);
}

/* Also after a restart: what is tracked lies in the segment. */
static void a_histogram_that_vanishes_gets_an_ordinary_marker(void **state)
{
    (void)state;
    static const struct rig_answer other = RIG_BODY("a 1\n");
    struct rig *rig = new_rig(NULL, BOTH);
    (void)scrape_native(rig, 3, 4, 4);
    rig_restart(rig);
    assert_string_equal(rig_scrape(rig, 1, &other),
                        "a 1\nh_count stale\nh_sum stale\nh_bucket{le=\"1.0\"} stale\n"
                        "h_bucket{le=\"+Inf\"} stale\nh stale\n"
                        "up 1 scraped 1 post 1 added 1\n");
    rig_free(rig);
}

static void a_series_may_change_from_a_histogram_to_a_number(void **state)
{
    (void)state;
    static const struct rig_answer number = RIG_BODY("h 1\n");
    struct rig *rig = new_rig(NULL, NATIVE);
    (void)scrape_native(rig, 3, 4, 4);
    assert_string_equal(rig_scrape(rig, 1, &number), "h 1\nup 1 scraped 1 post 1 added 0\n");
    assert_string_equal(scrape_native(rig, 3, 4, 4), "h histogram schema 3 count 4\n"
                                                     "up 1 scraped 1 post 1 added 0\n");
    rig_free(rig);
}

static void an_invalid_histogram_fails_the_scrape(void **state)
{
    (void)state;
    struct rig *rig = new_rig(NULL, NATIVE);
    assert_string_equal(scrape_native(rig, 3, 4, 5), "up 0 scraped 1 post 0 added 0\n");
    rig_free(rig);
    rig = new_rig("relabelled", NATIVE); /* dropped before anybody looks */
    assert_string_equal(scrape_native(rig, 3, 4, 5), "up 1 scraped 1 post 0 added 0\n");
    rig_free(rig);
}

static void too_many_buckets_are_merged_or_fail_the_scrape(void **state)
{
    (void)state;
    struct rig *rig = new_rig("limited", NATIVE);
    assert_string_equal(scrape_native(rig, 3, 4, 4), "h histogram schema 2 count 4\n"
                                                     "up 1 scraped 1 post 1 added 1\n");
    assert_string_equal(scrape_native(rig, -4, 4, 4), "h stale\n"
                                                      "up 0 scraped 1 post 1 added 0\n");
    assert_int_equal(rig_counter(rig, COUNTER_SCRAPE_BUCKET_LIMIT), 1);
    rig_free(rig);
}

static void buckets_that_are_too_narrow_are_merged(void **state)
{
    (void)state;
    struct rig *rig = new_rig("coarse", NATIVE);
    assert_string_equal(scrape_native(rig, 3, 4, 4), "h histogram schema 0 count 4\n"
                                                     "up 1 scraped 1 post 1 added 1\n");
    rig_free(rig);
}

/* ---- classic histograms as native ones ---- */

#define CONVERT (SHM_TARGET_CONVERT_HISTOGRAMS | SHM_TARGET_HONOR_TIMESTAMPS)
#define CLASSIC                                                                                    \
    "# TYPE h histogram\n"                                                                         \
    "h_bucket{x=\"1\",le=\"1\"} 2\nh_bucket{x=\"1\",le=\"+Inf\"} 5\nh_sum{x=\"1\"} 7\n"            \
    "h_count{x=\"1\"} 5\nh_bucket{x=\"2\",le=\"1\"} 3\nh_count{x=\"2\"} 4\n"

static void classic_histograms_become_native_ones(void **state)
{
    (void)state;
    static const struct rig_answer both = RIG_BODY(CLASSIC "# TYPE g gauge\ng 1\n");
    static const struct rig_answer last = RIG_BODY("a 1\n" CLASSIC);
    struct rig *rig = new_rig(NULL, CONVERT);
    assert_string_equal(rig_scrape(rig, 1, &both), "g 1\n"
                                                   "h{x=\"1\"} histogram schema -53 count 5\n"
                                                   "h{x=\"2\"} histogram schema -53 count 4\n"
                                                   "up 1 scraped 3 post 3 added 3\n");
    assert_string_equal(rig_scrape(rig, 1, &both), "g 1\n"
                                                   "h{x=\"1\"} histogram schema -53 count 5\n"
                                                   "h{x=\"2\"} histogram schema -53 count 4\n"
                                                   "up 1 scraped 3 post 3 added 0\n");
    assert_string_equal(rig_scrape(rig, 1, &last), "a 1\n"
                                                   "h{x=\"1\"} histogram schema -53 count 5\n"
                                                   "h{x=\"2\"} histogram schema -53 count 4\n"
                                                   "g stale\n"
                                                   "up 1 scraped 3 post 3 added 1\n");
    rig_free(rig);
}

static void classic_histograms_stay_beside_the_native_ones_if_wanted(void **state)
{
    (void)state;
    static const struct rig_answer answer =
        RIG_BODY("# TYPE h histogram\nh_bucket{le=\"1\"} 2\nh_count 5\n");
    struct rig *rig = new_rig(NULL, CONVERT | SHM_TARGET_CLASSIC_HISTOGRAMS);
    assert_string_equal(rig_scrape(rig, 1, &answer), "h_bucket{le=\"1.0\"} 2\nh_count 5\n"
                                                     "h histogram schema -53 count 5\n"
                                                     "up 1 scraped 3 post 3 added 3\n");
    rig_free(rig);
}

/* Nothing is said of it: the others go on. */
static void what_makes_no_histogram_is_left_out(void **state)
{
    (void)state;
    static const struct rig_answer answers[] = {
        RIG_BODY("# TYPE h histogram\nh_bucket{le=\"1\"} 2\nh_bucket{le=\"2\"} 1\nb 1\n"),
        RIG_BODY("# TYPE h histogram\nh_bucket{le=\"+Inf\"} 2\nh_count 3\nb 1\n"),
    };
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        struct rig *rig = new_rig(NULL, CONVERT);
        assert_string_equal(rig_scrape(rig, 1, &answers[i]),
                            "b 1\nup 1 scraped 1 post 1 added 1\n");
        rig_free(rig);
    }
}

static void without_a_type_line_nothing_is_converted(void **state)
{
    (void)state;
    static const struct rig_answer answer = RIG_BODY("h_bucket{le=\"1\"} 2\nh_count 5\n");
    struct rig *rig = new_rig(NULL, CONVERT);
    assert_string_equal(rig_scrape(rig, 1, &answer), "h_bucket{le=\"1\"} 2\nh_count 5\n"
                                                     "up 1 scraped 2 post 2 added 2\n");
    rig_free(rig);
}

static void exemplars_of_buckets_with_a_time_are_those_of_the_histogram(void **state)
{
    (void)state;
    struct rig *rig = new_rig(NULL, CONVERT);
    assert_string_equal(scrape_openmetrics(rig, "# TYPE h histogram\n"
                                                "h_bucket{le=\"1.0\"} 2 # {t=\"b\"} 0.5 12\n"
                                                "h_bucket{le=\"2.0\"} 3 # {t=\"a\"} 1.5 11\n"
                                                "h_bucket{le=\"+Inf\"} 3 # {t=\"c\"} 9\n"
                                                "h_count 3\nh_sum 1\n# EOF\n"),
                        "h histogram schema -53 count 3\n"
                        "h 1.5 @11000 exemplar t=a\nh 0.5 @12000 exemplar t=b\n"
                        "up 1 scraped 1 post 1 added 1\n");
    rig_free(rig);
}

/* ---- exemplars ---- */

#define OPENMETRICS(exemplar) "# TYPE a counter\na_total 5" exemplar "\n# EOF\n"

static void an_exemplar_is_sent_once(void **state)
{
    (void)state;
    struct rig *rig = new_rig(NULL, 0);
    static const struct {
        const char *exemplar;
        const char *committed; /* besides the sample */
    } steps[] = {
        {" # {t=\"x\"} 3", "a_total 3 exemplar t=x\n"},
        {" # {t=\"x\"} 3", ""},
        {" # {t=\"x\"} 4", "a_total 4 exemplar t=x\n"},
        {" # {t=\"y\"} 4", "a_total 4 exemplar t=y\n"},
        {"", ""},
        {" # {t=\"y\"} 4", ""},
        {" # {t=\"y\"} 4 17", "a_total 4 @17000 exemplar t=y\n"},
        {" # {t=\"y\"} 4 17", ""},
        {" # {t=\"y\"} 4 18", "a_total 4 @18000 exemplar t=y\n"},
        {" # {b=\"1\",a=\"2\"} 4", "a_total 4 exemplar a=2 b=1\n"},
    };
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        char body[128];
        char wanted[256];
        snprintf(body, sizeof(body), OPENMETRICS("%s"), steps[i].exemplar);
        snprintf(wanted, sizeof(wanted), "a_total 5\n%sup 1 scraped 1 post 1 added %d\n",
                 steps[i].committed, i == 0);
        assert_string_equal(scrape_openmetrics(rig, body), wanted);
    }
    assert_int_equal(rig_counter(rig, COUNTER_EXEMPLARS_COMMITTED), 6);
    assert_int_equal(rig_counter(rig, COUNTER_EXEMPLARS_REPEATED), 3);
    rig_free(rig);
}

static void exemplars_that_are_not_right_are_left_out_alone(void **state)
{
    (void)state;
    struct rig *rig = new_rig(NULL, 0);
    char body[512];
    char value[160];
    memset(value, 'v', sizeof(value));
    value[127] = '\0'; /* with its name 128 characters */
    snprintf(body, sizeof(body), OPENMETRICS(" # {t=\"%s\"} 3"), value);
    const char *text = scrape_openmetrics(rig, body);
    assert_non_null(strstr(text, " exemplar t=vvv"));
    value[127] = 'v';
    value[128] = '\0';
    snprintf(body, sizeof(body), OPENMETRICS(" # {t=\"%s\"} 3"), value);
    assert_string_equal(scrape_openmetrics(rig, body),
                        "a_total 5\nup 1 scraped 1 post 1 added 0\n");
    assert_int_equal(rig_counter(rig, COUNTER_EXEMPLARS_TOO_LONG), 1);
    rig_free(rig);
}

static void exemplars_are_not_looked_at_if_no_remote_wants_them(void **state)
{
    (void)state;
    struct rig *rig = new_rig(NULL, 0);
    rig->scraper.takes_exemplars = false;
    assert_string_equal(scrape_openmetrics(rig, OPENMETRICS(" # {t=\"x\"} 3")),
                        "a_total 5\nup 1 scraped 1 post 1 added 1\n");
    rig_free(rig);
}

/* ---- start timestamps ---- */

static void created_lines_are_samples_or_start_timestamps(void **state)
{
    (void)state;
    static const char body[] = "# TYPE a counter\na_total 5\na_created 1800000000.5\n# EOF\n";
    struct rig *rig = new_rig(NULL, 0);
    assert_string_equal(scrape_openmetrics(rig, body),
                        "a_total 5\na_created 1800000000.5\nup 1 scraped 2 post 2 added 2\n");
    rig_free(rig);
    rig = new_rig("started", 0);
    for (int i = 0; i < 3; i++)
        assert_string_equal(scrape_openmetrics(rig, body),
                            i == 0
                                ? "a_total 5 from 1800000000500\nup 1 scraped 1 post 1 added 1\n"
                                : "a_total 5 from 1800000000500\nup 1 scraped 1 post 1 added 0\n");
    rig_free(rig);
}

/* ---- metadata ---- */

/* "name type help unit;" of each family that is known of target 1. */
static const char *known_families(struct rig *rig)
{
    static char text[1024];
    const struct series_store *store = &rig->scraper.store;
    uint32_t ref = series_target_state(store, rig_target(rig, 1)->ref).metadata;
    uint32_t count = ref == 0 ? 0 : series_count(store, ref);
    text[0] = '\0';
    for (uint32_t i = 0; i < count; i++) {
        struct family family = series_family(store, ref, i);
        size_t len = strlen(text);
        snprintf(text + len, sizeof(text) - len, "%.*s %u %.*s %.*s;", SLICE_ARG(family.name),
                 family.type, SLICE_ARG(family.help), SLICE_ARG(family.unit));
    }
    return text;
}

#define A "# HELP a_total How \\\\ many.\n# TYPE a_total counter\na_total 1\n"
#define B "# TYPE b gauge\nb 1\nb{c=\"d\"} 2\n"
#define C "# HELP c See.\nc 3\n"

static const struct rig_answer A_B = RIG_BODY(A B);
static const struct rig_answer A_B_C = RIG_BODY(A B C);
static const struct rig_answer B_C = RIG_BODY(B C);

static void what_comments_say_is_known_of_the_target(void **state)
{
    (void)state;
    struct rig *rig = new_rig(NULL, 0);
    for (int i = 0; i < 3; i++) { /* read, then predicted */
        (void)rig_scrape(rig, 1, &A_B);
        assert_string_equal(known_families(rig), "a_total 1 How \\ many. ;b 2  ;");
    }
    (void)rig_scrape(rig, 1, &A_B_C); /* the others are not read again */
    assert_string_equal(known_families(rig), "a_total 1 How \\ many. ;b 2  ;c 0 See. ;");
    rig_restart(rig);
    assert_string_equal(known_families(rig), "a_total 1 How \\ many. ;b 2  ;c 0 See. ;");
    rig_free(rig);
}

static void families_are_known_by_name_in_whatever_order_they_come(void **state)
{
    (void)state;
    static const struct rig_answer orders[] = {
        RIG_BODY(A B C),
        RIG_BODY(B C A),
        RIG_BODY(C A B),
        RIG_BODY(C B A),
        RIG_BODY(B A C),
        RIG_BODY("# TYPE b counter\n" A C B), /* what is said later counts */
        RIG_BODY("# HELP c So.\n" B "# TYPE b gauge\n" A C),
    };
    for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
        struct rig *rig = new_rig(NULL, 0);
        (void)rig_scrape(rig, 1, &orders[i]);
        assert_string_equal(known_families(rig), "a_total 1 How \\ many. ;b 2  ;c 0 See. ;");
        rig_free(rig);
    }
}

static void a_failed_scrape_changes_nothing_about_families(void **state)
{
    (void)state;
    static const struct rig_answer bad = RIG_BODY(B "{\n");
    struct rig *rig = new_rig(NULL, 0);
    (void)rig_scrape(rig, 1, &A_B);
    (void)rig_scrape(rig, 1, &bad);
    assert_string_equal(known_families(rig), "a_total 1 How \\ many. ;b 2  ;");
    rig_free(rig);
}

static void a_family_is_known_for_ten_scrapes_more(void **state)
{
    (void)state;
    struct rig *rig = new_rig(NULL, 0);
    (void)rig_scrape(rig, 1, &A_B_C);
    for (int i = 0; i < 10; i++) {
        (void)rig_scrape(rig, 1, &B_C);
        assert_string_equal(known_families(rig), "a_total 1 How \\ many. ;b 2  ;c 0 See. ;");
    }
    (void)rig_scrape(rig, 1, &B_C);
    assert_string_equal(known_families(rig), "b 2  ;c 0 See. ;");
    rig_free(rig);
}

static void replicas_share_what_is_known(void **state)
{
    (void)state;
    struct rig *rig = rig_new_with_jobs("");
    const struct rig_target targets[] = {{.id = 1}, {.id = 2}};
    rig->scraper.takes_metadata = true;
    rig_table(rig, targets, 2);
    (void)rig_scrape(rig, 1, &A_B);
    (void)rig_scrape(rig, 2, &A_B);
    assert_int_equal(series_target_state(&rig->scraper.store, rig_target(rig, 1)->ref).metadata,
                     series_target_state(&rig->scraper.store, rig_target(rig, 2)->ref).metadata);
    rig_free(rig);
}

static void metadata_of_protobuf_is_the_same(void **state)
{
    (void)state;
    struct rig *rig = new_rig(NULL, 0);
    for (int i = 0; i < 3; i++) {
        struct made made;
        struct strbuf body = STRBUF_GROWING;
        put_counter(&body, "a_total", 1 + i, 0);
        put_native(&body, 3, 4, 4);
        wrap_proto(&made, &body);
        (void)rig_scrape(rig, 1, &made.answer);
        assert_string_equal(known_families(rig), "a_total 1 Helps. ;h 3  ;");
        strbuf_fini(&made.text);
    }
    rig_free(rig);
}

static void metadata_is_not_kept_if_no_remote_is_sent_it(void **state)
{
    (void)state;
    struct rig *rig = new_rig(NULL, 0);
    rig->scraper.takes_metadata = false;
    (void)rig_scrape(rig, 1, &A_B);
    assert_string_equal(known_families(rig), "");
    rig_free(rig);
}

static void units_of_openmetrics_are_known(void **state)
{
    (void)state;
    struct rig *rig = new_rig(NULL, 0);
    (void)scrape_openmetrics(rig, "# TYPE a_seconds gauge\n# UNIT a_seconds seconds\n"
                                  "# HELP a_seconds \\\"So\\\".\na_seconds 1\n# EOF\n");
    assert_string_equal(known_families(rig), "a_seconds 2 \"So\". seconds;");
    rig_free(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(protobuf_is_read_and_predicted),
        cmocka_unit_test(a_truncated_protobuf_body_fails),
        cmocka_unit_test(native_histograms_come_if_wanted),
        cmocka_unit_test(a_histogram_that_vanishes_gets_an_ordinary_marker),
        cmocka_unit_test(a_series_may_change_from_a_histogram_to_a_number),
        cmocka_unit_test(an_invalid_histogram_fails_the_scrape),
        cmocka_unit_test(too_many_buckets_are_merged_or_fail_the_scrape),
        cmocka_unit_test(buckets_that_are_too_narrow_are_merged),
        cmocka_unit_test(classic_histograms_become_native_ones),
        cmocka_unit_test(classic_histograms_stay_beside_the_native_ones_if_wanted),
        cmocka_unit_test(what_makes_no_histogram_is_left_out),
        cmocka_unit_test(without_a_type_line_nothing_is_converted),
        cmocka_unit_test(exemplars_of_buckets_with_a_time_are_those_of_the_histogram),
        cmocka_unit_test(an_exemplar_is_sent_once),
        cmocka_unit_test(exemplars_that_are_not_right_are_left_out_alone),
        cmocka_unit_test(exemplars_are_not_looked_at_if_no_remote_wants_them),
        cmocka_unit_test(created_lines_are_samples_or_start_timestamps),
        cmocka_unit_test(what_comments_say_is_known_of_the_target),
        cmocka_unit_test(families_are_known_by_name_in_whatever_order_they_come),
        cmocka_unit_test(a_failed_scrape_changes_nothing_about_families),
        cmocka_unit_test(a_family_is_known_for_ten_scrapes_more),
        cmocka_unit_test(replicas_share_what_is_known),
        cmocka_unit_test(metadata_of_protobuf_is_the_same),
        cmocka_unit_test(metadata_is_not_kept_if_no_remote_is_sent_it),
        cmocka_unit_test(units_of_openmetrics_are_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
