# SPDX-License-Identifier: GPL-2.0-or-later
"""The ledger after faults of one kind each, at known moments."""
import os
import pathlib
import signal
import subprocess
import time

import pytest

from forwarder import Forwarder
from ledger import Ledger
from lib.proc import wait_until

SCRIPT = pathlib.Path(__file__).resolve().parents[1] / "unit" / "net" / "certificates.sh"
NAMESPACE = ["unshare", "--mount", "--map-root-user", "sh", "-c"]


@pytest.fixture
def ledger(tmp_path):
    with Ledger(str(tmp_path), 1) as ledger:
        ledger.options["spool"]["after"] = "100ms"
        ledger.queue["min_shards"] = 1
        ledger.write_config()
        yield ledger


def in_namespace(command):
    """A prefix that makes limpet's command one in a mount namespace, after this command there."""
    if subprocess.run([*NAMESPACE, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("no mount namespaces here")
    return [*NAMESPACE, f"{command} && exec \"$@\"", "sh"]


def pending(ledger, receiver):
    return ledger.sum_of(receiver, ["limpet_remote_spool_pending"])


def committed(ledger):
    return int(ledger.limpet.metric("limpet_samples_appended_total"))


def arrived(receiver):
    return receiver.report()["samples"]["stored"]


def wait_for_more(receiver, samples=2000, timeout=30):
    more = arrived(receiver) + samples
    wait_until(lambda: arrived(receiver) >= more, timeout, "more samples", 0.1)


def is_left_alone(guest, receiver):
    """While another one gets something."""
    before = arrived(guest)
    wait_for_more(receiver)
    return arrived(guest) == before


def test_requests_that_arrive_when_their_spool_is_gone(ledger):
    """The one case in which a loss is counted that arrived: only the receiver can know."""
    receiver = ledger.receivers[0]
    ledger.live(1)
    receiver.process.send(signal.SIGSTOP)
    wait_until(lambda: pending(ledger, receiver) > 0, 20, "a request in the spool")
    ledger.remove_spool()
    ledger.kill("limpet-writer")
    wait_until(lambda: ledger.sum_of(receiver, ["limpet_remote_spool_dropped_total"]) > 0, 20,
               "a loss that is counted")
    receiver.process.send(signal.SIGCONT)
    committed, came, lost = ledger.end()["p"]
    unheard = receiver.report()["requests"]["unheard_samples"]
    assert 0 < came + lost - committed <= unheard


def test_an_outage_of_ten_minutes(ledger):
    """Compressed: as many scrapes as ten minutes have at an interval of fifteen seconds."""
    receiver = ledger.receivers[0]
    ledger.live(1)
    receiver.faults("status=503&percent=100")
    wait_until(lambda: pending(ledger, receiver) >= 38 * 20 * 73, 60, "38 scrapes that wait", 0.1)
    waiting, before = pending(ledger, receiver), committed(ledger)
    receiver.faults("clear=1")
    wait_until(lambda: pending(ledger, receiver) == 0, 60, "an empty spool", 0.02)
    # On a machine of its own within a fraction of the time in which it came in. A busy one takes
    # longer, where every request waits for two processes to be run.
    assert committed(ledger) - before <= 5 * waiting
    wait_until(lambda: arrived(ledger.receivers[1]) >= waiting, 20, "no outage at the other")
    assert ledger.limpet.metric("limpet_scrapes_skipped_total", reason="ring_full") == 0
    repeats = receiver.report()["repeats"]
    assert repeats["identical"] > 10 and repeats["not_identical"] == 0
    assert ledger.end()["p"][2] == 0


def test_a_full_disk(ledger):
    """Of 200 kB: first it holds something, then the ring has to, then the oldest goes."""
    receiver = ledger.receivers[0]
    storage = ledger.load.paths.storage
    os.makedirs(storage, exist_ok=True)
    ledger.prefix = in_namespace(f"mount -t tmpfs -o size=200k none '{storage}'")
    ledger.options["ring_size"] = "1MiB"
    ledger.write_config()
    ledger.live(1)
    receiver.faults("status=503&percent=100")
    wait_until(lambda: ledger.sum_of(receiver, ["limpet_remote_spool_write_errors_total"]) > 0, 60,
               "a full disk", 0.1)
    assert pending(ledger, receiver) > 0
    lost = ["prometheus_remote_storage_samples_dropped_total"]
    wait_until(lambda: ledger.sum_of(receiver, lost) > 0, 120, "a ring that is half full", 0.1)
    # Repeats, which are many, do not keep it out of the log.
    ledger.limpet.wait_for_line('samples are dropped" why="its spool cannot be written"')
    ledger.kill("limpet-writer")
    ledger.live(1)
    assert ledger.end()["v"][2] == 0


def test_a_disk_that_is_read_only(ledger):
    """What is there is delivered, though no mark can be written and no file removed."""
    receiver = ledger.receivers[0]
    storage = ledger.load.paths.storage
    ledger.live(1)
    receiver.faults("status=503&percent=100")
    wait_until(lambda: pending(ledger, receiver) > 5000, 30, "something in the spool", 0.1)
    ledger.limpet.stop(60)
    ledger.prefix = in_namespace(f"mount --bind '{storage}' '{storage}' && "
                                 f"mount -o remount,bind,ro '{storage}'")
    ledger.live(1)
    wait_until(lambda: ledger.sum_of(receiver, ["limpet_remote_spool_write_errors_total"]) > 0, 30,
               "a write that fails", 0.1)
    receiver.faults("clear=1")
    wait_until(lambda: pending(ledger, receiver) == 0, 30, "an empty spool", 0.1)
    wait_for_more(receiver)
    assert ledger.end()["p"][2] == 0


def test_reloads_that_add_remove_and_reorder_remotes(ledger):
    ledger.live(1)
    guest = ledger.guest
    for is_there in True, True, False, False, True:
        ledger.guest_is_there = is_there
        ledger.write_config(ledger.random)
        assert ledger.limpet.reload(ledger.load.config)
        for receiver in ledger.receivers:
            wait_for_more(receiver)
        if is_there:
            wait_for_more(guest)
        else:
            wait_until(lambda: is_left_alone(guest, ledger.receivers[0]), 30, "an end of sending")
    assert {lost for _, _, lost in ledger.end().values()} == {0}
    report = guest.report()
    assert report["errors"]["total"] == 0 and report["scrapes"]["number_regressions"] == 0


def test_a_receiver_that_moves_to_another_address(ledger, tmp_path):
    receiver = ledger.receivers[0]
    port = int(receiver.base.rsplit(":", 1)[1])
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.2 receiver.test\n")
    old = Forwarder("127.0.0.2", port, port)
    receiver.url = f"http://receiver.test:{port}/api/v1/write"
    ledger.prefix = in_namespace(f"mount --bind '{hosts}' /etc/hosts")
    ledger.write_config()
    ledger.live(1)
    wait_for_more(receiver)
    assert old.accepted > 0
    hosts.write_text("127.0.0.1 receiver.test\n")
    old.close()
    wait_until(lambda: pending(ledger, receiver) > 0, 20, "something that waits")
    wait_for_more(receiver, timeout=90)
    assert ledger.end()["p"][2] == 0


def test_a_certificate_that_expires_and_one_that_is_renewed(ledger, tmp_path):
    made = tmp_path / "certificates"
    made.mkdir()
    subprocess.run(["sh", str(SCRIPT), str(made)], check=True)
    receiver = ledger.receivers[0]
    way = Forwarder("127.0.0.1", 0, int(receiver.base.rsplit(":", 1)[1]), str(made / "server.pem"))
    receiver.url = f"https://localhost:{way.port}/api/v1/write"
    receiver.settings = {"tls_config": {"ca_file": str(made / "ca.pem")}}
    ledger.write_config()
    ledger.live(1)
    wait_for_more(receiver)
    way.present(str(made / "expired.pem"))
    wait_until(lambda: pending(ledger, receiver) > 3000, 30, "samples that wait")
    ledger.limpet.wait_for_line("expired")
    before = arrived(receiver)
    way.present(str(made / "rsa.pem"))
    wait_for_more(receiver, arrived(ledger.receivers[1]) - before)
    assert ledger.end()["p"][2] == 0
    way.close()


def test_scrapers_come_and_go_while_a_receiver_does(ledger):
    """Targets move with what is in the rings, in the spool and on its way; some scrapers die."""
    ledger.live(1)
    for scrapers, victim in ((3, None), (1, None), (2, "limpet-scraper"), (1, "tree"), (3, None),
                             (2, "limpet-writer")):
        ledger.options["scrapers"] = scrapers
        ledger.write_config()
        ledger.outage()
        assert ledger.limpet.reload(ledger.load.config)
        if victim:
            ledger.kill(victim)
        ledger.live(1)
        ledger.recover()
        ledger.live(1)
    ledger.end()
