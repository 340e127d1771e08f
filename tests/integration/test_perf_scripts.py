# SPDX-License-Identifier: GPL-2.0-or-later
"""The scripts in perf/ that run limpet and its peers leave nothing behind, however they end."""
import importlib.machinery
import importlib.util
import os
import pathlib
import shutil
import signal
import sys

import pytest

from lib.limpet import stat_of
from lib.proc import BUILD, Process, children_of, wait_until

PERF = pathlib.Path(__file__).resolve().parents[2] / "perf"
SCRIPTS = {
    "run": ["run", "idle", "--agents", "limpet,null", "--targets", "3", "--interval", "1000",
            "--seconds", "600"],
    "run-steady": ["run-steady", "--targets", "3", "--interval", "1s", "--seconds", "600"],
    "run-cluster": ["run-cluster", "--nodes", "2", "--pods", "40", "--interval", "600"],
    "report": ["report", "--loads", "idle", "--seconds", "600"],
}


LIMPETS = {"run-cluster": 2}  # else 1


def descendants(pid):
    """{(pid, when it was started): name}"""
    found = {}
    for child, name in children_of(pid).items():
        stat = stat_of(child)
        if stat:
            found[child, stat[1][19]] = name
        found |= descendants(child)
    return found


def living(processes):
    """Those of them that are there still."""
    def is_there(pid, start):
        stat = stat_of(pid)
        return stat and stat[1][19] == start and stat[1][0] not in "ZX"
    return {key: name for key, name in processes.items() if is_there(*key)}


def runtimes(processes):
    """The runtime directories of limpets among them."""
    found = set()
    for pid, _ in processes:
        try:
            words = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
        except OSError:
            continue
        found |= {word.split("=", 1)[1] for word in words if word.startswith("--runtime.path=")}
    return found


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_that_is_ended_ends_all_it_has_started(tmp_path, script, number):
    program, *words = SCRIPTS[script]
    with Process([sys.executable, PERF / program, *words], str(tmp_path), "script",
                 env={"TMPDIR": str(tmp_path), "LIMPET_BUILD": os.path.abspath(BUILD)}) as process:
        process.wait_ready(
            lambda: list(descendants(process.pid).values()).count("limpet-writer") >=
            LIMPETS.get(script, 1), 60, "with its limpets")
        started = descendants(process.pid)
        directories = runtimes(started)
        assert directories
        process.send(number)
        status = process.wait(60)
        assert status == (-number if number == signal.SIGKILL else 128 + number)
        wait_until(lambda: not living(started), 30, "the end of all")
    left = [path for path in directories if os.path.exists(path)]
    for path in left:
        shutil.rmtree(path)
    if number != signal.SIGKILL:
        assert not left
        assert all(name.startswith("script.") for name in os.listdir(tmp_path))


def report():
    loader = importlib.machinery.SourceFileLoader("perf_report", str(PERF / "report"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    return module


def result(cpu, peer, kib=10000):
    agents = {"limpet": {"cpu_s_a_million": cpu, "memory": {"kib": kib}, "wire_bytes_a_sample": 20},
              "vmagent": {"cpu_s_a_million": peer}}
    return {"load": "tiny5", "time": "T", "agents": agents}


@pytest.mark.parametrize("now, worse", [
    (result(0.3, 5), ""),
    (result(0.4, 5), "; REGRESSION: CPU beside peers"),
    (result(0.6, 10), ""),  # a slower machine
    (result(0.3, 2.5), "; REGRESSION: CPU beside peers"),  # a quicker one
    (result(0.3, 5, 12000), "; REGRESSION: memory"),
])
def test_a_report_tells_of_regressions(now, worse):
    said = report().changes(result(0.3, 5), now)
    assert said.startswith("tiny5, times what it was on T: CPU ")
    assert said.partition(";")[1] + said.partition(";")[2] == worse
