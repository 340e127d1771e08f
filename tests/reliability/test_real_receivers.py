# SPDX-License-Identifier: GPL-2.0-or-later
"""The ledger against Debian's Prometheus and VictoriaMetrics, which are asked what they have. A
verifying receiver beside them, which nothing happens to, says what there is to have.

VICTORIA_METRICS=<program>: one since 1.88, which is older in Debian, is a third and gets zstd."""
import functools
import math
import os
import signal
import time

import pytest

from ledger import HEARD, LOSSES
from lib.limpet import config, file_job, remote, write_atomically
from lib.load import Load
from lib.proc import wait_until
from lib.prom import Prometheus, VictoriaMetrics
from lib.remote_write import STALE_BITS

INTERVAL_MS = 500


def key_of(labels):
    return tuple(sorted(labels.items()))


def of_the_sink(load):
    """{series: {timestamp: value}} without stale markers, which queries do not show."""
    return {key_of(row["labels"]): {stamp: float(value) for stamp, value, bits in row["samples"]
                                    if int(bits, 16) != STALE_BITS}
            for row in load.get("/series?match=*")}


def of_prometheus(server):
    return {key_of(labels): dict(samples) for labels, samples in
            server.raw('{job="farm"}', 3600, time.time() + 60)}


def of_victoria_metrics(server):
    return {key_of(labels): {stamp: value for stamp, value in samples if value == value}
            for labels, samples in server.export('{job="farm"}')}


def differences(there, right, tolerance):
    """What a receiver has against what it should have."""
    found = [f"no series {series}" for series in right if right[series] and series not in there]
    for series, samples in there.items():
        wanted = right.get(series, {})
        error = tolerance * max(map(abs, wanted.values()), default=0)
        found += [f"{series} {stamp}: {samples.get(stamp)}, not {wanted.get(stamp)}"
                  for stamp in sorted(samples.keys() ^ wanted.keys())]
        found += [f"{series} {stamp}: {samples[stamp]}, not {wanted[stamp]}"
                  for stamp in samples.keys() & wanted.keys()
                  if not math.isclose(samples[stamp], wanted[stamp], rel_tol=0, abs_tol=error)]
    return found


class Real:
    """A receiver, how it is asked, and the signal after which it comes again: VictoriaMetrics has
    its newest seconds in memory alone and loses them when it is killed. It also rounds, to digits
    that the values of a series have in common."""

    def __init__(self, directory, name, make, ask, end, tolerance, compression="fast"):
        self.directory, self.name, self.make, self.ask = directory, name, make, ask
        self.end, self.tolerance, self.compression = end, tolerance, compression
        self.server = make(directory)
        self.port, self.url = self.server.port, self.server.write_url

    def restart(self, away):
        self.server.send(self.end)
        self.server.wait(30)
        time.sleep(away)
        self.server = self.make(self.directory, port=self.port)

    def sum_of(self, limpet, names):
        return sum(value for name, labels, value in limpet.metrics()
                   if name in names and labels.get("remote_name") == self.name)


@pytest.fixture
def reals(tmp_path):
    started = [
        Real(str(tmp_path), "prometheus", Prometheus, of_prometheus, signal.SIGKILL, 0),
        Real(str(tmp_path), "victoria", VictoriaMetrics, of_victoria_metrics, signal.SIGTERM, 1e-9)]
    if "VICTORIA_METRICS" in os.environ:
        newer = functools.partial(VictoriaMetrics, name="newer", program=os.environ["VICTORIA_METRICS"])
        started.append(Real(str(tmp_path), "newer", newer, of_victoria_metrics, signal.SIGTERM, 1e-9,
                            "zstd"))
    yield started
    for real in started:
        real.server.stop_or_kill()


def pending(limpet):
    return limpet.metric("limpet_remote_spool_pending")


def test_real_receivers_have_all_of_it(tmp_path, reals):
    with Load(str(tmp_path), 10, INTERVAL_MS, sink=["--keep"]) as load:
        load.config = config(
            file_job("farm", load.sd_path),
            remote(load.sink_base + "/api/v1/write", name="sink"),
            *[remote(real.url, name=real.name, remote_timeout="2s",
                     queue_config={"max_backoff": "200ms"}, limpet={"compression": real.compression})
              for real in reals],
            interval=f"{INTERVAL_MS}ms", limpet={"spool": {"after": "500ms"}})
        limpet = load.start()
        load.wait_for_scrapes(4)
        for real in reals:
            real.restart(away=3)
            load.wait_for_more_scrapes(2)
        os.kill(limpet.child("limpet-writer"), signal.SIGKILL)
        load.wait_for_more_scrapes(2)
        for real in reals:  # it stops in the middle of something, and the writer dies meanwhile
            real.server.send(signal.SIGSTOP)
        wait_until(lambda: pending(limpet) > 0, 30, "something that waits", 0.05)
        os.kill(limpet.child("limpet-writer"), signal.SIGKILL)
        time.sleep(1)
        for real in reals:
            real.server.send(signal.SIGCONT)
        os.kill(limpet.child("limpet-scraper"), signal.SIGKILL)
        load.wait_for_more_scrapes(2)
        limpet.kill_all()
        limpet = load.start()
        load.wait_for_more_scrapes(3)
        reals[0].restart(away=0)
        load.wait_for_more_scrapes(2)
        write_atomically(load.sd_path, "[]")
        wait_until(lambda: limpet.metric("limpet_discovery_targets") == 0
                   and limpet.metric("limpet_scraper_targets") == 0
                   and limpet.metric("limpet_active_series") == 0, 20, "no target")
        committed = limpet.metric("limpet_samples_appended_total")
        wait_until(lambda: all(real.sum_of(limpet, HEARD) >= committed for real in reals)
                   and pending(limpet) == 0, 60, "all that was committed", 0.1)
        wait_until(lambda: load.report()["samples"]["stored"] >= committed, 20, "the same at the sink")
        time.sleep(1)  # for one that would come again
        report = load.report()
        assert report["errors"]["total"] == 0 and report["duplicates"] == 0
        right = of_the_sink(load)
        assert sum(map(len, right.values())) > 17 * 10 * 66
        for real in reals:
            assert real.sum_of(limpet, LOSSES) == 0, real.name
            assert real.sum_of(limpet, ["limpet_remote_write_zstd_refused_total"]) == 0, real.name
            assert committed <= real.sum_of(limpet, HEARD) <= committed + 200, real.name
            found = differences(real.ask(real.server), right, real.tolerance)
            assert found[:5] == [], real.name
        limpet.stop(30)
