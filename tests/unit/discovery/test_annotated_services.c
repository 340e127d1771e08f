/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which targets annotations of services ask for, sentence by sentence of docs/kubernetes.md. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/discovery/annotated.h"

static void a_service_is_its_pods_that_the_selector_matches(void **state)
{
    annotated_pod_a(*state, "");
    annotated_pod(*state, "b", "", ONE_PORT, RUNNING("10.0.0.2"));
    annotated_service(*state, "s", SCRAPE, SELECT_A, SERVICE_PORT("web", "80", "\"http\""));
    annotated_expect(*state, "http://10.0.0.1:8080/metrics container=app service=s\n", "");
}

static void ports_of_a_service_are_mapped(void **state)
{
    annotated_pod_a(*state, "");
    annotated_service(*state, "s", SCRAPE, SELECT_A,
                      SERVICE_PORT("a", "80", "\"http\"") "," SERVICE_PORT(
                          "b", "81", "9090") ","
                                             "{\"port\":82},{\"port\":83,\"protocol\":\"UDP\"}");
    annotated_expect(*state,
                     "http://10.0.0.1:8080/metrics container=app service=s\n"
                     "http://10.0.0.1:9090/metrics container=app service=s\n"
                     "http://10.0.0.1:82/metrics container=app service=s\n",
                     "");
    annotated_service(*state, "s", ALSO("port", "80"), SELECT_A,
                      SERVICE_PORT("a", "80", "\"http\""));
    annotated_expect(*state, "http://10.0.0.1:8080/metrics container=app service=s\n", "");
    annotated_service(*state, "s", ALSO("ports", "a/x,7070,http"), SELECT_A,
                      SERVICE_PORT("a", "80", "9999"));
    annotated_expect(*state,
                     "http://10.0.0.1:9999/x container=app metrics_path=/x service=s\n"
                     "http://10.0.0.1:7070/metrics container=app service=s\n"
                     "http://10.0.0.1:8080/metrics container=app service=s\n",
                     "");
    annotated_service(*state, "s", SCRAPE, SELECT_A, SERVICE_PORT("a", "80", "\"gone\""));
    annotated_expect(*state, "", "service s bad_port\n");
}

static void services_without_pods_here_or_without_a_selector_are_said(void **state)
{
    annotated_pod_a(*state, "");
    annotated_service(*state, "s", SCRAPE, "\"app\":\"other\"", SERVICE_PORT("a", "80", "80"));
    annotated_service(*state, "t", SCRAPE, "", SERVICE_PORT("a", "80", "80"));
    annotated_service(*state, "u", SCRAPE, SELECT_A, "");
    annotated_service(*state, "v", "", "", "");
    annotated_expect(*state, "", "service s no_pod\nservice t no_endpoint\nservice u no_port\n");
}

static void add_slice(struct annotated *fixture, const char *name, const char *service,
                      const char *type, const char *endpoints, const char *ports)
{
    struct strbuf text = STRBUF_GROWING;
    strbuf_addf(&text,
                "{\"metadata\":{\"name\":\"%s\",\"namespace\":\"shop\",\"labels\":{"
                "\"kubernetes.io/service-name\":\"%s\"}},\"addressType\":\"%s\","
                "\"endpoints\":[%s],\"ports\":[%s]}",
                name, service, type, endpoints, ports);
    kube_world_add(&fixture->world, KUBE_ENDPOINTSLICES, text.text);
    strbuf_fini(&text);
}

#define ENDPOINT(ip, more) "{\"addresses\":[\"" ip "\"]" more "}"
#define SLICE_PORT         "{\"name\":\"web\",\"port\":8080,\"protocol\":\"TCP\"}"
#define POD_A              ",\"targetRef\":{\"kind\":\"Pod\",\"name\":\"a\"}"

static void a_service_without_selector_is_what_its_slices_say(void **state)
{
    annotated_pod_a(*state, "");
    annotated_service(*state, "s", SCRAPE, "", SERVICE_PORT("web", "80", "8080"));
    add_slice(
        *state, "s-1", "s", "IPv4",
        ENDPOINT("192.0.2.1", ",\"conditions\":{\"ready\":false}") "," ENDPOINT("10.0.0.1", POD_A),
        SLICE_PORT ",{\"name\":\"u\",\"port\":1,\"protocol\":\"UDP\"},{\"name\":\"any\"}");
    add_slice(*state, "s-2", "s", "IPv6", ENDPOINT("fd00::1", ""), SLICE_PORT);
    add_slice(*state, "t-1", "t", "IPv4", ENDPOINT("192.0.2.9", ""), SLICE_PORT);
    annotated_expect(*state,
                     "http://192.0.2.1:8080/metrics service=s\n"
                     "http://10.0.0.1:8080/metrics service=s\n"
                     "http://[fd00::1]:8080/metrics service=s\n",
                     "");
}

static void ports_of_slices_have_the_names_of_the_services(void **state)
{
    add_slice(*state, "s-1", "s", "IPv4", ENDPOINT("192.0.2.1", ""), SLICE_PORT);
    annotated_service(*state, "s", ALSO("port", "80"), "", SERVICE_PORT("web", "80", "80"));
    annotated_expect(*state, "http://192.0.2.1:8080/metrics service=s\n", "");
    annotated_service(*state, "s", ALSO("ports", "web/x,8080/y,9/z,gone"), "",
                      SERVICE_PORT("web", "80", "80"));
    annotated_expect(*state,
                     "http://192.0.2.1:8080/x metrics_path=/x service=s\n"
                     "http://192.0.2.1:8080/y metrics_path=/y service=s\n"
                     "http://192.0.2.1:9/z metrics_path=/z service=s\n",
                     "service s bad_port\n");
}

static void a_service_of_both_families_is_scraped_by_its_first(void **state)
{
    struct annotated *fixture = *state;
    kube_world_add(&fixture->world, KUBE_SERVICES,
                   "{\"metadata\":{\"name\":\"s\",\"namespace\":\"shop\",\"annotations\":{" SCRAPE
                   "}},\"spec\":{\"ipFamilies\":[\"IPv6\",\"IPv4\"],\"ports\":[{\"port\":80}]}}");
    add_slice(fixture, "s-1", "s", "IPv4", ENDPOINT("192.0.2.1", ""), SLICE_PORT);
    add_slice(fixture, "s-2", "s", "IPv6", ENDPOINT("fd00::1", ""), SLICE_PORT);
    annotated_expect(fixture, "http://[fd00::1]:8080/metrics service=s\n", "");
}

static void a_pod_of_another_namespace_is_no_endpoint(void **state)
{
    struct annotated *fixture = *state;
    kube_world_add(&fixture->world, KUBE_PODS,
                   "{\"metadata\":{\"name\":\"m\",\"namespace\":\"bank\",\"labels\":{\"app\":\"a\""
                   "}},\"spec\":{\"containers\":[" ONE_PORT
                   "]},\"status\":{" RUNNING("10.0.0.9") "}}");
    annotated_service(fixture, "s", SCRAPE, SELECT_A, SERVICE_PORT("a", "80", "80"));
    annotated_expect(fixture, "", "service s no_pod\n");
}

static void a_url_that_pod_and_service_give_is_one_target_of_the_service(void **state)
{
    annotated_pod_a(*state, ALSO("ports", "8080/metrics,9090"));
    annotated_service(*state, "s", SCRAPE, SELECT_A, SERVICE_PORT("web", "80", "8080"));
    annotated_service(*state, "t", SCRAPE, SELECT_A, SERVICE_PORT("web", "80", "8080"));
    annotated_expect(*state,
                     "http://10.0.0.1:8080/metrics container=app service=s\n"
                     "http://10.0.0.1:9090/metrics container=app\n",
                     "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ANNOTATED(a_service_is_its_pods_that_the_selector_matches),
        ANNOTATED(ports_of_a_service_are_mapped),
        ANNOTATED(services_without_pods_here_or_without_a_selector_are_said),
        ANNOTATED(a_service_without_selector_is_what_its_slices_say),
        ANNOTATED(ports_of_slices_have_the_names_of_the_services),
        ANNOTATED(a_service_of_both_families_is_scraped_by_its_first),
        ANNOTATED(a_pod_of_another_namespace_is_no_endpoint),
        ANNOTATED(a_url_that_pod_and_service_give_is_one_target_of_the_service),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
