# SPDX-License-Identifier: GPL-2.0-or-later
"""An API server of Kubernetes, as far as discovery speaks to one: lists in pages, watches with
bookmarks and time-outs, versions that expire, selectors, tokens; and what goes wrong with real ones.

    with ApiServer() as server:
        server.put("pods", pod("web-1", ip="10.0.0.1", node="n1"))
        ... server.requests, server.compact(), server.faults.append(Fault("pods", ...)) ...
"""
import bisect
import collections
import copy
import json
import ssl
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler

from .http_server import HttpServer
from .proc import PATIENCE

BASES = {
    "pods": "/api/v1",
    "nodes": "/api/v1",
    "services": "/api/v1",
    "endpoints": "/api/v1",
    "namespaces": "/api/v1",
    "endpointslices": "/apis/discovery.k8s.io/v1",
    "ingresses": "/apis/networking.k8s.io/v1",
    "replicasets": "/apis/apps/v1",
    "jobs": "/apis/batch/v1",
}
KINDS = {
    "pods": ("v1", "Pod"),
    "nodes": ("v1", "Node"),
    "services": ("v1", "Service"),
    "endpoints": ("v1", "Endpoints"),
    "namespaces": ("v1", "Namespace"),
    "endpointslices": ("discovery.k8s.io/v1", "EndpointSlice"),
    "ingresses": ("networking.k8s.io/v1", "Ingress"),
    "replicasets": ("apps/v1", "ReplicaSet"),
    "jobs": ("batch/v1", "Job"),
}

Request = collections.namedtuple("Request", "arrived path query headers watch peer")
Event = collections.namedtuple("Event", "version type before after")


class Fault:
    """What happens to the next requests for a resource. `watch`: of watches (True), lists (False)
    or both (None). `status`: that answer. `body`: these bytes (a list of pieces) instead of an
    answer or after a watch has begun, and then the end. `stall`: nothing more, for so many seconds.
    """

    def __init__(self, resource, watch=None, times=1, status=None, body=None, stall=None,
                 cut=False, reason="", only=None, retry_after=None):
        self.resource, self.watch, self.times = resource, watch, times
        self.status, self.body, self.stall, self.cut = status, body, stall, cut
        self.reason, self.only, self.retry_after = reason, only, retry_after


def status_object(code, reason, message):
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": message, "reason": reason, "code": code}


def _field(obj, path):
    for part in path.split("."):
        obj = obj.get(part, {}) if isinstance(obj, dict) else {}
    return obj if isinstance(obj, str) else ""


def field_terms(selector):
    """[(path as a list, value, whether it must be equal)]"""
    terms = []
    for part in filter(None, selector.split(",")):
        equal = "!=" not in part
        path, value = part.replace("==", "=").split("=" if equal else "!=")
        terms.append((path, value, equal))
    return terms


def _split_labels(selector):
    depth, part = 0, ""
    for char in selector:
        depth += (char == "(") - (char == ")")
        if char == "," and depth == 0:
            yield part.strip()
            part = ""
        else:
            part += char
    if part.strip():
        yield part.strip()


def matches_labels(obj, selector):
    labels = obj["metadata"].get("labels") or {}
    for part in _split_labels(selector):
        if " in " in part or " notin " in part:
            key, values = part.split(" notin " if " notin " in part else " in ")
            inside = labels.get(key.strip()) in [v.strip() for v in values.strip(" ()").split(",")]
            if inside == (" notin " in part):
                return False
        elif "!=" in part:
            key, value = part.split("!=")
            if labels.get(key) == value:
                return False
        elif "=" in part:
            key, value = part.replace("==", "=").split("=")
            if labels.get(key) != value:
                return False
        elif part.startswith("!"):
            if part[1:] in labels:
                return False
        elif part not in labels:
            return False
    return True


class ApiServer:
    """`token`: what requests must carry; it may be changed at any time. `tls`: a certificate and a
    key; `client_ca`: who must sign the clients'. `page`: the largest page, whatever is asked for."""

    def __init__(self, token=None, tls=None, client_ca=None, bookmark_interval=0.3):
        mutex = threading.RLock()
        self.lock = threading.Condition(mutex)
        self.news = {resource: threading.Condition(mutex) for resource in BASES}  # for watches
        self.version = 1000
        self.objects = {resource: {} for resource in BASES}
        self.events = {resource: [] for resource in BASES}
        self.oldest = {resource: self.version for resource in BASES}
        self.pages = {}
        self.token, self.bookmark_interval = token, bookmark_interval
        self.requests, self.faults, self.bookmarks = [], [], []
        self.forbidden = set()
        self.open_watches = collections.Counter()
        self.generation = 0  # of the connections that live: see drop_connections()
        self.stopping = False
        self.http = HttpServer(self.make_handler(), tls, client_ca)
        self.port, self.url = self.http.port, self.http.url

    def make_handler(self):
        return handler_of(self)

    def __enter__(self):
        self.http.begin()
        return self

    def __exit__(self, *_):
        with self.lock:
            self.stopping = True
            self._wake_all()
        self.http.end()

    # ---- objects ----

    def put(self, resource, obj):
        with self.lock:
            self._put(resource, obj)

    def put_all(self, resource, objects, owned=False):
        """`owned`: the objects are the server's from now on, but for parts they may share."""
        with self.lock:
            for obj in objects:
                self._put(resource, obj, owned)

    def _put(self, resource, obj, owned=False):
        obj = obj if owned else copy.deepcopy(obj)
        meta = obj["metadata"]
        key = (meta.get("namespace", ""), meta["name"])
        self.version += 1
        meta["resourceVersion"] = str(self.version)
        before = self.objects[resource].get(key)
        self.objects[resource][key] = obj
        self._log(resource, "MODIFIED" if before else "ADDED", before, obj)

    def delete(self, resource, name, namespace="default"):
        with self.lock:
            key = (namespace if resource not in ("nodes", "namespaces") else "", name)
            before = self.objects[resource].pop(key)
            self.version += 1
            after = copy.deepcopy(before)
            after["metadata"]["resourceVersion"] = str(self.version)
            self._log(resource, "DELETED", before, after)

    def _log(self, resource, kind, before, after):
        self.events[resource].append(Event(self.version, kind, before, after))
        self.news[resource].notify_all()

    def _wake_all(self):
        self.lock.notify_all()
        for condition in self.news.values():
            condition.notify_all()

    def compact(self):
        """Forgets all events: watches from earlier versions and pages of earlier lists are gone."""
        with self.lock:
            self.version += 1
            for resource in BASES:
                self.events[resource] = []
                self.oldest[resource] = self.version
            self.pages = {}
            self._wake_all()

    def drop_connections(self):
        """Ends all watches as a server does that restarts."""
        with self.lock:
            self.generation += 1
            self._wake_all()

    # ---- looking ----

    def lists(self, resource):
        with self.lock:
            return [r for r in self.requests
                    if not r.watch and r.path.endswith("/" + resource) and "continue" not in r.query]

    def watches(self, resource):
        with self.lock:
            return [r for r in self.requests if r.watch and r.path.endswith("/" + resource)]

    def wait_for_watch(self, resource, count=1, seconds=10):
        end = time.time() + seconds * PATIENCE
        with self.lock:
            while self.open_watches[resource] < count:
                left = end - time.time()
                assert left > 0, f"{self.open_watches} instead of {count} watches on {resource}"
                self.lock.wait(left)

    # ---- for the handler ----

    def take_fault(self, resource, watch, path):
        for fault in self.faults:
            if fault.resource == resource and fault.watch in (None, watch) and fault.times > 0 \
                    and (fault.only is None or fault.only in path):
                fault.times -= 1
                return fault
        return None

    def selects(self, namespace, query):
        """A function of an object: whether the query asks for it."""
        fields = field_terms(query.get("fieldSelector", ""))
        labels = query.get("labelSelector", "")

        def matches(obj):
            return ((not namespace or obj["metadata"].get("namespace", "") == namespace)
                    and all((_field(obj, path) == value) == equal for path, value, equal in fields)
                    and (not labels or matches_labels(obj, labels)))

        return matches

    def news_since(self, resource, version):
        events = self.events[resource]
        return events[bisect.bisect_right(events, version, key=lambda event: event.version):]


def handler_of(server):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_):
            pass

        def answer(self, code, obj, retry_after=None):
            body = obj if isinstance(obj, bytes) else json.dumps(obj).encode()
            self.send_response(code)
            if retry_after:
                self.send_header("Retry-After", retry_after)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def refuse(self, code, reason, message, retry_after=None):
            self.answer(code, status_object(code, reason, message), retry_after)

        def chunk(self, data):
            if data:
                self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
                self.wfile.flush()

        def handle_one_request(self):
            try:
                super().handle_one_request()
            except (BrokenPipeError, ConnectionResetError):  # the client is gone
                self.close_connection = True

        def do_GET(self):
            try:
                self.get()
            except (BrokenPipeError, ConnectionResetError, ssl.SSLError):
                self.close_connection = True

        def get(self):
            url = urllib.parse.urlsplit(self.path)
            query = dict(urllib.parse.parse_qsl(url.query, keep_blank_values=True))
            watch = query.get("watch") in ("true", "1")
            if "User-Agent" not in self.headers:  # a passer-by, who is looking for somebody else
                return self.refuse(400, "BadRequest", "who is asking?")
            with server.lock:
                server.requests.append(
                    Request(time.time(), url.path, query, dict(self.headers), watch,
                            self.client_address[1]))
            if server.token and self.headers.get("Authorization") != f"Bearer {server.token}":
                return self.refuse(401, "Unauthorized", "Unauthorized")
            resource, namespace = self.resource_of(url.path)
            if resource is None:
                return self.refuse(404, "NotFound", "the server could not find the resource")
            if resource in server.forbidden:
                return self.refuse(403, "Forbidden", f"{resource} is forbidden")
            with server.lock:
                fault = server.take_fault(resource, watch, self.path)
            if fault and fault.status:
                return self.refuse(fault.status, fault.reason, "made to fail", fault.retry_after)
            if watch:
                self.watch(resource, namespace, query, fault)
            elif fault and (fault.body is not None or fault.stall):
                self.misbehave(fault)
            else:
                self.list(resource, namespace, query)

        def resource_of(self, path):
            for resource, base in BASES.items():
                if path == f"{base}/{resource}":
                    return resource, ""
                parts = path[len(base):].split("/") if path.startswith(base + "/") else []
                if len(parts) == 4 and parts[1] == "namespaces" and parts[3] == resource:
                    return resource, parts[2]
            return None, ""

        def misbehave(self, fault):
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.pour(fault)

        def pour(self, fault):
            for piece in fault.body or []:
                self.chunk(piece)
            if fault.stall:
                with server.lock:
                    server.lock.wait_for(lambda: server.stopping, fault.stall)
            if fault.cut:
                self.close_connection = True
                self.connection.close()
                return
            self.wfile.write(b"0\r\n\r\n")

        def list(self, resource, namespace, query):
            api, kind = KINDS[resource]
            limit = int(query.get("limit", "0"))
            with server.lock:
                if "continue" in query:
                    if query.get("resourceVersion"):
                        return self.refuse(400, "BadRequest", "continue with resourceVersion")
                    if query["continue"] not in server.pages:
                        return self.refuse(410, "Expired", "The provided continue parameter is too old")
                    version, rest = server.pages[query["continue"]]
                else:
                    version = server.version
                    matches = server.selects(namespace, query)
                    found = ((key, obj) for key, obj in server.objects[resource].items()
                             if matches(obj))
                    rest = [obj for _, obj in sorted(found, key=lambda item: item[0])]
                items, rest = (rest[:limit], rest[limit:]) if limit else (rest, [])
                meta = {"resourceVersion": str(version)}
                if rest:
                    meta["continue"] = f"token-{len(server.pages)}-{version}"
                    server.pages[meta["continue"]] = (version, rest)
            self.answer(200, {"kind": kind + "List", "apiVersion": api, "metadata": meta,
                              "items": items})

        def event(self, kind, obj):
            self.chunk(json.dumps({"type": kind, "object": obj}).encode() + b"\n")

        def watch(self, resource, namespace, query, fault):
            since = int(query.get("resourceVersion") or 0)
            with server.lock:  # what is forgotten from here on ends the watch, as its connection does
                generation = server.generation
                if since and since < server.oldest[resource]:
                    gone = status_object(410, "Expired", f"too old resource version: {since}")
                else:
                    gone = None
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.flush()
            if gone:
                self.event("ERROR", gone)
                self.wfile.write(b"0\r\n\r\n")
                return
            with server.lock:
                server.open_watches[resource] += 1
                server.lock.notify_all()
            try:
                if fault:
                    self.pour(fault)
                else:
                    self.stream(resource, namespace, query, since, generation)
            finally:
                with server.lock:
                    server.open_watches[resource] -= 1

        def stream(self, resource, namespace, query, since, generation):
            end = time.time() + float(query.get("timeoutSeconds", "1800"))
            bookmark = time.time() + server.bookmark_interval

            matches = server.selects(namespace, query)

            def wanted(obj):
                return obj is not None and matches(obj)

            while time.time() < end:
                with server.lock:
                    if server.stopping or server.generation != generation:
                        break
                    news = server.news_since(resource, since)
                    current = server.version
                    if not news and time.time() < bookmark:
                        server.news[resource].wait(min(bookmark, end) - time.time())
                        continue
                for event in news:
                    before = wanted(event.before)
                    after = event.type != "DELETED" and wanted(event.after)
                    kind = {(False, True): "ADDED", (True, True): "MODIFIED",
                            (True, False): "DELETED"}.get((before, after))
                    if kind:
                        obj = event.after if event.type == "DELETED" or after else event.before
                        meta = {**obj["metadata"], "resourceVersion": str(event.version)}
                        self.event(kind, {**obj, "metadata": meta})
                    since = event.version
                if not news and query.get("allowWatchBookmarks") == "true":
                    api, kind = KINDS[resource]
                    since = max(since, current)
                    self.event("BOOKMARK", {"kind": kind, "apiVersion": api, "metadata": {
                        "resourceVersion": str(since), "creationTimestamp": None}})
                    server.bookmarks.append(since)
                    bookmark = time.time() + server.bookmark_interval
            self.wfile.write(b"0\r\n\r\n")

    return Handler


# ---- objects ----


def pod(name, ip="127.0.0.1", port=None, node="node-1", namespace="default", labels=None,
        annotations=None, ready=True, phase="Running", containers=None, **status):
    """A pod with one container with one port, or with `containers` as they are."""
    ports = [{"name": "metrics", "containerPort": port, "protocol": "TCP"}] if port else []
    return {
        "metadata": {"name": name, "namespace": namespace, "uid": f"uid-{namespace}-{name}",
                     "labels": labels or {"app": "web"}, "annotations": annotations or {},
                     "managedFields": [{"manager": "kubelet", "fieldsV1": {"f:status": {}}}],
                     "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet",
                                          "name": "web-5f", "uid": "u", "controller": True}]},
        "spec": {"nodeName": node, "containers": containers or [
            {"name": "app", "image": "registry/app:1", "ports": ports,
             "env": [{"name": "A", "value": "b"}]}]},
        "status": {"phase": phase, "podIP": ip, "hostIP": "192.0.2.1",
                   "podIPs": [{"ip": ip}],
                   "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
                   "containerStatuses": [{"name": "app", "containerID": "containerd://abc",
                                          "state": {"running": {}}}], **status},
    }


def node(name, ip="192.0.2.1", labels=None, port=10250):
    return {"metadata": {"name": name, "labels": labels or {"zone": "a"}},
            "spec": {"providerID": f"test://{name}"},
            "status": {"addresses": [{"type": "Hostname", "address": name},
                                     {"type": "InternalIP", "address": ip}],
                       "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
                       "conditions": [{"type": "Ready", "status": "True"}]}}


def service(name, port=80, namespace="default", selector=None, annotations=None, **spec):
    return {"metadata": {"name": name, "namespace": namespace, "annotations": annotations or {}},
            "spec": {"type": "ClusterIP", "clusterIP": "10.96.0.1",
                     "selector": {"app": "web"} if selector is None else selector,
                     "ports": [{"name": "http", "port": port, "protocol": "TCP",
                                "targetPort": "metrics"}], **spec}}


def endpoints(name, addresses, port, namespace="default"):
    """addresses: [(ip, pod name or None, node)]"""
    found = [{"ip": ip, "nodeName": node_name,
              **({"targetRef": {"kind": "Pod", "name": pod_name, "namespace": namespace}}
                 if pod_name else {})} for ip, pod_name, node_name in addresses]
    return {"metadata": {"name": name, "namespace": namespace},
            "subsets": [{"addresses": found,
                         "ports": [{"name": "http", "port": port, "protocol": "TCP"}]}]}


def endpoint_slice(name, service_name, ips, port, namespace="default", node=None):
    """Of a service; all endpoints on the same node."""
    return {"metadata": {"name": name, "namespace": namespace,
                         "labels": {"kubernetes.io/service-name": service_name}},
            "addressType": "IPv4",
            "endpoints": [{"addresses": [ip], "conditions": {"ready": True},
                           **({"nodeName": node} if node else {})} for ip in ips],
            "ports": [{"name": "http", "port": port, "protocol": "TCP"}]}
