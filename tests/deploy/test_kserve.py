"""The rollout to KServe: canaries, stale statuses, and that failures leave the old version."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from components.artifacts.bundles import FolderStore, current_version
from components.deploy.rollout import roll_out
from components.deploy.settings import DeploySettings
from components.deploy.targets import open_target
from components.deploy.targets.cluster import Cluster
from components.deploy.targets.target import Release
from components.errors import UserError
from tests.deploy.conftest import Served
from tests.deploy.fake_cluster import FakeCluster

Versions = tuple[Served, Served]
MODES = ("knative", "standard")


def settings(served: Served, **given: object) -> DeploySettings:
    fields = {"target": "kserve", "destination": "s3://models/demo", "ready_seconds": 60}
    return DeploySettings.model_validate(fields | {"probe_address": served.address} | given)


@pytest.fixture
def cluster(
    fake_cluster: FakeCluster,
    versions: Versions,
    store: FolderStore,
    request: pytest.FixtureRequest,
) -> FakeCluster:
    """A cluster on which the old version serves, in the mode that the test runs in."""
    old, _ = versions
    mode = request.getfixturevalue("mode") if "mode" in request.fixturenames else "knative"
    roll_out(settings(old, kserve_mode=mode), store, old.release)
    return fake_cluster


def test_the_service_is_what_kserve_expects(
    fake_cluster: FakeCluster, versions: Versions, store: FolderStore
) -> None:
    old, _ = versions
    given = settings(old, s3_secret="keys", service_account="serve", min_replicas=0)
    roll_out(given, store, old.release)
    service = fake_cluster.objects["InferenceService", "recommender"]
    predictor = service["spec"]["predictor"]
    [container] = predictor["containers"]
    assert container["env"] == [{"name": "STORAGE_URI", "value": old.release.location}]
    assert container["resources"]["limits"] == {"cpu": "2", "memory": "1Gi"}
    assert predictor["serviceAccountName"] == "serve"
    assert (predictor["minReplicas"], predictor["maxReplicas"]) == (0, 3)
    assert service["metadata"]["annotations"]["serving.kserve.io/storageSecretName"] == "keys"
    assert "canaryTrafficPercent" not in predictor
    assert fake_cluster.shares() == {old.release.version: 100}


@pytest.mark.parametrize("mode", MODES)
def test_the_next_version_takes_over(
    cluster: FakeCluster, versions: Versions, store: FolderStore, mode: str
) -> None:
    _, new = versions
    roll_out(settings(new, kserve_mode=mode), store, new.release)
    assert cluster.shares() == {new.release.version: 100}
    assert current_version(store) == new.release.version
    assert ("InferenceService", "recommender-candidate") not in cluster.objects


@pytest.mark.parametrize("mode", MODES)
def test_one_version_after_the_other_takes_over(
    cluster: FakeCluster, versions: Versions, store: FolderStore, mode: str
) -> None:
    """KServe refuses changes of the mode, and counts the generations of the child that it makes."""
    old, new = versions
    for served in (new, old, new):
        roll_out(settings(served, kserve_mode=mode), store, served.release)
        assert cluster.shares() == {served.release.version: 100}
    service = cluster.objects["InferenceService", "recommender"]
    assert service["metadata"]["annotations"]["serving.kserve.io/deploymentMode"] == mode.title()


@pytest.mark.parametrize("mode", MODES)
def test_the_version_that_serves_can_be_deployed_again(
    cluster: FakeCluster, versions: Versions, store: FolderStore, mode: str
) -> None:
    """KServe would read a share of 0 for the revision that serves as a rollback."""
    _, new = versions
    for served in (new, new):
        roll_out(settings(served, kserve_mode=mode), store, served.release)
    assert cluster.shares() == {new.release.version: 100}


def test_the_version_that_serves_is_not_applied_anew(
    cluster: FakeCluster, versions: Versions, store: FolderStore
) -> None:
    _, new = versions
    roll_out(settings(new), store, new.release)
    target = open_target(settings(new))
    target.apply(new.release)
    target.wait(new.release)
    assert cluster.shares() == {new.release.version: 100}


@pytest.mark.parametrize("mode", ["standard"])
def test_a_candidate_that_was_left_behind_is_replaced(
    cluster: FakeCluster, versions: Versions, store: FolderStore, mode: str
) -> None:
    """As a deployment that is killed leaves one."""
    old, new = versions
    open_target(settings(old, kserve_mode=mode)).apply(old.release)
    roll_out(settings(new, kserve_mode=mode), store, new.release)
    assert cluster.shares() == {new.release.version: 100}
    assert ("InferenceService", "recommender-candidate") not in cluster.objects


def test_another_mode_than_that_of_the_service_is_refused(
    cluster: FakeCluster, versions: Versions, store: FolderStore
) -> None:
    old, new = versions
    with pytest.raises(UserError, match="mode Knative, which cannot be changed"):
        roll_out(settings(new, kserve_mode="standard"), store, new.release)
    assert cluster.shares() == {old.release.version: 100}


def test_no_request_reaches_the_new_version_before_the_smoke_test(
    cluster: FakeCluster, versions: Versions
) -> None:
    old, new = versions
    target = open_target(settings(new))
    target.apply(new.release)
    address = target.wait(new.release)
    assert cluster.shares() == {old.release.version: 100}
    assert address == "http://latest-recommender-predictor.default.svc.cluster.local"


def test_a_canary_takes_its_share_and_is_promoted_later(
    cluster: FakeCluster, versions: Versions, store: FolderStore
) -> None:
    old, new = versions
    roll_out(settings(new, canary_percent=20), store, new.release)
    assert cluster.shares() == {new.release.version: 20, old.release.version: 80}
    assert current_version(store) == old.release.version
    roll_out(settings(new), store, new.release)
    assert cluster.shares() == {new.release.version: 100}
    assert current_version(store) == new.release.version


def test_ready_of_the_revision_before_is_not_believed(
    cluster: FakeCluster, versions: Versions, store: FolderStore
) -> None:
    old, new = versions
    cluster.problem = "silence"
    assert cluster.get("InferenceService", "recommender")["status"]["conditions"] == [
        {"type": "Ready", "status": "True"}
    ]
    with pytest.raises(UserError, match=r"recommender was not ready \(Deploying\) within"):
        roll_out(settings(new), store, new.release)
    cluster.problem = ""
    assert cluster.shares() == {old.release.version: 100}
    assert current_version(store) == old.release.version


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("problem", "reason"), [("silence", "was not ready"), ("image", "ImagePullBackOff")]
)
def test_a_version_that_does_not_get_ready_changes_nothing(
    cluster: FakeCluster,
    versions: Versions,
    store: FolderStore,
    mode: str,
    problem: str,
    reason: str,
) -> None:
    old, new = versions
    cluster.problem = problem
    with pytest.raises(UserError, match=reason):
        roll_out(settings(new, kserve_mode=mode), store, new.release)
    cluster.problem = ""
    assert cluster.shares() == {old.release.version: 100}
    assert current_version(store) == old.release.version


@pytest.mark.parametrize("mode", ["standard"])
def test_a_version_whose_pods_are_refused_is_told_at_once(
    cluster: FakeCluster, versions: Versions, store: FolderStore, mode: str
) -> None:
    old, new = versions
    cluster.problem = "refusal"
    with pytest.raises(UserError, match=r"its pods are refused: .* is forbidden: violates"):
        roll_out(settings(new, kserve_mode=mode), store, new.release)
    cluster.problem = ""
    assert cluster.shares() == {old.release.version: 100}


@pytest.mark.parametrize("mode", MODES)
def test_a_wrong_answer_changes_nothing_and_is_told(
    cluster: FakeCluster, versions: Versions, store: FolderStore, tmp_path: Path, mode: str
) -> None:
    old, new = versions
    golden = json.loads((new.release.bundle / "golden.json").read_text())
    [prediction] = [each for each in golden if "predictions" in each["answer"]]
    prediction["answer"]["predictions"][0] += 2e-4
    (tmp_path / "golden.json").write_text(json.dumps(golden))
    release = Release(new.release.version, tmp_path, new.release.location)
    with pytest.raises(UserError, match=":predict: the server answers"):
        roll_out(settings(new, kserve_mode=mode), store, release)
    assert cluster.shares() == {old.release.version: 100}
    assert current_version(store) == old.release.version
    if mode == "knative":
        assert cluster.asked == {old.release.version}


def test_the_old_version_comes_back_when_the_store_cannot_be_written(
    cluster: FakeCluster,
    versions: Versions,
    store: FolderStore,
    break_store: Callable[[], None],
) -> None:
    old, new = versions
    break_store()
    with pytest.raises(UserError, match="cannot write"):
        roll_out(settings(new, ready_seconds=900), store, new.release)
    assert cluster.shares() == {old.release.version: 100}
    service = cluster.objects["InferenceService", "recommender"]
    assert "canaryTrafficPercent" not in service["spec"]["predictor"]
    assert service["metadata"]["annotations"]["serving.knative.dev/progress-deadline"] == "600s"


@pytest.mark.parametrize("mode", MODES)
def test_a_first_version_that_fails_is_deleted_and_can_be_tried_again(
    fake_cluster: FakeCluster, versions: Versions, store: FolderStore, mode: str
) -> None:
    old, _ = versions
    with pytest.raises(UserError, match="max_latency_ms"):
        roll_out(settings(old, kserve_mode=mode, max_latency_ms=1e-6), store, old.release)
    assert fake_cluster.shares() == {}
    roll_out(settings(old, kserve_mode=mode), store, old.release)
    assert fake_cluster.shares() == {old.release.version: 100}


def test_what_is_forbidden_is_named(
    cluster: FakeCluster, versions: Versions, store: FolderStore
) -> None:
    old, new = versions
    cluster.forbidden = {("patch", "InferenceService")}
    with pytest.raises(
        UserError,
        match=r"apply InferenceService recommender .*may not patch InferenceService.*bind the role",
    ):
        roll_out(settings(new), store, new.release)
    assert cluster.shares() == {old.release.version: 100}


@pytest.mark.usefixtures("cluster")
def test_what_a_webhook_refuses_is_told_in_its_own_words() -> None:
    mode = {"serving.kserve.io/deploymentMode": "Standard"}
    service = {"apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService"}
    metadata = {"name": "recommender", "annotations": mode}
    with pytest.raises(UserError, match=r"admission webhook .* denied the request") as caught:
        Cluster("default").apply({**service, "metadata": metadata})
    assert "role" not in str(caught.value)


def test_a_cluster_without_kserve_is_told(fake_cluster: FakeCluster, versions: Versions) -> None:
    """Whatever was there when it was last asked."""
    open_target(settings(versions[0]))
    fake_cluster.installed.remove("serving.kserve.io/v1beta1")
    with pytest.raises(UserError, match=r"lacks a kind of object.*InferenceService"):
        open_target(settings(versions[0]))


def test_fields_that_others_set_stay(
    cluster: FakeCluster, versions: Versions, store: FolderStore
) -> None:
    _, new = versions
    extra = {"metadata": {"annotations": {"team/contact": "someone"}}}
    cluster.apply("InferenceService", "recommender", extra, "someone", force=False)
    roll_out(settings(new), store, new.release)
    metadata = cluster.objects["InferenceService", "recommender"]["metadata"]
    assert metadata["annotations"]["team/contact"] == "someone"
