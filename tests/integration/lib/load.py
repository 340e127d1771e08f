# SPDX-License-Identifier: GPL-2.0-or-later
"""limpet between perf/farm and perf/sink: what was served is held against what arrived.

    with Load(directory, targets=60, interval_ms=500) as load:
        limpet = load.start()
        ...
        load.stop(limpet)
        account = load.account()
        assert account.problems() == [], account.story()
"""
import dataclasses
import json
import math
import os

from .limpet import Limpet, Paths, config, file_job, parse_metrics, remote
from .lives import Watch, deaths_of
from .proc import BUILD, Process, wait_until, whole
from .prom import http_get, http_post


# A kernel whose queues are full drops packets, on loopback, too: a connection whose first one was
# lost comes a second later, if it is still wanted then.
NETWORK = ("TCPSynRetrans", "TCPTimeouts", "ListenDrops", "TCPReqQFullDrop")
BACKLOG = "dropped before a socket"
DROPPED = ("TCPSynRetrans", BACKLOG)
TOLD = 40  # of each kind, in a story

# Of scrapes, each begun after the one before it was there: so far does nobody fall behind who has
# come first.
GENERATIONS = 3
TICK = 0.005  # a scrape may begin so long before its timestamp


def network_counts():
    """{name: count} since the machine started."""
    with open("/proc/net/netstat") as file:
        rows = [line.split() for line in file]
    counts = {name: int(value) for names, values in zip(rows[::2], rows[1::2])
              for name, value in zip(names, values) if name in NETWORK}
    with open("/proc/net/softnet_stat") as file:
        counts[BACKLOG] = sum(int(line.split()[1], 16) for line in file)
    return counts


def metrics_of(limpet):
    """["name{label=value} count"] of what is not zero, as far as it answers."""
    status, text = limpet.get("/metrics")
    if status != 200:
        return [f"limpet does not answer: {text[:200]}"]
    return [name + "".join(f" {key}={value}" for key, value in labels.items()) + f" {count:.15g}"
            for name, labels, count in parse_metrics(text)
            if count and not name.endswith("_bucket")
            and name.startswith(("limpet_", "prometheus_remote_storage_"))]


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
        self.network = network_counts()
        self.metrics = {}  # of limpets, before they stopped
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

    def __exit__(self, kind, *_):
        if kind is not None:
            for limpet in self.limpets:
                if limpet.pid not in self.watch.seen:
                    self.note(limpet)
            print("\n".join(self.notes()))
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
        with whole():
            limpet = Limpet(self.directory, self.config, f"limpet{len(self.limpets)}",
                            paths=self.paths, ready=False, **options)
            self.limpets.append(limpet)
        self.watch.add(limpet.pid)
        if ready:
            limpet.wait_ready(limpet.is_ready, 30)
        return limpet

    def note(self, limpet):
        self.metrics[limpet.name] = metrics_of(limpet)

    def stop(self, limpet):
        self.note(limpet)
        limpet.stop()

    def notes(self):
        """What nobody judges, but who looks for a cause wants to know."""
        now = network_counts()
        lines = ["the machine's network meanwhile: " + ", ".join(
            f"{now[name] - count} {name}" for name, count in self.network.items())]
        lines += [f"the test was not run from {since:.3f} to {until:.3f}"
                  for since, until in self.watch.gaps[:TOLD]]
        for limpet in self.limpets:
            lines += [f"{limpet.name}: {line}" for line in self.metrics.get(limpet.name, [])]
            lines += [f"{limpet.name}: {line}" for line in limpet.stderr().splitlines()[-TOLD:]]
        return lines

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

    def finish(self, limpet):
        """Stops it when its receiver has what had to wait: what lies in the spool at a stop stays
        there for the next start. While it stops, nothing new goes into the spool: its writer is one
        that knows of the longer time."""
        own = self.config.get("limpet") or {}
        self.config["limpet"] = {**own, "spool": {**own.get("spool", {}), "after": "60s"}}
        assert limpet.reload(self.config)
        limpet.wait_for_children()
        wait_until(lambda: limpet.metric("limpet_remote_spool_pending") == 0, 60, "an empty spool")
        self.note(limpet)
        limpet.stop(60)

    def account(self):
        """After the last limpet has stopped: ends the farm."""
        report, arrived = self.report(), self.get("/scrapes")["targets"]
        assert self.farm.stop(60) == 0
        with open(self.ledger_path) as file:
            ledger = json.load(file)["targets"]
        wait_until(lambda: all(limpet.pid in self.watch.seen for limpet in self.limpets), 20,
                   "the end of all limpets")
        deaths = [death for limpet in self.limpets for death in deaths_of(limpet, self.watch)]
        now = network_counts()
        dropped = sum(now[name] - self.network[name] for name in DROPPED)
        return Account(ledger, arrived, report, deaths, self.interval_ms / 1000, dropped,
                       self.notes())


@dataclasses.dataclass
class Scrape:
    """One that was served to the end."""
    instance: str
    number: int
    begin: float      # wall time at which its request was sent
    end: float        # at which all of its body was with the scraper's kernel, or later
    next: float       # at which the target's next request was sent; None: there was none
    is_last: bool     # of its connection
    left: bool        # its scraper had closed that when the body came; at begin, perhaps


def scrapes_of(entry):
    """{number: scrape} of a ledger's entry."""
    begin = entry.get("first_arrival_ns", 0) / 1e9
    log = [(begin + at / 1e6, sent and begin + sent / 1e6, connection, left)
           for at, sent, connection, left in entry.get("log", [])]
    following = log[1:] + [(None, None, None, None)]
    return {n: Scrape(entry["instance"], n, log[n - 1][0], log[n - 1][1], following[n - 1][0],
                      following[n - 1][2] != log[n - 1][2], bool(log[n - 1][3]))
            for first, last in entry["numbers"] for n in range(first, last + 1)}


class Account:
    """The ledger of the farm against what the sink has. A writer that died may repeat what had been
    answered or refused, or what never left it, and the sink knows bytes only of what it refused
    (tests/crash/test_repeats.py looks closer). timeout: of scrapes, in seconds. dropped: packets
    of the machine that were, whosever they were."""

    def __init__(self, ledger, arrived, report, deaths, timeout, dropped=0, notes=()):
        self.report = report
        self.dropped = dropped
        self.notes = notes
        self.deaths = [death for death in deaths
                       if death.child.startswith("scraper") or not death.child]
        self.writer_died = sum(death.child.startswith("writer") for death in deaths) > 1
        self.scrapers = len({death.child for death in self.deaths} - {""})
        self.timeout = timeout
        self.others = 0  # samples at most of targets that are not of the farm
        self.served = {entry["instance"]: scrapes_of(entry) for entry in ledger}
        self.arrived = {row["instance"]: row["scrapes"] for row in arrived}

    def missing(self):
        """Scrapes that were served to the end and have not arrived."""
        found = []
        for instance, scrapes in self.served.items():
            got = {row[1] for row in self.arrived.get(instance, [])}
            found += [scrapes[n] for n in sorted(scrapes.keys() - got)]
        return found

    def delivered(self):
        """Those that have, in the order of their requests."""
        found = [self.served[instance][row[1]] for instance, rows in self.arrived.items()
                 for row in rows if row[1] in self.served.get(instance, {})]
        return sorted(found, key=lambda scrape: scrape.begin)

    def failures(self):
        """[(instance, timestamp, the scrape that was served all the same, or None)] of those that
        the receiver was told have failed. The scrapes that arrived before and after it say between
        which numbers it was, and when: a target's next scrape begins when the one before is over.
        How long it may have taken says nothing, for its request may have been sent when its time was
        over, or nearly: the connection came as late as that."""
        found = []
        missing = self.missing()
        for instance, rows in self.arrived.items():
            own = [scrape for scrape in missing if scrape.instance == instance]
            rows = sorted(row for row in rows if row[1] or row[5])
            after, until = [math.inf] * len(rows), [math.inf] * len(rows)
            for i in range(len(rows) - 1, 0, -1):
                after[i - 1] = rows[i][1] or after[i]
                until[i - 1] = rows[i][0] / 1000 + TICK
            before = 0
            for (ms, number, _, _, up, _, _), limit, end in zip(rows, after, until):
                before = number or before
                if number or up:
                    continue
                candidates = [scrape for scrape in own if before < scrape.number < limit and (
                    scrape.left or ms / 1000 - TICK <= scrape.begin <= end)]
                # What its scraper has left may have been in flight when that died, besides.
                served = min(candidates, key=lambda scrape: (scrape.left, scrape.number), default=None)
                own = [scrape for scrape in own if scrape is not served]
                found.append((instance, ms / 1000, served))
        return found

    def unexplained(self):
        """Failures though the scraper had what it takes: its answer, or else a farm that answered,
        and the time to look at it. Scrapes of which the farm has not heard may be those whose
        connections the machine has dropped, if they are no more than that."""
        failures = self.failures()
        delivered = self.delivered() if failures else []
        found = [(instance, ts, served) for instance, ts, served in failures
                 if self.went_on(served.end if served else ts, ts + self.timeout, delivered)]
        heard_of = [failure for failure in found if failure[2] is not None]
        return heard_of if len(found) - len(heard_of) <= self.dropped else found

    def lost(self):
        """Missing ones that were not in flight when their scraper ended, and have not failed."""
        missing = self.missing()
        delivered = self.delivered() if missing else []
        failed = [served for _, _, served in self.failures()]
        return [scrape for scrape in missing if scrape not in failed and
                not any(self.was_in_flight(scrape, death, delivered) for death in self.deaths)]

    def was_in_flight(self, scrape, death, delivered):
        """Nothing here depends on how fast anybody was. A scraper has one scrape of a target under
        way, so only the last one it made of each can be lost. The connection tells which that is
        (but for targets that close it each time), as do the bounds of the death."""
        if not scrape.is_last or (scrape.begin > death.dead and not scrape.left):
            return False
        if scrape.next is not None and scrape.next < death.alive:
            return False
        return not self.went_on(scrape.end, death.alive, delivered)

    def went_on(self, since, until, delivered):
        """Whether the scraper, if there was one, certainly looked at all that had come by then: it
        began a scrape after that which has arrived, one when the body of that one was there, and a
        third. Where several share the work nobody knows whose they were."""
        if self.scrapers > 1:
            return False
        generations = 0
        for other in delivered:
            if since < other.begin < until:
                since, generations = other.end, generations + 1
        return generations >= GENERATIONS

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
        failed = self.unexplained()
        want(not failed, f"{len(failed)} scrapes failed",
             [(instance, ts, served and dataclasses.astuple(served))
              for instance, ts, served in failed[:3]])
        want(report["stale"]["mismatched_scrapes"] == 0, "stale markers", report["stale"])
        others = (report["samples"]["stored"] - scrapes["samples_expected"]
                  - report["stale"]["stored"])
        want(0 <= others <= self.others, "samples too many", others, report["samples"])
        repeats = report["repeats"]
        want(repeats["of_refused"] == 0 or self.writer_died, "repeated though refused", repeats)
        want(repeats["not_identical"] == 0 or self.writer_died, "repeats that differ", repeats)
        lost = self.lost()
        want(not lost, f"{len(lost)} scrapes lost",
             [dataclasses.astuple(scrape) for scrape in lost[:3]],
             [dataclasses.astuple(death) for death in self.deaths])
        for instance, rows in self.arrived.items():
            extra = {row[1] for row in rows if row[1]} - self.served[instance].keys()
            want(not extra, f"arrived, yet never served by {instance}", sorted(extra)[:3])
        return found

    def story(self):
        """All that is known of what has not arrived, and of how limpet and the machine were."""
        lost, failures = self.lost(), self.failures()
        lines = [f"lost: {scrape}, rows {self.rows_beside(scrape)}" for scrape in lost[:TOLD]]
        lines += [f"failed: {instance} at {ts:.3f}, served: {served}"
                  for instance, ts, served in failures[:TOLD]]
        lines += [f"ended: {death}" for death in self.deaths]
        scrapes = {key: value for key, value in self.report.get("scrapes", {}).items() if value}
        return "\n".join([f"{len(lost)} lost, {len(failures)} failed, {json.dumps(scrapes)[:2000]}",
                          *lines, *self.notes])

    def rows_beside(self, scrape):
        """What has arrived of its target around it: [timestamp, number, samples, of, up, report,
        markers]."""
        rows = sorted(self.arrived.get(scrape.instance, []))
        return [row for row in rows if abs(row[0] / 1000 - scrape.begin) <= 2 * self.timeout + 1]
