# SPDX-License-Identifier: GPL-2.0-or-later
"""Hundreds of targets from the farm to the verifying sink: every body that was served arrives once,
whole and with its values. The big form is perf/run-steady; figures of time are looked at only
there."""
import os
import signal
import time

import pytest

from lib.load import Load
from lib.proc import wait_until


def samples(load, report):
    """That have to come. A scrape that ran into its time-out, since the machine is busy, has the five
    of its report, and makes markers."""
    scrapes = report["scrapes"]
    whole = scrapes["complete"] * (load.farm_ready["series"] + 5)
    return whole + scrapes["failed"] * 5 + report["stale"]["stored"]


def assert_exact(load, account):
    assert account.problems() == [], account.story()
    assert account.report["samples"]["stored"] == samples(load, account.report), account.story()


def marks_nothing(report):
    return report["stale"]["stored"] == 0 or report["scrapes"]["failed"] > 0


def test_300_targets_at_1_s_arrive_exactly(tmp_path):
    with Load(tmp_path, 300, 1000, farm=["--encoding", "mixed"]) as load:
        limpet = load.start()
        load.wait_for_scrapes(7)
        skipped = limpet.metric("limpet_scrapes_skipped_total", reason="ring_full")
        delivered = limpet.metric("limpet_remote_samples_delivered_total")
        markers = limpet.metric("limpet_stale_markers_total")
        load.stop(limpet)
        account = load.account()
    report = account.report
    assert_exact(load, account)
    assert skipped == 0 and marks_nothing(report) and markers <= report["stale"]["stored"]
    assert report["scrapes"]["targets"] == 300
    assert report["samples"]["verified"] == report["scrapes"]["complete"] * 66
    assert delivered <= report["samples"]["stored"]
    assert report["requests"]["answered"] == {"204": report["requests"]["stored"]}


@pytest.mark.parametrize("event_loop", ["io_uring", "epoll"])
def test_a_scraper_that_stands_still_loses_no_connection_and_no_answer(tmp_path, event_loop):
    """For longer than the time-out, which is longer than a busy machine keeps the farm from
    answering, and with many requests under way: what has been answered when it looks has been
    answered in time."""
    with Load(tmp_path, 300, 4000, farm=["--delay", "300"], limpet={"event_loop": event_loop}) as load:
        limpet = load.start()
        load.wait_for_scrapes(1)
        wait_until(lambda: limpet.metric("limpet_scrape_connections_total") == 300, 10, "all connections")
        scraper = limpet.child("limpet-scraper")
        os.kill(scraper, signal.SIGSTOP)
        time.sleep(4.5)
        os.kill(scraper, signal.SIGCONT)
        load.wait_for_more_scrapes(2)
        assert limpet.metric("limpet_scrape_connections_total") == 300
        assert limpet.metric("limpet_scrapes_failed_total") == 0
        limpet.stop()
        account = load.account()
    assert account.problems() == []
    assert account.report["scrapes"]["failed"] == account.report["stale"]["stored"] == 0


@pytest.mark.parametrize("kind,targets", [("node", 20), ("big", 1)])
def test_large_bodies_arrive_exactly(tmp_path, kind, targets):
    with Load(tmp_path, targets, 1000, farm=["--kind", kind, "--encoding", "mixed"]) as load:
        limpet = load.start()
        load.wait_for_scrapes(4)
        load.stop(limpet)
        account = load.account()
    assert_exact(load, account)


@pytest.mark.parametrize("words,limpet", [
    (["--copies", "3", "--different"], {}),
    (["--format", "openmetrics"], {"event_loop": "epoll"}),
    (["--format", "protobuf"], {"event_loop": "io_uring"})])
def test_other_forms_and_both_event_loops_arrive_exactly(tmp_path, words, limpet):
    farm = ["--kind", "rpc", *words]
    with Load(tmp_path, 5, 1000, farm=farm, limpet=limpet) as load:
        limpet = load.start()
        load.wait_for_scrapes(4)
        load.stop(limpet)
        account = load.account()
    assert_exact(load, account)


def test_series_that_come_and_go_get_exactly_their_markers(tmp_path):
    with Load(tmp_path, 50, 500, farm=["--vanish", "--churn", "5"]) as load:
        limpet = load.start()
        load.wait_for_scrapes(14)
        load.stop(limpet)
        account = load.account()
    assert account.problems() == [], account.story()
    stale = account.report["stale"]
    assert stale["stored"] == stale["expected"] > 50 * 5


def test_several_scrapers_and_shards_share_the_work(tmp_path):
    queue = {"min_shards": 4, "max_shards": 4, "max_samples_per_send": 500}
    with Load(tmp_path, 100, 500, queue=queue, limpet={"scrapers": 2}) as load:
        limpet = load.start()
        load.wait_for_scrapes(8)
        per_scraper = [value for name, _, value in limpet.metrics()
                       if name == "limpet_scraper_targets"]
        load.stop(limpet)
        account = load.account()
    assert account.problems() == [], account.story()
    assert sum(per_scraper) == 100 and len(per_scraper) == 2 and min(per_scraper) > 10


# What a receiver can do to a request, one after another. A reset after the head comes last: the sink
# has not seen the bytes of which the repeat is one.
FAULTS = ["status=503&percent=70&seed=1", "status=429&percent=50&retry_after=1&count=5",
          "reset=after-body&percent=40&seed=3", "lose-answer=4", "delay_ms=300&percent=50&seed=4",
          "status=500&percent=40&seed=5&store=1", "reset=after-head&percent=40&seed=2"]


@pytest.mark.parametrize("like", ["prometheus", "victoria"])
def test_a_receiver_with_every_fault_loses_nothing(tmp_path, like):
    queue = {"min_shards": 3, "max_shards": 3, "batch_send_deadline": "100ms"}
    with Load(tmp_path, 60, 500, queue=queue, sink=["--like", like]) as load:
        limpet = load.start()
        load.wait_for_scrapes(1)
        for faults in FAULTS:
            repeats = load.report()["repeats"]
            load.faults(faults)
            load.wait_for_more_scrapes(2)
        load.faults("clear=1")
        load.wait_for_more_scrapes(2)
        failed = limpet.metric("prometheus_remote_storage_samples_failed_total")
        dropped = limpet.metric("prometheus_remote_storage_samples_dropped_total")
        skipped = limpet.metric("limpet_scrapes_skipped_total", reason="ring_full")
        load.stop(limpet)
        account = load.account()
    report = account.report
    assert repeats["identical"] > 10 and repeats["not_identical"] == 0
    report["repeats"]["not_identical"] = 0
    if like == "victoria":  # which keeps both copies where an answer got lost
        assert report["duplicates"] > 0
        report["samples"]["stored"] -= report["duplicates"]
        report["duplicates"] = report["order_violations"]["samples"] = 0
    assert account.problems() == [], account.story()
    assert failed == dropped == skipped == 0
    assert report["repeats"]["never_repeated"] == 0


def test_more_than_a_ring_holds_waits_for_a_receiver_that_is_down(tmp_path):
    """1 MiB of ring and a receiver that takes nothing for some MiB. When it takes again, every
    scrape that was made arrives."""
    ring = {"ring_size": "1MiB"}
    with Load(tmp_path, 20, 500, farm=["--kind", "node"], limpet=ring) as load:
        load.faults("status=503")
        limpet = load.start()
        wait_until(lambda: load.served() >= 20 * 8, 60, "8 scrapes of each")
        load.faults("clear=1")
        load.wait_for_scrapes(12)
        load.finish(limpet)
        account = load.account()
    assert account.problems() == [], account.story()
    assert marks_nothing(account.report)
