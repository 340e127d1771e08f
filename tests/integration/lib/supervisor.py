# SPDX-License-Identifier: GPL-2.0-or-later
"""The supervisor alone: limpet with children that do nothing but live, and misbehave on demand
(stand_in.c)."""
import os
import re
import shutil

from .limpet import ROLES, Paths, program_of, session_members
from .proc import Process, built, children_of, kill, wait_until

CONFIG = """
global: {scrape_interval: 5s}
scrape_configs:
- job_name: a
  scrape_timeout: 5s
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
            kill(pid)
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
