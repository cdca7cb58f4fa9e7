"""The namespace of the cluster that the tests run in, by the kubeconfig of the surroundings."""

import json
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import kubernetes

from components.deploy.targets.manifests import VERSION
from components.processes import child_process

PORT = 8080
"""That the network policy lets run pods call."""

_POLL_SECONDS = 2.0
_FULL = "alsolike-test-full"
_RUN = "pipeline/runid"
_NODE = "workflows.argoproj.io/node-name"
_EXECUTOR = re.compile(r"\.(?P<step>[a-z-]+)(\(\d+\))?\.executor(\(\d+\))?$")

Pod = Any


class Namespace:
    """Pods, services and secrets of one namespace."""

    def __init__(self, name: str, image: str) -> None:
        """Take a namespace, and an image with Python for the pods that the tests add to it."""
        kubernetes.config.load_config()
        self.name = name
        self._image = image
        self._core = kubernetes.client.CoreV1Api()
        # Tests that were interrupted may have left it, and no pod would start.
        self._delete(self._core.delete_namespaced_resource_quota, _FULL)

    def ask(self, service: str, path: str, body: object = None) -> Any:
        """What a Service answers, through the Kubernetes API, which reaches it from anywhere."""
        address = f"/api/v1/namespaces/{self.name}/services/{service}:80/proxy{path}"
        answer, _, _ = self._core.api_client.call_api(
            address,
            "GET" if body is None else "POST",
            header_params={"Content-Type": "application/json"},
            body=body,
            auth_settings=["BearerToken"],
            response_type="object",
        )
        return answer

    def steps_of(self, run_id: str) -> dict[str, Pod]:
        """The pods that ran the steps of a run, by step; one from the cache has none."""
        pods = self._core.list_namespaced_pod(self.name, label_selector=f"{_RUN}={run_id}").items
        nodes = [(_EXECUTOR.search(pod.metadata.annotations.get(_NODE, "")), pod) for pod in pods]
        return {node["step"]: pod for node, pod in nodes if node}

    def pods_of_version(self, version: str) -> list[Pod]:
        """The pods that serve a version of a model, or are about to."""
        selector = f"{VERSION}={version}"
        pods: list[Pod] = self._core.list_namespaced_pod(self.name, label_selector=selector).items
        return pods

    def log(self, pod: Pod) -> str:
        """What a pod's main container has printed."""
        return self._log(pod.metadata.name)

    def delete_pod(self, pod: Pod) -> None:
        """End a pod at once, as a node that goes away does."""
        self._core.delete_namespaced_pod(pod.metadata.name, self.name, grace_period_seconds=0)

    @contextmanager
    def proxy(self) -> Iterator[Callable[[str], str]]:
        """Let this machine reach the namespace's Services, through the Kubernetes API.

        Yields:
            What gives the URL of a Service here.
        """
        command = ["kubectl", "proxy", "--port=0"]
        with (
            NamedTemporaryFile(mode="r") as said,
            child_process(command, output=said.fileno(), environment=os.environ),
        ):
            await_that(lambda: Path(said.name).read_text(), "kubectl proxy listens", seconds=30)
            place = Path(said.name).read_text().split()[-1]
            services = f"http://{place}/api/v1/namespaces/{self.name}/services"
            yield lambda service: f"{services}/{service}:80/proxy"

    @contextmanager
    def webhook(self) -> Iterator[Callable[[], list[dict[str, str]]]]:
        """A server that takes what is posted to it, and a secret with its URL, both of one name.

        Yields:
            What was posted so far.
        """
        name = "alsolike-test-webhook"
        with self._running(name, _WEBHOOK), self._leading_to(name), self._secret(name):
            yield lambda: [json.loads(line) for line in self._log(name).splitlines()]

    @contextmanager
    def load(self, service: str) -> Iterator[Callable[[], list[str]]]:
        """Ask a Service for recommendations 20 times a second.

        Yields:
            One line for each request so far: `200`, or why it was not answered.
        """
        name = "alsolike-test-load"
        with self._running(name, _LOAD.replace("SERVICE", service)):
            yield lambda: self._log(name).splitlines()

    @contextmanager
    def full(self) -> Iterator[None]:
        """A quota that every further pod exceeds."""
        quota = {"metadata": {"name": _FULL}, "spec": {"hard": {"pods": "0"}}}
        self._core.create_namespaced_resource_quota(self.name, quota)
        try:
            yield
        finally:
            self._delete(self._core.delete_namespaced_resource_quota, _FULL)

    @contextmanager
    def _running(self, name: str, script: str) -> Iterator[None]:
        """A pod that runs a script."""
        self._delete(self._core.delete_namespaced_pod, name, grace_period_seconds=0)
        await_that(lambda: not self._pods_named(name), f"pod {name} is gone")
        self._core.create_namespaced_pod(self.name, self._pod(name, script))
        try:
            await_that(lambda: self._is_ready(name), f"pod {name} runs")
            yield
        finally:
            self._delete(self._core.delete_namespaced_pod, name, grace_period_seconds=0)

    @contextmanager
    def _leading_to(self, name: str) -> Iterator[None]:
        self._delete(self._core.delete_namespaced_service, name)
        spec = {"selector": {"app": name}, "ports": [{"port": PORT}]}
        service = {"metadata": {"name": name}, "spec": spec}
        self._core.create_namespaced_service(self.name, service)
        try:
            yield
        finally:
            self._delete(self._core.delete_namespaced_service, name)

    @contextmanager
    def _secret(self, name: str) -> Iterator[None]:
        self._delete(self._core.delete_namespaced_secret, name)
        url = {"url": f"http://{name}.{self.name}.svc:{PORT}"}
        self._core.create_namespaced_secret(
            self.name, {"metadata": {"name": name}, "stringData": url}
        )
        try:
            yield
        finally:
            self._delete(self._core.delete_namespaced_secret, name)

    def _delete(self, delete: Callable[..., object], name: str, **options: object) -> None:
        with suppress(kubernetes.client.ApiException):  # there is none
            delete(name, self.name, **options)

    def _log(self, name: str) -> str:
        # Else the client reads a log that is JSON, and gives it as Python writes it.
        answer = self._core.read_namespaced_pod_log(
            name, self.name, container="main", _preload_content=False
        )
        log: str = answer.data.decode()
        return log

    def _pods_named(self, name: str) -> list[Pod]:
        pods: list[Pod] = self._core.list_namespaced_pod(
            self.name, field_selector=f"metadata.name={name}"
        ).items
        return pods

    def _is_ready(self, name: str) -> bool:
        return any(pod.status.phase == "Running" for pod in self._pods_named(name))

    def _pod(self, name: str, script: str) -> dict[str, Any]:
        """A pod that the security level `restricted` lets in."""
        security = {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "runAsNonRoot": True,
            "seccompProfile": {"type": "RuntimeDefault"},
        }
        container = {
            "name": "main",
            "image": self._image,
            "command": ["python", "-u", "-c", script],
            "securityContext": security,
        }
        labels = {"app": name, "sidecar.istio.io/inject": "false"}
        spec = {"containers": [container], "restartPolicy": "Never"}
        return {"metadata": {"name": name, "labels": labels}, "spec": spec}


def await_that(is_so: Callable[[], object], what: str, seconds: float = 300) -> None:
    """Wait until something is so; the test fails if it does not become so in time."""
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        time.sleep(_POLL_SECONDS)


_WEBHOOK = f"""
from http.server import BaseHTTPRequestHandler, HTTPServer

class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        print(self.rfile.read(int(self.headers["Content-Length"])).decode())
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass

HTTPServer(("", {PORT}), Handler).serve_forever()
"""

_LOAD = """
import time
from urllib.request import urlopen

while True:
    start = time.monotonic()
    try:
        with urlopen("http://SERVICE/recommend/somebody", timeout=5) as answer:
            answer.read()
        print(answer.status)
    except OSError as error:
        print(error)
    time.sleep(max(0, 0.05 - (time.monotonic() - start)))
"""
