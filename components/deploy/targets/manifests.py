"""The Kubernetes objects of an endpoint, as plain dicts."""

import os
from math import ceil
from typing import Any

from components.deploy.settings import DeploySettings
from components.deploy.targets.target import Release

Object = dict[str, Any]

PORT = 8080
VERSION = "app.kubernetes.io/version"
SLOT = "alsolike/slot"
SERVING = "serving.kserve.io/v1beta1"
DEPLOYMENT_MODE = "serving.kserve.io/deploymentMode"
STOP = "serving.kserve.io/stop"
PROGRESS_DEADLINE = "serving.knative.dev/progress-deadline"

# The address of the store, which is the same for the step and for the servers.
_STORE_VARIABLES = ("AWS_ENDPOINT_URL", "AWS_DEFAULT_REGION", "AWS_REGION")
# A Service still sends requests to a pod for some seconds after its SIGTERM.
_DRAIN_SECONDS = 10
_BUSY_PERCENT = 70
_USUAL_DEADLINE = 600


def endpoint_labels(settings: DeploySettings) -> dict[str, str]:
    """The labels of all objects of an endpoint."""
    return {
        "app.kubernetes.io/name": "alsolike",
        "app.kubernetes.io/instance": settings.endpoint_name,
    }


def deployment(settings: DeploySettings, slot: str, release: Release, replicas: int) -> Object:
    """The Deployment of a slot; an init container of each pod fetches the bundle.

    Args:
        settings: of the deployment step.
        slot: blue or green.
        release: the version to serve.
        replicas: the number of servers.
    """
    labels = endpoint_labels(settings) | {SLOT: slot}
    server = {
        "name": "serve",
        **_server(settings, f"{_BUNDLE}/{release.version}"),
        "volumeMounts": [_BUNDLE_MOUNT | {"readOnly": True}, _SCRATCH_MOUNT],
    }
    pod = {
        "serviceAccountName": settings.service_account,
        "initContainers": [_fetch(settings, release)],
        "containers": [server],
        "volumes": [{"name": "bundle", "emptyDir": {}}, _SCRATCH],
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": f"{settings.endpoint_name}-{slot}", "labels": labels},
        "spec": {
            "replicas": replicas,
            "progressDeadlineSeconds": _deadline(settings),
            "selector": {"matchLabels": labels},
            "strategy": {"rollingUpdate": {"maxUnavailable": 0}, "type": "RollingUpdate"},
            "template": {
                "metadata": {"labels": labels | _pod_labels(settings, release)},
                "spec": pod,
            },
        },
    }


def service(settings: DeploySettings, name: str, slot: str) -> Object:
    """A Service within the cluster that selects a slot.

    Args:
        settings: of the deployment step.
        name: of the Service.
        slot: blue or green.
    """
    labels = endpoint_labels(settings)
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "selector": labels | {SLOT: slot},
            "ports": [{"name": "http", "port": 80, "targetPort": PORT, "protocol": "TCP"}],
        },
    }


def autoscaler(settings: DeploySettings, slot: str) -> Object:
    """The autoscaler of a slot, by the load of the processors."""
    name = settings.endpoint_name
    target = {"type": "Utilization", "averageUtilization": _BUSY_PERCENT}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": name, "labels": endpoint_labels(settings)},
        "spec": {
            "scaleTargetRef": {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "name": f"{name}-{slot}",
            },
            "minReplicas": settings.min_replicas,
            "maxReplicas": settings.max_replicas,
            "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": target}}],
        },
    }


def disruption_budget(settings: DeploySettings, slot: str) -> Object:
    """The disruption budget of a slot: at most one server at a time may be moved away."""
    labels = endpoint_labels(settings)
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": settings.endpoint_name, "labels": labels},
        "spec": {"maxUnavailable": 1, "selector": {"matchLabels": labels | {SLOT: slot}}},
    }


def inference_service(
    settings: DeploySettings, name: str, release: Release, traffic_percent: int | None
) -> Object:
    """The InferenceService of a release; KServe fetches the bundle to `/mnt/models`.

    Args:
        settings: of the deployment step.
        name: of the InferenceService.
        release: the version to serve.
        traffic_percent: the share of the new version; the rest goes to the last version that had
            all requests. None for all requests.
    """
    # These names are accepted by every version of KServe for a new service.
    mode = {"knative": "Serverless", "standard": "RawDeployment"}[settings.kserve_mode]
    server = _server(settings, "/mnt/models")
    server["env"] = [{"name": "STORAGE_URI", "value": release.location}]
    predictor: Object = {
        "serviceAccountName": settings.service_account,
        "minReplicas": settings.min_replicas,
        "maxReplicas": settings.max_replicas,
        "labels": _pod_labels(settings, release),
        "containers": [{"name": "kserve-container", **server, "volumeMounts": [_SCRATCH_MOUNT]}],
        "volumes": [_SCRATCH],
    }
    if traffic_percent is not None:
        predictor["canaryTrafficPercent"] = traffic_percent
    annotations = {
        DEPLOYMENT_MODE: mode,
        # Gives the newest revision an address of its own, for tests before it gets requests.
        "serving.kserve.io/enable-tag-routing": "true",
        PROGRESS_DEADLINE: f"{_deadline(settings)}s",
        STOP: "false",  # starts a service that somebody has stopped
    }
    if settings.s3_secret:
        annotations["serving.kserve.io/storageSecretName"] = settings.s3_secret
    return {
        "apiVersion": SERVING,
        "kind": "InferenceService",
        "metadata": {
            "name": name,
            "labels": endpoint_labels(settings),
            "annotations": annotations,
        },
        "spec": {"predictor": predictor},
    }


_UNPRIVILEGED = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "readOnlyRootFilesystem": True,
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}
_BUNDLE = "/bundle"
_BUNDLE_MOUNT = {"name": "bundle", "mountPath": _BUNDLE}
_SCRATCH = {"name": "scratch", "emptyDir": {}}
_SCRATCH_MOUNT = {"name": "scratch", "mountPath": "/tmp"}


def _pod_labels(settings: DeploySettings, release: Release) -> dict[str, str]:
    """The labels of a server's pod: its version, and whether Istio may add its proxy."""
    sidecar = {} if settings.istio_sidecar else {"sidecar.istio.io/inject": "false"}
    return {VERSION: release.version, **sidecar}


def _fetch(settings: DeploySettings, release: Release) -> Object:
    command = ["python", "-m", "components.deploy.fetch"]
    return {
        "name": "fetch",
        "image": settings.serve_image,
        "command": [*command, settings.destination, release.version, _BUNDLE],
        "env": _store_variables(),
        "envFrom": _store_keys(settings),
        "resources": _resources(settings),
        "securityContext": _UNPRIVILEGED,
        "volumeMounts": [_BUNDLE_MOUNT, _SCRATCH_MOUNT],
    }


def _server(settings: DeploySettings, bundle: str) -> Object:
    live = {"httpGet": {"path": "/v2/health/live", "port": PORT}}
    command = ["python", "-m", "components.serve", f"--bundle={bundle}"]
    return {
        "image": settings.serve_image,
        "command": [
            *command,
            *("--host=0.0.0.0", f"--port={PORT}", f"--drain-seconds={_DRAIN_SECONDS}"),
        ],
        "ports": [{"containerPort": PORT, "protocol": "TCP"}],
        "resources": _resources(settings),
        "securityContext": _UNPRIVILEGED,
        "readinessProbe": {
            "httpGet": {"path": "/v2/health/ready", "port": PORT},
            "periodSeconds": 2,
        },
        # The server answers only after it has verified the bundle; other probes start after that.
        "startupProbe": {
            **live,
            "periodSeconds": 1,
            "failureThreshold": ceil(settings.ready_seconds),
        },
        "livenessProbe": live,
    }


def _deadline(settings: DeploySettings) -> int:
    """The number of seconds without progress after which a version counts as failed."""
    return max(ceil(settings.ready_seconds), _USUAL_DEADLINE)


def _resources(settings: DeploySettings) -> Object:
    return {
        "requests": {"cpu": settings.cpu_request, "memory": settings.memory_request},
        "limits": {"cpu": settings.cpu_limit, "memory": settings.memory_limit},
    }


def _store_variables() -> list[Object]:
    found = [name for name in _STORE_VARIABLES if name in os.environ]
    return [{"name": name, "value": os.environ[name]} for name in found]


def _store_keys(settings: DeploySettings) -> list[Object]:
    return [{"secretRef": {"name": settings.s3_secret}}] if settings.s3_secret else []
