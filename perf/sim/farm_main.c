/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * farm: very many Prometheus targets in one process. Each is an address 127.A.B.C on one port (or
 * a port of 127.0.0.1), its values follow from sim/value.h. Usage and output: perf/README.md.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "sim/families.h"
#include "sim/farm_body.h"
#include "sim/farm_targets.h"
#include "sim/serve.h"

#define TAG_BY_ADDRESS UINT32_MAX       /* the target follows from the address connected to */
#define TAG_NO_TARGET  (UINT32_MAX - 1) /* an address that belongs to no target */
#define TARGETS_MAX    (200U * 65536)

enum encoding { ENCODING_LENGTH, ENCODING_CHUNKED, ENCODING_CLOSE, ENCODING_MIXED };

struct options {
    uint32_t targets;
    enum plan_kind kind;
    struct value_params params;
    struct farm_style style;
    bool gzip;
    int64_t delay_ms;
    enum encoding encoding;
    bool by_port;
    uint16_t port;
    const char *file_sd;
    const char *ledger;
    const char *latency_log;
};

struct farm {
    struct options options;
    struct farm_body body;
    struct farm_targets targets;
    struct serve *serve;
    FILE *latency_log;
    struct strbuf head; /* of every answer, without what says how long it is */
};

/* `user` of a connection whose answer is to be compressed. */
static char gzip_wanted[1];

static const char usage[] =
    "usage: farm [--targets N] [--kind tiny|node|big|rpc] [--port P | --ports] [--file-sd FILE]\n"
    "            [--seed S] [--change PERCENT] [--churn N] [--own-churn] [--vanish] [--copies N]\n"
    "            [--different] [--timestamps] [--format text|openmetrics|protobuf|native] [--gzip] "
    "[--delay MS]\n"
    "            [--encoding content-length|chunked|close|mixed] [--ledger FILE]\n"
    "            [--latency-log FILE]\n";

/* Series a target; a native histogram is one. */
static uint32_t series_of(const struct farm *farm)
{
    const struct plan *plan = &farm->body.plan;
    struct value_params params = farm->options.params;
    params.vanish = false;
    uint32_t series = plan_present(plan, &params, 0, 1) + params.churn;
    for (uint32_t i = 0; farm->options.style.native && i < plan->family_count; i++) {
        const struct plan_family *family = &plan->families[i];
        if (family->type == FAMILY_HISTOGRAM)
            series -= family->count - family->count / family->step;
    }
    return series;
}

/* Target i is 127.(1 + i / 65536).x.y, the first one 127.1.0.1. */
static uint32_t target_of_address(struct in_addr address)
{
    uint32_t host = ntohl(address.s_addr);
    return (host & 0xffffff) - 0x010001;
}

static bool on_accept(void *ctx, struct serve_conn *conn)
{
    struct farm *farm = ctx;
    if (conn->tag != TAG_BY_ADDRESS)
        return true;
    struct sockaddr_in address;
    socklen_t len = sizeof(address);
    if (getsockname(conn->fd, (struct sockaddr *)&address, &len) < 0)
        return false;
    uint32_t target = target_of_address(address.sin_addr);
    conn->tag = target < farm->targets.count ? target : TAG_NO_TARGET;
    return true;
}

static enum encoding encoding_of(const struct farm *farm, uint32_t target)
{
    if (farm->options.encoding != ENCODING_MIXED)
        return farm->options.encoding;
    return (enum encoding)(target % ENCODING_MIXED);
}

static void answer_metrics(struct farm *farm, struct serve_conn *conn)
{
    char storage[512];
    struct strbuf head = STRBUF_FIXED(storage);
    strbuf_add(&head, farm->head.text, farm->head.len);
    int64_t now_ms = farm->options.style.timestamps ? clock_ms_of_ns(clock_wall_ns()) : 0;
    struct slice body = farm_body_render(&farm->body, conn->tag, conn->sequence, now_ms);
    enum encoding encoding = encoding_of(farm, conn->tag);
    if (conn->user == gzip_wanted) {
        body = farm_body_pack(&farm->body, body);
        strbuf_adds(&head, "Content-Encoding: gzip\r\n");
        encoding = ENCODING_LENGTH;
    }
    if (encoding == ENCODING_LENGTH) {
        char digits[VALUE_TEXT_MAX];
        strbuf_adds(&head, "Content-Length: ");
        strbuf_add(&head, digits, value_print_integer(body.len, digits));
        strbuf_adds(&head, "\r\n\r\n");
    } else if (encoding == ENCODING_CHUNKED) {
        strbuf_adds(&head, "Transfer-Encoding: chunked\r\n\r\n");
        body = farm_body_chunk(&farm->body, body);
    } else {
        strbuf_adds(&head, "Connection: close\r\n\r\n");
    }
    serve_send(conn, slice_make(head.text, head.len), body, encoding == ENCODING_CLOSE);
}

/* Whether the answer is compressed: if both sides are for it. */
static bool is_gzip_wanted(const struct farm *farm, const struct serve_request *request)
{
    struct slice accepted;
    return farm->options.gzip && serve_header(request, "Accept-Encoding", &accepted) &&
           memmem(accepted.ptr, accepted.len, "gzip", 4) != NULL;
}

static void answer_account(struct farm *farm, struct serve_conn *conn)
{
    struct strbuf text = STRBUF_GROWING;
    strbuf_addf(&text, "{\"kind\":\"%s\",\"seed\":%llu,\"series\":%u,\"targets\":[",
                plan_kind_name(farm->body.plan.kind), (unsigned long long)farm->options.params.seed,
                series_of(farm));
    for (uint32_t i = 0; i < farm->targets.count; i++) {
        const struct farm_target *target = &farm->targets.targets[i];
        strbuf_addf(&text, "%s{\"instance\":\"%s\",\"requests\":%u,\"complete\":%u}",
                    i == 0 ? "\n" : ",\n", target->address, target->requests, target->complete);
    }
    strbuf_adds(&text, "\n]}\n");
    serve_answer(conn, 200, "", "application/json", slice_make(text.text, text.len));
    strbuf_fini(&text);
}

static void answer_totals(const struct farm *farm, struct serve_conn *conn)
{
    const struct farm_targets *targets = &farm->targets;
    char storage[512];
    struct strbuf text = STRBUF_FIXED(storage);
    strbuf_addf(&text,
                "{\"series\":%u,\"targets\":%u,\"requests\":%llu,\"complete\":%llu,\"seen\":%u,"
                "\"first_arrival_ns\":%lld,\"all_seen_ns\":%lld}\n",
                series_of(farm), targets->count, (unsigned long long)targets->requests,
                (unsigned long long)targets->complete, targets->seen, (long long)targets->first_ns,
                (long long)targets->all_seen_ns);
    serve_answer(conn, 200, "", "application/json", slice_make(text.text, text.len));
}

static void on_request(void *ctx, struct serve_conn *conn, const struct serve_request *request)
{
    struct farm *farm = ctx;
    conn->sequence = 0;
    if (slice_is(request->path, "/farm")) {
        answer_account(farm, conn);
        return;
    }
    if (slice_is(request->path, "/totals")) {
        answer_totals(farm, conn);
        return;
    }
    if (!slice_is(request->path, "/metrics") || conn->tag >= farm->targets.count) {
        serve_answer(conn, 404, "", "text/plain", slice_of("no such target or path\n"));
        return;
    }
    conn->sequence =
        farm_targets_count_request(&farm->targets, conn->tag, request->arrival_ns, conn->number);
    if (farm->latency_log != NULL)
        fprintf(farm->latency_log, "request %s %u %lld\n", farm->targets.targets[conn->tag].address,
                conn->sequence, (long long)request->arrival_ns);
    conn->user = is_gzip_wanted(farm, request) ? gzip_wanted : NULL;
    if (farm->options.delay_ms > 0)
        serve_delay(conn, farm->options.delay_ms);
    else
        answer_metrics(farm, conn);
}

static void on_delay(void *ctx, struct serve_conn *conn)
{
    answer_metrics(ctx, conn);
}

static void on_sent(void *ctx, struct serve_conn *conn)
{
    struct farm *farm = ctx;
    if (conn->sequence == 0)
        return;
    bool is_timed =
        farm->targets.all_seen_ns == 0 || farm->options.ledger != NULL || farm->latency_log != NULL;
    int64_t now_ns = is_timed ? clock_wall_ns() : 0;
    farm_targets_count_complete(&farm->targets, conn->tag, conn->sequence, now_ns, conn->peer_left);
    if (farm->latency_log != NULL)
        fprintf(farm->latency_log, "sent %s %u %lld\n", farm->targets.targets[conn->tag].address,
                conn->sequence, (long long)now_ns);
}

static int listen_by_address(struct farm *farm, struct errctx *errctx)
{
    struct serve_listen listen = {.address = "0.0.0.0",
                                  .port = farm->options.port,
                                  .device = "lo",
                                  .tag = TAG_BY_ADDRESS,
                                  .stamped = farm->options.ledger != NULL,
                                  .followed = farm->options.ledger != NULL};
    uint16_t port = 0;
    int err = serve_listen(farm->serve, &listen, &port, errctx);
    if (err < 0)
        return err;
    for (uint32_t i = 0; i < farm->targets.count; i++) {
        uint32_t host = i + 0x010001;
        snprintf(farm->targets.targets[i].address, sizeof(farm->targets.targets[i].address),
                 "127.%u.%u.%u:%u", host >> 16 & 0xff, host >> 8 & 0xff, host & 0xff,
                 (unsigned)port);
    }
    farm->options.port = port;
    return 0;
}

static int listen_by_port(struct farm *farm, struct errctx *errctx)
{
    for (uint32_t i = 0; i < farm->targets.count; i++) {
        struct serve_listen listen = {.address = "127.0.0.1",
                                      .tag = i,
                                      .stamped = farm->options.ledger != NULL,
                                      .followed = farm->options.ledger != NULL};
        uint16_t port = 0;
        int err = serve_listen(farm->serve, &listen, &port, errctx);
        if (err < 0)
            return err;
        snprintf(farm->targets.targets[i].address, sizeof(farm->targets.targets[i].address),
                 "127.0.0.1:%u", (unsigned)port);
        if (i == 0)
            farm->options.port = port;
    }
    return 0;
}

static void print_ready(const struct farm *farm)
{
    printf("{\"ready\":true,\"port\":%u,\"pid\":%d,\"targets\":%u,\"series\":%u,"
           "\"first\":\"%s\",\"last\":\"%s\"}\n",
           (unsigned)farm->options.port, (int)getpid(), farm->targets.count, series_of(farm),
           farm->targets.targets[0].address,
           farm->targets.targets[farm->targets.count - 1].address);
    fflush(stdout);
}

static int set_up(struct farm *farm, struct errctx *errctx)
{
    const struct serve_handler handler = {farm,     on_accept, NULL, on_request,
                                          on_delay, on_sent,   NULL};
    const struct options *options = &farm->options;
    farm_body_init(&farm->body, options->kind, &options->params, &options->style);
    strbuf_addf(&farm->head, "HTTP/1.1 200 OK\r\nContent-Type: %s\r\n",
                farm_body_type(&farm->body));
    farm_targets_init(&farm->targets, options->targets, options->ledger != NULL);
    if (options->latency_log != NULL) {
        farm->latency_log = fopen(options->latency_log, "w");
        if (farm->latency_log == NULL)
            return err_set(errctx, -errno, "cannot write %s: %s", options->latency_log,
                           err_text(-errno));
    }
    int err = serve_new(&handler, &farm->serve, errctx);
    if (err == 0 && options->by_port)
        err = listen_by_port(farm, errctx);
    else if (err == 0)
        err = listen_by_address(farm, errctx);
    if (err == 0 && options->file_sd != NULL)
        err = farm_targets_write_file_sd(&farm->targets, options->file_sd, errctx);
    return err;
}

static uint64_t parse_number(const char *name, const char *text, uint64_t max)
{
    char *end = NULL;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || text[0] == '-' || number > max) {
        fprintf(stderr, "farm: --%s: \"%s\" is not a number from 0 to %llu\n", name, text,
                (unsigned long long)max);
        exit(2);
    }
    return number;
}

static enum encoding parse_encoding(const char *word)
{
    static const char *const names[] = {"content-length", "chunked", "close", "mixed"};
    for (int i = 0; i <= ENCODING_MIXED; i++) {
        if (strcmp(word, names[i]) == 0)
            return (enum encoding)i;
    }
    fprintf(stderr, "farm: --encoding: \"%s\" is not content-length, chunked, close or mixed\n",
            word);
    exit(2);
}

static void take_format(struct farm_style *style, const char *word)
{
    static const char *const names[] = {"text", "openmetrics", "protobuf", "native"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(word, names[i]) != 0)
            continue;
        style->native = i > FARM_PROTOBUF;
        style->format = style->native ? FARM_PROTOBUF : (enum farm_format)i;
        return;
    }
    fprintf(stderr, "farm: --format: \"%s\" is not text, openmetrics, protobuf or native\n", word);
    exit(2);
}

/* What only text can show, and what the sink cannot tell. */
static bool is_possible(const struct options *options)
{
    const struct value_params *params = &options->params;
    bool is_text = options->style.format != FARM_PROTOBUF;
    return options->targets > 0 && params->copies > 0 && (params->copies == 1 || !params->vanish) &&
           (is_text || (params->copies == 1 && params->churn == 0 && !params->vanish &&
                        !options->style.different && !options->style.timestamps)) &&
           (options->style.format == FARM_TEXT || !options->style.timestamps);
}

static void take_option(struct options *options, int letter, const char *name, const char *value)
{
    switch (letter) {
    case 't':
        options->targets = (uint32_t)parse_number(name, value, TARGETS_MAX);
        break;
    case 'k':
        if (!plan_kind_parse(value, &options->kind)) {
            fprintf(stderr, "farm: --kind: \"%s\" is not tiny, node, big or rpc\n", value);
            exit(2);
        }
        break;
    case 'p':
        options->port = (uint16_t)parse_number(name, value, UINT16_MAX);
        break;
    case 'P':
        options->by_port = true;
        break;
    case 'f':
        options->file_sd = value;
        break;
    case 's':
        options->params.seed = parse_number(name, value, UINT64_C(1) << 53);
        break;
    case 'c':
        options->params.change = (unsigned)parse_number(name, value, 100);
        break;
    case 'n':
        options->params.churn = (unsigned)parse_number(name, value, 1000000);
        break;
    case 'o':
        options->style.own_churn = true;
        break;
    case 'v':
        options->params.vanish = true;
        break;
    case 'C':
        options->params.copies = (unsigned)parse_number(name, value, VALUE_COPIES_MAX);
        break;
    case 'D':
        options->style.different = true;
        break;
    case 'T':
        options->style.timestamps = true;
        break;
    case 'F':
        take_format(&options->style, value);
        break;
    case 'z':
        options->gzip = true;
        break;
    case 'd':
        options->delay_ms = (int64_t)parse_number(name, value, 3600000);
        break;
    case 'e':
        options->encoding = parse_encoding(value);
        break;
    case 'l':
        options->ledger = value;
        break;
    case 'L':
        options->latency_log = value;
        break;
    default:
        fputs(usage, stderr);
        exit(2);
    }
}

static void parse_options(int argc, char **argv, struct options *ret_options)
{
    static const struct option known[] = {{"targets", required_argument, 0, 't'},
                                          {"kind", required_argument, 0, 'k'},
                                          {"port", required_argument, 0, 'p'},
                                          {"ports", no_argument, 0, 'P'},
                                          {"file-sd", required_argument, 0, 'f'},
                                          {"seed", required_argument, 0, 's'},
                                          {"change", required_argument, 0, 'c'},
                                          {"churn", required_argument, 0, 'n'},
                                          {"own-churn", no_argument, 0, 'o'},
                                          {"vanish", no_argument, 0, 'v'},
                                          {"copies", required_argument, 0, 'C'},
                                          {"different", no_argument, 0, 'D'},
                                          {"timestamps", no_argument, 0, 'T'},
                                          {"format", required_argument, 0, 'F'},
                                          {"gzip", no_argument, 0, 'z'},
                                          {"delay", required_argument, 0, 'd'},
                                          {"encoding", required_argument, 0, 'e'},
                                          {"ledger", required_argument, 0, 'l'},
                                          {"latency-log", required_argument, 0, 'L'},
                                          {0, 0, 0, 0}};
    *ret_options = (struct options){.targets = 1, .params = {.seed = 1, .change = 30, .copies = 1}};
    int index = 0;
    for (;;) {
        int letter = getopt_long(argc, argv, "", known, &index);
        if (letter < 0)
            break;
        take_option(ret_options, letter, known[index].name, optarg);
    }
    if (optind < argc || !is_possible(ret_options)) {
        fputs(usage, stderr);
        exit(2);
    }
}

static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

int main(int argc, char **argv)
{
    struct farm farm = {0};
    struct errctx errctx = {0};
    parse_options(argc, argv, &farm.options);
    raise_descriptor_limit();
    if (set_up(&farm, &errctx) < 0) {
        fprintf(stderr, "farm: %s\n", errctx.text);
        return 1;
    }
    print_ready(&farm);
    serve_run(farm.serve);

    int status = 0;
    if (farm.latency_log != NULL)
        fclose(farm.latency_log);
    if (farm.options.ledger != NULL &&
        farm_targets_write_ledger(&farm.targets, farm.options.ledger, &errctx) < 0) {
        fprintf(stderr, "farm: %s\n", errctx.text);
        status = 1;
    }
    serve_free(farm.serve);
    farm_targets_fini(&farm.targets);
    farm_body_fini(&farm.body);
    strbuf_fini(&farm.head);
    return status;
}
