/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Annotations of anybody to targets. The text is objects, each begun by a line "pod", "service" or
 * "bare" (a service without selector); further lines are annotations, "port=8080" for
 * prometheus.io/port. In whatever order the objects come, the targets and problems are the same, no
 * URL is given twice, and looking for problems alone finds as many of them.
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "discovery/annotation_targets.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define OBJECTS_MAX 32u
#define URLS_MAX    4096u

struct result {
    struct source_visit visit;
    struct annotation_review review;
    uint64_t targets; /* hashes, summed up */
    size_t target_count;
    size_t problems[ANNOTATION_REASONS];
    uint64_t urls[URLS_MAX];
};

struct object {
    char kind; /* of its first letter */
    struct slice lines;
};

/* ---- Objects ---- */

static void add(struct strbuf *record, enum kube_field field, const char *value)
{
    kube_record_add(record, field, SLICE_LITERAL(""), slice_of(value));
}

static void add_port(struct strbuf *record, const char *name, const char *number)
{
    size_t began = kube_record_begin(record, KUBE_PORT);
    add(record, KUBE_NAME, name);
    add(record, KUBE_NUMBER, number);
    add(record, KUBE_TARGET_PORT, name);
    kube_record_end(record, began);
}

static void add_container(struct strbuf *record, const char *name, const char *port)
{
    size_t began = kube_record_begin(record, KUBE_CONTAINER);
    add(record, KUBE_NAME, name);
    add_port(record, name, port);
    kube_record_end(record, began);
}

static void add_annotations(struct strbuf *record, struct slice lines)
{
    kube_record_add(record, KUBE_ANNOTATION, SLICE_LITERAL("prometheus.io/scrape"),
                    SLICE_LITERAL("true"));
    while (lines.len > 0) {
        const char *end = memchr(lines.ptr, '\n', lines.len);
        size_t len = end != NULL ? (size_t)(end - lines.ptr) : lines.len;
        const char *mark = memchr(lines.ptr, '=', len);
        char key[128];
        size_t key_len = mark != NULL ? (size_t)(mark - lines.ptr) : len;
        int n = snprintf(key, sizeof(key), "prometheus.io/%.*s", (int)(key_len < 64 ? key_len : 64),
                         lines.ptr);
        if (mark != NULL)
            kube_record_add(record, KUBE_ANNOTATION, slice_make(key, (size_t)n),
                            slice_make(mark + 1, len - key_len - 1));
        len += end != NULL;
        lines = slice_make(lines.ptr + len, lines.len - len);
    }
}

static void put_pod(struct kube_store *store, struct strbuf *record, size_t number)
{
    char ip[48];
    snprintf(ip, sizeof(ip), number % 3 == 0 ? "fd00::%zu" : "10.0.0.%zu", number);
    kube_record_add(record, KUBE_LABEL, SLICE_LITERAL("app"), SLICE_LITERAL("a"));
    add(record, KUBE_POD_IP, ip);
    add(record, KUBE_PHASE, "Running");
    add_container(record, "web", "8080");
    add_container(record, "side", "9090");
    (void)kube_store_put(store, slice_make(record->text, record->len));
}

static void put_service(struct kube_store *store, struct strbuf *record, bool bare)
{
    if (!bare)
        kube_record_add(record, KUBE_SELECTOR, SLICE_LITERAL("app"), SLICE_LITERAL("a"));
    add_port(record, "web", "80");
    add_port(record, "gone", "81");
    (void)kube_store_put(store, slice_make(record->text, record->len));
}

static void put_slice(struct kube_store *store, struct strbuf *record, const char *name)
{
    record->len = 0;
    add(record, KUBE_NAME, name);
    kube_record_add(record, KUBE_LABEL, SLICE_LITERAL("kubernetes.io/service-name"),
                    slice_of(name));
    size_t began = kube_record_begin(record, KUBE_ENDPOINT);
    add(record, KUBE_IP, "192.0.2.1");
    kube_record_end(record, began);
    add_port(record, "web", "8080");
    (void)kube_store_put(store, slice_make(record->text, record->len));
}

struct world {
    struct kube_store pods, services, slices;
};

static void put_object(struct world *world, const struct object *object, size_t number)
{
    char name[32];
    struct strbuf record = STRBUF_GROWING;
    snprintf(name, sizeof(name), "o%zu", number);
    add(&record, KUBE_NAME, name);
    add_annotations(&record, object->lines);
    if (object->kind == 'p') {
        put_pod(&world->pods, &record, number);
    } else {
        put_service(&world->services, &record, object->kind == 'b');
        put_slice(&world->slices, &record, name);
    }
    strbuf_fini(&record);
}

/* ---- What comes of them ---- */

static bool is_of_url(struct slice name)
{
    return slice_is(name, "__scheme__") || slice_is(name, "__metrics_path__") ||
           (name.len > 8 && memcmp(name.ptr, "__param_", 8) == 0);
}

static int take_target(struct source_visit *visit, struct slice address,
                       const struct label_set *labels)
{
    struct result *result =
        (struct result *)(void *)((char *)visit - offsetof(struct result, visit));
    uint64_t all = hash64(address.ptr, address.len, 1), url = all;
    for (size_t i = 0; i < labels->count; i++) {
        struct slice name = labels->labels[i].name, value = labels->labels[i].value;
        check(name.len > 0);
        all = hash64(value.ptr, value.len, hash64(name.ptr, name.len, all));
        if (is_of_url(name))
            url = hash64(value.ptr, value.len, hash64(name.ptr, name.len, url));
    }
    struct slice path = label_set_get(labels, SLICE_LITERAL("__metrics_path__"));
    check(address.len > 0 && path.len > 0 && path.ptr[0] == '/');
    for (size_t i = 0; i < result->target_count; i++)
        check(result->urls[i] != url);
    result->targets += all;
    result->urls[result->target_count++] = url;
    return result->target_count == URLS_MAX ? 1 : 0;
}

static void take_problem(struct annotation_review *review, enum kube_kind kind, struct slice record,
                         const struct annotation_problem *problem)
{
    struct result *result =
        (struct result *)(void *)((char *)review - offsetof(struct result, review));
    (void)kind;
    check(kube_record_get(record, KUBE_NAME).len > 0 && problem->text.text[0] != '\0');
    result->problems[problem->reason]++;
}

static void walk(const struct object *objects, size_t count, bool backwards, bool with_targets,
                 struct result *ret_result)
{
    static const struct config_annotation_sd config = {.pods = true,
                                                       .services = true,
                                                       .scheme = "http",
                                                       .metrics_path = "/metrics",
                                                       .min_interval = 5000,
                                                       .max_interval = 60000,
                                                       .max_timeout = 5000,
                                                       .max_sample_limit = 1000};
    struct world world = {0};
    for (size_t i = 0; i < count; i++) {
        size_t k = backwards ? count - 1 - i : i;
        put_object(&world, &objects[k], k);
    }
    const struct kube_store *pods = &world.pods, *services = &world.services,
                            *slices = &world.slices;
    const struct annotation_world found = {&config, &pods, 1, &services, 1, &slices, 1};
    ret_result->visit.target = take_target;
    ret_result->review.problem = take_problem;
    ret_result->targets = 0;
    ret_result->target_count = 0;
    memset(ret_result->problems, 0, sizeof(ret_result->problems));
    (void)annotation_targets_walk(&found, with_targets ? &ret_result->visit : NULL,
                                  &ret_result->review);
    kube_store_fini(&world.pods);
    kube_store_fini(&world.services);
    kube_store_fini(&world.slices);
}

static size_t split(struct slice text, struct object *objects)
{
    size_t count = 0;
    while (text.len > 0 && count < OBJECTS_MAX) {
        const char *end = memmem(text.ptr, text.len, "\n\n", 2);
        size_t len = end != NULL ? (size_t)(end - text.ptr) : text.len;
        const char *line = memchr(text.ptr, '\n', len);
        size_t head = line != NULL ? (size_t)(line - text.ptr) + 1 : len;
        objects[count++] =
            (struct object){head > 0 ? text.ptr[0] : 's', slice_make(text.ptr + head, len - head)};
        len += end != NULL ? 2 : 0;
        text = slice_make(text.ptr + len, text.len - len);
    }
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct result forwards, backwards, alone;
    struct object objects[OBJECTS_MAX];
    size_t count = split(slice_make(data, size), objects);
    walk(objects, count, false, true, &forwards);
    walk(objects, count, true, true, &backwards);
    walk(objects, count, false, false, &alone);
    check(forwards.target_count == URLS_MAX || forwards.targets == backwards.targets);
    check(memcmp(forwards.problems, backwards.problems, sizeof(forwards.problems)) == 0);
    check(forwards.target_count == URLS_MAX ||
          memcmp(forwards.problems, alone.problems, sizeof(alone.problems)) == 0);
    return 0;
}
