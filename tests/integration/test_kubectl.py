# SPDX-License-Identifier: GPL-2.0-or-later
"""docs/kubernetes.md, command by command, with the real kubectl against the tests' API server: it
has no controllers and no OpenAPI, so nothing starts the DaemonSet's pods and nothing validates; the
test starts limpet as the DaemonSet says."""
import json
import pathlib
import re
import shlex
import shutil

import pytest
import yaml

from lib.kube import pod
from lib.kube_write import WritableApiServer
from lib.limpet import Limpet, remote
from lib.proc import wait_until
from lib.remote_write import Receiver
from lib.target import Target

ROOT = pathlib.Path(__file__).parents[2]
MANIFEST = str(ROOT / "deploy" / "kubernetes.yaml")
APPLY = ["apply", "--validate=false", "-f"]

pytestmark = pytest.mark.skipif(not shutil.which("kubectl"), reason="there is no kubectl")


@pytest.fixture
def server():
    with WritableApiServer() as server:
        yield server


def test_the_manifest_is_applied_changed_and_deleted(server):
    assert "daemonset.apps/limpet created (dry run)" in server.kubectl(
        "apply", "--dry-run=client", "--validate=false", "-f", MANIFEST)
    assert not server.requests or not server.kept["daemonsets"]
    created = server.kubectl(*APPLY, MANIFEST).splitlines()
    assert [line.split()[0] for line in created] == [
        "namespace/limpet", "serviceaccount/limpet", "clusterrole.rbac.authorization.k8s.io/limpet",
        "clusterrolebinding.rbac.authorization.k8s.io/limpet", "configmap/limpet",
        "daemonset.apps/limpet"]
    assert all(line.endswith(" created") for line in created)
    assert all(line.endswith(" unchanged") for line in
               server.kubectl(*APPLY, MANIFEST).splitlines())
    shown = json.loads(server.kubectl("get", "daemonset", "limpet", "-n", "limpet", "-o", "json"))
    assert shown["spec"]["template"]["spec"]["serviceAccountName"] == "limpet"
    server.kubectl("delete", "-f", MANIFEST)
    assert not server.kept["daemonsets"] and ("", "limpet") not in server.objects["namespaces"]


def environment(daemon_set, node):
    """What the kubelet of the node would make of the container's env."""
    fields = {"spec.nodeName": node}
    return {entry["name"]: fields[entry["valueFrom"]["fieldRef"]["fieldPath"]]
            for entry in daemon_set["spec"]["template"]["spec"]["containers"][0]["env"]}


def limpet_of(server, receiver, tmp_path, node):
    """limpet as the DaemonSet on the server would run it on this node, and where there is no
    service account: with the server's URL."""
    text = server.kubectl("get", "configmap", "limpet", "-n", "limpet",
                          "-o", "jsonpath={.data.limpet\\.yml}")
    found = yaml.safe_load(text)
    found["scrape_configs"][0]["limpet"]["annotation_discovery"][0]["api_server"] = server.url
    found["global"]["scrape_interval"] = "1s"
    found["remote_write"] = [remote(receiver.url)]
    daemon_set = json.loads(server.kubectl("get", "daemonset", "limpet", "-n", "limpet",
                                           "-o", "json"))
    return Limpet(tmp_path, found, env=environment(daemon_set, node))


def test_from_nothing_to_annotated_pods_scraped(tmp_path, server):
    with Receiver() as receiver, Target(b"a 1\n") as target:
        port = int(target.address.rsplit(":", 1)[1])
        server.kubectl(*APPLY, MANIFEST)
        server.put("pods", pod("web-1", port=port, node="node-1"))
        server.put("pods", pod("web-2", port=port, node="node-2"))
        with limpet_of(server, receiver, tmp_path, "node-1") as limpet:
            assert limpet.metric("limpet_discovery_targets") == 0
            server.wait_for_watch("pods")
            server.kubectl("annotate", "pod", "web-1", "web-2", "prometheus.io/scrape=true",
                           f"prometheus.io/port={port}")
            series = wait_until(lambda: [dict(k) for k in receiver.series("a", accepted=True)], 20,
                                "a series")
            assert {s["pod"] for s in series} == {"web-1"}
            assert limpet.get("/service-discovery")[0] == 200
            server.kubectl("annotate", "pod", "web-1", "prometheus.io/port=http2", "--overwrite")
            wait_until(lambda: "pod default/web-1" in limpet.get("/service-discovery")[1], 20,
                       "the reason on the page")


def commands_of_the_page():
    page = (ROOT / "docs" / "kubernetes.md").read_text()
    return [shlex.split(line) for line in re.findall(r"^ +kubectl (.*)$", page, re.M)]


def test_the_console_is_found_as_the_page_says(tmp_path, server):
    command, = [words for words in commands_of_the_page() if words[:2] == ["get", "pods"]]
    with Receiver() as receiver:
        server.kubectl(*APPLY, MANIFEST)
        server.put("pods", pod("limpet-x", node="node-1", namespace="limpet"))
        with limpet_of(server, receiver, tmp_path, "node-1") as limpet:
            node, address = server.kubectl(*command).splitlines()[1].split()
            assert (node, address) == ("node-1", "127.0.0.1")
            assert limpet.get("/targets")[0] == limpet.get("/service-discovery")[0] == 200


def test_the_commands_of_the_page_are_those_that_are_tried():
    assert {words[0] for words in commands_of_the_page()} == {"apply", "annotate", "get", "delete"}
