/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An object of Kubernetes as discovery keeps it: only the fields that labels are made of, one after
 * another in one piece of memory, in the order in which the API server wrote them. A pod takes one
 * to two KiB. Equal objects are equal bytes, so what matters to nobody is no change.
 *
 * Members of objects that are there once (metadata, spec, status) stand at the top level; objects
 * that repeat (containers, ports) are entries that hold entries.
 */
#ifndef DISCOVERY_KUBE_RECORD_H
#define DISCOVERY_KUBE_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "base/strbuf.h"

enum kube_field {
    KUBE_NO_FIELD,
    /* What stands around objects; not in records. */
    KUBE_OBJECT,
    KUBE_EVENT,
    KUBE_EVENT_TYPE,
    KUBE_LIST_VERSION,
    KUBE_LIST_CONTINUE,
    KUBE_VERSION, /* metadata.resourceVersion of an object */
    KUBE_STATUS_CODE,
    KUBE_STATUS_REASON,
    KUBE_STATUS_MESSAGE,
    /* Stand, with the reason, for all that is not kept of an object but its names. */
    KUBE_TOO_LARGE,
    KUBE_MALFORMED,
    /* Of all objects, and names in them. */
    KUBE_NAME,
    KUBE_NAMESPACE,
    KUBE_UID,
    KUBE_LABEL,      /* has a key */
    KUBE_ANNOTATION, /* has a key */
    KUBE_KIND,
    KUBE_TYPE,
    KUBE_STATUS,
    KUBE_OWNER, /* holds CONTROLLER, KIND, NAME */
    KUBE_CONTROLLER,
    /* Pods. */
    KUBE_NODE_NAME,
    KUBE_POD_IP,
    KUBE_HOST_IP,
    KUBE_PHASE,
    KUBE_CONTAINER,      /* holds NAME, IMAGE, PORTs */
    KUBE_INIT_CONTAINER, /* the same */
    KUBE_IMAGE,
    KUBE_PORT, /* holds NAME, NUMBER, PROTOCOL, TARGET_PORT, APP_PROTOCOL */
    KUBE_NUMBER,
    KUBE_PROTOCOL,
    KUBE_APP_PROTOCOL,
    KUBE_TARGET_PORT,
    KUBE_CONDITION,             /* holds TYPE, STATUS */
    KUBE_CONTAINER_STATUS,      /* holds NAME, CONTAINER_ID, EXIT_CODE */
    KUBE_INIT_CONTAINER_STATUS, /* the same */
    KUBE_CONTAINER_ID,
    KUBE_EXIT_CODE, /* of one that has ended */
    /* Nodes. */
    KUBE_PROVIDER_ID,
    KUBE_KUBELET_PORT,
    KUBE_ADDRESS, /* holds TYPE, IP; of endpoints IP, HOSTNAME, NODE_NAME, TARGET */
    KUBE_IP,
    /* Services. */
    KUBE_CLUSTER_IP,
    KUBE_EXTERNAL_NAME,
    KUBE_LOAD_BALANCER_IP,
    KUBE_INGRESS_IP, /* of status.loadBalancer */
    KUBE_SELECTOR,   /* has a key */
    KUBE_IP_FAMILY,
    /* Endpoints and slices. */
    KUBE_SUBSET,            /* holds ADDRESSes, NOT_READY_ADDRESSes, PORTs */
    KUBE_NOT_READY_ADDRESS, /* as ADDRESS */
    KUBE_HOSTNAME,
    KUBE_TARGET, /* holds KIND, NAME, NAMESPACE */
    KUBE_ADDRESS_TYPE,
    KUBE_ENDPOINT, /* holds IPs, READY, SERVING, TERMINATING, HOSTNAME, NODE_NAME, ZONE, TARGET */
    KUBE_READY,
    KUBE_SERVING,
    KUBE_TERMINATING,
    KUBE_ZONE,
    KUBE_TOPOLOGY, /* has a key */
    /* Ingresses. */
    KUBE_CLASS_NAME,
    KUBE_TLS_HOST,
    KUBE_RULE, /* holds HOST, PATHs */
    KUBE_HOST,
    KUBE_PATH, /* holds PATH_TEXT */
    KUBE_PATH_TEXT,
};

/* One entry. Of those that hold entries, `inner` is a record again. */
struct kube_entry {
    enum kube_field field;
    struct slice key;
    struct slice value;
    struct slice inner;
};

/* Steps to the next entry; *record is all zero for none left. False at the end. */
bool kube_record_next(struct slice *rest, struct kube_entry *ret_entry);

/* The same, passing over other fields. */
bool kube_record_find(struct slice *rest, enum kube_field field, struct kube_entry *ret_entry);

/* The value of the first entry of this field; empty if there is none. */
struct slice kube_record_get(struct slice record, enum kube_field field);
bool kube_record_has(struct slice record, enum kube_field field);

/* The value of the entry with this key. */
struct slice kube_record_get_key(struct slice record, enum kube_field field, struct slice key);

/* How many entries of this field there are. */
size_t kube_record_count(struct slice record, enum kube_field field);

/* Writes "namespace/name" of the object, as people are told of it. */
void kube_record_add_full_name(struct strbuf *to, struct slice record);

/* For qsort() of records (struct slice): by namespace and name. */
int kube_record_compare(const void *a, const void *b);

/* ---- Making one ---- */

void kube_record_add(struct strbuf *record, enum kube_field field, struct slice key,
                     struct slice value);

/* Begins an entry that holds entries; returns what kube_record_end wants. */
size_t kube_record_begin(struct strbuf *record, enum kube_field field);
void kube_record_end(struct strbuf *record, size_t began);

#endif
