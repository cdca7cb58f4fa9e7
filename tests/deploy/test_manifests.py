"""The pods of a Deployment and an InferenceService: confined, with time to open a bundle."""

from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest

from components.deploy.settings import DeploySettings
from components.deploy.targets.manifests import deployment, inference_service
from components.deploy.targets.target import Release

RELEASE = Release("0123456789ab", Path("bundle"), "s3://models/demo/versions/0123456789ab")
KNATIVE, STANDARD = ({"kserve_mode": mode} for mode in ("knative", "standard"))
TARGETS: list[dict[str, str]] = [{"target": "kubernetes"}, KNATIVE, STANDARD]


def settings(given: dict[str, Any]) -> DeploySettings:
    fields = {"target": "kserve", "destination": "s3://models/demo", "s3_secret": "keys"}
    return DeploySettings.model_validate(fields | given)


def pod(given: dict[str, Any]) -> dict[str, Any]:
    """What a target says of the pods of a release."""
    if given.get("target") == "kubernetes":
        manifest = deployment(settings(given), "blue", RELEASE, replicas=1)
        found: dict[str, Any] = manifest["spec"]["template"]["spec"]
        return found
    predictor = inference_service(settings(given), "recommender", RELEASE, None)["spec"][
        "predictor"
    ]
    ours = ("containers", "volumes", "serviceAccountName")
    return {name: predictor[name] for name in ours}


@pytest.mark.parametrize("target", TARGETS, ids=str)
def test_the_pod_keeps_to_the_schema_of_kubernetes(target: dict[str, str]) -> None:
    manifest = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "spec": pod(target)}
    kubernetes_validate.validate(manifest, "1.31", strict=True)


@pytest.mark.parametrize(
    ("given", "labels"),
    [({}, {"sidecar.istio.io/inject": "false"}), ({"istio_sidecar": True}, {})],
    ids=["without", "with"],
)
def test_istio_puts_its_proxy_before_the_servers_on_request_alone(
    given: dict[str, Any], labels: dict[str, str]
) -> None:
    """Run pods have none, and in a profile a server that has one refuses their smoke test."""
    template = deployment(settings(given), "blue", RELEASE, replicas=1)["spec"]["template"]
    service = inference_service(settings(given), "recommender", RELEASE, None)
    for found in (template["metadata"]["labels"], service["spec"]["predictor"]["labels"]):
        assert {name: found[name] for name in found if "istio" in name} == labels


@pytest.mark.parametrize("ready_seconds", [0.5, 300, 1800.2])
@pytest.mark.parametrize("target", TARGETS, ids=str)
def test_a_server_that_opens_its_bundle_is_not_killed_before_ready_seconds(
    target: dict[str, str], ready_seconds: float
) -> None:
    """Liveness counts from the first answer on, and the wait for that is a startup probe's."""
    (server,) = pod(target | {"ready_seconds": ready_seconds})["containers"]
    startup, liveness = server["startupProbe"], server["livenessProbe"]
    assert startup["httpGet"] == liveness["httpGet"] == {"path": "/v2/health/live", "port": 8080}
    assert startup["periodSeconds"] * startup["failureThreshold"] >= ready_seconds
    assert startup["failureThreshold"] < ready_seconds + 1


@pytest.mark.parametrize(("ready_seconds", "deadline"), [(300, 600), (1800.2, 1801)])
def test_a_version_is_not_given_up_by_the_cluster_before_ready_seconds(
    ready_seconds: float, deadline: int
) -> None:
    given = settings({"ready_seconds": ready_seconds})
    rolled = deployment(given, "blue", RELEASE, replicas=1)["spec"]
    served = inference_service(given, "recommender", RELEASE, None)["metadata"]["annotations"]
    assert rolled["progressDeadlineSeconds"] == deadline
    assert served["serving.knative.dev/progress-deadline"] == f"{deadline}s"


@pytest.mark.parametrize("target", TARGETS, ids=str)
def test_every_container_is_confined_and_writes_to_volumes_alone(target: dict[str, str]) -> None:
    spec = pod(target)
    volatile = [volume["name"] for volume in spec["volumes"] if "emptyDir" in volume]
    for container in (*spec.get("initContainers", []), *spec["containers"]):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
            "seccompProfile": {"type": "RuntimeDefault"},
        }
        mounts = {mount["mountPath"]: mount for mount in container["volumeMounts"]}
        assert mounts["/tmp"]["name"] in volatile
        assert "readOnly" not in mounts["/tmp"]
