# SPDX-License-Identifier: GPL-2.0-or-later
"""The same targets and the same rules given to limpet and to Debian's Prometheus as an agent: the
series that arrive are the same ones, labels and values."""
import contextlib
import json
import os

import pytest

from lib.limpet import Limpet
from lib.proc import Process, free_port, port_is_open, wait_until
from lib.remote_write import Receiver
from lib.target import Target

BODY = (
    b"go_goroutines 7\n"
    b'http_requests_total{code="200",path="/A/b",host="H1"} 1\n'
    b'http_requests_total{code="500",path="/C",host="h2"} 2\n'
    b'container_cpu{pod="web-5d8f-x1",namespace="Prod",id="/kube/pod1"} 3\n'
    b'container_cpu{pod="",namespace="dev",id="/system"} 4\n'
    b'odd{instance="mine",job="theirs",zone="exposed",empty=""} 5\n'
    b'unicode{name="\xc3\x84pfel \xc3\x9f \xc4\xb0"} 6\n'
    b'same_a{x="1"} 7\nsame_b{x="1",y="1"} 8\n'
)

# Each a job: relabel_configs, metric_relabel_configs.
TARGETS = {
    "kept": [{"action": "keep", "source_labels": ["__meta_filepath", "kind"], "regex": ".+;web"}],
    "dropped": [{"action": "drop", "source_labels": ["kind"], "regex": "web|db"}],
    "mapped": [{"action": "labelmap", "regex": "__tmp_label_(.+)"},
               {"action": "labelmap", "regex": "(k)(.)nd", "replacement": "${2}_$1"}],
    "joined": [{"source_labels": ["job", "kind"], "separator": "/", "target_label": "place"},
               {"source_labels": ["__address__"], "regex": "([^:]+)(?::\\d+)?", "target_label": "host"},
               {"target_label": "fixed", "replacement": "$$1 $x ${1"}],
    "hashed": [{"action": "hashmod", "source_labels": ["kind"], "modulus": 7, "target_label": "shard"},
               {"action": "labeldrop", "regex": "zone"}],
    "renamed": [{"source_labels": ["kind"], "target_label": "instance"},
                {"source_labels": ["kind"], "regex": "(w).*", "target_label": "${1}_label"},
                {"source_labels": ["zone"], "target_label": "job"},
                {"action": "uppercase", "source_labels": ["kind"], "target_label": "kind"}],
    "equal": [{"action": "keepequal", "source_labels": ["kind"], "target_label": "same"}],
    "unequal": [{"action": "dropequal", "source_labels": ["kind"], "target_label": "same"}],
    "labelkeep": [{"action": "labelkeep", "regex": "__.*|zone|job"}],
    "no address": [{"action": "labelkeep", "regex": "zone"}],
}
SAMPLES = {
    "drop": [{"action": "drop", "source_labels": ["__name__"], "regex": "go_.*|http_.*"}],
    "keep": [{"action": "keep", "source_labels": ["__name__", "code"], "regex": "http_requests_total;[25]00"}],
    "pod": [{"source_labels": ["pod"], "regex": "([a-z]+)-[^-]+-(.+)", "target_label": "workload"},
            {"action": "lowercase", "source_labels": ["namespace"], "target_label": "namespace"},
            {"action": "labeldrop", "regex": "id|pod"}],
    "empties": [{"source_labels": ["empty"], "regex": "", "target_label": "was_empty", "replacement": "y"},
                {"source_labels": ["pod"], "target_label": "namespace"},
                {"action": "drop", "source_labels": ["was_empty", "code"], "regex": "y;5.*"}],
    "target's": [{"source_labels": ["zone", "instance"], "separator": "", "target_label": "both"},
                 {"action": "labeldrop", "regex": "kind"},
                 {"source_labels": ["exported_job"], "regex": "(.+)", "target_label": "job"},
                 {"action": "labeldrop", "regex": "exported_(job|instance)"}],
    "cases": [{"action": "uppercase", "source_labels": ["name"], "target_label": "upper"},
              {"action": "lowercase", "source_labels": ["name"], "target_label": "lower"},
              {"action": "hashmod", "source_labels": ["name"], "modulus": 1000, "target_label": "hash"}],
    "names": [{"source_labels": ["__name__"], "regex": "(.*)_total", "target_label": "__name__"},
              {"action": "labelmap", "regex": "(co|pa)(.*)", "replacement": "${2}_$1"}],
    "copied": [{"action": "labelmap", "regex": "(zone|kind)", "replacement": "target_$1"}],
    "everything": [{"action": "labelkeep", "regex": "__name__|job|[xy]|code|namespace"}],
}
NONE = {"dropped", "renamed", "unequal", "no address"}  # jobs without a series of their name
# For two remotes; external_labels are there already.
REMOTES = {
    "one": [{"action": "drop", "source_labels": ["__name__", "cluster"], "regex": "scrape_.*;c1"},
            {"action": "labelmap", "regex": "(clu)ster", "replacement": "$1"},
            {"action": "labeldrop", "regex": "cluster"}],
    "two": [{"action": "keep", "source_labels": ["job"], "regex": "mapped|names|up"},
            {"source_labels": ["__name__"], "regex": "up", "target_label": "__name__", "replacement": "alive"}],
}


class Agent(Process):
    def __init__(self, directory, settings):
        port = free_port()
        path = os.path.join(directory, "agent.yml")
        with open(path, "w") as file:
            json.dump(settings, file)
        super().__init__(["prometheus", "--enable-feature=agent", f"--config.file={path}",
                          f"--storage.agent.path={directory}/agent-data", "--log.level=warn",
                          f"--web.listen-address=127.0.0.1:{port}"], directory, "agent")
        self.wait_ready(lambda: port_is_open(port), 30)


def settings(address, urls, directory):
    labels = {"zone": "z1", "kind": "web", "same": "web", "__tmp_label_app": "a", "__tmp_label_": "b"}
    with open(f"{directory}/targets.json", "w") as file:
        json.dump([{"targets": [address], "labels": labels}], file)
    found = {"file_sd_configs": [{"files": [f"{directory}/targets.json"]}]}
    jobs = [{"job_name": name, **found, "relabel_configs": rules} for name, rules in TARGETS.items()]
    jobs += [{"job_name": name, **found, "metric_relabel_configs": rules} for name, rules in SAMPLES.items()]
    return {
        "global": {"scrape_interval": "4s", "external_labels": {"cluster": "c1", "zone": "outer"}},
        "scrape_configs": jobs,
        "remote_write": [{"url": url, "name": name, "write_relabel_configs": rules,
                          "queue_config": {"batch_send_deadline": "100ms"}}
                         for url, (name, rules) in zip(urls, REMOTES.items())],
    }


def content(receiver):
    """{labels: values}, of the reports and measured values the labels only."""
    found = {}
    for key, samples in receiver.series().items():
        name = dict(key)["__name__"]
        found[key] = None if name.startswith(("scrape_duration", "scrape_series")) else {bits for _, bits in samples}
    return found


def has_two_scrapes(receiver, name, jobs):
    """Of each job. A scrape's up follows its samples, and the second one all of the first scrape."""
    return all(len(receiver.samples(name, job=job)) >= 2 for job in jobs)


@pytest.fixture(scope="module")
def received(tmp_path_factory):
    """{program: {remote: content}}"""
    found = {}
    with contextlib.ExitStack() as stack:
        target = stack.enter_context(Target(lambda request: BODY))
        started = {}
        for program in ("prometheus", "limpet"):
            directory = str(tmp_path_factory.mktemp(program))
            receivers = [stack.enter_context(Receiver()) for _ in REMOTES]
            config = settings(target.address, [receiver.url for receiver in receivers], directory)
            start = Agent if program == "prometheus" else Limpet
            stack.enter_context(start(directory, config))
            started[program] = receivers
        jobs = (set(TARGETS) | set(SAMPLES) | {"z1"}) - NONE
        for first, second in started.values():
            wait_until(lambda: has_two_scrapes(first, "up", jobs), 30, "two scrapes of every job", 0.2)
            wait_until(lambda: has_two_scrapes(second, "alive", {"mapped", "names"}), 30,
                       "what the second wants", 0.2)
        for program, receivers in started.items():
            found[program] = dict(zip(REMOTES, map(content, receivers)))
    return found


def of_job(content, job):
    return {key: value for key, value in content.items() if dict(key).get("job") == job}


@pytest.mark.parametrize("job", [*TARGETS, *SAMPLES, "z1", "theirs"])
def test_series_of_a_job_are_those_of_prometheus(received, job):
    theirs = of_job(received["prometheus"]["one"], job)
    assert of_job(received["limpet"]["one"], job) == theirs
    assert bool(theirs) == (job not in NONE)


def test_each_remote_gets_what_its_rules_leave(received):
    assert received["limpet"]["two"] == received["prometheus"]["two"]
    assert received["limpet"]["one"] == received["prometheus"]["one"]
    names = {dict(key)["__name__"] for key in received["limpet"]["two"]}
    assert "alive" in names and "up" not in names
