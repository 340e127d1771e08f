# SPDX-License-Identifier: GPL-2.0-or-later
"""limpet in a cluster without a file of one's own (--kubernetes), and annotation_discovery as jobs
that Prometheus has, too (check config --expand)."""
import html
import http.server
import json
import os
import pathlib
import random
import re
import shutil
import subprocess

import pytest
import yaml

from lib.http_server import HttpServer
from lib.kube import ApiServer, pod, service
from lib.limpet import Limpet, config, remote
from lib.proc import built, wait_until
from lib.target import Target

SCRAPE = {"prometheus.io/scrape": "true"}
URL = "http://receiver:1/write"


def check(*arguments, **environment):
    env = {k: v for k, v in os.environ.items() if k not in ("NODE_NAME", "NODE_IP")}
    return subprocess.run([built("limpet"), "check", "config", *arguments], capture_output=True,
                          text=True, env={**env, **environment})


def target_rows(limpet):
    """{(url, labels)} of the page."""
    text = limpet.get("/targets")[1]
    rows = re.findall(r"<tr><td>[^<]*</td><td>([^<]*)</td><td>([^<]*)</td>", text)
    return {(html.unescape(url), html.unescape(labels)) for url, labels in rows}


def wait_for_targets(limpet, count, seconds=15):
    wait_until(lambda: len(target_rows(limpet)) == count, seconds, f"{count} targets")
    # The page has a table as soon as it is whole, and the counters follow.
    wait_until(lambda: limpet.metric("limpet_discovery_targets") == count, seconds, "their number")


# ---- --expand ----


def annotated(**more):
    return {**SCRAPE, **{f"prometheus.io/{k}": v for k, v in more.items()}}


def container(name, *ports):
    return {"name": name, "ports": [
        {"name": port_name, "containerPort": number, "protocol": protocol}
        for port_name, number, protocol in ports]}


def endpointslice(name, of, endpoints, ports):
    """endpoints: [(ip, pod, node)]; ports: [(name, number)]"""
    return {"metadata": {"name": name, "namespace": "default",
                         "labels": {"kubernetes.io/service-name": of}},
            "addressType": "IPv4",
            "endpoints": [{"addresses": [ip], "conditions": {"ready": True}, "nodeName": node,
                           "targetRef": {"kind": "Pod", "namespace": "default", "name": name}}
                          for ip, name, node in endpoints],
            "ports": [{"name": name, "port": port, "protocol": "TCP"} for name, port in ports]}


def fill(server):
    """Pods and services whose targets are the same either way."""
    two = [container("app", ("web", 1001, "TCP"), ("dns", 1002, "UDP")),
           container("side", ("", 1003, "TCP"))]
    server.put_all("pods", [
        pod("plain", ip="127.0.0.1", port=1000, annotations=SCRAPE,
            labels={"app.kubernetes.io/name": "a-name"}),
        pod("several", ip="127.0.0.2", annotations=SCRAPE, containers=two),
        pod("number", ip="127.0.0.3", annotations=annotated(port="2000"), containers=two),
        pod("named", ip="127.0.0.4", annotations=annotated(port="web"), containers=two),
        pod("six", ip="::1", annotations=annotated(port="2001"), containers=two),
        pod("side", ip="127.0.0.5", annotations=annotated(container="side"), containers=two),
        pod("request", ip="127.0.0.6", port=1000, annotations=annotated(
            scheme="https", path="/m", interval="45s", timeout="5s", param_a="b c")),
        pod("bad-scheme", ip="127.0.0.7", port=1000, annotations=annotated(scheme="ftp")),
        pod("no-port", ip="127.0.0.8", annotations=SCRAPE),
        pod("finished", ip="127.0.0.9", port=1000, annotations=SCRAPE, phase="Succeeded"),
        pod("not-asked", ip="127.0.0.10", port=1000),
        pod("elsewhere", ip="127.0.0.11", port=1000, annotations=SCRAPE, node="node-2"),
        pod("in-mesh", ip="127.0.0.12", port=1000, annotations=SCRAPE,
            labels={"security.istio.io/tlsMode": "istio"}),
        pod("shop-1", ip="127.0.0.13", port=1000, labels={"app": "shop"}),
        pod("shop-2", ip="127.0.0.14", port=1000, labels={"app": "shop"}, ready=False),
        pod("shop-3", ip="127.0.0.15", port=1000, labels={"app": "shop"}, node="node-2")])
    for name, more in (("shop", {}), ("shop-path", {"path": "/other"})):
        server.put("services", service(name, selector={"app": "shop"}, annotations=annotated(**more),
                                       ports=[{"name": "http", "port": 80, "targetPort": 1000,
                                               "protocol": "TCP"}]))
        server.put("endpointslices", endpointslice(
            f"{name}-x", name, [(f"127.0.0.{i + 12}", f"shop-{i}", f"node-{1 + (i == 3)}")
                                for i in (1, 2, 3)], [("http", 1000)]))


def test_plain_jobs_find_the_same_targets(tmp_path, receiver, server):
    fill(server)
    entry = {"api_server": server.url, "pod_labels": ["app.kubernetes.io/name"], "mesh": "outside"}
    settings = config({"job_name": "annotated", "limpet": {"annotation_discovery": [entry]},
                       "params": {"x": ["y"]}, "relabel_configs": [
                           {"target_label": "phase", "source_labels": ["__meta_kubernetes_pod_phase"]}]},
                      remote(receiver.url), interval="60s")
    (tmp_path / "annotated.yml").write_text(json.dumps(settings))
    done = check("--expand", str(tmp_path / "annotated.yml"), NODE_NAME="node-1")
    assert done.returncode == 0, done.stderr
    plain = {**yaml.safe_load(done.stdout), "remote_write": settings["remote_write"]}
    found = []
    for text in (settings, plain):
        with Limpet(tmp_path, text, env={"NODE_NAME": "node-1"}) as limpet:
            wait_for_targets(limpet, 12)
            found.append(target_rows(limpet))
            limpet.stop()
    # The one difference of labels: where the port is a number, nobody says whose it is.
    ours = {(url, labels if ":200" not in url else re.sub(r'container="[^"]*", ', "", labels))
            for url, labels in found[0]}
    assert ours == found[1]
    assert any(url == "https://127.0.0.6:1000/m?a=b+c&x=y" for url, _ in ours)


def test_plain_jobs_are_a_file_that_prometheus_takes(tmp_path):
    entry = {"api_server": "http://127.0.0.1:1", "pod_labels": ["a.b/c-d"], "mesh": "inside",
             "job_from_name": True, "bearer_token_file": "token", "namespaces": {"names": ["x"]}}
    job = {"job_name": "annotated", "limpet": {"annotation_discovery": [entry, {"services": False}]},
           "scrape_interval": "20s", "sample_limit": 7, "body_size_limit": "1MB",
           "basic_auth": {"username": "me", "password": "it's \"me\""},
           "tls_config": {"insecure_skip_verify": True}, "params": {"a b": ["c", "d"]},
           "metric_relabel_configs": [{"source_labels": ["__name__", "x"], "regex": "a\\.b;.*",
                                       "separator": ";", "action": "drop"}]}
    path = tmp_path / "annotated.yml"
    path.write_text(json.dumps(config(job, {"job_name": "other", "static_configs": []})))
    done = check("--expand", str(path))
    assert done.returncode == 0, done.stderr
    assert "prometheus.io/ports" in done.stdout
    jobs = yaml.safe_load(done.stdout)["scrape_configs"]
    assert [j["job_name"] for j in jobs] == ["kubernetes-pods", "kubernetes-services",
                                             "kubernetes-pods-2"]
    assert jobs[0]["basic_auth"]["password"] == "it's \"me\""
    assert jobs[1]["kubernetes_sd_configs"] == [
        {"role": "endpointslice", "api_server": "http://127.0.0.1:1",
         "namespaces": {"names": ["x"]},
         "authorization": {"type": "Bearer", "credentials_file": f"{tmp_path}/token"}}]
    assert {"target_label": "job", "replacement": "kubernetes-pods"} in jobs[2]["relabel_configs"]
    plain = tmp_path / "plain.yml"
    plain.write_text(done.stdout)
    assert check(str(plain)).returncode == 0
    if shutil.which("promtool"):  # Debian's knows no kubernetes_sd_configs
        for entry in jobs:
            assert entry.pop("kubernetes_sd_configs")
        plain.write_text(yaml.safe_dump({"scrape_configs": jobs}))
        promtool = subprocess.run(["promtool", "check", "config", str(plain)], capture_output=True,
                                  text=True)
        assert promtool.returncode == 0, promtool.stderr


def test_without_annotations_there_are_no_plain_jobs(tmp_path):
    path = tmp_path / "other.yml"
    path.write_text("scrape_configs: [{job_name: a}]")
    done = check("--expand", str(path))
    assert done.returncode == 0 and yaml.safe_load(done.stdout) == {"scrape_configs": []}
    path.write_text("scrape_configs: [{}]")
    assert check("--expand", str(path)).returncode == 1


# ---- --kubernetes ----


def test_the_built_in_configuration_is_printed_and_valid(tmp_path):
    done = check("--kubernetes", f"--remote-write.url={URL}", NODE_NAME='no"de', NODE_IP="fd00::1")
    assert done.returncode == 0, done.stderr
    text = yaml.safe_load(done.stdout)
    assert text["global"]["scrape_interval"] == "30s"
    assert text["remote_write"] == [{"url": URL}]
    jobs = {job["job_name"]: job for job in text["scrape_configs"]}
    assert list(jobs) == ["annotated", "node-exporter", "kubelet", "cadvisor"]
    assert jobs["kubelet"]["static_configs"] == [{"targets": ["[fd00::1]:10250"],
                                                  "labels": {"node": 'no"de'}}]
    assert "every instance" not in done.stderr
    (tmp_path / "saved.yml").write_text(done.stdout)
    assert check(str(tmp_path / "saved.yml")).returncode == 0
    saved = check(str(tmp_path / "saved.yml"), NODE_NAME='no"de')
    assert saved.returncode == 0 and "every instance" not in saved.stdout + saved.stderr
    done = check("--kubernetes", f"--remote-write.url={URL}")
    assert done.returncode == 1 and "NODE_NAME" in done.stderr
    assert check("--kubernetes", "--remote-write.url=nowhere", NODE_NAME="n").returncode == 1
    assert check("--kubernetes").returncode == 2


@pytest.mark.parametrize("environment, sharding, warned", [
    ({"NODE_NAME": "n1"}, {}, ["static", "other", "file", "http", "dns"]),
    ({"NODE_NAME": "n1"}, {"by": "auto", "node": "n2"}, ["static", "file", "http", "dns", "own"]),
    ({"NODE_NAME": "n1"}, {"unlocated": "none"}, []),
    ({"NODE_NAME": "n1"}, {"by": "none"}, []),
    ({"NODE_NAME": ""}, {}, []),
    ({}, {}, []),
    ({}, {"by": "node"}, ["static", "other", "file", "http", "dns", "own"]),
])
def test_jobs_that_every_node_would_scrape_are_warned_of(tmp_path, environment, sharding, warned):
    def labelled(node):
        return [{"targets": ["h:1"], "labels": {"node": node}}]

    jobs = {"static": {"static_configs": [{"targets": ["h:1"]}]},
            "other": {"static_configs": labelled("n2")},
            "file": {"file_sd_configs": [{"files": ["f.json"]}]},
            "http": {"http_sd_configs": [{"url": "http://h/"}]},
            "dns": {"dns_sd_configs": [{"names": ["h."]}]},
            "own": {"static_configs": labelled("n1")},
            "pods": {"kubernetes_sd_configs": [{"role": "pod"}]}}
    path = tmp_path / "f.yml"
    path.write_text(yaml.safe_dump({
        "scrape_configs": [{"job_name": name, **job} for name, job in jobs.items()],
        "remote_write": [{"url": URL}], "limpet": {"sharding": sharding}}))
    done = check(str(path), **environment)
    assert done.returncode == 0, done.stderr
    said = re.findall(r'targets of job "(\w+)" have no node', done.stdout + done.stderr)
    assert sorted(said) == sorted(warned)


@pytest.mark.parametrize("flags, why", [
    (["--kubernetes"], "--remote-write.url"),
    (["--remote-write.url=x"], "goes with --kubernetes"),
    (["--kubernetes", "--remote-write.url=x", "--config.file=y"], "exclude each other"),
])
def test_flags_that_do_not_fit_are_refused(flags, why):
    done = subprocess.run([built("limpet"), *flags], capture_output=True, text=True)
    assert done.returncode == 2 and why in done.stderr


class Kubelet:
    """Answers at port 10250 of a loopback address of its own whoever shows the token."""

    def __init__(self, certificates, token):
        self.host = f"127.{random.randrange(1, 255)}.{random.randrange(256)}.{random.randrange(1, 255)}"
        self.paths = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_GET(self):
                good = self.headers.get("Authorization") == f"Bearer {token}"
                outer.paths.append((self.path, good))
                name = "container_x" if self.path.endswith("cadvisor") else "kubelet_x"
                body = f"{name} 1\n".encode()
                self.send_response(200 if good else 401)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        tls = (certificates / "server.pem", certificates / "server.key")
        self.http = HttpServer(Handler, tls, host=self.host, port=10250)
        self.http.begin()

    def close(self):
        self.http.end()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to be root, for a /var/run of its own")
def test_no_file_is_needed_in_a_cluster(tmp_path, receiver, certificates):
    account = tmp_path / "account"
    account.mkdir()
    shutil.copy(certificates / "ca.pem", account / "ca.crt")
    (account / "token").write_text("projected")
    (account / "namespace").write_text("limpet")
    manifest = pathlib.Path(__file__).parents[2] / "deploy" / "kubernetes-no-file.yaml"
    objects = {o["kind"]: o for o in yaml.safe_load_all(manifest.read_text())}
    (of_manifest,) = objects["DaemonSet"]["spec"]["template"]["spec"]["containers"]
    tls = (str(certificates / "server.pem"), str(certificates / "server.key"))
    kubelet = Kubelet(certificates, "projected")
    with ApiServer(token="projected", tls=tls) as server, Target(b"a 1\n") as web, \
            Target(b"node_x 1\n") as exporter:
        port = int(exporter.address.rsplit(":", 1)[1])
        server.put_all("pods", [
            pod("web", port=int(web.address.rsplit(":", 1)[1]), annotations=SCRAPE),
            pod("there", port=9, annotations=SCRAPE, node="node-2"),
            pod("exporter", labels={"app.kubernetes.io/name": "prometheus-node-exporter"},
                containers=[container("node-exporter", ("metrics", port, "TCP"), ("x", 7, "TCP"))])])
        prefix = ["unshare", "-m", "sh", "-c",
                  "mount -t tmpfs none /run && mkdir -p /run/secrets/kubernetes.io/serviceaccount "
                  f"&& mount --bind {account} /run/secrets/kubernetes.io/serviceaccount && exec "
                  "\"$@\"", "sh"]
        env = {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": str(server.port)}
        assert [e["name"] for e in of_manifest["env"]] == ["NODE_NAME", "NODE_IP"]
        env.update(NODE_NAME="node-1", NODE_IP=kubelet.host)
        assert "--kubernetes" in of_manifest["args"]
        flags = ["--kubernetes", f"--remote-write.url={receiver.url}"]
        with Limpet(tmp_path, None, env=env, prefix=prefix, flags=flags) as limpet:
            wait_for_targets(limpet, 4)
            # Each is scraped within its 30 s; that the requests are right does not need to wait.
            urls = {url for url, _ in target_rows(limpet)}
            assert urls == {f"http://{web.address}/metrics", f"http://127.0.0.1:{port}/metrics",
                            f"https://{kubelet.host}:10250/metrics",
                            f"https://{kubelet.host}:10250/metrics/cadvisor"}
            wait_until(lambda: len({p for p, good in kubelet.paths if good}) == 2, 40, "the kubelet")
            for metric, job in (("a", "kubernetes-pods"), ("node_x", "node-exporter"),
                                ("kubelet_x", "kubelet"), ("container_x", "cadvisor")):
                wait_until(lambda: receiver.series(metric), 40, metric)
                (labels,) = [dict(key) for key in receiver.series(metric)]
                assert labels["job"] == job and labels["node"] == "node-1"
            asked = {r.path.rsplit("/", 1)[1] for r in server.requests}
            allowed = {resource for rule in objects["ClusterRole"]["rules"]
                       for resource in rule["resources"]}
            assert asked <= allowed and "nodes/metrics" in allowed
            assert len(server.watches("pods")) == 1
            assert limpet.reload()
            limpet.stop()
    kubelet.close()
