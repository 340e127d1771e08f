# SPDX-License-Identifier: GPL-2.0-or-later
"""What requests carry: credentials inline and from files that change, TLS against a real nginx,
gzip; and that secrets stay where they belong. Which way they go: test_http_routes.py."""
import base64
import gzip
import http.server
import json
import os
import pathlib
import subprocess
import urllib.parse

import pytest

from lib.http_server import HttpServer
from lib.limpet import Limpet, config, job, remote, write_atomically
from lib.nginx import Nginx
from lib.proc import BUILD, wait_until
from lib.remote_write import Receiver
from lib.stream import count_scrapes, ups, wait_for_up
from lib.target import Reply, Target, moved

BODY = b"page_total 1\n"


def latest(receiver, name, **labels):
    """The newest value that is no marker."""
    samples = [value for _, value in receiver.samples(name, **labels) if value == value]
    return samples[-1] if samples else None


def expecting(**wanted):
    """A script that serves the page to who brings these headers, and refuses others."""

    def script(request):
        for name, value in wanted.items():
            if request.header(name.replace("_", "-")) != value:
                return Reply(b"who are you?\n", status="401 Unauthorized")
        return Reply(BODY)

    return script


def basic(user, password):
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def test_requests_carry_credentials_and_headers(tmp_path):
    (tmp_path / "password").write_text(" s3cret\n")
    (tmp_path / "header").write_text("from a file\n")
    scripts = {
        "basic": (expecting(Authorization=basic("me", "pass word")),
                  {"basic_auth": {"username": "me", "password": "pass word"}}),
        "basic file": (expecting(Authorization=basic("me", "s3cret")),
                       {"basic_auth": {"username": "me", "password_file": "password"}}),
        "bearer": (expecting(Authorization="Bearer abc"), {"authorization": {"credentials": "abc"}}),
        "old bearer": (expecting(Authorization="Bearer abc"), {"bearer_token": "abc"}),
        "token": (expecting(Authorization="Token s3cret"),
                  {"authorization": {"type": "Token", "credentials_file": "password"}}),
        "headers": (expecting(X_One="1", X_Two="2", X_Three="from a file"),
                    {"http_headers": {"X-One": {"values": ["1"]}, "X-Two": {"secrets": ["2"]},
                                      "X-Three": {"files": ["header"]}}}),
        "nothing": (lambda request: Reply(BODY if request.header("Authorization") is None else b"!"), {}),
    }
    targets = {name: Target(script) for name, (script, _) in scripts.items()}
    jobs = [job(name, [targets[name].address], **settings) for name, (_, settings) in scripts.items()]
    with Receiver() as receiver, Limpet(tmp_path, config(*jobs, remote(receiver.url))) as limpet:
        for name in scripts:
            wait_for_up(receiver, name, 1)
            receiver.wait_for(lambda r: latest(r, "page_total", job=name) == 1)
        limpet.stop()
    for target in targets.values():
        target.close()


def test_a_file_that_changes_counts_from_the_next_scrapes_on(tmp_path):
    token = tmp_path / "token"
    wanted = ["one"]
    script = lambda request: expecting(Authorization=f"Bearer {wanted[0]}")(request)
    settings = {"authorization": {"credentials_file": str(token)}}
    with Target(script) as target, Receiver() as receiver, \
            Limpet(tmp_path, config(job("a", [target.address], **settings), remote(receiver.url),
                                    interval="200ms")) as limpet:
        wait_for_up(receiver, "a", 0)  # the file is not there
        assert not target.requests
        write_atomically(str(token), "one\n")
        wait_for_up(receiver, "a", 1)
        wanted[0] = "two"
        before = count_scrapes(receiver, "a")
        wait_for_up(receiver, "a", 0, before)
        write_atomically(str(token), "two\n")
        before = count_scrapes(receiver, "a")
        wait_for_up(receiver, "a", 1, before)
        os.unlink(token)
        before = count_scrapes(receiver, "a")
        wait_for_up(receiver, "a", 0, before)
        limpet.stop()


def test_a_scraper_that_starts_again_has_credentials(tmp_path):
    with Target(expecting(Authorization="Bearer abc")) as target, Receiver() as receiver, \
            Limpet(tmp_path, config(job("a", [target.address], bearer_token="abc"), remote(receiver.url),
                                    interval="200ms")) as limpet:
        wait_for_up(receiver, "a", 1)
        os.kill(limpet.child("limpet-scraper"), 9)
        before = len(target.requests)
        target.wait_for_requests(before + 5)
        os.kill(limpet.child("limpet-discovery"), 9)
        before = len(target.requests)
        target.wait_for_requests(before + 5)
        assert all(request.header("Authorization") == "Bearer abc" for request in target.requests)
        assert limpet.reload()
        before = len(target.requests)
        target.wait_for_requests(before + 5)
        assert all(request.header("Authorization") == "Bearer abc" for request in target.requests)
        limpet.stop()


def written_bytes(path):
    """The content of a file without its holes: segments are mostly those."""
    content, at = b"", 0
    with open(path, "rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        while at < size:
            try:
                at = os.lseek(file.fileno(), at, os.SEEK_DATA)
            except OSError:
                break
            end = os.lseek(file.fileno(), at, os.SEEK_HOLE)
            content += os.pread(file.fileno(), end - at, at)
            at = end
    return content


class TokenServer:
    """Gives tokens t1, t2, ... for `lifetime` seconds each; self.asked has what was sent."""

    def __init__(self, lifetime, in_body=False):
        self.asked = []
        self.refuse = self.by_jwt = False
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                form = urllib.parse.parse_qs(body)
                outer.asked.append((self.headers.get("Authorization"), form))
                knows = "client_id" in form if in_body else self.headers.get("Authorization") == basic("me", "s3cret")
                knows = knows or outer.by_jwt
                if outer.refuse or not knows:
                    self.answer(401, {"error": "invalid_client"})
                else:
                    self.answer(200, {"access_token": f"t{len(outer.asked)}", "token_type": "bearer",
                                      "expires_in": lifetime})

            def answer(self, status, content):
                body = json.dumps(content).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = HttpServer(Handler)
        self.url = f"{self.server.url}/token"

    def __enter__(self):
        self.server.begin()
        return self

    def __exit__(self, *_):
        self.server.end()


def test_tokens_are_fetched_and_renewed(tmp_path):
    (tmp_path / "secret").write_text("s3cret\n")
    with TokenServer(11) as tokens, Target(BODY) as target, Receiver() as receiver:
        oauth2 = {"client_id": "me", "client_secret_file": "secret", "token_url": tokens.url,
                  "scopes": ["a", "b"], "endpoint_params": {"audience": "x"}}
        with Limpet(tmp_path, config(job("a", [target.address], oauth2=oauth2), remote(receiver.url),
                                     interval="200ms")) as limpet:
            # Renewed ten seconds before they end: each is good for one.
            target.wait_for(lambda t: len({r.header("Authorization") for r in t.requests}) >= 3, 15)
            limpet.stop()
        assert all(request.header("Authorization").startswith("Bearer t") for request in target.requests)
        assert tokens.asked[0][1] == {"grant_type": ["client_credentials"], "scope": ["a b"], "audience": ["x"]}


def test_tokens_for_a_remote_from_a_server_that_reads_the_body(tmp_path):
    with TokenServer(3600, in_body=True) as tokens, Target(BODY) as target, Receiver() as receiver:
        oauth2 = {"client_id": "me", "client_secret": "s3cret", "token_url": tokens.url}
        with Limpet(tmp_path, config(job("a", [target.address]), remote(receiver.url, oauth2=oauth2))) as limpet:
            wait_for_up(receiver, "a", 1)
            limpet.stop()
        assert all(request.header("Authorization") == "Bearer t2" for request in receiver.requests)
        assert len(tokens.asked) == 2


def test_the_user_of_a_remotes_url_is_sent_and_not_shown(tmp_path):
    with Target(BODY) as target, Receiver() as receiver:
        url = receiver.url.replace("http://", "http://me:s%20ecret@")
        with Limpet(tmp_path, config(job("a", [target.address]), remote(url))) as limpet:
            wait_for_up(receiver, "a", 1)
            assert f'url="{receiver.url}"' in limpet.get("/metrics")[1]
            limpet.stop()
        assert {request.header("Authorization") for request in receiver.requests} == {basic("me", "s ecret")}


def unpack(assertion):
    """(header, claims, what is signed, signature) of a JWT."""
    decode = lambda text: base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    head, claims, signature = assertion.split(".")
    return json.loads(decode(head)), json.loads(decode(claims)), f"{head}.{claims}".encode(), decode(signature)


@pytest.mark.parametrize("form,bits", [("pkcs8", 256), ("pkcs1", 384), ("pkcs8", 512)])
def test_tokens_by_a_signed_jwt(tmp_path, form, bits):
    def openssl(*words, **more):
        return subprocess.run(["openssl", *words], cwd=tmp_path, check=True, capture_output=True, **more)

    openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", "pkcs8.pem")
    openssl("rsa", "-in", "pkcs8.pem", "-traditional", "-out", "pkcs1.pem")
    openssl("rsa", "-in", "pkcs8.pem", "-pubout", "-out", "public.pem")
    grant = "urn:ietf:params:oauth:grant-type:jwt-bearer"
    with TokenServer(3600, in_body=True) as tokens, Target(BODY) as target, Receiver() as receiver:
        tokens.by_jwt = True
        oauth2 = {"client_id": "me", "token_url": tokens.url, "grant_type": grant, "iss": "issuer",
                  "client_certificate_key_file": f"{form}.pem", "client_certificate_key_id": "k1",
                  "signature_algorithm": f"RS{bits}", "scopes": ["a", "b"],
                  "claims": {"level": 3, "roles": ["x", "y"], "sub": "another"},
                  "endpoint_params": {"zone": "1&2"}}
        with Limpet(tmp_path, config(job("a", [target.address], oauth2=oauth2), remote(receiver.url))) as limpet:
            wait_for_up(receiver, "a", 1)
            limpet.stop()
        (authorization, asked), = tokens.asked
    assert authorization is None
    assertion, = asked.pop("assertion")
    assert asked == {"grant_type": [grant], "scope": ["a b"], "zone": ["1&2"]}
    header, claims, signed, signature = unpack(assertion)
    assert header == {"alg": f"RS{bits}", "typ": "JWT", "kid": "k1"}
    assert claims.pop("exp") - claims.pop("iat") == 3600 and len(claims.pop("jti")) == 36
    assert claims == {"iss": "issuer", "sub": "another", "aud": tokens.url, "scope": "a b", "level": 3,
                      "roles": ["x", "y"]}
    (tmp_path / "signature").write_bytes(signature)
    openssl("dgst", f"-sha{bits}", "-verify", "public.pem", "-signature", "signature", input=signed)
    assert {request.header("Authorization") for request in target.requests} == {"Bearer t1"}


def test_a_key_that_cannot_sign_is_a_reason(tmp_path):
    grant = "urn:ietf:params:oauth:grant-type:jwt-bearer"
    with TokenServer(3600) as tokens, Target(BODY) as target, Receiver() as receiver:
        oauth2 = {"client_id": "me", "token_url": tokens.url, "grant_type": grant}
        jobs = [job("none", [target.address], oauth2=oauth2),
                job("missing", [target.address], oauth2={**oauth2, "client_certificate_key_file": "not-there"})]
        with Limpet(tmp_path, config(*jobs, remote(receiver.url))) as limpet:
            for name in ("none", "missing"):
                wait_for_up(receiver, name, 0)
            for why in ("the key is no RSA private key in PEM form", "unable to read client certificate key"):
                wait_until(lambda: why in limpet.get("/targets")[1], 10, why)
            limpet.stop()
        assert not target.requests and not tokens.asked


def test_without_a_token_nothing_is_asked(tmp_path):
    with TokenServer(3600) as tokens, Target(BODY) as target, Receiver() as receiver:
        tokens.refuse = True
        oauth2 = {"client_id": "me", "client_secret": "wrong", "token_url": tokens.url}
        with Limpet(tmp_path, config(job("a", [target.address], oauth2=oauth2), remote(receiver.url),
                                     interval="200ms")) as limpet:
            wait_for_up(receiver, "a", 0)
            limpet.wait_for_line("invalid_client")
            limpet.stop()
        assert not target.requests


def test_secrets_are_nowhere_to_be_seen(tmp_path):
    secret = "hunter2-hunter2"
    with Target(expecting(Authorization=f"Bearer {secret}")) as target, Receiver() as receiver:
        settings = config(job("a", [target.address], bearer_token=secret), remote(receiver.url))
        with Limpet(tmp_path, settings, flags=["--log.level=debug"]) as limpet:
            wait_for_up(receiver, "a", 1)
            for name in os.listdir(limpet.paths.runtime):
                assert secret.encode() not in written_bytes(os.path.join(limpet.paths.runtime, name)), name
            for page in ("/metrics", "/targets", "/api/v1/targets", "/api/v1/status/config"):
                assert secret not in limpet.get(page)[1], page
            assert secret not in limpet.stderr()
            checked = subprocess.run([os.path.join(BUILD, "limpet"), "check", "config", limpet.config_path],
                                     capture_output=True, text=True, check=True)
            assert secret not in checked.stdout + checked.stderr
            limpet.stop()


def test_tls_as_it_is_configured(tmp_path, certificates):
    ca = {"ca_file": str(certificates / "ca.pem")}
    client = {"cert_file": str(certificates / "client.pem"), "key_file": str(certificates / "client.key")}
    inline = {"ca": (certificates / "ca.pem").read_text(), "cert": (certificates / "client.pem").read_text(),
              "key": (certificates / "client.key").read_text()}
    cases = {
        "good": ("good", ca, 1),
        "stranger": ("good", {}, 0),
        "insecure": ("expired", {"insecure_skip_verify": True}, 1),
        "expired": ("expired", ca, 0),
        "wrong name": ("elsewhere", ca, 0),
        "right name": ("elsewhere", {**ca, "server_name": "elsewhere.test"}, 1),
        "no certificate": ("mutual", ca, 0),
        "certificate": ("mutual", {**ca, **client}, 1),
        "inline": ("mutual", inline, 1),
        "old": ("good", {**ca, "max_version": "TLS12"}, 1),
        "no such file": ("good", {"ca_file": "missing.pem"}, 0),
    }
    with Nginx(tmp_path, certificates) as nginx, Receiver() as receiver:
        jobs = [job(name, [nginx.address(site)], scheme="https", tls_config=tls)
                for name, (site, tls, _) in cases.items()]
        with Limpet(tmp_path, config(*jobs, remote(receiver.url), interval="500ms")) as limpet:
            for name, (_, _, up) in cases.items():
                wait_for_up(receiver, name, up)
                assert set(ups(receiver, 0.5, job=name)) <= {up}, name
            limpet.stop()


def test_a_new_ca_file_makes_a_new_context(tmp_path, certificates):
    ca = tmp_path / "trusted.pem"
    ca.write_text((certificates / "other.pem").read_text())
    with Nginx(tmp_path, certificates) as nginx, Receiver() as receiver, \
            Limpet(tmp_path, config(job("a", [nginx.address()], scheme="https",
                                        tls_config={"ca_file": "trusted.pem"}),
                                    remote(receiver.url), interval="200ms")) as limpet:
        wait_for_up(receiver, "a", 0)
        write_atomically(str(ca), (certificates / "ca.pem").read_text())
        wait_for_up(receiver, "a", 1)
        limpet.stop()


def test_a_remote_by_tls_with_credentials(tmp_path, certificates):
    (tmp_path / "password").write_text("s3cret")
    with Receiver() as receiver, Nginx(tmp_path, certificates, receiver.port) as nginx, \
            Target(BODY) as target:
        settings = remote(f"https://localhost:{nginx.ports['mutual']}/api/v1/write",
                          basic_auth={"username": "me", "password_file": "password"},
                          tls_config={"ca_file": str(certificates / "ca.pem"),
                                      "cert_file": str(certificates / "client.pem"),
                                      "key_file": str(certificates / "client.key")},
                          http_headers={"X-Scope-OrgID": {"values": ["tenant"]}})
        with Limpet(tmp_path, config(job("a", [target.address]), settings)) as limpet:
            wait_for_up(receiver, "a", 1)
            limpet.stop()
        assert not receiver.problems()
        for request in receiver.requests:
            assert request.header("Authorization") == basic("me", "s3cret")
            assert request.header("X-Scope-OrgID") == "tenant"


def mapped(pid, name):
    return name in pathlib.Path(f"/proc/{pid}/maps").read_text()


def test_who_speaks_no_tls_does_not_load_it(tmp_path, certificates):
    with Nginx(tmp_path, certificates) as nginx, Receiver() as receiver, Target(BODY) as target:
        plain = config(job("a", [target.address]), remote(receiver.url))
        with Limpet(tmp_path, plain) as limpet:
            wait_for_up(receiver, "a", 1)
            for pids in limpet.children().values():
                assert not any(mapped(pid, "wolfssl") for pid in pids)
            secure = config(job("b", [nginx.address()], scheme="https",
                                tls_config={"insecure_skip_verify": True}), remote(receiver.url))
            assert limpet.reload(secure)
            wait_for_up(receiver, "b", 1)
            assert mapped(limpet.child("limpet-scraper"), "wolfssl")
            assert not mapped(limpet.child("limpet-writer"), "wolfssl")
            limpet.stop()


def test_gzip_is_undone_and_damage_is_an_error(tmp_path):
    packed = gzip.compress(BODY * 2000 + b"last 7\n")
    encoded = [("Content-Encoding", "gzip")]
    replies = {
        "good": (Reply(packed, headers=encoded), 1),
        "chunked": (Reply(packed, headers=encoded, framing="chunked", pieces=5), 1),
        "two members": (Reply(gzip.compress(b"first 1\n") + gzip.compress(b"last 7\n"), headers=encoded), 1),
        "cut": (Reply(packed[:-4], headers=encoded), 0),
        "wrong sum": (Reply(packed[:-8] + b"\0" * 8, headers=encoded), 0),
        "garbage": (Reply(packed + b"garbage", headers=encoded), 0),
        "not at all": (Reply(BODY, headers=encoded), 0),
        "another word": (Reply(packed, headers=[("Content-Encoding", "GZIP")]), 0),
    }
    targets = {name: Target(reply) for name, (reply, _) in replies.items()}
    with Receiver() as receiver, \
            Limpet(tmp_path, config(*[job(name, [target.address]) for name, target in targets.items()],
                                    remote(receiver.url))) as limpet:
        for name, (_, up) in replies.items():
            wait_for_up(receiver, name, up)
            if up:
                receiver.wait_for(lambda r: latest(r, "last", job=name) == 7)
            assert latest(receiver, "last", job=name) == (7 if up else None), name
        limpet.stop()
    for target in targets.values():
        target.close()


def test_a_target_behind_a_unix_socket(tmp_path):
    path = str(tmp_path / "socket")
    redirect = lambda request: moved("/there") if request.path == "/metrics" else Reply(BODY)
    with Target(redirect, unix=path) as target, Receiver() as receiver:
        jobs = [job("a", ["app.example:1"], labels={"__unix_socket__": path}),
                job("b", [""], labels={"__unix_socket__": path, "zone": "z"}),
                job("missing", ["app.example:1"], labels={"__unix_socket__": path + "x"})]
        with Limpet(tmp_path, config(*jobs, remote(receiver.url))) as limpet:
            for name, up in (("a", 1), ("b", 1), ("missing", 0)):
                wait_for_up(receiver, name, up)
            receiver.wait_for(lambda r: latest(
                r, "page_total", job="a", instance="app.example:1") == 1)
            receiver.wait_for(lambda r: latest(
                r, "page_total", job="b", instance="localhost", zone="z") == 1)
            limpet.stop()
        assert {request.header("Host") for request in target.requests} == {"app.example:1", "localhost"}


def test_who_is_asked_for_gzip(tmp_path):
    """By the job's keys; else those that are not on this node."""
    def script(request):
        if request.header("Accept-Encoding") != "gzip":
            return Reply(BODY)
        return Reply(gzip.compress(BODY), headers=[("Content-Encoding", "gzip")])

    node = lambda name: {"__meta_kubernetes_node_name": name}
    groups = tmp_path / "nodes.json"
    with Target(script) as target, Receiver() as receiver:
        groups.write_text(json.dumps([
            {"targets": [target.address], "labels": {**node("here"), "__metrics_path__": "/this-node"}},
            {"targets": [target.address], "labels": {**node("there"), "__metrics_path__": "/other-node"}}]))
        wanted = {"/default": "identity", "/on": "gzip", "/off": "identity", "/forced": "gzip",
                  "/this-node": "identity", "/other-node": "gzip"}
        jobs = [job("default", [target.address], metrics_path="/default"),
                job("on", [target.address], metrics_path="/on", enable_compression=True),
                job("off", [target.address], metrics_path="/off", enable_compression=False),
                job("forced", [target.address], metrics_path="/forced", limpet={"compression": "true"}),
                {"job_name": "nodes", "file_sd_configs": [{"files": [str(groups)]}]}]
        settings = config(*jobs, remote(receiver.url), limpet={"sharding": {"by": "none"}})
        with Limpet(tmp_path, settings, env={"NODE_NAME": "here"}) as limpet:
            for name in ("default", "on", "off", "forced"):
                wait_for_up(receiver, name, 1)
            wait_until(lambda: {request.path for request in target.requests} == set(wanted), 20, "all")
            limpet.stop()
        assert {request.path: request.header("Accept-Encoding") for request in target.requests} == wanted
        assert {value for _, value in receiver.samples("page_total") if value == value} == {1}
