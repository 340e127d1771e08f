/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/discovery/annotated.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static const char *const reasons[ANNOTATION_REASONS] = {
    [ANNOTATION_BAD_SCRAPE] = "bad_scrape",   [ANNOTATION_OTHER_MESH] = "other_mesh",
    [ANNOTATION_BAD_SCHEME] = "bad_scheme",   [ANNOTATION_BAD_PORT] = "bad_port",
    [ANNOTATION_NO_PORT] = "no_port",         [ANNOTATION_NO_CONTAINER] = "no_container",
    [ANNOTATION_NO_ADDRESS] = "no_address",   [ANNOTATION_FINISHED] = "finished",
    [ANNOTATION_NO_ENDPOINT] = "no_endpoint", [ANNOTATION_NO_POD] = "no_pod",
    [ANNOTATION_BAD_VALUE] = "bad_value",     [ANNOTATION_CLAMPED] = "clamped",
    [ANNOTATION_TOO_LARGE] = "too_large",     [ANNOTATION_MALFORMED] = "malformed"};

/* What stands in the line's head already, or for everything. */
static bool is_shown(struct slice name)
{
    static const char *const hidden[] = {
        "__scheme__", "__metrics_path__", "job", "namespace", "pod", "node"};
    for (size_t i = 0; i < sizeof(hidden) / sizeof(hidden[0]); i++) {
        if (slice_is(name, hidden[i]))
            return false;
    }
    return name.len < 7 || memcmp(name.ptr, "__meta_", 7) != 0;
}

static int note_target(struct source_visit *visit, struct slice address,
                       const struct label_set *labels)
{
    struct annotated *fixture =
        (struct annotated *)(void *)((char *)visit - offsetof(struct annotated, visit));
    strbuf_addf(&fixture->targets, "%.*s://%.*s%.*s",
                SLICE_ARG(label_set_get(labels, SLICE_LITERAL("__scheme__"))), SLICE_ARG(address),
                SLICE_ARG(label_set_get(labels, SLICE_LITERAL("__metrics_path__"))));
    for (size_t i = 0; i < labels->count; i++) {
        if (is_shown(labels->labels[i].name))
            strbuf_addf(&fixture->targets, " %.*s=%.*s", SLICE_ARG(labels->labels[i].name),
                        SLICE_ARG(labels->labels[i].value));
    }
    strbuf_addc(&fixture->targets, '\n');
    return fixture->stop_after > 0 && --fixture->stop_after == 0 ? -7 : 0;
}

static void note_problem(struct annotation_review *review, enum kube_kind kind, struct slice record,
                         const struct annotation_problem *problem)
{
    struct annotated *fixture =
        (struct annotated *)(void *)((char *)review - offsetof(struct annotated, review));
    strbuf_addf(&fixture->problems, "%s %.*s %s\n", kind == KUBE_PODS ? "pod" : "service",
                SLICE_ARG(kube_record_get(record, KUBE_NAME)), reasons[problem->reason]);
    assert_true(problem->text.text[0] != '\0');
}

int annotated_make(void **state)
{
    struct annotated *fixture = calloc(1, sizeof(*fixture));
    assert_non_null(fixture);
    kube_world_init(&fixture->world);
    fixture->visit.target = note_target;
    fixture->review.problem = note_problem;
    fixture->config = (struct config_annotation_sd){.pods = true,
                                                    .services = true,
                                                    .scheme = "http",
                                                    .metrics_path = "/metrics",
                                                    .min_interval = 5000,
                                                    .max_interval = 300000,
                                                    .max_timeout = 10000};
    *state = fixture;
    return 0;
}

int annotated_destroy(void **state)
{
    struct annotated *fixture = *state;
    kube_world_fini(&fixture->world);
    strbuf_fini(&fixture->targets);
    strbuf_fini(&fixture->problems);
    free(fixture);
    return 0;
}

int annotated_walk(struct annotated *fixture)
{
    const struct kube_store *pods = &fixture->world.stores[KUBE_PODS];
    const struct kube_store *services = &fixture->world.stores[KUBE_SERVICES];
    const struct kube_store *slices = &fixture->world.stores[KUBE_ENDPOINTSLICES];
    const struct annotation_world world = {&fixture->config, &pods, 1, &services, 1, &slices, 1};
    fixture->targets.len = fixture->problems.len = 0;
    strbuf_adds(&fixture->targets, "");
    strbuf_adds(&fixture->problems, "");
    return annotation_targets_walk(&world, &fixture->visit, &fixture->review);
}

void annotated_expect(struct annotated *fixture, const char *targets, const char *problems)
{
    assert_int_equal(annotated_walk(fixture), 0);
    assert_string_equal(fixture->targets.text, targets);
    assert_string_equal(fixture->problems.text, problems);
}

void annotated_pod(struct annotated *fixture, const char *name, const char *annotations,
                   const char *containers, const char *status)
{
    struct strbuf text = STRBUF_GROWING;
    strbuf_addf(&text,
                "{\"metadata\":{\"name\":\"%s\",\"namespace\":\"shop\",\"labels\":{\"app\":\"%s\","
                "\"app.kubernetes.io/name\":\"web\"},\"annotations\":{%s}},\"spec\":{\"nodeName\":"
                "\"n1\",\"containers\":[%s],\"initContainers\":[" CONTAINER(
                    "init", PORT("i", "1")) "]},\"status\":{%s}}",
                name, name, annotations, containers, status);
    kube_world_add(&fixture->world, KUBE_PODS, text.text);
    strbuf_fini(&text);
}

void annotated_service(struct annotated *fixture, const char *name, const char *annotations,
                       const char *selector, const char *ports)
{
    struct strbuf text = STRBUF_GROWING;
    strbuf_addf(&text,
                "{\"metadata\":{\"name\":\"%s\",\"namespace\":\"shop\",\"annotations\":{%s}},"
                "\"spec\":{\"selector\":{%s},\"ports\":[%s]}}",
                name, annotations, selector, ports);
    kube_world_add(&fixture->world, KUBE_SERVICES, text.text);
    strbuf_fini(&text);
}

void annotated_pod_a(struct annotated *fixture, const char *annotations)
{
    annotated_pod(fixture, "a", annotations, ONE_PORT, RUNNING("10.0.0.1"));
}
