# SPDX-License-Identifier: GPL-2.0-or-later
"""The supervisor alone: limpet with children that do nothing but live, and misbehave on demand
(stand_in.c). What the real ones make of it is in test_life.py."""
import fcntl
import os
import re
import select
import signal
import socket
import time

import pytest

from lib.limpet import program_of, session_members
from lib.lives import children_in
from lib.proc import Process, built, children_of, wait_until
from lib.supervisor import CONFIG, NAMES, Supervisor, field, supervisor_page


# ------------------------------------------------------------------------------------------- start


def test_it_starts_all_says_ready_and_stops_in_order(tmp_path):
    with Supervisor(tmp_path) as limpet:
        assert sorted(limpet.children()) == sorted(NAMES)
        host, port = limpet.address().split(":")
        socket.create_connection((host, int(port)), 2).close()
        limpet.stop_in_order()
        left = [field(line, "child") for line in limpet.lines('msg="child left"')]
        assert sorted(left[:2]) == ["discovery", "scraper-0"]
        assert left[2:] == ["writer", "console"]


def test_what_is_inherited_from_a_careless_parent_does_no_harm(tmp_path):
    def careless():
        for number in (signal.SIGCHLD, signal.SIGHUP, signal.SIGPIPE, signal.SIGUSR1):
            signal.signal(number, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGUSR1, signal.SIGALRM})

    with Supervisor(tmp_path, preexec_fn=careless) as limpet:
        os.kill(limpet.children()["writer"], signal.SIGKILL)
        limpet.wait_for_lines('msg="child started" child=writer', 2)
        limpet.send(signal.SIGHUP)
        limpet.wait_for_line("msg=reloaded")
        limpet.stop_in_order()


def test_children_have_their_heritage_and_no_other_descriptor(tmp_path):
    leak = os.open("/etc/passwd", os.O_RDONLY)
    os.set_inheritable(leak, True)
    high = fcntl.fcntl(leak, fcntl.F_DUPFD, 500)
    storage = str(tmp_path / "storage")
    try:
        with Supervisor(tmp_path, limpet=", scrapers: 2", flags=[f"--storage.path={storage}"],
                        pass_fds=[leak, high]) as limpet:
            for pid in children_of(limpet.pid):
                check_descriptors(limpet, pid)
            limpet.stop_in_order()
    finally:
        os.close(leak)
        os.close(high)


def descriptors_of(pid):
    found = {}
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            found[int(fd)] = os.readlink(f"/proc/{pid}/fd/{fd}")
        except FileNotFoundError:
            pass  # closed since
    return found


def check_descriptors(limpet, pid):
    """By the table in shm/heritage.h."""
    runtime, storage = limpet.paths.runtime, f"{limpet.directory}/storage"
    program = program_of(pid)
    with open(f"/proc/{pid}/cmdline") as file:
        index = int(re.search(r"--index=(\d+)", file.read()).group(1))
    expected = {0: "/dev/null", 1: "/dev/null", 2: limpet.stderr_path, 3: "socket:",
                4: "/memfd:limpet-config", 5: f"{runtime}/control", 224: f"{runtime}/lock",
                225: f"{storage}/lock"}
    rings = {16 + 2 * i: f"{runtime}/ring-{i}" for i in range(2)}
    series = {17 + 2 * i: f"{runtime}/series-{i}" for i in range(2)}
    read_only = set()
    if program == "limpet-discovery":
        expected |= {6: f"{runtime}/targets", 160: "anon_inode:[eventfd]",
                     161: "anon_inode:[eventfd]", **rings}
        read_only = set(rings)
    elif program == "limpet-scraper":
        expected |= {6: f"{runtime}/targets", 8: "anon_inode:[eventfd]", 9: "anon_inode:[eventfd]",
                     **rings, **series}
        read_only = {6, 16, 17, 18, 19} - {16 + 2 * index, 17 + 2 * index}
    else:
        expected |= {6: f"{runtime}/targets", 7: f"{runtime}/delivery", **rings, **series}
        if program == "limpet-writer":
            expected |= {8: "anon_inode:[eventfd]", 226: storage}
            read_only = {6, 17, 19}
        else:
            expected |= {10: "socket:"}
            read_only = {6, 7, 16, 17, 18, 19}
    # What a child opens itself for a moment, a file that it reads, is closed soon.
    wait_until(lambda: descriptors_of(pid).keys() == expected.keys(), what=f"those of {program}")
    found = descriptors_of(pid)
    for fd, target in expected.items():
        assert found[fd].startswith(target), (program, fd)
    for fd in (fd for fd, target in expected.items() if target.startswith(runtime)):
        with open(f"/proc/{pid}/fdinfo/{fd}") as file:
            access = int(re.search(r"flags:\s+(\d+)", file.read()).group(1), 8) & os.O_ACCMODE
        assert access == (os.O_RDONLY if fd in read_only else os.O_RDWR), (program, fd)


def test_the_supervisor_itself_has_no_connection(tmp_path):
    with Supervisor(tmp_path) as limpet:
        with open(f"/proc/{limpet.pid}/net/tcp") as file:
            states = {row.split()[9]: row.split()[3] for row in file.readlines()[1:]}
        sockets = [re.match(r"socket:\[(\d+)\]", os.readlink(f"/proc/{limpet.pid}/fd/{fd}"))
                   for fd in os.listdir(f"/proc/{limpet.pid}/fd")]
        tcp = [states[match.group(1)] for match in sockets if match and match.group(1) in states]
        assert tcp == ["0A"]  # LISTEN, its only one
        limpet.stop_in_order()


@pytest.mark.parametrize("flags, status, text", [
    (["--config.fil=x"], 2, "unknown flag --config.fil; the nearest valid flag is --config.file"),
    (["--query.timeout=1m"], 3, "is for a Prometheus server only"),
    (["--web.listen-address=host:80"], 1, "host:80 is not an address and a port"),
    (["--config.file=/nowhere.yml"], 1, "/nowhere.yml"),
    (["serve"], 2, "unexpected argument serve"),
    (["check"], 2, "usage: limpet check config FILE"),
    (["check", "config"], 2, "usage: limpet check config FILE"),
])
def test_what_cannot_start_says_why(tmp_path, flags, status, text):
    runtime = f"--runtime.path={tmp_path}/run"
    words = flags if flags[0] == "check" else [runtime, *flags]
    (tmp_path / "prometheus.yml").write_text(CONFIG % "")
    with Process([built("limpet"), *words], str(tmp_path), cwd=tmp_path) as limpet:
        assert limpet.wait() == status
        assert text in limpet.stderr()


def test_a_bad_configuration_ends_it_with_status_two(tmp_path):
    with Supervisor(tmp_path, config="scrape_config: []\n", ready=False) as limpet:
        assert limpet.wait() == 2
        assert "limpet.yml:1:1: unknown key" in limpet.stderr()
        assert "scrape_configs" in limpet.stderr()


def test_an_address_that_is_taken_ends_it(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with Supervisor(tmp_path, listen=address, ready=False) as limpet:
            assert limpet.wait() == 1
            assert f"cannot listen on {address}: Address already in use" in limpet.stderr()


def test_a_missing_program_is_named(tmp_path):
    with Supervisor(tmp_path) as limpet:
        limpet.stop_in_order()
        os.unlink(os.path.join(limpet.bin, "limpet-console"))
        with Supervisor(tmp_path, "second", ready=False) as second:
            assert second.wait() == 1
            assert "the program limpet-console is missing" in second.stderr()


def test_shared_memory_of_another_version_is_refused(tmp_path):
    with Supervisor(tmp_path) as limpet:
        limpet.stop_in_order()
        with open(os.path.join(limpet.paths.runtime, "control"), "r+b") as file:
            file.seek(8)
            file.write((99).to_bytes(4, "little"))
        with Supervisor(tmp_path, "second", paths=limpet.paths, ready=False) as second:
            assert second.wait() == 1
            assert re.search(r"layout version 99\.\d+, .* needs layout version \d", second.stderr())


def test_flags_and_settings_without_effect_are_said_once(tmp_path):
    flags = ["--storage.agent.wal-compression", "--agent", "--enable-feature=agent",
             "--web.config.file=w.yml"]
    with Supervisor(tmp_path, flags=flags, config=CONFIG % "" + "tracing_x: 1\n", ready=False) as bad:
        assert bad.wait() == 2
        said = [field(line, "flag") for line in bad.lines('msg="this flag changes nothing"')]
        assert said == ["storage.agent.wal-compression", "web.config.file"]
    idle = CONFIG.replace("  static_configs: [{targets: ['127.0.0.1:1']}]\n", "") % ""
    with Supervisor(tmp_path, "idle", config=idle) as limpet:
        assert len(limpet.lines("has no targets")) == 1
        limpet.stop_in_order()


# ------------------------------------------------------------------------------------------- death


@pytest.mark.parametrize("child", NAMES)
def test_a_killed_child_is_back_at_once(tmp_path, child):
    with Supervisor(tmp_path) as limpet:
        before = limpet.all_children()
        os.kill(before[child], signal.SIGKILL)
        limpet.wait_for_lines(f'msg="child ready" child={child}', 2)
        after = limpet.all_children()
        started, ended = children_in(limpet.stderr())
        assert started[after[child]][1] - ended[before[child]] < 5  # an instant, but anybody may stand still
        # Its death was noticed, and not only ten seconds later that it did nothing any more.
        assert limpet.lines("a child gives no sign of life") == []
        assert {name for name in NAMES if before[name] != after[name]} == {child}
        limpet.stop_in_order()


def test_one_that_dies_again_and_again_has_to_wait_and_the_others_do_not_care(tmp_path):
    with Supervisor(tmp_path) as limpet:
        before = limpet.all_children()
        limpet.behave("scraper-0", "exit")
        waits = [int(field(line, "wait_ms"))
                 for line in limpet.wait_for_lines('msg="a child dies again and again', 4)]
        assert waits[:4] == [100, 200, 400, 800]
        limpet.behave_well("scraper-0")
        limpet.wait_for_lines('msg="child ready" child=scraper-0', 2)
        after = limpet.all_children()
        assert {name for name in NAMES if before[name] != after[name]} == {"scraper-0"}
        limpet.stop_in_order()


def test_one_that_gives_no_sign_of_life_is_aborted(tmp_path):
    with Supervisor(tmp_path) as limpet:
        stopped = limpet.all_children()["writer"]
        limpet.behave("scraper-0", "hang")
        os.kill(stopped, signal.SIGSTOP)
        limpet.wait_for_lines('msg="a child gives no sign of life: aborting it"', 2, 30)
        limpet.wait_for_lines('msg="a child was killed by a signal"', 2)
        assert all("signal=ABRT" in line
                   for line in limpet.lines('msg="a child was killed by a signal"'))
        limpet.behave_well("scraper-0")
        limpet.wait_for_lines('msg="child ready" child=writer', 2)
        limpet.stop_in_order()


def test_a_target_on_which_scrapers_die_gets_under_quarantine(tmp_path):
    with Supervisor(tmp_path) as limpet:
        limpet.behave("scraper-0", "segv")
        limpet.wait_for_lines("signal=SEGV", 3)
        line = limpet.wait_for_line("it is not scraped for an hour")
        assert "target=0000000000001234 deaths=3" in line
        page = supervisor_page(limpet)
        assert page["quarantined"] == 0x1234 and page["quarantines"] == 1
        assert page["restarts of scraper-0"] >= 3
        limpet.behave_well("scraper-0")
        limpet.stop_in_order()


# ----------------------------------------------------------------------------------------- the end


def test_one_that_cannot_work_ends_the_whole(tmp_path):
    directory = tmp_path / "limpet-behaviour"
    directory.mkdir()
    (directory / "writer").write_text("fatal")
    with Supervisor(tmp_path, ready=False) as limpet:
        assert limpet.wait() == 1
        assert "a child cannot work, and trying again would not help" in limpet.stderr()
        assert session_members(limpet.pid) == {}


def test_a_deaf_child_is_killed_when_its_time_is_over(tmp_path):
    with Supervisor(tmp_path, flags=["--storage.remote.flush-deadline=1s"]) as limpet:
        limpet.behave("writer", "deaf")
        began = time.monotonic()
        limpet.stop_in_order()
        assert 1.5 < time.monotonic() - began
        killed = [field(line, "child") for line in limpet.lines('msg="killing a child"')]
        assert killed[0] == "writer"  # the console, which comes after it, has two seconds itself


def test_a_second_signal_hurries(tmp_path):
    with Supervisor(tmp_path) as limpet:
        limpet.behave("writer", "deaf")
        limpet.send(signal.SIGTERM)
        limpet.wait_for_line('msg="child left" child=scraper-0')
        assert supervisor_page(limpet)["stopping"] == 1
        limpet.send(signal.SIGINT)
        began = time.monotonic()
        assert limpet.wait() == 0
        assert time.monotonic() - began < 40  # and not a minute, which its deadline is
        assert limpet.lines('msg="stopping at once"')


def test_children_leave_when_the_supervisor_is_killed(tmp_path):
    with Supervisor(tmp_path, limpet=", scrapers: 3") as limpet:
        limpet.send(signal.SIGKILL)
        limpet.wait()
        wait_until(lambda: not session_members(limpet.pid), 2, "the end of the children")


def test_a_successor_waits_for_the_last_child_even_for_one_that_hangs(tmp_path):
    with Supervisor(tmp_path) as first:
        writer = first.all_children()["writer"]
        first.behave("writer", "hang")
        first.wait_for_line("writer hangs")
        os.kill(writer, signal.SIGSTOP)  # it does not end, as it would in some seconds, until that was seen
        first.send(signal.SIGKILL)
        first.wait()
        with Supervisor(tmp_path, "second", paths=first.paths, ready=False) as second:
            second.wait_for_line("waiting as a standby")
            wait_until(lambda: list(session_members(first.pid).values()) == ["limpet-writer"], 10,
                       "the end of the others")
            assert not second.lines("msg=ready")
            os.kill(writer, signal.SIGCONT)
            second.wait_for_line("msg=ready", 20)
            assert session_members(first.pid) == {}
            assert len(second.lines("waiting as a standby")) == 1
            second.stop_in_order()


def test_a_standby_takes_the_file_as_it_is_when_its_time_comes(tmp_path):
    with Supervisor(tmp_path) as first:
        with Supervisor(tmp_path, "second", paths=first.paths, ready=False) as second:
            second.wait_for_line("waiting as a standby")
            second.send(signal.SIGHUP)  # not now
            second.write_config(CONFIG % ", scrapers: 2")
            first.stop_in_order()
            second.wait_for_line("msg=ready")
            assert len(children_of(second.pid)) == 5
            second.stop_in_order()


# --------------------------------------------------------------------------------- CPUs and systemd


def test_on_one_cpu_everybody_runs_there(tmp_path):
    cpu = min(os.sched_getaffinity(0))
    with Supervisor(tmp_path, limpet=", pinning: on, scrapers: 2",
                    preexec_fn=lambda: os.sched_setaffinity(0, {cpu})) as limpet:
        pids = children_of(limpet.pid)
        assert len(pids) == 5 and all(os.sched_getaffinity(pid) == {cpu} for pid in pids)
        limpet.stop_in_order()


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two CPUs")
def test_children_follow_when_the_cpus_change(tmp_path):
    allowed = os.sched_getaffinity(0)
    low, high = min(allowed), max(allowed)

    def is_at(cpus):
        return all(os.sched_getaffinity(pid) == cpus for pid in children_of(limpet.pid))

    with Supervisor(tmp_path, limpet=", pinning: on") as limpet:
        scraper = limpet.all_children()["scraper-0"]
        assert os.sched_getaffinity(scraper) == {low}
        for cpu in (high, low):
            os.sched_setaffinity(limpet.pid, {cpu})
            wait_until(lambda: is_at({cpu}), 10, f"everybody at CPU {cpu}")
        os.sched_setaffinity(limpet.pid, allowed)
        wait_until(lambda: not is_at({low}), 10, "children elsewhere")
        assert os.sched_getaffinity(scraper) == {low}
        limpet.stop_in_order()


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two CPUs")
def test_the_others_keep_off_a_scrapers_cpu_and_a_reload_can_let_go(tmp_path):
    allowed = os.sched_getaffinity(0)
    cpu = max(allowed)
    with Supervisor(tmp_path, limpet=f", cpus: {cpu}") as limpet:
        for name, pid in limpet.all_children().items():
            assert os.sched_getaffinity(pid) == ({cpu} if name == "scraper-0" else allowed - {cpu})
        limpet.write_config(CONFIG % ", pinning: off")
        limpet.send(signal.SIGHUP)
        limpet.wait_for_line("msg=reloaded")
        for pid in limpet.all_children().values():
            assert os.sched_getaffinity(pid) == allowed
        limpet.stop_in_order()


def test_systemd_hears_of_everything(tmp_path):
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(path)
        sock.settimeout(60)
        env = {"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "300000"}
        with Supervisor(tmp_path, env=env, limpet=", scrapers: 2") as limpet:
            wait_for(sock, "READY=1\nSTATUS=Scraping with 2 processes.")
            wait_for(sock, "WATCHDOG=1")
            limpet.send(signal.SIGHUP)
            wait_for(sock, "RELOADING=1\nMONOTONIC_USEC=")
            wait_for(sock, "READY=1")
            limpet.write_config("bad")
            limpet.send(signal.SIGHUP)
            wait_for(sock, "RELOADING=1")
            wait_for(sock, "READY=1")
            limpet.send(signal.SIGTERM)
            wait_for(sock, "STOPPING=1")
            # It waits for room where nobody reads, and goes on to tell that it lives.
            wait_until(lambda: read_all(sock) or not limpet.running(), 10, "its end")
            assert limpet.wait() == 0


def read_all(sock):
    while select.select([sock], [], [], 0)[0]:
        assert sock.recv(4096) == b"WATCHDOG=1"


def wait_for(sock, start):
    """Reads on until a message starts like this; others than WATCHDOG may not come before it."""
    while True:
        text = sock.recv(4096).decode()
        if text.startswith(start):
            return
        assert text == "WATCHDOG=1", text
