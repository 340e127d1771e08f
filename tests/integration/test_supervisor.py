# SPDX-License-Identifier: GPL-2.0-or-later
"""The supervisor alone: limpet with children that do nothing but live, and misbehave on demand
(stand_in.c). What the real ones make of it is in test_life.py."""
import fcntl
import os
import re
import shutil
import signal
import socket
import time

import pytest

from lib.limpet import ROLES, Paths, program_of, session_members
from lib.proc import Process, built, children_of, wait_until

CONFIG = """
global: {scrape_interval: 5s}
scrape_configs:
- job_name: a
  scrape_timeout: 1s
  static_configs: [{targets: ['127.0.0.1:1']}]
remote_write: [{url: 'http://127.0.0.1:9/write'}]
limpet: {ring_size: 1MiB%s}
"""
NAMES = {"discovery": "limpet-discovery", "writer": "limpet-writer", "scraper-0": "limpet-scraper",
         "console": "limpet-console"}


class Supervisor(Process):
    """limpet between stand-ins. `paths`: those of another one; `limpet`: more for that block."""

    def __init__(self, directory, name="limpet", flags=(), paths=None, limpet="", ready=True,
                 config=None, listen="127.0.0.1:0", env=None, **options):
        self.directory = str(directory)
        self.bin = os.path.join(self.directory, "bin")
        self.behaviour = os.path.join(self.directory, f"{name}-behaviour")
        self.config = os.path.join(self.directory, f"{name}.yml")
        self.paths = paths or Paths(self.directory)
        self.own_paths = paths is None
        os.makedirs(self.behaviour, exist_ok=True)
        if not os.path.exists(self.bin):
            os.makedirs(self.bin)
            shutil.copy(built("limpet"), self.bin)
            for role in ROLES:
                os.symlink(built("tests/integration/stand_in"), os.path.join(self.bin, role))
        self.write_config(CONFIG % limpet if config is None else config)
        Process.__init__(
            self,
            [os.path.join(self.bin, "limpet"), f"--config.file={self.config}",
             f"--runtime.path={self.paths.runtime}", f"--web.listen-address={listen}",
             "--log.level=debug", *flags],
            self.directory, name, {"STAND_IN": self.behaviour, **(env or {})}, **options)
        if ready:
            try:
                self.wait_for_line("msg=ready")
            except BaseException:
                self.__exit__()
                raise

    def __exit__(self, *_):
        self.stop_or_kill()
        for pid in session_members(self.pid):
            os.kill(pid, signal.SIGKILL)
        if self.own_paths:
            self.paths.remove()

    def write_config(self, text):
        with open(self.config, "w") as file:
            file.write(text)

    def behave(self, child, word):
        path = os.path.join(self.behaviour, child)
        with open(path + ".new", "w") as file:
            file.write(word)
        os.rename(path + ".new", path)

    def behave_well(self, child):
        os.unlink(os.path.join(self.behaviour, child))

    def children(self):
        """{name: pid}, for a single scraper."""
        programs = {program_of(pid): pid for pid in children_of(self.pid)}
        return {name: programs[program] for name, program in NAMES.items() if program in programs}

    def all_children(self):
        return wait_until(lambda: (lambda found: found if len(found) == len(NAMES) else None)(
            self.children()), 5, "all children")

    def lines(self, text):
        return [line for line in self.stderr().split("\n")[:-1] if text in line]

    def wait_for_lines(self, text, count, timeout=20):
        return wait_until(lambda: (lambda got: got if len(got) >= count else None)(
            self.lines(text)), timeout, f"{count} lines with {text!r} in\n{self.stderr()}")

    def address(self):
        return re.search(r"msg=listening address=(\S+)", self.stderr()).group(1)

    def stop_in_order(self, timeout=10):
        assert self.stop(timeout) == 0, self.stderr()
        assert session_members(self.pid) == {}


def field(line, key):
    return re.search(rf"\b{key}=(\S+)", line).group(1)


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
def test_a_killed_child_is_back_in_under_a_second(tmp_path, child):
    with Supervisor(tmp_path) as limpet:
        before = limpet.all_children()
        began = time.monotonic()
        os.kill(before[child], signal.SIGKILL)
        limpet.wait_for_lines(f'msg="child ready" child={child}', 2)
        # Where nothing else happens, that is; who is found hanging takes longer.
        assert time.monotonic() - began < 4
        after = limpet.all_children()
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


def supervisor_page(limpet):
    """Some numbers of struct shm_supervisor (shm/layout.h)."""
    with open(os.path.join(limpet.paths.runtime, "control"), "rb") as file:
        file.seek(4096)
        page = file.read(4096)

    def number(offset):
        return int.from_bytes(page[offset : offset + 8], "little")

    restarts = 6 * 8 + 512
    quarantined = restarts + 67 * 8
    return {"generation": number(8), "attempts": number(16), "ok": number(24),
            "error": page[48:560].split(b"\0")[0].decode(),
            "restarts of scraper-0": number(restarts + 3 * 8),
            "quarantined": number(quarantined), "scrapers": number(quarantined + 33 * 8),
            "quarantines": number(quarantined + 32 * 8),
            "stopping": number(quarantined + 34 * 8), "refused": number(quarantined + 35 * 8)}


# ------------------------------------------------------------------------------------------ reload


def test_a_bad_reload_changes_nothing_and_says_where(tmp_path):
    with Supervisor(tmp_path) as limpet:
        before = limpet.all_children()
        limpet.write_config(CONFIG % "" + "globl: {}\n")
        limpet.send(signal.SIGHUP)
        line = limpet.wait_for_line('msg="reload failed, nothing has changed"')
        assert 'limpet.yml:9:1: unknown key \\"globl\\"' in line
        page = supervisor_page(limpet)
        assert (page["generation"], page["attempts"], page["ok"]) == (1, 1, 0)
        assert "limpet.yml:9:1: unknown key" in page["error"]
        assert limpet.all_children() == before
        limpet.stop_in_order()


def test_a_good_reload_rolls_the_children_one_by_one(tmp_path):
    with Supervisor(tmp_path, limpet=", scrapers: 2") as limpet:
        before = set(children_of(limpet.pid))
        limpet.send(signal.SIGHUP)
        limpet.wait_for_line("msg=reloaded")
        rolled = limpet.stderr().split("msg=reloading")[1].split("msg=reloaded")[0]
        steps = re.findall(r'msg="child (left|started|ready)" child=(\S+)', rolled)
        order = ["discovery", "writer", "scraper-0", "scraper-1", "console"]
        assert steps == [(step, name) for name in order for step in ("left", "started", "ready")]
        assert not before & set(children_of(limpet.pid))
        page = supervisor_page(limpet)
        assert (page["generation"], page["attempts"], page["ok"], page["error"]) == (2, 1, 1, "")
        limpet.stop_in_order()


def test_reloads_during_a_roll_end_with_the_newest(tmp_path):
    with Supervisor(tmp_path) as limpet:
        for generation in range(2, 7):
            limpet.send(signal.SIGHUP)
            limpet.wait_for_line(f"msg=reloading file={limpet.config} generation={generation}")
        limpet.wait_for_line("msg=reloaded generation=6")
        assert len(limpet.all_children()) == 4
        limpet.stop_in_order()


def test_settings_that_need_a_restart_are_refused_one_by_one(tmp_path):
    with Supervisor(tmp_path) as limpet:
        limpet.write_config(CONFIG.replace("1MiB", "2MiB") % "")
        limpet.send(signal.SIGHUP)
        limpet.wait_for_line("msg=reloaded")
        lines = limpet.lines("this setting changes with a restart only")
        assert 'key="limpet: ring_size" asked=2097152 in_force=1048576' in lines[0]
        assert supervisor_page(limpet)["refused"] == 1
        limpet.stop_in_order()
        with Supervisor(tmp_path, "again", paths=limpet.paths, limpet=", scrapers: 3") as again:
            assert len(children_of(again.pid)) == 6
            again.stop_in_order()


def test_scrapers_come_and_go_with_reloads(tmp_path):
    with Supervisor(tmp_path) as limpet:
        for generation, scrapers in enumerate([3, 2, 4, 1], 2):
            limpet.write_config(CONFIG % f", scrapers: {scrapers}")
            limpet.send(signal.SIGHUP)
            limpet.wait_for_line(f"msg=reloaded generation={generation}")
            programs = [program_of(pid) for pid in children_of(limpet.pid)]
            assert programs.count("limpet-scraper") == scrapers
            assert supervisor_page(limpet)["scrapers"] == scrapers
        limpet.stop_in_order()


def test_a_scraper_that_dies_when_it_is_not_wanted_any_more_does_not_come_back(tmp_path):
    with Supervisor(tmp_path, limpet=", scrapers: 2") as limpet:
        limpet.behave("scraper-0", "deaf")  # so that the roll is not at scraper-1 yet
        pid = re.search(r"child=scraper-1 pid=(\d+)", limpet.stderr()).group(1)
        limpet.write_config(CONFIG % "")
        limpet.send(signal.SIGHUP)
        limpet.wait_for_line("msg=reloading")
        os.kill(int(pid), signal.SIGKILL)
        limpet.wait_for_line('msg="a child was killed by a signal" child=scraper-1')
        limpet.wait_for_line("msg=reloaded")
        limpet.behave_well("scraper-0")
        assert len(children_of(limpet.pid)) == len(NAMES)
        limpet.stop_in_order()


def test_a_child_that_hangs_in_a_roll_is_killed_and_the_roll_goes_on(tmp_path):
    with Supervisor(tmp_path) as limpet:
        before = limpet.all_children()
        limpet.behave("scraper-0", "deaf")
        limpet.send(signal.SIGHUP)
        limpet.wait_for_line("msg=reloaded")
        killed = limpet.lines('msg="killing a child"')
        assert len(killed) == 1 and f"child=scraper-0 pid={before['scraper-0']}" in killed[0]
        limpet.behave_well("scraper-0")
        limpet.stop_in_order()


def test_a_configuration_that_a_child_refuses_is_taken_back(tmp_path):
    with Supervisor(tmp_path) as limpet:
        limpet.behave("scraper-0", "refuse")
        limpet.send(signal.SIGHUP)
        limpet.wait_for_line('msg="going back to the configuration before"')
        limpet.wait_for_lines('msg="child ready" child=writer', 3)  # there and back
        limpet.behave_well("scraper-0")
        limpet.wait_for_lines('msg="child ready" child=scraper-0', 2)
        page = supervisor_page(limpet)
        assert (page["generation"], page["attempts"], page["ok"]) == (1, 2, 0)
        assert "scraper-0 cannot work with the new configuration" in page["error"]
        limpet.send(signal.SIGHUP)
        limpet.wait_for_line("msg=reloaded generation=3")
        limpet.stop_in_order()


def test_the_console_may_ask_for_a_reload_and_for_the_end_where_that_is_allowed(tmp_path):
    with Supervisor(tmp_path, flags=["--web.enable-lifecycle"]) as limpet:
        limpet.behave("console", "reload")
        limpet.wait_for_line("msg=reloaded")
        limpet.behave("writer", "reload")
        limpet.behave("console", "quit")
        assert limpet.wait() == 0
        assert len(limpet.lines("msg=reloading")) == 1
        assert "/-/quit" in limpet.lines("msg=stopping")[0]


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
        assert 1.5 < time.monotonic() - began < 20
        assert [field(line, "child") for line in limpet.lines('msg="killing a child"')] == ["writer"]


def test_a_second_signal_hurries(tmp_path):
    with Supervisor(tmp_path) as limpet:
        limpet.behave("writer", "deaf")
        limpet.send(signal.SIGTERM)
        limpet.wait_for_line('msg="child left" child=scraper-0')
        assert supervisor_page(limpet)["stopping"] == 1
        limpet.send(signal.SIGINT)
        began = time.monotonic()
        assert limpet.wait() == 0
        assert time.monotonic() - began < 20
        assert limpet.lines('msg="stopping at once"')


def test_children_leave_when_the_supervisor_is_killed(tmp_path):
    with Supervisor(tmp_path, limpet=", scrapers: 3") as limpet:
        limpet.send(signal.SIGKILL)
        limpet.wait()
        wait_until(lambda: not session_members(limpet.pid), 2, "the end of the children")


def test_a_successor_waits_for_the_last_child_even_for_one_that_hangs(tmp_path):
    with Supervisor(tmp_path) as first:
        first.behave("writer", "hang")
        first.wait_for_line("writer hangs")
        first.send(signal.SIGKILL)
        first.wait()
        with Supervisor(tmp_path, "second", paths=first.paths, ready=False) as second:
            second.wait_for_line("waiting as a standby")
            assert list(session_members(first.pid).values()) == ["limpet-writer"]
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
            assert limpet.wait() == 0


def wait_for(sock, start):
    """Reads on until a message starts like this; others than WATCHDOG may not come before it."""
    while True:
        text = sock.recv(4096).decode()
        if text.startswith(start):
            return
        assert text == "WATCHDOG=1", text
