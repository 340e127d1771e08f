# SPDX-License-Identifier: GPL-2.0-or-later
"""The client's side: credentials and redirects (reference 1.3, 8.5)."""
from common import A, ABC, Reply, same


def sent(*replies, **job):
    """A case in which all requests are compared."""
    case = same(*replies, **job)
    case.every = True
    return case


def moved(location, status="302 Found", body=b"", headers=()):
    """The first path leads elsewhere; `{host}`: the target. Whatever else is asked for is there."""
    def reply(request):
        if request.path not in ("/metrics", "/metrics?a=1&a=2"):
            return Reply(A)
        where = location.format(host=request.header("Host"), port=request.header("Host").rpartition(":")[2])
        return Reply(body, status, headers=[("Location", where), *headers])

    return reply


def chain(length):
    def reply(request):
        at = 0 if request.path == "/metrics" else int(request.path[1:])
        return Reply(A) if at == length else Reply(b"", "302 Found", headers=[("Location", f"/{at + 1}")])

    return reply


CASES = {
    # ----------------------------------------------------------------------------- credentials
    "basic_auth": sent(A, A, basic_auth={"username": "u", "password": "p:w \u00fc"}),
    "basic_auth without a password": sent(A, basic_auth={"username": "u"}),
    "basic_auth without a name": sent(A, basic_auth={"password": "p"}),
    "authorization": sent(A, A, authorization={"credentials": "t0k3n"}),
    "authorization of a type": sent(A, authorization={"type": "Token", "credentials": "a b"}),
    "authorization with spaces around": sent(A, authorization={"type": " Token ", "credentials": " x "}),
    "401 with credentials": sent(Reply(A, "401 Unauthorized"), ABC, basic_auth={"username": "u", "password": "p"}),
    # ------------------------------------------------------------------------------- redirects
    **{f"redirect by {status}": sent(moved("/other", status), scrapes=2) for status in (
        "301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent")},
    **{f"no redirect by {status}": sent(moved("/other", status), scrapes=2) for status in (
        "200 OK", "201 Created", "300 Choices", "304 Not Modified", "305 Use Proxy", "306 Unused", "404 Not Found")},
    **{f"redirect to {place}": sent(moved(place), scrapes=2) for place in (
        "other", "./other", "../other", "?a=1&b=%20", "/a/../b/./c", "//{host}/x", "http://{host}", "HTTP://{host}/x",
        "http://{host}/x#fragment", "http://{host}/a/../b", "/x?%zz", "/x y", "/%7ex", "/\u00fc",
        "http://localhost:{port}/x", "http://u:p@{host}/x", "http://u:p@{host}/x?a", "/other#x", "/x//y", "/?")},
    **{f"redirect to nowhere {place!r}": sent(moved(place), scrapes=2) for place in (
        "ftp://{host}/", "http://", "http://[::1", "http://{host}:x/", "mailto:x", "http:///x", ":", "1:x", "/%", "x/%4g",
        "http://a b/")},
    "redirect with credentials": sent(moved("/other"), scrapes=2, basic_auth={"username": "u", "password": "p"}),
    "redirect with credentials to a URL with others": sent(
        moved("http://a:b@{host}/other"), scrapes=1, basic_auth={"username": "u", "password": "p"}),
    "redirect with a body": sent(moved("/other", body=b"go there\n" * 1000), scrapes=2),
    "redirect with parameters": sent(moved("/other"), scrapes=2, params={"a": ["1", "2"]}),
    "redirect with a cookie": sent(moved("/other", headers=[("Set-Cookie", "a=b")]), scrapes=2),
    "redirect and the connection ends": sent(
        lambda request: Reply(A) if request.path == "/other" else Reply(
            b"", "302 Found", headers=[("Location", "/other")], framing="close"), scrapes=2),
    "nine redirects": sent(chain(9)),
    "ten redirects": sent(chain(10), scrapes=2),
}
