# SPDX-License-Identifier: GPL-2.0-or-later
"""What the public compliance suites of remote-write senders check, case by case, under their names:
the one of 1.0, the one of 2.0 (what test_remote_write_v2.py does not show), and the newer one that
Prometheus itself runs."""
import math
import time

import pytest

from lib.limpet import Limpet, config, job, remote
from lib.remote_write import STALE_BITS, Answer, bits_of_float
from lib.remote_write_v2 import ReceiverV2
from lib.stream import count_ran_out
from lib.target import Reply, Target

PLAIN = "text/plain; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
V2 = "io.prometheus.write.v2.Request"


@pytest.fixture
def receiver_v2():
    with ReceiverV2() as receiver:
        yield receiver


def static(text):
    """As the suite serves its pages: an empty line first."""
    return Reply(b"\n" + text.encode(), content_type=PLAIN)


def run(directory, receiver, script, until, interval=200, timeout=10, **remote_options):
    """limpet with one target until that is true of the receiver; returns the target's address. If a
    scrape ran into its time-out since the machine is busy, the same again with twice the interval (ms),
    which is the time-out, too."""
    answers = list(receiver.script)

    def ran_out():
        return count_ran_out(receiver, interval / 1000) > 0

    for attempt in range(6):
        receiver.requests, receiver.script = [], list(answers)
        with Target(script) as target:
            made = config(job("test", [target.address]),
                          remote(receiver.url, **remote_options), interval=f"{interval}ms")
            own = directory / str(attempt)
            own.mkdir()
            with Limpet(own, made) as limpet:
                receiver.wait_for(lambda r: until(r) or ran_out(), timeout)
                limpet.stop()
        assert [request.error for request in receiver.requests if request.error] == []
        if not ran_out():
            return target.address
        interval *= 2
    raise AssertionError("scrapes take longer than their time-out")


def values(receiver, name, **labels):
    return [value for _, value in receiver.samples(name, **labels)]


def all_series(receiver):
    return [series for request in receiver.requests for series in request.series]


# ------------------------------------------------------------------------------------ remote write 1.0


def test_counter_gauge_histogram_and_summary(tmp_path, receiver):
    def script(request):
        n = request.number
        return static(
            f"# TYPE counter counter\ncounter {n}\n# TYPE gauge gauge\ngauge {-n}\n"
            f'# TYPE h histogram\nh_bucket{{le="1"}} {n}\nh_bucket{{le="+Inf"}} {2 * n}\n'
            f"h_sum {3 * n}\nh_count {2 * n}\n"
            f'# TYPE s summary\ns{{quantile="0.5"}} {n}\ns_sum {n}\ns_count {n}\n')

    run(tmp_path, receiver, script, lambda r: len(r.samples("counter")) >= 8)
    counted = values(receiver, "counter")
    assert counted == list(range(1, len(counted) + 1))  # nothing lost, nothing twice
    assert values(receiver, "gauge") == [-n for n in counted]
    parts = [("h_bucket", {"le": "1.0"}),  # as Prometheus 3 sends it; the suite is of the time of 2
             ("h_bucket", {"le": "+Inf"}), ("h_sum", {}), ("h_count", {}),
             ("s", {"quantile": "0.5"}), ("s_sum", {}), ("s_count", {})]
    assert {len(values(receiver, name, **labels)) for name, labels in parts} == {len(counted)}


def test_up_and_invalid(tmp_path, receiver):
    run(tmp_path, receiver,
        lambda request: static("a 1\n" if request.number <= 3 else "this is no metric\n"),
        lambda r: 0 in values(r, "up", job="test"))
    ups = values(receiver, "up", job="test")
    assert ups[:3] == [1, 1, 1] and set(ups[3:]) == {0}


def test_job_and_instance_label(tmp_path, receiver):
    address = run(tmp_path, receiver, static("a 1\n"), lambda r: len(r.samples("a")) >= 3)
    assert {(dict(series.labels)["job"], dict(series.labels)["instance"])
            for series in all_series(receiver)} == {("test", address)}


@pytest.mark.parametrize("page, arrives", [
    ('test{c="3",a="1",B="2"} 1\n', [("B", "2"), ("__name__", "test"), ("a", "1"), ("c", "3")]),
    ('test{a="1",a="1"} 1\n', None),
    ('test{a=""} 1\n', [("__name__", "test")]),
    ('{label="value"} 1\n', None),
], ids=["SortedLabels", "RepeatedLabels", "EmptyLabels", "NameLabel"])
def test_labels(tmp_path, receiver, page, arrives):
    run(tmp_path, receiver, static(page), lambda r: len(r.samples("up")) >= 4)
    assert [problem for series in all_series(receiver) for problem in series.problems()] == []
    found = [series.labels for series in all_series(receiver) if series.name.startswith("test")]
    if arrives is None:
        assert found == [] and set(values(receiver, "up")) == {0}
    else:
        assert len(found) >= 3
        assert {tuple(pair for pair in labels if pair[0] not in ("job", "instance"))
                for labels in found} == {tuple(arrives)}


def test_honor_labels(tmp_path, receiver):
    run(tmp_path, receiver, static('a{job="x",instance="y"} 1\n'), lambda r: r.samples("a"))
    labels = dict(next(series for series in all_series(receiver) if series.name == "a").labels)
    assert (labels["exported_job"], labels["exported_instance"], labels["job"]) == ("x", "y", "test")


def test_staleness(tmp_path, receiver):
    def script(request):
        return static("gauge 1\n" if request.number <= 3 else "other 1\n")

    run(tmp_path, receiver, script, lambda r: len(r.samples("gauge")) >= 4 and r.samples("other"))
    assert [bits for _, bits in receiver.bits("gauge")] == [bits_of_float(1.0)] * 3 + [STALE_BITS]


def test_timestamp_and_headers(tmp_path, receiver):
    begin = time.time() * 1000
    run(tmp_path, receiver, static("a 1\n"), lambda r: len(r.requests) >= 5)
    stamps = [stamp for series in all_series(receiver) for stamp, _ in series.samples]
    assert stamps == sorted(stamps) and begin <= stamps[0] and stamps[-1] <= time.time() * 1000
    for request in receiver.requests:
        assert request.header("Content-Encoding") == "snappy"
        assert request.header("Content-Type") == "application/x-protobuf"
        assert request.header("X-Prometheus-Remote-Write-Version") == "0.1.0"
        assert request.header("User-Agent")


def test_ordering(tmp_path, receiver):
    """A thousand series to a receiver whose answers take random times, several shards at once."""
    page = "".join(f'a{{n="{n}"}} {{}}\n' for n in range(1000))
    receiver.script += [Answer(delay=delay) for delay in (0, 1.5, 0.2, 2.5, 0, 0.7, 3, 0.1)]
    run(tmp_path, receiver, lambda request: static(page.replace("{}", str(request.number))),
        lambda r: len(r.requests) >= 150 and len(r.samples("a", n="0")) >= 10, timeout=60,
        queue_config={"min_shards": 4, "max_samples_per_send": 100})
    stamps = {}
    for series in all_series(receiver):
        if series.name == "a":
            stamps.setdefault(series.key(), []).extend(stamp for stamp, _ in series.samples)
    assert len(stamps) == 1000
    for found in stamps.values():
        assert len(found) >= 10 and all(a < b for a, b in zip(found, found[1:]))


@pytest.mark.parametrize("status, times", [(500, 2), (400, 1)])
def test_retries(tmp_path, receiver, status, times):
    receiver.script.append(Answer(status=status))
    run(tmp_path, receiver, static("a 1\n"), lambda r: len(r.requests) >= 4)
    bodies = [request.body for request in receiver.requests]
    assert bodies.count(bodies[0]) == times


# ------------------------------------------------------------------------------------ remote write 2.0


def test_values_and_timestamps_of_2_0(tmp_path, receiver_v2):
    page = "inf +Inf\nminus_inf -Inf\nnan NaN\nlarge 1.7e308\nsmall 5e-324\n"
    run(tmp_path, receiver_v2, static(page), lambda r: len(r.samples("nan")) >= 3,
        protobuf_message=V2)
    assert values(receiver_v2, "inf")[0] == math.inf and math.isnan(values(receiver_v2, "nan")[0])
    now = time.time() * 1000
    for series in all_series(receiver_v2):
        assert not (series.samples and series.histograms)  # never both
        assert all(now - 300000 < stamp <= now for stamp, _ in series.samples)


def test_several_metrics_share_a_request_of_bounded_size(tmp_path, receiver_v2):
    page = "".join(f"m{n} 1\n" for n in range(12000))
    run(tmp_path, receiver_v2, static(page), lambda r: len(r.samples("m11999")) >= 2,
        interval=1000, timeout=40, protobuf_message=V2)
    sizes = [len(request.series) for request in receiver_v2.requests]
    assert max(sizes) <= 10000 and max(sizes) > 1000


@pytest.mark.parametrize("answer", [
    Answer(status=200, body=b"ok " * 1000), Answer(status=204), Answer(status=200, body=b"\0\xff{")])
def test_success_is_any_2xx_and_its_body_is_ignored(tmp_path, receiver, answer):
    receiver.script += [answer] * 3
    run(tmp_path, receiver, static("a 1\n"), lambda r: len(r.requests) >= 5)
    bodies = [request.body for request in receiver.requests]
    assert len(set(bodies)) == len(bodies)


@pytest.mark.parametrize("answer", [
    Answer(status=500, body=b"x" * 3000000), Answer(raw=b"HTTP/1.1 abc\r\n\r\n"),
    Answer(raw=b"\x16\x03\x01\r\n\r\n"), Answer(reset=True)])
def test_large_and_malformed_answers_are_survived(tmp_path, receiver, answer):
    receiver.script.append(answer)
    run(tmp_path, receiver, static("a 1\n"), lambda r: len(r.requests) >= 4)
    bodies = [request.body for request in receiver.requests]
    assert bodies[0] == bodies[1] and len(set(bodies)) == len(bodies) - 1


def test_pauses_grow_and_are_bounded(tmp_path, receiver):
    receiver.script += [Answer(status=503)] * 12
    run(tmp_path, receiver, static("a 1\n"), lambda r: len(r.requests) >= 13, interval=1000,
        queue_config={"min_backoff": "30ms", "max_backoff": "100ms"})
    times = [request.arrived for request in receiver.requests[:13]]
    gaps = [after - before for before, after in zip(times, times[1:])]
    assert all(gap >= pause for gap, pause in zip(gaps, (0.03, 0.06, *[0.1] * 10)))
    assert times[-1] - times[0] < 30  # without a bound they would be two minutes


# ------------------------------------------------------------------------------------ the newer suite

EXPOSED = """# TYPE requests counter
requests_total 7
requests_created 1700000000.123
# TYPE latency histogram
latency_bucket{le="1.0"} 1
latency_bucket{le="+Inf"} 2
latency_sum 3
latency_count 2
latency_created 1700000001.5
# TYPE times gauge
times 1 {now}
times 2 {later}
times 3 {latest}
# EOF
"""


@pytest.mark.parametrize("message", ["prometheus.WriteRequest", V2])
def test_the_first_request_holds_a_whole_scrape(tmp_path, receiver_v2, message):
    now = math.floor(time.time())
    page = EXPOSED
    for word, stamp in ("{now}", now), ("{later}", now + 15), ("{latest}", now + 30):
        page = page.replace(word, str(stamp))
    run(tmp_path, receiver_v2, Reply(page.encode(), content_type=OPENMETRICS),
        lambda r: len(r.requests) >= 2, interval=1000, protobuf_message=message,
        send_exemplars=True, queue_config={"retry_on_http_429": True})
    first = receiver_v2.requests[0].series
    names = {series.name for series in first}
    assert {"requests_total", "latency_bucket", "latency_sum", "latency_count", "times", "up"} <= names
    assert len(first) > 6 and all(len(series.samples) == 1 for series in first)
    stamps = [stamp for series in first if series.name == "times" for stamp, _ in series.samples]
    assert stamps == [1000 * now, 1000 * (now + 15), 1000 * (now + 30)]
    assert all(stamp >= 1000 * now for series in first for stamp, _ in series.samples)
