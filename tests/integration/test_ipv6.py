# SPDX-License-Identifier: GPL-2.0-or-later
"""IPv6 in every place where an address stands, each by itself: the others are IPv4."""
import json
import urllib.request

from lib.limpet import Limpet, config, job, remote
from lib.nginx import Nginx
from lib.proc import free_port
from lib.prom import http_get
from lib.remote_write import Answer, Receiver
from lib.stream import ups
from lib.target import Reply, Target

BODY = b"page_total 1\n"
HERE = "::1"


def deliver(tmp_path, receiver, *entries, **settings):
    """Runs limpet until the page of job a has come twice."""
    with Limpet(tmp_path, config(*entries, interval="300ms", **settings)) as limpet:
        receiver.wait_for(lambda r: len(r.samples("page_total", job="a")) >= 2)
        limpet.stop()
    assert set(ups(receiver, 0.3, job="a")) == {1}
    assert not receiver.problems()


def test_a_target(tmp_path):
    with Target(BODY, HERE) as target, Receiver() as receiver:
        deliver(tmp_path, receiver, job("a", [target.address]), remote(receiver.url))
        assert target.requests[0].header("Host") == target.address
        assert receiver.samples("up", instance=target.address)


def test_a_target_by_tls(tmp_path, certificates):
    with Nginx(tmp_path, certificates, host=HERE) as nginx, Receiver() as receiver:
        deliver(tmp_path, receiver, job("a", [nginx.address()], scheme="https",
                                        tls_config={"ca_file": str(certificates / "ca.pem")}), remote(receiver.url))


def test_a_remote(tmp_path):
    with Target(BODY) as target, Receiver(host=HERE) as receiver:
        assert receiver.url.startswith("http://[::1]:")
        deliver(tmp_path, receiver, job("a", [target.address]), remote(receiver.url))
        assert receiver.requests[0].header("Host") == receiver.address


def test_a_proxy_for_targets_and_remotes(tmp_path):
    with Target(BODY, HERE) as proxy, Receiver() as receiver:
        deliver(tmp_path, receiver, job("a", ["app.example:9100"], proxy_url=f"http://{proxy.address}"),
                remote(receiver.url))
        assert proxy.requests[0].raw.startswith(b"GET http://app.example:9100/metrics HTTP/1.1\r\n")
    with Target(BODY) as target, Receiver(host=HERE) as receiver:
        deliver(tmp_path, receiver, job("a", [target.address]),
                remote("http://receiver.example/api/v1/write", proxy_url=f"http://{receiver.address}"))
        assert receiver.requests[0].header("Host") == "receiver.example"


def test_a_target_behind_a_proxy(tmp_path):
    with Target(BODY) as proxy, Receiver() as receiver:
        deliver(tmp_path, receiver, job("a", ["[2001:db8::5]:9100"], proxy_url=f"http://{proxy.address}"),
                remote(receiver.url))
        assert proxy.requests[0].raw.startswith(b"GET http://[2001:db8::5]:9100/metrics HTTP/1.1\r\n")
        assert proxy.requests[0].header("Host") == "[2001:db8::5]:9100"


def test_redirects_of_targets_and_remotes(tmp_path):
    with Target(BODY, HERE) as there, Receiver(host=HERE) as moved, Receiver() as front, \
            Target(lambda _: Reply(status="302 Found", headers=[("Location", f"http://{there.address}/x")])) as here:
        front.default = Answer(status=308, headers={"Location": moved.url})
        deliver(tmp_path, moved, job("a", [here.address]), remote(front.url))
        assert {request.path for request in there.requests} == {"/x"}
        assert there.requests[0].header("Host") == there.address


def test_discovery_by_http(tmp_path):
    with Target(BODY, HERE) as target, Receiver() as receiver, \
            Target(lambda _: Reply(json.dumps([{"targets": [target.address]}]).encode(),
                                   content_type="application/json"), HERE) as source:
        entry = {"job_name": "a", "http_sd_configs": [{"url": f"http://{source.address}/sd"}]}
        deliver(tmp_path, receiver, entry, remote(receiver.url))


def test_the_console(tmp_path):
    port = free_port()
    with Target(BODY) as target, Receiver() as receiver:
        flags = [f"--web.listen-address=[::1]:{port}"]
        with Limpet(tmp_path, config(job("a", [target.address]), remote(receiver.url)), flags=flags,
                    ready=False) as limpet:
            receiver.wait_for(lambda r: r.samples("page_total"))
            limpet.wait_ready(lambda: http_get(f"http://[::1]:{port}/-/ready")[0] == 200)
            with urllib.request.urlopen(f"http://[::1]:{port}/metrics", timeout=60) as answer:
                assert b"limpet_" in answer.read()
            limpet.stop()
