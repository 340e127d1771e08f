# SPDX-License-Identifier: GPL-2.0-or-later
"""The number of shards follows the measured lag; every series stays in order all the same."""
from lib.load import Load
from lib.proc import wait_until

SHARDS = "prometheus_remote_storage_shards"
NEWEST_IN = "prometheus_remote_storage_highest_timestamp_in_seconds"
NEWEST_SENT = "prometheus_remote_storage_queue_highest_sent_timestamp_seconds"


def test_a_slow_receiver_gets_more_shards_and_everything_in_order(tmp_path):
    """60 targets bring 8,800 samples a second; a shard can deliver 2,000, and one more than that
    each time the number is looked at, every ten seconds."""
    queue = {"max_samples_per_send": 200, "min_shards": 1, "max_shards": 20}
    with Load(str(tmp_path), 60, 500, queue=queue) as load:
        load.faults("delay_ms=100&percent=100")
        limpet = load.start()
        assert limpet.metric(SHARDS) == 1
        wait_until(lambda: limpet.metric(NEWEST_IN) - limpet.metric(NEWEST_SENT) > 2, 20, "a lag", 0.1)
        wait_until(lambda: limpet.metric(SHARDS) >= 4, 60, "more shards", 0.2)
        wait_until(lambda: limpet.metric(NEWEST_IN) - limpet.metric(NEWEST_SENT) < 1, 60, "no lag", 0.1)
        load.wait_for_more_scrapes(4)
        wait_until(lambda: limpet.metric("limpet_remote_spool_pending") == 0, 60, "no lag", 0.2)
        assert limpet.metric(f"{SHARDS}_desired") > 1
        load.faults("clear=1")
        load.finish(limpet)
        assert load.account().problems() == []
