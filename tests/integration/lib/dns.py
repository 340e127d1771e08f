# SPDX-License-Identifier: GPL-2.0-or-later
"""A name server for tests. It needs port 53, so root."""
import contextlib
import errno
import os
import random
import socket
import struct
import threading
import time

import pytest


SO_TIMESTAMPNS = 35  # asm-generic/socket.h; Python has no name for it


def encode_name(name):
    return b"".join(bytes([len(part)]) + part.encode()
                    for part in name.rstrip(".").split(".") if part) + b"\0"


TYPES = {"A": 1, "NS": 2, "CNAME": 5, "MX": 15, "AAAA": 28, "SRV": 33}


def encode_record(kind, value):
    if kind == "A":
        return socket.inet_aton(value)
    if kind == "AAAA":
        return socket.inet_pton(socket.AF_INET6, value)
    if kind == "MX":
        return struct.pack("!H", 10) + encode_name(value)
    if kind == "SRV":
        return struct.pack("!HHH", 0, 0, value[1]) + encode_name(value[0])
    return encode_name(value)


class Dns:
    """A name server. records: {(name, type): [value, ...]}; other names do not exist. A CNAME leads to
    the records of its value. ttls: {name: seconds}, of names other than 60. `code`: what instead to everything, 2 for SERVFAIL; None: nothing at all. silent: names that are never
    answered."""

    def __init__(self):
        self.records, self.code, self.asked, self.silent = {}, 0, [], set()
        self.ttls = {}
        self.first_asked = {}  # name: when the kernel got it, by UDP
        while not self.listen(f"127.{random.randrange(1, 255)}.{random.randrange(256)}.7"):
            pass  # another has it
        threading.Thread(target=self.run, daemon=True).start()
        threading.Thread(target=self.run_tcp, daemon=True).start()

    def listen(self, address):
        self.address = address
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            self.socket.bind((address, 53))
            self.tcp = socket.create_server((address, 53))
        except OSError as problem:
            self.socket.close()
            if problem.errno != errno.EADDRINUSE:
                raise
            return False
        return True

    def found(self, name, kind):
        """The records of an answer: (owner, type, value)."""
        if (name, "CNAME") in self.records:
            alias = self.records[(name, "CNAME")][0]
            return [(name, "CNAME", alias), *self.found(alias, kind)]
        return [(name, kind, value) for value in self.records.get((name, kind), [])]

    def record(self, owner, kind, value):
        data = encode_record(kind, value)
        return encode_name(owner) + struct.pack("!HHIH", TYPES[kind], 1, self.ttls.get(owner, 60),
                                                len(data)) + data

    def answer(self, query, limit):
        at, parts = 12, []
        while query[at]:
            parts.append(query[at + 1 : at + 1 + query[at]].decode())
            at += 1 + query[at]
        question = query[12 : at + 5]
        name, kind = ".".join(parts).lower(), struct.unpack("!H", query[at + 1 : at + 3])[0]
        kind = {number: word for word, number in TYPES.items()}.get(kind)
        self.asked.append((name, kind))
        known = [other for other, _ in list(self.records) if other == name]
        code = self.code or (0 if known else 3)
        values = self.found(name, kind) if code == 0 else []
        records = b"".join(self.record(*value) for value in values)
        truncated = 12 + len(question) + len(records) > limit
        flags = 0x8180 | code | (0x200 if truncated else 0)
        counts = (1, 0 if truncated else len(values), 0, 0)
        return query[:2] + struct.pack("!HHHHH", flags, *counts) + question + (
            b"" if truncated else records)

    def run(self):
        self.socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        while True:
            query, ancillary, _, peer = self.socket.recvmsg(4096, 64)
            answer = self.answer(query, 512)
            seconds, ns = struct.unpack("@qq", ancillary[0][2]) if ancillary else (time.time(), 0)
            self.first_asked.setdefault(self.asked[-1][0], seconds + ns / 1e9)
            if self.code is not None and self.asked[-1][0] not in self.silent:
                self.socket.sendto(answer, peer)

    def run_tcp(self):
        while True:
            peer, _ = self.tcp.accept()
            # Who asks may give up before he has asked, and before he has the answer.
            with peer, contextlib.suppress(OSError, struct.error, IndexError):
                size, = struct.unpack("!H", peer.recv(2, socket.MSG_WAITALL))
                answer = self.answer(peer.recv(size, socket.MSG_WAITALL), 65535)
                peer.sendall(struct.pack("!H", len(answer)) + answer)


@pytest.fixture
def dns():
    if os.geteuid() != 0:
        pytest.skip("needs to be root, for port 53 and a resolv.conf of its own")
    return Dns()


def asks(dns, directory, hosts=None, timeout=1):
    """For Limpet(prefix=): a mount namespace of its own, where /etc/resolv.conf names this server,
    and hosts is the text of /etc/hosts. timeout: how many seconds it waits for an answer; where all
    names have one that is to come on a busy machine, too."""
    resolv = directory / "resolv.conf"
    resolv.write_text(f"nameserver {dns.address}\nsearch zone.test\n"
                      f"options timeout:{timeout} attempts:1\n")
    mounts = f"mount --bind {resolv} $(readlink -f /etc/resolv.conf)"
    if hosts is not None:
        (directory / "hosts").write_text(hosts)
        mounts += f" && mount --bind {directory / 'hosts'} /etc/hosts"
    return ["unshare", "-m", "sh", "-c", f"{mounts} && exec \"$@\"", "sh"]
