# SPDX-License-Identifier: GPL-2.0-or-later
"""What the writer needs while a remote takes nothing, with 100,000 series."""
import pytest

from lib.load import Load
from lib.proc import wait_until

INTERVAL_MS = 2000
LIMIT_KIB = 16 * 1024


class Peak:
    """Of resident memory, pages of segments that it shares included, as the kernel saw it."""

    def __init__(self, pid):
        self.pid = pid

    def forget(self):
        with open(f"/proc/{self.pid}/clear_refs", "w") as file:
            file.write("5")

    def kib(self):
        with open(f"/proc/{self.pid}/status") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("VmHWM:"))


@pytest.mark.parametrize("fault", ["status=503&percent=100", "hang=1&percent=100"])
def test_an_outage_costs_no_memory(tmp_path, fault):
    with Load(str(tmp_path), 2, INTERVAL_MS, farm=["--kind", "big"], remote_timeout="2s",
              limpet={"spool": {"after": "1s"}}) as load:
        limpet = load.start()
        load.wait_for_scrapes(3)
        assert limpet.metric("limpet_active_series") >= 100000
        writer = limpet.child("limpet-writer")
        peak = Peak(writer)
        peak.forget()
        load.wait_for_more_scrapes(2)
        normal = peak.kib()
        peak.forget()
        load.faults(fault)
        wait_until(lambda: limpet.metric("limpet_remote_spool_pending") >= 5 * 100000, 120,
                   "five scrapes in the spool", 0.2)
        load.faults("clear=1")
        wait_until(lambda: limpet.metric("limpet_remote_spool_pending") == 0, 60, "an empty spool",
                   0.1)
        outage = peak.kib()
        assert limpet.child("limpet-writer") == writer
        load.finish(limpet)
        print(f"normal {normal} KiB, in the outage and after it {outage} KiB")
        assert outage <= normal + LIMIT_KIB
        assert load.account().problems() == []
