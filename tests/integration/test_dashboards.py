# SPDX-License-Identifier: GPL-2.0-or-later
"""Rules and panels that exist for Prometheus' remote write, asked of a real Prometheus that scrapes
limpet's own page."""
import time

from lib import prom
from lib.limpet import Limpet, config, job, remote
from lib.proc import free_port, wait_until
from lib.remote_write import Answer
from lib.target import Target

PREFIX = "prometheus_remote_storage_"
FAILURES = (  # percent of what is sent; fires above 1
    f"(rate({PREFIX}samples_failed_total[20s]) / (rate({PREFIX}samples_failed_total[20s])"
    f" + rate({PREFIX}samples_total[20s]))) * 100")
BEHIND = (  # seconds; fires above 120
    f"max_over_time({PREFIX}highest_timestamp_in_seconds[5s]) - ignoring(remote_name, url) group_right"
    f" max_over_time({PREFIX}queue_highest_sent_timestamp_seconds[5s])")
DESIRED = (  # fires where there is a result
    f"max_over_time({PREFIX}shards_desired[20s]) > max_over_time({PREFIX}shards_max[20s])")
PANELS = [
    f"rate({PREFIX}samples_in_total[20s]) - ignoring(remote_name, url) group_right(instance)"
    f" rate({PREFIX}samples_total[20s])",
    *[PREFIX + name for name in (
        "shards", "shards_max", "shards_min", "shards_desired", "shard_capacity", "samples_pending",
        "histograms_pending", "exemplars_pending", "max_samples_per_send", "bytes_total",
        "samples_retried_total", "metadata_total", "histograms_total", "exemplars_total",
        "queue_highest_timestamp_seconds", "sent_batch_duration_seconds_bucket")],
    "prometheus_agent_active_series", "prometheus_agent_samples_appended_total",
]


def newest_with_an_outcome(receiver):
    """Seconds."""
    return max(ts for request in list(receiver.requests) if request.status in (204, 400)
               for series in request.series for ts, _ in series.samples) / 1000


def test_rules_and_panels_of_prometheus_hold(tmp_path, receiver):
    port = free_port()
    scrape = ("global: {scrape_interval: 500ms}\nscrape_configs: [{job_name: limpet, "
              f"static_configs: [{{targets: ['127.0.0.1:{port}']}}]}}]\n")
    with Target(b"a 1\n") as target, prom.Prometheus(str(tmp_path), scrape) as server, \
            Limpet(tmp_path, config(job("j", [target.address]), remote(receiver.url), interval="200ms"),
                   port=port):
        def lag():
            found = server.value(BEHIND)
            return -1000 if found is None else found

        wait_until(lambda: -100 < lag() < 3, 20, "a lag that is none", 0.2)
        wait_until(lambda: server.value(FAILURES) == 0, 20, "no failures", 0.2)
        assert server.query(DESIRED) == []
        for panel in PANELS:
            wait_until(lambda: server.query(panel), 10, panel, 0.2)
        receiver.script += [Answer(status=400)] * 10
        wait_until(lambda: (server.value(FAILURES) or 0) > 1, 20, "failures", 0.2)
        receiver.script += [Answer(status=503)] * 10000
        # It grows with time, and is no more than what has passed.
        wait_until(lambda: 5 < lag() < time.time() - newest_with_an_outcome(receiver) + 0.1, 30, "a lag", 0.2)
