"""Runs that fail on the cluster: each ends, is told of, and leaves the endpoint as it was."""

from collections.abc import Iterator

import pytest

from tests.cluster.namespace import Pod, await_that
from tests.cluster.stand import Ended, Stand

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1800)]


@pytest.fixture(autouse=True)
def as_before(stand: Stand, first: Ended) -> Iterator[None]:
    """What was deployed before a test is deployed after it."""
    assert first.code == 0, first.output
    before = stand.current()
    yield
    assert stand.current() == before


def check_told(stand: Stand, failed: Ended) -> None:
    """The command says that the run failed; so does the webhook, or that it does not know."""
    assert failed.code == 1, failed.output
    assert "the run failed" in failed.output
    outcome = stand.outcome_of(failed.run_id)
    assert outcome["state"] in ("FAILED", "ENDED")


def test_a_wrong_parameter_ends_in_one_line_in_the_log_of_the_step(stand: Stand) -> None:
    nowhere = f"{stand.content['parameters']['source']}/nothing"
    failed = stand.submit("--wait", source=nowhere)
    check_told(stand, failed)
    resolve = stand.namespace.steps_of(failed.run_id)["resolve"]
    assert nowhere in stand.namespace.log(resolve)
    assert "Traceback" not in stand.namespace.log(resolve)


def test_a_step_that_takes_too_much_memory_is_ended(stand: Stand) -> None:
    little = {"memory": "100Mi", "shared_memory": "10Mi"}
    failed = stand.submit("--wait", steps={"train": little}, seed=11)
    check_told(stand, failed)
    train = stand.namespace.steps_of(failed.run_id)["train"]
    ends = {each.name: each.state.terminated for each in train.status.container_statuses}
    assert ends["main"].reason == "OOMKilled"


def test_a_step_whose_pod_is_deleted_fails_the_run(stand: Stand) -> None:
    started = stand.submit(seed=12)

    def train() -> Pod | None:
        return stand.namespace.steps_of(started.run_id).get("train")

    # Argo starts a pod again that goes before its containers have started.
    await_that(lambda: (pod := train()) and pod.status.phase == "Running", "the training runs", 600)
    stand.namespace.delete_pod(train())
    followed = stand.alsolike("follow", started.run_id)
    check_told(stand, Ended(followed.code, started.output + followed.output))
