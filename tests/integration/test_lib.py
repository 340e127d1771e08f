# SPDX-License-Identifier: GPL-2.0-or-later
"""The helpers of these tests, tried on each other and on real programs."""
import http.client
import math
import pathlib
import subprocess
import sys
import threading
import time
import urllib.request

import pytest

from lib import prom, remote_write
from lib.proc import Process, free_port, wait_until
from lib.remote_write import Answer, Receiver
from lib.target import CLOSE, HANG, RESET, Pieces, Reply, Target, Wait

BODY = b"# TYPE a counter\na 1\n"


def now_ms():
    return int(time.time() * 1000)


def post(url, series, **headers):
    return prom.http_post(url, remote_write.encode(series), {**remote_write.HEADERS, **headers})


def test_encoding_and_decoding_are_inverse():
    samples = [(1700000000123, 1.5), (-5, math.inf), (7, remote_write.STALE_BITS)]
    body = remote_write.encode([({"__name__": "a", "z": "Ü", "b": "1"}, samples)])
    (series,), metadata = remote_write.decode(body)
    assert series.labels == [("__name__", "a"), ("b", "1"), ("z", "Ü")]
    assert [ts for ts, _ in series.samples] == [1700000000123, -5, 7]
    assert series.samples[0][1] == remote_write.bits_of_float(1.5)
    assert remote_write.is_stale(series.samples[2][1])
    assert metadata == [] and series.problems() == []


def test_decoder_names_what_is_wrong_with_labels():
    body = remote_write.encode([([("b", ""), ("a", "1"), ("a", "2")], [])])
    (series,), _ = remote_write.decode(body)
    assert set(series.problems()) == {
        "labels not sorted", "label name twice", "empty label value", "no __name__"}


def test_decoder_refuses_truncated_messages():
    message = remote_write.encode_bytes(1, remote_write.encode_bytes(1, b"\n\x01a\x12\x01b"))
    for cut in range(1, len(message)):
        with pytest.raises(ValueError):
            remote_write.decode_message(message[:cut])


def test_prometheus_stores_what_python_encodes_and_refuses_disorder(tmp_path):
    now = now_ms()
    with prom.Prometheus(str(tmp_path)) as server:
        labels = {"__name__": "sent", "job": "lib"}
        assert post(server.write_url, [(labels, [(now - 5000, 1.25), (now, 2.5)])])[0] == 204
        assert server.value("sent") == 2.5
        assert server.raw("sent", 60) == [(labels, [(now - 5000, 1.25), (now, 2.5)])]
        status, text = post(server.write_url, [(labels, [(now - 2000, 9.0)])])
        assert status == 400 and "out of order" in text
        status, text = post(server.write_url, [(labels, [(now, 9.0)])])
        assert status == 400 and "duplicate sample" in text
        assert post(server.write_url, [(labels, [(now, 2.5)])])[0] == 204
        assert server.stop() == 0


def test_victoria_metrics_keeps_every_copy(tmp_path):
    now = now_ms()
    with prom.VictoriaMetrics(str(tmp_path)) as server:
        labels = {"__name__": "sent", "job": "lib"}
        for _ in range(2):
            assert post(server.write_url, [(labels, [(now, 2.5)])])[0] == 204
        wait_until(lambda: server.export("sent") == [(labels, [(now, 2.5), (now, 2.5)])],
                   what="both copies")


def test_exporters_answer(tmp_path):
    with prom.NodeExporter(str(tmp_path)) as node, prom.ClientApp(str(tmp_path)) as app:
        assert "node_cpu_seconds_total" in prom.http_get(f"http://{node.address}/metrics")[1]
        assert "app_ticks_total 41.5" in prom.http_get(f"http://{app.address}/metrics")[1]


def test_receiver_records_requests_and_follows_its_script():
    with Receiver() as receiver:
        receiver.script += [Answer(status=503, headers={"Retry-After": "7"}, body=b"later")]
        series = [({"__name__": "up", "job": "x"}, [(1000, 1.0)])]
        assert post(receiver.url, series) == (503, "later")
        assert post(receiver.url, series)[0] == 204
        receiver.wait_for(lambda r: len(r.requests) == 2 and r.accepted())
        assert receiver.requests[0].body == receiver.requests[1].body
        assert receiver.samples("up", job="x") == [(1000, 1.0), (1000, 1.0)]
        assert receiver.series("up", accepted=True) == {
            (("__name__", "up"), ("job", "x")): [(1000, remote_write.bits_of_float(1.0))]}
        assert receiver.problems() == []
        post(receiver.url, [([("job", "x")], [])])
        assert receiver.problems() == ["[('job', 'x')]: no __name__"]


def test_receiver_knows_a_request_that_repeats_another():
    labels = (("__name__", "up"), ("job", "x"))
    with Receiver() as receiver:
        first, second = [(dict(labels), [(1000, 1.0)])], [(dict(labels), [(2000, 1.0)])]
        for series, headers in ((first, {}), (first, {"Retry-Attempt": "1"}), (second, {}), (second, {})):
            assert post(receiver.url, series, **headers)[0] == 204
        receiver.wait_for(lambda r: len(r.accepted()) == 4)
        assert [r.number for r in receiver.accepted_once()] == [1, 3, 4]
        assert [ts for ts, _ in receiver.series(once=True)[labels]] == [1000, 2000, 2000]


def test_receiver_knows_an_answer_that_nobody_has_heard():
    series = [({"__name__": "up"}, [(1000, 1.0)])]
    answer = threading.Event()
    with Receiver() as receiver:
        receiver.script.append(Answer(until=answer))
        assert prom.gives_up(receiver.url, 0.1, remote_write.encode(series), remote_write.HEADERS)
        answer.set()
        receiver.wait_for(lambda r: r.accepted())
        assert post(receiver.url, series)[0] == 204
        receiver.wait_for(lambda r: len(r.accepted()) == 2)
        assert [r.number for r in receiver.accepted_once()] == [1]


def test_receiver_resets_hangs_and_waits_for_events():
    with Receiver() as receiver:
        go = threading.Event()
        receiver.script += [Answer(reset=True), Answer(hang=True), Answer(until=go)]
        with pytest.raises(OSError):
            post(receiver.url, [])
        assert prom.gives_up(receiver.url, 0.2, b"")
        receiver.wait_for(lambda r: len(r.requests) == 2)
        began = time.monotonic()
        threading.Timer(0.2, go.set).start()
        assert post(receiver.url, [])[0] == 204
        assert time.monotonic() - began > 0.15
        assert [r.status for r in receiver.requests] == [None, None, 204]


def test_receiver_wait_fails_in_time_with_what_it_has():
    with Receiver() as receiver, pytest.raises(AssertionError, match="0 requests"):
        receiver.wait_for(lambda r: r.requests, timeout=0.1)


@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
@pytest.mark.parametrize("pieces", [1, 20])
def test_target_serves_a_body_in_each_framing(framing, pieces):
    with Target(Reply(BODY, framing=framing, pieces=pieces, pause=0)) as target:
        for _ in range(2):
            url = f"http://{target.address}/metrics?x=1"
            with urllib.request.urlopen(url, timeout=60) as answer:
                assert answer.read() == BODY
        assert [r.path for r in target.requests] == ["/metrics?x=1"] * 2
        assert target.requests[0].header("HOST") == target.address


def test_target_keeps_connections_alive():
    with Target(BODY) as target:
        connection = http.client.HTTPConnection(target.address, timeout=60)
        for _ in range(3):
            connection.request("GET", "/metrics")
            assert connection.getresponse().read() == BODY
        connection.close()
        assert [r.connection for r in target.requests] == [1, 1, 1]


def test_nobody_waits_at_a_target_that_is_closed():
    with Target(BODY) as target:
        assert target.thread.is_alive()
    assert not target.thread.is_alive()


def test_target_cuts_resets_and_hangs_as_told():
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"
    with Target() as target:
        url = f"http://{target.address}/"
        target.script = Pieces([head, b"half"], CLOSE)
        with pytest.raises(http.client.IncompleteRead):
            urllib.request.urlopen(url, timeout=60).read()
        target.script = Pieces([head], RESET)
        with pytest.raises(OSError):
            urllib.request.urlopen(url, timeout=60).read()
        target.script = Pieces([], HANG)
        assert prom.gives_up(url, 0.2)


def test_target_waits_for_an_event_between_pieces():
    go = threading.Event()
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"
    with Target(Pieces([head, b"a", Wait(go), b"b"])) as target:
        answer = urllib.request.urlopen(f"http://{target.address}/", timeout=60)
        assert answer.read(1) == b"a"
        go.set()
        assert answer.read() == b"b"


def test_no_process_gets_a_port_that_another_has_got():
    """Where both come by the same ports and nobody listens there yet."""
    script = ("import itertools, sys; sys.path.insert(0, sys.argv[1]); from lib import proc\n"
              "proc._own_ports = lambda: itertools.islice(itertools.cycle(proc._PORTS),\n"
              "                                           int(sys.argv[2]) - 10300, None)\n"
              "print(proc.free_port(), flush=True)")
    port = free_port()
    path = pathlib.Path(__file__).parent
    other = subprocess.run([sys.executable, "-c", script, path, str(port)], check=True,
                           capture_output=True, text=True, timeout=60)
    assert int(other.stdout) != port


def test_process_reports_output_and_exit_status(tmp_path):
    script = "import sys, time; print('hello', file=sys.stderr, flush=True); time.sleep(60)"
    with Process(["/usr/bin/python3", "-c", script], str(tmp_path), "sleeper") as process:
        assert process.wait_for_line("hello") == "hello"
        assert process.stop() == -15
    failing = Process(["/usr/bin/python3", "-c", "raise SystemExit(3)"], str(tmp_path), "failing")
    with failing, pytest.raises(AssertionError, match=r"failing ended \(3\)"):
        failing.wait_ready(lambda: False, 5)
