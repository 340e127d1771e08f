# SPDX-License-Identifier: GPL-2.0-or-later
"""limpet as a service: pages, reload, stop, standby, notification, CPUs, and children that die."""
import json
import os
import re
import shutil
import signal
import socket
import threading
import time

import pytest

from lib.limpet import ROLES, Limpet, config, job, remote
from lib.lives import children_in
from lib.proc import Process, own_loopback, wait_until
from lib.remote_write import Receiver
from lib.stream import STALE, assert_each_request_is_one_scrape, count_whole, stream_of
from lib.target import Pieces, Target, Wait


@pytest.fixture
def target():
    with Target(lambda request: b"n %d\n" % request.number, own_loopback()) as target:
        yield target


def settings(target, receiver, *more, **options):
    return config(job("j", [target.address], {"case": "c"}), *more, remote(receiver.url),
                  interval="400ms", **options)


TIME_OUT = 0.4  # seconds, of these scrapes


def wait_for_scrapes(receiver, count, case="c"):
    wait_until(lambda: count_whole(receiver, case) >= count, 20, f"{count} scrapes", 0.05)


def wait_for_more_scrapes(receiver, more):
    wait_for_scrapes(receiver, count_whole(receiver, "c") + more)


def assert_no_gap_and_no_marker(receiver, target, missing=1):
    """Every request arrived as a scrape, but for what was in flight at the end. Returns the scrapes."""
    stream = stream_of(receiver, case="c", job="j", instance=target.address)
    assert_each_request_is_one_scrape(stream, target, TIME_OUT, missing)
    assert all(STALE not in scrape.report.values() and
               (scrape.ran_out(TIME_OUT) or STALE not in scrape.samples.values())
               for scrape in stream.scrapes)
    return stream.scrapes


# ------------------------------------------------------------------------------------------- pages


def test_pages(tmp_path, receiver, target):
    with Limpet(tmp_path, settings(target, receiver)) as limpet:
        assert limpet.get("/-/healthy")[0] == 200 and limpet.get("/-/ready")[0] == 200
        assert limpet.get("/nothing")[0] == 404
        status, text = limpet.get("/metrics")
        assert status == 200 and "# TYPE limpet_scrapes_total counter" in text
        assert limpet.post("/-/reload")[0] == 403 and limpet.post("/-/quit")[0] == 403
        limpet.stop()


def test_limpet_can_be_scraped_by_itself(tmp_path, receiver, target):
    given = settings(target, receiver)
    with Limpet(tmp_path, given) as limpet:
        own = job("self", [f"127.0.0.1:{limpet.port}"], {"case": "self"})
        assert limpet.reload(settings(target, receiver, own))
        limpet.wait_for_children()  # a console that leaves takes no more requests
        since = time.time() * 1000

        def in_time():
            scrapes = stream_of(receiver, case="self", job="self",
                                instance=f"127.0.0.1:{limpet.port}").scrapes
            return [scrape for scrape in scrapes if scrape.ts > since and scrape.is_whole()
                    and not scrape.ran_out(TIME_OUT)]

        wait_until(lambda: len(in_time()) >= 2, 20, "two scrapes of itself", 0.1)
        limpet.stop()
    good = in_time()
    assert all(scrape.report["up"] == 1 for scrape in good)
    names = {text.split("{")[0] for text in good[-1].samples}
    assert {"limpet_scrapes_total", "prometheus_remote_storage_samples_total"} <= names


def test_lifecycle_by_http_where_it_is_allowed(tmp_path, receiver, target):
    with Limpet(tmp_path, settings(target, receiver),
                flags=["--web.enable-lifecycle", "--agent", "--enable-feature=agent"]) as limpet:
        assert limpet.post("/-/reload")[0] == 200
        limpet.wait_for_children()  # a console that leaves takes no more requests
        limpet.write_config("global: {scrape_intervall: 1s}")
        status, text = limpet.post("/-/reload")
        assert status == 500 and "scrape_interval" in text
        assert limpet.post("/-/quit")[0] == 200
        assert limpet.wait(20) == 0
        wait_until(lambda: not limpet.left_over(), 5, "the end of all children")


@pytest.mark.parametrize("log_format", ["logfmt", "json"])
def test_the_log_has_the_form_that_was_asked_for(tmp_path, receiver, target, log_format):
    with Limpet(tmp_path, settings(target, receiver), flags=[f"--log.format={log_format}"]) as limpet:
        limpet.stop()
        lines = limpet.stderr().splitlines()
    assert lines
    for line in lines:
        if log_format == "json":
            assert "level" in json.loads(line)
        else:
            assert "level=" in line and "msg=" in line


# ------------------------------------------------------------------------------- reload and the end


def test_a_reload_loses_no_scrape_and_no_series(tmp_path, receiver, target):
    given = settings(target, receiver)
    given["scrape_configs"][0]["scrape_interval"] = "4s"
    with Limpet(tmp_path, given) as limpet:
        wait_for_scrapes(receiver, 1)
        for i in range(3):
            with Target(b"a 1\n") as other:
                name = f"new{i}"
                new = job(name, [other.address], {"case": name})
                assert limpet.reload({**given, "scrape_configs": [*given["scrape_configs"], new]})
                wait_for_scrapes(receiver, 2, name)
        wait_for_more_scrapes(receiver, 2)
        limpet.stop()
    times = [scrape.ts for scrape in assert_no_gap_and_no_marker(receiver, target)]
    gaps = [after - before for before, after in zip(times, times[1:])]
    assert max(gaps) < 7600, gaps  # late it may be, but none is left out


def test_a_reload_changes_external_labels_and_remotes(tmp_path, receiver, target):
    with Receiver() as other, Limpet(tmp_path, settings(target, receiver)) as limpet:
        wait_for_scrapes(receiver, 2)
        assert limpet.reload(settings(target, other, external_labels={"zone": "z"}))
        wait_for_scrapes(other, 3)
        limpet.stop()
        assert ("zone", "z") in other.accepted()[-1].series[-1].labels


def test_sigterm_while_a_scrape_hangs(tmp_path, receiver, target):
    """What is in flight is abandoned within its time-out; the rest is delivered; exit 0."""
    with Target(Pieces([Wait(seconds=300)])) as hanging:
        slow = job("h", [hanging.address], {"case": "h"}, scrape_interval="5s", scrape_timeout="3s")
        with Limpet(tmp_path, settings(target, receiver, slow)) as limpet:
            hanging.wait_for_requests(1)
            wait_for_scrapes(receiver, 2)
            began = time.monotonic()
            limpet.stop()
            assert time.monotonic() - began < 60
    assert_no_gap_and_no_marker(receiver, target)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_both_signals_end_it_in_order(tmp_path, receiver, target, number):
    """Sent to all processes, as a terminal or a control group does."""
    with Limpet(tmp_path, settings(target, receiver)) as limpet:
        wait_for_scrapes(receiver, 2)
        os.killpg(limpet.pid, number)
        assert limpet.wait(20) == 0
        wait_until(lambda: not limpet.left_over(), 5, "the end of all children")
    assert_no_gap_and_no_marker(receiver, target)


# ------------------------------------------------------------------------------------------ children


def test_children_of_every_role_run_under_their_names(tmp_path, receiver, target):
    with Limpet(tmp_path, settings(target, receiver, limpet={"scrapers": 2})) as limpet:
        assert {role: len(pids) for role, pids in limpet.children().items()} == {
            role: 2 if role == "limpet-scraper" else 1 for role in ROLES}
        limpet.stop()


@pytest.mark.parametrize("role", ROLES)
def test_a_killed_child_is_back_at_once_and_nothing_is_lost(tmp_path, receiver, target, role):
    pairs = []  # (one that was killed, its successor)
    with Limpet(tmp_path, settings(target, receiver)) as limpet:
        wait_for_scrapes(receiver, 3)
        for _ in range(3):
            pid = limpet.child(role)
            os.kill(pid, signal.SIGKILL)
            wait_until(lambda: pid not in limpet.children().get(role, [pid]), 5, f"a new {role}")
            pairs.append((pid, limpet.child(role)))
            wait_for_more_scrapes(receiver, 2)
        wait_until(limpet.is_ready, 5, "ready")
        limpet.stop()
    started, ended = children_in(limpet.stderr())
    for pid, successor in pairs:
        assert started[successor][1] - ended[pid] < 5  # an instant; but any process may stand still
    # Their deaths were noticed, and not only ten seconds later that they did nothing any more.
    assert "a child gives no sign of life" not in limpet.stderr()
    # A scraper that dies in a scrape has not committed it.
    assert_no_gap_and_no_marker(receiver, target, missing=1 + 3 * (role == "limpet-scraper"))


def test_children_leave_when_the_supervisor_is_killed(tmp_path, receiver, target):
    with Limpet(tmp_path, settings(target, receiver)) as limpet:
        wait_for_scrapes(receiver, 3)
        limpet.send(signal.SIGKILL)
        limpet.wait()
        wait_until(lambda: not limpet.left_over(), 8, "the end of the children")
    assert_no_gap_and_no_marker(receiver, target)


# ---------------------------------------------------------------------------- directories and CPUs


def test_a_second_limpet_waits_and_takes_over(tmp_path, receiver, target):
    given = settings(target, receiver)
    with Limpet(tmp_path, given) as first:
        wait_for_scrapes(receiver, 3)
        with Limpet(tmp_path, given, "second", paths=first.paths, ready=False) as second:
            second.wait_for_line("standby")
            assert not second.is_ready()
            first.stop()
            second.wait_ready(second.is_ready, 20)
            wait_for_more_scrapes(receiver, 3)
            second.stop()
    assert_no_gap_and_no_marker(receiver, target, missing=2)


def test_a_standby_can_be_stopped(tmp_path, receiver, target):
    given = settings(target, receiver)
    with Limpet(tmp_path, given) as first:
        with Limpet(tmp_path, given, "second", paths=first.paths, ready=False) as second:
            second.wait_for_line("standby")
            second.stop()
        wait_for_scrapes(receiver, 3)
        first.stop()


def test_it_works_without_a_runtime_path(tmp_path, receiver, target):
    """Segments are then below /dev/shm, or memory without a name."""
    with Limpet(tmp_path, settings(target, receiver)) as limpet:
        limpet.stop()
        words = [word for word in limpet.argv if not word.startswith("--runtime")]
    with Process(words, str(tmp_path), "plain") as plain:
        wait_for_more_scrapes(receiver, 3)
        assert plain.stop(20) == 0
        chosen = re.search(r'msg="runtime directory" path=(\S+)', plain.stderr())
        if chosen:
            shutil.rmtree(chosen.group(1))


def slept(pid):
    """How often the process has gone to sleep, which is how often it was woken."""
    with open(f"/proc/{pid}/status") as file:
        return int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", file.read(), re.M)[1])


def test_one_that_has_nothing_to_do_wakes_every_other_second(tmp_path, receiver):
    with Limpet(tmp_path, config(remote(receiver.url))) as limpet:
        wait_until(limpet.is_ready, 20, "ready", 0.05)
        pids = [limpet.pid, *sum(limpet.children().values(), [])]
        assert len(pids) == 5

        def is_quiet(seconds=6):
            before = {pid: slept(pid) for pid in pids}
            began = time.monotonic()
            time.sleep(seconds)
            woken = {pid: slept(pid) - before[pid] for pid in pids}
            return max(woken.values()) <= (time.monotonic() - began) / 2 + 1

        # Not yet at the start, and not where the machine has to read something again.
        wait_until(is_quiet, 20, "a time without more")
        limpet.stop()


def test_systemd_is_told(tmp_path, receiver, target):
    path = str(tmp_path / "notify")
    told = []
    done = threading.Event()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(path)
        sock.settimeout(0.2)

        def listen():
            while not done.is_set():
                try:
                    told.append(sock.recv(4096).decode())
                except TimeoutError:
                    pass

        thread = threading.Thread(target=listen)
        thread.start()
        try:
            with Limpet(tmp_path, settings(target, receiver), env={"NOTIFY_SOCKET": path}) as limpet:
                wait_until(lambda: any("READY=1" in text for text in told), 10, "READY")
                limpet.stop()
                wait_until(lambda: any("STOPPING=1" in text for text in told), 5, "STOPPING")
        finally:
            done.set()
            thread.join()
    ready = next(i for i, text in enumerate(told) if "READY=1" in text)
    stopping = next(i for i, text in enumerate(told) if "STOPPING=1" in text)
    assert ready < stopping


def test_it_works_in_a_cpuset_of_one_cpu(tmp_path, receiver, target):
    mine = os.sched_getaffinity(0)
    cpu = min(mine)
    os.sched_setaffinity(0, {cpu})
    try:
        with Limpet(tmp_path, settings(target, receiver, limpet={"pinning": "on"})) as limpet:
            wait_for_scrapes(receiver, 3)
            for pids in limpet.children().values():
                assert all(os.sched_getaffinity(pid) == {cpu} for pid in pids)
            limpet.stop()
    finally:
        os.sched_setaffinity(0, mine)


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two CPUs")
def test_scrapers_are_pinned_and_the_others_keep_off_their_cpu(tmp_path, receiver, target):
    cpu = min(os.sched_getaffinity(0))
    given = settings(target, receiver, limpet={"cpus": str(cpu), "pinning": "on"})
    with Limpet(tmp_path, given) as limpet:
        wait_for_scrapes(receiver, 2)
        for role in ROLES:
            affinity = os.sched_getaffinity(limpet.child(role))
            assert affinity == {cpu} if role == "limpet-scraper" else cpu not in affinity
        limpet.stop()
