"""A Kubernetes API server for one namespace, and the controllers behind it, over real HTTP.

Kept as the real ones keep them: resource versions, generations, the fields each manager owns
(server-side apply), and a status that lags behind the specification. A controller takes one
step each time its object is read, so whoever polls sees every stage it goes through.
"""

import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import yaml

Object = dict[str, Any]
Path = tuple[str, ...]

KINDS = {
    "v1": {"services": "Service", "pods": "Pod"},
    "apps/v1": {"deployments": "Deployment"},
    "autoscaling/v2": {"horizontalpodautoscalers": "HorizontalPodAutoscaler"},
    "policy/v1": {"poddisruptionbudgets": "PodDisruptionBudget"},
    "serving.kserve.io/v1beta1": {"inferenceservices": "InferenceService"},
}
VERSION = "app.kubernetes.io/version"


class Refusal(Exception):  # noqa: N818
    """A status that the API answers in place of an object."""

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason


class FakeCluster:
    """Objects by kind and name.

    Attributes:
        problem: what keeps new pods from getting ready: image, silence, deadline, or nothing.
        forbidden: verb and kind of what nobody may do.
        installed: the API versions there are.
        asked: the versions of InferenceServices that ever got requests.
    """

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], Object] = {}
        self.problem = ""
        self.forbidden: set[tuple[str, str]] = set()
        self.installed = set(KINDS)
        self.asked: set[str] = set()
        self._clock = 0
        self._stages: dict[tuple[str, str], int] = {}
        self._lock = threading.RLock()

    # What the API does.

    def get(self, kind: str, name: str) -> Object:
        """Read an object; its controller takes its next step."""
        with self._lock:
            self._authorize("get", kind)
            self._reconcile(kind, name)
            return self._existing(kind, name)

    def list(self, kind: str, selector: dict[str, str]) -> list[Object]:
        with self._lock:
            self._authorize("list", kind)
            return [
                found
                for (of_kind, _), found in self.objects.items()
                if of_kind == kind
                and selector.items() <= found["metadata"].get("labels", {}).items()
            ]

    def apply(self, kind: str, name: str, body: Object, manager: str, *, force: bool) -> Object:
        """Server-side apply: set what the manifest has, drop what the manager had and gave up."""
        with self._lock:
            self._authorize("patch", kind)
            before = self.objects.get((kind, name))
            after = deepcopy(before) if before else {"metadata": {"managedFields": []}}
            owners = _owners(after)
            wanted = dict(_leaves(body))
            for path, value in wanted.items():
                rivals = [
                    key for key, paths in owners.items() if path in paths and key[0] != manager
                ]
                if rivals and _at(after, path) != value and not force:
                    raise Refusal(409, "Conflict", f"{'.'.join(path)} is owned by {rivals[0][0]}")
                for rival in rivals:
                    if _at(after, path) != value:
                        owners[rival].discard(path)
            for path in owners.pop((manager, "Apply"), set()) - set(wanted):
                if not any(path in paths for paths in owners.values()):
                    _remove(after, path)
            for path, value in wanted.items():
                _set(after, path, value)
            owners[manager, "Apply"] = set(wanted)
            return self._store(kind, name, before, after, owners)

    def merge(self, kind: str, name: str, body: Object, manager: str) -> Object:
        """Merge patch: what it sets is the manager's as well."""
        with self._lock:
            self._authorize("patch", kind)
            before = self._existing(kind, name)
            after = deepcopy(before)
            owners = _owners(after)
            for path, value in _leaves(body):
                if _at(after, path) != value:
                    for paths in owners.values():
                        paths.discard(path)
                owners.setdefault((manager, "Update"), set()).add(path)
                _set(after, path, value)
            return self._store(kind, name, before, after, owners)

    def _store(
        self,
        kind: str,
        name: str,
        before: Object | None,
        after: Object,
        owners: dict[tuple[str, str], set[Path]],
    ) -> Object:
        metadata = after["metadata"]
        if metadata.get("name", name) != name:
            raise Refusal(400, "BadRequest", "the name in the body is another")
        self._clock += 1
        metadata["resourceVersion"] = str(self._clock)
        metadata["managedFields"] = [
            {"manager": manager, "operation": operation, "fieldsV1": _to_fields(paths)}
            for (manager, operation), paths in owners.items()
        ]
        changed = before is None or before.get("spec") != after.get("spec")
        stopped = before is not None and _stop(before) != _stop(after)
        if changed or stopped:
            metadata["generation"] = metadata.get("generation", 0) + int(changed)
            self._stages[kind, name] = 0
        if after.get("spec", {}).get("replicas") == 0:
            after.get("status", {}).pop("proven", None)  # its pods are gone
        self.objects[kind, name] = after
        return after

    def _authorize(self, verb: str, kind: str) -> None:
        if (verb, kind) in self.forbidden:
            raise Refusal(403, "Forbidden", f"may not {verb} {kind}")

    def _existing(self, kind: str, name: str) -> Object:
        if (kind, name) not in self.objects:
            raise Refusal(404, "NotFound", f'{kind} "{name}" not found')
        return self.objects[kind, name]

    # What the controllers do.

    def _reconcile(self, kind: str, name: str) -> None:
        if kind == "Deployment" and name.endswith("-predictor"):
            self._reconcile("InferenceService", name.removesuffix("-predictor"))
        found = self.objects.get((kind, name))
        if found is None or kind not in ("Deployment", "InferenceService"):
            return
        stage = self._stages[kind, name] = self._stages.get((kind, name), 0) + 1
        status = found.setdefault("status", {})
        before = deepcopy(status)
        if kind == "Deployment":
            self._reconcile_deployment(name, found, status, stage)
        else:
            self._reconcile_inference_service(name, found, status, stage)
        if status != before:
            self._clock += 1
            found["metadata"]["resourceVersion"] = str(self._clock)

    def _reconcile_deployment(self, name: str, found: Object, status: Object, stage: int) -> None:
        """The first read sees the status of before; the second the old pods; the third the new."""
        if stage < 2:
            return
        wanted = found["spec"]["replicas"]
        labels = found["spec"]["template"]["metadata"]["labels"]
        status["observedGeneration"] = found["metadata"]["generation"]
        if wanted == 0:
            status.update(replicas=0, updatedReplicas=0, availableReplicas=0)
            return
        status.update(replicas=max(wanted, 1), updatedReplicas=wanted)
        if status.get("proven") != labels and self._hindered(name, labels, status):
            status["availableReplicas"] = 0
        elif stage > 2:
            status.update(replicas=wanted, availableReplicas=wanted, proven=labels)
            status["conditions"] = [
                {"type": "Available", "status": "True", "message": "all is well"}
            ]

    def _hindered(self, name: str, labels: dict[str, str], status: Object) -> bool:
        unavailable = {"type": "Available", "status": "False", "message": "no minimum availability"}
        if self.problem == "image":
            self._add_waiting_pod(name, labels)
        if self.problem == "deadline":
            late = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}
            status["conditions"] = [unavailable, late]
        elif self.problem:
            status["conditions"] = [unavailable]
        return bool(self.problem)

    def _add_waiting_pod(self, name: str, labels: dict[str, str]) -> None:
        waiting = {"reason": "ImagePullBackOff", "message": "no such image"}
        self.objects["Pod", f"{name}-abcde"] = {
            "metadata": {"name": f"{name}-abcde", "labels": labels},
            "status": {"containerStatuses": [{"state": {"waiting": waiting}}]},
        }

    def _reconcile_inference_service(
        self, name: str, found: Object, status: Object, stage: int
    ) -> None:
        """Reads see, in turn: the status of before; as before but observed; a new revision; Ready.

        The second is the trap: KServe has seen the specification, Knative has not yet.
        """
        if stage < 2:
            return
        status["observedGeneration"] = found["metadata"]["generation"]
        predictor = status.setdefault("components", {}).setdefault("predictor", {})
        spec = found["spec"]["predictor"]
        version = spec["labels"][VERSION]
        if _stop(found):
            status["conditions"] = [{"type": "Ready", "status": "False", "reason": "Stopped"}]
            predictor["traffic"] = {}
            return
        if stage < 3:
            return
        if predictor.get("template") != _template(spec):
            predictor["template"] = _template(spec)
            created = int(predictor.get("latestCreatedRevision", "0").rpartition("-")[2]) + 1
            predictor["latestCreatedRevision"] = f"{name}-predictor-{created:05d}"
            status["conditions"] = [{"type": "Ready", "status": "Unknown", "reason": "Deploying"}]
            if "ready" in predictor:  # what has no revision that is ready leads to one that has
                self._share(predictor, predictor["ready"], spec.get("canaryTrafficPercent"))
            return
        if self.problem:
            if self.problem == "image":
                pod_labels = {"serving.kserve.io/inferenceservice": name, VERSION: version}
                self._add_waiting_pod(name, pod_labels)
            return
        if "RawDeployment" in found["metadata"]["annotations"].values():
            self._roll_predictor(name, found)
        predictor["latestReadyRevision"] = predictor["latestCreatedRevision"]
        predictor["ready"] = version
        status["conditions"] = [{"type": "Ready", "status": "True"}]
        self._share(predictor, version, spec.get("canaryTrafficPercent"))

    def _roll_predictor(self, name: str, found: Object) -> None:
        """KServe's Deployment of a service in Standard mode."""
        spec = found["spec"]["predictor"]
        labels = spec["labels"] | {"serving.kserve.io/inferenceservice": name}
        template = {"metadata": {"labels": labels}, "spec": _template(spec)}
        body = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "spec": {"replicas": spec["minReplicas"], "template": template},
        }
        self.apply("Deployment", f"{name}-predictor", body, "kserve", force=True)

    def _share(self, predictor: Object, version: str, percent: int | None) -> None:
        """Split the requests between the newest version and the last that had all of them."""
        if percent is None or "all" not in predictor:
            predictor["all"] = version
            predictor["traffic"] = {version: 100}
        else:
            shares = Counter({version: percent})
            shares.update({predictor["all"]: 100 - percent})
            predictor["traffic"] = dict(shares)
        self.asked |= {served for served, share in predictor["traffic"].items() if share}

    # What the tests ask.

    def shares(self, name: str = "recommender") -> dict[str, int]:
        """The share of the requests that each version gets of an InferenceService."""
        for _ in range(6):
            self._reconcile("InferenceService", name)
        status = self.objects["InferenceService", name]["status"]
        traffic = status["components"]["predictor"]["traffic"]
        return {version: share for version, share in traffic.items() if share}

    def serving(self, name: str = "recommender") -> str | None:
        """The version that the Service leads to, if it has pods."""
        if ("Service", name) not in self.objects:
            return None
        selector = self.objects["Service", name]["spec"]["selector"]
        for (kind, _), found in self.objects.items():
            if kind == "Deployment":
                labels = found["spec"]["template"]["metadata"]["labels"]
                available = found.get("status", {}).get("availableReplicas")
                if selector.items() <= labels.items() and found["spec"]["replicas"] and available:
                    version: str = labels[VERSION]
                    return version
        return None


def _stop(found: Object) -> bool:
    annotations = found["metadata"].get("annotations", {})
    return bool(annotations.get("serving.kserve.io/stop") == "true")


def _template(predictor: Object) -> Object:
    """What makes a new revision when it changes."""
    scaling = ("canaryTrafficPercent", "minReplicas", "maxReplicas")
    return {name: value for name, value in predictor.items() if name not in scaling}


# Fields and their owners. A list is one field.


def _leaves(body: Object, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    for name, value in body.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, (*path, name))
        else:
            yield (*path, name), value


def _at(fields: Object, path: Path) -> Any:
    found: Any = fields
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
    return found


def _set(fields: Object, path: Path, value: Any) -> None:
    for name in path[:-1]:
        fields = fields.setdefault(name, {})
    fields[path[-1]] = deepcopy(value)


def _remove(fields: Object, path: Path) -> None:
    for name in path[:-1]:
        fields = fields.get(name, {})
    fields.pop(path[-1], None)


def _owners(fields: Object) -> dict[tuple[str, str], set[Path]]:
    return {
        (entry["manager"], entry["operation"]): set(_from_fields(entry["fieldsV1"]))
        for entry in fields["metadata"].get("managedFields", [])
    }


def _to_fields(paths: set[Path]) -> Object:
    fields: Object = {}
    for path in paths:
        _set(fields, tuple(f"f:{name}" for name in path), {})
    return fields


def _from_fields(fields: Object, path: Path = ()) -> Iterator[Path]:
    for name, below in fields.items():
        own = (*path, name.removeprefix("f:"))
        if below:
            yield from _from_fields(below, own)
        else:
            yield own


# The HTTP side.


@contextmanager
def serve_cluster() -> Iterator[tuple[FakeCluster, str]]:
    """Serve a new cluster, and give it with its URL."""
    cluster = FakeCluster()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (_Api,), {"cluster": cluster}))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield cluster, f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Api(BaseHTTPRequestHandler):
    cluster: FakeCluster
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        self._answer(self._get)

    def do_PATCH(self) -> None:
        self._answer(self._patch)

    def _answer(self, handle: Any) -> None:
        try:
            code, body = 200, handle()
        except Refusal as refusal:
            code = refusal.code
            body = {
                "kind": "Status",
                "status": "Failure",
                "code": code,
                "reason": refusal.reason,
                "message": str(refusal),
            }
        content = json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _get(self) -> Object:
        parts = urlsplit(self.path)
        if (found := self._discovery(parts.path.rstrip("/"))) is not None:
            return found
        kind, name = self._locate(parts.path)
        if name:
            return self.cluster.get(kind, name)
        selector = parse_qs(parts.query).get("labelSelector", [""])[0]
        labels = dict(pair.split("=") for pair in selector.split(",") if pair)
        return {"kind": f"{kind}List", "apiVersion": "v1", "items": self.cluster.list(kind, labels)}

    def _patch(self) -> Object:
        parts = urlsplit(self.path)
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        kind, name = self._locate(parts.path)
        body = yaml.safe_load(self.rfile.read(int(self.headers["Content-Length"])))
        manager = query.get("fieldManager", "unknown")
        match self.headers["Content-Type"]:
            case "application/apply-patch+yaml":
                force = query.get("force") == "true"
                return self.cluster.apply(kind, name, body, manager, force=force)
            case "application/merge-patch+json":
                return self.cluster.merge(kind, name, body, manager)
        raise Refusal(415, "UnsupportedMediaType", "no such patch")

    def _locate(self, path: str) -> tuple[str, str]:
        """The kind and name in `/apis/GROUP/VERSION/namespaces/NS/PLURAL/NAME`."""
        before, _, after = path.partition("/namespaces/")
        version = before.removeprefix("/apis/").removeprefix("/api/")
        _, plural, name = [*after.split("/"), ""][:3]
        return KINDS[version][plural], name

    def _discovery(self, path: str) -> Object | None:
        if path == "/version":
            return {"major": "1", "minor": "31", "gitVersion": "v1.31.0"}
        if path == "/api":
            return {"kind": "APIVersions", "versions": ["v1"]}
        if path == "/apis":
            return {"kind": "APIGroupList", "groups": list(self._groups())}
        version = path.removeprefix("/apis/").removeprefix("/api/")
        if version not in self.cluster.installed:
            return None
        resources = [
            {"name": plural, "kind": kind, "namespaced": True, "verbs": ["get", "list", "patch"]}
            for plural, kind in KINDS[version].items()
        ]
        return {"kind": "APIResourceList", "groupVersion": version, "resources": resources}

    def _groups(self) -> Iterator[Object]:
        for version in sorted(self.cluster.installed - {"v1"}):
            group, _, number = version.partition("/")
            entry = {"groupVersion": version, "version": number}
            yield {"name": group, "versions": [entry], "preferredVersion": entry}
