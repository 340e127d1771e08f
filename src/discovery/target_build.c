/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "discovery/target_build.h"

#include <endian.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/utf8.h"
#include "config/duration.h"
#include "discovery/target_url.h"
#include "labels/md5.h"

#define LABEL(text) SLICE_LITERAL(text)

static const struct slice address_label = {"__address__", 11};
static const struct slice interval_label = {"__scrape_interval__", 19};
static const struct slice timeout_label = {"__scrape_timeout__", 18};
static const struct slice path_label = {"__metrics_path__", 16};
static const struct slice scheme_label = {"__scheme__", 10};
static const struct slice socket_label = {"__unix_socket__", 15};
static const struct slice limit_label = {"__sample_limit__", 16}; /* limpet's own */

static void put_default(struct label_set *labels, struct slice name, struct slice value)
{
    if (label_set_get(labels, name).len == 0)
        label_set_put(labels, name, value);
}

static struct slice duration_text(struct arena *arena, int64_t ms)
{
    char text[CONFIG_DURATION_SIZE];
    return slice_of(arena_strdup(arena, config_duration_format(ms, text)));
}

static void put_param_defaults(struct label_set *labels, const struct config_params *params,
                               struct arena *arena)
{
    for (size_t i = 0; i < params->len; i++) {
        const struct config_param *param = &params->items[i];
        if (param->values.len == 0)
            continue;
        char *name = arena_alloc(arena, strlen(param->name) + sizeof("__param_"));
        sprintf(name, "__param_%s", param->name);
        put_default(labels, slice_of(name), slice_of(param->values.items[0]));
    }
}

static void put_defaults(struct label_set *labels, const struct config_job *job,
                         struct arena *arena)
{
    put_default(labels, LABEL("job"), slice_of(job->job_name));
    put_default(labels, interval_label, duration_text(arena, job->scrape_interval));
    put_default(labels, timeout_label, duration_text(arena, job->scrape_timeout));
    put_default(labels, path_label, slice_of(job->metrics_path));
    put_default(labels, scheme_label,
                job->scheme == CONFIG_SCHEME_HTTPS ? LABEL("https") : LABEL("http"));
    put_param_defaults(labels, &job->params, arena);
}

static int check_address(struct slice address, struct errctx *reterr)
{
    if (address.len == 0)
        return err_set(reterr, ERR_CONFIG, "no address");
    if (memchr(address.ptr, '/', address.len) != NULL)
        return err_set(reterr, ERR_CONFIG, "\"%.*s\" is not a valid hostname", SLICE_ARG(address));
    return 0;
}

static int read_duration(const struct label_set *labels, struct slice name, const char *what,
                         int64_t *ret_ms, struct errctx *reterr)
{
    struct slice text = label_set_get(labels, name);
    int64_t ms;
    if (!config_duration_parse(text, &ms))
        return err_set(reterr, ERR_CONFIG,
                       "error parsing scrape %s: not a valid duration: \"%.*s\"", what,
                       SLICE_ARG(text));
    if (ms == 0)
        return err_set(reterr, ERR_CONFIG, "scrape %s cannot be 0", what);
    *ret_ms = ms;
    return 0;
}

static int read_times(const struct label_set *labels, struct built_target *target,
                      struct errctx *reterr)
{
    int err = read_duration(labels, interval_label, "interval", &target->interval_ms, reterr);
    if (err == 0)
        err = read_duration(labels, timeout_label, "timeout", &target->timeout_ms, reterr);
    if (err == 0 && target->timeout_ms > target->interval_ms)
        err = err_set(reterr, ERR_CONFIG,
                      "scrape timeout cannot be greater than scrape interval (\"%.*s\" > \"%.*s\")",
                      SLICE_ARG(label_set_get(labels, timeout_label)),
                      SLICE_ARG(label_set_get(labels, interval_label)));
    return err;
}

/* As Go's strconv.ParseBool reads it. False: it is no boolean. */
static bool parse_boolean(struct slice text, bool *ret_value)
{
    static const char *const words[] = {"0", "f", "F", "FALSE", "false", "False",
                                        "1", "t", "T", "TRUE",  "true",  "True"};
    const size_t count = sizeof(words) / sizeof(words[0]);
    size_t i = 0;
    while (i < count && !slice_is(text, words[i]))
        i++;
    *ret_value = i >= count / 2;
    return i < count;
}

/* Labels by which rules may switch native histograms for a target. */
static int take_switches(const struct label_set *labels, struct target_switches *ret_switches,
                         struct errctx *reterr)
{
    const struct {
        const char *name;
        bool *value;
    } rows[] = {{"__scrape_native_histograms__", &ret_switches->native_histograms},
                {"__always_scrape_classic_histograms__", &ret_switches->classic_histograms},
                {"__convert_classic_histograms_to_nhcb__", &ret_switches->convert_histograms}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct slice value = label_set_get(labels, slice_of(rows[i].name));
        if (value.len > 0 && !parse_boolean(value, rows[i].value))
            return err_set(reterr, ERR_CONFIG,
                           "error parsing %s: \"%.*s\" is neither true nor false", rows[i].name,
                           SLICE_ARG(value));
    }
    return 0;
}

static int read_limit(const struct label_set *labels, struct built_target *target,
                      struct errctx *reterr)
{
    struct slice text = label_set_get(labels, limit_label);
    uint64_t limit = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9' || text.len > 18)
            return err_set(reterr, ERR_CONFIG, "__sample_limit__ \"%.*s\" is not a number",
                           SLICE_ARG(text));
        limit = limit * 10 + (uint64_t)(text.ptr[i] - '0');
    }
    target->sample_limit = limit;
    return 0;
}

static int check_values(const struct label_set *labels, struct errctx *reterr)
{
    for (size_t i = 0; i < labels->count; i++) {
        const struct label *label = &labels->labels[i];
        if (!utf8_valid(label->value.ptr, label->value.len))
            return err_set(reterr, ERR_CONFIG, "invalid label value for \"%.*s\": not UTF-8",
                           SLICE_ARG(label->name));
    }
    return 0;
}

/* Another scheme is this target's error: the job's other targets go on. */
static int read_scheme(const struct label_set *labels, struct built_target *target,
                       struct errctx *reterr)
{
    struct slice scheme = label_set_get(labels, scheme_label);
    target->https = slice_is(scheme, "https");
    if (!target->https && !slice_is(scheme, "http"))
        return err_set(reterr, ERR_CONFIG, "unsupported scheme: \"%.*s\"", SLICE_ARG(scheme));
    return 0;
}

static int read_address(struct slice address, struct built_target *target, struct errctx *reterr)
{
    target->address = address;
    if (!target_url_split_address(address, target->https ? 443 : 80, &target->host, &target->port))
        return err_set(reterr, ERR_CONFIG, "\"%.*s\" is not a valid address, want host:port",
                       SLICE_ARG(address));
    return 0;
}

static char *add_text(char *at, struct slice text)
{
    uint64_t len = htole64(text.len);
    memcpy(at, &len, sizeof(len));
    if (text.len > 0)
        memcpy(at + sizeof(len), text.ptr, text.len);
    return at + sizeof(len) + text.len;
}

/*
 * Of all labels and the URL; the same on every node, as they share targets out by it. Who names
 * objects chooses labels and path, and of two targets with one identity only the first is scraped:
 * it must take 2^64 tries to make one that is another's, which no quick hash promises.
 */
static uint64_t identity_of(const struct label_set *labels, struct slice url, struct arena *scratch)
{
    uint8_t digest[MD5_SIZE];
    uint64_t id;
    size_t room = sizeof(uint64_t) + url.len;
    for (size_t i = 0; i < labels->count; i++)
        room += 2 * sizeof(uint64_t) + labels->labels[i].name.len + labels->labels[i].value.len;
    char *text = arena_alloc(scratch, room);
    char *at = add_text(text, url);
    for (size_t i = 0; i < labels->count; i++)
        at = add_text(add_text(at, labels->labels[i].name), labels->labels[i].value);
    md5(slice_make(text, (size_t)(at - text)), digest);
    memcpy(&id, digest, sizeof(id));
    id = le64toh(id);
    return id != 0 ? id : 1; /* 0 stands for "no target" in shared memory */
}

static void identify(const struct target_builder *builder, const struct label_set *labels,
                     struct built_target *target)
{
    uint64_t labels_hash = label_set_hash(labels, 0);
    char digits[24];
    int len = snprintf(digits, sizeof(digits), "%016" PRIu64, labels_hash);
    uint64_t hash = hash_fnv1a64(FNV1A64_START, digits, (size_t)len);
    hash = hash_fnv1a64(hash, target->url.ptr, target->url.len);
    target->id = identity_of(labels, target->url, builder->scratch);
    uint64_t interval_ns = (uint64_t)(target->interval_ms * NS_PER_MS);
    target->phase_ns = (int64_t)((hash ^ builder->seed) % interval_ns);
}

/* The target's texts must outlive the groups they came from. */
static void keep_public_labels(struct label_set *labels, struct arena *arena,
                               struct label_set *ret_public)
{
    label_set_drop_prefix(labels, LABEL("__"));
    label_set_drop_empty(labels);
    for (size_t i = 0; i < labels->count; i++)
        label_set_put(ret_public, arena_slice(arena, labels->labels[i].name),
                      arena_slice(arena, labels->labels[i].value));
}

static int build(const struct target_builder *builder, struct label_set *labels,
                 struct built_target *target, struct errctx *reterr)
{
    struct slice address = label_set_get(labels, address_label);
    target->socket = arena_slice(builder->arena, label_set_get(labels, socket_label));
    if (address.len == 0 && target->socket.len > 0)
        address = LABEL("localhost");
    int err = check_address(address, reterr);
    if (err == 0)
        err = read_times(labels, target, reterr);
    target->switches = (struct target_switches){builder->job->scrape_native_histograms,
                                                builder->job->always_scrape_classic_histograms,
                                                builder->job->convert_classic_histograms_to_nhcb};
    if (err == 0)
        err = take_switches(labels, &target->switches, reterr);
    if (err == 0)
        err = read_limit(labels, target, reterr);
    if (err == 0)
        err = read_scheme(labels, target, reterr);
    if (err == 0)
        err = read_address(arena_slice(builder->arena, address), target, reterr);
    if (err != 0)
        return err;
    label_set_drop_prefix(labels, LABEL("__meta_"));
    put_default(labels, LABEL("instance"), address);
    label_set_drop_empty(labels);
    err = check_values(labels, reterr);
    if (err != 0)
        return err;
    target->path = target_url_path(labels, &builder->job->params, builder->arena);
    target->url = target_url_whole(label_set_get(labels, scheme_label), address, target->path,
                                   builder->arena);
    identify(builder, labels, target);
    return 0;
}

void target_discovered(const struct target_builder *builder, struct slice address,
                       const struct label_set *group_labels, struct label_set *labels)
{
    label_set_put(labels, address_label, address);
    for (size_t i = 0; i < group_labels->count; i++)
        label_set_put_new(labels, group_labels->labels[i].name, group_labels->labels[i].value);
    put_defaults(labels, builder->job, builder->scratch);
}

int target_build(const struct target_builder *builder, struct slice address,
                 const struct label_set *group_labels, struct built_target *ret,
                 struct errctx *reterr)
{
    struct label_set labels = {0};
    struct built_target target = {0};
    int err = TARGET_DROPPED;
    target_discovered(builder, address, group_labels, &labels);
    if (relabel_apply(builder->relabel, &labels, builder->scratch))
        err = build(builder, &labels, &target, reterr);
    if (err == 0) {
        keep_public_labels(&labels, builder->arena, &target.labels);
        *ret = target;
    }
    label_set_fini(&labels);
    arena_reset(builder->scratch);
    return err;
}

uint64_t target_seed(const char *host_name, const struct config_map *external_labels)
{
    uint64_t hash = hash_fnv1a64(FNV1A64_START, host_name, strlen(host_name));
    hash = hash_fnv1a64(hash, "{", 1);
    for (size_t i = 0; i < external_labels->len; i++) {
        const struct config_pair *pair = &external_labels->items[i];
        if (i > 0)
            hash = hash_fnv1a64(hash, ", ", 2);
        hash = hash_fnv1a64(hash, pair->name, strlen(pair->name));
        hash = hash_fnv1a64(hash, "=\"", 2);
        hash = hash_fnv1a64(hash, pair->value, strlen(pair->value));
        hash = hash_fnv1a64(hash, "\"", 1);
    }
    return hash_fnv1a64(hash, "}", 1);
}
