/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "discovery/sources.h"

#include <stdlib.h>

#include "base/grow.h"
#include "base/strbuf.h"
#include "config/codec.h"
#include "config/schema_discovery.h"
#include "discovery/annotation_sd.h"
#include "discovery/dns_sd.h"
#include "discovery/file_sd.h"
#include "discovery/http_sd.h"
#include "discovery/kube_sd.h"
#include "discovery/kubelet_sd.h"
#include "discovery/static_sd.h"

struct sources_entry {
    struct source *source;
    struct strbuf identity; /* what it is made of: the key and the frozen entry */
};

/* A list of a job: where it stands, and how a source is made of one of its entries. */
struct source_kind {
    const char *key;
    size_t offset; /* in struct config_job */
    const struct schema_block *block;
    int (*make)(struct source_host *host, const void *entry, struct source **ret_source,
                struct errctx *reterr);
};

static int make_static(struct source_host *host, const void *entry, struct source **ret_source,
                       struct errctx *reterr)
{
    (void)reterr;
    *ret_source = static_sd_new(host, entry);
    return 0;
}

static int make_file(struct source_host *host, const void *entry, struct source **ret_source,
                     struct errctx *reterr)
{
    (void)reterr;
    *ret_source = file_sd_new(host, entry);
    return 0;
}

static int make_http(struct source_host *host, const void *entry, struct source **ret_source,
                     struct errctx *reterr)
{
    return http_sd_new(host, entry, ret_source, reterr);
}

static int make_kubernetes(struct source_host *host, const void *entry, struct source **ret_source,
                           struct errctx *reterr)
{
    (void)reterr;
    *ret_source = kube_sd_new(host, entry);
    return 0;
}

static int make_kubelet(struct source_host *host, const void *entry, struct source **ret_source,
                        struct errctx *reterr)
{
    return kubelet_sd_new(host, entry, ret_source, reterr);
}

static int make_annotation(struct source_host *host, const void *entry, struct source **ret_source,
                           struct errctx *reterr)
{
    (void)reterr;
    *ret_source = annotation_sd_new(host, entry);
    return 0;
}

static int make_dns(struct source_host *host, const void *entry, struct source **ret_source,
                    struct errctx *reterr)
{
    (void)reterr;
    *ret_source = dns_sd_new(host, entry);
    return 0;
}

#define KIND(key, member, block, make)                                                             \
    {                                                                                              \
        key, offsetof(struct config_job, member), block, make                                      \
    }

static const struct source_kind kinds[] = {
    KIND("static_configs", static_configs, &schema_target_group, make_static),
    KIND("file_sd_configs", file_sd_configs, &schema_file_sd, make_file),
    KIND("http_sd_configs", http_sd_configs, &schema_http_sd, make_http),
    KIND("dns_sd_configs", dns_sd_configs, &schema_dns_sd, make_dns),
    KIND("kubernetes_sd_configs", kubernetes_sd_configs, &schema_kubernetes_sd, make_kubernetes),
    KIND("kubelet_sd_configs", limpet.kubelet_sd_configs, &schema_kubelet_sd, make_kubelet),
    KIND("annotation_discovery", limpet.annotation_discovery, &schema_annotation_sd,
         make_annotation),
};

#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

void sources_init(struct sources *sources, struct source_host *host)
{
    *sources = (struct sources){.host = host};
}

static struct source *find(const struct sources *sources, const struct strbuf *identity)
{
    for (size_t i = 0; i < sources->count; i++) {
        const struct strbuf *other = &sources->entries[i].identity;
        if (other->len == identity->len && memcmp(other->text, identity->text, identity->len) == 0)
            return sources->entries[i].source;
    }
    return NULL;
}

static int find_or_make(struct sources *sources, const struct source_kind *kind, const void *entry,
                        struct source **ret_source, struct errctx *reterr)
{
    struct strbuf identity = STRBUF_GROWING;
    strbuf_add(&identity, kind->key, strlen(kind->key) + 1);
    codec_encode(kind->block, entry, &identity);
    *ret_source = find(sources, &identity);
    int err = 0;
    if (*ret_source == NULL)
        err = kind->make(sources->host, entry, ret_source, reterr);
    else
        strbuf_fini(&identity);
    if (err != 0 || identity.text == NULL) {
        strbuf_fini(&identity);
        return err;
    }
    sources->entries =
        grow_for_one(sources->entries, sources->count, &sources->room, sizeof(*sources->entries));
    sources->entries[sources->count++] = (struct sources_entry){*ret_source, identity};
    return 0;
}

static void append(struct source_list *list, struct source *source)
{
    list->items =
        (struct source **)grow_for_one(list->items, list->len, &list->room, sizeof(*list->items));
    list->items[list->len++] = source;
}

static int add_kind(struct sources *sources, const struct config_job *job,
                    const struct source_kind *kind, struct source_list *list, struct errctx *reterr)
{
    struct schema_list entries = schema_list_get((const char *)job + kind->offset);
    int err = 0;
    for (size_t i = 0; err == 0 && i < entries.len; i++) {
        struct source *source;
        const void *entry = (const char *)entries.items + i * kind->block->size;
        err = find_or_make(sources, kind, entry, &source, reterr);
        if (err == 0)
            append(list, source);
        else
            err = err_prefix(reterr, err, "%s of job %s", kind->key, job->job_name);
    }
    return err;
}

int sources_add_job(struct sources *sources, const struct config_job *job, struct source_list *list,
                    struct errctx *reterr)
{
    int err = 0;
    for (size_t i = 0; err == 0 && i < KINDS; i++)
        err = add_kind(sources, job, &kinds[i], list, reterr);
    return err;
}

bool sources_are_patient(const struct sources *sources)
{
    for (size_t i = 0; i < sources->count; i++) {
        const struct source_class *class = sources->entries[i].source->class;
        if (class->poll != NULL && !class->is_patient)
            return false;
    }
    return true;
}

void sources_poll(const struct sources *sources, int64_t now_mono_ns, bool files_changed)
{
    for (size_t i = 0; i < sources->count; i++) {
        struct source *source = sources->entries[i].source;
        if (source->class->poll != NULL)
            source->class->poll(source, now_mono_ns, files_changed);
    }
}

void sources_fini(struct sources *sources)
{
    for (size_t i = 0; i < sources->count; i++) {
        struct source *source = sources->entries[i].source;
        source->class->free(source);
        strbuf_fini(&sources->entries[i].identity);
    }
    free(sources->entries);
}
