# SPDX-License-Identifier: GPL-2.0-or-later
"""What can be measured: limpet, its peers, and the null client. Each has a farm and a sink of its
own, so that several run side by side on the same load without meeting."""
import json
import os
import shutil
import subprocess
import tempfile

from lib.limpet import session_members
from lib.proc import Process, free_port, whole
from lib.prom import http_get

from . import measure, tls


MESSAGES = {"1.0": {}, "2.0": {"protobuf_message": "io.prometheus.write.v2.Request"}}


class Farm:
    """Targets of one kind, with TLS in front of them if the load says so."""

    def __init__(self, agent, load, name):
        self.load = load
        self.targets_path = os.path.join(agent.directory, f"{name}.json")
        self.process = agent.helper("perf/farm", "--targets", load.targets, "--kind", load.kind,
                                    "--file-sd", self.targets_path, *load.farm)
        ready = self.process.ready_json()
        self.series = ready["series"]
        self.base = f"http://127.0.0.1:{ready['port']}"
        self.processes = [self.process]
        if load.tls:
            self.processes.append(tls.front(agent, ready["port"], self.targets_path))

    def job(self, name, own_keys):
        load = self.load
        keys = {"job_name": name, "scrape_interval": f"{load.interval_ms}ms",
                "scrape_timeout": f"{min(load.interval_ms, 10000)}ms",
                "file_sd_configs": [{"files": [self.targets_path]}]}
        if load.tls:
            keys |= {"scheme": "https", "tls_config": {"insecure_skip_verify": True}}
        return keys | (load.job if own_keys else {})

    def totals(self):
        """Of all its targets; see perf/README.md."""
        status, text = http_get(f"{self.base}/totals", 60)
        assert status == 200
        return json.loads(text)

    def stop(self):
        for process in self.processes:
            process.stop_or_kill()


class Agent:
    """Farms, a sink, and between them what `start_agent` of the class makes."""

    name = ""
    sink_words = ("--any-agent",)
    has_sink = True
    needs = None  # the peer's program
    takes_own_keys = False
    remote = {}  # keys of remote_write

    def __init__(self, directory, build, load, cpus, program=None):
        self.directory = tempfile.mkdtemp(prefix=f"{self.name}-", dir=directory)
        self.build, self.load, self.cpus = build, load, cpus
        self.program = program or self.needs
        loads = [load] if load.beside is None else [load, load.beside]
        self.farms = [Farm(self, one, f"farm{i}") for i, one in enumerate(loads)]
        self.targets = sum(one.targets for one in loads)
        if self.has_sink:
            self.sink = self.helper("perf/sink", "--interval", load.interval_ms, *self.sink_words)
            self.sink_url = self.sink.ready_json()["url"]
            self.sink_base = f"http://127.0.0.1:{self.sink.ready_json()['port']}"

    def helper(self, path, *words):
        """A program of the build, or one by its whole path."""
        return self._process([os.path.join(self.build, path), *words], self.cpus[1])

    def _process(self, argv, cpu, **options):
        words = ["taskset", "-c", cpu, *argv] if cpu is not None else argv
        self.started = getattr(self, "started", 0) + 1
        name = f"{os.path.basename(str(argv[0]))}-{self.started}"
        return Process(words, self.directory, name, **options)

    def start(self):
        with whole():
            self.process = self.start_agent()

    def stop(self):
        if hasattr(self, "process"):
            self.process.stop_or_kill()
        for farm in self.farms:
            farm.stop()
        if self.has_sink:
            self.sink.stop_or_kill()

    def pids(self):
        return list(session_members(self.process.pid))

    def helpers(self):
        """Processes of its farms and its sink."""
        started = [process for farm in self.farms for process in farm.processes]
        if self.has_sink:
            started.append(self.sink)
        return [pid for process in started for pid in session_members(process.pid)]

    def config(self):
        jobs = [farm.job(f"farm{i}", self.takes_own_keys) for i, farm in enumerate(self.farms)]
        native = any(job.get("scrape_native_histograms") for job in jobs)
        message = MESSAGES[self.load.write] if self.takes_own_keys else {}
        remote = {"url": self.sink_url, **message, **self.remote, **({"send_native_histograms": True} if native else {}),
                  **({"queue_config": self.load.queue} if self.load.queue else {})}
        return {"scrape_configs": jobs, "remote_write": [remote]}

    def write_config(self, settings):
        path = os.path.join(self.directory, "config.yml")
        with open(path, "w") as file:
            json.dump(settings, file)
        return path

    # -------------------------------------------------------------------------------- figures

    def served(self):
        """(bodies sent to the end, targets that have had one, series in these bodies)"""
        totals = [farm.totals() for farm in self.farms]
        return (sum(farm["complete"] for farm in totals), sum(farm["seen"] for farm in totals),
                sum(farm["series"] * farm["complete"] for farm in totals))

    def seen(self):
        """When its first request came to a farm, and when the last target had been seen, in
        seconds of the wall clock; None while one has not."""
        totals = [farm.totals() for farm in self.farms]
        if any(farm["all_seen_ns"] == 0 for farm in totals):
            return None
        return (min(farm["first_arrival_ns"] for farm in totals) / 1e9,
                max(farm["all_seen_ns"] for farm in totals) / 1e9)

    def lateness(self, before, after):
        """What the agent says of it itself: None where it does not."""
        return None

    def failures(self):
        """The same: scrapes that failed, by reason."""
        return None

    def leave_targets(self, count):
        """All but so many go."""
        for farm in self.farms:
            with open(farm.targets_path) as file:
                groups = json.load(file)
            with open(farm.targets_path + ".new", "w") as file:
                json.dump(groups[:count], file)
            os.rename(farm.targets_path + ".new", farm.targets_path)

    def own_page(self):
        return None

    def report(self):
        if not self.has_sink:
            return None
        status, text = http_get(f"{self.sink_base}/report", 60)
        assert status == 200
        return json.loads(text)

    def snapshot(self, is_last):
        """What serving the page costs falls out of the time between two of them."""
        page = None if is_last else self.own_page()
        cpu, by_name = measure.cpu_seconds(self.pids()), measure.cpu_by_name(self.pids())
        served, seen, exposed = self.served()
        farm = [process.pid for farm in self.farms for process in farm.processes]
        helpers = [pid for parent in farm for pid in session_members(parent)]
        return measure.Snapshot(cpu, served, seen, self.report(), exposed,
                                measure.wakes(self.pids()), measure.cpu_seconds(helpers),
                                self.own_page() if is_last else page, by_name)


class Limpet(Agent):
    name = "limpet"
    sink_words = ()
    takes_own_keys = True
    settings = {}

    def start_agent(self):
        base = "/dev/shm" if os.access("/dev/shm", os.W_OK) else self.directory
        self.runtime = tempfile.mkdtemp(prefix="limpet-perf-", dir=base)
        settings = self.config()
        settings["limpet"] = {**({"scrapers": self.load.cores} if self.load.cores else {}),
                              **self.settings, **self.load.limpet}
        self.port = free_port()
        return self._process(
            [self.program or os.path.join(self.build, "limpet"),
             f"--config.file={self.write_config(settings)}",
             f"--storage.path={self.directory}/storage", f"--runtime.path={self.runtime}",
             f"--web.listen-address=127.0.0.1:{self.port}"], self.cpus[0])

    def stop(self):
        super().stop()
        if hasattr(self, "runtime"):
            shutil.rmtree(self.runtime, ignore_errors=True)

    def memory(self):
        return measure.memory(self.pids(), self.runtime)

    def own_page(self):
        return http_get(f"http://127.0.0.1:{self.port}/metrics", 10)[1]

    def lateness(self, before, after):
        return measure.lateness(before, after)

    def failures(self):
        return measure.counts(self.own_page(), "limpet_scrapes_failed_total", "reason")


class LimpetEpoll(Limpet):
    name = "limpet-epoll"
    settings = {"event_loop": "epoll"}


class LimpetSmall(Limpet):
    name = "limpet-small"
    remote = {"limpet": {"compression": "small"}}


class LimpetV2(Limpet):
    name = "limpet-v2"
    remote = MESSAGES["2.0"]


class LimpetZstd(Limpet):
    name = "limpet-zstd"
    remote = {"protobuf_message": "prometheus.WriteRequest", "limpet": {"compression": "zstd"}}


class Prometheus(Agent):
    name = "prometheus"
    needs = "prometheus"

    def start_agent(self):
        return self._process(
            [self.program, "--enable-feature=agent",
             f"--config.file={self.write_config(self.config())}",
             f"--storage.agent.path={self.directory}/agent",
             f"--web.listen-address=127.0.0.1:{free_port()}"], self.cpus[0])

    def memory(self):
        return measure.memory(self.pids())


class Vmagent(Agent):
    name = "vmagent"
    needs = "vmagent"
    sink_words = ("--any-agent", "--like", "victoria")

    def start_agent(self):
        settings = self.config()
        del settings["remote_write"]
        return self._process(
            [self.program, f"-promscrape.config={self.write_config(settings)}",
             f"-remoteWrite.url={self.sink_url}", f"-remoteWrite.tmpDataPath={self.directory}/tmp",
             f"-httpListenAddr=127.0.0.1:{free_port()}"], self.cpus[0])

    def memory(self):
        return measure.memory(self.pids())


class Null(Agent):
    name = "null"
    has_sink = False

    def start_agent(self):
        return self._process(
            [os.path.join(self.build, "perf/null"), "--file-sd", self.farms[0].targets_path,
             "--interval", self.load.interval_ms, "--tick", self.load.null_tick_ms], self.cpus[0])

    def memory(self):
        return measure.memory(self.pids())


AGENTS = {agent.name: agent for agent in (Limpet, LimpetEpoll, LimpetSmall, LimpetV2, LimpetZstd,
                                          Prometheus, Vmagent, Null)}


def is_installed(agent, program):
    return agent.needs is None or shutil.which(program or agent.needs) is not None


def version(name, program):
    """One line, or None."""
    words = {"prometheus": ["--version"], "vmagent": ["--version"]}.get(name)
    if words is None:
        return None
    path = shutil.which(program or name)
    package = subprocess.run(["dpkg-query", "-W", "-f", "${Package} ${Version}", "-S", path],
                             capture_output=True, text=True, check=False)
    owner = subprocess.run(["dpkg-query", "-S", path], capture_output=True, text=True, check=False)
    if owner.returncode == 0:
        name = owner.stdout.split(":")[0]
        package = subprocess.run(["dpkg-query", "-W", "-f", "${Package} ${Version}", name],
                                 capture_output=True, text=True, check=False)
        return package.stdout
    found = subprocess.run([path, *words], capture_output=True, text=True, check=False)
    return (found.stdout + found.stderr).splitlines()[0]
