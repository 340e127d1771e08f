/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sink: a remote write receiver that trusts nothing. It checks form, order and repeats of what
 * it gets, and, for series of the farm, every value. Usage and output: perf/README.md.
 */
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/hash.h"
#include "sim/serve.h"
#include "sim/sink.h"
#include "sim/sink_report.h"
#include "sim/sink_take.h"

static const char usage[] =
    "usage: sink [--port P] [--like prometheus|victoria] [--keep] [--no-zstd STATUS]\n"
    "            [--no-v2 STATUS] [--interval MS] [--any-agent] [--report FILE]\n";

/* A connection's last request, until the next one or its end. */
struct last_request {
    uint64_t hash; /* of the request's body */
    int status;    /* 0: none will be given */
    const char *text;
    int64_t retry_after_s;
    struct sink_samples samples;
    bool stored;
    bool is_known;       /* what was refused, its sender takes for a repeat */
    char written[192];   /* of 2.0: header lines */
    int64_t answered_ns; /* 0: it is not */
};

/* A sender that ends so soon after an answer may not have come to look at it, on a machine that
 * does other things, too. */
#define UNREAD_NS (5 * NS_PER_S)

static const char *const error_names[SINK_ERROR_KINDS] = {"header", "body", "labels", "value",
                                                          "series"};

const char *sink_error_name(enum sink_error kind)
{
    return error_names[kind];
}

void sink_add_error(struct sink *sink, enum sink_error kind, const char *format, ...)
{
    sink->counts.errors[kind]++;
    if (sink->error_count == SINK_ERRORS_SHOWN)
        return;
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    struct strbuf json = STRBUF_GROWING;
    strbuf_addf(&json, "{\"kind\":\"%s\",\"detail\":", error_names[kind]);
    strbuf_add_json(&json, text, strlen(text));
    strbuf_addc(&json, '}');
    sink->errors[sink->error_count++] = json.text;
}

/* Whether an answer tells the sender that the samples are there. */
static bool tells(const struct last_request *last)
{
    return (last->status >= 200 && last->status < 300) || last->is_known;
}

/* Ends the account of a request. */
static void settle(struct sink *sink, const struct last_request *last, int status, bool is_read)
{
    sink_repeats_settle(&sink->repeats, last->hash, status, is_read);
    if (is_read && tells(last))
        sink_unheard_drop(&sink->unheard, &last->samples);
    else
        sink_unheard_add(&sink->unheard, &last->samples, false);
    if (!is_read)
        sink->counts.ambiguous += last->samples.left_out;
}

static void forget_last(struct serve_conn *conn)
{
    struct last_request *last = conn->user;
    if (last != NULL)
        sink_take_back(&last->samples);
    free(last);
    conn->user = NULL;
}

static void answer_now(struct sink *sink, struct serve_conn *conn)
{
    struct last_request *last = conn->user;
    char headers[256];
    int len = snprintf(headers, sizeof(headers), "%s", last->written);
    if (last->retry_after_s > 0)
        snprintf(headers + len, sizeof(headers) - (size_t)len, "Retry-After: %lld\r\n",
                 (long long)last->retry_after_s);
    last->answered_ns = clock_mono_ns();
    sink->counts.answered[last->status]++;
    serve_answer(conn, last->status, headers, "text/plain", slice_of(last->text));
    settle(sink, last, last->status, !conn->peer_left);
    if (conn->peer_left)
        forget_last(conn);
}

static void reset_now(struct sink *sink, struct serve_conn *conn)
{
    const struct last_request *last = conn->user;
    sink->counts.resets++;
    sink->counts.lost_answers += last->stored;
    settle(sink, last, 0, false);
    forget_last(conn);
    serve_reset(conn);
}

static void on_delay(void *ctx, struct serve_conn *conn)
{
    const struct last_request *last = conn->user;
    if (last->status == 0)
        reset_now(ctx, conn);
    else
        answer_now(ctx, conn);
}

/* A client that left before its answer: for it, the request may have failed. */
static void on_close(void *ctx, struct serve_conn *conn)
{
    struct sink *sink = ctx;
    const struct last_request *last = conn->user;
    if (last == NULL)
        return;
    if (last->answered_ns == 0) {
        sink->counts.gone++;
        sink->counts.lost_answers += last->stored;
        settle(sink, last, 0, false);
    } else if (conn->peer_left ||
               (conn->peer_closed && clock_mono_ns() < last->answered_ns + UNREAD_NS)) {
        sink_repeats_settle(&sink->repeats, last->hash, last->status, false);
        sink_unheard_add(&sink->unheard, &last->samples, tells(last));
        sink->counts.ambiguous += last->samples.left_out;
    }
    forget_last(conn);
}

static void say_written(struct last_request *last, const struct sink_outcome *outcome)
{
    snprintf(last->written, sizeof(last->written),
             "X-Prometheus-Remote-Write-Samples-Written: %u\r\n"
             "X-Prometheus-Remote-Write-Histograms-Written: %u\r\n"
             "X-Prometheus-Remote-Write-Exemplars-Written: %u\r\n",
             outcome->written, outcome->written_histograms, outcome->written_exemplars);
}

/*
 * A refused request of a single scrape, which its sender takes for a repeat; so it does with what
 * is refused of one of which the rest is written.
 */
static bool is_known(const struct sink_outcome *outcome)
{
    return outcome->status == 400 && (outcome->samples.is_one_scrape || outcome->written > 0);
}

/* What it is answered: what the outcome is, or as told by /faults. */
static void choose_answer(struct last_request *last, const struct sink_outcome *outcome,
                          const struct sink_fault *fault)
{
    bool is_partial = fault->left_out > 0;
    /* Nobody says 2xx to what is out of order, or to what was not even looked at. */
    bool is_in_order = outcome->status == 204 || outcome->samples.flaw == SINK_LEFT_OUT;
    bool is_overruled = is_partial && !(outcome->is_stored && is_in_order);
    bool is_as_told = fault->status != 0 && !is_overruled;
    last->status = is_as_told ? fault->status : outcome->status;
    last->text = is_as_told ? "as told by /faults\n" : outcome->text;
    last->is_known = !is_as_told && is_known(outcome);
    last->retry_after_s = fault->retry_after_s;
    if (outcome->is_v2 && (!is_as_told || is_partial))
        say_written(last, outcome);
    if (fault->reset != SINK_RESET_NONE)
        last->status = 0;
}

static bool is_spoilt(const struct sink_fault *fault)
{
    bool has_bad_answer = fault->status != 0 && fault->left_out == 0;
    return has_bad_answer || fault->hang || fault->reset != SINK_RESET_NONE;
}

static struct last_request *take_request(struct sink *sink, const struct serve_request *request,
                                         const struct sink_fault *fault)
{
    struct slice retry;
    struct last_request *last = calloc(1, sizeof(*last));
    check(last != NULL);
    last->hash = hash64(request->body.ptr, request->body.len, 0) | 1;
    sink->counts.requests++;
    sink->counts.bytes += request->body.len;
    sink_repeats_note(&sink->repeats, last->hash,
                      serve_header(request, "Retry-Attempt", &retry) && !slice_is(retry, "0"));
    struct sink_outcome outcome;
    sink_take(sink, request, !is_spoilt(fault) || fault->store, fault->left_out, &outcome);
    last->samples = outcome.samples;
    last->stored = outcome.is_stored;
    if (outcome.status == 400 && !is_known(&outcome))
        sink->counts.refused_samples += outcome.samples.count;
    choose_answer(last, &outcome, fault);
    return last;
}

static void take_write(struct sink *sink, struct serve_conn *conn,
                       const struct serve_request *request)
{
    struct sink_fault fault;
    sink_faults_draw(&sink->faults, &fault);
    struct last_request *last = take_request(sink, request, &fault);
    forget_last(conn);
    conn->user = last;
    /* Unanswered so far: the repeat may come before the close of this connection is seen. */
    if (fault.hang || fault.delay_ms > 0)
        settle(sink, last, 0, false);
    if (fault.hang)
        sink->counts.hung++;
    else if (fault.delay_ms > 0)
        serve_delay(conn, fault.delay_ms);
    else
        on_delay(sink, conn);
}

/* reset=after-head cuts requests off before their body is read. */
static bool on_head(void *ctx, struct serve_conn *conn, const struct serve_request *request)
{
    struct sink *sink = ctx;
    struct sink_fault fault;
    if (sink->faults.fault.reset != SINK_RESET_AFTER_HEAD || !slice_is(request->method, "POST") ||
        slice_is(request->path, "/faults") || !sink_faults_draw(&sink->faults, &fault))
        return true;
    sink->counts.requests++;
    sink->counts.resets++;
    serve_reset(conn);
    return false;
}

static void set_faults(struct sink *sink, struct serve_conn *conn,
                       const struct serve_request *request)
{
    struct errctx errctx = {0};
    if (sink_faults_set(&sink->faults, request, &errctx) < 0) {
        serve_answer(conn, 400, "", "text/plain", slice_of(errctx.text));
        return;
    }
    struct strbuf json = STRBUF_GROWING;
    sink_faults_describe(&sink->faults, &json);
    serve_answer(conn, 200, "", "application/json", slice_make(json.text, json.len));
    strbuf_fini(&json);
}

static void answer_query(struct sink *sink, struct serve_conn *conn,
                         const struct serve_request *request)
{
    struct strbuf json = STRBUF_GROWING;
    struct slice name = SLICE_LITERAL("*");
    serve_query(request, "match", &name);
    if (slice_is(request->path, "/report"))
        sink_report_write(sink, &json);
    else if (slice_is(request->path, "/scrapes"))
        sink_report_write_scrapes(sink, &json);
    else if (slice_is(request->path, "/series") && sink->options.keep)
        sink_report_write_series(sink, name, &json);
    else if (slice_is(request->path, "/faults"))
        sink_faults_describe(&sink->faults, &json);
    if (json.len > 0)
        serve_answer(conn, 200, "", "application/json", slice_make(json.text, json.len));
    else
        serve_answer(conn, 404, "", "text/plain",
                     slice_of("/report, /scrapes, /faults; with --keep also /series?match=name\n"));
    strbuf_fini(&json);
}

static void on_request(void *ctx, struct serve_conn *conn, const struct serve_request *request)
{
    struct sink *sink = ctx;
    if (!slice_is(request->method, "POST"))
        answer_query(sink, conn, request);
    else if (slice_is(request->path, "/faults"))
        set_faults(sink, conn, request);
    else
        take_write(sink, conn, request);
}

static int64_t parse_number(const char *name, const char *text, int64_t max)
{
    char *end = NULL;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || number < 0 || number > max) {
        fprintf(stderr, "sink: --%s: \"%s\" is not a number from 0 to %lld\n", name, text,
                (long long)max);
        exit(2);
    }
    return number;
}

struct arguments {
    uint16_t port;
    const char *report;
};

static void take_option(struct sink_options *options, struct arguments *arguments, int letter,
                        const char *value)
{
    switch (letter) {
    case 'p':
        arguments->port = (uint16_t)parse_number("port", value, UINT16_MAX);
        break;
    case 'l':
        options->like_victoria = strcmp(value, "victoria") == 0;
        if (!options->like_victoria && strcmp(value, "prometheus") != 0) {
            fprintf(stderr, "sink: --like: \"%s\" is not prometheus or victoria\n", value);
            exit(2);
        }
        break;
    case 'k':
        options->keep = true;
        break;
    case 'i':
        options->interval_ms = parse_number("interval", value, 86400000);
        break;
    case 'a':
        options->any_agent = true;
        break;
    case '2':
        options->refuse_v2 = (int)parse_number("no-v2", value, SINK_STATUS_MAX - 1);
        break;
    case 'z':
        options->refuse_zstd = (int)parse_number("no-zstd", value, SINK_STATUS_MAX - 1);
        break;
    case 'r':
        arguments->report = value;
        break;
    default:
        fputs(usage, stderr);
        exit(2);
    }
}

static void parse_options(int argc, char **argv, struct sink_options *options,
                          struct arguments *ret_arguments)
{
    static const struct option known[] = {{"port", required_argument, 0, 'p'},
                                          {"like", required_argument, 0, 'l'},
                                          {"keep", no_argument, 0, 'k'},
                                          {"interval", required_argument, 0, 'i'},
                                          {"any-agent", no_argument, 0, 'a'},
                                          {"no-zstd", required_argument, 0, 'z'},
                                          {"no-v2", required_argument, 0, '2'},
                                          {"report", required_argument, 0, 'r'},
                                          {0, 0, 0, 0}};
    *ret_arguments = (struct arguments){0};
    for (;;) {
        int letter = getopt_long(argc, argv, "", known, NULL);
        if (letter < 0)
            break;
        take_option(options, ret_arguments, letter, optarg);
    }
    if (optind < argc) {
        fputs(usage, stderr);
        exit(2);
    }
}

static int write_report(const struct sink *sink, const char *path)
{
    struct strbuf json = STRBUF_GROWING;
    sink_report_write(sink, &json);
    FILE *file = fopen(path, "w");
    bool good = file != NULL && fwrite(json.text, 1, json.len, file) == json.len;
    if (file != NULL)
        good &= fclose(file) == 0;
    if (!good)
        fprintf(stderr, "sink: cannot write %s: %s\n", path, err_text(-errno));
    strbuf_fini(&json);
    return good ? 0 : 1;
}

int main(int argc, char **argv)
{
    static struct sink sink;
    const struct serve_handler handler = {&sink,    NULL, on_head, on_request,
                                          on_delay, NULL, on_close};
    struct arguments arguments;
    struct errctx errctx = {0};
    struct serve *serve = NULL;
    struct rlimit limit;
    parse_options(argc, argv, &sink.options, &arguments);
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    sink_targets_init(&sink.targets);
    struct serve_listen listen = {.address = "127.0.0.1", .port = arguments.port, .followed = true};
    if (serve_new(&handler, &serve, &errctx) < 0 ||
        serve_listen(serve, &listen, &arguments.port, &errctx) < 0) {
        fprintf(stderr, "sink: %s\n", errctx.text);
        return 1;
    }
    printf("{\"ready\":true,\"port\":%u,\"pid\":%d,\"url\":\"http://127.0.0.1:%u/api/v1/write\"}\n",
           (unsigned)arguments.port, (int)getpid(), (unsigned)arguments.port);
    fflush(stdout);
    serve_run(serve);

    int status = arguments.report != NULL ? write_report(&sink, arguments.report) : 0;
    serve_free(serve);
    sink_targets_fini(&sink.targets);
    sink_series_fini(&sink.series);
    sink_repeats_fini(&sink.repeats);
    sink_unheard_fini(&sink.unheard);
    sink_v2_fini(&sink.v2);
    for (uint32_t i = 0; i < sink.error_count; i++)
        free(sink.errors[i]);
    return status;
}
