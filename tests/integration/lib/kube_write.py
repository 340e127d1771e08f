# SPDX-License-Identifier: GPL-2.0-or-later
"""The API server of lib/kube.py for kubectl: it says what resources it has, and takes objects.

    with WritableApiServer() as server:
        server.kubectl("apply", "-f", "deploy/kubernetes.yaml")
"""
import json
import os
import subprocess
import tempfile
import time
import urllib.parse

from . import kube
from .proc import PATIENCE

MORE = {  # resource: (where, apiVersion, kind)
    "serviceaccounts": ("/api/v1", "v1", "ServiceAccount"),
    "configmaps": ("/api/v1", "v1", "ConfigMap"),
    "daemonsets": ("/apis/apps/v1", "apps/v1", "DaemonSet"),
    "deployments": ("/apis/apps/v1", "apps/v1", "Deployment"),
    "clusterroles": ("/apis/rbac.authorization.k8s.io/v1", "rbac.authorization.k8s.io/v1",
                     "ClusterRole"),
    "clusterrolebindings": ("/apis/rbac.authorization.k8s.io/v1", "rbac.authorization.k8s.io/v1",
                            "ClusterRoleBinding"),
}
GLOBAL = {"nodes", "namespaces", "clusterroles", "clusterrolebindings"}


def _known():
    """{resource: (where, apiVersion, kind)}"""
    known = {name: (base, *kube.KINDS[name]) for name, base in kube.BASES.items()}
    return {**known, **MORE}


def _merge(into, patch):
    """RFC 7396; what kubectl sends for maps by the strategic way is the same."""
    for key, value in patch.items():
        if value is None:
            into.pop(key, None)
        elif isinstance(value, dict) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = value
    return into


class WritableApiServer(kube.ApiServer):
    def __init__(self, **options):
        self.known = _known()
        self.kept = {resource: {} for resource in MORE}  # nobody watches these
        super().__init__(**options)

    def make_handler(self):
        return _handler_of(self)

    def stored(self, resource):
        return self.kept[resource] if resource in self.kept else self.objects[resource]

    def kubectl(self, *words, stdin=None):
        """What it prints; it must succeed."""
        with tempfile.TemporaryDirectory() as home:
            done = subprocess.run(
                ["kubectl", f"--server={self.url}", *words], input=stdin,
                capture_output=True, text=True, timeout=60 * PATIENCE, check=False,
                env={**os.environ, "HOME": home, "KUBECONFIG": "/dev/null"})
        assert done.returncode == 0, f"kubectl {words}: {done.stderr}"
        return done.stdout


def _handler_of(server):
    class Handler(kube.handler_of(server)):
        def locate(self):
            """(resource, namespace, name) of the path; the resource is None if it is another."""
            path = urllib.parse.urlsplit(self.path).path
            for resource, (base, _, _) in server.known.items():
                parts = path[len(base):].strip("/").split("/") if path.startswith(base + "/") else []
                namespace = ""
                if len(parts) > 2 and parts[0] == "namespaces":
                    namespace, parts = parts[1], parts[2:]
                if parts and parts[0] == resource and len(parts) <= 2:
                    return resource, namespace, parts[1] if len(parts) == 2 else ""
            return None, "", ""

        def get(self):
            path = urllib.parse.urlsplit(self.path).path.rstrip("/")
            resource, namespace, name = self.locate()
            if path in ("/api", "/apis", "/version") or path in {b for b, _, _ in
                                                                 server.known.values()}:
                return self.answer(200, self.discovery(path))
            if resource is None or (not name and resource not in server.kept):
                return super().get()
            if not name:
                _, api, kind = server.known[resource]
                return self.answer(200, {"kind": kind + "List", "apiVersion": api, "metadata": {},
                                         "items": list(server.stored(resource).values())})
            found = server.stored(resource).get((namespace, name))
            if found is None:
                return self.refuse(404, "NotFound", f'{resource} "{name}" not found')
            return self.answer(200, self.with_kind(resource, found))

        def with_kind(self, resource, obj):
            _, api, kind = server.known[resource]
            return {"apiVersion": api, "kind": kind, **obj}

        def discovery(self, path):
            if path == "/version":
                return {"major": "1", "minor": "32", "gitVersion": "v1.32.0"}
            if path == "/api":
                return {"kind": "APIVersions", "versions": ["v1"]}
            if path == "/apis":
                versions = sorted({api for _, api, _ in server.known.values() if "/" in api})
                return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [
                    {"name": v.split("/")[0],
                     "versions": [{"groupVersion": v, "version": v.split("/")[1]}],
                     "preferredVersion": {"groupVersion": v, "version": v.split("/")[1]}}
                    for v in versions]}
            return {"kind": "APIResourceList", "apiVersion": "v1",
                    "groupVersion": path.split("/", 2)[2], "resources": [
                        {"name": name, "singularName": kind.lower(), "kind": kind,
                         "namespaced": name not in GLOBAL,
                         "verbs": ["create", "delete", "get", "list", "patch", "watch"]}
                        for name, (base, _, kind) in server.known.items() if base == path]}

        def body(self):
            return json.loads(self.rfile.read(int(self.headers["Content-Length"] or 0)) or b"{}")

        def store(self, resource, obj):
            if resource in server.kept:
                meta = obj["metadata"]
                server.kept[resource][meta.get("namespace", ""), meta["name"]] = obj
            else:
                server.put(resource, {k: v for k, v in obj.items()
                                      if k not in ("kind", "apiVersion")})

        def do_POST(self):
            resource, namespace, _ = self.locate()
            obj = self.body()
            if resource is None:
                return self.refuse(404, "NotFound", "the server could not find the resource")
            meta = obj["metadata"]
            if resource not in GLOBAL:
                meta["namespace"] = namespace
            meta.update({"uid": f"uid-{meta['name']}", "resourceVersion": "1",
                         "creationTimestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())})
            if "dryRun" not in self.path:
                self.store(resource, obj)
            return self.answer(201, obj)

        def do_PATCH(self):
            resource, namespace, name = self.locate()
            found = server.stored(resource).get((namespace, name)) if resource else None
            patch = self.body()
            if found is None:
                return self.refuse(404, "NotFound", f'"{name}" not found')
            changed = _merge(json.loads(json.dumps(found)), patch)
            self.store(resource, changed)
            return self.answer(200, self.with_kind(resource, changed))

        def do_DELETE(self):
            resource, namespace, name = self.locate()
            self.body()
            if resource in server.kept:
                server.kept[resource].pop((namespace, name), None)
            elif (namespace, name) in server.objects[resource]:
                server.delete(resource, name, namespace)
            return self.answer(200, {"kind": "Status", "apiVersion": "v1", "status": "Success"})

    return Handler
