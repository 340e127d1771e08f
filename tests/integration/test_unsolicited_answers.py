# SPDX-License-Identifier: GPL-2.0-or-later
"""What comes on a kept connection although nobody asked for it is no answer to the next request: a scrape
stores what it was served, and what was sent counts as delivered, or as refused, when the receiver has
said so of it."""
import contextlib
import fcntl
import http.server
import itertools
import subprocess
import termios
import threading
import time

import pytest

from lib.http_server import HttpServer
from lib.limpet import Limpet, config, job, remote
from lib.proc import free_port, wait_until
from lib.remote_write import Answer, Receiver, send_unsolicited
from lib.stream import assert_each_request_is_one_scrape, count_ran_out, stream_of, ups
from lib.target import Target

BACKENDS = pytest.mark.parametrize("backend", ["io_uring", "epoll"])

FORGED = 1000000
TIME_OUT = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
PAGE = b"page_total %d\n" % FORGED
SECOND = (b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n" % len(PAGE)
          + PAGE)
# A request that comes so soon after unsolicited bytes may have been on its way before they were there; it
# cannot be told from one that they answer, then. Whoever is not busy sends the next one later than this.
CROSSING = 0.5
UNSOLICITED = {"time-out": TIME_OUT, "second answer": SECOND, "bytes": b"\r\n"}


class UnsolicitedServer(HttpServer):
    """Serves `page_total <number of the answer>`, and behind an answer on each connection something
    that nobody asked for; with the 408 it hangs up. self.crossed: how many requests may have
    crossed with that."""

    def __init__(self, unsolicited, tls=None):
        self.served, self.unsolicited, self.crossed = itertools.count(1), 0, 0
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            unsolicited_sent = None

            def do_GET(self):
                if self.unsolicited_sent is not None:
                    server.crossed += time.time() - self.unsolicited_sent < CROSSING
                body = b"page_total %d\n" % next(server.served)
                self.send_response(200)
                self.send_header("Content-Type", "text/plain")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
                if self.unsolicited_sent is None and send_unsolicited(self.connection, unsolicited):
                    self.unsolicited_sent = time.time()
                    server.unsolicited += 1
                    self.close_connection = unsolicited is TIME_OUT

            def log_message(self, *_):
                pass

        super().__init__(Handler, tls)

    def handle_error(self, *_):
        """A connection that ends while it is spoken to."""

    def __enter__(self):
        self.begin()
        return self

    def __exit__(self, *_):
        self.end()


@BACKENDS
def test_a_scrape_stores_what_it_was_served(tmp_path, certificates, backend):
    pair = certificates / "server.pem", certificates / "server.key"
    ways = [("http", None), ("https", pair)]
    with contextlib.ExitStack() as stack, Receiver() as receiver:
        servers = {f"{scheme} {name}": stack.enter_context(UnsolicitedServer(unsolicited, tls))
                   for scheme, tls in ways for name, unsolicited in UNSOLICITED.items()}
        failures = tmp_path / "failures"
        failures.touch()
        jobs = [job(name, [f"127.0.0.1:{server.port}"], scheme=name.split()[0],
                    scrape_failure_log_file=str(failures),
                    tls_config={"ca_file": str(certificates / "ca.pem")})
                for name, server in servers.items()]
        with Limpet(tmp_path, config(*jobs, remote(receiver.url),
                                     limpet={"event_loop": backend})) as limpet:
            for server in servers.values():
                wait_until(lambda server=server: server.unsolicited >= 3 + server.crossed, 20)
            for name in servers:
                receiver.wait_for(lambda r, name=name: len(ups(r, 1.0, job=name)) >= 5)
            limpet.stop()
        for name, server in servers.items():
            assert ups(receiver, 1.0, job=name).count(0) <= server.crossed, (name, failures.read_text())
            values = [value for _, value in receiver.samples("page_total", job=name) if value == value]
            own = [value for value in values if value != FORGED]
            assert own == sorted(set(own)), name
            assert len(values) - len(own) <= server.crossed, name
            assert len(values) == sum(value for _, value in receiver.samples("up", job=name)
                                      if value == value), name


class KeyUpdater:
    """openssl's server, whose typist answers each request, and behind the answer changes the keys: a
    record of TLS 1.3 that has no content, like a session ticket, on a connection that idles."""

    def __init__(self, certificates):
        self.port = free_port()
        self.answered, self.handshakes = 0, 0
        self.process = subprocess.Popen(
            ["openssl", "s_server", "-accept", f"127.0.0.1:{self.port}", "-tls1_3", "-cert",
             str(certificates / "server.pem"), "-key", str(certificates / "server.key")],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, bufsize=0)
        while not self.process.stdout.readline().startswith(b"ACCEPT"):
            assert self.process.poll() is None
        threading.Thread(target=self._run, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def _type(self, text):
        """A command is one only if it is read by itself."""
        self.process.stdin.write(text)
        while self.process.poll() is None and any(
                fcntl.ioctl(self.process.stdin, termios.FIONREAD, b"\0" * 4)):
            time.sleep(0.001)

    def _run(self):
        for line in self.process.stdout:
            self.handshakes += line.startswith(b"CIPHER is")
            if line == b"\r\n":
                self._type(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n\r\na 1\n")
                time.sleep(0.02)  # limpet takes the answer
                self._type(b"k\n")
                self.answered += 1


@BACKENDS
def test_a_record_of_tls_without_content_is_no_unsolicited_answer(tmp_path, certificates, backend):
    with KeyUpdater(certificates) as server, Receiver() as receiver:
        static = job("a", [f"127.0.0.1:{server.port}"], scheme="https",
                     tls_config={"ca_file": str(certificates / "ca.pem")})
        with Limpet(tmp_path, config(static, remote(receiver.url),
                                     limpet={"event_loop": backend})) as limpet:
            wait_until(lambda: server.answered >= 4, 20)
            scrapes, handshakes = server.answered, server.handshakes
            receiver.wait_for(lambda r: len(ups(r, 1.0, job="a")) >= 4)
            limpet.stop()
        assert set(ups(receiver, 1.0, job="a")) == {1}
        # Whoever ran out of time leaves an answer that the next connection gets and nobody asked it for.
        assert handshakes <= 1 + 2 * count_ran_out(receiver, 1.0), (scrapes, handshakes)


def deliver(tmp_path, backend, script, is_enough):
    """Sends the scrapes of a target to a receiver with this script until that is so; each has to
    arrive."""
    with Target(lambda request: b"n %d\n" % request.number) as target, Receiver() as receiver:
        receiver.default = script
        static = job("a", [target.address], labels={"case": "x"})
        with Limpet(tmp_path, config(static, remote(receiver.url),
                                     limpet={"event_loop": backend})) as limpet:
            target.wait_for_requests(8, 20)
            receiver.wait_for(is_enough, 30)
            limpet.stop()
        # What crossed with a unsolicited answer may have been acknowledged by it.
        scrapes = sum(series.name == "up" for request in crossed_requests(receiver)
                      for series in request.series)
        assert_each_request_is_one_scrape(stream_of(receiver, case="x"), target, 1.0, 1 + scrapes)


def crossed_requests(receiver):
    return [request for request in list(receiver.requests) if request.status is None and
            request.arrived - receiver.unsolicited.get(request.connection, 0) < CROSSING]


@BACKENDS
def test_an_unsolicited_answer_does_not_acknowledge_a_request(tmp_path, backend):
    asked = set()

    def script(request):
        if request.connection in asked:
            return Answer(reset=True)  # nobody looks at what comes after the unsolicited answer
        asked.add(request.connection)
        return Answer(unsolicited=b"HTTP/1.1 204 No Content\r\n\r\n")

    deliver(tmp_path, backend, script,
            lambda receiver: len(receiver.unsolicited) >= 5 + len(crossed_requests(receiver)))


@BACKENDS
def test_a_time_out_that_crosses_with_a_request_does_not_refuse_it(tmp_path, backend):
    asked, timed_out = set(), []

    def script(request):
        if request.connection in asked:
            timed_out.append(request)
            return Answer(raw=TIME_OUT, close=True)
        asked.add(request.connection)
        return Answer()

    deliver(tmp_path, backend, script, lambda _: len(timed_out) >= 3)
