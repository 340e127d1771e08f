# SPDX-License-Identifier: GPL-2.0-or-later
"""The main job with real programs: node_exporter, an application with python3-prometheus-client and
a farm are scraped, Prometheus and VictoriaMetrics are filled, and both are asked by PromQL."""
import contextlib
import json
import time

import pytest

from lib import prom
from lib.limpet import Limpet, config, file_job, job, remote
from lib.proc import Process, built, wait_until

PODS = 50


class Run:
    """Everything at work together; `stack` ends it."""

    def __init__(self, stack, directory):
        self.directory = str(directory)
        add = stack.enter_context
        self.node = add(prom.NodeExporter(self.directory))
        self.app = add(prom.ClientApp(self.directory))
        self.farm = add(Process([built("perf/farm"), "--targets", PODS, "--encoding", "mixed",
                                 "--file-sd", f"{directory}/pods.json"], self.directory))
        self.farm_ready = self.farm.ready_json()
        self.prometheus = add(prom.Prometheus(self.directory))
        self.victoria = add(prom.VictoriaMetrics(self.directory))
        self.limpet = add(Limpet(self.directory, self.config()))

    def config(self):
        return config(
            job("node", [self.node.address]),
            job("app", [self.app.address], {"team": "north"}),
            file_job("pods", f"{self.directory}/pods.json"),
            remote(self.prometheus.write_url, name="prometheus"),
            remote(self.victoria.write_url, name="victoria"),
            external_labels={"cluster": "test", "team": "not me"})

    def has_all(self, server):
        if server is self.victoria:
            server.flush()
        return server.value("count(count_over_time(up[10m]) >= 3)") == PODS + 2


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """When both receivers have three scrapes of each target."""
    with contextlib.ExitStack() as stack:
        run = Run(stack, tmp_path_factory.mktemp("end_to_end"))
        for server in (run.prometheus, run.victoria):
            wait_until(lambda: run.has_all(server), 30, f"three scrapes in {server.name}", 0.3)
        yield run


@pytest.fixture(params=["prometheus", "victoria"])
def server(run, request):
    return getattr(run, request.param)


def of_late(selector):
    """The newest values, whatever became of the very last scrape on a busy machine."""
    return f"last_over_time({selector}[1m])"


def test_all_targets_are_up_and_carry_their_labels(run, server):
    rows = wait_until(lambda: (lambda got: got if sum(value for _, (_, value) in got) == PODS + 2
                               else None)(server.query("up")), 20, "all targets that are up", 0.3)
    assert len(rows) == PODS + 2
    labels = {"__name__": "up", "cluster": "test", "job": "app", "instance": run.app.address,
              "team": "north"}
    assert [got for got, _ in rows if got["job"] == "app"] == [labels]
    pod = server.query(f'up{{instance="{run.farm_ready["last"]}"}}')[0][0]
    assert pod == {"__name__": "up", "cluster": "test", "job": "pods", "team": "not me",
                   "instance": run.farm_ready["last"], "namespace": pod["namespace"],
                   "pod": f"pod-{PODS - 1:06}"}


def test_values_of_a_client_library_arrive_as_exposed(server):
    assert server.value(of_late("app_ticks_total")) == 41.5
    ((labels, (_, value)),) = server.query(of_late("app_temperature_celsius"))
    assert labels["room"] == 'kitchen "north"\\n' and value == -3.25
    assert server.value(of_late("app_latency_seconds_count")) == 4
    assert server.value(of_late('app_latency_seconds_bucket{le="+Inf"}')) == 4
    assert server.value(of_late('app_latency_seconds_bucket{le="1.0"}')) == 2
    assert server.value(of_late("app_size_bytes_sum")) == 1234
    assert server.value("max_over_time(scrape_samples_scraped{job='app'}[1m])") == server.value(
        "count(" + of_late("{job='app',__name__!~'up|scrape_.+'}") + ")")


def test_node_exporter_arrives_whole(run, server):
    scraped = server.value("max_over_time(scrape_samples_scraped{job='node'}[1m])")
    assert scraped > 200
    exposed = prom.http_get(f"http://{run.node.address}/metrics")[1]
    names = {line.split("{")[0].split(" ")[0] for line in exposed.splitlines() if line[0] != "#"}

    def missing():
        return names - {labels["__name__"] for labels, _ in server.query(of_late("{job='node'}"))}

    wait_until(lambda: not missing(), 20, "all names", 0.3)
    assert server.value(f"count({of_late('node_cpu_seconds_total')})") > 0
    assert server.value("increase(node_cpu_seconds_total{mode='idle',cpu='0'}[1m])") >= 0


def test_timestamps_in_the_receiver_are_one_interval_apart(server):
    def gaps():
        if isinstance(server, prom.VictoriaMetrics):
            server.flush()
        return [after - before for _, samples in server.raw("up", 60)
                for (before, _), (after, _) in zip(samples, samples[1:])]

    # Who is late has its own time, and on a busy machine most are for a while.
    wait_until(lambda: 1000 in gaps(), 20, "two in time", 0.3)
    assert min(gaps()) > 0


def test_the_report_series_are_those_of_prometheus(run, server):
    pod = f'{{instance="{run.farm_ready["first"]}"}}'
    series = run.farm_ready["series"]
    assert server.value(f"max_over_time(scrape_samples_scraped{pod}[10m])") == series
    assert server.value(f"max_over_time(scrape_samples_post_metric_relabeling{pod}[10m])") == series
    assert server.value(f"max_over_time(scrape_series_added{pod}[10m])") == series
    assert server.value(f"min_over_time(scrape_series_added{pod}[10m])") == 0
    assert 0 < server.value(f"min_over_time(scrape_duration_seconds{pod}[10m])") < 1


def test_both_receivers_have_the_same_samples(run):
    """Of the time that both have seen: what one misses at the edge the other may have."""
    now = time.time()
    run.victoria.flush()
    of_prometheus = run.prometheus.raw("farm_scrape_number", 600, now)
    of_victoria = {json.dumps(labels, sort_keys=True): dict(samples)
                   for labels, samples in run.victoria.raw("farm_scrape_number", 600, now)}
    assert len(of_prometheus) == PODS
    for labels, samples in of_prometheus:
        other = of_victoria[json.dumps(labels, sort_keys=True)]
        common = set(dict(samples)) & set(other)
        assert len(common) >= 2
        assert all(dict(samples)[ts] == other[ts] for ts in common)


def test_a_second_prometheus_would_have_stored_the_same(run, tmp_path):
    """Prometheus scrapes the application itself: series and values are the same ones."""
    settings = f"""
global: {{scrape_interval: 1s}}
scrape_configs:
  - job_name: app
    static_configs: [{{targets: ["{run.app.address}"], labels: {{team: north}}}}]
"""
    volatile = ("scrape_duration_seconds", "scrape_series_added", "up")

    def stored(server, **more):
        found = {json.dumps({**labels, **more}, sort_keys=True): value
                 for labels, (_, value) in server.query(of_late("{job='app'}"))}
        return {key: None if json.loads(key)["__name__"] in volatile else value
                for key, value in found.items()}

    with prom.Prometheus(str(tmp_path), settings, "scraping") as other:
        other.wait_ready(lambda: other.value("max_over_time(up[1m])") == 1, 30)
        # The very last scrape of either may have failed on a busy machine.
        wait_until(lambda: stored(other, cluster="test") == stored(run.prometheus), 20,
                   "the same of both", 0.2)


def test_zz_the_end_delivers_all_and_leaves_nobody(run):
    """SIGTERM: what was committed is delivered, exit 0, no child is left. (The last test: it ends
    the limpet of this file.)"""
    run.limpet.stop()
    account = json.loads(prom.http_get(f"http://127.0.0.1:{run.farm_ready['port']}/farm")[1])
    for target in account["targets"]:
        instance = f'{{instance="{target["instance"]}"}}'
        newest = run.prometheus.value(f"max_over_time(farm_scrape_number{instance}[10m])")
        ((_, ups),) = run.prometheus.raw(f"up{instance}", 600)
        failed = sum(value == 0 for _, value in ups)  # by their time-out: nothing else fails
        assert target["complete"] - 1 - failed <= newest <= target["complete"]
