# SPDX-License-Identifier: GPL-2.0-or-later
"""Which processes of limpets lived when: what a test may expect of a scrape depends on it.

Two witnesses, since neither knows all: a Watch looks every 10 ms, if the machine lets it, and misses
who comes and goes in between; the supervisor's log tells of each child that it started and found
dead, and nothing of those that die with it. What is said of a death are bounds that hold however
late anybody was run.
"""
import dataclasses
import datetime
import re
import threading
import time

from .limpet import stat_of

STEP = 0.01  # of the watch
LONG = 0.2  # for so long it was not run, which is worth telling
LOG_STEP = 0.001  # of stamps in the log, which are rounded down
# From a supervisor's death to that of its children (PR_SET_PDEATHSIG), and to the end of what they
# have handed to the kernel.
ORPHANS = 0.05
LINE = re.compile(r'ts=(\S+) .*component=supervisor msg="(child started|child left|a child ended|'
                  r'a child was killed by a signal)" child=(\S+) pid=(\d+)')


@dataclasses.dataclass
class Death:
    child: str    # scraper-0; "" of one that nobody has seen
    limpet: int   # the pid of its supervisor
    alive: float  # wall time at which it lived or had not begun yet
    dead: float   # at which it sent nothing any more


def is_living(pid):
    stat = stat_of(pid)
    return stat is not None and stat[1][0] not in "ZX"


class Watch:
    """Looks who dies, in a thread. .seen: {pid: (last seen alive, seen dead)} of the limpets that
    were added and of their children. .gaps: [(since, until)] in which it could not look."""

    def __init__(self):
        self.seen = {}
        self.gaps = []
        self.parents = set()
        self.known = set()
        self.done = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def close(self):
        self.done.set()
        self.thread.join(20)

    def add(self, pid):
        self.parents.add(pid)
        self.known.add(pid)

    def _run(self):
        before = time.time()
        while not self.done.wait(STEP):
            now = time.time()
            if now - before > LONG:
                self.gaps.append((before, now))
            for parent in list(self.parents):
                self._find(parent)
            for pid in [pid for pid in list(self.known) if not is_living(pid)]:
                self.known.discard(pid)
                self.parents.discard(pid)
                self.seen[pid] = (before, time.time())
            before = now

    def _find(self, parent):
        try:
            with open(f"/proc/{parent}/task/{parent}/children") as file:
                self.known.update(int(word) for word in file.read().split())
        except OSError:
            pass


def seconds_of(stamp):
    return datetime.datetime.fromisoformat(stamp.replace("Z", "+00:00")).timestamp()


def children_in(log):
    """({pid: (child, started)}, {pid: found dead}) of a supervisor's log."""
    started, ended = {}, {}
    for line in log.split("\n")[:-1]:
        found = LINE.match(line)
        if found:
            stamp, what, child, pid = found.groups()
            if what == "child started":
                started[int(pid)] = child, seconds_of(stamp)
            else:
                ended[int(pid)] = seconds_of(stamp)
    return started, ended


def deaths_of(limpet, watch):
    """Of all children of a limpet that has ended; orderly ones, too."""
    started, ended = children_in(limpet.stderr())
    gone = watch.seen[limpet.pid]
    deaths = []
    for pid, (child, begin) in started.items():
        alive, dead = watch.seen.get(pid, (begin, gone[1] + ORPHANS))
        if pid in ended:
            dead = min(dead, ended[pid] + LOG_STEP)
        deaths.append(Death(child, limpet.pid, max(alive, begin), dead))
    # One more, of which there may be no line, since the supervisor died when it had started it.
    deaths.append(Death("", limpet.pid, gone[0], gone[1] + ORPHANS))
    return deaths
