# SPDX-License-Identifier: GPL-2.0-or-later
"""Remote write 2.0, and what comes with it: metadata, exemplars, native histograms, start
timestamps, from targets that expose them to receivers that keep them."""
import struct

import pytest

from lib import prom
from lib.limpet import Limpet, config, job, remote
from lib.proc import wait_until
from lib.remote_write import Answer, encode_bytes, encode_varint
from lib.remote_write_v2 import ReceiverV2, is_v2
from lib.stream import count_ran_out
from lib.target import Reply, Target

TIME_OUT = 0.2  # seconds, of all scrapes here
V2 = "io.prometheus.write.v2.Request"

OPENMETRICS = b"""# HELP a_seconds How long.
# TYPE a_seconds counter
# UNIT a_seconds seconds
a_seconds_total 7 # {trace_id="abc"} 3 1700000000
# TYPE b gauge
b{c="d"} 1
# EOF
"""


def number(field, value):
    return encode_varint(field << 3) + encode_varint(value)


def double(field, value):
    return encode_varint(field << 3 | 1) + struct.pack("<d", value)


def text(field, value):
    return encode_bytes(field, value.encode())


def zigzag(field, value):
    return number(field, value * 2 if value >= 0 else -value * 2 - 1)


def native_histogram(count):
    """A body with the native histogram h{a="b"}: two buckets that have `count` together, schema 2."""
    span = zigzag(1, -1) + number(2, 2)
    histogram = number(1, count) + double(2, 1.5 * count) + zigzag(5, 2) + double(6, 0.001)
    histogram += encode_bytes(12, span) + zigzag(13, count - 1) + zigzag(13, 2 - count)
    metric = encode_bytes(1, text(1, "a") + text(2, "b")) + encode_bytes(7, histogram)
    family = text(1, "h") + text(2, "Sizes.") + number(3, 4) + encode_bytes(4, metric)
    return encode_varint(len(family)) + family


class OpenMetrics(Target):
    def __init__(self):
        Target.__init__(self, Reply(OPENMETRICS, content_type="application/openmetrics-text"))


class Native(Target):
    """Answers with a native histogram that grows, if protobuf is wanted most."""

    def __init__(self):
        def answer(request):
            wanted = request.header("Accept").split(",")[0]
            assert wanted.startswith("application/vnd.google.protobuf"), wanted
            return Reply(
                native_histogram(10 + request.number),
                content_type="application/vnd.google.protobuf;"
                "proto=io.prometheus.client.MetricFamily;encoding=delimited",
            )

        Target.__init__(self, answer)


@pytest.fixture
def receiver():
    with ReceiverV2() as receiver:
        yield receiver


def settings(targets, receiver_url, **remote_options):
    return config(
        job("j", targets, scrape_native_histograms=True),
        remote(
            receiver_url,
            send_exemplars=True,
            send_native_histograms=True,
            **remote_options,
        ),
        interval="200ms",
    )


def openmetrics_settings(target, url, **remote_options):
    made = settings([target.address], url, **remote_options)
    made["scrape_configs"][0]["scrape_native_histograms"] = False
    return made


def assert_well_formed(receiver):
    assert [request.error for request in receiver.requests if request.error] == []


# --------------------------------------------------------------------------------- to our receiver


def test_metadata_and_exemplars_go_with_the_series_of_2_0(tmp_path, receiver):
    with OpenMetrics() as target:
        made = openmetrics_settings(target, receiver.url, protobuf_message=V2)
        with Limpet(tmp_path, made) as limpet:
            receiver.wait_for(lambda r: len(r.samples("a_seconds_total")) >= 5)
            limpet.stop()
    assert_well_formed(receiver)
    assert all(is_v2(request) for request in receiver.requests)
    for series in receiver.all_series("a_seconds_total"):
        assert (series.type, series.help, series.unit) == ("counter", "How long.", "seconds")
    assert {series.type for series in receiver.all_series("b")} == {"gauge"}
    assert {series.type for series in receiver.all_series("up")} == {"unknown"}
    exemplars = [e for s in receiver.all_series("a_seconds_total") for e in s.exemplar_list]
    assert exemplars == [({"trace_id": "abc"}, 3.0, 1700000000000)]  # once, then it repeats


def test_native_histograms_arrive_in_2_0(tmp_path, receiver):
    with Native() as target:
        made = settings([target.address], receiver.url, protobuf_message=V2)
        with Limpet(tmp_path, made) as limpet:
            receiver.wait_for(lambda r: len(r.all_series("h")) >= 4)
            target.script = b""
            receiver.wait_for(lambda r: any(series.samples for series in r.all_series("h")))
            limpet.stop()
    assert_well_formed(receiver)
    series = receiver.all_series("h")
    assert {(s.type, s.help) for s in series} == {("histogram", "Sizes.")}
    first = series[0].histogram_list[0]
    assert dict(series[0].labels)["a"] == "b"
    n = first.count
    assert (first.sum, first.schema) == (1.5 * n, 2)
    assert first.spans["positive"] == [(-1, 2)] and first.deltas["positive"] == [n - 1, 2 - n]
    counts = [h.count for s in series for h in s.histogram_list]
    assert counts == sorted(set(counts))
    missing = set(range(11, counts[-1] + 1)) - set(counts)
    assert len(missing) <= count_ran_out(receiver, TIME_OUT)
    # The marker is an ordinary sample; a scrape that ran into its time-out makes one, too.
    assert {bits for s in series for _, bits in s.samples} == {0x7FF0000000000002}


@pytest.mark.parametrize("status", [204, 415, 400])
def test_auto_finds_out_that_2_0_is_not_understood(tmp_path, receiver, status):
    receiver.knows_v2 = False
    receiver.unknown = Answer(status=status, body=b"what?")
    with OpenMetrics() as target:
        made = openmetrics_settings(target, receiver.url, protobuf_message="auto")
        with Limpet(tmp_path, made) as limpet:
            receiver.wait_for(lambda r: len(r.samples("b")) >= 5)
            assert limpet.metric("limpet_remote_write_version") == 1
            assert limpet.metric("limpet_remote_write_fallbacks_total") == 1
            assert limpet.metric("prometheus_remote_storage_samples_failed_total") == 0
            limpet.stop()
    assert_well_formed(receiver)
    assert [is_v2(request) for request in receiver.requests[:3]] == [True, False, False]
    served = len(target.requests)
    assert len(receiver.samples("up")) >= served - 1  # also those that came in 2.0 first


def test_auto_stays_with_2_0(tmp_path, receiver):
    with OpenMetrics() as target:
        made = openmetrics_settings(target, receiver.url, protobuf_message="auto")
        with Limpet(tmp_path, made) as limpet:
            receiver.wait_for(lambda r: len(r.samples("b")) >= 3)
            assert limpet.metric("limpet_remote_write_version") == 2
            limpet.stop()
    assert_well_formed(receiver)
    assert all(is_v2(request) for request in receiver.requests)


def test_metadata_is_sent_by_itself_in_1_0(tmp_path, receiver):
    with OpenMetrics() as target:
        made = openmetrics_settings(
            target, receiver.url, metadata_config={"send": True, "send_interval": "500ms"}
        )
        with Limpet(tmp_path, made) as limpet:
            receiver.wait_for(lambda r: sum(len(q.metadata) for q in r.requests) >= 4)
            limpet.stop()
    assert_well_formed(receiver)
    with_metadata = [request for request in receiver.requests if request.metadata]
    found = {(m.family, m.type, m.help, m.unit) for m in with_metadata[0].metadata}
    assert found == {("a_seconds", 1, "How long.", "seconds"), ("b", 2, "", "")}
    assert all(not request.series for request in with_metadata)


# ------------------------------------------------------------------------------- to real receivers


@pytest.mark.parametrize("kind", [prom.Prometheus, prom.VictoriaMetrics])
def test_real_receivers_of_1_0_lose_nothing_with_auto(tmp_path, kind):
    """They answer 2.0 with success and store nothing of it."""
    with OpenMetrics() as target, kind(str(tmp_path)) as server:
        made = openmetrics_settings(target, server.write_url, protobuf_message="auto")
        with Limpet(tmp_path, made) as limpet:
            wait_until(lambda: len(target.requests) >= 10, 20, "ten scrapes", 0.1)
            limpet.stop()
            served = len(target.requests)

        # A scrape that ran into its time-out has no b.
        wait_until(lambda: server.stored("up") >= served - 1, 10, f"{served} samples", 0.2)
        assert 1 <= server.stored("b") <= served


def test_a_real_prometheus_keeps_native_histograms(tmp_path):
    with Native() as target:
        with prom.Prometheus(str(tmp_path), features="native-histograms") as server:
            with Limpet(tmp_path, settings([target.address], server.write_url)) as limpet:
                wait_until(
                    lambda: (server.value("histogram_count(h)") or 0) >= 13, 20, "histograms", 0.2
                )
                wait_until(lambda: (server.value("histogram_sum(h)") or 0) >= 13 * 1.5, 20, "sums", 0.2)
                limpet.stop()


# --------------------------------------------------- what the public sender compliance suite checks


def page(*lines):
    return Target(Reply(b"\n".join(lines) + b"\n"))


def run_against(tmp_path, receiver, target, until, **remote_options):
    made = config(
        job("test", [target.address]),
        remote(receiver.url, protobuf_message=V2, **remote_options),
        interval="200ms",
        external_labels={"zone": "z"},
    )
    with Limpet(tmp_path, made) as limpet:
        receiver.wait_for(until)
        limpet.stop()
    assert_well_formed(receiver)


def test_headers_are_those_of_2_0(tmp_path, receiver):
    with page(b"a 1") as target:
        run_against(tmp_path, receiver, target, lambda r: r.samples("a"))
    request = receiver.requests[0]
    assert request.method == "POST"
    assert request.header("Content-Encoding") == "snappy"
    assert request.header("X-Prometheus-Remote-Write-Version") == "2.0.0"
    assert request.header("User-Agent").startswith("limpet/")
    assert request.header("Retry-Attempt") is None


def test_values_of_every_kind_arrive_bit_by_bit(tmp_path, receiver):
    values = {
        "zero": 0.0,
        "minus_zero": -0.0,
        "one": 1.0,
        "minus": -123.456,
        "inf": float("inf"),
        "minus_inf": float("-inf"),
        "large": 1.7976931348623157e308,
        "small": 5e-324,
        "third": 1 / 3,
    }
    lines = [f"{name} {value!r}".encode() for name, value in values.items()] + [b"nan NaN"]
    with page(*lines) as target:
        run_against(tmp_path, receiver, target, lambda r: r.samples("nan"))
    for name, value in values.items():
        assert receiver.bits(name)[0][1] == struct.unpack("<Q", struct.pack("<d", value))[0], name
    assert receiver.bits("nan")[0][1] == 0x7FF8000000000001


def test_labels_are_sorted_unique_and_not_empty(tmp_path, receiver):
    with page(b'a{z="1",A="2",empty="",job="x",b="\xc3\xbc"} 1') as target:
        run_against(tmp_path, receiver, target, lambda r: r.samples("a"))
    labels = receiver.all_series("a")[0].labels
    assert labels == [
        ("A", "2"),
        ("__name__", "a"),
        ("b", "\u00fc"),
        ("exported_job", "x"),
        ("instance", target.address),
        ("job", "test"),
        ("z", "1"),
        ("zone", "z"),
    ]


def test_the_first_request_has_the_whole_scrape(tmp_path, receiver):
    with page(b"# TYPE h histogram", b'h_bucket{le="1"} 1', b'h_bucket{le="+Inf"} 2', b"h_sum 3",
              b"h_count 2", b"# TYPE c_total counter", b"c_total 1") as target:
        run_against(tmp_path, receiver, target, lambda r: r.samples("h_sum"))
    # One before it may tell of a scrape that ran into its time-out.
    first = next(request.series for request in receiver.requests
                 if any(series.name == "h_sum" for series in request.series))
    names = {series.name for series in first}
    assert {"h_bucket", "h_sum", "h_count", "c_total", "up", "scrape_duration_seconds"} <= names
    for series in receiver.all_series("h_sum"):
        assert series.type == "histogram"
    assert all(len(series.samples) == 1 for series in first)


@pytest.mark.parametrize("status", [400, 401, 404, 413])
def test_what_is_refused_is_not_sent_again(tmp_path, receiver, status):
    receiver.script.append(Answer(status=status, body=b"no " * 100000))
    with page(b"a 1") as target:
        run_against(tmp_path, receiver, target, lambda r: len(r.requests) >= 4)
    bodies = [request.body for request in receiver.requests]
    assert len(set(bodies)) == len(bodies)
    assert all(request.header("Retry-Attempt") is None for request in receiver.requests)


@pytest.mark.parametrize("status", [500, 502, 503, 504, 429])
def test_what_may_succeed_later_is_sent_again_after_a_pause(tmp_path, receiver, status):
    receiver.script += [Answer(status=status)] * 4
    queue = {"retry_on_http_429": True, "min_backoff": "50ms", "max_backoff": "5s"}
    with page(b"a 1") as target:
        run_against(
            tmp_path, receiver, target, lambda r: len(r.requests) >= 5, queue_config=queue
        )
    tries = receiver.requests[:5]
    assert len({request.body for request in tries}) == 1
    assert [request.header("Retry-Attempt") for request in tries] == [None, "1", "2", "3", "4"]
    gaps = [after.arrived - before.arrived for before, after in zip(tries, tries[1:])]
    assert all(gap >= 0.9 * pause for gap, pause in zip(gaps, (0.05, 0.1, 0.2, 0.4)))
