# SPDX-License-Identifier: GPL-2.0-or-later
"""A writer that is killed with a request under way: its successor sends the very same bytes."""
import os
import signal
import threading
import time

import pytest

from lib.limpet import Limpet, config, job, remote
from lib.proc import own_loopback, wait_until
from lib.remote_write import Answer, Receiver
from lib.stream import assert_each_request_is_one_scrape, count_whole, stream_of
from lib.target import Target
from rounds import CRASH_BUILD


@pytest.mark.parametrize("answered", [True, False])
def test_a_sample_comes_again_only_in_the_same_bytes(tmp_path, answered):
    """The writer dies right after each fifth request has come, answered or not."""
    struck = threading.Semaphore(0)
    with Target(lambda request: b"n %d\n" % request.number, own_loopback()) as target, Receiver() as receiver:

        def strike(request):
            if request.number % 5:
                return Answer()
            os.kill(writer(), signal.SIGSTOP if answered else signal.SIGKILL)
            struck.release()
            return Answer(reset=not answered)

        def writer():
            return limpet.child("limpet-writer")

        given = config(job("j", [target.address], {"case": "c"}), remote(receiver.url),
                       interval="100ms")
        with Limpet(tmp_path, given, build=CRASH_BUILD) as limpet:
            receiver.default = strike
            for _ in range(4):
                assert struck.acquire(timeout=120)
                if answered:  # the answer lies in the stopped writer's socket
                    time.sleep(0.1)
                    os.kill(writer(), signal.SIGKILL)
                before = len(receiver.requests)
                receiver.wait_for(lambda r: len(r.requests) > before, 20)
            receiver.default = Answer()
            seen = count_whole(receiver, "c")
            wait_until(lambda: count_whole(receiver, "c") > seen + 3, 20, "more scrapes")
            limpet.stop()
    bodies = {}
    repeats = 0
    for request in receiver.requests:
        for series in request.series:
            for ts, _ in series.samples:
                first = bodies.setdefault((series.key(), ts), request.body)
                assert first == request.body, f"request {request.number}"
        if sum(request.body == other.body for other in receiver.requests) > 1:
            repeats += 1
    assert repeats >= 8


def only_1_0(request):
    is_new = request.header("X-Prometheus-Remote-Write-Version").startswith("2")
    return Answer(415 if is_new else 204)


def only_snappy(request):
    return Answer(204 if request.header("Content-Encoding") == "snappy" else 400)


@pytest.mark.parametrize("point, knows, options", [
    ("delivery.message_changed", only_1_0, {"protobuf_message": "auto"}),
    ("delivery.compression_changed", only_snappy, {"limpet": {"compression": "zstd"}}),
], ids=["1.0", "snappy"])
def test_a_writer_that_dies_while_it_falls_back_loses_nothing(tmp_path, point, knows, options):
    """The receiver does not know what it gets; the writer dies when it has noted that, and not yet sent."""
    with Target(lambda request: b"n %d\n" % request.number, own_loopback()) as target, Receiver() as receiver:
        receiver.default = knows
        given = config(job("j", [target.address], {"case": "c"}),
                       remote(receiver.url, **options), interval="100ms")
        env = {"LIMPET_CRASHPOINT": f"{point}:1",
               "LIMPET_CRASHPOINT_ONCE": str(tmp_path / "once")}
        with Limpet(tmp_path, given, build=CRASH_BUILD, env=env) as limpet:
            wait_until((tmp_path / "once").exists, 20, "the death")
            wait_until(lambda: count_whole(receiver, "c") >= 5, 20, "scrapes")
            limpet.stop()
        stream = stream_of(receiver, case="c", job="j", instance=target.address)
        assert_each_request_is_one_scrape(stream, target, 0.1)
