# SPDX-License-Identifier: GPL-2.0-or-later
"""perf/farm and perf/sink as fixtures, and a small client between them."""
import http.client
import json
import re
import urllib.error

import pytest

from . import prom, remote_write
from .proc import Process, built
from .remote_write import STALE_BITS

START_MS = 1_700_000_000_000
STEP_MS = 5000
_LINE = re.compile(r"(\w+)(?:\{(.*)\})? (\S+)")
_LABEL = re.compile(r'(\w+)="([^"]*)"')
_REPORTS = ["up", "scrape_duration_seconds", "scrape_samples_scraped",
            "scrape_samples_post_metric_relabeling", "scrape_series_added"]


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
    """start(option, ...) -> Sink; stopped at the end."""
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
            name, labels, value = _LINE.fullmatch(line).groups()
            rows.append(({"__name__": name, **dict(_LABEL.findall(labels or ""))}, float(value)))
    return rows


def scrape(instance):
    return parse(prom.http_get(f"http://{instance}/metrics")[1])


def _target_labels(labels, instance):
    return {**labels, "instance": instance, "job": "farm", "pod": "p", "cluster": "test"}


def as_series(rows, instance, ts, up=1.0):
    """What a scraper writes for a scrape: its samples and the report series."""
    series = [(_target_labels(labels, instance), [(ts, value)]) for labels, value in rows]
    for name in _REPORTS:
        value = up if name == "up" else float(len(rows))
        series.append((_target_labels({"__name__": name}, instance), [(ts, value)]))
    return series


def markers(rows, instance, ts):
    return [(_target_labels(labels, instance), [(ts, STALE_BITS)]) for labels, _ in rows]


def names_of(rows):
    return {tuple(sorted(labels.items())) for labels, _ in rows}


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
