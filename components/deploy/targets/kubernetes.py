"""Plain Kubernetes: two slots, blue and green, and a Service that selects one of them.

A new version is started in the slot that does not serve, and has a Service of its own for tests.
Promotion switches the Service, autoscaler and disruption budget of the endpoint to that slot, and
scales the old slot to 0. Nothing is ever deleted.
"""

from components.deploy.settings import DeploySettings
from components.deploy.targets.cluster import POLL_SECONDS, Cluster, condition, is_observed
from components.deploy.targets.manifests import (
    SLOT,
    VERSION,
    Object,
    autoscaler,
    deployment,
    disruption_budget,
    endpoint_labels,
    service,
)
from components.deploy.targets.target import Release
from components.errors import UserError
from components.polling import poll

_API = "apps/v1"


class KubernetesTarget:
    """A Deployment for each slot, and the objects that select the one that serves."""

    def __init__(self, settings: DeploySettings) -> None:
        self._settings = settings
        self._name = settings.endpoint_name
        self._cluster = Cluster(settings.namespace)
        self._serving = self._serving_slot()
        self._free = "green" if self._serving == "blue" else "blue"
        self._served = self._deployment(self._serving) if self._serving else None
        self._is_applied = self._is_moved = False

    def plan(self, release: Release) -> list[str]:
        where = f"in namespace {self._settings.namespace}"
        served = _pod_labels(self._served).get(VERSION, "nothing")
        return [
            f"Deployment {self._name}-{self._free} {where}: version {release.version}, "
            f"{self._replicas()} replicas of {self._settings.serve_image}",
            f"Service {self._name} {where}: from {served} to {release.version}, "
            f"with its autoscaler and disruption budget",
        ]

    def apply(self, release: Release) -> None:
        replicas = self._replicas()
        self._cluster.apply(deployment(self._settings, self._free, release, replicas))
        self._is_applied = True
        self._cluster.apply(service(self._settings, f"{self._name}-candidate", self._free))

    def wait(self, release: Release) -> str:
        labels = endpoint_labels(self._settings) | {SLOT: self._free, VERSION: release.version}
        wait_for_deployment(
            self._cluster, f"{self._name}-{self._free}", labels, self._settings.ready_seconds
        )
        return f"http://{self._name}-candidate.{self._settings.namespace}.svc"

    def promote(self, release: Release) -> None:  # noqa: ARG002
        self._is_moved = True
        self._lead_to(self._free)
        if self._serving:
            self._scale(self._serving, 0)

    def rollback(self, release: Release) -> None:  # noqa: ARG002
        if self._is_moved and self._serving:
            # The old slot may have been scaled to 0; the new one serves until it is back.
            self._scale(self._serving, _replicas_of(self._served))
            labels = endpoint_labels(self._settings) | {SLOT: self._serving}
            name, seconds = f"{self._name}-{self._serving}", self._settings.ready_seconds
            wait_for_deployment(self._cluster, name, labels, seconds)
            self._lead_to(self._serving)
        if self._is_applied:
            self._scale(self._free, 0)

    def _lead_to(self, slot: str) -> None:
        self._cluster.apply(autoscaler(self._settings, slot))
        self._cluster.apply(disruption_budget(self._settings, slot))
        self._cluster.apply(service(self._settings, self._name, slot))

    def _scale(self, slot: str, replicas: int) -> None:
        self._cluster.merge(
            _API, "Deployment", f"{self._name}-{slot}", {"spec": {"replicas": replicas}}
        )

    def _serving_slot(self) -> str | None:
        found = self._cluster.get("v1", "Service", self._name)
        slot: str | None = found["spec"]["selector"].get(SLOT) if found else None
        return slot

    def _deployment(self, slot: str) -> Object | None:
        return self._cluster.get(_API, "Deployment", f"{self._name}-{slot}")

    def _replicas(self) -> int:
        """The number of servers now, because the new version takes over their load at once."""
        return max(_replicas_of(self._served), self._settings.min_replicas)


def wait_for_deployment(
    cluster: Cluster, name: str, labels: dict[str, str], seconds: float
) -> None:
    """Wait until all pods of a Deployment have its current specification and are ready.

    Args:
        cluster: where the Deployment is.
        name: of the Deployment.
        labels: of its new pods; a Deployment without them is an earlier one.
        seconds: the longest wait.

    Raises:
        UserError: if a pod is refused or cannot start, or the time is up.
    """
    seen: Object = {}

    def look() -> Object | None:
        seen.update(cluster.get(_API, "Deployment", name) or {})
        if seen and is_observed(seen) and labels.items() <= _pod_labels(seen).items():
            if _is_complete(seen):
                return seen
            _complain(seen, name)
        cluster.complain_about_pods(labels)
        return None

    poll(
        look,
        lambda: f"Deployment {name} was not ready ({_missing(seen)})",
        seconds,
        pause=POLL_SECONDS,
    )


def _complain(deployment: Object, name: str) -> None:
    """Raise a `UserError` if Kubernetes has given up, or cannot create the pods."""
    refused = condition(deployment, "ReplicaFailure")
    if refused.get("status") == "True":
        raise UserError(f"Deployment {name}: its pods are refused: {refused.get('message')}")
    if condition(deployment, "Progressing").get("reason") == "ProgressDeadlineExceeded":
        raise UserError(f"Deployment {name} does not get ready: {_missing(deployment)}")


def _is_complete(deployment: Object) -> bool:
    status, wanted = deployment["status"], _replicas_of(deployment)
    counts = [status.get(name, 0) for name in ("replicas", "updatedReplicas", "availableReplicas")]
    return counts == [wanted] * 3


def _missing(deployment: Object) -> str:
    available = deployment.get("status", {}).get("availableReplicas", 0)
    message = condition(deployment, "Available").get("message", "no status yet")
    return f"{available} of {_replicas_of(deployment)} replicas available: {message}"


def _replicas_of(deployment: Object | None) -> int:
    replicas: int = deployment["spec"].get("replicas", 1) if deployment else 0
    return replicas


def _pod_labels(deployment: Object | None) -> dict[str, str]:
    labels: dict[str, str]
    labels = deployment["spec"]["template"]["metadata"]["labels"] if deployment else {}
    return labels
