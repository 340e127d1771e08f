# SPDX-License-Identifier: GPL-2.0-or-later
"""perf/farm and perf/sink do what they claim: a small client scrapes the farm and forwards to the
sink, and everything it does wrong on purpose is in the sink's report."""
import gzip
import http.client
import json
import re
import signal
import socket
import time
import urllib.error
import urllib.parse
import urllib.request

import pytest

from lib import prom, remote_write
from lib.proc import Process, built, wait_until
from lib.remote_write import STALE_BITS

LINE = re.compile(r"(\w+)(?:\{(.*)\})? (\S+)")
LABEL = re.compile(r'(\w+)="([^"]*)"')
REPORTS = ["up", "scrape_duration_seconds", "scrape_samples_scraped",
           "scrape_samples_post_metric_relabeling", "scrape_series_added"]
START_MS = 1_700_000_000_000
STEP_MS = 5000


@pytest.fixture
def farm(tmp_path):
    """start(option, ...) -> (process, ready line); stopped at the end."""
    started = []

    def start(*options):
        process = Process([built("perf/farm"), *options], str(tmp_path), f"farm{len(started)}")
        started.append(process)
        return process, process.ready_json()

    yield start
    for process in started:
        process.stop_or_kill()


@pytest.fixture
def sink(tmp_path):
    started = []

    def start(*options):
        process = Process([built("perf/sink"), *options], str(tmp_path), f"sink{len(started)}")
        started.append(process)
        return Sink(process, process.ready_json())

    yield start
    for process in started:
        process.stop_or_kill()


class Sink:
    def __init__(self, process, ready):
        self.process = process
        self.base = f"http://127.0.0.1:{ready['port']}"
        self.url = ready["url"]

    def post(self, series, body=None, **headers):
        """The answer's status, 0 if the connection ended without one."""
        sent = remote_write.encode(series) if body is None else body
        headers = {**remote_write.HEADERS, **{k.replace("_", "-"): v for k, v in headers.items()}}
        try:
            return prom.http_post(self.url, sent, headers, timeout=60)[0]
        except (ConnectionError, http.client.HTTPException):
            return 0
        except urllib.error.URLError as problem:  # while the request was still being sent
            if isinstance(problem.reason, ConnectionError):
                return 0
            raise

    def get(self, path):
        status, text = prom.http_get(self.base + path)
        assert status == 200, text
        return json.loads(text)

    def report(self):
        return self.get("/report")

    def faults(self, query):
        status, text = prom.http_post(f"{self.base}/faults?{query}", b"", {})
        assert status == 200, text
        return json.loads(text)


def parse(text):
    """[(labels, float)] of a body."""
    rows = []
    for line in text.splitlines():
        if not line.startswith("#"):
            name, labels, value = LINE.fullmatch(line).groups()
            rows.append(({"__name__": name, **dict(LABEL.findall(labels or ""))}, float(value)))
    return rows


def scrape(instance):
    return parse(prom.http_get(f"http://{instance}/metrics")[1])


def target_labels(labels, instance):
    return {**labels, "instance": instance, "job": "farm", "pod": "p", "cluster": "test"}


def as_series(rows, instance, ts, up=1.0):
    """What a scraper writes for a scrape: its samples and the report series."""
    series = [(target_labels(labels, instance), [(ts, value)]) for labels, value in rows]
    for name in REPORTS:
        value = up if name == "up" else float(len(rows))
        series.append((target_labels({"__name__": name}, instance), [(ts, value)]))
    return series


def markers(rows, instance, ts):
    return [(target_labels(labels, instance), [(ts, STALE_BITS)]) for labels, _ in rows]


def names_of(rows):
    return {tuple(sorted(labels.items())) for labels, _ in rows}


# ------------------------------------------------------------------------------------------ farm


@pytest.mark.parametrize("kind,series,size", [("tiny", 66, 7700), ("node", 1573, 134000),
                                              ("big", 50000, 6500000), ("rpc", 1547, 170000)])
def test_each_kind_has_its_size_and_no_series_twice(farm, kind, series, size):
    _, ready = farm("--kind", kind)
    text = prom.http_get(f"http://{ready['first']}/metrics")[1]
    rows = parse(text)
    assert len(rows) == ready["series"] == series == len(names_of(rows))
    assert abs(len(text) - size) < 0.03 * size
    assert rows[0] == ({"__name__": "farm_scrape_number"}, 1.0)


def test_values_follow_from_seed_target_and_number(farm):
    bodies = []
    for seed in ("1", "1", "2"):
        _, ready = farm("--seed", seed, "--targets", "2", "--kind", "node")
        bodies.append([[scrape(ready[which]) for _ in range(3)] for which in ("first", "last")])
    assert bodies[0] == bodies[1]
    assert bodies[0][0][0] != bodies[0][1][0]
    assert bodies[0][0][0] != bodies[2][0][0]


@pytest.mark.parametrize("percent", [0, 30, 100])
def test_the_share_of_values_that_change_is_as_asked(farm, percent):
    _, ready = farm("--kind", "node", "--change", str(percent))
    before = scrape(ready["first"])[2:]
    after = scrape(ready["first"])[2:]
    changed = sum(a != b for a, b in zip(before, after)) / len(before)
    assert abs(changed - percent / 100) < 0.1


def test_bodies_mix_integers_decimals_exponents_and_17_digits(farm):
    _, ready = farm("--kind", "node")
    values = [line.split()[-1] for line in
              prom.http_get(f"http://{ready['first']}/metrics")[1].splitlines() if line[0] != "#"]
    for form in (r"\d+", r"\d+\.\d{1,3}", r"\d\.\d+e\+\d\d", r"-?\d*\.\d{14,}(e-\d+)?"):
        assert any(re.fullmatch(form, value) for value in values), form


def test_histograms_are_cumulative(farm):
    _, ready = farm()
    rows = scrape(ready["first"])
    name = "app_request_duration_seconds"
    buckets = [v for labels, v in rows if labels["__name__"] == f"{name}_bucket"]
    counts = [v for labels, v in rows if labels["__name__"] == f"{name}_count"]
    assert len(buckets) == 12 and buckets == sorted(buckets) and buckets[-1] == counts[0]


def test_churn_renames_series_in_every_scrape(farm):
    _, ready = farm("--churn", "3")
    first, second = scrape(ready["first"]), scrape(ready["first"])
    assert len(first) == len(second) == ready["series"] == 69
    assert len(names_of(second) - names_of(first)) == 3


def test_own_churn_differs_from_target_to_target(farm):
    _, ready = farm("--targets", "2", "--churn", "3", "--own-churn")
    first, last = names_of(scrape(ready["first"])), names_of(scrape(ready["last"]))
    assert len(first) == len(last) == 69
    assert len(first & last) == 66


def test_vanishing_series_come_and_go(farm):
    _, ready = farm("--vanish")
    bodies = [scrape(ready["first"]) for _ in range(12)]
    always = set.intersection(*map(names_of, bodies))
    ever = set.union(*map(names_of, bodies))
    assert len(ever) == 66 and 50 < len(always) < 66
    assert len({len(rows) for rows in bodies}) > 1


@pytest.mark.parametrize("encoding", ["content-length", "chunked", "close", "mixed"])
def test_every_encoding_carries_the_same_bodies(farm, encoding):
    _, plain = farm("--targets", "3", "--kind", "node")
    _, other = farm("--targets", "3", "--kind", "node", "--encoding", encoding)
    for last in (1, 2, 3):
        want, got = (scrape(f"127.1.0.{last}:{ready['port']}") for ready in (plain, other))
        assert want == got


def test_copies_and_different_targets_are_told_apart_by_labels(farm):
    _, ready = farm("--targets", "2", "--copies", "3", "--different")
    first, last = (names_of(scrape(ready[which])) for which in ("first", "last"))
    assert len(first) == len(last) == ready["series"] == 3 * 64 + 2
    assert {dict(labels)["__name__"] for labels in first & last} == {
        "farm_scrape_number", "farm_plan"}


def get(address, **headers):
    request = urllib.request.Request(f"http://{address}/metrics", headers=headers)
    with urllib.request.urlopen(request, timeout=5) as answer:
        return answer.headers, answer.read()


def test_gzip_is_used_if_both_sides_are_for_it(farm):
    _, plain = farm("--kind", "node")
    _, ready = farm("--kind", "node", "--gzip")
    want = get(plain["first"])[1]
    headers, packed = get(ready["first"], **{"Accept-Encoding": "deflate, gzip"})
    assert headers["Content-Encoding"] == "gzip" and gzip.decompress(packed) == want
    headers, body = get(ready["first"])
    assert headers["Content-Encoding"] is None and body[:100] == want[:100]


def test_openmetrics_ends_as_it_must_and_timestamps_are_now(farm):
    _, ready = farm("--format", "openmetrics")
    headers, body = get(ready["first"])
    assert headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    assert body.endswith(b"\n# EOF\n")
    _, ready = farm("--timestamps")
    lines = [line for line in get(ready["first"])[1].decode().splitlines() if line[0] != "#"]
    assert all(abs(int(line.split()[-1]) - time.time() * 1000) < 5000 for line in lines)


def test_numbers_persist_over_connections_and_keep_alive_works(farm):
    _, ready = farm()
    connection = http.client.HTTPConnection(ready["first"], timeout=5)
    for n in (1, 2, 3):
        connection.request("GET", "/metrics")
        assert parse(connection.getresponse().read().decode())[0][1] == n
    assert scrape(ready["first"])[0][1] == 4


def test_ports_mode_and_delay(farm, tmp_path):
    farm_sd = tmp_path / "sd.json"
    _, ready = farm("--ports", "--targets", "5", "--file-sd", str(farm_sd), "--delay", "200")
    targets = [group["targets"][0] for group in json.loads(farm_sd.read_text())]
    assert len(set(targets)) == 5 and all(t.startswith("127.0.0.1:") for t in targets)
    began = time.monotonic()
    assert scrape(targets[4])[1][1] == 4
    assert time.monotonic() - began >= 0.2


def test_file_sd_account_ledger_and_latency_log_agree(farm, tmp_path):
    process, ready = farm("--targets", "300", "--file-sd", str(tmp_path / "sd.json"),
                          "--ledger", str(tmp_path / "ledger.json"),
                          "--latency-log", str(tmp_path / "latency"))
    groups = json.loads((tmp_path / "sd.json").read_text())
    assert len(groups) == 300
    assert groups[0]["labels"] == {"namespace": "farm-0", "pod": "pod-000000"}
    assert groups[299]["targets"] == [ready["last"]] == [f"127.1.1.44:{ready['port']}"]
    for _ in range(2):
        scrape(ready["last"])
    account = json.loads(prom.http_get(f"http://127.0.0.1:{ready['port']}/farm")[1])
    assert account["targets"][299] == {"instance": ready["last"], "requests": 2, "complete": 2}
    before = time.time_ns()
    assert process.stop() == 0
    entry = json.loads((tmp_path / "ledger.json").read_text())["targets"][299]
    assert entry["numbers"] == [[1, 2]]
    assert before - 60e9 < entry["first_arrival_ns"] < before
    (arrival, sent, connection, _), (next_arrival, next_sent, next_connection, _) = entry["log"]
    assert arrival == 0 < sent and 0 < next_arrival < next_sent
    assert connection != next_connection
    log = [line.split() for line in (tmp_path / "latency").read_text().splitlines()]
    assert [(row[0], row[1], row[2]) for row in log] == [
        ("request", ready["last"], "1"), ("sent", ready["last"], "1"),
        ("request", ready["last"], "2"), ("sent", ready["last"], "2")]


def test_a_request_arrives_when_it_is_sent_however_late_the_farm_reads_it(farm, tmp_path):
    process, ready = farm("--ledger", str(tmp_path / "ledger.json"))
    connection = http.client.HTTPConnection(ready["first"], timeout=20)
    connection.connect()
    process.send(signal.SIGSTOP)
    before = time.time_ns()
    connection.request("GET", "/metrics")
    after = time.time_ns()
    time.sleep(0.05)
    going_on = time.time_ns()
    process.send(signal.SIGCONT)
    connection.getresponse().read()
    connection.request("GET", "/metrics")
    connection.getresponse().read()
    assert process.stop() == 0
    entry = json.loads((tmp_path / "ledger.json").read_text())["targets"][0]
    assert before <= entry["first_arrival_ns"] <= after
    (_, sent, first, left), (_, _, second, _) = entry["log"]
    assert not left
    assert entry["first_arrival_ns"] + (sent + 1) * 1000 >= going_on and first == second


def test_a_body_the_client_does_not_wait_for_is_not_complete(farm):
    _, ready = farm("--kind", "big", "--delay", "4000")

    def account():
        text = prom.http_get(f"http://127.0.0.1:{ready['port']}/farm")[1]
        return json.loads(text)["targets"][0]

    with pytest.raises(TimeoutError):
        prom.http_get(f"http://{ready['first']}/metrics", timeout=0.05)
    wait_until(lambda: account()["requests"] == 1, what="the request")
    assert account()["complete"] == 0


def test_wrong_options_are_errors(tmp_path):
    for words in (["--kind", "small"], ["--targets", "0"], ["--targets", "x"], ["--bogus"]):
        process = Process([built("perf/farm"), *words], str(tmp_path), "wrong")
        with process:
            assert process.wait(5) == 2 and process.stderr()


# ------------------------------------------------------------------------------------------ sink


def scrapes_of_two(ready):
    """Four scrapes of two targets: (which, what is written of it, with the markers of its churn)."""
    last_churn = {}
    for i in range(4):
        for instance in (ready["first"], ready["last"]):
            rows = scrape(instance)
            ts = START_MS + i * STEP_MS
            churn = [row for row in rows if row[0]["__name__"] == "farm_churn"]
            yield i, as_series(rows, instance, ts) + markers(last_churn.get(instance, []), instance, ts)
            last_churn[instance] = churn


@pytest.mark.parametrize("options", [[], ["--kind", "node", "--change", "100"], ["--churn", "4"],
                                     ["--churn", "4", "--own-churn"]])
def test_faithful_scrapes_are_complete_and_without_error(farm, sink, options):
    _, ready = farm("--targets", "2", "--seed", "7", *options)
    receiver = sink("--interval", str(STEP_MS))
    for _, sent in scrapes_of_two(ready):
        half = len(sent) // 2
        assert receiver.post(sent[half:]) == 204  # the number arrives in the second request
        assert receiver.post(sent[:half]) == 204
    report = receiver.report()
    assert report["errors"]["total"] == 0 and report["errors"]["first"] == []
    scrapes = report["scrapes"]
    assert (scrapes["targets"], scrapes["total"], scrapes["complete"]) == (2, 8, 8)
    assert scrapes["samples_expected"] == 8 * (ready["series"] + 5)
    assert report["samples"]["stored"] == scrapes["samples_expected"] + report["stale"]["stored"]
    assert report["samples"]["verified"] == 8 * ready["series"]
    assert report["intervals"] == {"ms": STEP_MS, "exact": 6, "off": 0, "first_off": []}
    assert report["stale"]["stored"] == report["stale"]["expected"]
    assert report["stale"]["mismatched_scrapes"] == 0
    assert report["duplicates"] == 0 and report["order_violations"] == {"samples": 0, "series": 0}
    assert scrapes["missing_numbers"] == scrapes["number_regressions"] == 0
    first = receiver.get("/scrapes")["targets"][0]
    assert first["instance"] == ready["first"] and len(first["scrapes"]) == 4
    assert first["scrapes"][0] == [START_MS, 1, ready["series"], ready["series"], 1, 31, 0]


def test_a_wrong_value_is_reported_with_both_values(farm, sink):
    _, ready = farm()
    receiver = sink()
    rows = scrape(ready["first"])
    labels, value = rows[40]
    rows[40] = (labels, value + 1)
    receiver.post(as_series(rows, ready["first"], START_MS))
    report = receiver.report()
    assert report["errors"]["value"] == report["errors"]["total"] == 1
    detail = report["errors"]["first"][0]["detail"]
    assert labels["__name__"] in detail and repr(value)[:8].rstrip(".0") in detail.replace("e+", "")


def test_a_value_of_the_scrape_before_is_reported(farm, sink):
    _, ready = farm("--change", "100")
    receiver = sink()
    scrape(ready["first"])
    old = scrape(ready["first"])
    new = scrape(ready["first"])
    receiver.post(as_series(new[:30] + old[30:31] + new[31:], ready["first"], START_MS))
    assert receiver.report()["errors"]["value"] == 1


def test_missing_samples_and_numbers_are_reported(farm, sink):
    _, ready = farm()
    receiver = sink("--interval", str(STEP_MS))
    receiver.post(as_series(scrape(ready["first"]), ready["first"], START_MS))
    scrape(ready["first"])  # answered, never delivered
    rows = scrape(ready["first"])
    receiver.post(as_series(rows[:20] + rows[21:], ready["first"], START_MS + 2 * STEP_MS + 3))
    report = receiver.report()
    assert (report["scrapes"]["complete"], report["scrapes"]["incomplete"]) == (1, 1)
    assert report["scrapes"]["missing_numbers"] == 1
    assert report["scrapes"]["first_incomplete"][0] == {
        "instance": ready["first"], "ts": START_MS + 2 * STEP_MS + 3, "n": 3, "seen": 65,
        "expected": 66, "report": 31, "up": 1}
    assert report["intervals"]["off"] == 1


def test_a_series_that_was_not_served_is_reported(farm, sink):
    _, ready = farm("--vanish")
    receiver = sink()
    bodies = [scrape(ready["first"]) for _ in range(12)]
    full = {tuple(sorted(row[0].items())): row for rows in bodies for row in rows}
    rows = next(rows for rows in bodies if len(rows) < 66)
    missing = next(key for key in full if key not in names_of(rows))
    receiver.post(as_series([*rows, full[missing]], ready["first"], START_MS))
    assert receiver.report()["errors"]["series"] == 1


def test_a_failed_scrape_counts_as_failed_and_needs_its_markers(farm, sink):
    _, ready = farm()
    receiver = sink()
    rows = scrape(ready["first"])
    receiver.post(as_series(rows, ready["first"], START_MS))
    ts = START_MS + STEP_MS
    receiver.post(as_series([], ready["first"], ts, up=0.0) + markers(rows, ready["first"], ts))
    report = receiver.report()
    assert (report["scrapes"]["failed"], report["scrapes"]["incomplete"]) == (1, 0)
    assert report["stale"]["expected"] == report["stale"]["stored"] == 66
    assert report["stale"]["series_followed"] == 0
    receiver.post(as_series(scrape(ready["first"]), ready["first"], ts + STEP_MS))
    report = receiver.report()
    assert report["stale"]["series_followed"] == 66 and report["stale"]["mismatched_scrapes"] == 0


def test_a_marker_for_a_living_series_is_reported(farm, sink):
    _, ready = farm()
    receiver = sink()
    rows = scrape(ready["first"])
    receiver.post(as_series(rows, ready["first"], START_MS))
    receiver.post(markers(rows[5:6], ready["first"], START_MS + 100))
    receiver.post(as_series(scrape(ready["first"]), ready["first"], START_MS + STEP_MS))
    report = receiver.report()
    assert report["stale"]["mismatched_scrapes"] == 1 and report["stale"]["series_followed"] == 1
    assert report["stale"]["first_series"][0]["followed"]
    assert report["scrapes"]["markers_only"] == 1


def plain(*samples, name="x"):
    return [({"__name__": name, "job": "j", "instance": "i"}, list(samples))]


def test_like_prometheus_disorder_is_refused_and_rolled_back(sink):
    receiver = sink("--keep")
    assert receiver.post(plain((1000, 1.0), (2000, 2.0))) == 204
    fresh = plain((5000, 5.0), name="fresh")
    assert receiver.post(fresh + plain((1500, 1.5))) == 400
    assert receiver.post(fresh + plain((2000, 2.5))) == 400
    assert receiver.post(fresh + plain((3000, 3.0), (2500, 2.5))) == 400
    assert receiver.get("/series?match=fresh") == []
    assert receiver.post(fresh + plain((2000, 2.0), (3000, 3.0))) == 204
    report = receiver.report()
    assert report["refused"] == {"out_of_order": 2, "duplicate": 1}
    assert report["samples"]["stored"] == 4 and report["samples"]["unchanged"] == 1
    assert report["requests"]["answered"] == {"204": 2, "400": 3}
    (x,) = receiver.get("/series?match=x")
    assert x["labels"] == {"__name__": "x", "instance": "i", "job": "j"}
    assert x["samples"] == [[1000, "1", "3ff0000000000000"], [2000, "2", "4000000000000000"],
                            [3000, "3", "4008000000000000"]]


def test_like_victoria_keeps_copies_and_counts_them(farm, sink):
    _, ready = farm()
    receiver = sink("--like", "victoria")
    first = as_series(scrape(ready["first"]), ready["first"], START_MS)
    second = as_series(scrape(ready["first"]), ready["first"], START_MS + STEP_MS)
    for series in (first, second, first):
        assert receiver.post(series) == 204
    report = receiver.report()
    assert report["duplicates"] == 71
    assert report["order_violations"] == {"samples": 71, "series": 71}
    assert report["samples"]["stored"] == 3 * 71 and report["errors"]["total"] == 0


def test_bad_labels_headers_and_bodies_are_reported(sink):
    receiver = sink()
    for labels in ([("a", "1")], [("__name__", "x"), ("b", ""), ("c", "1")],
                   [("__name__", "x"), ("c", "1"), ("b", "1")],
                   [("__name__", "x"), ("__name__", "x")]):
        receiver.post([(labels, [(1000, 1.0)])])
    assert receiver.report()["errors"]["labels"] == 4
    receiver.post(plain((1000, 1.0)), User_Agent="curl", Content_Encoding="gzip")
    assert receiver.report()["errors"]["header"] == 2
    assert receiver.post([], body=b"\xff\xff\xff\xff\xff\xff") == 400
    assert receiver.post([], body=remote_write.snappy.compress(b"\x0a\x05ab")) == 400
    assert receiver.report()["errors"]["body"] == 2


def test_faults_are_switched_at_run_time_and_repeats_are_compared(sink):
    receiver = sink()
    receiver.faults("status=503&count=1")
    body = remote_write.encode(plain((1000, 1.0)))
    assert receiver.post([], body=body) == 503
    assert receiver.report()["repeats"]["never_repeated"] == 1
    assert receiver.post([], body=body, Retry_Attempt="1") == 204
    assert receiver.post(plain((2000, 1.0)), Retry_Attempt="1") == 204
    report = receiver.report()
    assert report["repeats"] == {"remembered": 1, "identical": 1, "not_identical": 1,
                                 "of_refused": 0, "undelivered": 0, "never_repeated": 0}
    assert report["samples"]["stored"] == 2

    assert receiver.post(plain((1500, 1.0))) == 400
    receiver.post(plain((1500, 1.0)))
    assert receiver.report()["repeats"]["of_refused"] == 1

    receiver.faults("lose-answer=1")
    assert receiver.post(plain((3000, 1.0))) == 0
    report = receiver.report()
    assert report["samples"]["stored"] == 3 and report["requests"]["lost_answers"] == 1

    receiver.faults("reset=after-head&count=1")
    assert receiver.post(plain((4000, 1.0))) == 0
    receiver.faults("reset=after-body&count=1")
    assert receiver.post(plain((4000, 1.0))) == 0
    assert receiver.report()["samples"]["stored"] == 3
    assert receiver.post(plain((4000, 1.0))) == 204


def test_faults_hit_their_share_and_can_be_cleared(sink):
    receiver = sink()
    receiver.faults("status=429&percent=70&seed=5&retry_after=3")
    statuses = [receiver.post(plain((1000 + i, 1.0))) for i in range(200)]
    assert 120 < statuses.count(429) < 160 and statuses.count(204) == 200 - statuses.count(429)
    assert not receiver.faults("clear=1")["active"]
    assert receiver.post(plain((9000, 1.0))) == 204
    assert prom.http_post(f"{receiver.base}/faults?percent=101", b"", {})[0] == 400


def test_late_and_missing_answers(sink):
    receiver = sink()
    receiver.faults("delay_ms=300&count=1")
    began = time.monotonic()
    assert receiver.post(plain((1000, 1.0))) == 204
    assert time.monotonic() - began >= 0.3
    receiver.faults("hang=1&count=1")
    with pytest.raises(TimeoutError):
        prom.http_post(receiver.url, remote_write.encode(plain((2000, 1.0))), {}, timeout=0.2)
    wait_until(lambda: receiver.report()["requests"]["hung"] == 1, what="the request that hangs")
    assert receiver.report()["samples"]["stored"] == 1


def test_the_report_is_also_written_at_the_end(sink, tmp_path):
    receiver = sink("--report", str(tmp_path / "report.json"), "--any-agent")
    receiver.post(plain((1000, 1.0)), User_Agent="other")
    assert receiver.process.stop() == 0
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["samples"]["stored"] == 1 and report["errors"]["total"] == 0


def test_prometheus_itself_scrapes_and_forwards_without_error(farm, sink, tmp_path):
    farm("--targets", "20", "--encoding", "mixed", "--file-sd", str(tmp_path / "sd.json"))
    receiver = sink("--any-agent", "--interval", "1000")
    config = f"""
global: {{scrape_interval: 1s, external_labels: {{region: x}}}}
scrape_configs: [{{job_name: farm, file_sd_configs: [{{files: ["{tmp_path}/sd.json"]}}]}}]
remote_write: [{{url: "{receiver.url}", queue_config: {{batch_send_deadline: 200ms}}}}]
"""
    with prom.Prometheus(str(tmp_path), config) as server:
        server.wait_ready(lambda: receiver.report()["scrapes"]["complete"] >= 60, 30)
        server.stop()
    report = receiver.report()
    assert report["errors"]["total"] == 0 and report["errors"]["first"] == []
    assert report["scrapes"]["incomplete"] == report["stale"]["mismatched_scrapes"] == 0
    # One of a busy machine fails, and is marked.
    assert report["stale"]["stored"] == report["stale"]["expected"]
    assert report["scrapes"]["failed"] > 0 or report["stale"]["stored"] == 0
    assert report["samples"]["verified"] == 66 * report["scrapes"]["complete"]


def test_what_arrived_without_its_sender_knowing_is_told(sink):
    receiver = sink()

    def unheard_are(count):
        """The sink knows it when it has looked at the client's end of the connection."""
        return wait_until(lambda: receiver.report()["requests"]["unheard_samples"] == count, 5,
                          f"{count} samples of which nobody heard")

    first = remote_write.encode(plain((1000, 1.0)) + plain((1000, 2.0), name="y"))
    receiver.faults("lose-answer=1")
    assert receiver.post([], body=first) == 0 and unheard_are(2)
    assert receiver.post([], body=first) == 204 and unheard_are(0)

    # A client that leaves before its answer, or without having read it.
    address = urllib.parse.urlsplit(receiver.url)
    for stamp, reset in (2000, False), (3000, True):
        body = remote_write.encode(plain((stamp, 1.0)))
        head = "".join(f"{name}: {value}\r\n" for name, value in remote_write.HEADERS.items())
        client = socket.create_connection((address.hostname, address.port))
        if not reset:
            receiver.process.send(signal.SIGSTOP)
        client.sendall(f"POST {address.path} HTTP/1.1\r\nHost: x\r\n{head}"
                       f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
        if reset:
            client.recv(1, socket.MSG_PEEK)
        client.close()
        receiver.process.send(signal.SIGCONT)
        assert unheard_are(1)
        assert receiver.post([], body=body) == 204 and unheard_are(0)
    # Two scrapes in one request: a repeat is refused, which says nothing; one by one it does.
    both = plain((4000, 1.0), (5000, 1.0))
    receiver.faults("lose-answer=1")
    assert receiver.post(both) == 0 and receiver.post(both) == 400 and unheard_are(2)
    assert receiver.report()["requests"]["refused_samples"] == 2
    assert receiver.post(plain((4000, 1.0))) == 400 and unheard_are(1)
    assert receiver.post(plain((5000, 1.0))) == 204 and unheard_are(0)
    assert receiver.report()["samples"]["stored"] == 6
