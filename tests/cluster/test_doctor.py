"""What the doctor says of the cluster, as it is and with one thing broken at a time."""

from typing import Any

import pytest

from tests.cluster.stand import Stand

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]


def findings(output: str) -> dict[str, str]:
    """What was found, by check."""
    return {line[8:32].strip(): line[:7].strip() for line in output.splitlines()}


def test_a_cluster_that_runs_the_pipeline_is_found_well(stand: Stand) -> None:
    examined = stand.alsolike("doctor")
    assert examined.code == 0, examined.output
    assert "failed" not in findings(examined.output).values()


@pytest.mark.parametrize(
    ("changes", "check"),
    [
        ({"kubeflow": {"endpoint": "http://127.0.0.1:9"}}, "endpoint"),
        ({"kubeflow": {"profile": "nonesuch"}}, "access"),
        ({"kubeflow": {"service_account": "nonesuch"}}, "service account"),
        ({"s3": {"secret": "nonesuch", "optional": False}}, "secret nonesuch"),
        ({"s3": {"variables": {"NONESUCH": "AWS_ACCESS_KEY_ID"}}}, "secret alsolike-s3"),
        ({"parameters": {"s3_secret": "nonesuch"}}, "servers' keys"),
        ({"image_pull_secrets": ["nonesuch"]}, "secret nonesuch"),
        ({"bucket": "nonesuch"}, "bucket"),
        ({"digests": {}}, "images"),
    ],
)
def test_what_is_broken_is_found(stand: Stand, changes: dict[str, Any], check: str) -> None:
    examined = stand.alsolike("doctor", **{name: _merged(stand, name, changes) for name in changes})
    assert examined.code == 1, examined.output
    assert findings(examined.output)[check] == "failed"


def _merged(stand: Stand, name: str, changes: dict[str, Any]) -> Any:
    """The changed fields of a setting with those that the environment has beside them."""
    change, present = changes[name], stand.content.get(name)
    return {**present, **change} if change and isinstance(present, dict) else change
