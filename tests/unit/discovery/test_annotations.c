/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which targets annotations ask for, sentence by sentence of docs/kubernetes.md. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/discovery/annotated.h"

/* ---- Which pods ---- */

static void scrape_must_be_exactly_true(void **state)
{
    static const char *const others[] = {
        "", "\"prometheus.io/scrape\":\"\"", "\"prometheus.io/scrape\":\"false\"",
        "\"prometheus.io/Scrape\":\"true\"", "\"xprometheus.io/scrape\":\"true\""};
    static const char *const wrong[] = {"\"prometheus.io/scrape\":\"True\"",
                                        "\"prometheus.io/scrape\":\"true \"",
                                        "\"prometheus.io/scrape\":\"1\""};
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        annotated_pod_a(*state, others[i]);
        annotated_service(*state, "s", others[i], SELECT_A, "");
        annotated_expect(*state, "", "");
    }
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        annotated_pod_a(*state, wrong[i]);
        annotated_service(*state, "s", wrong[i], SELECT_A, "");
        annotated_expect(*state, "", "service s bad_scrape\npod a bad_scrape\n");
    }
    annotated_service(*state, "s", "", SELECT_A, "");
    annotated_pod_a(*state, SCRAPE);
    annotated_expect(*state, "http://10.0.0.1:8080/metrics container=app\n", "");
}

static void pods_that_are_not_ready_are_scraped(void **state)
{
    annotated_pod(
        *state, "a", SCRAPE, ONE_PORT,
        RUNNING("10.0.0.1") ",\"conditions\":[{\"type\":\"Ready\",\"status\":\"False\"}]");
    annotated_expect(*state, "http://10.0.0.1:8080/metrics container=app\n", "");
}

static void finished_pods_are_not_scraped_and_pending_ones_only_with_an_address(void **state)
{
    annotated_pod(*state, "a", SCRAPE, ONE_PORT, "\"podIP\":\"10.0.0.1\",\"phase\":\"Succeeded\"");
    annotated_pod(*state, "b", SCRAPE, ONE_PORT, "\"podIP\":\"10.0.0.2\",\"phase\":\"Failed\"");
    annotated_pod(*state, "c", SCRAPE, ONE_PORT, "\"phase\":\"Pending\"");
    annotated_pod(*state, "d", SCRAPE, ONE_PORT, "\"podIP\":\"10.0.0.4\",\"phase\":\"Pending\"");
    annotated_expect(*state, "http://10.0.0.4:8080/metrics container=app\n",
                     "pod a finished\npod b finished\npod c no_address\n");
}

static void containers_that_have_ended_are_not_scraped(void **state)
{
    annotated_pod(
        *state, "a", SCRAPE, CONTAINER("job", PORT("j", "1")) "," ONE_PORT,
        RUNNING("10.0.0.1") ",\"containerStatuses\":[{\"name\":\"job\",\"state\":{"
                            "\"terminated\":{\"exitCode\":0}}},{\"name\":\"app\",\"state\":{"
                            "\"running\":{}}}]");
    annotated_expect(*state, "http://10.0.0.1:8080/metrics container=app\n", "");
}

static void a_mesh_may_be_left_out_or_be_all(void **state)
{
    struct annotated *fixture = *state;
    annotated_pod_a(fixture, SCRAPE);
    kube_world_add(&fixture->world, KUBE_PODS,
                   "{\"metadata\":{\"name\":\"m\",\"namespace\":\"shop\",\"labels\":{"
                   "\"security.istio.io/tlsMode\":\"istio\"},\"annotations\":{" SCRAPE "}},"
                   "\"spec\":{\"containers\":[" ONE_PORT
                   "]},\"status\":{" RUNNING("10.0.0.9") "}}");
    fixture->config.mesh = CONFIG_MESH_INSIDE;
    annotated_expect(fixture, "http://10.0.0.9:8080/metrics container=app\n", "pod a other_mesh\n");
    fixture->config.mesh = CONFIG_MESH_OUTSIDE;
    annotated_expect(fixture, "http://10.0.0.1:8080/metrics container=app\n", "pod m other_mesh\n");
}

/* ---- Ports ---- */

static void without_a_port_each_declared_tcp_port_is_a_target(void **state)
{
    annotated_pod(
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
    annotated_expect(*state,
                     "http://10.0.0.1:8080/metrics container=app\n"
                     "http://10.0.0.1:9090/metrics container=app\n"
                     "http://10.0.0.1:7070/metrics container=side\n",
                     "");
}

static void without_any_port_there_is_no_target_and_it_is_said(void **state)
{
    annotated_pod(*state, "a", SCRAPE, CONTAINER("app", ""), RUNNING("10.0.0.1"));
    annotated_expect(*state, "", "pod a no_port\n");
}

static void a_port_that_is_annotated_is_one_target(void **state)
{
    annotated_pod(*state, "a", ALSO("port", "7070"),
                  CONTAINER("app", PORT("http", "8080")) "," CONTAINER("side", PORT("x", "7070")),
                  RUNNING("10.0.0.1"));
    annotated_expect(*state, "http://10.0.0.1:7070/metrics container=side\n", "");
    annotated_pod_a(*state, ALSO("port", "1234"));
    annotated_expect(*state, "http://10.0.0.1:1234/metrics container=app\n", "");
    annotated_pod_a(*state, ALSO("port", "08080"));
    annotated_expect(*state, "http://10.0.0.1:8080/metrics container=app\n", "");
}

static void ports_of_an_address_of_version_6(void **state)
{
    annotated_pod(*state, "a", ALSO("port", "1234"), ONE_PORT, RUNNING("fd00::1"));
    annotated_pod(*state, "b", SCRAPE, ONE_PORT, RUNNING("fd00::2"));
    annotated_expect(*state,
                     "http://[fd00::1]:1234/metrics container=app\n"
                     "http://[fd00::2]:8080/metrics container=app\n",
                     "");
}

static void a_name_of_a_declared_port_is_a_port(void **state)
{
    annotated_pod_a(*state, ALSO("port", "http"));
    annotated_expect(*state, "http://10.0.0.1:8080/metrics container=app\n", "");
}

static void nonsense_ports_are_said_and_harm_nobody_else(void **state)
{
    static const char *const ports[] = {
        "0", "65536", "99999999999999999999", "-1", "80a", "8080/x", " ", "http2", "8 0"};
    annotated_pod(*state, "b", SCRAPE, ONE_PORT, RUNNING("10.0.0.2"));
    for (size_t i = 0; i < sizeof(ports) / sizeof(ports[0]); i++) {
        char annotations[128];
        snprintf(annotations, sizeof(annotations), ALSO("port", "%s"), ports[i]);
        annotated_pod_a(*state, annotations);
        annotated_expect(*state, "http://10.0.0.2:8080/metrics container=app\n",
                         "pod a bad_port\n");
    }
}

static void several_ports_with_paths_of_their_own(void **state)
{
    annotated_pod_a(*state,
                    ALSO("ports", "8080/metrics, 9090/other?x=1,7070") ",\"prometheus.io/path\":"
                                                                       "\"/p\"");
    annotated_expect(
        *state,
        "http://10.0.0.1:8080/metrics container=app metrics_path=/metrics\n"
        "http://10.0.0.1:9090/other __param_x=1 container=app metrics_path=/other?x=1\n"
        "http://10.0.0.1:7070/p container=app\n",
        "");
    annotated_pod_a(*state, ALSO("ports", "8080,,x/y,99999"));
    annotated_expect(*state, "http://10.0.0.1:8080/metrics container=app\n",
                     "pod a bad_port\npod a bad_port\npod a bad_port\n");
}

static void a_container_may_be_named(void **state)
{
    static const char containers[] =
        CONTAINER("app", PORT("m", "8080")) "," CONTAINER("side", PORT("m", "7070"));
    annotated_pod(*state, "a", ALSO("container", "side"), containers, RUNNING("10.0.0.1"));
    annotated_expect(*state, "http://10.0.0.1:7070/metrics container=side\n", "");
    annotated_pod(*state, "a", ALSO("container", "side") ",\"prometheus.io/port\":\"m\"",
                  containers, RUNNING("10.0.0.1"));
    annotated_expect(*state, "http://10.0.0.1:7070/metrics container=side\n", "");
    annotated_pod(*state, "a", ALSO("container", "init"), containers, RUNNING("10.0.0.1"));
    annotated_expect(*state, "", "pod a no_container\n");
}

/* Pods on the host's network share its address: a port that two of them have is one target. */
static void pods_on_the_hosts_network_are_told_apart_by_ports(void **state)
{
    annotated_pod(*state, "a", SCRAPE, CONTAINER("x", PORT("m", "9100")), RUNNING("192.0.2.1"));
    annotated_pod(*state, "b", SCRAPE, CONTAINER("y", PORT("m", "9101")), RUNNING("192.0.2.1"));
    annotated_pod(*state, "c", SCRAPE, CONTAINER("z", PORT("m", "9100")), RUNNING("192.0.2.1"));
    annotated_pod(*state, "d", SCRAPE, CONTAINER("v", PORT("m", "9100")), RUNNING("fd00::1"));
    annotated_expect(*state,
                     "http://192.0.2.1:9100/metrics container=x\n"
                     "http://192.0.2.1:9101/metrics container=y\n"
                     "http://[fd00::1]:9100/metrics container=v\n",
                     "");
}

/* ---- Scheme, path, parameters ---- */

static void a_scheme_is_http_or_https(void **state)
{
    annotated_pod_a(*state, ALSO("scheme", "https"));
    annotated_expect(*state, "https://10.0.0.1:8080/metrics container=app\n", "");
    annotated_pod_a(*state, ALSO("scheme", "HTTPS"));
    annotated_expect(*state, "", "pod a bad_scheme\n");
    annotated_pod_a(*state, ALSO("scheme", "ftp"));
    annotated_expect(*state, "", "pod a bad_scheme\n");
}

static void a_query_is_split_off_the_path(void **state)
{
    annotated_pod_a(*state, ALSO("path", "/m?a=1&b=x%20y+z&a=2&c#f"));
    annotated_expect(
        *state, "http://10.0.0.1:8080/m __param_a=1 __param_b=x y z __param_c= container=app\n",
        "");
    annotated_pod_a(*state, ALSO("path", "?a=1"));
    annotated_expect(*state, "http://10.0.0.1:8080/metrics __param_a=1 container=app\n", "");
    annotated_pod_a(*state, ALSO("path", "m"));
    annotated_expect(*state, "http://10.0.0.1:8080/m container=app\n", "");
    annotated_pod_a(*state, ALSO("path", ""));
    annotated_expect(*state, "http://10.0.0.1:8080/metrics container=app\n", "");
}

static void parameters_keep_their_names(void **state)
{
    annotated_pod_a(*state, ALSO("param_x-y.z", "v") ",\"prometheus.io/param_\":\"w\"");
    annotated_expect(*state, "http://10.0.0.1:8080/metrics __param_x-y.z=v container=app\n", "");
}

/* ---- Times and limits ---- */

static void times_and_limits_within_bounds(void **state)
{
    struct annotated *fixture = *state;
    fixture->config.max_sample_limit = 1000;
    annotated_pod_a(fixture, ALSO("interval", "1m") ",\"prometheus.io/timeout\":\"5s\","
                                                    "\"prometheus.io/sample-limit\":\"1000\"");
    annotated_expect(fixture,
                     "http://10.0.0.1:8080/metrics __sample_limit__=1000 __scrape_interval__=1m "
                     "__scrape_timeout__=5s container=app\n",
                     "");
}

static void what_is_beyond_bounds_is_clamped_and_said(void **state)
{
    struct annotated *fixture = *state;
    fixture->config.max_sample_limit = 1000;
    annotated_pod_a(fixture, ALSO("interval", "1s") ",\"prometheus.io/timeout\":\"20s\","
                                                    "\"prometheus.io/sample-limit\":\"1001\"");
    annotated_expect(fixture,
                     "http://10.0.0.1:8080/metrics __sample_limit__=1000 __scrape_interval__=5s "
                     "__scrape_timeout__=5s container=app\n",
                     "pod a clamped\npod a clamped\npod a clamped\n");
    annotated_pod_a(fixture, ALSO("interval", "1h"));
    annotated_expect(fixture, "http://10.0.0.1:8080/metrics __scrape_interval__=5m container=app\n",
                     "pod a clamped\n");
}

static void what_cannot_be_read_leaves_the_values_of_the_job(void **state)
{
    annotated_pod_a(*state, ALSO("interval", "soon") ",\"prometheus.io/timeout\":\"0s\","
                                                     "\"prometheus.io/sample-limit\":\"-1\"");
    annotated_expect(*state, "http://10.0.0.1:8080/metrics container=app\n",
                     "pod a bad_value\npod a bad_value\npod a bad_value\n");
}

/* ---- Labels ---- */

static int note_labels(struct source_visit *visit, struct slice address,
                       const struct label_set *labels)
{
    struct annotated *fixture =
        (struct annotated *)(void *)((char *)visit - offsetof(struct annotated, visit));
    (void)address;
    for (size_t i = 0; i < labels->count; i++) {
        struct slice name = labels->labels[i].name;
        if (name.len < 2 || memcmp(name.ptr, "__", 2) != 0)
            strbuf_addf(&fixture->targets, "%.*s=%.*s ", SLICE_ARG(name),
                        SLICE_ARG(labels->labels[i].value));
        else if (slice_is(name, "__meta_kubernetes_pod_ready"))
            strbuf_addf(&fixture->targets, "ready ");
    }
    strbuf_addc(&fixture->targets, '\n');
    return 0;
}

static void labels_say_what_a_target_is(void **state)
{
    static const char *const keys[] = {"app.kubernetes.io/name", "pod", "missing"};
    struct annotated *fixture = *state;
    fixture->visit.target = note_labels;
    fixture->config.pod_labels = (struct config_strings){keys, 3};
    annotated_pod_a(fixture, ALSO("port", "1"));
    annotated_service(fixture, "s", ALSO("port", "2"), SELECT_A, SERVICE_PORT("web", "80", "8080"));
    annotated_expect(
        fixture,
        "ready app_kubernetes_io_name=web container=app job=kubernetes-services namespace=shop "
        "node=n1 pod=a service=s \n"
        "ready app_kubernetes_io_name=web container=app job=kubernetes-pods namespace=shop "
        "node=n1 pod=a \n",
        "");
    fixture->config.pod_labels.len = 0;
    fixture->config.job_from_name = true;
    fixture->config.services = false;
    annotated_expect(fixture, "ready container=app job=web namespace=shop node=n1 pod=a \n", "");
}

static void a_visit_that_ends_ends_the_walk(void **state)
{
    struct annotated *fixture = *state;
    annotated_pod_a(fixture, SCRAPE);
    annotated_pod(fixture, "b", SCRAPE, ONE_PORT, RUNNING("10.0.0.2"));
    fixture->stop_after = 1;
    assert_int_equal(annotated_walk(fixture), -7);
    assert_string_equal(fixture->targets.text, "http://10.0.0.1:8080/metrics container=app\n");
}

/* The same whatever came first, and many of them. */
static void targets_come_in_the_order_of_names(void **state)
{
    struct annotated *fixture = *state;
    for (int i = 299; i >= 0; i--) {
        char name[16], status[64];
        snprintf(name, sizeof(name), "p%03d", i);
        snprintf(status, sizeof(status), RUNNING("10.0.%d.%d"), i / 100, i % 100);
        annotated_pod(fixture, name, SCRAPE, ONE_PORT, status);
    }
    struct strbuf wanted = STRBUF_GROWING;
    for (int i = 0; i < 300; i++)
        strbuf_addf(&wanted, "http://10.0.%d.%d:8080/metrics container=app\n", i / 100, i % 100);
    annotated_expect(fixture, wanted.text, "");
    strbuf_fini(&wanted);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ANNOTATED(scrape_must_be_exactly_true),
        ANNOTATED(pods_that_are_not_ready_are_scraped),
        ANNOTATED(finished_pods_are_not_scraped_and_pending_ones_only_with_an_address),
        ANNOTATED(containers_that_have_ended_are_not_scraped),
        ANNOTATED(a_mesh_may_be_left_out_or_be_all),
        ANNOTATED(without_a_port_each_declared_tcp_port_is_a_target),
        ANNOTATED(without_any_port_there_is_no_target_and_it_is_said),
        ANNOTATED(a_port_that_is_annotated_is_one_target),
        ANNOTATED(ports_of_an_address_of_version_6),
        ANNOTATED(a_name_of_a_declared_port_is_a_port),
        ANNOTATED(nonsense_ports_are_said_and_harm_nobody_else),
        ANNOTATED(several_ports_with_paths_of_their_own),
        ANNOTATED(a_container_may_be_named),
        ANNOTATED(pods_on_the_hosts_network_are_told_apart_by_ports),
        ANNOTATED(a_scheme_is_http_or_https),
        ANNOTATED(a_query_is_split_off_the_path),
        ANNOTATED(parameters_keep_their_names),
        ANNOTATED(times_and_limits_within_bounds),
        ANNOTATED(what_is_beyond_bounds_is_clamped_and_said),
        ANNOTATED(what_cannot_be_read_leaves_the_values_of_the_job),
        ANNOTATED(labels_say_what_a_target_is),
        ANNOTATED(a_visit_that_ends_ends_the_walk),
        ANNOTATED(targets_come_in_the_order_of_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
