# SPDX-License-Identifier: GPL-2.0-or-later
"""Targets from HTTP servers, from DNS and from a kubelet: what is asked, and what stays when the
answers break."""
import json
import time

import pytest

from lib.dns import asks, dns
from lib.kube import pod
from lib.limpet import Limpet, config, remote
from lib.proc import wait_until
from lib.target import HANG, Pieces, Reply, Target

JSON = "application/json"


class Answers:
    """A server whose answer may be changed at any time."""

    def __init__(self, reply):
        self.reply = reply
        self.target = Target(lambda request: self.reply)

    def __enter__(self):
        self.target.__enter__()
        return self

    def __exit__(self, *_):
        self.target.close()

    @property
    def url(self):
        return f"http://{self.target.address}/list?x=y"


def groups(*targets, **labels):
    return Reply(json.dumps([{"targets": list(targets), "labels": labels}]).encode(),
                 content_type=JSON)


def wait_for_targets(limpet, count, seconds=10):
    wait_until(lambda: limpet.metric("limpet_discovery_targets") == count, seconds,
               f"{count} targets")


# ---- http_sd_configs ----


def http_settings(receiver, url, **options):
    job = {"job_name": "web", "http_sd_configs": [{"url": url, "refresh_interval": "200ms",
                                                   **options}],
           "relabel_configs": [{"source_labels": ["__meta_url"], "target_label": "from"}]}
    return config(job, remote(receiver.url), interval="200ms")


def test_http_targets_are_asked_for_as_prometheus_does(tmp_path, receiver):
    with Target(b"a 1\n") as target, Answers(groups(target.address, team="x")) as server:
        with Limpet(tmp_path, http_settings(receiver, server.url)) as limpet:
            target.wait_for_requests(2, 10)
            request = server.target.requests[0]
            assert request.path == "/list?x=y"
            assert request.header("Accept") == JSON
            assert request.header("X-Prometheus-Refresh-Interval-Seconds") == "0.2"
            assert request.header("User-Agent").startswith("limpet/")
            labels = wait_until(lambda: [dict(key) for key in receiver.series(accepted=True)
                                         if dict(key)["__name__"] == "a"], 10, "a series")[0]
            assert labels["team"] == "x" and labels["from"] == server.url
            limpet.stop()


@pytest.mark.parametrize("broken", [
    Reply(b"[]", status="500 Internal Server Error", content_type=JSON),
    Reply(b"[]", content_type="text/html"),
    Reply(b"[", content_type=JSON),
    Reply(b"[null]", content_type=JSON),
    Reply(b'[{"targets": [5]}]', content_type=JSON),
    Reply(b'[{"tarrgets": []}]', content_type=JSON),
    Pieces([b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n["], HANG),
    Pieces([b"nonsense"]),
    Reply(b'["' + b"x" * (70 << 20) + b'"]', content_type=JSON, framing="close"),
], ids=["500", "HTML", "cut", "null", "number", "unknown key", "slow", "no HTTP", "70 MB"])
def test_a_broken_answer_keeps_the_targets(tmp_path, receiver, broken):
    with Answers(groups("127.0.0.1:1", "127.0.0.1:2")) as server:
        with Limpet(tmp_path, http_settings(receiver, server.url)) as limpet:
            wait_for_targets(limpet, 2)
            server.reply = broken
            wait_until(lambda: limpet.metric("limpet_discovery_http_failures_total") >= 1, 20,
                       "a failure")
            assert limpet.metric("limpet_discovery_targets") == 2
            server.reply = groups("127.0.0.1:3")
            wait_for_targets(limpet, 1, 20)
            server.reply = Reply(b"[]", content_type="application/json; charset=utf-8")
            wait_for_targets(limpet, 0)


def test_redirects_are_followed_unless_they_shall_not_be(tmp_path, receiver):
    with Answers(groups("127.0.0.1:1")) as server:
        there = Reply(status="302 Found", headers=[("Location", server.url)], content_type=None)
        with Answers(there) as first:
            with Limpet(tmp_path, http_settings(receiver, first.url)) as limpet:
                wait_for_targets(limpet, 1)
                assert limpet.reload(http_settings(receiver, first.url, follow_redirects=False))
                wait_until(lambda: limpet.metric("limpet_discovery_http_failures_total") >= 1, 20,
                           "a failure")


def test_credentials_and_headers_are_sent(tmp_path, receiver):
    password = tmp_path / "password"
    password.write_text("secret\n")
    options = {"basic_auth": {"username": "u", "password_file": str(password)},
               "http_headers": {"X-Team": {"values": ["t"]}}}
    with Answers(groups("127.0.0.1:1")) as server:
        with Limpet(tmp_path, http_settings(receiver, server.url, **options)) as limpet:
            wait_for_targets(limpet, 1)
            request = server.target.requests[0]
            assert request.header("Authorization") == "Basic dTpzZWNyZXQ="
            assert request.header("X-Team") == "t"
            password.unlink()
            wait_until(lambda: limpet.metric("limpet_discovery_http_failures_total") >= 1, 10,
                       "a failure")
            limpet.wait_for_line("unable to read basic auth password")
            assert limpet.metric("limpet_discovery_targets") == 1


def test_a_token_is_asked_for_first(tmp_path, receiver):
    token = Reply(json.dumps({"access_token": "T", "token_type": "bearer",
                              "expires_in": 3600}).encode(), content_type=JSON)
    with Answers(groups("127.0.0.1:1")) as server, Answers(token) as giver:
        options = {"oauth2": {"client_id": "i", "client_secret": "s", "token_url": giver.url}}
        with Limpet(tmp_path, http_settings(receiver, server.url, **options)) as limpet:
            wait_for_targets(limpet, 1)
            assert {r.header("Authorization") for r in server.target.requests} == {"Bearer T"}
            assert len(giver.target.requests) == 1


def test_the_user_in_a_url_is_shown(tmp_path, receiver):
    with Answers(groups("127.0.0.1:1")) as server:
        url = server.url.replace("://", "://u:secret@")
        with Limpet(tmp_path, http_settings(receiver, url)) as limpet:
            wait_for_targets(limpet, 1)
            assert server.target.requests[0].header("Authorization") == "Basic dTpzZWNyZXQ="


def test_jobs_with_the_same_server_ask_once(tmp_path, receiver):
    with Answers(groups("127.0.0.1:1")) as server:
        entry = {"url": server.url, "refresh_interval": "1h"}
        jobs = [{"job_name": f"j{i}", "http_sd_configs": [entry]} for i in range(3)]
        with Limpet(tmp_path, config(*jobs, remote(receiver.url))) as limpet:
            wait_for_targets(limpet, 3)
            assert len(server.target.requests) == 1


# ---- kubelet_sd_configs ----


def test_pods_come_from_the_kubelet(tmp_path, receiver):
    def pods(*items):
        return Reply(json.dumps({"kind": "PodList", "metadata": {}, "items": list(items)}).encode(),
                     content_type=JSON)

    with Target(b"a 1\n") as target, Answers(pods()) as kubelet:
        one = pod("one", port=int(target.address.rsplit(":", 1)[1]))
        kubelet.reply = pods(one)
        job = {"job_name": "pods",
               "limpet": {"kubelet_sd_configs": [{"url": kubelet.url, "refresh_interval": "200ms"}]},
               "relabel_configs": [{"action": "labelmap", "regex": "__meta_kubernetes_(pod_name)"}]}
        with Limpet(tmp_path, config(job, remote(receiver.url), interval="200ms")) as limpet:
            target.wait_for_requests(2, 10)
            kubelet.reply = pods(one, pod("two", ip="127.0.0.1", port=1))
            wait_for_targets(limpet, 2)
            for broken in (Reply(b'{"items": [{}]}', content_type=JSON), Reply(b"<html>"),
                           Reply(b"{}", status="401 Unauthorized")):
                failures = limpet.metric("limpet_discovery_kubernetes_failures_total")
                kubelet.reply = broken
                wait_until(lambda: limpet.metric(
                    "limpet_discovery_kubernetes_failures_total") > failures, 10, "a failure")
                assert limpet.metric("limpet_discovery_targets") == 2
            kubelet.reply = pods()
            wait_for_targets(limpet, 0)


@pytest.mark.parametrize("nothing", [b"null", b'{"items": null}', b'{"kind": "PodList"}'])
def test_a_kubelet_without_pods_is_believed_the_second_time(tmp_path, receiver, nothing):
    some = Reply(json.dumps({"items": [pod("one", ip="127.0.0.1", port=1)]}).encode(),
                 content_type=JSON)
    empty = Reply(nothing, content_type=JSON)
    replies = [some] * 5 + [empty, some, empty, Reply(b"", status="500 No"), empty, some]
    replies.reverse()
    with Target(lambda request: replies.pop() if len(replies) > 1 else replies[0]) as kubelet:
        entry = {"url": f"http://{kubelet.address}/pods", "refresh_interval": "300ms"}
        job = {"job_name": "pods", "limpet": {"kubelet_sd_configs": [entry]}}
        with Limpet(tmp_path, config(job, remote(receiver.url), interval="200ms")) as limpet:
            wait_for_targets(limpet, 1)
            while len(replies) > 1:
                assert limpet.metric("limpet_discovery_targets") == 1
                time.sleep(0.05)
            # An answer has 300 ms, which may be too little on a busy machine.
            wait_until(lambda: 3 - limpet.stderr().count("context deadline exceeded")
                       <= limpet.stderr().count("no pods any more") <= 3, 10, "three words")
            replies[0] = empty
            wait_for_targets(limpet, 0)


# ---- dns_sd_configs ----


def dns_limpet(tmp_path, receiver, dns, *entries, timeout=10):
    """limpet where /etc/resolv.conf names our server, whose answers have so many seconds."""
    jobs = [{"job_name": f"dns-{i}", "dns_sd_configs": [{"refresh_interval": "200ms", **entry}],
             "relabel_configs": [{"action": "labelmap", "regex": "__meta_dns_(.+)"}]}
            for i, entry in enumerate(entries)]
    return Limpet(tmp_path, config(*jobs, remote(receiver.url), interval="200ms"),
                  prefix=asks(dns, tmp_path, timeout=timeout))


def series(receiver):
    """{job: [labels of up, ...]}"""
    found = {}
    for key in receiver.series(accepted=True):
        labels = dict(key)
        if labels["__name__"] == "up":
            found.setdefault(labels["job"], []).append(labels)
    return found


def test_records_of_all_types_become_targets(tmp_path, receiver, dns):
    dns.records = {
        ("a.test", "A"): ["127.0.0.1", "127.0.0.2"],
        ("aaaa.test", "AAAA"): ["::1"],
        ("_x._tcp.test", "SRV"): [("localhost.", 1), ("127-0-0-1.test.", 2)],
        ("mx.test", "MX"): ["localhost."],
        ("ns.test", "NS"): ["localhost."],
        ("short.zone.test", "A"): ["127.0.0.3"],
    }
    with dns_limpet(tmp_path, receiver, dns,
                    {"names": ["a.test"], "type": "A", "port": 1},
                    {"names": ["aaaa.test."], "type": "aaaa", "port": 1},
                    {"names": ["_x._tcp.test"]},
                    {"names": ["mx.test"], "type": "MX", "port": 5},
                    {"names": ["ns.test"], "type": "NS", "port": 6},
                    {"names": ["short"], "type": "A", "port": 7}) as limpet:
        wait_for_targets(limpet, 8, 20)
        wait_until(lambda: sum(map(len, series(receiver).values())) == 8, 20, "all series")
        found = series(receiver)
        assert {s["instance"] for s in found["dns-0"]} == {"127.0.0.1:1", "127.0.0.2:1"}
        assert found["dns-0"][0]["name"] == "a.test"
        assert found["dns-1"][0]["instance"] == "[::1]:1"
        srv = {s["instance"]: s for s in found["dns-2"]}
        assert srv["localhost:1"]["srv_record_target"] == "localhost."
        assert srv["localhost:1"]["srv_record_port"] == "1"
        assert found["dns-3"][0]["mx_record_target"] == "localhost."
        assert found["dns-4"][0]["ns_record_target"] == "localhost."
        assert found["dns-5"][0]["instance"] == "127.0.0.3:7"


def test_an_answer_too_long_for_udp_comes_by_tcp(tmp_path, receiver, dns):
    dns.records = {("many.test", "A"): [f"127.2.{i // 200}.{i % 200}" for i in range(600)]}
    with dns_limpet(tmp_path, receiver, dns,
                    {"names": ["many.test"], "type": "A", "port": 1}) as limpet:
        wait_for_targets(limpet, 600, 20)


def test_a_failing_server_keeps_targets_and_a_missing_name_has_none(tmp_path, receiver, dns):
    dns.records = {("a.test", "A"): ["127.0.0.1"], ("b.test", "A"): ["127.0.0.2"]}
    with dns_limpet(tmp_path, receiver, dns,
                    {"names": ["a.test", "b.test"], "type": "A", "port": 1}, timeout=1) as limpet:
        wait_for_targets(limpet, 2, 20)
        for code in (2, None):
            before = limpet.metric("limpet_discovery_dns_lookup_failures_total")
            dns.code = code
            wait_until(lambda: limpet.metric(
                "limpet_discovery_dns_lookup_failures_total") >= before + 2, 30, "failures")
            assert limpet.metric("limpet_discovery_targets") == 2
        dns.code = 0
        del dns.records[("b.test", "A")]
        wait_for_targets(limpet, 1, 20)
        dns.records[("a.test", "A")].append("127.0.0.9")
        wait_for_targets(limpet, 2, 20)
