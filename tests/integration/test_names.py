# SPDX-License-Identifier: GPL-2.0-or-later
"""Host names are asked for again by the TTL of their records."""
from lib.dns import asks, dns
from lib.limpet import Limpet, config, job
from lib.proc import free_port
from lib.target import Target

BODY = b"page_total 1\n"


def rounds(dns, name):
    """How often a name was asked for: once for addresses, of which AAAA is a part."""
    return dns.asked.count((name, "AAAA"))


def serve(dns, address):
    dns.records = {("plain.test", "A"): [address], ("long.test", "A"): [address],
                   ("word.zone.test", "A"): [address],
                   ("alias.test", "CNAME"): ["hop.test"], ("hop.test", "CNAME"): ["end.test"],
                   ("end.test", "A"): [address]}
    dns.ttls = {"plain.test": 6, "word.zone.test": 6, "hop.test": 5, "alias.test": 300,
                "end.test": 86400, "long.test": 86400}


def test_names_are_asked_for_again_when_their_ttl_is_over_and_new_addresses_are_used(tmp_path, dns):
    short = ["plain.test", "alias.test", "word"]
    serve(dns, "127.0.0.1")
    with Target(BODY, port=free_port()) as old, Target(BODY, host="127.0.0.2", port=old.port) as new:
        names = [*short, "long.test"]
        jobs = [job(name, [f"{name}:{old.port}"], metrics_path=f"/{name}") for name in names]
        with Limpet(tmp_path, config(*jobs, interval="500ms"), prefix=asks(dns, tmp_path, timeout=10)) as limpet:
            def seen(target):
                return {request.path.strip("/") for request in list(target.requests)}
            # Each by two questions for A, of which one is for the TTL.
            old.wait_for(lambda _: seen(old) == set(names) and
                         dns.asked.count(("long.test", "A")) == 2, 20)
            serve(dns, "127.0.0.2")
            new.wait_for(lambda _: seen(new) >= set(short), 25)
            assert all(rounds(dns, name) >= 2 for name in ("plain.test", "alias.test"))
            assert rounds(dns, "word.zone.test") >= 2
            assert seen(new) == set(short)
            assert rounds(dns, "long.test") == 1
            assert dns.asked.count(("long.test", "A")) == 2
            limpet.stop()


def test_the_hosts_file_comes_before_dns(tmp_path, dns):
    serve(dns, "127.0.0.2")
    with Target(BODY, port=free_port()) as there, Target(BODY, host="127.0.0.2", port=there.port) as wrong:
        prefix = asks(dns, tmp_path, hosts="127.0.0.1 plain.test\n", timeout=10)
        jobs = [job("plain", [f"plain.test:{there.port}"])]
        with Limpet(tmp_path, config(*jobs, interval="200ms"), prefix=prefix) as limpet:
            # DNS is asked for the TTL only; as it has no word in this, the shorter time counts.
            there.wait_for(lambda _: dns.asked.count(("plain.test", "A")) >= 2, 25)
            assert rounds(dns, "plain.test") == 0
            limpet.stop()
        assert there.requests and not wrong.requests
