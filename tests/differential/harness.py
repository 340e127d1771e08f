# SPDX-License-Identifier: GPL-2.0-or-later
"""The same targets and the same configuration for limpet and for the real Prometheus agent: what each
of them sent, case by case, in a form that can be compared and written down.

A case is a job with one target (or a few that answer alike), which answers to the first, second ...
request what the case says; the last answer repeats. Each agent has targets of its own.
"""
import contextlib
import itertools
import json
import math
import os
import struct
import threading
from dataclasses import dataclass, field

from lib.limpet import Limpet
from lib.proc import Process, free_port, own_loopback, port_is_open, wait_until
from lib.remote_write import Answer, Receiver, is_stale
from lib.target import Hub, Reply, Target

SAME = None
REPORT = {
    "up": "up",
    "scrape_samples_scraped": "scraped",
    "scrape_samples_post_metric_relabeling": "post",
    "scrape_series_added": "added",
    "scrape_timeout_seconds": "timeout",
    "scrape_sample_limit": "sample_limit",
    "scrape_body_size_bytes": "bytes",
}
DURATION = "scrape_duration_seconds"
AGENTS = ("prometheus", "limpet")

# Also the time-out of a scrape, since one that runs into it is not to be told from one that fails:
# so much longer than an answer takes that it does not happen on a busy machine either.
INTERVAL = "5s"

# And where it happens all the same (run_both).
RUNS, AT_A_TIME = 6, 250


@dataclass
class Want:
    """One scrape: {series: value}, and (up, scraped, post, added)."""

    samples: dict
    counts: tuple


@dataclass
class Case:
    """`want`: SAME as Prometheus, or what limpet has to send where Debian's Prometheus differs, which
    `why` explains: "older: ..." where it is older than the reference, "deviation: ..." where limpet
    decided otherwise."""

    replies: list
    job: dict = field(default_factory=dict)
    mine: dict = field(default_factory=dict)  # settings that only limpet knows
    labels: dict = field(default_factory=dict)
    targets: list = None  # settings of more targets: a list of dicts of labels
    scrapes: int = 0  # that are compared; 0: as many as there are replies
    want: list = SAME
    why: str = ""
    own: dict = None  # with want: {series: [(ms, value), ...]}
    none: bool = False  # nothing is scraped
    exemplars: bool = False  # they are compared, too
    ignored: str = None  # a report series that is not compared
    every: bool = False  # what kinds of requests come is compared, not only the first one
    asks: str = None  # the request's method and target, where Prometheus 2.42 asks otherwise

    @property
    def count(self):
        return self.scrapes or len(self.replies)


def text_of_bits(bits):
    """A value as text: equal texts, equal bits."""
    if isinstance(bits, dict):  # a histogram
        return " ".join(f"{name}={bits[name]}" for name in sorted(bits))
    if is_stale(bits):
        return "stale"
    value = struct.unpack("<d", struct.pack("<Q", bits))[0]
    return f"NaN {bits:x}" if math.isnan(value) else repr(value)


def text_of_value(value):
    """The same of what a case says: a number, or one of the words."""
    if isinstance(value, str):
        return {"NaN": "NaN 7ff8000000000001"}.get(value, value)
    return repr(float(value))


def text_of_series(labels, hidden):
    """Name and labels; those of `hidden` are left out, and named with a minus where missing."""
    rest = {name: value for name, value in labels.items() if hidden.get(name) != value}
    name = rest.pop("__name__", "")
    text = ",".join(f'{key}="{rest[key]}"' for key in sorted(rest))
    missing = "".join(f" -{key}" for key in sorted(set(hidden) - set(labels)))
    return name + (f"{{{text}}}" if text else "") + missing


@dataclass
class Scrape:
    ts: int
    samples: dict = field(default_factory=dict)  # {series: [text, ...]}
    report: dict = field(default_factory=dict)
    duration: float = -1.0


@dataclass
class Outcome:
    scrapes: list
    own: dict  # {series: [(ms, text), ...]}: with timestamps that are no scrape's
    requests: list  # (method and target, Host, time-out, Authorization, Cookie, Referer) of the requests
    # {series: [(labels, value, time)]}; a scrape's time is that scrape's number
    exemplars: dict = field(default_factory=dict)
    others: list = field(default_factory=list)  # scrapes of the case's other targets, which have a label n


def outcome_of(rows, hidden, requests):
    """rows: [(labels, ms, bits)] in order of arrival."""
    texts = [(text_of_series(labels, hidden), ts, bits) for labels, ts, bits in rows]
    times = sorted({ts for labels, ts, _ in rows if labels["__name__"] == "scrape_series_added"})
    scrapes = {ts: Scrape(ts) for ts in times}
    own = {}
    for text, ts, bits in texts:
        if ts not in scrapes:
            if not times[-1] < ts < times[-1] + 60000:  # else of a scrape that has not come whole
                own.setdefault(text, []).append((ts, text_of_bits(bits)))
        elif text.startswith(DURATION):
            scrapes[ts].duration = struct.unpack("<d", struct.pack("<Q", bits))[0]
        elif text in REPORT and REPORT[text] not in scrapes[ts].report:
            scrapes[ts].report[REPORT[text]] = text_of_bits(bits)
        else:
            scrapes[ts].samples.setdefault(text, []).append(text_of_bits(bits))
    return Outcome([scrapes[ts] for ts in times], own, requests)


class Agent(Process):
    """Debian's Prometheus as an agent."""

    def __init__(self, directory, settings):
        port = free_port()
        path = os.path.join(directory, "agent.yml")
        with open(path, "w") as file:
            json.dump(settings, file)
        super().__init__(["prometheus", "--enable-feature=agent,extra-scrape-metrics,exemplar-storage,native-histograms",
                          f"--config.file={path}", f"--storage.agent.path={directory}/data",
                          "--log.level=warn", f"--web.listen-address=127.0.0.1:{port}"],
                         directory, "agent")
        self.wait_ready(lambda: port_is_open(port), 30)


def script_of(case):
    replies = [reply.encode() if isinstance(reply, str) else reply for reply in case.replies]

    def script(request):
        reply = replies[min(request.number, len(replies)) - 1]
        return reply(request) if callable(reply) else reply

    return script


def host_of(name):
    """Where nobody else asks for the answers; but one case is led to localhost."""
    return "127.0.0.1" if "//localhost" in name else own_loopback()


class Side:
    """One agent with its targets and its receiver."""

    def __init__(self, agent, cases, hub):
        self.agent = agent
        self.cases = cases
        self.receiver = Receiver()
        self.receiver.default = self.note
        self.scrapes = {}  # {(case, label n): how many have come}
        self.targets = {name: Target(script_of(case), host_of(name), hub=hub)
                        for name, case in cases.items()}

    def close(self):
        for target in self.targets.values():
            target.close()
        self.receiver.close()

    def note(self, request):
        """Counts as requests come, which is cheaper than to look at all of them again and again."""
        for series in request.series:
            if ("__name__", "scrape_series_added") in series.labels:
                labels = dict(series.labels)
                key = (labels.get("case", labels.get("job")), labels.get("n"))
                self.scrapes[key] = self.scrapes.get(key, 0) + len(series.samples)
        return Answer()

    def job(self, name, case):
        address = self.targets[name].address
        groups = [{"targets": [address], "labels": {"case": name, **case.labels}}]
        groups += [{"targets": [address], "labels": {"case": name, **labels}}
                   for labels in case.targets or []]
        mine = case.mine if self.agent == "limpet" else {}
        return {"job_name": name, "static_configs": groups, **case.job, **mine}

    def settings(self):
        return {
            # Prometheus 2.42 knows this as a flag.
            "global": {"scrape_interval": INTERVAL,
                       **({"extra_scrape_metrics": True} if self.agent == "limpet" else {})},
            "scrape_configs": [self.job(name, case) for name, case in self.cases.items()],
            "remote_write": [{"url": self.receiver.url, "send_exemplars": True,
                              "send_native_histograms": True,
                              "queue_config": {"batch_send_deadline": "100ms", "min_shards": 1,
                                               "max_shards": 1, "max_samples_per_send": 5000}}],
        }

    def rows(self):
        """{case: [(labels, ms, bits), ...]}"""
        found = {name: [] for name in self.cases}
        for key, samples in self.receiver.series(accepted=True).items():
            labels = dict(key)
            case = labels.get("case", labels.get("job"))
            if case in found:
                found[case] += [(labels, ts, bits) for ts, bits in samples]
        for key, rows in self.receiver.rows("histogram_rows").items():
            labels = dict(key)
            if labels.get("case") in found:
                found[labels["case"]] += [(labels, ts, histogram) for ts, histogram in rows]
        return found

    def exemplars(self):
        """{case: [(labels of the series, rows), ...]}"""
        found = {}
        for key, rows in self.receiver.rows("exemplar_rows").items():
            found.setdefault(dict(key).get("case"), []).append((dict(key), rows))
        return found

    def hidden(self, name):
        public = {key: value for key, value in self.cases[name].labels.items()
                  if value != "" and not key.startswith("__")}
        return {"case": name, "job": name, "instance": self.targets[name].address, **public}

    def missing(self):
        """Cases of which not all scrapes have come: what a scrape sends is all there when the report of
        the next one is, since samples, histograms and exemplars come in any order within a scrape."""
        reports = {}
        for (case, _), count in list(self.scrapes.items()):
            reports[case] = min(reports.get(case, count), count)
        return [name for name, case in self.cases.items()
                if not case.none and reports.get(name, 0) <= case.count]

    def outcomes(self):
        rows, exemplars = self.rows(), self.exemplars()
        return {name: self.outcome(name, rows[name], exemplars.get(name, [])) for name in self.cases}

    def outcome(self, name, rows, exemplars):
        hidden = self.hidden(name)
        outcome = outcome_of([row for row in rows if "n" not in row[0]], hidden, self.requests(name))
        numbers = {scrape.ts: number for number, scrape in enumerate(outcome.scrapes, 1)}
        for labels, found in exemplars:
            outcome.exemplars[text_of_series(labels, hidden)] = [
                (dict(own), text_of_bits(bits), numbers.get(ts, ts)) for own, bits, ts in found]
        outcome.others = outcome_of([row for row in rows if "n" in row[0]], hidden, []).scrapes
        return outcome

    def requests(self, name):
        port = self.targets[name].address.rpartition(":")[2]
        return [(request.raw.split(b" HTTP/")[0].decode("latin-1"),
                 request.header("Host") == self.targets[name].address,
                 request.header("X-Prometheus-Scrape-Timeout-Seconds"),
                 request.header("Authorization"), request.header("Cookie"),
                 (request.header("Referer") or "").replace(port, "port"))
                for request in self.targets[name].requests]


def run(cases, tmp_path_factory):
    """{case: {agent: Outcome}}, of one run of both agents over all these cases."""
    threading.stack_size(256 << 10)
    with contextlib.ExitStack() as stack:
        hub = Hub()
        stack.callback(hub.close)
        sides = {agent: Side(agent, cases, hub) for agent in AGENTS}
        for agent, side in sides.items():
            stack.callback(side.close)
            start = Agent if agent == "prometheus" else Limpet
            stack.enter_context(start(str(tmp_path_factory.mktemp(agent)), side.settings()))
        for agent, side in sides.items():
            wait_until(lambda: not side.missing(), 180, Missing(agent, side), 0.3)
        found = {agent: side.outcomes() for agent, side in sides.items()}
    return {name: {agent: found[agent][name] for agent in AGENTS} for name in cases}


def run_both(cases, tmp_path_factory):
    """The same, where nothing differs only since scrapes ran into their time-out on a busy machine: such
    cases are run again, some at a time, which is less to do for everybody."""
    found = run(cases, tmp_path_factory)
    for _ in range(RUNS):
        again = [name for name, case in cases.items() if is_disturbed(case, **found[name])]
        if not again:
            break
        print(f"{len(again)} cases ran into time-outs")
        found |= run({name: cases[name] for name in again[:AT_A_TIME]}, tmp_path_factory)
    return found


def is_disturbed(case, limpet, prometheus):
    if not cut(limpet) and not cut(prometheus):
        return False
    return (difference_of(case, limpet, prometheus) != "" or
            case.asks is None and kinds(case, limpet.requests) != kinds(case, prometheus.requests))


def kinds(case, requests):
    """What is compared of its requests."""
    return list(dict.fromkeys(requests)) if case.every else requests[:1]


# ------------------------------------------------------------------------------------- comparing


def shown(outcome, count, ignored=None):
    """What is compared: of each scrape its samples, and its report series but the duration."""
    scrapes = outcome.scrapes[:count] + outcome.others[:count]
    return [(scrape.samples, {name: value for name, value in scrape.report.items() if name != ignored})
            for scrape in scrapes]


def usual(scrapes):
    """Without what only extra_scrape_metrics report."""
    return [(samples, {name: value for name, value in report.items()
                       if name in ("up", "scraped", "post", "added")})
            for samples, report in scrapes]


def wanted(case):
    names = ("up", "scraped", "post", "added")
    return [({series: [text_of_value(value)] for series, value in want.samples.items()},
             {name: text_of_value(value) for name, value in zip(names, want.counts)})
            for want in case.want]


def compare(what, mine, theirs):
    """The first difference of two lists of scrapes, in words."""
    for number, (one, other) in enumerate(itertools.zip_longest(mine, theirs), 1):
        if one != other:
            return f"{what} {number}: limpet {one}, expected {other}"
    return ""


def cut(outcome):
    """The scrapes that ran into their time-out. Where rules have changed the report's labels, nothing
    says what that is."""
    return [number for number, scrape in enumerate(outcome.scrapes + outcome.others, 1)
            if scrape.duration >= float(scrape.report.get("timeout", INTERVAL.rstrip("s")))]


def difference(case, limpet, prometheus):
    """"" if limpet does what it has to."""
    found = difference_of(case, limpet, prometheus)
    return found and (f"{found}; time-outs: limpet's scrapes {cut(limpet)}, "
                      f"Prometheus' scrapes {cut(prometheus)}")


def difference_of(case, limpet, prometheus):
    if case.want is SAME:
        return (compare("scrape", shown(limpet, case.count, case.ignored), shown(prometheus, case.count, case.ignored))
                or compare("own timestamps", sorted(limpet.own.items()), sorted(prometheus.own.items()))
                or (case.exemplars and compare("exemplars", sorted(limpet.exemplars.items()),
                                               sorted(prometheus.exemplars.items()))) or "")
    own = {series: [(ts, text_of_value(value)) for ts, value in samples]
           for series, samples in (case.own or {}).items()}
    mine, theirs = (usual(shown(outcome, len(case.want))) for outcome in (limpet, prometheus))
    found = compare("scrape", mine, wanted(case))
    if not found and case.own is not None:
        found = compare("own timestamps", sorted(limpet.own.items()), sorted(own.items()))
    if not found and mine == theirs and limpet.own == prometheus.own:
        found = "Prometheus does the same, so that this can be a plain case"
    return found


class Missing:
    def __init__(self, agent, side):
        self.agent, self.side = agent, side

    def __str__(self):
        return f"scrapes of {self.agent} for the cases {self.side.missing()[:20]}"
