# SPDX-License-Identifier: GPL-2.0-or-later
"""A scrape target that sends exactly the bytes it is told, in the pieces it is told.

    def script(request):                 # called for each request, in its connection's thread
        return Reply(body=b"up_to_me 1\\n")
    with Target(script) as target:
        ... scrape target.address ...
        target.wait_for_requests(3, timeout=10)

A reply is either a Reply (well-formed HTTP with a chosen framing) or Pieces: bytes, Waits and a
way to end, for everything that is not well-formed.
"""
import contextlib
import selectors
import socket
import struct
import threading
import time
from dataclasses import dataclass, field

from .proc import PATIENCE

TEXT = "text/plain; version=0.0.4; charset=utf-8"

KEEP, CLOSE, RESET, HANG = "keep", "close", "reset", "hang"


@dataclass
class Wait:
    """Between two pieces: until the event is set, or for so many seconds."""

    event: threading.Event = None
    seconds: float = 0.0


@dataclass
class Pieces:
    """Raw bytes and Waits in order, then the end: KEEP the connection, CLOSE it in order (FIN),
    RESET it, or HANG: send nothing more and keep it open."""

    parts: list
    end: str = KEEP


@dataclass
class Reply:
    body: bytes = b""
    status: str = "200 OK"
    content_type: str = TEXT
    headers: list = field(default_factory=list)
    framing: str = "length"  # length, chunked or close
    pieces: int = 1  # the bytes go out in so many sends, with a pause between them
    pause: float = 0.002

    def to_pieces(self):
        head = f"HTTP/1.1 {self.status}\r\n"
        if self.content_type is not None:
            head += f"Content-Type: {self.content_type}\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in self.headers)
        body = self.body
        if self.framing == "length":
            head += f"Content-Length: {len(body)}\r\n"
        elif self.framing == "chunked":
            head += "Transfer-Encoding: chunked\r\n"
            body = chunked(body)
        else:
            head += "Connection: close\r\n"
        data = head.encode() + b"\r\n" + body
        step = max(1, -(-len(data) // self.pieces))
        parts = []
        for at in range(0, len(data), step):
            parts += [data[at : at + step], Wait(seconds=self.pause)]
        return Pieces(parts[:-1], CLOSE if self.framing == "close" else KEEP)


def moved(location, status="302 Found"):
    """A redirect."""
    return Reply(b"elsewhere\n", status=status, headers=[("Location", location)])


def chunked(body, size=1000):
    out = b""
    for at in range(0, len(body), size):
        piece = body[at : at + size]
        out += f"{len(piece):x}\r\n".encode() + piece + b"\r\n"
    return out + b"0\r\n\r\n"


@dataclass
class ScrapeRequest:
    number: int  # of this target, from 1
    connection: int  # from 1
    raw: bytes  # the head as it came
    arrived: float  # time.time()

    @property
    def path(self):
        return self.raw.split(b" ", 2)[1].decode()

    def header(self, name):
        for line in self.raw.decode("latin-1").split("\r\n")[1:]:
            got, _, value = line.partition(":")
            if got.lower() == name.lower():
                return value.strip()
        return None


class Target:
    """script: a Reply, Pieces or bytes (a body); or a function of the ScrapeRequest to one.
    `hub`: where many targets share the thread that accepts connections (Hub)."""

    def __init__(self, script=b"", host="127.0.0.1", port=0, unix=None, hub=None):
        self.script = script
        self.requests = []
        self.connections = 0
        self.changed = threading.Condition()
        self.stopping = threading.Event()
        self.sockets = set()
        if unix is None:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            self.listener = socket.create_server((host, port), family=family, backlog=64)
            self.host, self.port = self.listener.getsockname()[:2]
            self.address = f"[{self.host}]:{self.port}" if ":" in host else f"{self.host}:{self.port}"
        else:
            self.listener = socket.socket(socket.AF_UNIX)
            self.listener.bind(unix)
            self.listener.listen(64)
        self.thread = None
        if hub is not None:
            hub.add(self)
        else:
            self.thread = threading.Thread(target=self._accept, daemon=True)
            self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.stopping.set()
        # To close it would leave who waits for a connection where he is; when a signal makes him ask
        # again, he would take those of the next listener, which has its number.
        with contextlib.suppress(OSError):  # closed before
            self.listener.shutdown(socket.SHUT_RDWR)
        if self.thread is not None:
            self.thread.join(60)
        self.listener.close()
        for sock in list(self.sockets):
            self._end(sock, CLOSE)

    def wait_for(self, predicate, timeout=10.0):
        with self.changed:
            if not self.changed.wait_for(lambda: predicate(self), timeout * PATIENCE):
                raise AssertionError(
                    f"not so within {timeout * PATIENCE} s; {len(self.requests)} requests")

    def wait_for_requests(self, count, timeout=10.0):
        self.wait_for(lambda target: len(target.requests) >= count, timeout)

    def _accept(self):
        while self.accept_one():
            pass

    def accept_one(self):
        """Waits for a connection and serves it in a thread of its own; False when closed."""
        try:
            sock, _ = self.listener.accept()
        except OSError:
            return False
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self.changed:
            self.connections += 1
            number = self.connections
            self.sockets.add(sock)
            self.changed.notify_all()
        threading.Thread(target=self._serve, args=(sock, number), daemon=True).start()
        return True

    def _serve(self, sock, connection):
        data = b""
        try:
            while not self.stopping.is_set():
                while b"\r\n\r\n" not in data:
                    got = sock.recv(65536)
                    if not got:
                        return self._end(sock, CLOSE)
                    data += got
                head, _, data = data.partition(b"\r\n\r\n")
                if not self._answer(sock, self._record(head + b"\r\n\r\n", connection)):
                    return None
        except OSError:
            self._end(sock, CLOSE)
        return None

    def _record(self, raw, connection):
        with self.changed:
            request = ScrapeRequest(len(self.requests) + 1, connection, raw, time.time())
            self.requests.append(request)
            self.changed.notify_all()
        return request

    def _answer(self, sock, request):
        reply = self.script(request) if callable(self.script) else self.script
        if isinstance(reply, bytes):
            reply = Reply(reply)
        if isinstance(reply, Reply):
            reply = reply.to_pieces()
        for part in reply.parts:
            if isinstance(part, bytes):
                sock.sendall(part)
            elif part.event is not None:
                while not part.event.wait(0.05) and not self.stopping.is_set():
                    pass
            else:
                self.stopping.wait(part.seconds)
        if reply.end == HANG:
            self.stopping.wait()
        if reply.end != KEEP:
            self._end(sock, reply.end)
        return reply.end == KEEP

    def _end(self, sock, end):
        try:
            if end == RESET:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            else:
                sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        sock.close()
        with self.changed:
            self.sockets.discard(sock)
            self.changed.notify_all()


class Hub:
    """One thread that accepts the connections of many targets."""

    def __init__(self):
        self.selector = selectors.DefaultSelector()
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def add(self, target):
        self.selector.register(target.listener, selectors.EVENT_READ, target)

    def close(self):
        self.stopping.set()
        self.thread.join(5)

    def _run(self):
        while not self.stopping.is_set():
            for key, _ in self.selector.select(0.1):
                if not key.data.accept_one():
                    self.selector.unregister(key.fileobj)
