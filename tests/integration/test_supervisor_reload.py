# SPDX-License-Identifier: GPL-2.0-or-later
"""Reloads of the supervisor, between children that do nothing but live (lib/supervisor.py)."""
import os
import re
import signal

from lib.limpet import program_of
from lib.proc import children_of
from lib.supervisor import CONFIG, NAMES, Supervisor, supervisor_page


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


def test_rings_stay_when_scrapers_are_taken_back_and_the_writer_learns_of_them(tmp_path):
    """The second scraper may have used its ring before the third refused."""
    with Supervisor(tmp_path) as limpet:
        limpet.behave("scraper-2", "refuse")
        limpet.behave("discovery", "deaf")  # so that the roll is not at the writer yet
        limpet.write_config(CONFIG % ", scrapers: 3")
        limpet.send(signal.SIGHUP)
        limpet.wait_for_line('msg="going back to the configuration before"')
        assert len(limpet.lines('msg="child ready" child=writer')) == 1
        limpet.behave_well("discovery")
        limpet.wait_for_lines('msg="child ready" child=writer', 2)
        with open(f"/proc/{limpet.all_children()['writer']}/cmdline", "rb") as file:
            assert b"--scrapers=3" in file.read().split(b"\0")
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
