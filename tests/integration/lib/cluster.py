# SPDX-License-Identifier: GPL-2.0-or-later
"""A simulated cluster: nodes with a real limpet each, pods with addresses of their own, one API
server, one receiver; deployments that are rolled, nodes that are lost and come back. At the end a
ledger says who scraped which pod when, and where each scrape went.

    with Cluster(directory, Shape(nodes=15, pods=1430, interval=5)) as cluster:
        cluster.run_for(20)
        cluster.roll(some applications, pace=0.2)
        cluster.lose("node-03"); cluster.run_for(20); cluster.bring_back("node-03")
        report = cluster.finish()       # report["errors"] is empty if it balances

Everything happens in real time, by a heap of things to come, in the caller's thread.
"""
import bisect
import collections
import contextlib
import dataclasses
import heapq
import itertools
import os
import random
import time

from .kube import ApiServer, pod, service
from .limpet import Limpet, Paths, config, remote
from .podnet import PodNet
from .proc import whole
from .remote_write import Receiver, float_of_bits, is_stale

PREFIX = "prometheus.io/"
START = 0.2       # s from a pod's object to its address
READY = 1.0       # s from there until it is ready
GOING = 0.3       # s that a pod which is deleted goes on
LOST_AFTER = 2.0  # s until the pods of a node that is lost are made anew elsewhere
SLACK = 10.0      # for a machine on which much else happens
KINDS = ["port", "declared", "service", "both", "paths", "never ready", "unready service"]


@dataclasses.dataclass
class Shape:
    nodes: int = 15
    pods: int = 1430      # that ask to be scraped
    silent: int = 70      # that do not
    nonsense: int = 14    # that ask in vain
    applications: int = 60
    interval: float = 5.0
    seed: int = 1


@dataclasses.dataclass(eq=False)
class Application:
    name: str
    kind: str
    replicas: int
    pods: list = dataclasses.field(default_factory=list)


@dataclasses.dataclass(eq=False)
class Pod:
    name: str
    application: Application
    node: str
    ip: str
    up: float = None     # when it has an address and answers
    ready: float = None
    ended: float = None  # when it stopped answering


class Node:
    def __init__(self, name):
        self.name, self.limpet, self.ready, self.lost = name, None, None, None
        self.spans = []  # [from, to] in which its limpet ran


def pss_kib(pid):
    with open(f"/proc/{pid}/smaps_rollup") as file:
        return sum(int(line.split()[1]) for line in file if line.startswith("Pss:"))


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Cluster:
    def __init__(self, directory, shape):
        self.directory, self.shape = directory, shape
        self.random = random.Random(shape.seed)
        self.heap, self.order = [], itertools.count()
        self.ips, self.names = itertools.count(), itertools.count()
        self.nodes = {f"node-{i:02}": Node(f"node-{i:02}") for i in range(shape.nodes)}
        self.applications, self.all_pods = [], []
        self.lost = []  # (node, when, its pods)
        self.forgotten = []  # when

    def __enter__(self):
        with contextlib.ExitStack() as stack:  # what has begun ends, too, if the rest does not begin
            self.receiver = stack.enter_context(Receiver())
            self.server = stack.enter_context(ApiServer(bookmark_interval=5))
            self.net = stack.enter_context(PodNet())
            self.populate()
            stack.callback(self.end_limpets)
            for node in self.nodes.values():
                self.start_limpet(node)
            for node in self.nodes.values():
                self.wait_for(node)
            self.ending = stack.pop_all()
        return self

    def __exit__(self, *_):
        self.ending.close()

    def end_limpets(self):
        for node in self.nodes.values():
            if node.limpet:
                node.limpet.__exit__()

    # ---- what there is ----

    def populate(self):
        shape = self.shape
        for i in range(shape.applications):
            replicas = (i + 1) * shape.pods // shape.applications - \
                i * shape.pods // shape.applications
            self.applications.append(Application(f"app-{i:02}", KINDS[i % len(KINDS)], replicas))
        self.applications.append(Application("silent", "silent", shape.silent))
        self.applications.append(Application("nonsense", "nonsense", shape.nonsense))
        for application in self.applications:
            self.put_service(application)
            for _ in range(application.replicas):
                self.begin(application, at_once=True)

    def put_service(self, application):
        asks = application.kind in ("service", "both", "unready service")
        self.server.put("services", service(
            application.name, port=80, selector={"app": application.name},
            annotations={PREFIX + "scrape": "true"} if asks else {}))

    def annotations(self, kind):
        port = str(self.net.port)
        return {"port": {"scrape": "true", "port": port},
                "declared": {"scrape": "true"},
                "both": {"scrape": "true", "port": port},
                "paths": {"scrape": "true", "ports": f"{port}/metrics,{port}/more?x=1"},
                "never ready": {"scrape": "true", "port": port},
                "nonsense": {"scrape": "true", "port": "http2"}}.get(kind, {})

    def paths_of(self, application):
        return {"silent": [], "nonsense": [], "paths": ["/metrics", "/more?x=1"]}.get(
            application.kind, ["/metrics"])

    def put_pod(self, it, phase="Running", ready=False, address=True):
        found = {PREFIX + key: value
                 for key, value in self.annotations(it.application.kind).items()}
        self.server.put("pods", pod(
            it.name, ip=it.ip if address else "", port=self.net.port, node=it.node, phase=phase,
            labels={"app": it.application.name}, annotations=found, ready=ready))

    # ---- the life of a pod ----

    def least_loaded(self):
        alive = [name for name, node in self.nodes.items() if not node.lost]
        load = collections.Counter(p.node for p in self.all_pods if p.ended is None)
        return min(alive, key=lambda name: (load[name], name))

    def begin(self, application, at_once=False):
        number = next(self.ips)
        it = Pod(f"{application.name}-{next(self.names):05}", application, self.least_loaded(),
                 f"127.{2 + number // 62500}.{number // 250 % 250}.{number % 250 + 1}")
        application.pods.append(it)
        self.all_pods.append(it)
        if at_once:
            self.get_address(it)
            self.get_ready(it)
        else:
            self.put_pod(it, "Pending", address=False)
            self.later(START, lambda: self.get_address(it))
            self.later(START + self.random.uniform(0.3, 1.7) * READY, lambda: self.get_ready(it))
        return it

    def get_address(self, it):
        if it.ended is None:
            self.net.up(it.ip)
            it.up = time.time()
            self.put_pod(it)

    def get_ready(self, it):
        if it.ended is None:
            self.put_pod(it, ready=it.application.kind not in ("never ready", "unready service"))
            it.ready = time.time()

    def stop(self, it):
        """Its process ends; then its object goes."""
        if it.ended is None:
            self.end([it], time.time())
            self.later(0.1, lambda: self.server.delete("pods", it.name))

    def end(self, pods, now):
        for it in pods:
            it.ended = now
            it.application.pods.remove(it)
        self.net.down(*(it.ip for it in pods))

    # ---- what happens ----

    def later(self, seconds, what):
        heapq.heappush(self.heap, (time.time() + seconds, next(self.order), what))

    def run_for(self, seconds):
        end = time.time() + seconds
        while time.time() < end:
            while self.heap and self.heap[0][0] <= time.time():
                heapq.heappop(self.heap)[2]()
            until = min(end, self.heap[0][0] if self.heap else end)
            time.sleep(max(0.0, min(until - time.time(), 0.05)))

    def roll(self, applications, pace):
        """New pods one by one, and an old one goes when its successor is ready. Returns how long
        it takes."""
        at = 0.0
        for application in applications:
            for old in list(application.pods):
                self.later(at, lambda a=application: self.begin(a))
                self.later(at + START + 1.8 * READY + GOING, lambda p=old: self.stop(p))
                at += pace
        return at + START + 2 * READY + GOING

    def lose(self, name):
        """Power off: its limpet and its pods are gone at once, and found missing later."""
        node = self.nodes[name]
        node.lost = time.time()
        node.limpet.kill_all()
        node.spans[-1][1] = node.lost
        node.limpet.__exit__()
        node.limpet = None
        gone = [p for p in self.all_pods if p.node == name and p.ended is None]
        self.end(gone, node.lost)
        self.lost.append((name, node.lost, gone))

        def find_missing():
            for it in gone:
                self.server.delete("pods", it.name)
                self.begin(it.application)

        self.later(LOST_AFTER, find_missing)

    def bring_back(self, name):
        node = self.nodes[name]
        node.lost = None
        self.start_limpet(node)
        self.wait_for(node)

    def restart(self, name):
        """A new version of the DaemonSet: the pod is stopped in order, and the next one has what
        was stored on the node, but none of its memory."""
        node = self.nodes[name]
        node.limpet.stop(60)
        node.spans[-1][1] = time.time()
        storage = node.limpet.paths.storage
        node.limpet.__exit__()
        self.start_limpet(node, storage)
        self.wait_for(node)

    def forget_versions(self):
        """The API server restarts and has forgotten everything that was: all must list again."""
        with self.server.lock:
            self.server.compact()
            self.server.drop_connections()
        self.forgotten.append(time.time())

    # ---- limpets ----

    def settings(self, name):
        who = {"http_headers": {"X-Node": {"values": [name]}}}
        job = {"job_name": "annotated", **who, "limpet": {"annotation_discovery": [
            {"api_server": self.server.url, **who}]}}
        interval = f"{int(self.shape.interval * 1000)}ms"
        return config(job, remote(self.receiver.url,
                                  queue_config={"batch_send_deadline": "1s"}),
                      interval=interval, external_labels={"instance_node": name})

    def start_limpet(self, node, storage=None):
        directory = os.path.join(self.directory, f"{node.name}-{len(node.spans)}")
        os.makedirs(directory)
        with whole():
            paths = Paths(directory)
            paths.storage = storage or paths.storage
            node.limpet = Limpet(directory, self.settings(node.name), ready=False, paths=paths,
                                 env={"NODE_NAME": node.name})
            node.limpet.own_paths = True

    def wait_for(self, node):
        node.limpet.wait_ready(node.limpet.is_ready, 60)
        node.ready = time.time()
        node.spans.append([node.ready, None])

    def family(self, node):
        return [node.limpet.pid] + [pid for pids in node.limpet.children().values() for pid in pids]

    # ---- the ledger ----

    def finish(self):
        """Stops all limpets in order, so that everything they have is delivered, and reports."""
        figures = self.measure()
        for node in self.nodes.values():
            if node.limpet:
                node.spans[-1][1] = time.time()
                node.limpet.stop(60)
        return {**figures, **Ledger(self).report()}

    def measure(self):
        alive = [node for node in self.nodes.values() if node.limpet]
        memory = sorted(sum(pss_kib(pid) for pid in self.family(node)) for node in alive)
        discovery = sorted(pss_kib(node.limpet.child("limpet-discovery")) for node in alive)
        cpu = sum(cpu_seconds(pid) for node in alive for pid in self.family(node))
        return {"tree_pss_kib": [memory[0], memory[-1]],
                "discovery_pss_kib": [discovery[0], discovery[-1]],
                "cpu_seconds_all_nodes": round(cpu, 2),
                "problems": sum(int(node.limpet.metric("limpet_discovery_annotation_problems",
                                                       reason="bad_port")) for node in alive)}


class Ledger:
    """Who scraped which pod when, by the pods' own books, against what the receiver has."""

    def __init__(self, cluster):
        self.cluster, self.shape = cluster, cluster.shape
        self.errors = []
        self.served = cluster.net.ledger()
        self.received, self.ran_out, self.failed = self.read_receiver()
        self.lost_at = {it.ip: when for _, when, gone in cluster.lost for it in gone}
        self.figures = collections.Counter()
        # s, by what was last: the pod's readiness, its limpet's, or that of the API server
        self.waits = {"pod": [], "limpet": [], "server": []}

    def error(self, text):
        self.errors.append(text)

    def samples_of(self, name):
        """{(ip, path): {time: value}} without markers. What was on its way when a limpet ended, or
        for long, may have come once more."""
        found = {}
        for key, samples in self.cluster.receiver.series(name, accepted=True).items():
            labels = dict(key)
            if labels["node"] != labels["instance_node"]:
                self.error(f"{labels['pod']} on {labels['node']} came from another instance")
            at = labels["instance"].rsplit(":", 1)[0], labels.get("metrics_path", "/metrics")
            values = found.setdefault(at, {})
            for ts, bits in samples:
                if not is_stale(bits) and values.setdefault(ts, bits) != bits:
                    self.error(f"{labels['pod']}: two values of {name} at {ts}")
        return {at: {ts: float_of_bits(bits) for ts, bits in values.items()}
                for at, values in found.items()}

    def read_receiver(self):
        """{(ip, path): samples of up that are 1}, those of scrapes that ran into their time-out,
        which may have been served, and how many are 0 at all."""
        received, ran_out, failed = collections.Counter(), collections.Counter(), 0
        durations = self.samples_of("scrape_duration_seconds")
        for at, values in self.samples_of("up").items():
            received[at] = sum(value == 1 for value in values.values())
            ran_out[at] = sum(value == 0 and durations.get(at, {}).get(ts, 0) >= self.shape.interval
                              for ts, value in values.items())
            failed += len(values) - received[at]
        return received, ran_out, failed

    def watched_from(self, it, first):
        """Since when the limpet that scraped it first, or could have, was there and it was ready,
        and what was last ready."""
        if it.ready is None:
            return None, None
        spans = [span for span in self.cluster.nodes[it.node].spans
                 if span[1] is None or span[1] > (first or it.ready)]
        if not spans:
            return None, None
        if any(when - 1 < it.ready < when + 2 + SLACK for when in self.cluster.forgotten):
            return it.ready, "server"
        return max((it.ready, "pod"), (spans[0][0], "limpet"))

    def look_at_pod(self, it, path):
        served = self.served.pop((it.ip, path), [])
        times = [when for when, _ in served]
        self.figures["scrapes"] += len(served)
        if {node for _, node in served} - {it.node}:
            self.error(f"{it.name} on {it.node} was scraped by {sorted({n for _, n in served})}")
        since, last = self.watched_from(it, times[0] if times else None)
        interval = self.shape.interval
        lived = (it.ended or time.time()) - since if since else 0
        if times and since:
            self.waits[last].append(times[0] - since)
        elif lived > interval + SLACK:
            self.error(f"{it.name}{path} lived {lived:.1f} s and was never scraped")
        self.look_at_pace(it, path, times)
        self.balance(it, path, times)

    def look_at_pace(self, it, path, times):
        """One scrape an interval while its limpet ran. A few may be noted late, where the machine
        does not run who serves them, and then come close together."""
        ends = [end for _, end in self.cluster.nodes[it.node].spans if end]
        parts = collections.defaultdict(list)
        for when in times:
            parts[bisect.bisect(ends, when)].append(when)
        for part in parts.values():
            too_many = len(part) - 1 - (part[-1] - part[0]) / self.shape.interval
            if abs(too_many) > 2 and not self.ran_out[it.ip, path]:
                self.error(f"{it.name}{path}: {len(part)} scrapes in {part[-1] - part[0]:.2f} s")

    def balance(self, it, path, times):
        """served = received + on their way when the node was lost + cut off by the pod's end, and
        some of those that ran into their time-out."""
        missing = len(times) - self.received.pop((it.ip, path), 0)
        if missing and it.ip in self.lost_at:
            most = sum(when > self.lost_at[it.ip] - 3 - SLACK for when in times)
            self.figures["lost_with_a_node"] += missing
        elif missing and it.ended is not None:
            most = sum(when > it.ended - 0.2 - SLACK for when in times)
            self.figures["cut_off_by_the_end_of_a_pod"] += missing
        else:
            most = 0
        if missing < 0 or missing > most + self.ran_out[it.ip, path]:
            self.error(f"{it.name}{path}: {missing} of {len(times)} scrapes are missing")

    def look_at_requests(self):
        """Requests to the API server by node: without watches, and watches."""
        lists, watches = collections.Counter(), collections.Counter()
        for request in self.cluster.server.requests:
            (watches if request.watch else lists)[request.headers.get("X-Node")] += 1
        for node in self.cluster.nodes.values():
            most = 2 * (len(node.spans) + len(self.cluster.forgotten))
            if lists[node.name] > most:
                self.error(f"{node.name}: {lists[node.name]} lists, at most {most} were due")
        return {"lists_by_node": [min(lists.values()), max(lists.values())],
                "watches_by_node": [min(watches.values()), max(watches.values())]}

    def look_at_waits(self, last, slack):
        """slack: beyond an interval. A limpet that is ready still lists, and who has lost the API
        server comes back at a time of chance."""
        waits, most = sorted(self.waits[last]), self.shape.interval + slack
        late = [round(wait, 2) for wait in waits if wait > most]
        if late:
            self.error(f"{len(late)} of {len(waits)} waited longer than {most} s: {late[-3:]}")
        return {"count": len(waits), **({"median": round(waits[len(waits) // 2], 2),
                                         "max": round(waits[-1], 2)} if waits else {})}

    def report(self):
        for it in self.cluster.all_pods:
            for path in self.cluster.paths_of(it.application):
                self.look_at_pod(it, path)
        for (ip, path), served in self.served.items():
            self.error(f"{ip}{path} did not ask to be scraped, {served[0][1]} did")
        for (ip, path), count in self.received.items():
            if count:
                self.error(f"{ip}{path}: {count} samples nobody served")
        return {"pods": len(self.cluster.all_pods),
                "targets": sum(len(waits) for waits in self.waits.values()),
                "first_scrape_after_s": {"pod": self.look_at_waits("pod", SLACK),
                                         "limpet": self.look_at_waits("limpet", 1 + SLACK),
                                         "server": self.look_at_waits("server", 3 + SLACK)},
                **self.figures, "up_0": self.failed, "ran_out": sum(self.ran_out.values()),
                **self.look_at_requests(),
                "errors": self.errors}
