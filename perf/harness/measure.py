# SPDX-License-Identifier: GPL-2.0-or-later
"""What a tree of processes has used, from /proc and perf(1)."""
import dataclasses
import os
import re
import subprocess


@dataclasses.dataclass
class Snapshot:
    cpu: float
    served: int
    seen: int
    report: dict | None


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


def system_calls(pids, seconds):
    """Calls in so many seconds, counted by perf(1) without slowing anybody down; None without."""
    words = ["perf", "stat", "-x", ",", "-e", "raw_syscalls:sys_enter",
             "-p", ",".join(map(str, pids)), "--", "sleep", str(seconds)]
    try:
        found = subprocess.run(words, capture_output=True, text=True, check=False)
    except OSError:
        return None
    rows = [line.split(",") for line in found.stderr.splitlines() if "raw_syscalls" in line]
    return int(rows[0][0]) if rows and rows[0][0].isdigit() else None
