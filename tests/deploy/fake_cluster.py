"""A Kubernetes API server for one namespace, and the controllers behind it, over real HTTP.

Kept as the real ones keep them: resource versions, generations, the fields each manager owns
(server-side apply), and a status that lags behind the specification. A controller takes one
step each time its object is read, so whoever polls sees every stage it goes through.

KServe is as in its release 0.16.0: `validateDeploymentMode` in inference_service_validation.go,
`PropagateRawStatus` and `PropagateStatus` in inference_service_status.go, `createKnativeService` in
ksvc_reconciler.go, and the finalizer in controller.go.
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
VERBS = ["get", "list", "patch", "delete"]
VERSION = "app.kubernetes.io/version"
MODE = "serving.kserve.io/deploymentMode"
# What 0.16.0 records in the status, by the name in the annotation.
MODES = {"Serverless": "Knative", "RawDeployment": "Standard"}


class Refusal(Exception):  # noqa: N818
    """A status that the API answers in place of an object."""

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason


class FakeCluster:
    """Objects by kind and name.

    Attributes:
        problem: what keeps new pods from getting ready: image, silence, deadline, refusal; or
            nothing.
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

    def delete(self, kind: str, name: str) -> Object:
        """Mark an object as deleted: its controller takes its finalizer away at its next step."""
        with self._lock:
            self._authorize("delete", kind)
            found = self._existing(kind, name)
            found["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
            return found

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
        if kind == "InferenceService":
            _validate_mode(after)
        self._clock += 1
        metadata["resourceVersion"] = str(self._clock)
        metadata["managedFields"] = [
            {"manager": manager, "operation": operation, "fieldsV1": _to_fields(paths)}
            for (manager, operation), paths in owners.items()
        ]
        if before is None or before.get("spec") != after.get("spec"):
            metadata["generation"] = metadata.get("generation", 0) + 1
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
        if "deletionTimestamp" in found["metadata"]:
            self._finalize(name, found)
            return
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
        elif self.problem == "refusal":
            message = f'pods "{name}-abcde" is forbidden: violates PodSecurity "restricted:latest"'
            refused = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate"}
            status["conditions"] = [unavailable, refused | {"message": message}]
        elif self.problem:
            status["conditions"] = [unavailable]
        return bool(self.problem)

    def _add_waiting_pod(self, name: str, labels: dict[str, str]) -> None:
        waiting = {"reason": "ImagePullBackOff", "message": "no such image"}
        self.objects["Pod", f"{name}-abcde"] = {
            "metadata": {"name": f"{name}-abcde", "labels": labels},
            "status": {"containerStatuses": [{"state": {"waiting": waiting}}]},
        }

    def _finalize(self, name: str, service: Object) -> None:
        """KServe patches its finalizer away, and its own webhook may refuse that."""
        if not _changes_mode(service):
            del self.objects["InferenceService", name]
            self.objects.pop(("Deployment", f"{name}-predictor"), None)
            self._stages.pop(("InferenceService", name))

    def _reconcile_inference_service(
        self, name: str, found: Object, status: Object, stage: int
    ) -> None:
        """Reads see, in turn: the status of before, twice; a new revision; Ready.

        Nothing tells that KServe has not looked yet: `observedGeneration` is of the child that it
        made, a Deployment or a Knative Service, and counts that one's changes.
        """
        if stage < 3:
            return
        annotations = found["metadata"]["annotations"]
        status["deploymentMode"] = MODES.get(annotations[MODE], annotations[MODE])
        if status["deploymentMode"] == "Standard":
            self._reconcile_standard(name, found, status)
        else:
            self._reconcile_knative(name, found, status)

    def _reconcile_standard(self, name: str, found: Object, status: Object) -> None:
        self._roll_predictor(name, found)
        deployment = self.objects["Deployment", f"{name}-predictor"]
        child = deployment.get("status", {})
        status["observedGeneration"] = child.get("observedGeneration", 0)
        ready = "True" if child.get("availableReplicas") else "False"
        status["conditions"] = [{"type": "Ready", "status": ready, "reason": "Deploying"}]
        if ready == "True" and child.get("proven"):
            version = child["proven"][VERSION]
            status["components"] = {"predictor": {"traffic": {version: 100}}}
            self.asked.add(version)

    def _reconcile_knative(self, name: str, found: Object, status: Object) -> None:
        status["observedGeneration"] = status.get("observedGeneration", 0) + 1
        predictor = status.setdefault("components", {}).setdefault("predictor", {})
        spec = found["spec"]["predictor"]
        if predictor.get("template") != _template(spec):
            predictor["template"] = _template(spec)
            created = int(predictor.get("latestCreatedRevision", "0").rpartition("-")[2]) + 1
            revision = f"{name}-predictor-{created:05d}"
            predictor["latestCreatedRevision"] = revision
            predictor.setdefault("versions", {})[revision] = spec["labels"][VERSION]
            status["conditions"] = [{"type": "Ready", "status": "Unknown", "reason": "Deploying"}]
        elif self.problem:
            self._add_waiting_predictor(name, spec["labels"])
        else:
            predictor["latestReadyRevision"] = predictor["latestCreatedRevision"]
            status["conditions"] = [{"type": "Ready", "status": "True"}]
        if "latestReadyRevision" in predictor:
            # What has no revision that is ready leads to the newest one that has.
            self._share(predictor, spec.get("canaryTrafficPercent"))

    def _add_waiting_predictor(self, name: str, labels: dict[str, str]) -> None:
        if self.problem == "image":
            found_by = {"serving.kserve.io/inferenceservice": name, VERSION: labels[VERSION]}
            self._add_waiting_pod(name, found_by)

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

    def _share(self, predictor: Object, percent: int | None) -> None:
        """Split the requests between the newest revision and the last that had all of them."""
        newest, rolled_out = predictor["latestReadyRevision"], predictor.get("rolledOut")
        if percent is None or rolled_out is None:
            shares = Counter({newest: 100})
            if newest != rolled_out:
                predictor.update(previous=rolled_out, rolledOut=newest)
        else:
            if rolled_out == newest == predictor["latestCreatedRevision"]:
                # A share of a revision that has all requests is read as a rollback.
                rolled_out = predictor["rolledOut"] = predictor.get("previous") or newest
            shares = Counter({newest: percent})
            shares.update({rolled_out: 100 - percent})
        traffic: Counter[str] = Counter()
        for revision, share in shares.items():
            traffic[predictor["versions"][revision]] += share
        predictor["traffic"] = dict(traffic)
        self.asked |= {version for version, share in traffic.items() if share}

    # What the tests ask.

    def shares(self, name: str = "recommender") -> dict[str, int]:
        """The share of the requests that each version gets of an InferenceService."""
        for _ in range(6):
            self._reconcile("InferenceService", name)
            self._reconcile("Deployment", f"{name}-predictor")
        if ("InferenceService", name) not in self.objects:
            return {}
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


def _changes_mode(service: Object) -> bool:
    recorded = service.get("status", {}).get("deploymentMode")
    return bool(recorded) and service["metadata"].get("annotations", {}).get(MODE) != recorded


def _validate_mode(service: Object) -> None:
    if _changes_mode(service):
        recorded = service["status"]["deploymentMode"]
        named = service["metadata"]["annotations"][MODE]
        raise Refusal(
            403,
            "Forbidden",
            'admission webhook "inferenceservice.kserve-webhook-server.validator" denied the '
            "request: update rejected: deploymentMode cannot be changed from "
            f"'{recorded}' to '{named}'",
        )


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

    def do_DELETE(self) -> None:
        self._answer(lambda: self.cluster.delete(*self._locate(urlsplit(self.path).path)))

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
            {"name": plural, "kind": kind, "namespaced": True, "verbs": VERBS}
            for plural, kind in KINDS[version].items()
        ]
        return {"kind": "APIResourceList", "groupVersion": version, "resources": resources}

    def _groups(self) -> Iterator[Object]:
        for version in sorted(self.cluster.installed - {"v1"}):
            group, _, number = version.partition("/")
            entry = {"groupVersion": version, "version": number}
            yield {"name": group, "versions": [entry], "preferredVersion": entry}
