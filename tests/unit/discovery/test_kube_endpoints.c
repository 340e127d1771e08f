/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which targets endpoints and slices become, and what is attached (specification, 7.8, 7.9). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/discovery/kube_world.h"

static const char simple_pod[] =
    "{\"metadata\":{\"name\":\"p\",\"namespace\":\"d\",\"uid\":\"u\"},\"spec\":{\"nodeName\":"
    "\"n1\",\"containers\":[{\"name\":\"c\",\"image\":\"i\",\"ports\":[{\"name\":\"m\","
    "\"containerPort\":80,\"protocol\":\"TCP\"},{\"name\":\"other\",\"containerPort\":81,"
    "\"protocol\":\"TCP\"}]}],\"initContainers\":[{\"name\":\"in\",\"image\":\"j\",\"ports\":[{"
    "\"containerPort\":82,\"protocol\":\"TCP\"}]}]},\"status\":{\"podIP\":\"10.0.0.1\","
    "\"phase\":\"Running\"}}";

static const char simple_service[] =
    "{\"metadata\":{\"name\":\"s\",\"namespace\":\"d\",\"annotations\":{\"k\":\"v\"}},\"spec\":{"
    "\"ports\":[{\"port\":80}]}}";

#define SERVICE_META                                                                               \
    "  ~service_annotation_k=v\n"                                                                  \
    "  ~service_annotationpresent_k=true\n"                                                        \
    "  ~service_name=s\n"

#define SIMPLE_POD                                                                                 \
    "  ~pod_ip=10.0.0.1\n"                                                                         \
    "  ~pod_name=p\n"                                                                              \
    "  ~pod_node_name=n1\n"                                                                        \
    "  ~pod_phase=Running\n"                                                                       \
    "  ~pod_ready=unknown\n"                                                                       \
    "  ~pod_uid=u\n"

static void endpoints_give_addresses_with_their_pods_and_the_pods_other_ports(void **state)
{
    struct kube_world *world = *state;
    kube_world_add(world, KUBE_PODS, simple_pod);
    kube_world_add(world, KUBE_SERVICES, simple_service);
    kube_world_add(world, KUBE_ENDPOINTS,
                   "{\"metadata\":{\"name\":\"s\",\"namespace\":\"d\",\"labels\":{\"e\":\"f\"}},"
                   "\"subsets\":[{\"addresses\":[{\"ip\":\"10.0.0.1\",\"nodeName\":\"n1\","
                   "\"hostname\":\"h\",\"targetRef\":{\"kind\":\"Pod\",\"name\":\"p\","
                   "\"namespace\":\"d\"}}],\"notReadyAddresses\":[{\"ip\":\"fd00::2\"}],"
                   "\"ports\":[{\"name\":\"http\",\"port\":80,\"protocol\":\"TCP\"}]}]}");
#define ENDPOINTS_META                                                                             \
    "  ~endpoints_label_e=f\n"                                                                     \
    "  ~endpoints_labelpresent_e=true\n"                                                           \
    "  ~endpoints_name=s\n"                                                                        \
    "  ~namespace=d\n"
    kube_world_expect(world, KUBE_ENDPOINTS,
                      "10.0.0.1:80\n"
                      "  ~endpoint_address_target_kind=Pod\n"
                      "  ~endpoint_address_target_name=p\n"
                      "  ~endpoint_hostname=h\n"
                      "  ~endpoint_node_name=n1\n"
                      "  ~endpoint_port_name=http\n"
                      "  ~endpoint_port_protocol=TCP\n"
                      "  ~endpoint_ready=true\n" ENDPOINTS_META "  ~pod_container_image=i\n"
                      "  ~pod_container_init=false\n"
                      "  ~pod_container_name=c\n"
                      "  ~pod_container_port_name=m\n"
                      "  ~pod_container_port_number=80\n"
                      "  ~pod_container_port_protocol=TCP\n" SIMPLE_POD SERVICE_META
                      "[fd00::2]:80\n"
                      "  ~endpoint_port_name=http\n"
                      "  ~endpoint_port_protocol=TCP\n"
                      "  ~endpoint_ready=false\n" ENDPOINTS_META SERVICE_META
                      "10.0.0.1:81\n" ENDPOINTS_META "  ~pod_container_image=i\n"
                      "  ~pod_container_init=false\n"
                      "  ~pod_container_name=c\n"
                      "  ~pod_container_port_name=other\n"
                      "  ~pod_container_port_number=81\n"
                      "  ~pod_container_port_protocol=TCP\n" SIMPLE_POD SERVICE_META
                      "10.0.0.1:82\n" ENDPOINTS_META "  ~pod_container_image=j\n"
                      "  ~pod_container_init=true\n"
                      "  ~pod_container_name=in\n"
                      "  ~pod_container_port_number=82\n"
                      "  ~pod_container_port_protocol=TCP\n" SIMPLE_POD SERVICE_META);
}

static void endpoints_of_nodes_get_their_labels(void **state)
{
    struct kube_world *world = *state;
    world->view.attach_node = true;
    kube_world_add(world, KUBE_NODES,
                   "{\"metadata\":{\"name\":\"n1\",\"labels\":{\"zone\":\"a\"}}}");
    kube_world_add(world, KUBE_ENDPOINTS,
                   "{\"metadata\":{\"name\":\"kubelet\",\"namespace\":\"d\"},\"subsets\":[{"
                   "\"addresses\":[{\"ip\":\"192.0.2.1\",\"targetRef\":{\"kind\":\"Node\","
                   "\"name\":\"n1\"}}],\"ports\":[{\"port\":10250}]}]}");
    kube_world_expect(world, KUBE_ENDPOINTS,
                      "192.0.2.1:10250\n"
                      "  ~endpoint_address_target_kind=Node\n"
                      "  ~endpoint_address_target_name=n1\n"
                      "  ~endpoint_ready=true\n"
                      "  ~endpoints_name=kubelet\n"
                      "  ~namespace=d\n" KUBE_WORLD_NODE_META);
}

#define SLICE(name, family, address)                                                               \
    "{\"metadata\":{\"name\":\"" name "\",\"namespace\":\"d\",\"labels\":{"                        \
    "\"kubernetes.io/service-name\":\"s\"}},\"addressType\":\"" family "\",\"endpoints\":[{"       \
    "\"addresses\":[\"" address "\"],\"conditions\":{\"ready\":true,\"serving\":true,"             \
    "\"terminating\":false},\"hostname\":\"h\",\"nodeName\":\"n1\",\"zone\":\"z\","                \
    "\"deprecatedTopology\":{\"t/k\":\"v\"},\"targetRef\":{\"kind\":\"Pod\",\"name\":\"p\","       \
    "\"namespace\":\"d\"}}],\"ports\":[{\"name\":\"http\",\"port\":80,\"protocol\":\"TCP\","       \
    "\"appProtocol\":\"h2\"}]}"

#define SLICE_META                                                                                 \
    "  ~endpointslice_label_kubernetes_io_service_name=s\n"                                        \
    "  ~endpointslice_labelpresent_kubernetes_io_service_name=true\n"                              \
    "  ~endpointslice_name=s-1\n"

static void slices_give_what_endpoints_do_and_more(void **state)
{
    struct kube_world *world = *state;
    kube_world_add(world, KUBE_PODS, simple_pod);
    kube_world_add(world, KUBE_SERVICES, simple_service);
    kube_world_add(world, KUBE_ENDPOINTSLICES, SLICE("s-1", "IPv4", "10.0.0.1"));
    kube_world_expect(world, KUBE_ENDPOINTSLICES,
                      "10.0.0.1:80\n"
                      "  ~endpointslice_address_target_kind=Pod\n"
                      "  ~endpointslice_address_target_name=p\n"
                      "  ~endpointslice_address_type=IPv4\n"
                      "  ~endpointslice_endpoint_conditions_ready=true\n"
                      "  ~endpointslice_endpoint_conditions_serving=true\n"
                      "  ~endpointslice_endpoint_conditions_terminating=false\n"
                      "  ~endpointslice_endpoint_hostname=h\n"
                      "  ~endpointslice_endpoint_node_name=n1\n"
                      "  ~endpointslice_endpoint_topology_present_t_k=true\n"
                      "  ~endpointslice_endpoint_topology_t_k=v\n"
                      "  ~endpointslice_endpoint_zone=z\n" SLICE_META "  ~endpointslice_port=80\n"
                      "  ~endpointslice_port_app_protocol=h2\n"
                      "  ~endpointslice_port_name=http\n"
                      "  ~endpointslice_port_protocol=TCP\n"
                      "  ~namespace=d\n"
                      "  ~pod_container_image=i\n"
                      "  ~pod_container_init=false\n"
                      "  ~pod_container_name=c\n"
                      "  ~pod_container_port_name=m\n"
                      "  ~pod_container_port_number=80\n"
                      "  ~pod_container_port_protocol=TCP\n" SIMPLE_POD SERVICE_META "10.0.0.1:81\n"
                      "  ~endpointslice_address_type=IPv4\n" SLICE_META "  ~namespace=d\n"
                      "  ~pod_container_image=i\n"
                      "  ~pod_container_init=false\n"
                      "  ~pod_container_name=c\n"
                      "  ~pod_container_port_name=other\n"
                      "  ~pod_container_port_number=81\n"
                      "  ~pod_container_port_protocol=TCP\n" SIMPLE_POD SERVICE_META "10.0.0.1:82\n"
                      "  ~endpointslice_address_type=IPv4\n" SLICE_META "  ~namespace=d\n"
                      "  ~pod_container_image=j\n"
                      "  ~pod_container_init=true\n"
                      "  ~pod_container_name=in\n"
                      "  ~pod_container_port_number=82\n"
                      "  ~pod_container_port_protocol=TCP\n" SIMPLE_POD SERVICE_META);
}

static void slices_of_the_secondary_family_give_nothing(void **state)
{
    struct kube_world *world = *state;
    kube_world_add(world, KUBE_SERVICES,
                   "{\"metadata\":{\"name\":\"s\",\"namespace\":\"d\"},\"spec\":{\"ipFamilies\":["
                   "\"IPv6\",\"IPv4\"]}}");
    kube_world_add(world, KUBE_ENDPOINTSLICES, SLICE("s-1", "IPv4", "10.0.0.1"));
    kube_world_expect(world, KUBE_ENDPOINTSLICES, "");
    kube_world_add(world, KUBE_ENDPOINTSLICES, SLICE("s-2", "IPv6", "fd00::1"));
    assert_non_null(strstr(kube_world_targets(world, KUBE_ENDPOINTSLICES), "[fd00::1]:80\n"));
}

static void a_slice_without_a_port_gives_bare_addresses(void **state)
{
    kube_world_add(*state, KUBE_ENDPOINTSLICES,
                   "{\"metadata\":{\"name\":\"s\",\"namespace\":\"d\"},\"addressType\":\"FQDN\","
                   "\"endpoints\":[{\"addresses\":[\"a.test\",\"b.test\"]}],\"ports\":[{\"port\":"
                   "null}]}");
    kube_world_expect(*state, KUBE_ENDPOINTSLICES,
                      "a.test\n"
                      "  ~endpointslice_address_type=FQDN\n"
                      "  ~endpointslice_name=s\n"
                      "  ~namespace=d\n"
                      "b.test\n"
                      "  ~endpointslice_address_type=FQDN\n"
                      "  ~endpointslice_name=s\n"
                      "  ~namespace=d\n");
}

/* ---- what is attached, whatever the role ---- */

static const char namespace_d[] = "{\"metadata\":{\"name\":\"d\",\"labels\":{\"team\":\"t\"},"
                                  "\"annotations\":{\"a/b\":\"c\"}}}";

#define NAMESPACE_META                                                                             \
    "  ~namespace_annotation_a_b=c\n"                                                              \
    "  ~namespace_annotationpresent_a_b=true\n"                                                    \
    "  ~namespace_label_team=t\n"                                                                  \
    "  ~namespace_labelpresent_team=true\n"

static void a_service_and_an_ingress_get_labels_of_their_namespace(void **state)
{
    struct kube_world *world = *state;
    world->view.attach_namespace = true;
    kube_world_add(world, KUBE_NAMESPACES, namespace_d);
    kube_world_add(world, KUBE_SERVICES, simple_service);
    kube_world_expect(world, KUBE_SERVICES,
                      "s.d.svc:80\n"
                      "  ~namespace=d\n" NAMESPACE_META SERVICE_META "  ~service_port_number=80\n");
    kube_world_add(world, KUBE_INGRESSES,
                   "{\"metadata\":{\"name\":\"i\",\"namespace\":\"d\",\"labels\":{\"l\":\"m\"},"
                   "\"annotations\":{\"n\":\"o\"}},\"spec\":{\"rules\":[{\"host\":\"a.test\"}]}}");
    kube_world_expect(world, KUBE_INGRESSES,
                      "a.test\n"
                      "  ~ingress_annotation_n=o\n"
                      "  ~ingress_annotationpresent_n=true\n"
                      "  ~ingress_host=a.test\n"
                      "  ~ingress_label_l=m\n"
                      "  ~ingress_labelpresent_l=true\n"
                      "  ~ingress_name=i\n"
                      "  ~ingress_path=/\n"
                      "  ~ingress_scheme=http\n"
                      "  ~namespace=d\n" NAMESPACE_META);
}

static void endpoints_and_slices_get_labels_of_namespace_and_node(void **state)
{
    struct kube_world *world = *state;
    world->view.attach_namespace = true;
    world->view.attach_node = true;
    kube_world_add(world, KUBE_NAMESPACES, namespace_d);
    kube_world_add(world, KUBE_NODES,
                   "{\"metadata\":{\"name\":\"n1\",\"labels\":{\"zone\":\"a\"}}}");
    kube_world_add(
        world, KUBE_ENDPOINTS,
        "{\"metadata\":{\"name\":\"e\",\"namespace\":\"d\",\"annotations\":{\"k\":\"v\"}},"
        "\"subsets\":[{\"addresses\":[{\"ip\":\"10.0.0.1\",\"nodeName\":\"n1\"}],"
        "\"ports\":[{\"port\":80}]}]}");
    kube_world_expect(world, KUBE_ENDPOINTS,
                      "10.0.0.1:80\n"
                      "  ~endpoint_node_name=n1\n"
                      "  ~endpoint_ready=true\n"
                      "  ~endpoints_annotation_k=v\n"
                      "  ~endpoints_annotationpresent_k=true\n"
                      "  ~endpoints_name=e\n"
                      "  ~namespace=d\n" NAMESPACE_META KUBE_WORLD_NODE_META);
    kube_world_add(
        world, KUBE_ENDPOINTSLICES,
        "{\"metadata\":{\"name\":\"s\",\"namespace\":\"d\",\"annotations\":{\"k\":\"v\"}},"
        "\"addressType\":\"IPv4\",\"endpoints\":[{\"addresses\":[\"10.0.0.1\"],"
        "\"targetRef\":{\"kind\":\"Node\",\"name\":\"n1\"}}],\"ports\":[{\"port\":80}]}");
    kube_world_expect(world, KUBE_ENDPOINTSLICES,
                      "10.0.0.1:80\n"
                      "  ~endpointslice_address_target_kind=Node\n"
                      "  ~endpointslice_address_target_name=n1\n"
                      "  ~endpointslice_address_type=IPv4\n"
                      "  ~endpointslice_annotation_k=v\n"
                      "  ~endpointslice_annotationpresent_k=true\n"
                      "  ~endpointslice_name=s\n"
                      "  ~endpointslice_port=80\n"
                      "  ~namespace=d\n" NAMESPACE_META KUBE_WORLD_NODE_META);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        KUBE_WORLD(endpoints_give_addresses_with_their_pods_and_the_pods_other_ports),
        KUBE_WORLD(endpoints_of_nodes_get_their_labels),
        KUBE_WORLD(slices_give_what_endpoints_do_and_more),
        KUBE_WORLD(slices_of_the_secondary_family_give_nothing),
        KUBE_WORLD(a_slice_without_a_port_gives_bare_addresses),
        KUBE_WORLD(a_service_and_an_ingress_get_labels_of_their_namespace),
        KUBE_WORLD(endpoints_and_slices_get_labels_of_namespace_and_node),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
