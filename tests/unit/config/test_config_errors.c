/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Files that are refused, each with the whole message. */
#include "config/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#include "labels/regex.h"

struct refusal {
    const char *text;
    const char *message; /* after "f:" */
};

#define JOB(text)    "scrape_configs:\n- job_name: j\n  " text "\n"
#define REMOTE(text) "remote_write:\n- url: http://h/w\n  " text "\n"

static const struct refusal keys[] = {
    {"globl: {}", "1:1: unknown key \"globl\"; the nearest valid key is `global`"},
    {"- a", "1:1: the file must be a mapping of keys, not a list"},
    {"text", "1:1: the file must be a mapping of keys, not \"text\""},
    {"global:\n  scrape_intervall: 5s", "2:3: unknown key \"scrape_intervall\"; the nearest valid "
                                        "key is `scrape_interval`"},
    {"global: []", "1:9: global must be a mapping of keys, not a list"},
    {JOB("honour_labels: true"), "3:3: unknown key \"honour_labels\"; the nearest valid key is "
                                 "`honor_labels`"},
    {JOB("static_config: []"), "3:3: unknown key \"static_config\"; the nearest valid key is "
                               "`static_configs`"},
    {JOB("\"a\\nb\": 1"), "3:3: unknown key \"a\\nb\"; the nearest valid key is `params`"},
    {REMOTE("queue_config: {max_shard: 1}"), "3:18: unknown key \"max_shard\"; the nearest valid "
                                             "key is `max_shards`"},
    {"limpet:\n  scrapper: 1", "2:3: unknown key \"scrapper\"; the nearest valid key is "
                               "`scrapers`"},
    {"global: {}\nglobal: {}", "2:1: the key \"global\" is given twice; it stands in line 1 "
                               "already"},
    {JOB("job_name: k"), "3:3: the key \"job_name\" is given twice; it stands in line 2 already"},
    {"scrape_configs: {}", "1:17: scrape_configs must be a list of mappings, not a mapping"},
    {"scrape_configs: [ ~ ]", "1:19: scrape_configs has an empty entry; remove it"},
    {"scrape_configs:\n-\n", "2:2: scrape_configs has an empty entry; remove it"},
    {"remote_write: [null]", "1:16: remote_write has an empty entry; remove it"},
    {"remote_write: [x]", "1:16: an entry of remote_write must be a mapping of keys, not \"x\""},
    {JOB("static_configs: [null]"), "3:20: static_configs has an empty entry; remove it"},
};

static const struct refusal absent[] = {
    {"alerting: {alertmanagers: [{}, {scheme: http}]}",
     "1:1: field alerting is not allowed in agent mode; remove it"},
    {"rule_files: [a.yml]", "1:1: field rule_files is not allowed in agent mode; remove it"},
    {"remote_read: [{url: x}]", "1:1: field remote_read is not allowed in agent mode; remove it"},
    {"tracing: {endpoint: x}",
     "1:1: `tracing` is not supported: limpet sends no traces of itself; remove it"},
    {JOB("consul_sd_configs: [{server: x}]"),
     "3:3: `consul_sd_configs` is not supported: limpet scrapes what is on its own node; give the "
     "targets by file_sd_configs"},
    {REMOTE("sigv4: {region: x}"), "3:3: `sigv4` is not supported: limpet does not sign requests "
                                   "for cloud vendors; send through a proxy that does"},
    {REMOTE("limpet: {compression: lz4}"),
     "3:25: `compression` must be one of `fast`, `small`, `zstd`, not \"lz4\""},
    {REMOTE("protobuf_message: io.prometheus.write.v2.Request\n  limpet: {compression: zstd}"),
     "3:21: `compression: zstd` of `limpet` is sent as remote write 1.0; leave `protobuf_message` "
     "out, or take another compression"},
    {REMOTE("protobuf_message: io.prometheus.write.v3.Request"),
     "3:21: `protobuf_message` must be one of `prometheus.WriteRequest`, "
     "`io.prometheus.write.v2.Request`, `auto`, not \"io.prometheus.write.v3.Request\""},
};

static const struct refusal values[] = {
    {"global: {scrape_interval: 15}",
     "1:27: `scrape_interval` must be a duration such as 1m30s, not \"15\""},
    {"global: {scrape_interval: [1s]}",
     "1:27: `scrape_interval` must be a duration such as 1m30s, not a list"},
    {"global: {scrape_interval: ''}",
     "1:27: `scrape_interval` must be a duration such as 1m30s, not \"\""},
    {JOB("honor_labels: maybe"), "3:17: `honor_labels` must be true or false, not \"maybe\""},
    {JOB("honor_labels: 'true'"), "3:17: `honor_labels` must be true or false, not \"true\""},
    {JOB("metrics_path: {a: b}"), "3:17: `metrics_path` must be a string, not a mapping"},
    {JOB("metrics_path: \"a\\0b\""), "3:17: `metrics_path` must not hold NUL bytes"},
    {JOB("scheme: ftp"), "3:11: `scheme` must be one of `http`, `https`, not \"ftp\""},
    {JOB("params: {a: b}"), "3:15: `params` must be a list of strings, not \"b\""},
    {JOB("scrape_protocols: []"),
     "3:21: `scrape_protocols` must not be empty; leave it out for the default"},
    {JOB("scrape_protocols: [text]"),
     "3:22: `scrape_protocols` must be a list out of `PrometheusProto`, `PrometheusText0.0.4`, "
     "`PrometheusText1.0.0`, `OpenMetricsText0.0.1`, `OpenMetricsText1.0.0`, not \"text\""},
    {JOB("scrape_protocols: [PrometheusProto, PrometheusProto]"),
     "3:21: `scrape_protocols` must not name a protocol twice"},
    {JOB("scrape_native_histograms: nonsense"),
     "3:29: `scrape_native_histograms` must be true or false, not \"nonsense\""},
    {JOB("native_histogram_min_bucket_factor: -1"),
     "3:39: `native_histogram_min_bucket_factor` must be a number of at least 0, not "
     "\"-1\""},
    {JOB("native_histogram_min_bucket_factor: 1.1.1"),
     "3:39: `native_histogram_min_bucket_factor` must be a number of at least 0, not "
     "\"1.1.1\""},
    {JOB("static_configs: [{labels: {'': x}}]"),
     "3:29: `labels` must not hold an empty label name"},
    {JOB("file_sd_configs: [{files: []}]"), "3:29: `files` must name at least one file"},
    {JOB("file_sd_configs: [{files: ~}]"), "3:29: `files` must name at least one file"},
    {JOB("file_sd_configs: [{files: [a.txt]}]"),
     "3:29: `files` must be paths that end in .json, .yml or .yaml, with * only in the last "
     "element, not \"a.txt\""},
    {JOB("file_sd_configs: [{files: [\"*/a.json\"]}]"),
     "3:29: `files` must be paths that end in .json, .yml or .yaml, with * only in the last "
     "element, not \"*/a.json\""},
    {JOB("file_sd_configs: [{refresh_interval: 1s}]"),
     "3:21: `files` is missing; each entry of `file_sd_configs` needs it"},
    {"limpet: {scrapers: 0}", "1:20: `scrapers` must be a whole number from 1 to 64, not \"0\""},
    {"limpet: {scrapers: 65}", "1:20: `scrapers` must be a whole number from 1 to 64, not \"65\""},
    {"limpet: {scrapers: '2'}", "1:20: `scrapers` must be a whole number from 1 to 64, not \"2\""},
    {"limpet: {sharding: {by: hash}}", "1:20: `sharding` needs `shards`, the number of instances, "
                                       "with `by: hash`"},
    {"limpet: {sharding: {unlocated: hash}}", "1:20: `sharding` needs `shards`, the number of "
                                              "instances, with `unlocated: hash`"},
    {"limpet: {sharding: {by: namespace}}", "1:20: `sharding` needs `namespaces`, those of this "
                                            "instance, with `by: namespace`"},
    {"limpet: {cpus: 3-1}", "1:16: `cpus` must be a list of CPUs such as 0-3,5, not \"3-1\""},
    {"limpet: {cpus: '0,'}", "1:16: `cpus` must be a list of CPUs such as 0-3,5, not \"0,\""},
    {"limpet: {ring_size: 3MiB}",
     "1:21: `ring_size` must be a power of two such as 32MiB, 64MiB or 128MiB"},
    {"limpet: {ring_size: 512KiB}",
     "1:21: `ring_size` must be a size such as 64MiB from 1MiB to 64GiB, not \"512KiB\""},
    {"limpet: {ring_size: 1048576}",
     "1:21: `ring_size` must be a size such as 64MiB from 1MiB to 64GiB, not \"1048576\""},
    {"limpet: {pinning: sometimes}",
     "1:19: `pinning` must be one of `auto`, `on`, `off`, not \"sometimes\""},
    {REMOTE("queue_config: {capacity: 0}"),
     "3:28: `capacity` must be a whole number of at least 1, not \"0\""},
    {REMOTE("queue_config: {max_shards: }"),
     "3:30: `max_shards` must be a whole number of at least 1, not empty"},
    {REMOTE("headers: {HOST: x}"),
     "3:12: `headers` must not hold \"HOST\", which limpet sets itself"},
    {REMOTE("headers: {\"a b\": x}"),
     "3:12: `headers` must hold names of HTTP headers, not \"a b\""},
    {REMOTE("headers: {a: \"x\\r\\ny: z\"}"),
     "3:12: `headers` must not hold line ends or control characters; the value of \"a\" does"},
    {"remote_write: [{url: }]",
     "1:22: `url` must be a URL such as http://host:9090/api/v1/write, not \"\""},
    {"remote_write: [{url: 'host:9090'}]",
     "1:22: `url` must be a URL such as http://host:9090/api/v1/write, not \"host:9090\""},
    {"remote_write: [{url: 'http://:80/'}]",
     "1:22: `url` must name a host, and a port from 1 to 65535 if any, not \":80\""},
    {"remote_write: [{url: 'http://h:99999'}]",
     "1:22: `url` must name a host, and a port from 1 to 65535 if any, not \"h:99999\""},
    {"remote_write: [{url: 'http://u:p@'}]",
     "1:22: `url` must name a host, and a port from 1 to 65535 if any, not \"\""},
    {"remote_write: [{url: 'http://u%4:p@h'}]", "1:22: the user in the URL has a malformed escape"},
    {"remote_write: [{url: 'http://h/a b'}]",
     "1:22: `url` must not hold spaces, control characters or non-ASCII characters; write them as "
     "%XX"},
    {"remote_write: [{url: 'http://h/#x'}]", "1:22: `url` must not have a fragment (#...)"},
};

static const struct refusal sources[] = {
    {JOB("http_sd_configs: [{url: ''}]"), "3:27: URL is missing"},
    {JOB("http_sd_configs: [{url: 'ftp://h/'}]"), "3:27: URL scheme must be 'http' or 'https'"},
    {JOB("http_sd_configs: [{url: 'http:///x'}]"), "3:27: host is missing in URL"},
    {JOB("http_sd_configs: [{url: 'http://h', bearer_token: a, bearer_token_file: b}]"),
     "3:53: at most one of bearer_token & bearer_token_file must be configured"},
    {JOB("dns_sd_configs: [{names: []}]"),
     "3:28: DNS-SD config must contain at least one SRV record name"},
    {JOB("dns_sd_configs: [{names: [a], type: a}]"),
     "3:20: a port is required in DNS-SD configs for all record types except SRV"},
    {JOB("dns_sd_configs: [{names: [a], type: TXT}]"),
     "3:39: `type` must be one of `SRV`, `A`, `AAAA`, `MX`, `NS`, not \"TXT\""},
    {JOB("kubernetes_sd_configs: [{}]"),
     "3:27: `role` is missing; each entry of `kubernetes_sd_configs` needs it"},
    {JOB("kubernetes_sd_configs: [{role: pods}]"),
     "3:34: `role` must be one of `pod`, `service`, `endpoints`, `endpointslice`, `node`, "
     "`ingress`, not \"pods\""},
    {JOB("kubernetes_sd_configs: [{role: pod, api_server: 'http://h', kubeconfig_file: k}]"),
     "3:80: cannot use 'kubeconfig_file' and 'api_server' simultaneously"},
    {JOB("kubernetes_sd_configs: [{role: pod, kubeconfig_file: k, bearer_token: t}]"),
     "3:73: cannot use a custom HTTP client configuration together with 'kubeconfig_file'"},
    {JOB("kubernetes_sd_configs: [{role: pod, follow_redirects: false}]"),
     "3:57: to use custom HTTP client configuration please provide the 'api_server' URL "
     "explicitly"},
    {JOB("kubernetes_sd_configs: [{role: pod, api_server: 'h'}]"),
     "3:51: URL scheme must be 'http' or 'https'"},
    {JOB("kubernetes_sd_configs: [{role: pod, api_server: 'http://h', namespaces: "
         "{own_namespace: true}}]"),
     "3:75: cannot use 'api_server' and 'namespaces.own_namespace' simultaneously"},
    {JOB("kubernetes_sd_configs: [{role: pod, selectors: [{role: pod}, {role: pod}]}]"),
     "3:71: duplicated selector role: pod"},
    {JOB("kubernetes_sd_configs: [{role: pod, selectors: [{role: service}]}]"),
     "3:58: pod role supports only pod, node selectors"},
    {JOB("kubernetes_sd_configs: [{role: pod, selectors: [{role: pod, field: x}]}]"),
     "3:70: \"x\" is not a field selector, which is field=value or field!=value"},
    {JOB("kubernetes_sd_configs: [{role: pod, selectors: [{role: pod, label: 'a in (b'}]}]"),
     "3:70: \"a in (b\" is not a label selector"},
    {JOB("limpet: {kubelet_sd_configs: [{url: 'unix:///x'}]}"),
     "3:39: URL scheme must be 'http' or 'https'"},
    {JOB("limpet: {annotation_discovery: [{min_interval: 2m, max_interval: 1m}]}"),
     "3:50: `min_interval` is longer than `max_interval`"},
    {JOB("limpet: {annotation_discovery: [{max_timeout: 2m}]}"),
     "3:49: `max_timeout` is longer than the job's `scrape_interval`"},
    {JOB("limpet: {annotation_discovery: [{scheme: ftp}]}"),
     "3:44: `scheme` must be http or https, not \"ftp\""},
    {JOB("limpet: {annotation_discovery: [{pods: false, services: false}]}"),
     "3:42: with neither `pods` nor `services` there is nothing to scrape"},
    {JOB("limpet: {annotation_discovery: [{api_server: 'h'}]}"),
     "3:48: URL scheme must be 'http' or 'https'"},
};

static const struct refusal rules[] = {
    {"scrape_configs:\n- metrics_path: /x",
     "2:3: `job_name` is missing; each entry of `scrape_configs` needs it"},
    {"scrape_configs: [{job_name: ''}]", "1:29: `job_name` must not be empty"},
    {"scrape_configs: [{job_name: }]", "1:29: `job_name` must not be empty"},
    {"remote_write: [{}]", "1:16: `url` is missing; each entry of `remote_write` needs it"},
    {"global: {scrape_interval: 5s, scrape_timeout: 6s}",
     "1:47: `scrape_timeout` must not be greater than `scrape_interval`, which is 5s"},
    {JOB("scrape_timeout: 90s"),
     "3:19: `scrape_timeout` must not be greater than `scrape_interval`, which is 1m"},
    {"scrape_configs:\n- job_name: a\n- job_name: b\n- job_name: a\n- job_name: b\n",
     "4:13: the job name \"a\" is given twice; it must be unique"},
    {JOB("static_configs: [{targets: [a, 'http://b/']}]"),
     "3:34: \"http://b/\" is not a valid hostname; a target is host:port, without scheme and path"},
    {REMOTE("queue_config: {min_shards: 5, max_shards: 4}"),
     "3:30: `min_shards` must not be greater than `max_shards`, which is 4"},
    {REMOTE("queue_config: {min_backoff: 10s}"),
     "3:31: `max_backoff` must not be less than `min_backoff`, which is 10s"},
    {REMOTE("name: n\n- {url: 'http://i', name: n}"),
     "4:27: the remote name \"n\" is given twice; it must be unique"},
    {REMOTE("\n- url: http://h/w"), "4:3: this entry of `remote_write` repeats an earlier one; "
                                    "change it, or tell them apart by `name`"},
    {REMOTE("name: a\n- {url: 'http://u'}\n- {url: 'http://u'}\n- {url: 'http://u'}\n- {url: "
            "'http://u'}\n- {url: 'http://u'}\n- {url: 'http://u'}\n"
            "- {url: 'http://u'}\n- {url: 'http://last'}"),
     "11:3: `remote_write` may have at most 8 entries"},
    {"a: [", "2:1: not YAML: did not find expected node content while parsing a flow node"},
};

static const struct refusal relabelling[] = {
    {JOB("relabel_configs: [{target_labl: x}]"),
     "3:22: unknown key \"target_labl\"; the nearest valid key is `target_label`"},
    {JOB("relabel_configs: [~]"), "3:21: relabel_configs has an empty entry; remove it"},
    {JOB("metric_relabel_configs: {}"),
     "3:27: metric_relabel_configs must be a list of mappings, not a mapping"},
    {JOB("relabel_configs: [{action: dorp}]"),
     "3:30: `action` must be one of `replace`, `lowercase`, `uppercase`, `keep`, `drop`, "
     "`keepequal`, `dropequal`, `hashmod`, `labelmap`, `labeldrop`, `labelkeep`, not \"dorp\""},
    {JOB("relabel_configs: [{action: }]"), "3:30: relabel action cannot be empty"},
    {JOB("relabel_configs: [{source_labels: x}]"),
     "3:37: `source_labels` must be a list of strings, not \"x\""},
    {JOB("relabel_configs: [{modulus: -1}]"),
     "3:31: `modulus` must be a whole number of at least 0, not \"-1\""},
    {JOB("metric_relabel_configs:\n  - {action: keep, regex: x}\n  - {action: drop, regex: 'a['}"),
     "5:27: error parsing regexp: missing closing ]: `[)$`"},
    {JOB("relabel_configs:\n  - action: keep\n  - regex: x"),
     "5:5: relabel configuration for replace action requires 'target_label' value"},
    {JOB("relabel_configs: [{action: keepequal, target_label: x, regex: (.*)}]"),
     "3:21: keepequal action requires only 'source_labels' and `target_label`, and no other "
     "fields"},
    {JOB("relabel_configs: [{action: labeldrop, regex: x, source_labels: []}]"),
     "3:21: labeldrop action requires only 'regex', and no other fields"},
    {REMOTE("write_relabel_configs: [{action: hashmod, target_label: x}]"),
     "3:27: relabel configuration for hashmod requires non-zero modulus"},
};

static void expect_refusals(const struct refusal *refusals, size_t n)
{
    size_t wrong = 0;
    for (size_t i = 0; i < n; i++) {
        struct config *config = NULL;
        struct errctx why = {"f:accepted"};
        int r = config_parse("f", refusals[i].text, strlen(refusals[i].text), &config, &why);
        config_free(config);
        if (r == ERR_CONFIG && strcmp(why.text + 2, refusals[i].message) == 0)
            continue;
        print_error("%s\n     gave %s\n expected f:%s\n", refusals[i].text, why.text,
                    refusals[i].message);
        wrong++;
    }
    assert_int_equal(wrong, 0);
}

#define EXPECT_REFUSALS(table) expect_refusals(table, sizeof(table) / sizeof((table)[0]))

static void keys_that_do_not_belong_are_refused(void **state)
{
    (void)state;
    EXPECT_REFUSALS(keys);
}

static void keys_without_a_function_are_refused(void **state)
{
    (void)state;
    EXPECT_REFUSALS(absent);
}

static void values_of_the_wrong_kind_are_refused(void **state)
{
    (void)state;
    EXPECT_REFUSALS(values);
}

static void values_that_contradict_each_other_are_refused(void **state)
{
    (void)state;
    EXPECT_REFUSALS(rules);
}

static void sources_that_cannot_work_are_refused(void **state)
{
    (void)state;
    EXPECT_REFUSALS(sources);
}

static void rules_of_relabelling_that_make_no_sense_are_refused(void **state)
{
    (void)state;
    EXPECT_REFUSALS(relabelling);
}

static int load(void **state)
{
    (void)state;
    return regex_load(".", NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_that_do_not_belong_are_refused),
        cmocka_unit_test(keys_without_a_function_are_refused),
        cmocka_unit_test(values_of_the_wrong_kind_are_refused),
        cmocka_unit_test(values_that_contradict_each_other_are_refused),
        cmocka_unit_test(sources_that_cannot_work_are_refused),
        cmocka_unit_test(rules_of_relabelling_that_make_no_sense_are_refused),
    };
    return cmocka_run_group_tests(tests, load, NULL);
}
