/* SPDX-License-Identifier: GPL-2.0-or-later */
/* For tests of annotation discovery: objects, and the targets and problems they make, as texts. */
#ifndef TESTS_UNIT_DISCOVERY_ANNOTATED_H
#define TESTS_UNIT_DISCOVERY_ANNOTATED_H

#include "discovery/annotation_targets.h"
#include "tests/unit/discovery/kube_world.h"

struct annotated {
    struct kube_world world;
    struct config_annotation_sd config;
    struct source_visit visit;
    struct annotation_review review;
    struct strbuf targets;  /* "URL name=value ..." of what is not __meta_* */
    struct strbuf problems; /* "kind name reason\n" */
    uint32_t stop_after;    /* 0: never */
};

/* A test whose *state is one. */
#define ANNOTATED(test) cmocka_unit_test_setup_teardown(test, annotated_make, annotated_destroy)
int annotated_make(void **state);
int annotated_destroy(void **state);

/* Returns what annotation_targets_walk does. */
int annotated_walk(struct annotated *fixture);
void annotated_expect(struct annotated *fixture, const char *targets, const char *problems);

#define PORT(name, number)                                                                         \
    "{\"name\":\"" name "\",\"containerPort\":" number ",\"protocol\":\"TCP\"}"
#define CONTAINER(name, ports) "{\"name\":\"" name "\",\"ports\":[" ports "]}"
#define ONE_PORT               CONTAINER("app", PORT("http", "8080"))
#define RUNNING(ip)            "\"podIP\":\"" ip "\",\"phase\":\"Running\""

/* `annotations`: members of the JSON object; the pod's label "app" is its name. */
void annotated_pod(struct annotated *fixture, const char *name, const char *annotations,
                   const char *containers, const char *status);

/* A pod "a" of one container with one port. */
void annotated_pod_a(struct annotated *fixture, const char *annotations);

#define SCRAPE           "\"prometheus.io/scrape\":\"true\""
#define ALSO(key, value) SCRAPE ",\"prometheus.io/" key "\":\"" value "\""

#define SERVICE_PORT(name, number, target)                                                         \
    "{\"name\":\"" name "\",\"port\":" number ",\"protocol\":\"TCP\",\"targetPort\":" target "}"
#define SELECT_A "\"app\":\"a\""

void annotated_service(struct annotated *fixture, const char *name, const char *annotations,
                       const char *selector, const char *ports);

#endif
