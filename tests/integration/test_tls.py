# SPDX-License-Identifier: GPL-2.0-or-later
"""Connections by TLS to a real nginx that end where they should not, and that go on from each other."""
import os
import signal
import socket
import threading

import pytest

from lib.cluster import pss_kib
from lib.limpet import Limpet, config, file_job, job, remote, write_file_sd
from lib.nginx import Nginx
from lib.proc import wait_until
from lib.remote_write import Answer, Receiver
from lib.stream import count_ran_out, ups
from lib.target import Reply, Target


class Cut:
    """Passes bytes between clients and a port of this machine. After `limit` bytes from there (None: as
    many as come) both ends are closed."""

    def __init__(self, port, limit):
        self.port, self.limit = port, limit
        self.connections = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)  # so that nobody waits at it any more
        self.listener.close()

    def _accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            far = socket.create_connection(("127.0.0.1", self.port))
            threading.Thread(target=self._pass, args=(near, far, None), daemon=True).start()
            threading.Thread(target=self._pass, args=(far, near, self.limit), daemon=True).start()

    @staticmethod
    def _pass(source, drain, limit):
        try:
            while limit is None or limit > 0:
                data = source.recv(4096)
                if not data:
                    break
                drain.sendall(data if limit is None else data[:limit])
                limit = None if limit is None else limit - len(data)
        except OSError:
            pass
        for sock in (source, drain):
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


@pytest.mark.parametrize("limit", [0, 1, 100, 600])
def test_a_handshake_that_ends_in_the_middle(tmp_path, certificates, limit):
    """Scrapes and deliveries fail, and succeed when the peer stays."""
    way = {"tls_config": {"ca_file": str(certificates / "ca.pem")}}
    with Receiver() as behind, Receiver() as receiver, Nginx(tmp_path, certificates, behind.port) as nginx, \
            Cut(nginx.ports["good"], limit) as cut, Cut(nginx.ports["good"], limit) as cut_remote:
        settings = config(job("a", [cut.address], scheme="https", **way), remote(receiver.url),
                          remote(f"https://{cut_remote.address}/api/v1/write", **way), interval="300ms")
        with Limpet(tmp_path, settings) as limpet:
            receiver.wait_for(lambda r: len(r.samples("up")) >= 3)
            wait_until(lambda: cut_remote.connections >= 2, 10, "attempts to deliver")
            assert {value for _, value in receiver.samples("up")} == {0}
            assert not behind.requests
            cut.limit = cut_remote.limit = None
            receiver.wait_for(lambda r: 1 in [value for _, value in r.samples("up")])
            behind.wait_for(lambda r: 1 in [value for _, value in r.samples("up")], 15)
            limpet.stop()
        # What could not be delivered then has come since.
        assert behind.samples("up") == receiver.samples("up")
        assert not behind.problems()


@pytest.mark.parametrize("site", ["closing", "closing 1.2"])
def test_a_target_that_closes_is_not_asked_for_certificates_again(tmp_path, certificates, site):
    with Nginx(tmp_path, certificates) as nginx, Receiver() as receiver:
        entry = job("a", [nginx.address(site)], scheme="https", metrics_path="/session",
                    tls_config={"ca_file": str(certificates / "ca.pem")})
        with Limpet(tmp_path, config(entry, remote(receiver.url), interval="200ms")) as limpet:
            receiver.wait_for(lambda r: len(r.samples("session", how="r")) >= 5)
            limpet.stop()
        assert set(ups(receiver, 0.2)) == {1}
        whole = [value for _, value in receiver.samples("session", how=".") if value == 1]
        # The first one, whose page may have come too late, too.
        ran_out = count_ran_out(receiver, 0.2)
        assert 1 - ran_out <= len(whole) <= 1 + ran_out


def trusting(certificates):
    """An environment in which the system's authorities are those of the tests."""
    return {"SSL_CERT_FILE": f"{certificates}/ca.pem"}


def test_what_only_labels_and_rules_make_https_is_scraped(tmp_path, certificates):
    """Nothing in the job says so: neither at the start nor when the first such target comes."""
    early, late = tmp_path / "early.json", tmp_path / "late.json"
    with Nginx(tmp_path, certificates) as nginx, Receiver() as receiver, Target(b"page_total 1\n") as plain:
        write_file_sd(early, [([nginx.address()], {"__scheme__": "https"}), ([plain.address], {})])
        write_file_sd(late, [([plain.address], {})])
        rules = [{"regex": "scheme", "replacement": "__scheme__", "action": "labelmap"}]
        jobs = [file_job("early", early), file_job("late", late, relabel_configs=rules)]
        settings = config(*jobs, remote(receiver.url), interval="500ms")
        with Limpet(tmp_path, settings, env=trusting(certificates)) as limpet:
            for name, address in (("early", nginx.address()), ("early", plain.address), ("late", plain.address)):
                receiver.wait_for(lambda r: len(r.samples("up", job=name, instance=address)) >= 2)
            write_file_sd(late, [([plain.address], {}), ([nginx.address()], {"scheme": "https"})])
            receiver.wait_for(lambda r: len(r.samples("up", job="late", instance=nginx.address())) >= 2)
            os.kill(limpet.child("limpet-discovery"), signal.SIGKILL)
            wait_until(lambda: limpet.metric("limpet_child_restarts_total", role="discovery") == 1, 30,
                       "another discovery")
            before = len(receiver.samples("up", job="late", instance=nginx.address()))
            receiver.wait_for(lambda r: len(r.samples("up", job="late", instance=nginx.address())) >= before + 2)
            limpet.stop()
        assert set(ups(receiver, 0.5)) == {1}


def test_a_redirect_to_https_is_believed_as_the_system_does(tmp_path, certificates):
    """Neither the job nor the remote says that it will speak TLS."""
    with Receiver() as behind, Nginx(tmp_path, certificates, behind.port) as nginx, Receiver() as first, \
            Target(lambda _: Reply(b"", status="302 Found", headers=[
                ("Location", f"https://{nginx.address()}/metrics")])) as target:
        first.default = lambda _: Answer(308, headers={"Location": f"https://{nginx.address()}/api/v1/write"})
        settings = config(job("a", [target.address]), remote(first.url), interval="500ms")
        with Limpet(tmp_path, settings, env=trusting(certificates)) as limpet:
            behind.wait_for(lambda r: len(r.samples("up")) >= 3)
            limpet.stop()
        assert set(ups(behind, 0.5)) == {1}


SYSTEM = "/etc/ssl/certs/ca-certificates.crt"


@pytest.mark.skipif(not os.path.exists(SYSTEM), reason="there is no list of authorities")
def test_jobs_share_the_authorities_that_they_believe(tmp_path, certificates):
    """Thirty jobs with the system's list, which is 220 KB, or 0.4 MB in a scraper that has read it."""
    bundle = tmp_path / "bundle.pem"
    with open(SYSTEM, "rb") as file:
        bundle.write_bytes(file.read() + (certificates / "ca.pem").read_bytes())
    way = {"scheme": "https", "tls_config": {"ca_file": str(bundle)}}
    sizes = {}
    with Nginx(tmp_path, certificates, 9) as nginx:
        for count in (2, 30):
            jobs = [job(f"j{i}", [f"127.0.0.1:{nginx.ports['good']}"], **way) for i in range(count)]
            with Receiver() as receiver, \
                    Limpet(tmp_path, config(*jobs, remote(receiver.url), interval="1s"), f"{count}") as limpet:
                receiver.wait_for(lambda r: len(r.series("up")) >= count and len(r.samples("up")) >= 2 * count, 40)
                sizes[count] = pss_kib(limpet.child("limpet-scraper"))
                limpet.stop()
    print(f"a scraper with 2 and 30 jobs over https: {sizes} KiB (PSS)")
    assert sizes[30] - sizes[2] < 28 * 250  # a connection is 80
