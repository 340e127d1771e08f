# SPDX-License-Identifier: GPL-2.0-or-later
"""limpet between perf/farm and perf/sink: what was served is held against what arrived.

    with Load(directory, targets=60, interval_ms=500) as load:
        limpet = load.start()
        ...
        limpet.stop()
        account = load.account()
        assert account.problems() == []
"""
import json
import os
import threading
import time

from .limpet import Limpet, Paths, config, file_job, remote, stat_of
from .proc import BUILD, Process, wait_until
from .prom import http_get, http_post


STEP = 0.01  # of the watch
IN_FLIGHT = 0.25  # from a request to its commit, at most: what a killed scraper may lose


def _living(pid):
    stat = stat_of(pid)
    return stat is not None and stat[1][0] not in "ZX"


class Watch:
    """Looks who dies, in a thread: .deaths is [(program, last seen alive, seen dead)]."""

    def __init__(self):
        self.deaths = []
        self.parents = set()
        self.known = {}
        self.done = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def close(self):
        self.done.set()
        self.thread.join(5)

    def add(self, limpet):
        self.parents.add(limpet.pid)

    def of(self, program):
        return [death for death in self.deaths if death[0] == program]

    def _run(self):
        before = time.time()
        while not self.done.wait(STEP):
            now = time.time()
            for parent in list(self.parents):
                self._find(parent)
            for pid in [pid for pid in self.known if not _living(pid)]:
                self.deaths.append((self.known.pop(pid), before, time.time()))
            before = now

    def _find(self, parent):
        try:
            with open(f"/proc/{parent}/task/{parent}/children") as file:
                pids = [int(word) for word in file.read().split()]
        except OSError:
            return
        for pid in pids:
            if self.known.get(pid, "limpet") == "limpet":
                stat = stat_of(pid)
                if stat and stat[1][0] not in "ZX":
                    self.known[pid] = stat[0]


class Load:
    """A farm and a sink; limpets started one after another on the same paths."""

    def __init__(self, directory, targets=60, interval_ms=500, farm=(), sink=(), queue=None,
                 limpet=None, build=None, **remote_settings):
        self.directory = str(directory)
        self.build = build or BUILD
        self.interval_ms = interval_ms
        self.paths = Paths(self.directory)
        self.ledger_path = os.path.join(self.directory, "ledger.json")
        self.sd_path = os.path.join(self.directory, "targets.json")
        self.watch = Watch()
        self.limpets = []
        self.farm = self._start("perf/farm", "--targets", targets, "--file-sd", self.sd_path,
                                "--ledger", self.ledger_path, *farm)
        self.sink = self._start("perf/sink", "--interval", interval_ms, *sink)
        self.farm_ready = self.farm.ready_json()
        sink_ready = self.sink.ready_json()
        self.sink_base = f"http://127.0.0.1:{sink_ready['port']}"
        self.config = config(file_job("farm", self.sd_path),
                             remote(sink_ready["url"], name="sink", queue_config=queue or {},
                                    **remote_settings),
                             interval=f"{interval_ms}ms", limpet=limpet)

    def _start(self, program, *words):
        argv = [os.path.join(self.build, program), *words]
        return Process(argv, self.directory, os.path.basename(program))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.watch.close()
        for limpet in self.limpets:
            limpet.__exit__()
        self.farm.stop_or_kill()
        self.sink.stop_or_kill()
        self.paths.remove()

    def start(self, **options):
        """A limpet that is ready (unless ready=False), on the paths of those before."""
        ready = options.pop("ready", True)
        options = {"build": self.build, **options}
        limpet = Limpet(self.directory, self.config, f"limpet{len(self.limpets)}",
                        paths=self.paths, ready=False, **options)
        self.limpets.append(limpet)
        self.watch.add(limpet)
        if ready:
            limpet.wait_ready(limpet.is_ready, 30)
        return limpet

    def get(self, path):
        status, text = http_get(self.sink_base + path, 60)
        assert status == 200, text
        return json.loads(text)

    def report(self):
        return self.get("/report")

    def faults(self, words):
        status, text = http_post(f"{self.sink_base}/faults?{words}", b"", {})
        assert status == 200, text

    def served(self):
        """Bodies that the farm has sent to the end."""
        status, text = http_get(f"http://127.0.0.1:{self.farm_ready['port']}/farm")
        assert status == 200
        return sum(target["complete"] for target in json.loads(text)["targets"])

    def wait_for_scrapes(self, each, timeout=60):
        """Until so many scrapes of each target, on average, have arrived whole."""
        targets = self.farm_ready["targets"]
        wait_until(lambda: self.report()["scrapes"]["complete"] >= each * targets, timeout,
                   f"{each} scrapes of {targets} targets", 0.1)

    def wait_for_more_scrapes(self, each, timeout=60):
        self.wait_for_scrapes(
            self.report()["scrapes"]["complete"] / self.farm_ready["targets"] + each, timeout)

    def account(self):
        """After the last limpet has stopped: ends the farm."""
        report, arrived = self.report(), self.get("/scrapes")["targets"]
        assert self.farm.stop() == 0
        with open(self.ledger_path) as file:
            ledger = json.load(file)["targets"]
        return Account(ledger, arrived, report, self.watch.of("limpet-scraper"),
                       len(self.watch.of("limpet-writer")) > 1)


def numbers_of(entry):
    """The scrape numbers of a ledger's entry: bodies that were sent to the end."""
    return {n for first, last in entry["numbers"] for n in range(first, last + 1)}


class Account:
    """The ledger of the farm against what the sink has. deaths: of scrapers, orderly ones too.
    writer_died: then it may repeat what had been answered or refused, or what never left it, and
    the sink knows bytes only of what it refused (tests/crash/test_repeats.py looks closer)."""

    def __init__(self, ledger, arrived, report, deaths, writer_died):
        self.report, self.deaths, self.writer_died = report, deaths, writer_died
        self.others = 0  # samples at most of targets that are not of the farm
        self.served = {entry["instance"]: entry for entry in ledger}
        self.arrived = {row["instance"]: row["scrapes"] for row in arrived}

    def missing(self):
        """[(instance, wall time of the request, that of the next or None)] of bodies that were
        served to the end and have not arrived."""
        found = []
        for instance, entry in self.served.items():
            got = {row[1] for row in self.arrived.get(instance, [])}
            times = [entry["first_arrival_ns"] / 1e9 + us / 1e6 for us in entry["arrivals_us"]]
            for n in sorted(numbers_of(entry) - got):
                found.append((instance, times[n - 1], times[n] if n < len(times) else None))
        return found

    def lost(self):
        """Those that were not in flight when their scraper ended."""

        def in_flight(arrival, following):
            return any(
                alive - IN_FLIGHT <= arrival <= dead and (following is None or following >= alive)
                for _, alive, dead in self.deaths)

        return [row for row in self.missing() if not in_flight(*row[1:])]

    def problems(self):
        """Everything that contradicts "each scrape once, whole, right and in order"."""
        report, found = self.report, []

        def want(condition, what, *more):
            if not condition:
                found.append(f"{what}: {json.dumps(more)[:600]}")

        errors, scrapes = report["errors"], report["scrapes"]
        want(errors["total"] == 0, "errors", errors)
        want(report["order_violations"]["samples"] == 0, "order", report["order_violations"])
        want(report["duplicates"] == 0, "duplicates", report["duplicates"])
        want(scrapes["incomplete"] == 0, "incomplete", scrapes["incomplete"],
             scrapes["first_incomplete"][:3])
        want(scrapes["number_regressions"] == 0, "regressions", scrapes["first_gaps"][:3])
        want(scrapes["failed"] == 0, "failed scrapes", scrapes["failed"])
        want(report["stale"]["mismatched_scrapes"] == 0, "stale markers", report["stale"])
        others = (report["samples"]["stored"] - scrapes["samples_expected"]
                  - report["stale"]["stored"])
        want(0 <= others <= self.others, "samples too many", others, report["samples"])
        repeats = report["repeats"]
        want(repeats["of_refused"] == 0 or self.writer_died, "repeated though refused", repeats)
        want(repeats["not_identical"] == 0 or self.writer_died, "repeats that differ", repeats)
        lost = self.lost()
        want(not lost, f"{len(lost)} scrapes lost",
             [(instance, [round(at - alive, 3) for _, alive, _ in self.deaths])
              for instance, at, _ in lost[:3]])
        for instance, rows in self.arrived.items():
            extra = {row[1] for row in rows} - numbers_of(self.served[instance])
            want(not extra, f"arrived, yet never served by {instance}", sorted(extra)[:3])
        return found
