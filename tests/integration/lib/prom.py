# SPDX-License-Identifier: GPL-2.0-or-later
"""Real programs from Debian: receivers asked by PromQL, exporters to scrape."""
import contextlib
import http.client
import json
import os
import sys
import urllib.error
import urllib.parse
import urllib.request

from .proc import Process, free_port, port_is_open


def http_get(url, timeout=60.0):
    """(status, body as text); the status of an error answer too."""
    try:
        with urllib.request.urlopen(url, timeout=timeout) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as problem:
        return problem.code, problem.read().decode(errors="replace")


def http_post(url, body, headers, timeout=60.0):
    request = urllib.request.Request(url, data=body, headers=headers, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            return answer.status, answer.read().decode(errors="replace")
    except urllib.error.HTTPError as problem:
        return problem.code, problem.read().decode(errors="replace")


def gives_up(url, seconds, body=None, headers=None):
    """Asks, or posts the body, and hangs up if no answer comes within so many seconds after that.
    Returns whether none came."""
    address = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=60)
    with contextlib.closing(connection):
        connection.request("GET" if body is None else "POST", address.path, body, headers or {})
        connection.sock.settimeout(seconds)
        try:
            connection.getresponse()
        except TimeoutError:
            return True
    return False


class _Queried:
    """PromQL against self.base."""

    def api(self, path, **params):
        url = f"{self.base}/api/v1/{path}?{urllib.parse.urlencode(params)}"
        status, text = http_get(url)
        answer = json.loads(text)
        if status != 200 or answer["status"] != "success":
            raise AssertionError(f"{url}: {status} {text}")
        return answer["data"]["result"]

    def query(self, expression, time=None):
        """[(labels, (seconds, float))] of an instant query."""
        params = {"query": expression, **({} if time is None else {"time": time})}
        return [
            (row["metric"], (float(row["value"][0]), float(row["value"][1])))
            for row in self.api("query", **params)
        ]

    def value(self, expression, time=None):
        """The only value of the result, None if there is none."""
        rows = self.query(expression, time)
        if len(rows) > 1:
            raise AssertionError(f"{expression}: {len(rows)} results: {rows[:5]}")
        return rows[0][1][1] if rows else None

    def query_range(self, expression, start, end, step):
        """[(labels, [(seconds, float), ...])]"""
        rows = self.api("query_range", query=expression, start=start, end=end, step=step)
        return [
            (row["metric"], [(float(ts), float(value)) for ts, value in row["values"]])
            for row in rows
        ]

    def raw(self, selector, seconds, time=None):
        """Stored samples with their own timestamps: a range selector as an instant query."""
        params = {"query": f"{selector}[{seconds}s]", **({} if time is None else {"time": time})}
        return [
            (
                row["metric"],
                [(round(float(ts) * 1000), float(value)) for ts, value in row["values"]],
            )
            for row in self.api("query", **params)
        ]

    def stored(self, selector):
        """The number of samples of the last ten minutes that are stored."""
        return sum(len(samples) for _, samples in self.raw(selector, 600))


class Prometheus(_Queried, Process):
    """Debian's Prometheus as a remote-write receiver. `config` may add scrape_configs to it,
    `features` is for --enable-feature. `port`: that of one before, whose data it takes up."""

    def __init__(self, directory, config="", name="prometheus", features="", port=None):
        self.port = port or free_port()
        self.base = f"http://127.0.0.1:{self.port}"
        self.write_url = f"{self.base}/api/v1/write"
        data = os.path.join(directory, name)
        os.makedirs(data, exist_ok=True)
        self.config_path = os.path.join(data, "prometheus.yml")
        self.write_config(config)
        Process.__init__(
            self,
            [
                "prometheus",
                f"--config.file={self.config_path}",
                f"--storage.tsdb.path={data}/data",
                f"--web.listen-address=127.0.0.1:{self.port}",
                "--web.enable-remote-write-receiver",
                "--web.enable-lifecycle",
                "--log.level=warn",
                *([f"--enable-feature={features}"] if features else []),
            ],
            directory,
            name,
        )
        self.wait_ready(
            lambda: port_is_open(self.port) and http_get(f"{self.base}/-/ready")[0] == 200, 30
        )

    def write_config(self, config):
        with open(self.config_path, "w") as file:
            file.write(config)

    def reload(self, config):
        """What is not scraped any more is not under way either when this returns."""
        self.write_config(config)
        status, text = http_post(f"{self.base}/-/reload", b"", {})
        assert status == 200, text


class VictoriaMetrics(_Queried, Process):
    """Debian's victoria-metrics, or another `program`. It makes new samples visible after a while:
    flush() first. `port`: that of one before, whose data it takes up."""

    def __init__(self, directory, name="victoria-metrics", port=None, program="victoria-metrics"):
        self.port = port or free_port()
        self.base = f"http://127.0.0.1:{self.port}"
        self.write_url = f"{self.base}/api/v1/write"
        Process.__init__(
            self,
            [
                program,
                f"-httpListenAddr=127.0.0.1:{self.port}",
                f"-storageDataPath={directory}/{name}",
                "-retentionPeriod=1000y",
                "-search.latencyOffset=0s",
                "-search.disableCache",
                "-memory.allowedBytes=128MB",
                "-loggerLevel=WARN",
            ],
            directory,
            name,
        )
        self.wait_ready(
            lambda: port_is_open(self.port) and http_get(f"{self.base}/health")[0] == 200, 30
        )

    def stored(self, selector):
        """The number of samples that are stored, copies included."""
        return sum(len(samples) for _, samples in self.export(selector))

    def flush(self):
        http_get(f"{self.base}/internal/force_flush")

    def export(self, selector):
        """[(labels, [(ts_ms, float), ...])] of all that is stored, copies included."""
        self.flush()
        _, text = http_get(
            f"{self.base}/api/v1/export?{urllib.parse.urlencode({'match[]': selector})}"
        )
        rows = [json.loads(line) for line in text.splitlines()]
        return [
            (
                row["metric"],
                [
                    (ts, float("nan") if value is None else float(value))
                    for ts, value in zip(row["timestamps"], row["values"])
                ],
            )
            for row in rows
        ]


class NodeExporter(Process):
    def __init__(self, directory, name="node-exporter"):
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        Process.__init__(
            self,
            [
                "prometheus-node-exporter",
                f"--web.listen-address={self.address}",
                "--log.level=error",
            ],
            directory,
            name,
        )
        self.wait_ready(lambda: port_is_open(self.port))


_APP = """
import sys, time
import prometheus_client as prom
registry = prom.CollectorRegistry()
prom.Counter("app_ticks", "Ticks.", registry=registry).inc(41.5)
prom.Gauge("app_temperature_celsius", "Temperature.", ["room"], registry=registry)\\
    .labels('kitchen "north"\\\\n').set(-3.25)
histogram = prom.Histogram("app_latency_seconds", "Latency.", registry=registry)
for value in (0.003, 0.2, 7, 30):
    histogram.observe(value)
prom.Summary("app_size_bytes", "Size.", registry=registry).observe(1234)
server = prom.start_http_server(int(sys.argv[1]), "127.0.0.1", registry)
while True:
    time.sleep(3600)
"""


class ClientApp(Process):
    """An application that uses python3-prometheus-client: app_ticks_total 41.5,
    app_temperature_celsius{room=...} -3.25, the histogram app_latency_seconds (4 observations), the
    summary app_size_bytes (1 observation of 1234)."""

    def __init__(self, directory, name="client-app"):
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        python = "/usr/bin/python3" if os.path.exists("/usr/bin/python3") else sys.executable
        Process.__init__(self, [python, "-c", _APP, self.port], directory, name)
        self.wait_ready(lambda: port_is_open(self.port))
