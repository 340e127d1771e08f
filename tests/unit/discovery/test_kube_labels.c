/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Per role: which targets an object becomes, and each of their labels (specification, 7.8, 7.9). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/discovery/kube_world.h"

/* ---- pod ---- */

static const char pod[] =
    "{\"metadata\":{\"name\":\"web-1\",\"namespace\":\"shop\",\"uid\":\"u-1\","
    " \"labels\":{\"app.kubernetes.io/name\":\"web\"},\"annotations\":{\"prometheus.io/scrape\":"
    "\"true\"},"
    " \"ownerReferences\":[{\"kind\":\"Other\",\"name\":\"o\"},"
    "  {\"kind\":\"ReplicaSet\",\"name\":\"web-5f\",\"controller\":true}]},"
    "\"spec\":{\"nodeName\":\"n1\",\"containers\":["
    " {\"name\":\"app\",\"image\":\"app:1\",\"ports\":["
    "  {\"name\":\"http\",\"containerPort\":8080,\"protocol\":\"TCP\"},"
    "  {\"containerPort\":9090,\"protocol\":\"UDP\"}]},"
    " {\"name\":\"side\",\"image\":\"side:2\"}],"
    " \"initContainers\":[{\"name\":\"init\",\"image\":\"init:3\"}]},"
    "\"status\":{\"podIP\":\"10.0.0.1\",\"hostIP\":\"192.0.2.1\",\"phase\":\"Running\","
    " \"conditions\":[{\"type\":\"Initialized\",\"status\":\"True\"},"
    "  {\"type\":\"Ready\",\"status\":\"False\"}],"
    " \"containerStatuses\":[{\"name\":\"app\",\"containerID\":\"containerd://a\"},"
    "  {\"name\":\"init\",\"containerID\":\"containerd://not\"}],"
    " \"initContainerStatuses\":[{\"name\":\"init\",\"containerID\":\"containerd://i\"}]}}";

#define POD_CONTROLLER                                                                             \
    "  ~pod_controller_kind=ReplicaSet\n"                                                          \
    "  ~pod_controller_name=web-5f\n"
#define POD_ANNOTATION                                                                             \
    "  ~pod_annotation_prometheus_io_scrape=true\n"                                                \
    "  ~pod_annotationpresent_prometheus_io_scrape=true\n"
#define POD_HOST                                                                                   \
    "  ~pod_host_ip=192.0.2.1\n"                                                                   \
    "  ~pod_ip=10.0.0.1\n"                                                                         \
    "  ~pod_label_app_kubernetes_io_name=web\n"                                                    \
    "  ~pod_labelpresent_app_kubernetes_io_name=true\n"                                            \
    "  ~pod_name=web-1\n"                                                                          \
    "  ~pod_node_name=n1\n"                                                                        \
    "  ~pod_phase=Running\n"                                                                       \
    "  ~pod_ready=false\n"                                                                         \
    "  ~pod_uid=u-1\n"

static void a_pod_gives_a_target_for_each_port_and_each_container_without(void **state)
{
    kube_world_add(*state, KUBE_PODS, pod);
    kube_world_expect(*state, KUBE_PODS,
                      "10.0.0.1:8080\n"
                      "  ~namespace=shop\n" POD_ANNOTATION "  ~pod_container_id=containerd://a\n"
                      "  ~pod_container_image=app:1\n"
                      "  ~pod_container_init=false\n"
                      "  ~pod_container_name=app\n"
                      "  ~pod_container_port_name=http\n"
                      "  ~pod_container_port_number=8080\n"
                      "  ~pod_container_port_protocol=TCP\n" POD_CONTROLLER POD_HOST
                      "10.0.0.1:9090\n"
                      "  ~namespace=shop\n" POD_ANNOTATION "  ~pod_container_id=containerd://a\n"
                      "  ~pod_container_image=app:1\n"
                      "  ~pod_container_init=false\n"
                      "  ~pod_container_name=app\n"
                      "  ~pod_container_port_number=9090\n"
                      "  ~pod_container_port_protocol=UDP\n" POD_CONTROLLER POD_HOST "10.0.0.1\n"
                      "  ~namespace=shop\n" POD_ANNOTATION "  ~pod_container_image=side:2\n"
                      "  ~pod_container_init=false\n"
                      "  ~pod_container_name=side\n" POD_CONTROLLER POD_HOST "10.0.0.1\n"
                      "  ~namespace=shop\n" POD_ANNOTATION "  ~pod_container_id=containerd://i\n"
                      "  ~pod_container_image=init:3\n"
                      "  ~pod_container_init=true\n"
                      "  ~pod_container_name=init\n" POD_CONTROLLER POD_HOST);
}

static void a_pod_without_an_address_gives_nothing(void **state)
{
    kube_world_add(*state, KUBE_PODS,
                   "{\"metadata\":{\"name\":\"a\",\"namespace\":\"b\"},\"spec\":{\"containers\":["
                   "{\"name\":\"c\"}]},\"status\":{\"phase\":\"Pending\"}}");
    kube_world_expect(*state, KUBE_PODS, "");
}

static void a_pod_of_little_and_ipv6(void **state)
{
    kube_world_add(*state, KUBE_PODS,
                   "{\"metadata\":{\"name\":\"a\",\"namespace\":\"b\",\"labels\":{\"\303\244-x\":"
                   "\"\"}},\"spec\":{\"containers\":[{\"name\":\"c\",\"ports\":[{"
                   "\"containerPort\":1}]}]},\"status\":{\"podIP\":\"fd00::1\"}}");
    kube_world_expect(*state, KUBE_PODS,
                      "[fd00::1]:1\n"
                      "  ~namespace=b\n"
                      "  ~pod_container_init=false\n"
                      "  ~pod_container_name=c\n"
                      "  ~pod_container_port_number=1\n"
                      "  ~pod_ip=fd00::1\n"
                      "  ~pod_labelpresent___x=true\n"
                      "  ~pod_name=a\n"
                      "  ~pod_ready=unknown\n");
}

static const char node[] =
    "{\"metadata\":{\"name\":\"n1\",\"labels\":{\"zone\":\"a\"},\"annotations\":{\"x/y\":\"z\"}},"
    "\"spec\":{\"providerID\":\"test://n1\"},"
    "\"status\":{\"addresses\":[{\"type\":\"Hostname\",\"address\":\"n1\"},"
    " {\"type\":\"ExternalIP\",\"address\":\"198.51.100.1\"},"
    " {\"type\":\"InternalIP\",\"address\":\"192.0.2.1\"},"
    " {\"type\":\"InternalIP\",\"address\":\"192.0.2.2\"}],"
    " \"conditions\":[{\"type\":\"Ready\",\"status\":\"True\"},"
    "  {\"type\":\"DiskPressure\",\"status\":\"Unknown\"}],"
    " \"daemonEndpoints\":{\"kubeletEndpoint\":{\"Port\":10250}}}}";

static void pods_get_labels_of_their_node_and_namespace(void **state)
{
    struct kube_world *world = *state;
    world->view.attach_node = true;
    world->view.attach_namespace = true;
    kube_world_add(world, KUBE_NODES, node);
    kube_world_add(world, KUBE_NAMESPACES,
                   "{\"metadata\":{\"name\":\"b\",\"labels\":{\"team\":\"t\"}}}");
    kube_world_add(world, KUBE_PODS,
                   "{\"metadata\":{\"name\":\"a\",\"namespace\":\"b\"},\"spec\":{\"nodeName\":"
                   "\"n1\",\"containers\":[{\"name\":\"c\"}]},\"status\":{\"podIP\":\"10.0.0.1\"}},"
                   "{\"metadata\":{\"name\":\"of-an-unknown-node\",\"namespace\":\"b\"},\"spec\":{"
                   "\"nodeName\":\"n2\",\"containers\":[{\"name\":\"c\"}]},\"status\":{\"podIP\":"
                   "\"10.0.0.2\"}}");
    kube_world_expect(world, KUBE_PODS,
                      "10.0.0.1\n"
                      "  ~namespace=b\n"
                      "  ~namespace_label_team=t\n"
                      "  ~namespace_labelpresent_team=true\n"
                      "  ~node_annotation_x_y=z\n"
                      "  ~node_annotationpresent_x_y=true\n" KUBE_WORLD_NODE_META
                      "  ~pod_container_init=false\n"
                      "  ~pod_container_name=c\n"
                      "  ~pod_ip=10.0.0.1\n"
                      "  ~pod_name=a\n"
                      "  ~pod_node_name=n1\n"
                      "  ~pod_ready=unknown\n");
}

static void a_pod_knows_who_is_behind_its_controller(void **state)
{
    struct kube_world *world = *state;
    world->view.attach_deployment = true;
    world->view.attach_job = true;
    world->view.attach_cronjob = true;
#define OWNED(name, kind, owner)                                                                   \
    "{\"metadata\":{\"name\":\"" name                                                              \
    "\",\"namespace\":\"b\",\"ownerReferences\":[{\"kind\":\"" kind "\",\"name\":\"" owner         \
    "\",\"controller\":true}]}"
#define POD_REST ",\"spec\":{\"containers\":[{\"name\":\"c\"}]},\"status\":{\"podIP\":\"1.1.1.1\"}}"
    kube_world_add(world, KUBE_REPLICASETS, OWNED("web-5f", "Deployment", "web") "}");
    kube_world_add(world, KUBE_JOBS, OWNED("backup-1", "CronJob", "backup") "}");
    kube_world_add(world, KUBE_PODS, OWNED("p", "ReplicaSet", "web-5f") POD_REST);
    const char *targets = kube_world_targets(world, KUBE_PODS);
    assert_non_null(strstr(targets, "~pod_deployment_name=web\n"));
    assert_null(strstr(targets, "job_name"));
    kube_world_add(world, KUBE_PODS, OWNED("p", "Job", "backup-1") POD_REST);
    targets = kube_world_targets(world, KUBE_PODS);
    assert_non_null(strstr(targets, "~pod_job_name=backup-1\n"));
    assert_non_null(strstr(targets, "~pod_cronjob_name=backup\n"));
    assert_null(strstr(targets, "deployment"));
    kube_world_add(world, KUBE_PODS, OWNED("p", "ReplicaSet", "unknown") POD_REST);
    assert_null(strstr(kube_world_targets(world, KUBE_PODS), "deployment"));
}

/* ---- node ---- */

static void a_node_is_its_kubelet_at_its_best_address(void **state)
{
    kube_world_add(*state, KUBE_NODES, node);
    kube_world_expect(*state, KUBE_NODES,
                      "192.0.2.1:10250\n"
                      "  ~node_address_ExternalIP=198.51.100.1\n"
                      "  ~node_address_Hostname=n1\n"
                      "  ~node_address_InternalIP=192.0.2.1\n"
                      "  ~node_annotation_x_y=z\n"
                      "  ~node_annotationpresent_x_y=true\n"
                      "  ~node_condition_diskpressure=unknown\n"
                      "  ~node_condition_ready=true\n" KUBE_WORLD_NODE_META
                      "  ~node_provider_id=test://n1\n"
                      "  instance=n1\n");
}

static void a_node_without_an_address_gives_nothing(void **state)
{
    kube_world_add(*state, KUBE_NODES, "{\"metadata\":{\"name\":\"n\"}}");
    kube_world_expect(*state, KUBE_NODES, "");
}

/* ---- service ---- */

static void a_service_gives_its_name_with_each_port(void **state)
{
    kube_world_add(
        *state, KUBE_SERVICES,
        "{\"metadata\":{\"name\":\"web\",\"namespace\":\"shop\",\"labels\":{\"a\":\"b\"}},"
        "\"spec\":{\"type\":\"ClusterIP\",\"clusterIP\":\"10.96.0.1\",\"ports\":["
        "{\"name\":\"http\",\"port\":80,\"protocol\":\"TCP\",\"targetPort\":\"x\"},"
        "{\"port\":443,\"protocol\":\"TCP\",\"targetPort\":8443}]}}");
    kube_world_expect(*state, KUBE_SERVICES,
                      "web.shop.svc:80\n"
                      "  ~namespace=shop\n"
                      "  ~service_cluster_ip=10.96.0.1\n"
                      "  ~service_label_a=b\n"
                      "  ~service_labelpresent_a=true\n"
                      "  ~service_name=web\n"
                      "  ~service_port_name=http\n"
                      "  ~service_port_number=80\n"
                      "  ~service_port_protocol=TCP\n"
                      "  ~service_type=ClusterIP\n"
                      "web.shop.svc:443\n"
                      "  ~namespace=shop\n"
                      "  ~service_cluster_ip=10.96.0.1\n"
                      "  ~service_label_a=b\n"
                      "  ~service_labelpresent_a=true\n"
                      "  ~service_name=web\n"
                      "  ~service_port_number=443\n"
                      "  ~service_port_protocol=TCP\n"
                      "  ~service_type=ClusterIP\n");
}

#define SERVICE(spec)                                                                              \
    "{\"metadata\":{\"name\":\"s\",\"namespace\":\"d\"},\"spec\":{\"ports\":[{\"port\":1}]," spec

static void services_outside_say_where(void **state)
{
    struct kube_world *world = *state;
    kube_world_add(world, KUBE_SERVICES,
                   SERVICE("\"type\":\"ExternalName\",\"externalName\":\"e.test\"}}"));
    kube_world_expect(world, KUBE_SERVICES,
                      "s.d.svc:1\n"
                      "  ~namespace=d\n"
                      "  ~service_external_name=e.test\n"
                      "  ~service_name=s\n"
                      "  ~service_port_number=1\n"
                      "  ~service_type=ExternalName\n");
    kube_world_add(world, KUBE_SERVICES,
                   SERVICE("\"type\":\"LoadBalancer\",\"loadBalancerIP\":\"1.1.1.1\"},"
                           "\"status\":{\"loadBalancer\":{\"ingress\":[{\"ip\":\"2.2.2.2\"},"
                           "{\"hostname\":\"h\"},{\"ip\":\"3.3.3.3\"}]}}}"));
    kube_world_expect(world, KUBE_SERVICES,
                      "s.d.svc:1\n"
                      "  ~namespace=d\n"
                      "  ~service_loadbalancer_ip=2.2.2.2,3.3.3.3\n"
                      "  ~service_name=s\n"
                      "  ~service_port_number=1\n"
                      "  ~service_type=LoadBalancer\n");
    kube_world_add(world, KUBE_SERVICES,
                   SERVICE("\"type\":\"LoadBalancer\",\"loadBalancerIP\":\"1.1.1.1\"}}"));
    assert_non_null(
        strstr(kube_world_targets(world, KUBE_SERVICES), "~service_loadbalancer_ip=1.1.1.1\n"));
}

/* ---- ingress ---- */

static void an_ingress_gives_each_path_of_each_rule(void **state)
{
    kube_world_add(*state, KUBE_INGRESSES,
                   "{\"metadata\":{\"name\":\"i\",\"namespace\":\"d\"},\"spec\":{"
                   "\"ingressClassName\":\"nginx\",\"tls\":[{},{\"hosts\":[\"*.b.test\"]}],"
                   "\"rules\":[{\"host\":\"a.test\",\"http\":{\"paths\":[{\"path\":\"/x\"},{}]}},"
                   "{\"host\":\"c.b.test\"},{\"host\":\"d.c.b.test\"}]}}");
#define INGRESS(host, path, scheme)                                                                \
    host "\n"                                                                                      \
         "  ~ingress_class_name=nginx\n"                                                           \
         "  ~ingress_host=" host "\n"                                                              \
         "  ~ingress_name=i\n"                                                                     \
         "  ~ingress_path=" path "\n"                                                              \
         "  ~ingress_scheme=" scheme "\n"                                                          \
         "  ~namespace=d\n"
    kube_world_expect(*state, KUBE_INGRESSES,
                      INGRESS("a.test", "/x", "http") INGRESS("a.test", "/", "http")
                          INGRESS("c.b.test", "/", "https") INGRESS("d.c.b.test", "/", "http"));
}

/* In the order in which they are preferred; each is tried without those before it. */
static void the_best_address_of_a_node_is_taken(void **state)
{
    static const char *const types[] = {"InternalIP",  "InternalDNS",  "ExternalIP",
                                        "ExternalDNS", "LegacyHostIP", "Hostname"};
    struct kube_world *world = *state;
    for (size_t first = 0; first < 6; first++) {
        char wanted[64];
        struct strbuf text = STRBUF_GROWING;
        strbuf_adds(&text, "{\"metadata\":{\"name\":\"n\"},\"status\":{\"addresses\":[");
        for (size_t i = 6; i > first; i--)
            strbuf_addf(&text, "{\"type\":\"%s\",\"address\":\"address-%zu\"}%s", types[i - 1],
                        i - 1, i - 1 > first ? "," : "");
        strbuf_adds(&text, "],\"daemonEndpoints\":{\"kubeletEndpoint\":{\"Port\":1}}}}");
        kube_world_add(world, KUBE_NODES, text.text);
        snprintf(wanted, sizeof(wanted), "address-%zu:1\n", first);
        assert_int_equal(strncmp(kube_world_targets(world, KUBE_NODES), wanted, strlen(wanted)), 0);
        strbuf_fini(&text);
    }
}

static void keys_that_become_the_same_name_are_one_label(void **state)
{
    struct kube_world *world = *state;
    kube_world_add(world, KUBE_PODS,
                   "{\"metadata\":{\"name\":\"a\",\"namespace\":\"b\",\"labels\":{\"x.y\":\"1\","
                   "\"x/y\":\"2\"}},\"spec\":{\"containers\":[{\"name\":\"c\"}]},\"status\":{"
                   "\"podIP\":\"10.0.0.1\"}}");
    const char *targets = kube_world_targets(world, KUBE_PODS);
    const char *label = strstr(targets, "~pod_label_x_y=");
    assert_non_null(label);
    assert_null(strstr(label + 1, "~pod_label_x_y="));
}

/* ---- memory ---- */

static void a_pod_takes_less_than_four_kib(void **state)
{
    struct kube_world *world = *state;
    struct strbuf text = STRBUF_GROWING;
    strbuf_adds(&text, "{\"metadata\":{\"name\":\"web-5f6c7d8e9f-abcde\",\"namespace\":\"shop\","
                       "\"uid\":\"01234567-89ab-cdef-0123-456789abcdef\",\"labels\":{");
    for (int i = 0; i < 10; i++)
        strbuf_addf(&text, "%s\"app.kubernetes.io/label-%d\":\"some-value-%d\"", i > 0 ? "," : "",
                    i, i);
    strbuf_adds(&text, "},\"annotations\":{");
    for (int i = 0; i < 10; i++)
        strbuf_addf(&text, "%s\"annotation.example.com/some-%d\":\"a longer value of %d bytes\"",
                    i > 0 ? "," : "", i, i);
    strbuf_adds(&text,
                "}},\"spec\":{\"volumes\":[{\"name\":\"kube-api-access\"}],\"containers\":[");
    for (int i = 0; i < 4; i++)
        strbuf_addf(&text,
                    "%s{\"name\":\"container-%d\",\"image\":\"registry.example.com/team/program-%d:"
                    "v1.2.3\",\"env\":[{\"name\":\"A\",\"value\":\"b\"}],\"ports\":[{\"name\":"
                    "\"metrics\",\"containerPort\":%d,\"protocol\":\"TCP\"}]}",
                    i > 0 ? "," : "", i, i, 8000 + i);
    strbuf_adds(&text, "]},\"status\":{\"podIP\":\"10.0.0.1\",\"containerStatuses\":[");
    for (int i = 0; i < 4; i++)
        strbuf_addf(&text, "%s{\"name\":\"container-%d\",\"containerID\":\"containerd://%064d\"}",
                    i > 0 ? "," : "", i, i);
    strbuf_adds(&text, "]}}");
    kube_world_add(world, KUBE_PODS, text.text);
    strbuf_fini(&text);
    assert_in_range(world->stores[KUBE_PODS].bytes, 1024, 4096 - 256);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        KUBE_WORLD(a_pod_gives_a_target_for_each_port_and_each_container_without),
        KUBE_WORLD(a_pod_without_an_address_gives_nothing),
        KUBE_WORLD(a_pod_of_little_and_ipv6),
        KUBE_WORLD(pods_get_labels_of_their_node_and_namespace),
        KUBE_WORLD(a_pod_knows_who_is_behind_its_controller),
        KUBE_WORLD(a_node_is_its_kubelet_at_its_best_address),
        KUBE_WORLD(a_node_without_an_address_gives_nothing),
        KUBE_WORLD(a_service_gives_its_name_with_each_port),
        KUBE_WORLD(services_outside_say_where),
        KUBE_WORLD(an_ingress_gives_each_path_of_each_rule),
        KUBE_WORLD(the_best_address_of_a_node_is_taken),
        KUBE_WORLD(keys_that_become_the_same_name_are_one_label),
        KUBE_WORLD(a_pod_takes_less_than_four_kib),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
