/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "discovery/annotation.h"

#include <stdarg.h>
#include <stdio.h>

#include "config/duration.h"
#include "discovery/kube_record.h"

#define PREFIX "prometheus.io/"
#define PARAM  PREFIX "param_"

#define PORTS_MAX 64 /* of one object */

static struct slice get(struct slice record, const char *key)
{
    return kube_record_get_key(record, KUBE_ANNOTATION, slice_of(key));
}

/* For messages: as much of a text as a line of the log can bear. */
#define SHORT(text) (int)((text).len < 80 ? (text).len : 80), (text).ptr

void annotation_complain(struct annotation_listener *listener, enum annotation_reason reason,
                         const char *format, ...)
{
    struct annotation_problem problem = {.reason = reason};
    va_list args;
    if (listener == NULL)
        return;
    va_start(args, format);
    vsnprintf(problem.text.text, sizeof(problem.text.text), format, args);
    va_end(args);
    listener->problem(listener, &problem);
}

bool annotation_is_ours(struct slice key)
{
    return key.len > sizeof(PREFIX) - 1 && memcmp(key.ptr, PREFIX, sizeof(PREFIX) - 1) == 0;
}

bool annotation_wants_scrape(struct slice record)
{
    return slice_is(get(record, PREFIX "scrape"), "true");
}

bool annotation_mentions_scrape(struct slice record)
{
    struct slice scrape = get(record, PREFIX "scrape");
    return scrape.len > 0 && !slice_is(scrape, "false");
}

bool annotation_checks_scrape(struct slice record, struct annotation_listener *listener)
{
    if (annotation_wants_scrape(record))
        return true;
    if (annotation_mentions_scrape(record)) {
        struct slice scrape = get(record, PREFIX "scrape");
        annotation_complain(listener, ANNOTATION_BAD_SCRAPE,
                            "annotation " PREFIX "scrape: \"%.*s\" is not exactly \"true\"",
                            SHORT(scrape));
    }
    return false;
}

static bool parse_number(struct slice text, int64_t *ret_number)
{
    int64_t number = 0;
    if (text.len == 0 || text.len > 18)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return false;
        number = number * 10 + (text.ptr[i] - '0');
    }
    *ret_number = number;
    return true;
}

bool annotation_port_number(struct slice text, uint16_t *ret_port)
{
    int64_t number;
    if (text.len == 0)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return false;
    }
    bool valid = parse_number(text, &number) && number > 0 && number <= 65535;
    *ret_port = valid ? (uint16_t)number : 0;
    return true;
}

bool annotation_next_param(struct slice *rest, struct slice *ret_name, struct slice *ret_value)
{
    const size_t len = sizeof(PARAM) - 1;
    struct kube_entry entry;
    while (kube_record_find(rest, KUBE_ANNOTATION, &entry)) {
        if (entry.key.len <= len || memcmp(entry.key.ptr, PARAM, len) != 0)
            continue;
        *ret_name = slice_make(entry.key.ptr + len, entry.key.len - len);
        *ret_value = entry.value;
        return true;
    }
    return false;
}

/* ---- Path and ports ---- */

/* Splits "PATH?QUERY"; what follows a "#" is no business of a server. */
static void split_path(struct slice text, struct slice *ret_path, struct slice *ret_query)
{
    *ret_path = *ret_query = SLICE_LITERAL("");
    if (text.len == 0)
        return;
    const char *hash = memchr(text.ptr, '#', text.len);
    if (hash != NULL)
        text.len = (size_t)(hash - text.ptr);
    const char *mark = memchr(text.ptr, '?', text.len);
    *ret_path = text;
    if (mark != NULL) {
        ret_path->len = (size_t)(mark - text.ptr);
        *ret_query = slice_make(mark + 1, text.len - ret_path->len - 1);
    }
}

static void read_path(struct annotations *annotations, const struct config_annotation_sd *config,
                      struct arena *arena)
{
    split_path(get(annotations->record, PREFIX "path"), &annotations->path, &annotations->query);
    struct slice path = annotations->path;
    if (path.len == 0) {
        annotations->path = slice_of(config->metrics_path);
    } else if (path.ptr[0] != '/') {
        char *copy = arena_alloc(arena, path.len + 1);
        copy[0] = '/';
        memcpy(copy + 1, path.ptr, path.len);
        annotations->path = slice_make(copy, path.len + 1);
    }
}

static struct slice trimmed(struct slice text)
{
    while (text.len > 0 && (text.ptr[0] == ' ' || text.ptr[0] == '\t'))
        text = slice_make(text.ptr + 1, text.len - 1);
    while (text.len > 0 && (text.ptr[text.len - 1] == ' ' || text.ptr[text.len - 1] == '\t'))
        text.len--;
    return text;
}

/* "0080" is a number, but no port that a declared one or an address could have. */
static struct slice without_zeros(struct slice text)
{
    uint16_t number;
    bool is_number = annotation_port_number(text, &number);
    while (is_number && text.len > 1 && text.ptr[0] == '0')
        text = slice_make(text.ptr + 1, text.len - 1);
    return text;
}

/* An element of the list, or the whole of prometheus.io/port. */
static void add_port(struct annotations *annotations, struct slice text, const char *key,
                     struct annotation_listener *listener)
{
    struct annotation_port port = {.port = text};
    uint16_t number;
    const char *slash = text.len > 0 ? memchr(text.ptr, '/', text.len) : NULL;
    if (slash != NULL) {
        port.port.len = (size_t)(slash - text.ptr);
        split_path(slice_make(slash, text.len - port.port.len), &port.path, &port.query);
    }
    if (port.port.len == 0 || (annotation_port_number(port.port, &number) && number == 0)) {
        annotation_complain(listener, ANNOTATION_BAD_PORT,
                            "annotation %s: \"%.*s\" is not a port, which is 1 to 65535 or the "
                            "name of a declared one",
                            key, SHORT(text));
        return;
    }
    port.port = without_zeros(port.port);
    annotations->ports[annotations->port_count++] = port;
}

static void read_port_list(struct annotations *annotations, struct slice list,
                           struct annotation_listener *listener)
{
    const char *at = list.ptr, *end = list.ptr + list.len;
    for (size_t i = 0; at <= end && i < PORTS_MAX; i++) {
        const char *comma = memchr(at, ',', (size_t)(end - at));
        const char *stop = comma != NULL ? comma : end;
        add_port(annotations, trimmed(slice_make(at, (size_t)(stop - at))), PREFIX "ports",
                 listener);
        at = stop + 1;
    }
    if (at <= end)
        annotation_complain(listener, ANNOTATION_BAD_PORT,
                            "annotation " PREFIX "ports: more than %d ports; those after are left "
                            "out",
                            PORTS_MAX);
}

/* False: ports are annotated, and none of them is one. */
static bool read_ports(struct annotations *annotations, struct arena *arena,
                       struct annotation_listener *listener)
{
    struct slice list = get(annotations->record, PREFIX "ports");
    struct slice port = get(annotations->record, PREFIX "port");
    if (list.len == 0 && port.len == 0)
        return true;
    annotations->ports = arena_alloc(arena, PORTS_MAX * sizeof(*annotations->ports));
    if (list.len > 0)
        read_port_list(annotations, list, listener);
    else if (memchr(port.ptr, '/', port.len) == NULL)
        add_port(annotations, trimmed(port), PREFIX "port", listener);
    else
        annotation_complain(listener, ANNOTATION_BAD_PORT,
                            "annotation " PREFIX "port: \"%.*s\" is not a port; with a path it "
                            "belongs into " PREFIX "ports",
                            SHORT(port));
    return annotations->port_count > 0;
}

/* ---- Numbers ---- */

static int64_t bounded(int64_t value, int64_t min, int64_t max, const char *key, struct slice text,
                       struct annotation_listener *listener)
{
    int64_t bound = value < min ? min : max;
    if (value >= min && value <= max)
        return value;
    annotation_complain(listener, ANNOTATION_CLAMPED,
                        "annotation %s: \"%.*s\" is %s than the configuration allows", key,
                        SHORT(text), value < min ? "less" : "more");
    return bound;
}

static int64_t read_duration(struct slice record, const char *key, int64_t min, int64_t max,
                             struct annotation_listener *listener)
{
    struct slice text = get(record, key);
    int64_t ms;
    if (text.len == 0)
        return 0;
    if (config_duration_parse(text, &ms) && ms > 0)
        return bounded(ms, min, max, key, text, listener);
    annotation_complain(listener, ANNOTATION_BAD_VALUE,
                        "annotation %s: \"%.*s\" is not a duration such as 1m30s; that of the job "
                        "holds",
                        key, SHORT(text));
    return 0;
}

static int64_t read_limit(struct slice record, int64_t max, struct annotation_listener *listener)
{
    static const char key[] = PREFIX "sample-limit";
    struct slice text = get(record, key);
    int64_t limit;
    if (text.len == 0)
        return 0;
    if (parse_number(text, &limit) && limit > 0)
        return bounded(limit, 1, max > 0 ? max : INT64_MAX, key, text, listener);
    annotation_complain(listener, ANNOTATION_BAD_VALUE,
                        "annotation %s: \"%.*s\" is not a number of samples; that of the job holds",
                        key, SHORT(text));
    return 0;
}

static void read_numbers(struct annotations *annotations, const struct config_annotation_sd *config,
                         struct annotation_listener *listener)
{
    struct slice record = annotations->record;
    annotations->interval_ms = read_duration(record, PREFIX "interval", config->min_interval,
                                             config->max_interval, listener);
    annotations->timeout_ms =
        read_duration(record, PREFIX "timeout", 1, config->max_timeout, listener);
    annotations->sample_limit = read_limit(record, config->max_sample_limit, listener);
    /* A scrape has to end before the next one; a short interval brings its time-out with it. */
    int64_t most = annotations->interval_ms;
    int64_t wanted = annotations->timeout_ms > 0 ? annotations->timeout_ms : config->max_timeout;
    if (most > 0 && wanted > most)
        annotations->timeout_ms = most;
}

static bool read_scheme(struct annotations *annotations, const struct config_annotation_sd *config,
                        struct annotation_listener *listener)
{
    struct slice scheme = get(annotations->record, PREFIX "scheme");
    annotations->scheme = scheme.len > 0 ? scheme : slice_of(config->scheme);
    if (scheme.len == 0 || slice_is(scheme, "http") || slice_is(scheme, "https"))
        return true;
    annotation_complain(listener, ANNOTATION_BAD_SCHEME,
                        "annotation " PREFIX "scheme: \"%.*s\" is neither http nor https",
                        SHORT(scheme));
    return false;
}

bool annotations_read(struct slice record, const struct config_annotation_sd *config,
                      struct arena *arena, struct annotation_listener *listener,
                      struct annotations *ret_annotations)
{
    *ret_annotations = (struct annotations){.record = record};
    ret_annotations->container = get(record, PREFIX "container");
    if (!read_scheme(ret_annotations, config, listener) ||
        !read_ports(ret_annotations, arena, listener))
        return false;
    read_path(ret_annotations, config, arena);
    read_numbers(ret_annotations, config, listener);
    return true;
}
