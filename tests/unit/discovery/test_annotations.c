/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which targets annotations ask for, sentence by sentence of docs/kubernetes.md. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "discovery/annotation_targets.h"
#include "tests/unit/discovery/kube_world.h"

struct rig {
    struct kube_world world;
    struct config_annotation_sd config;
    struct source_visit visit;
    struct annotation_review review;
    struct strbuf targets;  /* "URL name=value ..." of what is not __meta_* */
    struct strbuf problems; /* "kind name reason\n" */
    uint32_t stop_after;    /* 0: never */
};

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
    struct rig *rig = (struct rig *)(void *)((char *)visit - offsetof(struct rig, visit));
    strbuf_addf(&rig->targets, "%.*s://%.*s%.*s",
                SLICE_ARG(label_set_get(labels, SLICE_LITERAL("__scheme__"))), SLICE_ARG(address),
                SLICE_ARG(label_set_get(labels, SLICE_LITERAL("__metrics_path__"))));
    for (size_t i = 0; i < labels->count; i++) {
        if (is_shown(labels->labels[i].name))
            strbuf_addf(&rig->targets, " %.*s=%.*s", SLICE_ARG(labels->labels[i].name),
                        SLICE_ARG(labels->labels[i].value));
    }
    strbuf_addc(&rig->targets, '\n');
    return rig->stop_after > 0 && --rig->stop_after == 0 ? -7 : 0;
}

static void note_problem(struct annotation_review *review, enum kube_kind kind, struct slice record,
                         const struct annotation_problem *problem)
{
    struct rig *rig = (struct rig *)(void *)((char *)review - offsetof(struct rig, review));
    strbuf_addf(&rig->problems, "%s %.*s %s\n", kind == KUBE_PODS ? "pod" : "service",
                SLICE_ARG(kube_record_get(record, KUBE_NAME)), reasons[problem->reason]);
    assert_true(problem->text.text[0] != '\0');
}

static int make(void **state)
{
    struct rig *rig = calloc(1, sizeof(*rig));
    assert_non_null(rig);
    kube_world_init(&rig->world);
    rig->visit.target = note_target;
    rig->review.problem = note_problem;
    rig->config = (struct config_annotation_sd){.pods = true,
                                                .services = true,
                                                .scheme = "http",
                                                .metrics_path = "/metrics",
                                                .min_interval = 5000,
                                                .max_interval = 300000,
                                                .max_timeout = 10000};
    *state = rig;
    return 0;
}

static int destroy(void **state)
{
    struct rig *rig = *state;
    kube_world_fini(&rig->world);
    strbuf_fini(&rig->targets);
    strbuf_fini(&rig->problems);
    free(rig);
    return 0;
}

static int walk(struct rig *rig)
{
    const struct kube_store *pods = &rig->world.stores[KUBE_PODS];
    const struct kube_store *services = &rig->world.stores[KUBE_SERVICES];
    const struct kube_store *slices = &rig->world.stores[KUBE_ENDPOINTSLICES];
    const struct annotation_world world = {&rig->config, &pods, 1, &services, 1, &slices, 1};
    rig->targets.len = rig->problems.len = 0;
    strbuf_adds(&rig->targets, "");
    strbuf_adds(&rig->problems, "");
    return annotation_targets_walk(&world, &rig->visit, &rig->review);
}

static void expect(struct rig *rig, const char *targets, const char *problems)
{
    assert_int_equal(walk(rig), 0);
    assert_string_equal(rig->targets.text, targets);
    assert_string_equal(rig->problems.text, problems);
}

/* ---- Objects ---- */

#define PORT(name, number)                                                                         \
    "{\"name\":\"" name "\",\"containerPort\":" number ",\"protocol\":\"TCP\"}"
#define CONTAINER(name, ports) "{\"name\":\"" name "\",\"ports\":[" ports "]}"
#define ONE_PORT               CONTAINER("app", PORT("http", "8080"))
#define RUNNING(ip)            "\"podIP\":\"" ip "\",\"phase\":\"Running\""

/* `annotations`: members of the JSON object besides scrape. */
static void add_pod(struct rig *rig, const char *name, const char *annotations,
                    const char *containers, const char *status)
{
    struct strbuf text = STRBUF_GROWING;
    strbuf_addf(&text,
                "{\"metadata\":{\"name\":\"%s\",\"namespace\":\"shop\",\"labels\":{\"app\":\"%s\","
                "\"app.kubernetes.io/name\":\"web\"},\"annotations\":{%s}},\"spec\":{\"nodeName\":"
                "\"n1\",\"containers\":[%s],\"initContainers\":[" CONTAINER(
                    "init", PORT("i", "1")) "]},\"status\":{%s}}",
                name, name, annotations, containers, status);
    kube_world_add(&rig->world, KUBE_PODS, text.text);
    strbuf_fini(&text);
}

#define SCRAPE           "\"prometheus.io/scrape\":\"true\""
#define ALSO(key, value) SCRAPE ",\"prometheus.io/" key "\":\"" value "\""

static void add_service(struct rig *rig, const char *name, const char *annotations,
                        const char *selector, const char *ports)
{
    struct strbuf text = STRBUF_GROWING;
    strbuf_addf(&text,
                "{\"metadata\":{\"name\":\"%s\",\"namespace\":\"shop\",\"annotations\":{%s}},"
                "\"spec\":{\"selector\":{%s},\"ports\":[%s]}}",
                name, annotations, selector, ports);
    kube_world_add(&rig->world, KUBE_SERVICES, text.text);
    strbuf_fini(&text);
}

/* A pod "a" of one container with one port, with that annotation besides scrape. */
static void one_pod(struct rig *rig, const char *annotations)
{
    add_pod(rig, "a", annotations, ONE_PORT, RUNNING("10.0.0.1"));
}

/* ---- Which pods ---- */

#define SELECT_A "\"app\":\"a\""

static void scrape_must_be_exactly_true(void **state)
{
    static const char *const others[] = {
        "", "\"prometheus.io/scrape\":\"\"", "\"prometheus.io/scrape\":\"false\"",
        "\"prometheus.io/Scrape\":\"true\"", "\"xprometheus.io/scrape\":\"true\""};
    static const char *const wrong[] = {"\"prometheus.io/scrape\":\"True\"",
                                        "\"prometheus.io/scrape\":\"true \"",
                                        "\"prometheus.io/scrape\":\"1\""};
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        one_pod(*state, others[i]);
        add_service(*state, "s", others[i], SELECT_A, "");
        expect(*state, "", "");
    }
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        one_pod(*state, wrong[i]);
        add_service(*state, "s", wrong[i], SELECT_A, "");
        expect(*state, "", "service s bad_scrape\npod a bad_scrape\n");
    }
    add_service(*state, "s", "", SELECT_A, "");
    one_pod(*state, SCRAPE);
    expect(*state, "http://10.0.0.1:8080/metrics container=app\n", "");
}

static void pods_that_are_not_ready_are_scraped(void **state)
{
    add_pod(*state, "a", SCRAPE, ONE_PORT,
            RUNNING("10.0.0.1") ",\"conditions\":[{\"type\":\"Ready\",\"status\":\"False\"}]");
    expect(*state, "http://10.0.0.1:8080/metrics container=app\n", "");
}

static void finished_pods_are_not_scraped_and_pending_ones_only_with_an_address(void **state)
{
    add_pod(*state, "a", SCRAPE, ONE_PORT, "\"podIP\":\"10.0.0.1\",\"phase\":\"Succeeded\"");
    add_pod(*state, "b", SCRAPE, ONE_PORT, "\"podIP\":\"10.0.0.2\",\"phase\":\"Failed\"");
    add_pod(*state, "c", SCRAPE, ONE_PORT, "\"phase\":\"Pending\"");
    add_pod(*state, "d", SCRAPE, ONE_PORT, "\"podIP\":\"10.0.0.4\",\"phase\":\"Pending\"");
    expect(*state, "http://10.0.0.4:8080/metrics container=app\n",
           "pod a finished\npod b finished\npod c no_address\n");
}

static void containers_that_have_ended_are_not_scraped(void **state)
{
    add_pod(*state, "a", SCRAPE, CONTAINER("job", PORT("j", "1")) "," ONE_PORT,
            RUNNING("10.0.0.1") ",\"containerStatuses\":[{\"name\":\"job\",\"state\":{"
                                "\"terminated\":{\"exitCode\":0}}},{\"name\":\"app\",\"state\":{"
                                "\"running\":{}}}]");
    expect(*state, "http://10.0.0.1:8080/metrics container=app\n", "");
}

static void a_mesh_may_be_left_out_or_be_all(void **state)
{
    struct rig *rig = *state;
    one_pod(rig, SCRAPE);
    kube_world_add(&rig->world, KUBE_PODS,
                   "{\"metadata\":{\"name\":\"m\",\"namespace\":\"shop\",\"labels\":{"
                   "\"security.istio.io/tlsMode\":\"istio\"},\"annotations\":{" SCRAPE "}},"
                   "\"spec\":{\"containers\":[" ONE_PORT
                   "]},\"status\":{" RUNNING("10.0.0.9") "}}");
    rig->config.mesh = CONFIG_MESH_INSIDE;
    expect(rig, "http://10.0.0.9:8080/metrics container=app\n", "pod a other_mesh\n");
    rig->config.mesh = CONFIG_MESH_OUTSIDE;
    expect(rig, "http://10.0.0.1:8080/metrics container=app\n", "pod m other_mesh\n");
}

/* ---- Ports ---- */

static void without_a_port_each_declared_tcp_port_is_a_target(void **state)
{
    add_pod(
        *state, "a", SCRAPE,
        CONTAINER(
            "app",
            PORT("http", "8080") "," PORT(
                "",
                "9090") ",{\"containerPort\":53,"
                        "\"protocol\":\"UDP\"}") "," CONTAINER("side",
                                                               PORT("x",
                                                                    "7070")) "," CONTAINER("none",
                                                                                           ""),
        RUNNING("10.0.0.1"));
    expect(*state,
           "http://10.0.0.1:8080/metrics container=app\n"
           "http://10.0.0.1:9090/metrics container=app\n"
           "http://10.0.0.1:7070/metrics container=side\n",
           "");
}

static void without_any_port_there_is_no_target_and_it_is_said(void **state)
{
    add_pod(*state, "a", SCRAPE, CONTAINER("app", ""), RUNNING("10.0.0.1"));
    expect(*state, "", "pod a no_port\n");
}

static void a_port_that_is_annotated_is_one_target(void **state)
{
    add_pod(*state, "a", ALSO("port", "7070"),
            CONTAINER("app", PORT("http", "8080")) "," CONTAINER("side", PORT("x", "7070")),
            RUNNING("10.0.0.1"));
    expect(*state, "http://10.0.0.1:7070/metrics container=side\n", "");
    one_pod(*state, ALSO("port", "1234"));
    expect(*state, "http://10.0.0.1:1234/metrics container=app\n", "");
    one_pod(*state, ALSO("port", "08080"));
    expect(*state, "http://10.0.0.1:8080/metrics container=app\n", "");
}

static void ports_of_an_address_of_version_6(void **state)
{
    add_pod(*state, "a", ALSO("port", "1234"), ONE_PORT, RUNNING("fd00::1"));
    add_pod(*state, "b", SCRAPE, ONE_PORT, RUNNING("fd00::2"));
    expect(*state,
           "http://[fd00::1]:1234/metrics container=app\n"
           "http://[fd00::2]:8080/metrics container=app\n",
           "");
}

static void a_name_of_a_declared_port_is_a_port(void **state)
{
    one_pod(*state, ALSO("port", "http"));
    expect(*state, "http://10.0.0.1:8080/metrics container=app\n", "");
}

static void nonsense_ports_are_said_and_harm_nobody_else(void **state)
{
    static const char *const ports[] = {
        "0", "65536", "99999999999999999999", "-1", "80a", "8080/x", " ", "http2", "8 0"};
    add_pod(*state, "b", SCRAPE, ONE_PORT, RUNNING("10.0.0.2"));
    for (size_t i = 0; i < sizeof(ports) / sizeof(ports[0]); i++) {
        char annotations[128];
        snprintf(annotations, sizeof(annotations), ALSO("port", "%s"), ports[i]);
        one_pod(*state, annotations);
        expect(*state, "http://10.0.0.2:8080/metrics container=app\n", "pod a bad_port\n");
    }
}

static void several_ports_with_paths_of_their_own(void **state)
{
    one_pod(*state, ALSO("ports", "8080/metrics, 9090/other?x=1,7070") ",\"prometheus.io/path\":"
                                                                       "\"/p\"");
    expect(*state,
           "http://10.0.0.1:8080/metrics container=app metrics_path=/metrics\n"
           "http://10.0.0.1:9090/other __param_x=1 container=app metrics_path=/other?x=1\n"
           "http://10.0.0.1:7070/p container=app\n",
           "");
    one_pod(*state, ALSO("ports", "8080,,x/y,99999"));
    expect(*state, "http://10.0.0.1:8080/metrics container=app\n",
           "pod a bad_port\npod a bad_port\npod a bad_port\n");
}

static void a_container_may_be_named(void **state)
{
    static const char containers[] =
        CONTAINER("app", PORT("m", "8080")) "," CONTAINER("side", PORT("m", "7070"));
    add_pod(*state, "a", ALSO("container", "side"), containers, RUNNING("10.0.0.1"));
    expect(*state, "http://10.0.0.1:7070/metrics container=side\n", "");
    add_pod(*state, "a", ALSO("container", "side") ",\"prometheus.io/port\":\"m\"", containers,
            RUNNING("10.0.0.1"));
    expect(*state, "http://10.0.0.1:7070/metrics container=side\n", "");
    add_pod(*state, "a", ALSO("container", "init"), containers, RUNNING("10.0.0.1"));
    expect(*state, "", "pod a no_container\n");
}

/* ---- Scheme, path, parameters ---- */

static void a_scheme_is_http_or_https(void **state)
{
    one_pod(*state, ALSO("scheme", "https"));
    expect(*state, "https://10.0.0.1:8080/metrics container=app\n", "");
    one_pod(*state, ALSO("scheme", "HTTPS"));
    expect(*state, "", "pod a bad_scheme\n");
    one_pod(*state, ALSO("scheme", "ftp"));
    expect(*state, "", "pod a bad_scheme\n");
}

static void a_query_is_split_off_the_path(void **state)
{
    one_pod(*state, ALSO("path", "/m?a=1&b=x%20y+z&a=2&c#f"));
    expect(*state, "http://10.0.0.1:8080/m __param_a=1 __param_b=x y z __param_c= container=app\n",
           "");
    one_pod(*state, ALSO("path", "?a=1"));
    expect(*state, "http://10.0.0.1:8080/metrics __param_a=1 container=app\n", "");
    one_pod(*state, ALSO("path", "m"));
    expect(*state, "http://10.0.0.1:8080/m container=app\n", "");
    one_pod(*state, ALSO("path", ""));
    expect(*state, "http://10.0.0.1:8080/metrics container=app\n", "");
}

static void parameters_keep_their_names(void **state)
{
    one_pod(*state, ALSO("param_x-y.z", "v") ",\"prometheus.io/param_\":\"w\"");
    expect(*state, "http://10.0.0.1:8080/metrics __param_x-y.z=v container=app\n", "");
}

/* ---- Times and limits ---- */

static void times_and_limits_within_bounds(void **state)
{
    struct rig *rig = *state;
    rig->config.max_sample_limit = 1000;
    one_pod(rig, ALSO("interval", "1m") ",\"prometheus.io/timeout\":\"5s\","
                                        "\"prometheus.io/sample-limit\":\"1000\"");
    expect(rig,
           "http://10.0.0.1:8080/metrics __sample_limit__=1000 __scrape_interval__=1m "
           "__scrape_timeout__=5s container=app\n",
           "");
}

static void what_is_beyond_bounds_is_clamped_and_said(void **state)
{
    struct rig *rig = *state;
    rig->config.max_sample_limit = 1000;
    one_pod(rig, ALSO("interval", "1s") ",\"prometheus.io/timeout\":\"20s\","
                                        "\"prometheus.io/sample-limit\":\"1001\"");
    expect(rig,
           "http://10.0.0.1:8080/metrics __sample_limit__=1000 __scrape_interval__=5s "
           "__scrape_timeout__=5s container=app\n",
           "pod a clamped\npod a clamped\npod a clamped\n");
    one_pod(rig, ALSO("interval", "1h"));
    expect(rig, "http://10.0.0.1:8080/metrics __scrape_interval__=5m container=app\n",
           "pod a clamped\n");
}

static void what_cannot_be_read_leaves_the_values_of_the_job(void **state)
{
    one_pod(*state, ALSO("interval", "soon") ",\"prometheus.io/timeout\":\"0s\","
                                             "\"prometheus.io/sample-limit\":\"-1\"");
    expect(*state, "http://10.0.0.1:8080/metrics container=app\n",
           "pod a bad_value\npod a bad_value\npod a bad_value\n");
}

/* ---- Services ---- */

#define SERVICE_PORT(name, number, target)                                                         \
    "{\"name\":\"" name "\",\"port\":" number ",\"protocol\":\"TCP\",\"targetPort\":" target "}"

static void a_service_is_its_pods_that_the_selector_matches(void **state)
{
    one_pod(*state, "");
    add_pod(*state, "b", "", ONE_PORT, RUNNING("10.0.0.2"));
    add_service(*state, "s", SCRAPE, SELECT_A, SERVICE_PORT("web", "80", "\"http\""));
    expect(*state, "http://10.0.0.1:8080/metrics container=app service=s\n", "");
}

static void ports_of_a_service_are_mapped(void **state)
{
    one_pod(*state, "");
    add_service(*state, "s", SCRAPE, SELECT_A,
                SERVICE_PORT("a", "80", "\"http\"") "," SERVICE_PORT(
                    "b", "81", "9090") ","
                                       "{\"port\":82},{\"port\":83,\"protocol\":\"UDP\"}");
    expect(*state,
           "http://10.0.0.1:8080/metrics container=app service=s\n"
           "http://10.0.0.1:9090/metrics container=app service=s\n"
           "http://10.0.0.1:82/metrics container=app service=s\n",
           "");
    add_service(*state, "s", ALSO("port", "80"), SELECT_A, SERVICE_PORT("a", "80", "\"http\""));
    expect(*state, "http://10.0.0.1:8080/metrics container=app service=s\n", "");
    add_service(*state, "s", ALSO("ports", "a/x,7070,http"), SELECT_A,
                SERVICE_PORT("a", "80", "9999"));
    expect(*state,
           "http://10.0.0.1:9999/x container=app metrics_path=/x service=s\n"
           "http://10.0.0.1:7070/metrics container=app service=s\n"
           "http://10.0.0.1:8080/metrics container=app service=s\n",
           "");
    add_service(*state, "s", SCRAPE, SELECT_A, SERVICE_PORT("a", "80", "\"gone\""));
    expect(*state, "", "service s bad_port\n");
}

static void services_without_pods_here_or_without_a_selector_are_said(void **state)
{
    one_pod(*state, "");
    add_service(*state, "s", SCRAPE, "\"app\":\"other\"", SERVICE_PORT("a", "80", "80"));
    add_service(*state, "t", SCRAPE, "", SERVICE_PORT("a", "80", "80"));
    add_service(*state, "u", SCRAPE, SELECT_A, "");
    add_service(*state, "v", "", "", "");
    expect(*state, "", "service s no_pod\nservice t no_endpoint\nservice u no_port\n");
}

static void add_slice(struct rig *rig, const char *name, const char *service, const char *type,
                      const char *endpoints, const char *ports)
{
    struct strbuf text = STRBUF_GROWING;
    strbuf_addf(&text,
                "{\"metadata\":{\"name\":\"%s\",\"namespace\":\"shop\",\"labels\":{"
                "\"kubernetes.io/service-name\":\"%s\"}},\"addressType\":\"%s\","
                "\"endpoints\":[%s],\"ports\":[%s]}",
                name, service, type, endpoints, ports);
    kube_world_add(&rig->world, KUBE_ENDPOINTSLICES, text.text);
    strbuf_fini(&text);
}

#define ENDPOINT(ip, more) "{\"addresses\":[\"" ip "\"]" more "}"
#define SLICE_PORT         "{\"name\":\"web\",\"port\":8080,\"protocol\":\"TCP\"}"
#define POD_A              ",\"targetRef\":{\"kind\":\"Pod\",\"name\":\"a\"}"

static void a_service_without_selector_is_what_its_slices_say(void **state)
{
    one_pod(*state, "");
    add_service(*state, "s", SCRAPE, "", SERVICE_PORT("web", "80", "8080"));
    add_slice(
        *state, "s-1", "s", "IPv4",
        ENDPOINT("192.0.2.1", ",\"conditions\":{\"ready\":false}") "," ENDPOINT("10.0.0.1", POD_A),
        SLICE_PORT ",{\"name\":\"u\",\"port\":1,\"protocol\":\"UDP\"},{\"name\":\"any\"}");
    add_slice(*state, "s-2", "s", "IPv6", ENDPOINT("fd00::1", ""), SLICE_PORT);
    add_slice(*state, "t-1", "t", "IPv4", ENDPOINT("192.0.2.9", ""), SLICE_PORT);
    expect(*state,
           "http://192.0.2.1:8080/metrics service=s\n"
           "http://10.0.0.1:8080/metrics service=s\n"
           "http://[fd00::1]:8080/metrics service=s\n",
           "");
}

static void ports_of_slices_have_the_names_of_the_services(void **state)
{
    add_slice(*state, "s-1", "s", "IPv4", ENDPOINT("192.0.2.1", ""), SLICE_PORT);
    add_service(*state, "s", ALSO("port", "80"), "", SERVICE_PORT("web", "80", "80"));
    expect(*state, "http://192.0.2.1:8080/metrics service=s\n", "");
    add_service(*state, "s", ALSO("ports", "web/x,8080/y,9/z,gone"), "",
                SERVICE_PORT("web", "80", "80"));
    expect(*state,
           "http://192.0.2.1:8080/x metrics_path=/x service=s\n"
           "http://192.0.2.1:8080/y metrics_path=/y service=s\n"
           "http://192.0.2.1:9/z metrics_path=/z service=s\n",
           "service s bad_port\n");
}

static void a_service_of_both_families_is_scraped_by_its_first(void **state)
{
    struct rig *rig = *state;
    kube_world_add(&rig->world, KUBE_SERVICES,
                   "{\"metadata\":{\"name\":\"s\",\"namespace\":\"shop\",\"annotations\":{" SCRAPE
                   "}},\"spec\":{\"ipFamilies\":[\"IPv6\",\"IPv4\"],\"ports\":[{\"port\":80}]}}");
    add_slice(rig, "s-1", "s", "IPv4", ENDPOINT("192.0.2.1", ""), SLICE_PORT);
    add_slice(rig, "s-2", "s", "IPv6", ENDPOINT("fd00::1", ""), SLICE_PORT);
    expect(rig, "http://[fd00::1]:8080/metrics service=s\n", "");
}

/* Pods on the host's network share its address: a port that two of them have is one target. */
static void pods_on_the_hosts_network_are_told_apart_by_ports(void **state)
{
    add_pod(*state, "a", SCRAPE, CONTAINER("x", PORT("m", "9100")), RUNNING("192.0.2.1"));
    add_pod(*state, "b", SCRAPE, CONTAINER("y", PORT("m", "9101")), RUNNING("192.0.2.1"));
    add_pod(*state, "c", SCRAPE, CONTAINER("z", PORT("m", "9100")), RUNNING("192.0.2.1"));
    add_pod(*state, "d", SCRAPE, CONTAINER("v", PORT("m", "9100")), RUNNING("fd00::1"));
    expect(*state,
           "http://192.0.2.1:9100/metrics container=x\n"
           "http://192.0.2.1:9101/metrics container=y\n"
           "http://[fd00::1]:9100/metrics container=v\n",
           "");
}

static void a_pod_of_another_namespace_is_no_endpoint(void **state)
{
    struct rig *rig = *state;
    kube_world_add(&rig->world, KUBE_PODS,
                   "{\"metadata\":{\"name\":\"m\",\"namespace\":\"bank\",\"labels\":{\"app\":\"a\""
                   "}},\"spec\":{\"containers\":[" ONE_PORT
                   "]},\"status\":{" RUNNING("10.0.0.9") "}}");
    add_service(rig, "s", SCRAPE, SELECT_A, SERVICE_PORT("a", "80", "80"));
    expect(rig, "", "service s no_pod\n");
}

static void a_url_that_pod_and_service_give_is_one_target_of_the_service(void **state)
{
    one_pod(*state, ALSO("ports", "8080/metrics,9090"));
    add_service(*state, "s", SCRAPE, SELECT_A, SERVICE_PORT("web", "80", "8080"));
    add_service(*state, "t", SCRAPE, SELECT_A, SERVICE_PORT("web", "80", "8080"));
    expect(*state,
           "http://10.0.0.1:8080/metrics container=app service=s\n"
           "http://10.0.0.1:9090/metrics container=app\n",
           "");
}

/* ---- Labels ---- */

static int note_labels(struct source_visit *visit, struct slice address,
                       const struct label_set *labels)
{
    struct rig *rig = (struct rig *)(void *)((char *)visit - offsetof(struct rig, visit));
    (void)address;
    for (size_t i = 0; i < labels->count; i++) {
        struct slice name = labels->labels[i].name;
        if (name.len < 2 || memcmp(name.ptr, "__", 2) != 0)
            strbuf_addf(&rig->targets, "%.*s=%.*s ", SLICE_ARG(name),
                        SLICE_ARG(labels->labels[i].value));
        else if (slice_is(name, "__meta_kubernetes_pod_ready"))
            strbuf_addf(&rig->targets, "ready ");
    }
    strbuf_addc(&rig->targets, '\n');
    return 0;
}

static void labels_say_what_a_target_is(void **state)
{
    static const char *const keys[] = {"app.kubernetes.io/name", "pod", "missing"};
    struct rig *rig = *state;
    rig->visit.target = note_labels;
    rig->config.pod_labels = (struct config_strings){keys, 3};
    one_pod(rig, ALSO("port", "1"));
    add_service(rig, "s", ALSO("port", "2"), SELECT_A, SERVICE_PORT("web", "80", "8080"));
    expect(rig,
           "ready app_kubernetes_io_name=web container=app job=kubernetes-services namespace=shop "
           "node=n1 pod=a service=s \n"
           "ready app_kubernetes_io_name=web container=app job=kubernetes-pods namespace=shop "
           "node=n1 pod=a \n",
           "");
    rig->config.pod_labels.len = 0;
    rig->config.job_from_name = true;
    rig->config.services = false;
    expect(rig, "ready container=app job=web namespace=shop node=n1 pod=a \n", "");
}

static void a_visit_that_ends_ends_the_walk(void **state)
{
    struct rig *rig = *state;
    one_pod(rig, SCRAPE);
    add_pod(rig, "b", SCRAPE, ONE_PORT, RUNNING("10.0.0.2"));
    rig->stop_after = 1;
    assert_int_equal(walk(rig), -7);
    assert_string_equal(rig->targets.text, "http://10.0.0.1:8080/metrics container=app\n");
}

/* The same whatever came first, and many of them. */
static void targets_come_in_the_order_of_names(void **state)
{
    struct rig *rig = *state;
    for (int i = 299; i >= 0; i--) {
        char name[16], status[64];
        snprintf(name, sizeof(name), "p%03d", i);
        snprintf(status, sizeof(status), RUNNING("10.0.%d.%d"), i / 100, i % 100);
        add_pod(rig, name, SCRAPE, ONE_PORT, status);
    }
    struct strbuf wanted = STRBUF_GROWING;
    for (int i = 0; i < 300; i++)
        strbuf_addf(&wanted, "http://10.0.%d.%d:8080/metrics container=app\n", i / 100, i % 100);
    expect(rig, wanted.text, "");
    strbuf_fini(&wanted);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make, destroy)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(scrape_must_be_exactly_true),
        TEST(pods_that_are_not_ready_are_scraped),
        TEST(finished_pods_are_not_scraped_and_pending_ones_only_with_an_address),
        TEST(containers_that_have_ended_are_not_scraped),
        TEST(a_mesh_may_be_left_out_or_be_all),
        TEST(without_a_port_each_declared_tcp_port_is_a_target),
        TEST(without_any_port_there_is_no_target_and_it_is_said),
        TEST(a_port_that_is_annotated_is_one_target),
        TEST(ports_of_an_address_of_version_6),
        TEST(a_name_of_a_declared_port_is_a_port),
        TEST(nonsense_ports_are_said_and_harm_nobody_else),
        TEST(several_ports_with_paths_of_their_own),
        TEST(a_container_may_be_named),
        TEST(a_scheme_is_http_or_https),
        TEST(a_query_is_split_off_the_path),
        TEST(parameters_keep_their_names),
        TEST(times_and_limits_within_bounds),
        TEST(what_is_beyond_bounds_is_clamped_and_said),
        TEST(what_cannot_be_read_leaves_the_values_of_the_job),
        TEST(a_service_is_its_pods_that_the_selector_matches),
        TEST(ports_of_a_service_are_mapped),
        TEST(services_without_pods_here_or_without_a_selector_are_said),
        TEST(a_service_without_selector_is_what_its_slices_say),
        TEST(ports_of_slices_have_the_names_of_the_services),
        TEST(a_service_of_both_families_is_scraped_by_its_first),
        TEST(pods_on_the_hosts_network_are_told_apart_by_ports),
        TEST(a_pod_of_another_namespace_is_no_endpoint),
        TEST(a_url_that_pod_and_service_give_is_one_target_of_the_service),
        TEST(labels_say_what_a_target_is),
        TEST(a_visit_that_ends_ends_the_walk),
        TEST(targets_come_in_the_order_of_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
