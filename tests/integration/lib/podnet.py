#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The network of a simulated cluster: one process answers for thousands of pods, each with an
address of its own in 127.0.0.0/8, all on one port. A pod that is down has its connections closed
and refuses new ones. Who scrapes says so in the header X-Node.

    with PodNet() as net:
        net.up("127.1.0.1"); net.down("127.1.0.1")
        net.ledger() -> {(ip, path): [(seconds since the epoch, node), ...]}

Run as a program, it is that process: commands by lines of stdin.
"""
import asyncio
import json
import socket
import subprocess
import sys
import time


class _Pods:
    def __init__(self):
        self.served = {}  # ip -> [(when, node, path)]
        self.open = {}    # ip -> connections
        self.alive = set()
        self.refused = 0


class _Connection(asyncio.Protocol):
    def __init__(self, pods):
        self.pods = pods
        self.buffer = b""

    def connection_made(self, transport):
        self.transport = transport
        self.ip = transport.get_extra_info("sockname")[0]
        if self.ip not in self.pods.alive:
            self.pods.refused += 1
            transport.abort()
            return
        self.pods.open.setdefault(self.ip, set()).add(self)

    def connection_lost(self, _):
        self.pods.open.get(self.ip, set()).discard(self)

    def data_received(self, data):
        self.buffer += data
        while b"\r\n\r\n" in self.buffer:
            head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
            self.answer(head.decode("latin-1"))

    def answer(self, head):
        lines = head.split("\r\n")
        fields = dict(line.lower().split(": ", 1) for line in lines[1:] if ": " in line)
        served = self.pods.served.setdefault(self.ip, [])
        served.append((time.time(), fields.get("x-node", "?"), lines[0].split(" ")[1]))
        body = b"sim_scrapes %d\n" % len(served)
        self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\n"
                             b"Content-Length: %d\r\n\r\n%s" % (len(body), body))


async def _commands(pods):
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=1 << 22)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        word, *ips = line.decode().split()
        if word == "up":
            pods.alive.update(ips)
        elif word == "down":
            pods.alive.difference_update(ips)
            for connection in [c for ip in ips for c in pods.open.pop(ip, ())]:
                connection.transport.abort()
        print(json.dumps(pods.served if word == "ledger" else pods.refused), flush=True)


async def _main():
    pods = _Pods()
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lo")
    listener.bind(("0.0.0.0", 0))
    server = await asyncio.get_running_loop().create_server(
        lambda: _Connection(pods), sock=listener, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await _commands(pods)


class PodNet:
    def __enter__(self):
        self.popen = subprocess.Popen([sys.executable, __file__], stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE, text=True)
        self.port = int(self.popen.stdout.readline())
        return self

    def __exit__(self, *_):
        self.popen.stdin.close()
        self.popen.wait(60)

    def _ask(self, *words):
        self.popen.stdin.write(" ".join(words) + "\n")
        self.popen.stdin.flush()
        return json.loads(self.popen.stdout.readline())

    def up(self, *ips):
        self._ask("up", *ips)

    def down(self, *ips):
        self._ask("down", *ips)

    def ledger(self):
        found = {}
        for ip, served in self._ask("ledger").items():
            for when, node, path in served:
                found.setdefault((ip, path), []).append((when, node))
        return found


if __name__ == "__main__":
    asyncio.run(_main())
