# SPDX-License-Identifier: GPL-2.0-or-later
"""A Target Allocator, as far as collectors speak to one: jobs as JSON, targets by collector, secrets
masked unless it is asked over TLS; and what goes wrong with real ones.

    with TargetAllocator() as allocator:
        allocator.jobs["web"] = scrape_config("web")
        allocator.assign("web", "pod-a", ["10.0.0.1:80"])
        ... allocator.answer = Answer(status=500) ...       # of /scrape_configs, until it is None
"""
import collections
import copy
import json
import random
import ssl
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler

from .http_server import HttpServer

Request = collections.namedtuple("Request", "arrived path job query headers")
Answer = collections.namedtuple("Answer", "status body content_type", defaults=(200, b"", "application/json"))

SECRETS = ("password", "credentials", "bearer_token", "client_secret")


def scrape_config(name, interval="1s", **more):
    """A job as the operator makes it of a ServiceMonitor."""
    return {"job_name": name, "honor_timestamps": True, "track_timestamps_staleness": False,
            "scrape_interval": interval, "scrape_timeout": interval,
            "scrape_protocols": ["OpenMetricsText1.0.0", "PrometheusText0.0.4"],
            "metrics_path": "/metrics", "scheme": "http", "enable_compression": True,
            "follow_redirects": True, "enable_http2": True,
            "kubernetes_sd_configs": [{"role": "endpointslice", "kubeconfig_file": "",
                                       "follow_redirects": True, "enable_http2": True}], **more}


def masked(value):
    if isinstance(value, dict):
        return {k: "<secret>" if k in SECRETS and v else masked(v) for k, v in value.items()}
    return [masked(v) for v in value] if isinstance(value, list) else value


class TargetAllocator:
    """`tls`: (certificate, key); `client_ca`: who must sign the collectors' certificates."""

    def __init__(self, tls=None, client_ca=None, port=0):
        self.lock = threading.Lock()
        self.jobs, self.assigned = {}, {}
        self.requests, self.secure, self.closed = [], bool(tls), False
        self.answer = None  # in place of the jobs
        self.answers_once = []  # the same, each for one request
        self.targets_answer = None  # in place of the targets of any job
        self.http = HttpServer(_handler_of(self), tls, client_ca, port=port)
        self.port, self.url = self.http.port, self.http.url

    def __enter__(self):
        self.http.begin()
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.closed = True
        self.http.end()

    def assign(self, job, collector, addresses, **labels):
        """These, and nobody else's any more, are the collector's targets of the job."""
        with self.lock:
            of_job = self.assigned.setdefault(job, {})
            for other in of_job:
                of_job[other] = [g for g in of_job[other] if g["targets"][0] not in addresses]
            of_job[collector] = [
                {"targets": [a], "labels": {"__address__": a, **labels}} for a in addresses]

    def asked(self, path="/scrape_configs"):
        with self.lock:
            return [r for r in self.requests if r.path == path]

    def asked_for(self, job):
        with self.lock:
            return [r for r in self.requests if r.job == job]

    def respond(self, path, job, query, headers):
        with self.lock:  # so that what was asked when jobs changed has what was before
            self.requests.append(Request(time.time(), path, job, query, headers))
            if path == "/scrape_configs":
                jobs = copy.deepcopy(dict(self.jobs))
                body = json.dumps(jobs if self.secure else masked(jobs), sort_keys=True)
                once = self.answers_once.pop(0) if self.answers_once else None
                return once or self.answer or Answer(body=body.encode())
            if job is None:
                return Answer(404)
            groups = list(self.assigned.get(job, {}).get(query.get("collector_id"), []))
            random.shuffle(groups)
            return self.targets_answer or Answer(body=json.dumps(groups).encode())


def _handler_of(allocator):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_):
            pass

        def do_GET(self):
            if allocator.closed:  # kept connections end with it
                self.close_connection = True
                return
            url = urllib.parse.urlsplit(self.path)
            query = dict(urllib.parse.parse_qsl(url.query))
            parts = url.path.split("/")
            is_job = len(parts) == 4 and parts[1] == "jobs" and parts[3] == "targets"
            job = urllib.parse.unquote_plus(parts[2]) if is_job else None
            answer = allocator.respond(url.path, job, query, dict(self.headers))
            try:
                self.send_response(answer.status)
                self.send_header("Content-Type", answer.content_type)
                self.send_header("Content-Length", str(len(answer.body)))
                self.end_headers()
                self.wfile.write(answer.body)
            except (BrokenPipeError, ConnectionResetError, ssl.SSLError):
                self.close_connection = True

    return Handler
