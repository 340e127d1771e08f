# SPDX-License-Identifier: GPL-2.0-or-later
"""Targets and jobs that change while both agents run: what is marked stale, and what goes on
(reference 4.5). Phases and delays differ between the agents, so that series are compared by what
became of them, not by timestamps."""
import contextlib
import json
import os
import signal
import time

import pytest

from common import NOW
from harness import Agent
from lib.limpet import Limpet, write_atomically
from lib.proc import wait_until
from lib.remote_write import Receiver, is_stale
from lib.target import Target

BODY = b"a 1\nb 2\n" + f"own 3 {NOW}\n".encode()
LATEST = 8000  # ms; a series without a sample for so long does not go on
DROP_B = [{"action": "drop", "source_labels": ["__name__"], "regex": "b"}]

# Each case: the groups in its file before and after, its job's settings before and after (None: the
# job is gone). A group is the labels of a target.
CASES = {
    "nothing changes": ([{}], [{}], {}, {}),
    "target removed": ([{}], [], {}, {}),
    "one of two targets removed": ([{"n": "1"}, {"n": "2"}], [{"n": "2"}], {}, {}),
    "target added": ([{"n": "1"}], [{"n": "1"}, {"n": "2"}], {}, {}),
    "label changed": ([{"n": "1"}], [{"n": "2"}], {}, {}),
    "label added": ([{}], [{"n": "2"}], {}, {}),
    "meta label changed": ([{"__meta_x": "1"}], [{"__meta_x": "2"}], {}, {}),
    "path changed, labels as before": ([{}], [{"__metrics_path__": "/other"}], {}, {}),
    "job removed": ([{}], [{}], {}, None),
    "time-out changed": ([{}], [{}], {}, {"scrape_timeout": "1s900ms"}),
    "interval changed": ([{}], [{}], {}, {"scrape_interval": "3s"}),
    "sample_limit changed": ([{}], [{}], {}, {"sample_limit": 10}),
    "series dropped by new rules": ([{}], [{}], {}, {"metric_relabel_configs": DROP_B}),
    "series no longer dropped": ([{}], [{}], {"metric_relabel_configs": DROP_B}, {}),
    "target dropped by new rules": ([{}], [{}], {}, {"relabel_configs": [{"action": "drop"}]}),
    "label added by new rules": ([{}], [{}], {}, {"relabel_configs": [{"target_label": "n", "replacement": "9"}]}),
    "honor_timestamps changed": ([{}], [{}], {}, {"honor_timestamps": False}),
    "parameters changed": ([{}], [{}], {}, {"params": {"x": ["1"]}}),
    "credentials changed": ([{}], [{}], {}, {"basic_auth": {"username": "u"}}),
    "never scraped": ([{}], [], {"scrape_interval": "1h"}, {"scrape_interval": "1h"}),
}


class Side:
    def __init__(self, stack, agent, directory):
        self.agent, self.directory = agent, directory
        self.receiver = stack.enter_context(Receiver())
        self.target = stack.enter_context(Target(BODY))
        self.settings = [self.config(2), self.config(3)]
        for name, case in CASES.items():
            self.write(name, case[0])
        start = Agent if agent == "prometheus" else Limpet
        self.process = stack.enter_context(start(directory, self.settings[0]))

    def path(self, name):
        return os.path.join(self.directory, name.replace(" ", "_").replace(",", "") + ".json")

    def write(self, name, groups):
        write_atomically(self.path(name), json.dumps(
            [{"targets": [self.target.address], "labels": {"case": name, "instance": "i", **labels}}
             for labels in groups]))

    def config(self, which):
        return {
            "global": {"scrape_interval": "2s",
                       **({"extra_scrape_metrics": True} if self.agent == "limpet" else {})},
            "scrape_configs": [
                {"job_name": name, "file_sd_configs": [{"files": [self.path(name)]}], **case[which]}
                for name, case in CASES.items() if case[which] is not None],
            "remote_write": [{"url": self.receiver.url, "queue_config": {"batch_send_deadline": "100ms"}}],
        }

    def change_files(self):
        for name, case in CASES.items():
            if case[0] != case[1]:
                self.write(name, case[1])

    def reload(self):
        if self.agent == "limpet":
            assert self.process.reload(self.settings[1])
        else:
            write_atomically(f"{self.directory}/agent.yml", json.dumps(self.settings[1]))
            self.process.send(signal.SIGHUP)

    def count(self, case, marked=False):
        """Scrapes of the case so far; marked: markers of its up."""
        found = self.receiver.series("up")
        return sum(is_stale(bits) == marked for key, samples in found.items()
                   for _, bits in samples if dict(key)["case"] == case)

    def became(self):
        """{case: {series: what became of it}}: it goes on, its last sample is a marker, or neither."""
        found = {name: {} for name in CASES}
        ended = time.time() * 1000
        for key, samples in self.receiver.series().items():
            labels = dict(key)
            case, name = labels.pop("case"), labels.pop("__name__")
            ts, bits = max(samples)
            text = name + "".join(f" {label}={labels[label]}" for label in sorted(labels) if label == "n")
            found[case][text] = (
                "marked" if is_stale(bits) else "goes on" if ts > ended - LATEST and name != "own" else "ends")
        return found


def wrong(sides):
    """{case: (what limpet's series became, what they should have)}"""
    theirs, mine = (side.became() for side in sides)
    wants = {name: DEVIATIONS.get(name, theirs[name]) for name in CASES}
    return {name: (mine[name], wants[name]) for name in CASES if mine[name] != wants[name]}


def lasting(look, times=4, pause=3):
    """What is the same in all looks: a scrape that ran into its time-out, since the machine is busy, is
    followed by another, and what came late has come."""
    found = look()
    for _ in range(times - 1):
        if found:
            time.sleep(pause)
            now = look()
            found = {name: what for name, what in found.items() if now.get(name) == what}
    return found


@pytest.fixture(scope="module")
def outcome(tmp_path_factory):
    """What `wrong` says before both agents end, and the markers that come with their end."""
    with contextlib.ExitStack() as stack:
        sides = [Side(stack, agent, str(tmp_path_factory.mktemp(agent + "-changes")))
                 for agent in ("prometheus", "limpet")]
        for side in sides:
            wait_until(lambda: all(side.count(name) >= 3 for name in CASES if name != "never scraped"), 60, f"scrapes of {side.agent}", 0.2)
        for change, case in ((Side.change_files, "target removed"), (Side.reload, "target dropped by new rules")):
            for side in sides:
                change(side)
            for side in sides:
                wait_until(lambda: side.count(case, True), 60, f"markers of {side.agent} for {case}", 0.2)
        # The other cases follow. When all is as it should be it has to stay so.
        with contextlib.suppress(AssertionError):
            wait_until(lambda: not wrong(sides), 30, "the agents agree", 0.5)
        time.sleep(LATEST / 1000)
        found = lasting(lambda: wrong(sides))
        for side in sides:
            side.process.stop()
        return found, {side.agent: side.count("nothing changes", True) for side in sides}


REPORTS = ["up", "scrape_duration_seconds", "scrape_samples_scraped", "scrape_samples_post_metric_relabeling",
           "scrape_series_added", "scrape_timeout_seconds", "scrape_sample_limit", "scrape_body_size_bytes"]

# Where limpet does otherwise. A job that is removed is marked as a target is that has gone: nobody
# else would tell the receivers.
DEVIATIONS = {
    "job removed": {"own": "ends", **dict.fromkeys(["a", "b", *REPORTS], "marked")},
}


@pytest.mark.parametrize("name", CASES)
def test_what_changes_ends_as_with_prometheus(outcome, name):
    mine, wanted = outcome[0].get(name, ({}, {}))
    assert mine == wanted


def test_the_end_of_an_agent_marks_nothing(outcome):
    assert outcome[1] == {"prometheus": 0, "limpet": 0}
