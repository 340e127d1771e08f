# SPDX-License-Identifier: GPL-2.0-or-later
"""Targets from an API server: that they come, change and go, and what limpet asks meanwhile."""
import base64
import itertools
import json
import os
import shutil
import time

import pytest

from lib.kube import ApiServer, Fault, endpoints, node, pod, service
from lib.limpet import Limpet, config, remote
from lib.proc import wait_until
from lib.target import Target

META = [{"action": "labelmap", "regex": "__meta_kubernetes_(.+)"}]


def kube_job(server, role="pod", name="kube", rules=META, **settings):
    return {"job_name": name, "relabel_configs": rules,
            "kubernetes_sd_configs": [{"role": role, "api_server": server.url, **settings}]}


def settings(receiver, *jobs, **more):
    return config(*jobs, remote(receiver.url), interval="200ms", **more)


def port_of(target):
    return int(target.address.rsplit(":", 1)[1])


def targets_of(limpet):
    return limpet.metric("limpet_discovery_targets")


def wait_for_targets(limpet, count, seconds=10):
    wait_until(lambda: targets_of(limpet) == count, seconds, f"{count} targets")


def labels_of(receiver, metric="a"):
    """The labels of all series of the metric that were received, once each."""
    return [dict(key) for key in receiver.series(accepted=True) if dict(key)["__name__"] == metric]


def pss_kib(pid):
    with open(f"/proc/{pid}/smaps_rollup") as file:
        return sum(int(line.split()[1]) for line in file if line.startswith("Pss:"))


def test_a_pod_is_scraped_while_it_is_there(tmp_path, server, receiver, target):
    server.put("pods", pod("web-1", port=port_of(target), labels={"app.kubernetes.io/name": "w"}))
    with Limpet(tmp_path, settings(receiver, kube_job(server))) as limpet:
        target.wait_for_requests(2, 10)
        series = wait_until(lambda: labels_of(receiver), 10, "a series")[0]
        assert series["pod_name"] == "web-1"
        assert series["pod_label_app_kubernetes_io_name"] == "w"
        assert series["pod_container_port_number"] == str(port_of(target))
        assert series["namespace"] == "default"
        server.wait_for_watch("pods")
        with Target(b"a 2\n") as second:
            server.put("pods", pod("web-2", port=port_of(second)))
            second.wait_for_requests(2, 10)
            server.delete("pods", "web-2")
            wait_for_targets(limpet, 1)
        assert len(server.lists("pods")) == 1
        assert len(server.watches("pods")) == 1
        limpet.stop()


def test_lists_come_in_pages_and_start_from_the_cache(tmp_path, server, receiver):
    server.put_all("pods", [pod(f"p-{i:04}", ip=f"127.1.{i // 200}.{i % 200}", port=9)
                            for i in range(1203)])
    with Limpet(tmp_path, settings(receiver, kube_job(server, rules=[]))) as limpet:
        wait_for_targets(limpet, 1203)
        server.wait_for_watch("pods")
        pages = [r.query for r in server.requests if not r.watch]
        assert [("continue" in q, q.get("resourceVersion"), q["limit"]) for q in pages] == [
            (False, "0", "500"), (True, None, "500"), (True, None, "500")]
        assert server.watches("pods")[0].query["allowWatchBookmarks"] == "true"
        assert 300 <= int(server.watches("pods")[0].query["timeoutSeconds"]) < 600


def test_jobs_that_want_the_same_share_a_watch(tmp_path, server, receiver):
    server.put("pods", pod("web-1", port=9))
    selected = {"selectors": [{"role": "pod", "field": "spec.nodeName=node-1"}]}
    jobs = [kube_job(server, name=f"j{i}", **selected) for i in range(5)]
    jobs.append(kube_job(server, "endpoints", name="e", **selected))
    jobs.append(kube_job(server, name="other"))
    with Limpet(tmp_path, settings(receiver, *jobs)) as limpet:
        wait_for_targets(limpet, 6)
        server.wait_for_watch("pods", 2)
        server.wait_for_watch("endpoints", 1)
        assert len(server.lists("pods")) == 2
        assert len(server.watches("pods")) == 2


def test_a_restarted_server_is_not_listed_again(tmp_path, server, receiver):
    server.put("pods", pod("web-1", port=9))
    with Limpet(tmp_path, settings(receiver, kube_job(server))) as limpet:
        server.wait_for_watch("pods")
        for i in range(3):
            server.drop_connections()
            server.put("pods", pod(f"new-{i}", port=9))
            wait_for_targets(limpet, 2 + i, 20)
        assert len(server.lists("pods")) == 1


def test_a_bookmark_is_where_a_watch_goes_on(tmp_path, server, receiver):
    server.put("pods", pod("web-1", port=9))
    with Limpet(tmp_path, settings(receiver, kube_job(server))) as limpet:
        server.wait_for_watch("pods")
        server.put("services", service("s"))  # moves the version, but is no event of pods
        version = server.version
        began = len(server.bookmarks)
        wait_until(lambda: [v for v in server.bookmarks[began:] if v >= version], 10, "a bookmark")
        server.drop_connections()  # what was written before is read before the end
        wait_until(lambda: len(server.watches("pods")) == 2, 20, "another watch")
        assert int(server.watches("pods")[1].query["resourceVersion"]) >= version
        assert targets_of(limpet) == 1


def test_a_version_that_is_gone_leads_to_one_list(tmp_path, server, receiver):
    server.put("pods", pod("web-1", port=9))
    server.put("pods", pod("web-2", port=9))
    with Limpet(tmp_path, settings(receiver, kube_job(server))) as limpet:
        server.wait_for_watch("pods")
        server.bookmark_interval = 3600
        with server.lock:  # what happens while limpet is away
            server.drop_connections()
            server.delete("pods", "web-1")
            server.put("pods", pod("web-3", port=9))
            server.put("pods", pod("web-4", port=9))
            server.compact()
        wait_for_targets(limpet, 3, 20)
        server.wait_for_watch("pods")
        lists = server.lists("pods")
        assert len(lists) == 2
        assert lists[1].query.get("resourceVersion") is None  # not from a cache that may be as old
        assert limpet.metric("limpet_discovery_kubernetes_lists_total") == 2


def test_targets_stay_while_the_server_is_away(tmp_path, receiver, target):
    with ApiServer() as server:
        server.put("pods", pod("web-1", port=port_of(target)))
        limpet = Limpet(tmp_path, settings(receiver, kube_job(server)))
        limpet.__enter__()
        target.wait_for_requests(1, 10)
        server.wait_for_watch("pods")
    try:
        wait_until(lambda: limpet.metric("limpet_discovery_kubernetes_failures_total") >= 2, 20,
                   "failures")
        before = len(target.requests)
        target.wait_for_requests(before + 5, 10)
        limpet.stop()
    finally:
        limpet.__exit__()


BROKEN = [
    ("malformed", [b'{"type": "ADDED", "object": {]']),
    ("a name that is none", [b'{"type": "ADDED", "object": {"metadata": {"name": 5}}}']),
    ("no name", [b'{"type": "ADDED", "object": {"metadata": {}}}\n']),
    ("cut in the middle", [b'{"type": "ADDED", "object": {"metadata": {"name"']),
    ("a text without end", [b'{"type": "ADDED", "object": {"metadata": {"name": "'] +
     [b"x" * 65536] * 64),
    ("an error", [b'{"type":"ERROR","object":{"kind":"Status","code":500,"message":"etcd"}}\n']),
    ("HTML", [b"<html>"]),
]


@pytest.mark.parametrize("body", [body for _, body in BROKEN], ids=[name for name, _ in BROKEN])
def test_a_broken_watch_is_an_error_and_goes_on(tmp_path, server, receiver, body):
    server.put("pods", pod("web-1", port=9))
    server.put("services", service("s"))
    server.faults.append(Fault("pods", watch=True, times=2, body=body))
    jobs = [kube_job(server), kube_job(server, "service", name="s")]
    with Limpet(tmp_path, settings(receiver, *jobs)) as limpet:
        wait_until(lambda: limpet.metric("limpet_discovery_kubernetes_failures_total") >= 1, 10,
                   "a failure")
        wait_for_targets(limpet, 2)
        server.wait_for_watch("services")
        wait_until(lambda: server.faults[0].times == 0, 20, "the end of the fault")
        server.put("pods", pod("web-2", port=9))
        wait_for_targets(limpet, 3, 20)
        assert len(server.lists("pods")) == 1


@pytest.mark.parametrize("fault", [
    dict(status=500), dict(status=429, reason="TooManyRequests"), dict(status=403),
    dict(body=[b"[]"]), dict(body=[b'{"items":']), dict(body=[b'{"items": []}']),
    dict(body=[b'{"metadata":{"resourceVersion":"1"},"items":[{"x":"'] + [b"x" * 65536] * 1600),
], ids=["500", "429", "403", "a list", "cut", "no version", "100 MB"])
def test_a_broken_list_is_an_error_and_is_repeated(tmp_path, server, receiver, fault):
    server.put("pods", pod("web-1", port=9))
    server.faults.append(Fault("pods", watch=False, times=1, **fault))
    with Limpet(tmp_path, settings(receiver, kube_job(server))) as limpet:
        wait_for_targets(limpet, 1, 20)
        assert limpet.metric("limpet_discovery_kubernetes_failures_total") == 1
        assert len(server.lists("pods")) == 2


@pytest.mark.parametrize("watch", [False, True], ids=["list", "watch"])
def test_a_server_that_asks_for_time_gets_it(tmp_path, server, receiver, watch):
    server.put("pods", pod("web-1", port=9))
    server.faults.append(Fault("pods", watch=watch, status=429, reason="TooManyRequests",
                               retry_after="4"))
    with Limpet(tmp_path, settings(receiver, kube_job(server))) as limpet:
        server.wait_for_watch("pods", seconds=20)
        wait_for_targets(limpet, 1, 20)
        asked = [r.arrived for r in server.requests if r.watch == watch]
        assert len(asked) == 2 and 4 <= asked[1] - asked[0] < 40
        assert len(server.lists("pods")) == 2 - watch


def test_a_watch_that_has_to_wait_lets_others_go_on(tmp_path, server, receiver):
    server.put("pods", pod("web-1", port=9))
    server.faults.append(Fault("services", status=503, retry_after="300"))
    jobs = [kube_job(server), kube_job(server, "service", name="services")]
    with Limpet(tmp_path, settings(receiver, *jobs)) as limpet:
        server.wait_for_watch("pods")
        wait_until(lambda: server.lists("services"), 10, "the list that fails")
        wait_for_targets(limpet, 1)
        server.drop_connections()
        server.put("pods", pod("web-2", port=9))
        wait_for_targets(limpet, 2, 20)
        assert len(server.lists("services")) == 1


def test_a_page_that_fails_is_asked_for_again(tmp_path, server, receiver):
    server.put_all("pods", [pod(f"p-{i:04}", ip=f"127.1.{i // 200}.{i % 200}", port=9)
                            for i in range(1100)])
    server.faults.append(Fault("pods", watch=False, status=500, only="continue="))
    with Limpet(tmp_path, settings(receiver, kube_job(server, rules=[]))) as limpet:
        wait_for_targets(limpet, 1100, 20)
        assert len(server.lists("pods")) == 1


def test_pages_that_have_expired_are_listed_anew(tmp_path, server, receiver):
    server.put_all("pods", [pod(f"p-{i:04}", ip=f"127.1.{i // 200}.{i % 200}", port=9)
                            for i in range(1100)])
    server.faults.append(Fault("pods", watch=False, status=410, reason="Expired", only="continue="))
    with Limpet(tmp_path, settings(receiver, kube_job(server, rules=[]))) as limpet:
        wait_for_targets(limpet, 1100, 20)
        first, second = server.lists("pods")
        assert first.query["resourceVersion"] == "0" and "resourceVersion" not in second.query


@pytest.mark.parametrize("status, failures", [(410, 0), (400, 1)])
def test_a_watch_whose_version_is_refused_leads_to_a_list(tmp_path, server, receiver, status,
                                                          failures):
    server.put("pods", pod("web-1", port=9))
    server.faults.append(Fault("pods", watch=True, status=status, reason="Gone"))
    with Limpet(tmp_path, settings(receiver, kube_job(server))) as limpet:
        server.wait_for_watch("pods", seconds=20)
        wait_for_targets(limpet, 1)
        assert len(server.lists("pods")) == 2
        assert limpet.metric("limpet_discovery_kubernetes_failures_total") == failures


def huge(name):
    """The pieces of a pod of 100 MB, half of it in one annotation."""
    begin = ('{"metadata":{"name":"%s","namespace":"default","resourceVersion":"1",'
             '"annotations":{"a":"' % name).encode()
    return [begin, *[b"x" * 65536] * 800, b'"',
            *[b"".join(b',"k%05d":"v"' % i for i in range(5000))] * 800, b'}}}']


def strange_pods(server, receiver, listed, watched):
    """The next list has a pod in these pieces between two others, the next watch one before a
    third. The configuration, by which each of the three is a target of two jobs."""
    asks = {"prometheus.io/scrape": "true"}
    first, second, third = (
        json.dumps(pod(name, port=9, ip=f"127.0.0.{i}", annotations=asks)).encode()
        for i, name in enumerate(("first", "second", "third"), 1))
    version = b'"metadata":{"resourceVersion":"%d"}' % server.version
    server.faults = [
        Fault("pods", watch=False, body=[b"{" + version + b',"items":[' + first + b",",
                                         *listed, b"," + second + b"]}"]),
        Fault("pods", watch=True, body=[b'{"type":"ADDED","object":', *watched, b"}\n",
                                        b'{"type":"ADDED","object":', third, b"}\n"], stall=600)]
    annotated = {"job_name": "a", "limpet": {"annotation_discovery": [{"api_server": server.url}]}}
    return config(kube_job(server), annotated, remote(receiver.url))


def assert_left_out(limpet, reason, seconds):
    """Both strange pods are, for this reason, and nothing else."""
    wait_for_targets(limpet, 6, seconds)
    assert limpet.metric(f"limpet_discovery_kubernetes_objects_{reason}_total") == 2
    wait_until(lambda: limpet.metric("limpet_discovery_annotation_problems", reason=reason) == 2,
               10, "both reasons")
    assert limpet.metric("limpet_discovery_kubernetes_failures_total") == 0


def test_an_object_of_100_megabytes_harms_nobody_else(tmp_path, server, receiver):
    with Limpet(tmp_path, strange_pods(server, receiver, huge("huge"), huge("later"))) as limpet:
        assert_left_out(limpet, "too_large", 60)
        assert "default/huge" in limpet.stderr() and "default/later" in limpet.stderr()
        size = pss_kib(limpet.child("limpet-discovery"))
        print(f"discovery after two pods of 100 MB: {size} KiB (PSS)")
        assert size < 8 * 1024


def test_a_token_file_is_read_again(tmp_path, receiver):
    token = tmp_path / "token"
    token.write_text("first\n")
    with ApiServer(token="first") as server:
        server.put("pods", pod("web-1", port=9))
        job = kube_job(server, authorization={"credentials_file": str(token)})
        with Limpet(tmp_path, settings(receiver, job)) as limpet:
            wait_for_targets(limpet, 1)
            server.wait_for_watch("pods")
            server.token = "second"
            token.write_text("second")
            server.drop_connections()
            server.put("pods", pod("web-2", port=9))
            wait_for_targets(limpet, 2, 20)


def test_selectors_and_namespaces_are_the_servers_business(tmp_path, server, receiver):
    for ns in ("a", "b", "c"):
        server.put("pods", pod("one", port=9, namespace=ns, labels={"app": "x"}))
        server.put("pods", pod("two", port=9, namespace=ns, labels={"app": "y"}, node="node-2"))
    job = kube_job(server, namespaces={"names": ["a", "b"]},
                   selectors=[{"role": "pod", "label": "app in (x,y)",
                               "field": "spec.nodeName=node-1"}])
    with Limpet(tmp_path, settings(receiver, job)) as limpet:
        wait_for_targets(limpet, 2)
        server.wait_for_watch("pods", 2)
        assert {r.path for r in server.requests} == {
            "/api/v1/namespaces/a/pods", "/api/v1/namespaces/b/pods"}
        assert {(r.query["labelSelector"], r.query["fieldSelector"]) for r in server.requests} == {
            ("app in (x,y)", "spec.nodeName=node-1")}
        server.put("pods", pod("one", port=9, namespace="a", labels={"app": "z"}))
        wait_for_targets(limpet, 1)  # it is no longer selected


@pytest.mark.parametrize("annotated", [False, True], ids=["kubernetes_sd", "annotations"])
def test_a_namespace_that_is_forbidden_keeps_no_other_waiting(tmp_path, server, receiver, annotated):
    """Its targets come when it is allowed; until then the log, a counter and the page say so."""
    asks = {"prometheus.io/scrape": "true"}
    for ns, ip in (("a", "127.0.0.1"), ("b", "127.0.0.2")):
        server.put("pods", pod("web-1", port=9, namespace=ns, ip=ip, annotations=asks))
    namespaces = {"names": ["a", "b"]}
    fault = Fault("pods", watch=False, times=10**9, status=403, only="/namespaces/b/")
    server.faults.append(fault)
    job = {"job_name": "kube", "limpet": {"annotation_discovery": [
        {"api_server": server.url, "namespaces": namespaces}]}}
    if not annotated:
        job = kube_job(server, namespaces=namespaces)
    with Limpet(tmp_path, settings(receiver, job)) as limpet:
        wait_for_targets(limpet, 1, 40)
        row = "<tr><td>kube</td><td>pods in namespace b</td><td>"
        wait_until(lambda: row in limpet.get("/service-discovery")[1], 10, "a row")
        assert limpet.metric("limpet_discovery_kubernetes_failures_total") >= 1
        said = [line for line in limpet.stderr().splitlines() if "namespace=b" in line]
        assert len(said) == 1 and "made to fail" in said[0]
        server.put("pods", pod("web-2", port=9, namespace="a", ip="127.0.0.3", annotations=asks))
        wait_for_targets(limpet, 2, 20)
        fault.times = 0
        wait_for_targets(limpet, 3, 60)
        wait_until(lambda: row not in limpet.get("/service-discovery")[1], 10, "no row")


def test_a_malformed_object_is_left_out_and_named(tmp_path, server, receiver):
    """Of a list and of a watch: others come, and are not asked for again."""
    bad = b'{"metadata":{"name":"%s","namespace":"default"},"spec":{"containers":"none"}}'
    made = strange_pods(server, receiver, [bad % b"bad"], [bad % b"worse"])
    with Limpet(tmp_path, made) as limpet:
        assert_left_out(limpet, "malformed", 30)
        log = limpet.stderr()
        assert "default/bad" in log and "default/worse" in log
        assert "items[].spec.containers: must be a list, not a string" in log
        page = limpet.get("/service-discovery")[1]
        assert "<td>pod default/bad</td><td>items[].spec.containers: must be a list" in page


def test_roles_work_together(tmp_path, server, receiver, target):
    port = port_of(target)
    server.put("nodes", node("node-1", labels={"zone": "a"}))
    server.put("pods", pod("web-1", port=port))
    server.put("services", service("web", port=port, annotations={"team": "x"}))
    server.put("endpoints", endpoints("web", [("127.0.0.1", "web-1", "node-1")], port))
    server.put("endpointslices", {
        "metadata": {"name": "web-abc", "namespace": "default",
                     "labels": {"kubernetes.io/service-name": "web"}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["127.0.0.1"], "conditions": {"ready": True},
                       "nodeName": "node-1",
                       "targetRef": {"kind": "Pod", "name": "web-1", "namespace": "default"}}],
        "ports": [{"name": "http", "port": port, "protocol": "TCP"}]})
    attach = {"attach_metadata": {"node": True}}
    jobs = [kube_job(server, role, name=role, **attach) for role in ("endpoints", "endpointslice")]
    with Limpet(tmp_path, settings(receiver, *jobs)) as limpet:
        wait_for_targets(limpet, 2)
        target.wait_for_requests(2, 10)
        series = wait_until(lambda: len(labels_of(receiver)) == 2 and labels_of(receiver), 10, "2")
        for labels in series:
            assert labels["pod_name"] == "web-1"
            assert labels["service_annotation_team"] == "x"
            assert labels["node_label_zone"] == "a"
            assert labels["pod_container_name"] == "app"
        server.put("services", service("web", port=port, annotations={"team": "y"}))
        wait_until(lambda: any(s["service_annotation_team"] == "y" for s in labels_of(receiver)),
                   10, "the service's new annotation")


def test_a_reload_loses_no_target(tmp_path, server, receiver, target):
    server.put("pods", pod("web-1", port=port_of(target)))
    first = settings(receiver, kube_job(server))
    with Limpet(tmp_path, first) as limpet:
        target.wait_for_requests(2, 10)
        server.faults.append(Fault("pods", watch=False, times=1, stall=2, body=[b"{"]))
        assert limpet.reload(settings(receiver, kube_job(server), limpet={"tick_max": "20ms"}))
        for _ in range(10):
            assert targets_of(limpet) == 1  # though the new discovery has no answer yet
            time.sleep(0.1)
        server.wait_for_watch("pods")


def test_what_changes_no_label_makes_no_table(tmp_path, server, receiver):
    server.put_all("pods", [pod(f"p-{i:03}", ip=f"127.1.1.{i}", port=9) for i in range(100)])
    with Limpet(tmp_path, settings(receiver, kube_job(server, rules=[]))) as limpet:
        wait_for_targets(limpet, 100)
        server.wait_for_watch("pods")
        time.sleep(1)  # longer than until sources are looked at again after a table
        syncs = limpet.metric("limpet_discovery_syncs_total")
        assert syncs <= 2  # one without targets, and one with all
        for i in range(20):  # as kubelets do it with heartbeats
            server.put("pods", pod("p-001", ip="127.1.1.1", port=9, heartbeat=str(i)))
        server.put("pods", pod("last", port=9))
        wait_for_targets(limpet, 101)
        assert limpet.metric("limpet_discovery_syncs_total") <= syncs + 1
        assert limpet.metric("limpet_discovery_kubernetes_events_total", event="update") == 0


def crowd(phase):
    """99,500 pods of 4999 other nodes; what they share is shared."""
    spec = [{"nodeName": f"node-{i}", "containers": [{"name": "app"}]} for i in range(2, 5001)]
    status = {"phase": phase, "podIP": "127.0.0.1"}
    for i in range(99500):
        yield {"metadata": {"name": f"q-{i:05}", "namespace": "default"},
               "spec": spec[i % len(spec)], "status": status}


def test_a_node_of_a_large_cluster_stays_small_and_quiet(tmp_path, server, receiver):
    """5000 nodes, 100,000 pods, 500 of them here, 2000 services; all other pods change."""
    labels = {f"app.kubernetes.io/label-{i}": f"some-value-{i}" for i in range(8)}
    here = [pod(f"web-5f6c7d8e9f-{i:05}", ip=f"127.1.{i // 250}.{i % 250}", port=9, labels=labels,
                annotations={**labels, "prometheus.io/scrape": "true"}) for i in range(500)]
    server.put_all("pods", here)
    server.put_all("pods", crowd("Pending"), owned=True)
    server.put_all("nodes", (node(f"node-{i}") for i in range(1, 5001)), owned=True)
    server.put_all("services", [service(f"s-{i}", selector={"app": "none"}, annotations={
        "prometheus.io/scrape": "true"} if i < 200 else {}) for i in range(2000)])
    server.bookmark_interval = 5
    jobs = [kube_job(server, rules=[]), kube_job(server, "node", name="node", rules=[]),
            {"job_name": "a", "limpet": {"annotation_discovery": [{"api_server": server.url}]}}]
    with Limpet(tmp_path, config(*jobs, remote(receiver.url), interval="60s"),
                env={"NODE_NAME": "node-1"}) as limpet:
        wait_for_targets(limpet, 1001, 30)
        assert limpet.metric("limpet_discovery_kubernetes_objects") == 500 + 1 + 2000
        pods = limpet.metric("limpet_discovery_kubernetes_object_bytes")
        for resource in ("pods", "nodes", "services"):
            server.wait_for_watch(resource)
        before, requests = limpet.child("limpet-discovery"), len(server.requests)
        others, most = crowd("Running"), 0
        while part := list(itertools.islice(others, 2500)):
            server.put_all("pods", part, owned=True)
            most = max(most, pss_kib(before))
            time.sleep(0.4)
        idle = server.requests[requests:]
        print(f"discovery of 500 of 100000 pods: {most} KiB (PSS, at most), "
              f"{pods:.0f} bytes of objects, requests meanwhile: {len(idle)}")
        assert idle == [] and targets_of(limpet) == 1001
        assert limpet.child("limpet-discovery") == before and most < 8 * 1024
        assert pods < 500 * 4096 + 2000 * 1024


# ---- who asks, and whom ----

def https_server(certificates, **options):
    return ApiServer(tls=(certificates / "server.pem", certificates / "server.key"), **options)


def test_https_with_an_authority_and_a_client_certificate(tmp_path, receiver, certificates):
    with https_server(certificates, client_ca=certificates / "ca.pem") as server:
        server.put("pods", pod("web-1", port=9))
        tls = {name: str(certificates / file) for name, file in
               {"ca_file": "ca.pem", "cert_file": "client.pem", "key_file": "client.key"}.items()}
        with Limpet(tmp_path, settings(receiver, kube_job(server, tls_config=tls))) as limpet:
            wait_for_targets(limpet, 1)
            server.wait_for_watch("pods")
            server.put("pods", pod("web-2", port=9))
            wait_for_targets(limpet, 2)


def test_an_unknown_authority_is_an_error(tmp_path, receiver, certificates):
    with https_server(certificates) as server:
        tls = {"ca_file": str(certificates / "other.pem")}
        with Limpet(tmp_path, settings(receiver, kube_job(server, tls_config=tls))) as limpet:
            wait_until(lambda: "failed to verify certificate" in limpet.stderr(), 10, "the reason")
            assert not server.requests


def kubeconfig(server, certificates, **user):
    data = base64.b64encode((certificates / "ca.pem").read_bytes()).decode()
    return {"apiVersion": "v1", "kind": "Config", "current-context": "here",
            "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
            "clusters": [{"name": "c", "cluster": {"server": server.url,
                                                   "certificate-authority-data": data}}],
            "users": [{"name": "u", "user": user}]}


def test_a_kubeconfig_file_says_all(tmp_path, receiver, certificates):
    with https_server(certificates, token="t", client_ca=certificates / "ca.pem") as server:
        server.put("pods", pod("web-1", port=9))
        shutil.copy(certificates / "client.pem", tmp_path)
        key = base64.b64encode((certificates / "client.key").read_bytes()).decode()
        (tmp_path / "kube.conf").write_text(json.dumps(kubeconfig(
            server, certificates, token="t",
            **{"client-certificate": "client.pem", "client-key-data": key})))
        job = {"job_name": "k", "kubernetes_sd_configs": [
            {"role": "pod", "kubeconfig_file": "kube.conf"}]}
        with Limpet(tmp_path, settings(receiver, job)) as limpet:
            wait_for_targets(limpet, 1)


@pytest.mark.parametrize("text, reason", [
    ("{}", "there is no context"),
    ("a: [", "kube.conf:"),
    ("{current-context: c, contexts: [{name: c, context: {cluster: x}}]}", "there is no cluster"),
    ("{current-context: c, contexts: [{name: c, context: {cluster: x, user: u}}], clusters: "
     "[{name: x, cluster: {server: 'http://h'}}], users: [{name: u, user: {exec: {command: x}}}]}",
     "`exec` is not supported"),
])
def test_a_kubeconfig_file_that_is_none_concerns_its_job_only(tmp_path, receiver, text, reason):
    (tmp_path / "kube.conf").write_text(text)
    job = {"job_name": "k", "static_configs": [{"targets": ["127.0.0.1:9"]}],
           "kubernetes_sd_configs": [{"role": "pod", "kubeconfig_file": "kube.conf"}]}
    with Limpet(tmp_path, settings(receiver, job)) as limpet:
        wait_for_targets(limpet, 1)
        assert reason in limpet.stderr()


def test_a_kubeconfig_file_that_becomes_one_is_taken(tmp_path, receiver, certificates):
    before = {"missing": None, "broken": "a: [", "empty": "{}"}
    jobs = []
    for name, text in before.items():
        if text is not None:
            (tmp_path / name).write_text(text)
        jobs.append({"job_name": name, "kubernetes_sd_configs": [
            {"role": "pod", "kubeconfig_file": name}]})
        jobs.append({"job_name": f"a-{name}", "limpet": {"annotation_discovery": [
            {"kubeconfig_file": name}]}})
    with https_server(certificates, token="t") as server:
        server.put("pods", pod("web-1", port=9, annotations={"prometheus.io/scrape": "true"}))
        with Limpet(tmp_path, settings(receiver, *jobs)) as limpet:
            wait_until(lambda: limpet.metric("limpet_discovery_kubernetes_failures_total") >= 12, 20,
                       "two tries of each")
            assert limpet.stderr().count("looks again every 5 s") == 6  # once for each
            for name in before:
                (tmp_path / name).write_text(json.dumps(kubeconfig(server, certificates, token="t")))
            wait_for_targets(limpet, 4, 20)  # those by annotations are the same
            assert limpet.stderr().count("the server is known now") >= 3


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to be root, for a /var/run of its own")
def test_in_a_cluster_nothing_has_to_be_configured(tmp_path, receiver, certificates):
    account = tmp_path / "account"
    account.mkdir()
    shutil.copy(certificates / "ca.pem", account / "ca.crt")
    (account / "token").write_text("projected")
    (account / "namespace").write_text("mine")
    with https_server(certificates, token="projected") as server:
        server.put("pods", pod("web-1", port=9, namespace="mine"))
        server.put("pods", pod("web-2", port=9, namespace="other"))
        job = {"job_name": "k", "kubernetes_sd_configs": [
            {"role": "pod", "namespaces": {"own_namespace": True}}]}
        prefix = ["unshare", "-m", "sh", "-c",
                  "mount -t tmpfs none /run && mkdir -p /run/secrets/kubernetes.io/serviceaccount "
                  f"&& mount --bind {account} /run/secrets/kubernetes.io/serviceaccount && exec "
                  "\"$@\"", "sh"]
        env = {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": str(server.port)}
        with Limpet(tmp_path, settings(receiver, job), env=env, prefix=prefix) as limpet:
            wait_for_targets(limpet, 1)
            assert {r.path for r in server.requests} == {"/api/v1/namespaces/mine/pods"}
            server.token = "rotated"
            (account / "token").write_text("rotated")
            server.drop_connections()
            server.put("pods", pod("web-3", port=10, namespace="mine"))
            wait_for_targets(limpet, 2, 20)


def test_outside_of_a_cluster_the_log_says_so(tmp_path, receiver):
    job = {"job_name": "k", "kubernetes_sd_configs": [{"role": "node"}]}
    with Limpet(tmp_path, settings(receiver, job)) as limpet:
        assert "KUBERNETES_SERVICE_HOST" in limpet.stderr()
