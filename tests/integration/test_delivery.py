# SPDX-License-Identifier: GPL-2.0-or-later
"""limpet's remote write against receivers that answer late, badly or not at all. A small target is
scraped five times a second; what counts is that each of its scrapes arrives exactly once."""
import pytest

from lib import prom
from lib.limpet import Limpet, config, file_job, job, remote, write_file_sd
from lib.proc import dead_port, free_port, wait_until
from lib.remote_write import HEADERS, Answer, Receiver
from lib.stream import assert_each_request_is_one_scrape, count_whole, stream_of
from lib.target import Target


class Counting(Target):
    """Serves `n <number of the request>` and some more series."""

    def __init__(self, series=3):
        more = b"".join(b"s%d 1\n" % i for i in range(series - 1))
        Target.__init__(self, lambda request: b"n %d\n" % request.number + more)


@pytest.fixture
def target():
    with Counting() as target:
        yield target


def settings(target, *remotes, **options):
    return config(job("j", [target.address], {"case": "c"}), *remotes, interval="200ms", **options)


TIME_OUT = 0.2  # seconds, of these scrapes


def wait_for_scrapes(receiver, count, case="c"):
    wait_until(lambda: count_whole(receiver, case) >= count, 30, f"{count} scrapes", 0.05)


def run_until(tmp_path, receiver, settings, scrapes):
    """limpet from start to end, so long that so many scrapes arrive."""
    with Limpet(tmp_path, settings) as limpet:
        wait_for_scrapes(receiver, scrapes)
        limpet.stop()


def samples_in(request):
    return sum(len(series.samples) for series in request.series)


def assert_each_scrape_came_once(receiver, target, case="c", job="j", **more):
    stream = stream_of(receiver, case=case, job=job, instance=target.address)
    assert_each_request_is_one_scrape(stream, target, TIME_OUT, **more)


def assert_in_order(receiver):
    newest = {}
    for request in receiver.accepted():
        for series in request.series:
            for ts, _ in series.samples:
                assert ts > newest.get(series.key(), 0), f"{series.labels} in {request.number}"
                newest[series.key()] = ts


def by_attempt(requests):
    return [request.header("Retry-Attempt") for request in requests]


# ---------------------------------------------------------------------------------------- requests


def test_requests_are_those_of_remote_write_1(tmp_path, receiver, target):
    where = remote(receiver.url, headers={"X-Tenant": "t 1"})
    external = {"zone": "z", "case": "no", "A": "a"}
    run_until(tmp_path, receiver, settings(target, where, external_labels=external), 5)
    assert receiver.problems() == []
    request = receiver.requests[0]
    assert request.method == "POST" and request.path == "/api/v1/write"
    for name in ("Content-Encoding", "Content-Type", "X-Prometheus-Remote-Write-Version"):
        assert request.header(name) == HEADERS[name]
    assert request.header("User-Agent").startswith("limpet/")
    assert request.header("X-Tenant") == "t 1" and request.header("Retry-Attempt") is None
    assert int(request.header("Content-Length")) == len(request.body)
    # Of the first scrape or, if that ran into its time-out, of another.
    series = next(series for request in receiver.requests for series in request.series if series.name == "n")
    assert series.labels == [("A", "a"), ("__name__", "n"), ("case", "c"),
                             ("instance", target.address), ("job", "j"), ("zone", "z")]
    assert all(len(series.samples) == 1 for series in request.series)
    assert_in_order(receiver)


def test_a_request_holds_at_most_max_samples_per_send(tmp_path, receiver):
    """Scrapes of 25 samples stay whole where they fit; nothing is bigger than the limit."""
    with Counting(20) as target:
        where = remote(receiver.url, queue_config={"max_samples_per_send": 60,
                                                   "batch_send_deadline": "5s"})
        run_until(tmp_path, receiver, settings(target, where), 8)
        assert_each_scrape_came_once(receiver, target)
    # A scrape that ran into its time-out may have 5.
    assert 50 <= max(samples_in(request) for request in receiver.requests) <= 60
    requests_of = {}
    for request in receiver.requests:
        for series in request.series:
            for ts, _ in series.samples:
                requests_of.setdefault(ts, set()).add(request.number)
    assert all(len(numbers) == 1 for numbers in requests_of.values())


def test_a_scrape_larger_than_a_request_is_cut(tmp_path, receiver):
    with Counting(95) as target:
        where = remote(receiver.url, queue_config={"max_samples_per_send": 30})
        run_until(tmp_path, receiver, settings(target, where), 4)
        assert_each_scrape_came_once(receiver, target)
    assert max(samples_in(request) for request in receiver.requests) == 30


def test_several_shards_keep_the_order_of_every_series(tmp_path, receiver):
    """Sixteen targets over four connections, some answers late, some a 503."""
    delays = [0.0, 0.03, 0.0, 0.1, 0.01]
    receiver.default = lambda request: (
        Answer(503) if request.number % 7 == 3 else Answer(delay=delays[request.number % 5]))
    targets = [Counting() for _ in range(16)]
    jobs = [job(f"j{i}", [target.address], {"case": f"c{i}"}) for i, target in enumerate(targets)]
    where = remote(receiver.url, queue_config={"min_shards": 4, "max_shards": 4})
    with Limpet(tmp_path, config(*jobs, where, interval="200ms")) as limpet:
        for i in range(16):
            wait_for_scrapes(receiver, 10, f"c{i}")
        assert limpet.metric("prometheus_remote_storage_shards") == 4
        limpet.stop()
    assert len({request.connection for request in receiver.requests}) >= 2
    assert_in_order(receiver)
    for i, target in enumerate(targets):
        assert_each_scrape_came_once(receiver, target, f"c{i}", f"j{i}")
        target.close()


# ---------------------------------------------------------------------------------------- failures


@pytest.mark.parametrize("round_robin", [True, False])
def test_round_robin_dns_spreads_shards_over_the_addresses_of_a_host(tmp_path, round_robin):
    """One shard of the four goes elsewhere; which targets it has is a matter of hashes, so there are many."""
    port = free_port()  # one of those that connections get may be taken at the other address
    with Receiver(port) as receiver, Receiver(port, "::1") as other, Counting() as target:
        jobs = [job(f"j{i}", [target.address]) for i in range(80)]
        settings = config(*jobs, remote(f"http://localhost:{receiver.port}/w", round_robin_dns=round_robin,
                                        queue_config={"min_shards": 4, "max_shards": 4}), interval="1s")

        def enough():
            both = receiver.requests and other.requests
            return len(receiver.requests) + len(other.requests) >= 40 and (both or not round_robin)

        with Limpet(tmp_path, settings) as limpet:
            wait_until(enough, 20, "requests", 0.1)
            limpet.stop()
        assert bool(receiver.requests and other.requests) == round_robin


def test_503_is_repeated_byte_by_byte_with_growing_pauses(tmp_path, receiver, target):
    receiver.script = [Answer()] + [Answer(503)] * 4
    with Limpet(tmp_path, settings(target, remote(receiver.url))) as limpet:
        wait_for_scrapes(receiver, 10)
        failed = limpet.metric("limpet_remote_requests_failed_total", reason="recoverable")
        retried = limpet.metric("prometheus_remote_storage_samples_retried_total")
        assert limpet.metric("prometheus_remote_storage_samples_failed_total") == 0
        limpet.stop()
    repeats = receiver.requests[1:6]
    assert by_attempt(repeats) == [None, "1", "2", "3", "4"]
    assert len({request.body for request in repeats}) == 1
    gaps = [after.arrived - before.arrived for before, after in zip(repeats, repeats[1:])]
    assert all(gap >= pause for gap, pause in zip(gaps, (0.03, 0.06, 0.12, 0.24)))
    assert failed == 4
    assert retried == 4 * samples_in(repeats[0])
    assert_each_scrape_came_once(receiver, target)
    assert_in_order(receiver)


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_obeyed(tmp_path, receiver, target, status):
    receiver.script = [Answer(), Answer(status, headers={"Retry-After": "1"})]
    run_until(tmp_path, receiver, settings(target, remote(receiver.url)), 10)
    refused, again = receiver.requests[1:3]
    assert again.body == refused.body and again.header("Retry-Attempt") == "1"
    assert 1.0 <= again.arrived - refused.arrived < 30
    assert_each_scrape_came_once(receiver, target)


def test_429_is_not_repeated_if_the_file_says_so(tmp_path, receiver, target):
    receiver.script = [Answer(), Answer(429, headers={"Retry-After": "1"})]
    where = remote(receiver.url, queue_config={"retry_on_http_429": False})
    run_until(tmp_path, receiver, settings(target, where), 10)
    refused = receiver.requests[1]
    assert all(request.body != refused.body for request in receiver.requests[2:])


@pytest.mark.parametrize("status", [400, 404, 415, 301])
def test_a_refused_request_is_dropped_and_counted(tmp_path, receiver, target, status):
    """A first attempt is never repeated, whatever the receiver says about it."""
    receiver.script = [Answer(), Answer(status, body=b"so it is: out of order sample")]
    with Limpet(tmp_path, settings(target, remote(receiver.url))) as limpet:
        wait_for_scrapes(receiver, 8)
        failed = limpet.metric("prometheus_remote_storage_samples_failed_total")
        assert limpet.metric("limpet_remote_requests_failed_total", reason="refused") == 1
        assert limpet.metric("limpet_remote_samples_already_delivered_total") == 0
        assert str(status) in limpet.wait_for_line("so it is")
        limpet.stop()
    refused = receiver.requests[1]
    assert all(request.body != refused.body for request in receiver.requests[2:])
    assert failed == samples_in(refused)
    assert_each_scrape_came_once(receiver, target, refused=[refused])


def test_a_reset_connection_is_opened_again_and_the_request_repeated(tmp_path, receiver, target):
    receiver.script = [Answer(), Answer(reset=True), Answer(reset=True)]
    with Limpet(tmp_path, settings(target, remote(receiver.url))) as limpet:
        wait_for_scrapes(receiver, 8)
        assert limpet.metric("limpet_remote_requests_failed_total", reason="no_answer") == 2
        limpet.stop()
    repeats = receiver.requests[1:4]
    assert len({request.body for request in repeats}) == 1
    assert by_attempt(repeats) == [None, "1", "2"]
    assert_each_scrape_came_once(receiver, target)


def test_a_receiver_that_never_answers_is_given_up_after_remote_timeout(tmp_path, receiver, target):
    receiver.script = [Answer(), Answer(hang=True)]
    where = remote(receiver.url, remote_timeout="3s")
    run_until(tmp_path, receiver, settings(target, where), 17)
    hung, again = receiver.requests[1:3]
    # One before may have been answered late, so that this was not its first attempt.
    assert again.body == hung.body
    assert int(again.header("Retry-Attempt")) == int(hung.header("Retry-Attempt") or 0) + 1
    # It may have been noted late that the first one came.
    assert again.arrived - hung.arrived >= 0.5
    assert_each_scrape_came_once(receiver, target)


@pytest.mark.parametrize("answer", [b"", b"SSH-2.0-x\r\n", b"HTTP/1.1 204\r\nContent-Le"])
def test_an_answer_that_is_no_http_is_no_answer(tmp_path, receiver, target, answer):
    receiver.script = [Answer(), Answer(raw=answer, close=True)]
    run_until(tmp_path, receiver, settings(target, remote(receiver.url)), 8)
    assert receiver.requests[1].body == receiver.requests[2].body
    assert_each_scrape_came_once(receiver, target)


def test_a_receiver_that_closes_after_each_answer_loses_nothing(tmp_path, receiver, target):
    receiver.default = Answer(200, body=b"fine", close=True)
    run_until(tmp_path, receiver, settings(target, remote(receiver.url)), 8)
    assert receiver.connections >= len(receiver.requests)
    assert_each_scrape_came_once(receiver, target)


def test_a_receiver_that_starts_later_gets_everything(tmp_path, target):
    port = free_port()
    url = f"http://127.0.0.1:{port}/api/v1/write"
    with Limpet(tmp_path, settings(target, remote(url))) as limpet:
        target.wait_for_requests(15)
        assert limpet.metric("limpet_scrapes_skipped_total", reason="ring_full") == 0
        with Receiver(port) as receiver:
            wait_for_scrapes(receiver, 20)
            limpet.stop()
            assert_each_scrape_came_once(receiver, target)
            assert_in_order(receiver)


# ------------------------------------------------------------------------- answers that got lost


class Forwarding(Receiver):
    """Hands requests on to a real Prometheus. The answers to the first `to_lose` requests that hold
    several scrapes never come back."""

    def __init__(self, server, to_lose):
        Receiver.__init__(self)
        self.server_behind, self.to_lose, self.lost, self.refused = server, to_lose, [], []
        self.default = self.forward

    def forward(self, request):
        status, text = prom.http_post(self.server_behind.write_url, request.body, HEADERS)
        if status == 400:
            self.refused.append(request)
        if len(self.lost) < self.to_lose and status == 204 and samples_in(request) >= 24:
            self.lost.append(request)
            return Answer(reset=True)
        return Answer(status, body=text.encode())


def test_a_repeat_that_prometheus_refuses_is_resolved_scrape_by_scrape(tmp_path, target):
    """Requests of several scrapes of one target are stored, the answers get lost. Prometheus
    refuses the repeats as out of order; limpet finds out what has been delivered: nothing is
    missing, nothing is counted lost."""
    with prom.Prometheus(str(tmp_path)) as server, Forwarding(server, 2) as receiver:
        where = remote(receiver.url, queue_config={"batch_send_deadline": "1s"})
        with Limpet(tmp_path, settings(target, where)) as limpet:
            split = "limpet_remote_repeats_split_total"
            wait_until(lambda: limpet.metric(split) == 2, 30, "two repeats that are resolved", 0.1)
            before = len(receiver.requests)
            receiver.wait_for(lambda r: len(r.requests) >= before + 4, 30)
            already = limpet.metric("limpet_remote_samples_already_delivered_total")
            assert limpet.metric("prometheus_remote_storage_samples_failed_total") == 0
            limpet.stop()
        for lost in receiver.lost:
            repeat = receiver.requests[lost.number]
            assert repeat.body == lost.body and repeat.header("Retry-Attempt") == "1"
            assert repeat in receiver.refused
        assert 0 < already <= sum(samples_in(lost) for lost in receiver.lost)
        ((_, samples),) = server.raw("n", 900)
        ((_, ups),) = server.raw("up", 900)
        ((_, durations),) = server.raw("scrape_duration_seconds", 900)
        ran_out = {ts for ts, value in durations if value >= TIME_OUT} & {
            ts for ts, value in ups if value == 0}
        numbers = [value for _, value in samples]
        assert numbers == sorted(set(numbers)) and numbers[0] <= 1 + len(ran_out)
        served = len(target.requests)
        assert served - 1 - len(ran_out) <= len(numbers) <= served
        assert [ts for ts, _ in ups if ts not in ran_out] == [ts for ts, _ in samples]


# --------------------------------------------------------------------------- remotes side by side


def test_a_dead_remote_holds_up_neither_the_other_nor_a_scrape(tmp_path, receiver, target):
    with Receiver() as hanging, dead_port() as port:
        hanging.default = Answer(hang=True)
        dead = remote(f"http://127.0.0.1:{port}/w", name="dead")
        mute = remote(hanging.url, name="mute")
        both = settings(target, dead, remote(receiver.url, name="good"), mute)
        # The good one has so long to take what is left.
        with Limpet(tmp_path, both, flags=["--storage.remote.flush-deadline=10s"]) as limpet:
            wait_for_scrapes(receiver, 20)
            assert limpet.metric("limpet_scrapes_skipped_total", reason="ring_full") == 0
            wait_until(lambda: limpet.metric("limpet_remote_samples_delivered_total", remote_name="good") > 0,
                       10, "the count")
            assert limpet.metric("limpet_remote_samples_delivered_total", remote_name="dead") == 0
            limpet.stop()
    assert_each_scrape_came_once(receiver, target)


def test_what_a_dead_remote_did_not_take_is_delivered_by_the_next_limpet(tmp_path, target):
    port = free_port()
    given = settings(target, remote(f"http://127.0.0.1:{port}/api/v1/write"))
    with Limpet(tmp_path, given, flags=["--storage.remote.flush-deadline=1s"]) as first:
        target.wait_for_requests(10)
        first.stop()
        with Receiver(port) as receiver:
            with Limpet(tmp_path, given, "second", paths=first.paths) as second:
                wait_for_scrapes(receiver, 15)
                second.stop()
            assert_each_scrape_came_once(receiver, target, ends=2)
            assert_in_order(receiver)


def test_without_a_remote_targets_are_scraped_all_the_same(tmp_path, target):
    with Limpet(tmp_path, settings(target)) as limpet:
        target.wait_for_requests(5)
        wait_until(lambda: limpet.metric("limpet_remote_unwanted_samples_total") > 0, 10, "a count")
        limpet.stop()


def test_names_of_remotes_tell_them_apart_in_metrics(tmp_path, receiver, target):
    sd = tmp_path / "sd.json"
    write_file_sd(sd, [([target.address], {"case": "c"})])
    given = config(file_job("j", sd), remote(receiver.url, name="one"),
                   remote(receiver.url, name="two"), interval="200ms")
    with Limpet(tmp_path, given) as limpet:
        wait_until(lambda: len(receiver.accepted()) >= 4, 20, "requests")
        rows = [labels for name, labels, _ in limpet.metrics()
                if name == "prometheus_remote_storage_samples_total"]
        assert {labels["remote_name"] for labels in rows} == {"one", "two"}
        assert {labels["url"] for labels in rows} == {receiver.url}
        limpet.stop()
