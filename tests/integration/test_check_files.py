# SPDX-License-Identifier: GPL-2.0-or-later
"""`limpet check config` agrees with promtool on files of every kind; large ones as they are in use."""
import pathlib
import re

import pytest

from lib.proc import built
from test_check_config import INVALID, UTF8, VALID, Case, job, remote, verdict

LATER = "came after 2.42"
DEBIAN = "Debian builds promtool without Kubernetes"
LAX = "2.42 does not look at it"


def whole(name, text, valid, older=None):
    return Case(name, text, valid, older)


def client(name, text, valid, older=None):
    """What an HTTP client may be told: the same in a job and in a remote."""
    return [job(f"{name} in a job", text, valid, older), remote(f"{name} in a remote", text, valid, older)]


FILES = [
    # ------------------------------------------------------------------------------- the file
    whole("comments only", "# nothing\n---\n# at all\n", VALID),
    whole("two documents", "global: {}\n---\nglobal: {}\n", INVALID, "it reads the first one and no further"),
    whole("tabs", "global:\n\tscrape_interval: 5s\n", INVALID),
    whole("a list", "- a\n", INVALID),
    whole("not closed", "global: {", INVALID),
    whole("all sections empty", "global:\nscrape_configs:\nremote_write:\nstorage:\n", VALID),
    whole("anchors", "scrape_configs:\n- &a\n  job_name: a\n- <<: *a\n  job_name: b\n", VALID),
    whole("unknown anchor", "scrape_configs: [*a]\n", INVALID),
    whole("remote_read", "remote_read: [{url: 'http://h'}]\n", INVALID),
    whole("alerting", "alerting: {alertmanagers: [{static_configs: [{targets: [a]}]}]}\n", INVALID),
    whole("storage", "storage: {tsdb: {out_of_order_time_window: 5m}, exemplars: {max_exemplars: 5}}\n", VALID),
    whole("unknown key of storage", "storage: {tsdp: {}}\n", INVALID),
    whole("scrape_config_files", "scrape_config_files: ['jobs/*.yml']\n", VALID, LATER),
    # --------------------------------------------------------------------------------- global
    whole("global as a list", "global: []\n", INVALID),
    whole("interval of zero", "global: {scrape_interval: 0s}\n", VALID),
    whole("interval with a fraction", "global: {scrape_interval: 1.5s}\n", INVALID),
    whole("negative interval", "global: {scrape_interval: -5s}\n", INVALID),
    whole("interval of weeks and days", "global: {scrape_interval: 1w2d}\n", VALID),
    whole("evaluation_interval", "global: {evaluation_interval: 30s, query_log_file: q.log}\n", VALID),
    whole("external labels", "global: {external_labels: {cluster: c, replica: '1', n: 5}}\n", VALID),
    whole("external label __name__", "global: {external_labels: {__name__: c}}\n", VALID),
    whole("external label with digit first", "global: {external_labels: {1a: c}}\n", VALID, UTF8),
    whole("external labels as a list", "global: {external_labels: [a]}\n", INVALID),
    whole("limits of global", "global: {sample_limit: 5, body_size_limit: 1MB, label_limit: 3}\n", VALID, LATER),
    whole("names as in 2.42", "global: {metric_name_validation_scheme: legacy}\n", VALID, LATER),
    whole("unknown scheme of names", "global: {metric_name_validation_scheme: ascii}\n", INVALID),
    # ----------------------------------------------------------------------------------- jobs
    job("interval below the global time-out", "scrape_interval: 5s", VALID),
    job("time-out longer than the global interval", "scrape_timeout: 2m", INVALID),
    job("time-out longer than the own interval", "scrape_interval: 5s\n  scrape_timeout: 6s", INVALID),
    job("limits", "sample_limit: 5\n  label_limit: 6\n  label_name_length_limit: 7\n"
        "  label_value_length_limit: 8\n  target_limit: 9\n  body_size_limit: 10MB", VALID),
    job("negative limit", "sample_limit: -1", INVALID),
    job("limit as text", "sample_limit: many", INVALID),
    job("limit with a fraction", "sample_limit: 1.5", INVALID, "it is cut off silently"),
    job("body_size_limit without a unit", "body_size_limit: 1000", INVALID),
    job("body_size_limit of zero", "body_size_limit: 0", VALID),
    job("body_size_limit in KiB", "body_size_limit: 10KiB", VALID),
    job("body_size_limit in lower case", "body_size_limit: 10mb", INVALID),
    job("unknown key of a job", "sample_limits: 5", INVALID),
    job("labels of a group that are no mapping", "static_configs: [{targets: [a], labels: [b]}]", INVALID),
    job("targets as text", "static_configs: [{targets: a}]", INVALID),
    job("unknown key of a group", "static_configs: [{target: [a]}]", INVALID),
    job("group without targets", "static_configs: [{labels: {a: b}}]", VALID),
    job("IPv6 target", "static_configs: [{targets: ['[::1]:9100']}]", VALID),
    job("protocols", "scrape_protocols: [OpenMetricsText1.0.0, PrometheusText0.0.4]", VALID, LATER),
    job("protocol twice", "scrape_protocols: [PrometheusText0.0.4, PrometheusText0.0.4]", INVALID),
    job("unknown discovery", "nonsense_sd_configs: [{a: b}]", INVALID),
    job("file discovery without files", "file_sd_configs: [{refresh_interval: 5s}]", INVALID),
    job("file discovery with a refresh interval of text", "file_sd_configs: [{files: [a.yml], refresh_interval: x}]", INVALID),
    job("HTTP discovery", "http_sd_configs: [{url: 'http://h/sd', refresh_interval: 5s}]", VALID),
    job("HTTP discovery without a URL", "http_sd_configs: [{refresh_interval: 5s}]", INVALID),
    job("HTTP discovery by ftp", "http_sd_configs: [{url: 'ftp://h/sd'}]", INVALID),
    job("DNS discovery", "dns_sd_configs: [{names: [a.b], type: A, port: 80}]", VALID),
    job("DNS discovery without a port", "dns_sd_configs: [{names: [a.b], type: A}]", INVALID),
    job("DNS discovery without names", "dns_sd_configs: [{type: SRV}]", INVALID),
    job("DNS discovery of an unknown type", "dns_sd_configs: [{names: [a], type: TXT, port: 1}]", INVALID),
    job("Kubernetes discovery", "kubernetes_sd_configs: [{role: pod}]", VALID, DEBIAN),
    job("Kubernetes discovery without a role", "kubernetes_sd_configs: [{}]", INVALID),
    job("Kubernetes discovery of an unknown role", "kubernetes_sd_configs: [{role: pods}]", INVALID),
    job("Kubernetes discovery with selectors",
        "kubernetes_sd_configs: [{role: pod, selectors: [{role: pod, field: spec.nodeName=n}]}]", VALID, DEBIAN),
    job("Kubernetes selectors of another role",
        "kubernetes_sd_configs: [{role: pod, selectors: [{role: service, label: a=b}]}]", INVALID),
    # ---------------------------------------------------------------------------- HTTP clients
    *client("password", "basic_auth: {username: u, password: p}", VALID),
    *client("password twice", "basic_auth: {username: u, password: p, password_file: here}", INVALID),
    *client("bearer", "authorization: {credentials: t}", VALID),
    *client("basic as a type", "authorization: {type: Basic, credentials: t}", INVALID),
    *client("two ways to prove it", "basic_auth: {username: u}\n  authorization: {credentials: t}", INVALID),
    *client("bearer_token and authorization", "bearer_token: t\n  authorization: {credentials: t}", INVALID),
    *client("skipped verification", "tls_config: {insecure_skip_verify: true, server_name: n, min_version: TLS12}", VALID),
    *client("unknown TLS version", "tls_config: {min_version: TLS9}", INVALID),
    job("certificate without a key", "tls_config: {cert_file: here}", INVALID),
    remote("certificate without a key", "tls_config: {cert_file: here}", INVALID, LAX),
    *client("unknown key of tls_config", "tls_config: {verify: false}", INVALID),
    *client("proxy", "proxy_url: 'http://p:3128'", VALID),
    *client("no redirects", "follow_redirects: false\n  enable_http2: false", VALID),
    # --------------------------------------------------------------------------------- remotes
    remote("queue", "queue_config: {capacity: 5000, max_shards: 20, min_shards: 2, max_samples_per_send: 500,\n"
           "    batch_send_deadline: 2s, min_backoff: 10ms, max_backoff: 1s, retry_on_http_429: true}", VALID),
    remote("more shards at least than at most", "queue_config: {max_shards: 1, min_shards: 2}", INVALID, LAX),
    remote("unknown key of a queue", "queue_config: {max_shard: 1}", INVALID),
    remote("metadata", "metadata_config: {send: false, send_interval: 5m, max_samples_per_send: 10}", VALID),
    remote("exemplars and histograms", "send_exemplars: true\n  send_native_histograms: true", VALID),
    remote("message", "protobuf_message: io.prometheus.write.v2.Request", VALID, LATER),
    remote("unknown message", "protobuf_message: v3", INVALID),
    remote("Host as a header", "headers: {Host: h}", INVALID),
    remote("time-out", "remote_timeout: 5s\n  name: r", VALID),
]


@pytest.mark.parametrize("case", FILES, ids=lambda case: case.name)
def test_limpet_agrees_with_prometheus(case, tmp_path):
    (tmp_path / "here").write_text("text")
    path = tmp_path / "f.yml"
    path.write_text(case.text)
    mine, my_words = verdict([built("limpet"), "check", "config"], path)
    theirs, their_words = verdict(["promtool", "check", "config", "--agent"], path)
    assert mine == case.valid, my_words
    assert theirs == (case.valid != bool(case.older)), their_words
    if not mine:
        assert re.match(r".*/f\.yml:\d+:\d+: .", my_words), "an error has a position"


LARGE = pathlib.Path(__file__).resolve().parents[1] / "data" / "configs" / "kube-prometheus.yml"


def test_a_large_file_of_an_operator_loads(tmp_path):
    good, words = verdict([built("limpet"), "check", "config"], LARGE)
    assert good, words
    jobs = re.findall(r"^- job_name: (.*)$", LARGE.read_text(), re.M)
    assert len(jobs) == 30
    for name in jobs:
        assert f"job {name}: " in words
    assert "warning" not in words


def test_prometheus_loads_it_too_but_for_what_debian_leaves_out(tmp_path):
    (tmp_path / "here").write_text("text")
    text = re.sub(r"^  kubernetes_sd_configs:\n(  -.*\n|    .*\n)+", "", LARGE.read_text(), flags=re.M)
    text = re.sub(r"_file: /.*", f"_file: {tmp_path}/here", text)
    text = re.sub(r"^    (cert|key|ca)_file: .*\n", "", text, flags=re.M)  # promtool loads them
    path = tmp_path / "f.yml"
    path.write_text(text)
    good, words = verdict(["promtool", "check", "config", "--agent"], path)
    assert good, words
    good, words = verdict([built("limpet"), "check", "config"], path)
    assert good, words
