# SPDX-License-Identifier: GPL-2.0-or-later
"""limpet check metrics: what a body means, for those who write exporters."""
import json
import os
import subprocess

from lib.proc import BUILD
from test_remote_write_v2 import OPENMETRICS, native_histogram

PROTOBUF = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily"


def check_metrics(body, content_type):
    command = [os.path.join(BUILD, "limpet"), "check", "metrics", "--content-type", content_type]
    done = subprocess.run(command, input=body, capture_output=True, timeout=120)
    return done, [json.loads(line) for line in done.stdout.splitlines()]


def test_a_native_histogram_is_shown_with_its_buckets():
    done, entries = check_metrics(native_histogram(12), PROTOBUF)
    assert done.returncode == 0, done.stderr
    assert [entry["kind"] for entry in entries[:3]] == ["help", "type", "histogram"]
    histogram = entries[2]
    assert histogram["labels"] == [["__name__", "h"], ["a", "b"]]
    assert (histogram["schema"], histogram["count"]) == (2, 12)
    assert histogram["positive"] == {"spans": [[-1, 2]], "counts": [11, 1]}
    assert "invalid" not in histogram
    assert [entry["kind"] for entry in entries[3:]] == ["sample"] * (len(entries) - 3)


def test_a_histogram_that_no_receiver_takes_says_why():
    body = native_histogram(12).replace(b"\x08\x0c", b"\x08\x0d")
    done, entries = check_metrics(body, PROTOBUF)
    assert done.returncode == 0, done.stderr
    assert entries[2]["invalid"]


def test_a_truncated_body_is_refused():
    done, _ = check_metrics(native_histogram(12)[:-1], PROTOBUF)
    assert done.returncode == 1 and done.stderr


def test_exemplars_are_shown():
    _, entries = check_metrics(OPENMETRICS, "application/openmetrics-text")
    (exemplar,) = [entry["exemplars"] for entry in entries if "exemplars" in entry]
    assert exemplar[0]["labels"] == [["trace_id", "abc"]]
    assert exemplar[0]["timestamp_ms"] == 1700000000000
