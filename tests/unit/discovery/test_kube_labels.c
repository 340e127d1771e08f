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

static int make(void **state)
{
    struct kube_world *world = malloc(sizeof(*world));
    assert_non_null(world);
    kube_world_init(world);
    *state = world;
    return 0;
}

static int destroy(void **state)
{
    kube_world_fini(*state);
    free(*state);
    return 0;
}

static void expect(struct kube_world *world, enum kube_kind kind, const char *wanted)
{
    assert_string_equal(kube_world_targets(world, kind), wanted);
}

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
    expect(*state, KUBE_PODS,
           "10.0.0.1:8080\n"
           "  ~namespace=shop\n" POD_ANNOTATION "  ~pod_container_id=containerd://a\n"
           "  ~pod_container_image=app:1\n"
           "  ~pod_container_init=false\n"
           "  ~pod_container_name=app\n"
           "  ~pod_container_port_name=http\n"
           "  ~pod_container_port_number=8080\n"
           "  ~pod_container_port_protocol=TCP\n" POD_CONTROLLER POD_HOST "10.0.0.1:9090\n"
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
    expect(*state, KUBE_PODS, "");
}

static void a_pod_of_little_and_ipv6(void **state)
{
    kube_world_add(*state, KUBE_PODS,
                   "{\"metadata\":{\"name\":\"a\",\"namespace\":\"b\",\"labels\":{\"\303\244-x\":"
                   "\"\"}},\"spec\":{\"containers\":[{\"name\":\"c\",\"ports\":[{"
                   "\"containerPort\":1}]}]},\"status\":{\"podIP\":\"fd00::1\"}}");
    expect(*state, KUBE_PODS,
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

#define NODE_META                                                                                  \
    "  ~node_label_zone=a\n"                                                                       \
    "  ~node_labelpresent_zone=true\n"                                                             \
    "  ~node_name=n1\n"

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
    expect(world, KUBE_PODS,
           "10.0.0.1\n"
           "  ~namespace=b\n"
           "  ~namespace_label_team=t\n"
           "  ~namespace_labelpresent_team=true\n"
           "  ~node_annotation_x_y=z\n"
           "  ~node_annotationpresent_x_y=true\n" NODE_META "  ~pod_container_init=false\n"
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
    expect(*state, KUBE_NODES,
           "192.0.2.1:10250\n"
           "  ~node_address_ExternalIP=198.51.100.1\n"
           "  ~node_address_Hostname=n1\n"
           "  ~node_address_InternalIP=192.0.2.1\n"
           "  ~node_annotation_x_y=z\n"
           "  ~node_annotationpresent_x_y=true\n"
           "  ~node_condition_diskpressure=unknown\n"
           "  ~node_condition_ready=true\n" NODE_META "  ~node_provider_id=test://n1\n"
           "  instance=n1\n");
}

static void a_node_without_an_address_gives_nothing(void **state)
{
    kube_world_add(*state, KUBE_NODES, "{\"metadata\":{\"name\":\"n\"}}");
    expect(*state, KUBE_NODES, "");
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
    expect(*state, KUBE_SERVICES,
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
    expect(world, KUBE_SERVICES,
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
    expect(world, KUBE_SERVICES,
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
    expect(*state, KUBE_INGRESSES,
           INGRESS("a.test", "/x", "http") INGRESS("a.test", "/", "http")
               INGRESS("c.b.test", "/", "https") INGRESS("d.c.b.test", "/", "http"));
}

/* ---- endpoints and slices ---- */

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
    expect(world, KUBE_ENDPOINTS,
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
           "  ~pod_container_port_protocol=TCP\n" SIMPLE_POD SERVICE_META "[fd00::2]:80\n"
           "  ~endpoint_port_name=http\n"
           "  ~endpoint_port_protocol=TCP\n"
           "  ~endpoint_ready=false\n" ENDPOINTS_META SERVICE_META "10.0.0.1:81\n" ENDPOINTS_META
           "  ~pod_container_image=i\n"
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
    expect(world, KUBE_ENDPOINTS,
           "192.0.2.1:10250\n"
           "  ~endpoint_address_target_kind=Node\n"
           "  ~endpoint_address_target_name=n1\n"
           "  ~endpoint_ready=true\n"
           "  ~endpoints_name=kubelet\n"
           "  ~namespace=d\n" NODE_META);
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
    expect(world, KUBE_ENDPOINTSLICES,
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
    expect(world, KUBE_ENDPOINTSLICES, "");
    kube_world_add(world, KUBE_ENDPOINTSLICES, SLICE("s-2", "IPv6", "fd00::1"));
    assert_non_null(strstr(kube_world_targets(world, KUBE_ENDPOINTSLICES), "[fd00::1]:80\n"));
}

static void a_slice_without_a_port_gives_bare_addresses(void **state)
{
    kube_world_add(*state, KUBE_ENDPOINTSLICES,
                   "{\"metadata\":{\"name\":\"s\",\"namespace\":\"d\"},\"addressType\":\"FQDN\","
                   "\"endpoints\":[{\"addresses\":[\"a.test\",\"b.test\"]}],\"ports\":[{\"port\":"
                   "null}]}");
    expect(*state, KUBE_ENDPOINTSLICES,
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
    expect(world, KUBE_SERVICES,
           "s.d.svc:80\n"
           "  ~namespace=d\n" NAMESPACE_META SERVICE_META "  ~service_port_number=80\n");
    kube_world_add(world, KUBE_INGRESSES,
                   "{\"metadata\":{\"name\":\"i\",\"namespace\":\"d\",\"labels\":{\"l\":\"m\"},"
                   "\"annotations\":{\"n\":\"o\"}},\"spec\":{\"rules\":[{\"host\":\"a.test\"}]}}");
    expect(world, KUBE_INGRESSES,
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
    expect(world, KUBE_ENDPOINTS,
           "10.0.0.1:80\n"
           "  ~endpoint_node_name=n1\n"
           "  ~endpoint_ready=true\n"
           "  ~endpoints_annotation_k=v\n"
           "  ~endpoints_annotationpresent_k=true\n"
           "  ~endpoints_name=e\n"
           "  ~namespace=d\n" NAMESPACE_META NODE_META);
    kube_world_add(
        world, KUBE_ENDPOINTSLICES,
        "{\"metadata\":{\"name\":\"s\",\"namespace\":\"d\",\"annotations\":{\"k\":\"v\"}},"
        "\"addressType\":\"IPv4\",\"endpoints\":[{\"addresses\":[\"10.0.0.1\"],"
        "\"targetRef\":{\"kind\":\"Node\",\"name\":\"n1\"}}],\"ports\":[{\"port\":80}]}");
    expect(world, KUBE_ENDPOINTSLICES,
           "10.0.0.1:80\n"
           "  ~endpointslice_address_target_kind=Node\n"
           "  ~endpointslice_address_target_name=n1\n"
           "  ~endpointslice_address_type=IPv4\n"
           "  ~endpointslice_annotation_k=v\n"
           "  ~endpointslice_annotationpresent_k=true\n"
           "  ~endpointslice_name=s\n"
           "  ~endpointslice_port=80\n"
           "  ~namespace=d\n" NAMESPACE_META NODE_META);
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

#define TEST(name) cmocka_unit_test_setup_teardown(name, make, destroy)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_pod_gives_a_target_for_each_port_and_each_container_without),
        TEST(a_pod_without_an_address_gives_nothing),
        TEST(a_pod_of_little_and_ipv6),
        TEST(pods_get_labels_of_their_node_and_namespace),
        TEST(a_pod_knows_who_is_behind_its_controller),
        TEST(a_node_is_its_kubelet_at_its_best_address),
        TEST(a_node_without_an_address_gives_nothing),
        TEST(a_service_gives_its_name_with_each_port),
        TEST(services_outside_say_where),
        TEST(an_ingress_gives_each_path_of_each_rule),
        TEST(endpoints_give_addresses_with_their_pods_and_the_pods_other_ports),
        TEST(endpoints_of_nodes_get_their_labels),
        TEST(slices_give_what_endpoints_do_and_more),
        TEST(slices_of_the_secondary_family_give_nothing),
        TEST(a_slice_without_a_port_gives_bare_addresses),
        TEST(a_service_and_an_ingress_get_labels_of_their_namespace),
        TEST(endpoints_and_slices_get_labels_of_namespace_and_node),
        TEST(the_best_address_of_a_node_is_taken),
        TEST(keys_that_become_the_same_name_are_one_label),
        TEST(a_pod_takes_less_than_four_kib),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
