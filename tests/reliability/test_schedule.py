# SPDX-License-Identifier: GPL-2.0-or-later
"""Whatever a receiver does, targets are scraped on time, and in the end it has everything."""
import time

import pytest

from lib.load import Load
from lib.proc import wait_until

BAD = ["status=503&percent=70", "delay_ms=5000", "hang=1", "reset=after-body&percent=60",
       "reset=after-head"]
SECONDS = 8
STALL_MS = 3000  # for so long a busy machine may not run somebody


def anonymous_kib(pid):
    with open(f"/proc/{pid}/smaps_rollup") as file:
        return sum(int(line.split()[1]) for line in file if line.startswith("Anonymous:"))


@pytest.mark.parametrize("fault", BAD)
def test_scraping_keeps_its_schedule(tmp_path, fault):
    with Load(str(tmp_path), 100, 500, limpet={"spool": {"after": "1s"}}) as load:
        limpet = load.start()
        load.wait_for_scrapes(3)
        writer = limpet.child("limpet-writer")
        before = anonymous_kib(writer)
        load.faults(fault)
        time.sleep(SECONDS)
        assert limpet.child("limpet-writer") == writer
        assert anonymous_kib(writer) - before < 16 * 1024
        assert limpet.metric("limpet_scrapes_skipped_total", reason="ring_full") == 0
        load.faults("clear=1")
        load.wait_for_more_scrapes(4)
        load.finish(limpet)
        account = load.account()
        # Of a request that was reset before its body was read the receiver does not know the bytes.
        assert [problem for problem in account.problems()
                if fault != "reset=after-head" or "repeats that differ" not in problem] == []
        late = [row for row in account.report["intervals"]["first_off"]
                if row["distance_ms"] > 1.5 * load.interval_ms + STALL_MS]
        assert not late
