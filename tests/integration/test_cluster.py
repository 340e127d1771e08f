# SPDX-License-Identifier: GPL-2.0-or-later
"""Fifteen nodes, each with its limpet, and nobody who coordinates them (perf/run-cluster runs it
longer): every pod is scraped by exactly one of them, and the ledger balances."""
import json

from lib.cluster import Cluster, Shape


def test_every_pod_is_scraped_by_exactly_one_of_fifteen(tmp_path):
    with Cluster(str(tmp_path), Shape(nodes=15, pods=1430, interval=5)) as cluster:
        cluster.run_for(8)
        cluster.run_for(cluster.roll(cluster.applications[:14], pace=0.03))
        cluster.lose("node-03")
        cluster.run_for(10)
        cluster.bring_back("node-03")
        cluster.forget_versions()
        cluster.run_for(cluster.roll(cluster.applications[20:24], pace=0.05) + 6)
        report = cluster.finish()
    print(json.dumps(report, indent=1))
    assert report["errors"] == []
    assert report["targets"] > 1430 and report["problems"] == 14
    assert report["lists_by_node"] == [4, 6]  # two kinds, once more each after what was forgotten
