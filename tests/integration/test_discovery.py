# SPDX-License-Identifier: GPL-2.0-or-later
"""Files of targets, however they are replaced or broken, and names that do not resolve."""
import json
import os
import signal
import time

import pytest

from lib.limpet import Limpet, config, file_job, job, remote, write_file_sd
from lib.proc import wait_until
from lib.stream import STALE, count_whole, stream_of
from lib.target import Target

# An edit is in the table within a second; the scrape follows within an interval. On a busy machine it
# takes longer, but not as long as until files are read again in any case, which is 5 minutes.
SOON = 30
SETTLES = 0.05  # seconds after the first sign of an edit until files are read
TIME_OUT = 0.2  # seconds, of scrapes


@pytest.fixture
def two():
    with Target(b"a 1\n") as first, Target(b"a 1\n") as second:
        yield first, second


def settings(*entries):
    return config(*entries, interval="200ms")


def content(target, case="c"):
    return json.dumps([{"targets": [target.address], "labels": {"case": case}}])


def assert_taken_up(edit, target):
    """The target, which is new, is asked soon after the edit. Returns how many seconds that took."""
    before, began = len(target.requests), time.monotonic()
    edit()
    took, ended = time.monotonic() - began, time.time()
    target.wait_for_requests(before + 1, 10)
    assert target.requests[before].arrived - ended < SOON
    return took


def in_place(sd, text):
    sd.write_text(text)


def by_rename(sd, text):
    new = sd.with_suffix(".new")
    new.write_text(text)
    os.rename(new, sd)


def by_deleting_first(sd, text):
    sd.unlink()
    sd.write_text(text)


def with_a_new_directory(sd, text):
    sd.unlink()
    sd.parent.rmdir()
    sd.parent.mkdir()
    sd.write_text(text)


def by_swapping_directories(sd, text):
    new = sd.parent.with_name("next")
    new.mkdir()
    (new / sd.name).write_text(text)
    os.rename(sd.parent, sd.parent.with_name("former"))
    os.rename(new, sd.parent)


EDITS = [in_place, by_rename, by_deleting_first, with_a_new_directory, by_swapping_directories]


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.__name__)
def test_an_edit_is_taken_up_within_a_second(tmp_path, two, edit):
    first, second = two
    sd = tmp_path / "d" / "t.json"
    sd.parent.mkdir()
    sd.write_text(content(first))
    with Limpet(tmp_path, settings(file_job("sd", sd))) as limpet:
        first.wait_for_requests(2)
        took = assert_taken_up(lambda: edit(sd, content(second)), second)
        wait_until(lambda: limpet.metric("limpet_scraper_targets") == 1, 10, "one target")
        asked = len(first.requests)
        second.wait_for_requests(len(second.requests) + 5)
        assert len(first.requests) <= asked + 1  # one may have been on its way
        # Whoever is held up in the middle has it read half done.
        assert limpet.metric("limpet_discovery_file_read_errors_total") == 0 or took > SETTLES
        limpet.stop()


def test_a_config_map_that_is_swapped(tmp_path, two):
    """What the kubelet does: t.json -> ..data/t.json, ..data -> ..1; then ..data is replaced."""
    first, second = two
    volume = tmp_path / "volume"
    for name, target in (("..1", first), ("..2", second)):
        (volume / name).mkdir(parents=True)
        (volume / name / "t.json").write_text(content(target))
    (volume / "..data").symlink_to("..1")
    (volume / "t.json").symlink_to("..data/t.json")

    def swap():
        (volume / "..data_tmp").symlink_to("..2")
        os.rename(volume / "..data_tmp", volume / "..data")

    with Limpet(tmp_path, settings(file_job("sd", volume / "*.json"))) as limpet:
        first.wait_for_requests(2)
        assert_taken_up(swap, second)
        limpet.stop()


def test_a_directory_that_comes_later(tmp_path, two):
    target = two[0]
    sd = tmp_path / "later" / "t.json"

    def come():
        sd.parent.mkdir()
        sd.write_text(content(target))

    with Limpet(tmp_path, settings(file_job("sd", sd))) as limpet:
        assert limpet.metric("limpet_discovery_targets") == 0
        assert_taken_up(come, target)
        limpet.stop()


def test_a_broken_file_keeps_its_targets_whatever_happens(tmp_path, two, receiver):
    """Also when discovery starts anew, by a reload or a crash, and has never seen it whole."""
    first, second = two
    sd = tmp_path / "t.json"
    sd.write_text(content(first))
    given = settings(file_job("sd", sd), remote(receiver.url))
    with Limpet(tmp_path, given) as limpet:
        wait_until(lambda: count_whole(receiver, "c") >= 2, 10, "scrapes")
        sd.write_text('[{"tarrgets": []}]')
        line = limpet.wait_for_line("tarrgets")
        assert "t.json:1:3: unknown key" in line and "the nearest valid key is `targets`" in line
        assert limpet.metric("limpet_discovery_file_read_errors_total") >= 1
        assert limpet.reload()
        os.kill(limpet.child("limpet-discovery"), signal.SIGKILL)
        wait_until(lambda: limpet.metric("limpet_child_restarts_total", role="discovery") == 1, 10,
                   "a new discovery")
        wait_until(limpet.is_ready, 10, "ready")
        first.wait_for_requests(len(first.requests) + 5)
        wait_until(lambda: limpet.metric("limpet_discovery_targets") == 1, 10, "its target")
        assert_taken_up(lambda: sd.write_text(content(second, "d")), second)
        limpet.stop()
    scrapes = stream_of(receiver, case="c", job="sd", instance=first.address).scrapes
    assert len(scrapes) > 5
    markers = [i for i, scrape in enumerate(scrapes) if STALE in scrape.report.values()]
    assert markers in ([], [len(scrapes) - 1])
    assert all(scrape.samples == {"a": 1.0} or scrape.ran_out(TIME_OUT) for scrape in scrapes[:-1])


def test_a_name_that_does_not_resolve_is_down_and_says_why(tmp_path, two, receiver):
    target = two[0]
    # An empty label can be no name, so that no server is asked.
    entries = [job("bad", ["no..such..name:80"], {"case": "bad"}),
               job("good", [target.address], {"case": "good"}), remote(receiver.url)]
    with Limpet(tmp_path, settings(*entries)) as limpet:
        wait_until(lambda: count_whole(receiver, "bad") >= 3, 15, "scrapes that fail")
        wait_until(lambda: count_whole(receiver, "good") >= 3, 15, "scrapes that do not")
        assert 'err="no such host"' in limpet.wait_for_line("no..such..name")
        assert limpet.metric("limpet_discovery_resolve_failures_total") >= 1
        assert limpet.metric("limpet_scrapes_failed_total", reason="target") >= 3
        limpet.stop()
    bad = stream_of(receiver, case="bad", job="bad", instance="no..such..name:80").scrapes
    assert len(bad) >= 3
    for scrape in bad:
        assert scrape.counts == (0, 0, 0, 0) and scrape.samples == {}
    good = stream_of(receiver, case="good", job="good", instance=target.address).scrapes
    assert len(good) >= 3
    assert all(scrape.report["up"] == 1 or scrape.ran_out(TIME_OUT) for scrape in good)


def test_localhost_by_name(tmp_path, two):
    target = two[0]
    with Limpet(tmp_path, settings(job("j", [f"localhost:{target.port}"]))) as limpet:
        target.wait_for_requests(3)
        assert target.requests[0].header("Host") == f"localhost:{target.port}"
        limpet.stop()


def test_many_targets_come_and_go(tmp_path, two):
    """Ten thousand lines in a file are no burden, and neither is their end."""
    target = two[0]
    sd = tmp_path / "t.json"
    groups = [([f"127.0.0.1:{1 + i % 60000}"], {"n": str(i)}) for i in range(10000)]
    write_file_sd(sd, [])
    quiet = file_job("sd", sd, scrape_interval="10m")
    with Limpet(tmp_path, settings(quiet, job("j", [target.address]))) as limpet:
        target.wait_for_requests(1)
        write_file_sd(sd, groups)
        wait_until(lambda: limpet.metric("limpet_discovery_targets") == 10001, 10,
                   "all targets")
        write_file_sd(sd, [])
        wait_until(lambda: limpet.metric("limpet_discovery_targets") == 1, 10, "one target")
        wait_until(lambda: limpet.metric("limpet_scraper_targets") == 1, 10, "the scraper's view")
        assert limpet.metric("limpet_child_restarts_total") == 0
        limpet.stop()
