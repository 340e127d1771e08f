# SPDX-License-Identifier: GPL-2.0-or-later
"""Redirects to hosts that nobody knew before: discovery is asked for them, and the scrape goes on
within its time-out."""
import itertools

import pytest

from lib.dns import asks, dns
from lib import stream
from lib.limpet import Limpet, config, job, remote
from lib.proc import wait_until
from lib.remote_write import Answer, Receiver
from lib.target import Reply, Target

BODY = b"page_total 1\n"
BACKENDS = pytest.mark.parametrize("backend", ["io_uring", "epoll"])


def moved(location):
    return Reply(b"", status="302 Found", headers=[("Location", location)])


def start(tmp_path, dns, *entries, backend="auto", interval="1s"):
    prefix = asks(dns, tmp_path, timeout=1 if dns.silent else 10)
    return Limpet(tmp_path, config(*entries, interval=interval, limpet={"event_loop": backend}),
                  prefix=prefix)


def ups(receiver, name, time_out=1.0):
    return stream.ups(receiver, time_out, job=name)


@BACKENDS
def test_the_first_scrape_already_reaches_a_host_that_nobody_knew(tmp_path, dns, backend):
    dns.records = {("moved.test", "A"): ["127.0.0.1"], ("both.test", "AAAA"): ["::1"],
                   ("both.test", "A"): ["127.0.0.1"]}
    dns.ttls = {"moved.test": 300, "both.test": 300}
    with Target(BODY) as there, Receiver() as receiver, \
            Target(lambda _: moved(f"http://moved.test:{there.port}/x")) as first, \
            Target(lambda _: moved(f"http://Both.test:{there.port}/y")) as second:
        jobs = [job("moved", [first.address]), job("both", [second.address])]
        with start(tmp_path, dns, *jobs, remote(receiver.url), backend=backend) as limpet:
            assert limpet.metric("limpet_event_loop_info", backend=backend, scraper="0") == 1
            for name in ("moved", "both"):
                receiver.wait_for(lambda r: len(ups(r, name)) >= 3)
            limpet.stop()
        for name in ("moved", "both"):
            assert set(ups(receiver, name)) == {1}, name
        # Asked for once and for the TTL once, then known.
        assert dns.asked.count(("moved.test", "A")) <= 2
        assert {r.header("Host") for r in there.requests} == {
            f"moved.test:{there.port}", f"Both.test:{there.port}"}


@BACKENDS
def test_hosts_without_an_answer_fail_with_a_reason(tmp_path, dns, backend):
    dns.silent = {"silent.test"}
    with Receiver() as receiver, Target(lambda _: moved("http://absent.test/absent")) as absent, \
            Target(lambda _: moved("http://silent.test/silent")) as silent:
        jobs = [job("absent", [absent.address]),
                job("silent", [silent.address], scrape_timeout="500ms")]
        with start(tmp_path, dns, *jobs, remote(receiver.url), backend=backend) as limpet:
            for name in ("absent", "silent"):
                receiver.wait_for(lambda r: len(r.samples("up", job=name)) >= 2)

            def shows(*reasons):
                """Sooner or later: on a busy machine any scrape may run out of its time first."""
                wait_until(lambda: any(reason in limpet.get("/targets")[1] for reason in reasons),
                           what=reasons[0])

            shows("lookup absent.test: no such host")
            shows("context deadline exceeded", "the resolver does not answer")
            # No more than its time-out, unless the machine is busy.
            receiver.wait_for(lambda r: any(
                value < 0.8 for _, value in r.samples("scrape_duration_seconds", job="silent")))
            limpet.stop()
        for name in ("absent", "silent"):
            assert {value for _, value in receiver.samples("up", job=name)} == {0}


def test_a_target_that_leads_to_ever_new_hosts_costs_a_counter(tmp_path, dns):
    number = itertools.count()
    dns.records = {(f"n{i}.test", "A"): ["127.0.0.1"] for i in range(1000)}
    dns.records[("good.test", "A")] = ["127.0.0.1"]
    with Target(BODY) as there, Receiver() as receiver, \
            Target(lambda _: moved(f"http://n{next(number)}.test:{there.port}/")) as hostile, \
            Target(lambda _: moved(f"http://good.test:{there.port}/")) as good:
        jobs = [job("hostile", [hostile.address], scrape_interval="100ms"),
                job("good", [good.address])]
        with start(tmp_path, dns, *jobs, remote(receiver.url), interval="500ms") as limpet:
            wait_until(lambda: limpet.metric("limpet_redirect_lookups_refused_total",
                                             scraper="0") >= 10, 30, "refusals")
            # Unless that scrape has run out of its time, which is short.
            wait_until(lambda: "redirects lead to too many different hosts" in limpet.get("/targets")[1],
                       what="the reason")
            receiver.wait_for(lambda r: len(ups(r, "good", 0.5)) >= 3)
            limpet.stop()
        assert set(ups(receiver, "good", 0.5)) == {1}
        assert 0 < len({name for name, _ in dns.asked if name.startswith("n")}) <= 4


def test_hosts_whose_servers_are_silent_take_only_two_of_the_four_that_ask(tmp_path, dns):
    dns.silent = {f"silent{i}.test" for i in range(4)}
    targets = [Target(lambda _, i=i: moved(f"http://silent{i}.test/")) for i in range(4)]
    try:
        jobs = [job(f"j{i}", [target.address]) for i, target in enumerate(targets)]
        with start(tmp_path, dns, *jobs, interval="1s") as limpet:
            wait_until(lambda: dns.silent <= set(dns.first_asked), 30, "all four names")
            limpet.stop()
    finally:
        for target in targets:
            target.close()
    first, second, third, _ = sorted(dns.first_asked[name] for name in dns.silent)
    # Each is waited for a second at least: the third had to wait for one of the first two.
    assert third - first > 0.9


@BACKENDS
def test_a_remote_that_has_moved_to_a_host_that_nobody_knew(tmp_path, dns, backend):
    dns.records = {("receiver.test", "A"): ["127.0.0.1"]}
    with Receiver() as receiver, Receiver() as front, Target(BODY) as target:
        front.default = Answer(status=308, headers={
            "Location": f"http://receiver.test:{receiver.port}/api/v1/write"})
        with start(tmp_path, dns, job("a", [target.address]), remote(front.url),
                   backend=backend) as limpet:
            receiver.wait_for(lambda r: len(ups(r, "a")) >= 3)
            limpet.stop()
        assert not receiver.problems()
        # No attempt was lost for the name.
        assert len(front.requests) == len(receiver.requests)
