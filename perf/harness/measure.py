# SPDX-License-Identifier: GPL-2.0-or-later
"""What a tree of processes has used, from /proc and perf(1)."""
import dataclasses
import glob
import os
import re
import subprocess

from lib.proc import words_of


@dataclasses.dataclass
class Snapshot:
    cpu: float
    served: int
    seen: int
    report: dict | None
    exposed: int  # series in the bodies
    wakes: int
    farm_cpu: float
    page: str | None
    cpu_by_name: dict  # of processes


def _run_time_ns(path):
    try:
        with open(path) as file:
            return int(file.read().split()[0])
    except (OSError, IndexError):
        return 0


def cpu_seconds(pids):
    """Time on a CPU of all threads that live, to the nanosecond; work that the kernel does for
    others within it is part of it, as for everybody."""
    total = 0
    for pid in pids:
        try:
            tasks = os.listdir(f"/proc/{pid}/task")
        except OSError:
            continue
        total += sum(_run_time_ns(f"/proc/{pid}/task/{task}/schedstat") for task in tasks)
    return total / 1e9


def _name(pid):
    try:
        with open(f"/proc/{pid}/comm") as file:
            return file.read().strip()
    except OSError:
        return "?"


def cpu_by_name(pids):
    """The same for each name of a process."""
    found = {}
    for pid in pids:
        name = _name(pid)
        found[name] = found.get(name, 0) + cpu_seconds([pid])
    return found


def wakes(pids):
    """How often these have slept, which is how often they were woken."""
    total = 0
    for path in (path for pid in pids for path in glob.glob(f"/proc/{pid}/task/*/status")):
        try:
            with open(path) as file:
                total += int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", file.read(), re.M)[1])
        except OSError:
            pass
    return total


def lateness(before, after):
    """From limpet's own pages: the limit that 99 % of the scrapes between them were within, as
    text, and the longest of all, in ms."""
    def buckets(page):
        found = {}
        for le, n in re.findall(r'^limpet_scrape_lateness_seconds_bucket\{.*?le="([^"]+)".*?\} (\S+)',
                                page, re.M):
            found[le] = found.get(le, 0) + float(n)
        return found
    old, new = buckets(before), buckets(after)
    counts = {float(le): new[le] - old.get(le, 0) for le in new}
    total = counts.get(float("inf"), 0)
    limit = next((le for le in sorted(counts) if counts[le] >= 0.99 * total), float("inf"))
    longest = [float(n) for n in
               re.findall(r"^limpet_scrape_lateness_max_seconds(?:\{[^}]*\})? (\S+)", after, re.M)]
    return {"p99": f"<={1000 * limit:g}" if limit != float("inf") else ">50",
            "max_ms": 1000 * max(longest, default=0), "scrapes": total,
            "buckets": {str(le): n for le, n in counts.items()}}


def counts(page, name, label):
    """Of a counter, {value of the label: count}, without zeros."""
    found = {}
    for value, n in re.findall(rf'^{name}\{{.*?{label}="([^"]+)".*?\}} (\S+)', page, re.M):
        if float(n) > 0:
            found[value] = found.get(value, 0) + float(n)
    return found


def _rollup(pid):
    fields = {}
    try:
        with open(f"/proc/{pid}/smaps_rollup") as file:
            for line in file:
                found = re.match(r"(\w+):\s+(\d+) kB", line)
                if found:
                    fields[found[1]] = int(found[2])
    except OSError:
        pass
    return fields


def _allocated_kib(directory):
    total = 0
    for folder, _, names in os.walk(directory):
        for name in names:
            try:
                total += os.lstat(os.path.join(folder, name)).st_blocks // 2
            except OSError:
                pass
    return total


def memory(pids, runtime=None):
    """KiB: PSS of the tree, so that what is shared counts once, and pages of the shared segments
    in `runtime` that nobody has mapped at the moment."""
    rollups = [_rollup(pid) for pid in pids]
    pss = sum(fields.get("Pss", 0) for fields in rollups)
    shared = sum(fields.get("Pss_Shmem", 0) for fields in rollups)
    segments = _allocated_kib(runtime) if runtime else 0
    return {"kib": pss + max(0, segments - shared), "anonymous_kib":
            sum(fields.get("Pss_Anon", 0) for fields in rollups), "segments_kib": segments,
            "files_kib": sum(fields.get("Pss_File", 0) for fields in rollups)}


class SystemCalls:
    """Calls of these processes for so many seconds from now on, counted by perf(1) without slowing
    anybody down."""

    def __init__(self, pids, seconds):
        words = ["perf", "stat", "-x", ",", "-e", "raw_syscalls:sys_enter",
                 "-p", ",".join(map(str, pids)), "--", "sleep", str(seconds)]
        try:
            self.process = subprocess.Popen(words_of(words), stdout=subprocess.DEVNULL,
                                            stderr=subprocess.PIPE, text=True)
        except OSError:
            self.process = None

    def wait(self):
        """How many; None without perf(1)."""
        if self.process is None:
            return None
        _, text = self.process.communicate()
        rows = [line.split(",") for line in text.splitlines() if "raw_syscalls" in line]
        return int(rows[0][0]) if rows and rows[0][0].isdigit() else None


def machine_cpu_seconds():
    """Of all CPUs, that somebody used, this machine's host included."""
    with open("/proc/stat") as file:
        user, nice, system, _, _, irq, soft, steal = map(int, file.readline().split()[1:9])
    return (user + nice + system + irq + soft + steal) / os.sysconf("SC_CLK_TCK")
