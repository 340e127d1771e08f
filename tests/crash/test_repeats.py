# SPDX-License-Identifier: GPL-2.0-or-later
"""A writer that is killed with a request under way: its successor sends the very same bytes."""
import os
import signal
import time

import pytest

from lib.limpet import Limpet, config, job, remote
from lib.proc import wait_until
from lib.remote_write import Answer, Receiver
from lib.stream import count_whole
from lib.target import Target
from rounds import CRASH_BUILD


@pytest.mark.parametrize("answered", [True, False])
def test_a_sample_comes_again_only_in_the_same_bytes(tmp_path, answered):
    """The writer dies right after each fifth request has come, answered or not."""
    with Target(lambda request: b"n %d\n" % request.number) as target, Receiver() as receiver:

        def strike(request):
            if request.number % 5:
                return Answer()
            os.kill(writer(), signal.SIGSTOP if answered else signal.SIGKILL)
            return Answer(reset=not answered)

        def writer():
            return limpet.child("limpet-writer")

        given = config(job("j", [target.address], {"case": "c"}), remote(receiver.url),
                       interval="100ms")
        with Limpet(tmp_path, given, build=CRASH_BUILD) as limpet:
            receiver.default = strike
            for _ in range(4):
                receiver.wait_for(lambda r: r.requests and r.requests[-1].number % 5 == 0, 20)
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
