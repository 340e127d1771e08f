# SPDX-License-Identifier: GPL-2.0-or-later
"""limpet itself under test: a configuration as a dict, directories of its own, pages, children.

    with Limpet(directory, config(job("app", [target.address]), remote(receiver.url))) as limpet:
        ... limpet.metrics(), limpet.children()["limpet-writer"] ...
        limpet.stop()                   # asserts exit status 0 and that nobody is left
"""
import http.client
import json
import os
import re
import shutil
import signal
import tempfile

from .proc import BUILD, Process, free_port, kill, wait_until
from .prom import http_get, http_post

ROLES = ["limpet-discovery", "limpet-scraper", "limpet-writer", "limpet-console"]


def job(name, targets=(), labels=None, **settings):
    """An entry of scrape_configs with static targets."""
    groups = [{"targets": list(targets), **({"labels": labels} if labels else {})}]
    return {"job_name": name, **({"static_configs": groups} if targets else {}), **settings}


def file_job(name, path, **settings):
    return {"job_name": name, "file_sd_configs": [{"files": [str(path)]}], **settings}


def remote(url, **settings):
    """An entry of remote_write that sends soon; what is given as queue_config is added."""
    queue = {"batch_send_deadline": "100ms", **settings.pop("queue_config", {})}
    return {"url": url, "queue_config": queue, **settings}


def config(*entries, interval="1s", external_labels=None, limpet=None):
    """Sorts the entries made by job() and remote() into a whole configuration."""
    return {
        "global": {
            "scrape_interval": interval,
            **({"external_labels": external_labels} if external_labels else {}),
        },
        "scrape_configs": [entry for entry in entries if "job_name" in entry],
        "remote_write": [entry for entry in entries if "url" in entry],
        **({"limpet": limpet} if limpet else {}),
    }


def write_atomically(path, text):
    temporary = f"{path}.new"
    with open(temporary, "w") as file:
        file.write(text)
    os.rename(temporary, path)


def write_file_sd(path, groups):
    """groups: [([target, ...], labels), ...]"""
    found = [{"targets": targets, "labels": labels} for targets, labels in groups]
    write_atomically(path, json.dumps(found))


_SERIES = re.compile(r"([A-Za-z_:][\w:]*)(?:\{(.*)\})? (\S+)$")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


def parse_metrics(text):
    """[(name, labels, value)] of a page in the text format."""
    rows = []
    for line in text.splitlines():
        if line and not line.startswith("#"):
            name, labels, value = _SERIES.match(line).groups()
            rows.append((name, dict(_LABEL.findall(labels or "")), float(value)))
    return rows


def stat_of(pid):
    """(command name, [state, parent, process group, session, ...]) or None."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            text = file.read()
    except OSError:
        return None
    name, rest = text[text.index("(") + 1 :].rsplit(")", 1)
    return name, rest.split()


def session_members(session):
    """{pid: command name} of the living processes of a session."""
    found = {}
    for entry in os.listdir("/proc"):
        stat = stat_of(entry) if entry.isdigit() else None
        if stat and int(stat[1][3]) == session and stat[1][0] not in "ZX":
            found[int(entry)] = stat[0]
    return found


def program_of(pid):
    """The file name of the program, from its command line; "" if it has gone."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return os.path.basename(file.read().split(b"\0")[0].decode())
    except OSError:
        return ""


class Paths:
    """A runtime directory on tmpfs and a storage directory that outlive a limpet."""

    def __init__(self, directory):
        base = "/dev/shm" if os.access("/dev/shm", os.W_OK) else directory
        self.runtime = tempfile.mkdtemp(prefix="limpet-test-", dir=base)
        self.storage = os.path.join(directory, "storage")

    def remove(self):
        shutil.rmtree(self.runtime, ignore_errors=True)


class Limpet(Process):
    """`settings`: a configuration as a dict (JSON is YAML) or a text; None: flags say all. `paths`: those of a limpet
    before, to start again on what it left. `ready`: wait for it. `prefix`: a command that becomes
    limpet."""

    def __init__(self, directory, settings, name="limpet", build=None, flags=(), env=None,
                 paths=None, port=None, ready=True, prefix=()):
        self.directory = str(directory)
        self.port = port or free_port()
        self.base = f"http://127.0.0.1:{self.port}"
        self.config_path = os.path.join(self.directory, f"{name}.yml")
        self.paths = paths or Paths(self.directory)
        self.own_paths = paths is None
        if settings is not None:
            self.write_config(settings)
        Process.__init__(
            self,
            [
                *prefix,
                os.path.join(build or BUILD, "limpet"),
                *([f"--config.file={self.config_path}"] if settings is not None else []),
                f"--storage.path={self.paths.storage}",
                f"--runtime.path={self.paths.runtime}",
                f"--web.listen-address=127.0.0.1:{self.port}",
                *flags,
            ],
            self.directory,
            name,
            env,
        )
        if ready:
            try:
                self.wait_ready(self.is_ready, 30)
            except BaseException:
                self.__exit__()
                raise

    def __exit__(self, *_):
        self.stop_or_kill()
        self.kill_all()
        if self.own_paths:
            self.paths.remove()

    def write_config(self, settings):
        text = settings if isinstance(settings, str) else json.dumps(settings, indent=1)
        write_atomically(self.config_path, text)

    # ------------------------------------------------------------------------------------ pages

    def get(self, path):
        """(status, text); (0, reason) if nobody answers."""
        try:
            return http_get(self.base + path, 30)
        except (OSError, http.client.HTTPException) as problem:
            return 0, str(problem)

    def post(self, path):
        try:
            return http_post(self.base + path, b"", {}, 60)
        except (OSError, http.client.HTTPException) as problem:
            return 0, str(problem)

    def is_ready(self):
        return self.get("/-/ready")[0] == 200

    def metrics(self):
        """[(name, labels, value)] of limpet's own page, which may be down for a moment."""
        status, text = wait_until(
            lambda: (lambda got: got if got[0] == 200 else None)(self.get("/metrics")),
            10, "limpet's /metrics")
        return parse_metrics(text)

    def metric(self, metric, **labels):
        """The sum over all series of the name that have these labels."""
        values = [value for name, got, value in self.metrics()
                  if name == metric and labels.items() <= got.items()]
        assert values, f"no series {metric} {labels}"
        return sum(values)

    # --------------------------------------------------------------------------------- processes

    def children(self):
        """{program: [pid, ...]}, in order of pid."""
        found = {}
        for pid in sorted(session_members(self.pid)):
            if pid != self.pid and int((stat_of(pid) or ("", [0, 0]))[1][1]) == self.pid:
                found.setdefault(program_of(pid), []).append(pid)
        return found

    def child(self, program):
        """The only process of this program; waits for it."""

        def find():
            pids = self.children().get(program, [])
            return pids[0] if len(pids) == 1 else None

        return wait_until(find, 10, f"one {program}")

    def left_over(self):
        return session_members(self.pid)

    def reload(self, settings=None):
        """SIGHUP, and waits for the outcome: True if the configuration is in force. Children still
        follow one by one then: see wait_for_children."""
        if settings is not None:
            self.write_config(settings)
        before = self.reload_attempts()
        self.send(signal.SIGHUP)
        wait_until(lambda: self.reload_attempts() > before, 20, "the reload's outcome")
        return self.metric("limpet_config_last_reload_successful") == 1

    def wait_for_children(self):
        """After a reload, until all of them are new ones that work."""
        generations = re.findall(r"msg=reloading .*generation=(\d+)", self.stderr())
        self.wait_for_line(f"msg=reloaded generation={generations[-1]}", 60)

    def reload_attempts(self):
        return self.metric("limpet_config_reloads_total")

    def stop(self, timeout=20.0):
        """SIGTERM; exit status 0 and nobody left behind."""
        status = Process.stop(self, timeout)
        assert status == 0, f"exit status {status}: {self.stderr()[-4000:]}"
        wait_until(lambda: not self.left_over(), 5, f"an end of {self.left_over()}")
        return status

    def kill_all(self):
        """SIGKILL to the whole tree at once."""
        self.kill_tree()
        for pid in self.left_over():
            kill(pid)
        wait_until(lambda: not self.left_over(), 5, "the end of the tree")

    def __str__(self):
        return f"limpet {self.pid} on {self.base}"
