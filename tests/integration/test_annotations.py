# SPDX-License-Identifier: GPL-2.0-or-later
"""Pods and services that ask by annotations: limpet against an API server and real targets."""
import pathlib
import subprocess
import time

import yaml

from lib.kube import ApiServer, endpoint_slice, pod, service
from lib.limpet import Limpet, config, remote
from lib.proc import built, wait_until
from lib.remote_write import is_stale
from lib.target import Target

SCRAPE = {"prometheus.io/scrape": "true"}


def annotated(**more):
    """scrape, and keys without their prefix; "_" stands for "-"."""
    return {**SCRAPE, **{f"prometheus.io/{k.replace('_', '-')}": v for k, v in more.items()}}


def settings(receiver, server, interval="200ms", job=None, **discovery):
    entry = {"api_server": server.url, "min_interval": "100ms", **discovery}
    return config({"job_name": "annotated", "limpet": {"annotation_discovery": [entry]},
                   **(job or {})}, remote(receiver.url), interval=interval)


def port_of(target):
    return int(target.address.rsplit(":", 1)[1])


def wait_for_targets(limpet, count, seconds=10):
    wait_until(lambda: limpet.metric("limpet_discovery_targets") == count, seconds,
               f"{count} targets")


def problems(limpet):
    return {labels["reason"]: int(value) for name, labels, value in limpet.metrics()
            if name == "limpet_discovery_annotation_problems" and value}


def labels_of(receiver, metric="a"):
    return [dict(key) for key in receiver.series(accepted=True) if dict(key)["__name__"] == metric]


def test_an_annotated_pod_is_scraped_with_its_names(tmp_path, server, receiver, target):
    server.put_all("pods", [pod("web-1", port=port_of(target), annotations=SCRAPE, ready=False),
                            pod("web-2", port=port_of(target))])
    with Limpet(tmp_path, settings(receiver, server, pod_labels=["app"])) as limpet:
        target.wait_for_requests(2, 10)
        series = wait_until(lambda: labels_of(receiver), 10, "a series")
        assert series == [{"__name__": "a", "job": "kubernetes-pods", "instance": target.address,
                           "namespace": "default", "pod": "web-1", "container": "app",
                           "node": "node-1", "app": "web"}]
        assert limpet.metric("limpet_discovery_targets") == 1
        server.delete("pods", "web-1")
        wait_for_targets(limpet, 0)
        assert {r.path.rsplit("/", 1)[1] for r in server.requests} == {"pods", "services"}
        limpet.stop()


def test_path_query_and_parameters_reach_the_target(tmp_path, server, receiver, target):
    server.put("pods", pod("web-1", annotations={
        **annotated(ports=f"{port_of(target)}/m?x=1"), "prometheus.io/param_a-b": "c d"}))
    with Limpet(tmp_path, settings(receiver, server)):
        target.wait_for_requests(1, 10)
        assert target.requests[0].path == "/m?a-b=c+d&x=1"


def test_a_service_is_matched_locally_and_wins_over_the_pod(tmp_path, server, receiver, target):
    server.put("pods", pod("web-1", port=port_of(target), annotations=SCRAPE))
    server.put("services", service("shop", annotations=SCRAPE))
    with Limpet(tmp_path, settings(receiver, server)) as limpet:
        series = wait_until(lambda: labels_of(receiver), 10, "a series")
        assert [(s["job"], s["service"], s["pod"]) for s in series] == [
            ("kubernetes-services", "shop", "web-1")]
        server.wait_for_watch("services")
        server.delete("services", "shop")
        wait_until(lambda: any(s["job"] == "kubernetes-pods" for s in labels_of(receiver)), 10,
                   "the pod's own target")
        assert limpet.metric("limpet_discovery_targets") == 1
        assert not server.lists("endpoints") and not server.lists("endpointslices")


def test_what_is_annotated_wrongly_is_said_and_harms_nobody(tmp_path, server, receiver, target):
    bad = [annotated(port="http2"), annotated(port="70000"), annotated(scheme="ftp"),
           annotated(interval="soon", port="9"), annotated(interval="1ms", port="8"),
           annotated(ports="/,:,\u00e4" + "x" * 200),
           annotated(path="\x01 /\u00e4%zz?%zz&&=&", port="7")]
    server.put_all("pods", [pod(f"bad-{i}", port=1 if i < 4 else None, annotations=entry)
                            for i, entry in enumerate(bad)])
    server.put("pods", pod("none", annotations=SCRAPE))
    server.put("pods", pod("done", port=1, annotations=SCRAPE, phase="Succeeded"))
    server.put("services", service("elsewhere", selector={"a": "b"}, annotations=SCRAPE))
    server.put("pods", pod("good", port=port_of(target), annotations=SCRAPE))
    with Limpet(tmp_path, settings(receiver, server)) as limpet:
        target.wait_for_requests(2, 10)
        expected = {"bad_port": 5, "bad_scheme": 1, "bad_value": 1, "clamped": 1, "no_port": 1,
                    "finished": 1, "no_pod_here": 1}
        wait_until(lambda: problems(limpet) == expected, 10, f"{expected}")
        wait_for_targets(limpet, 4)
        server.put("pods", pod("another", port=2, annotations=SCRAPE))
        wait_for_targets(limpet, 5)
        time.sleep(0.7)  # longer than a look at all problems takes to come again
        log = limpet.stderr()
        assert log.count("default/bad-0 ") == 1 and log.count("default/none") == 1
        assert "no port declared or annotated" in log and "default/done" not in log
        shown = limpet.get("/service-discovery")[1]
        for what, why in [("pod default/bad-0", "no container of the pod has a port of the name"),
                          ("pod default/bad-2", "\"ftp\" is neither http nor https"),
                          ("pod default/bad-4", "\"1ms\" is less than the configuration allows"),
                          ("pod default/none", "no port declared or annotated"),
                          ("pod default/done", "its phase is Succeeded"),
                          ("service default/elsewhere", "no pod that is known here matches")]:
            assert f"<tr><td>annotated</td><td>{what}</td><td>" in shown and why in shown
        assert "default/good" not in shown
        server.delete("pods", "none")
        wait_until(lambda: "no_port" not in problems(limpet), 10, "no such pod any more")
        limpet.stop()


def test_a_pod_says_how_often_and_how_much_at_most(tmp_path, server, receiver):
    with Target(b"a 1\nb 2\n") as often, Target(b"c 1\nd 2\ne 3\n") as much:
        server.put("pods", pod("often", port=port_of(often), annotations=annotated(
            interval="200ms")))
        server.put("pods", pod("much", port=port_of(much), annotations=annotated(
            interval="200ms", sample_limit="2")))
        with Limpet(tmp_path, settings(receiver, server, interval="30s",
                                       job={"scrape_timeout": "10s"})):
            often.wait_for_requests(3, 10)
            much.wait_for_requests(3, 10)
            wait_until(lambda: labels_of(receiver, "b"), 10, "a series")
            up = wait_until(lambda: {dict(k)["pod"]: v for k, v in receiver.series(
                accepted=True).items() if dict(k)["__name__"] == "up" and len(v) > 1}, 10, "up")
            # As in Prometheus, what was read before the limit has markers when a scrape runs out.
            assert all(is_stale(bits) for samples in receiver.series("c").values()
                       for _, bits in samples)
            assert up


def manifest():
    """The ConfigMap and the container of deploy/kubernetes.yaml."""
    path = pathlib.Path(__file__).parents[2] / "deploy" / "kubernetes.yaml"
    objects = {o["kind"]: o for o in yaml.safe_load_all(path.read_text())}
    container = objects["DaemonSet"]["spec"]["template"]["spec"]["containers"][0]
    return objects["ConfigMap"]["data"]["limpet.yml"], container, objects["ClusterRole"]["rules"]


def test_the_manifest_is_what_limpet_takes(tmp_path):
    text, container, _ = manifest()
    path = tmp_path / "limpet.yml"
    path.write_text(text)
    subprocess.run([built("limpet"), "check", "config", str(path)], check=True)
    usage = subprocess.run([built("limpet"), "--help"], check=True, capture_output=True, text=True)
    for argument in container["args"]:
        assert argument.split("=")[0] in usage.stdout.split()


def test_the_manifest_has_this_node_scraped_only(tmp_path, server, receiver, target):
    text, container, rules = manifest()
    found = yaml.safe_load(text)
    found["scrape_configs"][0]["limpet"]["annotation_discovery"][0]["api_server"] = server.url
    found["global"]["scrape_interval"] = "1s"
    found["remote_write"] = [remote(receiver.url)]
    server.put_all("pods", [pod("here", port=port_of(target), annotations=SCRAPE, node="node-1"),
                            pod("there", port=9, annotations=SCRAPE, node="node-2")])
    assert container["env"][0]["name"] == "NODE_NAME"
    with Limpet(tmp_path, found, env={"NODE_NAME": "node-1"}) as limpet:
        wait_until(lambda: labels_of(receiver), 10, "a series")
        assert {s["pod"] for s in labels_of(receiver, "up")} == {"here"}
        assert limpet.metric("limpet_discovery_targets") == 1
        asked = {r.path.rsplit("/", 1)[1] for r in server.requests}
        assert asked < {resource for rule in rules for resource in rule["resources"]}
        assert server.lists("pods")[0].query["fieldSelector"] == "spec.nodeName=node-1"


def test_https_uses_the_tls_config_of_the_job(tmp_path, server, receiver):
    key, certificate = str(tmp_path / "key.pem"), str(tmp_path / "cert.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=pod", "-days", "1",
                    "-keyout", key, "-out", certificate], check=True, capture_output=True)
    with ApiServer(tls=(certificate, key)) as secure:
        server.put("pods", pod("web-1", port=secure.port, annotations=annotated(
            scheme="https", path="/secure")))
        with Limpet(tmp_path, settings(receiver, server, job={
                "tls_config": {"insecure_skip_verify": True}})):
            wait_until(lambda: [r for r in secure.requests if r.path == "/secure"], 10, "a scrape")


def test_a_service_without_selector_is_asked_for_alone(tmp_path, server, receiver, target):
    server.put("services", service("bare", selector={}, annotations=SCRAPE))
    server.put("services", service("silent", selector={}))
    server.put("services", service("outside", selector={}, annotations=SCRAPE, type="ExternalName"))
    server.put("endpointslices", endpoint_slice("bare-1", "bare", ["127.0.0.1"], port_of(target),
                                                node="node-1"))
    server.put("endpointslices", endpoint_slice("silent-1", "silent", ["127.0.0.1"], 9))
    with Limpet(tmp_path, settings(receiver, server)) as limpet:
        series = wait_until(lambda: labels_of(receiver), 10, "a series")
        assert series == [{"__name__": "a", "job": "kubernetes-services", "node": "node-1",
                           "instance": target.address, "namespace": "default", "service": "bare"}]
        assert [(r.path, r.query["labelSelector"]) for r in server.lists("endpointslices")] == [
            ("/apis/discovery.k8s.io/v1/namespaces/default/endpointslices",
             "kubernetes.io/service-name=bare")]
        wait_until(lambda: problems(limpet) == {"no_endpoint": 1}, 10, "the service outside")
        server.put("endpointslices", endpoint_slice("bare-1", "bare", ["127.0.0.1", "127.0.0.2"],
                                                    port_of(target)))
        wait_for_targets(limpet, 2)
        server.wait_for_watch("endpointslices")
        server.put("services", service("bare", annotations=SCRAPE))  # a selector, and no pod
        wait_for_targets(limpet, 0)
        wait_until(lambda: server.open_watches["endpointslices"] == 0, 10, "the end of the watch")
        assert limpet.metric("limpet_discovery_kubernetes_objects") == 3
        limpet.stop()


def test_of_many_services_without_selector_the_first_by_name_are_followed(tmp_path, server,
                                                                          receiver):
    names = [f"bare-{number:02}" for number in range(70)]
    for name in names[::-1]:
        server.put("services", service(name, selector={}, annotations=SCRAPE))
    with Limpet(tmp_path, settings(receiver, server)) as limpet:
        wait_until(lambda: len(server.lists("endpointslices")) == 64, 20, "the lists of slices")
        wait_until(lambda: problems(limpet) == {"no_endpoint": 70}, 20, "the problems")
        assert sorted(r.query["labelSelector"] for r in server.lists("endpointslices")) == [
            f"kubernetes.io/service-name={name}" for name in names[:64]]
        assert limpet.stderr().count("too many services without a selector") == 1
        assert "first_left_out=default/bare-64 followed=64" in limpet.stderr()
        limpet.stop()


def test_slices_that_are_forbidden_keep_nobody_waiting_for_long(tmp_path, server, receiver, target):
    server.forbidden.add("endpointslices")
    server.put("services", service("bare", selector={}, annotations=SCRAPE))
    server.put("pods", pod("web-1", port=port_of(target), annotations=SCRAPE))
    with Limpet(tmp_path, settings(receiver, server)) as limpet:
        wait_for_targets(limpet, 1, 20)
        assert "endpointslices is forbidden" in limpet.stderr()


def test_services_that_are_forbidden_leave_pods(tmp_path, server, receiver, target):
    server.forbidden.add("services")
    server.put("services", service("web", annotations=annotated(port=str(port_of(target)))))
    server.put("pods", pod("web-1", port=port_of(target), annotations=SCRAPE))
    with Limpet(tmp_path, settings(receiver, server)) as limpet:
        wait_for_targets(limpet, 1, 20)
        row = "<tr><td>annotated</td><td>services</td><td>"
        wait_until(lambda: row in limpet.get("/service-discovery")[1], 10, "a row")
        server.put("pods", pod("web-2", port=1, annotations=SCRAPE))
        wait_for_targets(limpet, 2)
        assert limpet.stderr().count("no list of services") == 1
        assert "services is forbidden" in limpet.stderr()
        server.forbidden.clear()
        wait_until(lambda: "services are known now" in limpet.stderr(), 40, "services")
        wait_until(lambda: any(labels.get("service") == "web" for labels in labels_of(receiver)),
                   10, "a series of the service")
        assert row not in limpet.get("/service-discovery")[1]


def test_a_very_long_annotation_is_read_to_its_end(tmp_path, server, receiver):
    ports = ",".join(["1" * 90] * 60 + ["9"])
    many = ",".join(["9"] * 5000)
    server.put("pods", pod("long", annotations=annotated(ports=ports)))
    server.put("pods", pod("many", annotations=annotated(ports=many), ip="127.0.0.2"))
    with Limpet(tmp_path, settings(receiver, server)) as limpet:
        wait_for_targets(limpet, 2)
        wait_until(lambda: problems(limpet) == {"bad_port": 61}, 10, "60 that are none, 1 too many")
        assert "more than 64 ports" in limpet.stderr()


def test_pods_of_a_mesh_are_known_by_their_identity(tmp_path, server, receiver, target,
                                                     certificates):
    """Two jobs, as docs/kubernetes.md says it: outside of the mesh plain, inside with the mesh's
    client certificate, and the server must have an identity of SPIFFE."""
    certificate = [certificates / "spiffe.pem", certificates / "spiffe.key"]
    mesh = {"app": "web", "security.istio.io/tlsMode": "istio"}

    def job_of(name, identity):
        tls = {"ca_file": str(certificates / "ca.pem"), "server_name": identity,
               "cert_file": str(certificates / "client.pem"),
               "key_file": str(certificates / "client.key")}
        return {"job_name": name, "tls_config": tls,
                "relabel_configs": [{"target_label": "job", "replacement": name}],
                "limpet": {"annotation_discovery": [
                    {"api_server": server.url, "mesh": "inside", "scheme": "https"}]}}

    outside = {"job_name": "outside", "limpet": {"annotation_discovery": [
        {"api_server": server.url, "mesh": "outside"}]}}
    server.put("pods", pod("plain", port=port_of(target), annotations=SCRAPE))
    with ApiServer(tls=certificate, client_ca=certificates / "ca.pem") as sidecar:
        server.put("pods", pod("meshed", port=sidecar.port, annotations=SCRAPE, labels=mesh))
        found = config(outside, job_of("inside", "spiffe://cluster.local/ns/default/sa/*"),
                       job_of("stranger", "spiffe://cluster.local/ns/other/sa/*"),
                       remote(receiver.url), interval="2s")
        with Limpet(tmp_path, found) as limpet:
            wait_until(lambda: [r for r in sidecar.requests if r.path == "/metrics"], 20, "a scrape")
            target.wait_for_requests(1, 10)
            wait_until(lambda: "certificate is of spiffe://cluster.local/ns/default/sa/web, not the "
                       "one identity spiffe://cluster.local/ns/other/sa/*" in
                       limpet.get("/targets")[1], 10, "the reason")
