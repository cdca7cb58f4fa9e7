"""A run on the cluster, from the command to the endpoint and the webhook."""

import pytest

from tests.cluster.stand import SERVICE, Ended, Stand

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1800)]


def test_a_run_ends_at_a_live_endpoint(stand: Stand, first: Ended) -> None:
    assert first.code == 0, first.output
    target = stand.content["parameters"]["target"]
    assert stand.served(target) == [stand.current()]
    answer = stand.namespace.ask(SERVICE[target], "/recommend/somebody")
    assert answer["recommendations"]


def test_the_webhook_is_told_of_the_run_with_a_link_to_it(stand: Stand, first: Ended) -> None:
    outcome = stand.outcome_of(first.run_id)
    # Kubeflow does not tell the last step that all others have succeeded.
    assert (outcome["state"], outcome["error"]) == ("ENDED", "")


def test_the_second_run_takes_from_the_cache_what_cannot_have_changed(
    stand: Stand, first: Ended
) -> None:
    assert first.code == 0
    again = stand.submit("--wait")
    assert again.code == 0, again.output
    assert stand.namespace.steps_of(again.run_id).keys() == {
        *("resolve", "evaluate", "deploy", "notify")
    }


def test_a_model_that_the_gate_refuses_is_not_deployed(stand: Stand, first: Ended) -> None:
    assert first.code == 0
    before = stand.current()
    gate = "[{metric: mse, comparison: at_most, threshold: 0.0001}]"
    refused = stand.submit("--wait", gate=gate, seed=5)
    assert refused.code == 0, refused.output
    assert "deploy" not in stand.namespace.steps_of(refused.run_id)
    assert stand.current() == before
    assert stand.outcome_of(refused.run_id)["state"] == "ENDED"


def test_a_run_has_the_rights_to_deploy_to_plain_kubernetes(stand: Stand, first: Ended) -> None:
    assert first.code == 0, first.output
    ended = stand.submit("--wait", target="kubernetes")
    assert ended.code == 0, ended.output
    assert stand.served("kubernetes") == [stand.current()]
