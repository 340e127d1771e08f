/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "discovery/kube_kind.h"

#include "base/check.h"

#define TEXT(name, field)                                                                          \
    {                                                                                              \
        .key = name, .kind = JSON_STRING, .id = field                                              \
    }
#define NUMBER(name, field)                                                                        \
    {                                                                                              \
        .key = name, .kind = JSON_NUMBER, .id = field                                              \
    }
#define BOOL(name, field)                                                                          \
    {                                                                                              \
        .key = name, .kind = JSON_BOOL, .id = field                                                \
    }
#define SCALAR(name, field)                                                                        \
    {                                                                                              \
        .key = name, .kind = JSON_SCALAR, .id = field                                              \
    }
/* An object whose members count as those of the one around it. */
#define WITHIN(name, members)                                                                      \
    {                                                                                              \
        .key = name, .kind = JSON_OBJECT, .inner = members                                         \
    }
#define OBJECT(name, field, members)                                                               \
    {                                                                                              \
        .key = name, .kind = JSON_OBJECT, .id = field, .inner = members                            \
    }
#define LIST(name, element)                                                                        \
    {                                                                                              \
        .key = name, .kind = JSON_LIST, .inner = element                                           \
    }
#define END                                                                                        \
    {                                                                                              \
        .key = NULL                                                                                \
    }

typedef const struct json_want wants[];

static wants labels = {TEXT(JSON_EACH, KUBE_LABEL), END};
static wants annotations = {TEXT(JSON_EACH, KUBE_ANNOTATION), END};
static wants owner_members = {BOOL("controller", KUBE_CONTROLLER), TEXT("kind", KUBE_KIND),
                              TEXT("name", KUBE_NAME), END};
static wants owner = {OBJECT(NULL, KUBE_OWNER, owner_members)};

#define METADATA                                                                                   \
    TEXT("name", KUBE_NAME), TEXT("namespace", KUBE_NAMESPACE),                                    \
        TEXT("resourceVersion", KUBE_VERSION), WITHIN("labels", labels),                           \
        WITHIN("annotations", annotations)

static wants metadata = {METADATA, END};

/* ---- Pods ---- */

static wants pod_metadata = {METADATA, TEXT("uid", KUBE_UID), LIST("ownerReferences", owner), END};
static wants container_port_members = {TEXT("name", KUBE_NAME),
                                       NUMBER("containerPort", KUBE_NUMBER),
                                       TEXT("protocol", KUBE_PROTOCOL), END};
static wants container_port = {OBJECT(NULL, KUBE_PORT, container_port_members)};
static wants container_members = {TEXT("name", KUBE_NAME), TEXT("image", KUBE_IMAGE),
                                  LIST("ports", container_port), END};
static wants container = {OBJECT(NULL, KUBE_CONTAINER, container_members)};
static wants init_container = {OBJECT(NULL, KUBE_INIT_CONTAINER, container_members)};
static wants pod_spec = {TEXT("nodeName", KUBE_NODE_NAME), LIST("containers", container),
                         LIST("initContainers", init_container), END};
static wants condition_members = {TEXT("type", KUBE_TYPE), TEXT("status", KUBE_STATUS), END};
static wants condition = {OBJECT(NULL, KUBE_CONDITION, condition_members)};
static wants terminated = {NUMBER("exitCode", KUBE_EXIT_CODE), END};
static wants state = {WITHIN("terminated", terminated), END};
static wants status_members = {TEXT("name", KUBE_NAME), TEXT("containerID", KUBE_CONTAINER_ID),
                               WITHIN("state", state), END};
static wants container_status = {OBJECT(NULL, KUBE_CONTAINER_STATUS, status_members)};
static wants init_status = {OBJECT(NULL, KUBE_INIT_CONTAINER_STATUS, status_members)};
static wants pod_status = {TEXT("podIP", KUBE_POD_IP),
                           TEXT("hostIP", KUBE_HOST_IP),
                           TEXT("phase", KUBE_PHASE),
                           LIST("conditions", condition),
                           LIST("containerStatuses", container_status),
                           LIST("initContainerStatuses", init_status),
                           END};

/* ---- Nodes ---- */

static wants node_spec = {TEXT("providerID", KUBE_PROVIDER_ID), END};
static wants node_address_members = {TEXT("type", KUBE_TYPE), TEXT("address", KUBE_IP), END};
static wants node_address = {OBJECT(NULL, KUBE_ADDRESS, node_address_members)};
static wants kubelet_endpoint = {NUMBER("Port", KUBE_KUBELET_PORT), END};
static wants daemon_endpoints = {WITHIN("kubeletEndpoint", kubelet_endpoint), END};
static wants node_status = {LIST("addresses", node_address), LIST("conditions", condition),
                            WITHIN("daemonEndpoints", daemon_endpoints), END};

/* ---- Services ---- */

static wants selector = {TEXT(JSON_EACH, KUBE_SELECTOR), END};
static wants service_port_members = {TEXT("name", KUBE_NAME), NUMBER("port", KUBE_NUMBER),
                                     TEXT("protocol", KUBE_PROTOCOL),
                                     SCALAR("targetPort", KUBE_TARGET_PORT), END};
static wants service_port = {OBJECT(NULL, KUBE_PORT, service_port_members)};
static wants ip_family = {TEXT(NULL, KUBE_IP_FAMILY)};
static wants service_spec = {TEXT("type", KUBE_TYPE),
                             TEXT("clusterIP", KUBE_CLUSTER_IP),
                             TEXT("externalName", KUBE_EXTERNAL_NAME),
                             TEXT("loadBalancerIP", KUBE_LOAD_BALANCER_IP),
                             WITHIN("selector", selector),
                             LIST("ipFamilies", ip_family),
                             LIST("ports", service_port),
                             END};
static wants balancer_members = {TEXT("ip", KUBE_INGRESS_IP), END};
static wants balancer_entry = {WITHIN(NULL, balancer_members)};
static wants balancer = {LIST("ingress", balancer_entry), END};
static wants service_status = {WITHIN("loadBalancer", balancer), END};

/* ---- Endpoints ---- */

static wants target_members = {TEXT("kind", KUBE_KIND), TEXT("name", KUBE_NAME),
                               TEXT("namespace", KUBE_NAMESPACE), END};
static wants address_members = {TEXT("ip", KUBE_IP), TEXT("hostname", KUBE_HOSTNAME),
                                TEXT("nodeName", KUBE_NODE_NAME),
                                OBJECT("targetRef", KUBE_TARGET, target_members), END};
static wants address = {OBJECT(NULL, KUBE_ADDRESS, address_members)};
static wants not_ready_address = {OBJECT(NULL, KUBE_NOT_READY_ADDRESS, address_members)};
static wants endpoint_port_members = {TEXT("name", KUBE_NAME), NUMBER("port", KUBE_NUMBER),
                                      TEXT("protocol", KUBE_PROTOCOL),
                                      TEXT("appProtocol", KUBE_APP_PROTOCOL), END};
static wants endpoint_port = {OBJECT(NULL, KUBE_PORT, endpoint_port_members)};
static wants subset_members = {LIST("addresses", address),
                               LIST("notReadyAddresses", not_ready_address),
                               LIST("ports", endpoint_port), END};
static wants subset = {OBJECT(NULL, KUBE_SUBSET, subset_members)};

/* ---- Slices of endpoints ---- */

static wants endpoint_ip = {TEXT(NULL, KUBE_IP)};
static wants endpoint_conditions = {BOOL("ready", KUBE_READY), BOOL("serving", KUBE_SERVING),
                                    BOOL("terminating", KUBE_TERMINATING), END};
static wants topology = {TEXT(JSON_EACH, KUBE_TOPOLOGY), END};
static wants endpoint_members = {LIST("addresses", endpoint_ip),
                                 WITHIN("conditions", endpoint_conditions),
                                 TEXT("hostname", KUBE_HOSTNAME),
                                 TEXT("nodeName", KUBE_NODE_NAME),
                                 TEXT("zone", KUBE_ZONE),
                                 WITHIN("deprecatedTopology", topology),
                                 OBJECT("targetRef", KUBE_TARGET, target_members),
                                 END};
static wants endpoint = {OBJECT(NULL, KUBE_ENDPOINT, endpoint_members)};

/* ---- Ingresses ---- */

static wants tls_host = {TEXT(NULL, KUBE_TLS_HOST)};
static wants tls_members = {LIST("hosts", tls_host), END};
static wants tls = {WITHIN(NULL, tls_members)};
static wants path_members = {TEXT("path", KUBE_PATH_TEXT), END};
static wants path = {OBJECT(NULL, KUBE_PATH, path_members)};
static wants rule_http = {LIST("paths", path), END};
static wants rule_members = {TEXT("host", KUBE_HOST), WITHIN("http", rule_http), END};
static wants rule = {OBJECT(NULL, KUBE_RULE, rule_members)};
static wants ingress_spec = {TEXT("ingressClassName", KUBE_CLASS_NAME), LIST("tls", tls),
                             LIST("rules", rule), END};

/* ---- ReplicaSets and Jobs: only whose they are ---- */

static wants owned_metadata = {TEXT("name", KUBE_NAME), TEXT("namespace", KUBE_NAMESPACE),
                               TEXT("resourceVersion", KUBE_VERSION),
                               LIST("ownerReferences", owner), END};

/* ---- Lists and events ---- */

static wants list_metadata = {TEXT("resourceVersion", KUBE_LIST_VERSION),
                              TEXT("continue", KUBE_LIST_CONTINUE), END};

/*
 * The object of an event is a metav1.Status if its type is ERROR: `status` is a string there, and
 * code, reason and message stand beside it.
 */
#define STATUS_MEMBERS                                                                             \
    NUMBER("code", KUBE_STATUS_CODE), TEXT("reason", KUBE_STATUS_REASON),                          \
        TEXT("message", KUBE_STATUS_MESSAGE)
#define WITHIN_UNLESS_TEXT(name, members)                                                          \
    {                                                                                              \
        .key = name, .kind = JSON_OBJECT, .lenient = true, .inner = members                        \
    }

#define KIND(name, ...)                                                                            \
    static wants name##_object_members = {__VA_ARGS__, END};                                       \
    static wants name##_event_object_members = {STATUS_MEMBERS, __VA_ARGS__, END};                 \
    static wants name##_items = {{.kind = JSON_OBJECT,                                             \
                                  .id = KUBE_OBJECT,                                               \
                                  .bounded = true,                                                 \
                                  .inner = name##_object_members}};                                \
    static wants name##_list_members = {WITHIN("metadata", list_metadata),                         \
                                        LIST("items", name##_items), END};                         \
    static const struct json_want name##_list = WITHIN(NULL, name##_list_members);                 \
    static wants name##_event_members = {                                                          \
        TEXT("type", KUBE_EVENT_TYPE), OBJECT("object", KUBE_OBJECT, name##_event_object_members), \
        END};                                                                                      \
    static const struct json_want name##_event = {                                                 \
        .kind = JSON_OBJECT, .id = KUBE_EVENT, .bounded = true, .inner = name##_event_members};

KIND(pod, WITHIN("metadata", pod_metadata), WITHIN("spec", pod_spec),
     WITHIN_UNLESS_TEXT("status", pod_status))
KIND(node, WITHIN("metadata", metadata), WITHIN("spec", node_spec),
     WITHIN_UNLESS_TEXT("status", node_status))
KIND(service, WITHIN("metadata", metadata), WITHIN("spec", service_spec),
     WITHIN_UNLESS_TEXT("status", service_status))
KIND(endpoints, WITHIN("metadata", metadata), LIST("subsets", subset))
KIND(slice, WITHIN("metadata", metadata), TEXT("addressType", KUBE_ADDRESS_TYPE),
     LIST("endpoints", endpoint), LIST("ports", endpoint_port))
KIND(ingress, WITHIN("metadata", metadata), WITHIN("spec", ingress_spec))
KIND(namespace, WITHIN("metadata", metadata))
KIND(owned, WITHIN("metadata", owned_metadata))

#define INFO(name, resource, base, namespaced)                                                     \
    {                                                                                              \
        resource, base, namespaced, &name##_list, &name##_event                                    \
    }

static const struct kube_kind_info kinds[KUBE_KINDS] = {
    [KUBE_PODS] = INFO(pod, "pods", "/api/v1", true),
    [KUBE_NODES] = INFO(node, "nodes", "/api/v1", false),
    [KUBE_SERVICES] = INFO(service, "services", "/api/v1", true),
    [KUBE_ENDPOINTS] = INFO(endpoints, "endpoints", "/api/v1", true),
    [KUBE_ENDPOINTSLICES] = INFO(slice, "endpointslices", "/apis/discovery.k8s.io/v1", true),
    [KUBE_INGRESSES] = INFO(ingress, "ingresses", "/apis/networking.k8s.io/v1", true),
    [KUBE_NAMESPACES] = INFO(namespace, "namespaces", "/api/v1", false),
    [KUBE_REPLICASETS] = INFO(owned, "replicasets", "/apis/apps/v1", true),
    [KUBE_JOBS] = INFO(owned, "jobs", "/apis/batch/v1", true),
};

const struct kube_kind_info *kube_kind_info(enum kube_kind kind)
{
    check(kind < KUBE_KINDS);
    return &kinds[kind];
}

static wants status_want_members = {STATUS_MEMBERS, END};
const struct json_want kube_status_want = WITHIN(NULL, status_want_members);
