# SPDX-License-Identifier: GPL-2.0-or-later
"""Jobs and targets from a Target Allocator: what is asked, what is taken, and what stays when the
answers break, when it or we start again, and when targets move."""
import os
import pathlib
import signal
import threading
import time

import pytest

from lib.allocator import Answer, TargetAllocator, scrape_config
from lib.limpet import Limpet, Paths, config, job, remote
from lib.proc import free_port, wait_until
from lib import remote_write as wire
from lib.remote_write import STALE_BITS, Receiver
from lib.target import Reply, Target

TOO_LATE = "context deadline exceeded"  # on a busy machine: an answer has 300 ms
POD = "agent-x7k2p"
NAME = "serviceMonitor/shop/my cart/0"


@pytest.fixture
def allocator():
    with TargetAllocator() as allocator:
        yield allocator


def settings(receiver, allocator, *more, collector=POD, interval="300ms", every="300ms", **options):
    """every: how often it is asked, and how long an answer may take."""
    block = {"endpoint": allocator.url, "interval": every, "collector_id": collector,
             "http_sd_config": {"refresh_interval": every}, **options}
    return config(*more, remote(receiver.url), interval=interval,
                  limpet={"target_allocator": block})


def wait_for_targets(limpet, count, seconds=10):
    wait_until(lambda: limpet.metric("limpet_discovery_targets") == count, seconds,
               f"{count} targets")


def labels_of(receiver, metric="a"):
    return [dict(key) for key in receiver.series(accepted=True) if dict(key)["__name__"] == metric]


def one_series(receiver, metric="a"):
    return wait_until(lambda: labels_of(receiver, metric), 10, "a series")[0]


def stale(receiver, metric="a"):
    """The series that have a staleness marker."""
    return [dict(key) for key, samples in receiver.series(accepted=True).items()
            if dict(key)["__name__"] == metric and any(bits == STALE_BITS for _, bits in samples)]


def test_the_block_of_the_operator_is_taken_as_it_is(tmp_path, receiver, target):
    with TargetAllocator() as allocator:
        allocator.jobs[NAME] = scrape_config(NAME)
        allocator.assign(NAME, POD, [target.address], __meta_kubernetes_namespace="shop")
        text = f"""
global: {{scrape_interval: 1s}}
scrape_configs: []
remote_write:
  - url: {receiver.url}
    queue_config: {{batch_send_deadline: 100ms}}
limpet:
  target_allocator:
    endpoint: {allocator.url}
    interval: 30s
    collector_id: ${{POD_NAME}}
"""
        with Limpet(tmp_path, text, env={"POD_NAME": POD}) as limpet:
            target.wait_for_requests(1, 10)
            assert limpet.metric("limpet_ta_synced") == 1
            assert limpet.metric("limpet_ta_jobs") == 1
            assert limpet.metric("limpet_ta_last_success_timestamp_seconds") > 1.7e9
            (asked,) = allocator.asked()
            assert asked.headers["Accept"] == "application/json"
            assert asked.headers["User-Agent"].startswith("limpet/")
            request = allocator.asked_for(NAME)[0]
            assert request.path == "/jobs/serviceMonitor%2Fshop%2Fmy+cart%2F0/targets"
            assert request.query == {"collector_id": POD}
            assert request.headers["X-Prometheus-Refresh-Interval-Seconds"] == "30"
            assert f"<td>{NAME}</td>" in limpet.get("/targets")[1]
            limpet.stop()


def test_jobs_are_scraped_with_all_that_they_say(tmp_path, receiver, allocator):
    def script(request):
        good = request.header("Authorization") == "Bearer t0ken" and request.path == "/m?x=1"
        return Reply(b"a 1\nb 2\nc{l=\"v\"} 3\n") if good else Reply(b"", status="401 No")

    with Target(script) as web, Target(b"own 1\n") as own:
        allocator.secure = True  # tells secrets
        allocator.jobs["web"] = scrape_config(
            "web", "200ms", metrics_path="/m", params={"x": ["1"]},
            authorization={"type": "Bearer", "credentials": "t0ken"},
            relabel_configs=[
                {"source_labels": ["__meta_kubernetes_namespace"], "separator": ";",
                 "regex": "(shop);?", "replacement": "$1", "action": "keep"},
                {"source_labels": ["__meta_kubernetes_namespace"], "target_label": "namespace",
                 "action": "replace"},
                {"source_labels": ["__address__"], "modulus": 1, "target_label": "__tmp_hash",
                 "action": "hashmod"},
                {"source_labels": ["__tmp_hash"], "regex": "$(SHARD)", "action": "keep"}],
            metric_relabel_configs=[{"source_labels": ["__name__"], "regex": "b", "action": "drop"}],
            a_key_of_tomorrow={"x": 1})
        allocator.assign("web", POD, [web.address], __meta_kubernetes_namespace="shop")
        allocator.assign("web", "another", ["127.0.0.1:9"], __meta_kubernetes_namespace="shop")
        with Limpet(tmp_path, settings(receiver, allocator, job("own", [own.address]))) as limpet:
            assert one_series(receiver) == {"__name__": "a", "job": "web", "namespace": "shop",
                                            "instance": web.address}
            assert one_series(receiver, "own")["job"] == "own"
            wait_until(lambda: labels_of(receiver, "c"), 10, "the last line")
            assert not labels_of(receiver, "b")
            assert limpet.metric("limpet_discovery_targets") == 2
            assert "a_key_of_tomorrow" in limpet.stderr()
            limpet.stop()


@pytest.mark.parametrize("scrapers", [1, 2])
def test_a_job_that_changes_is_scraped_differently_at_once(tmp_path, receiver, allocator, target,
                                                           scrapers):
    allocator.jobs["web"] = scrape_config("web", "200ms")
    allocator.assign("web", POD, [target.address])
    text = settings(receiver, allocator)
    text["limpet"]["scrapers"] = scrapers
    with Limpet(tmp_path, text) as limpet:
        one_series(receiver)
        pids = limpet.children()["limpet-scraper"]
        allocator.jobs["web"] = scrape_config(
            "web", "200ms", metric_relabel_configs=[{"target_label": "version", "replacement": "2"}])
        wait_until(lambda: any(s.get("version") == "2" for s in labels_of(receiver)), 10, "the rule")
        wait_until(lambda: stale(receiver) and "version" not in stale(receiver)[0], 10,
                   "the end of the series without it")
        allocator.jobs["web"] = scrape_config("web", "200ms", metrics_path="/other")
        target.wait_for(lambda t: t.requests[-1].path == "/other", 10)
        assert limpet.children()["limpet-scraper"] == pids
        del allocator.jobs["web"]
        allocator.jobs["another"] = scrape_config("another", "200ms")
        wait_for_targets(limpet, 0)
        limpet.stop()


BROKEN = {
    "500": Answer(500, b'{"other": {}}'),
    "empty": Answer(200, b""),
    "null": Answer(200, b"null"),
    "list": Answer(200, b"[]"),
    "cut": Answer(200, b'{"web": {"job_name": "web"'),
    "html": Answer(200, b"{}", "text/html"),
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_answer_keeps_jobs_and_targets(tmp_path, receiver, allocator, target, broken):
    allocator.jobs["web"] = scrape_config("web", "200ms")
    allocator.assign("web", POD, [target.address])
    with Limpet(tmp_path, settings(receiver, allocator)) as limpet:
        wait_for_targets(limpet, 1)
        allocator.answer = broken
        allocator.targets_answer = Answer(500, b"[]")
        wait_until(lambda: limpet.metric("limpet_ta_sync_failures_total") >= 2, 10, "failures")
        assert limpet.metric("limpet_discovery_targets") == 1
        assert limpet.metric("limpet_ta_jobs") == 1
        before = len(target.requests)
        target.wait_for_requests(before + 3, 10)

        def said():
            return [line for line in limpet.stderr().splitlines()
                    if "no jobs from the Target Allocator" in line]

        wait_until(lambda: any(TOO_LATE not in line for line in said()), 10, "the reason")
        lines = said()
        assert len(lines) <= 1 + 2 * sum(TOO_LATE in line for line in lines)  # again after another
        limpet.stop()


def test_no_jobs_at_all_are_believed_the_second_time(tmp_path, receiver, allocator, target):
    allocator.jobs["web"] = scrape_config("web", "200ms")
    allocator.assign("web", POD, [target.address])
    with Limpet(tmp_path, settings(receiver, allocator)) as limpet:
        wait_for_targets(limpet, 1)
        before = len(allocator.asked())
        del allocator.jobs["web"]
        wait_for_targets(limpet, 0)
        assert len(allocator.asked()) >= before + 2
        assert limpet.metric("limpet_ta_sync_failures_total") == 0 or TOO_LATE in limpet.stderr()
        assert "if it says so again, they go" in limpet.stderr()


def test_no_jobs_now_and_then_are_not_believed(tmp_path, receiver, allocator, target):
    allocator.jobs["web"] = scrape_config("web", "200ms")
    allocator.assign("web", POD, [target.address])

    def wait_for_answers(count):
        before = len(allocator.asked())
        wait_until(lambda: len(allocator.asked()) >= before + count, 10, "requests")

    with Limpet(tmp_path, settings(receiver, allocator, interval="1s")) as limpet:
        wait_for_targets(limpet, 1)
        for times, body in enumerate([b"{}", b"{}", b'{"other": null}'], 1):
            allocator.answers_once.append(Answer(body=body))
            wait_until(lambda: limpet.stderr().count("if it says so again")
                       + limpet.stderr().count(TOO_LATE) >= times, 10, "a note")
            wait_for_answers(2)
            assert limpet.metric("limpet_ta_jobs") == 1


def test_a_job_that_is_wrong_harms_no_other(tmp_path, receiver, allocator, target):
    allocator.jobs["good"] = scrape_config("good", "200ms")
    allocator.jobs["web"] = scrape_config("web", "200ms", scrape_timeout="30s")
    allocator.jobs["own"] = scrape_config("own")
    allocator.jobs["file"] = scrape_config("file", bearer_token_file="/etc/passwd")
    allocator.jobs["regex"] = scrape_config("regex", relabel_configs=[{"regex": "(", "action": "keep"}])
    allocator.assign("good", POD, [target.address])
    allocator.assign("web", POD, ["127.0.0.1:1"])
    for name in ("own", "file", "regex"):
        allocator.assign(name, POD, ["127.0.0.1:2"], name=name)
    with Limpet(tmp_path, settings(receiver, allocator, job("own", ["127.0.0.1:3"]))) as limpet:
        wait_for_targets(limpet, 3)
        assert limpet.metric("limpet_ta_jobs") == 2
        assert limpet.metric("limpet_ta_jobs_refused") == 3
        allocator.jobs["web"] = scrape_config("web", "soon")
        wait_until(lambda: limpet.metric("limpet_ta_jobs_refused") == 4, 10, "the fourth")
        assert limpet.metric("limpet_discovery_targets") == 3
        log = limpet.stderr()
        for part in ("/etc/passwd", "goes before", "it stays as it was", "it is left out"):
            assert part in log
        limpet.stop()


def test_files_of_allowed_directories_may_be_named(tmp_path, receiver, allocator):
    (tmp_path / "token").write_text("from-a-file\n")
    script = lambda request: Reply(b"a 1\n" if request.header("Authorization") == "Bearer from-a-file"
                                   else b"no 1\n")
    with Target(script) as web:
        allocator.jobs["web"] = scrape_config("web", "200ms", bearer_token_file=f"{tmp_path}/token")
        allocator.jobs["up"] = scrape_config(
            "up", "200ms", bearer_token_file=f"{tmp_path}/x/../../token")
        allocator.assign("web", POD, [web.address])
        with Limpet(tmp_path, settings(receiver, allocator,
                                       allowed_directories=[str(tmp_path)])) as limpet:
            assert one_series(receiver)["job"] == "web"
            assert limpet.metric("limpet_ta_jobs_refused") == 1
            limpet.stop()


def test_a_masked_secret_is_said(tmp_path, receiver, allocator, target):
    allocator.jobs["web"] = scrape_config("web", "200ms", authorization={"credentials": "x"})
    allocator.assign("web", POD, [target.address])
    with Limpet(tmp_path, settings(receiver, allocator)) as limpet:
        wait_until(lambda: "secrets over https only" in limpet.get("/targets")[1], 10, "the reason")
        assert not target.requests
        up = wait_until(lambda: receiver.samples("up", job="web"), 10, "up")
        assert up[0][1] == 0


def test_the_options_of_scrapes_may_be_given_here(tmp_path, receiver, allocator):
    script = lambda request: Reply(b"a 1\n" if request.header("Authorization") == "Bearer mine"
                                   else b"no 1\n")
    with Target(script) as web:
        allocator.jobs["web"] = scrape_config("web", "200ms", bearer_token_file="/etc/passwd")
        allocator.assign("web", POD, [web.address])
        scrape = {"authorization": {"credentials": "mine"}}
        with Limpet(tmp_path, settings(receiver, allocator, http_scrape_config=scrape)):
            assert one_series(receiver)["job"] == "web"


def kill(limpet, program):
    pid = limpet.child(program)
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: limpet.children().get(program, [pid]) != [pid], 10, f"another {program}")


def test_whoever_starts_again_goes_on_without_the_allocator(tmp_path, receiver, target):
    port = free_port()
    allocator = TargetAllocator(port=port)
    allocator.__enter__()
    allocator.jobs["web"] = scrape_config("web", "300ms")
    allocator.assign("web", POD, [target.address])
    text = settings(receiver, allocator)
    with Limpet(tmp_path, text) as limpet:
        one_series(receiver)
        allocator.close()
        for program in ("limpet-discovery", "limpet-scraper"):
            kill(limpet, program)
            before = len(target.requests)
            target.wait_for_requests(before + 4, 10)
        assert limpet.reload(text)
        before = len(target.requests)
        target.wait_for_requests(before + 4, 10)
        assert limpet.metric("limpet_ta_synced") == 0
        wait_for_targets(limpet, 1)
        with TargetAllocator(port=port) as again:
            again.jobs["web"] = scrape_config("web", "300ms")
            again.assign("web", POD, [target.address])
            wait_until(lambda: limpet.metric("limpet_ta_synced") == 1, 20, "an answer")
        assert not stale(receiver, "up")  # of which a scrape that fails makes no marker
        limpet.stop()


def test_a_job_that_is_not_there_at_first_is_waited_for(tmp_path, receiver, target):
    port = free_port()
    with TargetAllocator(port=port) as closed:
        pass
    text = settings(receiver, closed, job("own", [target.address]))
    with Limpet(tmp_path, text) as limpet:  # ready without it
        target.wait_for_requests(1, 10)
        assert limpet.metric("limpet_ta_synced") == 0
        with TargetAllocator(port=port) as allocator, Target(b"b 1\n") as web:
            allocator.jobs["web"] = scrape_config("web", "200ms")
            allocator.assign("web", POD, [web.address])
            assert one_series(receiver, "b")["job"] == "web"
            limpet.stop()


def test_targets_of_an_allocator_are_not_shared_out_again(tmp_path, receiver, allocator, target):
    allocator.jobs["web"] = scrape_config("web", "200ms")
    allocator.assign("web", POD, [target.address], __meta_kubernetes_pod_node_name="node-2")
    with Limpet(tmp_path, settings(receiver, allocator), env={"NODE_NAME": "node-1"}):
        one_series(receiver)


def test_mutual_tls_is_spoken_and_tells_secrets(tmp_path, receiver, certificates):
    def page(request):
        good = request.header("Authorization") == "Bearer s3cret"
        return Reply(b"a 1\n") if good else Reply(b"", status="401 No")

    tls = (certificates / "server.pem", certificates / "server.key")
    with TargetAllocator(tls=tls, client_ca=certificates / "ca.pem") as allocator, \
            Target(page) as target:
        allocator.jobs["web"] = scrape_config("web", "200ms",
                                              authorization={"credentials": "s3cret"})
        allocator.assign("web", POD, [target.address])
        files = {"ca_file": f"{certificates}/ca.pem", "reload_interval": "5m"}
        with Limpet(tmp_path, settings(receiver, allocator, every="2s", tls=files)) as limpet:
            wait_until(lambda: limpet.metric("limpet_ta_sync_failures_total") >= 1, 10, "a failure")
            assert limpet.metric("limpet_ta_synced") == 0
            files.update(cert_file=f"{certificates}/client.pem", key_file=f"{certificates}/client.key")
            assert limpet.reload(settings(receiver, allocator, every="2s", tls=files))
            one_series(receiver)
            assert "s3cret" not in limpet.get("/targets")[1] + limpet.stderr()
            limpet.stop()


def test_authorities_of_the_system_are_believed_besides(tmp_path, receiver, target, certificates):
    right, other = f"{certificates}/ca.pem", f"{certificates}/selfsigned.pem"
    tls = (certificates / "server.pem", certificates / "server.key")
    with TargetAllocator(tls=tls) as allocator:
        def believing(**tls):
            return settings(receiver, allocator, every="2s", tls=tls)

        allocator.jobs["web"] = scrape_config("web", "200ms")
        allocator.assign("web", POD, [target.address])
        own = believing(ca_file=other)
        with Limpet(tmp_path, own, env={**os.environ, "SSL_CERT_FILE": right}) as limpet:
            wait_until(lambda: limpet.metric("limpet_ta_sync_failures_total") >= 1, 10, "a failure")
            assert limpet.metric("limpet_ta_synced") == 0
            assert limpet.reload(believing(ca_file=other, include_system_ca_certs_pool=True))
            wait_for_targets(limpet, 1)
            assert limpet.reload(own)
            wait_until(lambda: limpet.metric("limpet_ta_synced") == 0, 10, "no answer")
            pem = pathlib.Path(right).read_text()
            assert limpet.reload(believing(ca_pem=pem, include_system_ca_certs_pool=True))
            wait_until(lambda: limpet.metric("limpet_ta_synced") == 1, 10, "an answer")
            wait_for_targets(limpet, 1)
            one_series(receiver)
            limpet.stop()


def merged(receiver, name="up"):
    """{instance: [(time, is stale)]} of all that was accepted, in the order of time. Only a target that
    has gone has markers of `up`."""
    found = {}
    for key, samples in receiver.series(once=True).items():
        if dict(key)["__name__"] == name:
            of_target = found.setdefault(dict(key)["instance"], [])
            of_target += [(at, bits == STALE_BITS) for at, bits in samples]
    return {instance: sorted(samples) for instance, samples in found.items()}


def test_an_allocator_that_starts_anew_may_have_nothing_for_a_moment(tmp_path, receiver, target):
    port = free_port()
    with TargetAllocator(port=port) as allocator:
        allocator.jobs["web"] = scrape_config("web", "4s")  # of which two are what a moment may take
        allocator.assign("web", POD, [target.address])
        with Limpet(tmp_path, settings(receiver, allocator)) as limpet:
            one_series(receiver)
            allocator.close()
            with TargetAllocator(port=port) as again:
                again.jobs = allocator.jobs  # but it has not looked for collectors yet
                wait_for_targets(limpet, 0)
                again.assign("web", POD, [target.address])
                wait_for_targets(limpet, 1)
                before = len(target.requests)
                target.wait_for_requests(before + 3, 30)
                assert not stale(receiver, "up")
                limpet.stop()


def test_limpet_as_a_whole_starts_again_where_it_was(tmp_path, receiver, allocator, target):
    allocator.jobs["web"] = scrape_config("web", "2s")
    allocator.assign("web", POD, [target.address])
    paths = Paths(str(tmp_path))
    text = settings(receiver, allocator)
    try:
        with Limpet(tmp_path, text, paths=paths) as limpet:
            one_series(receiver)
            limpet.kill_all()
        with Limpet(tmp_path, text, paths=paths) as limpet:
            before = len(target.requests)
            target.wait_for_requests(before + 4, 20)
            assert not stale(receiver, "up")
            assert len(labels_of(receiver)) == 1
            limpet.stop()
    finally:
        paths.remove()


def refusing_old():
    """Answers as of a receiver that takes nothing older than it has, and nothing beside such."""
    newest, lock = {}, threading.Lock()

    def answer(request):
        with lock:
            for series in request.series:
                for at, _ in series.samples:
                    if at <= newest.get(series.key(), at - 1):
                        refused.append(dict(series.labels))
                        return wire.Answer(status=400, body=b"out of order sample")
            for series in request.series:
                newest[series.key()] = max(at for at, _ in series.samples)
        return wire.Answer()

    refused = []
    return answer, refused


def test_a_marker_of_a_target_that_may_have_moved_follows_its_last_sample(tmp_path, receiver, allocator, target):
    """So that where samples are taken in any order it comes before those of the next instance."""
    allocator.jobs["web"] = scrape_config("web", "1s")
    allocator.assign("web", POD, [target.address])
    with Limpet(tmp_path, settings(receiver, allocator)) as limpet:
        one_series(receiver)
        allocator.assign("web", "another", [target.address])
        wait_until(lambda: stale(receiver, "up"), 20, "markers")
        limpet.stop()
    samples = merged(receiver)[target.address]
    assert [is_stale for _, is_stale in samples] == [False] * (len(samples) - 1) + [True]
    assert samples[-1][0] == samples[-2][0] + 1


def test_a_target_that_moves_is_not_marked_stale_in_between(tmp_path, allocator):
    """Two instances and one receiver that refuses what is older than it has, as Prometheus does:
    what has gone is marked, what has moved is not, and nothing is lost by the refusal."""
    answer, refused = refusing_old()
    with Receiver() as receiver, Target(b"a 1\n") as web, Target(b"a 1\n") as gone:
        receiver.default = answer
        allocator.jobs["web"] = scrape_config("web", "3s")
        allocator.assign("web", "one", [web.address, gone.address])
        options = {"every": "1s", "interval": "1s"}
        (tmp_path / "1").mkdir()
        (tmp_path / "2").mkdir()
        with Limpet(tmp_path / "1", settings(receiver, allocator, collector="one", **options)) as one, \
                Limpet(tmp_path / "2", settings(receiver, allocator, collector="two", **options)) as two:
            wait_until(lambda: len(merged(receiver)) == 2, 10, "both targets")
            allocator.assign("web", "two", [web.address])
            allocator.assign("web", "nobody", [gone.address])
            wait_until(lambda: two.metric("limpet_discovery_targets") == 1, 10, "the target there")
            wait_until(lambda: any(is_stale for _, is_stale in merged(receiver)[gone.address]), 10,
                       "the end of the one that has gone")
            marked_at = max(at for at, is_stale in merged(receiver)[gone.address] if is_stale)
            assert time.time() * 1000 - marked_at > 6000  # it had two intervals to come back
            before = len(merged(receiver)[web.address])
            wait_until(lambda: len(merged(receiver)[web.address]) >= before + 4, 10, "more samples")
            assert not any(is_stale for _, is_stale in merged(receiver)[web.address])
            times = [at for at, _ in merged(receiver)[web.address]]
            assert max(b - a for a, b in zip(times, times[1:])) < 20000  # on a busy machine
            wait_until(lambda: any(labels["instance"] == web.address for labels in refused), 10,
                       "a marker that comes too late")
            wait_until(lambda: any(is_stale for _, is_stale in merged(receiver)[gone.address]), 10,
                       "the marker beside it")
            assert one.metric("limpet_remote_samples_already_delivered_total") > 0
            one.stop()
            two.stop()
