# SPDX-License-Identifier: GPL-2.0-or-later
"""perf/farm does what it claims."""
import gzip
import http.client
import json
import re
import signal
import socket
import time
import urllib.request

import pytest

from lib import prom
from lib.farm import farm, names_of, parse, scrape
from lib.proc import Process, built, wait_until


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
    with urllib.request.urlopen(request, timeout=60) as answer:
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
    assert all(abs(int(line.split()[-1]) - time.time() * 1000) < 60000 for line in lines)


def test_numbers_persist_over_connections_and_keep_alive_works(farm):
    _, ready = farm()
    connection = http.client.HTTPConnection(ready["first"], timeout=60)
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
    _, ready = farm("--kind", "big", "--delay", "60000")

    def account():
        text = prom.http_get(f"http://127.0.0.1:{ready['port']}/farm")[1]
        return json.loads(text)["targets"][0]

    assert prom.gives_up(f"http://{ready['first']}/metrics", 0.05)
    wait_until(lambda: account()["requests"] == 1, what="the request")
    assert account()["complete"] == 0


def test_wrong_options_are_errors(tmp_path):
    for words in (["--kind", "small"], ["--targets", "0"], ["--targets", "x"], ["--bogus"]):
        process = Process([built("perf/farm"), *words], str(tmp_path), "wrong")
        with process:
            assert process.wait(5) == 2 and process.stderr()


def test_ends_well_although_connections_are_open(farm):
    """Built with the address sanitizer it would say what is left."""
    process, ready = farm()
    host, port = ready["first"].split(":")
    kept = http.client.HTTPConnection(ready["first"], timeout=20)
    kept.request("GET", "/metrics")
    kept.getresponse().read()
    with socket.create_connection((host, int(port)), 20) as half:
        half.sendall(b"GET /metrics HTTP/1.1\r\n")
        scrape(ready["first"])
        assert process.stop() == 0
