/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "supervisor/plain_jobs.h"

#include <stdlib.h>
#include <string.h>

#include "base/grow.h"
#include "config/print.h"
#include "config/schema.h"

#define POD        "__meta_kubernetes_pod_"
#define SERVICE    "__meta_kubernetes_service_"
#define SLICE      "__meta_kubernetes_endpointslice_"
#define NAMESPACE  "__meta_kubernetes_namespace"
#define ANNOTATION "annotation_prometheus_io_"

/* Of Prometheus, without 0. */
#define DURATION "((?:[0-9]+(?:ms|[smhdwy]))+)"

static const char preamble[] =
    "# What limpet does besides, for which Prometheus has no rule:\n"
    "#  - prometheus.io/ports: objects with it have no target here;\n"
    "#  - prometheus.io/sample-limit, and the bounds of interval and timeout: not here;\n"
    "#  - a query in prometheus.io/path is left out, and names of param_NAME have _ for . and -;\n"
    "#  - a port that is annotated gives a target without the label `container`;\n"
    "#  - of a service's annotated port only the name is one of the service's, a number is the "
    "pod's;\n"
    "#  - containers that have ended are scraped as long as their pod runs;\n"
    "#  - endpoints of services without a selector are targets only if they are pods;\n"
    "#  - a pod and a service that give the same URL are two targets here;\n"
    "#  - services cost a watch on all EndpointSlices of the cluster on each node.\n";

/* ---- rules ---- */

struct rules {
    struct arena arena;
    struct relabel_config *items;
    size_t len;
    size_t room;
};

/* sources: names with commas between them; "" for none. */
static struct relabel_names names_of(struct arena *arena, const char *sources)
{
    const char **items = arena_alloc(arena, (strlen(sources) + 1) * sizeof(*items));
    size_t count = 0;
    while (*sources != '\0') {
        size_t len = strcspn(sources, ",");
        items[count++] = arena_copy(arena, sources, len);
        sources += len + (sources[len] == ',');
    }
    return (struct relabel_names){items, count};
}

static void add(struct rules *rules, enum relabel_action action, const char *sources,
                const char *regex, const char *target, const char *replacement)
{
    rules->items = grow_for_one(rules->items, rules->len, &rules->room, sizeof(*rules->items));
    rules->items[rules->len++] = (struct relabel_config){
        .source_labels = names_of(&rules->arena, sources),
        .separator = ";",
        .regex = arena_strdup(&rules->arena, regex),
        .target_label = arena_strdup(&rules->arena, target),
        .replacement = arena_strdup(&rules->arena, replacement),
        .action = action,
    };
}

static void keep(struct rules *rules, const char *sources, const char *regex)
{
    add(rules, RELABEL_KEEP, sources, regex, "", "$1");
}

static void drop(struct rules *rules, const char *sources, const char *regex)
{
    add(rules, RELABEL_DROP, sources, regex, "", "$1");
}

static void replace(struct rules *rules, const char *sources, const char *regex, const char *target,
                    const char *replacement)
{
    add(rules, RELABEL_REPLACE, sources, regex, target, replacement);
}

/* Keeps what has the same value, or none, in both. */
static void keep_equal(struct rules *rules, const char *source, const char *target)
{
    add(rules, RELABEL_KEEPEQUAL, source, "(.*)", target, "$1");
}

/* Text that stands for itself in a regular expression. */
static const char *quoted(struct arena *arena, const char *text)
{
    struct strbuf out = STRBUF_GROWING;
    for (; *text != '\0'; text++) {
        if (strchr("\\.+*?()|[]{}^$", *text) != NULL)
            strbuf_addc(&out, '\\');
        strbuf_addc(&out, *text);
    }
    const char *result = arena_copy(arena, out.text, out.len);
    strbuf_fini(&out);
    return result;
}

/* "app.kubernetes.io/name" to "app_kubernetes_io_name" */
static const char *plain_name(struct arena *arena, const char *key)
{
    char *name = arena_strdup(arena, key);
    for (char *at = name; *at != '\0'; at++) {
        bool is_word = (*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z') ||
                       (*at >= '0' && *at <= '9') || *at == '_';
        *at = is_word ? *at : '_';
    }
    return name;
}

/* ---- what pods and services have in common ---- */

/* Where the two differ. */
struct kind {
    const char *object;    /* who is annotated: the labels' prefix */
    const char *port_name; /* labels of the port that is a candidate */
    const char *port_number;
    const char *protocol;
};

static const struct kind pods = {POD, POD "container_port_name", POD "container_port_number",
                                 POD "container_port_protocol"};
static const struct kind services = {SERVICE, SLICE "port_name", SLICE "port",
                                     SLICE "port_protocol"};

struct writer {
    struct rules *rules;
    const struct kind *kind;
    const struct config_annotation_sd *entry;
    const char *node;
};

/* "A,B": labels of annotations of the object and others behind them. */
static const char *annotation(const struct writer *writer, const char *name, const char *more)
{
    struct strbuf out = STRBUF_GROWING;
    strbuf_addf(&out, "%s" ANNOTATION "%s%s%s", writer->kind->object, name,
                more[0] != '\0' ? "," : "", more);
    const char *text = arena_copy(&writer->rules->arena, out.text, out.len);
    strbuf_fini(&out);
    return text;
}

static void choose_objects(const struct writer *writer)
{
    struct rules *rules = writer->rules;
    keep(rules, annotation(writer, "scrape", ""), "true");
    drop(rules, annotation(writer, "ports", ""), ".+");
    keep(rules, annotation(writer, "scheme", ""), "(https?)?");
    if (writer->entry->mesh == CONFIG_MESH_INSIDE)
        keep(rules, POD "label_security_istio_io_tlsMode", "istio");
    else if (writer->entry->mesh == CONFIG_MESH_OUTSIDE)
        drop(rules, POD "label_security_istio_io_tlsMode", "istio");
    if (writer->node != NULL)
        keep(rules, POD "node_name", quoted(&rules->arena, writer->node));
    drop(rules, POD "phase", "Succeeded|Failed");
    drop(rules, POD "container_init", "true");
}

/* A number, the name of a declared port, or else every declared TCP port. */
static void choose_ports(const struct writer *writer)
{
    struct rules *rules = writer->rules;
    const struct kind *kind = writer->kind;
    drop(rules, annotation(writer, "port", kind->port_number), ";");
    drop(rules, annotation(writer, "port", kind->protocol), ";(UDP|SCTP)");
    replace(rules, kind->port_name, "(.*)", "__tmp_port", "$1");
    replace(rules, annotation(writer, "port", ""), "(.*[^0-9].*)", "__tmp_port", "$1");
    keep_equal(rules, kind->port_name, "__tmp_port");
    replace(rules, POD "container_name", "(.*)", "__tmp_container", "$1");
    replace(rules, annotation(writer, "container", ""), "(.+)", "__tmp_container", "$1");
    keep_equal(rules, POD "container_name", "__tmp_container");
    replace(rules, POD "ip", "(.*)", "__tmp_ip", "$1");
    replace(rules, annotation(writer, "port", "__tmp_ip"), "0*([1-9][0-9]{0,4});([0-9.]+)",
            "__address__", "$2:$1");
    replace(rules, annotation(writer, "port", "__tmp_ip"),
            "0*([1-9][0-9]{0,4});([0-9a-fA-F:.]*:[0-9a-fA-F:.]*)", "__address__", "[$2]:$1");
    replace(rules, annotation(writer, "port", POD "container_name"), "(?:.*[^0-9].*)?;(.*)",
            "container", "$1");
    replace(rules, annotation(writer, "container", ""), "(.+)", "container", "$1");
    /* Labels that nobody sees tell targets apart all the same. */
    add(rules, RELABEL_LABELDROP, "", "__tmp_(port|container|ip)", "", "$1");
}

static void make_request(const struct writer *writer)
{
    struct rules *rules = writer->rules;
    struct strbuf params = STRBUF_GROWING;
    strbuf_addf(&params, "%s" ANNOTATION "param_(.+)", writer->kind->object);
    replace(rules, annotation(writer, "scheme", ""), "(.+)", "__scheme__", "$1");
    replace(rules, annotation(writer, "path", ""), "([^?]+)(?:[?].*)?", "__metrics_path__", "$1");
    add(rules, RELABEL_LABELMAP, "", params.text, "", "__param_$1");
    replace(rules, annotation(writer, "interval", ""), DURATION, "__scrape_interval__", "$1");
    replace(rules, annotation(writer, "timeout", ""), DURATION, "__scrape_timeout__", "$1");
    strbuf_fini(&params);
}

static void put_label(struct rules *rules, const char *source, const char *target)
{
    replace(rules, source, "(.+)", target, "$1");
}

static void put_names(const struct writer *writer)
{
    struct rules *rules = writer->rules;
    const struct config_strings *labels = &writer->entry->pod_labels;
    for (size_t i = 0; i < labels->len; i++) {
        const char *name = plain_name(&rules->arena, labels->items[i]);
        struct strbuf source = STRBUF_GROWING;
        strbuf_addf(&source, POD "label_%s", name);
        put_label(rules, source.text, name);
        strbuf_fini(&source);
    }
    if (writer->entry->job_from_name)
        put_label(rules, POD "label_app_kubernetes_io_name", "job");
    put_label(rules, NAMESPACE, "namespace");
    put_label(rules, POD "name", "pod");
    put_label(rules, POD "node_name", "node");
    if (writer->kind == &services)
        put_label(rules, SERVICE "name", "service");
}

/* ---- a job ---- */

/* The number of entries of the kind that came before makes names unique; `job` stays. */
static void name_job(struct rules *rules, struct config_job *job, const char *name, size_t before)
{
    struct strbuf text = STRBUF_GROWING;
    strbuf_adds(&text, name);
    if (before > 0) {
        strbuf_addf(&text, "-%zu", before + 1);
        replace(rules, "", "(.*)", "job", name);
    }
    job->job_name = arena_strdup(&rules->arena, text.text);
    strbuf_fini(&text);
}

static void set_source(const struct writer *writer, struct config_kubernetes_sd *sd,
                       struct config_kube_selector *selector)
{
    const struct config_annotation_sd *entry = writer->entry;
    bool is_pods = writer->kind == &pods;
    *sd =
        (struct config_kubernetes_sd){.role = is_pods ? CONFIG_KUBE_POD : CONFIG_KUBE_ENDPOINTSLICE,
                                      .api_server = entry->api_server,
                                      .kubeconfig_file = entry->kubeconfig_file,
                                      .http = entry->http,
                                      .namespaces = entry->namespaces};
    if (writer->node == NULL)
        return;
    struct strbuf field = STRBUF_GROWING;
    strbuf_addf(&field, "spec.nodeName=%s", writer->node);
    *selector =
        (struct config_kube_selector){.role = CONFIG_KUBE_POD,
                                      .label = "",
                                      .field = arena_strdup(&writer->rules->arena, field.text)};
    sd->selectors = (struct config_kube_selectors){selector, 1};
    strbuf_fini(&field);
}

/* Behind the rules that stand for the discovery. */
static void add_own_rules(struct rules *rules, const struct config_relabels *own)
{
    for (size_t i = 0; i < own->len; i++) {
        rules->items = grow_for_one(rules->items, rules->len, &rules->room, sizeof(*rules->items));
        rules->items[rules->len++] = own->items[i];
    }
}

static void write_job(const struct config_job *from, const struct config_job *base,
                      struct writer *writer, size_t before, struct strbuf *out)
{
    struct rules rules = {.items = NULL};
    struct config_job job = *from;
    struct config_kubernetes_sd sd;
    struct config_kube_selector selector;
    writer->rules = &rules;
    choose_objects(writer);
    choose_ports(writer);
    make_request(writer);
    name_job(&rules, &job, writer->kind == &pods ? "kubernetes-pods" : "kubernetes-services",
             before);
    put_names(writer);
    add_own_rules(&rules, &from->relabel_configs);
    set_source(writer, &sd, &selector);
    job.scheme =
        strcmp(writer->entry->scheme, "https") == 0 ? CONFIG_SCHEME_HTTPS : CONFIG_SCHEME_HTTP;
    job.metrics_path = writer->entry->metrics_path;
    job.kubernetes_sd_configs = (struct config_kubernetes_sds){&sd, 1};
    job.static_configs.len = job.file_sd_configs.len = job.http_sd_configs.len =
        job.dns_sd_configs.len = 0;
    job.relabel_configs = (struct config_relabels){rules.items, rules.len};
    size_t start = out->len;
    config_print(&schema_job, &job, base, 4, out);
    out->text[start + 2] = '-';
    free(rules.items);
    arena_fini(&rules.arena);
}

/* ---- the file ---- */

/* What a job is that says nothing, after all rules: only what differs needs to be written. */
static struct config *make_base(void)
{
    static const char text[] = "scrape_configs: [{job_name: x}]";
    struct config *config;
    check(config_parse("base", text, sizeof(text) - 1, &config, NULL) == 0);
    config->scrape_configs.items[0].job_name = "";
    return config;
}

void plain_jobs_write(const struct config *config, const char *node, struct strbuf *out)
{
    struct config *base = make_base();
    size_t n_pods = 0, n_services = 0;
    strbuf_addf(out, "# The annotation_discovery of %s as jobs of Prometheus.\n", config->path);
    strbuf_adds(out, preamble);
    strbuf_adds(out, "scrape_configs:\n");
    for (size_t i = 0; i < config->scrape_configs.len; i++) {
        const struct config_job *job = &config->scrape_configs.items[i];
        const struct config_annotation_sds *entries = &job->limpet.annotation_discovery;
        for (size_t k = 0; k < entries->len; k++) {
            struct writer writer = {.entry = &entries->items[k], .node = node};
            writer.kind = &pods;
            if (writer.entry->pods)
                write_job(job, &base->scrape_configs.items[0], &writer, n_pods++, out);
            writer.kind = &services;
            if (writer.entry->services)
                write_job(job, &base->scrape_configs.items[0], &writer, n_services++, out);
        }
    }
    if (n_pods + n_services == 0)
        strbuf_adds(out, "  [] # there is no annotation_discovery\n");
    config_free(base);
}
