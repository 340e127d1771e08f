# SPDX-License-Identifier: GPL-2.0-or-later
"""perf/sink does what it claims: a small client scrapes the farm and forwards to the sink, and
everything it does wrong on purpose is in the sink's report."""
import gzip
import json
import signal
import socket
import time
import urllib.parse

import pytest

from lib import prom, remote_write
from lib.farm import START_MS, STEP_MS, as_series, farm, markers, names_of, scrape, scrapes_of_two, sink
from lib.proc import wait_until
from lib.target import Target


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
    delays = report["arrival_delay_ms"]
    assert sum(samples for _, samples in delays["counts"]) == report["samples"]["received"]
    assert max(ms for ms, _ in delays["counts"]) == delays["max"]
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
    assert prom.gives_up(receiver.url, 0.2, remote_write.encode(plain((2000, 1.0))), remote_write.HEADERS)
    wait_until(lambda: receiver.report()["requests"]["hung"] == 1, what="the request that hangs")
    assert receiver.report()["samples"]["stored"] == 1


def test_the_report_is_also_written_at_the_end(sink, tmp_path):
    receiver = sink("--report", str(tmp_path / "report.json"), "--any-agent")
    receiver.post(plain((1000, 1.0)), User_Agent="other")
    assert receiver.process.stop() == 0
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["samples"]["stored"] == 1 and report["errors"]["total"] == 0


def test_ends_well_although_connections_are_open(sink, tmp_path):
    """Built with the address sanitizer it would say what is left."""
    receiver = sink("--report", str(tmp_path / "report.json"))
    head = b"POST /api/v1/write HTTP/1.1\r\nHost: x\r\nContent-Length: "
    with socket.create_connection(("127.0.0.1", int(receiver.base.split(":")[-1])), 20) as hung, \
         socket.create_connection(hung.getpeername(), 20) as half:
        receiver.faults("hang=1&count=1")
        body = remote_write.encode(plain((1000, 1.0)))
        hung.sendall(head + b"%d\r\n\r\n" % len(body) + body)
        wait_until(lambda: receiver.report()["requests"]["hung"] == 1, what="the request that hangs")
        half.sendall(head + b"9\r\n\r\n1234")
        assert receiver.process.stop() == 0
    assert json.loads((tmp_path / "report.json").read_text())["samples"]["stored"] == 0


def test_prometheus_itself_scrapes_and_forwards_without_error(farm, sink, tmp_path):
    farm("--targets", "20", "--encoding", "mixed", "--file-sd", str(tmp_path / "sd.json"))
    receiver = sink("--any-agent", "--interval", "1000", "--keep")

    def config(*jobs):
        return json.dumps({
            "global": {"scrape_interval": "1s", "external_labels": {"region": "x"}}, "scrape_configs": jobs,
            "remote_write": [{"url": receiver.url,
                              "queue_config": {"batch_send_deadline": "200ms", "max_shards": 1}}]})

    farms = {"job_name": "farm", "file_sd_configs": [{"files": [str(tmp_path / "sd.json")]}]}
    with Target(b"the_last_one 1\n") as target, prom.Prometheus(str(tmp_path), config(farms)) as server:
        server.wait_ready(lambda: receiver.report()["scrapes"]["complete"] >= 60, 30)
        # One that is stopped may leave off within a scrape. There is one shard, so all comes in order.
        server.reload(config({"job_name": "last", "static_configs": [{"targets": [target.address]}]}))
        server.wait_ready(lambda: receiver.get("/series?match=the_last_one"), 30)
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
        assert receiver.post([], body=body, Retry_Attempt="1") == 204 and unheard_are(0)
    assert receiver.report()["repeats"]["not_identical"] == 0
    # Two scrapes in one request: a repeat is refused, which says nothing; one by one it does.
    both = plain((4000, 1.0), (5000, 1.0))
    receiver.faults("lose-answer=1")
    assert receiver.post(both) == 0 and receiver.post(both) == 400 and unheard_are(2)
    assert receiver.report()["requests"]["refused_samples"] == 2
    assert receiver.post(plain((4000, 1.0))) == 400 and unheard_are(1)
    assert receiver.post(plain((5000, 1.0))) == 204 and unheard_are(0)
    assert receiver.report()["samples"]["stored"] == 6
