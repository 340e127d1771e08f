# SPDX-License-Identifier: GPL-2.0-or-later
"""Fifteen nodes, each with its limpet, and nobody who coordinates them (perf/run-cluster runs it
longer): every pod is scraped by exactly one of them, and the ledger balances."""
import contextlib
import json
import time

import pytest

from lib.cluster import Cluster, Shape
from lib.limpet import Limpet, config, job, remote
from lib.podnet import PodNet
from lib.proc import wait_until
from lib.remote_write import Receiver


def test_every_pod_is_scraped_by_exactly_one_of_fifteen(tmp_path):
    with Cluster(str(tmp_path), Shape(nodes=15, pods=1430, interval=5)) as cluster:
        cluster.run_for(8)
        cluster.run_for(cluster.roll(cluster.applications[:14], pace=0.03))
        cluster.lose("node-03")
        cluster.run_for(10)
        cluster.bring_back("node-03")
        for name in ("node-07", "node-11"):
            cluster.restart(name)
        cluster.forget_versions()
        cluster.run_for(cluster.roll(cluster.applications[20:24], pace=0.05) + 6)
        report = cluster.finish()
    print(json.dumps(report, indent=1))
    assert report["errors"] == []
    assert report["targets"] > 1430 and report["problems"] == 14
    # Two kinds, once more each after what was forgotten, and at each start.
    assert report["lists_by_node"][0] >= 4 and report["lists_by_node"][1] <= 6


def settings(net, ips, receiver, name, **sharding):
    targets = [f"{ip}:{net.port}" for ip in ips]
    return config(job("static", targets, http_headers={"X-Node": {"values": [name]}}),
                  remote(receiver.url), interval="500ms", limpet={"sharding": sharding})


def scrapers_of(net, since):
    """{ip: names of those who scraped it since then}"""
    return {ip: {name for when, name in served if when > since}
            for (ip, _), served in net.ledger().items()}


def wait_for_all(net, ips):
    """{ip: its only scraper}, when that has been so for a while."""
    def look():
        since = time.time()
        time.sleep(1.5)  # three intervals: each has been scraped, and a second one would show itself
        found = scrapers_of(net, since)
        return found if all(len(found.get(ip, ())) == 1 for ip in ips) else None

    return wait_until(look, 20, "one scraper of each target")


def test_a_stateful_set_shares_targets_out_by_hash(tmp_path):
    """The ordinal comes from the pod's name. One more instance takes its share, and nothing else
    moves."""
    ips = [f"127.9.0.{i + 1}" for i in range(60)]
    with PodNet() as net, Receiver() as receiver, contextlib.ExitStack() as stack:
        net.up(*ips)

        def settings_of(i, shards):
            return settings(net, ips, receiver, f"limpet-{i}", by="hash", shards=shards)

        def start(i, shards):
            (tmp_path / str(i)).mkdir()
            return stack.enter_context(Limpet(tmp_path / str(i), settings_of(i, shards),
                                              env={"POD_NAME": f"limpet-{i}"}))

        limpets = [start(i, 3) for i in range(3)]
        before = wait_for_all(net, ips)
        for i, limpet in enumerate(limpets):
            assert limpet.reload(settings_of(i, 4))
        start(3, 4)
        after = wait_until(lambda: (lambda found: found if {"limpet-3"} in found.values() else None)(
            wait_for_all(net, ips)), 20, "a share of the fourth")
        # A quarter by a hash of addresses that nobody has chosen: as good as always between these.
        moved = {ip for ip in ips if after[ip] != before[ip]}
        assert all(after[ip] == {"limpet-3"} for ip in moved) and 2 <= len(moved) <= 35


@pytest.mark.parametrize("unlocated, takers", [("all", 2), ("none", 0)])
def test_targets_without_a_node(tmp_path, unlocated, takers):
    ips = [f"127.9.1.{i + 1}" for i in range(10)]
    with PodNet() as net, Receiver() as receiver, contextlib.ExitStack() as stack:
        net.up(*ips)
        for name in ("node-a", "node-b"):
            (tmp_path / name).mkdir()
            stack.enter_context(Limpet(
                tmp_path / name, settings(net, ips, receiver, name, unlocated=unlocated),
                env={"NODE_NAME": name}))
        if takers:
            wait_until(lambda: all(len(names) == takers for names in scrapers_of(net, 0).values())
                       and len(scrapers_of(net, 0)) == 10, 20, "both")
        else:
            time.sleep(2)
            assert scrapers_of(net, 0) == {}
