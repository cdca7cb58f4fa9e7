"""The rollout to plain Kubernetes, and that nothing that goes wrong moves the traffic."""

from collections.abc import Callable

import kubernetes_validate
import pytest

from components.artifacts.bundles import FolderStore, current_version
from components.deploy.rollout import roll_out
from components.deploy.settings import DeploySettings
from components.deploy.targets import open_target
from components.deploy.targets.manifests import (
    autoscaler,
    deployment,
    disruption_budget,
    service,
)
from components.errors import UserError
from tests.deploy.conftest import Served
from tests.deploy.fake_cluster import FakeCluster

Versions = tuple[Served, Served]


def settings(served: Served, **given: object) -> DeploySettings:
    fields = {"target": "kubernetes", "destination": "s3://models/demo", "ready_seconds": 60}
    return DeploySettings.model_validate(fields | {"probe_address": served.address} | given)


@pytest.fixture
def cluster(fake_cluster: FakeCluster, versions: Versions, store: FolderStore) -> FakeCluster:
    """A cluster on which the old version serves with three replicas."""
    old, _ = versions
    roll_out(settings(old), store, old.release)
    fake_cluster.objects["Deployment", "recommender-blue"]["spec"]["replicas"] = 3
    return fake_cluster


def test_the_first_version_gets_all_its_objects(
    fake_cluster: FakeCluster, versions: Versions, store: FolderStore
) -> None:
    old, _ = versions
    roll_out(settings(old, min_replicas=2, s3_secret="keys"), store, old.release)
    assert fake_cluster.serving() == old.release.version == current_version(store)
    assert {key for key in fake_cluster.objects if key[0] != "Pod"} == {
        ("Deployment", "recommender-blue"),
        ("Service", "recommender"),
        ("Service", "recommender-candidate"),
        ("HorizontalPodAutoscaler", "recommender"),
        ("PodDisruptionBudget", "recommender"),
    }
    pod = fake_cluster.objects["Deployment", "recommender-blue"]["spec"]["template"]["spec"]
    fetch = pod["initContainers"][0]
    assert fetch["command"][-3:] == ["s3://models/demo", old.release.version, "/bundle"]
    assert fetch["envFrom"] == [{"secretRef": {"name": "keys"}}]


def test_the_next_version_takes_over_the_load_in_the_other_slot(
    cluster: FakeCluster, versions: Versions, store: FolderStore
) -> None:
    old, new = versions
    roll_out(settings(new), store, new.release)
    assert cluster.serving() == new.release.version == current_version(store)
    assert store.history() == [old.release.version, new.release.version]
    assert cluster.objects["Deployment", "recommender-green"]["spec"]["replicas"] == 3
    assert cluster.objects["Deployment", "recommender-blue"]["spec"]["replicas"] == 0
    autoscaler = cluster.objects["HorizontalPodAutoscaler", "recommender"]["spec"]
    assert autoscaler["scaleTargetRef"]["name"] == "recommender-green"


def test_the_plan_changes_nothing(cluster: FakeCluster, versions: Versions) -> None:
    old, new = versions
    before = {key: found["metadata"] for key, found in cluster.objects.items()}
    first, second = open_target(settings(new)).plan(new.release)
    assert "recommender-green in namespace default" in first
    assert f"from {old.release.version} to {new.release.version}" in second
    assert before == {key: found["metadata"] for key, found in cluster.objects.items()}


def test_ready_of_the_specification_before_is_not_believed(
    cluster: FakeCluster, versions: Versions, store: FolderStore
) -> None:
    old, new = versions
    roll_out(settings(new), store, new.release)
    # The slot blue says it is complete, of its old specification.
    cluster.problem = "silence"
    with pytest.raises(UserError, match="recommender-blue was not ready"):
        roll_out(settings(old), store, old.release)
    assert cluster.serving() == new.release.version == current_version(store)


@pytest.mark.parametrize(
    ("problem", "reason"),
    [
        ("silence", r"was not ready \(0 of 3 replicas available: no minimum availability\) within"),
        ("image", "ImagePullBackOff: no such image: check serve_image"),
        ("deadline", "does not get ready"),
        ("refusal", 'its pods are refused: pods "recommender-green-abcde" is forbidden: violates'),
    ],
)
def test_a_version_that_does_not_get_ready_is_taken_down(
    cluster: FakeCluster, versions: Versions, store: FolderStore, problem: str, reason: str
) -> None:
    old, new = versions
    cluster.problem = problem
    with pytest.raises(UserError, match=reason):
        roll_out(settings(new), store, new.release)
    assert cluster.serving() == old.release.version == current_version(store)
    assert cluster.objects["Deployment", "recommender-green"]["spec"]["replicas"] == 0


def test_a_version_that_answers_wrongly_is_taken_down(
    cluster: FakeCluster, versions: Versions, store: FolderStore
) -> None:
    old, new = versions
    with pytest.raises(UserError, match=f"serves version {old.release.version}"):
        roll_out(settings(old), store, new.release)
    assert cluster.serving() == old.release.version == current_version(store)
    assert cluster.objects["Deployment", "recommender-green"]["spec"]["replicas"] == 0


@pytest.mark.parametrize(
    "kind", ["Deployment", "Service", "PodDisruptionBudget", "HorizontalPodAutoscaler"]
)
def test_what_is_forbidden_is_named_and_moves_nothing(
    cluster: FakeCluster, versions: Versions, store: FolderStore, kind: str
) -> None:
    old, new = versions
    cluster.forbidden = {("patch", kind)}
    with pytest.raises(UserError, match=f"not allowed to apply {kind}.*alsolike-deploy"):
        roll_out(settings(new), store, new.release)
    assert cluster.serving() == old.release.version == current_version(store)


def test_the_old_version_comes_back_when_the_store_cannot_be_written(
    cluster: FakeCluster,
    versions: Versions,
    store: FolderStore,
    break_store: Callable[[], None],
) -> None:
    old, new = versions
    break_store()
    with pytest.raises(UserError, match="cannot write"):
        roll_out(settings(new), store, new.release)
    assert cluster.serving() == old.release.version == current_version(store)
    assert cluster.objects["Deployment", "recommender-blue"]["spec"]["replicas"] == 3


def test_a_cluster_that_does_not_answer_is_named(
    fake_cluster: FakeCluster, versions: Versions, monkeypatch: pytest.MonkeyPatch
) -> None:
    del fake_cluster
    monkeypatch.setenv("KUBECONFIG", "/nowhere")
    with pytest.raises(UserError, match="cannot reach the cluster"):
        open_target(settings(versions[0]))


def test_the_manifests_keep_to_the_schemas_of_kubernetes(versions: Versions) -> None:
    old, _ = versions
    given = settings(old, s3_secret="keys")
    for manifest in (
        deployment(given, "blue", old.release, replicas=2),
        service(given, "recommender", "blue"),
        autoscaler(given, "blue"),
        disruption_budget(given, "blue"),
    ):
        kubernetes_validate.validate(manifest, "1.31", strict=True)
