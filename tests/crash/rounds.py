# SPDX-License-Identifier: GPL-2.0-or-later
"""What a crash test does in one round: a load, deaths, a limpet that may live, and the account.

Everything random comes from one seed, so a round can be had again: SEED=<seed>.
"""
import json
import os
import pathlib
import random
import re
import signal
import time

from lib.limpet import write_atomically
from lib.load import Load
from lib.proc import BUILD, kill, wait_until
from lib.remote_write import STALE_BITS
from lib.stream import REPORT
from lib.target import Target

CRASH_BUILD = os.environ.get("LIMPET_CRASH_BUILD", BUILD)
TOP = pathlib.Path(__file__).resolve().parents[2]
KILLED = "a child was killed by a signal"  # what the supervisor logs
TREE, SUPERVISOR = "tree", "limpet"
VICTIMS = ["limpet-scraper", "limpet-writer", "limpet-discovery", "limpet-console", SUPERVISOR, TREE]


def crash_points():
    """All names in src/base/crashpoint.def."""
    text = (TOP / "src" / "base" / "crashpoint.def").read_text()
    return re.findall(r'^CRASHPOINT_AT\("([\w.]+)"', text, re.M)


def new_seed():
    return int(os.environ.get("SEED") or random.SystemRandom().randrange(1 << 31))


def crowd(request):
    """Many series, half of them others than before and of another size: much space is free at once,
    some of it between others, and what comes next does not just fit in."""
    return b"".join(b'guest{n="%d",of="%d-%s"} 1\n' % (n, of, b"x" * (of * 37 % 200))
                    for of in (request.number, request.number + 1) for n in range(1000))


class Round:
    """A load whose shape follows from the seed: small batches, so that every step of delivery
    happens often; series that vanish and return; bodies in all encodings."""

    def __init__(self, directory, seed, targets=40, interval_ms=500, farm=(), queue=None,
                 after=None, **options):
        print(f"SEED={seed}")
        self.random = random.Random(seed)
        ring = self.random.choice(["1MiB", "4MiB"])
        shards = self.random.choice([1, 3])
        queue = {"max_samples_per_send": self.random.choice([100, 400, 2000]),
                 "batch_send_deadline": "50ms", "min_shards": shards, "max_shards": shards,
                 **(queue or {})}
        limpet = {"scrapers": self.random.choice([1, 2]), "ring_size": ring,
                  "spool": {"after": after or self.random.choice(["100ms", "10s"])}}
        self.load = Load(directory, targets, interval_ms, build=CRASH_BUILD, queue=queue,
                         limpet=limpet, farm=["--encoding", "mixed", "--vanish", "--churn", "2",
                                              "--seed", self.random.randrange(1000), *farm],
                         sink=["--keep", "--report", os.path.join(directory, "report.json")], **options)
        self.limpet = None
        self.next_loss = 0.0
        self.next_resize = 0.0
        self.is_away = False
        self.guest = Target(b"guest 1\n")
        with open(self.load.sd_path) as file:
            self.shown = self.groups = json.load(file)

    def __enter__(self):
        return self

    def __exit__(self, *reason):
        self.load.__exit__(*reason)
        self.guest.close()

    def live(self, each=2, **options):
        """A limpet (kept if there is one) until so many more scrapes of each target arrived."""
        if self.limpet is None or not self.limpet.running():
            self.limpet = self.load.start(**options)
        self.load.wait_for_more_scrapes(each)

    def kill(self, victim):
        """SIGKILL to one child of that program, the supervisor, or all processes at once."""
        if victim == TREE:
            self.limpet.kill_all()
        elif victim == SUPERVISOR:
            self.limpet.send(signal.SIGKILL)
            self.limpet.wait()
        else:
            pids = self.limpet.children().get(victim, [])
            if pids:
                kill(self.random.choice(pids))
        if not self.limpet.running():
            self.limpet = self.load.start(ready=False)

    def kill_at_random(self, victims, seconds, pause=0.6):
        """Kills every `pause` seconds on average, at any moment; a limpet always runs."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            time.sleep(self.random.uniform(0, 2 * pause))
            self.kill(self.random.choice(victims))

    def die_at(self, point, passes, once=None, deaths=1, seconds=5.0):
        """A limpet with a crash point, until so many processes have died there or the time is
        over. Then all of it is killed. Returns the number of deaths."""
        env = {"LIMPET_CRASHPOINT": f"{point}:{passes}",
               **({"LIMPET_CRASHPOINT_ONCE": str(once)} if once else {})}
        self.limpet = self.load.start(env=env, ready=False)
        end = time.monotonic() + seconds
        died = 0
        while died < deaths and time.monotonic() < end:
            self.make_events(point)
            time.sleep(0.02)
            died = self.limpet.stderr().count(KILLED) + (not self.limpet.running())
        self.limpet.kill_all()
        self.limpet = None
        return died

    def make_events(self, point):
        """What has to happen for a point to be passed at all. An answer is lost now and then: the
        refusal of the repeat has to arrive."""
        now = time.monotonic()
        if point == "writer.part_built" and now >= self.next_loss:
            self.load.faults("lose-answer=1")
            self.next_loss = now + 1.5
        if point in self.MOVES:
            self.change_scrapers(now)
        if point.startswith("writer.record_"):
            self.be_away(now % 2.5 < 0.5)
        if point in self.SPACE:
            self.guest.script = crowd
        self.show_guest(now % 3 < 1.5)

    MOVES = ["scraper.released", "scraper.takeover_copied", "scraper.taken_over",
             "scraper.released_dropped"]

    SPACE = ["series.hole_split", "series.merged", "series.cut"]

    def resize(self, scrapers):
        """By a reload."""
        self.load.config["limpet"]["scrapers"] = scrapers
        if self.limpet is not None and self.limpet.running():
            self.limpet.write_config(self.load.config)
            self.limpet.send(signal.SIGHUP)

    def change_scrapers(self, now):
        """Now and then one scraper less, so that its targets move at once."""
        if now < self.next_resize:
            return
        self.next_resize = now + 1.5
        before = self.load.config["limpet"]["scrapers"]
        self.resize(3 if before == 1 else before - 1)

    def be_away(self, is_away):
        """The receiver takes nothing, long enough that the spool is needed."""
        if is_away != self.is_away:
            self.is_away = is_away
            self.load.faults("status=503" if is_away else "clear=1")

    def show_guest(self, is_there):
        """One more target, of which the sink takes no account, comes and goes."""
        groups = self.groups + [{"targets": [self.guest.address]}] * is_there
        if groups != self.shown:
            self.shown = groups
            write_atomically(self.load.sd_path, json.dumps(groups))

    def end(self):
        """Lives a little without deaths, stops in order, and asserts that nothing went wrong."""
        self.show_guest(False)
        self.live(1)
        self.load.finish(self.limpet)
        others = self.guest_samples()
        account = self.load.account()
        account.others = others
        problems = account.problems()
        assert not problems, "\n".join([*problems, account.story()])
        return account

    def guest_samples(self):
        """What the sink has of the guest, without markers."""
        rows = [row for name in ("guest", *REPORT) for row in self.load.get(f"/series?match={name}")]
        return sum(int(bits, 16) != STALE_BITS for row in rows for _, _, bits in row["samples"]
                   if row["labels"]["instance"] == self.guest.address)

    def metric(self, name, **labels):
        return self.limpet.metric(name, **labels)


def assert_nothing_counted_lost(round_):
    """Counters live in shared memory, so they tell of the processes that died, too."""
    wait_until(round_.limpet.is_ready, 30, "ready")
    for name in ("prometheus_remote_storage_samples_failed_total",
                 "prometheus_remote_storage_samples_dropped_total",
                 "limpet_remote_corrupt_blocks_total"):
        assert round_.metric(name) == 0, name
