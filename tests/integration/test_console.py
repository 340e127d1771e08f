# SPDX-License-Identifier: GPL-2.0-or-later
"""The console's pages: readiness as it changes, metrics that every parser takes, what they say about
processes, and a console that dies."""
import datetime
import http.client
import json
import os
import re
import signal
import subprocess
import time

import pytest
from prometheus_client.parser import text_string_to_metric_families

from lib.limpet import ROLES, Limpet, config, job, program_of, remote
from lib.proc import built, free_port, kill, wait_until
from lib.prom import Prometheus, http_get
from lib.target import Reply, Target

TOO_LATE = "context deadline exceeded"  # on a busy machine
SLOTS = [{"role": "discovery"}, {"role": "writer"}, {"role": "console"},
         {"role": "scraper", "scraper": "0"}]


@pytest.fixture
def target():
    with Target(b"n 1\n") as target:
        yield target


def settings(target, *remotes):
    return config(job("j", [target.address]), *remotes, interval="200ms")


# ------------------------------------------------------------------------------------------- ready


def test_ready_comes_after_the_start_and_only_then(tmp_path, target):
    seen = []
    with Limpet(tmp_path, settings(target), ready=False) as limpet:

        def look():
            seen.append(limpet.get("/-/ready"))
            return seen[-1][0] == 200

        limpet.wait_ready(look)
        assert limpet.metric("limpet_scraper_targets") == 1
        limpet.stop()
    assert {status for status, _ in seen[:-1]} <= {0, 503}
    assert seen[-1][1].endswith("is Ready.\n")


def test_ready_names_the_child_that_is_missing_until_it_is_back(tmp_path, target):
    with Limpet(tmp_path, settings(target)) as limpet:
        killed = set()  # one that was not run since is still there at the next look

        def down():
            """Kills the scraper until the supervisor waits before it starts another."""
            status, text = limpet.get("/-/ready")
            killed.update(filter(kill, limpet.children().get("limpet-scraper", [])))
            return status == 503 and len(killed) >= 6 and text

        text = wait_until(down, 20, "503")
        assert re.match(r"Service Unavailable\nscraper 0 (has died|is starting|has no targets yet)",
                        text)
        assert limpet.get("/-/healthy")[0] == 200
        wait_until(limpet.is_ready, 20, "200 again")
        assert limpet.metric("limpet_child_restarts_total", role="scraper") >= 6
        assert limpet.metric("limpet_child_restarts_total", role="writer") == 0
        limpet.stop()


# ----------------------------------------------------------------------------------------- metrics


def test_every_parser_takes_the_metrics(tmp_path, target, receiver):
    with Limpet(tmp_path, settings(target, remote(receiver.url, name="main"))) as limpet:
        target.wait_for_requests(3)
        status, text = limpet.get("/metrics")
        limpet.stop()
    assert status == 200
    families = list(text_string_to_metric_families(text))
    assert len({family.name for family in families}) == len(families) > 60
    assert all(family.documentation and family.type != "unknown" for family in families)
    samples = [(sample.name, tuple(sorted(sample.labels.items())))
               for family in families for sample in family.samples]
    assert len(set(samples)) == len(samples)
    own = subprocess.run([built("limpet"), "check", "metrics"], input=text, capture_output=True,
                         text=True, timeout=120, check=True)
    assert own.stdout.count('"kind":"sample"') + own.stdout.count('"kind": "sample"') == len(samples)
    lint = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True,
                          text=True, timeout=120)
    assert (lint.returncode, lint.stdout, lint.stderr) == (0, "", "")


def test_metrics_tell_processes_remotes_and_configuration_apart(tmp_path, target, receiver):
    with Limpet(tmp_path, settings(target, remote(receiver.url, name="main"))) as limpet:
        wait_until(lambda: receiver.accepted(), 10, "a delivery")
        for labels in SLOTS:
            assert limpet.metric("limpet_child_up", **labels) == 1
            assert limpet.metric("limpet_child_starts_total", **labels) == 1
            assert 100e3 < limpet.metric("limpet_process_resident_memory_bytes", **labels) < 1e9
            assert 0 <= limpet.metric("limpet_process_cpu_seconds_total", **labels) < 60
        for role in ("scraper", "writer"):
            assert limpet.metric("limpet_event_loop_info", role=role) == 1
        assert limpet.metric("limpet_scrapes_total", scraper="0") >= 1
        wait_until(lambda: limpet.metric("prometheus_remote_storage_samples_total",
                                         remote_name="main", url=receiver.url) > 0, 10, "samples")
        assert limpet.metric("limpet_ring_produced_bytes_total", scraper="0") > 0
        assert limpet.metric("prometheus_config_last_reload_successful") == 1
        loaded = limpet.metric("prometheus_config_last_reload_success_timestamp_seconds")
        assert not limpet.reload("global: {scrape_intervall: 1s}")
        assert limpet.metric("prometheus_config_last_reload_successful") == 0
        assert limpet.metric(
            "prometheus_config_last_reload_success_timestamp_seconds") == loaded
        assert limpet.reload(settings(target, remote(receiver.url, name="main")))
        assert limpet.metric("prometheus_config_last_reload_successful") == 1
        assert limpet.metric(
            "prometheus_config_last_reload_success_timestamp_seconds") > loaded
        limpet.stop()


def test_failed_scrapes_are_appended_to_the_file_of_their_job(tmp_path, receiver):
    """What fails on the way is, as Prometheus writes it; what cannot be parsed is not."""
    path = tmp_path / "failures.log"
    gone = f"127.0.0.1:{free_port()}"
    with Target(lambda _: Reply(b"", status="503 Down")) as down, Target(b"!!!\n") as broken:
        jobs = [job("gone", [gone]), job("down", [down.address]), job("broken", [broken.address]),
                job("quiet", [gone], metrics_path="/quiet", scrape_failure_log_file=str(tmp_path / "other.log"))]
        text = config(*jobs, remote(receiver.url), interval="500ms")
        text["global"]["scrape_failure_log_file"] = path.name  # beside the configuration
        with Limpet(tmp_path, text) as limpet:
            def lines():
                whole = path.read_text().split("\n")[:-1] if path.exists() else []
                return [line for line in map(json.loads, whole) if TOO_LATE not in line["msg"]]

            wait_until(lambda: {line["job_name"] for line in lines()} == {"gone", "down"}, 20, "both")
            path.rename(tmp_path / "rotated.log")
            assert limpet.reload()
            wait_until(lambda: len(lines()) >= 2, 20, "the file anew")
            assert limpet.metric("limpet_scrape_failure_log_lines_total") >= 4
            limpet.stop()
        for line in lines():
            assert list(line) == ["time", "level", "msg", "job_name", "target"] and line["level"] == "ERROR"
            assert line["target"] == f"http://{gone if line['job_name'] == 'gone' else down.address}/metrics"
        assert {line["msg"] for line in lines() if line["job_name"] == "down"} == {
            "server returned HTTP status 503 Down"}
        assert '"quiet"' in (tmp_path / "other.log").read_text()


# ------------------------------------------------------------------------------------------- HTTP


def ask(limpet, method, path):
    connection = http.client.HTTPConnection("127.0.0.1", limpet.port, timeout=60)
    connection.request(method, path)
    answer = connection.getresponse()
    return answer.status, answer.headers, answer.read()


def targets_of(base, query=""):
    status, text = http_get(f"{base}/api/v1/targets{query}")
    answer = json.loads(text)
    assert status == 200 and answer["status"] == "success"
    return answer["data"]


def comparable(found):
    """What does not depend on the moment, nor on the version of Prometheus."""
    keys = ("labels", "scrapePool", "scrapeUrl", "health", "scrapeInterval", "scrapeTimeout")
    return sorted(({key: each[key] for key in keys} for each in found["activeTargets"]), key=str)


def test_programs_are_told_of_targets_as_prometheus_tells_them(tmp_path, target):
    """The same jobs, given to a Prometheus, too."""
    drop = [{"source_labels": ["case"], "regex": "dropped", "action": "drop"}]
    mixed = {"job_name": "mixed", "relabel_configs": drop, "params": {"x": ["y z"]}, "static_configs": [
        {"targets": [target.address], "labels": {"case": "kept"}},
        {"targets": ["other:1"], "labels": {"case": "dropped"}}]}
    made = config(mixed, job("fails", [f"127.0.0.1:{free_port()}"]), interval="1s")
    with Limpet(tmp_path, made) as limpet, Prometheus(str(tmp_path), json.dumps(made)) as other:
        theirs = wait_until(lambda: (lambda found: found if {each["health"] for each in found["activeTargets"]} == {
            "up", "down"} else None)(targets_of(other.base)), 20, "scrapes of Prometheus")
        ours = wait_until(lambda: (lambda found: found if comparable(found) == comparable(theirs) else None)(
            targets_of(limpet.base)), 20, "the same of limpet")
        assert {key: type(value) for key, value in ours.items()} == {
            "activeTargets": list, "droppedTargets": list, "droppedTargetCounts": dict}
        for own, its in zip(*(sorted(found["activeTargets"], key=lambda each: each["scrapePool"])
                              for found in (ours, theirs))):
            assert {key: type(value) for key, value in own.items() if key != "lastScrapeDuration"} == {
                key: type(value) for key, value in its.items() if key != "lastScrapeDuration"}
            assert own["discoveredLabels"].items() <= its["discoveredLabels"].items()
            assert bool(own["lastError"]) == bool(its["lastError"])
            at = datetime.datetime.fromisoformat(own["lastScrape"].replace("Z", "+00:00")).timestamp()
            assert 0 <= time.time() - at < 120
        assert [each["discoveredLabels"] for each in ours["droppedTargets"]] == [
            each["discoveredLabels"] for each in theirs["droppedTargets"]]
        assert ours["droppedTargetCounts"] == {"mixed": 1}
        only = targets_of(limpet.base, "?state=dropped")
        assert only == {**ours, "activeTargets": []}
        only = targets_of(limpet.base, "?state=active&scrapePool=mixed")
        assert [each["scrapePool"] for each in only["activeTargets"]] == ["mixed"]
        assert only["droppedTargets"] == [] and only["droppedTargetCounts"] is None
        limpet.stop()


def test_methods(tmp_path, target):
    with Limpet(tmp_path, settings(target)) as limpet:
        status, headers, body = ask(limpet, "HEAD", "/metrics")
        assert status == 200 and body == b"" and int(headers["Content-Length"]) > 1000
        assert headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        status, headers, body = ask(limpet, "DELETE", "/metrics")
        assert status == 405 and headers["Allow"] == "GET, HEAD"
        status, headers, body = ask(limpet, "GET", "/-/reload")
        assert status == 405 and headers["Allow"] == "POST, PUT"
        assert ask(limpet, "PUT", "/-/quit")[::2] == (403, b"Lifecycle API is not enabled.")
        assert ask(limpet, "GET", "/")[0] == 200
        limpet.stop()


def test_a_console_that_dies_is_back_and_nobody_is_turned_away(tmp_path, target):
    with Limpet(tmp_path, settings(target)) as limpet:
        for _ in range(3):
            pid = limpet.child("limpet-console")
            os.kill(pid, signal.SIGKILL)
            # The socket is the supervisor's: the connection waits for the next console.
            assert limpet.get("/-/healthy")[0] == 200
            assert limpet.child("limpet-console") != pid
        assert sorted(set(limpet.children())) == sorted(ROLES)
        limpet.stop()


def read(path):
    with open(path) as file:
        return file.read()


def test_the_console_stays_small(tmp_path, target):
    with Limpet(tmp_path, settings(target)) as limpet:
        for _ in range(200):
            assert limpet.get("/metrics")[0] == 200
        pid = limpet.child("limpet-console")
        assert program_of(pid) == "limpet-console"
        pss_kb = int(re.search(r"^Pss:\s+(\d+) kB", read(f"/proc/{pid}/smaps_rollup"), re.M)[1])
        sanitized = "asan" in read(f"/proc/{pid}/maps")
        limpet.stop()
    assert pss_kb < 4096 or sanitized
