# SPDX-License-Identifier: GPL-2.0-or-later
"""`compression: zstd`: a receiver that takes VictoriaMetrics' remote write protocol, and those that do
not. Debian's VictoriaMetrics (1.79) is older than that protocol, so the real ones show the second."""
import pytest

from lib import prom
from lib.limpet import Limpet, config, job, remote
from lib.proc import wait_until
from lib.remote_write import Answer, Receiver, is_stale
from lib.stream import count_ran_out
from lib.target import Target


def counting():
    return Target(lambda request: b"n %d\n" % request.number)


def settings(target, url, compression="zstd", **options):
    return config(job("j", [target.address]), remote(url, limpet={"compression": compression}, **options),
                  interval="200ms")


def values(receiver):
    """Of n, in the order of arrival, without markers."""
    ((_, samples),) = receiver.series("n", accepted=True).items()
    return [bits for _, bits in samples if not is_stale(bits)]


def assert_nothing_is_missing(receiver, target):
    """Of the last, limpet may not have heard, nor of those that ran into their time-out."""
    served = len(target.requests)
    assert served - 1 - count_ran_out(receiver, 0.2) <= len(values(receiver)) <= served


def encodings(receiver):
    return [request.header("Content-Encoding") for request in receiver.requests if request.series]


def test_a_receiver_that_takes_zstd(tmp_path):
    with counting() as target, Receiver() as receiver:
        with Limpet(tmp_path, settings(target, receiver.url)) as limpet:
            receiver.wait_for(lambda r: len(r.samples("n")) >= 10, 20)
            assert limpet.metric("limpet_remote_write_zstd_refused_total") == 0
            limpet.stop()
    assert [request.error for request in receiver.requests if request.error] == []
    assert set(encodings(receiver)) == {"zstd"}
    for request in receiver.requests:
        is_zstd = request.header("Content-Encoding") == "zstd"  # metadata is snappy as ever
        assert request.header("X-VictoriaMetrics-Remote-Write-Version") == ("1" if is_zstd else None)
        assert request.header("X-Prometheus-Remote-Write-Version") == (None if is_zstd else "0.1.0")


@pytest.mark.parametrize("status", [400, 415, 422])
def test_a_receiver_that_refuses_zstd_misses_nothing(tmp_path, status):
    def no_zstd(request):
        return Answer(status if request.header("Content-Encoding") == "zstd" else 204)

    with counting() as target, Receiver() as receiver:
        receiver.default = no_zstd
        with Limpet(tmp_path, settings(target, receiver.url)) as limpet:
            receiver.wait_for(lambda r: len(r.series("n", accepted=True)) == 1 and len(values(r)) >= 10, 20)
            wait_until(lambda: limpet.metric("limpet_remote_write_zstd_refused_total") == 1, 10, "the count")
            limpet.stop()
            said = [line for line in limpet.stderr().splitlines() if "does not take zstd" in line]
        assert len(said) == 1 and "level=warn" in said[0]
    sorts = encodings(receiver)
    assert sorts[0] == "zstd" and set(sorts[1:]) == {"snappy"}
    assert receiver.requests[0].series == receiver.requests[1].series  # the same once more
    assert_nothing_is_missing(receiver, target)


@pytest.mark.parametrize("kind", [prom.Prometheus, prom.VictoriaMetrics])
def test_real_receivers_of_snappy_miss_nothing(tmp_path, kind):
    with counting() as target, kind(str(tmp_path)) as server:
        with Limpet(tmp_path, settings(target, server.write_url)) as limpet:
            wait_until(lambda: len(target.requests) >= 10, 20, "ten scrapes", 0.1)
            wait_until(lambda: limpet.metric("limpet_remote_write_zstd_refused_total") == 1, 10, "the count")
            limpet.stop()
            served = len(target.requests)

        # A scrape that ran into its time-out has no n.
        wait_until(lambda: server.stored("up") >= served - 1, 20, f"{served} samples", 0.2)
        assert 1 <= server.stored("n") <= served


def test_what_waits_goes_on_when_the_compression_changes(tmp_path):
    """A reload while the remote is down: what is in the spool as zstd arrives as snappy."""
    down = True

    def answer(request):
        if down:
            return Answer(503)
        return Answer(400 if request.header("Content-Encoding") == "zstd" else 204)

    queue = {"min_backoff": "50ms", "max_backoff": "200ms"}
    with counting() as target, Receiver() as receiver:
        receiver.default = answer
        with Limpet(tmp_path, settings(target, receiver.url, name="r", queue_config=queue)) as limpet:
            receiver.wait_for(lambda r: len(encodings(r)) >= 2, 20)
            limpet.reload(settings(target, receiver.url, "fast", name="r", queue_config=queue))
            seen = len(target.requests)
            wait_until(lambda: len(target.requests) >= seen + 3, 20, "scrapes", 0.1)
            down = False
            receiver.wait_for(lambda r: r.series("n", accepted=True) and len(values(r)) >= seen + 3, 30)
            limpet.stop()
    assert "zstd" in encodings(receiver)
    assert_nothing_is_missing(receiver, target)
    assert len(set(values(receiver))) == len(values(receiver))
