# SPDX-License-Identifier: GPL-2.0-or-later
"""Which way requests go: redirects, and what is not told to where they lead; proxies and tunnels.
Hosts that nobody knew before: test_redirects.py."""
import socket
import threading

from lib.limpet import Limpet, config, job, remote
from lib.nginx import Nginx
from lib.remote_write import Answer, Receiver
from lib.stream import count_ran_out, count_scrapes, ups, wait_for_up
from lib.target import Reply, Target, moved

BODY = b"page_total 1\n"


def test_redirects_are_followed_but_not_for_ever(tmp_path):
    def script(request):
        if request.path == "/metrics":
            return moved("/a/../b?x=y", "301 Moved Permanently")
        if request.path == "/b?x=y":
            return moved("c", "307 Temporary Redirect")
        return Reply(BODY) if request.path == "/c" else Reply(b"", status="404 Not Found")

    with Target(script) as target, Target(lambda request: moved("/metrics")) as circle, \
            Target(lambda request: moved("http://no-such-name.test/")) as unknown, Receiver() as receiver:
        jobs = [job("follows", [target.address]), job("circle", [circle.address]),
                job("unknown", [unknown.address]),
                job("stays", [target.address], follow_redirects=False)]
        with Limpet(tmp_path, config(*jobs, remote(receiver.url), interval="500ms")) as limpet:
            for name, up in (("follows", 1), ("circle", 0), ("unknown", 0), ("stays", 0)):
                wait_for_up(receiver, name, up)
                assert set(ups(receiver, 0.5, job=name)) <= {up}, name
            receiver.wait_for(lambda r: 0 in ups(r, 0.5, job="circle"))  # all the way round in its time
            limpet.stop()
        paths = [request.path for request in target.requests]
        assert paths.count("/c") <= paths.count("/b?x=y") <= paths.count("/metrics")
        assert len(circle.requests) >= 10
        # The same host needs no other connection.
        assert target.connections <= 4 + count_ran_out(receiver, 0.5)


def test_a_remote_that_has_moved(tmp_path):
    moved_to = lambda url: Answer(status=308, headers={"Location": url})
    credentials = {"bearer_token": "abc"}
    with Receiver() as receiver, Receiver() as front, Receiver() as gone, Target(BODY) as target:
        front.default = moved_to(receiver.url)
        gone.default = Answer(status=302, headers={"Location": "/elsewhere"})
        settings = config(job("a", [target.address]), remote(front.url, **credentials),
                          remote(gone.url, follow_redirects=False))
        with Limpet(tmp_path, settings) as limpet:
            wait_for_up(receiver, "a", 1)
            gone.wait_for(lambda r: len(r.requests) >= 2)
            limpet.stop()
        assert not receiver.problems() and not front.problems()
        assert len(front.requests) == len(receiver.requests)
        assert sorted(r.body for r in front.requests) == sorted(r.body for r in receiver.requests)
        for request in receiver.requests:
            assert request.method == "POST"
            assert request.header("Authorization") == "Bearer abc"  # the same host
        assert {request.path for request in gone.requests} == {"/api/v1/write"}


def test_credentials_do_not_go_to_strangers(tmp_path):
    with Target(BODY, host="127.0.0.2") as stranger, Receiver() as receiver:
        with Target(lambda request: moved(f"http://{stranger.address}/metrics")) as target:
            settings = {"bearer_token": "abc", "http_headers": {"X-Key": {"secrets": ["s"]}}}
            with Limpet(tmp_path, config(job("a", [target.address], **settings), remote(receiver.url))) as limpet:
                wait_for_up(receiver, "a", 1)
                limpet.stop()
            assert target.requests and stranger.requests
            for request in target.requests:
                assert request.header("Authorization") == "Bearer abc"
                assert request.header("X-Key") == "s"
            for request in stranger.requests:
                assert request.header("Authorization") is None
                assert request.header("X-Key") is None
                assert request.header("Referer") == f"http://{target.address}/metrics"


def test_a_proxy_gets_the_whole_url(tmp_path):
    with Target(BODY) as proxy, Target(BODY) as direct, Receiver() as receiver:
        way = {"proxy_url": f"http://me:pass@{proxy.address}", "no_proxy": "127.0.0.0/8"}
        jobs = [job("proxied", ["10.255.255.1:9100"], **way), job("spared", [direct.address], **way)]
        with Limpet(tmp_path, config(*jobs, remote(receiver.url))) as limpet:
            wait_for_up(receiver, "proxied", 1)
            wait_for_up(receiver, "spared", 1)
            limpet.stop()
        assert all(request.path == "http://10.255.255.1:9100/metrics" and
                   request.header("Host") == "10.255.255.1:9100" and
                   request.header("Proxy-Authorization") == "Basic bWU6cGFzcw==" for request in proxy.requests)
        assert all(request.path == "/metrics" and request.header("Proxy-Authorization") is None
                   for request in direct.requests)


class Tunnels:
    """A proxy that grants every tunnel; self.heads has the requests for them."""

    def __init__(self):
        self.heads = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        head = b""
        while b"\r\n\r\n" not in head:
            got = sock.recv(4096)
            if not got:
                return
            head += got
        self.heads.append(head.decode())
        host, port = head.split()[1].decode().rsplit(":", 1)
        far = socket.create_connection((host, int(port)))
        sock.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        threading.Thread(target=self._pass, args=(far, sock), daemon=True).start()
        self._pass(sock, far)

    @staticmethod
    def _pass(source, drain):
        try:
            while True:
                data = source.recv(65536)
                if not data:
                    break
                drain.sendall(data)
            drain.shutdown(socket.SHUT_WR)
        except OSError:
            pass


def test_a_tunnel_leads_to_a_target_and_to_a_remote(tmp_path, certificates):
    tunnels = Tunnels()
    with Receiver() as receiver, Nginx(tmp_path, certificates, receiver.port) as nginx:
        way = {"proxy_url": f"http://{tunnels.address}", "tls_config": {"ca_file": str(certificates / "ca.pem")},
               "proxy_connect_header": {"X-Why": ["test"]}}
        settings = config(job("a", [nginx.address()], scheme="https", **way),
                          remote(f"https://{nginx.address()}/api/v1/write", **way), interval="200ms")
        with Limpet(tmp_path, settings) as limpet:
            wait_for_up(receiver, "a", 1)
            receiver.wait_for(lambda r: count_scrapes(r, "a") > 5, 10)
            limpet.stop()
    # One tunnel each, kept as long as it is needed.
    assert 2 <= len(tunnels.heads) <= 4 + count_ran_out(receiver, 0.2)
    for head in tunnels.heads:
        assert head.startswith(f"CONNECT {nginx.address()} HTTP/1.1\r\n")
        assert "\r\nX-Why: test\r\n" in head
