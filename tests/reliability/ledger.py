# SPDX-License-Identifier: GPL-2.0-or-later
"""What was served against what arrived at every receiver, after any sequence of faults.

A Ledger is a farm of known values, receivers like Prometheus and like VictoriaMetrics, and a limpet
that is hurt in every way it must survive. In the end, for each receiver that was there all along:

    every value right, none out of order, none twice (Prometheus) or only in copies (VictoriaMetrics)
    committed to the rings  ==  arrived  +  what the remote's counters say was dropped

Everything random follows from one seed.
"""
import contextlib
import dataclasses
import io
import json
import os
import random
import resource
import shutil
import signal
import tempfile
import time
import traceback

from lib.limpet import config, file_job, remote, write_atomically
from lib.load import Load
from lib.proc import PATIENCE, Process, built, kill, wait_until
from lib.prom import http_get, http_post

LOSSES = [  # every counter that says that a sample will not arrive
    "prometheus_remote_storage_samples_failed_total",
    "prometheus_remote_storage_samples_dropped_total",
    "limpet_remote_spool_dropped_total",
]
HEARD = [  # that it has arrived
    "limpet_remote_samples_delivered_total",
    "limpet_remote_samples_already_delivered_total",
]
FOUND = ["limpet_remote_spool_found_total"]  # in the spool, though no counter knew of it
SETTLED = 2.5  # s without a change, longer than a busy machine leaves anybody alone
OUTAGES = ["status=503&percent=100", "status=503&percent=70", "hang=1&percent=100",
           "hang=1&percent=30", "reset=after-head&percent=50", "reset=after-body&percent=50",
           "reset=after-body&percent=100", "lose-answer=20", "delay_ms=400&percent=50",
           "status=429&percent=50&retry_after=1", "status=500&percent=30&store=1"]
# Settings of a remote: what is sent to it, and what changes with a reload while something waits.
FORMS = [{"limpet": {"compression": compression}} for compression in ("fast", "small", "zstd")]
REFUSALS_OF_ZSTD = [0, 0, 400, 415, 422]  # 0: it is taken
# Which version of remote write is sent (zstd is 1.0 alone), and how it is answered by who knows
# 1.0 only; 0: it is taken. Chosen by themselves, so that a seed's other choices stay what they were
# before there was 2.0. What an old receiver is sent as 2.0 without `auto` would be lost.
V2 = {"protobuf_message": "io.prometheus.write.v2.Request"}
AUTO = {"protobuf_message": "auto"}
VERSIONS = {"1.0": [{}], "2.0": [V2, V2, AUTO], "any": [{}, V2, AUTO]}
REFUSALS_OF_V2 = {"1.0": [0], "2.0": [0], "any": [0, 0, 0, 415, 400, 204]}
# What only 2.0 has: some of a request is written, and the answer says how much.
PARTIAL = ["partial=30&percent=50", "partial=100&percent=30", "partial=10&percent=50&status=200"]


class Receiver:
    """A sink; `name` is that of its remote, if the configuration says one."""

    def __init__(self, load, name, like, refuse_zstd=0, refuse_v2=0):
        self.name = name
        self.like = like
        self.is_nameless = name == "v"  # limpet makes up a name, which changes with each reload
        argv = [built("perf/sink"), "--like", like, "--interval", load.interval_ms,
                "--no-zstd", refuse_zstd, "--no-v2", refuse_v2]
        self.refuses_v2 = refuse_v2 != 0
        self.process = Process(argv, load.directory, f"sink-{name}")
        ready = self.process.ready_json()
        self.url = ready["url"]
        self.form = {}  # one of FORMS
        self.settings = {}  # more of its remote
        self.base = f"http://127.0.0.1:{ready['port']}"

    def report(self):
        status, text = http_get(self.base + "/report", 60)
        assert status == 200, text
        return json.loads(text)

    def faults(self, words):
        status, text = http_post(f"{self.base}/faults?{words}", b"", {})
        assert status == 200, text


class Ledger:
    def __init__(self, directory, seed, targets=20, interval_ms=500, has_forms=False, write="any"):
        """has_forms: the seed chooses among FORMS, too, and the version among VERSIONS[write]; else
        all is sent as limpet does by itself."""
        print(f"SEED={seed}")
        self.random = random.Random(seed)
        # Of their own, so that a seed's faults do not depend on what there is to choose from.
        self.forms = random.Random(f"forms of {seed}") if has_forms else None
        self.versions = random.Random(f"versions of {seed}") if has_forms else None
        self.write = write
        choose = self.random.choice
        self.targets = targets
        self.load = Load(directory, targets, interval_ms,
                         farm=["--churn", "1", "--seed", self.random.randrange(1000)])
        self.receivers = [self.new_receiver("p", "prometheus"), self.new_receiver("v", "victoria")]
        self.guest = self.new_receiver("guest", choose(["prometheus", "victoria"]))
        self.guest_is_there = False
        self.queue = {"max_samples_per_send": choose([200, 2000]),
                      "batch_send_deadline": "100ms", "max_backoff": "200ms",
                      "min_shards": choose([1, 1, 4])}
        self.options = {"ring_size": choose(["1MiB", "4MiB"]), "scrapers": choose([1, 2]),
                        "spool": {"after": choose(["100ms", "500ms", "2s"])}}
        self.prefix = ()  # of limpet's command
        self.scrapers_died = 0
        self.may_lose = False
        self.limpet = None
        self.choose_forms(1)
        self.write_config()

    def __enter__(self):
        return self

    def __exit__(self, *reason):
        for receiver in [*self.receivers, self.guest]:
            receiver.process.stop_or_kill()
        self.load.__exit__(*reason)

    # ------------------------------------------------------------------------------ what happens

    def new_receiver(self, name, like):
        refusal = self.forms.choice(REFUSALS_OF_ZSTD) if self.forms else 0
        print(f"{name}: {f'zstd is answered by {refusal}' if refusal else 'zstd is taken'}")
        of_v2 = self.versions.choice(REFUSALS_OF_V2[self.write]) if self.versions else 0
        print(f"{name}: {f'2.0 is answered by {of_v2}' if of_v2 else '2.0 is taken'}")
        return Receiver(self.load, name, like, refusal, of_v2)

    def choose_forms(self, share):
        """For so many of the receivers."""
        for receiver in [*self.receivers, self.guest] if self.forms else []:
            if self.forms.random() < share:
                receiver.form = self.forms.choice(FORMS) | self.choose_version(receiver)
                if receiver.form["limpet"]["compression"] == "zstd":
                    receiver.form.pop("protobuf_message", None)
                print(f"{receiver.name}: {receiver.form}", flush=True)

    def choose_version(self, receiver):
        version = self.versions.choice(VERSIONS[self.write])
        return AUTO if version is V2 and receiver.refuses_v2 else version

    def write_config(self, order=None):
        remotes = [*self.receivers, *([self.guest] if self.guest_is_there else [])]
        if order:
            order.shuffle(remotes)
        self.load.config = config(
            file_job("farm", self.load.sd_path),
            *[remote(r.url, queue_config=self.queue, remote_timeout="1s",
                     **({} if r.is_nameless else {"name": r.name}), **r.form, **r.settings)
              for r in remotes],
            interval=f"{self.load.interval_ms}ms", limpet=self.options)

    def start(self):
        return self.load.start(flags=["--storage.remote.flush-deadline=5s"], prefix=self.prefix)

    def live(self, seconds):
        if self.limpet is None or not self.limpet.running():
            self.limpet = self.start()
        time.sleep(seconds)

    def pids(self, program):
        return self.limpet.children().get(program, []) if self.limpet.running() else []

    def kill(self, victim):
        if victim == "tree":
            self.scrapers_died += 3  # a resize may be under way
            self.limpet.kill_all()
            self.limpet = self.start()
            return
        pids = self.pids(victim)
        if pids:
            self.scrapers_died += victim == "limpet-scraper"
            kill(self.random.choice(pids))

    def some_receivers(self):
        return self.random.sample(self.receivers, self.random.randint(1, len(self.receivers)))

    def outage(self):
        self.receiver_goes_on()
        for receiver in self.some_receivers():
            words = f"{self.random.choice(OUTAGES)}&seed={self.random.randrange(1000)}"
            if "protobuf_message" in receiver.form and self.versions.random() < 0.3:
                words = self.versions.choice(PARTIAL) + f"&seed={self.versions.randrange(1000)}"
            print(f"{receiver.name}: {words}", flush=True)
            receiver.faults(words)

    def recover(self):
        self.receiver_goes_on()
        for receiver in self.receivers:
            receiver.faults("clear=1")

    def disk_full(self):
        """No file of the writer can grow beyond what it has."""
        for pid in self.pids("limpet-writer"):
            limit = self.random.choice([0, 1000, 100000])
            try:
                resource.prlimit(pid, resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
            except ProcessLookupError:
                pass

    def disk_free(self):
        for pid in self.pids("limpet-writer"):
            try:
                resource.prlimit(pid, resource.RLIMIT_FSIZE,
                                 (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            except ProcessLookupError:
                pass

    def remove_spool(self):
        self.may_lose = True
        path = os.path.join(self.load.paths.storage, "spool")
        shutil.rmtree(path, ignore_errors=True)

    def damage_spool(self):
        """A bit of some file turns over."""
        self.may_lose = True
        path = os.path.join(self.load.paths.storage, "spool")
        files = sorted(os.path.join(folder, name)
                       for folder, _, names in os.walk(path) for name in names)
        if not files:
            return
        try:
            with open(self.random.choice(files), "r+b") as file:
                size = file.seek(0, os.SEEK_END)
                at = self.random.randrange(max(size, 1))
                file.seek(at)
                byte = file.read(1)
                file.seek(at)
                file.write(bytes([byte[0] ^ 1 << self.random.randrange(8)]) if byte else b"")
        except FileNotFoundError:
            pass

    def receiver_stops(self):
        """It is not there for a while, as if it were started again."""
        for receiver in self.some_receivers():
            receiver.process.send(signal.SIGSTOP)

    def receiver_goes_on(self):
        for receiver in self.receivers:
            receiver.process.send(signal.SIGCONT)

    def reload(self):
        """Remotes come, go and change places; so do shards and the forms of requests."""
        self.guest_is_there = self.random.choice([True, False])
        self.queue["min_shards"] = self.random.choice([1, 2, 4])
        self.choose_forms(0.5)
        self.write_config(self.random)
        if self.limpet.running():
            assert self.limpet.reload(self.load.config)

    def resize(self):
        """Another number of scrapers, by a reload or a restart."""
        self.options["scrapers"] = self.random.choice([1, 2, 3])
        self.write_config()
        if self.random.random() < 0.7 and self.limpet.running():
            assert self.limpet.reload(self.load.config)
        else:
            self.restart()

    def restart(self):
        """SIGTERM, and a new start on the same paths."""
        if self.limpet.running():
            self.limpet.stop(60)
        self.limpet = self.start()

    STEPS = [outage, outage, outage, recover, recover, disk_full, disk_free, reload, restart, resize,
             receiver_stops, receiver_goes_on]
    DAMAGES = [remove_spool, damage_spool]
    VICTIMS = ["limpet-writer", "limpet-writer", "limpet-scraper", "limpet-discovery", "tree"]

    def sequence(self, steps, damages):
        """So many random steps, with deaths in between."""
        self.live(1)
        for _ in range(steps):
            step = self.random.choice(self.STEPS + (self.DAMAGES if damages else []))
            print(f"{time.monotonic():.2f} {step.__name__}", flush=True)
            step(self)
            if self.random.random() < 0.5:
                victim = self.random.choice(self.VICTIMS)
                print(f"{time.monotonic():.2f} kill {victim}", flush=True)
                self.kill(victim)
            self.live(self.random.uniform(0.1, 1.0))

    # -------------------------------------------------------------------------------- the account

    def sum_of(self, receiver, names):
        return int(sum(value for name, labels, value in self.limpet.metrics()
                       if name in names and labels.get("url") == receiver.url))

    def balance(self, receiver):
        """(committed, arrived, counted as lost)"""
        report = receiver.report()
        stored = report["samples"]["stored"] - report["duplicates"]
        return (int(self.limpet.metric("limpet_samples_appended_total")), stored,
                self.sum_of(receiver, LOSSES))

    def is_empty(self):
        return all(value == 0 for name, _, value in self.limpet.metrics()
                   if name == "limpet_remote_spool_pending")

    def end(self):
        """Everything is well again and no target is left; then all must be accounted for. Returns
        {name of a receiver: (committed, arrived, counted as lost)}."""
        self.receiver_goes_on()
        self.recover()
        self.disk_free()
        self.live(1)
        wait_until(self.limpet.is_ready, 30, "ready")
        write_atomically(self.load.sd_path, "[]")
        problems = []
        for receiver in self.receivers:
            problems += self.problems(receiver)
        problems += self.disagreements()
        assert not problems, "\n".join(problems)
        accounts = {receiver.name: self.balance(receiver) for receiver in self.receivers}
        self.limpet.stop(60)
        return accounts

    def uncounted(self):
        """A scraper that dies may commit a scrape and not come to count it."""
        return self.scrapers_died * 200

    def surplus(self, receiver, report, lost):
        """So many samples may be counted as lost although they are there: those of requests to which
        this receiver gave no answer that limpet can have read, nor to a repeat. Nobody but the
        receiver can know of them, once the spool or the ring has lost them. And those that were
        delivered while the disk took no note of it, and the writer then died."""
        return min(lost, self.unheard(report) + self.sum_of(receiver, FOUND))

    def unheard(self, report):
        """A record that is sent scrape by scrape, since it was refused as a whole, is over when all
        of it is: if the writer dies before and the spool has lost the record, so is its beginning."""
        requests = report["requests"]
        return requests["unheard_samples"] + (requests["refused_samples"] if self.may_lose else 0)

    def ambiguous(self, report):
        """So many samples may be taken for delivered though they are not: those that a receiver of
        2.0 left out of a request of which it refused others, as it had them already, or to which
        it gave no answer that was read: a repeat may find what came after them there."""
        return report["requests"]["ambiguous_samples"]

    def disagreements(self):
        """All remotes were given the same samples, those included that nobody came to count."""
        accounts = []
        for receiver in self.receivers:
            _, arrived, lost = self.balance(receiver)
            report = receiver.report()
            accounts.append((arrived + lost - self.surplus(receiver, report, lost),
                             arrived + lost + self.ambiguous(report)))
        least, most = max(low for low, _ in accounts), min(high for _, high in accounts)
        return [] if least <= most else [f"receivers do not agree: {accounts}"]

    def has_no_target(self):
        """Nothing is scraped any more, and all markers of what was are there."""
        return all(value == 0 for name, _, value in self.limpet.metrics()
                   if name in ("limpet_discovery_targets", "limpet_scraper_targets",
                               "limpet_active_series"))

    def settle(self, receiver):
        """Waits until nothing moves any more and everything is there, for which a busy machine takes
        its time. What is still missing then will not come."""
        wait_until(self.has_no_target, 30, "no target")
        before, since = None, time.monotonic()
        end = time.monotonic() + 20 * PATIENCE
        while time.monotonic() < end:
            now = (self.balance(receiver), self.is_empty())
            (committed, arrived, lost), is_empty = now
            if now != before:
                before, since = now, time.monotonic()
            elif (time.monotonic() - since > SETTLED and is_empty
                  and arrived + lost + self.ambiguous(receiver.report()) >= committed):
                return
            time.sleep(0.2)

    def problems(self, receiver):
        self.settle(receiver)
        committed, arrived, lost = self.balance(receiver)
        report = receiver.report()
        found = []

        def want(condition, what, *more):
            if not condition:
                found.append(f"{receiver.name}: {what}: {json.dumps(more)[:900]}")

        print(f"{receiver.name}: {committed} committed, {arrived} arrived, {lost} counted as lost, "
              f"{report['duplicates']} copies, {report['requests']['unheard_samples']} unheard, "
              f"{report['requests']['left_out_samples']} left out, "
              f"{self.uncounted()} perhaps uncounted; "
              f"{report['requests']['v2']} of {report['requests']['total']} requests in 2.0",
              flush=True)
        want(self.is_empty(), "something is left in a spool")
        most = self.uncounted() + self.surplus(receiver, report, lost)
        least = -self.ambiguous(report)
        want(least <= arrived + lost - committed <= most, "out of balance",
             {"committed": committed, "arrived": arrived, "lost": lost, "surplus": most, "least": least},
             self.numbers(receiver))
        heard, unheard = self.sum_of(receiver, HEARD), self.unheard(report)
        again = self.sum_of(receiver, FOUND)  # delivered without a note, and once more
        want(heard - again + least <= arrived <= heard + unheard, "what limpet takes for delivered is not",
             {"heard": heard, "arrived": arrived, "unheard": unheard}, self.numbers(receiver))
        want(self.may_lose or self.has_reason(receiver, report), "lost without a reason",
             self.numbers(receiver))
        want(report["errors"]["total"] == 0, "errors", report["errors"])
        want(report["scrapes"]["number_regressions"] == 0, "regressions",
             report["scrapes"]["first_gaps"][:3])
        if receiver.like == "prometheus":
            want(report["duplicates"] == 0, "duplicates", report["duplicates"])
            want(report["order_violations"]["samples"] == 0, "order", report["order_violations"])
        return found

    def numbers(self, receiver):
        return {name + json.dumps(labels.get("reason", "")): value
                for name, labels, value in self.limpet.metrics()
                if labels.get("url") == receiver.url and value
                and ("spool" in name or "dropped" in name or "failed" in name
                     or "delivered" in name)}

    def has_reason(self, receiver, report):
        """The disk was full and half of a ring waited: what is given up then is counted so. Or the
        receiver left something out."""
        other = sum(value for name, labels, value in self.limpet.metrics()
                    if name in LOSSES and labels.get("url") == receiver.url
                    and labels.get("reason") != "behind")
        return other <= report["requests"]["left_out_samples"]


@dataclasses.dataclass
class Outcome:
    seed: int
    problem: str  # "": none; else the directory that was kept, and what went wrong
    output: str
    seconds: float


def run_seed(seed, steps, write="any"):
    """One sequence, in a directory of its own."""
    directory = tempfile.mkdtemp(prefix="limpet-ledger-")
    output, begin, problem = io.StringIO(), time.monotonic(), ""
    with contextlib.redirect_stdout(output):
        try:
            with Ledger(directory, seed, has_forms=True, write=write) as ledger:
                ledger.sequence(steps, damages=seed % 3 == 0)
                ledger.end()
        except Exception:
            problem = f"{directory}\n{traceback.format_exc()}"
    if not problem:
        shutil.rmtree(directory, ignore_errors=True)
    return Outcome(seed, problem, output.getvalue(), time.monotonic() - begin)
